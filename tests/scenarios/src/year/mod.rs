//! A year of slots, simulated: with failures, planned and pruned day by day by the rules of retention, and shown on the page that
//! publish-report would make of it. The same each time.

mod made;
mod told;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use domain::{
    Engine, PlanDocument, Slot,
    retention::{Decision, LEAST_AGE, Worth},
};
use fastrand::Rng;
use inventory::{BackupPlans, Held, Inventory, Judgement, Lineage, Lineages, RetentionPlan};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use publish_report::compose;
use report::{Occasion, Report};

use self::made::Source;

/// How many days are simulated.
const DAYS: i64 = 365;

/// Of a hundred slots so many fail.
const FAILING: u32 = 2;

/// What a simulated year comes to.
#[derive(Debug)]
pub struct Year {
    /// Recovery points that were made.
    pub points: usize,
    /// Those that are there at its end.
    pub kept: usize,
    /// Those that were expired, and deleted, one day after the other.
    pub expired: usize,
    /// How long it took to decide, all 365 plans together.
    pub planned_in: Duration,
    /// How often what must be kept was not: none younger than a day goes, nor the newest verified one, nor one of so many
    /// that the plan keeps in any case.
    pub floor_violations: usize,
    /// What is reported of it.
    pub report: Report,
}

/// The world of that year, day by day.
struct World {
    rng: Rng,
    now: Timestamp,
    plans: PlanDocument,
    backup_plans: BackupPlans,
    sources: Vec<Source>,
    /// What there is of each source, the earliest slot first.
    points: Vec<Vec<Held>>,
    /// What happened, for the ledger.
    happened: Vec<told::Happened>,
    made: usize,
    expired: usize,
    planned_in: Duration,
    floor_violations: usize,
    last_plan: Option<RetentionPlan>,
}

/// Simulates it.
pub fn simulate() -> Result<Year> {
    let end: Timestamp = "2026-11-23T06:30:00Z".parse()?;
    let mut world = World::new(end - SignedDuration::from_hours(24 * DAYS))?;
    for _ in 0..DAYS {
        let until = world.now + SignedDuration::from_hours(24);
        world.back_up(until)?;
        world.now = until;
        world.prune()?;
    }
    let seen = world.seen()?;
    let report = compose(&seen, Occasion::Weekly, world.now);
    Ok(Year {
        points: world.made,
        kept: world.points.iter().map(Vec::len).sum(),
        expired: world.expired,
        planned_in: world.planned_in,
        floor_violations: world.floor_violations,
        report,
    })
}

impl World {
    fn new(now: Timestamp) -> Result<Self> {
        let sources = made::sources();
        let databases: Vec<String> = sources
            .iter()
            .filter(|source| source.resource.engine == Engine::Turso)
            .map(|source| format!("*/{}", source.resource.name))
            .collect();
        let plans = serde_json::json!({"plans": {"default": {"turso": {"databases": databases}}}});
        let names = sources.iter().map(|source| (source.lineage(), "default".to_owned())).collect();
        Ok(Self {
            rng: Rng::with_seed(2_026),
            now,
            plans: PlanDocument::parse(&plans.to_string())?,
            backup_plans: BackupPlans { names, unknown: Vec::new() },
            points: sources.iter().map(|_| Vec::new()).collect(),
            sources,
            happened: Vec::new(),
            made: 0,
            expired: 0,
            planned_in: Duration::ZERO,
            floor_violations: 0,
            last_plan: None,
        })
    }

    /// What becomes of the slots until then.
    fn back_up(&mut self, until: Timestamp) -> Result<()> {
        let plan = self.plans.get("default").context("no plan")?;
        for (source, points) in self.sources.iter().zip(&mut self.points) {
            let schedule = plan.schedules.get(&source.resource.engine).context("no schedule")?;
            for slot in schedule.slots(self.now, until, 1_000) {
                let fails = self.rng.u32(..100) < FAILING || source.is_broken(slot);
                if fails {
                    self.happened.push(told::Happened::failed(source, slot));
                    continue;
                }
                let held = source.recovery_point(slot);
                let took = SignedDuration::from_secs(self.rng.i64(source.takes_seconds()));
                self.happened.push(told::Happened::completed(source, &held, took));
                points.push(held);
                self.made += 1;
            }
        }
        Ok(())
    }

    /// What there is, as publish-report and plan-retention see it.
    fn inventory(&self) -> Inventory {
        let mut engines: BTreeMap<Engine, Lineages> =
            Engine::PROTECTED.map(|engine| (engine, Lineages::new())).into();
        for (source, points) in self.sources.iter().zip(&self.points) {
            let of_engine = engines.entry(source.resource.engine).or_default();
            of_engine.insert(source.lineage(), points.clone());
        }
        let engines = engines.into_iter().map(|(engine, lineages)| (engine, Ok(lineages))).collect();
        Inventory { engines, ..Inventory::default() }
    }

    /// The day's plan, carried out.
    fn prune(&mut self) -> Result<()> {
        let inventory = self.inventory();
        let begun = Instant::now();
        let expired: Vec<Expired> = Judgement::of_all(&inventory, &self.plans, &self.backup_plans, self.now)
            .flat_map(|judgement| {
                let is_expired = |decision: Option<&Decision>| decision.is_some_and(|one| !one.is_kept());
                let expired = judgement.decisions().filter(|(_, decision)| is_expired(*decision));
                let expired = expired
                    .map(|(held, decision)| Expired { held: held.clone(), why: judgement.why(decision) });
                expired.collect::<Vec<_>>()
            })
            .collect();
        self.planned_in += begun.elapsed();
        let last = self.last_plan.take();
        let plan = RetentionPlan::make(&inventory, &self.plans, &self.backup_plans, last.as_ref(), self.now);
        self.last_plan = Some(plan);
        for (source, points) in self.sources.iter().zip(&mut self.points) {
            let of_it = || expired.iter().filter(|one| one.held.resource == source.resource);
            let ids: BTreeSet<_> = of_it().map(|one| &one.held.id).collect();
            let before = points.clone();
            points.retain(|one| !ids.contains(&one.id));
            let redundancy = self.plans.get("default").context("no plan")?.keep.redundancy as usize;
            self.floor_violations += violations(&before, points, redundancy, self.now);
            self.expired += ids.len();
            self.happened
                .extend(of_it().map(|one| told::Happened::deleted(&one.held, one.why.clone(), self.now)));
        }
        Ok(())
    }
}

/// A recovery point that goes, and why.
struct Expired {
    held: Held,
    why: Vec<String>,
}

/// What must never be, counted by itself and not by the rules that decided.
fn violations(before: &[Held], after: &[Held], redundancy: usize, now: Timestamp) -> usize {
    let left: BTreeSet<Slot> = after.iter().map(|one| one.slot).collect();
    let verified = before.iter().rev().filter(|one| one.worth() == Worth::Verified);
    let young = before.iter().filter(|one| now.duration_since(one.slot.instant()) < LEAST_AGE);
    verified.take(redundancy.max(1)).chain(young).filter(|one| !left.contains(&one.slot)).count()
}

impl Source {
    fn lineage(&self) -> Lineage {
        Lineage { resource: self.resource.clone(), mark: domain::RecoveryPointId::mark(&self.incarnation) }
    }
}

/// The day of an instant, in UTC.
fn day_of(at: Timestamp) -> jiff::civil::Date {
    at.to_zoned(TimeZone::UTC).date()
}
