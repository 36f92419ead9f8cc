use std::{cmp::max, sync::Arc};

use domain::{RecoveryPointId, Slot, tag};
use futures::{join, try_join};
use jiff::Timestamp;
use rds::{Instance, Rds, Snapshot};
use reconcile::{Error, Result};

use super::{GIB, Replicas};
use crate::{
    engines::{Away, Look, Protected},
    look::{in_time, is_credible},
    point::Point,
};

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
            // RDS does not tell a snapshot's own size; what it was taken of is an upper bound.
            bytes: u64::try_from(snapshot.allocated_gib).unwrap_or(0) * GIB,
            is_copy: snapshot.copied_from.is_some(),
            is_stalled: false,
            id: snapshot.id,
            incarnation: snapshot.incarnation,
            resource,
            slot,
        })
    }
}

/// Looks at both Regions' snapshots, and at the replicated backups.
pub(crate) async fn look<R: Rds>(home: &R, recovery: &R, now: Timestamp) -> Look<Replicas> {
    let away = async {
        let backups = async { recovery.automated_backups().await };
        let ((copies, count), backups) = try_join!(points(recovery, now), backups)?;
        let mut beside = Replicas::new();
        // `retained`: the instance is gone or its replication was stopped, so nothing is behind.
        for backup in backups.into_iter().filter(|backup| backup.status != "retained") {
            let Some(window) = backup.window.filter(|_| !backup.incarnation.is_empty()) else { continue };
            let latest = beside.entry(backup.incarnation).or_insert(window.latest);
            *latest = max(*latest, window.latest);
        }
        Ok((Away { copies, beside }, count))
    };
    let what = "snapshots were";
    let (home, away) = join!(in_time(what, points(home, now)), in_time(what, away));
    let (at_home, there) =
        (home.as_ref().map_or(0, |(_, count)| *count), away.as_ref().map_or(0, |(_, count)| *count));
    // A copy at home comes from a deployment whose recovery Region this is: that one looks after it.
    let own = |points: Vec<Point>| points.into_iter().filter(|point| !point.is_copy).collect();
    Look {
        home: home.map(|(points, _)| own(points)).map_err(Arc::new),
        away: away.map(|(away, _)| away).map_err(|error: Error| Arc::new(error)),
        pages: (at_home + there).div_ceil(Instance::PAGE),
    }
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
