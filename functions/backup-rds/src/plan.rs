//! What should be done: pure, so that every case is a test.

use std::collections::{BTreeMap, BTreeSet};

use domain::{BackupPlan, Engine, RecoveryPointId, RecoveryPointState, ResourceId, Slot, Standing, tag};
use jiff::{SignedDuration, Timestamp};
use rds::{Instance, NewCopy, NewSnapshot, Tags};
use reconcile::{EntryKey, Metric, Outcome, Plan};

use crate::{
    act::{Action, entry},
    observe::{Observed, RecoveryPoint, RegionView, copies},
    refusal,
};

/// How many snapshots or copies are tried for one slot. A third failure is no accident.
const ATTEMPTS: u32 = 3;

/// How long after its slot an instance may be too busy for the snapshot before that is a failure.
const OVERDUE: SignedDuration = SignedDuration::from_hours(1);

/// How long a snapshot or copy may be pending. Cross-Region copies queue for hours (User Guide, "Copying a DB snapshot").
const STUCK: SignedDuration = SignedDuration::from_hours(24);

/// Cross-Region copies that RDS works on at once, per account (User Guide, "Copying a DB snapshot").
const COPIES_AT_ONCE: usize = 20;

/// Decides, in this order: write down what has finished, begin what is missing, copy what is not yet away.
pub(crate) fn plan(observed: &Observed, now: Timestamp) -> Plan<Action> {
    let mut planner = Planner {
        observed,
        now,
        taken: by(own(&observed.home), |point| (point.snapshot.incarnation.as_str(), point.slot)),
        copied: by(copies(&observed.recovery), |copy| RecoveryPointId::copied(&copy.snapshot.id).0),
        plan: Plan::empty(),
    };
    planner.record_finished();
    planner.fill_slots();
    planner.copy_away();
    planner.plan
}

struct Planner<'o> {
    observed: &'o Observed,
    now: Timestamp,
    /// The attempts at each slot, by instance.
    taken: BTreeMap<(&'o str, Slot), Vec<&'o RecoveryPoint>>,
    /// The attempts at each copy, by the name of its source.
    copied: BTreeMap<&'o str, Vec<&'o RecoveryPoint>>,
    plan: Plan<Action>,
}

/// The recovery points in groups, in each the one that counts last: a completed one before one still
/// pending, and a failed one only when there is nothing better.
fn by<'o, K: Ord>(
    points: impl Iterator<Item = &'o RecoveryPoint>,
    key: impl Fn(&'o RecoveryPoint) -> K,
) -> BTreeMap<K, Vec<&'o RecoveryPoint>> {
    let mut groups: BTreeMap<K, Vec<&RecoveryPoint>> = BTreeMap::new();
    for point in points {
        groups.entry(key(point)).or_default().push(point);
    }
    for group in groups.values_mut() {
        group.sort_by_key(|point| match point.snapshot.state() {
            RecoveryPointState::Failed => 0,
            RecoveryPointState::Pending => 1,
            RecoveryPointState::Completed => 2,
        });
    }
    groups
}

/// The recovery points that were taken in the Region. A copy there comes from a deployment whose recovery Region this
/// is: that one looks after it.
fn own(region: &RegionView) -> impl Iterator<Item = &RecoveryPoint> {
    region.recovery_points.iter().filter(|point| point.snapshot.copied_from.is_none())
}

