//! `restore-database`: a person asks for a database as it was at a second or at a recovery point, and it is made, under
//! a new name, in either Region. Ticks follow it until its first query is answered, and write down how long it took.
//!
//! One module for each engine ([`Engine`]); what they have in common is beside them.

mod engine;
mod rds;
mod request;
mod restore;

use reconcile::{Done, Plan, Reconciler, Result, Summary, Timestamp};
use serde_json::Value;

use crate::request::Ask;
pub use crate::{engine::Engine, rds::RdsRestores};

/// The function, with the engines that it restores.
pub struct RestoreDatabase<R> {
    /// RDS.
    pub rds: R,
}

/// What is true now.
#[derive(Debug)]
pub enum Observed<R: Engine> {
    /// What bears on a person's request.
    Asked(R::Asked),
    /// The restores there are.
    Restores(R::Restores),
}

impl<R: Engine<Wish = rds::Overrides>> Reconciler for RestoreDatabase<R> {
    const NAME: &'static str = "restore-database";
    type Request = Ask;
    type Observed = Observed<R>;
    type Action = R::Action;

    async fn observe(&self, ask: Ask, now: Timestamp) -> Result<Observed<R>> {
        match ask {
            Ask::Restore(request) => self.rds.observe(*request, now).await.map(Observed::Asked),
            Ask::Follow => self.rds.restores(now).await.map(Observed::Restores),
        }
    }

    fn plan(observed: &Observed<R>, now: Timestamp) -> Result<Plan<R::Action>> {
        match observed {
            Observed::Asked(asked) => R::plan(asked, now),
            Observed::Restores(restores) => Ok(R::follow(restores, now)),
        }
    }

    async fn act(&self, action: &R::Action, now: Timestamp) -> Result<Done> {
        self.rds.act(action, now).await
    }

    /// A person reads what became of the one request; a tick's answer is its summary.
    fn answer(mut summary: Summary) -> Value {
        match summary.acted.pop_if(|acted| acted.action == restore::RESTORE) {
            Some(acted) => Value::Object(acted.detail),
            None => summary.into_json(),
        }
    }
}
