//! The organization over HTTP: the Platform API and real databases, spoken to as in production.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::{path::Path, sync::Arc, time::Duration};

use common::{HARD, content};
use futures::StreamExt;
use jiff::Timestamp;
use local_turso::{Alone, CallFilter, Effect, Fault, LocalTurso, Options, Plan, Processes, Speed, Trouble};
use reconcile::{Result, Settings};
use rstest::rstest;
use secrecy::SecretString;
use serde_json::json;
use tempfile::TempDir;
use toolbox::{Guard, Set, Silent};
use turso::{
    Access, Connect, HttpConnector, HttpTurso, NewBranch, Session, Token, Turso, Unstaged, check, cursor,
    pages::{self, Progress},
};

const ROOM: u64 = 1 << 30;

struct Watched(Guard);

impl Processes for Watched {
    fn adopt(&self, process_group: u32) {
        self.0.adopt(process_group);
    }
    fn release(&self, process_group: u32) {
        self.0.release(process_group);
    }
}

struct World {
    local: LocalTurso,
    turso: HttpTurso,
    folder: TempDir,
}

impl World {
    async fn start() -> Self {
        let tools = toolbox::install(Set::Cloud, &Silent).await.unwrap();
        let folder = TempDir::new().unwrap();
        let guard = Guard::start(&tools.python).unwrap();
        guard.adopt_folder(folder.path());
        let options = Options {
            data: folder.path().join("turso"),
            sqld: tools.sqld,
            speed: Speed::instant(),
            processes: Arc::new(Watched(guard)),
            outside: Arc::new(Alone),
            organization: "acme".to_owned(),
            port: 0,
        };
        let local = LocalTurso::start(options).await.unwrap();
        let turso = connect(&local, &local.tokens().full_access);
        Self { local, turso, folder }
    }

    /// A database that was uploaded with everything that a lesser copy loses.
    async fn uploaded(&self, name: &str) -> Session {
        let path = self.folder.path().join(format!("{name}-source"));
        let file = rusqlite::Connection::open(&path).unwrap();
        file.execute_batch(&HARD.join(";")).unwrap();
        drop(file);
        check::prepare_for_upload(&path).unwrap();
        let made = self.turso.create_for_upload(name, "default").await.unwrap();
        assert_eq!((made.name.as_str(), made.group.as_str()), (name, "default"));
        let session = self.session(name, Access::Full).await;
        self.turso.upload(&session, &path).await.unwrap();
        session
    }

    async fn session(&self, name: &str, access: Access) -> Session {
        let database = self.turso.database(name).await.unwrap().unwrap();
        let token = self.turso.token(name, access, Duration::from_hours(1)).await.unwrap();
        Session { hostname: database.hostname, token, encryption_key: None }
    }

    async fn execute(&self, at: &Session, sql: &str) {
        let text = self.answer(at, sql).await;
        assert!(text.contains("step_end"), "{sql}: {text}");
    }

