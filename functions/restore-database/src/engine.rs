//! What every engine answers, so that adding one is adding a module.

use std::future::Future;

use jiff::Timestamp;
use reconcile::{Done, Plan, Result};

use crate::request::{RestoreRequest, Wish};

/// The restores of one engine: a person's request, and those under way.
pub trait Engine {
    /// What a request may say of this engine alone.
    type Wish: Wish;
    /// What bears on a person's request.
    type Asked;
    /// The restores there are.
    type Restores;
    /// What it can do.
    type Action: reconcile::Action;

    /// Looks at what bears on a request.
    fn observe(
        &self,
        request: RestoreRequest<Self::Wish>,
        now: Timestamp,
    ) -> impl Future<Output = Result<Self::Asked>>;

    /// From a request to one action, or to a refusal that says what is possible instead. Pure.
    fn plan(asked: &Self::Asked, now: Timestamp) -> Result<Plan<Self::Action>>;

    /// Looks at the restores there are.
    fn restores(&self, now: Timestamp) -> impl Future<Output = Result<Self::Restores>>;

    /// What a tick does with them. Pure.
    fn follow(restores: &Self::Restores, now: Timestamp) -> Plan<Self::Action>;

    /// Carries out an action, which may have been carried out before.
    fn act(&self, action: &Self::Action, now: Timestamp) -> impl Future<Output = Result<Done>>;
}
