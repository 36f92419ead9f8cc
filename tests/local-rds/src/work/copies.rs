//! Copies of snapshots.

use std::sync::Arc;
use std::time::Instant;

use crate::events::Notice;
use crate::plane::Plane;
use crate::state::{Snapshot, SnapshotStatus};

/// Takes a copy from `creating` to `available`. It fails if its source is deleted meanwhile, and is forgotten if it is
/// deleted itself.
pub(crate) async fn copy(
    plane: Arc<Plane>,
    region: String,
    source_region: String,
    source: Snapshot,
    target: Snapshot,
) {
    let since = Instant::now();
    let made = match &source.data {
        Some(folder) => plane.clusters.copy(folder).await.map(Some),
        None => Ok(None),
    };
    plane.pace.at_least(since, |speed| speed.copy).await;
    let source_remains = plane.exists(&source_region, &source);
    plane.region(&region, |region| {
        let Some(found) = region.numbered(&target.id, target.number) else { return };
        let remote = target.source_arn.is_some();
        let notice = match made {
            Ok(data) if source_remains => {
                found.data = data;
                found.status = SnapshotStatus::Available;
                found.taken = Some(plane.clock.now());
                if remote {
                    Notice::remote_copy_finished(&source.id, &source_region)
                } else {
                    Notice::copy_finished(&source.id, &source_region)
                }
            }
            outcome => {
                if let Err(error) = outcome {
                    tracing::warn!(
                        snapshot = target.id,
                        error = &error as &dyn std::error::Error,
                        "a copy failed"
                    );
                }
                found.status = SnapshotStatus::Failed;
                if remote {
                    Notice::remote_copy_cancelled(&source.id, &source_region)
                } else {
                    Notice::copy_cancelled(&source.id, &source_region)
                }
            }
        };
        region.snapshot_event(&target.id, notice);
    });
}
