use aws_sdk_rds::{
    Client,
    config::Region,
    operation::{
        delete_db_snapshot::DeleteDBSnapshotError, describe_db_instances::DescribeDBInstancesError,
        describe_db_snapshots::DescribeDBSnapshotsError,
    },
    primitives::DateTime,
    types::{DbSnapshot, Filter},
};
use jiff::Timestamp;
use reconcile::{Error, Kind, Result, aws_error};

use crate::{
    AutomatedBackup, Instance, NewCopy, NewSnapshot, PitrSource, Quota, Rds, Restore, RestoreFrom, Snapshot,
    Tags, convert,
};

/// RDS in one Region of the account.
#[derive(Clone, Debug)]
pub struct AwsRds {
    pub(crate) client: Client,
    pub(crate) region: String,
}

/// The most that `Describe…` gives at once, and so the fewest calls.
const PAGE: i32 = 100;

impl AwsRds {
    /// RDS in `region`; connections are shared with whatever else uses `config`.
    pub fn new(config: &reconcile::SdkConfig, region: &str) -> Self {
        let config =
            aws_sdk_rds::config::Builder::from(config).region(Region::new(region.to_owned())).build();
        Self { client: Client::from_conf(config), region: region.to_owned() }
    }

    /// An answer without the thing it is about would be a lie; better an error than a default.
    fn missing(&self, what: &str) -> Error {
        Error::retryable("AnswerIncomplete", format!("RDS in {} answered without {what}", self.region))
    }

    async fn snapshots(&self, filters: Vec<Filter>, kind: Option<&str>) -> Result<Vec<Snapshot>> {
        let request = self.client.describe_db_snapshots().set_snapshot_type(kind.map(str::to_owned));
        let request = request.set_filters((!filters.is_empty()).then_some(filters));
        let found: std::result::Result<Vec<DbSnapshot>, _> =
            request.into_paginator().page_size(PAGE).items().send().collect().await;
        let found =
            found.map_err(|error| aws_error(&format!("list the DB snapshots in {}", self.region), error))?;
        Ok(found.into_iter().map(convert::snapshot).collect())
    }
}

/// RDS answers with one code where too many copies are in progress, which passes, and where the quota of snapshots is
/// full, which the plan says before it asks.
fn not_yet(error: Error) -> Error {
    if error.code() == "SnapshotQuotaExceeded" { error.of_kind(Kind::Retryable) } else { error }
}

fn filter(name: &str, value: &str) -> Filter {
    Filter::builder().name(name).values(value).build()
}

fn date_time(instant: Timestamp) -> DateTime {
    DateTime::from_secs_and_nanos(
        instant.as_second(),
        u32::try_from(instant.subsec_nanosecond()).unwrap_or(0),
    )
}

impl Rds for AwsRds {
    fn region(&self) -> &str {
        &self.region
    }

    async fn instances(&self) -> Result<Vec<Instance>> {
        let found: std::result::Result<Vec<_>, _> = self
            .client
            .describe_db_instances()
            .into_paginator()
            .page_size(PAGE)
            .items()
            .send()
            .collect()
            .await;
        let found =
            found.map_err(|error| aws_error(&format!("list the DB instances in {}", self.region), error))?;
        Ok(found.into_iter().map(convert::instance).collect())
    }

    async fn instance(&self, id: &str) -> Result<Option<Instance>> {
        match self.client.describe_db_instances().db_instance_identifier(id).send().await {
            Ok(found) => Ok(found.db_instances.unwrap_or_default().into_iter().next().map(convert::instance)),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(DescribeDBInstancesError::is_db_instance_not_found_fault) =>
            {
                Ok(None)
            }
            Err(error) => Err(aws_error(&format!("look at DB instance {id} in {}", self.region), error)),
        }
    }

    async fn manual_snapshots(&self) -> Result<Vec<Snapshot>> {
        self.snapshots(Vec::new(), Some("manual")).await
    }

    async fn visit_manual_snapshots(&self, mut visit: impl FnMut(Snapshot)) -> Result<()> {
        let request = self.client.describe_db_snapshots().snapshot_type("manual");
        let mut found = request.into_paginator().page_size(PAGE).items().send();
        while let Some(snapshot) = found.next().await {
            let snapshot = snapshot
                .map_err(|error| aws_error(&format!("list the DB snapshots in {}", self.region), error))?;
            visit(convert::snapshot(snapshot));
        }
        Ok(())
    }

    async fn snapshots_of(&self, instance: &str) -> Result<Vec<Snapshot>> {
        self.snapshots(vec![filter("db-instance-id", instance)], None).await
    }

    async fn snapshot(&self, id: &str) -> Result<Option<Snapshot>> {
        match self.client.describe_db_snapshots().db_snapshot_identifier(id).send().await {
            Ok(found) => Ok(found.db_snapshots.unwrap_or_default().into_iter().next().map(convert::snapshot)),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(DescribeDBSnapshotsError::is_db_snapshot_not_found_fault) =>
            {
                Ok(None)
            }
            Err(error) => Err(aws_error(&format!("look at DB snapshot {id} in {}", self.region), error)),
        }
    }

    async fn automated_backups(&self) -> Result<Vec<AutomatedBackup>> {
        let request = self.client.describe_db_instance_automated_backups();
        let found: std::result::Result<Vec<_>, _> =
            request.into_paginator().page_size(PAGE).items().send().collect().await;
        let found = found
            .map_err(|error| aws_error(&format!("list the automated backups in {}", self.region), error))?;
        Ok(found.into_iter().map(convert::automated_backup).collect())
    }

