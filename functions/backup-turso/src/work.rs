use domain::RecoveryPointId;
use jiff::Timestamp;
use reconcile::{Documents, Error, Result};
use serde::{Deserialize, Serialize};
use vault::{Intake, Manifest};

use crate::observe::Pace;

/// How far the copy of a database for a slot has come. All of it can be lost: then it is begun anew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Work {
    id: RecoveryPointId,
    claimed_at: Option<Timestamp>,
    pub(crate) stage: Stage,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stage {
    /// Nothing is in the vault.
    #[default]
    Begun,
    /// Parts of the copy are.
    Uploading(Uploading),
    /// All of its parts are, and are to be made one object.
    Uploaded(Box<Uploaded>),
    /// All of it is, and is to be read back. The manifest is what will be true of it then.
    Stored(Box<Manifest>),
    /// It was, and its manifest stands.
    Kept,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Uploading {
    pub(crate) intake: Intake,
    /// The SHA-256 of each part, by which a copy that was made anew knows what of it is there.
    pub(crate) sha256: Vec<String>,
}

/// What is left to do needs the copy no more, which by now may not come out the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Uploaded {
    pub(crate) intake: Intake,
    /// What will be true of the object, which it does not name yet.
    pub(crate) manifest: Manifest,
}

/// The document about it.
pub(crate) struct WorkFile<'d, D> {
    documents: &'d D,
    name: String,
    version: Option<String>,
    /// Not renewed: no invocation lasts longer than the lease, and what was cut off is free for the next one at once.
    claimed_at: Timestamp,
    pub(crate) work: Work,
}

impl<'d, D: Documents> WorkFile<'d, D> {
    /// Takes the work on `database` over; `None` if another invocation is at it: of two that copy the same, one is enough.
    pub(crate) async fn claim(
        documents: &'d D,
        Pace { clock, lease, .. }: &Pace,
        database: &str,
        id: &RecoveryPointId,
    ) -> Result<Option<Self>> {
        let name = format!("intake/turso/{database}.json");
        let document = documents.read(&name).await?;
        let before: Option<Work> =
            document.as_ref().and_then(|document| serde_json::from_str(&document.text).ok());
        let claimed = before.as_ref().and_then(|work| work.claimed_at);
        let now = clock();
        if claimed.is_some_and(|at| now.duration_since(at).abs() < *lease) {
            return Ok(None);
        }
        let stage = before.filter(|work| work.id == *id).map(|work| work.stage).unwrap_or_default();
        let work = Work { id: id.clone(), claimed_at: None, stage };
        let version = document.map(|document| document.version);
        let mut file = Self { documents, name, version, claimed_at: now, work };
        Ok(if file.write(true).await? { Some(file) } else { None })
    }

    /// Writes how far the work is. An error if another invocation has taken it over.
    pub(crate) async fn save(&mut self, stage: Stage) -> Result<()> {
        self.work.stage = stage;
        if self.write(true).await? {
            return Ok(());
        }
        let said = format!("another invocation works on {}; this one leaves it alone", self.work.id);
        Err(Error::retryable("WorkTakenOver", said))
    }

    /// Lets go of the work, so that the next tick may go on at once.
    pub(crate) async fn release(&mut self) -> Result<()> {
        self.write(false).await.map(drop)
    }

    async fn write(&mut self, claim: bool) -> Result<bool> {
        self.work.claimed_at = claim.then_some(self.claimed_at);
        let text = serde_json::to_string(&self.work)
            .map_err(|error| Error::permanent("DocumentUnwritable", error.to_string()))?;
        let written = self.documents.write(&self.name, &text, self.version.as_deref()).await?;
        Ok(written.map(|version| self.version = Some(version)).is_some())
    }
}
