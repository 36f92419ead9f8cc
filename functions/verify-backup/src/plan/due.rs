use std::collections::BTreeMap;

use domain::{
    RecoveryPointId, ResourceId,
    retention::{Region, Worth},
};
use inventory::Held;
use jiff::Timestamp;
use reconcile::{Error, Result};
use vault::point_prefix;

use super::{
    RHYTHM, SUSPECTS,
    keys::{KeyState, Keys},
    sample, says,
    there::{Stored, There, complete, is_in},
};
use crate::{
    Ask, NAME,
    act::{Item, KEY_UNUSABLE, Marked, Subject, is_of_content},
    memory::{Place, Progress, Sample},
    observe::Observed,
};

/// What is to be looked at.
#[derive(Clone)]
pub(super) struct Due<'o> {
    pub(super) there: There<'o>,
    /// Why it is opened, if it is.
    pub(super) sample: Option<Sample>,
    /// How much is still to be read.
    pub(super) bytes: u64,
    /// Whether it can be left half read: what is opened on the disk cannot.
    pub(super) is_divisible: bool,
    pub(super) is_half_read: bool,
    /// Why its key cannot be used.
    pub(super) unusable: Option<String>,
    /// When it was last looked at, or when one like it was opened if that is why it is due.
    pub(super) last: Option<Timestamp>,
    pub(super) is_asked_for: bool,
    /// How much of it is read in this run.
    pub(super) budget: u64,
}

impl Due<'_> {
    pub(super) fn resource(&self) -> &ResourceId {
        &self.there.point.resource
    }

    pub(super) fn reason(&self) -> String {
        let why = match self.last {
            _ if self.is_asked_for => "a person asks for it".to_owned(),
            _ if self.unusable.is_some() => "its key cannot be used".to_owned(),
            _ if self.is_half_read => "it is half read".to_owned(),
            Some(last) => format!("the last look was at {}", says::second(last)),
            None => "nobody has looked yet".to_owned(),
        };
        let opened = match self.sample {
            Some(Sample::Newest) => "; it is opened, as its database's newest",
            Some(Sample::ByLot) => "; it is opened, because the lot fell on it",
            Some(Sample::Wanted) => "; it is opened",
            None => "",
        };
        format!("{} {}: {why}{opened}", self.there.point.id, self.there.region.says())
    }

    pub(super) fn into_item(self, observed: &Observed) -> Item {
        let Self { there, sample, budget, unusable, .. } = self;
        let point = there.point;
        let subject = match there.stored {
            Stored::Snapshot(snapshot) => {
                Subject::Snapshot { snapshot: Box::new(snapshot.clone()), unusable }
            }
            Stored::Objects(_) => {
                Subject::Objects { prefix: point_prefix(&point.resource, point.slot, &point.id) }
            }
        };
        let place = there.place();
        let marked =
            |region| is_in(point, region).then(|| marked(observed, &Place { region, ..place.clone() }));
        Item {
            lineage: there.lineage.clone(),
            slot: point.slot,
            regions: observed.regions.clone(),
            subject,
            sample,
            budget,
            marked: Region::ALL.map(marked),
            elsewhere: says::whole_at(observed, point, &there.elsewhere()),
            place,
        }
    }
}

fn marked(observed: &Observed, place: &Place) -> Marked {
    match observed.doubts.get(place) {
        None => Marked::No,
        Some(Some(doubt)) if doubt.function == NAME => {
            Marked::ByUs { of_content: is_of_content(&doubt.code) }
        }
        Some(_) => Marked::ByAnother,
    }
}

/// What is due, in no order.
pub(super) fn due<'o>(observed: &'o Observed, keys: &Keys, now: Timestamp) -> Result<Vec<Due<'o>>> {
    if let Ask::Now { resource, id } = &observed.ask {
        refuse_what_is_not_there(observed, resource, id.as_ref())?;
    }
    let samples = sample::samples(observed, now);
    let is_meant = |there: &There<'_>| match &observed.ask {
        Ask::Due => true,
        Ask::Now { resource, id } => is_of(there.point, resource, id.as_ref()),
    };
    let due = |there: There<'o>| match keys.get(&there.place()) {
        // Whether it can be restored nobody knows.
        Some(KeyState::Unknown) => None,
        Some(KeyState::Unusable(why)) => if_not_marked(observed, there, why),
        None => if_due(observed, there, &samples, now),
    };
    Ok(complete(observed).filter(is_meant).filter_map(due).collect())
}

