//! What should be done: pure, so that every case is a test.

mod branches;
mod left_over;

use std::cmp::Reverse;

use domain::{BackupPlan, Engine, Finding, RecoveryPointId, ResourceId, Severity, Slot, Standing};
use jiff::{SignedDuration, Timestamp};
use reconcile::Plan;
use turso::{CurrentPoint, Database, is_tidemarks_own};
use vault::{Listed, Object};

use crate::{
    act::{Action, Take, entry},
    attempt,
    left_over::is_named,
    observe::Observed,
    refusal,
};

/// How long S3's own replication may take before the copy is made otherwise.
const REPLICATION: SignedDuration = SignedDuration::from_mins(30);

/// Decides, in this order: write down what has finished, copy away what is not yet, begin what is missing, tend branches,
/// and those of databases that nobody protects any more.
pub(crate) fn plan(observed: &Observed, now: Timestamp) -> Plan<Action> {
    let mut planner = Planner { observed, now, plan: Plan::empty() };
    planner.record_finished();
    planner.copy_away();
    planner.look_after_databases();
    planner.plan
}

struct Planner<'o> {
    observed: &'o Observed,
    now: Timestamp,
    plan: Plan<Action>,
}

/// The recovery points that are whole.
fn whole(points: &[Listed]) -> impl Iterator<Item = &Listed> + use<'_> {
    points.iter().filter(|point| point.completed().is_some())
}

impl<'o> Planner<'o> {
    /// Every recovery point and copy that is complete stands in the ledger.
    fn record_finished(&mut self) {
        let observed = self.observed;
        if let Err(error) = &observed.recorded {
            return self.plan.do_without("ledger", error);
        }
        for point in whole(&observed.home) {
            self.record("recovery-point-completed", point, &observed.home_region, true);
            if let Some(copy) = self.copy_of(point).filter(|copy| point.is_held_by(copy)) {
                self.record("copy-completed", copy, &observed.recovery_region, false);
            }
        }
    }

    fn record(&mut self, kind: &'static str, point: &Listed, region: &str, at_home: bool) {
        let key = entry(kind, point.resource.clone(), point.slot, region, &point.id, self.now).key();
        if self.observed.recorded.as_ref().is_ok_and(|recorded| recorded.contains(&key)) {
            return;
        }
        let action = Action::Record { kind, point: point.clone(), region: region.to_owned(), at_home };
        self.plan.act(&point.resource, action, format!("{} is complete in {region}", point.id));
    }

