use domain::{
    Engine, RecoveryPointId, RecoveryPointState, ResourceId, Slot,
    retention::{Region, Worth},
    tag,
};
use futures::try_join;
use jiff::Timestamp;
use rds::{Rds, Snapshot};
use reconcile::Result;

use crate::{
    Lineages, Marks, Stray,
    held::{Gathered, Holding, What},
};

/// The recovery points of RDS, and the strays among its snapshots: in both Regions, in one call for each 100.
pub(crate) async fn observe(
    home: &impl Rds,
    recovery: &impl Rds,
    marks: &Marks,
) -> Result<(Lineages, Vec<Stray>)> {
    let home_region = home.region();
    let (home, recovery) = try_join!(home.manual_snapshots(), recovery.manual_snapshots())?;
    let (mut gathered, mut strays) = (Gathered::new(marks), Vec::new());
    for (region, snapshots) in [(Region::Home, home), (Region::Recovery, recovery)] {
        for snapshot in snapshots {
            match judge(region, home_region, &snapshot) {
                Judged::Point(id, resource) => gathered.add(region, &id, &resource, holding(snapshot)),
                Judged::Stray(why) => strays.extend(stray(region, snapshot, why)),
                Judged::Others => {}
            }
        }
    }
    Ok((gathered.into_lineages(), strays))
}

/// The recovery points of RDS alone.
pub async fn lineages(home: &impl Rds, recovery: &impl Rds, marks: &Marks) -> Result<Lineages> {
    Ok(observe(home, recovery, marks).await?.0)
}

/// What a snapshot is to this deployment.
enum Judged {
    /// Tidemark made it, of that resource.
    Point(RecoveryPointId, ResourceId),
    /// It looks so, and belongs to no recovery point, for that reason.
    Stray(String),
    /// Somebody else's.
    Others,
}

fn judge(region: Region, home: &str, snapshot: &Snapshot) -> Judged {
    // Whose copies come from elsewhere is another deployment, with plans and holds of its own. What is being deleted is there no
    // more.
    let is_from_elsewhere = |source: &String| !of_region_and_account(source, home, &snapshot.arn);
    if snapshot.copied_from.as_ref().is_some_and(is_from_elsewhere) || snapshot.status == "deleting" {
        return Judged::Others;
    }
    // A copy at home, or a first snapshot where the copies are, is of a deployment that works the other way round.
    let is_in_place = snapshot.copied_from.is_some() == (region == Region::Recovery);
    match read(snapshot) {
        Ok((id, resource)) if is_in_place => Judged::Point(id, resource),
        Err(why) if looks_like_ours(snapshot) => Judged::Stray(why),
        Ok(_) | Err(_) => Judged::Others,
    }
}

/// Of what Tidemark made it, as its name and its tags say; or why they do not.
fn read(snapshot: &Snapshot) -> Result<(RecoveryPointId, ResourceId), String> {
    let (name, _) = RecoveryPointId::copied(&snapshot.id);
    let id = RecoveryPointId::from(name);
    let parts = id.parts().ok_or("its name is none that Tidemark gives")?;
    let says = |key: &str| snapshot.tags.get(key).ok_or_else(|| format!("it has no tag {key}"));
    let of = says(tag::RESOURCE)?;
    let name = of
        .strip_prefix("rds/")
        .ok_or_else(|| format!("its tag {} names no RDS database: {of}", tag::RESOURCE))?;
    let (resource, at) = (ResourceId::rds(name), says(tag::SLOT)?);
    let slot = Slot::at(at.parse().map_err(|_| format!("its tag {} is no instant: {at}", tag::SLOT))?);
    if parts.resource == resource.name.to_lowercase() && parts.slot == slot {
        return Ok((id.clone(), resource));
    }
    Err(format!("its name says {} of {}, and its tags say {resource} of {slot}", parts.resource, parts.slot))
}

/// Whether anybody would take it for Tidemark's: by its name, or by a tag that nobody else sets. A copy takes tags over, also one
/// that a person makes under another name.
fn looks_like_ours(snapshot: &Snapshot) -> bool {
    let is_tagged = |key: &&str| snapshot.tags.contains_key(*key);
    snapshot.id.starts_with(RecoveryPointId::PREFIX) || [tag::RESOURCE, tag::SLOT].iter().any(is_tagged)
}

/// `None` for one that is only just being made: it says later when that was.
fn stray(region: Region, snapshot: Snapshot, why: String) -> Option<Stray> {
    let made_at = made_at(&snapshot);
    let is_begun = made_at.is_none() && snapshot.state() == RecoveryPointState::Pending;
    (!is_begun).then_some(Stray { engine: Engine::Rds, region, name: snapshot.id, why, made_at })
}

/// Whether an ARN is of that Region, and of the account of another one: `arn:aws:rds:us-east-1:123456789012:snapshot:…`.
fn of_region_and_account(arn: &str, region: &str, other: &str) -> bool {
    let mut parts = arn.split(':').skip(3);
    let account = other.split(':').nth(4);
    parts.next() == Some(region) && account.is_some() && parts.next() == account
}

fn holding(snapshot: Snapshot) -> Holding {
    let worth = match snapshot.state() {
        RecoveryPointState::Completed => Worth::Verified,
        RecoveryPointState::Pending => Worth::Pending,
        RecoveryPointState::Failed => Worth::Failed,
    };
    // One of which nobody knows since when it exists has just been made, as far as deleting it goes.
    let made_at = made_at(&snapshot).unwrap_or(Timestamp::MAX);
    Holding { worth, made_at, what: What::Snapshots(vec![snapshot]) }
}

fn made_at(snapshot: &Snapshot) -> Option<Timestamp> {
    snapshot.created.or_else(|| snapshot.tags.get(tag::REQUESTED_AT)?.parse().ok())
}
