use std::collections::BTreeSet;

use domain::{ResourceId, tag};
use futures::{join, try_join};
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use rds::{AutomatedBackup, Instance, Rds, Snapshot};
use reconcile::{EntryKey, Error, Ledger, Result};

use crate::request::{Ask, RestoreRequest};

/// The function, with the outside systems that it sees.
pub struct RestoreDatabase<R, L, S, P> {
    /// The Region of the databases.
    pub home: R,
    /// The Region of the copies.
    pub recovery: R,
    /// What is recorded already.
    pub ledger: L,
    /// The databases' credentials.
    pub secrets: S,
    /// For the first query.
    pub postgres: P,
}

/// What is true now.
#[derive(Debug)]
pub enum Observed {
    /// What bears on a person's request.
    Asked(Box<Asked>),
    /// The restores there are.
    Restores(Restores),
}

/// The restores there are.
#[derive(Debug)]
pub struct Restores {
    pub(crate) all: Vec<Restored>,
    /// What the ledger says of them.
    pub(crate) recorded: BTreeSet<EntryKey>,
    /// The Regions that did not answer.
    pub(crate) silent: Vec<(String, Error)>,
}

/// What bears on a person's request.
#[derive(Clone, Debug)]
pub struct Asked {
    pub(crate) request: RestoreRequest,
    /// The Region to restore in.
    pub(crate) region: String,
    pub(crate) home: String,
    /// The instance to be restored, if it still is there.
    pub(crate) source: Option<Instance>,
    /// The automated backups that the Region holds of it.
    pub(crate) automated_backups: Vec<AutomatedBackup>,
    /// The snapshots that the Region holds of it.
    pub(crate) snapshots: Vec<Snapshot>,
    /// What already bears the new name.
    pub(crate) bearer: Option<Instance>,
}

impl Asked {
    /// Whether that is the database that bears the name now.
    pub(crate) fn is_living(&self, incarnation: &str) -> bool {
        self.source.as_ref().is_some_and(|source| source.incarnation == incarnation)
    }

    /// Leaves aside what another database of the same name left in the other Region.
    fn without_strangers(mut self) -> Self {
        if self.region != self.home {
            let (resource, home) = (self.request.resource.to_string(), self.home.clone());
            let living = self.source.as_ref().map(|source| source.incarnation.clone());
            self.automated_backups.retain(|backup| backup.source_region == home);
            self.snapshots.retain(|snapshot| {
                snapshot.tags.get(tag::RESOURCE) == Some(&resource)
                    || Some(&snapshot.incarnation) == living.as_ref()
            });
        }
        self
    }
}

/// An instance that a restore made.
#[derive(Clone, Debug, PartialEq)]
pub struct Restored {
    /// The restore's id.
    pub(crate) id: String,
    pub(crate) resource: ResourceId,
    pub(crate) requested_at: Timestamp,
    pub(crate) region: String,
    pub(crate) instance: Instance,
}

impl Restored {
    /// Reads the tags; `None` for an instance that no restore made.
    pub(crate) fn of(instance: &Instance, region: &str) -> Option<Self> {
        let tag = |key: &str| instance.tags.get(key).map(String::as_str);
        Some(Self {
            id: tag(tag::RESTORE)?.to_owned(),
            resource: ResourceId::rds(tag(tag::RESOURCE)?.strip_prefix("rds/")?),
            requested_at: tag(tag::REQUESTED_AT)?.parse().ok()?,
            region: region.to_owned(),
            instance: instance.clone(),
        })
    }

    /// The day under which the ledger files it.
    pub(crate) fn day(&self) -> Date {
        self.requested_at.to_zoned(TimeZone::UTC).date()
    }
}

/// How long a restored instance is looked up in the ledger. By then its restore is over, or was given up.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What bears on a request, or the restores under way.
pub(crate) async fn observe<R: Rds, L: Ledger, S, P>(
    function: &RestoreDatabase<R, L, S, P>,
    ask: Ask,
    now: Timestamp,
) -> Result<Observed> {
    match ask {
        Ask::Restore(request) => function.observe_request(*request).await,
        Ask::Follow => function.observe_restores(now).await,
    }
}

impl<R: Rds, L: Ledger, S, P> RestoreDatabase<R, L, S, P> {
    /// The Region of that name.
    pub(crate) fn region(&self, name: &str) -> Result<&R> {
        [&self.home, &self.recovery].into_iter().find(|rds| rds.region() == name).ok_or_else(|| {
            let (home, recovery) = (self.home.region(), self.recovery.region());
            Error::misconfigured(
                "RegionUnknown",
                format!("\"region\" is {name:?}: this deployment restores in {home} or in {recovery}; nothing was done"),
            )
        })
    }

    async fn observe_request(&self, request: RestoreRequest) -> Result<Observed> {
        let home = self.home.region().to_owned();
        let region = request.region.clone().unwrap_or_else(|| home.clone());
        let rds = self.region(&region)?;
        let name = request.resource.name.as_str();
        let (automated_backups, snapshots, bearer) =
            try_join!(rds.automated_backups_of(name), rds.snapshots_of(name), rds.instance(&request.name))?;
        let source = match self.home.instance(name).await {
            // When the home Region does not answer, that is likely why someone restores in the other one.
            Err(error) if region != home => {
                tracing::warn!(
                    error.code = error.code(),
                    "the source's settings are unknown: {}",
                    error.report()
                );
                None
            }
            found => found?,
        };
        let asked = Asked { request, region, home, source, automated_backups, snapshots, bearer };
        Ok(Observed::Asked(Box::new(asked.without_strangers())))
    }

    async fn observe_restores(&self, now: Timestamp) -> Result<Observed> {
        let (home, recovery) = join!(self.home.instances(), self.recovery.instances());
        let (mut restores, mut silent) = (Vec::new(), Vec::new());
        for (region, instances) in [(self.home.region(), home), (self.recovery.region(), recovery)] {
            match instances {
                Ok(instances) => {
                    restores.extend(instances.iter().filter_map(|instance| Restored::of(instance, region)));
                }
                // The other Region's restores go on all the same: this may be the disaster they are for.
                Err(error) => silent.push((region.to_owned(), error)),
            }
        }
        restores.retain(|restored| now.duration_since(restored.requested_at) < REMEMBERED);
        let recorded = self.ledger.keys(&restores.iter().map(Restored::day).collect()).await?;
        Ok(Observed::Restores(Restores { all: restores, recorded, silent }))
    }
}
