//! A storm: more to tell at once than anybody reads. One message then speaks of many resources. Pure.

use std::collections::BTreeMap;

use alerts::{Message, plain, subject};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    act::Outgoing,
    memory::{Event, conversation_id},
    message::{Notification, attributes, custom_notification, kinds, runbook, severity},
    observe::Manner,
    tell::Tell,
};

/// Resources in one message. All are in its attributes, so that who subscribes to one of them hears of it; more would
/// not fit into the 256 KB that SNS takes.
const TOGETHER: usize = 400;

/// Names that the text spells out.
const SPELLED: usize = 40;

pub(crate) fn messages(tells: &[Tell], manner: &Manner, now: Timestamp) -> Vec<Outgoing> {
    let parts = tells.len().div_ceil(TOGETHER);
    let outgoing = |(number, part): (usize, &[Tell])| Outgoing {
        resources: part.iter().map(|tell| tell.resource.clone()).collect(),
        message: digest(part, (number + 1, parts), tells.len(), manner, now),
    };
    tells.chunks(TOGETHER).enumerate().map(outgoing).collect()
}

fn digest(
    part: &[Tell],
    (number, parts): (usize, usize),
    all: usize,
    manner: &Manner,
    now: Timestamp,
) -> Message {
    let id = id(part);
    let worst = part.iter().map(severity).max().map_or("info", |severity| severity.as_str());
    let of = if parts > 1 { format!(" (part {number} of {parts})") } else { String::new() };
    let word = if part.iter().all(|tell| tell.event == Event::Cleared) {
        "RESOLVED".to_owned()
    } else {
        worst.to_uppercase()
    };
    let headline = format!("Tidemark {} {word}: {all} resources at once{of}", manner.stage);
    let counts = counts(part);
    let lines: Vec<String> = counts
        .iter()
        .map(|((event, kind), count)| format!("{count:>6} {event}: {}", kind.replace('-', " ")))
        .collect();
    let names: Vec<String> = part.iter().take(SPELLED).map(line).collect();
    let more = part.len().saturating_sub(SPELLED);
    let more = if more > 0 {
        format!("\n  and {more} more, all in the JSON form of this message")
    } else {
        String::new()
    };
    let kinds: Vec<&str> =
        part.iter().flat_map(kinds).collect::<std::collections::BTreeSet<_>>().into_iter().collect();
    let runbooks: Vec<String> = kinds.iter().map(|kind| format!("  {}", runbook(kind, manner))).collect();
    let text = format!(
        "{headline}\n\nToo much has changed at once for a message each:\n{}\n\n{}{more}\n\nRunbooks:\n{}\n\nMessage {id}, {now}.",
        lines.join("\n"),
        names.join("\n"),
        runbooks.join("\n"),
    );
    let description = lines.join("\n");
    let chat = custom_notification(&Notification {
        id: &id,
        thread: &id,
        title: &headline,
        description: &description,
        next: vec![format!(
            "Begin with what they have in common: {}",
            runbook("many-resources-at-once", manner)
        )],
        keywords: vec![worst.to_owned(), "digest".to_owned()],
        event: "digest",
        resources: part.iter().take(SPELLED).map(|tell| tell.resource.to_string()).collect(),
    });
    Message {
        subject: subject(&headline),
        text,
        json: json!({
            "id": id, "event": "digest", "severity": worst, "stage": manner.stage, "at": now,
            "part": number, "parts": parts, "resources": part.len(), "kinds": kinds,
            "alerts": part.iter().map(row).collect::<Vec<Value>>(),
        }),
        chat,
        attributes: attributes("digest", part),
        id,
    }
}

/// A function of the messages that it stands for: told again after a crash, it is the same digest.
fn id(part: &[Tell]) -> String {
    let mut hasher = Sha256::new();
    for tell in part {
        hasher.update(conversation_id(&tell.resource, tell.conversation.opened_at));
        hasher.update(tell.conversation.sequence.to_be_bytes());
    }
    let mark = data_encoding::HEXLOWER.encode(&hasher.finalize()[..8]);
    format!("digest-{mark}")
}

fn counts(part: &[Tell]) -> BTreeMap<(&'static str, &str), usize> {
    let mut counts = BTreeMap::new();
    for tell in part {
        for kind in kinds(tell) {
            *counts.entry((tell.event.as_str(), kind)).or_insert(0) += 1;
        }
    }
    counts
}

fn line(tell: &Tell) -> String {
    let resource = plain(&tell.resource.to_string(), 80);
    format!("  {resource}: {} ({})", kinds(tell).join(", "), tell.event.as_str())
}

fn row(tell: &Tell) -> Value {
    json!({
        "id": format!("{}/{}", conversation_id(&tell.resource, tell.conversation.opened_at), tell.conversation.sequence),
        "resource": tell.resource,
        "event": tell.event,
        "severity": severity(tell),
        "kinds": kinds(tell),
    })
}
