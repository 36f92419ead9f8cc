//! Turso: the databases of an organization that plans name by pattern.

mod observe;
mod says;

use domain::{BackupPlan, Engine, Finding, PlanDocument, RecoveryPointId};
use jiff::Timestamp;

pub(crate) use self::observe::{is_named, observe};
use crate::{
    engines::{Activity, GivenUp, Key, Lost, Parts, Protected, Under, vaulted},
    point::Point,
    watched::Watched,
};

const FUNCTION: &str = "backup-turso";

/// A database.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    shown: turso::Database,
    /// [`RecoveryPointId::mark`] of it.
    mark: String,
    /// Until when its newest recovery point is known to hold all of it, because nothing was written.
    current_at: Option<Timestamp>,
}

impl Database {
    fn new(shown: turso::Database) -> Self {
        Self { mark: RecoveryPointId::mark(&shown.id), current_at: None, shown }
    }
}

impl Protected for Database {
    const ENGINE: Engine = Engine::Turso;
    const THING: &'static str = "database";
    const STATE: &'static str = "restorable state";
    const PARTS: Parts = Parts { resources: "turso", points: "turso-vault", copies: "turso-copies" };
    const PAGE: usize = vaulted::PAGE;
    type Beside = ();

    fn name(&self) -> &str {
        &self.shown.name
    }

    fn incarnation(&self) -> &str {
        &self.shown.id
    }

    /// By the plan that names it; backup-turso refuses one that several do, and one whose name fits into no key. A branch that
    /// Tidemark made is a way to restore, and nobody's to protect.
    fn under<'p>(&self, plans: &'p PlanDocument) -> Under<'p> {
        let turso::Database { name, group, .. } = &self.shown;
        if turso::is_tidemarks_own(&self.shown) {
            return Under::Nothing;
        }
        let names =
            |plan: &&BackupPlan| plan.turso.databases.iter().any(|pattern| pattern.matches(group, name));
        let mut naming = plans.iter().filter(names);
        match (naming.next(), naming.next()) {
            (None, _) => Under::Nothing,
            (Some(plan), None) if is_usable(name) => Under::Plan(plan),
            (Some(_), _) => Under::Refused,
        }
    }

    /// Nothing can be written to a database whose group is archived.
    fn activity(&self) -> Activity {
        if self.shown.archived { Activity::Idle } else { Activity::Running }
    }

    fn current_at(&self) -> Option<Timestamp> {
        self.current_at
    }

    fn looked_since(plan: &BackupPlan, now: Timestamp) -> Timestamp {
        vaulted::looked_since(plan, Self::ENGINE, now)
    }

    fn key(&self) -> Key<'_> {
        (&self.mark, &self.shown.name)
    }

    fn key_of(point: &Point) -> Key<'_> {
        (&point.incarnation, &point.resource)
    }

    fn own_findings(
        watched: &Watched<'_, Self>,
        _beside: Option<&()>,
        _region: &str,
        now: Timestamp,
    ) -> Vec<Finding> {
        let blocked = watched.of.shown.block_reads;
        blocked.then(|| says::blocked(&watched.resource, now)).into_iter().collect()
    }

    fn next_for_rpo(&self) -> String {
        says::next_for_rpo(&self.shown.name)
    }

    fn next_for_slot(&self) -> String {
        vaulted::next_for_slot(FUNCTION)
    }

    fn failed(&self, point: &Point) -> GivenUp {
        vaulted::failed(Self::ENGINE, FUNCTION, point)
    }

    fn copy_failed(&self, copy: &Point, region: &str) -> GivenUp {
        vaulted::copy_failed(Self::ENGINE, copy, region)
    }

    fn next_for_copy(&self, point: &Point, region: &str) -> String {
        vaulted::next_for_copy(Self::ENGINE, FUNCTION, point, region)
    }

    fn next_for_slow_copy(&self, point: &Point, region: &str) -> String {
        vaulted::next_for_slow_copy(Self::ENGINE, point, region)
    }

    fn next_for_shrunk(&self) -> &'static str {
        "See whether so much was deleted on purpose; then this ends as the next recovery points come."
    }

    fn measures(point: &Point) -> String {
        format!("holds {}", Self::size(point.bytes))
    }

    fn size(bytes: u64) -> String {
        vaulted::size(bytes)
    }

    fn lost(name: &str, there: Option<&Self>, plan: Option<&str>) -> Lost {
        says::lost(name, there.map(|there| &there.shown), plan)
    }
}

/// Whether the name can be part of a key as it is.
fn is_usable(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
}
