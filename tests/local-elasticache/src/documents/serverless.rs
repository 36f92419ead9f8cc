//! `ServerlessCache` and `ServerlessCacheSnapshot`.

use aws_query::{Element, time};

use super::{endpoint, storage_encryption, with};
use crate::state::{Cache, Region, Snapshot};

/// A `ServerlessCache`, under the name that the place has for it.
pub(crate) fn serverless_cache(name: &'static str, region: &Region, cache: &Cache) -> Element {
    let (traits, settings) = (&cache.traits, &cache.settings);
    let mut element = Element::new(name)
        .text("ServerlessCacheName", &traits.cache)
        .text("Description", &traits.description)
        .maybe("CreateTime", traits.created.map(time))
        .text("Status", cache.status.text(traits.kind))
        .text("Engine", &traits.engine)
        .text("MajorEngineVersion", traits.major())
        .text("FullEngineVersion", &traits.engine_version)
        .maybe("KmsKeyId", settings.key.as_ref())
        .text("StorageEncryptionType", storage_encryption(cache))
        .list(
            "SecurityGroupIds",
            settings.security_groups.iter().map(|id| Element::of("SecurityGroupId", id)),
        )
        .text("ARN", region.arn(traits.kind.arn(), &traits.cache))
        .list("SubnetIds", settings.subnets.iter().map(|id| Element::of("SubnetId", id)))
        .text("SnapshotRetentionLimit", traits.retention_days)
        .maybe("DailySnapshotTime", traits.snapshot_window.split('-').next().filter(|it| !it.is_empty()))
        .text("NetworkType", "ipv4");
    if let Some(gigabytes) = settings.storage_limit_gb {
        let storage = Element::new("DataStorage").text("Maximum", gigabytes).text("Unit", "GB");
        element = element.with(Element::new("CacheUsageLimits").with(storage));
    }
    element = with(element, endpoint("Endpoint", region, cache, 0));
    with(element, endpoint("ReaderEndpoint", region, cache, 0))
}

/// A `ServerlessCacheSnapshot`.
pub(crate) fn serverless_snapshot(region: &Region, snapshot: &Snapshot) -> Element {
    let traits = &snapshot.traits;
    let configuration = Element::new("ServerlessCacheConfiguration")
        .text("ServerlessCacheName", &traits.cache)
        .text("Engine", &traits.engine)
        .text("MajorEngineVersion", traits.major());
    Element::new("ServerlessCacheSnapshot")
        .text("ServerlessCacheSnapshotName", &snapshot.name)
        .text("ARN", region.arn(snapshot.form.arn(), &snapshot.name))
        .maybe("KmsKeyId", snapshot.key.as_ref())
        .text("SnapshotType", snapshot.source.text())
        .text("Status", snapshot.status.text())
        .maybe("CreateTime", snapshot.taken.map(time))
        .maybe("BytesUsedForCache", snapshot.size_bytes(0))
        .with(configuration)
}
