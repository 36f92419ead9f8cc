//! Looks at one recovery point in one Region, and writes down what was seen: a mark first where it is damaged, then the ledger,
//! and what is remembered last. Killed in between, it is looked at once more.

mod open;
mod read;

use bytes::Bytes;
use domain::{ResourceId, Slot, retention::Region};
use inventory::{Lineage, Mark, mark_key};
use jiff::{Timestamp, tz::TimeZone};
use rds::Snapshot;
use reconcile::{Documents, Done, Entry, Error, Facts, Kind, Ledger, Metric, Outcome, Result};
use serde_json::{Map, Value, json};
use vault::Store;

use crate::{
    NAME,
    doubts::Doubt,
    memory::{Change, Look, Place, Sample},
    observe::VerifyBackup,
    plan::damaged_now,
};

/// What verify-backup can do. It deletes nothing.
#[derive(Clone, Debug)]
pub enum Action {
    /// Look at what a Region has of a recovery point.
    Verify(Box<Item>),
}

/// What a Region has of a recovery point, to be looked at.
#[derive(Clone, Debug)]
pub struct Item {
    pub(crate) lineage: Lineage,
    pub(crate) place: Place,
    pub(crate) slot: Slot,
    /// The Regions' names, in the order of [`Region::ALL`].
    pub(crate) regions: [String; 2],
    pub(crate) subject: Subject,
    /// Why it is opened, if it is.
    pub(crate) sample: Option<Sample>,
    /// How much of it is read in this run.
    pub(crate) budget: u64,
    /// How it stands in each Region; `None` where there is nothing complete of it.
    pub(crate) marked: [Option<Marked>; 2],
    /// Where it is whole besides, in words.
    pub(crate) elsewhere: Option<String>,
}

/// What is looked at.
#[derive(Clone, Debug)]
pub(crate) enum Subject {
    /// An RDS snapshot, whose state and key the plan has seen; and why that key cannot be used.
    Snapshot { snapshot: Box<Snapshot>, unusable: Option<String> },
    /// Objects in a vault, below that prefix.
    Objects { prefix: String },
}

/// Whether something is marked as damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marked {
    No,
    /// By this function; and whether for what is in it, so that only opening it again can end that.
    ByUs {
        of_content: bool,
    },
    /// By another, who alone ends it.
    ByAnother,
}

/// What came of a look.
pub(crate) enum Seen {
    /// It is whole; what else is known of it.
    Whole { detail: Map<String, Value>, metrics: Vec<Metric> },
    /// This run does not come to its end.
    Unfinished { bytes: u64 },
    /// It is being deleted.
    Gone,
}

impl reconcile::Action for Action {
    fn name(&self) -> &'static str {
        "verify-recovery-point"
    }

    fn failure(&self, _error: &Error, _now: Timestamp) -> Option<Entry> {
        // What could not be looked at is neither whole nor damaged: the next tick looks.
        None
    }
}

/// What says that the bytes are not what was stored.
const DAMAGE: [&str; 4] = ["ChecksumMismatch", "ManifestUnreadable", "ObjectMissing", "SizeMismatch"];

/// What says that what was stored is not what it should be: the bytes are the same in both Regions.
const DAMAGE_OF_CONTENT: [&str; 3] = ["CompressionMismatch", "ContentMismatch", "IntegrityCheckFailed"];

/// What says that a snapshot cannot be restored as long as its key is as it is.
pub(crate) const KEY_UNUSABLE: &str = "KeyUnusable";

/// Whether that is damage inside, of which a copy is no better.
pub(crate) fn is_of_content(code: &str) -> bool {
    DAMAGE_OF_CONTENT.contains(&code)
}

/// Carries out `action`. It may be repeated: nothing is overwritten, and a look that was written down twice is there once.
pub(crate) async fn act<R, S: Store, K, L: Ledger, F: Facts, D: Documents>(
    function: &VerifyBackup<R, S, K, L, F, D>,
    action: &Action,
    now: Timestamp,
) -> Result<Done> {
    let Action::Verify(item) = action;
    let at_work = function.desk.enter();
    let looking = Looking { function, item, now };
    let done = looking.go().await;
    // Whatever came of it: others have left it to this one to write down what they did.
    let saved = function.desk.leave(at_work, &function.journal.documents).await;
    let done = done?;
    saved.map(|()| done)
}

/// One look.
pub(crate) struct Looking<'l, R, S, K, L, F, D> {
    pub(crate) function: &'l VerifyBackup<R, S, K, L, F, D>,
    pub(crate) item: &'l Item,
    pub(crate) now: Timestamp,
}

