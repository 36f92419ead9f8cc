use std::time::Duration;

use tokio::time::Instant;

/// How much a pass may take on.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Actions carried out at the same time.
    pub concurrency: usize,
    /// The part of the invocation's time, 0 to 1, that must be left for an action to be begun.
    pub reserve: f64,
}

impl Budget {
    /// Eight at a time stays below the request rates at which RDS begins to throttle control-plane calls.
    pub const CONCURRENCY: usize = 8;
}

impl Default for Budget {
    fn default() -> Self {
        Self { concurrency: Self::CONCURRENCY, reserve: 0.2 }
    }
}

/// When the invocation ends, whatever it is doing.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    begun: Instant,
    end: Instant,
}

impl Deadline {
    /// One that lies `left` from now.
    pub fn after(left: Duration) -> Self {
        let begun = Instant::now();
        Self { begun, end: begun + left }
    }

    /// Whether more than `reserve` of the time is left.
    pub fn allows(self, reserve: f64) -> bool {
        let whole = self.end - self.begun;
        self.end.saturating_duration_since(Instant::now()) > whole.mul_f64(reserve)
    }

    /// When work must have stopped, so that the pass can still record and answer: a twentieth before the end.
    pub fn last_call(self) -> Instant {
        self.end - (self.end - self.begun) / 20
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn refuses_work_when_the_reserve_is_reached() {
        let deadline = Deadline::after(Duration::from_secs(100));
        assert!(deadline.allows(0.2));
        tokio::time::advance(Duration::from_secs(79)).await;
        assert!(deadline.allows(0.2));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(!deadline.allows(0.2));
    }
}
