//! Findings in words: what is wrong, with the value and what is allowed, and the next step.

use std::collections::BTreeMap;

use domain::{
    Finding, ResourceId, Severity,
    retention::{Region, Worth},
};
use inventory::Held;
use jiff::{SignedDuration, Timestamp};
use reconcile::Error;

use super::{
    TOO_LONG, UNCOPIED,
    there::{There, complete, is_in},
};
use crate::{
    NAME,
    act::{KEY_UNUSABLE, is_of_content},
    memory::Place,
    observe::Observed,
};

/// What was found damaged, and is marked so.
const DAMAGED: &str = "recovery-point-damaged";
/// Nobody has found it whole for a month.
const NOT_VERIFIED: &str = "recovery-point-not-verified";
/// It has no copy.
const NO_COPY: &str = "recovery-point-uncopied";

/// So many names stand in a message.
const NAMED: usize = 5;

const NEXT_FOR_DAMAGED: &str = "Restore from where it is whole, or from another recovery point; retention counts on it no more. Bring \
    back the object's earlier version and have it verified, as the runbook says, or leave it to expire.";

pub(super) fn names(ids: &[String]) -> String {
    let more = ids.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", ids.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", "))
}

/// An instant, to the second.
pub(super) fn second(instant: Timestamp) -> String {
    instant.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// That what that Region has of it is thought to be whole, and since when; `None` if it is not.
pub(super) fn whole_at(observed: &Observed, point: &Held, place: &Place) -> Option<String> {
    let holding = point.holding(place.region)?;
    if !is_in(point, place.region) || observed.doubts.contains_key(place) {
        return None;
    }
    let region = &observed.regions[place.region as usize];
    match observed.memory.look(place).whole_at() {
        Some(at) => Some(format!("in {region} it was found whole at {}", second(at))),
        None if holding.worth == Worth::Unverified => None,
        None => {
            let made_at = second(holding.made_at);
            Some(format!("in {region} it was complete at {made_at}, and nobody has looked since"))
        }
    }
}

/// One of them in words. `code` and `says` are what was found, where that is known.
fn damaged_one(place: &Place, region: &str, found: Option<(&str, &str)>, elsewhere: Option<&str>) -> String {
    let what =
        found.map_or_else(|| "it is marked as damaged".to_owned(), |(code, says)| format!("{code}: {says}"));
    let is_of_content = found.is_some_and(|(code, _)| is_of_content(code));
    let instead = match elsewhere {
        _ if is_of_content => {
            "; its bytes are those that were stored, so that a copy is no better: take another recovery point"
                .to_owned()
        }
        Some(elsewhere) => format!("; {elsewhere}: take it from there meanwhile"),
        None => "; there is no whole one of it elsewhere: take another recovery point".to_owned(),
    };
    format!("{} in {region} is damaged. {what}{instead}", place.id)
}

/// Of one that was just found.
pub(crate) fn damaged_now(
    place: &Place,
    region: &str,
    error: &Error,
    elsewhere: Option<&str>,
    now: Timestamp,
) -> Finding {
    let says = format!("{}.", damaged_one(place, region, Some((error.code(), &error.report())), elsewhere));
    Finding::new(&place.resource, DAMAGED, Severity::Critical, now, says, NEXT_FOR_DAMAGED)
}

/// Of all that are marked, one finding for each resource.
pub(super) fn damaged(observed: &Observed, now: Timestamp) -> Vec<Finding> {
    let mut by_resource: BTreeMap<&ResourceId, (Option<Timestamp>, Vec<String>)> = BTreeMap::new();
    for there in complete(observed) {
        let place = there.place();
        let Some(doubt) = observed.doubts.get(&place) else { continue };
        // That is told of the keys, for all that are under one.
        if doubt.as_ref().is_some_and(|doubt| doubt.code == KEY_UNUSABLE) {
            continue;
        }
        let (since, said) = by_resource.entry(&there.point.resource).or_default();
        let at = doubt.as_ref().map(|doubt| doubt.at);
        *since = (*since).into_iter().chain(at).min();
        let found = doubt.as_ref().map(|doubt| (doubt.code.as_str(), doubt.says.as_str()));
        let elsewhere = whole_at(observed, there.point, &there.elsewhere());
        let region = &observed.regions[there.region as usize];
        said.push(damaged_one(&place, region, found, elsewhere.as_deref()));
    }
    let one_finding = |(resource, (since, said)): (&ResourceId, (Option<Timestamp>, Vec<String>))| {
        let more = said.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" {more} more are damaged.") } else { String::new() };
        let says = said.into_iter().take(NAMED).collect::<Vec<_>>().join(". ");
        let says = format!("{says}.{more}");
        Finding::new(resource, DAMAGED, Severity::Critical, since.unwrap_or(now), says, NEXT_FOR_DAMAGED)
    };
    by_resource.into_iter().map(one_finding).collect()
}

