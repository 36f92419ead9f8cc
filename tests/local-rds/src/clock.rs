//! The clock that RDS tells the time by.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};

/// The machine's clock, shifted. Clones share the shift.
///
/// Two machines never agree on the time, least of all those of AWS and a Lambda function: what RDS stamps and tells is
/// by this clock, what happens on this machine (WAL, commits) by the machine's own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock {
    skew_ms: Arc<AtomicI64>,
}

impl Clock {
    pub(crate) fn set_skew(&self, skew: SignedDuration) {
        self.skew_ms.store(i64::try_from(skew.as_millis()).unwrap_or(0), Ordering::Relaxed);
    }

    fn skew(&self) -> SignedDuration {
        SignedDuration::from_millis(self.skew_ms.load(Ordering::Relaxed))
    }

    /// What RDS takes for the time.
    pub(crate) fn now(&self) -> Timestamp {
        self.told(Timestamp::now())
    }

    /// An instant of the machine's clock as RDS tells it.
    pub(crate) fn told(&self, machine: Timestamp) -> Timestamp {
        machine.saturating_add(self.skew()).unwrap_or(machine)
    }

    /// The other way round: what an instant that RDS told is on the machine's clock.
    pub(crate) fn machine(&self, told: Timestamp) -> Timestamp {
        told.saturating_sub(self.skew()).unwrap_or(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_can_be_asked_for() {
        let (clock, now) = (Clock::default(), Timestamp::now());
        assert_eq!(clock.told(now), now);
        let shared = clock.clone();
        shared.set_skew(SignedDuration::from_mins(-3));
        assert_eq!(clock.told(now), now - SignedDuration::from_mins(3));
        assert_eq!(clock.machine(clock.told(now)), now);
    }
}
