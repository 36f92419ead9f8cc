//! Quotas: what the plans will ask for within thirty days, by their own arithmetic, and what there is.

use std::collections::BTreeMap;

use ::rds::{Instance, Quota};
use domain::{
    BackupPlan, Engine, Finding, RecoveryPointId, ResourceId, Slot,
    retention::{self, Candidate, Policy, Region, Worth},
};
use inventory::{Held, Holding, Lineage, What};
use jiff::{SignedDuration, Timestamp};
use reconcile::Error;

use super::{Check, Of, check, critical, many, plans, warning};
use crate::{kind, observe::Seen};

/// How far ahead.
pub(super) const DAYS: i64 = 30;

/// Slots of a schedule that are looked at: with more of them in thirty days, every quota is full long before their end.
pub(super) const MOST_SLOTS: usize = 3_000;

/// Cross-Region copies that RDS works on at once (User Guide, "Copying a DB snapshot").
const COPIES_AT_ONCE: usize = 20;

/// What a cross-Region copy may well take.
const COPY_TAKES: SignedDuration = SignedDuration::from_hours(1);

/// So many candidates' snapshots of each Region, in the order of [`Region::ALL`].
type Counts = [i64; 2];

pub(super) fn checks(seen: &Seen, now: Timestamp) -> Vec<Check<'_>> {
    let forecast = forecast(seen, now);
    let mut checks = Vec::new();
    for (region, place) in Region::ALL.into_iter().zip([&seen.home, &seen.recovery]) {
        let forecast = forecast.as_ref().map_err(|error| *error);
        let found = forecast.and_then(|forecast| {
            let quota = place.quota.as_ref()?;
            Ok(snapshots(&place.region, *quota, forecast, region as usize, now))
        });
        let of = Of::One(ResourceId::tidemark(&place.region));
        checks.push(check(&kind::SNAPSHOT_QUOTA, of, found));
    }
    let found = seen.instances.as_ref().map(|instances| {
        let protected = plans::instances(instances, &seen.plans);
        copies_at_once(&protected, &seen.recovery.region, now)
    });
    checks.push(check(&kind::COPIES_AT_ONCE, Of::All, found));
    checks
}

/// What there will be of Tidemark's manual snapshots.
struct Forecast {
    /// What there is now.
    now: Counts,
    /// At most on each of the days ahead.
    days: Vec<Counts>,
    /// Whether retention deletes anything yet.
    deletes: bool,
}

/// Plays the days ahead: each slot takes a snapshot, which is copied, and each day retention lets go what it would.
fn forecast(seen: &Seen, now: Timestamp) -> Result<Forecast, &Error> {
    let (instances, lineages) = (seen.instances.as_ref()?, seen.snapshots.as_ref()?);
    let deletes = *seen.deletes.as_ref()?;
    let until = later(now, DAYS);
    let mut slots: BTreeMap<&str, Vec<Slot>> = BTreeMap::new();
    let mut forecast =
        Forecast { now: [0; 2], days: vec![[0; 2]; usize::try_from(DAYS).unwrap_or(0)], deletes };
    let mut add = |line: Line<'_>| {
        sum(&mut forecast.now, line.counts());
        for (day, counts) in forecast.days.iter_mut().zip(line.play(now, deletes)) {
            sum(day, counts);
        }
    };
    let mut protected = BTreeMap::new();
    for (instance, plan) in plans::instances(instances, &seen.plans) {
        let schedule = plan.schedules.get(&Engine::Rds);
        slots.entry(plan.name.as_str()).or_insert_with(|| {
            schedule.map_or_else(Vec::new, |schedule| schedule.slots(now, until, MOST_SLOTS))
        });
        let mark = RecoveryPointId::mark(&instance.incarnation);
        protected.insert(Lineage { resource: ResourceId::rds(&instance.id), mark }, (instance, plan));
    }
    for (lineage, points) in lineages {
        if !protected.contains_key(lineage) {
            // Of what is protected no more nothing new comes, and what there is may stay.
            add(Line::of(points, None));
        }
    }
    for (lineage, (instance, plan)) in &protected {
        let points = lineages.get(lineage).map_or(&[][..], Vec::as_slice);
        let slots = slots.get(plan.name.as_str()).map_or(&[][..], Vec::as_slice);
        add(Line::of(points, Some(Future { instance, policy: plan.policy(), slots })));
    }
    Ok(forecast)
}

/// One lineage's recovery points, now and in the days ahead.
struct Line<'f> {
    points: Vec<(Candidate, Counts)>,
    future: Option<Future<'f>>,
}

/// What comes to a lineage.
struct Future<'f> {
    instance: &'f Instance,
    policy: Policy,
    slots: &'f [Slot],
}

impl<'f> Line<'f> {
    fn of(points: &[Held], future: Option<Future<'f>>) -> Self {
        let count = |holding: Option<&Holding>| match holding.map(|holding| &holding.what) {
            Some(What::Snapshots(snapshots)) => i64::try_from(snapshots.len()).unwrap_or(i64::MAX),
            _ => 0,
        };
        let point =
            |point: &Held| (point.candidate(), Region::ALL.map(|region| count(point.holding(region))));
        Self { points: points.iter().map(point).collect(), future }
    }

    fn counts(&self) -> Counts {
        self.points.iter().fold([0; 2], |mut counts, (_, of)| {
            sum(&mut counts, *of);
            counts
        })
    }

