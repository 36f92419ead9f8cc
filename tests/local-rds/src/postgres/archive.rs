//! Archived WAL: how far back and how far forward it can restore, and who keeps it going.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_postgres::Client;

use super::folder::blocking;
use super::{Error, Folder, Server};
use crate::Speed;

/// What `initdb --wal-segsize` was told.
const SEGMENT_BYTES: u64 = 1 << 20;
/// The header of a segment's first page (`SizeOfXLogLongPHD`): where a segment stands that nothing was written to.
const SEGMENT_HEADER_BYTES: u64 = 40;
/// How long the archiver may take with what was written up to a switch.
const ARCHIVED_WITHIN: Duration = Duration::from_mins(2);
const GLANCE: Duration = Duration::from_millis(10);

/// A backup from which archived WAL can be replayed.
#[derive(Clone, Debug)]
struct Base {
    /// When it was complete: the earliest instant it can be taken to.
    from: Timestamp,
    /// The automated snapshot that shows it.
    snapshot: String,
    backup: Arc<Folder>,
}

#[derive(Debug, Default)]
struct Known {
    bases: Vec<Base>,
    /// The archive holds a commit that is later than this, and everything before that commit. Recovery stops at the
    /// first commit after its target, and fails if there is none.
    marker: Option<Timestamp>,
    /// From the marker until here nothing was written.
    quiet_until: Option<Timestamp>,
}

/// The automated backups of one instance: base backups and the WAL since.
#[derive(Debug)]
pub(crate) struct Archive {
    folder: Folder,
    known: Mutex<Known>,
}

impl Archive {
    pub(super) fn new(folder: Folder) -> Self {
        Self { folder, known: Mutex::default() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on restores may start from this backup, which was complete at `from`.
    pub(crate) fn add_base(&self, snapshot: &str, from: Timestamp, backup: Arc<Folder>) {
        let mut known = self.known();
        known.bases.retain(|base| base.snapshot != snapshot);
        known.bases.push(Base { from, snapshot: snapshot.to_owned(), backup });
        known.bases.sort_by_key(|base| base.from);
    }

    /// No longer from this one.
    pub(crate) fn remove_base(&self, snapshot: &str) {
        self.known().bases.retain(|base| base.snapshot != snapshot);
    }

    /// The earliest and the latest instant that can be restored.
    pub(crate) fn window(&self) -> Option<(Timestamp, Timestamp)> {
        let known = self.known();
        // Before a backup's end recovery cannot stop: there must be a marker after it.
        let (earliest, marker) = (known.bases.first()?.from, known.marker?);
        (earliest <= marker).then(|| (earliest, known.quiet_until.unwrap_or(marker)))
    }

    /// How to get to an instant of the window: the backup to start from, and the target to give to recovery.
    pub(crate) fn route(&self, to: Timestamp) -> Option<(Arc<Folder>, Timestamp)> {
        let known = self.known();
        // Nothing was written from the marker until any later instant of the window.
        let target = to.min(known.marker?);
        let base = known.bases.iter().rev().find(|base| base.from <= target)?;
        Some((Arc::clone(&base.backup), target))
    }

    /// Whether there is a marker after every backup.
    fn marked(&self) -> bool {
        let known = self.known();
        known.bases.last().is_none_or(|base| known.marker.is_some_and(|marker| base.from <= marker))
    }

    fn reached(&self, marker: Timestamp) {
        let mut known = self.known();
        known.marker = Some(marker);
        known.quiet_until = Some(marker);
    }

    fn quiet(&self, until: Timestamp) {
        self.known().quiet_until = Some(until);
    }

    /// Takes over what `source` has and we have not. Files are linked, so they stay when the source goes.
    pub(crate) async fn catch_up(
        self: &Arc<Self>,
        source: &Arc<Self>,
        new: impl Fn() -> std::path::PathBuf,
    ) -> Result<(), Error> {
        // What is known is read before the files are listed: never promise more than was taken over.
        let (bases, marker, quiet_until) = {
            let known = source.known();
            (known.bases.clone(), known.marker, known.quiet_until)
        };
        let have: Vec<String> = self.known().bases.iter().map(|base| base.snapshot.clone()).collect();
        for base in &bases {
            if !have.contains(&base.snapshot) {
                let backup = Arc::new(base.backup.link_to(new()).await?);
                self.add_base(&base.snapshot, base.from, backup);
            }
        }
        let (from, to) = (Arc::clone(source), Arc::clone(self));
        blocking(move || link_files(from.path(), to.path()).map_err(Error::files(to.path()))).await?;
        let mut known = self.known();
        known.bases.retain(|base| bases.iter().any(|there| there.snapshot == base.snapshot));
        (known.marker, known.quiet_until) = (marker, quiet_until);
        Ok(())
    }
}

fn link_files(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let name = entry?.file_name();
        if !to.join(&name).exists() && Path::new(&name).extension().is_none_or(|end| end != "part") {
            std::fs::hard_link(from.join(&name), to.join(&name))?;
        }
    }
    Ok(())
}

/// Keeps an archive up to date for as long as it is held.
pub(crate) struct Archiver {
    requests: mpsc::Sender<oneshot::Sender<Result<(), Error>>>,
}

impl Archiver {
    /// Archives as often as the speed says.
    pub(crate) fn start(
        server: Arc<Server>,
        archive: Arc<Archive>,
        mut speed: watch::Receiver<Speed>,
    ) -> Self {
        let (requests, mut asked) = mpsc::channel(16);
        tokio::spawn(async move {
            let mut work = Work { server, archive, client: None, quiet_segment: None };
            let mut last = Instant::now();
            loop {
                let pause = speed.borrow_and_update().archive.saturating_sub(last.elapsed());
                let request: Option<oneshot::Sender<_>> = tokio::select! {
                    request = asked.recv() => match request {
                        Some(request) => Some(request),
                        None => break,
                    },
                    () = tokio::time::sleep(pause) => None,
                    Ok(()) = speed.changed() => continue,
                    () = work.server.ended() => break,
                };
                let server = Arc::clone(&work.server);
                let outcome = tokio::select! {
                    outcome = work.archive() => outcome,
                    () = server.ended() => break,
                };
                last = Instant::now();
                if let Err(error) = &outcome {
                    work.client = None;
                    tracing::debug!(%error, "WAL was not archived");
                }
                if let Some(request) = request {
                    // Whoever asked may have gone.
                    let _ = request.send(outcome);
                }
            }
        });
        Self { requests }
    }

