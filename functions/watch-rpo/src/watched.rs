//! A protected resource as it is watched: what is known of it, and how its times are counted.

use std::cmp::max;

use domain::{BackupPlan, ResourceId, Slot};
use jiff::{SignedDuration, Timestamp};

use crate::engines::{Activity, Protected};

/// A protected resource, with what is known of it from before.
pub(crate) struct Watched<'o, R> {
    pub(crate) of: &'o R,
    pub(crate) resource: ResourceId,
    pub(crate) plan: &'o BackupPlan,
    /// The latest slot whose grace has passed.
    pub(crate) due: Option<Slot>,
    pub(crate) seen_since: Timestamp,
    /// Recovery points of earlier slots were not looked for.
    pub(crate) looked_since: Timestamp,
    /// Until when it was stopped, if it was.
    pub(crate) idle_until: Option<Timestamp>,
}

/// The newest state to which a resource can be restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Newest {
    /// As of then.
    At(Timestamp),
    /// There is none.
    Nothing,
    /// Nobody looked in this minute.
    Unknown,
}

impl Newest {
    pub(crate) const fn instant(self) -> Option<Timestamp> {
        match self {
            Self::At(instant) => Some(instant),
            Self::Nothing | Self::Unknown => None,
        }
    }
}

/// RDS ships logs every five minutes (User Guide, `USER_PIT`), so an age goes up and down by as much.
const SHIPPING: SignedDuration = SignedDuration::from_mins(5);

impl<R: Protected> Watched<'_, R> {
    /// Nothing is written to a stopped resource, so no second of it can be lost.
    pub(crate) fn is_idle(&self) -> bool {
        self.of.activity() != Activity::Running
    }

    /// How much would be lost now: what was written since the newest restorable state. Not known for one that is
    /// idle, and for a new one not before it should have had its first.
    pub(crate) fn age(&self, newest: Newest, now: Timestamp) -> Option<SignedDuration> {
        if self.is_idle() {
            return None;
        }
        match newest {
            Newest::At(newest) => Some(self.exposed(newest, now)),
            Newest::Nothing => Some(self.exposed(self.none_since(), now)).filter(|age| *age > self.rpo()),
            Newest::Unknown => None,
        }
    }

    /// Since when there is no restorable state, where there is none: nobody knows of what nobody looked for.
    pub(crate) fn none_since(&self) -> Timestamp {
        max(self.seen_since, self.looked_since)
    }

    /// How long ago `since` is, apart from the time in which the resource was stopped. Never negative: the provider's
    /// clock and this one need not agree to the second.
    pub(crate) fn exposed(&self, since: Timestamp, now: Timestamp) -> SignedDuration {
        max(now.duration_since(self.writing_since(since)), SignedDuration::ZERO)
    }

    /// The first instant after `since` at which something may have been written.
    pub(crate) fn writing_since(&self, since: Timestamp) -> Timestamp {
        self.idle_until.map_or(since, |idle_until| max(since, idle_until))
    }

    pub(crate) fn rpo(&self) -> SignedDuration {
        self.plan.objectives.rpo_of(R::ENGINE)
    }

    /// What an age must fall below for a finding that stands to end. Below the objective by one shipping of logs, so
    /// that no alert opens and closes with each of them.
    pub(crate) fn calm(&self) -> SignedDuration {
        max(self.rpo() - SHIPPING, self.rpo() / 2)
    }
}

/// `instant` after `duration`, or the end of time.
pub(crate) fn after(instant: Timestamp, duration: SignedDuration) -> Timestamp {
    instant.checked_add(duration).unwrap_or(Timestamp::MAX)
}
