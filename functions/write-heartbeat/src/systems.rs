use plans::Plans;
use postgres::heartbeats::Tables;
use rds::Rds;
use reconcile::Documents;
use redis::{elasticache::ElastiCache, server::Servers};
use secrets::PlainSecrets;
use turso::Connect;

use crate::Known;

/// The outside systems of the function, under one name.
pub trait Systems {
    /// Where instances are.
    type Rds: Rds;
    /// Where caches are.
    type Caches: ElastiCache;
    /// The instances' tables of heartbeats.
    type Tables: Tables;
    /// The caches themselves.
    type Servers: Servers;
    /// The way to Turso's databases.
    type Connector: Connect;
    /// The keys, and the credentials of each database.
    type Secrets: PlainSecrets;
    /// The backup plans.
    type Plans: Plans;
    /// What functions remember.
    type Documents: Documents;
}

/// The function, with the outside systems that it sees.
pub struct WriteHeartbeat<W: Systems> {
    /// The Region of the databases.
    pub home: W::Rds,
    /// `ElastiCache`, at home.
    pub caches: W::Caches,
    /// The instances' tables of heartbeats.
    pub tables: W::Tables,
    /// The caches themselves.
    pub servers: W::Servers,
    /// The way to the databases of the Turso organization, if there is one: each is asked with the token in its own secret.
    pub turso: Option<W::Connector>,
    /// Where the secrets are.
    pub secrets: Known<W::Secrets>,
    /// The name or ARN of the secret with the keys, if anybody wants heartbeats.
    pub keys: Option<String>,
    /// The backup plans.
    pub plans: W::Plans,
    /// What it found, and the newest heartbeats that it wrote.
    pub documents: W::Documents,
}