    /// Archives what was committed so far, and waits until that is done.
    pub(crate) async fn now(&self) -> Result<(), Error> {
        let (done, outcome) = oneshot::channel();
        self.requests.send(done).await.map_err(|_| Error::Interrupted)?;
        outcome.await.map_err(|_| Error::Interrupted)?
    }
}

struct Work {
    server: Arc<Server>,
    archive: Arc<Archive>,
    client: Option<Client>,
    /// Where the WAL goes on, if nothing but the last marker was committed between the clock's reading and the switch.
    quiet_segment: Option<u64>,
}

impl Work {
    async fn archive(&mut self) -> Result<(), Error> {
        let client = match &self.client {
            Some(client) if !client.is_closed() => client,
            _ => self.client.insert(self.server.connect().await?),
        };
        let before = Transactions::of(client).await?;
        // The clock is read before the position: what was committed by then is before it.
        let now = Timestamp::now();
        let row = client.query_one("SELECT pg_current_wal_insert_lsn()::text", &[]).await?;
        let position = read_lsn(row.get(0));
        let written = self.quiet_segment.is_none_or(|start| position > start + SEGMENT_HEADER_BYTES);
        if !written && self.archive.marked() {
            self.archive.quiet(now);
            return Ok(());
        }
        self.quiet_segment = None;
        // An empty transaction that leaves a commit behind, later than `now`: the stop for any target up to `now`.
        let row = client.query_one("SELECT pg_current_xact_id()::text", &[]).await?;
        let marker = row.get::<_, &str>(0).parse().ok();
        // The file that commit is in. Not the one that the switch returns: if somebody else (a backup's end) switches
        // before us, ours does nothing and returns the next file, which is not finished for a long time.
        let row = client.query_one("SELECT pg_walfile_name(pg_current_wal_flush_lsn() - 1)", &[]).await?;
        let file: String = row.get(0);
        client.query_one("SELECT pg_switch_wal()::text", &[]).await?;
        let after = Transactions::of(client).await?;
        let deadline = Instant::now() + ARCHIVED_WITHIN;
        while !self.archive.path().join(&file).exists() {
            if Instant::now() > deadline {
                return Err(Error::NotArchived { file });
            }
            tokio::time::sleep(GLANCE).await;
        }
        self.archive.reached(now);
        if marker.is_some_and(|marker| before.only(marker, after)) {
            self.quiet_segment = segment_end(&file);
        }
        Ok(())
    }
}

/// Which transactions there are, by their numbers. One that writes nothing has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Transactions {
    /// The oldest that runs, else the next.
    oldest: u64,
    next: u64,
}

