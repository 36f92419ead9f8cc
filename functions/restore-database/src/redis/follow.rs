//! What a tick does with the restores under way: pure.

use domain::{Finding, ResourceId, Severity, Standing};
use jiff::{SignedDuration, Timestamp};
use reconcile::{Error, Outcome, Plan};

use super::{
    act::Action,
    observe::{Made, Restores, Seen},
    work::{Make, NewCache},
};
use crate::restore::End;

/// The states out of which no new cache finds by itself.
const DEAD_ENDS: [&str; 4] = ["create-failed", "restore-failed", "deleting", "incompatible-network"];

/// The states in which a cache is in service.
const IN_SERVICE: [&str; 3] = ["available", "modifying", "snapshotting"];

/// How long a restore is waited for. ElastiCache takes hours for the largest ones, never days.
const PATIENCE: SignedDuration = SignedDuration::from_hours(24);

/// How long after ElastiCache took it on a new cache may not be found yet.
const APPEARS: SignedDuration = SignedDuration::from_mins(15);

/// Decides for each restore whether it is over, waits for ElastiCache, or goes on.
pub(crate) fn plan(observed: &Restores, now: Timestamp) -> Plan<Action> {
    let mut plan = Plan::empty();
    for (_, error) in &observed.unreadable {
        let error = Error::new(error.kind(), error.code().to_owned(), error.report());
        plan.refuse(&ResourceId::tidemark("restore-database"), error);
    }
    for seen in &observed.all {
        follow(seen, observed, now, &mut plan);
    }
    plan
}

fn follow(seen: &Seen, observed: &Restores, now: Timestamp, plan: &mut Plan<Action>) {
    let order = &seen.ordered.order;
    let (restore, resource, id) = (&order.restore, &order.restore.resource, &order.restore.id);
    let end = restore.end(&observed.recorded);
    if let Some(end) = end {
        // What became of a drill's, the drill tells.
        if let (End::Failed(code), None) = (end, &order.drill) {
            plan.find(failed_restore(seen, code));
        }
        return plan.settled(resource, format!("{id} is over"));
    }
    let requested_recorded = restore.is_recorded(&observed.recorded, "restore-requested", Outcome::Completed);
    let step = |why: Option<String>| Action::Step {
        ordered: Box::new(seen.ordered.clone()),
        requested_recorded,
        dead: why,
    };
    let too_long = now.duration_since(restore.requested_at) > PATIENCE;
    let dead = |plan: &mut Plan<Action>, why: String| plan.act(resource, step(Some(why.clone())), why);
    match (&seen.made, &order.work.make) {
        (Err(error), _) => plan.do_without(id, error),
        (Ok(_), _) if too_long => {
            dead(plan, format!("{id} was asked for more than a day ago and is not over"));
        }
        (Ok(Made::Directory(true)), _) => plan.act(resource, step(None), format!("{id} is whole")),
        (Ok(Made::Directory(false)), _) => plan.act(resource, step(None), format!("{id} is put together")),
        (Ok(Made::Cache(cache)), Make::Cache(new)) => match (cache.as_ref(), new.accepted_at) {
            (None, None) => plan.act(resource, step(None), format!("{id} has made no {} yet", new.kind)),
            (None, Some(accepted)) if now.duration_since(accepted) > APPEARS => {
                dead(plan, format!("{} of {id} is gone", order.name));
            }
            (None, Some(_)) => plan.wait(resource, format!("{id}: {} is not to be seen yet", order.name)),
            (Some(cache), _) if !new.bears(&cache.tags) => {
                dead(plan, format!("another {} bears the name {}", cache.kind, order.name));
            }
            (Some(cache), _) if DEAD_ENDS.contains(&cache.status.as_str()) => {
                dead(plan, format!("{} is {} and will not become available", cache.name, cache.status));
            }
            (Some(cache), _) if IN_SERVICE.contains(&cache.status.as_str()) => {
                plan.act(resource, step(None), format!("{} is {}", cache.name, cache.status));
            }
            (Some(cache), _) => plan.wait(resource, format!("{id}: {} is {}", cache.name, cache.status)),
        },
        (Ok(_), _) => plan.wait(resource, format!("{id} is looked at by the next tick")),
    }
}

impl NewCache {
    /// Whether those are the tags that it was asked to have.
    pub(crate) fn bears(&self, tags: &redis::elasticache::Tags) -> bool {
        tags.get(domain::tag::RESTORE).is_some_and(|id| self.tags.get(domain::tag::RESTORE) == Some(id))
    }
}

/// A restore that failed is told of until it is looked up no more: nobody has dealt with it yet.
fn failed_restore(seen: &Seen, code: &str) -> Finding {
    let order = &seen.ordered.order;
    let (id, requested_at, region) = (&order.restore.id, order.restore.requested_at, &order.restore.region);
    Finding {
        resource: order.restore.resource.clone(),
        kind: "restore-failed".to_owned(),
        code: Some(code.to_owned()),
        severity: Severity::Critical,
        since: requested_at,
        says: format!("{id}, asked for at {requested_at}, failed: {} in {region} was not made", order.name),
        next: format!(
            "Read the ledger's entry of {id}, delete {} if it is there and the document {}, and ask again.",
            order.name, seen.ordered.document
        ),
        standing: Standing::default(),
    }
}
