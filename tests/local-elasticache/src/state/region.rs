//! One Region: Regions know nothing of each other.

use std::collections::BTreeMap;

use aws_query::Fault;

use super::{Cache, Form, Kind, Snapshot};
use crate::faults;
use crate::identifiers::ARNS;

/// What one Region holds, by name.
pub(crate) struct Region {
    pub(crate) name: String,
    pub(crate) account: String,
    pub(crate) caches: BTreeMap<(Kind, String), Cache>,
    pub(crate) snapshots: BTreeMap<(Form, String), Snapshot>,
}

impl Region {
    pub(crate) fn new(name: &str, account: &str) -> Self {
        Self {
            name: name.to_owned(),
            account: account.to_owned(),
            caches: BTreeMap::new(),
            snapshots: BTreeMap::new(),
        }
    }

    pub(crate) fn arn(&self, kind: &str, name: &str) -> String {
        ARNS.text(&self.name, &self.account, kind, name)
    }

    /// The caches of a kind, in order.
    pub(crate) fn caches(&self, kind: Kind) -> impl Iterator<Item = (&str, &Cache)> {
        let of_kind = self.caches.iter().filter(move |((its, _), _)| *its == kind);
        of_kind.map(|((_, name), cache)| (name.as_str(), cache))
    }

    /// The snapshots of a kind, in order.
    pub(crate) fn snapshots(&self, form: Form) -> impl Iterator<Item = (&str, &Snapshot)> {
        let of_form = self.snapshots.iter().filter(move |((its, _), _)| *its == form);
        of_form.map(|((_, name), snapshot)| (name.as_str(), snapshot))
    }

    /// The cache of a name.
    pub(crate) fn cache(&mut self, kind: Kind, name: &str) -> Result<&mut Cache, Fault> {
        self.caches.get_mut(&(kind, name.to_ascii_lowercase())).ok_or_else(|| match kind {
            Kind::Group => faults::group_not_found(format!("ReplicationGroup {name} not found.")),
            Kind::Cluster => faults::cluster_not_found(format!("CacheCluster {name} not found.")),
            Kind::Serverless => faults::serverless_not_found(format!("Serverless cache {name} not found.")),
        })
    }

    /// The cache that has a cache cluster of this name: one of its own, or a member of a replication group.
    pub(crate) fn with_cluster(&mut self, name: &str) -> Result<&mut Cache, Fault> {
        let wanted = name.to_ascii_lowercase();
        let found = self.caches.iter_mut().find(|((kind, _), cache)| {
            let traits = &cache.traits;
            let mut shards = traits.shards.iter();
            *kind != Kind::Serverless && shards.any(|shard| traits.members(shard).contains(&wanted))
        });
        let (_, cache) =
            found.ok_or_else(|| faults::cluster_not_found(format!("CacheCluster not found: {name}")))?;
        Ok(cache)
    }

    /// The snapshot of a name.
    pub(crate) fn snapshot(&mut self, form: Form, name: &str) -> Result<&mut Snapshot, Fault> {
        self.snapshots.get_mut(&(form, name.to_ascii_lowercase())).ok_or_else(|| match form {
            Form::Node => faults::snapshot_not_found(format!("{name} not found")),
            Form::Serverless => {
                faults::serverless_snapshot_not_found(format!("Serverless cache snapshot {name} not found."))
            }
        })
    }

    /// The cache that was created under this number, unless it is gone.
    pub(crate) fn numbered_cache(&mut self, number: u64) -> Option<&mut Cache> {
        self.caches.values_mut().find(|cache| cache.number == number)
    }

    /// The snapshot that was created under this number, unless it is gone.
    pub(crate) fn numbered_snapshot(&mut self, number: u64) -> Option<&mut Snapshot> {
        self.snapshots.values_mut().find(|snapshot| snapshot.number == number)
    }

    /// Nodes of all node-based caches.
    pub(crate) fn nodes(&self) -> usize {
        let nodes = self.caches.values().filter(|cache| cache.traits.kind != Kind::Serverless);
        nodes.map(|cache| cache.traits.nodes()).sum()
    }
}
