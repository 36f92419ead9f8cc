//! What is left at a provider of sources that are gone, or protected no more: since when it is, and what of it the vaults have.

use std::collections::{BTreeMap, BTreeSet};

use domain::{ResourceId, retention::Region};
use jiff::{SignedDuration, Timestamp, ToSpan, civil::Date, tz::TimeZone};
use reconcile::{Documents, Error, Result};
use vault::Listed;

use crate::{Lineage, Marks};

/// Whoever ended the protection by mistake still has what is left for so long.
pub const GRACE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Since when something is left over of each incarnation, as one function has seen it: a document in the state bucket.
///
/// It gives time, and no right: lost or unreadable, all of it counts anew from the next pass, and nothing is deleted earlier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOverSince {
    name: String,
    version: Option<String>,
    since: BTreeMap<Lineage, Timestamp>,
}

impl LeftOverSince {
    /// What that function has seen.
    pub async fn read(documents: &impl Documents, function: &str) -> Result<Self> {
        let name = document_name(function);
        let Some(document) = documents.read(&name).await? else {
            return Ok(Self { name, ..Self::default() });
        };
        let said: BTreeMap<String, Timestamp> = serde_json::from_str(&document.text).unwrap_or_default();
        let since = said.into_iter().filter_map(|(key, at)| Some((lineage(&key)?, at))).collect();
        Ok(Self { name, version: Some(document.version), since })
    }

    /// What has to stand there now that of these something is left over, and of no others: those that were known keep their
    /// instant. `None` if it does already.
    #[must_use]
    pub fn next(&self, left: &BTreeSet<Lineage>, now: Timestamp) -> Option<Self> {
        let since_of = |one: &Lineage| self.since.get(one).copied().unwrap_or(now);
        let since: BTreeMap<_, _> = left.iter().map(|one| (one.clone(), since_of(one))).collect();
        (since != self.since).then(|| Self { since, ..self.clone() })
    }

    /// Writes it in place of what was read. False if somebody else wrote meanwhile: then the next pass looks again.
    pub async fn write(&self, documents: &impl Documents) -> Result<bool> {
        let said: BTreeMap<String, Timestamp> = self.since.iter().map(|(one, at)| (key(one), *at)).collect();
        let text = serde_json::to_string(&said)
            .map_err(|error| Error::permanent("DocumentUnwritable", error.to_string()))?;
        let written = documents.write(&self.name, &text, self.version.as_deref()).await?;
        Ok(written.is_some())
    }

    /// Whether what was made then, of that incarnation, has been left over for so long that it may go. Never in the pass that
    /// sees it first.
    pub fn is_over(&self, lineage: &Lineage, made_at: Timestamp, now: Timestamp) -> bool {
        self.since.get(lineage).is_some_and(|since| now.duration_since(made_at.max(*since)) >= GRACE)
    }

    /// The days on which the last recovery point of that incarnation may have been made: the one on which its protection was
    /// seen to be over, and the one before.
    pub fn last_days(&self, lineage: &Lineage) -> impl Iterator<Item = Date> + use<> {
        let day = self.since.get(lineage).map(|since| since.to_zoned(TimeZone::UTC).date());
        let before = day.and_then(|day| day.checked_sub(1.day()).ok());
        [day, before].into_iter().flatten()
    }
}

fn document_name(function: &str) -> String {
    format!("left-over/{function}.json")
}

fn key(Lineage { resource, mark }: &Lineage) -> String {
    format!("{resource}/{mark}")
}

fn lineage(key: &str) -> Option<Lineage> {
    let (resource, mark) = key.rsplit_once('/')?;
    Some(Lineage { resource: ResourceId::try_from(resource.to_owned()).ok()?, mark: mark.to_owned() })
}

/// What the vaults have of a source that is as late as something that is left of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kept {
    /// No recovery point that anybody could rely on: what is left may be the last state.
    No,
    /// One that is whole at home, and not in the other Region.
    Once,
    /// One that is whole in both.
    Twice,
}

impl Kept {
    /// Of the recovery points that are as late, each with its copy: what the best of them is worth. One that a later look found
    /// damaged in either Region is worth nothing here.
    pub fn of<'v>(points: impl IntoIterator<Item = (&'v Listed, Option<&'v Listed>)>, marks: &Marks) -> Self {
        points.into_iter().map(|(home, copy)| Self::of_one(home, copy, marks)).max().unwrap_or(Self::No)
    }

    fn of_one(home: &Listed, copy: Option<&Listed>, marks: &Marks) -> Self {
        let is_doubted =
            Region::ALL.into_iter().any(|region| marks.is_doubted(&home.resource, &home.id, region));
        let is_whole = home.completed().is_some() && !home.is_bare();
        if is_doubted || !is_whole || copy.is_some_and(|copy| home.lacks_of(copy)) {
            return Self::No;
        }
        if copy.is_some_and(|copy| home.is_whole_with(copy)) { Self::Twice } else { Self::Once }
    }
}