    /// What a database answers to a statement.
    async fn answer(&self, at: &Session, sql: &str) -> String {
        let request = json!({"baton": null, "batch": {"steps": [{"stmt": {"sql": sql}}]}});
        let mut body = self.turso.cursor(at, &request).await.unwrap();
        let mut text = Vec::new();
        while let Some(piece) = body.next().await {
            text.extend_from_slice(&piece.unwrap());
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }
}

fn connect(local: &LocalTurso, token: &str) -> HttpTurso {
    let settings = Settings::new([
        ("TIDEMARK_TURSO_API".to_owned(), local.endpoint()),
        ("AWS_SDK_UA_APP_ID".to_owned(), "tidemark-backup-turso".to_owned()),
    ]);
    let connector = HttpConnector::new(&settings, "acme").unwrap();
    connector.with_first_pause(Duration::from_millis(5)).connect(SecretString::from(token))
}

fn same(one: &Path, other: &Path) {
    let (one, other) = (content(one), content(other));
    for (what, rows) in &one {
        assert_eq!(Some(rows), other.get(what), "{what}");
    }
    assert_eq!(one.len(), other.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ways_copy_every_value_of_an_uploaded_database() {
    let world = World::start().await;
    world.uploaded("orders").await;
    let read = world.session("orders", Access::ReadOnly).await;
    let (by_pages, by_rows) = (world.path("pages"), world.path("rows"));
    pages::copy(&world.turso, &read, &by_pages, ROOM, &Unstaged).await.unwrap();
    cursor::copy(&world.turso, &read, &by_rows, ROOM).await.unwrap();
    assert_eq!(check::check(&by_pages).unwrap().schema_sha256, check::check(&by_rows).unwrap().schema_sha256);
    same(&world.path("orders-source"), &by_pages);
    same(&by_pages, &by_rows);
    // Up again, and down: a copy of the copy is the same.
    check::prepare_for_upload(&by_pages).unwrap();
    world.turso.create_for_upload("again", "default").await.unwrap();
    world.turso.upload(&world.session("again", Access::Full).await, &by_pages).await.unwrap();
    let again = world.session("again", Access::ReadOnly).await;
    pages::copy(&world.turso, &again, &world.path("again"), ROOM, &Unstaged).await.unwrap();
    same(&by_pages, &world.path("again"));
    world.local.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_beside_a_writer_is_of_one_instant() {
    let world = World::start().await;
    let at = world.uploaded("orders").await;
    world.execute(&at, "CREATE TABLE a(n)").await;
    world.execute(&at, "CREATE TABLE b(n)").await;
    world.execute(&at, "CREATE TRIGGER t AFTER INSERT ON a BEGIN INSERT INTO b VALUES (new.n); END").await;
    let path = world.path("copy");
    let writer = async {
        for n in 0_u64.. {
            world.execute(&at, "INSERT INTO a VALUES (zeroblob(9000))").await;
            if n % 20 == 19 {
                world.local.checkpoint("orders").await.unwrap();
            }
        }
    };
    let reader = async {
        let mut seen: Vec<u64> = Vec::new();
        while seen.len() < 5 {
            match pages::copy(&world.turso, &at, &path, ROOM, &Unstaged).await {
                Ok(_) => {}
                Err(error) if error.kind() == reconcile::Kind::Retryable => continue,
                Err(error) => panic!("{}", error.report()),
            }
            let rows = check::check(&path).unwrap().rows;
            assert_eq!(rows["a"], rows["b"]);
            // What was there when it began is in it: it never goes back.
            assert!(seen.last().is_none_or(|last| *last <= rows["a"]));
            if seen.last() != Some(&rows["a"]) {
                seen.push(rows["a"]);
            }
        }
    };
    tokio::select! { () = writer => {}, () = reader => {} }
    world.local.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_platform_answers_as_our_types_say() {
    let world = World::start().await;
    world.local.set_plan(Plan::named("scaler").unwrap());
    let organization = world.turso.organization().await.unwrap();
    assert_eq!((organization.slug.as_str(), organization.pitr_window().as_hours()), ("acme", 720));
    let at = world.uploaded("orders").await;
    for name in ["b", "c", "d"] {
        world.turso.create_for_upload(name, "default").await.unwrap();
    }
    world.local.set_page_size(Some(1));
    let all = world.turso.databases().await.unwrap();
    assert_eq!(all.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["b", "c", "d", "orders"]);
    world.local.archive_now("orders").await.unwrap();
    let new = NewBranch {
        name: "tidemark-orders-20261122t0300z-abcdef".to_owned(),
        group: "default".to_owned(),
        of: "orders".to_owned(),
        at: Timestamp::now(),
    };
    world.turso.branch(&new).await.unwrap();
    assert_eq!(world.turso.branch(&new).await.unwrap_err().code(), "TursoConflict");
    let branch = world.turso.database(&new.name).await.unwrap().unwrap();
    let orders = world.turso.database("orders").await.unwrap().unwrap();
    assert_eq!(branch.parent.unwrap().id, orders.id);
    world.turso.delete(&new.name).await.unwrap();
    world.turso.delete(&new.name).await.unwrap();
    assert_eq!(world.turso.database(&new.name).await.unwrap(), None);
    world.turso.configuration("orders").await.unwrap();
    // Nothing written since is asked for with two calls.
    let copied = pages::copy(&world.turso, &at, &world.path("copy"), ROOM, &Unstaged).await.unwrap();
    let Progress::Whole(copied) = copied else { panic!("{copied:?}") };
    assert!(pages::is_unchanged(&world.turso, &at, copied.generation, copied.frame).await.unwrap());
    world.execute(&at, "INSERT INTO empty VALUES (1)").await;
    assert!(!pages::is_unchanged(&world.turso, &at, copied.generation, copied.frame).await.unwrap());
    let agents = world.local.calls();
    assert!(!agents.is_empty());
    world.local.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_branch_that_is_closed_to_writes_is_read_and_branched_as_before() {
    let world = World::start().await;
    world.uploaded("orders").await;
    let branch = async |of: &str, name: &str| {
        world.local.archive_now(of).await.unwrap();
        let (name, group, of) = (name.to_owned(), "default".to_owned(), of.to_owned());
        world.turso.branch(&NewBranch { name, group, of, at: Timestamp::now() }).await.unwrap();
    };
    branch("orders", "closed").await;
    world.turso.block_writes("closed").await.unwrap();
    world.turso.block_writes("closed").await.unwrap();
    assert!(world.turso.database("closed").await.unwrap().unwrap().block_writes);
    assert!(!world.turso.database("orders").await.unwrap().unwrap().block_writes);
    let refused = world.answer(&world.session("closed", Access::Full).await, "CREATE TABLE x(y)").await;
    assert!(refused.contains("error") && refused.contains("block"), "{refused}");
    // By whoever reads it, by either way of copying, and as the source of another.
    branch("closed", "again").await;
    for name in ["closed", "again"] {
        let read = world.session(name, Access::ReadOnly).await;
        let (by_pages, by_rows) = (world.path("by-pages"), world.path("by-rows"));
        pages::copy(&world.turso, &read, &by_pages, ROOM, &Unstaged).await.unwrap();
        cursor::copy(&world.turso, &read, &by_rows, ROOM).await.unwrap();
        same(&world.path("orders-source"), &by_pages);
        std::fs::remove_file(by_pages).unwrap();
        std::fs::remove_file(by_rows).unwrap();
    }
    world.execute(&world.session("again", Access::Full).await, "CREATE TABLE x(y)").await;
    assert_eq!(world.turso.block_writes("nobody").await.unwrap_err().code(), "TursoNotFound");
    let read_only = connect(&world.local, &world.local.tokens().read_only);
    assert_eq!(read_only.block_writes("again").await.unwrap_err().code(), "TursoForbidden");
    world.local.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_passes_is_tried_again_and_what_does_not_is_said_without_the_token() {
    let world = World::start().await;
    let fault =
        |status, times| Fault { calls: CallFilter::default(), nth: 1, times, effect: Effect::error(status) };
    for status in [429, 500, 503] {
        world.local.inject(fault(status, 2));
        assert_eq!(world.turso.databases().await.unwrap().len(), 0, "{status}");
        world.local.clear_faults(None);
    }
    world.local.inject(fault(503, u32::MAX));
    assert_eq!(world.turso.databases().await.unwrap_err().code(), "TursoUnavailable");
    world.local.clear_faults(None);
    let tokens = world.local.tokens();
    for (token, code) in [(&tokens.expired, "TursoUnauthorized"), (&tokens.revoked, "TursoUnauthorized")] {
        let error = connect(&world.local, token).databases().await.unwrap_err();
        assert_eq!(error.code(), code);
        assert!(!error.report().contains(token.as_str()) && !format!("{error:?}").contains(token.as_str()));
    }
    let error = connect(&world.local, &tokens.read_only).create_for_upload("x", "default").await.unwrap_err();
    assert_eq!(error.code(), "TursoForbidden");
    world.local.stop().await;
}

#[rstest]
#[case::no_pages(Trouble::NoPageExport, "PageExportUnavailable")]
#[case::empty_or_broken(Trouble::SyncFails { status: 500, from_frame: 1 }, "PageExportUnavailable")]
#[case::breaks_later(Trouble::SyncFails { status: 500, from_frame: 200 }, "TursoUnavailable")]
#[case::plain_400(Trouble::SyncFails { status: 400, from_frame: 1 }, "TursoRequestInvalid")]
#[case::plain_400_later(Trouble::SyncFails { status: 400, from_frame: 200 }, "TursoRequestInvalid")]
#[case::cut_cleanly(Trouble::ExportCut { after_bytes: 8192, clean: true }, "PageExportMalformed")]
#[case::cut(Trouble::ExportCut { after_bytes: 8192, clean: false }, "TursoConnectionLost")]
#[case::torn(Trouble::FrameTorn, "PageExportMalformed")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_wrong_end_of_pages_passes_for_the_end(#[case] trouble: Trouble, #[case] code: &str) {
    let world = World::start().await;
    let at = world.uploaded("orders").await;
    world.local.checkpoint("orders").await.unwrap();
    // More than one answer of frames.
    world.execute(&at, "INSERT INTO empty VALUES (zeroblob(1000000))").await;
    world.local.trouble("orders", trouble).unwrap();
    let error = pages::copy(&world.turso, &at, &world.path("copy"), ROOM, &Unstaged).await.unwrap_err();
    assert_eq!(error.code(), code, "{}", error.report());
    world.local.stop().await;
}

#[rstest]
#[case::as_documented(None)]
#[case::with_ranges(Some(Trouble::KnowsRanges))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_comes_from_any_byte_on(#[case] ranges: Option<Trouble>) {
    let world = World::start().await;
    let at = world.uploaded("orders").await;
    world.execute(&at, "INSERT INTO empty VALUES (zeroblob(300000))").await;
    world.local.checkpoint("orders").await.unwrap();
    if let Some(ranges) = ranges {
        world.local.trouble("orders", ranges).unwrap();
    }
    let generation = world.turso.generation(&at).await.unwrap();
    let from = async |byte: u64| {
        let mut body = world.turso.export(&at, generation, byte).await?;
        let mut bytes = Vec::new();
        while let Some(piece) = body.next().await {
            bytes.extend_from_slice(&piece?);
        }
        Ok::<_, reconcile::Error>(bytes)
    };
    let whole = from(0).await.unwrap();
    for byte in [1, 4096, 100_001, whole.len() as u64 - 1] {
        assert!(from(byte).await.unwrap() == whole[usize::try_from(byte).unwrap()..], "{byte}");
    }
    let beyond = from(whole.len() as u64).await;
    assert!(
        beyond.as_ref().map_or_else(|error| error.code() == "TursoRequestInvalid", Vec::is_empty),
        "{beyond:?}"
    );
    world.local.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_cut_of_rows_passes_for_the_end() {
    let world = World::start().await;
    let at = world.uploaded("orders").await;
    let copy = async || -> Result<u64> { cursor::copy(&world.turso, &at, &world.path("copy"), ROOM).await };
    copy().await.unwrap();
    for clean in [true, false] {
        for after_lines in [0, 1, 2, 5, 9] {
            world.local.trouble("orders", Trouble::CursorCut { after_lines, clean }).unwrap();
            let code = copy().await.unwrap_err().code().to_owned();
            let allowed =
                if clean { ["CursorCutShort"; 2] } else { ["TursoConnectionLost", "TursoNotReached"] };
            assert!(allowed.contains(&code.as_str()), "{after_lines} {clean}: {code}");
            world.local.clear_troubles("orders").unwrap();
        }
    }
    copy().await.unwrap();
    world.local.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encrypted_database_needs_its_key() {
    let world = World::start().await;
    let at = world.uploaded("orders").await;
    world.local.require_encryption_key("orders", Some("a2V5")).unwrap();
    let error = pages::copy(&world.turso, &at, &world.path("copy"), ROOM, &Unstaged).await.unwrap_err();
    assert!(!error.report().contains("a2V5"), "{}", error.report());
    let at = Session { encryption_key: Some(SecretString::from("a2V5")), ..at };
    pages::copy(&world.turso, &at, &world.path("copy"), ROOM, &Unstaged).await.unwrap();
    world.local.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_tells_its_end_and_what_it_reaches() {
    let world = World::start().await;
    assert_eq!(world.turso.expires().await.unwrap(), None);
    assert_eq!(world.turso.reach(3).await.unwrap(), [""; 0]);
    world.local.set_other_organizations(&["private", "work", "more", "most"]);
    assert_eq!(world.turso.reach(3).await.unwrap(), ["private", "work", "more"]);
    let tokens = world.local.tokens();
    let pinned = connect(&world.local, &tokens.read_only);
    assert_eq!(pinned.reach(3).await.unwrap(), [""; 0], "it is shown its own alone");
    let end = Timestamp::from_second(Timestamp::now().as_second() + 86_400).unwrap();
    world.local.expire_token(&tokens.full_access, Some(end));
    assert_eq!(world.turso.expires().await.unwrap(), Some(end));
    let expired = connect(&world.local, &tokens.expired);
    assert_eq!(expired.expires().await.unwrap_err().code(), "TursoUnauthorized");
    world.local.stop().await;
}
