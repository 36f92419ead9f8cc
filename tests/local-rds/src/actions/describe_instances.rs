//! `DescribeDBInstances`.

use aws_query::{Element, Fault, Filters, Page, same};

use super::{Answer, PAGING, Request};
use crate::documents;

const FILTERS: [&str; 5] = ["db-cluster-id", "db-instance-id", "dbi-resource-id", "domain", "engine"];

pub(super) fn describe(request: &Request) -> Answer {
    let parameters = &request.parameters;
    let page = Page::of(parameters, PAGING)?;
    let filters = Filters::of(parameters, &FILTERS)?;
    request.plane.region(&request.region, |region| {
        let wanted = match parameters.get("DBInstanceIdentifier") {
            Some(text) => Some(region.instance(text)?.traits.instance.clone()),
            None => None,
        };
        let region = &*region;
        let matching = region.instances.iter().filter(|(id, instance)| {
            let passes = |name: &str, value: &str| match name {
                "db-instance-id" => same(value, id) || same(value, &region.arn("db", id)),
                "dbi-resource-id" => same(value, &instance.traits.resource_id),
                "engine" => same(value, &instance.traits.engine),
                // We have no clusters and no domains.
                _ => false,
            };
            wanted.as_ref().is_none_or(|wanted| wanted == *id) && filters.pass(passes)
        });
        let matching = matching.map(|(id, instance)| (id.as_str(), instance));
        let result = Element::new("DescribeDBInstancesResult");
        let document = |instance| documents::instance(region, instance);
        Ok::<_, Fault>(page.element(result, "DBInstances", matching, document))
    })
}
