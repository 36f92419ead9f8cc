//! What every engine answers, so that adding one is adding a module.

use std::future::Future;

use jiff::Timestamp;
use reconcile::{Decision, Done, Entry, Error, Plan, Result, Verdict};

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
    /// What it cannot do without, for whoever deploys it.
    const NEEDS: &'static str;

    /// Looks at what bears on a request.
    fn observe(
        &self,
        request: RestoreRequest<Self::Wish>,
        now: Timestamp,
    ) -> impl Future<Output = Result<Self::Asked>>;

    /// From a request to one action, or to a refusal that says what is possible instead. Pure.
    fn plan(asked: &Self::Asked, now: Timestamp) -> Result<Plan<Self::Action>>;

    /// The newest second to which it can be restored; `None` where that is no matter of what there is, as with branches, or where
    /// there are recovery points alone. Pure.
    fn newest(_asked: &Self::Asked) -> Option<Timestamp> {
        None
    }

    /// Looks at the restores there are.
    fn restores(&self, now: Timestamp) -> impl Future<Output = Result<Self::Restores>>;

    /// Their ids.
    fn ids(restores: &Self::Restores) -> Vec<&str>;

    /// What a tick does with them. Pure.
    fn follow(restores: &Self::Restores, now: Timestamp) -> Plan<Self::Action>;

    /// Carries out an action, which may have been carried out before.
    fn act(&self, action: &Self::Action, now: Timestamp) -> impl Future<Output = Result<Done>>;
}

/// An engine that a deployment may do without.
impl<E: Engine> Engine for Option<E> {
    type Wish = E::Wish;
    type Asked = E::Asked;
    type Restores = Option<E::Restores>;
    type Action = E::Action;
    const NEEDS: &'static str = E::NEEDS;

    async fn observe(&self, request: RestoreRequest<E::Wish>, now: Timestamp) -> Result<E::Asked> {
        configured(self.as_ref())?.observe(request, now).await
    }

    fn plan(asked: &E::Asked, now: Timestamp) -> Result<Plan<E::Action>> {
        E::plan(asked, now)
    }

    fn newest(asked: &E::Asked) -> Option<Timestamp> {
        E::newest(asked)
    }

    async fn restores(&self, now: Timestamp) -> Result<Option<E::Restores>> {
        match self {
            Some(engine) => engine.restores(now).await.map(Some),
            None => Ok(None),
        }
    }

    fn ids(restores: &Option<E::Restores>) -> Vec<&str> {
        restores.as_ref().map_or_else(Vec::new, E::ids)
    }

    fn follow(restores: &Option<E::Restores>, now: Timestamp) -> Plan<E::Action> {
        restores.as_ref().map_or_else(Plan::empty, |restores| E::follow(restores, now))
    }

    async fn act(&self, action: &E::Action, now: Timestamp) -> Result<Done> {
        configured(self.as_ref())?.act(action, now).await
    }
}

fn configured<E: Engine>(engine: Option<&E>) -> Result<&E> {
    engine.ok_or_else(|| {
        Error::misconfigured(
            "EngineNotConfigured",
            format!(
                "this deployment restores no {}: it needs {}; deploy it with them; nothing was done",
                E::Wish::ENGINE,
                E::NEEDS
            ),
        )
    })
}

/// Something of one of the three engines.
#[derive(Clone, Debug, PartialEq)]
pub enum Of<A, B, C> {
    /// RDS.
    Rds(A),
    /// Redis and Valkey.
    Redis(B),
    /// Turso.
    Turso(C),
}

impl<A: reconcile::Action, B: reconcile::Action, C: reconcile::Action> reconcile::Action for Of<A, B, C> {
    fn name(&self) -> &'static str {
        match self {
            Self::Rds(action) => action.name(),
            Self::Redis(action) => action.name(),
            Self::Turso(action) => action.name(),
        }
    }

    fn failure(&self, error: &Error, now: Timestamp) -> Option<Entry> {
        match self {
            Self::Rds(action) => action.failure(error, now),
            Self::Redis(action) => action.failure(error, now),
            Self::Turso(action) => action.failure(error, now),
        }
    }
}

/// The same plan, of actions that say of which engine they are.
pub(crate) fn map<A, B>(plan: Plan<A>, of: impl Fn(A) -> B) -> Plan<B> {
    let decision = |Decision { resource, verdict, reason }| {
        let verdict = match verdict {
            Verdict::Act(action) => Verdict::Act(of(action)),
            Verdict::Wait => Verdict::Wait,
            Verdict::Settled => Verdict::Settled,
            Verdict::Refuse(error) => Verdict::Refuse(error),
        };
        Decision { resource, verdict, reason }
    };
    Plan {
        decisions: plan.decisions.into_iter().map(decision).collect(),
        findings: plan.findings,
        standings: plan.standings,
        measured: plan.measured,
        incomplete: plan.incomplete,
        not_looked_for: plan.not_looked_for,
        not_looked_at: plan.not_looked_at,
    }
}

/// One plan after the other.
pub(crate) fn join<A>(mut plan: Plan<A>, next: Plan<A>) -> Plan<A> {
    plan.decisions.extend(next.decisions);
    plan.findings.extend(next.findings);
    plan.standings.extend(next.standings);
    plan.measured.extend(next.measured);
    plan.incomplete |= next.incomplete;
    plan.not_looked_for.extend(next.not_looked_for);
    plan.not_looked_at.extend(next.not_looked_at);
    plan
}
