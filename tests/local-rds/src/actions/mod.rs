//! The actions: each checks its request, changes the state at once, and leaves the rest to [`crate::work`].

mod account;
mod attributes;
mod automated_backups;
mod copy_snapshot;
mod create_instance;
mod delete_instance;
mod describe_instances;
mod events;
mod modify_instance;
mod replication;
mod restore;
mod restore_to_point_in_time;
mod settings;
mod snapshots;
mod tags;

use std::sync::Arc;

use aws_query::{Element, Fault, Paging, Parameters, Response, Service};

use crate::plane::Plane;

const SERVICE: Service =
    Service { namespace: "http://rds.amazonaws.com/doc/2014-10-31/", version: "2014-10-31" };

/// 20 to 100 records, 100 unless told (API reference, every Describe of RDS).
const PAGING: Paging = Paging { size: "MaxRecords", marker: "Marker", least: 20, most: 100 };

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
        Ok(result) => SERVICE.success(&action, result, resource),
        Err(fault) => SERVICE.failure(&action, &fault, resource),
    }
}

/// What the request is about: the thing it makes or changes comes before the thing it reads.
fn resource(parameters: &Parameters) -> Option<String> {
    const NAMES: [&str; 9] = [
        "TargetDBSnapshotIdentifier",
        "TargetDBInstanceIdentifier",
        "DBSnapshotIdentifier",
        "DBInstanceIdentifier",
        "ResourceName",
        "SourceDBInstanceArn",
        "DBInstanceAutomatedBackupsArn",
        "DbiResourceId",
        "SourceIdentifier",
    ];
    // A restore names the snapshot too, but makes the instance.
    let restored = parameters.get("Action") == Some("RestoreDBInstanceFromDBSnapshot");
    let mut names = NAMES.iter().filter(|name| !(restored && **name == "DBSnapshotIdentifier"));
    names.find_map(|name| parameters.owned(name))
}

async fn dispatch(action: &str, request: Request) -> Result<Option<Element>, Fault> {
    let result = match action {
        "" => Err(SERVICE.no_action()),
        "CreateDBInstance" => create_instance::create(request).await,
        "DescribeDBInstances" => describe_instances::describe(&request),
        "ModifyDBInstance" => modify_instance::modify(&request),
        "DeleteDBInstance" => delete_instance::delete(&request),
        "CreateDBSnapshot" => snapshots::create(&request),
        "DescribeDBSnapshots" => snapshots::describe(&request),
        "DeleteDBSnapshot" => snapshots::delete(&request),
        "CopyDBSnapshot" => copy_snapshot::copy(request).await,
        "ModifyDBSnapshotAttribute" => attributes::modify(request).await,
        "DescribeDBSnapshotAttributes" => attributes::describe(&request),
        "RestoreDBInstanceFromDBSnapshot" => restore::from_snapshot(request).await,
        "RestoreDBInstanceToPointInTime" => restore_to_point_in_time::restore(request).await,
        // These two answer with the envelope alone.
        "AddTagsToResource" => return tags::add(&request).map(|()| None),
        "RemoveTagsFromResource" => return tags::remove(&request).map(|()| None),
        "ListTagsForResource" => tags::list(&request),
        "StartDBInstanceAutomatedBackupsReplication" => replication::start(request).await,
        "StopDBInstanceAutomatedBackupsReplication" => replication::stop(&request),
        "DescribeDBInstanceAutomatedBackups" => automated_backups::describe(&request),
        "DeleteDBInstanceAutomatedBackup" => automated_backups::delete(&request),
        "DescribeEvents" => events::describe(&request),
        "DescribeAccountAttributes" => Ok(account::describe(&request)),
        _ => Err(SERVICE.unknown(action)),
    };
    result.map(Some)
}

/// `ACTIONResult` around one thing.
fn result(action: &'static str, inside: Element) -> Element {
    Element::new(format!("{action}Result")).with(inside)
}
