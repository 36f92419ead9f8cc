use std::collections::BTreeMap;

use domain::{retention::Worth, tag};
use futures::{StreamExt, stream};
use reconcile::{Error, Result};
use vault::{MANIFEST, Manifest, Store};

use crate::{Held, Holding, Inventory, Lineage, What};

/// Manifests that are read at the same time.
const AT_ONCE: usize = 8;

/// By which backup plan each lineage is kept: the one under which its newest complete recovery point was made.
#[derive(Debug, Default)]
pub struct BackupPlans {
    /// The plan's name.
    pub names: BTreeMap<Lineage, String>,
    /// Of which nobody could tell, and why: they are not decided about.
    pub unknown: Vec<(Lineage, Error)>,
}

impl BackupPlans {
    /// Reads the tag of each newest snapshot, which is there, and each newest manifest: one call for each lineage in the vault.
    pub async fn read<S: Store>(inventory: &Inventory, vault: &S, recovery_vault: &S) -> Self {
        let mut plans = Self::default();
        let lineages = stream::iter(inventory.known());
        let mut read = lineages
            .map(async |(lineage, points)| (lineage.clone(), newest(points, vault, recovery_vault).await))
            .buffered(AT_ONCE);
        while let Some((lineage, name)) = read.next().await {
            match name {
                Ok(Some(name)) => _ = plans.names.insert(lineage, name),
                Ok(None) => {}
                Err(error) => plans.unknown.push((lineage, error)),
            }
        }
        plans
    }
}

/// `None` where no recovery point is whole, so that none is expired.
async fn newest<S: Store>(points: &[Held], vault: &S, recovery_vault: &S) -> Result<Option<String>> {
    for point in points.iter().rev() {
        for (holding, store) in [(&point.home, vault), (&point.recovery, recovery_vault)] {
            // What failed, or is not there yet, may have been begun under a plan that nobody meant.
            let is_complete =
                |holding: &&Holding| matches!(holding.worth, Worth::Verified | Worth::Unverified);
            if let Some(name) = plan_of(holding.as_ref().filter(is_complete), store).await? {
                return Ok(Some(name));
            }
        }
    }
    Ok(None)
}

async fn plan_of(holding: Option<&Holding>, store: &impl Store) -> Result<Option<String>> {
    match holding.map(|holding| &holding.what) {
        Some(What::Snapshots(snapshots)) => {
            Ok(snapshots.first().and_then(|snapshot| snapshot.tags.get(tag::PLAN)).cloned())
        }
        Some(What::Objects(listed)) => {
            let Some(manifest) = listed.objects.get(MANIFEST) else { return Ok(None) };
            let gone =
                || Error::retryable("ManifestGone", format!("{} went while it was looked at", manifest.key));
            let text = store.read_whole(&manifest.key).await?.ok_or_else(gone)?;
            Manifest::parse(&manifest.key, &text).map(|manifest| Some(manifest.plan))
        }
        None => Ok(None),
    }
}
