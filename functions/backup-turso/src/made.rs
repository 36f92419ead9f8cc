//! What this deployment knows of the branches that it makes: a document in the state bucket.
//!
//! A branch that can be written to may be what production runs on by now. So one is deleted only if Tidemark made it and closed
//! it to writes, no tick has found it open since, and it is closed now. Lost, the document costs room at Turso: what it does
//! not name is nobody's to delete.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use reconcile::{Documents, Error, Result};
use serde::{Deserialize, Serialize};
use turso::Database;

/// Where it stands.
pub(crate) const BRANCHES: &str = "turso/branches.json";

/// Whose closing failed, or was cut off, is closed later, but not after so long: whoever opens a branch does so later than it is
/// made.
const CLOSED_WITHIN: SignedDuration = SignedDuration::from_hours(1);

/// How often a change is tried, when others change it at the same time.
const TRIES: usize = 8;

/// The branches, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Made(BTreeMap<String, Stage>);

/// How far one has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stage {
    /// Turso was asked for it then, and it is not known to be closed yet.
    Begun(Timestamp),
    /// Tidemark closed the branch of that id, and nobody has been seen to open it.
    Closed(String),
    /// Somebody opened it, or it never was closed: it is a person's.
    Open,
}

/// What became of a branch since that was written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    name: String,
    from: Stage,
    /// `None`: it is gone.
    to: Option<Stage>,
}

impl Made {
    /// As it stands; nothing if it is not there, or is no such document.
    pub(crate) async fn read(documents: &impl Documents) -> Result<Self> {
        let document = documents.read(BRANCHES).await?;
        Ok(document.and_then(|document| serde_json::from_str(&document.text).ok()).unwrap_or_default())
    }

    async fn change(documents: &impl Documents, change: impl Fn(&mut Self)) -> Result<()> {
        for _ in 0..TRIES {
            let document = documents.read(BRANCHES).await?;
            let text = document.as_ref().map_or("", |document| document.text.as_str());
            let before: Self = serde_json::from_str(text).unwrap_or_default();
            let mut made = before.clone();
            change(&mut made);
            if made == before {
                return Ok(());
            }
            let text = serde_json::to_string(&made)
                .map_err(|error| Error::permanent("DocumentUnwritable", error.to_string()))?;
            let version = document.map(|document| document.version);
            if documents.write(BRANCHES, &text, version.as_deref()).await?.is_some() {
                return Ok(());
            }
        }
        Err(Error::retryable("DocumentContended", format!("others change {BRANCHES} at the same time")))
    }

    /// Says that a branch is about to be made. Of one that another invocation has closed meanwhile that stays said.
    pub(crate) async fn begin(documents: &impl Documents, name: &str, now: Timestamp) -> Result<()> {
        let begin = |made: &mut Self| {
            if matches!(made.0.get(name), None | Some(Stage::Begun(_))) {
                made.0.insert(name.to_owned(), Stage::Begun(now));
            }
        };
        Self::change(documents, begin).await
    }

    /// Says that Tidemark has closed a branch.
    pub(crate) async fn close(documents: &impl Documents, branch: &Database) -> Result<()> {
        let close = |made: &mut Self| {
            if let Some(stage @ Stage::Begun(_)) = made.0.get_mut(&branch.name) {
                *stage = Stage::Closed(branch.id.clone());
            }
        };
        Self::change(documents, close).await
    }

    /// Says what became of branches, as far as nobody has said otherwise meanwhile.
    pub(crate) async fn apply(documents: &impl Documents, changes: &[Change]) -> Result<()> {
        let apply = |made: &mut Self| {
            for Change { name, from, to } in changes {
                if made.0.get(name) == Some(from) {
                    match to {
                        Some(to) => _ = made.0.insert(name.clone(), to.clone()),
                        None => _ = made.0.remove(name),
                    }
                }
            }
        };
        Self::change(documents, apply).await
    }

    /// Whether this deployment made a branch of that name.
    pub(crate) fn knows(&self, branch: &Database) -> bool {
        self.0.contains_key(&branch.name)
    }

    /// Whether the branch is as Tidemark made it: nobody can have written to it.
    pub(crate) fn is_untouched(&self, branch: &Database) -> bool {
        branch.block_writes && matches!(self.0.get(&branch.name), Some(Stage::Closed(id)) if *id == branch.id)
    }

    /// Whether the branch was made a moment ago, so that it is Tidemark's still to close.
    pub(crate) fn is_new(&self, branch: &Database, now: Timestamp) -> bool {
        matches!(self.0.get(&branch.name), Some(Stage::Begun(at)) if now.duration_since(*at) < CLOSED_WITHIN)
    }

    /// What became of the branches by what is there now.
    pub(crate) fn changes(&self, databases: &[Database], now: Timestamp) -> Vec<Change> {
        let there: BTreeMap<&str, &Database> = databases.iter().map(|one| (one.name.as_str(), one)).collect();
        let become_of = |name: &String, stage: &Stage| {
            let branch = there.get(name.as_str()).copied();
            match (stage, branch) {
                (Stage::Begun(_), Some(branch)) if self.is_new(branch, now) => {
                    Some(if branch.block_writes { Stage::Closed(branch.id.clone()) } else { stage.clone() })
                }
                (Stage::Begun(at), None) if now.duration_since(*at) < CLOSED_WITHIN => Some(stage.clone()),
                (Stage::Closed(_), Some(branch)) if self.is_untouched(branch) => Some(stage.clone()),
                (_, Some(_)) => Some(Stage::Open),
                (_, None) => None,
            }
        };
        let changes = self.0.iter().map(|(name, stage)| Change {
            name: name.clone(),
            from: stage.clone(),
            to: become_of(name, stage),
        });
        changes.filter(|change| change.to.as_ref() != Some(&change.from)).collect()
    }
}
