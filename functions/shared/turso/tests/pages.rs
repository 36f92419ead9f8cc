//! Pages copied from databases in memory, and from answers that lie.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::{cell::RefCell, path::Path, time::Duration};

use bytes::Bytes;
use common::{HARD, content};
use proptest::prelude::*;
use reconcile::{Error, Result};
use rstest::rstest;
use secrecy::SecretString;
use tempfile::TempDir;
use turso::{
    Access, Connect, FRAME_BYTES, FakeTurso, Frames, Session, Turso, Unstaged, check,
    pages::{self, Copied, Progress},
};

const ROOM: u64 = 1 << 30;

async fn session(turso: &FakeTurso) -> Session {
    let token = turso.token("orders", Access::ReadOnly, Duration::from_hours(1)).await.unwrap();
    Session { hostname: "orders-acme.turso.io".to_owned(), token, encryption_key: None }
}

fn orders(sql: &str) -> FakeTurso {
    let turso = FakeTurso::default();
    turso.put(FakeTurso::listed("orders", "id-1", "production"), sql);
    turso
}

async fn copy(turso: &FakeTurso, folder: &TempDir) -> Result<Copied> {
    whole(pages::copy(turso, &session(turso).await, &folder.path().join("copy"), ROOM, &Unstaged).await)
}

fn whole(progress: Result<Progress>) -> Result<Copied> {
    match progress? {
        Progress::Whole(copied) => Ok(copied),
        Progress::Paused { bytes } => panic!("paused after {bytes} bytes"),
    }
}

#[tokio::test]
async fn every_value_comes_as_it_is() {
    let turso = orders(&HARD.join(";"));
    turso.checkpoint("orders");
    turso.execute("orders", "INSERT INTO log VALUES ('after'); DELETE FROM wr");
    let folder = TempDir::new().unwrap();
    let copied = copy(&turso, &folder).await.unwrap();
    assert_eq!((copied.generation, copied.bytes % 4096), (2, 0));
    let there = folder.path().join("there");
    turso.execute("orders", &format!("VACUUM INTO '{}'", there.display()));
    let path = folder.path().join("copy");
    assert_eq!(check::check(&path).unwrap().user_version, -7);
    check::prepare_for_upload(&path).unwrap();
    let (mut expected, mut copied) = (content(&there), content(&path));
    // VACUUM numbers the rows of tables without a key anew.
    for content in [&mut expected, &mut copied] {
        content.retain(|name, _| {
            ["schema", "user_version", "table plain", "table counted", "table strict"]
                .contains(&name.as_str())
                || name.contains("notes")
        });
    }
    assert!(expected.len() > 5 && expected["schema"] == copied["schema"]);
    assert_eq!(expected["table plain"].len(), copied["table plain"].len());
    let head = std::fs::read(&path).unwrap();
    assert_eq!((&head[18..20], &head[52..56]), (&[2, 2][..], &[0; 4][..]), "WAL mode, no auto-vacuum");
}

#[tokio::test]
async fn pages_that_went_are_gone() {
    let turso =
        orders("CREATE TABLE a(x); INSERT INTO a VALUES (zeroblob(1000000)); PRAGMA user_version = 5");
    let folder = TempDir::new().unwrap();
    let large = copy(&turso, &folder).await.unwrap();
    turso.execute("orders", "DELETE FROM a; VACUUM");
    let small = copy(&turso, &folder).await.unwrap();
    assert!(small.bytes < large.bytes && small.frame > large.frame);
    assert_eq!(check::check(&folder.path().join("copy")).unwrap().user_version, 5);
}

#[tokio::test]
async fn nothing_written_is_seen_with_two_calls() {
    let turso = orders("CREATE TABLE a(x)");
    let (folder, at) = (TempDir::new().unwrap(), session(&turso).await);
    let copied = copy(&turso, &folder).await.unwrap();
    let unchanged = async || pages::is_unchanged(&turso, &at, copied.generation, copied.frame).await.unwrap();
    assert!(unchanged().await);
    turso.execute("orders", "INSERT INTO a VALUES (1)");
    assert!(!unchanged().await);
    turso.checkpoint("orders");
    assert!(!unchanged().await);
}