impl<R, S: Store, K, L: Ledger, F: Facts, D: Documents> Looking<'_, R, S, K, L, F, D> {
    async fn go(&self) -> Result<Done> {
        let seen = match &self.item.subject {
            Subject::Snapshot { unusable: Some(why), .. } => {
                Err(Error::permanent(KEY_UNUSABLE, format!("its {why}")))
            }
            Subject::Snapshot { snapshot, unusable: None } => Ok(snapshot_seen(snapshot)),
            Subject::Objects { prefix } => self.objects(prefix).await,
        };
        match seen {
            Ok(Seen::Whole { detail, metrics }) => self.whole(detail, metrics).await,
            Ok(Seen::Unfinished { bytes }) => Ok(self.named(Done::underway()).with("read_bytes", bytes)),
            Ok(Seen::Gone) => Ok(self.named(Done::default()).with("is", "being deleted")),
            Err(error) if is_damage(&error) => {
                self.doubted(&error).await?;
                let finding = damaged_now(
                    &self.item.place,
                    self.region(),
                    &error,
                    self.item.elsewhere.as_deref(),
                    self.now,
                );
                Ok(Done { findings: vec![finding], ..self.not_whole("damaged", &error) })
            }
            // Of the key it is told for all of them together.
            Err(error) if error.code() == KEY_UNUSABLE => {
                self.doubted(&error).await?;
                Ok(self.not_whole("not restorable", &error))
            }
            Err(error) => Err(error),
        }
    }

    pub(crate) fn region(&self) -> &str {
        &self.item.regions[self.item.place.region as usize]
    }

    /// Whether this run has gone on for long enough.
    pub(crate) fn is_over(&self) -> bool {
        self.left().is_negative()
    }

    /// How much of the run's time is left.
    pub(crate) fn left(&self) -> jiff::SignedDuration {
        let pace = &self.function.pace;
        pace.turn - (pace.clock)().duration_since(self.now)
    }

    fn named(&self, done: Done) -> Done {
        done.with("recovery_point", self.item.place.id.to_string()).with("region", self.region().to_owned())
    }

    /// It is whole: what was said against it ends, and it is written down.
    async fn whole(&self, detail: Map<String, Value>, metrics: Vec<Metric>) -> Result<Done> {
        let Item { place, sample, .. } = self.item;
        for region in Region::ALL {
            let is_lifted = match self.item.marked[region as usize] {
                Some(Marked::ByUs { of_content: true }) => sample.is_some(),
                Some(Marked::ByUs { of_content: false }) => region == place.region,
                _ => false,
            };
            if is_lifted {
                self.mark(region, Mark::Verified(region), "Whole", "it was read again, and is whole").await?;
            }
        }
        let entry = self.entry(place.region, "recovery-point-verified", Outcome::Completed, detail.clone());
        self.function.journal.record(&entry).await?;
        if let Some(sample) = sample {
            self.function.desk.note(Change::Opened(self.item.lineage.clone(), *sample, self.now), 0);
        }
        self.function.desk.note(Change::Looked(place.clone(), Look::new(self.now, true)), 0);
        let done = Done { metrics, ..Done::default() };
        Ok(detail.into_iter().fold(self.named(done), |done, (key, value)| done.with(&key, value)))
    }

    fn not_whole(&self, is: &str, error: &Error) -> Done {
        self.named(Done::default()).with("is", is.to_owned()).with("error", error.code().to_owned())
    }

    /// It is not what a restore needs: retention counts on it no more.
    async fn doubted(&self, error: &Error) -> Result<()> {
        let Item { place, marked, .. } = self.item;
        let says = error.report();
        let regions = Region::ALL.into_iter().filter(|region| {
            *region == place.region || (is_of_content(error.code()) && marked[*region as usize].is_some())
        });
        for region in regions {
            if marked[region as usize] == Some(Marked::No) {
                self.mark(region, Mark::Unverified(region), error.code(), &says).await?;
            }
            let outcome = Outcome::Failed(error.code().to_owned());
            let detail = Map::from_iter([("error".to_owned(), says.clone().into())]);
            self.function
                .journal
                .record(&self.entry(region, "recovery-point-unverified", outcome, detail))
                .await?;
        }
        self.function.desk.note(Change::Looked(place.clone(), Look::new(self.now, false)), 0);
        Ok(())
    }

    /// Adds to what is said of it.
    async fn mark(&self, region: Region, mark: Mark, code: &str, says: &str) -> Result<()> {
        let Place { resource, id, .. } = &self.item.place;
        let doubt = Doubt {
            resource: resource.clone(),
            recovery_point: id.clone(),
            function: NAME.to_owned(),
            region: self.item.regions[region as usize].clone(),
            at: self.now,
            code: code.to_owned(),
            says: says.to_owned(),
        };
        let (key, body) = (mark_key(resource, id, self.now, mark), Bytes::from(json!(doubt).to_string()));
        self.function.vault.create(&key, "application/json", body).await.map(drop)
    }

    /// Of the day on which it was looked at: each look is an entry of its own, and one that is written down twice is there once.
    fn entry(
        &self,
        region: Region,
        kind: &'static str,
        outcome: Outcome,
        mut detail: Map<String, Value>,
    ) -> Entry {
        detail.insert("slot".to_owned(), self.item.slot.to_string().into());
        Entry {
            day: self.now.to_zoned(TimeZone::UTC).date(),
            at: self.now,
            function: NAME,
            kind,
            resource: ResourceId::clone(&self.item.place.resource),
            subject: self.item.place.id.to_string(),
            region: self.item.regions[region as usize].clone(),
            outcome,
            detail,
        }
    }
}

fn is_damage(error: &Error) -> bool {
    error.kind() == Kind::Permanent && (DAMAGE.contains(&error.code()) || is_of_content(error.code()))
}

/// Of a snapshot there is nothing to read: that it is available and its key can be used is what the plan has seen.
fn snapshot_seen(snapshot: &Snapshot) -> Seen {
    let detail = [
        ("allocated_bytes", json!(i64::from(snapshot.allocated_gib) << 30)),
        ("encrypted", json!(snapshot.encrypted)),
        ("kms_key", json!(snapshot.kms_key)),
    ];
    let detail = detail.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    Seen::Whole { detail, metrics: Vec::new() }
}
