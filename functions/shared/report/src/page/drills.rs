//! What drills have proved: how long a restore takes, phase by phase, what it loses, and when growth will make it too slow.

use domain::{
    drill::history::{Loss, Past, Phases, Verdict},
    retention::Region,
};
use jiff::SignedDuration;
use maud::{Markup, html};

use super::{first_of, full_name, groups, headings, name};
use crate::{
    CHARTED, DrillState, Drills, Report, Resource, TooSlow,
    charts::{self, Bar, BySize, Caption, Measure, Objective},
    nearest_to_rto, words,
};

/// So many names stand in a notice.
const NAMED: usize = 40;
/// Drills of a longer time are named by their months.
const A_YEAR: SignedDuration = SignedDuration::from_hours(24 * 300);
/// The phases, in their order: each has the colour of a series.
const PHASES: [&str; 4] = ["request accepted", "creating", "first query", "checks"];

pub(super) fn body(report: &Report) -> Markup {
    let wanted: Vec<&Resource> =
        report.resources.iter().filter(|resource| resource.drills.state != DrillState::NotWanted).collect();
    let has_past = |resource: &Resource| !resource.drills.past.is_empty();
    if wanted.is_empty() && !report.resources.iter().any(has_past) {
        return html! { p { "Nothing is to be drilled. What was never restored is only believed to be restorable: docs/drills.md says how drills "
        "are held." } };
    }
    let head = headings(&[
        "Resource",
        "Last drill",
        "Verdict",
        "Restore, RTO",
        "Lost, RPO",
        "Next due",
        "Cost of these days",
    ]);
    let cost = report.resources.iter().fold(0_u64, |sum, one| sum.saturating_add(one.drills.micro_usd));
    let drilled = nearest_to_rto(&report.resources);
    html! {
        p { (summary(&wanted)) @if cost > 0 { " The drills of the last " (report.days) " days cost no more than about " (words::usd(cost)) "." } }
        (never(&wanted))
        (too_slow(&drilled))
        (groups::by_engine(report, "Drills", &head, |resource| row(report, resource)))
        @if !drilled.is_empty() {
            h3 { "How long restores take" }
            @if drilled.len() > CHARTED {
                p { "Of the " (CHARTED) " resources that are nearest to their objective, or exceed it most; the JSON has the numbers of each." }
            }
            div.charts { @for (at, resource) in drilled.iter().take(CHARTED).enumerate() {
                div.left { (over_time(at, resource)) }
                (by_size(at, resource))
            } }
        }
    }
}

/// `Of 30 resources to be drilled: 25 passed the last one, 2 failed the last one, 3 never had one.`
fn summary(wanted: &[&Resource]) -> String {
    let count = |state: DrillState| wanted.iter().filter(|resource| resource.drills.state == state).count();
    let said = [
        (DrillState::Passed, "passed the last one"),
        (DrillState::Failed, "failed the last one"),
        (DrillState::Overdue, "passed the last one too long ago"),
        (DrillState::Never, "never had one"),
        (DrillState::Unknown, "not known"),
    ];
    let said: Vec<String> = said
        .into_iter()
        .filter(|(state, _)| count(*state) > 0)
        .map(|(state, words)| format!("{} {words}", words::thousands(count(state) as u64)))
        .collect();
    match wanted.len() {
        0 => "Nothing is to be drilled any more.".to_owned(),
        all => format!("Of {} to be drilled: {}.", words::count(all, "resource"), said.join(", ")),
    }
}

/// Those of which nobody knows whether they can be restored.
fn never(wanted: &[&Resource]) -> Markup {
    let never: Vec<String> = wanted
        .iter()
        .filter(|resource| resource.drills.state == DrillState::Never)
        .map(|resource| words::plain(&resource.resource.to_string(), words::NAME))
        .collect();
    html! {
        @if !never.is_empty() {
            div.notice.bad {
                h3 { span aria-hidden="true" { "✖" } " Never restored" }
                p { "No drill was ever held of these. Whether they can be restored is only believed." }
                p { bdi { (first_of(&never, NAMED)) } }
            }
        }
    }
}

