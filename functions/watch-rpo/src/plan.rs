//! What is wrong: pure, so that every minute is a test.

use std::collections::{HashMap, HashSet};

use domain::{BackupPlan, Engine, Finding, ResourceId, Slot, Standing};
use jiff::{SignedDuration, Timestamp};
use rds::Instance;
use reconcile::{Metric, Plan, Result};

use crate::{
    act::Action,
    kind,
    look::look_minutes,
    memory::{Memory, Worst},
    observe::{Observed, plan_tag, resource},
    points::Index,
    restorable, says,
    watched::{Newest, Watched, is_idle, is_unhealthy},
};

/// How long it is told that a database is protected no more, before that is taken for meant.
const LOST: SignedDuration = SignedDuration::from_hours(24);

/// How old the note that an instance is stopped becomes before it is made anew.
const IDLE_NOTED_EVERY: SignedDuration = SignedDuration::from_mins(5);

/// How long the daily canary lives: one alert, and one that it has ended.
const CANARY: SignedDuration = SignedDuration::from_mins(5);

/// Decides what is wrong, and what to remember.
pub(crate) fn plan(observed: &Observed, now: Timestamp) -> Result<Plan<Action>> {
    let mut planner = Planner {
        observed,
        now,
        board: observed.board.iter().map(|found| ((&found.resource, found.kind.as_str()), found)).collect(),
        index: Index::new(observed.snapshots.as_ref()),
        due: HashMap::new(),
        memory: observed.memory.memory.clone(),
        plan: Plan::empty(),
    };
    planner.answer_for_the_look();
    for instance in &observed.instances {
        planner.watch(instance);
    }
    planner.find_lost();
    planner.find_canary();
    planner.remember()?;
    Ok(planner.plan)
}

struct Planner<'o> {
    observed: &'o Observed,
    now: Timestamp,
    /// What stood after the last pass.
    board: HashMap<(&'o ResourceId, &'o str), &'o Finding>,
    index: Index<'o>,
    /// Each plan's latest slot whose grace has passed: the same for all its databases, and not cheap to find.
    due: HashMap<&'o str, Option<Slot>>,
    memory: Memory,
    plan: Plan<Action>,
}

impl<'o> Planner<'o> {
    /// What nobody looked at, or what did not answer, neither begins nor ends.
    fn answer_for_the_look(&mut self) {
        let Some(snapshots) = &self.observed.snapshots else {
            self.plan.leave(&kind::SEEN_IN_SNAPSHOTS);
            // So that a Region which refused the last look is not taken for mended until the next.
            return self.plan.leave(&["refused"]);
        };
        // A look that saw only half is repeated the next minute, and says nothing of how many there are.
        if snapshots.home.is_ok() && snapshots.away.is_ok() {
            self.memory.note_look(look_minutes(snapshots.count), self.observed.by_event, self.now);
        }
        if let Err(error) = &snapshots.home {
            self.plan.miss("snapshots", error, &kind::SEEN_IN_SNAPSHOTS);
        }
        if let Err(error) = &snapshots.away {
            self.plan.miss("copies", error, &kind::SEEN_IN_COPIES);
        }
    }

    /// Says everything about one instance. One without a tag is nobody's business; one with another engine or an
    /// unknown plan is refused by backup-rds.
    fn watch(&mut self, instance: &'o Instance) {
        let Some(name) = plan_tag(instance) else { return };
        let known = self.observed.plans.get(name).filter(|_| instance.engine == "postgres");
        let Some(plan) = known else {
            // What was wrong with it is not mended by a plan that does not exist.
            return self.plan.leave_resource(&resource(instance));
        };
        let watched = self.watched(instance, plan);
        let newest = restorable::newest(&watched, &self.index);
        let age = watched.age(newest, self.now);
        if let Some(age) = age {
            self.measure(&watched, newest, age);
        }
        self.plan.standing(&watched.resource, self.standing(&watched, newest));
        let found = self.findings(&watched, newest);
        if found.is_empty() {
            let age = age.map_or_else(|| "not known".to_owned(), says::length);
            self.plan.settled(&watched.resource, format!("recovery-point age: {age}"));
        }
        self.plan.findings.extend(found);
    }

