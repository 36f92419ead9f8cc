//! The tiers, filled and empty, and what was deleted.

use domain::retention::Tier;
use maud::{Markup, html};

use super::{full_name, groups, headings, name, table};
use crate::{Buckets, Report, Resource, words};

/// A tier of more buckets than that has no boxes, but a bar.
const BOXES: u32 = 40;

pub(super) fn body(report: &Report) -> Markup {
    let head = headings(&["Resource", "Daily", "Weekly", "Monthly", "Annual", "Oldest"]);
    html! {
        (plan(report))
        p { "A box is a day, week, month or year that the plan keeps: filled "
            span.boxes style="--n:1;--f:1" aria-hidden="true" {} " by a verified recovery point, or empty "
            span.boxes style="--n:1;--f:0" aria-hidden="true" {} " because there was none yet." }
        @if report.resources.iter().all(|resource| resource.tiers.is_empty()) {
            p { "Of no resource it is known how full its tiers are." }
        } @else {
            (groups::by_engine(report, "Tiers", &head, row))
        }
    }
}

fn plan(report: &Report) -> Markup {
    let Some(plan) = &report.retention else {
        return html! { p { "No retention plan was published yet, so nothing is deleted." } };
    };
    html! {
        p { "The retention plan of " (words::moment(plan.made_at)) " keeps " (words::count(plan.kept, "recovery point")) " and expires "
            (words::thousands(plan.expired as u64)) ". "
            @if plan.is_acknowledged { "Plans are acknowledged." }
            @else { b { "Nobody has acknowledged one, so it is a dry run and nothing is deleted." } }
            " Its hash begins with " code { (words::plain(&plan.hash.chars().take(12).collect::<String>(), 12)) } "."
            @if plan.strays > 0 {
                " It names " (words::count(plan.strays, "stray")) ": what looks like Tidemark's own and belongs to no recovery point. Tidemark deletes none of that."
            } }
    }
}

fn row(resource: &Resource) -> Markup {
    let oldest = resource.tiers.iter().filter_map(|buckets| buckets.filled.first()).min();
    html! {
        tr {
            th scope="row" { (name(&resource.resource)) }
            @for tier in Tier::ALL {
                td { @match resource.tiers.iter().find(|buckets| buckets.tier == tier) {
                    Some(buckets) => (boxes(buckets)),
                    None => "not known",
                } }
            }
            td { @match oldest { Some(date) => (words::day(*date)), None => "–" } }
        }
    }
}

fn boxes(buckets: &Buckets) -> Markup {
    let (filled, kept) = (buckets.filled.len(), buckets.kept);
    if kept == 0 {
        return html! { "not kept" };
    }
    let class = if kept > BOXES { "boxes many" } else { "boxes" };
    html! {
        span class=(class) style=(format!("--n:{kept};--f:{filled}")) aria-hidden="true" {}
        " " small { (filled) " of " (kept) }
    }
}

pub(super) fn deleted(report: &Report) -> Markup {
    let deletions = &report.deletions;
    if deletions.count == 0 {
        return html! { p.fine { "Nothing was deleted in these days, as far as the ledger could be read." } };
    }
    let head = headings(&["Resource", "Recovery point", "Region", "When", "Size", "Why"]);
    let body = html! {
        @for deletion in &deletions.shown {
            tr {
                th scope="row" { (full_name(&deletion.resource)) }
                td { bdi.id { (words::plain(&deletion.id, words::NAME)) } }
                td { bdi { (words::plain(&deletion.region, words::NAME)) } }
                td { @match deletion.at { Some(at) => (words::moment(at)), None => "–" } }
                td.number { @match deletion.bytes { Some(bytes) => (words::bytes(bytes)), None => "–" } }
                td.words { bdi { (words::plain(&deletion.why.join("; "), words::SENTENCE)) } }
            }
        }
    };
    html! {
        p { (words::count(deletions.count, "recovery point")) " deleted, of " (words::bytes(deletions.bytes)) " together; a copy counts by itself. "
            @if deletions.shown.len() < deletions.count { "The newest " (words::thousands(deletions.shown.len() as u64)) " are listed." } }
        details open[deletions.shown.len() <= 20] {
            summary { "What, and why" }
            (table("What was deleted", &head, &body))
        }
    }
}
