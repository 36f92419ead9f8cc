//! What is wrong: pure, so that every minute is a test.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use domain::{BackupPlan, DayOfAges, Engine, Finding, ResourceId, Slot, Standing};
use jiff::{SignedDuration, Timestamp};
use reconcile::{Error, Metric, Plan, Result};

use crate::{
    act::Action,
    engines::{Activity, Answer, Protected, Seen, Under},
    history, kind,
    look::look_minutes,
    memory::{Memory, Worst},
    observe::Observed,
    points::Index,
    restorable, says,
    watched::{Newest, Watched},
};

/// How long it is told that a resource is protected no more, before that is taken for meant.
const LOST: SignedDuration = SignedDuration::from_hours(24);

/// How old the note that a resource is stopped becomes before it is made anew.
const IDLE_NOTED_EVERY: SignedDuration = SignedDuration::from_mins(5);

/// How long the daily canary lives: one alert, and one that it has ended.
const CANARY: SignedDuration = SignedDuration::from_mins(5);

/// Decides what is wrong, and what to remember.
pub(crate) fn plan(observed: &Observed, now: Timestamp) -> Result<Plan<Action>> {
    let mut planner = Planner {
        observed,
        now,
        board: observed.board.iter().map(|found| ((&found.resource, found.kind.as_str()), found)).collect(),
        due: HashMap::new(),
        memory: observed.memory.memory.clone(),
        ages: observed.history.ages.clone(),
        plan: Plan::empty(),
    };
    planner.judge(&observed.instances);
    planner.judge(&observed.caches);
    planner.judge(&observed.databases);
    planner.find_canary();
    planner.remember()?;
    Ok(planner.plan)
}

struct Planner<'o> {
    observed: &'o Observed,
    now: Timestamp,
    /// What stood after the last pass.
    board: HashMap<(&'o ResourceId, &'o str), &'o Finding>,
    /// For each engine each plan's latest slot whose grace has passed, and since when recovery points were looked for:
    /// the same for all its resources, and not cheap to find.
    due: HashMap<(Engine, &'o str), (Option<Slot>, Timestamp)>,
    memory: Memory,
    ages: DayOfAges,
    plan: Plan<Action>,
}

impl<'o> Planner<'o> {
    /// Says everything about one engine. What it does not answer keeps nothing of another from being said.
    fn judge<R: Protected>(&mut self, seen: &'o Seen<R>) {
        self.answer_for_the_look(seen);
        let index = Index::new(seen.look.as_ref());
        for resource in &seen.resources {
            self.watch(resource, &index);
        }
        match &seen.answer {
            Answer::All => self.find_lost(&seen.resources),
            Answer::NotAsked => self.keep_hidden(seen, true),
            Answer::Failed(error) => {
                self.miss(R::PARTS.resources, error);
                self.keep_hidden(seen, false);
            }
        }
    }

    /// What nobody looked at, or what did not answer, neither begins nor ends.
    fn answer_for_the_look<R: Protected>(&mut self, seen: &Seen<R>) {
        let Some(look) = &seen.look else {
            self.keep(|found| is_seen::<R>(found, &kind::SEEN_IN_POINTS));
            // So that a Region which refused the last look is not taken for mended until the next.
            let parts = [R::PARTS.points, R::PARTS.copies].map(ResourceId::tidemark);
            return self.keep(|found| found.kind == "refused" && parts.contains(&found.resource));
        };
        // A look that saw only half is repeated the next minute, and says nothing of how many there are.
        if look.home.is_ok() && look.away.is_ok() {
            let minutes = look_minutes(look.pages);
            self.memory.note_look(R::ENGINE, minutes, self.observed.by_event, self.now);
        }
        if let Err(error) = &look.home {
            self.miss(R::PARTS.points, error);
            self.keep(|found| is_seen::<R>(found, &kind::SEEN_IN_POINTS));
        }
        if let Err(error) = &look.away {
            self.miss(R::PARTS.copies, error);
            self.keep(|found| is_seen::<R>(found, &kind::SEEN_IN_COPIES));
        }
    }

