//! What is remembered between invocations: which conversations are open, and which functions failed.

use std::collections::BTreeMap;

use data_encoding::BASE32_NOPAD;
use domain::{ResourceId, Severity};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::request::Failure;

/// Which conversations are open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Open {
    /// Somebody is publishing at this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lease: Option<Lease>,
    #[serde(default)]
    pub(crate) conversations: BTreeMap<ResourceId, Conversation>,
    /// The functions that failed, until they are seen to be well again.
    #[serde(default)]
    pub(crate) failures: Failures,
    /// When messages were published of late, so that a storm is noticed however slowly it comes.
    #[serde(default)]
    pub(crate) published: Vec<Timestamp>,
}

/// The right to publish, for as long as an invocation can last. Whoever is killed while holding it has said what it was
/// about to tell: see [`Conversation::pending`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lease {
    pub(crate) taken_at: Timestamp,
    pub(crate) until: Timestamp,
}

/// All that is said about one resource, from the alert to the all-clear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Conversation {
    pub(crate) opened_at: Timestamp,
    /// When something was last said.
    pub(crate) told_at: Timestamp,
    /// The number of the last message.
    pub(crate) sequence: u32,
    /// What was said to be wrong, by condition, and is or was a moment ago.
    pub(crate) conditions: BTreeMap<String, Told>,
    /// What is being told, or may have been when somebody was killed: it is told again, as the same message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pending: Option<Event>,
}

/// One condition that was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    /// Who says so: the function whose board it is on, or `alarms`, or `failures`.
    pub(crate) source: String,
    pub(crate) kind: String,
    pub(crate) severity: Severity,
    pub(crate) since: Timestamp,
    pub(crate) plan: Option<String>,
    /// Since when nobody says it any more, while something else goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) gone_since: Option<Timestamp>,
}

/// What a message is in its conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Event {
    /// The first.
    Opened,
    /// Something more is wrong, or it has become worse.
    Updated,
    /// It lasts.
    Reminder,
    /// It is over.
    Cleared,
}

impl Event {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Updated => "updated",
            Self::Reminder => "reminder",
            Self::Cleared => "cleared",
        }
    }
}

/// The kind of the finding by which watch-rpo tries the way that an alert goes.
pub(crate) const CANARY: &str = "canary";

/// What names a conversation: a function of the resource and of when it was opened.
pub(crate) fn conversation_id(resource: &ResourceId, opened_at: Timestamp) -> String {
    let digest = Sha256::digest(format!("{resource} {}", opened_at.as_nanosecond()));
    let mark = BASE32_NOPAD.encode(&digest[..5]).to_lowercase();
    format!("alert-{}-{mark}", opened_at.strftime("%Y%m%dt%H%M%Sz"))
}

impl Lease {
    /// Whether somebody may still be publishing. An instant that cannot be, from a wrong clock, holds nobody back.
    pub(crate) fn is_held(&self, lease: SignedDuration, now: Timestamp) -> bool {
        now < self.until && now.duration_since(self.taken_at).abs() < lease
    }
}

/// How long a condition may be gone before it is news when it comes back.
const FORGIVEN: SignedDuration = SignedDuration::from_mins(15);

impl Conversation {
    /// The worst of what was said.
    pub(crate) fn severity(&self) -> Severity {
        self.conditions.values().map(|told| told.severity).max().unwrap_or(Severity::Info)
    }

    /// Whether it is word of something that is not wrong, told once: it has no reminder, and no all-clear. The canary proves
    /// the way of both.
    pub(crate) fn is_news(&self) -> bool {
        let is_news = |told: &Told| told.severity == Severity::Info && told.kind != CANARY;
        !self.conditions.is_empty() && self.conditions.values().all(is_news)
    }

    /// Forgets what nobody has said for a while, though something else goes on: when it comes back, it is told.
    pub(crate) fn forgive(&mut self, is_said: impl Fn(&str, &Told) -> bool, now: Timestamp) {
        for (condition, told) in &mut self.conditions {
            told.gone_since = match told.gone_since {
                _ if is_said(condition, told) => None,
                None => Some(now),
                since => since,
            };
        }
        if self.conditions.values().any(|told| told.gone_since.is_none()) {
            self.conditions.retain(|_, told| {
                told.gone_since.is_none_or(|since| now.duration_since(since).abs() < FORGIVEN)
            });
        }
    }
}

impl Open {
    /// What stands after a message about these resources went out.
    pub(crate) fn confirm(&mut self, resources: &[ResourceId], now: Timestamp) {
        for resource in resources {
            let Some(conversation) = self.conversations.get_mut(resource) else { continue };
            if conversation.pending == Some(Event::Cleared) {
                self.conversations.remove(resource);
            } else {
                conversation.pending = None;
                conversation.told_at = now;
            }
        }
        self.published.push(now);
    }
}

/// The functions that failed, by name, until they are seen to be well again.
pub(crate) type Failures = BTreeMap<String, Failing>;

/// A function whose invocations fail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failing {
    pub(crate) since: Timestamp,
    /// The last failure.
    pub(crate) at: Timestamp,
    pub(crate) code: String,
    pub(crate) says: String,
    pub(crate) times: u32,
}

/// A failure of which nobody can see the end (its function has no board) is told of for a day.
const FORGOTTEN: SignedDuration = SignedDuration::from_hours(24);

/// The failures that stand, with those that were just received and without those that are over.
///
/// A function is well again when a pass that began after its last failure failed in nothing but what it found.
pub(crate) fn standing_failures(
    remembered: &Failures,
    received: &[Failure],
    well_at: impl Fn(&str) -> Option<Timestamp>,
    now: Timestamp,
) -> Failures {
    let mut failures = remembered.clone();
    for failure in received {
        let name = failure.function.clone().unwrap_or_else(|| UNREADABLE.to_owned());
        let at = failure.at.unwrap_or(now);
        let failing = failures.entry(name).or_insert_with(|| Failing {
            since: at,
            at,
            code: failure.code.clone(),
            says: failure.says.clone(),
            times: 0,
        });
        failing.times = failing.times.saturating_add(1);
        if at >= failing.at {
            (failing.at, failing.code, failing.says) = (at, failure.code.clone(), failure.says.clone());
        }
        failing.since = failing.since.min(at);
    }
    failures.retain(|name, failing| {
        well_at(name).is_none_or(|well| well <= failing.at) && now.duration_since(failing.at) < FORGOTTEN
    });
    failures
}

/// Where records that are not understood are filed.
pub(crate) const UNREADABLE: &str = "failures-queue";
