//! `DescribeDBInstances`.

use jiff::Timestamp;

use super::{Answer, Request};
use crate::documents;
use crate::wire::{Element, Fault, Filters, Page};

const FILTERS: [&str; 5] = ["db-cluster-id", "db-instance-id", "dbi-resource-id", "domain", "engine"];

pub(super) fn describe(request: &Request) -> Answer {
    let parameters = &request.parameters;
    let page = Page::of(parameters)?;
    let filters = Filters::of(parameters, &FILTERS)?;
    let now = Timestamp::now();
    request.plane.region(&request.region, |region| {
        let wanted = match parameters.get("DBInstanceIdentifier") {
            Some(text) => Some(region.instance(text)?.traits.instance.clone()),
            None => None,
        };
        let region = &*region;
        let arns: Vec<_> = region.instances.keys().map(|id| region.arn("db", id)).collect();
        let matching = region
            .instances
            .iter()
            .zip(&arns)
            .filter(|((id, instance), arn)| {
                wanted.as_ref().is_none_or(|wanted| wanted == *id)
                    && filters.pass(|name| match name {
                        "db-instance-id" => vec![id, arn],
                        "dbi-resource-id" => vec![&instance.traits.resource_id],
                        "engine" => vec![&instance.traits.engine],
                        _ => Vec::new(),
                    })
            })
            .map(|((id, instance), _)| (id.as_str(), instance));
        let result = Element::new("DescribeDBInstancesResult");
        let document = |instance| documents::instance(region, instance, now);
        Ok::<_, Fault>(page.element(result, "DBInstances", matching, document))
    })
}
