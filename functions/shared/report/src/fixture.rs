//! A deployment of as many resources as one likes, the same each time: for tests, benchmarks and pictures.

use domain::{
    BackupPlan, Engine, Finding, PlanDocument, RecoveryPointId, ResourceId, Severity, Standing,
    drill::{
        To, Way,
        history::{History, Loss, Past, Phases, Promised, Verdict},
    },
    retention::{Region, Tier},
};
use fastrand::Rng;
use jiff::{SignedDuration, Timestamp, ToSpan, civil::Date};

use crate::{
    Age, Buckets, Cost, Cut, Deletion, Deletions, DrillState, Drills, Held, KeptAs, Occasion, Open, Point,
    Prices, Report, Resource, Restore, RetentionPlan, Slots, State, Unknown, VERSION,
};

const DAYS: u32 = 30;

/// A report of that many resources; `seed` makes it another one.
pub fn report(count: usize, seed: u64) -> Report {
    let mut maker = Maker { rng: Rng::with_seed(seed), now: now(), first: first_day() };
    let mut resources: Vec<Resource> = (0..count).map(|at| maker.resource(at, count)).collect();
    resources
        .sort_by(|one, other| one.state.cmp(&other.state).then_with(|| one.resource.cmp(&other.resource)));
    let findings = maker.findings(&resources);
    let restores = maker.restores(&resources);
    let deletions = maker.deletions(&resources);
    let prices = Prices { rds_micro_usd: 95_000, s3_micro_usd: 23_000 };
    let kept: u32 = resources.iter().map(|resource| resource.held.verified).sum();
    Report {
        version: VERSION,
        made_at: maker.now,
        stage: "prod".to_owned(),
        occasion: Occasion::Weekly,
        home_region: "us-east-1".to_owned(),
        recovery_region: "us-west-2".to_owned(),
        first_day: maker.first,
        days: DAYS,
        unknown: unknown(count),
        cut: cut(count),
        costs: maker.costs(&resources, prices),
        resources,
        findings,
        restores,
        deletions,
        retention: Some(RetentionPlan {
            made_at: maker.now - SignedDuration::from_hours(1),
            hash: "3b6a07d0d404fab4e23b6d34bc6696a6a312dd92821332385e5af7c01c421351".to_owned(),
            kept: kept as usize,
            expired: count * 3,
            strays: count / 100,
            is_acknowledged: count > 1,
        }),
        prices,
    }
}

