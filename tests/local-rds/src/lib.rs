//! An RDS control plane over real `PostgreSQL`.
//!
//! It answers the RDS Query protocol as AWS does (asynchronous states, validation, pagination, quotas, key rules,
//! events), and behind it the data is real: an instance is a `postgres` process, a snapshot a base backup, a
//! point-in-time restore a recovery from archived WAL to `recovery_target_time`.
//!
//! An instance with the tag `local-cloud:data=simulated` has no server and its snapshots no bytes; all else about it is
//! the same. Clients of a real one use TLS ([`LocalRds::ca_certificate`]), as with `rds.force_ssl`.

mod actions;
mod documents;
mod events;
mod faults;
mod identifiers;
mod outside;
mod plane;
mod postgres;
mod quotas;
mod seed;
mod speed;
mod state;
mod steering;
mod work;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use aws_query::{Alone, Key, Keys, Processes, Response};
pub use outside::{Event, EventSink};
pub use quotas::Quotas;
pub use seed::{Seed, SeedReplica, SeedSnapshot};
pub use speed::Speed;

/// Between two looks at whether an automated snapshot is due.
const MAINTENANCE: Duration = Duration::from_secs(30);

/// What the control plane is started with.
#[derive(Clone)]
pub struct Options {
    /// The AWS account: 12 digits.
    pub account: String,
    /// The folder for servers, backups and archives. Made if absent. What we put there goes with [`LocalRds::stop`].
    ///
    /// As root, `PostgreSQL` runs as another user; if that one cannot get here, the system's temporary folder is used.
    pub data: PathBuf,
    /// The `PostgreSQL` install: the folder with `bin/`.
    pub postgres: PathBuf,
    /// The least time of each transition.
    pub speed: Speed,
    /// Where KMS keys are looked up.
    pub keys: Arc<dyn Keys>,
    /// Where lifecycle events go.
    pub events: Arc<dyn EventSink>,
    /// The crash guard.
    pub processes: Arc<dyn Processes>,
}

/// Why the control plane cannot do what was asked of it outside the API.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The account is not 12 digits.
    #[error("{0:?} is not an AWS account number (12 digits)")]
    Account(String),
    /// `PostgreSQL` cannot be used.
    #[error("cannot use PostgreSQL")]
    Postgres(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// There is no such instance, or nothing of the kind asked for behind it.
    #[error("{0} is no instance, or not one with automated backups")]
    Instance(String),
    /// There is no such snapshot.
    #[error("there is no snapshot {0}")]
    Snapshot(String),
    /// It does not stand in the snapshot.
    #[error("{text:?} does not stand in the snapshot {snapshot}")]
    Text {
        /// The snapshot.
        snapshot: String,
        /// What was looked for.
        text: String,
    },
    /// RDS has no such status of an instance.
    #[error("{0:?} is not a status of a DB instance")]
    Status(String),
    /// An identifier that RDS would refuse.
    #[error("{0:?} is not an identifier of a DB instance")]
    Identifier(String),
}

/// The control plane. Clones share one state.
#[derive(Clone)]
pub struct LocalRds {
    plane: Arc<plane::Plane>,
}

impl LocalRds {
    /// Starts with no instances.
    pub async fn start(options: Options) -> Result<Self, Error> {
        if options.account.len() != 12 || !options.account.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Error::Account(options.account));
        }
        let plane = plane::Plane::start(options).await?;
        let shared = Arc::clone(&plane);
        plane.tasks.spawn(async move {
            loop {
                tokio::time::sleep(MAINTENANCE).await;
                work::maintain(&shared, shared.clock.now());
            }
        });
        Ok(Self { plane })
    }

    /// Answers one request: `body` is `application/x-www-form-urlencoded`.
    pub async fn handle(&self, region: &str, body: &[u8]) -> Response {
        actions::answer(Arc::clone(&self.plane), region, body).await
    }

    /// Changes the speed, also of transitions under way.
    pub fn set_speed(&self, speed: Speed) {
        self.plane.pace.set(speed);
    }

    /// The quotas, AWS's defaults at first.
    pub fn quotas(&self) -> Quotas {
        self.plane.quotas()
    }

    /// Changes the quotas.
    pub fn set_quotas(&self, quotas: Quotas) {
        self.plane.set_quotas(quotas);
    }

    /// Adds simulated instances and snapshots to a Region at once: no waiting, no quotas, no events.
    pub fn seed(&self, region: &str, seeds: impl IntoIterator<Item = Seed>) -> Result<(), Error> {
        let mut replicas = Vec::new();
        self.plane.region(region, |region| {
            seeds.into_iter().try_for_each(|seed| {
                let id = seed.identifier.clone();
                replicas.extend(seed::plant(&self.plane, region, seed).ok_or(Error::Identifier(id))?);
                Ok(())
            })
        })?;
        for (region, replica) in replicas {
            self.plane.region(&region, |region| region.backups.insert(replica.id.clone(), replica));
        }
        Ok(())
    }

    /// Archives all that is committed in an instance, and waits until point-in-time restores can have it.
    pub async fn archive_now(&self, region: &str, instance: &str) -> Result<(), Error> {
        let archiver = self.plane.region(region, |region| region.instance(instance).ok()?.data.archiver());
        let archiver = archiver.ok_or_else(|| Error::Instance(instance.to_owned()))?;
        archiver.now().await.map_err(|error| Error::Postgres(error.into()))
    }

    /// Takes an automated snapshot of an instance, as the backup window does every day, and waits for it.
    pub async fn automated_backup_now(&self, region: &str, instance: &str) -> Result<(), Error> {
        let resource_id = self.plane.region(region, |region| {
            let found = region.instance(instance).ok().filter(|found| found.traits.retention_days > 0);
            found.map(|found| found.traits.resource_id.clone())
        });
        let resource_id = resource_id.ok_or_else(|| Error::Instance(instance.to_owned()))?;
        work::automated_backup(&self.plane, region, &resource_id).await;
        Ok(())
    }

    /// Stops every server (fast shutdown, then kill) and deletes the data. Nothing can be started afterwards.
    pub async fn stop(&self) {
        self.plane.stop().await;
    }

    /// The PEM file of the authority that signed every server's certificate, for `sslmode=verify-full`.
    pub fn ca_certificate(&self) -> PathBuf {
        self.plane.clusters.authority.ca.clone()
    }
}
