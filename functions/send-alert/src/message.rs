//! The words: one conversation's message, for people and for programs. Pure.

use std::collections::{BTreeMap, BTreeSet};

use alerts::{Message, plain, subject};
use domain::{Engine, Finding, ResourceId, Severity, Standing};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::{
    memory::{CANARY, Event, conversation_id},
    observe::Manner,
    tell::Tell,
};

/// Conditions that a message spells out; the rest is counted.
const SPELLED: usize = 10;

/// Whether it is about the canary.
pub(crate) fn is_canary(tell: &Tell) -> bool {
    tell.conversation.conditions.values().all(|told| told.kind == CANARY)
}

pub(crate) fn render(tell: &Tell, manner: &Manner, now: Timestamp) -> Message {
    let id = format!(
        "{}/{}",
        conversation_id(&tell.resource, tell.conversation.opened_at),
        tell.conversation.sequence
    );
    let headline = headline(tell, manner);
    let text = text(tell, manner, &id, &headline, now);
    Message {
        subject: subject(&headline),
        text,
        json: json(tell, manner, &id, now),
        chat: chat(tell, manner, &id, &headline, now),
        attributes: attributes(tell.event.as_str(), std::slice::from_ref(tell)),
        id,
    }
}

/// `Tidemark prod CRITICAL: rds/orders: slot missed (and 1 more)`.
fn headline(tell: &Tell, manner: &Manner) -> String {
    let word = match tell.event {
        Event::Cleared => "RESOLVED".to_owned(),
        Event::Reminder => format!("STILL {}", severity(tell).as_str().to_uppercase()),
        Event::Opened | Event::Updated => severity(tell).as_str().to_uppercase(),
    };
    let kinds: Vec<String> = kinds(tell).iter().map(|kind| kind.replace('-', " ")).collect();
    let more = if kinds.len() > 1 { format!(" (and {} more)", kinds.len() - 1) } else { String::new() };
    let first = kinds.first().map_or("nothing", String::as_str);
    format!("Tidemark {} {word}: {}: {first}{more}", manner.stage, plain(&tell.resource.to_string(), 60))
}

/// The worst that is wrong now; of an all-clear, the worst that was.
pub(crate) fn severity(tell: &Tell) -> Severity {
    let now = tell.said.iter().map(|said| said.finding.severity).max();
    now.unwrap_or_else(|| tell.conversation.severity())
}

/// The kinds that a message is about, the worst first.
pub(crate) fn kinds(tell: &Tell) -> Vec<&str> {
    let now = tell.said.iter().map(|said| said.finding.kind.as_str());
    let was = tell.conversation.conditions.values().map(|told| told.kind.as_str());
    let mut seen = BTreeSet::new();
    let all: Vec<&str> = if tell.said.is_empty() { was.collect() } else { now.collect() };
    all.into_iter().filter(|kind| seen.insert(*kind)).collect()
}

fn text(tell: &Tell, manner: &Manner, id: &str, headline: &str, now: Timestamp) -> String {
    let is_news = tell.conversation.is_news();
    let mut lines = vec![headline.to_owned(), String::new()];
    if tell.event == Event::Cleared {
        let Timespan { from, lasted } = Timespan::of(tell, now);
        lines.push(format!("It is over. It was wrong from {from} to {now}, {lasted}:"));
        lines.extend(kinds(tell).iter().map(|kind| format!("  {}", kind.replace('-', " "))));
    } else {
        for said in tell.said.iter().take(SPELLED) {
            lines.extend(condition_lines(&said.finding, manner, now));
        }
        if tell.said.len() > SPELLED {
            lines.push(format!("And {} more.", tell.said.len() - SPELLED));
        }
        if !is_news {
            lines.push(format!("For recovery this means: {}", recovery(tell, now)));
        }
    }
    if !is_news {
        lines.extend([String::new(), format!("Plan: {}", plan_of(tell))]);
    }
    lines.push(format!("Message {id}, {now}."));
    lines.push(match tell.event {
        Event::Cleared => "This conversation is closed.".to_owned(),
        _ if is_news => "Nothing is wrong, and nothing more is said of it.".to_owned(),
        _ => match manner.patience(severity(tell)).map(|patience| patience.as_hours()) {
            Some(1) => "While it lasts you are reminded every hour; an all-clear ends it.".to_owned(),
            Some(hours) => {
                format!("While it lasts you are reminded every {hours} hours; an all-clear ends it.")
            }
            None => "An all-clear ends it.".to_owned(),
        },
    });
    lines.join("\n")
}

