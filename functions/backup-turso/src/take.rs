//! A database's copy on its way into the vault: made, opened, stored, read back, and only then said to be one.

use std::{fs::File, path::Path};

use bytes::Bytes;
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use plans::Plans;
use reconcile::{Documents, Done, Error, Kind, Ledger, Result};
use secrets::PlainSecrets;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use turso::{
    Access, Connect, Current, CurrentPoint, Scratch, Session, Staging, Turso, check,
    compress::{self, LEVEL, Parts, Unpacker},
    cursor, free_bytes,
    pages::{self, Progress},
};
use vault::{Intake, MANIFEST, Manifest, Store, read_back};

use crate::{
    act::{Take, completed},
    observe::BackupTurso,
    staging::VaultStaging,
    work::{Stage, Uploaded, Uploading, WorkFile},
};

/// The copy's name in the vault.
pub(crate) const OBJECT: &str = "database.sqlite.zst";

/// How long a token for one database lives: longer than an invocation.
const TOKEN_LIFETIME: std::time::Duration = std::time::Duration::from_hours(1);

/// What is left of the disk for SQLite's own needs.
const RESERVE_BYTES: u64 = 64 << 20;

/// After how many parts it is written down how far the upload is.
const PARTS_AT_ONCE: usize = 4;

/// One database at a time: all share one disk.
pub(crate) async fn take<C, K, S, L, D, P>(
    function: &BackupTurso<C, K, S, L, D, P>,
    new: &Take,
    begun: Timestamp,
) -> Result<Done>
where
    C: Connect,
    K: PlainSecrets,
    S: Store,
    L: Ledger,
    D: Documents,
    P: Plans,
{
    let pace = &function.pace;
    let _alone =
        pace.at_work.acquire().await.map_err(|error| Error::retryable("Closed", error.to_string()))?;
    let claim = WorkFile::claim(&function.documents, pace, &new.database.name, &new.id).await?;
    let Some(mut file) = claim else {
        return Ok(Done::underway().with("waits_for", "another invocation, which copies it"));
    };
    let is_earlier = *file.id() != new.id;
    let new = &if is_earlier { new.earlier(file.id()) } else { new.clone() };
    let turn = pace.turn;
    let staging = VaultStaging::new(&function.staging, &new.database, &new.id, turn, pace.clock, begun);
    let done = Taking { function, new, staging }.go(&mut file).await;
    let Err(error) = done else { return done };
    let is_over = error.kind() == Kind::Permanent;
    if is_over {
        // Neither the next attempt nor the next slot goes on with it.
        file.work.stage = Stage::Begun;
    }
    // The error is the news; if this fails too, the claim ends by itself.
    _ = file.release().await;
    // It is filed under the slot that was asked for, which an earlier one must not cost an attempt.
    Err(if is_over && is_earlier { error.of_kind(Kind::Retryable) } else { error })
}

struct Taking<'t, C: Connect, K, S, L, D, P> {
    function: &'t BackupTurso<C, K, S, L, D, P>,
    new: &'t Take,
    staging: VaultStaging<'t, S>,
}

/// A copy on disk that was opened and found whole.
struct Copy {
    scratch: Scratch,
    manifest: Manifest,
    /// The next invocation has the same.
    is_staged: bool,
}

