//! The log of a large copy, in the state bucket: `staging/turso/<database>/<incarnation>/<log>/<piece>-…`. What nobody needs any
//! more goes by the bucket's lifecycle, after a day.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};

use bytes::Bytes;
use domain::RecoveryPointId;
use jiff::{SignedDuration, Timestamp};
use reconcile::{Error, Result};
use turso::{Database, Piece, Staging};
use vault::{Created, Object, Store};

/// Below which all logs are.
const STAGING: &str = "staging/turso/";

/// How long an invocation goes on with what has a log, and from which size on a copy has one.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// Long enough that opening the copy still fits in after it.
    pub time: SignedDuration,
    /// In bytes.
    pub staged_from: u64,
}

/// The log that this copy goes on with, or begins.
pub(crate) struct VaultStaging<'s, S> {
    store: &'s S,
    /// Of this incarnation of the database.
    folder: String,
    /// For which recovery point the copy is made.
    id: &'s RecoveryPointId,
    staged_from: u64,
    clock: fn() -> Timestamp,
    begun: Timestamp,
    time: SignedDuration,
    looked_at: Cell<Timestamp>,
    log: RefCell<LogFolder>,
}

/// One log, as the bucket has it.
#[derive(Clone, Debug, Default)]
struct LogFolder {
    number: u32,
    pieces: Vec<(Piece, Object)>,
    /// When what it holds was all that there was, if it has ended.
    taken_at: Option<Timestamp>,
}

impl<'s, S: Store> VaultStaging<'s, S> {
    pub(crate) fn new(
        store: &'s S,
        database: &Database,
        id: &'s RecoveryPointId,
        Turn { time, staged_from }: Turn,
        clock: fn() -> Timestamp,
        begun: Timestamp,
    ) -> Self {
        let folder = format!("{STAGING}{}/{}/", database.name, database.id);
        let looked_at = Cell::new(clock());
        Self { store, folder, id, staged_from, clock, begun, time, looked_at, log: RefCell::default() }
    }

    /// Whether an earlier invocation fetched all of it: this one has only played it back.
    pub(crate) fn was_ended(&self) -> bool {
        self.log.borrow().taken_at.is_some()
    }

    fn gone(&self) -> SignedDuration {
        (self.clock)().duration_since(self.begun)
    }

    /// Since when at the latest the copy lacks what was written: since this invocation began it, or an earlier one that ended it.
    pub(crate) fn taken_at(&self) -> Timestamp {
        self.log.borrow().taken_at.unwrap_or(self.looked_at.get())
    }

    /// Whether too little time is left for what comes after a copy: then the next invocation does that.
    pub(crate) fn is_half_over(&self) -> bool {
        self.gone() > self.time / 2
    }

    fn key(&self, number: usize, what: &str) -> String {
        format!("{}{:06}/{number:06}-{what}", self.folder, self.log.borrow().number)
    }

    /// The newest log, if it goes on: not given up, and not the whole copy of another recovery point. Otherwise a new one.
    fn choose(&self, objects: Vec<Object>) -> LogFolder {
        let mut logs: BTreeMap<u32, Vec<(String, Object)>> = BTreeMap::new();
        for object in objects {
            let named = object.key.strip_prefix(&self.folder).and_then(|name| name.split_once('/'));
            if let Some((Ok(number), name)) = named.map(|(log, name)| (log.parse(), name.to_owned())) {
                logs.entry(number).or_default().push((name, object));
            }
        }
        let Some((number, objects)) = logs.pop_last() else { return LogFolder::default() };
        let mut taken_at = None;
        let piece = |(at, (name, object)): (usize, (String, Object))| {
            let (piece, ended) = parse(name.strip_prefix(&format!("{at:06}-"))?, self.id)?;
            taken_at = ended;
            Some((piece, object))
        };
        match objects.into_iter().enumerate().map(piece).collect() {
            Some(pieces) => LogFolder { number, pieces, taken_at },
            None => LogFolder { number: number.saturating_add(1), ..LogFolder::default() },
        }
    }
}

impl<S: Store> Staging for VaultStaging<'_, S> {
    fn is_for(&self, bytes: u64) -> bool {
        bytes >= self.staged_from
    }

    async fn pieces(&self) -> Result<Vec<Piece>> {
        self.looked_at.set((self.clock)());
        let log = self.choose(self.store.list(&self.folder).await?);
        let pieces = log.pieces.iter().map(|(piece, _)| *piece).collect();
        self.log.replace(log);
        Ok(pieces)
    }

    async fn read(&self, number: usize) -> Result<Bytes> {
        let object = self.log.borrow().pieces.get(number).map(|(_, object)| object.clone());
        let object =
            object.ok_or_else(|| Error::permanent("NotStaged", format!("there is no piece {number}")))?;
        self.store.read(&object.key, &object.etag, 0..object.bytes).await
    }

    async fn keep(&self, number: usize, piece: Piece, bytes: Bytes) -> Result<()> {
        let key = self.key(number, &name(piece, self.taken_at(), self.id));
        if self.store.create(&key, "application/octet-stream", bytes.clone()).await? == Created::Now {
            return Ok(());
        }
        // Our own, of which no answer came, or that of an invocation that should not be at work.
        if self.store.read_whole(&key).await? == Some(bytes) {
            return Ok(());
        }
        let said = format!("another invocation works on {}; this one leaves it alone", self.id);
        Err(Error::retryable("WorkTakenOver", said))
    }

    async fn give_up(&self, kept: usize) -> Result<()> {
        self.store
            .create(&self.key(kept, "given-up"), "application/octet-stream", Bytes::new())
            .await
            .map(drop)
    }

    fn is_time_over(&self) -> bool {
        self.gone() >= self.time
    }
}

fn name(piece: Piece, taken_at: Timestamp, id: &RecoveryPointId) -> String {
    match piece {
        Piece::Base { generation } => format!("base-{generation}"),
        Piece::Frames { generation, first } => format!("frames-{generation}-{first}"),
        Piece::End { generation, frame } => {
            format!("end-{generation}-{frame}-{}-{id}", taken_at.as_millisecond())
        }
    }
}

/// What a name says, and when the copy was taken if this is its end; `None` if a copy for `id` does not go on after it.
fn parse(name: &str, id: &RecoveryPointId) -> Option<(Piece, Option<Timestamp>)> {
    let (kind, rest) = name.split_once('-')?;
    let numbers = match kind {
        "end" => rest.strip_suffix(id.as_str())?.strip_suffix('-')?,
        _ => rest,
    };
    let numbers: Vec<u64> = numbers.split('-').map(|number| number.parse().ok()).collect::<Option<_>>()?;
    match (kind, numbers.as_slice()) {
        ("base", &[generation]) => Some((Piece::Base { generation }, None)),
        ("frames", &[generation, first]) => Some((Piece::Frames { generation, first }, None)),
        ("end", &[generation, frame, taken_at]) => {
            let taken_at = Timestamp::from_millisecond(i64::try_from(taken_at).ok()?).ok()?;
            Some((Piece::End { generation, frame }, Some(taken_at)))
        }
        _ => None,
    }
}
