use std::fmt;

use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Slot;

/// The name of one recovery point, the same in every Region that holds it: `tidemark-orders-20261122t0300z-k3f9q2`.
///
/// It is a pure function of the resource and the slot, which makes it the idempotency token: two invocations that
/// want the same recovery point ask for the same name, and the provider refuses the second. Valid as an RDS snapshot
/// identifier (letters, digits, single hyphens, starting with a letter, at most 255 characters; `CreateDBSnapshot`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecoveryPointId(String);

impl RecoveryPointId {
    /// What every recovery point's name starts with. IAM policies are written against it.
    pub const PREFIX: &'static str = "tidemark-";

    /// The name for `resource`'s recovery point of `slot`.
    ///
    /// `incarnation` is the provider's own immutable id (RDS: `DbiResourceId`). A database that was deleted and made
    /// anew under the same name is another resource; its recovery points must not be mistaken for the old one's.
    /// `attempt` counts from 1: a failed snapshot keeps its name, so the next attempt needs another.
    pub fn new(resource: &str, incarnation: &str, slot: Slot, attempt: u32) -> Self {
        let mark = Self::mark(incarnation);
        let suffix = if attempt > 1 { format!("-{attempt}") } else { String::new() };
        Self(format!("{}{}-{}-{mark}{suffix}", Self::PREFIX, resource.to_lowercase(), slot.compact()))
    }

    /// What stands for an incarnation in a name: six characters.
    pub fn mark(incarnation: &str) -> String {
        let digest = Sha256::digest(incarnation.as_bytes());
        let mut mark = BASE32_NOPAD.encode(&digest[..5]).to_lowercase();
        mark.truncate(6);
        mark
    }

    /// What the name says; `None` for a name that [`RecoveryPointId::new`] does not make.
    pub fn parts(&self) -> Option<RecoveryPointParts<'_>> {
        let named = self.0.strip_prefix(Self::PREFIX)?;
        let (named, attempt) = match named.rsplit_once('-') {
            Some((rest, number)) if is_attempt(number) && rest.rsplit('-').nth(1).is_some_and(is_slot) => {
                (rest, number.parse().ok()?)
            }
            _ => (named, 1),
        };
        let (named, mark) = named.rsplit_once('-')?;
        let (resource, slot) = named.rsplit_once('-')?;
        let slot = Slot::parse_compact(slot)?;
        let is_mark =
            mark.len() == 6 && mark.bytes().all(|c| c.is_ascii_lowercase() || (b'2'..=b'7').contains(&c));
        (is_mark && !resource.is_empty()).then_some(RecoveryPointParts { resource, slot, mark, attempt })
    }

    /// The name of the `attempt`-th copy of it, from 1: the same, so that a person finds it in either Region.
    #[must_use]
    pub fn copy(&self, attempt: u32) -> Self {
        let suffix = if attempt > 1 { format!("{COPY_ATTEMPT}{attempt}") } else { String::new() };
        Self(format!("{self}{suffix}"))
    }

    /// Of which snapshot the copy of that name is one, and which attempt at it.
    pub fn copied(name: &str) -> (&str, u32) {
        name.rsplit_once(COPY_ATTEMPT)
            .and_then(|(source, attempt)| Some((source, attempt.parse().ok()?)))
            .unwrap_or((name, 1))
    }

    /// The name as the provider knows it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a copy's name adds to its source's from the second attempt on: a failed copy keeps its name.
const COPY_ATTEMPT: &str = "-copy-";

/// What a recovery point's name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoveryPointParts<'n> {
    /// The resource's name, in lower case.
    pub resource: &'n str,
    /// The slot that it fills.
    pub slot: Slot,
    /// [`RecoveryPointId::mark`] of the incarnation.
    pub mark: &'n str,
    /// Which attempt, from 1.
    pub attempt: u32,
}

fn is_attempt(text: &str) -> bool {
    text.parse::<u32>().is_ok_and(|number| number > 1 && number.to_string() == text)
}

fn is_slot(text: &str) -> bool {
    Slot::parse_compact(text).is_some()
}

impl From<&str> for RecoveryPointId {
    fn from(name: &str) -> Self {
        Self(name.to_owned())
    }
}

impl fmt::Display for RecoveryPointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How far a recovery point has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RecoveryPointState {
    /// The provider is still making it.
    Pending,
    /// The provider says that it is available.
    Completed,
    /// The provider gave up; it will never be restorable.
    Failed,
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn slot() -> Slot {
        Slot::at("2026-11-22T03:00:00Z".parse::<Timestamp>().unwrap())
    }

    #[test]
    fn name_is_stable() {
        // Golden: a changed name would make every deployment take tonight's backup twice.
        let name = |attempt| RecoveryPointId::new("orders", "db-ABC", slot(), attempt).to_string();
        assert_eq!(name(1), "tidemark-orders-20261122t0300z-yzryht");
        assert_eq!(name(2), "tidemark-orders-20261122t0300z-yzryht-2");
    }

    proptest! {
        #[test]
        fn name_is_a_valid_snapshot_identifier(name in "[a-zA-Z]([a-zA-Z0-9]|-[a-zA-Z0-9]){0,31}", incarnation in ".*", attempt in 1_u32..100) {
            let id = RecoveryPointId::new(&name, &incarnation, slot(), attempt);
            let id = id.as_str();
            prop_assert!(id.len() <= 255 && id.starts_with(RecoveryPointId::PREFIX));
            prop_assert!(id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'));
            prop_assert!(!id.ends_with('-') && !id.contains("--"));
        }

        #[test]
        fn a_name_says_what_it_was_made_of(name in "[a-zA-Z]([a-zA-Z0-9]|-[a-zA-Z0-9]){0,31}", incarnation in ".*", attempt in 1_u32..1_000) {
            let id = RecoveryPointId::new(&name, &incarnation, slot(), attempt);
            for copy in 1..4 {
                let named = id.copy(copy);
                prop_assert_eq!(RecoveryPointId::copied(named.as_str()), (id.as_str(), copy));
            }
            let (resource, mark) = (name.to_lowercase(), RecoveryPointId::mark(&incarnation));
            prop_assert_eq!(id.parts(), Some(RecoveryPointParts { resource: &resource, slot: slot(), mark: &mark, attempt }));
        }

        #[test]
        fn no_name_panics(name in ".*") {
            _ = RecoveryPointId::from(name.as_str()).parts();
            _ = RecoveryPointId::from(format!("tidemark-{name}").as_str()).parts();
        }

        #[test]
        fn incarnations_slots_and_attempts_never_collide(a in "db-[A-Z0-9]{26}", b in "db-[A-Z0-9]{26}") {
            prop_assume!(a != b);
            let first = RecoveryPointId::new("orders", &a, slot(), 1);
            prop_assert_ne!(&first, &RecoveryPointId::new("orders", &b, slot(), 1));
            prop_assert_ne!(&first, &RecoveryPointId::new("orders", &a, slot(), 2));
        }
    }
}
