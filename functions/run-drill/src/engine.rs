//! What every engine answers, so that adding one is adding a module.

use std::{future::Future, time::Duration};

use domain::{
    BackupPlan, Engine as Kind, PlanDocument, RecoveryPointId, ResourceId, Side,
    drill::history::{Loss, Verdict},
    retention::Region,
};
use jiff::Timestamp;
use reconcile::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::{drill::Drill, measure::Beats, restored::Restored};

/// The drills of one engine.
pub trait Engine {
    /// Looks at what is protected, and at what drills made.
    fn look(&self, plans: &PlanDocument) -> impl Future<Output = Result<Looked>>;

    /// Looks at what bears on a drill of that resource that is to be begun.
    fn subject(
        &self,
        resource: &ResourceId,
        plan: &BackupPlan,
        stored: Stored,
        now: Timestamp,
    ) -> impl Future<Output = Result<Subject>>;

    /// Checks what was restored, from where `drill.checks` says, for as long as `turn` allows. An error is one that may pass, or
    /// that a person can mend: nothing is known then of what was restored.
    fn check(&self, drill: &Drill, turn: Turn) -> impl Future<Output = Result<Checked>>;

    /// What that question is answered by what was restored: a whole number. An error is as with [`Engine::check`].
    fn number(&self, drill: &Drill, side: &Side) -> impl Future<Output = Result<i128>>;

    /// The heartbeats in what a person's restore made; `None` if there are none.
    fn heartbeats(&self, restored: &Restored) -> impl Future<Output = Result<Option<Beats>>>;

    /// Has that deleted, if its tags, looked at once more, are a drill's. What is gone already is no error; what is busy is one that may pass.
    fn tear_down(&self, made: &Made) -> impl Future<Output = Result<()>>;
}

/// What there is.
#[derive(Debug, Default)]
pub struct Looked {
    /// What is protected, and under which plan.
    pub(crate) protected: Vec<(ResourceId, String)>,
    /// What drills made.
    pub(crate) made: Vec<Made>,
    /// The Regions that answered: what drills made elsewhere is not known.
    pub(crate) answered: Vec<String>,
    /// The Regions that did not.
    pub(crate) silent: Vec<(String, Error)>,
}

impl Looked {
    /// What a Region answered.
    pub(crate) fn add(&mut self, region: &str, answer: Result<Vec<Made>>) {
        match answer {
            Ok(made) => {
                self.made.extend(made);
                self.answered.push(region.to_owned());
            }
            Err(error) => self.silent.push((region.to_owned(), error)),
        }
    }
}

/// Something that a drill made, or that looks so.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// What it was made from: to whom it is told.
    pub(crate) resource: ResourceId,
    /// In which Region.
    pub(crate) region: String,
    /// Its name.
    pub(crate) name: String,
    /// Which sort, where the engine has several.
    pub(crate) sort: &'static str,
    /// The drill that made it. Where nothing says that but the name, none: it is told of, and left.
    pub(crate) drill: Option<String>,
    /// From when on nobody needs it.
    pub(crate) expires: Option<Timestamp>,
    /// The provider's word for its state.
    pub(crate) status: String,
}

/// What the vaults have of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// How large its newest recovery point is, where its bytes are in the vault.
    pub(crate) bytes: u64,
    /// An instant at which it was there for certain: the slot of the second recovery point that there is.
    pub(crate) earliest: Option<Timestamp>,
    /// The newest one at home.
    pub(crate) newest: Option<RecoveryPointId>,
}

impl Made {
    /// Whether that drill made it. Tags may be seen later than what bears them; until then the name, which nobody else knows, says so,
    /// and nothing is deleted by it.
    pub(crate) fn is_of(&self, drill: &Drill) -> bool {
        self.name == drill.name && self.drill.as_deref().is_none_or(|id| id == drill.tag())
    }
}

/// Refuses what does not carry the tag of the drill that it was seen with.
pub(crate) fn is_a_drills(name: &str, tag: Option<&String>, seen: &Made) -> Result<()> {
    match (tag, &seen.drill) {
        (None, _) => Err(Error::retryable(
            "NotTaggedYet",
            format!("{name} carries no tag of a drill, or none that can be seen yet; it is left as it is"),
        )),
        (Some(tag), Some(drill)) if tag != drill => Err(Error::permanent(
            "NotADrills",
            format!("{name} was seen as {drill}'s and carries the tag of {tag}; it is left as it is"),
        )),
        (Some(_), _) => Ok(()),
    }
}

/// What bears on a drill that is to be begun.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    /// How large the source is.
    pub(crate) bytes: u64,
    /// The PITR window: its first second, and the first one after it.
    pub(crate) window: Option<(Timestamp, Timestamp)>,
    /// Where it would be restored, in the order of [`Region::ALL`]; why not, in a sentence.
    pub(crate) staging: [Result<Staging, String>; 2],
    /// What its plan says must hold.
    pub(crate) assertions: Vec<Value>,
    /// A plan's assertions that are none, in a sentence.
    pub(crate) invalid: Option<String>,
}

/// Where and how a drill restores.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Staging {
    /// The Region's name; `turso` for Turso's.
    pub(crate) region: String,
    /// What restore-database is told beside the resource, the state and the name.
    pub(crate) request: Map<String, Value>,
    /// The class of the instance or node; `None` where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) class: Option<String>,
    /// The same with the source's class, if the provider does not take that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) otherwise: Option<Box<Staging>>,
    /// What it costs, rather too high.
    pub(crate) micro_usd_an_hour: u64,
}

/// For how long somebody works.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// When it was begun.
    pub(crate) now: Timestamp,
    /// How long it is.
    pub(crate) whole: Duration,
    /// When it has to be over.
    pub(crate) ends: Instant,
}

