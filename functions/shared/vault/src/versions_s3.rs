use aws_sdk_s3::{
    operation::head_object::HeadObjectError,
    primitives::DateTime,
    types::{
        DeleteMarkerEntry, ObjectLockLegalHoldStatus, ObjectLockMode, ObjectLockRetention,
        ObjectLockRetentionMode, ObjectVersion,
    },
};
use jiff::Timestamp;
use reconcile::{Result, aws_error};

use crate::{Protection, S3Store, Version, Versions, store_s3::status};

impl S3Store {
    fn version(&self, found: &ObjectVersion) -> Result<Version> {
        Ok(Version {
            key: found.key().ok_or_else(|| self.missing("a key"))?.to_owned(),
            id: found.version_id().ok_or_else(|| self.missing("a version id"))?.to_owned(),
            bytes: self.size(found.size())?,
            modified: self.time(found.last_modified())?,
            is_delete_marker: false,
        })
    }

    fn delete_marker(&self, found: &DeleteMarkerEntry) -> Result<Version> {
        Ok(Version {
            key: found.key().ok_or_else(|| self.missing("a key"))?.to_owned(),
            id: found.version_id().ok_or_else(|| self.missing("a version id"))?.to_owned(),
            bytes: 0,
            modified: self.time(found.last_modified())?,
            is_delete_marker: true,
        })
    }
}

impl Versions for S3Store {
    async fn versions(&self, prefix: &str) -> Result<Vec<Version>> {
        // The SDK has no paginator for this call.
        let (mut versions, mut key_marker, mut id_marker) = (Vec::new(), None, None);
        loop {
            let page = self
                .client
                .list_object_versions()
                .bucket(&self.bucket)
                .prefix(prefix)
                .set_key_marker(key_marker)
                .set_version_id_marker(id_marker)
                .send()
                .await
                .map_err(|error| {
                    aws_error(&self.doing("list the versions of", &format!("{prefix}*")), error)
                })?;
            for found in page.versions() {
                versions.push(self.version(found)?);
            }
            for found in page.delete_markers() {
                versions.push(self.delete_marker(found)?);
            }
            if page.is_truncated() != Some(true) {
                break;
            }
            (key_marker, id_marker) = (page.next_key_marker, page.next_version_id_marker);
            if key_marker.is_none() {
                return Err(self.missing("where its list goes on"));
            }
        }
        versions.sort_by(|one, other| one.key.cmp(&other.key));
        Ok(versions)
    }

    async fn protection(&self, version: &Version) -> Result<Option<Protection>> {
        // Which S3 answers with 405.
        if version.is_delete_marker {
            return Ok(Some(Protection::default()));
        }
        // S3 tells of a version and its lock in one call to whoever may read both (HeadObject, "x-amz-object-lock-…").
        let request =
            self.client.head_object().bucket(&self.bucket).key(&version.key).version_id(&version.id);
        let found = match request.send().await {
            Ok(found) => found,
            Err(error)
                if error.as_service_error().is_some_and(HeadObjectError::is_not_found)
                    || status(&error) == Some(404) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(aws_error(&self.doing("look at the lock of", &version.key), error)),
        };
        let until = found.object_lock_retain_until_date().map(|until| self.time(Some(until))).transpose()?;
        Ok(Some(Protection {
            retained_until: until,
            is_compliance: found.object_lock_mode() == Some(&ObjectLockMode::Compliance),
            is_held: found.object_lock_legal_hold_status() == Some(&ObjectLockLegalHoldStatus::On),
        }))
    }

    async fn retain(&self, version: &Version, until: Timestamp, is_compliance: bool) -> Result<()> {
        let mode = if is_compliance {
            ObjectLockRetentionMode::Compliance
        } else {
            ObjectLockRetentionMode::Governance
        };
        let until = DateTime::from_secs(until.as_second());
        let retention = ObjectLockRetention::builder().mode(mode).retain_until_date(until).build();
        let request = self.client.put_object_retention().bucket(&self.bucket).key(&version.key);
        let locked = request.version_id(&version.id).retention(retention).send().await;
        locked.map(|_| ()).map_err(|error| aws_error(&self.doing("lock", &version.key), error))
    }

    async fn delete(&self, version: &Version) -> Result<()> {
        let request = self.client.delete_object().bucket(&self.bucket).key(&version.key);
        let deleted = request.version_id(&version.id).send().await;
        deleted
            .map(|_| ())
            .map_err(|error| aws_error(&self.doing("delete a version of", &version.key), error))
    }
}