    async fn automated_backups_of(&self, instance: &str) -> Result<Vec<AutomatedBackup>> {
        let request =
            self.client.describe_db_instance_automated_backups().filters(filter("db-instance-id", instance));
        let found: std::result::Result<Vec<_>, _> =
            request.into_paginator().page_size(PAGE).items().send().collect().await;
        let found = found.map_err(|error| {
            aws_error(&format!("look at the automated backups of {instance} in {}", self.region), error)
        })?;
        Ok(found.into_iter().map(convert::automated_backup).collect())
    }

    async fn quota(&self) -> Result<Quota> {
        let doing = format!("read the RDS quotas in {}", self.region);
        let answer = self
            .client
            .describe_account_attributes()
            .send()
            .await
            .map_err(|error| aws_error(&doing, error))?;
        answer
            .account_quotas()
            .iter()
            .find(|quota| quota.account_quota_name() == Some("ManualSnapshots"))
            .and_then(|quota| Some(Quota { used: quota.used()?, limit: quota.max()? }))
            .ok_or_else(|| self.missing("the ManualSnapshots quota"))
    }

    async fn create_snapshot(&self, new: &NewSnapshot) -> Result<Snapshot> {
        let doing = format!("take snapshot {} of {} in {}", new.id, new.instance, self.region);
        let answer = self
            .client
            .create_db_snapshot()
            .db_instance_identifier(&new.instance)
            .db_snapshot_identifier(new.id.as_str())
            .set_tags(Some(convert::sdk_tags(&new.tags)))
            .send()
            .await
            .map_err(|error| aws_error(&doing, error))?;
        answer.db_snapshot.map(convert::snapshot).ok_or_else(|| self.missing("the snapshot"))
    }

    async fn copy_snapshot(&self, new: &NewCopy) -> Result<Snapshot> {
        let doing = format!("copy snapshot {} to {}", new.source, self.region);
        let answer = self
            .client
            .copy_db_snapshot()
            .source_db_snapshot_identifier(&new.source)
            .target_db_snapshot_identifier(new.id.as_str())
            .kms_key_id(&new.kms_key)
            .set_tags(Some(convert::sdk_tags(&new.tags)))
            .send()
            .await
            .map_err(|error| not_yet(aws_error(&doing, error)))?;
        answer.db_snapshot.map(convert::snapshot).ok_or_else(|| self.missing("the copy"))
    }

    async fn delete_snapshot(&self, id: &str) -> Result<()> {
        match self.client.delete_db_snapshot().db_snapshot_identifier(id).send().await {
            Err(error)
                if !error
                    .as_service_error()
                    .is_some_and(DeleteDBSnapshotError::is_db_snapshot_not_found_fault) =>
            {
                Err(aws_error(&format!("delete snapshot {id} in {}", self.region), error))
            }
            _ => Ok(()),
        }
    }

    async fn tag_snapshot(&self, arn: &str, tags: &Tags) -> Result<()> {
        let request = self.client.add_tags_to_resource().resource_name(arn);
        let tagged = request.set_tags(Some(convert::sdk_tags(tags))).send().await;
        tagged.map(|_| ()).map_err(|error| aws_error(&format!("tag snapshot {arn}"), error))
    }

    async fn restore(&self, new: &Restore) -> Result<Instance> {
        let doing = format!("restore {} in {}", new.instance, self.region);
        let groups = (!new.security_groups.is_empty()).then(|| new.security_groups.clone());
        let tags = Some(convert::sdk_tags(&new.tags));
        // The two calls take the same settings under two types; there is no common builder in the SDK.
        let made = match &new.from {
            RestoreFrom::Snapshot(snapshot) => {
                self.client
                    .restore_db_instance_from_db_snapshot()
                    .db_snapshot_identifier(snapshot)
                    .db_instance_identifier(&new.instance)
                    .set_db_instance_class(new.class.clone())
                    .set_db_subnet_group_name(new.subnet_group.clone())
                    .set_vpc_security_group_ids(groups)
                    .set_db_parameter_group_name(new.parameter_group.clone())
                    .set_option_group_name(new.option_group.clone())
                    .multi_az(new.multi_az)
                    .publicly_accessible(new.publicly_accessible)
                    .set_tags(tags)
                    .send()
                    .await
                    .map_err(|error| aws_error(&doing, error))?
                    .db_instance
            }
            RestoreFrom::Instant(source, at) => {
                let request = self.client.restore_db_instance_to_point_in_time();
                let request = match source {
                    PitrSource::Incarnation(id) => request.source_dbi_resource_id(id),
                    PitrSource::AutomatedBackup(arn) => request.source_db_instance_automated_backups_arn(arn),
                };
                let request = match at {
                    Some(instant) => request.restore_time(date_time(*instant)),
                    None => request.use_latest_restorable_time(true),
                };
                request
                    .target_db_instance_identifier(&new.instance)
                    .set_db_instance_class(new.class.clone())
                    .set_db_subnet_group_name(new.subnet_group.clone())
                    .set_vpc_security_group_ids(groups)
                    .set_db_parameter_group_name(new.parameter_group.clone())
                    .set_option_group_name(new.option_group.clone())
                    .multi_az(new.multi_az)
                    .publicly_accessible(new.publicly_accessible)
                    .set_tags(tags)
                    .send()
                    .await
                    .map_err(|error| aws_error(&doing, error))?
                    .db_instance
            }
        };
        made.map(convert::instance).ok_or_else(|| self.missing("the instance"))
    }
}
