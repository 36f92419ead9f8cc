//! `AddTagsToResource`, `RemoveTagsFromResource`, `ListTagsForResource`.

use aws_query::{Element, Fault, Parameters};

use super::{Answer, Request};
use crate::faults;
use crate::identifiers::ARNS;
use crate::state::{Cache, CacheStatus, Form, Kind, Tags};

/// How many tags a resource can have (ElastiCache User Guide, "Tag restrictions").
const TAGS: usize = 50;

/// The tag that asks for a cache without a server, and its value.
const SIMULATED: (&str, &str) = ("local-cloud:data", "simulated");

/// Whether the tags ask for simulated data.
pub(super) fn simulated(tags: &Tags) -> bool {
    tags.get(SIMULATED.0).is_some_and(|value| value == SIMULATED.1)
}

/// The tags of a request.
pub(super) fn read(parameters: &Parameters) -> Result<Tags, Fault> {
    let tags = parameters.tags(&["aws:"])?;
    check_count(&tags)?;
    Ok(tags)
}

fn check_count(tags: &Tags) -> Result<(), Fault> {
    if tags.len() > TAGS {
        return Err(faults::tag_quota(format!("A resource can have at most {TAGS} tags.")));
    }
    Ok(())
}

pub(super) fn add(request: &Request) -> Answer {
    let asked = read(&request.parameters)?;
    if asked.is_empty() {
        return Err(Fault::missing_parameter("The request must contain the parameter Tags."));
    }
    change(request, "AddTagsToResourceResult", |tags| {
        let mut all = tags.clone();
        all.extend(asked);
        check_count(&all)?;
        *tags = all;
        Ok(())
    })
}

pub(super) fn remove(request: &Request) -> Answer {
    let keys = request.parameters.strings("TagKeys");
    change(request, "RemoveTagsFromResourceResult", |tags| {
        if let Some(absent) = keys.iter().find(|key| !tags.contains_key(*key)) {
            return Err(faults::tag_not_found(format!("There is no tag {absent}.")));
        }
        tags.retain(|key, _| !keys.contains(key));
        Ok(())
    })
}

pub(super) fn list(request: &Request) -> Answer {
    change(request, "ListTagsForResourceResult", |_| Ok(()))
}

/// Works on the tags of the resource that the request names by its ARN, and answers with all of them. The nodes of a
/// replication group have the group's.
fn change(
    request: &Request,
    result: &'static str,
    work: impl FnOnce(&mut Tags) -> Result<(), Fault>,
) -> Answer {
    let text = request.parameters.required("ResourceName")?;
    let arn = ARNS
        .parse(text)
        .filter(|arn| arn.region == request.region && arn.account == request.plane.account)
        .ok_or_else(|| faults::invalid_arn(format!("The specified ARN is not valid: {text}")))?;
    request.plane.region(&request.region, |region| {
        let tags = match arn.kind.as_str() {
            "replicationgroup" => tags_of(region.cache(Kind::Group, &arn.name)?)?,
            "cluster" => tags_of(region.with_cluster(&arn.name)?)?,
            "serverlesscache" => tags_of(region.cache(Kind::Serverless, &arn.name)?)?,
            "snapshot" => &mut region.snapshot(Form::Node, &arn.name)?.tags,
            "serverlesscachesnapshot" => &mut region.snapshot(Form::Serverless, &arn.name)?.tags,
            kind => {
                let message = format!("The local cloud has no resources of the kind {kind}.");
                return Err(faults::invalid_arn(message));
            }
        };
        work(tags)?;
        Ok(Element::new(result).tags(tags))
    })
}

/// The tags of a cache that is available ("If the cluster is not in the available state, `ListTagsForResource` returns an error":
/// API reference). A serverless cache tells them while it is modified, too (ekristen/aws-nuke, pull request 256).
fn tags_of(cache: &mut Cache) -> Result<&mut Tags, Fault> {
    match (cache.traits.kind, cache.status) {
        (_, CacheStatus::Available) | (Kind::Serverless, CacheStatus::Modifying) => Ok(&mut cache.tags),
        (Kind::Group, _) => {
            Err(faults::group_state("Cluster not in available state to perform tagging operations."))
        }
        (Kind::Cluster, _) => {
            Err(faults::cluster_state("Cluster not in available state to perform tagging operations."))
        }
        (Kind::Serverless, _) => Err(faults::serverless_state(
            "Serverless cache is not in an available state to perform the requested action.",
        )),
    }
}