#[tokio::test]
async fn what_does_not_fit_is_refused_before_it_is_written() {
    let turso = orders("CREATE TABLE a(x); INSERT INTO a VALUES (zeroblob(1000000))");
    turso.checkpoint("orders");
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("copy");
    let error = pages::copy(&turso, &session(&turso).await, &path, 100_000, &Unstaged).await.unwrap_err();
    assert_eq!(error.code(), "DatabaseTooLarge");
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
}

#[rstest]
#[case::refused("sync")]
#[case::refused_base("export")]
#[tokio::test]
async fn an_error_is_no_end(#[case] call: &'static str) {
    let turso = orders("CREATE TABLE a(x)");
    turso.checkpoint("orders");
    turso.execute("orders", "INSERT INTO a VALUES (1)");
    let folder = TempDir::new().unwrap();
    turso.refuse_next(call, Error::permanent("TursoRequestInvalid", "cannot: Turso answers 400"));
    assert_eq!(copy(&turso, &folder).await.unwrap_err().code(), "TursoRequestInvalid");
}

#[tokio::test]
async fn a_base_that_was_cut_short_is_seen_wherever_it_was_cut() {
    let turso = orders("CREATE TABLE a(x); INSERT INTO a VALUES (zeroblob(20000))");
    turso.checkpoint("orders");
    let folder = TempDir::new().unwrap();
    for bytes in [0, 1, 50, 100, 4095, 4096, 8192, 20_000] {
        turso.cut_next("export", bytes);
        let code = copy(&turso, &folder).await.unwrap_err().code().to_owned();
        assert!(["PageExportMalformed", "PageExportUnavailable"].contains(&code.as_str()), "{bytes}: {code}");
    }
    copy(&turso, &folder).await.unwrap();
}

#[tokio::test]
async fn frames_that_were_cut_within_one_are_seen() {
    let turso = orders("CREATE TABLE a(x); INSERT INTO a VALUES (zeroblob(20000))");
    let folder = TempDir::new().unwrap();
    for bytes in [1, FRAME_BYTES - 1, FRAME_BYTES + 7] {
        turso.cut_next("sync", bytes);
        assert_eq!(copy(&turso, &folder).await.unwrap_err().code(), "PageExportMalformed", "{bytes}");
    }
}

/// Hands over what a test says, call by call.
struct Script {
    generation: u64,
    base: Bytes,
    answers: RefCell<Vec<Frames>>,
    inner: FakeTurso,
}

impl Turso for Script {
    async fn organization(&self) -> Result<turso::Organization> {
        self.inner.organization().await
    }
    async fn databases(&self) -> Result<Vec<turso::Database>> {
        self.inner.databases().await
    }
    async fn database(&self, name: &str) -> Result<Option<turso::Database>> {
        self.inner.database(name).await
    }
    async fn configuration(&self, name: &str) -> Result<turso::Configuration> {
        self.inner.configuration(name).await
    }
    async fn token(&self, name: &str, access: Access, lifetime: Duration) -> Result<SecretString> {
        self.inner.token(name, access, lifetime).await
    }
    async fn branch(&self, new: &turso::NewBranch) -> Result<()> {
        self.inner.branch(new).await
    }
    async fn block_writes(&self, name: &str) -> Result<()> {
        self.inner.block_writes(name).await
    }
    async fn create_for_upload(&self, name: &str, group: &str) -> Result<turso::Database> {
        self.inner.create_for_upload(name, group).await
    }
    async fn delete(&self, name: &str) -> Result<()> {
        self.inner.delete(name).await
    }
    async fn generation(&self, _at: &Session) -> Result<u64> {
        Ok(self.generation)
    }
    async fn export(&self, _at: &Session, _generation: u64, _from: u64) -> Result<turso::Body> {
        Ok(Box::pin(futures::stream::iter([Ok(self.base.clone())])))
    }
    async fn frames(&self, _at: &Session, _generation: u64, _first: u64) -> Result<Frames> {
        Ok(self.answers.borrow_mut().remove(0))
    }
    async fn cursor(&self, at: &Session, request: &serde_json::Value) -> Result<turso::Body> {
        self.inner.cursor(at, request).await
    }
    async fn upload(&self, at: &Session, file: &Path) -> Result<()> {
        self.inner.upload(at, file).await
    }
}

