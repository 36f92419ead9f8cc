//! What there is to tell of each resource: the difference between what is wrong and what was told. Pure.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use domain::{ResourceId, Severity};
use jiff::Timestamp;

use crate::{
    conditions::{Conditions, Said},
    memory::{Conversation, Event, Open, Told},
    observe::Manner,
};

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

/// What there is to tell, the worst first.
pub(crate) fn tells(open: &Open, manner: &Manner, conditions: &Conditions, now: Timestamp) -> Vec<Tell> {
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
        let rank = |tell: &Tell| (tell.event == Event::Cleared, Reverse(tell.conversation.severity()));
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
        return (!may_go_on && !before.is_news()).then_some(Event::Cleared);
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
    let patience = manner.patience(before.severity())?;
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
    said.sort_by_key(|said| Reverse(said.finding.severity));
    Tell { resource: resource.clone(), event, conversation, said }
}
