//! Automated backups replicated to another Region.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::plane::Plane;
use crate::state::{BackupStatus, Store};

/// Keeps a replica up to date until it is stopped, deleted, or its source is gone.
pub(crate) async fn replicate(plane: Arc<Plane>, region: String, id: String, source: (String, String)) {
    let since = Instant::now();
    let (source_region, source_id) = source;
    loop {
        let from = plane
            .region(&source_region, |region| region.backups.get(&source_id).map(|found| found.store.clone()));
        let to = plane.region(&region, |region| {
            let replica = region.backups.get(&id)?;
            let running = matches!(replica.status, BackupStatus::Pending | BackupStatus::Replicating);
            running.then(|| replica.store.clone())
        });
        let (Some(from), Some(to)) = (from, to) else { return };
        if let (Store::Real(from), Store::Real(to)) = (&from, &to)
            && let Err(error) = plane.clusters.replicate(from, to).await
        {
            tracing::warn!(error = &error as &dyn std::error::Error, "a replica fell behind");
        }
        plane.pace.at_least(since, |speed| speed.copy).await;
        plane.region(&region, |region| {
            if let Some(replica) = region.backups.get_mut(&id)
                && replica.status == BackupStatus::Pending
            {
                replica.status = BackupStatus::Replicating;
            }
        });
        let pause = plane.pace.now().archive.max(Duration::from_millis(50));
        tokio::time::sleep(pause).await;
    }
}
