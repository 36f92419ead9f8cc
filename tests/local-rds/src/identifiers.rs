//! Names of things: how long identifiers may be, ARNs, resource ids.

use aws_query::Arns;
use jiff::Timestamp;

/// The longest DB instance identifier (`CreateDBInstance`, API reference).
pub(crate) const INSTANCE: usize = 63;
/// The longest DB snapshot identifier (`CreateDBSnapshot`, API reference).
pub(crate) const SNAPSHOT: usize = 255;

/// Kinds are `db`, `snapshot` and `auto-backup`; the name of an automated snapshot has a colon of its own (`rds:…`).
pub(crate) const ARNS: Arns = Arns { service: "rds" };

/// `db-` and 26 letters and digits: what a DB instance keeps when it is renamed.
pub(crate) fn resource_id() -> String {
    format!("db-{}", random_name(26))
}

/// `ab-` and as many: an automated backup's name in its ARN.
pub(crate) fn backup_id() -> String {
    format!("ab-{}", random_name(26).to_ascii_lowercase())
}

/// The identifier of the automated snapshot taken of an instance at a time.
pub(crate) fn automated_snapshot(instance: &str, at: Timestamp) -> String {
    format!("rds:{instance}-{}", at.strftime("%Y-%m-%d-%H-%M"))
}

fn random_name(length: usize) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    (0..length).map(|_| char::from(ALPHABET[fastrand::usize(..ALPHABET.len())])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn automated_snapshots_are_named_by_the_minute() {
        let at = "2026-03-01T03:04:59Z".parse().unwrap();
        assert_eq!(automated_snapshot("orders", at), "rds:orders-2026-03-01-03-04");
        assert_eq!(resource_id().len(), 29);
    }
}
