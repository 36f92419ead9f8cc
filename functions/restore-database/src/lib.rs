//! `restore-database`: a person asks for a database as it was at a second or at a recovery point, and it is made, under
//! a new name, in either Region. Ticks follow it until its first query is answered, and write down how long it took.
//!
//! One module for each engine ([`Engine`]); what they have in common is beside them.

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
mod turso;

use futures::join;
use reconcile::{Done, Error, Plan, Reconciler, Result, Summary, Timestamp};
use serde_json::Value;

pub use crate::{
    engine::{Engine, Of},
    rds::RdsRestores,
    redis::{RedisRegion, RedisRestores},
    turso::TursoRestores,
};
use crate::{
    engine::{join, map},
    request::Ask,
};

/// The function, with the engines that it restores.
pub struct RestoreDatabase<R, E, T> {
    /// RDS.
    pub rds: R,
    /// Redis and Valkey.
    pub redis: E,
    /// Turso.
    pub turso: T,
}

/// The restores of each engine.
pub type Restores<R, E, T> =
    (Result<<R as Engine>::Restores>, Result<<E as Engine>::Restores>, Result<<T as Engine>::Restores>);

/// What is true now.
pub enum Observed<R: Engine, E: Engine, T: Engine> {
    /// What bears on a person's request.
    Asked(Box<Of<R::Asked, E::Asked, T::Asked>>),
    /// The restores there are, of each engine that answered.
    Restores(Box<Restores<R, E, T>>),
}

impl<R, E, T> Reconciler for RestoreDatabase<R, E, T>
where
    R: Engine<Wish = rds::Overrides>,
    E: Engine<Wish = redis::Wish>,
    T: Engine<Wish = turso::Wish>,
{
    const NAME: &'static str = "restore-database";
    type Request = Ask;
    type Observed = Observed<R, E, T>;
    type Action = Of<R::Action, E::Action, T::Action>;

    async fn observe(&self, ask: Ask, now: Timestamp) -> Result<Self::Observed> {
        let asked = match ask {
            Ask::Follow => {
                let restores =
                    join!(self.rds.restores(now), self.redis.restores(now), self.turso.restores(now));
                return Ok(Observed::Restores(Box::new(restores)));
            }
            Ask::Restore(request) => match *request {
                Of::Rds(request) => Of::Rds(self.rds.observe(request, now).await?),
                Of::Redis(request) => Of::Redis(self.redis.observe(request, now).await?),
                Of::Turso(request) => Of::Turso(self.turso.observe(request, now).await?),
            },
        };
        Ok(Observed::Asked(Box::new(asked)))
    }

    fn plan(observed: &Self::Observed, now: Timestamp) -> Result<Plan<Self::Action>> {
        match observed {
            Observed::Asked(asked) => match asked.as_ref() {
                Of::Rds(asked) => R::plan(asked, now).map(|plan| map(plan, Of::Rds)),
                Of::Redis(asked) => E::plan(asked, now).map(|plan| map(plan, Of::Redis)),
                Of::Turso(asked) => T::plan(asked, now).map(|plan| map(plan, Of::Turso)),
            },
            Observed::Restores(restores) => {
                let (rds, redis, turso) = restores.as_ref();
                let rds = map(follow::<R>(rds, "rds", now), Of::Rds);
                let redis = map(follow::<E>(redis, "redis", now), Of::Redis);
                let turso = map(follow::<T>(turso, "turso", now), Of::Turso);
                Ok(join(join(rds, redis), turso))
            }
        }
    }

    async fn act(&self, action: &Self::Action, now: Timestamp) -> Result<Done> {
        match action {
            Of::Rds(action) => self.rds.act(action, now).await,
            Of::Redis(action) => self.redis.act(action, now).await,
            Of::Turso(action) => self.turso.act(action, now).await,
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

/// What a tick does with one engine's restores. One that does not answer stops no other's.
fn follow<G: Engine>(restores: &Result<G::Restores>, what: &str, now: Timestamp) -> Plan<G::Action> {
    match restores {
        Ok(restores) => G::follow(restores, now),
        Err(error) => {
            let mut plan = Plan::empty();
            let error: &Error = error;
            plan.do_without(&format!("{what}-restores"), error);
            plan
        }
    }
}