impl Transactions {
    async fn of(client: &Client) -> Result<Self, Error> {
        let query =
            "SELECT pg_snapshot_xmin(s)::text, pg_snapshot_xmax(s)::text FROM pg_current_snapshot() s";
        let row = client.query_one(query, &[]).await?;
        let number = |column| row.get::<_, &str>(column).parse().unwrap_or(0);
        Ok(Self { oldest: number(0), next: number(1) })
    }

    /// Whether from here to `after` there was no transaction but one.
    fn only(self, one: u64, after: Self) -> bool {
        (self.oldest, self.next) == (one, one) && (after.oldest, after.next) == (one + 1, one + 1)
    }
}

/// Reads a WAL position, `HIGH/LOW` in hexadecimal.
fn read_lsn(text: &str) -> u64 {
    let number = |part: &str| u64::from_str_radix(part, 16).unwrap_or(u64::MAX);
    text.split_once('/').map_or(u64::MAX, |(high, low)| number(high) << 32 | number(low))
}

/// The position after a WAL file's last byte. Its name is the timeline and the segment's number in two parts.
fn segment_end(file: &str) -> Option<u64> {
    let part = |range| file.get(range).and_then(|part| u64::from_str_radix(part, 16).ok());
    let segment = part(8..16)? * ((1 << 32) / SEGMENT_BYTES) + part(16..24)?;
    Some((segment + 1) * SEGMENT_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn archive() -> Archive {
        Archive::new(Folder::adopt("/nonexistent/archive".into()))
    }

    fn base(archive: &Archive, name: &str, from: i64) {
        archive.add_base(name, at(from), Arc::new(Folder::adopt(format!("/nonexistent/{name}").into())));
    }

    #[test]
    fn positions_and_file_names_agree() {
        assert_eq!(read_lsn("1/2A00028"), 0x1_02A0_0028);
        assert_eq!(segment_end("00000001000000010000002A"), Some(0x1_02B0_0000));
        assert_eq!(segment_end("short"), None);
    }

    #[test]
    fn a_window_needs_a_backup_and_wal_after_it() {
        let archive = archive();
        assert_eq!(archive.window(), None);
        base(&archive, "a", 10);
        assert_eq!(archive.window(), None);
        archive.reached(at(5));
        assert_eq!(archive.window(), None);
        archive.reached(at(20));
        assert_eq!(archive.window(), Some((at(10), at(20))));
        archive.quiet(at(30));
        assert_eq!(archive.window(), Some((at(10), at(30))));
    }

    #[test]
    fn a_route_starts_at_the_latest_backup_before_the_target() {
        let archive = archive();
        base(&archive, "b", 20);
        base(&archive, "a", 10);
        archive.reached(at(40));
        archive.quiet(at(50));
        let route = |to| archive.route(at(to)).map(|(base, target)| (base.path().to_owned(), target));
        assert_eq!(route(9), None);
        assert_eq!(route(15), Some(("/nonexistent/a".into(), at(15))));
        assert_eq!(route(20), Some(("/nonexistent/b".into(), at(20))));
        // Nothing was written after 40, and recovery would not find a later commit to stop at.
        assert_eq!(route(45), Some(("/nonexistent/b".into(), at(40))));
        archive.remove_base("a");
        assert_eq!(archive.window(), Some((at(20), at(50))));
    }

    #[test]
    fn a_backup_counts_once_there_is_a_marker_after_it() {
        let archive = archive();
        assert!(archive.marked());
        base(&archive, "a", 10);
        archive.reached(at(9));
        archive.quiet(at(30));
        assert_eq!((archive.window(), archive.marked()), (None, false));
        archive.reached(at(31));
        assert_eq!((archive.window(), archive.marked()), (Some((at(10), at(31))), true));
        base(&archive, "b", 40);
        archive.quiet(at(50));
        // From 31 on nothing was written, so that 45 is what 31 was; recovery from `b` could not stop there.
        assert!(!archive.marked());
        assert_eq!(archive.route(at(45)).unwrap().0.path(), Path::new("/nonexistent/a"));
    }

    #[test]
    fn quiet_is_only_what_no_other_transaction_touched() {
        let at = |oldest, next| Transactions { oldest, next };
        assert!(at(7, 7).only(7, at(8, 8)));
        // One came before the marker, one after it, one runs on.
        assert!(!at(7, 7).only(8, at(9, 9)));
        assert!(!at(7, 7).only(7, at(9, 9)));
        assert!(!at(6, 7).only(7, at(6, 8)));
    }
}