/// What nobody can restore as it is, is marked so, once.
fn if_not_marked<'o>(observed: &Observed, there: There<'o>, why: &str) -> Option<Due<'o>> {
    let is_asked_for = observed.ask != Ask::Due;
    let is_due = is_asked_for || !observed.doubts.contains_key(&there.place());
    is_due.then(|| Due {
        there,
        sample: None,
        bytes: 0,
        is_divisible: true,
        is_half_read: false,
        unusable: Some(why.to_owned()),
        last: None,
        is_asked_for,
        budget: 0,
    })
}

/// Whether it is only doubted because its key could not be used, which it can be now.
fn is_usable_again(observed: &Observed, place: &Place) -> bool {
    let doubt = observed.doubts.get(place).and_then(Option::as_ref);
    doubt.is_some_and(|doubt| doubt.function == NAME && doubt.code == KEY_UNUSABLE)
}

fn if_due<'o>(
    observed: &'o Observed,
    there: There<'o>,
    samples: &BTreeMap<Place, (Sample, Option<Timestamp>)>,
    now: Timestamp,
) -> Option<Due<'o>> {
    let place = there.place();
    let (looked, progress) = (observed.memory.look(&place).at(), observed.memory.progress(&place));
    let is_asked_for = observed.ask != Ask::Due;
    // What a list alone shows to be not as it should be is not left for a week.
    let is_suspect = there.worth == Worth::Unverified && !observed.doubts.contains_key(&place);
    let rhythm = if is_suspect { SUSPECTS } else { RHYTHM };
    let is_due = is_asked_for
        || is_usable_again(observed, &place)
        || looked.is_none_or(|at| now.duration_since(at) >= rhythm);
    let is_named = matches!(observed.ask, Ask::Now { id: Some(_), .. });
    let is_wrong_inside = marked(observed, &place) == Marked::ByUs { of_content: true };
    let sampled = if is_due && (is_named || is_wrong_inside) && sample::is_here(&there) {
        Some((Sample::Wanted, looked))
    } else {
        samples.get(&place).copied()
    };
    if !is_due && sampled.is_none() && progress.is_none() {
        return None;
    }
    // What is half read is gone on with as it was begun.
    let sample = progress.map_or(sampled.map(|(sample, _)| sample), |progress| progress.sample);
    let read = progress.map_or(0, Progress::read_bytes);
    Some(Due {
        there,
        sample,
        bytes: match there.stored {
            Stored::Snapshot(_) => 0,
            Stored::Objects(listed) => listed.bytes().saturating_sub(read),
        },
        is_divisible: sample.is_none() || !sample::is_on_disk(&there),
        is_half_read: progress.is_some(),
        unusable: None,
        last: if is_due { looked } else { sampled.and_then(|(_, opened)| opened) },
        is_asked_for,
        budget: 0,
    })
}

fn is_of(point: &Held, resource: &ResourceId, id: Option<&RecoveryPointId>) -> bool {
    point.resource == *resource && id.is_none_or(|id| point.id == *id)
}

fn refuse_what_is_not_there(
    observed: &Observed,
    resource: &ResourceId,
    id: Option<&RecoveryPointId>,
) -> Result<()> {
    if let Some(Err(error)) = observed.inventory.engines.get(&resource.engine) {
        return Err(Error::new(error.kind(), error.code().to_owned(), error.report()));
    }
    let all = || observed.inventory.known().flat_map(|(_, points)| points);
    let mut meant = all().filter(|point| is_of(point, resource, id)).peekable();
    let wanted = id.map_or_else(|| "recovery point".to_owned(), |id| format!("recovery point {id}"));
    if meant.peek().is_none() {
        return Err(Error::misconfigured(
            "RecoveryPointUnknown",
            format!(
                "there is no {wanted} of {resource} in either Region; the ledger and the newest retention plan have the names. \
                 Nothing was done"
            ),
        ));
    }
    if meant.any(|point| Region::ALL.into_iter().any(|region| is_in(point, region))) {
        return Ok(());
    }
    Err(Error::misconfigured(
        "RecoveryPointNotReady",
        format!(
            "no {wanted} of {resource} is complete in either Region: it is still being made, or has failed. Nothing was done"
        ),
    ))
}