    /// How many there are at most on each day.
    fn play(mut self, now: Timestamp, deletes: bool) -> Vec<Counts> {
        let Some(Future { instance, policy, slots }) = self.future.take() else {
            let counts = self.counts();
            return (0..DAYS).map(|_| counts).collect();
        };
        for (candidate, counts) in &mut self.points {
            // What has no copy yet will have one.
            let [at_home, away] = &mut candidate.worth;
            if away.is_none() && *at_home == Some(Worth::Verified) {
                (*away, counts[1]) = (Some(Worth::Verified), 1);
            }
        }
        let mut slots = slots.iter().peekable();
        let mut days = Vec::new();
        for day in 1..=DAYS {
            let end = later(now, day);
            while let Some(slot) = slots.next_if(|slot| slot.instant() <= end) {
                self.points.push((taken(instance, *slot), [1; 2]));
            }
            days.push(self.counts());
            if deletes {
                self.let_go(&policy, end);
            }
        }
        days
    }

    fn let_go(&mut self, policy: &Policy, now: Timestamp) {
        let candidates: Vec<Candidate> = self.points.iter().map(|(candidate, _)| candidate.clone()).collect();
        let mut decisions = retention::plan(&candidates, policy, now).into_iter();
        self.points.retain(|_| decisions.next().is_some_and(|decision| decision.is_kept()));
    }
}

/// A snapshot of that slot, taken and copied without a failure.
fn taken(instance: &Instance, slot: Slot) -> Candidate {
    Candidate {
        id: RecoveryPointId::new(&instance.id, &instance.incarnation, slot, 1),
        slot,
        worth: [Some(Worth::Verified); 2],
        made_at: slot.instant(),
        is_held: false,
        is_ours: true,
        is_copied: false,
    }
}

fn sum(to: &mut Counts, add: Counts) {
    for (to, add) in to.iter_mut().zip(add) {
        *to += add;
    }
}

fn later(now: Timestamp, days: i64) -> Timestamp {
    now.checked_add(SignedDuration::from_hours(24 * days)).unwrap_or(Timestamp::MAX)
}

/// Whether a Region has room for them.
fn snapshots(region: &str, quota: Quota, forecast: &Forecast, at: usize, now: Timestamp) -> Option<Finding> {
    let Quota { used, limit } = quota;
    let ours = forecast.now[at];
    // What others have made stays, as far as anybody knows.
    let others = (used - ours).max(0);
    let on = |day: &Counts| others + day[at];
    let most = forecast.days.iter().map(on).max().unwrap_or(used).max(used);
    let full = forecast.days.iter().position(|day| on(day) > limit);
    if used < limit && full.is_none() {
        return None;
    }
    let dry = if forecast.deletes {
        ""
    } else {
        "; nothing is deleted yet, because nobody has acknowledged a retention plan"
    };
    let there =
        format!("{used} of {limit} manual snapshots are used in {region}, {ours} of them by Tidemark");
    let (level, says) = if used >= limit {
        (critical(now), format!("{there}: the next snapshot there is refused"))
    } else {
        let day = later(now, i64::try_from(full.unwrap_or(0)).unwrap_or(0));
        let day = day.strftime("%Y-%m-%d");
        (
            warning(now),
            format!(
                "{there}; by the plans it is full on {day}, and {most} are needed within {DAYS} days{dry}"
            ),
        )
    };
    let acknowledge =
        if forecast.deletes { "" } else { " Acknowledge the newest retention plan (docs/retention.md)." };
    let next = format!(
        "`aws service-quotas request-service-quota-increase --region {region} --service-code rds --quota-code L-272F1212 \
         --desired-value {}`; or let the plans keep less, or delete snapshots that Tidemark did not make.{acknowledge}",
        // With room for what fails and is tried again.
        most + most / 5 + 1
    );
    Some(level.of(&ResourceId::tidemark(region), kind::SNAPSHOT_QUOTA, says, next))
}

/// Whether the copies that fall due at once are made in time.
fn copies_at_once(protected: &[(&Instance, &BackupPlan)], region: &str, now: Timestamp) -> Option<Finding> {
    let mut plans: BTreeMap<&str, (&BackupPlan, usize)> = BTreeMap::new();
    for (_, plan) in protected {
        plans.entry(plan.name.as_str()).or_insert((plan, 0)).1 += 1;
    }
    let mut due: BTreeMap<Slot, (usize, SignedDuration)> = BTreeMap::new();
    for (plan, count) in plans.values() {
        let schedule = plan.schedules.get(&Engine::Rds);
        let slots =
            schedule.map_or_else(Vec::new, |schedule| schedule.slots(now, later(now, DAYS), MOST_SLOTS));
        let grace = plan.objectives.copy_grace;
        for slot in slots {
            let at = due.entry(slot).or_insert((0, grace));
            *at = (at.0 + count, at.1.min(grace));
        }
    }
    let (slot, (count, grace)) =
        due.into_iter().max_by_key(|(slot, (count, _))| (*count, std::cmp::Reverse(*slot)))?;
    let rounds = count.div_ceil(COPIES_AT_ONCE);
    let each = grace / i32::try_from(rounds).unwrap_or(i32::MAX);
    if rounds < 2 || each >= COPY_TAKES {
        return None;
    }
    let says = format!(
        "{count} snapshots fall due at once, at {slot}, and {COPIES_AT_ONCE} copies are made at a time: for all to be in {region} within \
         {}, each may take no more than {}",
        many(grace.as_mins(), "minute"),
        many(each.as_mins(), "minute")
    );
    let next =
        "Give some of the databases a plan with another hour, or the plans a longer `copy_grace_minutes`.";
    Some(warning(now).of(&ResourceId::tidemark(region), kind::COPIES_AT_ONCE, says, next))
}
