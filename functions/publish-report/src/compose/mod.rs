//! From what was seen to what a page shows. Pure.

mod kept;
mod resources;
mod restores;
mod slots;

use std::cmp::Reverse;

use domain::{Finding, Findings, ResourceId, Severity};
use inventory::Lineage;
use jiff::{SignedDuration, Timestamp};
use report::{Cut, Occasion, Open, Report, Resource, RetentionPlan, Unknown, VERSION};

use crate::{
    NAME,
    seen::{DAYS, Seen, first_day},
};

/// A board that is older says nothing any more: one that does not change is written anew every ten minutes.
const STALE: SignedDuration = SignedDuration::from_mins(30);

/// Whose board decides whether a resource is well.
const WATCH: &str = "watch-rpo";

/// What a report says of what was seen.
pub fn compose(seen: &Seen, occasion: Occasion, now: Timestamp) -> Report {
    let is_watched = is_watched(seen, now);
    let mut unknown = seen.unknown.clone();
    if !is_watched {
        unknown.push(Unknown {
            what: "what watch-rpo finds".to_owned(),
            why: format!("its board is not there, or older than {} minutes", STALE.as_mins()),
        });
    }
    let findings = findings(&seen.boards);
    let kept = kept::Kept::of(seen, now);
    let resources = resources::all(seen, &findings, &kept, is_watched, now);
    Report {
        version: VERSION,
        made_at: now,
        stage: seen.stage.clone(),
        occasion,
        home_region: seen.home_region.clone(),
        recovery_region: seen.recovery_region.clone(),
        first_day: first_day(now),
        days: DAYS,
        unknown,
        cut: cut(seen, &resources),
        restores: restores::all(seen),
        deletions: restores::deletions(seen),
        retention: seen.retention.as_ref().map(|published| RetentionPlan {
            made_at: published.plan.made_at,
            hash: published.hash.clone(),
            kept: published.plan.kept().count(),
            expired: published.plan.expired().count(),
            strays: published.plan.strays.count,
            is_acknowledged: seen.is_acknowledged,
        }),
        costs: kept.into_costs(seen),
        prices: seen.prices,
        resources,
        findings,
    }
}

/// Where less was read, or is shown, than there is.
fn cut(seen: &Seen, resources: &[Resource]) -> Vec<Cut> {
    let mut cut: Vec<Cut> = seen.recorded.iter().flat_map(|recorded| recorded.cut.clone()).collect();
    let sum = |of: fn(&Resource) -> usize| resources.iter().map(of).sum::<usize>();
    let (shown, of) = (sum(|resource| resource.drills.past.len()), sum(|resource| resource.drills.count));
    if shown < of {
        cut.push(Cut { what: "drills that are listed one by one".to_owned(), shown, of });
    }
    cut
}

/// Whether somebody looks after the resources each minute: otherwise no finding does not mean that all is well.
fn is_watched(seen: &Seen, now: Timestamp) -> bool {
    let board = seen.boards.iter().find(|board| board.function == WATCH);
    board.is_some_and(|board| now.duration_since(board.at) < STALE)
}

/// What stands on the boards, the worst first. What this function itself says there is no finding, but word of a report.
fn findings(boards: &[Findings]) -> Vec<Open> {
    let others = boards.iter().filter(|board| board.function != NAME);
    let mut findings: Vec<Open> = others
        .flat_map(|board| {
            let open = |finding: &Finding| Open { said_by: board.function.clone(), finding: finding.clone() };
            board.findings.iter().filter(|finding| finding.severity > Severity::Info).map(open)
        })
        .collect();
    findings.sort_by_cached_key(|open| {
        (Reverse(open.finding.severity), open.finding.resource.clone(), open.finding.since)
    });
    findings
}

/// By which backup plan a resource is protected: as watch-rpo saw it last, or as its newest recovery point was made.
fn plan_name<'s>(seen: &'s Seen, resource: &ResourceId) -> Option<&'s str> {
    let watched = seen.watched.as_ref().and_then(|watched| watched.get(resource));
    let first = Lineage { resource: resource.clone(), mark: String::new() };
    let lineages =
        seen.backup_plans.names.range(first..).take_while(|(lineage, _)| lineage.resource == *resource);
    let by_points = || lineages.map(|(_, name)| name.as_str()).last();
    watched.and_then(|watched| watched.plan.as_deref()).or_else(by_points)
}
