//! Which drills are due, and whether there is room and money for them.

use domain::{ResourceId, drill::Way};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use reconcile::Error;

use crate::{
    Ask,
    drill::{Drill, LONGEST},
    engine::Staging,
    observe::{Limits, Observed, kept},
    record::{Kept, Record},
};

/// How many resources are looked at in a pass to see whether a drill of them can be begun.
const LOOKED_AT: usize = 50;

/// What could be begun now, with its plan: what people asked for first, then what was not drilled for longest. More than there is room for,
/// because some cannot be begun; where even those are many, each pass begins elsewhere. What a person asks for by name is looked at in
/// any case, so that they hear why not.
pub(crate) fn due(observed: &Observed, now: Timestamp) -> Vec<(ResourceId, String)> {
    let protected = observed.looked.values().flatten().flat_map(|looked| &looked.protected);
    match &observed.ask {
        Ask::All | Ask::Set { .. } => Vec::new(),
        Ask::Now { resource, .. } => {
            let is_free = |kept: Option<&Kept>| kept.is_none_or(|kept| kept.record.under_way.is_none());
            let asked = protected.filter(|(one, _)| one == resource);
            asked.filter(|(one, _)| is_free(record(observed, one))).take(1).cloned().collect()
        }
        Ask::Tick => {
            let mut due: Vec<_> = protected
                .filter_map(|(resource, plan)| {
                    let record = &record(observed, resource)?.record;
                    let rank = rank(record, plan, observed, now)?;
                    Some((rank, resource.clone(), plan.clone()))
                })
                .collect();
            due.sort();
            if room(observed) == 0 {
                return Vec::new();
            }
            if due.len() > LOOKED_AT {
                let turn = usize::try_from(now.as_second() / 300).unwrap_or(0);
                let first = turn.wrapping_mul(LOOKED_AT) % due.len();
                due.rotate_left(first);
            }
            due.into_iter().take(LOOKED_AT).map(|(_, resource, plan)| (resource, plan)).collect()
        }
    }
}

pub(crate) fn record<'o>(observed: &'o Observed, resource: &ResourceId) -> Option<&'o Kept> {
    observed.records.get(resource)?.as_ref().ok()?.as_ref()
}

/// `None` if no drill is due. What comes first is the smaller.
fn rank(record: &Record, plan: &str, observed: &Observed, now: Timestamp) -> Option<(bool, Timestamp)> {
    if record.under_way.is_some() {
        return None;
    }
    if let Some(wanted) = &record.wanted {
        return Some((false, wanted.at));
    }
    let schedule = &observed.plan(plan)?.drill.as_ref()?.schedule;
    let last = record.history.past.last().map_or(record.since, |past| past.asked_at);
    let slot = schedule.latest_at(now)?.instant();
    (slot > last.max(record.since)).then_some((true, last))
}

/// How many drills may be begun beside those under way, and those of sets that are only just asked for.
pub(crate) fn room(observed: &Observed) -> usize {
    let under_way = kept(&observed.records).filter(|kept| kept.record.under_way.is_some()).count();
    let asked: usize = not_given(observed).count();
    observed.limits.at_once.saturating_sub(under_way + asked)
}

/// The drills of sets that have no documents of their own yet.
fn not_given(observed: &Observed) -> impl Iterator<Item = &Drill> {
    let asked = observed.sets_under_way().filter(|drill| drill.instant.is_none() && drill.judged.is_none());
    asked.flat_map(|drill| &drill.members)
}

/// From what a person wants it restored.
pub(crate) fn wanted_way(observed: &Observed, resource: &ResourceId) -> Option<Way> {
    match &observed.ask {
        Ask::Now { way, .. } => *way,
        Ask::Tick | Ask::All | Ask::Set { .. } => record(observed, resource)?.record.wanted.as_ref()?.way,
    }
}

/// What the drills of this month have cost so far, and what those under way may come to.
pub(crate) fn spent(observed: &Observed, now: Timestamp) -> u64 {
    let this_month = month(now);
    let asked = not_given(observed).map(|drill| drill.staging.most_micro_usd()).fold(0, u64::saturating_add);
    kept(&observed.records)
        .map(|kept| {
            let past = kept.record.history.past.iter().filter(|past| month(past.asked_at) == this_month);
            let under_way = kept.record.under_way.as_ref().map_or(0, |drill| drill.staging.most_micro_usd());
            past.map(|past| past.cost_micro_usd).sum::<u64>().saturating_add(under_way)
        })
        .fold(asked, u64::saturating_add)
}

fn month(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date().first_of_month()
}

impl Staging {
    /// What it costs if it lasts as long as it may, in the dearer of the two classes that it may come to.
    pub(crate) fn most_micro_usd(&self) -> u64 {
        let an_hour =
            self.otherwise.iter().map(|other| other.micro_usd_an_hour).fold(self.micro_usd_an_hour, u64::max);
        an_hour.saturating_mul(LONGEST.as_hours().unsigned_abs())
    }
}

/// Whether there is money for one more drill.
pub(crate) fn afford(
    limits: Limits,
    spent: u64,
    staging: &Staging,
    resource: &ResourceId,
) -> Result<u64, Error> {
    let after = spent.saturating_add(staging.most_micro_usd());
    if after <= limits.micro_usd_a_month {
        return Ok(after);
    }
    let usd = |micro: u64| format!("${}.{:02}", micro / 1_000_000, micro % 1_000_000 / 10_000);
    Err(Error::misconfigured(
        "DrillBudgetExceeded",
        format!(
            "{resource}: no drill was begun: drills of this month come to {}, this one would cost up to {} if it lasted {} \
             hours, and {} a month are allowed; raise DrillUsdPerMonth, or wait for the next month",
            usd(spent),
            usd(staging.most_micro_usd()),
            LONGEST.as_hours(),
            usd(limits.micro_usd_a_month)
        ),
    ))
}
