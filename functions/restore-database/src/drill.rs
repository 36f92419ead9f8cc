//! A restore that is a drill's: the same as a person's, but for what it is called and how long it is needed. And whose a restore
//! is, so that asking again is the same restore.

use std::collections::BTreeMap;

use domain::{drill::PREFIX, tag};
use jiff::{SignedDuration, Timestamp};
use reconcile::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::{request::invalid, restore::Part};

/// The longest id. It stands in tags.
const LONGEST: usize = 100;

/// How long after a restore was asked for the same request of a person counts as the same restore: an answer was lost and they
/// ask again. Later it is another wish: last week's "latest" is not today's.
const SAME_REQUEST: SignedDuration = SignedDuration::from_mins(15);

/// The drill that a restore is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Drill {
    /// Which.
    pub(crate) id: String,
    /// From when on nobody needs what it made, whatever became of it.
    pub(crate) expires: Timestamp,
}

impl Drill {
    /// What it writes onto what it makes.
    pub(crate) fn tags(&self) -> [(String, String); 2] {
        [(tag::DRILL, self.id.clone()), (tag::EXPIRES, self.expires.to_string())]
            .map(|(key, value)| (key.to_owned(), value))
    }
}

/// Refuses to begin what nobody needs any more: it would be deleted at once, and asked for again.
pub(crate) fn is_needed(drill: Option<&Drill>, now: Timestamp) -> Result<()> {
    match drill {
        Some(Drill { id, expires }) if *expires <= now => Err(Error::misconfigured(
            "DrillExpired",
            format!(
                "{id} is over since {expires}, and needs nothing any more; hold another drill; nothing was done"
            ),
        )),
        _ => Ok(()),
    }
}

/// Whether a drill's restore is called so, and nothing else is.
pub(crate) fn check(drill: Option<&Drill>, name: &str) -> Result<()> {
    match drill {
        None if name.starts_with(PREFIX) => Err(invalid(format!(
            "\"as\" is {name:?}: it begins with {PREFIX}, which only drills may use, because it is deleted by that"
        ))),
        None => Ok(()),
        Some(_) if !name.starts_with(PREFIX) => {
            Err(invalid(format!("\"as\" is {name:?}: what a drill makes begins with {PREFIX}")))
        }
        Some(drill) => {
            let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            let is_valid = (1..=LONGEST).contains(&drill.id.len()) && drill.id.chars().all(allowed);
            if is_valid {
                return Ok(());
            }
            let shown: String = drill.id.chars().take(80).collect();
            Err(invalid(format!(
                "\"drill\" has the id {shown:?}: expected 1 to {LONGEST} of a-z, 0-9 and hyphens"
            )))
        }
    }
}

/// For whom a restore is, as ids; a person who wants it by itself has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asker<'a> {
    drill: Option<&'a str>,
    set: Option<&'a str>,
}

impl<'a> Asker<'a> {
    /// That drill, or that set's restore.
    pub(crate) fn new(drill: Option<&'a Drill>, part: Option<&'a Part>) -> Self {
        Self { drill: drill.map(|drill| drill.id.as_str()), set: part.map(|part| part.restore.as_str()) }
    }

    /// As it stands in the tags of what was made.
    pub(crate) fn of(tags: &'a BTreeMap<String, String>) -> Self {
        let tag = |key: &str| tags.get(key).map(String::as_str);
        Self { drill: tag(tag::DRILL), set: tag(tag::SET_RESTORE) }
    }

    /// Whether what it asks for now is the restore that was asked for then, of the same resource to the same state. A set's restore
    /// is itself however late its parts are begun, and so is a drill.
    pub(crate) fn is_same(self, then_for: Self, then: Timestamp, now: Timestamp) -> bool {
        match (self, then_for) {
            (Self { set: Some(set), .. }, Self { set: Some(id), .. }) => set == id,
            (Self { set: None, drill: Some(drill) }, Self { set: None, drill: Some(id) }) => drill == id,
            (Self { set: None, drill: None }, Self { set: None, drill: None }) => {
                now.duration_since(then) <= SAME_REQUEST
            }
            _ => false,
        }
    }
}
