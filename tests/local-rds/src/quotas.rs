//! Quotas of the account, each per Region.

/// How much of everything there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quotas {
    /// DB instances.
    pub instances: usize,
    /// Manual DB snapshots, copies included.
    pub manual_snapshots: usize,
    /// Copies under way from other Regions.
    pub cross_region_copies: usize,
    /// Automated backups replicated from other Regions.
    pub replicated_backups: usize,
}

impl Default for Quotas {
    /// What AWS gives a new account (RDS User Guide, "Quotas and constraints for Amazon RDS").
    fn default() -> Self {
        Self { instances: 40, manual_snapshots: 100, cross_region_copies: 20, replicated_backups: 20 }
    }
}
