//! Names of things: identifiers as ElastiCache allows them, and ARNs.

use aws_query::Fault;

/// The longest id of a replication group and of a serverless cache (`CreateReplicationGroup`, API reference).
pub(crate) const GROUP: usize = 40;
/// The longest id of a cache cluster (`CreateCacheCluster`, API reference).
pub(crate) const CLUSTER: usize = 50;
/// The longest name of a snapshot (`CreateServerlessCacheSnapshot`, API reference).
pub(crate) const SNAPSHOT: usize = 255;

/// Checks a new identifier, and lowercases it as ElastiCache does: letters, digits and hyphens, a letter first, no
/// hyphen last, no two hyphens in a row.
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

/// What the ARN of a thing of ElastiCache says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arn {
    pub(crate) region: String,
    pub(crate) account: String,
    /// `replicationgroup`, `cluster`, `snapshot`, `serverlesscache` or `serverlesscachesnapshot`.
    pub(crate) kind: String,
    pub(crate) name: String,
}

impl Arn {
    /// Reads an ARN; nothing if `text` is none, or not of ElastiCache.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(7, ':');
        if (parts.next()?, parts.next()?, parts.next()?) != ("arn", "aws", "elasticache") {
            return None;
        }
        let mut next = || parts.next().filter(|part| !part.is_empty()).map(str::to_owned);
        Some(Self { region: next()?, account: next()?, kind: next()?, name: next()? })
    }

    pub(crate) fn text(region: &str, account: &str, kind: &str, name: &str) -> String {
        format!("arn:aws:elasticache:{region}:{account}:{kind}:{name}")
    }
}

/// An object that an S3 ARN names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ObjectArn {
    pub(crate) bucket: String,
    pub(crate) key: String,
}

impl ObjectArn {
    /// Reads `arn:aws:s3:::BUCKET/KEY`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (bucket, key) = text.strip_prefix("arn:aws:s3:::")?.split_once('/')?;
        // The object name cannot contain commas (`CreateReplicationGroup`, API reference).
        let well_formed = !bucket.is_empty() && !key.is_empty() && !key.contains(',');
        well_formed.then(|| Self { bucket: bucket.to_owned(), key: key.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_checked_as_elasticache_does() {
        let long = "a".repeat(41);
        for bad in ["", "1a", "-a", "a-", "a--b", "a_b", "automatic.a", "ä", long.as_str()] {
            assert!(identifier("ReplicationGroupId", bad, GROUP).is_err(), "{bad}");
        }
        assert_eq!(identifier("ReplicationGroupId", "Sessions-2", GROUP).unwrap(), "sessions-2");
    }

    #[test]
    fn arns_are_read() {
        let text = Arn::text("eu-west-1", "000000000000", "snapshot", "automatic.a-2026-01-01-00-00");
        let arn = Arn::parse(&text).unwrap();
        assert_eq!((arn.kind.as_str(), arn.name.as_str()), ("snapshot", "automatic.a-2026-01-01-00-00"));
        assert_eq!(Arn::parse("arn:aws:s3:::bucket/key"), None);
        let object = ObjectArn::parse("arn:aws:s3:::vault/a/b-0001.rdb").unwrap();
        assert_eq!((object.bucket.as_str(), object.key.as_str()), ("vault", "a/b-0001.rdb"));
        for bad in ["arn:aws:s3:::vault", "arn:aws:s3:::vault/", "arn:aws:s3:::vault/a,b", "s3://vault/a"] {
            assert_eq!(ObjectArn::parse(bad), None, "{bad}");
        }
    }
}
