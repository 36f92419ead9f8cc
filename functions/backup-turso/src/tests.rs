//! The function over an organization and vaults in memory: one pass after another, with the world moving in between.

mod adversity;
mod branches;
mod evidence;
mod large;
mod left_over;
mod open;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    time::Duration,
};

use domain::{Finding, Findings, PlanDocument, ResourceId, Slot};
use jiff::{SignedDuration, Timestamp};
use reconcile::{Budget, Deadline, Error, Kind, Result, Summary, Wake, run};
use rstest::rstest;
use secrecy::SecretString;
use secrets::PlainSecrets;
use state::FakeDocuments;
use tempfile::TempDir;
use turso::{Current, FakeTurso, Keys, check, compress::Unpacker};
use vault::{FakeLedger, FakeStore, MANIFEST, Manifest, Replication};

use crate::{BackupTurso, Pace, Turn, take::OBJECT};

const HOME: &str = "us-east-1";
const AWAY: &str = "us-west-2";
const ONE: &str = r#"{"plans": {"default": {"turso": {"databases": ["production/*"]}}}}"#;

thread_local! {
    static NOW: Cell<Timestamp> = const { Cell::new(Timestamp::UNIX_EPOCH) };
}

fn clock() -> Timestamp {
    NOW.get()
}

/// The secret's text.
#[derive(Clone, Debug)]
struct Secret(String);

impl PlainSecrets for Secret {
    async fn text(&self, _secret: &str) -> Result<SecretString> {
        Ok(SecretString::from(self.0.as_str()))
    }
}

type Function = BackupTurso<FakeTurso, Secret, FakeStore, FakeLedger, FakeDocuments, PlanDocument>;

/// A deployment over an organization in memory.
struct World {
    turso: FakeTurso,
    home: FakeStore,
    away: FakeStore,
    state: FakeStore,
    turn: Turn,
    part_bytes: u64,
    ledger: FakeLedger,
    plans: &'static str,
    organization: bool,
    secret: Secret,
}

fn database(turso: &FakeTurso, name: &str) {
    turso.put(
        FakeTurso::listed(name, &format!("id-of-{name}"), "production"),
        "CREATE TABLE rows(id INTEGER PRIMARY KEY, x); INSERT INTO rows(x) VALUES ('first'), (zeroblob(50000))",
    );
}

impl World {
    fn new(names: &[&str]) -> Self {
        let home = FakeStore::new(HOME, "vault-home");
        let world = Self {
            turso: FakeTurso::default(),
            away: home.beside(AWAY, "vault-away"),
            state: home.beside(HOME, "state"),
            turn: Turn { time: SignedDuration::from_mins(2), staged_from: u64::MAX },
            part_bytes: 100,
            home,
            ledger: FakeLedger::default(),
            plans: ONE,
            organization: true,
            secret: Secret(FakeTurso::TOKEN.to_owned()),
        };
        world.home.replicate_to(&world.away, Replication::On);
        world.home.set_least_part_bytes(1);
        world.set_now("2026-11-22T03:00:10Z");
        for name in names {
            database(&world.turso, name);
        }
        world
    }

    fn set_now(&self, now: &str) {
        self.moved_to(now.parse().unwrap());
    }

    fn moved_to(&self, now: Timestamp) {
        NOW.set(now);
        self.home.set_now(now);
    }

    fn later(&self, minutes: i64) {
        self.later_by(SignedDuration::from_mins(minutes));
    }

    fn later_by(&self, time: SignedDuration) {
        self.moved_to(NOW.get().checked_add(time).unwrap());
    }

    fn function(&self, folder: &TempDir) -> Function {
        BackupTurso {
            organization: self.organization.then(|| (self.turso.clone(), "tidemark/turso".to_owned())),
            secrets: self.secret.clone(),
            home: self.home.clone(),
            recovery: self.away.clone(),
            ledger: self.ledger.clone(),
            documents: self.ledger.documents.clone(),
            staging: self.state.clone(),
            plans: PlanDocument::parse(self.plans).unwrap(),
            pace: Pace {
                lease: SignedDuration::from_mins(4),
                turn: self.turn,
                ..Pace::new(folder.path(), self.part_bytes, clock)
            },
            account: RefCell::default(),
        }
    }

    async fn try_tick(&self) -> Result<Summary> {
        let folder = TempDir::new().unwrap();
        let deadline = Deadline::after(Duration::from_mins(5));
        let journal = self.ledger.journal();
        run(&self.function(&folder), &journal, Wake::Tick, NOW.get(), deadline, Budget::default()).await
    }

    async fn tick(&self) -> Summary {
        self.try_tick().await.unwrap()
    }

    /// Ticks until nothing is unfinished.
    async fn settle(&self) -> Summary {
        for _ in 0..30 {
            let summary = self.tick().await;
            if summary.unfinished == 0 {
                return summary;
            }
            self.later(5);
        }
        panic!("still unfinished after 30 ticks");
    }

