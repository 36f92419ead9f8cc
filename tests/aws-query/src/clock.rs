//! The clock that a service tells the time by.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};

/// The machine's clock, shifted. Clones share the shift.
///
/// Two machines never agree on the time, least of all those of AWS and a Lambda function: what AWS stamps and tells is
/// by this clock, what happens on this machine (WAL, commits) by the machine's own.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    skew_ms: Arc<AtomicI64>,
}

impl Clock {
    /// Shifts it against the machine's: positive is ahead.
    pub fn set_skew(&self, skew: SignedDuration) {
        self.skew_ms.store(i64::try_from(skew.as_millis()).unwrap_or(0), Ordering::Relaxed);
    }

    fn skew(&self) -> SignedDuration {
        SignedDuration::from_millis(self.skew_ms.load(Ordering::Relaxed))
    }

    /// What AWS takes for the time.
    pub fn now(&self) -> Timestamp {
        self.told(Timestamp::now())
    }

    /// An instant of the machine's clock as AWS tells it.
    pub fn told(&self, machine: Timestamp) -> Timestamp {
        machine.saturating_add(self.skew()).unwrap_or(machine)
    }

    /// The other way round: what an instant that AWS told is on the machine's clock.
    pub fn machine(&self, told: Timestamp) -> Timestamp {
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
