//! `restore-database`: a person asks for a database as it was at a second or at a recovery point, and it is made, under
//! a new name, in either Region. Ticks follow it until its first query is answered, and write down how long it took.
//!
//! One module for each engine ([`Engine`]); what they have in common is beside them. Databases that belong together are restored
//! together: `set`.

mod databases;
mod drill;
mod engine;
#[cfg(test)]
mod fixture;
mod orders;
mod points;
mod rds;
mod redis;
mod request;
mod restore;
mod set;
mod turso;

use plans::Plans;
use reconcile::{Documents, Done, Entry, Error, Ledger, Plan, Reconciler, Result, Summary, Timestamp};
use serde_json::Value;

pub use crate::{
    databases::{Databases, Engines},
    engine::{Engine, Of},
    rds::RdsRestores,
    redis::{RedisRegion, RedisRestores},
    set::RecoverySets,
    turso::TursoRestores,
};
use crate::{
    engine::{join, map},
    request::Ask,
};

/// The function.
pub struct RestoreDatabase<G, P, D, L> {
    /// The databases that it restores.
    pub databases: G,
    /// Those that belong together.
    pub sets: RecoverySets<P, D, L>,
}

/// The restores there are, of single databases and of sets.
type Restores<G> = (<G as Engines>::Restores, Result<set::Restores<<G as Engines>::Asked>>);

/// What is true now.
pub enum Observed<G: Engines> {
    /// What bears on a person's request for one database.
    Asked(Box<G::Asked>),
    /// What bears on a person's request for a set.
    Set(Box<set::Asked<G::Asked>>),
    /// The restores there are.
    Restores(Box<Restores<G>>),
}

/// What the function can do.
pub enum Action<A> {
    /// With one database.
    One(A),
    /// With a set.
    Set(set::Action<A>),
}

impl<A: reconcile::Action> reconcile::Action for Action<A> {
    fn name(&self) -> &'static str {
        match self {
            Self::One(action) => action.name(),
            Self::Set(action) => action.name(),
        }
    }

    fn failure(&self, error: &Error, now: Timestamp) -> Option<Entry> {
        match self {
            Self::One(action) => action.failure(error, now),
            Self::Set(action) => action.failure(error, now),
        }
    }
}

impl<G: Engines, P: Plans, D: Documents, L: Ledger> Reconciler for RestoreDatabase<G, P, D, L> {
    const NAME: &'static str = "restore-database";
    type Request = Ask;
    type Observed = Observed<G>;
    type Action = Action<G::Action>;

    async fn observe(&self, ask: Ask, now: Timestamp) -> Result<Observed<G>> {
        let Self { databases, sets } = self;
        Ok(match ask {
            Ask::Follow => {
                let restores = databases.restores(now).await;
                let of_sets = sets.observe_restores(databases, &restores, now).await;
                Observed::Restores(Box::new((restores, of_sets)))
            }
            Ask::Restore(request) => Observed::Asked(Box::new(databases.observe(*request, now).await?)),
            Ask::Set(request) => {
                Observed::Set(Box::new(sets.observe_request(databases, *request, now).await?))
            }
        })
    }

    fn plan(observed: &Observed<G>, now: Timestamp) -> Result<Plan<Self::Action>> {
        match observed {
            Observed::Asked(asked) => G::plan(asked, now).map(|plan| map(plan, Action::One)),
            Observed::Set(asked) => set::plan::<G>(asked, now).map(|plan| map(plan, Action::Set)),
            Observed::Restores(restores) => {
                let (restores, sets) = restores.as_ref();
                let one = map(G::follow(restores, now), Action::One);
                Ok(join(one, map(set::follow::<G>(sets, now), Action::Set)))
            }
        }
    }

    async fn act(&self, action: &Self::Action, now: Timestamp) -> Result<Done> {
        match action {
            Action::One(action) => self.databases.act(action, now).await,
            Action::Set(action) => self.sets.act(&self.databases, action, now).await,
        }
    }

    /// A person reads what became of the one request; a tick's answer is its summary.
    fn answer(mut summary: Summary) -> Value {
        match summary.acted.pop_if(|acted| acted.action == restore::RESTORE) {
            Some(acted) => Value::Object(acted.detail),
            None => summary.into_json(),
        }
    }
}
