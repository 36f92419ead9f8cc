//! Recovery-point age over time, against the objective.

use std::collections::BTreeMap;

use domain::Engine;
use maud::{Markup, html};

use super::{
    days, full_name,
    glance::{objective, points},
    headings, table,
};
use crate::{
    Report, Resource,
    charts::{self, Caption, Measure, Objective, Points, Series},
    words,
};

/// So many resources have a chart of their own: those whose worst minute was worst.
const CHARTS: usize = 12;
/// So many stand in the table of worst minutes.
const WORST: usize = 10;

pub(super) fn body(report: &Report) -> Markup {
    let measured: Vec<&Resource> =
        report.resources.iter().filter(|resource| resource.ages.iter().any(Option::is_some)).collect();
    if measured.is_empty() {
        return html! { p { "No recovery-point age was measured in these days." } };
    }
    let mut worst = measured.clone();
    worst.sort_by(|one, other| share(other).total_cmp(&share(one)));
    let charted = &worst[..worst.len().min(CHARTS)];
    html! {
        @if measured.len() > 1 {
            (all(report, &measured))
            h3 { "Worst minutes" }
            (worst_minutes(&worst[..worst.len().min(WORST)]))
        }
        @if worst.len() > charted.len() {
            p { "The charts below are of the " (charted.len()) " resources that came nearest to their objective, or exceeded it most; "
                "the table at the top has a small one of each, and the JSON has the numbers." }
        }
        div.charts { @for (at, resource) in charted.iter().enumerate() { (one(report, at, resource)) } }
    }
}

/// The worst age in parts of the objective.
#[expect(clippy::cast_precision_loss, reason = "seconds of some days")]
fn share(resource: &Resource) -> f64 {
    match (resource.worst, resource.rpo_seconds) {
        (Some(worst), Some(rpo)) => worst.seconds as f64 / rpo.max(1) as f64,
        _ => 0.0,
    }
}

/// Of each engine, at each time, the resource that was nearest to its objective.
fn all(report: &Report, measured: &[&Resource]) -> Markup {
    let mut series = Vec::new();
    for engine in Engine::PROTECTED {
        let mut line: BTreeMap<u64, (f64, f64)> = BTreeMap::new();
        for resource in measured.iter().filter(|resource| resource.resource.engine == engine) {
            let Some(rpo) = objective(resource) else { continue };
            for (day, age) in points(resource) {
                let Some(age) = age else { continue };
                let (_, percent) = line.entry(day.to_bits()).or_insert((day, 0.0));
                *percent = percent.max(age / rpo.max(1.0) * 100.0);
            }
        }
        if !line.is_empty() {
            let points: Points = line.into_values().map(|(day, percent)| (day, Some(percent))).collect();
            series.push(Series { name: words::engine(engine).to_owned(), points });
        }
    }
    let over = measured.iter().filter(|resource| share(resource) > 1.0).count();
    let says = if over == 0 {
        format!("None of {} exceeded its objective in these days.", words::count(measured.len(), "resource"))
    } else {
        format!(
            "{} of {} exceeded the objective in at least one minute of these days.",
            words::thousands(over as u64),
            words::count(measured.len(), "resource")
        )
    };
    let caption = Caption {
        id: "age-all".to_owned(),
        title: "Nearest to its objective, of all resources of each engine".to_owned(),
        says,
    };
    let line = Objective { name: "the objective".to_owned(), value: 100.0 };
    charts::lines(&caption, days(report), Measure::Percent, &series, Some(&line))
}

fn worst_minutes(worst: &[&Resource]) -> Markup {
    let head = headings(&["Resource", "Age", "Objective", "When"]);
    let body = html! {
        @for resource in worst { @if let Some(worst) = resource.worst {
            tr {
                th scope="row" { (full_name(&resource.resource)) }
                td.number { span class=[(share(resource) > 1.0).then_some("over")] { (words::duration(worst.seconds)) } }
                td.number { @match resource.rpo_seconds { Some(rpo) => (words::duration(rpo)), None => "–" } }
                td { (words::moment(worst.at)) }
            }
        } }
    };
    table("Worst minutes", &head, &body)
}

fn one(report: &Report, at: usize, resource: &Resource) -> Markup {
    let name = words::plain(&resource.resource.to_string(), words::NAME);
    let rpo = resource.rpo_seconds.map(words::duration);
    let says = match (resource.worst, &rpo) {
        (Some(worst), Some(rpo)) => {
            let minute = format!("{} on {}", words::duration(worst.seconds), words::moment(worst.at));
            let within = if share(resource) > 1.0 { "above" } else { "within" };
            format!("Worst minute: {minute}, {within} the objective of {rpo}.")
        }
        (Some(worst), None) => {
            format!("Worst minute: {} on {}.", words::duration(worst.seconds), words::moment(worst.at))
        }
        (None, _) => "No worst minute is known.".to_owned(),
    };
    let caption = Caption { id: format!("age-{at}"), title: name, says };
    let line = objective(resource)
        .map(|value| Objective { name: format!("RPO {}", rpo.unwrap_or_default()), value });
    let series = Series { name: "age".to_owned(), points: points(resource) };
    charts::lines(&caption, days(report), Measure::Seconds, &[series], line.as_ref())
}