    fn watched(&mut self, instance: &'o Instance, plan: &'o BackupPlan) -> Watched<'o> {
        let (resource, now) = (resource(instance), self.now);
        let grace = plan.objectives.slot_grace;
        let due = *self
            .due
            .entry(plan.name.as_str())
            .or_insert_with(|| plan.schedules.get(&Engine::Rds)?.latest_at(now.checked_sub(grace).ok()?));
        let was_lost = self.board.contains_key(&(&resource, kind::PROTECTION_LOST));
        let remembered = self.memory.resources.entry(resource.clone()).or_default();
        let known = remembered.incarnation.as_ref().filter(|_| !instance.incarnation.is_empty());
        if was_lost || known.is_some_and(|known| *known != instance.incarnation) {
            // Another database, or one that nobody backed up for a while: its graces begin now.
            (remembered.seen_since, remembered.idle_until) = (None, None);
        }
        let seen_since = *remembered.seen_since.get_or_insert(now);
        remembered.plan = Some(plan.name.to_string());
        remembered.incarnation = Some(instance.incarnation.clone());
        let fresh = |until: Timestamp| now.duration_since(until) < IDLE_NOTED_EVERY;
        // Of one that is stopped every five minutes is often enough: the memory is not written in each for it.
        if is_idle(instance) && (instance.status == "starting" || !remembered.idle_until.is_some_and(fresh)) {
            remembered.idle_until = Some(now);
        }
        Watched { instance, plan, due, seen_since, idle_until: remembered.idle_until, resource }
    }

    fn measure(&mut self, watched: &Watched<'_>, newest: Newest, age: SignedDuration) {
        let age_seconds = age.as_secs();
        let metric = Metric::seconds("recovery_point_age_seconds", age_seconds);
        self.plan.measure(&watched.resource, vec![metric]);
        let minute = Worst { age_seconds, at: self.now, newest_restorable: newest.instant() };
        self.memory.resources.entry(watched.resource.clone()).or_default().note(minute);
    }

    fn standing(&self, watched: &Watched<'_>, newest: Newest) -> Standing {
        let newest_restorable = match newest {
            Newest::At(instant) => Some(instant),
            Newest::Nothing => None,
            // As it was at the last look: what stands on the board should not change with the minute.
            Newest::Unknown => {
                let earlier = self.board.get(&(&watched.resource, kind::AUTOMATED_BACKUPS_OFF));
                earlier.and_then(|earlier| earlier.standing.newest_restorable)
            }
        };
        Standing {
            plan: Some(watched.plan.name.to_string()),
            newest_restorable,
            rpo_seconds: Some(watched.rpo().as_secs()),
        }
    }

    fn findings(&self, watched: &Watched<'_>, newest: Newest) -> Vec<Finding> {
        let (now, instance) = (self.now, watched.instance);
        let earlier = self.board.get(&(&watched.resource, kind::RPO_EXCEEDED)).copied();
        let mut found: Vec<Finding> =
            restorable::rpo_exceeded(watched, newest, now, earlier).into_iter().collect();
        let wanted = i32::try_from(watched.plan.keep.daily.clamp(1, 35)).unwrap_or(35);
        if !watched.has_automated_backups() {
            found.push(says::automated_backups_off(watched, wanted, now));
        } else if instance.retention_days < wanted {
            found.push(says::retention_too_short(watched, wanted, now));
        }
        if is_unhealthy(&instance.status) {
            found.push(says::unhealthy(watched, now));
        }
        found.extend(self.index.findings(watched, now, &self.observed.recovery));
        found
    }

    /// Databases that were protected and are not any more: gone, or without their tag. After a day that is taken for
    /// meant.
    fn find_lost(&mut self) {
        let instances = || self.observed.instances.iter();
        let tagged: HashSet<&str> =
            instances().filter(|i| plan_tag(i).is_some()).map(|i| i.id.as_str()).collect();
        let there: HashMap<&str, &Instance> = instances().map(|i| (i.id.as_str(), i)).collect();
        for (resource, remembered) in &mut self.memory.resources {
            if resource.engine != Engine::Rds
                || remembered.seen_since.is_none()
                || tagged.contains(resource.name.as_str())
            {
                continue;
            }
            let earlier = self.board.get(&(resource, kind::PROTECTION_LOST));
            let since = earlier.map_or(self.now, |earlier| earlier.since.min(self.now));
            let plan = remembered.plan.clone();
            let instance = there.get(resource.name.as_str()).copied();
            self.plan.find(says::protection_lost(resource, plan, instance, since));
            if self.now.duration_since(since) >= LOST {
                // It is still said in this pass, and ends once the memory holds that nothing is expected: a pass killed
                // in between would otherwise say it for another day.
                remembered.forget();
            }
        }
    }

    /// Shows once a day that what is found becomes an alert, and that the alert ends.
    fn find_canary(&mut self) {
        let resource = ResourceId::tidemark(kind::CANARY);
        let earlier = self.board.get(&(&resource, kind::CANARY)).map(|earlier| earlier.since);
        // In either direction: one from a clock that was ahead ends too.
        let young = earlier.filter(|since| self.now.duration_since(*since).abs() < CANARY);
        if let Some(since) = young.or(self.observed.canary.then_some(self.now)) {
            self.plan.find(says::canary(&resource, since));
        }
    }

    /// Writes the memory, if it is not what stands there.
    fn remember(&mut self) -> Result<()> {
        let found = &self.observed.memory;
        self.memory.resources.retain(|_, remembered| remembered.is_worth_keeping());
        if found.stored.as_ref() == Some(&self.memory) {
            return Ok(());
        }
        let action = Action::Remember {
            name: found.name.clone(),
            text: self.memory.to_text()?,
            replacing: found.version.clone(),
        };
        let reason = format!("{} resources were looked at", self.memory.resources.len());
        self.plan.act(&ResourceId::tidemark("watch-rpo"), action, reason);
        Ok(())
    }
}
