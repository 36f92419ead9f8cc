//! Names of things: identifiers as RDS and ElastiCache allow them, and ARNs.

use crate::Fault;

/// Checks a new identifier of at most `longest` bytes, and lowercases it as AWS does: letters, digits and hyphens, a
/// letter first, no hyphen last, no two hyphens in a row.
pub fn identifier(parameter: &str, text: &str, longest: usize) -> Result<String, Fault> {
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

/// What an ARN with a kind says: `arn:aws:SERVICE:REGION:ACCOUNT:KIND:NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arn {
    /// The Region.
    pub region: String,
    /// The account.
    pub account: String,
    /// Such as `snapshot`.
    pub kind: String,
    /// The rest, which may have colons of its own.
    pub name: String,
}

/// The ARNs of one service.
#[derive(Clone, Copy, Debug)]
pub struct Arns {
    /// As it stands in them: `rds`.
    pub service: &'static str,
}

impl Arns {
    /// Reads an ARN; nothing if `text` is none, or not of this service.
    pub fn parse(&self, text: &str) -> Option<Arn> {
        let mut parts = text.splitn(7, ':');
        if (parts.next()?, parts.next()?, parts.next()?) != ("arn", "aws", self.service) {
            return None;
        }
        let mut next = || parts.next().filter(|part| !part.is_empty()).map(str::to_owned);
        Some(Arn { region: next()?, account: next()?, kind: next()?, name: next()? })
    }

    /// The ARN of a thing of this service.
    pub fn text(&self, region: &str, account: &str, kind: &str, name: &str) -> String {
        format!("arn:aws:{}:{region}:{account}:{kind}:{name}", self.service)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RDS: Arns = Arns { service: "rds" };

    #[test]
    fn identifiers_are_checked_as_aws_does() {
        let long = "a".repeat(41);
        for bad in ["", "1a", "-a", "a-", "a--b", "a_b", "a b", "ä", "rds:a", "automatic.a", long.as_str()] {
            let fault = identifier("DBInstanceIdentifier", bad, 40).unwrap_err();
            assert_eq!(fault.code, "InvalidParameterValue", "{bad}");
        }
        assert_eq!(identifier("DBInstanceIdentifier", "Orders-2", 40).unwrap(), "orders-2");
        assert!(identifier("DBSnapshotIdentifier", &long, 41).is_ok());
    }

    #[test]
    fn arns_are_read_with_colons_in_the_name() {
        let text = RDS.text("eu-west-1", "000000000000", "snapshot", "rds:orders-2026-01-01-00-00");
        assert_eq!(text, "arn:aws:rds:eu-west-1:000000000000:snapshot:rds:orders-2026-01-01-00-00");
        let arn = RDS.parse(&text).unwrap();
        assert_eq!((arn.region.as_str(), arn.account.as_str()), ("eu-west-1", "000000000000"));
        assert_eq!((arn.kind.as_str(), arn.name.as_str()), ("snapshot", "rds:orders-2026-01-01-00-00"));
        for bad in ["arn:aws:s3:::bucket", "orders", "arn:aws:rds:eu-west-1:000000000000:db:"] {
            assert_eq!(RDS.parse(bad), None, "{bad}");
        }
        assert_eq!(Arns { service: "elasticache" }.parse(&text), None);
    }
}
