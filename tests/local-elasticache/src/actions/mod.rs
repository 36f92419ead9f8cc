//! The actions: each checks its request, changes the state at once, and leaves the rest to [`crate::work`].

mod caches;
mod copy_snapshot;
mod create_cluster;
mod create_group;
mod delete_cache;
mod describe_caches;
mod origin;
mod serverless;
mod serverless_snapshots;
mod settings;
mod shards;
mod snapshots;
mod tags;

use std::sync::Arc;

use aws_query::{Element, Fault, Paging, Parameters, Response, Service};

use crate::plane::Plane;

const SERVICE: Service =
    Service { namespace: "http://elasticache.amazonaws.com/doc/2015-02-02/", version: "2015-02-02" };

/// 20 to 100 records, 100 unless told (API reference, `DescribeReplicationGroups`, `DescribeCacheClusters`).
const CACHES: Paging = Paging { size: "MaxRecords", marker: "Marker", least: 20, most: 100 };
/// 20 to 50 records, 50 unless told (API reference, `DescribeSnapshots`).
const SNAPSHOTS: Paging = Paging { size: "MaxRecords", marker: "Marker", least: 20, most: 50 };
/// 1 to 50 results, 50 unless told (API reference, `DescribeServerlessCacheSnapshots`).
const SERVERLESS: Paging = Paging { size: "MaxResults", marker: "NextToken", least: 1, most: 50 };

/// One request, wherever it goes.
pub(crate) struct Request {
    pub(crate) plane: Arc<Plane>,
    pub(crate) region: String,
    pub(crate) parameters: Parameters,
}

/// What an action answers: `ACTIONResult`.
type Answer = Result<Element, Fault>;

/// Answers a request.
pub(crate) async fn answer(plane: Arc<Plane>, region: &str, body: &[u8]) -> Response {
    let parameters = match Parameters::parse(body) {
        Ok(parameters) => parameters,
        Err(fault) => return SERVICE.failure("", &fault, None),
    };
    let action = parameters.owned("Action").unwrap_or_default();
    let resource = resource(&parameters);
    let request = Request { plane, region: region.to_owned(), parameters };
    match dispatch(&action, request).await {
        Ok(result) => SERVICE.success(&action, Some(result), resource),
        Err(fault) => SERVICE.failure(&action, &fault, resource),
    }
}

/// What the request is about: the thing it makes or changes comes before the thing it reads.
fn resource(parameters: &Parameters) -> Option<String> {
    const NAMES: [&str; 8] = [
        "TargetSnapshotName",
        "ServerlessCacheSnapshotName",
        "SnapshotName",
        "ServerlessCacheName",
        "ReplicationGroupId",
        "CacheClusterId",
        "ResourceName",
        "SourceSnapshotName",
    ];
    // A new cache names the snapshot too, but is made itself.
    let action = parameters.get("Action").unwrap_or_default();
    let restored = ["CreateReplicationGroup", "CreateCacheCluster"].contains(&action);
    let mut names = NAMES.iter().filter(|name| !(restored && **name == "SnapshotName"));
    names.find_map(|name| parameters.owned(name))
}

async fn dispatch(action: &str, request: Request) -> Answer {
    match action {
        "" => Err(SERVICE.no_action()),
        "CreateReplicationGroup" => create_group::create(request).await,
        "CreateCacheCluster" => create_cluster::create(request).await,
        "DescribeReplicationGroups" => describe_caches::groups(&request),
        "DescribeCacheClusters" => describe_caches::clusters(&request),
        "DeleteReplicationGroup" => delete_cache::group(&request),
        "DeleteCacheCluster" => delete_cache::cluster(&request),
        "CreateSnapshot" => snapshots::create(request).await,
        "DescribeSnapshots" => snapshots::describe(&request),
        "DeleteSnapshot" => snapshots::delete(&request),
        "CopySnapshot" => copy_snapshot::copy(request).await,
        "AddTagsToResource" => tags::add(&request),
        "RemoveTagsFromResource" => tags::remove(&request),
        "ListTagsForResource" => tags::list(&request),
        "CreateServerlessCache" => serverless::create(request).await,
        "DescribeServerlessCaches" => serverless::describe(&request),
        "DeleteServerlessCache" => serverless::delete(&request),
        "CreateServerlessCacheSnapshot" => serverless_snapshots::create(request).await,
        "DescribeServerlessCacheSnapshots" => serverless_snapshots::describe(&request),
        "DeleteServerlessCacheSnapshot" => serverless_snapshots::delete(&request),
        "ExportServerlessCacheSnapshot" => serverless_snapshots::export(request).await,
        _ => Err(SERVICE.unknown(action)),
    }
}

/// `ACTIONResult` around one thing.
fn result(action: &'static str, inside: Element) -> Element {
    Element::new(format!("{action}Result")).with(inside)
}
