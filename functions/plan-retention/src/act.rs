use bytes::Bytes;
use domain::{RecoveryPointId, ResourceId};
use inventory::{Mark, Published, acknowledgement_key, mark_key, short_hash};
use jiff::{Timestamp, tz::TimeZone};
use plans::Plans;
use rds::Rds;
use reconcile::{Done, Entry, Error, Ledger, Outcome, Result};
use serde_json::{Map, json};
use vault::Store;

use crate::{NAME, observe::PlanRetention};

/// What plan-retention can do. It deletes nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Publish a plan.
    Publish(Box<Published>),
    /// Write down what was found to have happened.
    Record { entry: Box<Entry> },
    /// Write down that a person has read a plan.
    Acknowledge { hash: String },
    /// Say of a recovery point that a person holds it, or does so no more.
    Mark { resource: ResourceId, id: RecoveryPointId, mark: Mark, why: String },
}

impl reconcile::Action for Action {
    fn name(&self) -> &'static str {
        match self {
            Self::Publish(_) => "publish-plan",
            Self::Record { .. } => "record",
            Self::Acknowledge { .. } => "acknowledge-plan",
            Self::Mark { mark: Mark::Held, .. } => "hold-recovery-point",
            Self::Mark { .. } => "release-recovery-point",
        }
    }

    fn failure(&self, _error: &Error, _now: Timestamp) -> Option<Entry> {
        // The next tick plans anew, and a person hears of it at once.
        None
    }
}

fn entry(kind: &'static str, resource: ResourceId, subject: String, region: &str, at: Timestamp) -> Entry {
    Entry {
        day: at.to_zoned(TimeZone::UTC).date(),
        at,
        function: NAME,
        kind,
        resource,
        subject,
        region: region.to_owned(),
        outcome: Outcome::Completed,
        detail: Map::new(),
    }
}

/// The entry about a plan.
pub(crate) fn planned(published: &Published, region: &str, at: Timestamp) -> Entry {
    let Published { plan, hash } = published;
    let subject = published.short_hash().to_owned();
    let mut entry = entry("retention-planned", ResourceId::tidemark(NAME), subject, region, at);
    let (kept, expired) = (plan.kept().count(), plan.expired().count());
    entry.detail.extend([
        ("hash".to_owned(), hash.clone().into()),
        ("key".to_owned(), published.key(region).into()),
        ("kept".to_owned(), kept.into()),
        ("expired".to_owned(), expired.into()),
        ("strays".to_owned(), plan.strays.count.into()),
    ]);
    entry
}

/// Carries out `action`. Each is harmless to repeat: nothing is overwritten.
pub(crate) async fn act<R: Rds, S: Store, L: Ledger, P: Plans>(
    function: &PlanRetention<R, S, L, P>,
    action: &Action,
    now: Timestamp,
) -> Result<Done> {
    let vault = &function.vault;
    let create =
        async |key: &str, body: String| vault.create(key, "application/json", Bytes::from(body)).await;
    match action {
        Action::Publish(published) => {
            let Published { plan, hash } = published.as_ref();
            let key = published.key(vault.region());
            create(&key, published.to_json()?).await?;
            let entry = planned(published, vault.region(), plan.made_at);
            let answer = Done::default()
                .with("hash", hash.clone())
                .with("plan", format!("s3://{}/{key}", vault.bucket()))
                .with("kept", plan.kept().count())
                .with("expired", plan.expired().count())
                .with("strays", plan.strays.count);
            Ok(Done { entries: vec![entry], ..answer })
        }
        Action::Record { entry } => Ok(Done { entries: vec![entry.as_ref().clone()], ..Done::default() }),
        Action::Acknowledge { hash } => {
            create(&acknowledgement_key(vault.region(), hash), json!({"hash": hash, "at": now}).to_string())
                .await?;
            let here = ResourceId::tidemark(NAME);
            let entry =
                entry("retention-acknowledged", here, short_hash(hash).to_owned(), vault.region(), now);
            Ok(Done { entries: vec![entry], ..Done::default().with("hash", hash.clone()) })
        }
        Action::Mark { resource, id, mark, why } => {
            let body = json!({"resource": resource, "recovery_point": id, "at": now, "why": why});
            create(&mark_key(resource, id, now, *mark), body.to_string()).await?;
            let kind = if *mark == Mark::Held { "recovery-point-held" } else { "recovery-point-released" };
            let mut entry = entry(kind, resource.clone(), id.to_string(), vault.region(), now);
            entry.detail.insert("why".to_owned(), why.clone().into());
            Ok(Done { entries: vec![entry], ..Done::default().with("recovery_point", id.to_string()) })
        }
    }
}
