//! How long restores took, against the objective.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::{days, drills::lost, full_name, headings, since_first_day, table};
use crate::{
    Report, Restore,
    charts::{self, Caption, Mark, MarkKind, Measure, Objective},
    words,
};

/// So many are listed.
const SHOWN: usize = 50;
/// So many objectives have a line.
const LINES: usize = 3;

pub(super) fn body(report: &Report) -> Markup {
    let all = &report.restores;
    if all.is_empty() {
        return html! { p { "Nothing was restored in these days, and no drill was held. What was never restored is only believed to be "
        "restorable: docs/restoring.md has the command that tries it." } };
    }
    html! {
        (chart(report))
        (list(&all[..all.len().min(SHOWN)]))
        @if all.len() > SHOWN { p { "The JSON beside this page has the " (words::thousands((all.len() - SHOWN) as u64)) " before these." } }
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of some days")]
fn chart(report: &Report) -> Markup {
    let all = &report.restores;
    let marks: Vec<Mark> = all
        .iter()
        .map(|restore| Mark {
            day: since_first_day(report, restore.at).clamp(0.0, f64::from(report.days)),
            value: restore.duration_ms.map_or(0.0, |ms| ms as f64 / 1_000.0),
            kind: match restore {
                Restore { failed: Some(_), .. } => MarkKind::Crossed,
                Restore { is_drill: true, .. } => MarkKind::Filled,
                Restore { .. } => MarkKind::Open,
            },
        })
        .collect();
    let rtos: BTreeSet<i64> = all.iter().filter_map(|restore| restore.rto_seconds).collect();
    let objectives: Vec<Objective> = rtos
        .iter()
        .take(LINES)
        .map(|rto| Objective { name: format!("RTO {}", words::duration(*rto)), value: *rto as f64 })
        .collect();
    let (drills, failed) = (
        all.iter().filter(|restore| restore.is_drill).count(),
        all.iter().filter(|restore| restore.failed.is_some()).count(),
    );
    let over = all.iter().filter(|restore| is_over(restore)).count();
    let caption = Caption {
        id: "restore-durations".to_owned(),
        title: "How long restores took".to_owned(),
        says: format!(
            "{}, {} of them. {failed} failed, {over} took longer than the objective.",
            words::count(all.len(), "restore"),
            words::count(drills, "drill"),
        ),
    };
    let kinds = [
        (MarkKind::Filled, "drill"),
        (MarkKind::Open, "asked for by a person"),
        (MarkKind::Crossed, "failed"),
    ];
    let there: Vec<_> =
        kinds.into_iter().filter(|(kind, _)| marks.iter().any(|mark| mark.kind == *kind)).collect();
    charts::marks(&caption, days(report), Measure::Seconds, &marks, &objectives, &there)
}

fn is_over(restore: &Restore) -> bool {
    matches!((restore.duration_ms, restore.rto_seconds), (Some(ms), Some(rto)) if ms / 1_000 > rto)
}

fn list(restores: &[Restore]) -> Markup {
    let head = headings(&["Resource", "What", "When", "Took", "Objective", "Lost", "Outcome"]);
    let body = html! {
        @for restore in restores {
            tr {
                th scope="row" { (full_name(&restore.resource)) }
                td { (if restore.is_drill { "drill" } else { "restore" }) }
                td { (words::moment(restore.at)) }
                td.number { @match restore.duration_ms {
                    Some(ms) => span class=[is_over(restore).then_some("over")] { (words::milliseconds(ms)) },
                    None => "–",
                } }
                td.number { @match restore.rto_seconds { Some(rto) => (words::duration(rto)), None => "–" } }
                td.short { @match restore.loss { Some(loss) => (lost(loss, None)), None => "–" } }
                td { @match &restore.failed {
                    Some(code) => { span.state.bad { span aria-hidden="true" { "✖" } " failed" } " " bdi { (words::plain(code, words::NAME)) } },
                    None => span.state.good { span aria-hidden="true" { "✔" } " restored" },
                } }
            }
        }
    };
    table("Restores and drills", &head, &body)
}
