//! What there is to tell: the difference between what is wrong and what was told. Pure.

use std::collections::{BTreeMap, BTreeSet};

use domain::{ResourceId, Severity};
use jiff::{SignedDuration, Timestamp};
use reconcile::{Error, Metric, Plan};

use crate::{
    act::{Action, Outgoing, Telling},
    conditions::{Conditions, Said, gather},
    digest,
    memory::{Conversation, Event, Lease, Open, Told},
    message,
    observe::{Manner, Observed},
};

/// More messages than this within [`BURST`] are a storm: whoever gets a thousand mails reads none.
pub(crate) const STORM: usize = 20;
const BURST: SignedDuration = SignedDuration::from_mins(5);

/// Warnings are repeated this many times less often than what is critical.
const WARNING_PATIENCE: i32 = 6;

/// One thing to tell of one resource.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tell {
    pub(crate) resource: ResourceId,
    pub(crate) event: Event,
    /// As it will stand once this is told.
    pub(crate) conversation: Conversation,
    /// What is wrong now, the worst first; empty for an all-clear.
    pub(crate) said: Vec<Said>,
}

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
    open
}

/// What there is to tell, the worst first.
fn tells(open: &Open, manner: &Manner, conditions: &Conditions, now: Timestamp) -> Vec<Tell> {
    let nothing = BTreeMap::new();
    let resources: BTreeSet<&ResourceId> =
        open.conversations.keys().chain(conditions.by_resource.keys()).collect();
    let mut tells: Vec<Tell> = resources
        .into_iter()
        .filter_map(|resource| {
            let said = conditions.by_resource.get(resource).unwrap_or(&nothing);
            let before = open.conversations.get(resource);
            let event = event(before, said, conditions, manner, now)?;
            Some(tell(resource, before, said, event, now))
        })
        .collect();
    tells.sort_by(|a, b| {
        let rank =
            |tell: &Tell| (tell.event == Event::Cleared, std::cmp::Reverse(tell.conversation.severity()));
        rank(a).cmp(&rank(b)).then_with(|| a.resource.cmp(&b.resource))
    });
    tells
}

/// What is to be told of one resource, if anything is.
fn event(
    before: Option<&Conversation>,
    said: &BTreeMap<String, Said>,
    conditions: &Conditions,
    manner: &Manner,
    now: Timestamp,
) -> Option<Event> {
    let Some(before) = before else { return (!said.is_empty()).then_some(Event::Opened) };
    let may_go_on = before.conditions.values().any(|told| conditions.is_unknown(&told.source));
    if said.is_empty() {
        return (!may_go_on).then_some(Event::Cleared);
    }
    match before.pending {
        // It came back before anybody could be told that it was over.
        Some(Event::Cleared) => return Some(Event::Updated),
        // Nobody knows whether the message went out. It goes out again, as the same one.
        Some(pending) => return Some(pending),
        None => {}
    }
    if has_more(before, said) {
        return Some(Event::Updated);
    }
    let patience = match before.severity() {
        Severity::Critical => manner.reminder,
        Severity::Warning => manner.reminder * WARNING_PATIENCE,
        Severity::Info => return None,
    };
    let told_at = before.told_at.min(now);
    (now.duration_since(told_at) >= patience).then_some(Event::Reminder)
}

/// Whether something is wrong that was not told, or has become worse.
fn has_more(before: &Conversation, said: &BTreeMap<String, Said>) -> bool {
    said.keys().any(|condition| !before.conditions.contains_key(condition)) || worst(said) > before.severity()
}

fn worst(said: &BTreeMap<String, Said>) -> Severity {
    said.values().map(|said| said.finding.severity).max().unwrap_or(Severity::Info)
}

fn tell(
    resource: &ResourceId,
    before: Option<&Conversation>,
    said: &BTreeMap<String, Said>,
    event: Event,
    now: Timestamp,
) -> Tell {
    let mut conversation = before.cloned().unwrap_or_else(|| Conversation {
        opened_at: now,
        told_at: now,
        sequence: 0,
        conditions: BTreeMap::new(),
        pending: None,
    });
    // What may have gone out goes out again as the same message, unless there is more to say by now.
    if conversation.pending != Some(event) || has_more(&conversation, said) {
        conversation.sequence += 1;
    }
    conversation.pending = Some(event);
    for (condition, said) in said {
        let finding = &said.finding;
        let told = Told {
            source: said.source.clone(),
            kind: finding.kind.clone(),
            severity: finding.severity,
            since: finding.since,
            plan: finding.standing.plan.clone(),
            gone_since: None,
        };
        conversation.conditions.insert(condition.clone(), told);
    }
    let mut said: Vec<Said> = said.values().cloned().collect();
    said.sort_by_key(|said| std::cmp::Reverse(said.finding.severity));
    Tell { resource: resource.clone(), event, conversation, said }
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
