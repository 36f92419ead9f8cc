//! What all actions and all work under way share.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_query::{Clock, Fault, Keys, Pace, Tasks};

use crate::state::{Data, Region};
use crate::steering::Damage;
use crate::valkey::Install;
use crate::{Error, Objects, Options, Quotas, Speed};

/// The control plane behind [`crate::LocalElastiCache`].
pub(crate) struct Plane {
    pub(crate) account: String,
    pub(crate) install: Install,
    pub(crate) pace: Pace<Speed>,
    pub(crate) tasks: Tasks,
    pub(crate) clock: Clock,
    pub(crate) objects: Arc<dyn Objects>,
    keys: Arc<dyn Keys>,
    state: Mutex<State>,
    numbers: AtomicU64,
}

struct State {
    regions: BTreeMap<String, Region>,
    quotas: Quotas,
    /// For the next exports, one each.
    damage: VecDeque<Damage>,
    /// The caches whose next snapshot fails.
    failing: Vec<(String, String)>,
}

impl Plane {
    pub(crate) async fn start(options: Options) -> Result<Arc<Self>, Error> {
        let install = Install::prepare(&options.valkey, &options.data, options.processes).await;
        let install = install.map_err(|error| Error::Valkey(error.into()))?;
        let state = State {
            regions: BTreeMap::new(),
            quotas: Quotas::default(),
            damage: VecDeque::new(),
            failing: Vec::new(),
        };
        Ok(Arc::new(Self {
            account: options.account,
            install,
            pace: Pace::new(options.speed),
            tasks: Tasks::default(),
            clock: Clock::default(),
            objects: options.objects,
            keys: options.keys,
            state: Mutex::new(state),
            numbers: AtomicU64::new(0),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at or changes one Region. Never within another such call.
    pub(crate) fn region<T>(&self, name: &str, work: impl FnOnce(&mut Region) -> T) -> T {
        let mut state = self.state();
        let region = state.regions.entry(name.to_owned());
        work(region.or_insert_with(|| Region::new(name, &self.account)))
    }

    pub(crate) fn quotas(&self) -> Quotas {
        self.state().quotas
    }

    pub(crate) fn set_quotas(&self, quotas: Quotas) {
        self.state().quotas = quotas;
    }

    pub(crate) fn damage_next_export(&self, damage: Damage) {
        self.state().damage.push_back(damage);
    }

    pub(crate) fn next_damage(&self) -> Option<Damage> {
        self.state().damage.pop_front()
    }

    pub(crate) fn fail_next_snapshot(&self, region: &str, cache: &str) {
        self.state().failing.push((region.to_owned(), cache.to_owned()));
    }

    /// Whether the snapshot of a cache that begins now is to fail.
    pub(crate) fn fails(&self, region: &str, cache: &str) -> bool {
        let failing = &mut self.state().failing;
        let found = failing.iter().position(|(there, name)| there == region && name == cache);
        found.map(|at| failing.remove(at)).is_some()
    }

    /// A number that nothing else has.
    pub(crate) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// The ARN of the key that a request names, if it names one, which must be enabled and of this Region.
    pub(crate) async fn key(&self, region: &str, key: Option<&str>) -> Result<Option<String>, Fault> {
        let Some(key) = key else { return Ok(None) };
        let refused = || {
            Fault::invalid_value(format!(
                "The KMS key {key} does not exist, is not enabled or you do not have permissions to access it."
            ))
        };
        let there = key.strip_prefix("arn:aws:kms:").and_then(|rest| rest.split(':').next());
        if there.is_some_and(|there| there != region) {
            return Err(refused());
        }
        match self.keys.describe(region, key).await {
            Some(found) if found.enabled => Ok(Some(found.arn)),
            _ => Err(refused()),
        }
    }

    /// Ends all work, then all servers, then deletes what they left.
    pub(crate) async fn stop(&self) {
        self.tasks.stop().await;
        let regions = std::mem::take(&mut self.state().regions);
        let fleets = regions.values().flat_map(|region| region.caches.values()).filter_map(|cache| {
            match &cache.data {
                Data::Real(fleet) => Some(Arc::clone(fleet)),
                Data::None | Data::Simulated => None,
            }
        });
        futures::future::join_all(fleets.map(|fleet| async move { fleet.stop().await })).await;
        drop(regions);
        self.install.clear();
    }
}
