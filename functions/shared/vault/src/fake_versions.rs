//! The versions of buckets in memory, with their locks.

use jiff::{SignedDuration, Timestamp};
use reconcile::{Error, Result};

use crate::{
    FakeStore, Protection, Version, Versions,
    fake_store::{Cloud, Stored},
};

impl FakeStore {
    /// From now on each new object here is locked for so long.
    pub fn set_default_lock(&self, lock: SignedDuration) {
        self.with(|bucket| bucket.default_lock = Some(lock));
    }

    /// All versions of each key that are there, delete markers too: `turso/…/manifest.json`, in the order of their keys.
    pub fn all_versions(&self) -> Vec<String> {
        self.with(|bucket| {
            let keys = bucket.versions.iter().flat_map(|(key, there)| there.iter().map(move |_| key.clone()));
            keys.collect()
        })
    }

    /// Until when the current version of `key` is locked.
    pub fn locked_until(&self, key: &str) -> Option<Timestamp> {
        self.with(|bucket| bucket.versions.get(key)?.last()?.protection.retained_until)
    }

    /// Somebody puts a legal hold of S3's own on `key`, or lifts it.
    pub fn set_legal_hold(&self, key: &str, is_held: bool) {
        self.with(|bucket| {
            for stored in bucket.versions.get_mut(key).into_iter().flatten() {
                stored.protection.is_held = is_held;
            }
        });
    }
}

fn find<'c>(cloud: &'c mut Cloud, bucket: &str, version: &Version) -> Option<&'c mut Stored> {
    cloud.bucket(bucket).versions.get_mut(&version.key)?.iter_mut().find(|stored| stored.id == version.id)
}

fn denied(version: &Version) -> Error {
    Error::misconfigured("AccessDenied", format!("{} is protected by object lock", version.key))
}

impl Versions for FakeStore {
    async fn versions(&self, prefix: &str) -> Result<Vec<Version>> {
        self.call("versions", prefix, |cloud, bucket| {
            let all = cloud.bucket(bucket).versions.iter().filter(|(key, _)| key.starts_with(prefix));
            let shown = |(key, stored): (&String, &Stored)| Version {
                key: key.clone(),
                id: stored.id.clone(),
                bytes: stored.content.as_ref().map_or(0, |content| content.body.len() as u64),
                modified: stored.modified,
                is_delete_marker: stored.content.is_none(),
            };
            Ok(all
                .flat_map(|(key, there)| there.iter().rev().map(move |stored| shown((key, stored))))
                .collect())
        })
        .await
    }

    async fn protection(&self, version: &Version) -> Result<Option<Protection>> {
        self.call("protection", &version.key, |cloud, bucket| {
            Ok(find(cloud, bucket, version).map(|stored| stored.protection))
        })
        .await
    }

    async fn retain(&self, version: &Version, until: Timestamp, is_compliance: bool) -> Result<()> {
        self.call("retain", &version.key, |cloud, bucket| {
            let stored = find(cloud, bucket, version);
            let stored = stored.ok_or_else(|| Error::permanent("NoSuchVersion", version.key.clone()))?;
            if stored.protection.retained_until.is_some_and(|there| there > until) {
                return Err(denied(version));
            }
            stored.protection =
                Protection { retained_until: Some(until), is_compliance, ..stored.protection };
            Ok(())
        })
        .await
    }

    async fn delete(&self, version: &Version) -> Result<()> {
        self.call("delete", &version.key, |cloud, bucket| {
            let now = cloud.now;
            let is_protected = |protection: Protection| {
                protection.is_held || protection.retained_until.is_some_and(|until| until > now)
            };
            if find(cloud, bucket, version).is_some_and(|stored| is_protected(stored.protection)) {
                return Err(denied(version));
            }
            let there = &mut cloud.bucket(bucket).versions;
            if let Some(versions) = there.get_mut(&version.key) {
                versions.retain(|stored| stored.id != version.id);
            }
            there.retain(|_, versions| !versions.is_empty());
            Ok(())
        })
        .await
    }
}
