//! The engines, a module for each: how its resources and their recovery points are observed, what can be wrong with these
//! resources alone, and its words. Everything else is the same for all of them.

pub(crate) mod rds;
pub(crate) mod redis;
pub(crate) mod turso;
mod vaulted;

use std::{fmt::Debug, sync::Arc};

use domain::{BackupPlan, Engine, Finding, PlanDocument};
use jiff::Timestamp;
use reconcile::Error;

pub(crate) use self::vaulted::Vaults;
use crate::{
    point::Point,
    watched::{Newest, Watched},
};

/// A resource that a plan may protect, as its provider shows it.
pub(crate) trait Protected: Clone + Debug {
    /// Which engine it is of.
    const ENGINE: Engine;
    /// What its provider calls one.
    const THING: &'static str;
    /// What the newest restorable state is called.
    const STATE: &'static str;
    /// What is said to be silent where it does not answer.
    const PARTS: Parts;
    /// How many recovery points or objects a list call shows.
    const PAGE: usize;
    /// What the recovery Region shows beside copies.
    type Beside: Clone + Debug;

    /// The provider's name for it.
    fn name(&self) -> &str;
    /// The provider's own id of it, never given twice; empty where that is not told.
    fn incarnation(&self) -> &str;
    /// Under which plan it stands.
    fn under<'p>(&self, plans: &'p PlanDocument) -> Under<'p>;
    /// Whether anything is written to it.
    fn activity(&self) -> Activity {
        Activity::Running
    }
    /// How far its provider's own point-in-time restore reaches; `None` if recovery points are all there is.
    fn continuous(&self) -> Option<Newest> {
        None
    }

    /// Until when its newest recovery point is known to hold all that it holds, where that is known.
    fn current_at(&self) -> Option<Timestamp> {
        None
    }

    /// Recovery points of earlier slots of a plan are not looked for.
    fn looked_since(_plan: &BackupPlan, _now: Timestamp) -> Timestamp {
        Timestamp::MIN
    }

    /// What its recovery points are found by.
    fn key(&self) -> Key<'_>;
    /// What a recovery point is found by.
    fn key_of(point: &Point) -> Key<'_>;
    /// Whether a copy that bears another key is one of this resource's all the same.
    fn is_named_for(&self, _copy: &Point) -> bool {
        false
    }

    /// What is wrong with the resource apart from its recovery points. `beside` was seen in `region`, if anybody looked.
    fn own_findings(
        watched: &Watched<'_, Self>,
        beside: Option<&Self::Beside>,
        region: &str,
        now: Timestamp,
    ) -> Vec<Finding>;

    /// What to do about an objective that is exceeded.
    fn next_for_rpo(&self) -> String;
    /// What to do about a slot that is missed.
    fn next_for_slot(&self) -> String;
    /// What became of a recovery point that failed.
    fn failed(&self, point: &Point) -> GivenUp;
    /// What became of a copy that failed.
    fn copy_failed(&self, copy: &Point, region: &str) -> GivenUp;
    /// What to do about a copy that is not there.
    fn next_for_copy(&self, point: &Point, region: &str) -> String;
    /// What to do about a copy that takes long.
    fn next_for_slow_copy(&self, point: &Point, region: &str) -> String;
    /// What may be so, if a recovery point is much smaller than those before it.
    fn next_for_shrunk(&self) -> &'static str;
    /// How large a recovery point is: `was taken of 20 GiB of storage`.
    fn measures(point: &Point) -> String;
    /// A size in the same unit.
    fn size(bytes: u64) -> String;
    /// Of a resource that was protected: what is so now, and what brings its protection back.
    fn lost(name: &str, there: Option<&Self>, plan: Option<&str>) -> Lost;
}

/// What Tidemark's own parts are called, where an engine does not answer.
pub(crate) struct Parts {
    /// The list of resources.
    pub(crate) resources: &'static str,
    /// The recovery points at home.
    pub(crate) points: &'static str,
    /// What the recovery Region holds.
    pub(crate) copies: &'static str,
}

/// What a resource and its recovery points have in common.
pub(crate) type Key<'k> = (&'k str, &'k str);

/// Under which plan a resource stands.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Under<'p> {
    /// Under that one.
    Plan(&'p BackupPlan),
    /// Under one that does not exist, or it is of a kind that no plan protects: whoever backs it up refuses it.
    Refused,
    /// Under none: nobody's business.
    Nothing,
}

/// Whether anything is written to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activity {
    /// It may be.
    Running,
    /// It is stopped, so nothing of it can be lost.
    Idle,
    /// It is idle still, and in the next minute it may not be.
    Waking,
}

/// That something failed for good, in the engine's words.
pub(crate) struct GivenUp {
    /// The stable code.
    pub(crate) code: &'static str,
    /// Who gave up on what.
    pub(crate) says: String,
    /// What to do.
    pub(crate) next: String,
}

/// That a resource is protected no more, in the engine's words.
pub(crate) struct Lost {
    /// What is so now.
    pub(crate) now: String,
    /// What brings the protection back.
    pub(crate) otherwise: String,
}

/// What was seen of one engine.
#[derive(Clone, Debug)]
pub(crate) struct Seen<R: Protected> {
    pub(crate) resources: Vec<R>,
    /// Whether these are all there are.
    pub(crate) answer: Answer,
    /// `None` in the minutes in which nobody looked.
    pub(crate) look: Option<Look<R::Beside>>,
}

/// Whether a provider told all its resources.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// It did.
    All,
    /// It was not asked in this pass.
    NotAsked,
    /// It did not.
    Failed(Arc<Error>),
}

impl<R: Protected> Seen<R> {
    /// Nobody asked.
    pub(crate) const fn nothing() -> Self {
        Self { resources: Vec::new(), answer: Answer::NotAsked, look: None }
    }

    /// Whether any of its resources stands under a plan.
    pub(crate) fn protects(&self, plans: &PlanDocument) -> bool {
        self.resources.iter().any(|resource| matches!(resource.under(plans), Under::Plan(_)))
    }
}

/// What an engine is asked in this pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// For its resources.
    pub(crate) resources: bool,
    /// For recovery points too.
    pub(crate) points: bool,
}

/// What a look at both Regions' recovery points saw. An error in one stops the findings that need it, and nothing else.
#[derive(Clone, Debug)]
pub(crate) struct Look<B> {
    /// The recovery points that were taken at home.
    pub(crate) home: Result<Vec<Point>, Arc<Error>>,
    pub(crate) away: Result<Away<B>, Arc<Error>>,
    /// How many pages of lists that took.
    pub(crate) pages: usize,
}

/// What the recovery Region holds.
#[derive(Clone, Debug)]
pub(crate) struct Away<B> {
    pub(crate) copies: Vec<Point>,
    pub(crate) beside: B,
}