impl Planner<'_> {
    /// Every recovery point that came to an end, well or badly, stands in the ledger.
    fn record_finished(&mut self) {
        let observed = self.observed;
        let recorded = match &observed.recorded {
            Ok(recorded) => recorded,
            Err(error) => return self.plan.do_without("ledger", error),
        };
        for point in own(&observed.home) {
            self.record(
                recorded,
                &observed.home,
                point,
                ["recovery-point-completed", "recovery-point-failed"],
            );
        }
        if let Ok(region) = &observed.recovery {
            for copy in &region.recovery_points {
                self.record(recorded, region, copy, ["copy-completed", "copy-failed"]);
            }
        }
    }

    fn record(
        &mut self,
        recorded: &BTreeSet<EntryKey>,
        region: &RegionView,
        point: &RecoveryPoint,
        [completed, failed]: [&'static str; 2],
    ) {
        let (kind, outcome) = match point.snapshot.state() {
            RecoveryPointState::Completed => (completed, Outcome::Completed),
            RecoveryPointState::Failed => (failed, Outcome::Failed("SnapshotFailed".to_owned())),
            RecoveryPointState::Pending => return,
        };
        let id = RecoveryPointId::from(point.snapshot.id.as_str());
        let mut entry = entry(kind, point.resource.clone(), point.slot, &region.name, &id, self.now);
        entry.outcome = outcome;
        let history = !self.observed.ledger_days.contains(&entry.day);
        if history || recorded.contains(&entry.key()) {
            return;
        }
        let allocated = u64::try_from(point.snapshot.allocated_gib).unwrap_or(0) << 30;
        let mut metrics = vec![Metric::bytes("allocated_bytes", allocated)];
        let mut detail = |key: &str, value: serde_json::Value| _ = entry.detail.insert(key.to_owned(), value);
        detail("plan", point.plan.clone().into());
        detail("encrypted", point.snapshot.encrypted.into());
        detail("kms_key", point.snapshot.kms_key.clone().into());
        // RDS does not tell a snapshot's own size; what it was taken of is an upper bound.
        detail("allocated_bytes", allocated.into());
        if let Some(requested) = point.requested_at {
            // From the request to the tick that saw the end: an upper bound, no finer than the ticks.
            let duration_ms = self.now.duration_since(requested).as_millis();
            let duration_ms = i64::try_from(duration_ms).unwrap_or(i64::MAX);
            detail("requested_at", requested.to_string().into());
            detail("duration_ms", duration_ms.into());
            metrics.push(Metric::milliseconds("recovery_point_duration_ms", duration_ms));
        }
        let reason = format!("{} is {} in {}", id, point.snapshot.status, region.name);
        self.plan.act(&point.resource, Action::Record { entry: Box::new(entry), metrics }, reason);
    }

    /// Every protected instance has a recovery point for its plan's current slot, or one is being made.
    fn fill_slots(&mut self) {
        let mut room = self.observed.home.quota.limit - self.observed.home.quota.used;
        for instance in &self.observed.instances {
            let Some(plan_name) = tag::plan(&instance.tags) else { continue };
            let resource = ResourceId::rds(&instance.id);
            self.plan.standing(&resource, self.standing(instance, plan_name));
            match self.slot_of(instance, plan_name) {
                Ok(Some((plan, slot))) => self.fill(instance, &resource, &plan, slot, &mut room),
                Ok(None) => self.plan.settled(&resource, format!("plan {plan_name} has had no slot yet")),
                Err(error) => self.plan.refuse(&resource, error),
            }
        }
    }

    fn standing(&self, instance: &Instance, plan_name: &str) -> Standing {
        let rpo = self.observed.plans.get(plan_name).map(|plan| plan.objectives.rpo);
        Standing {
            plan: Some(plan_name.to_owned()),
            newest_restorable: instance.latest_restorable,
            rpo_seconds: rpo.map(|rpo| rpo.as_secs()),
        }
    }

    fn slot_of(&self, instance: &Instance, plan_name: &str) -> reconcile::Result<Option<(BackupPlan, Slot)>> {
        if instance.engine != "postgres" {
            return Err(refusal::engine(instance, plan_name));
        }
        let Some(plan) = self.observed.plans.get(plan_name) else {
            return Err(refusal::plan(instance, plan_name, &self.observed.plans));
        };
        let slot = plan.schedules.get(&Engine::Rds).and_then(|schedule| schedule.latest_at(self.now));
        Ok(slot.map(|slot| (plan.clone(), slot)))
    }

    fn fill(
        &mut self,
        instance: &Instance,
        resource: &ResourceId,
        plan: &BackupPlan,
        slot: Slot,
        room: &mut i64,
    ) {
        let attempts = self.taken.get(&(instance.incarnation.as_str(), slot)).cloned().unwrap_or_default();
        let next = match attempts.last() {
            None => 1,
            Some(point) => match point.snapshot.state() {
                RecoveryPointState::Completed => {
                    return self.plan.settled(resource, format!("slot {slot} has {}", point.snapshot.id));
                }
                RecoveryPointState::Pending if self.is_stuck(point) => {
                    return self.plan.refuse(resource, refusal::stuck(point, &self.observed.home.name));
                }
                RecoveryPointState::Pending => {
                    let (id, status, percent) =
                        (&point.snapshot.id, &point.snapshot.status, point.snapshot.percent);
                    return self.plan.wait(resource, format!("{id} is {status}, {percent}% done"));
                }
                RecoveryPointState::Failed => next_attempt(&attempts),
            },
        };
        if next > ATTEMPTS {
            return self.plan.refuse(resource, refusal::given_up("snapshot", slot, &attempts));
        }
        // Of the other states RDS itself says whether a snapshot is possible in them.
        if !matches!(
            instance.status.as_str(),
            "available" | "storage-optimization" | "storage-initialization"
        ) {
            if instance.status != "creating" && self.now.duration_since(slot.instant()) > OVERDUE {
                return self.plan.refuse(resource, refusal::overdue(instance, slot));
            }
            let reason = format!(
                "slot {slot} needs a snapshot; the instance is {} and takes none now",
                instance.status
            );
            return self.plan.wait(resource, reason);
        }
        if *room <= 0 {
            return self.plan.refuse(resource, refusal::quota_full(&self.observed.home));
        }
        *room -= 1;
        let id = RecoveryPointId::new(&instance.id, &instance.incarnation, slot, next);
        let tags = self.tags(&plan.name.to_string(), resource, slot);
        let new = NewSnapshot { instance: instance.id.clone(), id, tags };
        let reason = if next == 1 {
            format!("slot {slot} of plan {} has no snapshot", plan.name)
        } else {
            format!("attempt {} of slot {slot} failed", next - 1)
        };
        self.plan.act(resource, Action::Take { slot, region: self.observed.home.name.clone(), new }, reason);
    }

    /// Every completed recovery point has a copy in the recovery Region. Newest first: when not all fit, tonight's
    /// copies matter most.
    fn copy_away(&mut self) {
        let observed = self.observed;
        let region = match &observed.recovery {
            Ok(region) => region,
            Err(error) => return self.plan.do_without("copies", error),
        };
        let mut at_once = COPIES_AT_ONCE.saturating_sub(region.copies_in_progress);
        let mut room = region.quota.limit - region.quota.used;
        let mut points: Vec<&RecoveryPoint> = own(&observed.home).collect();
        points.retain(|point| point.snapshot.state() == RecoveryPointState::Completed);
        points.sort_by(|a, b| b.slot.cmp(&a.slot).then_with(|| a.snapshot.id.cmp(&b.snapshot.id)));
        for point in points {
            self.copy(region, point, &mut at_once, &mut room);
        }
    }

    fn copy(&mut self, region: &RegionView, point: &RecoveryPoint, at_once: &mut usize, room: &mut i64) {
        let resource = &point.resource;
        let source = &point.snapshot.id;
        let attempts = self.copied.get(source.as_str()).cloned().unwrap_or_default();
        let next = match attempts.last() {
            None => 1,
            Some(copy) => match copy.snapshot.state() {
                RecoveryPointState::Completed => return,
                RecoveryPointState::Pending if self.is_stuck(copy) => {
                    return self.plan.refuse(resource, refusal::stuck(copy, &region.name));
                }
                RecoveryPointState::Pending => {
                    let reason =
                        format!("the copy of {source} in {} is {}% done", region.name, copy.snapshot.percent);
                    return self.plan.wait(resource, reason);
                }
                RecoveryPointState::Failed => {
                    attempts
                        .iter()
                        .map(|copy| RecoveryPointId::copied(&copy.snapshot.id).1)
                        .max()
                        .unwrap_or(0)
                        + 1
                }
            },
        };
        if next > ATTEMPTS {
            return self.plan.refuse(resource, refusal::given_up("copy", point.slot, &attempts));
        }
        if *room <= 0 {
            return self.plan.refuse(resource, refusal::quota_full(region));
        }
        if *at_once == 0 {
            let reason = format!(
                "{source} is copied when one of the {COPIES_AT_ONCE} copies to {} is done",
                region.name
            );
            return self.plan.wait(resource, reason);
        }
        (*at_once, *room) = (*at_once - 1, *room - 1);
        let new = NewCopy {
            source: point.snapshot.arn.clone(),
            id: RecoveryPointId::from(source.as_str()).copy(next),
            kms_key: self.observed.recovery_key.clone(),
            tags: self.tags(&point.plan, resource, point.slot),
        };
        let (resource, slot, name) = (resource.clone(), point.slot, region.name.clone());
        let reason = format!("{source} has no copy in {name}");
        self.plan.act(&point.resource, Action::Copy { resource, slot, region: name, new }, reason);
    }

    fn is_stuck(&self, point: &RecoveryPoint) -> bool {
        point.requested_at.is_some_and(|requested| self.now.duration_since(requested) > STUCK)
    }

    fn tags(&self, plan: &str, resource: &ResourceId, slot: Slot) -> Tags {
        let tag = |key: &str, value: String| (key.to_owned(), value);
        Tags::from([
            tag(tag::PLAN, plan.to_owned()),
            tag(tag::RESOURCE, resource.to_string()),
            tag(tag::SLOT, slot.to_string()),
            tag(tag::REQUESTED_AT, self.now.to_string()),
        ])
    }
}

/// One more than the highest attempt there was; a failed one may have been deleted by hand, so counting is not enough.
fn next_attempt(attempts: &[&RecoveryPoint]) -> u32 {
    let number = |point: &&RecoveryPoint| {
        let base = RecoveryPointId::new(&point.resource.name, &point.snapshot.incarnation, point.slot, 1);
        let suffix = point.snapshot.id.strip_prefix(base.as_str())?;
        if suffix.is_empty() { Some(1) } else { suffix.strip_prefix('-')?.parse().ok() }
    };
    attempts.iter().filter_map(number).max().unwrap_or(0) + 1
}