    fn actions(summary: &Summary) -> Vec<&'static str> {
        summary.acted.iter().map(|acted| acted.action).collect()
    }

    fn manifests(&self, store: &FakeStore) -> Vec<Manifest> {
        let objects = store.objects();
        let manifests = objects.iter().filter(|(key, _)| key.ends_with(MANIFEST));
        manifests.map(|(key, body)| Manifest::parse(key, body).unwrap()).collect()
    }

    fn board(&self) -> Vec<Finding> {
        let text = self.ledger.documents.text("findings/backup-turso.json").unwrap();
        serde_json::from_str::<Findings>(&text).unwrap().findings
    }

    fn ledger_kinds(&self) -> Vec<String> {
        self.ledger.entries().keys().map(|key| key.as_str().rsplit('/').next().unwrap().to_owned()).collect()
    }

    /// Opens what a manifest speaks of, and counts its rows.
    fn rows(&self, store: &FakeStore, manifest: &Manifest) -> u64 {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("restored");
        let prefix = vault::point_prefix(&manifest.resource, manifest.slot, &manifest.id);
        let mut unpacker = Unpacker::new(std::fs::File::create(&path).unwrap()).unwrap();
        unpacker.add(&store.objects()[&format!("{prefix}{OBJECT}")]).unwrap();
        let plain = unpacker.finish().unwrap();
        assert_eq!(manifest.content["plain_sha256"], plain.sha256);
        check::check(&path).unwrap().rows["rows"]
    }
}

#[tokio::test]
async fn a_slot_from_pages_to_both_vaults_to_ledger() {
    let world = World::new(&["orders"]);
    world.turso.put(FakeTurso::listed("scratch", "id-2", "staging"), "CREATE TABLE a(x)");
    let first = world.tick().await;
    assert_eq!(World::actions(&first), ["take-copy"]);
    let second = world.tick().await;
    assert_eq!((World::actions(&second), second.unfinished), (vec!["record"], 0));
    assert_eq!(world.ledger_kinds(), ["recovery-point-completed", "copy-completed"]);
    let rest = world.tick().await;
    assert_eq!((World::actions(&rest), rest.unfinished), (vec![], 0));

    let [manifest] = world.manifests(&world.home).try_into().unwrap();
    assert_eq!(world.rows(&world.away, &manifest), 2);
    assert_eq!((manifest.method.as_str(), manifest.incarnation.as_str()), ("page-export", "id-of-orders"));
    assert!(manifest.objects[0].sha256.len() > 1, "in several parts");
    let entry = world.ledger.entries().into_values().next().unwrap();
    assert_eq!((&entry["slot"], &entry["plan"]), (&"2026-11-22T03:00:00Z".into(), &"default".into()));
    assert_eq!(entry["bytes"], manifest.objects[0].bytes);
    let text: String =
        world.home.objects().values().map(|body| String::from_utf8_lossy(body).into_owned()).collect();
    assert!(!text.contains(FakeTurso::TOKEN) && !text.contains("-for-id-of"), "no token is in the vault");
}

#[tokio::test]
async fn where_pages_are_not_offered_rows_are_read() {
    let world = World::new(&["orders"]);
    world.turso.change("orders", |database| database.has_pages = false);
    world.settle().await;
    let [manifest] = world.manifests(&world.home).try_into().unwrap();
    assert_eq!((manifest.method.as_str(), world.rows(&world.home, &manifest)), ("cursor", 2));
}

#[tokio::test]
async fn what_did_not_change_is_not_copied_again_until_the_next_day() {
    let world = World::new(&["orders"]);
    world.settle().await;
    world.set_now("2026-11-22T04:00:10Z");
    assert_eq!(World::actions(&world.tick().await), ["take-copy"], "it asks");
    assert_eq!(world.manifests(&world.home).len(), 1, "and copies nothing");
    assert_eq!(World::actions(&world.tick().await), Vec::<&str>::new(), "and remembers the answer");
    let current = Current::read(&world.ledger.documents).await.unwrap();
    assert_eq!(current.databases["orders"].current_as_of, NOW.get());

    world.set_now("2026-11-22T05:00:10Z");
    world.turso.execute("orders", "INSERT INTO rows(x) VALUES ('new')");
    world.settle().await;
    let manifests = world.manifests(&world.home);
    assert_eq!((manifests.len(), world.rows(&world.home, &manifests[1])), (2, 3));

    world.set_now("2026-11-23T00:00:10Z");
    world.settle().await;
    assert_eq!(world.manifests(&world.home).len(), 3, "each day has its own");
}

#[tokio::test]
async fn a_database_made_anew_under_the_same_name_is_another() {
    let world = World::new(&["orders"]);
    world.settle().await;
    world.turso.put(FakeTurso::listed("orders", "id-new", "production"), "CREATE TABLE rows(id)");
    world.settle().await;
    let mut incarnations: Vec<String> =
        world.manifests(&world.home).into_iter().map(|manifest| manifest.incarnation).collect();
    incarnations.sort();
    assert_eq!(incarnations, ["id-new", "id-of-orders"]);
}

