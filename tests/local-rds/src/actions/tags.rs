//! `AddTagsToResource`, `RemoveTagsFromResource`, `ListTagsForResource`.

use aws_query::{Element, Fault, Parameters};

use super::{Answer, Request};
use crate::identifiers::ARNS;
use crate::plane::Plane;
use crate::state::Tags;

/// How many tags a resource can have (RDS User Guide, "Tagging Amazon RDS resources").
const TAGS: usize = 50;

/// No tags.
pub(super) fn none() -> Tags {
    Tags::new()
}

/// The tags of a request.
pub(super) fn read(parameters: &Parameters) -> Result<Tags, Fault> {
    let tags = parameters.tags(&["aws:", "rds:"])?;
    check_count(&tags)?;
    Ok(tags)
}

fn check_count(tags: &Tags) -> Result<(), Fault> {
    if tags.len() > TAGS {
        return Err(Fault::invalid_value(format!("A resource can have at most {TAGS} tags.")));
    }
    Ok(())
}

pub(super) fn add(request: &Request) -> Result<(), Fault> {
    let asked = read(&request.parameters)?;
    if asked.is_empty() {
        return Err(Fault::missing_parameter("The request must contain the parameter Tags."));
    }
    change(request, |tags| {
        let mut all = tags.clone();
        all.extend(asked);
        check_count(&all)?;
        *tags = all;
        Ok(())
    })
}

pub(super) fn remove(request: &Request) -> Result<(), Fault> {
    let keys = request.parameters.strings("TagKeys");
    change(request, |tags| {
        tags.retain(|key, _| !keys.contains(key));
        Ok(())
    })
}

pub(super) fn list(request: &Request) -> Answer {
    let tags = change(request, |tags| Ok(tags.clone()))?;
    Ok(Element::new("ListTagsForResourceResult").tags(&tags))
}

/// Works on the tags of the resource that the request names by its ARN.
fn change<T>(request: &Request, work: impl FnOnce(&mut Tags) -> Result<T, Fault>) -> Result<T, Fault> {
    let text = request.parameters.required("ResourceName")?;
    let arn =
        ARNS.parse(text).filter(|arn| arn.region == request.region && arn.account == account(&request.plane));
    let Some(arn) = arn else {
        return Err(Fault::invalid_value(format!(
            "The specified resource name does not match an RDS resource in this region: {text}"
        )));
    };
    request.plane.region(&request.region, |region| match arn.kind.as_str() {
        "db" => work(&mut region.instance(text)?.tags),
        "snapshot" => work(&mut region.snapshot(text)?.tags),
        "auto-backup" => work(&mut region.backup(text)?.tags),
        _ => Err(Fault::invalid_value(format!("The local cloud has no resources of the kind {}.", arn.kind))),
    })
}

fn account(plane: &Plane) -> &str {
    &plane.account
}
