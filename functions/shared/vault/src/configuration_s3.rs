use aws_sdk_s3::types::{
    BucketVersioningStatus, DefaultRetention, DeleteMarkerReplicationStatus, Destination,
    ObjectLockConfiguration, ObjectLockEnabled, ObjectLockRetentionMode, PublicAccessBlockConfiguration,
    ReplicationRule as FoundRule, ReplicationRuleStatus, ServerSideEncryptionConfiguration,
    SseKmsEncryptedObjectsStatus,
};
use reconcile::{Error, Result, aws_error};

use crate::{
    Configuration, DefaultEncryption, DefaultLock, Lock, PublicAccess, ReplicationRule, S3Store, Store,
    Versioning,
};

impl S3Store {
    fn asking(&self, what: &str) -> String {
        format!("read {what} of bucket {}", Store::bucket(self))
    }
}

/// S3 answers with an error where something is not set up at all.
fn unless_missing<T>(found: Result<T>, code: &str) -> Result<Option<T>> {
    match found {
        Err(error) if error.code() == code => Ok(None),
        found => found.map(Some),
    }
}

impl Configuration for S3Store {
    fn region(&self) -> &str {
        Store::region(self)
    }

    fn bucket(&self) -> &str {
        Store::bucket(self)
    }

    async fn versioning(&self) -> Result<Versioning> {
        let doing = self.asking("the versioning");
        let request = self.client.get_bucket_versioning().bucket(Store::bucket(self));
        let found = request.send().await.map_err(|error| aws_error(&doing, error))?;
        Ok(match found.status() {
            Some(BucketVersioningStatus::Enabled) => Versioning::Enabled,
            Some(_) => Versioning::Suspended,
            None => Versioning::Never,
        })
    }

    async fn lock(&self) -> Result<Option<Lock>> {
        let doing = self.asking("the Object Lock configuration");
        let request = self.client.get_object_lock_configuration().bucket(Store::bucket(self));
        let found = request.send().await.map_err(|error| aws_error(&doing, error));
        let found = unless_missing(found, "ObjectLockConfigurationNotFoundError")?;
        Ok(found.and_then(|found| found.object_lock_configuration).and_then(|found| lock(&found)))
    }

    async fn replication(&self) -> Result<Vec<ReplicationRule>> {
        let doing = self.asking("the replication rules");
        let request = self.client.get_bucket_replication().bucket(Store::bucket(self));
        let found = request.send().await.map_err(|error| aws_error(&doing, error));
        let found = unless_missing(found, "ReplicationConfigurationNotFoundError")?;
        let rules = found.and_then(|found| found.replication_configuration).map(|found| found.rules);
        Ok(rules.unwrap_or_default().iter().map(rule).collect())
    }

    async fn public_access(&self) -> Result<PublicAccess> {
        let doing = self.asking("the public access block");
        let request = self.client.get_public_access_block().bucket(Store::bucket(self));
        let found = request.send().await.map_err(|error| aws_error(&doing, error));
        let found = unless_missing(found, "NoSuchPublicAccessBlockConfiguration")?;
        let found = found.and_then(|found| found.public_access_block_configuration);
        Ok(found.as_ref().map(public_access).unwrap_or_default())
    }

    async fn policy(&self) -> Result<Option<String>> {
        let doing = self.asking("the policy");
        let request = self.client.get_bucket_policy().bucket(Store::bucket(self));
        let found = request.send().await.map_err(|error| aws_error(&doing, error));
        Ok(unless_missing(found, "NoSuchBucketPolicy")?.and_then(|found| found.policy))
    }

    async fn encryption(&self) -> Result<Option<DefaultEncryption>> {
        let doing = self.asking("the default encryption");
        let request = self.client.get_bucket_encryption().bucket(Store::bucket(self));
        let found = request.send().await.map_err(|error| aws_error(&doing, error));
        let found = unless_missing(found, "ServerSideEncryptionConfigurationNotFoundError")?;
        let Some(found) = found else { return Ok(None) };
        let missing = || -> Error { self.missing("its default encryption") };
        found.server_side_encryption_configuration.as_ref().map(encryption).ok_or_else(missing)
    }
}

fn lock(found: &ObjectLockConfiguration) -> Option<Lock> {
    if found.object_lock_enabled() != Some(&ObjectLockEnabled::Enabled) {
        return None;
    }
    let default = found.rule().and_then(|rule| rule.default_retention()).and_then(default_lock);
    Some(Lock { default })
}

fn default_lock(found: &DefaultRetention) -> Option<DefaultLock> {
    let days = found.days().map(i64::from).or_else(|| found.years().map(|years| i64::from(years) * 365))?;
    Some(DefaultLock { compliance: found.mode() == Some(&ObjectLockRetentionMode::Compliance), days })
}

