use domain::{Finding, PlanDocument};
use futures::{future::OptionFuture, try_join};
use jiff::{SignedDuration, Timestamp};
use plans::Plans;
use rds::{Instance, Rds};
use reconcile::{Documents, Reconciler, Result, Wake, board_name, parse_findings};

use crate::{
    Ask,
    engines::{self, Answer, Seen},
    memory::{self, Rhythm},
};

/// The function, with the outside systems that it sees.
pub struct WatchRpo<R, P, D> {
    /// The Region of the databases.
    pub home: R,
    /// The Region of the copies.
    pub recovery: R,
    /// The backup plans.
    pub plans: P,
    /// What it found and what it remembers.
    pub documents: D,
}

/// What is true now.
#[derive(Clone, Debug)]
pub struct Observed {
    pub(crate) canary: bool,
    pub(crate) plans: PlanDocument,
    pub(crate) instances: Seen<Instance>,
    /// What stands on this function's own board.
    pub(crate) board: Vec<Finding>,
    pub(crate) memory: memory::Found,
    /// Whether an event woke the function, and not its time.
    pub(crate) by_event: bool,
    /// The recovery Region's name.
    pub(crate) recovery: String,
}

/// An event has them looked at again, but a night's hundred events within a minute cost one look.
const LOOK_AT_EVENTS_EVERY: SignedDuration = SignedDuration::from_mins(1);

/// Looks. What the event says is not looked at.
pub(crate) async fn observe<R: Rds, P: Plans, D: Documents>(
    function: &WatchRpo<R, P, D>,
    ask: Ask,
    now: Timestamp,
) -> Result<Observed>
where
    WatchRpo<R, P, D>: Reconciler,
{
    // Without plans or instances there is nothing to say: no heartbeat then, which the alarm on it tells.
    let current = async { try_join!(function.plans.read(), function.home.instances()) };
    let remembered = async {
        let (board, memory) = try_join!(board(function), memory::read(&function.documents, now))?;
        let due = is_due(&ask, memory.memory.rhythm(domain::Engine::Rds), now);
        let look = || Box::pin(engines::rds::look(&function.home, &function.recovery, now));
        let look = OptionFuture::from(due.then(look)).await;
        Ok((board, memory, look))
    };
    let ((plans, instances), (board, memory, look)) = try_join!(current, remembered)?;
    let (canary, recovery) = (ask == Ask::Canary, function.recovery.region().to_owned());
    let by_event = matches!(ask, Ask::Watch(Wake::Event { .. }));
    let instances = Seen { resources: instances, answer: Answer::All, look };
    Ok(Observed { canary, plans, instances, board, memory, by_event, recovery })
}

async fn board<R, P, D: Documents>(function: &WatchRpo<R, P, D>) -> Result<Vec<Finding>>
where
    WatchRpo<R, P, D>: Reconciler,
{
    let name = board_name(<WatchRpo<R, P, D> as Reconciler>::NAME);
    let document = function.documents.read(&name).await?;
    // The pass says when it cannot be read, and replaces it.
    let findings = document.and_then(|document| parse_findings(&name, &document).ok());
    Ok(findings.map(|findings| findings.findings).unwrap_or_default())
}

/// Whether it is time to look at an engine's recovery points.
fn is_due(ask: &Ask, rhythm: Rhythm, now: Timestamp) -> bool {
    let every = match ask {
        Ask::Canary => return true,
        Ask::Watch(Wake::Event { .. }) => LOOK_AT_EVENTS_EVERY,
        // Each minute, even if an event had them looked at half a minute ago.
        Ask::Watch(_) if rhythm.look_minutes == 1 => return true,
        Ask::Watch(_) => SignedDuration::from_mins(rhythm.look_minutes),
    };
    // Wakes come a second early or late.
    let every = every - SignedDuration::from_secs(5);
    rhythm.seen_at.is_none_or(|seen_at| now.duration_since(seen_at) >= every)
}