/// What an invocation has, or the next one has to go on with.
enum Turned<T> {
    Done(T),
    /// What there is of it by now.
    Over(&'static str, u64),
}

impl<C, K, S, L, D, P> Taking<'_, C, K, S, L, D, P>
where
    C: Connect,
    K: PlainSecrets,
    S: Store,
    D: Documents,
{
    async fn go(&self, file: &mut WorkFile<'_, D>) -> Result<Done> {
        let manifest = match &file.work.stage {
            // Killed after the last part: what is there only has to be read.
            Stage::Stored(manifest) => manifest.as_ref().clone(),
            Stage::Uploaded(uploaded) => self.complete(uploaded.as_ref().clone(), file).await?,
            Stage::Begun | Stage::Fetched | Stage::Uploading(_) | Stage::Kept => {
                let session = self.session().await?;
                if let Some(done) = self.unchanged(&session, file).await? {
                    return Ok(done);
                }
                let copy = match self.copy(&session, file).await? {
                    Turned::Done(copy) => copy,
                    Turned::Over(what, bytes) => return self.pause(file, what, bytes).await,
                };
                match self.store(copy, file).await? {
                    Turned::Done(manifest) => manifest,
                    Turned::Over(what, bytes) => return self.pause(file, what, bytes).await,
                }
            }
        };
        let manifest = self.verify(manifest).await?;
        let key = format!("{}{MANIFEST}", self.new.prefix());
        let body = Bytes::from(manifest.to_json());
        self.function.home.create(&key, "application/json", body).await?;
        self.note_current(&manifest).await?;
        file.work.stage = Stage::Kept;
        file.release().await?;
        // The next tick looks for it in the recovery Region.
        let done = completed("recovery-point-completed", &manifest, &self.new.region, self.now());
        Ok(Done { unfinished: true, ..done })
    }

    /// The next invocation goes on.
    async fn pause(&self, file: &mut WorkFile<'_, D>, what: &'static str, bytes: u64) -> Result<Done> {
        file.release().await?;
        Ok(Done::underway().with("recovery_point", self.new.id.to_string()).with(what, bytes))
    }

    fn now(&self) -> Timestamp {
        (self.function.pace.clock)()
    }

    async fn session(&self) -> Result<Session> {
        let (account, database) = (self.function.account()?, &self.new.database);
        Ok(Session {
            hostname: database.hostname.clone(),
            token: account.turso.token(&database.name, Access::ReadOnly, TOKEN_LIFETIME).await?,
            encryption_key: account.keys.encryption_keys.get(&database.name).cloned(),
        })
    }

    /// Whether the last recovery point still holds everything: then that is written down, and no copy made.
    async fn unchanged(&self, session: &Session, file: &mut WorkFile<'_, D>) -> Result<Option<Done>> {
        let Some(previous) = &self.new.previous else { return Ok(None) };
        let (account, asked_at) = (self.function.account()?, self.now());
        let CurrentPoint { generation, frame, .. } = *previous;
        match pages::is_unchanged(&account.turso, session, generation, frame).await {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) if error.code() == "PageExportUnavailable" => return Ok(None),
            Err(error) => return Err(error),
        }
        let point = CurrentPoint { current_as_of: asked_at, ..previous.clone() };
        Current::put(&self.function.documents, &self.new.database.name, &point).await?;
        file.release().await?;
        Ok(Some(Done::default().with("unchanged_since", previous.id.to_string())))
    }

