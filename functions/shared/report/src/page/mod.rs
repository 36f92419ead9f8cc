//! The page. One module for each section.

mod ages;
mod cost;
mod drills;
mod findings;
mod glance;
mod groups;
mod kept;
mod restores;
mod sizes;
mod slots;

use std::fmt::Write;

use domain::{LONGEST_WITHOUT, ResourceId};
use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::{Report, State, charts::Days, words};

const STYLE: &str = include_str!("style.css");

/// Nothing is fetched and nothing runs, whatever somebody managed to write into a name.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/// A section of the page: its name within it, its heading, what is in it.
struct Section {
    id: &'static str,
    heading: String,
    body: Markup,
}

/// The page of a report: one file, that asks for nothing else.
pub fn html(report: &Report) -> String {
    let sections = [
        section("glance", "At a glance", glance::body(report)),
        section("findings", "Open findings", findings::body(report)),
        section("slots", &format!("Slots of the last {} days", report.days), slots::body(report)),
        section("age", "Recovery-point age", ages::body(report)),
        section("drills", "Drills", drills::body(report)),
        section("restores", &format!("Restores of the last {} days", report.days), restores::body(report)),
        section("sizes", "Sizes and durations", sizes::body(report)),
        section("kept", "What is kept", kept::body(report)),
        section("deleted", "What was deleted", kept::deleted(report)),
        section("cost", "Storage cost", cost::body(report)),
        section("reading", "How to read this page", reading(report)),
    ];
    let title = format!("Tidemark {}: {}", words::plain(&report.stage, words::NAME), dated(report));
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                title { (title) }
                // What the browser would otherwise ask the server for.
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#glance" { "To the resources" }
                (header(report))
                nav aria-label="On this page" {
                    ul { @for section in &sections { li { a href=(format!("#{}", section.id)) { (section.heading) } } } }
                }
                main {
                    @for Section { id, heading, body } in &sections {
                        section id=(id) aria-labelledby=(format!("{id}-heading")) {
                            h2 id=(format!("{id}-heading")) { (heading) }
                            (body)
                        }
                    }
                }
                footer {
                    p { "Tidemark, " bdi { (words::plain(&report.stage, words::NAME)) } ", " (words::moment(report.made_at)) ". "
                        "All that stands here stands in the JSON beside it, which docs/report.md explains." }
                }
            }
        }
    };
    page.into_string()
}

fn section(id: &'static str, heading: &str, body: Markup) -> Section {
    Section { id, heading: heading.to_owned(), body }
}

fn dated(report: &Report) -> String {
    format!("{}, {}", words::occasion(report.occasion), words::day(words::date_of(report.made_at)))
}

/// What a reader hears first.
fn header(report: &Report) -> Markup {
    html! {
        header {
            p.brand { "Tidemark " bdi { (words::plain(&report.stage, words::NAME)) } }
            h1 { (dated(report)) }
            p.lead { (report.summary()) }
            ul.tiles {
                @for state in State::ALL {
                    @let (symbol, word) = words::state(state);
                    @let count = report.count(state);
                    @if count > 0 || matches!(state, State::AtRisk | State::Well) {
                        li class=(format!("tile {}", if count > 0 { words::class(state) } else { "off" })) {
                            span.number { (words::thousands(count as u64)) }
                            span.word { span aria-hidden="true" { (symbol) } " " (word) }
                        }
                    }
                }
            }
            @if !report.unknown.is_empty() {
                div.notice {
                    h2 { "What nobody knows" }
                    p { "These could not be looked at when this report was made. What depends on them is shown as not known." }
                    ul { @for unknown in &report.unknown { li { b { (words::plain(&unknown.what, words::NAME)) } ": " bdi { (words::plain(&unknown.why, words::SENTENCE)) } } } }
                }
            }
            @if !report.cut.is_empty() {
                div.notice {
                    h2 { "What is left out" }
                    ul { @for cut in &report.cut {
                        li { (words::plain(&cut.what, words::NAME)) ": " (words::thousands(cut.shown as u64)) " of " (words::thousands(cut.of as u64)) }
                    } }
                }
            }
        }
    }
}