/// What growth will make too slow.
fn too_slow(drilled: &[&Resource]) -> Markup {
    let foreseen: Vec<(&Resource, String)> =
        drilled.iter().filter_map(|resource| Some((*resource, foreseen(resource)?))).collect();
    html! {
        @if !foreseen.is_empty() {
            div.notice.warn {
                h3 { span aria-hidden="true" { "▲" } " Restores that will take longer than the objective" }
                ul { @for (resource, says) in foreseen.iter().take(NAMED) { li { (full_name(&resource.resource)) ": " (says) } } }
                @if foreseen.len() > NAMED { p { "And " (words::count(foreseen.len() - NAMED, "more resource")) "." } }
            }
        }
    }
}

/// The forecast, as a sentence.
fn foreseen(resource: &Resource) -> Option<String> {
    let TooSlow { from, bytes, now_ms } = resource.drills.forecast?;
    let rto = resource.rto_seconds.unwrap_or_default();
    let now = words::milliseconds(signed(now_ms));
    if now_ms / 1_000 >= rto.unsigned_abs() {
        return Some(format!(
            "at {} restores take longer than {} already: about {now}.",
            words::bytes(bytes),
            words::duration(rto)
        ));
    }
    Some(format!(
        "from about {} on restores take longer than {}, if it goes on growing as it does: at {}; now about {now}.",
        words::month(from),
        words::duration(rto),
        words::bytes(bytes)
    ))
}

fn row(report: &Report, resource: &Resource) -> Markup {
    let drills = &resource.drills;
    html! {
        tr {
            th scope="row" { (name(&resource.resource)) }
            td.when { (last(report, drills)) }
            td.words { (verdict(drills)) }
            td { @match drills.last_passed() { Some(past) => { (restore(resource)) (phases(resource, &past.phases)) }, None => "–" } }
            td.short { (loss(resource)) }
            td { @match drills.next_due { Some(at) => (words::short_day(words::date_of(at))), None => "–" } }
            td.number { @if drills.micro_usd > 0 { (words::usd(drills.micro_usd)) } @else { "–" } }
        }
    }
}

/// When the last one was, from what, and where.
fn last(report: &Report, drills: &Drills) -> Markup {
    let Some(past) = drills.last() else { return html! { "–" } };
    let region = match past.region {
        Region::Home => &report.home_region,
        Region::Recovery => &report.recovery_region,
    };
    html! {
        (words::moment(past.asked_at)) " "
        small { (words::way(past.way)) ", " bdi { (words::plain(region, words::NAME)) } }
        @if let Some(class) = &past.class { " " small { bdi { (words::plain(class, words::NAME)) } ", " (words::bytes(past.bytes)) } }
        @if let Some(set) = &past.set { " " small { "with set " bdi { (words::plain(set, words::NAME)) } } }
    }
}

fn verdict(drills: &Drills) -> Markup {
    html! {
        (pill(drills.state))
        @match drills.last() {
            Some(Past { verdict: Verdict::Failed { code, says }, .. }) => {
                " " bdi { (words::plain(code, words::NAME)) } ": " bdi { (words::plain(says, words::SENTENCE)) }
                @match drills.last_passed() {
                    Some(passed) => { " " small { "passed last on " (words::day(words::date_of(passed.judged_at))) } },
                    None => { " " small { "none has ever passed" } },
                }
            }
            Some(past) if drills.state == DrillState::Overdue => { " " small { "passed on " (words::day(words::date_of(past.judged_at))) } },
            _ => {}
        }
        @if let Some(past) = drills.last().filter(|past| !past.unchecked.is_empty()) {
            " " small.long { "not checked: " bdi { (words::plain(&past.unchecked.join("; "), words::SENTENCE)) } }
        }
    }
}

