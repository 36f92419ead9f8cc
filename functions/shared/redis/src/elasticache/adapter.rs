use std::collections::BTreeMap;

use aws_sdk_elasticache::{
    Client,
    config::Region,
    operation::{
        describe_cache_clusters::DescribeCacheClustersError,
        describe_replication_groups::DescribeReplicationGroupsError,
        describe_serverless_cache_snapshots::DescribeServerlessCacheSnapshotsError,
        describe_serverless_caches::DescribeServerlessCachesError,
        describe_snapshots::DescribeSnapshotsError,
    },
    types::{CacheCluster, ReplicationGroup, ServerlessCache},
};
use aws_sdk_resourcegroupstagging::types::TagFilter;
use domain::tag;
use futures::try_join;
use reconcile::{Error, Kind, Result, SdkConfig, aws_error};

use super::{Cache, CacheKind, ElastiCache, NewSnapshot, Restore, Snapshot, Tags, convert, restore};

/// ElastiCache in one Region of the account, and the index of tags there.
#[derive(Clone, Debug)]
pub struct AwsElastiCache {
    pub(super) client: Client,
    tagging: aws_sdk_resourcegroupstagging::Client,
    pub(super) region: String,
}

/// The most that is given at once of nodes, replication groups and tagged resources; of the rest it is 50.
const PAGE: i32 = 100;
const SMALL_PAGE: i32 = 50;

impl AwsElastiCache {
    /// ElastiCache in `region`; connections are shared with whatever else uses `config`.
    pub fn new(config: &SdkConfig, region: &str) -> Self {
        let at = || Region::new(region.to_owned());
        let elasticache = aws_sdk_elasticache::config::Builder::from(config).region(at()).build();
        let tagging = aws_sdk_resourcegroupstagging::config::Builder::from(config).region(at()).build();
        Self {
            client: Client::from_conf(elasticache),
            tagging: aws_sdk_resourcegroupstagging::Client::from_conf(tagging),
            region: region.to_owned(),
        }
    }

    /// An answer without the thing it is about would be a lie; better an error than a default.
    pub(super) fn missing(&self, what: &str) -> Error {
        Error::retryable(
            "AnswerIncomplete",
            format!("ElastiCache in {} answered without {what}", self.region),
        )
    }

    fn listing(&self, what: &str) -> String {
        format!("list the {what} in {}", self.region)
    }

    async fn replication_groups(&self) -> Result<Vec<ReplicationGroup>> {
        let request = self.client.describe_replication_groups();
        let found: std::result::Result<Vec<_>, _> =
            request.into_paginator().page_size(PAGE).items().send().collect().await;
        found.map_err(|error| aws_error(&self.listing("replication groups"), error))
    }

    async fn nodes(&self) -> Result<Vec<CacheCluster>> {
        let request = self.client.describe_cache_clusters().show_cache_node_info(true);
        let found: std::result::Result<Vec<_>, _> =
            request.into_paginator().page_size(PAGE).items().send().collect().await;
        found.map_err(|error| aws_error(&self.listing("cache clusters"), error))
    }

    async fn serverless_caches(&self) -> Result<Vec<ServerlessCache>> {
        let request = self.client.describe_serverless_caches();
        let found: std::result::Result<Vec<_>, _> =
            request.into_paginator().page_size(SMALL_PAGE).items().send().collect().await;
        found.map_err(|error| aws_error(&self.listing("serverless caches"), error))
    }

    /// The tags of all that ElastiCache has and that bears the tag `key` (`None`: any), by ARN.
    async fn tagged(&self, key: Option<&str>) -> Result<BTreeMap<String, Tags>> {
        let filters = key.map(|key| vec![TagFilter::builder().key(key).build()]);
        // By service, not by type of resource: the names of the types are documented nowhere but in ARNs.
        let request =
            self.tagging.get_resources().resource_type_filters("elasticache").set_tag_filters(filters);
        let mut found = request.into_paginator().page_size(PAGE).items().send();
        let mut by_arn = BTreeMap::new();
        while let Some(resource) = found.next().await {
            let resource =
                resource.map_err(|error| aws_error(&self.listing("tags of ElastiCache"), error))?;
            let tags =
                resource.tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect();
            by_arn.extend(resource.resource_arn.map(|arn| (arn, tags)));
        }
        Ok(by_arn)
    }

    /// The tags of a cache, whatever it is up to.
    ///
    /// ElastiCache tells them of one that is available alone (API reference, `ListTagsForResource`), and so of none that is being
    /// made or deleted. The index of tags has them then; where that lags behind, the refusal stands, and passes.
    async fn tags_of_cache(&self, arn: &str) -> Result<Tags> {
        let refused = match self.tags(arn).await {
            Err(error) if error.kind() == Kind::Retryable && error.code().contains("State") => error,
            outcome => return outcome,
        };
        let doing = format!("read the tags of {arn} from the index");
        let found = self.tagging.get_resources().resource_arn_list(arn).send().await;
        let found = found.map_err(|error| aws_error(&doing, error))?.resource_tag_mapping_list;
        let resource = found.unwrap_or_default().into_iter().next().ok_or(refused)?;
        Ok(resource.tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect())
    }

