//! What is read again, and what is wrong: pure, so that every case is a test.

mod choice;
mod due;
mod keys;
mod sample;
mod says;
mod there;

use domain::ResourceId;
use jiff::{SignedDuration, Timestamp};
use reconcile::{Metric, Plan, Result};

pub(crate) use self::says::damaged_now;
use self::there::complete;
use crate::{Ask, NAME, act::Action, observe::Observed};

/// How often each recovery point is looked at, in each Region.
const RHYTHM: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How often what is there is looked at whose names and sizes are not those of the other Region.
const SUSPECTS: SignedDuration = SignedDuration::from_hours(24);

/// What was not verified for so long is told.
const TOO_LONG: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What has no copy for so long is told: watch-rpo tells of the newest much sooner.
const UNCOPIED: SignedDuration = SignedDuration::from_hours(48);

/// So many are looked at in a run, however small they are: each is some calls and an entry of the ledger.
const MOST_IN_A_RUN: usize = 4_000;

pub(crate) fn plan(observed: &Observed, now: Timestamp) -> Result<Plan<Action>> {
    let mut plan = Plan::empty();
    for (engine, error) in observed.inventory.unknown() {
        plan.do_without(&format!("{engine}-recovery-points"), error);
    }
    let keys = keys::judge(observed, now, &mut plan);
    let found = says::damaged(observed, now).into_iter().chain(says::uncopied(observed, now));
    found.chain(says::too_long(observed, now)).for_each(|finding| plan.find(finding));
    let due = due::due(observed, &keys, now)?;
    let budget = match observed.ask {
        Ask::Due => observed.budget_bytes,
        Ask::Now { .. } => u64::MAX,
    };
    let (waiting, chosen) = choice::choose(due, budget, MOST_IN_A_RUN);
    let here = ResourceId::tidemark(NAME);
    let oldest = complete(observed).map(|there| says::unverified_for(observed, &there, now)).max();
    let due = Metric::count("recovery_points_due", waiting + chosen.len());
    let oldest = oldest.map(|age| Metric::seconds("oldest_unverified_age_seconds", age.as_secs()));
    plan.measure(&here, [due].into_iter().chain(oldest).collect());
    if waiting > 0 {
        plan.wait(&here, format!("{waiting} more are due, and wait for the next runs"));
    } else if chosen.is_empty() {
        plan.settled(&here, "nothing is due");
    }
    for due in chosen {
        let (resource, reason) = (due.resource().clone(), due.reason());
        plan.act(&resource, Action::Verify(Box::new(due.into_item(observed))), reason);
    }
    Ok(plan)
}
