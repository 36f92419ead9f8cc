//! What all actions and all work under way share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_query::{Clock, Fault, Pace, Tasks};

use crate::faults;
use crate::identifiers::ARNS;
use crate::postgres::{Clusters, Install};
use crate::state::{Data, Region, Snapshot};
use crate::{Error, EventSink, Keys, Options, Quotas, Speed};

/// The control plane behind [`crate::LocalRds`].
pub(crate) struct Plane {
    pub(crate) account: String,
    pub(crate) clusters: Clusters,
    pub(crate) pace: Pace<Speed>,
    pub(crate) tasks: Tasks,
    pub(crate) clock: Clock,
    keys: Arc<dyn Keys>,
    events: Arc<dyn EventSink>,
    state: Mutex<State>,
    numbers: AtomicU64,
}

struct State {
    regions: BTreeMap<String, Region>,
    quotas: Quotas,
}

impl Plane {
    pub(crate) async fn start(options: Options) -> Result<Arc<Self>, Error> {
        let install = Install::prepare(&options.postgres, &options.data, options.processes).await;
        let clusters = install.and_then(Clusters::new).map_err(|error| Error::Postgres(error.into()))?;
        Ok(Arc::new(Self {
            account: options.account,
            clusters,
            pace: Pace::new(options.speed),
            tasks: Tasks::default(),
            clock: Clock::default(),
            keys: options.keys,
            events: options.events,
            state: Mutex::new(State { regions: BTreeMap::new(), quotas: Quotas::default() }),
            numbers: AtomicU64::new(0),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at or changes one Region, then hands its events to the bus. Never within another such call.
    pub(crate) fn region<T>(&self, name: &str, work: impl FnOnce(&mut Region) -> T) -> T {
        let (result, outbox) = {
            let mut state = self.state();
            let region = state
                .regions
                .entry(name.to_owned())
                .or_insert_with(|| Region::new(name, &self.account, self.clock.clone()));
            let result = work(region);
            (result, std::mem::take(&mut region.outbox))
        };
        for event in outbox {
            self.events.emit(name, event);
        }
        result
    }

    pub(crate) fn region_names(&self) -> Vec<String> {
        self.state().regions.keys().cloned().collect()
    }

    pub(crate) fn quotas(&self) -> Quotas {
        self.state().quotas
    }

    pub(crate) fn set_quotas(&self, quotas: Quotas) {
        self.state().quotas = quotas;
    }

    /// A number that nothing else has.
    pub(crate) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether a snapshot is still there.
    pub(crate) fn exists(&self, region: &str, snapshot: &Snapshot) -> bool {
        self.region(region, |region| region.numbered(&snapshot.id, snapshot.number).is_some())
    }

    /// The ARN of the key that a request names, which must be enabled and of this Region.
    pub(crate) async fn key(&self, region: &str, key: &str) -> Result<String, Fault> {
        let refused = || {
            faults::key_not_accessible(format!(
                "The target KMS key [{key}] does not exist, is not enabled or you do not have permissions to access it."
            ))
        };
        if key == self.default_key_arn(region) {
            return Ok(key.to_owned());
        }
        let elsewhere = key
            .strip_prefix("arn:aws:kms:")
            .is_some_and(|rest| rest.split(':').next().is_some_and(|there| there != region));
        if elsewhere {
            return Err(refused());
        }
        match self.keys.describe(region, key).await {
            Some(found) if found.enabled => Ok(found.arn),
            _ => Err(refused()),
        }
    }

    /// The key that AWS keeps for RDS.
    pub(crate) async fn default_key(&self, region: &str) -> String {
        match self.keys.describe(region, "alias/aws/rds").await {
            Some(key) if key.enabled => key.arn,
            _ => self.default_key_arn(region),
        }
    }

    /// On AWS every account has that key from the first use on. A KMS that has none still gets one from us.
    fn default_key_arn(&self, region: &str) -> String {
        format!("arn:aws:kms:{region}:{}:key/72647300-6177-4000-8000-000000000000", self.account)
    }

    /// The ARN of an instance or snapshot.
    pub(crate) fn arn(&self, region: &str, kind: &str, name: &str) -> String {
        ARNS.text(region, &self.account, kind, name)
    }

    /// Ends all work, then all servers, then deletes what they left.
    pub(crate) async fn stop(&self) {
        self.tasks.stop().await;
        let regions = std::mem::take(&mut self.state().regions);
        let servers = regions.values().flat_map(|region| region.instances.values()).filter_map(|instance| {
            match &instance.data {
                Data::Real { cluster, .. } => Some(Arc::clone(cluster)),
                Data::None | Data::Simulated => None,
            }
        });
        futures::future::join_all(servers.map(|cluster| async move { cluster.server.stop().await })).await;
        // Their folders go with them: thousands of files.
        drop(tokio::task::spawn_blocking(move || drop(regions)).await);
        let data = self.clusters.install.data.path();
        if let Err(error) = tokio::fs::remove_dir_all(data).await {
            tracing::debug!(path = %data.display(), %error, "the data folder stays");
        }
    }
}
