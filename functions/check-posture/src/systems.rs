use alerts::Subscribers;
use kms::Kms;
use plans::Plans;
use rds::Rds;
use reconcile::{Documents, Ledger};
use redis::elasticache::ElastiCache;
use secrets::PlainSecrets;
use turso::{Connect, Token};
use vault::{Configuration, Store};

/// The outside systems that the function looks at, under one name: it looks at all of them, and changes none.
pub trait Systems {
    /// RDS.
    type Rds: Rds;
    /// KMS.
    type Kms: Kms;
    /// `ElastiCache`.
    type Caches: ElastiCache;
    /// Where the Turso token is.
    type Secrets: PlainSecrets;
    /// The way to Turso.
    type Connector: Connect<Turso: Token>;
    /// How buckets are set up.
    type Bucket: Configuration;
    /// What the vault holds.
    type Store: Store;
    /// What is recorded.
    type Ledger: Ledger;
    /// The backup plans.
    type Plans: Plans;
    /// Who hears alerts.
    type Subscribers: Subscribers;
    /// What functions remember.
    type Documents: Documents;
}

/// What is in one of the two Regions.
pub struct Place<W: Systems> {
    /// RDS.
    pub rds: W::Rds,
    /// KMS.
    pub kms: W::Kms,
    /// The ARN of the alias by which functions know the vault's key.
    pub key: String,
    /// The vault.
    pub vault: W::Bucket,
    /// The bucket through which `ElastiCache` hands snapshots over.
    pub exports: W::Bucket,
}

/// The Turso organization.
pub struct Organization<W: Systems> {
    /// The way to it.
    pub connector: W::Connector,
    /// Where the secret is.
    pub secrets: W::Secrets,
    /// The name or ARN of the secret with the token.
    pub secret: String,
}

/// The topics on which people are told, by ARN.
#[derive(Clone, Debug)]
pub struct Topics {
    /// What send-alert publishes to.
    pub alerts: String,
    /// What alarms about the telling itself go to.
    pub watch: String,
    /// The queue that the daily canary arrives in: nobody reads it.
    pub canary_queue: String,
}

/// The function, with the outside systems that it sees.
pub struct CheckPosture<W: Systems> {
    /// Where the databases are.
    pub home: Place<W>,
    /// Where the copies are.
    pub recovery: Place<W>,
    /// `ElastiCache`, at home.
    pub caches: W::Caches,
    /// The Turso organization, if there is one.
    pub organization: Option<Organization<W>>,
    /// The vault at home, with what was said of recovery points and retention plans.
    pub store: W::Store,
    /// What is recorded already.
    pub ledger: W::Ledger,
    /// The backup plans.
    pub plans: W::Plans,
    /// Who hears alerts.
    pub subscribers: W::Subscribers,
    /// On which topics.
    pub topics: Topics,
    /// What this function found when it last looked.
    pub documents: W::Documents,
}
