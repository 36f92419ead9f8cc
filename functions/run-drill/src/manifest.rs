//! What the vaults say of a recovery point: what is restored from it, or compared with it, has that.

use domain::{RecoveryPointId, ResourceId};
use reconcile::{Error, Result};
use vault::{MANIFEST, Manifest, Store, point_prefix};

/// The manifest of that recovery point; `None` if it is not in the vault any more.
pub(crate) async fn find(
    vault: &impl Store,
    resource: &ResourceId,
    id: &RecoveryPointId,
) -> Result<Option<Manifest>> {
    let key = key(resource, id)?;
    let text = vault.read_whole(&key).await?;
    text.map(|text| Manifest::parse(&key, &text)).transpose()
}

/// The manifest of what was restored, without which there is nothing to compare it with.
pub(crate) async fn read(
    vault: &impl Store,
    resource: &ResourceId,
    id: &RecoveryPointId,
) -> Result<Manifest> {
    let key = key(resource, id)?;
    find(vault, resource, id).await?.ok_or_else(|| {
        let says = format!("{key} is not in the vault any more: there is nothing to compare with");
        Error::permanent("ManifestGone", says)
    })
}

fn key(resource: &ResourceId, id: &RecoveryPointId) -> Result<String> {
    let parts = id.parts().ok_or_else(|| {
        Error::permanent("DrillsUnreadable", format!("{id} is no name of a recovery point"))
    })?;
    Ok(format!("{}{MANIFEST}", point_prefix(resource, parts.slot, id)))
}
