use domain::RecoveryPointId;
use jiff::{SignedDuration, Timestamp};
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
    /// Nothing is in the vault, and a log holds all that is to be in it.
    Fetched,
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
    /// A log holds the copy: it can be uploaded to its end, whatever was written since.
    #[serde(default)]
    pub(crate) is_staged: bool,
}

/// What is left to do needs the copy no more, which by now may not come out the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Uploaded {
    pub(crate) intake: Intake,
    /// What will be true of the object, which it does not name yet.
    pub(crate) manifest: Manifest,
}

/// How long after its slot a copy that is nearly there is still finished, when the next slot has come.
const WORTH_FINISHING: SignedDuration = SignedDuration::from_hours(6);

impl Work {
    /// Whether this copy of an earlier slot is finished before `next` is begun: what takes longer than a slot would otherwise
    /// never come to its end.
    fn comes_before(&self, next: &RecoveryPointId) -> bool {
        let is_near = match &self.stage {
            Stage::Fetched | Stage::Uploaded(_) | Stage::Stored(_) => true,
            Stage::Uploading(begun) => begun.is_staged,
            Stage::Begun | Stage::Kept => false,
        };
        self.id.parts().zip(next.parts()).is_some_and(|(this, next)| {
            let late = next.slot.instant().duration_since(this.slot.instant());
            let is_earlier = late > SignedDuration::ZERO && late <= WORTH_FINISHING;
            is_near && is_earlier && (this.resource, this.mark) == (next.resource, next.mark)
        })
    }
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
    /// Takes the work on `database` over: that on `id`, or on what is finished before it. `None` if another invocation is at it:
    /// of two that copy the same, one is enough.
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
        let work = before.filter(|work| work.id == *id || work.comes_before(id)).unwrap_or_else(|| Work {
            id: id.clone(),
            claimed_at: None,
            stage: Stage::Begun,
        });
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

    /// For which recovery point it is.
    pub(crate) fn id(&self) -> &RecoveryPointId {
        &self.work.id
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
