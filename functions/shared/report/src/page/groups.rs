//! Many resources, in an order in which nobody has to look for what matters: by engine, the worst first, and what is
//! well folded away where there is much of it.

use domain::Engine;
use maud::{Markup, html};

use super::table;
use crate::{Report, Resource, State, words};

/// An engine with as many resources as that is shown as a whole.
const FEW: usize = 40;
/// So many are in one fold.
const FOLD: usize = 100;

/// A table for each engine, in folds.
pub(super) fn by_engine(
    report: &Report,
    label: &str,
    head: &Markup,
    row: impl Fn(&Resource) -> Markup + Copy,
) -> Markup {
    html! {
        @for engine in Engine::PROTECTED {
            @let all: Vec<&Resource> = report.resources.iter().filter(|resource| resource.resource.engine == engine).collect();
            @if !all.is_empty() {
                h3 { (words::engine(engine)) " " span.count { (words::thousands(all.len() as u64)) } }
                (folds(&all, &format!("{label}: {}", words::engine(engine)), head, row))
            }
        }
    }
}

fn folds(all: &[&Resource], label: &str, head: &Markup, row: impl Fn(&Resource) -> Markup + Copy) -> Markup {
    let rows = |of: &[&Resource]| html! { @for resource in of { (row(resource)) } };
    if all.len() <= FEW {
        return table(label, head, &rows(all));
    }
    let is_calm = |resource: &Resource| matches!(resource.state, State::Well | State::NotProtected);
    html! {
        @for state in State::ALL {
            @let of: Vec<&Resource> = all.iter().copied().filter(|resource| resource.state == state).collect();
            @for (at, fold) in of.chunks(FOLD).enumerate() {
                @let summary = summary(state, at, fold, of.len());
                // What is wrong is seen without a click, as far as that can be taken in.
                details open[at == 0 && !fold.iter().any(|resource| is_calm(resource))] {
                    summary { (summary) }
                    (table(&format!("{label}, {}", words::state(state).1), head, &rows(fold)))
                }
            }
        }
    }
}

fn summary(state: State, at: usize, fold: &[&Resource], of: usize) -> Markup {
    let (symbol, word) = words::state(state);
    let first = at * FOLD + 1;
    let names = [fold.first(), fold.last()].map(|one| one.map_or("", |one| one.resource.name.as_str()));
    let [from, to] = names.map(|name| words::plain(name, 40));
    html! {
        span class=(format!("state {}", words::class(state))) { span aria-hidden="true" { (symbol) } " " (word) }
        " " (words::thousands(first as u64)) "–" (words::thousands((first + fold.len() - 1) as u64))
        " of " (words::thousands(of as u64)) ": "
        bdi.name { (from) } @if fold.len() > 1 { " … " bdi.name { (to) } }
    }
}