    async fn node_snapshots(&self) -> Result<Vec<Snapshot>> {
        let request = self.client.describe_snapshots().snapshot_source("user").show_node_group_config(true);
        let found: std::result::Result<Vec<_>, _> =
            request.into_paginator().page_size(SMALL_PAGE).items().send().collect().await;
        let found = found.map_err(|error| aws_error(&self.listing("snapshots"), error))?;
        // Asked for the manual ones alone; of an automatic one a deletion would be none of our business.
        let manual = found.into_iter().filter(|snapshot| {
            snapshot.snapshot_source.as_deref().is_none_or(|source| source != "automated")
        });
        Ok(manual.map(convert::snapshot).collect())
    }

    async fn serverless_snapshots(&self) -> Result<Vec<Snapshot>> {
        // All of them: the API reference does not say what its parameter `SnapshotType` may be.
        let request = self.client.describe_serverless_cache_snapshots();
        let found: std::result::Result<Vec<_>, _> =
            request.into_paginator().page_size(SMALL_PAGE).items().send().collect().await;
        let found = found.map_err(|error| aws_error(&self.listing("serverless cache snapshots"), error))?;
        let manual = found
            .into_iter()
            .filter(|snapshot| snapshot.snapshot_type.as_deref().is_none_or(|kind| kind != "automated"));
        Ok(manual.map(convert::serverless_snapshot).collect())
    }

    async fn node(&self, id: &str) -> Result<Option<CacheCluster>> {
        let request = self.client.describe_cache_clusters().cache_cluster_id(id).show_cache_node_info(true);
        match request.send().await {
            Ok(found) => Ok(found.cache_clusters.unwrap_or_default().into_iter().next()),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(DescribeCacheClustersError::is_cache_cluster_not_found_fault) =>
            {
                Ok(None)
            }
            Err(error) => Err(aws_error(&format!("look at cache cluster {id} in {}", self.region), error)),
        }
    }

    async fn replication_group(&self, id: &str) -> Result<Option<Cache>> {
        let found = match self.client.describe_replication_groups().replication_group_id(id).send().await {
            Ok(found) => found.replication_groups.unwrap_or_default().into_iter().next(),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(DescribeReplicationGroupsError::is_replication_group_not_found_fault) =>
            {
                None
            }
            Err(error) => {
                return Err(aws_error(&format!("look at replication group {id} in {}", self.region), error));
            }
        };
        let Some(group) = found else { return Ok(None) };
        let node = match group.member_clusters().first() {
            Some(member) => self.node(member).await?,
            None => None,
        };
        Ok(Some(convert::replication_group(group, node.as_ref())))
    }

    async fn serverless_cache(&self, name: &str) -> Result<Option<Cache>> {
        match self.client.describe_serverless_caches().serverless_cache_name(name).send().await {
            Ok(found) => {
                Ok(found.serverless_caches.unwrap_or_default().into_iter().next().map(convert::serverless))
            }
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(DescribeServerlessCachesError::is_serverless_cache_not_found_fault) =>
            {
                Ok(None)
            }
            Err(error) => {
                Err(aws_error(&format!("look at serverless cache {name} in {}", self.region), error))
            }
        }
    }

    async fn node_snapshot(&self, name: &str) -> Result<Option<Snapshot>> {
        let request = self.client.describe_snapshots().snapshot_name(name).show_node_group_config(true);
        match request.send().await {
            Ok(found) => Ok(found.snapshots.unwrap_or_default().into_iter().next().map(convert::snapshot)),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(DescribeSnapshotsError::is_snapshot_not_found_fault) =>
            {
                Ok(None)
            }
            Err(error) => Err(aws_error(&format!("look at snapshot {name} in {}", self.region), error)),
        }
    }

    async fn serverless_snapshot(&self, name: &str) -> Result<Option<Snapshot>> {
        type Failed = DescribeServerlessCacheSnapshotsError;
        let request = self.client.describe_serverless_cache_snapshots().serverless_cache_snapshot_name(name);
        match request.send().await {
            Ok(found) => {
                let found = found.serverless_cache_snapshots.unwrap_or_default().into_iter().next();
                Ok(found.map(convert::serverless_snapshot))
            }
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(Failed::is_serverless_cache_snapshot_not_found_fault) =>
            {
                Ok(None)
            }
            Err(error) => {
                Err(aws_error(&format!("look at serverless cache snapshot {name} in {}", self.region), error))
            }
        }
    }
}

impl ElastiCache for AwsElastiCache {
    fn region(&self) -> &str {
        &self.region
    }

