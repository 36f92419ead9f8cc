//! Steps with ElastiCache.

use anyhow::{Context, Result, bail};
use aws_sdk_elasticache::{
    Client,
    config::{Builder, Region},
    types::Tag,
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
        self.elasticache(self.home())
            .create_replication_group()
            .replication_group_id(name)
            .replication_group_description("of a scenario")
            .engine("valkey")
            .cache_node_type("cache.t4g.small")
            .num_node_groups(1)
            .send()
            .await
            .with_context(|| format!("cannot create replication group {name}"))?;
        self.connect_cache(self.home(), name).await
    }

    /// Tags a replication group with the default plan.
    pub async fn protect_cache(&self, name: &str) -> Result<()> {
        let elasticache = self.elasticache(self.home());
        let found = elasticache.describe_replication_groups().replication_group_id(name).send().await?;
        let group = found.replication_groups().first().and_then(|group| group.arn());
        let plan = Tag::builder().key("tidemark:plan").value("default").build();
        let arn = group.context("a replication group without an ARN")?;
        elasticache.add_tags_to_resource().resource_name(arn).tags(plan).send().await?;
        Ok(())
    }

    /// Waits until ElastiCache works on nothing, so that whoever looks next sees the same in every run.
    pub async fn wait_for_caches(&self) -> Result<()> {
        let elasticache = self.cloud.elasticache();
        poll("ElastiCache at rest", async || Ok(elasticache.is_at_rest().then_some(()))).await
    }

    /// Waits until a replication group is available, and connects to it.
    pub async fn connect_cache(&self, region: &str, name: &str) -> Result<Cache> {
        let elasticache = self.elasticache(region);
        let elasticache = &elasticache;
        let what = format!("{name} available");
        let endpoint = poll(&what, async || {
            let found = elasticache.describe_replication_groups().replication_group_id(name).send().await?;
            let group = found.replication_groups().first().context("no such replication group")?;
            match group.status() {
                Some("create-failed") => bail!("{name} is create-failed"),
                Some("available") => {}
                _ => return Ok(None),
            }
            let primary = group.node_groups().first().and_then(|shard| shard.primary_endpoint());
            Ok(primary.and_then(|at| Some((at.address()?.to_owned(), u16::try_from(at.port()?).ok()?))))
        });
        let (host, port) = endpoint.await?;
        Cache::connect(&host, port).await
    }
}
