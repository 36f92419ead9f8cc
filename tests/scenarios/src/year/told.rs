//! What the ledger, the boards and the watch would say of the simulated year.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use domain::{
    DayOfAges, Engine, Finding, Findings, RecoveryPointId, ResourceId, Severity, Slot, Standing, Watched,
    drill::{
        To, Way,
        history::{History, Loss, Past, Phases, Promised, Verdict},
    },
    retention::Region,
};
use inventory::{Held, Published};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use publish_report::{DAYS, Known, Recorded, Seen};
use report::Prices;
use serde_json::{Value, json};

use super::{World, day_of, made::Source};

/// So many deletions are read of the ledger.
const READ: usize = 500;

/// Something that the ledger has.
#[derive(Debug)]
pub(super) struct Happened {
    resource: ResourceId,
    id: RecoveryPointId,
    at: Timestamp,
    what: What,
}

#[derive(Debug)]
enum What {
    Completed { bytes: u64, took: SignedDuration },
    Failed,
    Deleted { why: Vec<String> },
}

impl Happened {
    pub(super) fn completed(source: &Source, held: &Held, took: SignedDuration) -> Self {
        let what = What::Completed { bytes: source.bytes_at(held.slot), took };
        Self { resource: held.resource.clone(), id: held.id.clone(), at: held.slot.instant() + took, what }
    }

    pub(super) fn failed(source: &Source, slot: Slot) -> Self {
        let id = RecoveryPointId::new(&source.resource.name, &source.incarnation, slot, 1);
        Self { resource: source.resource.clone(), id, at: slot.instant(), what: What::Failed }
    }

    pub(super) fn deleted(held: &Held, why: Vec<String>, at: Timestamp) -> Self {
        Self { resource: held.resource.clone(), id: held.id.clone(), at, what: What::Deleted { why } }
    }

    fn entry(&self, kind: &str, more: Value) -> Value {
        let mut entry = json!({
            "at": self.at, "kind": kind, "resource": self.resource, "subject": self.id, "region": "us-east-1",
            "outcome": "completed",
        });
        if let (Some(entry), Value::Object(more)) = (entry.as_object_mut(), more) {
            entry.extend(more);
        }
        entry
    }
}

impl World {
    /// All that publish-report would see at the end of the year.
    pub(super) fn seen(&self) -> Result<Seen> {
        let retention = self.last_plan.clone().map(Published::new).transpose()?;
        let since = self.now - SignedDuration::from_hours(24 * 365);
        let watched = |source: &Source| {
            (source.resource.clone(), Watched { seen_since: Some(since), plan: Some("default".to_owned()) })
        };
        Ok(Seen {
            stage: "demo".to_owned(),
            home_region: "us-east-1".to_owned(),
            recovery_region: "us-west-2".to_owned(),
            prices: Prices { rds_micro_usd: 95_000, s3_micro_usd: 23_000 },
            plans: Some(self.plans.clone()),
            inventory: Some(self.inventory()),
            backup_plans: inventory::BackupPlans {
                names: self.backup_plans.names.clone(),
                unknown: Vec::new(),
            },
            retention,
            is_acknowledged: true,
            watched: Some(self.sources.iter().map(watched).collect()),
            ages: self.ages(),
            boards: vec![self.board()],
            drills: Some(self.drills()),
            recorded: Some(self.recorded()),
            unknown: Vec::new(),
        })
    }

    fn first_day(&self) -> Timestamp {
        self.now - SignedDuration::from_hours(24 * (i64::from(DAYS) - 1))
    }

    fn recorded(&self) -> Recorded {
        let mut recorded = Recorded::default();
        let days: BTreeSet<_> =
            (0..i64::from(DAYS)).map(|day| day_of(self.now - SignedDuration::from_hours(24 * day))).collect();
        for happened in self.happened.iter().rev().filter(|happened| days.contains(&day_of(happened.at))) {
            let known = recorded.points.entry((happened.resource.clone(), happened.id.clone()));
            match &happened.what {
                What::Completed { bytes, took } => {
                    known.or_insert_with(Known::default).is_completed = true;
                    let more = json!({"bytes": bytes, "duration_ms": i64::try_from(took.as_millis()).ok()});
                    recorded.completed.push(happened.entry("recovery-point-completed", more));
                }
                What::Failed => known.or_insert_with(Known::default).has_failed = true,
                What::Deleted { why } => {
                    recorded.deleted += 1;
                    if recorded.deletions.len() < READ {
                        recorded
                            .deletions
                            .push(happened.entry("recovery-point-deleted", json!({"why": why})));
                    }
                }
            }
        }
        recorded.restores = self.restores();
        recorded
    }

    /// The drills of each source, on the second of each month; of the last one nobody has drilled anything yet.
    fn drills(&self) -> BTreeMap<ResourceId, Option<History>> {
        let drilled = self.sources.split_last().map_or(&self.sources[..], |(_, others)| others);
        let history = |source: &Source| {
            let past = (0..12).rev().map(|back| self.drill(source, back)).collect();
            (source.resource.clone(), Some(History { past }))
        };
        drilled.iter().map(history).collect()
    }

