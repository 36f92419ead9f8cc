//! Names of things: identifiers as RDS allows them, ARNs, resource ids.

use aws_query::Fault;
use jiff::Timestamp;

/// The longest DB instance identifier (`CreateDBInstance`, API reference).
pub(crate) const INSTANCE: usize = 63;
/// The longest DB snapshot identifier (`CreateDBSnapshot`, API reference).
pub(crate) const SNAPSHOT: usize = 255;

/// Checks a new identifier, and lowercases it as RDS does: letters, digits and hyphens, a letter first, no hyphen last,
/// no two hyphens in a row.
pub(crate) fn identifier(parameter: &str, text: &str, longest: usize) -> Result<String, Fault> {
    let well_formed = text.len() <= longest
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        && !text.ends_with('-')
        && !text.contains("--");
    if well_formed {
        return Ok(text.to_ascii_lowercase());
    }
    Err(Fault::invalid_value(format!(
        "The parameter {parameter} is not a valid identifier. Identifiers must begin with a letter; must contain only \
         ASCII letters, digits, and hyphens; and must not end with a hyphen or contain two consecutive hyphens."
    )))
}

/// What an RDS ARN says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arn {
    pub(crate) region: String,
    pub(crate) account: String,
    /// `db`, `snapshot` or `auto-backup`.
    pub(crate) kind: String,
    /// The rest; an automated snapshot's has a colon of its own (`rds:…`).
    pub(crate) name: String,
}

impl Arn {
    /// Reads an ARN; nothing if `text` is none, or not of RDS.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(7, ':');
        if (parts.next()?, parts.next()?, parts.next()?) != ("arn", "aws", "rds") {
            return None;
        }
        let mut next = || parts.next().filter(|part| !part.is_empty()).map(str::to_owned);
        Some(Self { region: next()?, account: next()?, kind: next()?, name: next()? })
    }

    pub(crate) fn text(region: &str, account: &str, kind: &str, name: &str) -> String {
        format!("arn:aws:rds:{region}:{account}:{kind}:{name}")
    }
}

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
    fn identifiers_are_checked_as_rds_does() {
        let long = "a".repeat(64);
        for bad in ["", "1a", "-a", "a-", "a--b", "a_b", "a b", "ä", "rds:a", long.as_str()] {
            assert!(identifier("DBInstanceIdentifier", bad, INSTANCE).is_err(), "{bad}");
        }
        assert_eq!(identifier("DBInstanceIdentifier", "Orders-2", INSTANCE).unwrap(), "orders-2");
        assert!(identifier("DBSnapshotIdentifier", &long, SNAPSHOT).is_ok());
    }

    #[test]
    fn arns_are_read_with_colons_in_the_name() {
        let arn =
            Arn::parse("arn:aws:rds:eu-west-1:000000000000:snapshot:rds:orders-2026-01-01-00-00").unwrap();
        assert_eq!(arn.kind, "snapshot");
        assert_eq!(arn.name, "rds:orders-2026-01-01-00-00");
        assert_eq!(Arn::parse("arn:aws:s3:::bucket"), None);
        assert_eq!(Arn::parse("orders"), None);
    }

    #[test]
    fn automated_snapshots_are_named_by_the_minute() {
        let at = "2026-03-01T03:04:59Z".parse().unwrap();
        assert_eq!(automated_snapshot("orders", at), "rds:orders-2026-03-01-03-04");
        assert_eq!(resource_id().len(), 29);
    }
}