    async fn caches(&self) -> Result<Vec<Cache>> {
        let (groups, nodes, serverless, mut tags) =
            try_join!(self.replication_groups(), self.nodes(), self.serverless_caches(), self.tagged(None))?;
        let mut member_of: BTreeMap<&str, &CacheCluster> = BTreeMap::new();
        for node in &nodes {
            if let Some(group) = node.replication_group_id.as_deref() {
                member_of.entry(group).or_insert(node);
            }
        }
        let of = |group: &ReplicationGroup| {
            group.replication_group_id.as_deref().and_then(|id| member_of.get(id).copied())
        };
        let mut caches: Vec<Cache> = groups
            .into_iter()
            .map(|group| {
                let node = of(&group);
                convert::replication_group(group, node)
            })
            .collect();
        let alone = nodes.iter().filter(|node| node.replication_group_id.is_none());
        caches.extend(alone.map(convert::cluster));
        caches.extend(serverless.into_iter().map(convert::serverless));
        for cache in &mut caches {
            cache.tags = tags.remove(&cache.arn).unwrap_or_default();
        }
        Ok(caches)
    }

    async fn cache(&self, kind: CacheKind, name: &str) -> Result<Option<Cache>> {
        let found = match kind {
            CacheKind::ReplicationGroup => self.replication_group(name).await?,
            CacheKind::Cluster => self.node(name).await?.as_ref().map(convert::cluster),
            CacheKind::Serverless => self.serverless_cache(name).await?,
        };
        let Some(mut cache) = found else { return Ok(None) };
        cache.tags = self.tags_of_cache(&cache.arn).await?;
        Ok(Some(cache))
    }

    async fn snapshots(&self) -> Result<Vec<Snapshot>> {
        let (nodes, serverless, mut tags) =
            try_join!(self.node_snapshots(), self.serverless_snapshots(), self.tagged(Some(tag::RESOURCE)))?;
        let mut snapshots: Vec<Snapshot> = nodes.into_iter().chain(serverless).collect();
        for snapshot in &mut snapshots {
            snapshot.tags = tags.remove(&snapshot.arn).unwrap_or_default();
        }
        Ok(snapshots)
    }

    async fn snapshot(&self, kind: CacheKind, name: &str) -> Result<Option<Snapshot>> {
        let found = match kind {
            CacheKind::Serverless => self.serverless_snapshot(name).await?,
            CacheKind::ReplicationGroup | CacheKind::Cluster => self.node_snapshot(name).await?,
        };
        let Some(mut snapshot) = found else { return Ok(None) };
        snapshot.tags = self.tags(&snapshot.arn).await?;
        Ok(Some(snapshot))
    }

    async fn tags(&self, arn: &str) -> Result<Tags> {
        let doing = format!("read the tags of {arn}");
        let found = self.client.list_tags_for_resource().resource_name(arn).send().await;
        Ok(convert::tags(found.map_err(|error| aws_error(&doing, error))?.tag_list()))
    }

    async fn take(&self, new: &NewSnapshot) -> Result<Snapshot> {
        let doing = format!("take snapshot {} of {} {} in {}", new.id, new.kind, new.cache, self.region);
        let tags = Some(convert::sdk_tags(&new.tags));
        if new.kind == CacheKind::Serverless {
            let request = self
                .client
                .create_serverless_cache_snapshot()
                .serverless_cache_snapshot_name(new.id.as_str())
                .serverless_cache_name(&new.cache)
                .set_tags(tags);
            let answer = request.send().await.map_err(|error| aws_error(&doing, error))?;
            let made = answer.serverless_cache_snapshot.ok_or_else(|| self.missing("the snapshot"))?;
            return Ok(convert::serverless_snapshot(made));
        }
        let request = self.client.create_snapshot().snapshot_name(new.id.as_str()).set_tags(tags);
        let request = match new.kind {
            CacheKind::ReplicationGroup => request.replication_group_id(&new.cache),
            CacheKind::Cluster | CacheKind::Serverless => request.cache_cluster_id(&new.cache),
        };
        let answer = request.send().await.map_err(|error| aws_error(&doing, error))?;
        answer.snapshot.map(convert::snapshot).ok_or_else(|| self.missing("the snapshot"))
    }

    async fn export(&self, kind: CacheKind, snapshot: &str, bucket: &str) -> Result<()> {
        let doing = format!("export snapshot {snapshot} from {} to bucket {bucket}", self.region);
        if kind == CacheKind::Serverless {
            let request = self
                .client
                .export_serverless_cache_snapshot()
                .serverless_cache_snapshot_name(snapshot)
                .s3_bucket_name(bucket);
            return request.send().await.map(drop).map_err(|error| aws_error(&doing, error));
        }
        let request = self
            .client
            .copy_snapshot()
            .source_snapshot_name(snapshot)
            .target_snapshot_name(snapshot)
            .target_bucket(bucket);
        request.send().await.map(drop).map_err(|error| aws_error(&doing, error))
    }

    async fn delete(&self, kind: CacheKind, snapshot: &str) -> Result<()> {
        let doing = format!("delete snapshot {snapshot} in {}", self.region);
        if kind == CacheKind::Serverless {
            let request =
                self.client.delete_serverless_cache_snapshot().serverless_cache_snapshot_name(snapshot);
            return request.send().await.map(drop).map_err(|error| aws_error(&doing, error));
        }
        let request = self.client.delete_snapshot().snapshot_name(snapshot);
        request.send().await.map(drop).map_err(|error| aws_error(&doing, error))
    }

    async fn create(&self, new: &Restore) -> Result<Cache> {
        restore::create(self, new).await
    }
}