    /// What the recovery Region has of a recovery point.
    fn copy_of(&self, point: &Listed) -> Option<&'o Listed> {
        let copies = self.observed.recovery.as_ref().ok()?;
        copies.iter().find(|copy| copy.id == point.id && copy.resource == point.resource)
    }

    /// Every complete recovery point reaches the recovery Region: by replication, or else by us.
    fn copy_away(&mut self) {
        let observed = self.observed;
        if let Err(error) = &observed.recovery {
            return self.plan.do_without("copies", error);
        }
        let region = &observed.recovery_region;
        let mut points: Vec<&Listed> = whole(&observed.home).collect();
        points.sort_by_key(|point| Reverse(point.slot));
        for point in points {
            let copy = self.copy_of(point);
            if copy.is_some_and(|copy| point.is_held_by(copy)) {
                continue;
            }
            let since = point.completed().map(|completed| self.now.duration_since(completed));
            if since.is_some_and(|since| since < REPLICATION) {
                self.plan.wait(&point.resource, format!("{} is on its way to {region}", point.id));
                continue;
            }
            let held = |name: &str, object: &Object| {
                copy.and_then(|copy| copy.objects.get(name)).is_some_and(|held| held.bytes == object.bytes)
            };
            let missing = point.objects.iter().filter(|(name, object)| !held(name, object));
            let missing = missing.map(|(_, object)| object.clone()).collect();
            let action = Action::Copy { point: point.clone(), missing, region: region.clone() };
            let reason = format!("{} has not reached {region} within half an hour", point.id);
            self.plan.act(&point.resource, action, reason);
        }
    }

    fn look_after_databases(&mut self) {
        let observed = self.observed;
        let plans: Vec<&BackupPlan> =
            observed.plans.iter().filter(|plan| !plan.turso.databases.is_empty()).collect();
        let here = ResourceId::tidemark("backup-turso");
        let Some(databases) = &observed.databases else {
            let names: Vec<_> = plans.iter().map(|plan| &plan.name).collect();
            return match names.as_slice() {
                [] => self
                    .plan
                    .settled(&here, "there is no Turso organization, and no plan names one's databases"),
                names => self.plan.refuse(&here, refusal::not_configured(names)),
            };
        };
        // Those that have waited longest come first, so that the time left reaches all of them in turn.
        let mut protected: Vec<&Database> =
            databases.iter().filter(|database| !is_tidemarks_own(database)).collect();
        protected.sort_by_key(|database| (self.newest(database).map(|point| point.slot), &database.name));
        for database in &protected {
            let matching: Vec<&BackupPlan> =
                plans.iter().copied().filter(|plan| is_named(plan, database)).collect();
            let resource = ResourceId::turso(&database.name);
            match matching.as_slice() {
                [] => {}
                [plan] => self.look_after(database, &resource, plan, databases),
                several => self.plan.refuse(&resource, refusal::ambiguous(database, several)),
            }
        }
        self.name_idle_patterns(&here, &plans, &protected);
        let known = match &observed.known {
            Ok(known) => known,
            Err(error) => return self.plan.miss("branches", error, &[left_over::STRANDED]),
        };
        self.close_new_branches(&here, databases, known);
        self.tend_left_over(&here, databases, known);
    }

    /// A pattern without a database may be a slip of the pen: then something is not protected.
    fn name_idle_patterns(&mut self, here: &ResourceId, plans: &[&BackupPlan], databases: &[&Database]) {
        let idle: Vec<String> = plans
            .iter()
            .flat_map(|plan| plan.turso.databases.iter().map(move |pattern| (plan, pattern)))
            .filter(|(_, pattern)| {
                !databases.iter().any(|database| pattern.matches(&database.group, &database.name))
            })
            .map(|(plan, pattern)| format!("{pattern} (plan {})", plan.name))
            .collect();
        if idle.is_empty() {
            return;
        }
        self.plan.find(Finding {
            resource: here.clone(),
            kind: "pattern-matches-nothing".to_owned(),
            code: None,
            severity: Severity::Warning,
            since: self.now,
            says: format!("No Turso database matches {}; whatever was meant is not backed up.", idle.join(", ")),
            next: "Compare turso.databases in the plan document with `turso db list`: a pattern is <group>/<database>."
                .to_owned(),
            standing: Standing::default(),
        });
    }

    fn look_after(
        &mut self,
        database: &'o Database,
        resource: &ResourceId,
        plan: &BackupPlan,
        databases: &'o [Database],
    ) {
        self.plan.standing(resource, self.standing(database, plan));
        if !is_usable(&database.name) {
            return self.plan.refuse(resource, refusal::name(database));
        }
        let Some(slot) = plan.schedules.get(&Engine::Turso).and_then(|schedule| schedule.latest_at(self.now))
        else {
            return self.plan.settled(resource, format!("plan {} has had no slot yet", plan.name));
        };
        self.fill(database, resource, plan, slot);
        self.tend_branches(database, resource, plan, slot, databases);
    }

    /// The recovery points of this very database that are whole.
    fn points(&self, database: &Database) -> impl Iterator<Item = &'o Listed> + use<'o> {
        let (name, mark) = (database.name.clone(), RecoveryPointId::mark(&database.id));
        let observed = self.observed;
        whole(&observed.home).filter(move |point| {
            point.resource.name == name && point.id.parts().is_some_and(|parts| parts.mark == mark)
        })
    }

    fn newest(&self, database: &Database) -> Option<&'o Listed> {
        self.points(database).max_by_key(|point| point.slot)
    }

    /// The recovery point that holds all of the database as of some later instant, if its vault still has it.
    fn current(&self, database: &Database) -> Option<&'o CurrentPoint> {
        let observed = self.observed;
        let current = observed.current.databases.get(&database.name)?;
        let is_there = || self.points(database).any(|point| point.id == current.id);
        (current.incarnation == database.id && is_there()).then_some(current)
    }

    fn standing(&self, database: &Database, plan: &BackupPlan) -> Standing {
        let as_of = self.current(database).map(|current| current.current_as_of);
        let newest = self.newest(database).map(|point| point.slot.instant());
        Standing {
            plan: Some(plan.name.to_string()),
            newest_restorable: as_of.max(newest),
            rpo_seconds: Some(plan.objectives.rpo_of(Engine::Turso).as_secs()),
        }
    }

    fn fill(&mut self, database: &Database, resource: &ResourceId, plan: &BackupPlan, slot: Slot) {
        if let Some(point) = self.points(database).find(|point| point.slot == slot) {
            return self.plan.settled(resource, format!("slot {slot} has {}", point.id));
        }
        // The first slot of a day is always a copy of its own: retention keeps one of each day.
        let previous = self.current(database).filter(|current| {
            current.id.parts().is_some_and(|parts| parts.slot.utc_date() == slot.utc_date())
        });
        if let Some(current) = previous.filter(|current| current.current_as_of >= slot.instant()) {
            return self
                .plan
                .settled(resource, format!("slot {slot}: nothing was written since {}", current.id));
        }
        let shut_off = self.observed.organization.as_ref().is_some_and(|all| all.reads_blocked);
        if database.block_reads || shut_off {
            return self.plan.refuse(resource, refusal::reads_blocked(database, shut_off));
        }
        let region = &self.observed.home_region;
        let Some(id) = attempt::next(database, slot, region, self.observed.recorded.as_ref().ok()) else {
            return self.plan.refuse(resource, refusal::given_up(slot, attempt::ids(database, slot)));
        };
        let take = Take {
            database: database.clone(),
            slot,
            plan: plan.name.to_string(),
            id,
            region: region.clone(),
            previous: previous.cloned(),
        };
        let reason = format!("slot {slot} of plan {} has no recovery point", plan.name);
        self.plan.act(resource, Action::Take(Box::new(take)), reason);
    }
}

/// Whether the name can be part of a key as it is.
fn is_usable(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}
