use std::{collections::HashSet, sync::Arc};

use domain::PlanDocument;
use jiff::Timestamp;
use vault::Store;

use super::{Kind, Source};
use crate::{
    engines::{
        Answer, Asked, Protected, Seen,
        vaulted::{self, Vaults},
    },
    look::in_time,
    organization::Caches,
};

/// Asks ElastiCache, and lists the vaults if anything is protected. Archives are known without asking.
pub(crate) async fn observe<C: Caches, S: Store>(
    caches: &C,
    vaults: &Vaults<'_, S>,
    plans: &PlanDocument,
    asked: Asked,
    now: Timestamp,
) -> Seen<Source> {
    if !asked.resources {
        return Seen::nothing();
    }
    let (mut sources, answer) = match in_time("caches were", caches.caches()).await {
        Ok(caches) => (caches.into_iter().map(Source::cache).collect(), Answer::All),
        Err(error) => (Vec::new(), Answer::Failed(Arc::new(error))),
    };
    sources.extend(
        plans.iter().flat_map(|plan| {
            plan.redis.append_only.iter().map(move |archive| Source::archive(plan, archive))
        }),
    );
    let (mut resources, clashes) =
        vaulted::without_namesakes(sources, Source::name, |source| source.plan_name().is_some());
    for source in &mut resources {
        source.clashes = clashes.contains(source.name());
    }
    let mut look = vaulted::look_if(asked, vaults, &resources, plans, now).await;
    if let Some(look) = &mut look {
        let is_archive = |source: &&Source| matches!(source.kind, Kind::Archive { .. });
        let archives: HashSet<&str> = resources.iter().filter(is_archive).map(Protected::name).collect();
        let away = look.away.iter_mut().flat_map(|away| &mut away.copies);
        for point in look.home.iter_mut().flatten().chain(away) {
            if archives.contains(point.resource.as_str()) {
                point.incarnation.clear();
            }
        }
    }
    Seen { resources, answer, look }
}

/// Whether plans name anything of Redis's own accord.
pub(crate) fn is_named(plans: &PlanDocument) -> bool {
    plans.iter().any(|plan| !plan.redis.append_only.is_empty())
}
