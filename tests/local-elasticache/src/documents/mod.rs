//! Caches and snapshots as the API shows them.

mod clusters;
mod groups;
mod serverless;
mod snapshots;

use aws_query::Element;

pub(crate) use clusters::{cluster, cluster_of};
pub(crate) use groups::group;
pub(crate) use serverless::{serverless_cache, serverless_snapshot};
pub(crate) use snapshots::snapshot;

use crate::state::{Cache, Data, Region};

/// The one network there is.
const VPC: &str = "vpc-0d0c0ffee0d0c0ffe";
/// Unless told otherwise.
const PORT: u16 = 6379;

/// `enabled` or `disabled`.
fn switch(on: bool) -> &'static str {
    if on { "enabled" } else { "disabled" }
}

/// Where clients connect to a shard; nothing while there is no server.
fn endpoint(name: &'static str, region: &Region, cache: &Cache, shard: usize) -> Option<Element> {
    let (address, port) = match &cache.data {
        Data::None => return None,
        Data::Real(fleet) => ("127.0.0.1".to_owned(), fleet.ports().get(shard).copied()?),
        Data::Simulated => {
            let cache = &cache.traits.cache;
            (format!("{cache}.simulated.{}.cache.amazonaws.com", region.name), PORT)
        }
    };
    Some(Element::new(name).text("Address", address).text("Port", port))
}

/// `none`, `sse-elasticache` or `sse-kms`.
fn storage_encryption(cache: &Cache) -> &'static str {
    match (&cache.settings.key, cache.settings.at_rest_encryption) {
        (Some(_), _) => "sse-kms",
        (None, true) => "sse-elasticache",
        (None, false) => "none",
    }
}

/// With a child, if there is one.
fn with(element: Element, child: Option<Element>) -> Element {
    match child {
        Some(child) => element.with(child),
        None => element,
    }
}
