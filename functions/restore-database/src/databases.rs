//! The three engines as one: whatever is asked of a database goes to its own.

use std::future::Future;

use futures::join;
use jiff::Timestamp;
use reconcile::{Done, Error, Plan, Result};

use crate::{
    engine::{Engine, Of, join, map},
    rds, redis,
    request::AnyRequest,
    restore::Restore,
    turso,
};

/// Each engine's restores, by the same names as [`Engine`] has.
pub trait Engines {
    /// What bears on a request.
    type Asked;
    /// The restores there are, of each engine that answered.
    type Restores;
    /// What can be done.
    type Action: reconcile::Action;

    /// Looks at what bears on a request.
    fn observe(&self, request: AnyRequest, now: Timestamp) -> impl Future<Output = Result<Self::Asked>>;

    /// From a request to one action, or to a refusal. Pure.
    fn plan(asked: &Self::Asked, now: Timestamp) -> Result<Plan<Self::Action>>;

    /// The newest second to which it can be restored, where that is a matter of what there is. Pure.
    fn newest(asked: &Self::Asked) -> Option<Timestamp>;

    /// Looks at the restores there are.
    fn restores(&self, now: Timestamp) -> impl Future<Output = Self::Restores>;

    /// Whether ticks follow that restore; `None` if its engine did not answer. Pure.
    fn is_followed(restores: &Self::Restores, restore: &Restore) -> Option<bool>;

    /// What a tick does with them. Pure.
    fn follow(restores: &Self::Restores, now: Timestamp) -> Plan<Self::Action>;

    /// Carries out an action, which may have been carried out before.
    fn act(&self, action: &Self::Action, now: Timestamp) -> impl Future<Output = Result<Done>>;
}

/// The engines.
pub struct Databases<R, E, T> {
    /// RDS.
    pub rds: R,
    /// Redis and Valkey.
    pub redis: E,
    /// Turso.
    pub turso: T,
}

impl<R, E, T> Engines for Databases<R, E, T>
where
    R: Engine<Wish = rds::Overrides>,
    E: Engine<Wish = redis::Wish>,
    T: Engine<Wish = turso::Wish>,
{
    type Asked = Of<R::Asked, E::Asked, T::Asked>;
    type Restores = (Result<R::Restores>, Result<E::Restores>, Result<T::Restores>);
    type Action = Of<R::Action, E::Action, T::Action>;

    async fn observe(&self, request: AnyRequest, now: Timestamp) -> Result<Self::Asked> {
        Ok(match request {
            Of::Rds(request) => Of::Rds(self.rds.observe(request, now).await?),
            Of::Redis(request) => Of::Redis(self.redis.observe(request, now).await?),
            Of::Turso(request) => Of::Turso(self.turso.observe(request, now).await?),
        })
    }

    fn plan(asked: &Self::Asked, now: Timestamp) -> Result<Plan<Self::Action>> {
        match asked {
            Of::Rds(asked) => R::plan(asked, now).map(|plan| map(plan, Of::Rds)),
            Of::Redis(asked) => E::plan(asked, now).map(|plan| map(plan, Of::Redis)),
            Of::Turso(asked) => T::plan(asked, now).map(|plan| map(plan, Of::Turso)),
        }
    }

    fn newest(asked: &Self::Asked) -> Option<Timestamp> {
        match asked {
            Of::Rds(asked) => R::newest(asked),
            Of::Redis(asked) => E::newest(asked),
            Of::Turso(asked) => T::newest(asked),
        }
    }

    async fn restores(&self, now: Timestamp) -> Self::Restores {
        join!(self.rds.restores(now), self.redis.restores(now), self.turso.restores(now))
    }

    fn is_followed((rds, redis, turso): &Self::Restores, restore: &Restore) -> Option<bool> {
        let ids = match restore.resource.engine {
            domain::Engine::Rds | domain::Engine::Tidemark => rds.as_ref().map(R::ids),
            domain::Engine::Redis => redis.as_ref().map(E::ids),
            domain::Engine::Turso => turso.as_ref().map(T::ids),
        };
        Some(ids.ok()?.contains(&restore.id.as_str()))
    }

    fn follow((rds, redis, turso): &Self::Restores, now: Timestamp) -> Plan<Self::Action> {
        let rds = map(follow::<R>(rds, "rds", now), Of::Rds);
        let redis = map(follow::<E>(redis, "redis", now), Of::Redis);
        let turso = map(follow::<T>(turso, "turso", now), Of::Turso);
        join(join(rds, redis), turso)
    }

    async fn act(&self, action: &Self::Action, now: Timestamp) -> Result<Done> {
        match action {
            Of::Rds(action) => self.rds.act(action, now).await,
            Of::Redis(action) => self.redis.act(action, now).await,
            Of::Turso(action) => self.turso.act(action, now).await,
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
