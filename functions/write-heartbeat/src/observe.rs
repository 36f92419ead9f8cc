use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use domain::{Engine, PlanDocument, ResourceId};
use futures::{
    future::{OptionFuture, join_all},
    join,
};
use heartbeat::Keys;
use jiff::Timestamp;
use plans::Plans;
use rds::{Instance, Rds};
use reconcile::{Error, Result};
use redis::elasticache::{Cache, ElastiCache};

use crate::{
    memory::Found,
    systems::{Systems, WriteHeartbeat},
};

/// What is true now.
#[derive(Debug)]
pub struct Observed {
    pub(crate) plans: PlanDocument,
    /// The home Region's name.
    pub(crate) region: String,
    /// `None` if no secret is set up.
    pub(crate) keys: Option<Result<Rc<Keys>>>,
    /// Of each engine only what a plan names heartbeats of is looked at.
    pub(crate) instances: Result<Vec<Instance>>,
    pub(crate) caches: Result<Vec<Cache>>,
    /// Whether there is a Turso organization.
    pub(crate) has_turso: bool,
    /// What is remembered of each that is named.
    pub(crate) memories: BTreeMap<ResourceId, Result<Found>>,
}

/// Looks.
pub(crate) async fn observe<W: Systems>(function: &WriteHeartbeat<W>, now: Timestamp) -> Result<Observed> {
    let plans = function.plans.read().await?;
    let named: BTreeSet<ResourceId> = plans.iter().flat_map(|plan| plan.heartbeats.keys().cloned()).collect();
    let names = |engine: Engine| named.iter().any(|resource| resource.engine == engine);
    let is_any = !named.is_empty();
    let (keys, instances, caches, memories) = join!(
        OptionFuture::from(
            function.keys.as_deref().filter(|_| is_any).map(|secret| keys(function, secret, now))
        ),
        OptionFuture::from(names(Engine::Rds).then(|| function.home.instances())),
        OptionFuture::from(names(Engine::Redis).then(|| function.caches.caches())),
        join_all(named.iter().map(|resource| Found::read(&function.documents, resource, now))),
    );
    Ok(Observed {
        region: function.home.region().to_owned(),
        keys,
        instances: instances.unwrap_or_else(|| Ok(Vec::new())),
        caches: caches.unwrap_or_else(|| Ok(Vec::new())),
        has_turso: function.turso.is_some(),
        memories: named.into_iter().zip(memories).collect(),
        plans,
    })
}

/// Read anew each time: a row that another process signed with a newer key must not look forged.
async fn keys<W: Systems>(function: &WriteHeartbeat<W>, secret: &str, now: Timestamp) -> Result<Rc<Keys>> {
    let text = function.secrets.read(secret, now).await?;
    let keys = Keys::parse(&text).map_err(|error| {
        let said = format!("secret {secret} (TIDEMARK_HEARTBEAT_SECRET) has no keys");
        Error::misconfigured("HeartbeatKeysUnreadable", said).caused_by(error)
    });
    keys.map(Rc::new)
}
