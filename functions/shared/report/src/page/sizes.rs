//! How large recovery points are, and how long they take.

use domain::Engine;
use maud::{Markup, html};

use super::{days, groups, headings, name, since_first_day};
use crate::{
    Point, Report, Resource,
    charts::{self, Caption, Measure, Points, Series},
    words,
};

pub(super) fn body(report: &Report) -> Markup {
    if report.resources.iter().all(|resource| resource.points.is_empty()) {
        return html! { p { "There is no recovery point of these days." } };
    }
    let head = headings(&["Resource", "Newest", "In these days", "Usually takes", "Longest"]);
    html! {
        div.charts { (sizes(report)) (durations(report)) }
        (groups::by_engine(report, "Sizes and durations", &head, row))
    }
}

/// What one recovery point of each resource takes, together: as far as it is known on that day.
#[expect(clippy::cast_precision_loss, reason = "a chart needs no last digit")]
fn sizes(report: &Report) -> Markup {
    let mut series = Vec::new();
    let mut newest = 0;
    for engine in Engine::PROTECTED {
        let of: Vec<&Resource> =
            report.resources.iter().filter(|resource| resource.resource.engine == engine).collect();
        let by_day = by_day(report, |day| {
            let known = |point: &&Point| since_first_day(report, point.slot) < day + 1.0;
            let size = |resource: &&Resource| {
                resource.points.iter().rev().filter(known).find_map(|point| point.bytes)
            };
            let sizes: Vec<u64> = of.iter().filter_map(size).collect();
            (!sizes.is_empty())
                .then(|| sizes.iter().fold(0_u64, |sum, size| sum.saturating_add(*size)) as f64)
        });
        if by_day.iter().any(|(_, value)| value.is_some()) {
            newest += of.iter().filter_map(|resource| size(resource)).sum::<u64>();
            series.push(Series { name: words::engine(engine).to_owned(), points: by_day });
        }
    }
    let caption = Caption {
        id: "sizes-all".to_owned(),
        title: "One recovery point of each resource, together".to_owned(),
        says: format!("The newest ones take {} together.", words::bytes(newest)),
    };
    charts::lines(&caption, days(report), Measure::Bytes, &series, None)
}

/// The longest of each day.
#[expect(clippy::cast_precision_loss, reason = "a chart needs no last digit")]
fn durations(report: &Report) -> Markup {
    let mut series = Vec::new();
    let mut longest: Option<(i64, &Resource)> = None;
    for engine in Engine::PROTECTED {
        let mut by_day = by_day(report, |_| None);
        for resource in report.resources.iter().filter(|resource| resource.resource.engine == engine) {
            for point in &resource.points {
                let (Some(ms), Some(at)) = (point.duration_ms, index(report, point)) else { continue };
                let Some((_, value)) = by_day.get_mut(at) else { continue };
                *value = Some(value.unwrap_or_default().max(ms as f64 / 1_000.0));
                if longest.is_none_or(|(most, _)| ms > most) {
                    longest = Some((ms, resource));
                }
            }
        }
        if by_day.iter().any(|(_, value)| value.is_some()) {
            series.push(Series { name: words::engine(engine).to_owned(), points: by_day });
        }
    }
    if series.is_empty() {
        return html! {};
    }
    let says = longest.map_or_else(String::new, |(ms, resource)| {
        let name = words::plain(&resource.resource.to_string(), words::NAME);
        format!("The longest took {}: {name}.", words::milliseconds(ms))
    });
    let caption = Caption {
        id: "durations-all".to_owned(),
        title: "How long a recovery point took: the longest of each day".to_owned(),
        says,
    };
    charts::lines(&caption, days(report), Measure::Seconds, &series, None)
}

fn by_day(report: &Report, value: impl Fn(f64) -> Option<f64>) -> Points {
    (0..report.days).map(|day| (f64::from(day) + 0.5, value(f64::from(day)))).collect()
}

/// On which of the days its slot is.
fn index(report: &Report, point: &Point) -> Option<usize> {
    let day = words::date_of(point.slot).since(report.first_day).ok()?.get_days();
    usize::try_from(day).ok()
}

/// The newest size.
fn size(resource: &Resource) -> Option<u64> {
    resource.points.iter().rev().find_map(|point| point.bytes)
}

fn row(resource: &Resource) -> Markup {
    let sizes: Vec<u64> = resource.points.iter().filter_map(|point| point.bytes).collect();
    let mut durations: Vec<i64> = resource.points.iter().filter_map(|point| point.duration_ms).collect();
    durations.sort_unstable();
    html! {
        tr {
            th scope="row" { (name(&resource.resource)) }
            td.number { @match sizes.last() { Some(size) => (words::bytes(*size)), None => "–" } }
            td { (change(&sizes)) }
            td.number { @match durations.get(durations.len() / 2) { Some(ms) => (words::milliseconds(*ms)), None => "–" } }
            td.number { @match durations.last() { Some(ms) => (words::milliseconds(*ms)), None => "–" } }
        }
    }
}

fn change(sizes: &[u64]) -> String {
    match sizes {
        [first, .., last] if first == last => "unchanged".to_owned(),
        [first, .., last] if last > first => format!("{} more", words::bytes(last - first)),
        [first, .., last] => format!("{} less", words::bytes(first - last)),
        _ => "–".to_owned(),
    }
}
