//! What to publish, and what to remember of it. Pure.

use domain::ResourceId;
use jiff::{SignedDuration, Timestamp};
use reconcile::{Error, Metric, Plan};

use crate::{
    act::{Action, Outgoing, Telling},
    conditions::{Conditions, gather},
    digest,
    memory::{Event, Lease, Open, Told},
    message,
    observe::Observed,
    tell::{Tell, tells},
};

/// More messages than this within [`BURST`] are a storm: whoever gets a thousand mails reads none.
pub(crate) const STORM: usize = 20;
const BURST: SignedDuration = SignedDuration::from_mins(5);

/// Decides what to publish, and what to remember of it.
pub(crate) fn plan(observed: &Observed, now: Timestamp) -> Plan<Action> {
    let conditions = gather(observed, now);
    let mut plan = Plan::empty();
    let alerts = ResourceId::tidemark("alerts");
    measure(observed, &mut plan);
    if let Err(error) = &observed.alarms {
        plan.do_without("alarms", error);
    }
    for (function, board) in &observed.boards {
        if let Err(error) = board {
            plan.do_without(&format!("findings of {function}"), error);
        }
    }
    let open = remembered(&observed.open, &conditions, now);
    let tells = tells(&open, &observed.manner, &conditions, now);
    if tells.is_empty() && open == observed.open {
        plan.settled(&alerts, "everything is told");
        return plan;
    }
    let lease = observed.open.lease.as_ref();
    if let Some(lease) = lease.filter(|lease| lease.is_held(observed.manner.lease, now)) {
        if !observed.received.failures.is_empty() {
            // Nobody else knows of them: the queue keeps them until somebody is free.
            plan.refuse(
                &alerts,
                Error::retryable("MemoryContended", "another invocation publishes at this moment"),
            );
        }
        plan.wait(&alerts, format!("another invocation publishes, until {} at the latest", lease.until));
        return plan;
    }
    plan.measure(&alerts, delays(&tells, now));
    let reason = reason(&tells);
    plan.act(&alerts, Action::Tell(Box::new(telling(observed, open, tells, now))), reason);
    plan
}

fn measure(observed: &Observed, plan: &mut Plan<Action>) {
    let open = observed.open.conversations.len();
    plan.measure(&ResourceId::tidemark("alerts"), vec![Metric::count("alerts_open", open)]);
    for seconds in &observed.received.canary_seconds {
        plan.measure(&ResourceId::tidemark("canary"), vec![Metric::seconds("canary_seconds", *seconds)]);
    }
}

/// From when it was so to this message.
fn delays(tells: &[Tell], now: Timestamp) -> Vec<Metric> {
    let opened = tells.iter().filter(|tell| tell.event == Event::Opened);
    let since = opened.filter_map(|tell| tell.said.iter().map(|said| said.finding.since).max());
    let longest = since.map(|since| now.duration_since(since).as_secs().max(0)).max();
    longest.map(|seconds| Metric::seconds("alert_delay_seconds", seconds)).into_iter().collect()
}

fn reason(tells: &[Tell]) -> String {
    let count = |event| tells.iter().filter(|tell| tell.event == event).count();
    format!(
        "{} opened, {} updated, {} reminded, {} cleared",
        count(Event::Opened),
        count(Event::Updated),
        count(Event::Reminder),
        count(Event::Cleared)
    )
}

/// The memory, without what is over and nobody has to be told of.
fn remembered(before: &Open, conditions: &Conditions, now: Timestamp) -> Open {
    let mut open = before.clone();
    open.failures.clone_from(&conditions.failures);
    for (resource, conversation) in &mut open.conversations {
        let said = conditions.by_resource.get(resource);
        let is_said = |condition: &str, told: &Told| {
            conditions.is_unknown(&told.source) || said.is_some_and(|said| said.contains_key(condition))
        };
        conversation.forgive(is_said, now);
    }
    // News that nobody says any more is over without a word.
    open.conversations.retain(|resource, conversation| {
        let mut told = conversation.conditions.values();
        !conversation.is_news()
            || conditions.by_resource.contains_key(resource)
            || told.any(|told| conditions.is_unknown(&told.source))
    });
    open
}

/// The messages, and what is remembered before the first of them goes out.
fn telling(observed: &Observed, open: Open, tells: Vec<Tell>, now: Timestamp) -> Telling {
    let manner = &observed.manner;
    let mut claim = open;
    claim.lease = Some(Lease { taken_at: now, until: now + manner.lease });
    claim.published.retain(|published| now.duration_since(*published).abs() < BURST);
    for tell in &tells {
        claim.conversations.insert(tell.resource.clone(), tell.conversation.clone());
    }
    let room = STORM.saturating_sub(claim.published.len()).max(1);
    // The canary goes alone: it proves the way that an alert goes.
    let (alone, many): (Vec<Tell>, Vec<Tell>) = tells.into_iter().partition(message::is_canary);
    let singly = |tells: &[Tell]| -> Vec<Outgoing> {
        let one = |tell: &Tell| Outgoing {
            resources: vec![tell.resource.clone()],
            message: message::render(tell, manner, now),
        };
        tells.iter().map(one).collect()
    };
    let mut messages = singly(&alone);
    messages.extend(if many.len() <= room { singly(&many) } else { digest::messages(&many, manner, now) });
    let must_not_be_lost = !observed.received.failures.is_empty();
    Telling { version: observed.version.clone(), claim, messages, must_not_be_lost }
}