    fn drill(&self, source: &Source, months_ago: i64) -> Past {
        let asked_at = self.now - SignedDuration::from_hours(24 * (21 + 30 * months_ago));
        let bytes = source.bytes_at(Slot::at(asked_at));
        let (engine, minute) = (source.resource.engine, 60_000);
        // A server takes its time whatever is in it; the rest goes with the size.
        let begin = if engine == Engine::Turso { minute / 4 } else { 9 * minute };
        // RDS fetches what is read, and not all at once.
        let mib_ms = if engine == Engine::Rds { 1 } else { 22 };
        let creating_ms = begin + (bytes >> 20) * mib_ms;
        let (accepted_ms, first_query_ms, checks_ms) = (900, 4_000, minute / 2 + (bytes >> 20) * mib_ms / 4);
        let is_failed = source.resource.name == "warehouse" && months_ago == 4;
        let restore_ms = creating_ms + first_query_ms;
        let loss = if engine == Engine::Rds { 42_000 } else { 50 * minute };
        Past {
            id: format!("drill-{}-{months_ago}", source.resource.name),
            way: if engine == Engine::Rds { Way::Instant } else { Way::Newest },
            region: if months_ago % 3 == 2 { Region::Recovery } else { Region::Home },
            to: To::Instant(asked_at - SignedDuration::from_hours(7)),
            asked_at,
            judged_at: asked_at
                + SignedDuration::from_millis(i64::try_from(restore_ms + checks_ms).unwrap_or(0)),
            verdict: if is_failed {
                let says =
                    "public.orders, block 7: invalid page in block 7 of relation base/5/16384".to_owned();
                Verdict::Failed { code: "CheckFailed".to_owned(), says }
            } else {
                Verdict::Passed
            },
            bytes,
            class: (engine == Engine::Rds).then(|| "db.t4g.medium".to_owned()),
            phases: Phases {
                accepted_ms: Some(accepted_ms),
                creating_ms: Some(creating_ms),
                first_query_ms: Some(first_query_ms),
                checks_ms: (!is_failed).then_some(checks_ms),
                restore_ms: Some(restore_ms),
                duration_ms: (!is_failed).then_some(restore_ms + checks_ms),
            },
            loss: (!is_failed).then_some(Loss { is_measured: true, at_least_ms: loss / 2, at_most_ms: loss }),
            objectives: Promised { rpo_ms: 900_000, rto_ms: 3_600_000 },
            unchecked: Vec::new(),
            cost_micro_usd: 60_000,
            set: None,
        }
    }

    /// A drill of each source in the month, and what a person asked for.
    fn restores(&self) -> Vec<Value> {
        let entry = |at: usize, kind: &str, minutes: i64, outcome: Value| {
            let hours = i64::try_from(at).unwrap_or_default() * 71 + 9;
            json!({
                "at": self.now - SignedDuration::from_hours(hours), "kind": kind,
                "resource": self.sources[at % self.sources.len()].resource, "subject": format!("{kind}-{at}"),
                "region": "us-east-1", "outcome": outcome, "duration_ms": minutes * 60_000,
            })
        };
        let minutes = [14, 31, 52, 9, 12, 2, 3, 6];
        let drills = minutes.iter().enumerate();
        let mut restores: Vec<Value> =
            drills.map(|(at, minutes)| entry(at, "drill-passed", *minutes, json!("completed"))).collect();
        restores.push(entry(9, "restore-completed", 38, json!("completed")));
        let mut failed = entry(8, "restore-failed", 0, json!({"failed": "FirstQueryFailed"}));
        failed["duration_ms"] = Value::Null;
        restores.push(failed);
        restores
    }

    /// As watch-rpo would have measured it at the end of each hour.
    fn ages(&self) -> BTreeMap<jiff::civil::Date, DayOfAges> {
        let mut ages: BTreeMap<_, DayOfAges> = BTreeMap::new();
        let mut rng = fastrand::Rng::with_seed(7);
        for source in &self.sources {
            let made: Vec<Timestamp> = self
                .happened
                .iter()
                .filter(|one| one.resource == source.resource && matches!(one.what, What::Completed { .. }))
                .map(|one| one.at)
                .collect();
            let mut at = self
                .first_day()
                .to_zoned(TimeZone::UTC)
                .start_of_day()
                .map_or(self.first_day(), |day| day.timestamp());
            while at + SignedDuration::from_mins(59) <= self.now {
                let minute = at + SignedDuration::from_mins(59);
                let newest = made[..made.partition_point(|one| *one <= minute)].last();
                let age_seconds = match source.resource.engine {
                    // RDS ships its logs every five minutes; once it did not for an hour.
                    Engine::Rds
                        if source.resource.name == "warehouse"
                            && day_of(minute).day() == 14
                            && minute.to_zoned(TimeZone::UTC).hour() == 13 =>
                    {
                        2_820
                    }
                    Engine::Rds => rng.i64(290..345),
                    _ => newest.map_or(0, |newest| minute.duration_since(*newest).as_secs()),
                };
                let day = day_of(minute);
                let of_day = ages.entry(day).or_insert_with(|| DayOfAges::empty(day));
                of_day.note(&source.resource, age_seconds, minute);
                at += SignedDuration::from_hours(1);
            }
        }
        ages
    }

    /// What stands on the watch's board.
    fn board(&self) -> Findings {
        let finding = |name: &str, kind: &str, severity, says: &str, next: &str| Finding {
            resource: ResourceId::redis(name),
            kind: kind.to_owned(),
            code: None,
            severity,
            since: self.now - SignedDuration::from_hours(5),
            says: format!("redis/{name}: {says}"),
            next: next.to_owned(),
            standing: Standing::default(),
        };
        let findings = vec![
            finding(
                "carts",
                "copy-behind",
                Severity::Warning,
                "the copy in us-west-2 of the recovery point of 2026-11-23T00:00:00Z is still being made, after 6 hours 30 minutes",
                "If it stands still, see the replication's state.",
            ),
            finding(
                "sessions",
                "slot-missed",
                Severity::Critical,
                "no recovery point was completed for the slot 2026-11-23T00:00:00Z, and its grace of 60 minutes is over",
                "Look for an alert about backup-redis.",
            ),
        ];
        Findings { function: "watch-rpo".to_owned(), at: self.now, findings }
    }
}