fn base() -> Bytes {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("base");
    let file = rusqlite::Connection::open(&path).unwrap();
    file.execute_batch("PRAGMA page_size = 4096; CREATE TABLE a(x)").unwrap();
    drop(file);
    std::fs::read(&path).unwrap().into()
}

fn frame(page: u32, size_after: u32, of: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; FRAME_BYTES];
    frame[..4].copy_from_slice(&page.to_be_bytes());
    frame[4..8].copy_from_slice(&size_after.to_be_bytes());
    frame[24..24 + of.len()].copy_from_slice(of);
    frame
}

async fn scripted(answers: Vec<Frames>) -> Result<(Copied, Vec<u8>)> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("copy");
    let inner = FakeTurso::default().connect(SecretString::from(FakeTurso::TOKEN));
    let script = Script { generation: 7, base: base(), answers: RefCell::new(answers), inner };
    let at = Session { hostname: "x".to_owned(), token: SecretString::from("t"), encryption_key: None };
    let copied = whole(pages::copy(&script, &at, &path, ROOM, &Unstaged).await)?;
    Ok((copied, std::fs::read(&path).unwrap()))
}

fn end(generation: u64, max_frame_no: u64) -> Frames {
    Frames::End { generation, max_frame_no }
}

#[tokio::test]
async fn what_was_not_committed_is_left_out() {
    let second = vec![9; 4096];
    let open = Frames::Some(frame(2, 0, &second).into());
    let (copied, bytes) = scripted(vec![open, end(7, 1)]).await.unwrap();
    assert_eq!((copied.frame, bytes), (1, base().to_vec()));
}

#[tokio::test]
async fn a_transaction_may_come_in_several_answers() {
    let (head, second) = (base()[..4096].to_vec(), vec![9; 4096]);
    let (one, two) = (frame(2, 0, &second), frame(1, 2, &head));
    let (_, split) =
        scripted(vec![Frames::Some(one.clone().into()), Frames::Some(two.clone().into()), end(7, 2)])
            .await
            .unwrap();
    let (_, at_once) = scripted(vec![Frames::Some([one, two].concat().into()), end(7, 2)]).await.unwrap();
    assert_eq!((&split, split[4096]), (&at_once, 9));
}

#[tokio::test]
async fn the_next_generation_begins_at_its_first_frame() {
    let page = vec![8; 4096];
    let commit = Frames::Some(frame(2, 2, &page).into());
    let open = Frames::Some(frame(2, 0, &[7; 4096]).into());
    let (copied, bytes) = scripted(vec![commit, open, end(8, 0), end(8, 0)]).await.unwrap();
    assert_eq!((copied.generation, copied.frame, bytes[4096]), (8, 0, 8));
}

#[rstest]
#[case::generation_went_back(vec![end(6, 0)], "PageExportContradictory")]
#[case::more_than_was_given(vec![end(7, 5)], "PageExportContradictory")]
#[case::generation_far_ahead(vec![end(1_000_000_000, 0)], "PageExportContradictory")]
#[case::nothing(vec![Frames::Some(Bytes::new())], "PageExportMalformed")]
#[case::half_a_frame(vec![Frames::Some(vec![1; 100].into())], "PageExportMalformed")]
#[case::page_0(vec![Frames::Some(frame(0, 1, &[]).into())], "PageExportMalformed")]
#[case::page_far_out(vec![Frames::Some(frame(u32::MAX, 1, &[]).into())], "DatabaseTooLarge")]
#[case::pages_that_never_came(vec![Frames::Some(frame(2, 500, &[]).into())], "PageExportMalformed")]
#[case::no_sqlite_any_more(vec![Frames::Some(frame(1, 2, &[]).into()), end(7, 1)], "NotSqlite")]
#[tokio::test]
async fn answers_that_cannot_be_true_are_errors(#[case] answers: Vec<Frames>, #[case] code: &str) {
    assert_eq!(scripted(answers).await.unwrap_err().code(), code);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever comes as frames: a copy, or an error, and never a panic or a file that grows without end.
    #[test]
    fn no_frames_panic(frames in prop::collection::vec((0_u32..400_000, 0_u32..6, any::<u8>()), 1..20)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let some = frames.iter().flat_map(|(page, size, fill)| frame(*page, *size, &[*fill; 4096])).collect::<Vec<_>>();
        _ = runtime.block_on(scripted(vec![Frames::Some(some.into()), end(7, 0)]));
    }
}
