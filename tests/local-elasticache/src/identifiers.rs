//! Names of things: how long identifiers may be, and ARNs.

use aws_query::Arns;

/// The longest id of a replication group and of a serverless cache (`CreateReplicationGroup`, API reference).
pub(crate) const GROUP: usize = 40;
/// The longest id of a cache cluster (`CreateCacheCluster`, API reference).
pub(crate) const CLUSTER: usize = 50;
/// The longest name of a snapshot (`CreateServerlessCacheSnapshot`, API reference).
pub(crate) const SNAPSHOT: usize = 255;

/// Kinds are `replicationgroup`, `cluster`, `snapshot`, `serverlesscache` and `serverlesscachesnapshot`.
pub(crate) const ARNS: Arns = Arns { service: "elasticache" };

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
    fn the_arns_of_objects_are_read() {
        let object = ObjectArn::parse("arn:aws:s3:::vault/a/b-0001.rdb").unwrap();
        assert_eq!((object.bucket.as_str(), object.key.as_str()), ("vault", "a/b-0001.rdb"));
        for bad in ["arn:aws:s3:::vault", "arn:aws:s3:::vault/", "arn:aws:s3:::vault/a,b", "s3://vault/a"] {
            assert_eq!(ObjectArn::parse(bad), None, "{bad}");
        }
    }
}