fn condition_lines(finding: &Finding, manner: &Manner, now: Timestamp) -> [String; 5] {
    let code = finding.code.as_ref().map_or_else(String::new, |code| format!(" ({})", plain(code, 100)));
    [
        format!(
            "{}{code}, since {} ({})",
            finding.kind.replace('-', " "),
            finding.since,
            ago(finding.since, now)
        ),
        format!("  {}", plain(&finding.says, 1_000)),
        format!("  Next: {}", plain(&finding.next, 500)),
        format!("  Runbook: {}", runbook(&finding.kind, manner)),
        String::new(),
    ]
}

/// Where the kind is explained.
pub(crate) fn runbook(kind: &str, manner: &Manner) -> String {
    let base =
        if manner.runbooks.is_empty() { "docs/runbooks" } else { manner.runbooks.trim_end_matches('/') };
    format!("{base}/alerts.md#{kind}")
}

/// What can be restored, in a sentence.
fn recovery(tell: &Tell, now: Timestamp) -> String {
    let standing = standing(tell);
    let objective = standing.rpo_seconds.map(|seconds| words(SignedDuration::from_secs(seconds)));
    let objective = objective.map_or_else(String::new, |objective| format!("; objective {objective}"));
    match standing.newest_restorable {
        Some(newest) => format!("newest restorable second is {newest}, {}{objective}.", ago(newest, now)),
        None if tell.resource.engine == Engine::Tidemark => {
            "this is about Tidemark itself; what it looks after may go unprotected, or untold, meanwhile."
                .to_owned()
        }
        None => format!("no restorable second is known{objective}."),
    }
}

/// The best that any condition knows of how the resource stands.
fn standing(tell: &Tell) -> Standing {
    let all = || tell.said.iter().map(|said| &said.finding.standing);
    Standing {
        plan: all().find_map(|standing| standing.plan.clone()),
        newest_restorable: all().filter_map(|standing| standing.newest_restorable).max(),
        rpo_seconds: all().find_map(|standing| standing.rpo_seconds),
    }
}

fn plan_of(tell: &Tell) -> String {
    let told = tell.conversation.conditions.values().find_map(|told| told.plan.clone());
    let plan = plain(&standing(tell).plan.or(told).unwrap_or_default(), 64);
    if plan.is_empty() { "none".to_owned() } else { plan }
}

struct Timespan {
    from: Timestamp,
    lasted: String,
}

impl Timespan {
    fn of(tell: &Tell, now: Timestamp) -> Self {
        let since = tell.conversation.conditions.values().map(|told| told.since).min();
        let from = since.unwrap_or(tell.conversation.opened_at);
        Self { from, lasted: words(now.duration_since(from)) }
    }
}

fn ago(instant: Timestamp, now: Timestamp) -> String {
    format!("{} ago", words(now.duration_since(instant).max(SignedDuration::ZERO)))
}

/// `47 minutes`, `3 hours 5 minutes`, `2 days 4 hours`: the two largest units.
fn words(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    let units = [("day", seconds / 86_400), ("hour", seconds / 3_600 % 24), ("minute", seconds / 60 % 60)];
    let said: Vec<String> = units
        .iter()
        .filter(|(_, count)| *count > 0)
        .take(2)
        .map(|(unit, count)| format!("{count} {unit}{}", if *count == 1 { "" } else { "s" }))
        .collect();
    if said.is_empty() { format!("{seconds} seconds") } else { said.join(" ") }
}

fn json(tell: &Tell, manner: &Manner, id: &str, now: Timestamp) -> Value {
    let standing = standing(tell);
    let age = standing.newest_restorable.map(|newest| now.duration_since(newest).as_secs());
    let conditions: Vec<Value> = tell
        .said
        .iter()
        .take(SPELLED)
        .map(|said| {
            let finding = &said.finding;
            json!({
                "kind": finding.kind,
                "code": finding.code,
                "severity": finding.severity,
                "since": finding.since,
                "says": plain(&finding.says, 1_000),
                "next": plain(&finding.next, 500),
                "runbook": runbook(&finding.kind, manner),
                "said_by": said.source,
            })
        })
        .collect();
    json!({
        "id": id,
        "event": tell.event,
        "severity": severity(tell),
        "stage": manner.stage,
        "resource": tell.resource,
        "engine": tell.resource.engine,
        "plan": plan_of(tell),
        "kinds": kinds(tell),
        "at": now,
        "opened_at": tell.conversation.opened_at,
        "since": Timespan::of(tell, now).from,
        "recovery": {
            "newest_restorable": standing.newest_restorable,
            "age_seconds": age,
            "rpo_seconds": standing.rpo_seconds,
        },
        "conditions": conditions,
        "omitted": tell.said.len().saturating_sub(SPELLED),
    })
}

