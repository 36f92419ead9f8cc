//! What can be wrong: the findings' kinds, each with its section in `docs/runbooks/alerts.md`.

/// An instance has no automated backups. watch-rpo tells of it, each minute.
pub(crate) const AUTOMATED_BACKUPS_OFF: &str = "automated-backups-off";
/// Automated backups do not reach back as far as the plan's daily tier. watch-rpo tells of it, too.
pub(crate) const RETENTION_TOO_SHORT: &str = "retention-too-short";
/// A database can be deleted with one call.
pub(crate) const DELETION_PROTECTION_OFF: &str = "deletion-protection-off";
/// What encrypts an instance's snapshots is of no use to another account.
pub(crate) const DEFAULT_KEY: &str = "default-key";
/// A key is gone, cannot be used, or soon will be.
pub(crate) const KEY_UNUSABLE: &str = "key-unusable";
/// A Region has no room for the manual snapshots that the plans ask for.
pub(crate) const SNAPSHOT_QUOTA: &str = "snapshot-quota";
/// More copies fall due at once than are made in time.
pub(crate) const COPIES_AT_ONCE: &str = "copies-at-once";
/// A plan asks for more snapshots of a cache than a day has.
pub(crate) const CACHE_SNAPSHOT_QUOTA: &str = "cache-snapshot-quota";
/// What is deleted from a vault is gone.
pub(crate) const VERSIONING_OFF: &str = "versioning-off";
/// What is new in a vault is not locked.
pub(crate) const LOCK_OFF: &str = "lock-off";
/// A vault's lock and what the plans keep do not agree.
pub(crate) const LOCK_CONTRADICTS_PLAN: &str = "lock-contradicts-plan";
/// The vault, or part of it, is not replicated.
pub(crate) const REPLICATION_INCOMPLETE: &str = "replication-incomplete";
/// A bucket could be opened to the public.
pub(crate) const PUBLIC_ACCESS_OPEN: &str = "public-access-open";
/// A bucket encrypts with something else than what those who read it may use.
pub(crate) const ENCRYPTION_DIFFERS: &str = "encryption-differs";
/// `ElastiCache` cannot hand snapshots over.
pub(crate) const EXPORT_CLOSED: &str = "export-closed";
/// Turso soon takes the token no more.
pub(crate) const TOKEN_EXPIRES: &str = "token-expires";
/// The token opens other organizations.
pub(crate) const TOKEN_REACHES_BEYOND: &str = "token-reaches-beyond";
/// Turso's own point-in-time restore does not reach back as far as it should.
pub(crate) const PITR_WINDOW_TOO_SHORT: &str = "pitr-window-too-short";
/// Nobody said whether a database is to be protected.
pub(crate) const UNPROTECTED: &str = "unprotected";
/// A plan protects nothing.
pub(crate) const PLAN_WITHOUT_DATABASES: &str = "plan-without-databases";
/// No drill has passed for so long that nobody knows whether it can be restored.
pub(crate) const DRILL_OVERDUE: &str = "drill-overdue";
/// Nobody hears alerts.
pub(crate) const NO_SUBSCRIBER: &str = "no-subscriber";
