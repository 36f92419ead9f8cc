//! Steps with ElastiCache.

use anyhow::{Context, Result, bail};
use aws_sdk_elasticache::{
    Client,
    config::{Builder, Region},
    types::{ClusterMode, Endpoint, Tag},
};

use crate::{Cache, Estate, poll};

impl Estate<'_> {
    /// A client of ElastiCache, as any program has it.
    pub fn elasticache(&self, region: &str) -> Client {
        let config = self.cloud.config(region);
        Client::from_conf(Builder::from(&config).region(Region::new(region.to_owned())).build())
    }

    /// A Valkey replication group without cluster mode, available, and not protected yet; a connection to it.
    pub async fn create_cache(&self, name: &str) -> Result<Cache> {
        self.create_group(name, 1).await?;
        self.connect_cache(self.home(), name).await
    }

    /// The same with cluster mode and so many shards; a connection to each.
    pub async fn create_cluster(&self, name: &str, shards: i32) -> Result<Vec<Cache>> {
        self.create_group(name, shards).await?;
        self.connect_cluster(self.home(), name).await
    }

    async fn create_group(&self, name: &str, shards: i32) -> Result<()> {
        let group = self.elasticache(self.home()).create_replication_group();
        let group = group.replication_group_id(name).replication_group_description("of a scenario");
        let group = group.engine("valkey").cache_node_type("cache.t4g.small").num_node_groups(shards);
        let mode = if shards > 1 { ClusterMode::Enabled } else { ClusterMode::Disabled };
        let group = group.cluster_mode(mode).automatic_failover_enabled(shards > 1);
        group.send().await.with_context(|| format!("cannot create replication group {name}"))?;
        Ok(())
    }

    /// A serverless cache under the default plan, available; a connection to each of its shards.
    pub async fn create_serverless(&self, name: &str) -> Result<Vec<Cache>> {
        let cache = self.elasticache(self.home()).create_serverless_cache();
        let cache = cache.serverless_cache_name(name).engine("valkey").tags(plan());
        cache.send().await.with_context(|| format!("cannot create serverless cache {name}"))?;
        self.connect_serverless(self.home(), name).await
    }

    /// Tags a replication group with the default plan.
    pub async fn protect_cache(&self, name: &str) -> Result<()> {
        let elasticache = self.elasticache(self.home());
        let arn = self.arn_of_group(name).await?;
        elasticache.add_tags_to_resource().resource_name(arn).tags(plan()).send().await?;
        Ok(())
    }

    /// Takes that tag off again.
    pub async fn forsake_cache(&self, name: &str) -> Result<()> {
        let elasticache = self.elasticache(self.home());
        let arn = self.arn_of_group(name).await?;
        elasticache.remove_tags_from_resource().resource_name(arn).tag_keys("tidemark:plan").send().await?;
        Ok(())
    }

    async fn arn_of_group(&self, name: &str) -> Result<String> {
        let elasticache = self.elasticache(self.home());
        let found = elasticache.describe_replication_groups().replication_group_id(name).send().await?;
        let arn = found.replication_groups().first().and_then(|group| group.arn()).map(str::to_owned);
        arn.context("a replication group without an ARN")
    }

    /// Deletes a replication group without a last snapshot, and waits until it is gone.
    pub async fn delete_cache(&self, name: &str) -> Result<()> {
        let elasticache = self.elasticache(self.home());
        let elasticache = &elasticache;
        elasticache.delete_replication_group().replication_group_id(name).send().await?;
        poll(&format!("{name} gone"), async || {
            let all = elasticache.describe_replication_groups().send().await?;
            let is_there =
                all.replication_groups().iter().any(|group| group.replication_group_id() == Some(name));
            Ok((!is_there).then_some(()))
        })
        .await
    }

    /// Waits until ElastiCache works on nothing, so that whoever looks next sees the same in every run.
    pub async fn wait_for_caches(&self) -> Result<()> {
        let elasticache = self.cloud.elasticache();
        poll("ElastiCache at rest", async || Ok(elasticache.is_at_rest().then_some(()))).await
    }

    /// Waits until a replication group is available, and connects to it.
    pub async fn connect_cache(&self, region: &str, name: &str) -> Result<Cache> {
        let (host, port) = self.endpoint(region, name).await?;
        Cache::connect(&host, port).await
    }

    /// The same, to each of its shards.
    pub async fn connect_cluster(&self, region: &str, name: &str) -> Result<Vec<Cache>> {
        self.connect_cache(region, name).await?.shards().await
    }

    async fn endpoint(&self, region: &str, name: &str) -> Result<(String, u16)> {
        let elasticache = self.elasticache(region);
        let elasticache = &elasticache;
        poll(&format!("{name} available"), async || {
            let found = elasticache.describe_replication_groups().replication_group_id(name).send().await?;
            let group = found.replication_groups().first().context("no such replication group")?;
            match group.status() {
                Some("create-failed") => bail!("{name} is create-failed"),
                Some("available") => {}
                _ => return Ok(None),
            }
            let primary = group.node_groups().first().and_then(|shard| shard.primary_endpoint());
            Ok(group.configuration_endpoint().or(primary).and_then(place))
        })
        .await
    }

    /// Waits until a serverless cache is available, and connects to each of its shards.
    pub async fn connect_serverless(&self, region: &str, name: &str) -> Result<Vec<Cache>> {
        let elasticache = self.elasticache(region);
        let elasticache = &elasticache;
        let what = format!("{name} available");
        let endpoint = poll(&what, async || {
            let found = elasticache.describe_serverless_caches().serverless_cache_name(name).send().await?;
            let cache = found.serverless_caches().first().context("no such serverless cache")?;
            match cache.status() {
                Some("create-failed") => bail!("{name} is create-failed"),
                Some("available") => Ok(cache.endpoint().and_then(place)),
                _ => Ok(None),
            }
        });
        let (host, port) = endpoint.await?;
        Cache::connect(&host, port).await?.shards().await
    }
}

fn plan() -> Tag {
    Tag::builder().key("tidemark:plan").value("default").build()
}

fn place(endpoint: &Endpoint) -> Option<(String, u16)> {
    Some((endpoint.address()?.to_owned(), u16::try_from(endpoint.port()?).ok()?))
}
