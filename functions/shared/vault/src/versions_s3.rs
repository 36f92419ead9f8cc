use aws_sdk_s3::{
    error::{ProvideErrorMetadata, SdkError},
    primitives::DateTime,
    types::{
        DeleteMarkerEntry, ObjectLockLegalHold, ObjectLockLegalHoldStatus, ObjectLockRetention,
        ObjectLockRetentionMode, ObjectVersion,
    },
};
use futures::try_join;
use jiff::Timestamp;
use reconcile::{Result, aws_error};

use crate::{Protection, S3Store, Version, Versions};

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

/// What S3 says of a part of a version's lock: `None` if the version is there no more, `Some(None)` if it has no such part.
type Said<T> = Option<Option<T>>;

impl S3Store {
    async fn retention(&self, version: &Version) -> Result<Said<ObjectLockRetention>> {
        let request = self.client.get_object_retention().bucket(&self.bucket).key(&version.key);
        match request.version_id(&version.id).send().await {
            Ok(found) => Ok(Some(found.retention)),
            Err(error) => self.not_said(version, error),
        }
    }

    async fn legal_hold(&self, version: &Version) -> Result<Said<ObjectLockLegalHold>> {
        let request = self.client.get_object_legal_hold().bucket(&self.bucket).key(&version.key);
        match request.version_id(&version.id).send().await {
            Ok(found) => Ok(Some(found.legal_hold)),
            Err(error) => self.not_said(version, error),
        }
    }

    fn not_said<T, E>(&self, version: &Version, error: SdkError<E>) -> Result<Said<T>>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        match (error.code(), error.message()) {
            (Some("NoSuchKey" | "NoSuchVersion"), _) => Ok(None),
            // A version that has never had one; a bucket without locks, in the words of the calls on buckets and on objects.
            (Some("NoSuchObjectLockConfiguration" | "ObjectLockConfigurationNotFoundError"), _) => {
                Ok(Some(None))
            }
            (Some("InvalidRequest"), Some(said)) if said.contains("Object Lock Configuration") => {
                Ok(Some(None))
            }
            _ => Err(aws_error(&self.doing("look at the lock of", &version.key), error)),
        }
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
        // Of which S3 tells nothing (405).
        if version.is_delete_marker {
            return Ok(Some(Protection::default()));
        }
        // One call would do (HeadObject), but only for whoever may read the object itself; and to whoever may not see a lock it
        // answers as if there were none. These two need no more than they tell, and refuse.
        let (retention, hold) = try_join!(self.retention(version), self.legal_hold(version))?;
        let (Some(retention), Some(hold)) = (retention, hold) else { return Ok(None) };
        let until = retention.as_ref().and_then(ObjectLockRetention::retain_until_date);
        let mode = retention.as_ref().and_then(ObjectLockRetention::mode);
        Ok(Some(Protection {
            retained_until: until.map(|until| self.time(Some(until))).transpose()?,
            is_compliance: mode == Some(&ObjectLockRetentionMode::Compliance),
            is_held: hold.as_ref().and_then(ObjectLockLegalHold::status)
                == Some(&ObjectLockLegalHoldStatus::On),
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