fn rule(found: &FoundRule) -> ReplicationRule {
    let filter = found.filter();
    let both = filter.and_then(|filter| filter.and());
    // The first form of rules had its prefix outside of a filter.
    #[expect(deprecated, reason = "a rule of the first form is in force all the same")]
    let first_form = found.prefix();
    let prefix = filter
        .and_then(|filter| filter.prefix())
        .or_else(|| both.and_then(|both| both.prefix()))
        .or(first_form);
    let by_tag = filter.is_some_and(|filter| filter.tag().is_some())
        || both.is_some_and(|both| !both.tags().is_empty());
    let kms = found.source_selection_criteria().and_then(|criteria| criteria.sse_kms_encrypted_objects());
    let destination = found.destination();
    let arn = destination.map(Destination::bucket).unwrap_or_default();
    let encryption = destination.and_then(|destination| destination.encryption_configuration());
    let deletes = found.delete_marker_replication().and_then(|deletes| deletes.status());
    ReplicationRule {
        id: found.id().unwrap_or_default().to_owned(),
        enabled: *found.status() == ReplicationRuleStatus::Enabled,
        prefix: prefix.unwrap_or_default().to_owned(),
        by_tag,
        destination: arn.rsplit(':').next().unwrap_or_default().to_owned(),
        kms_objects: kms.is_some_and(|kms| *kms.status() == SseKmsEncryptedObjectsStatus::Enabled),
        replica_key: encryption.and_then(|encryption| encryption.replica_kms_key_id()).map(str::to_owned),
        deletes: deletes == Some(&DeleteMarkerReplicationStatus::Enabled),
    }
}

fn public_access(found: &PublicAccessBlockConfiguration) -> PublicAccess {
    PublicAccess {
        acls_blocked: found.block_public_acls().unwrap_or(false),
        acls_ignored: found.ignore_public_acls().unwrap_or(false),
        policy_blocked: found.block_public_policy().unwrap_or(false),
        buckets_restricted: found.restrict_public_buckets().unwrap_or(false),
    }
}

/// `None` inside where there is a rule that names no encryption.
fn encryption(found: &ServerSideEncryptionConfiguration) -> Option<DefaultEncryption> {
    let default = found.rules().iter().find_map(|rule| rule.apply_server_side_encryption_by_default())?;
    Some(DefaultEncryption {
        algorithm: default.sse_algorithm().as_str().to_owned(),
        key: default.kms_master_key_id().map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::types::{
        DeleteMarkerReplication, EncryptionConfiguration, ObjectLockRule, ReplicationRuleAndOperator,
        ReplicationRuleFilter, SourceSelectionCriteria, SseKmsEncryptedObjects, Tag,
    };

    use super::*;

    #[test]
    fn a_rule_as_the_template_has_it() {
        let kms =
            SseKmsEncryptedObjects::builder().status(SseKmsEncryptedObjectsStatus::Enabled).build().unwrap();
        let found = FoundRule::builder()
            .id("everything")
            .status(ReplicationRuleStatus::Enabled)
            .filter(ReplicationRuleFilter::builder().prefix("").build())
            .source_selection_criteria(
                SourceSelectionCriteria::builder().sse_kms_encrypted_objects(kms).build(),
            )
            .destination(
                Destination::builder()
                    .bucket("arn:aws:s3:::away")
                    .encryption_configuration(
                        EncryptionConfiguration::builder().replica_kms_key_id("key").build(),
                    )
                    .build()
                    .unwrap(),
            )
            .build()
            .unwrap();
        let expected = ReplicationRule {
            id: "everything".to_owned(),
            enabled: true,
            prefix: String::new(),
            by_tag: false,
            destination: "away".to_owned(),
            kms_objects: true,
            replica_key: Some("key".to_owned()),
            deletes: false,
        };
        assert_eq!(rule(&found), expected);
    }

    #[test]
    fn what_a_rule_leaves_out() {
        let tag = Tag::builder().key("a").value("b").build().unwrap();
        let both = ReplicationRuleAndOperator::builder().prefix("redis/").tags(tag).build();
        let deletes =
            DeleteMarkerReplication::builder().status(DeleteMarkerReplicationStatus::Enabled).build();
        let found = FoundRule::builder()
            .status(ReplicationRuleStatus::Disabled)
            .filter(ReplicationRuleFilter::builder().and(both).build())
            .delete_marker_replication(deletes)
            .build()
            .unwrap();
        let rule = rule(&found);
        assert_eq!((rule.prefix.as_str(), rule.by_tag, rule.enabled), ("redis/", true, false));
        assert!(!rule.kms_objects && rule.deletes && rule.destination.is_empty());
    }

    #[test]
    fn locks() {
        let of = |retention: Option<DefaultRetention>| {
            let rule =
                retention.map(|retention| ObjectLockRule::builder().default_retention(retention).build());
            let found = ObjectLockConfiguration::builder().object_lock_enabled(ObjectLockEnabled::Enabled);
            lock(&found.set_rule(rule).build())
        };
        let years = DefaultRetention::builder().mode(ObjectLockRetentionMode::Compliance).years(2).build();
        assert_eq!(
            of(Some(years)),
            Some(Lock { default: Some(DefaultLock { compliance: true, days: 730 }) })
        );
        assert_eq!(of(None), Some(Lock { default: None }));
        assert_eq!(lock(&ObjectLockConfiguration::builder().build()), None);
    }
}
