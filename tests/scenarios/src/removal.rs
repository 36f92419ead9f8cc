//! Taking away what a scenario made, so that another begins in an empty world.

use anyhow::Result;
use http::Method;

use crate::{Estate, platform};

impl Estate<'_> {
    /// Takes away every instance, cache and Turso database whose name begins so, every manual snapshot, and all that is
    /// in the vaults and beside them.
    pub async fn remove_all(&self, name: &str) -> Result<()> {
        for region in [self.home(), self.recovery()] {
            self.remove_from_rds(region, name).await?;
            self.remove_from_elasticache(region, name).await?;
        }
        let stack = self.cloud.stack();
        let buckets = [
            stack.vault_bucket(),
            stack.recovery_vault_bucket(),
            stack.export_bucket(),
            stack.recovery_export_bucket(),
        ];
        for bucket in buckets {
            self.cloud.empty_bucket(bucket).await?;
        }
        let databases = platform(self.cloud, Method::GET, "databases", None).await?;
        let databases = databases["databases"].as_array().into_iter().flatten();
        for database in databases.filter_map(|one| one["Name"].as_str()).filter(|one| one.starts_with(name)) {
            platform(self.cloud, Method::DELETE, &format!("databases/{database}"), None).await?;
        }
        Ok(())
    }

    async fn remove_from_rds(&self, region: &str, name: &str) -> Result<()> {
        let rds = self.rds(region);
        let mut instances = rds.describe_db_instances().into_paginator().items().send();
        while let Some(instance) = instances.next().await {
            let instance = instance?;
            let id = instance.db_instance_identifier().unwrap_or_default();
            if id.starts_with(name) && instance.db_instance_status() != Some("deleting") {
                let delete = rds.delete_db_instance().db_instance_identifier(id);
                delete.skip_final_snapshot(true).delete_automated_backups(true).send().await?;
            }
        }
        let mut snapshots =
            rds.describe_db_snapshots().snapshot_type("manual").into_paginator().items().send();
        while let Some(snapshot) = snapshots.next().await {
            let snapshot = snapshot?;
            let id = snapshot.db_snapshot_identifier().unwrap_or_default();
            rds.delete_db_snapshot().db_snapshot_identifier(id).send().await?;
        }
        Ok(())
    }

    async fn remove_from_elasticache(&self, region: &str, name: &str) -> Result<()> {
        let elasticache = self.elasticache(region);
        let mut groups = elasticache.describe_replication_groups().into_paginator().items().send();
        while let Some(group) = groups.next().await {
            let group = group?;
            let id = group.replication_group_id().unwrap_or_default();
            if id.starts_with(name) && group.status() != Some("deleting") {
                elasticache.delete_replication_group().replication_group_id(id).send().await?;
            }
        }
        let mut snapshots =
            elasticache.describe_snapshots().snapshot_source("user").into_paginator().items().send();
        while let Some(snapshot) = snapshots.next().await {
            let snapshot = snapshot?;
            let id = snapshot.snapshot_name().unwrap_or_default();
            elasticache.delete_snapshot().snapshot_name(id).send().await?;
        }
        Ok(())
    }
}
