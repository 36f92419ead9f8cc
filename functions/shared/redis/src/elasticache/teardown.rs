//! The end of a cache that a drill made.

use std::future::Future;

use aws_sdk_elasticache::operation::{
    delete_cache_cluster::DeleteCacheClusterError, delete_replication_group::DeleteReplicationGroupError,
    delete_serverless_cache::DeleteServerlessCacheError,
};
use domain::drill::PREFIX;
use reconcile::{Error, Result, aws_error};

use super::{AwsElastiCache, CacheKind};

/// What tears down what drills made. Of run-drill alone.
pub trait Teardown {
    /// Begins to delete the cache of that name, with all its nodes and without a final snapshot. One that is gone already is no
    /// error; one that is up to something else, being made or deleted too, is `Invalid…State…`, which passes.
    ///
    /// A name that is no drill's is `NotADrills`, before ElastiCache is asked: the caller looks at tags, this at the name again.
    fn delete_cache(&self, kind: CacheKind, name: &str) -> impl Future<Output = Result<()>>;
}

/// Refuses what no drill made.
pub(super) fn check(kind: CacheKind, name: &str) -> Result<()> {
    if name.starts_with(PREFIX) {
        return Ok(());
    }
    let says = format!("{kind} {name} is not deleted: only what begins with {PREFIX} is, which drills made");
    Err(Error::permanent("NotADrills", says))
}

impl Teardown for AwsElastiCache {
    async fn delete_cache(&self, kind: CacheKind, name: &str) -> Result<()> {
        check(kind, name)?;
        let doing = format!("delete {kind} {name} in {}", self.region);
        match kind {
            CacheKind::ReplicationGroup => {
                let request = self.client.delete_replication_group().replication_group_id(name);
                match request.retain_primary_cluster(false).send().await {
                    Err(error)
                        if !error.as_service_error().is_some_and(
                            DeleteReplicationGroupError::is_replication_group_not_found_fault,
                        ) =>
                    {
                        Err(aws_error(&doing, error))
                    }
                    _ => Ok(()),
                }
            }
            CacheKind::Cluster => {
                match self.client.delete_cache_cluster().cache_cluster_id(name).send().await {
                    Err(error)
                        if !error
                            .as_service_error()
                            .is_some_and(DeleteCacheClusterError::is_cache_cluster_not_found_fault) =>
                    {
                        Err(aws_error(&doing, error))
                    }
                    _ => Ok(()),
                }
            }
            CacheKind::Serverless => {
                match self.client.delete_serverless_cache().serverless_cache_name(name).send().await {
                    Err(error)
                        if !error
                            .as_service_error()
                            .is_some_and(DeleteServerlessCacheError::is_serverless_cache_not_found_fault) =>
                    {
                        Err(aws_error(&doing, error))
                    }
                    _ => Ok(()),
                }
            }
        }
    }
}