/// AWS's schema of custom notifications (Amazon Q Developer in chat applications, "Custom notifications"). One conversation
/// is one thread.
fn chat(tell: &Tell, manner: &Manner, id: &str, headline: &str, now: Timestamp) -> Value {
    let description = if tell.event == Event::Cleared {
        let Timespan { from, lasted } = Timespan::of(tell, now);
        format!("It is over. It was wrong from {from} to {now}, {lasted}.")
    } else {
        let said = tell.said.iter().take(SPELLED).map(|said| plain(&said.finding.says, 500));
        let mut lines: Vec<String> = said.collect();
        if !tell.conversation.is_news() {
            lines.push(recovery(tell, now));
        }
        lines.join("\n")
    };
    let next: Vec<String> = tell
        .said
        .iter()
        .take(SPELLED)
        .map(|said| {
            let next = plain(&said.finding.next, 300);
            markdown(&format!("{next} ({})", runbook(&said.finding.kind, manner)))
        })
        .collect();
    custom_notification(&Notification {
        id,
        thread: &conversation_id(&tell.resource, tell.conversation.opened_at),
        title: headline,
        description: &description,
        next,
        keywords: keywords(tell),
        event: tell.event.as_str(),
        resources: vec![tell.resource.to_string()],
    })
}

fn keywords(tell: &Tell) -> Vec<String> {
    let kinds = kinds(tell).into_iter().take(8).map(str::to_owned);
    [severity(tell).as_str().to_owned(), tell.resource.engine.to_string()].into_iter().chain(kinds).collect()
}

/// What a chat shows of a message.
pub(crate) struct Notification<'n> {
    pub(crate) id: &'n str,
    pub(crate) thread: &'n str,
    pub(crate) title: &'n str,
    pub(crate) description: &'n str,
    pub(crate) next: Vec<String>,
    pub(crate) keywords: Vec<String>,
    pub(crate) event: &'n str,
    pub(crate) resources: Vec<String>,
}

pub(crate) fn custom_notification(from: &Notification<'_>) -> Value {
    json!({
        "version": "1.0",
        "source": "custom",
        "id": from.id,
        "content": {
            "textType": "client-markdown",
            "title": markdown(&plain(from.title, 200)),
            "description": markdown(from.description),
            "nextSteps": from.next,
            "keywords": from.keywords,
        },
        "metadata": {
            "threadId": from.thread,
            "summary": markdown(&plain(from.title, 200)),
            "eventType": from.event,
            "relatedResources": from.resources,
        },
    })
}

/// For a chat's markdown: nobody's error message mentions a channel or hides a link (Slack, "Formatting text for app
/// surfaces": `&`, `<` and `>` are the control characters; Teams: `[text](link)`).
fn markdown(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace("](", "] (")
}

/// What subscribers filter by. Several kinds, plans or resources are an array, which matches if one of them does.
pub(crate) fn attributes(event: &str, tells: &[Tell]) -> BTreeMap<&'static str, Vec<String>> {
    let distinct = |values: Vec<String>| -> Vec<String> {
        values.into_iter().collect::<BTreeSet<_>>().into_iter().collect()
    };
    let resources = || tells.iter().map(|tell| &tell.resource);
    let worst = tells.iter().map(severity).max().unwrap_or(Severity::Info);
    BTreeMap::from([
        ("event", vec![event.to_owned()]),
        ("severity", vec![worst.as_str().to_owned()]),
        ("engine", distinct(resources().map(|resource| resource.engine.to_string()).collect())),
        ("resource", distinct(resources().map(ResourceId::to_string).collect())),
        ("kind", distinct(tells.iter().flat_map(kinds).map(str::to_owned).collect())),
        ("plan", distinct(tells.iter().map(plan_of).collect())),
    ])
}
