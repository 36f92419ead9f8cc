//! `CreateServerlessCache`, `DescribeServerlessCaches`, `DeleteServerlessCache`.

use aws_query::{Element, Page, identifier};

use super::origin::Source;
use super::settings::{Asked, settings};
use super::{Answer, Request, SERVERLESS, caches, delete_cache, result, tags};
use crate::identifiers::GROUP;
use crate::state::{Cache, Kind, Region, shards};
use crate::{documents, faults};

fn document(region: &Region, cache: &Cache) -> Element {
    documents::serverless_cache("ServerlessCache", region, cache)
}

pub(super) async fn create(request: Request) -> Answer {
    let (plane, parameters) = (&request.plane, &request.parameters);
    let name = identifier("ServerlessCacheName", parameters.required("ServerlessCacheName")?, GROUP)?;
    parameters.required("Engine")?;
    let asked = tags::read(parameters)?;
    let source = Source::of(plane, &request.region, parameters, "SnapshotArnsToRestore").await?;
    // Clients see one shard of a cluster, however many there are behind it.
    let mut traits = Asked {
        parameters,
        region: &request.region,
        kind: Kind::Serverless,
        version: &plane.install.version,
        snapshot: source.snapshot(),
        cluster_mode: true,
        shards: shards(1),
        replicas: 0,
    }
    .traits()?;
    traits.cache.clone_from(&name);
    traits.description = parameters.owned("Description").unwrap_or_default();
    traits.snapshot_window = parameters.owned("DailySnapshotTime").unwrap_or_default();
    traits.simulated = tags::simulated(&asked) || source.snapshot().is_some_and(|it| it.traits.simulated);
    let key = plane.key(&request.region, parameters.get("KmsKeyId")).await?;
    let settings = settings(parameters, &traits, key)?;
    let quota = plane.quotas().serverless_caches;
    let cache = caches::new(plane, traits, settings, asked);
    let check = |region: &mut Region| {
        caches::free(region, Kind::Serverless, &name, faults::serverless_exists)?;
        if region.caches(Kind::Serverless).count() >= quota {
            return Err(faults::serverless_quota(format!(
                "Cannot have more than {quota} serverless caches."
            )));
        }
        Ok(())
    };
    let document = caches::launch(&request, cache, source, check, document)?;
    Ok(result("CreateServerlessCache", document))
}

pub(super) fn describe(request: &Request) -> Answer {
    let parameters = &request.parameters;
    let page = Page::of(parameters, SERVERLESS)?;
    request.plane.region(&request.region, |region| {
        let wanted = match parameters.get("ServerlessCacheName") {
            Some(name) => Some(region.cache(Kind::Serverless, name)?.traits.cache.clone()),
            None => None,
        };
        let region = &*region;
        let caches = region.caches(Kind::Serverless);
        let matching = caches.filter(|(name, _)| wanted.as_deref().is_none_or(|wanted| wanted == *name));
        let result = Element::new("DescribeServerlessCachesResult");
        let document = |cache: &Cache| documents::serverless_cache("member", region, cache);
        Ok(page.element(result, "ServerlessCaches", matching, document))
    })
}

pub(super) fn delete(request: &Request) -> Answer {
    let name = request.parameters.required("ServerlessCacheName")?;
    let snapshot = request.parameters.get("FinalSnapshotName");
    let document = delete_cache::delete(request, Kind::Serverless, name, snapshot, document)?;
    Ok(result("DeleteServerlessCache", document))
}
