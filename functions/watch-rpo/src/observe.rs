use std::{sync::Arc, time::Duration};

use domain::{Finding, PlanDocument, RecoveryPointId, RecoveryPointState, ResourceId, Slot, tag};
use futures::{future::OptionFuture, join, try_join};
use jiff::{SignedDuration, Timestamp};
use plans::Plans;
use rds::{Instance, Rds, Snapshot};
use reconcile::{Documents, Error, Reconciler, Result, Wake, board_name, parse_findings};
use tokio::time::timeout;

use crate::{
    Ask,
    look::is_credible,
    memory::{self, Memory},
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
    pub(crate) instances: Vec<Instance>,
    /// What stands on this function's own board.
    pub(crate) board: Vec<Finding>,
    pub(crate) memory: memory::Found,
    /// `None` in the minutes in which nobody looked.
    pub(crate) snapshots: Option<Snapshots>,
    /// Whether an event woke the function, and not its time.
    pub(crate) by_event: bool,
    /// The recovery Region's name.
    pub(crate) recovery: String,
}

/// What a look at both Regions' snapshots saw. An error in one stops the findings that need it, and nothing else.
#[derive(Clone, Debug)]
pub(crate) struct Snapshots {
    /// The recovery points that were taken at home.
    pub(crate) home: Result<Vec<Point>, Arc<Error>>,
    pub(crate) away: Result<Away, Arc<Error>>,
    /// How many there are in both Regions, whosever they are.
    pub(crate) count: usize,
}

/// What the recovery Region holds.
#[derive(Clone, Debug)]
pub(crate) struct Away {
    pub(crate) copies: Vec<Point>,
    pub(crate) replicas: Vec<Replica>,
}

/// Of a snapshot that Tidemark made, what the plan needs: there may be hundreds of thousands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) id: String,
    /// The protected resource's name.
    pub(crate) resource: String,
    pub(crate) incarnation: String,
    pub(crate) slot: Slot,
    pub(crate) state: RecoveryPointState,
    /// When it was taken.
    pub(crate) taken: Timestamp,
    /// RDS does not tell a snapshot's own size; what it was taken of is an upper bound.
    pub(crate) allocated_gib: i64,
    pub(crate) is_copy: bool,
}

impl Point {
    /// Reads the tags; `None` for a snapshot that is not Tidemark's.
    fn of(snapshot: Snapshot) -> Option<Self> {
        if !snapshot.id.starts_with(RecoveryPointId::PREFIX) {
            return None;
        }
        let resource = snapshot.tags.get(tag::RESOURCE)?.strip_prefix("rds/")?.to_owned();
        let slot = Slot::at(snapshot.tags.get(tag::SLOT)?.parse().ok()?);
        Some(Self {
            state: snapshot.state(),
            taken: snapshot.created.unwrap_or(slot.instant()),
            allocated_gib: snapshot.allocated_gib.into(),
            is_copy: snapshot.copied_from.is_some(),
            id: snapshot.id,
            incarnation: snapshot.incarnation,
            resource,
            slot,
        })
    }
}

/// One instance's automated backups, replicated to the recovery Region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Replica {
    pub(crate) incarnation: String,
    /// Up to when a restore there reaches.
    pub(crate) latest: Timestamp,
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
        let due = is_due(&ask, &memory.memory, now);
        let snapshots = OptionFuture::from(due.then(|| Box::pin(look(function, now)))).await;
        Ok((board, memory, snapshots))
    };
    let ((plans, instances), (board, memory, snapshots)) = try_join!(current, remembered)?;
    let (canary, recovery) = (ask == Ask::Canary, function.recovery.region().to_owned());
    let by_event = matches!(ask, Ask::Watch(Wake::Event { .. }));
    Ok(Observed { canary, plans, instances, board, memory, snapshots, by_event, recovery })
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

fn is_due(ask: &Ask, memory: &Memory, now: Timestamp) -> bool {
    let every = match ask {
        Ask::Canary => return true,
        Ask::Watch(Wake::Event { .. }) => LOOK_AT_EVENTS_EVERY,
        // Each minute, even if an event had them looked at half a minute ago.
        Ask::Watch(_) if memory.look_minutes == 1 => return true,
        Ask::Watch(_) => SignedDuration::from_mins(memory.look_minutes),
    };
    // Wakes come a second early or late.
    let every = every - SignedDuration::from_secs(5);
    memory.snapshots_seen_at.is_none_or(|seen_at| now.duration_since(seen_at) >= every)
}

async fn look<R: Rds, P, D>(function: &WatchRpo<R, P, D>, now: Timestamp) -> Snapshots {
    let away = async {
        let replicas = async { function.recovery.automated_backups().await };
        let ((copies, count), backups) = try_join!(points(&function.recovery, now), replicas)?;
        // `retained`: the instance is gone or its replication was stopped, so nothing is behind.
        let replicas = backups.into_iter().filter(|backup| backup.status != "retained");
        let replicas = replicas.filter_map(|backup| {
            Some(Replica { incarnation: backup.incarnation, latest: backup.window?.latest })
        });
        Ok((Away { copies, replicas: replicas.collect() }, count))
    };
    let (home, away) = join!(in_time(points(&function.home, now)), in_time(away));
    let (at_home, there) =
        (home.as_ref().map_or(0, |(_, count)| *count), away.as_ref().map_or(0, |(_, count)| *count));
    let (home, away) = (home.map(|(points, _)| points), away.map(|(away, _)| away));
    // A copy at home comes from a deployment whose recovery Region this is: that one looks after it.
    let home = home.map(|points| points.into_iter().filter(|point| !point.is_copy).collect());
    let away = away.map_err(|error: Error| Arc::new(error));
    Snapshots { home: home.map_err(Arc::new), away, count: at_home + there }
}

/// How long a Region's lists may take. What takes longer must not cost the minute in which instances are judged.
const LOOK_LIMIT: Duration = Duration::from_secs(45);

async fn in_time<T>(look: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(LOOK_LIMIT, look).await.map_err(|_| {
        let message = format!(
            "snapshots were not listed within {} s; the next minute tries again",
            LOOK_LIMIT.as_secs()
        );
        Error::retryable("OutOfTime", message)
    })?
}

/// The recovery points of a Region, and how many manual snapshots there are. One for a slot that is yet to come is
/// nobody's: it would fill every slot until then.
async fn points(rds: &impl Rds, now: Timestamp) -> Result<(Vec<Point>, usize)> {
    let (mut points, mut count) = (Vec::new(), 0);
    let ours = |snapshot| Point::of(snapshot).filter(|point| is_credible(point.slot.instant(), now));
    rds.visit_manual_snapshots(|snapshot| {
        count += 1;
        points.extend(ours(snapshot));
    })
    .await?;
    Ok((points, count))
}

/// The plan under which an instance stands, by its tag.
pub(crate) fn plan_tag(instance: &Instance) -> Option<&str> {
    instance.tags.get(tag::PLAN).map(String::as_str)
}

/// Which resource an instance is.
pub(crate) fn resource(instance: &Instance) -> ResourceId {
    ResourceId::rds(&instance.id)
}