fn now() -> Timestamp {
    Timestamp::from_second(1_795_415_400).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn first_day() -> Date {
    let today = crate::words::date_of(now());
    today.checked_sub((i64::from(DAYS) - 1).days()).unwrap_or(today)
}

fn unknown(count: usize) -> Vec<Unknown> {
    let unknown = Unknown {
        what: "turso recovery points".to_owned(),
        why: "AccessDenied: cannot list s3://tidemark-vault-prod-123456789012-us-west-2/turso/".to_owned(),
    };
    (count > 10).then_some(unknown).into_iter().collect()
}

fn cut(count: usize) -> Vec<Cut> {
    let cut =
        Cut { what: "Durations of recovery points that were read".to_owned(), shown: 3_000, of: count * 90 };
    (count > 100).then_some(cut).into_iter().collect()
}

struct Maker {
    rng: Rng,
    now: Timestamp,
    first: Date,
}

impl Maker {
    fn resource(&mut self, at: usize, count: usize) -> Resource {
        let (engine, name, slots_a_day, rpo) = match at % 5 {
            0 | 1 => (Engine::Rds, format!("orders-{at:04}"), 1, 900),
            2 => (Engine::Redis, format!("sessions-{at:04}"), 4, 28_800),
            _ => (Engine::Turso, format!("shop-{at:04}"), 24, 7_200),
        };
        let state = self.state(engine, count);
        let ages: Vec<Option<i64>> = (0..i64::from(DAYS) * 24 / step(count)).map(|_| self.age(rpo)).collect();
        let (worst, ages) = self.worst(state, rpo, ages, step(count));
        let points = self.points(engine);
        let size = points.last().and_then(|point| point.bytes).unwrap_or_default();
        let verified = self.rng.u32(18..32);
        Resource {
            resource: ResourceId { engine, name },
            state,
            plan: (state != State::NotProtected).then(|| "default".to_owned()),
            protected_since: Some(self.now - SignedDuration::from_hours(24 * 300)),
            rpo_seconds: Some(rpo),
            rto_seconds: Some(3_600),
            age: (state != State::NotProtected)
                .then(|| Age { seconds: self.rng.i64(20..rpo / 2), at: self.now }),
            worst,
            ages,
            age_step_hours: u32::try_from(step(count)).unwrap_or(1),
            slots: (0..DAYS).map(|day| self.slots(state, slots_a_day, day)).collect(),
            points,
            held: Held {
                verified,
                others: u32::from(self.rng.u8(..) < 20),
                on_hold: u32::from(self.rng.u8(..) < 10),
                copied: verified - u32::from(state != State::Well),
                bytes: size * u64::from(verified) * 2,
            },
            tiers: if state == State::Unknown { Vec::new() } else { self.tiers() },
            drills: self.drills(at, engine, state, rpo),
        }
    }

    /// Mostly drilled each month and passed; some fail, some grow beyond the objective, some were never drilled.
    fn drills(&mut self, at: usize, engine: Engine, state: State, rpo: i64) -> Drills {
        let document = PlanDocument::parse(r#"{"plans": {"default": {}}}"#).ok();
        let plan = document.as_ref().and_then(|document| document.get("default"));
        let plan = plan.filter(|_| state != State::NotProtected);
        let of = |past: Vec<Past>, plan: Option<&BackupPlan>| {
            Drills::of(History { past }, plan, self.first, self.now)
        };
        // Of its own, so that the rest is what it was.
        let mut rng = Rng::with_seed(at as u64);
        let months: i64 = match at % 10 {
            9 => return of(Vec::new(), plan),
            8 if engine == Engine::Turso => {
                return Drills { state: DrillState::Unknown, ..Drills::default() };
            }
            0 => 60,
            many => i64::try_from(many).unwrap_or(1) * 3,
        };
        let ways = [Way::Instant, Way::Newest, Way::Copy, Way::Older];
        let ways: Vec<Way> =
            ways.into_iter().filter(|way| *way != Way::Instant || engine != Engine::Redis).collect();
        // What grows too large does so in the months to come.
        let grows = if at % 10 == 1 { 24 } else { rng.u64(0..6) };
        let growth = |back: i64| 600_u64.saturating_sub(u64::try_from(back).unwrap_or_default() * grows);
        let base = rng.u64((2 << 30)..(80 << 30));
        let drill = |back: i64, rng: &mut Rng| {
            let at = self.now - SignedDuration::from_hours(24 * (21 + 30 * back));
            let bytes = base / 600 * growth(back);
            let slow = if grows == 24 { 2_400_000 } else { rng.u64(500_000..1_500_000) };
            let creating_ms = slow / 600 * growth(back) + rng.u64(0..120_000);
            let (first_query_ms, checks_ms) = (rng.u64(200..9_000), creating_ms / 6 + rng.u64(1_000..60_000));
            let is_failed = rng.u8(..) < 14;
            let restore_ms = creating_ms + first_query_ms;
            let loss = rng.u64(1_000..u64::try_from(rpo).unwrap_or(1) * 900);
            Past {
                id: format!("drill-{engine}-{back}"),
                way: ways[usize::try_from(back).unwrap_or_default() % ways.len()],
                region: if back % 3 == 2 { Region::Recovery } else { Region::Home },
                to: if back % 2 == 0 {
                    To::Instant(at - SignedDuration::from_hours(7))
                } else {
                    To::Point(RecoveryPointId::from("tidemark-orders-20261102t0300z-yzryht"))
                },
                asked_at: at,
                judged_at: at
                    + SignedDuration::from_millis(i64::try_from(restore_ms + checks_ms).unwrap_or_default()),
                verdict: if is_failed {
                    Verdict::Failed {
                        code: "CheckFailed".to_owned(),
                        says: "public.orders, block 7: invalid page in block 7 of relation base/5/16384"
                            .to_owned(),
                    }
                } else {
                    Verdict::Passed
                },
                bytes,
                class: (engine != Engine::Turso).then(|| "db.t4g.medium".to_owned()),
                phases: Phases {
                    accepted_ms: Some(rng.u64(200..2_500)),
                    creating_ms: Some(creating_ms),
                    first_query_ms: Some(first_query_ms),
                    checks_ms: (!is_failed).then_some(checks_ms),
                    restore_ms: Some(restore_ms),
                    duration_ms: (!is_failed).then_some(restore_ms + checks_ms),
                },
                loss: (!is_failed).then(|| Loss {
                    is_measured: rng.bool(),
                    at_least_ms: loss / 2,
                    at_most_ms: loss,
                }),
                objectives: Promised { rpo_ms: u64::try_from(rpo).unwrap_or(1) * 1_000, rto_ms: 3_600_000 },
                unchecked: if rng.u8(..) < 30 {
                    vec!["amcheck is not available".to_owned()]
                } else {
                    Vec::new()
                },
                cost_micro_usd: rng.u64(5_000..400_000),
                set: (back % 7 == 3).then(|| "shop".to_owned()),
            }
        };
        // One that nobody drills any more.
        let last = if at % 20 == 14 { 2 } else { 0 };
        of((last..months).rev().map(|back| drill(back, &mut rng)).collect(), plan)
    }

    fn state(&mut self, engine: Engine, count: usize) -> State {
        match self.rng.usize(..100) {
            _ if count == 1 => State::Well,
            _ if engine == Engine::Turso && self.rng.u8(..) < 12 => State::Unknown,
            0..3 => State::AtRisk,
            3..9 => State::NeedsALook,
            9..11 => State::NotProtected,
            _ => State::Well,
        }
    }

    fn age(&mut self, rpo: i64) -> Option<i64> {
        // Mostly as its schedule makes it, and now and then a little late.
        let late = if self.rng.u8(..) < 8 { self.rng.i64(0..rpo / 4) } else { 0 };
        (self.rng.u8(..) > 0).then(|| rpo / 2 + self.rng.i64(0..rpo / 40) + late)
    }

    /// One at risk exceeds its objective towards the end.
    fn worst(
        &mut self,
        state: State,
        rpo: i64,
        mut ages: Vec<Option<i64>>,
        step: i64,
    ) -> (Option<Age>, Vec<Option<i64>>) {
        if state == State::AtRisk {
            let last = ages.len() - 1;
            for back in 0..4.min(last) {
                ages[last - back] = Some(rpo * i64::try_from(5 - back).unwrap_or(1));
            }
        }
        let (at, seconds) = ages
            .iter()
            .enumerate()
            .filter_map(|(at, age)| Some((at, (*age)?)))
            .max_by_key(|(_, age)| *age)
            .unwrap_or_default();
        let begun = self.now - SignedDuration::from_hours(24 * i64::from(DAYS));
        let hours = i64::try_from(at).unwrap_or_default() * step;
        (Some(Age { seconds, at: begun + SignedDuration::from_hours(hours) }), ages)
    }

    fn slots(&mut self, state: State, a_day: u32, day: u32) -> Slots {
        let whole = Slots { verified: a_day, ..Slots::default() };
        let less = Slots { verified: a_day - 1, ..Slots::default() };
        match (state, self.rng.u8(..)) {
            (State::AtRisk, _) if day + 2 > DAYS => Slots { missing: 1, ..less },
            (State::Unknown, _) if day + 1 == DAYS => Slots { unknown: 1, ..less },
            (_, 0) => Slots { failed: 1, ..less },
            (_, 1) => Slots { unverified: 1, ..less },
            _ if day + 1 == DAYS && a_day > 1 => {
                Slots { verified: a_day / 4, pending: 1, ..Slots::default() }
            }
            _ => whole,
        }
    }

    fn points(&mut self, engine: Engine) -> Vec<Point> {
        let base: u64 = if engine == Engine::Rds { 100 << 30 } else { self.rng.u64((1 << 20)..(4 << 30)) };
        let slot = |day: u32| self.now - SignedDuration::from_hours(24 * i64::from(DAYS - 1 - day) + 4);
        let slots: Vec<Timestamp> = (0..DAYS).map(slot).collect();
        let grown = |day: u64| if engine == Engine::Rds { base } else { base + base / 200 * day };
        let point = |(day, slot): (u64, Timestamp), rng: &mut Rng| Point {
            slot,
            bytes: Some(grown(day)),
            duration_ms: Some(rng.i64(40_000..900_000)),
        };
        (0_u64..).zip(slots).map(|of| point(of, &mut self.rng)).collect()
    }

    fn tiers(&mut self) -> Vec<Buckets> {
        let months = self.rng.u32(3..12);
        let kept = [
            (Tier::Daily, 7, 7, 1),
            (Tier::Weekly, 4, 4, 7),
            (Tier::Monthly, 12, months, 30),
            (Tier::Annual, 7, 1, 365),
        ];
        let today = crate::words::date_of(self.now);
        let day = |back: u32, days: i64| today.checked_sub((i64::from(back) * days).days()).unwrap_or(today);
        kept.into_iter()
            .map(|(tier, kept, filled, days)| Buckets {
                tier,
                kept,
                filled: (0..filled).rev().map(|back| day(back, days)).collect(),
            })
            .collect()
    }

    fn findings(&self, resources: &[Resource]) -> Vec<Open> {
        let finding = |resource: &Resource| {
            let (kind, severity) = match resource.state {
                State::AtRisk => ("rpo-exceeded", Severity::Critical),
                State::NeedsALook => ("copy-behind", Severity::Warning),
                _ => return None,
            };
            let name = &resource.resource;
            Some(Open {
                said_by: "watch-rpo".to_owned(),
                finding: Finding {
                    resource: name.clone(),
                    kind: kind.to_owned(),
                    code: None,
                    severity,
                    since: self.now - SignedDuration::from_hours(30),
                    says: format!(
                        "{name}: the newest restorable second is 47 minutes ago; the objective is 15 minutes"
                    ),
                    next: "See what RDS says of it: aws rds describe-events --source-type db-instance"
                        .to_owned(),
                    standing: Standing::default(),
                },
            })
        };
        resources.iter().filter_map(finding).collect()
    }

    fn restores(&mut self, resources: &[Resource]) -> Vec<Restore> {
        let count = resources.len().min(40);
        let mut restores: Vec<Restore> = (0..count)
            .map(|at| {
                let resource = resources[self.rng.usize(..resources.len())].resource.clone();
                let failed = (self.rng.u8(..) < 12).then(|| "RestoreFailed".to_owned());
                Restore {
                    id: format!("restore-{resource}-{at}"),
                    resource,
                    at: self.now - SignedDuration::from_mins(self.rng.i64(10..40_000)),
                    is_drill: self.rng.bool(),
                    duration_ms: failed.is_none().then(|| self.rng.i64(240_000..3_900_000)),
                    rto_seconds: Some(3_600),
                    loss: failed.is_none().then(|| Loss {
                        is_measured: self.rng.bool(),
                        at_least_ms: 0,
                        at_most_ms: self.rng.u64(5_000..400_000),
                    }),
                    failed,
                }
            })
            .collect();
        restores.sort_by_key(|restore| std::cmp::Reverse(restore.at));
        restores
    }

    fn deletions(&mut self, resources: &[Resource]) -> Deletions {
        let one = |at: usize, resource: &Resource, rng: &mut Rng| Deletion {
            resource: resource.resource.clone(),
            id: format!("tidemark-{}-20261015t0300z-ellsxv", resource.resource.name),
            region: if at.is_multiple_of(2) { "us-east-1" } else { "us-west-2" }.to_owned(),
            at: Some(self.now - SignedDuration::from_hours(i64::try_from(at).unwrap_or_default())),
            why: vec![
                "its day has tidemark-x-20261015t0200z-ellsxv".to_owned(),
                "its week is older than those that are kept".to_owned(),
            ],
            bytes: Some(rng.u64(1 << 20..1 << 34)),
        };
        let all: Vec<Deletion> =
            resources.iter().enumerate().map(|(at, resource)| one(at, resource, &mut self.rng)).collect();
        let bytes = all.iter().filter_map(|deletion| deletion.bytes).sum();
        Deletions { count: all.len(), bytes, shown: all.into_iter().take(100).collect() }
    }

    fn costs(&self, resources: &[Resource], prices: Prices) -> Vec<Cost> {
        let mut costs = Vec::new();
        for engine in Engine::PROTECTED {
            let of = || resources.iter().filter(|resource| resource.resource.engine == engine);
            let bytes: u64 = of().map(|resource| resource.held.bytes / 2).sum();
            let price = if engine == Engine::Rds { prices.rds_micro_usd } else { prices.s3_micro_usd };
            for region in ["us-east-1", "us-west-2"] {
                for (kept_as, parts) in [
                    (KeptAs::Daily, 7),
                    (KeptAs::Weekly, 4),
                    (KeptAs::Monthly, 8),
                    (KeptAs::Annual, 1),
                    (KeptAs::Expired, 2),
                ] {
                    let bytes = bytes / 22 * parts;
                    let micro = (u128::from(bytes) * u128::from(price)) >> 30;
                    costs.push(Cost {
                        engine,
                        region: region.to_owned(),
                        kept_as,
                        points: of().count() * usize::try_from(parts).unwrap_or(1),
                        bytes,
                        micro_usd_a_month: u64::try_from(micro).unwrap_or(u64::MAX),
                    });
                }
            }
        }
        costs.retain(|cost| cost.points > 0);
        costs
    }
}

/// Many resources have coarser ages, as a report has.
fn step(count: usize) -> i64 {
    if count > 200 {
        24
    } else if count > 40 {
        6
    } else {
        1
    }
}

/// What somebody hostile would have written wherever a name or a text can stand.
pub const HOSTILE: [&str; 8] = [
    "<script>window.broken = 1</script>",
    "\"><img src=x onerror=\"window.broken = 1\">",
    "'-->]]></style></svg><svg onload=window.broken=1>",
    "javascript:window.broken=1",
    "\u{202e}gnp.exe\u{2066}",
    "👩‍👩‍👧‍👦 🔥 Größe 数据库",
    "</title></desc><a href=https://example.invalid>",
    "\u{0}\u{7}\u{1b}[31m\n\r\t",
];

/// The same report with that text wherever one from outside can stand.
pub fn with_text_everywhere(mut report: Report, text: &str) -> Report {
    let text = || text.to_owned();
    report.stage = text();
    report.home_region = text();
    report.recovery_region = text();
    report.unknown = vec![Unknown { what: text(), why: text() }];
    report.cut = vec![Cut { what: text(), shown: 1, of: 2 }];
    for (at, resource) in report.resources.iter_mut().enumerate() {
        resource.resource.name = format!("{}{at}", text());
        resource.plan = Some(text());
        for past in &mut resource.drills.past {
            (past.id, past.class, past.set) = (text(), Some(text()), Some(text()));
            past.to = To::Point(RecoveryPointId::from(text().as_str()));
            past.verdict = Verdict::Failed { code: text(), says: text() };
            past.unchecked = vec![text()];
        }
    }
    for open in &mut report.findings {
        open.said_by = text();
        open.finding = Finding {
            resource: ResourceId { name: text(), ..open.finding.resource.clone() },
            kind: text(),
            code: Some(text()),
            says: text(),
            next: text(),
            ..open.finding.clone()
        };
    }
    for restore in &mut report.restores {
        (restore.id, restore.resource.name) = (text(), text());
        restore.failed = Some(text());
    }
    for deletion in &mut report.deletions.shown {
        (deletion.id, deletion.region, deletion.resource.name) = (text(), text(), text());
        deletion.why = vec![text(), text()];
    }
    for cost in &mut report.costs {
        cost.region = text();
    }
    if let Some(plan) = &mut report.retention {
        plan.hash = text();
    }
    report
}