    /// Copies the database to disk, by its pages if they are to be had, and opens the copy.
    async fn copy(&self, session: &Session, file: &mut WorkFile<'_, D>) -> Result<Turned<Copy>> {
        let (pace, account) = (&self.function.pace, self.function.account()?);
        let scratch = Scratch::new(&pace.folder, "copy.sqlite")?;
        let room = free_bytes(&pace.folder)?.saturating_sub(RESERVE_BYTES);
        let (mut method, mut is_staged) = ("page-export", false);
        let mut content = Map::new();
        match pages::copy(&account.turso, session, scratch.path(), room, &self.staging).await {
            Ok(Progress::Paused { bytes }) => return Ok(Turned::Over("fetched_bytes", bytes)),
            Ok(Progress::Whole(copied))
                if copied.is_staged && !self.staging.was_ended() && self.staging.is_half_over() =>
            {
                file.save(Stage::Fetched).await?;
                return Ok(Turned::Over("fetched_bytes", copied.bytes));
            }
            Ok(Progress::Whole(copied)) => {
                is_staged = copied.is_staged;
                content.insert("generation".to_owned(), copied.generation.into());
                content.insert("frame".to_owned(), copied.frame.into());
            }
            Err(error) if error.code() == "PageExportUnavailable" => {
                method = "cursor";
                cursor::copy(&account.turso, session, scratch.path(), room).await?;
            }
            Err(error) => return Err(error),
        }
        let taken_at = self.staging.taken_at();
        let found = check::check(scratch.path())?;
        let plain = compress::digest(scratch.path())?;
        if let Value::Object(found) = json!(found) {
            content.extend(found);
        }
        content.insert("plain_bytes".to_owned(), plain.bytes.into());
        content.insert("plain_sha256".to_owned(), plain.sha256.clone().into());
        content.insert("compression".to_owned(), format!("zstd -{LEVEL}").into());
        let Take { database, slot, plan, id, .. } = self.new;
        let manifest = Manifest {
            version: 1,
            id: id.clone(),
            resource: self.new.resource(),
            incarnation: database.id.clone(),
            slot: *slot,
            plan: plan.clone(),
            method: method.to_owned(),
            taken_at,
            restorable_to: None,
            verified_at: taken_at,
            objects: Vec::new(),
            source: self.source().await?,
            content,
        };
        Ok(Turned::Done(Copy { scratch, manifest, is_staged }))
    }

    /// What a restore needs to know of the database.
    async fn source(&self) -> Result<Map<String, Value>> {
        let database = &self.new.database;
        let configuration = self.function.account()?.turso.configuration(&database.name).await?;
        let source = json!({
            "name": database.name,
            "group": database.group,
            "locations": database.locations,
            "size_limit": configuration.size_limit,
            "allowed_ips": configuration.allowed_ips,
            "delete_protection": database.delete_protection || configuration.delete_protection,
            "block_writes": database.block_writes,
            "is_encrypted": self.function.account()?.keys.encryption_keys.contains_key(&database.name),
        });
        Ok(source.as_object().cloned().unwrap_or_default())
    }

    /// Stores the copy; the manifest says then what is there. Parts that an earlier invocation stored of the same bytes stay.
    async fn store(&self, copy: Copy, file: &mut WorkFile<'_, D>) -> Result<Turned<Manifest>> {
        let mut begun = match &file.work.stage {
            Stage::Uploading(begun) => Some(begun.clone()),
            _ => None,
        };
        let path = copy.scratch.path();
        let after = begun.as_ref().map(|begun| parts_after(path, begun, self.part_bytes())).transpose()?;
        let mut rest = after.flatten();
        if let Some(old) = begun.take_if(|_| rest.is_none()) {
            // The database has changed meanwhile.
            self.function.home.abort(old.intake.upload()).await?;
        }
        let begun = match begun {
            Some(begun) => begun,
            None => {
                let (home, key) = (&self.function.home, format!("{}{OBJECT}", self.new.prefix()));
                let intake = Intake::begin(home, &key, self.function.pace.part_bytes).await?;
                let begun = Uploading { intake, sha256: Vec::new(), is_staged: copy.is_staged };
                file.save(Stage::Uploading(begun.clone())).await?;
                begun
            }
        };
        let rest = match rest.take() {
            Some(rest) => rest,
            None => parts(path, self.part_bytes())?,
        };
        let intake = match self.upload(rest, begun, file).await {
            Ok(Turned::Done(intake)) => intake,
            Ok(Turned::Over(what, bytes)) => return Ok(Turned::Over(what, bytes)),
            Err(error) => return Err(self.begin_anew_if_lost(error, file).await?),
        };
        let uploaded = Uploaded { intake, manifest: copy.manifest };
        file.save(Stage::Uploaded(Box::new(uploaded.clone()))).await?;
        self.complete(uploaded, file).await.map(Turned::Done)
    }