fn pill(state: DrillState) -> Markup {
    let (class, symbol, word) = words::drills(state);
    html! { span class=(format!("state {class}")) { span aria-hidden="true" { (symbol) } " " (word) } }
}

/// How long a restore takes, by the last drill that passed, against the RTO.
pub(super) fn restore(resource: &Resource) -> Markup {
    let Resource { drills, rto_seconds, .. } = resource;
    let Some(ms) = drills.last_passed().and_then(|past| past.phases.duration_ms) else {
        return match drills.state {
            DrillState::NotWanted => html! { "not drilled" },
            DrillState::Unknown => html! { "not known" },
            state @ (DrillState::Never | DrillState::Failed) => pill(state),
            DrillState::Overdue | DrillState::Passed => html! { "–" },
        };
    };
    let is_over = rto_seconds.is_some_and(|rto| ms > rto.unsigned_abs().saturating_mul(1_000));
    html! {
        span class=[is_over.then_some("over")] { (words::milliseconds(signed(ms))) }
        @if let Some(rto) = rto_seconds { " " small { "of " (words::duration(*rto)) } }
        @if drills.state == DrillState::Failed { " " small { "the last drill failed" } }
        @if drills.state == DrillState::Overdue { " " small { "too long ago" } }
    }
}

/// What a restore loses, by the last drill that tells it, against the RPO.
pub(super) fn loss(resource: &Resource) -> Markup {
    let Resource { drills, rpo_seconds, .. } = resource;
    let Some(loss) = drills.last_of_loss(resource.resource.engine).and_then(|past| past.loss) else {
        return html! { "–" };
    };
    lost(loss, *rpo_seconds)
}

/// A loss, against the RPO where it is to be compared with that.
pub(super) fn lost(loss: Loss, rpo_seconds: Option<i64>) -> Markup {
    let is_over = rpo_seconds.is_some_and(|rpo| loss.at_most_ms > rpo.unsigned_abs().saturating_mul(1_000));
    let [least, most] = [loss.at_least_ms, loss.at_most_ms].map(|ms| words::milliseconds(signed(ms)));
    html! {
        span class=[is_over.then_some("over")] title=[(least != most).then(|| format!("between {least} and {most}"))] { (most) }
        @if let Some(rpo) = rpo_seconds { " " small { "of " (words::duration(rpo)) } }
        " " small { (if loss.is_measured { "measured" } else { "estimated" }) }
    }
}

/// How long each phase took. Available counts from the request, and so holds the acceptance.
fn parts(phases: &Phases) -> [u64; 4] {
    let accepted = phases.accepted_ms.unwrap_or_default();
    let creating = phases.creating_ms.unwrap_or(accepted).saturating_sub(accepted);
    [accepted, creating, phases.first_query_ms.unwrap_or_default(), phases.checks_ms.unwrap_or_default()]
}

/// The phases as a bar as long as the objective, and in words.
fn phases(resource: &Resource, phases: &Phases) -> Markup {
    let parts = parts(phases);
    let sum = parts.iter().fold(0_u64, |sum, part| sum.saturating_add(*part));
    let rto = resource.rto_seconds.map_or(0, i64::unsigned_abs).saturating_mul(1_000);
    let whole = sum.max(rto).max(1);
    // In tenths of a percent, which is more than can be seen.
    let share = |ms: u64| u128::from(ms) * 1_000 / u128::from(whole);
    let width = |ms: u64| format!("{}.{}%", share(ms) / 10, share(ms) % 10);
    let said: Vec<String> = PHASES
        .iter()
        .zip(parts)
        .filter(|(_, ms)| *ms > 0)
        .map(|(name, ms)| format!("{name} {}", words::milliseconds(signed(ms))))
        .collect();
    html! {
        @if sum > 0 {
            span.phases aria-hidden="true" {
                @for (at, ms) in parts.into_iter().enumerate() { @if ms > 0 { span class=(format!("s{at}")) style=(format!("width:{}", width(ms))) {} } }
                @if sum > rto && rto > 0 { span.limit style=(format!("--at:{}", width(rto))) {} }
            }
            small.long { (said.join(", ")) }
        }
    }
}