    fn miss(&mut self, part: &str, error: &Arc<Error>) {
        self.plan.miss(part, error, &[]);
    }

    /// What stands still stands. Said anew rather than left by its kind, because a kind is every engine's.
    fn keep(&mut self, is_kept: impl Fn(&Finding) -> bool) {
        self.plan.findings.extend(self.observed.board.iter().filter(|found| is_kept(found)).cloned());
    }

    /// The same for resources that an engine did not show, and for what it refused when it was last asked.
    fn keep_hidden<R: Protected>(&mut self, seen: &Seen<R>, refusal_too: bool) {
        let shown: HashSet<&str> = seen.resources.iter().map(Protected::name).collect();
        let silent = ResourceId::tidemark(R::PARTS.resources);
        self.keep(|found| {
            let ResourceId { engine, name } = &found.resource;
            let is_hidden = *engine == R::ENGINE && !shown.contains(name.as_str());
            is_hidden || (refusal_too && found.resource == silent && found.kind == "refused")
        });
    }

    /// Says everything about one resource.
    fn watch<R: Protected>(&mut self, resource: &'o R, index: &Index<'o, R>) {
        let plan = match resource.under(&self.observed.plans) {
            Under::Nothing => return,
            // What was wrong with it is not mended by a plan that does not exist.
            Under::Refused => return self.plan.leave_resource(&id(resource)),
            Under::Plan(plan) => plan,
        };
        let watched = self.watched(resource, plan);
        let newest = restorable::newest(&watched, index);
        let age = watched.age(newest, self.now);
        if let Some(age) = age {
            self.measure(&watched, newest, age);
        }
        self.plan.standing(&watched.resource, self.standing(&watched, newest));
        let found = self.findings(&watched, newest, index);
        if found.is_empty() {
            let age = age.map_or_else(|| "not known".to_owned(), says::length);
            self.plan.settled(&watched.resource, format!("recovery-point age: {age}"));
        }
        self.plan.findings.extend(found);
    }