    /// Makes the parts one object.
    async fn complete(&self, uploaded: Uploaded, file: &mut WorkFile<'_, D>) -> Result<Manifest> {
        let Uploaded { intake, manifest } = uploaded;
        let object = match intake.complete(&self.function.home, OBJECT).await {
            Ok((_, object)) => object,
            Err(error) => return Err(self.begin_anew_if_lost(error, file).await?),
        };
        let manifest = Manifest { objects: vec![object], ..manifest };
        file.save(Stage::Stored(Box::new(manifest.clone()))).await?;
        Ok(manifest)
    }

    /// Of an upload that S3 does not know any more, nothing can be used.
    async fn begin_anew_if_lost(&self, error: Error, file: &mut WorkFile<'_, D>) -> Result<Error> {
        if !Intake::is_lost(&error) {
            return Ok(error);
        }
        file.save(Stage::Begun).await?;
        Ok(error.of_kind(Kind::Retryable))
    }

    fn part_bytes(&self) -> usize {
        usize::try_from(self.function.pace.part_bytes).unwrap_or(usize::MAX)
    }

    async fn upload(
        &self,
        mut rest: Parts<File>,
        mut begun: Uploading,
        file: &mut WorkFile<'_, D>,
    ) -> Result<Turned<Intake>> {
        while let Some(part) = rest.next_part()? {
            begun.sha256.push(digest(&part));
            begun.intake.add(&self.function.home, part).await?;
            if begun.sha256.len().is_multiple_of(PARTS_AT_ONCE) {
                file.save(Stage::Uploading(begun.clone())).await?;
                if begun.is_staged && self.staging.is_time_over() {
                    return Ok(Turned::Over("stored_bytes", begun.intake.bytes()));
                }
            }
        }
        Ok(Turned::Done(begun.intake))
    }

    /// Reads the object back from the vault, and its plain bytes out of it.
    async fn verify(&self, manifest: Manifest) -> Result<Manifest> {
        let damaged = |what: String| {
            Error::permanent("ContentMismatch", format!("{} of {}: {what}", OBJECT, self.new.id))
        };
        let object =
            manifest.object(OBJECT).ok_or_else(|| damaged("the manifest does not name it".to_owned()))?;
        let mut unpacker = Unpacker::new(std::io::sink())?;
        read_back(&self.function.home, &self.new.prefix(), object, async |part| unpacker.add(&part)).await?;
        let found = unpacker.finish()?;
        let says = |key: &str| manifest.content.get(key).cloned().unwrap_or_default();
        if says("plain_bytes") != json!(found.bytes) || says("plain_sha256") != json!(found.sha256) {
            return Err(damaged(format!("its {} bytes have SHA-256 {}", found.bytes, found.sha256)));
        }
        Ok(Manifest { verified_at: self.now(), ..manifest })
    }

    async fn note_current(&self, manifest: &Manifest) -> Result<()> {
        let number = |key: &str| manifest.content.get(key).and_then(Value::as_u64);
        let Some((generation, frame)) = number("generation").zip(number("frame")) else { return Ok(()) };
        let point = CurrentPoint {
            incarnation: manifest.incarnation.clone(),
            id: manifest.id.clone(),
            generation,
            frame,
            current_as_of: manifest.taken_at,
        };
        Current::put(&self.function.documents, &self.new.database.name, &point).await
    }
}

fn parts(path: &Path, part_bytes: usize) -> Result<Parts<File>> {
    let file = File::open(path)
        .map_err(|error| Error::retryable("DiskBroken", "cannot open the copy").caused_by(error))?;
    Parts::new(file, part_bytes)
}

fn digest(part: &Bytes) -> String {
    HEXLOWER.encode(&Sha256::digest(part))
}

/// What comes after the parts that were stored, if they are the first ones of this file; `None` if they are not.
fn parts_after(path: &Path, begun: &Uploading, part_bytes: usize) -> Result<Option<Parts<File>>> {
    let mut parts = parts(path, part_bytes)?;
    for sha256 in &begun.sha256 {
        if parts.next_part()?.is_none_or(|part| digest(&part) != *sha256) {
            return Ok(None);
        }
    }
    Ok(Some(parts))
}
