//! What became of each day's slots, as a calendar.

use jiff::{ToSpan, civil::Date};
use maud::{Markup, html};

use super::{first_of, glance::total, groups, name};
use crate::{Report, Resource, Slots, words};

/// How a day looks: its class, its symbol, its word. The worst of its slots counts.
const LOOKS: [(&str, &str, &str); 7] = [
    ("f", "✖", "failed"),
    ("m", "○", "missing"),
    ("u", "◐", "not verified"),
    ("q", "?", "not known"),
    ("p", "…", "under way"),
    ("v", "✔", "verified"),
    ("n", "·", "no slot"),
];

pub(super) fn body(report: &Report) -> Markup {
    if report.resources.is_empty() {
        return html! { p { "There is no resource." } };
    }
    let dates: Vec<Date> =
        (0..i64::from(report.days)).filter_map(|at| report.first_day.checked_add(at.days()).ok()).collect();
    let head = html! {
        th scope="col" { "Resource" }
        @for (at, date) in dates.iter().enumerate() {
            th.day scope="col" {
                @if at == 0 || date.day() == 1 { span.month { (date.strftime("%b").to_string()) } }
                (date.day())
            }
        }
        th scope="col" { "In words" }
    };
    html! {
        p { "A day has the mark of its worst slot. "
            @for (class, symbol, word) in LOOKS { span class=(format!("slot {class}")) { (symbol) } " " (word) " " } }
        div.calendar { (groups::by_engine(report, "Slots", &head, |resource| row(&dates, resource))) }
    }
}

fn row(dates: &[Date], resource: &Resource) -> Markup {
    html! {
        tr {
            th scope="row" { (name(&resource.resource)) }
            @for (date, day) in dates.iter().zip(&resource.slots) {
                @let (class, symbol, _) = look(day);
                @if class == "v" || class == "n" {
                    td class=(class) { (symbol) }
                } @else {
                    td class=(class) title=(format!("{}: {}", words::short_day(*date), counts(day))) { (symbol) }
                }
            }
            td.words { (in_words(dates, resource)) }
        }
    }
}

fn look(day: &Slots) -> (&'static str, &'static str, &'static str) {
    let [failed, missing, unverified, unknown, pending, verified, nothing] = LOOKS;
    match day {
        _ if day.failed > 0 => failed,
        _ if day.missing > 0 => missing,
        _ if day.unverified > 0 => unverified,
        _ if day.unknown > 0 => unknown,
        _ if day.pending > 0 => pending,
        _ if day.good() > 0 => verified,
        _ => nothing,
    }
}

/// `22 verified, 1 failed`.
fn counts(day: &Slots) -> String {
    let counts = [
        (day.verified, "verified"),
        (day.unchanged, "without changes"),
        (day.failed, "failed"),
        (day.missing, "missing"),
        (day.unverified, "not verified"),
        (day.unknown, "not known"),
        (day.pending, "under way"),
    ];
    let said = counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}"));
    said.collect::<Vec<_>>().join(", ")
}

/// What the marks show, for whoever does not see them.
fn in_words(dates: &[Date], resource: &Resource) -> String {
    let sum = total(&resource.slots);
    if sum.all() == 0 {
        return "no slot".to_owned();
    }
    let of = |is: fn(&Slots) -> bool| -> Vec<String> {
        let days = dates.iter().zip(&resource.slots).filter(|(_, day)| is(day));
        days.map(|(date, _)| words::short_day(*date)).collect()
    };
    let mut said = vec![format!("{} of {} verified", sum.good(), sum.all())];
    let bad = [
        ("failed", of(|day| day.failed > 0)),
        ("missing", of(|day| day.missing > 0)),
        ("not verified", of(|day| day.unverified > 0)),
        ("not known", of(|day| day.unknown > 0)),
    ];
    if sum.unchanged > 0 {
        said.push(format!("{} without changes", sum.unchanged));
    }
    for (word, days) in bad.iter().filter(|(_, days)| !days.is_empty()) {
        said.push(format!("{word} {}", first_of(days, 3)));
    }
    said.join("; ")
}