fn reading(report: &Report) -> Markup {
    html! {
        dl.reading {
            dt { "State" }
            dd { "✖ a critical finding stands; ? something that decides it did not answer; ▲ a warning stands; ✔ nothing is known to be wrong, "
                "and everything that decides it was looked at; – under no plan any more, and its recovery points are still there." }
            dt { "Recovery point" }
            dd { "One thing that can be restored. It is verified once every byte was read back, or once RDS says that a snapshot is available." }
            dt { "Slot" }
            dd { "The scheduled instant of a recovery point. A Turso database to which nothing was written has none for that hour: the one "
                "before holds all of it, and the slot counts as verified." }
            dt { "Recovery-point age" }
            dd { "How much would have been lost in that minute: since the newest restorable state. Measured each minute by watch-rpo; "
                "not while a database is stopped." }
            dt { "Objective" }
            dd { "What the backup plan promises: how much may be lost (RPO), and how long a restore may take (RTO)." }
            dt { "Drill" }
            dd { "A restore into staging that is checked, measured and torn down. What counts as its duration begins with the request and ends "
                "when the last check has passed. A database whose last drill failed, or passed more than " (words::duration(LONGEST_WITHOUT.as_secs()))
                " ago, is only believed to be restorable." }
            dt { "Lost in a drill" }
            dd { "What the restored database lacked of what was written until the wanted second; measured by a heartbeat that Tidemark writes into "
                "the database, or else estimated from what the provider says. It is held against the objective where a drill restored what a "
                "person would after a disaster: a second of the PITR window or, of Redis and Turso, the newest recovery point." }
            dt { "Sizes of RDS" }
            dd { "RDS tells no snapshot's own size. What stands here is the allocated storage, which is the most that it can be." }
            dt { "Times" }
            dd { "All in UTC. Days are UTC days, from " (words::day(report.first_day)) " to " (words::day(last_day(report))) "." }
        }
    }
}

/// The days that it looks back on.
fn days(report: &Report) -> Days {
    Days { first: report.first_day, count: report.days.max(1) }
}

fn last_day(report: &Report) -> Date {
    report.first_day.checked_add((i64::from(report.days.max(1)) - 1).days()).unwrap_or(report.first_day)
}

/// Days since the first one began.
#[expect(clippy::cast_precision_loss, reason = "seconds of some months")]
fn since_first_day(report: &Report, at: Timestamp) -> f64 {
    let begun = report.first_day.to_zoned(TimeZone::UTC).map_or(report.made_at, |zoned| zoned.timestamp());
    at.duration_since(begun).as_secs() as f64 / 86_400.0
}

/// A resource's name, in an element of its own direction.
fn name(resource: &ResourceId) -> Markup {
    html! { bdi.name { (words::plain(&resource.name, words::NAME)) } }
}

/// A resource with its engine.
fn full_name(resource: &ResourceId) -> Markup {
    html! { bdi.name { (words::plain(&resource.to_string(), words::NAME)) } }
}

/// The symbol and the word of a state.
fn state(state: State) -> Markup {
    let (symbol, word) = words::state(state);
    html! { span class=(format!("state {}", words::class(state))) { span aria-hidden="true" { (symbol) } " " (word) } }
}

/// A table that scrolls by itself where it is too wide.
fn table(label: &str, head: &Markup, body: &Markup) -> Markup {
    html! {
        div.scroll role="group" aria-label=(label) tabindex="0" {
            table { thead { tr { (head) } } tbody { (body) } }
        }
    }
}

fn headings(names: &[&str]) -> Markup {
    html! { @for name in names { th scope="col" { (name) } } }
}

/// `a, b and 3 more`.
fn first_of(names: &[String], most: usize) -> String {
    let mut said = names.iter().take(most).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > most {
        _ = write!(said, " and {} more", names.len() - most);
    }
    said
}
