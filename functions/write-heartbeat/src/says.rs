//! Findings in words: what is wrong, and the next step.

use domain::{Finding, ResourceId, Severity};
use heartbeat::{Bad, Doubt, Gap, MOST_AHEAD, Mark, Next, Note, Question, Rhythm, Row, judge};
use jiff::Timestamp;
use reconcile::Error;

use crate::{
    kind,
    memory::Found,
    place::{Beat, Beaten},
};

/// So many rows are named, at most.
const NAMED: usize = 5;

/// A clock that is less behind than the longest pass takes may be that of a pass that began earlier.
const CLOCK_BEHIND_MS: u64 = 60_000;

/// What the rows tell, which is told for a day: each of it may be out of the writer's sight in a minute.
pub(crate) fn once(beat: &Beat, found: &Found, rows: &[Row], next: &Next, now: Timestamp) -> Vec<Finding> {
    let Beat { resource, keys, .. } = beat;
    let (heartbeat, remembered) = (&next.heartbeat, found.memory.newest);
    // With the new one: rows of a database that this one was made from are an inheritance once it has its own.
    let with_it: Vec<Row> = rows.iter().cloned().chain([Row::from(heartbeat)]).collect();
    // A clock that is behind makes no row a forgery.
    let asked_at = now.checked_add(MOST_AHEAD).unwrap_or(Timestamp::MAX);
    let question = Question { resource, restored_to: None, asked_at, rhythm: Rhythm::default() };
    let judgement = judge(&with_it, question, keys);
    let mut found = Vec::new();
    if !judgement.bad.is_empty() {
        found.push(not_intact(resource, &judgement.bad, now));
    }
    if !judgement.gaps.is_empty() {
        found.push(gap(resource, &judgement.gaps, now));
    }
    if next.notes.contains(&Note::BegunAnew) {
        found.push(begun_anew(resource, heartbeat.mark(), now));
    }
    // What is remembered was committed before the rows were read.
    if let Some(lost) = remembered.filter(|newest| heartbeat.number() <= newest.number) {
        let marks = rows.iter().filter_map(|row| row.verify(keys).ok());
        let own = marks.filter(|row| row.resource() == resource).map(|row| row.mark());
        let left = own.filter(|mark| mark.number < lost.number && mark.at <= lost.at).max();
        found.push(set_back(resource, left, lost, now));
    }
    found
}

/// What is so for as long as it is seen.
pub(crate) fn clock(beat: &Beat, beaten: &Beaten, now: Timestamp) -> Option<Finding> {
    let by_ms = beaten.next.notes.iter().find_map(|note| match note {
        Note::ClockBack { by_ms } if *by_ms > CLOCK_BEHIND_MS => Some(*by_ms),
        _ => None,
    })?;
    Some(Finding::new(
        &beat.resource,
        kind::HEARTBEAT_CLOCK,
        Severity::Warning,
        now,
        format!(
            "the clock is {} s behind the newest heartbeat, whose time is given again meanwhile",
            by_ms / 1_000
        ),
        "Lambda keeps its clocks: most likely the heartbeat was written elsewhere, by a clock that was ahead. It ends by itself once the \
         time has passed.",
    ))
}

pub(crate) fn missing(
    resource: &ResourceId,
    since: Timestamp,
    newest: Option<Mark>,
    error: &Error,
) -> Finding {
    let before = newest.map_or_else(String::new, |newest| {
        format!("; the last that is remembered is number {} of {}", newest.number, second(newest.at))
    });
    Finding::new(
        resource,
        kind::HEARTBEAT_MISSING,
        Severity::Warning,
        since,
        format!("no heartbeat was written since {}: {}{before}", second(since), error.report()),
        "See whether it runs, and whether write-heartbeat can reach it: subnets, security groups, and that each API that it calls has a \
         way out of the VPC. What is lost meanwhile is known to the last heartbeat only.",
    )
}

fn not_intact(resource: &ResourceId, bad: &[Bad], now: Timestamp) -> Finding {
    let rows = named(bad, |bad| format!("{} ({})", shown(&bad.number), word(bad.doubt)));
    let next = if bad.iter().all(|bad| bad.doubt == Doubt::UnknownKey) {
        "Put the key that they name back into the secret with the keys, or find out who else writes there."
    } else {
        "Somebody other than write-heartbeat wrote there, or changed what it wrote: who can? Whoever can write there may have changed \
         other tables too. Keep the rows as evidence; a copy of them, deleted, makes no gap."
    };
    Finding::new(
        resource,
        kind::HEARTBEAT_NOT_INTACT,
        Severity::Critical,
        now,
        format!("among its newest heartbeats are some that are not to be believed: {rows}"),
        next,
    )
}

fn gap(resource: &ResourceId, gaps: &[Gap], now: Timestamp) -> Finding {
    let holes = named(gaps, |gap| {
        format!(
            "{} between number {} of {} and number {} of {}",
            gap.missing,
            gap.from.number,
            second(gap.from.at),
            gap.to.number,
            second(gap.to.at)
        )
    });
    Finding::new(
        resource,
        kind::HEARTBEAT_GAP,
        Severity::Critical,
        now,
        format!("heartbeats that were written are missing from within: {holes}"),
        "Somebody deleted them, or the database lost rows and has later ones: run its own checks, and drill it.",
    )
}

fn begun_anew(resource: &ResourceId, begun: Mark, now: Timestamp) -> Finding {
    Finding::new(
        resource,
        kind::HEARTBEATS_BEGUN_ANEW,
        Severity::Warning,
        now,
        format!(
            "heartbeats are there, and none of the newest can be followed: number {} begins anew",
            begun.number
        ),
        "If the database was made from another one's restore, nothing. If not, a key is missing in the secret with the keys, or the rows \
         were changed.",
    )
}

fn set_back(resource: &ResourceId, left: Option<Mark>, lost: Mark, now: Timestamp) -> Finding {
    let left = left.map_or_else(
        || "none from before it is among the newest there".to_owned(),
        |left| format!("the newest from before it is number {} of {}", left.number, second(left.at)),
    );
    Finding::new(
        resource,
        kind::HEARTBEATS_SET_BACK,
        Severity::Warning,
        now,
        format!(
            "heartbeat number {} of {} was committed and is not there any more; {left}: what was written in between is lost there, or another \
             database bears the name now",
            lost.number,
            second(lost.at)
        ),
        "If it was restored, or failed over, that is what it cost. If nobody knows of either, find out: the data of that time is in no newer \
         recovery point of it.",
    )
}

fn named<T>(all: &[T], name: impl Fn(&T) -> String) -> String {
    let mut names: Vec<String> = all.iter().take(NAMED).map(name).collect();
    if all.len() > NAMED {
        names.push(format!("and {} more", all.len() - NAMED));
    }
    names.join(", ")
}

/// What somebody put there may be anything.
fn shown(number: &str) -> String {
    if number.is_empty() { "one without a number".to_owned() } else { number.escape_default().to_string() }
}

const fn word(doubt: Doubt) -> &'static str {
    match doubt {
        Doubt::Unreadable => "unreadable",
        Doubt::UnknownKey => "unknown key",
        Doubt::WrongSignature => "wrong signature",
        Doubt::OtherResource => "of another database",
        Doubt::Duplicate => "a number twice",
        Doubt::Backwards => "earlier than the one before",
        Doubt::Future => "in the future",
    }
}

/// An instant, to the second.
fn second(instant: Timestamp) -> String {
    instant.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