/// What the first moments of a turn are spent on: connecting.
const MOMENTS: Duration = Duration::from_secs(10);

impl Turn {
    /// One that begins now.
    pub(crate) fn new(now: Timestamp, whole: Duration) -> Self {
        Self { now, whole, ends: Instant::now() + whole }
    }

    /// How much of it is left.
    pub(crate) fn left(self) -> Duration {
        self.ends.saturating_duration_since(Instant::now())
    }

    /// Whether something that takes so long should be begun. What takes longer than any turn is begun at the beginning of one.
    pub(crate) fn has_room_for(self, within: Duration) -> bool {
        self.left() + MOMENTS >= within.min(self.whole)
    }
}

/// What came of checking.
#[derive(Clone, Debug, PartialEq)]
pub enum Checked {
    /// As far as there was time: from where to go on.
    Further(Value),
    /// To the end.
    Over {
        /// Whether everything held; otherwise the first thing that did not.
        verdict: Verdict,
        /// What was lost, in short.
        loss: Option<Loss>,
        /// All that is known, for the ledger: no data.
        evidence: Value,
        /// What was not checked although it should have been, in sentences.
        unchecked: Vec<String>,
        /// How large it is, as it was read; `None` where what the source says is as good.
        bytes: Option<u64>,
        /// What the next drill's checks should know: the engine's own document.
        known: Value,
    },
}

impl Subject {
    /// Where it would be restored in that Region.
    pub(crate) fn staging(&self, region: Region) -> Result<&Staging, &String> {
        self.staging[region as usize].as_ref()
    }
}

/// An engine that a deployment may do without.
impl<E: Engine> Engine for Option<E> {
    async fn look(&self, plans: &PlanDocument) -> Result<Looked> {
        match self {
            Some(engine) => engine.look(plans).await,
            None => Ok(Looked::default()),
        }
    }

    async fn subject(
        &self,
        resource: &ResourceId,
        plan: &BackupPlan,
        stored: Stored,
        now: Timestamp,
    ) -> Result<Subject> {
        configured(self.as_ref(), resource.engine)?.subject(resource, plan, stored, now).await
    }

    async fn check(&self, drill: &Drill, turn: Turn) -> Result<Checked> {
        configured(self.as_ref(), drill.resource.engine)?.check(drill, turn).await
    }

    async fn number(&self, drill: &Drill, side: &Side) -> Result<i128> {
        configured(self.as_ref(), drill.resource.engine)?.number(drill, side).await
    }

    async fn heartbeats(&self, restored: &Restored) -> Result<Option<Beats>> {
        configured(self.as_ref(), restored.resource.engine)?.heartbeats(restored).await
    }

    async fn tear_down(&self, made: &Made) -> Result<()> {
        configured(self.as_ref(), made.resource.engine)?.tear_down(made).await
    }
}

fn configured<E>(engine: Option<&E>, kind: Kind) -> Result<&E> {
    engine.ok_or_else(|| {
        Error::misconfigured(
            "EngineNotConfigured",
            format!("this deployment drills no {kind}: deploy it with what docs/deploying.md names for that engine"),
        )
    })
}

/// All engines.
pub struct Engines<R, E, T> {
    /// RDS.
    pub rds: R,
    /// Redis and Valkey.
    pub redis: E,
    /// Turso.
    pub turso: T,
}

/// Each call goes to the engine of what it is about.
impl<R: Engine, E: Engine, T: Engine> Engines<R, E, T> {
    pub(crate) async fn subject(
        &self,
        resource: &ResourceId,
        plan: &BackupPlan,
        stored: Stored,
        now: Timestamp,
    ) -> Result<Subject> {
        match resource.engine {
            Kind::Redis => Box::pin(self.redis.subject(resource, plan, stored, now)).await,
            Kind::Turso => Box::pin(self.turso.subject(resource, plan, stored, now)).await,
            Kind::Rds | Kind::Tidemark => Box::pin(self.rds.subject(resource, plan, stored, now)).await,
        }
    }

    pub(crate) async fn check(&self, drill: &Drill, turn: Turn) -> Result<Checked> {
        match drill.resource.engine {
            Kind::Redis => Box::pin(self.redis.check(drill, turn)).await,
            Kind::Turso => Box::pin(self.turso.check(drill, turn)).await,
            Kind::Rds | Kind::Tidemark => Box::pin(self.rds.check(drill, turn)).await,
        }
    }

    pub(crate) async fn number(&self, drill: &Drill, side: &Side) -> Result<i128> {
        match drill.resource.engine {
            Kind::Redis => Box::pin(self.redis.number(drill, side)).await,
            Kind::Turso => Box::pin(self.turso.number(drill, side)).await,
            Kind::Rds | Kind::Tidemark => Box::pin(self.rds.number(drill, side)).await,
        }
    }

    pub(crate) async fn heartbeats(&self, restored: &Restored) -> Result<Option<Beats>> {
        match restored.resource.engine {
            Kind::Redis => Box::pin(self.redis.heartbeats(restored)).await,
            Kind::Turso => Box::pin(self.turso.heartbeats(restored)).await,
            Kind::Rds | Kind::Tidemark => Box::pin(self.rds.heartbeats(restored)).await,
        }
    }

    pub(crate) async fn tear_down(&self, made: &Made) -> Result<()> {
        match made.resource.engine {
            Kind::Redis => Box::pin(self.redis.tear_down(made)).await,
            Kind::Turso => Box::pin(self.turso.tear_down(made)).await,
            Kind::Rds | Kind::Tidemark => Box::pin(self.rds.tear_down(made)).await,
        }
    }
}
