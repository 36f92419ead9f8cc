//! What stands on the functions' boards.

use domain::Severity;
use maud::{Markup, html};

use super::full_name;
use crate::{Open, Report, words};

/// So many are shown at once; the rest is folded away.
const SHOWN: usize = 25;
/// So many are shown at all: the JSON has all.
const MOST: usize = 300;

pub(super) fn body(report: &Report) -> Markup {
    let all = &report.findings;
    if all.is_empty() {
        return html! { p.fine { "No finding stands on any board that could be read." } };
    }
    let (shown, rest) = all.split_at(all.len().min(SHOWN));
    let rest_shown = &rest[..rest.len().min(MOST - SHOWN)];
    html! {
        ol.findings { @for open in shown { (item(open)) } }
        @if !rest.is_empty() {
            details {
                summary { (words::count(rest.len(), "more finding")) }
                ol.findings start=(SHOWN + 1) { @for open in rest_shown { (item(open)) } }
                @if rest_shown.len() < rest.len() { p { "The JSON beside this page has the other " (words::thousands((rest.len() - rest_shown.len()) as u64)) "." } }
            }
        }
    }
}

fn item(Open { said_by, finding }: &Open) -> Markup {
    let (class, symbol, word) = match finding.severity {
        Severity::Critical => ("bad", "✖", "Critical"),
        Severity::Warning => ("warn", "▲", "Warning"),
        Severity::Info => ("off", "–", "For information"),
    };
    let code = finding.code.as_deref().map(|code| format!(" ({})", words::plain(code, words::NAME)));
    html! {
        li class=(class) {
            p.what {
                span class=(format!("state {class}")) { span aria-hidden="true" { (symbol) } " " (word) }
                " " (full_name(&finding.resource)) ": "
                bdi { (words::plain(&finding.kind, words::NAME).replace('-', " ")) (code.unwrap_or_default()) }
            }
            p { bdi { (words::plain(&finding.says, words::SENTENCE)) } }
            p.next { "Next: " bdi { (words::plain(&finding.next, words::SENTENCE)) } }
            p.meta { "Since " (words::moment(finding.since)) ", said by " bdi { (words::plain(said_by, words::NAME)) } }
        }
    }
}
