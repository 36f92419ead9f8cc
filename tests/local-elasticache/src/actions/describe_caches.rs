//! `DescribeReplicationGroups` and `DescribeCacheClusters`.

use std::collections::BTreeMap;

use aws_query::{Element, Fault, Page};

use super::{Answer, CACHES, Request};
use crate::documents;
use crate::state::{Kind, Region};

pub(super) fn groups(request: &Request) -> Answer {
    let parameters = &request.parameters;
    let page = Page::of(parameters, CACHES)?;
    request.plane.region(&request.region, |region| {
        let wanted = match parameters.get("ReplicationGroupId") {
            Some(id) => Some(region.cache(Kind::Group, id)?.traits.cache.clone()),
            None => None,
        };
        let region = &*region;
        let matching =
            region.caches(Kind::Group).filter(|(id, _)| wanted.as_deref().is_none_or(|it| it == *id));
        let result = Element::new("DescribeReplicationGroupsResult");
        Ok(page.element(result, "ReplicationGroups", matching, |cache| documents::group(region, cache)))
    })
}

pub(super) fn clusters(request: &Request) -> Answer {
    let parameters = &request.parameters;
    let page = Page::of(parameters, CACHES)?;
    let nodes = parameters.boolean("ShowCacheNodeInfo")?.unwrap_or(false);
    let alone = parameters.boolean("ShowCacheClustersNotInReplicationGroups")?.unwrap_or(false);
    request.plane.region(&request.region, |region| {
        let wanted = parameters.get("CacheClusterId").map(str::to_ascii_lowercase);
        if let Some(id) = &wanted {
            region.with_cluster(id)?;
        }
        let mut found = members(region, nodes, alone);
        found.retain(|id, _| wanted.as_ref().is_none_or(|wanted| wanted == id));
        let result = Element::new("DescribeCacheClustersResult");
        let matching = found.iter().map(|(id, element)| (id.as_str(), element.clone()));
        Ok::<_, Fault>(page.element(result, "CacheClusters", matching, |element| element))
    })
}

/// All cache clusters, by id.
fn members(region: &Region, nodes: bool, alone: bool) -> BTreeMap<String, Element> {
    let caches = region.caches(Kind::Cluster).chain(region.caches(Kind::Group).filter(|_| !alone));
    let members = caches.flat_map(|(_, cache)| {
        let traits = &cache.traits;
        let shards = traits.shards.iter().enumerate();
        shards.flat_map(move |(at, shard)| {
            let members = traits.members(shard).into_iter();
            members.map(move |id| {
                let element = documents::cluster_of(region, cache, at, &id, nodes);
                (id, element)
            })
        })
    });
    members.collect()
}
