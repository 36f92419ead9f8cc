//! `ModifyDBSnapshotAttribute`, `DescribeDBSnapshotAttributes`: sharing.

use std::collections::BTreeSet;

use aws_query::{Element, Fault};

use super::{Answer, Request, result};
use crate::faults;
use crate::state::{Snapshot, SnapshotKind};

/// With how many accounts a snapshot can be shared (RDS User Guide, "Sharing a DB snapshot").
const ACCOUNTS: usize = 20;

pub(super) async fn modify(request: Request) -> Answer {
    let parameters = &request.parameters;
    let id = parameters.required("DBSnapshotIdentifier")?;
    let name = parameters.required("AttributeName")?;
    if name != "restore" {
        return Err(Fault::invalid_value(format!("Invalid attribute name: {name}")));
    }
    let (add, remove) = (parameters.strings("ValuesToAdd"), parameters.strings("ValuesToRemove"));
    for value in add.iter().chain(&remove) {
        if value != "all" && !(value.len() == 12 && value.bytes().all(|b| b.is_ascii_digit())) {
            return Err(Fault::invalid_value(format!("Invalid account: {value}")));
        }
    }
    let default_key = request.plane.default_key(&request.region).await;
    let document = request.plane.region(&request.region, |region| {
        let snapshot = region.snapshot(id)?;
        if !add.is_empty() && snapshot.traits.key.as_ref() == Some(&default_key) {
            return Err(faults::snapshot_state(
                "Sharing snapshots encrypted with default service key for RDS is currently not supported.",
            ));
        }
        if snapshot.kind == SnapshotKind::Automated {
            return Err(faults::snapshot_state("Automated snapshots cannot be shared."));
        }
        if snapshot.traits.key.is_some() && add.iter().any(|value| value == "all") {
            return Err(faults::snapshot_state("Encrypted snapshots cannot be shared publicly."));
        }
        let mut shared: BTreeSet<String> =
            snapshot.shared_with.union(&add.into_iter().collect()).cloned().collect();
        shared.retain(|value| !remove.contains(value));
        if shared.len() > ACCOUNTS {
            return Err(faults::sharing_quota(format!(
                "Cannot share a snapshot with more than {ACCOUNTS} accounts"
            )));
        }
        snapshot.shared_with = shared;
        Ok(attributes(snapshot))
    })?;
    Ok(result("ModifyDBSnapshotAttribute", document))
}

pub(super) fn describe(request: &Request) -> Answer {
    let id = request.parameters.required("DBSnapshotIdentifier")?;
    let document = request
        .plane
        .region(&request.region, |region| region.snapshot(id).map(|snapshot| attributes(snapshot)))?;
    Ok(result("DescribeDBSnapshotAttributes", document))
}

fn attributes(snapshot: &Snapshot) -> Element {
    let values = snapshot.shared_with.iter().map(|value| Element::of("AttributeValue", value));
    let restore =
        Element::new("DBSnapshotAttribute").text("AttributeName", "restore").list("AttributeValues", values);
    Element::new("DBSnapshotAttributesResult")
        .text("DBSnapshotIdentifier", &snapshot.id)
        .list("DBSnapshotAttributes", [restore])
}