/// For how long nobody has found it whole. Nobody can have looked before it was there, or before looks were remembered.
pub(super) fn unverified_for(observed: &Observed, there: &There<'_>, now: Timestamp) -> SignedDuration {
    let looked = observed.memory.look(&there.place()).whole_at().unwrap_or(Timestamp::MIN);
    let since = looked.max(there.made_at.min(now)).max(observed.memory.since);
    now.duration_since(since)
}

/// What was not found whole for a month and is not known to be damaged: of one resource it is said there; of several, once for
/// all.
pub(super) fn too_long(observed: &Observed, now: Timestamp) -> Option<Finding> {
    let late: Vec<(There<'_>, SignedDuration)> = complete(observed)
        .filter(|there| !observed.doubts.contains_key(&there.place()))
        .map(|there| {
            let age = unverified_for(observed, &there, now);
            (there, age)
        })
        .filter(|(_, age)| *age > TOO_LONG)
        .collect();
    let (oldest, age) = late.iter().max_by_key(|(_, age)| *age)?;
    let first = &oldest.point.resource;
    let here = ResourceId::tidemark(NAME);
    let is_of_one = late.iter().all(|(there, _)| there.point.resource == *first);
    let days = age.as_hours() / 24;
    let says = format!(
        "{} recovery points, counted in each Region, have not been found whole for more than {} days; the longest is {} {}, \
         for {days} days.",
        late.len(),
        TOO_LONG.as_hours() / 24,
        oldest.point.id,
        oldest.region.says()
    );
    let next = "See in the log of verify-backup what fails. If nothing does, give it more to read: VerifyMibPerRun \
        (docs/verifying.md).";
    let since = now - (*age - TOO_LONG);
    let of = if is_of_one { first } else { &here };
    Some(Finding::new(of, NOT_VERIFIED, Severity::Warning, since, says, next))
}

/// What is complete at home and not in the recovery Region, though it has had the time: one finding for each resource.
pub(super) fn uncopied(observed: &Observed, now: Timestamp) -> Vec<Finding> {
    let mut by_resource: BTreeMap<&ResourceId, (Timestamp, Vec<String>)> = BTreeMap::new();
    for there in complete(observed).filter(|there| there.region == Region::Home) {
        let made_at = there.made_at.min(now);
        if !is_in(there.point, Region::Recovery) && now.duration_since(made_at) > UNCOPIED {
            let (since, ids) = by_resource.entry(&there.point.resource).or_insert((made_at, Vec::new()));
            *since = (*since).min(made_at);
            ids.push(there.point.id.to_string());
        }
    }
    let away = &observed.regions[Region::Recovery as usize];
    let one_finding = |(resource, (since, ids)): (&ResourceId, (Timestamp, Vec<String>))| {
        let says =
            format!("{}: no complete copy in {away} after {} hours.", names(&ids), UNCOPIED.as_hours());
        let next = "If the home Region is lost, these are lost with it. Make the copies by hand, as the runbook says.";
        Finding::new(resource, NO_COPY, Severity::Warning, since + UNCOPIED, says, next)
    };
    by_resource.into_iter().map(one_finding).collect()
}
