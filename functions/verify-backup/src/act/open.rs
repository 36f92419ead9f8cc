//! Opens a Turso database as it is in the vault: every part is compared with the manifest on its way to the disk, SQLite looks
//! at every page there, and what it finds is what the manifest tells. It is not gone on with in another invocation, whose disk
//! is another one.

use std::{path::PathBuf, time::Instant};

use domain::Engine;
use jiff::SignedDuration;
use reconcile::{Documents, Error, Facts, Ledger, Result};
use serde_json::{Value, json};
use turso::{Scratch, check, compress::Unpacker, free_bytes};
use vault::{Manifest, Store, read_back};

use super::{Looking, Seen, read::whole};

/// What is left of the disk for SQLite's own needs.
const RESERVE_BYTES: u64 = 64 << 20;

/// So much a second is read and opened at least, or this is not the time for it.
const SLOWEST_BYTES_PER_SECOND: u64 = 16 << 20;

/// What a look at the same database must find again.
const LASTING: [&str; 7] =
    ["page_bytes", "pages", "rows", "schema_sha256", "user_version", "application_id", "encoding"];

/// The run's time is over in the midst of it.
const OVER: &str = "TurnOver";

impl<R, S: Store, K, L: Ledger, F: Facts, D: Documents> Looking<'_, R, S, K, L, F, D> {
    pub(super) fn is_opened_on_disk(&self) -> bool {
        self.item.sample.is_some() && self.item.place.resource.engine == Engine::Turso
    }

    /// Looks at all of it, or begins anew in the next run.
    pub(super) async fn open(&self, prefix: &str, manifest: &Manifest) -> Result<Seen> {
        let closed = |error: tokio::sync::AcquireError| Error::retryable("Closed", error.to_string());
        let _alone = self.function.pace.disk.acquire().await.map_err(closed)?;
        let [object] = manifest.objects.as_slice() else {
            return Err(
                self.of_content(&format!("it has {} objects, and a database is one", manifest.objects.len()))
            );
        };
        if !self.is_time_for(object.bytes) {
            return Ok(Seen::Unfinished { bytes: 0 });
        }
        self.check_room(manifest)?;
        let begun = Instant::now();
        let _memory = self.room_for(object).await?;
        let scratch = Scratch::new(&self.function.pace.folder, "verify.sqlite")?;
        let mut unpacker = Unpacker::onto(scratch.path())?;
        let read = read_back(self.store(), prefix, object, async |part| {
            if self.is_over() {
                return Err(Error::retryable(OVER, "the run's time is over"));
            }
            unpacker.add(&part)
        });
        match read.await {
            Err(error) if error.code() == OVER => return Ok(Seen::Unfinished { bytes: 0 }),
            outcome => outcome?,
        }
        let plain = unpacker.finish()?;
        self.same(manifest, "plain_bytes", &json!(plain.bytes))?;
        self.same(manifest, "plain_sha256", &json!(plain.sha256))?;
        let found = json!(checked(scratch.path().to_owned()).await?);
        LASTING.into_iter().try_for_each(|key| self.same(manifest, key, &found[key]))?;
        let took = i64::try_from(begun.elapsed().as_millis()).unwrap_or(i64::MAX);
        Ok(whole(manifest, object.bytes, object.bytes, self.item.sample, took))
    }

    /// Whether there is time for so much; for what is larger than a whole run has time for, whether the run has just begun.
    fn is_time_for(&self, bytes: u64) -> bool {
        let seconds = i64::try_from(bytes / SLOWEST_BYTES_PER_SECOND).unwrap_or(i64::MAX);
        let most = self.function.pace.turn * 9 / 10;
        self.left() >= SignedDuration::from_secs(seconds).min(most)
    }

    fn check_room(&self, manifest: &Manifest) -> Result<()> {
        let folder = &self.function.pace.folder;
        std::fs::create_dir_all(folder).map_err(|error| {
            Error::retryable("DiskBroken", format!("cannot make {}", folder.display())).caused_by(error)
        })?;
        let needed = manifest.content.get("plain_bytes").and_then(Value::as_u64).unwrap_or(0);
        let free = free_bytes(folder)?.saturating_sub(RESERVE_BYTES);
        if needed <= free {
            return Ok(());
        }
        Err(Error::misconfigured(
            "DatabaseTooLarge",
            format!(
                "{} has {needed} bytes when it is unpacked, and {free} are free on the disk; give verify-backup more \
                 (EphemeralStorage in infra/template.yaml)",
                self.item.place.id
            ),
        ))
    }

    fn same(&self, manifest: &Manifest, key: &str, found: &Value) -> Result<()> {
        let told = manifest.content.get(key).unwrap_or(&Value::Null);
        if told == found {
            return Ok(());
        }
        Err(self.of_content(&format!("it holds {found} as its {key}; the manifest says {told}")))
    }
}

/// SQLite reads every page, which may take minutes: not where answers are waited for.
async fn checked(path: PathBuf) -> Result<check::Content> {
    let found = tokio::task::spawn_blocking(move || check::check(&path)).await;
    found.map_err(|error| {
        Error::retryable("CheckCutOff", "the check of the database was cut off").caused_by(error)
    })?
}
