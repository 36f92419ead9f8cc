//! `CreateServerlessCacheSnapshot`, `DescribeServerlessCacheSnapshots`, `DeleteServerlessCacheSnapshot`,
//! `ExportServerlessCacheSnapshot`.

use std::sync::Arc;

use aws_query::{Element, Page, same};

use super::{Answer, Request, SERVERLESS, copy_snapshot, result, snapshots, tags};
use crate::state::{CacheStatus, Form, Kind, Snapshot};
use crate::{documents, work};

pub(super) async fn create(request: Request) -> Answer {
    let (plane, parameters) = (&request.plane, &request.parameters);
    let name = parameters.required("ServerlessCacheSnapshotName")?;
    let cache = parameters.required("ServerlessCacheName")?;
    let asked = tags::read(parameters)?;
    let key = plane.key(&request.region, parameters.get("KmsKeyId")).await?;
    let (quotas, number, now) = (plane.quotas(), plane.number(), plane.clock.now());
    let (document, cache, snapshot) = plane.region(&request.region, |region| {
        region.cache(Kind::Serverless, cache)?;
        let name = snapshots::new_name(region, Form::Serverless, "ServerlessCacheSnapshotName", name)?;
        let found = region.cache(Kind::Serverless, cache)?;
        if found.status != CacheStatus::Available {
            return Err(snapshots::wrong_state(Kind::Serverless, cache, found.status));
        }
        snapshots::spend(found, quotas, now)?;
        let snapshot = work::new_snapshot(name, number, found, key, asked);
        let cache = found.number;
        region.snapshots.insert((Form::Serverless, snapshot.name.clone()), snapshot.clone());
        Ok((documents::serverless_snapshot(region, &snapshot), cache, snapshot))
    })?;
    plane.tasks.spawn(work::snapshot(Arc::clone(plane), request.region.clone(), cache, snapshot));
    Ok(result("CreateServerlessCacheSnapshot", document))
}

pub(super) fn describe(request: &Request) -> Answer {
    let parameters = &request.parameters;
    let page = Page::of(parameters, SERVERLESS)?;
    let kind = parameters.get("SnapshotType");
    request.plane.region(&request.region, |region| {
        let wanted = match parameters.get("ServerlessCacheSnapshotName") {
            Some(name) => Some(region.snapshot(Form::Serverless, name)?.name.clone()),
            None => None,
        };
        let region = &*region;
        let matching = region.snapshots(Form::Serverless).filter(|(name, snapshot)| {
            wanted.as_deref().is_none_or(|wanted| wanted == *name)
                && kind.is_none_or(|kind| same(kind, snapshot.source.text()))
                && parameters.get("ServerlessCacheName").is_none_or(|it| same(it, &snapshot.traits.cache))
        });
        let result = Element::new("DescribeServerlessCacheSnapshotsResult");
        let document = |snapshot: &Snapshot| documents::serverless_snapshot(region, snapshot);
        Ok(page.element(result, "ServerlessCacheSnapshots", matching, document))
    })
}

pub(super) fn delete(request: &Request) -> Answer {
    let plane = &request.plane;
    let name = request.parameters.required("ServerlessCacheSnapshotName")?;
    let (document, number) = plane.region(&request.region, |region| {
        let snapshot = snapshots::doomed(region, Form::Serverless, name)?;
        Ok((documents::serverless_snapshot(region, &snapshot), snapshot.number))
    })?;
    plane.tasks.spawn(work::delete_snapshot(Arc::clone(plane), request.region.clone(), number));
    Ok(result("DeleteServerlessCacheSnapshot", document))
}

pub(super) async fn export(request: Request) -> Answer {
    let (plane, region) = (&request.plane, &request.region);
    let name = request.parameters.required("ServerlessCacheSnapshotName")?.to_ascii_lowercase();
    let bucket = request.parameters.required("S3BucketName")?;
    let snapshot = copy_snapshot::begin(plane, region, Form::Serverless, &name, bucket, &name).await?;
    let document = plane.region(region, |region| documents::serverless_snapshot(region, &snapshot));
    Ok(result("ExportServerlessCacheSnapshot", document))
}
