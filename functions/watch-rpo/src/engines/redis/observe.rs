use std::sync::Arc;

use domain::PlanDocument;
use jiff::Timestamp;
use vault::Store;

use super::Source;
use crate::{
    engines::{
        Answer, Asked, Protected, Seen, Under,
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
        vaulted::without_namesakes(sources, |source| matches!(source.under(plans), Under::Plan(_)));
    for source in &mut resources {
        source.clashes = clashes.contains(source.name());
    }
    let look = vaulted::look_if(asked, vaults, &resources, plans, now).await;
    Seen { resources, answer, look }
}

/// Whether plans name anything of Redis's own accord.
pub(crate) fn is_named(plans: &PlanDocument) -> bool {
    plans.iter().any(|plan| !plan.redis.append_only.is_empty())
}
