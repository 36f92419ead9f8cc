use std::collections::BTreeSet;

use domain::{ResourceId, tag};
use futures::{join, try_join};
use jiff::Timestamp;
use rds::{AutomatedBackup, Instance, Rds, Snapshot};
use reconcile::{EntryKey, Error, Ledger, Result};
use serde_json::Value;

use super::Overrides;
use crate::{
    request::RestoreRequest,
    restore::{Part, Restore},
};

/// RDS, with the outside systems that its restores see.
pub struct RdsRestores<R, L, S, P> {
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
    pub(crate) request: RestoreRequest<Overrides>,
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
    pub(crate) restore: Restore,
    pub(crate) instance: Instance,
}

impl Restored {
    /// Reads the tags; `None` for an instance that no restore made.
    pub(crate) fn of(instance: &Instance, region: &str) -> Option<Self> {
        let tag = |key: &str| instance.tags.get(key).map(String::as_str);
        let requested_at = tag(tag::REQUESTED_AT)?.parse().ok()?;
        let part = |restore: &str| {
            let (restore, set) = (restore.to_owned(), tag(tag::SET)?.to_owned());
            Some(Part { restore, set, instant: tag(tag::RESTORED_TO)?.parse().ok()?, requested_at })
        };
        let restore = Restore {
            id: tag(tag::RESTORE)?.to_owned(),
            resource: ResourceId::rds(tag(tag::RESOURCE)?.strip_prefix("rds/")?),
            requested_at,
            region: region.to_owned(),
            set: tag(tag::SET_RESTORE).and_then(part),
        };
        Some(Self { restore, instance: instance.clone() })
    }

    /// As of when it is, and how many seconds before the instant are not in it, if a set's instant was before the PITR window.
    pub(crate) fn lost(&self) -> Vec<(&'static str, Value)> {
        let instant = |key: &str| self.instance.tags.get(key)?.parse::<Timestamp>().ok();
        let (Some(as_of), Some(wanted)) = (instant(tag::AS_OF), instant(tag::RESTORED_TO)) else {
            return Vec::new();
        };
        let missing = wanted.duration_since(as_of).as_secs().max(0);
        vec![("as_of", as_of.to_string().into()), ("missing_seconds", missing.into())]
    }
}

impl<R: Rds, L: Ledger, S, P> RdsRestores<R, L, S, P> {
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

    pub(crate) async fn observe_request(&self, request: RestoreRequest<Overrides>) -> Result<Asked> {
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
        Ok(asked.without_strangers())
    }

    pub(crate) async fn observe_restores(&self, now: Timestamp) -> Result<Restores> {
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
        restores.retain(|restored| restored.restore.is_remembered(now));
        let days = restores.iter().map(|restored| restored.restore.day()).collect();
        let recorded = self.ledger.keys(&days).await?;
        Ok(Restores { all: restores, recorded, silent })
    }
}