fn objective(resource: &Resource) -> Option<Objective> {
    let rto = resource.rto_seconds?;
    Some(Objective { name: format!("RTO {}", words::duration(rto)), value: float(rto.unsigned_abs()) })
}

/// One bar for each drill, by phase.
fn over_time(at: usize, resource: &Resource) -> Markup {
    let past = &resource.drills.past;
    let (Some(first), Some(last)) = (past.first(), past.last()) else { return html! {} };
    let is_long = last.asked_at.duration_since(first.asked_at) > A_YEAR;
    let bars: Vec<Bar> = past
        .iter()
        .map(|past| Bar {
            name: if is_long {
                words::short_month(past.asked_at)
            } else {
                words::short_day(words::date_of(past.asked_at))
            },
            parts: parts(&past.phases).map(|ms| float(ms) / 1_000.0).into(),
            is_failed: !past.has_passed(),
        })
        .collect();
    let failed = past.iter().filter(|past| !past.has_passed()).count();
    let passed = resource.drills.last_passed().and_then(|past| Some((past, past.phases.duration_ms?)));
    let took = passed.map_or_else(String::new, |(past, ms)| {
        let day = words::day(words::date_of(past.asked_at));
        format!(" The last one that passed, on {day}, took {}.", words::milliseconds(signed(ms)))
    });
    let caption = Caption {
        id: format!("drills-{at}"),
        title: format!("{}: each drill, by phase", words::plain(&resource.resource.to_string(), words::NAME)),
        says: format!("{}, {failed} of them failed.{took}", words::count(past.len(), "drill")),
    };
    charts::bars(&caption, Measure::Seconds, &PHASES, &bars, objective(resource).as_ref())
}

/// Duration against size, and where growth leads.
fn by_size(at: usize, resource: &Resource) -> Markup {
    let drills = &resource.drills;
    let Some(fit) = drills.fit else { return html! {} };
    let measured = drills.past.iter().filter(|past| past.has_passed());
    let points = measured
        .filter_map(|past| Some((float(past.bytes), float(past.phases.duration_ms?) / 1_000.0)))
        .collect();
    let ends = [fit.from, fit.to].map(|of| (float(of.bytes), float(of.duration_ms) / 1_000.0));
    let beyond = drills.forecast.filter(|forecast| forecast.bytes > fit.to.bytes);
    let goes_on_to =
        beyond.zip(objective(resource)).map(|(forecast, rto)| (float(forecast.bytes), rto.value));
    let [from, to] = [fit.from, fit.to];
    let line = format!(
        "At {} a restore takes {} and at {} {}, by the line.",
        words::bytes(from.bytes),
        words::milliseconds(signed(from.duration_ms)),
        words::bytes(to.bytes),
        words::milliseconds(signed(to.duration_ms))
    );
    let next = foreseen(resource).map_or_else(
        || "That growth takes it over the objective within a year is not foreseen.".to_owned(),
        |says| {
            let mut says = says.chars();
            says.next().map(|first| first.to_uppercase().chain(says).collect()).unwrap_or_default()
        },
    );
    let caption = Caption {
        id: format!("drill-sizes-{at}"),
        title: format!("{}: duration by size", words::plain(&resource.resource.to_string(), words::NAME)),
        says: format!("{line} {next}"),
    };
    let measured = BySize { points, fit: ends, goes_on_to };
    charts::by_size(&caption, &measured, objective(resource).as_ref())
}

#[expect(clippy::cast_precision_loss, reason = "a chart needs no last digit")]
fn float(number: u64) -> f64 {
    number as f64
}

fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}
