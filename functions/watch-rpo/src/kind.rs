//! What watch-rpo can find wrong. Each kind has its section in `docs/runbooks/alerts.md`.

/// The newest restorable second is older than the plan's objective.
pub const RPO_EXCEEDED: &str = "rpo-exceeded";
/// The instance has no automated backups, and so no point-in-time restore.
pub const AUTOMATED_BACKUPS_OFF: &str = "automated-backups-off";
/// Point-in-time restore reaches back less far than the plan keeps daily recovery points.
pub const RETENTION_TOO_SHORT: &str = "retention-too-short";
/// The instance is in a state in which RDS neither backs it up nor mends it.
pub const RESOURCE_UNHEALTHY: &str = "resource-unhealthy";
/// A slot has no completed recovery point, though its grace has passed.
pub const SLOT_MISSED: &str = "slot-missed";
/// A recovery point has no copy in the recovery Region, and none is under way.
pub const COPY_MISSING: &str = "copy-missing";
/// A recovery point's copy is still being made.
pub const COPY_BEHIND: &str = "copy-behind";
/// The newest recovery point holds far less than those before it.
pub const RECOVERY_POINT_SHRUNK: &str = "recovery-point-shrunk";
/// Automated backups that are replicated to the recovery Region lag.
pub const REPLICATION_BEHIND: &str = "replication-behind";
/// A database was protected and is not any more.
pub const PROTECTION_LOST: &str = "protection-lost";
/// RDS gave up on a snapshot, and none of its slot or a later one has completed yet.
pub const RECOVERY_POINT_FAILED: &str = "recovery-point-failed";
/// RDS gave up on a copy, and none of its slot or a later one has completed yet.
pub const COPY_FAILED: &str = "copy-failed";
/// Nothing: it shows once a day that findings become alerts.
pub const CANARY: &str = "canary";

/// Those that the recovery Region alone can show.
pub(crate) const SEEN_IN_COPIES: [&str; 4] = [COPY_FAILED, COPY_MISSING, COPY_BEHIND, REPLICATION_BEHIND];

/// Those that only a look at recovery points and replicated backups can find, or find no more.
pub(crate) const SEEN_IN_POINTS: [&str; 7] = [
    SLOT_MISSED,
    RECOVERY_POINT_FAILED,
    COPY_FAILED,
    COPY_MISSING,
    COPY_BEHIND,
    RECOVERY_POINT_SHRUNK,
    REPLICATION_BEHIND,
];
