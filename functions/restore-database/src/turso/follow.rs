//! What a tick does with the restores under way: pure.

use domain::{Finding, ResourceId, Severity, Standing};
use jiff::{SignedDuration, Timestamp};
use reconcile::{Error, Outcome, Plan};

use super::{
    act::Action,
    observe::Restores,
    work::{Stage, Work},
};
use crate::{orders::Ordered, restore::End};

/// How long a restore is waited for.
const PATIENCE: SignedDuration = SignedDuration::from_hours(24);

/// Decides for each restore whether it is over, is worked on, or goes on.
pub(crate) fn plan(observed: &Restores, now: Timestamp) -> Plan<Action> {
    let mut plan = Plan::empty();
    for (_, error) in &observed.unreadable {
        let error = Error::new(error.kind(), error.code().to_owned(), error.report());
        plan.refuse(&ResourceId::tidemark("restore-database"), error);
    }
    for ordered in &observed.all {
        follow(ordered, observed, now, &mut plan);
    }
    plan
}

fn follow(ordered: &Ordered<Work>, observed: &Restores, now: Timestamp, plan: &mut Plan<Action>) {
    let order = &ordered.order;
    let (restore, resource, id) = (&order.restore, &order.restore.resource, &order.restore.id);
    if let Some(end) = restore.end(&observed.recorded) {
        // What became of a drill's, the drill tells.
        if let (End::Failed(code), None) = (end, &order.drill) {
            plan.find(failed_restore(ordered, code));
        }
        return plan.settled(resource, format!("{id} is over"));
    }
    let requested_recorded = restore.is_recorded(&observed.recorded, "restore-requested", Outcome::Completed);
    let too_long = now.duration_since(restore.requested_at) > PATIENCE;
    let step = Action::Step { ordered: Box::new(ordered.clone()), requested_recorded, too_long };
    match &order.work.stage {
        _ if too_long => plan.act(resource, step, format!("{id} was asked for more than a day ago")),
        Stage::Uploading { since, .. } if now.duration_since(*since) < observed.lease => {
            plan.wait(resource, format!("{id}: {} gets its content since {since}", order.name));
        }
        Stage::Ordered | Stage::Asked => plan.act(resource, step, format!("{} is to be made", order.name)),
        Stage::Made { .. } => plan.act(resource, step, format!("{} is made", order.name)),
        Stage::Uploading { .. } => {
            plan.act(resource, step, format!("whoever brought the content of {} was cut off", order.name));
        }
        Stage::Uploaded { .. } => plan.act(resource, step, format!("{} has its content", order.name)),
    }
}

/// A restore that failed is told of until it is looked up no more: nobody has dealt with it yet.
fn failed_restore(ordered: &Ordered<Work>, code: &str) -> Finding {
    let order = &ordered.order;
    let (id, requested_at, name) = (&order.restore.id, order.restore.requested_at, &order.name);
    Finding {
        resource: order.restore.resource.clone(),
        kind: "restore-failed".to_owned(),
        code: Some(code.to_owned()),
        severity: Severity::Critical,
        since: requested_at,
        says: format!(
            "{id}, asked for at {requested_at}, failed: Turso database {name} is not what was asked for"
        ),
        next: format!(
            "Read the ledger's entry of {id}, delete {name} if it is there and the document {}, and ask again.",
            ordered.document
        ),
        standing: Standing::default(),
    }
}