    fn watched<R: Protected>(&mut self, of: &'o R, plan: &'o BackupPlan) -> Watched<'o, R> {
        let (resource, now) = (id(of), self.now);
        let grace = plan.objectives.slot_grace;
        let (due, looked_since) = *self.due.entry((R::ENGINE, plan.name.as_str())).or_insert_with(|| {
            let slot = || plan.schedules.get(&R::ENGINE)?.latest_at(now.checked_sub(grace).ok()?);
            (slot(), R::looked_since(plan, now))
        });
        let was_lost = self.board.contains_key(&(&resource, kind::PROTECTION_LOST));
        let remembered = self.memory.resources.entry(resource.clone()).or_default();
        let known = remembered.incarnation.as_ref().filter(|_| !of.incarnation().is_empty());
        if was_lost || known.is_some_and(|known| known != of.incarnation()) {
            // Another one under its name, or one that nobody backed up for a while: its graces begin now.
            (remembered.seen_since, remembered.idle_until) = (None, None);
        }
        let seen_since = *remembered.seen_since.get_or_insert(now);
        remembered.plan = Some(plan.name.to_string());
        remembered.incarnation = Some(of.incarnation().to_owned());
        let fresh = |until: Timestamp| now.duration_since(until) < IDLE_NOTED_EVERY;
        // Of one that is stopped every five minutes is often enough: the memory is not written in each for it.
        let is_noted = match of.activity() {
            Activity::Running => true,
            Activity::Idle => remembered.idle_until.is_some_and(fresh),
            Activity::Waking => false,
        };
        if !is_noted {
            remembered.idle_until = Some(now);
        }
        Watched { of, plan, due, seen_since, looked_since, idle_until: remembered.idle_until, resource }
    }

    fn measure<R: Protected>(&mut self, watched: &Watched<'_, R>, newest: Newest, age: SignedDuration) {
        let age_seconds = age.as_secs();
        let metric = Metric::seconds("recovery_point_age_seconds", age_seconds);
        self.plan.measure(&watched.resource, vec![metric]);
        let minute = Worst { age_seconds, at: self.now, newest_restorable: newest.instant() };
        self.memory.resources.entry(watched.resource.clone()).or_default().note(minute);
        self.ages.note(&watched.resource, age_seconds, self.now);
    }

    fn standing<R: Protected>(&self, watched: &Watched<'_, R>, newest: Newest) -> Standing {
        let newest_restorable = match newest {
            Newest::At(instant) => Some(instant),
            Newest::Nothing => None,
            // As it was at the last look: what stands on the board should not change with the minute.
            Newest::Unknown => {
                let stands = |kind: &'static str| self.board.get(&(&watched.resource, kind));
                let earlier = stands(kind::AUTOMATED_BACKUPS_OFF);
                let earlier = earlier.or_else(|| stands(kind::RESOURCE_UNHEALTHY));
                earlier.and_then(|earlier| earlier.standing.newest_restorable)
            }
        };
        Standing {
            plan: Some(watched.plan.name.to_string()),
            newest_restorable,
            rpo_seconds: Some(watched.rpo().as_secs()),
        }
    }

    fn findings<R: Protected>(
        &self,
        watched: &Watched<'_, R>,
        newest: Newest,
        index: &Index<'o, R>,
    ) -> Vec<Finding> {
        let (now, region) = (self.now, &self.observed.recovery);
        let earlier = self.board.get(&(&watched.resource, kind::RPO_EXCEEDED)).copied();
        let mut found: Vec<Finding> =
            restorable::rpo_exceeded(watched, newest, now, earlier).into_iter().collect();
        found.extend(R::own_findings(watched, index.beside, region, now));
        found.extend(index.findings(watched, now, region));
        found
    }

    /// Resources that were protected and are not any more: gone, or under no plan. After a day that is taken for meant.
    fn find_lost<R: Protected>(&mut self, resources: &[R]) {
        let is_protected = |resource: &&R| !matches!(resource.under(&self.observed.plans), Under::Nothing);
        let protected: HashSet<&str> = resources.iter().filter(is_protected).map(Protected::name).collect();
        let there: HashMap<&str, &R> = resources.iter().map(|there| (there.name(), there)).collect();
        for (resource, remembered) in &mut self.memory.resources {
            if resource.engine != R::ENGINE
                || remembered.seen_since.is_none()
                || protected.contains(resource.name.as_str())
            {
                continue;
            }
            let earlier = self.board.get(&(resource, kind::PROTECTION_LOST));
            let since = earlier.map_or(self.now, |earlier| earlier.since.min(self.now));
            let plan = remembered.plan.clone();
            let there = there.get(resource.name.as_str()).copied();
            self.plan.find(says::protection_lost(resource, plan, there, since));
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

    /// Writes the day's ages, and the memory, if they are not what stands there.
    fn remember(&mut self) -> Result<()> {
        let watch = ResourceId::tidemark("watch-rpo");
        let found = &self.observed.history;
        if found.ages != self.ages {
            let action = Action::Remember {
                name: found.name.clone(),
                text: history::to_text(&self.ages)?,
                replacing: found.version.clone(),
            };
            self.plan.act(&watch, action, "recovery-point ages were measured");
        }
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
        self.plan.act(&watch, action, reason);
        Ok(())
    }
}

fn id<R: Protected>(resource: &R) -> ResourceId {
    ResourceId { engine: R::ENGINE, name: resource.name().to_owned() }
}

fn is_seen<R: Protected>(found: &Finding, kinds: &[&str]) -> bool {
    found.resource.engine == R::ENGINE && kinds.contains(&found.kind.as_str())
}
