//! Quotas of the account, each per Region.

/// How much of everything there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quotas {
    /// Manual snapshots of one node-based cache within 24 hours. Deleting one gives nothing back.
    pub snapshots_per_node_per_day: usize,
    /// Manual snapshots of one serverless cache within 24 hours.
    pub snapshots_per_serverless_cache_per_day: usize,
    /// Serverless caches.
    pub serverless_caches: usize,
    /// Nodes of all node-based caches.
    pub nodes: usize,
    /// Shards of one replication group.
    pub shards_per_group: usize,
}

impl Default for Quotas {
    /// What AWS gives a new account (ElastiCache User Guide, "Quotas for ElastiCache").
    fn default() -> Self {
        Self {
            snapshots_per_node_per_day: 20,
            snapshots_per_serverless_cache_per_day: 24,
            serverless_caches: 40,
            nodes: 300,
            shards_per_group: 90,
        }
    }
}
