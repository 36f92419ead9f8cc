//! A row for each resource.

use maud::{Markup, html};

use super::{days, drills, groups, headings, name, state};
use crate::{
    Held, Report, Resource, Slots,
    charts::{Points, spark},
    words,
};

pub(super) fn body(report: &Report) -> Markup {
    if report.resources.is_empty() {
        return html! { p { "Nothing is under a backup plan, and there is no recovery point. A database is protected once it has the tag "
        code { "tidemark:plan" } "; docs/plans.md says how." } };
    }
    let head = headings(&[
        "State",
        "Resource",
        "Age, RPO",
        "Age, day by day",
        "Lost, RPO",
        "Restore, RTO",
        "Slots verified",
        "Recovery points",
    ]);
    groups::by_engine(report, "Resources", &head, |resource| row(report, resource))
}

fn row(report: &Report, resource: &Resource) -> Markup {
    let slots = total(&resource.slots);
    html! {
        tr {
            td { (state(resource.state)) }
            th scope="row" { (name(&resource.resource))
                @if let Some(plan) = &resource.plan { " " small { "plan " bdi { (words::plain(plan, words::NAME)) } } } }
            td { (age(resource)) }
            td { @if resource.ages.iter().any(Option::is_some) {
                (spark(&daily(resource), days(report), objective(resource)))
            } @else { "–" } }
            td.short { (drills::loss(resource)) }
            td { (drills::restore(resource)) }
            td.number { @if slots.all() > 0 { (slots.good()) " of " (slots.all()) } @else { "–" } }
            td.number { (held(resource)) }
        }
    }
}

fn age(resource: &Resource) -> Markup {
    html! {
        @match resource.age {
            Some(age) => span class=[exceeds(resource, age.seconds).then_some("over")] title=(words::moment(age.at)) { (words::duration(age.seconds)) },
            None => "not measured",
        }
        @if let Some(rpo) = resource.rpo_seconds { " " small { "of " (words::duration(rpo)) } }
        @if let Some(worst) = resource.worst {
            " " small title=(words::moment(worst.at)) {
                "worst " span class=[exceeds(resource, worst.seconds).then_some("over")] { (words::duration(worst.seconds)) }
                ", " (words::short_day(words::date_of(worst.at)))
            }
        }
    }
}

fn held(resource: &Resource) -> Markup {
    let Held { verified, others, on_hold, copied, .. } = resource.held;
    let place = match verified {
        0 => String::new(),
        all if all == copied => "in both Regions".to_owned(),
        _ => format!("{copied} in both Regions"),
    };
    html! {
        (verified) " " small { (place) }
        @if resource.held.bytes > 0 { " " small { (words::bytes(resource.held.bytes)) } }
        @if others > 0 { " " small { "and " (others) " not verified" } }
        @if on_hold > 0 { " " small { (on_hold) " on legal hold" } }
    }
}

fn exceeds(resource: &Resource, seconds: i64) -> bool {
    resource.rpo_seconds.is_some_and(|rpo| seconds > rpo)
}

/// The recovery-point ages as a line: each step's worst in its middle.
#[expect(clippy::cast_precision_loss, reason = "seconds and steps of some months")]
pub(super) fn points(resource: &Resource) -> Points {
    let step = f64::from(resource.age_step_hours.max(1)) / 24.0;
    let steps = resource.ages.iter().enumerate();
    steps.map(|(at, age)| ((at as f64 + 0.5) * step, age.map(|age| age as f64))).collect()
}

/// The worst of each day, for a line of a finger's breadth.
#[expect(clippy::cast_precision_loss, reason = "seconds of some days")]
fn daily(resource: &Resource) -> Points {
    let steps = (24 / resource.age_step_hours.clamp(1, 24)) as usize;
    let days = resource.ages.chunks(steps);
    let worst = |day: &[Option<i64>]| day.iter().flatten().max().map(|age| *age as f64);
    days.zip(0_u32..).map(|(day, at)| (f64::from(at) + 0.5, worst(day))).collect()
}

#[expect(clippy::cast_precision_loss, reason = "seconds of some days")]
pub(super) fn objective(resource: &Resource) -> Option<f64> {
    resource.rpo_seconds.map(|seconds| seconds as f64)
}

pub(super) fn total(days: &[Slots]) -> Slots {
    days.iter().fold(Slots::default(), |sum, day| Slots {
        verified: sum.verified + day.verified,
        unchanged: sum.unchanged + day.unchanged,
        unverified: sum.unverified + day.unverified,
        failed: sum.failed + day.failed,
        missing: sum.missing + day.missing,
        pending: sum.pending + day.pending,
        unknown: sum.unknown + day.unknown,
    })
}