#[tokio::test]
async fn one_databases_trouble_stops_no_other() {
    let mut world = World::new(&["aaa", "orders", "zzz"]);
    world.plans = r#"{"plans": {"default": {"turso": {"databases": ["production/*", "prodution/x"]}},
        "other": {"turso": {"databases": ["*/zzz"]}}}}"#;
    world.turso.change("aaa", |database| database.listed.block_reads = true);
    let summary = world.tick().await;
    assert_eq!(World::actions(&summary), ["take-copy"]);
    assert_eq!(world.manifests(&world.home)[0].resource, ResourceId::turso("orders"));
    let found: Vec<String> =
        world.board().iter().map(|finding| format!("{} {}", finding.resource, finding.condition())).collect();
    assert_eq!(
        found,
        [
            "turso/aaa refused-ReadsBlocked",
            "turso/zzz refused-PlanAmbiguous",
            "tidemark/backup-turso pattern-matches-nothing"
        ]
    );
    insta::assert_json_snapshot!(world.board().iter().map(|finding| &finding.says).collect::<Vec<_>>());
}

#[tokio::test]
async fn without_an_organization_there_is_nothing_to_do_unless_a_plan_says_otherwise() {
    let mut world = World::new(&[]);
    world.organization = false;
    let mut summary = world.tick().await;
    assert_eq!(summary.take_error().unwrap().code(), "OrganizationNotConfigured");
    world.plans = r#"{"plans": {"default": {}}}"#;
    let summary = world.tick().await;
    assert_eq!((summary.failed.len(), summary.unfinished, summary.settled), (0, 0, 1));
}

#[tokio::test]
async fn a_token_that_is_not_valid_is_said_and_not_shown() {
    let mut world = World::new(&["orders"]);
    world.secret = Secret("hush-hush".to_owned());
    let error = world.try_tick().await.unwrap_err();
    assert_eq!((error.code(), error.kind()), ("TursoUnauthorized", Kind::Misconfigured));
    assert!(!error.report().contains("hush"));
}

#[tokio::test]
async fn the_key_of_an_encrypted_database_is_found_by_its_name() {
    let text = format!(r#"{{"token": "{}", "encryption_keys": {{"orders": "a2V5"}}}}"#, FakeTurso::TOKEN);
    assert!(Keys::parse("x", &SecretString::from(text.clone())).is_ok());
    let mut world = World::new(&["orders"]);
    world.secret = Secret(text);
    world.settle().await;
    let manifest = world.manifests(&world.home).remove(0);
    assert_eq!(manifest.source["is_encrypted"], true);
    assert!(!manifest.to_json().contains("a2V5"));
}

#[tokio::test]
async fn a_copy_that_replication_forgot_is_made_after_half_an_hour() {
    let world = World::new(&["orders"]);
    world.home.replicate_to(&world.away, Replication::Off);
    world.tick().await;
    assert_eq!(world.tick().await.waiting.len(), 1);
    world.later(31);
    assert!(World::actions(&world.tick().await).contains(&"copy-recovery-point"));
    assert_eq!(world.away.objects().len(), 2);
    world.tick().await;
    assert!(world.ledger_kinds().contains(&"copy-completed".to_owned()));
}

#[tokio::test]
async fn a_recovery_region_that_does_not_answer_stops_no_copy() {
    let world = World::new(&["orders"]);
    world.away.refuse_next("list", Error::retryable("ServiceUnavailable", "us-west-2 is down"));
    let mut summary = world.tick().await;
    assert_eq!(World::actions(&summary), ["take-copy"]);
    assert_eq!(summary.take_error().unwrap().code(), "ServiceUnavailable");
}

#[rstest]
#[case("a/b")]
#[case("..")]
#[case("a b")]
#[tokio::test]
async fn a_name_that_leads_elsewhere_is_refused(#[case] name: &str) {
    let mut world = World::new(&[]);
    world.plans = r#"{"plans": {"default": {"turso": {"databases": ["*/*"]}}}}"#;
    world.turso.put(FakeTurso::listed(name, "id", "production"), "");
    let mut summary = world.tick().await;
    assert_eq!(summary.take_error().unwrap().code(), "NameUnusable");
    assert!(world.home.objects().is_empty());
}

#[tokio::test]
async fn fifty_databases_that_rest_cost_lists_and_nothing_else() {
    let names: Vec<String> = (0..50).map(|number| format!("db-{number}")).collect();
    let world = World::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
    world.settle().await;
    let before = (world.turso.calls().len(), world.home.calls().len());
    world.tick().await;
    let after = (world.turso.calls().len(), world.home.calls().len());
    assert_eq!(
        (after.0 - before.0, after.1 - before.1),
        (1, 3),
        "one list of databases, three days of the vault"
    );
}

/// The end state that counts: what is in the vaults, and what the ledger says.
fn end_state(world: &World) -> (BTreeMap<String, u64>, Vec<String>) {
    let mut points = BTreeMap::new();
    for store in [&world.home, &world.away] {
        for manifest in world.manifests(store) {
            let slot: Slot = manifest.slot;
            points.insert(
                format!("{} {slot} {}", vault::Store::region(store), manifest.resource),
                world.rows(store, &manifest),
            );
        }
    }
    let ledger = world.ledger.entries().keys().map(ToString::to_string).collect();
    (points, ledger)
}
