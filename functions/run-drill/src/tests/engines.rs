//! What is particular to caches and to Turso.

use ::redis::{
    elasticache::{Cache, CacheKind, ClusterMode, FakeAccount as FakeCaches, FakeElastiCache},
    server::{FakeServers, FakeValue, Reply},
};
use ::turso::FakeTurso;
use domain::{
    DrillClass, RecoveryPointId,
    drill::{Choice, To, Way, history::Phases, history::Promised, history::Verdict},
    retention::Region,
};
use rstest::rstest;
use state::FakeDocuments;
use vault::{FakeStore, Manifest, point_prefix};

use super::*;
use crate::{
    CacheNetwork, CacheRegion, RedisDrills, TursoDrills,
    drill::{Drill, Heartbeats, Stage},
    engine::{Checked, Engine, Made, Staging, Turn},
    redis,
};

const NAME: &str = "tidemark-drill-shop-5e8963f35b";
const ID: &str = "drill-turso-shop-20261122t100000z-yzryht";

fn drill(resource: ResourceId, to: To, region: &str) -> Drill {
    let way = if matches!(to, To::Instant(_)) { Way::Instant } else { Way::Newest };
    Drill {
        id: ID.to_owned(),
        resource,
        plan: "default".to_owned(),
        by: "a person".to_owned(),
        choice: Choice { way, region: Region::Home, to },
        name: NAME.to_owned(),
        asked_at: at("2026-11-22T10:00:00Z"),
        expires: at("2026-11-23T10:00:00Z"),
        bytes: 1,
        staging: Staging { region: region.to_owned(), ..Staging::default() },
        objectives: Promised { rpo_ms: 1, rto_ms: 1 },
        set: None,
        instant: None,
        as_of: None,
        around: None,
        trouble: None,
        assertions: Vec::new(),
        heartbeats: Heartbeats::default(),
        known: Value::Null,
        stage: Stage::Checking,
        checked_since: None,
        point: None,
        is_refused: false,
        restore_id: None,
        phases: Phases::default(),
        checks: Value::Null,
        checked_ms: 0,
        judged: None,
    }
}

fn turn() -> Turn {
    Turn::new(at("2026-11-22T10:05:00Z"), Duration::from_mins(1))
}

fn failure(checked: &Checked) -> Option<(&str, &str)> {
    match checked {
        Checked::Over { verdict: Verdict::Failed { code, says }, .. } => Some((code, says)),
        Checked::Over { .. } => None,
        Checked::Further(_) => panic!("not over: {checked:?}"),
    }
}

// ---- Turso ----

#[derive(Clone)]
struct Token;

impl PlainSecrets for Token {
    async fn text(&self, _: &str) -> Result<secrecy::SecretString> {
        Ok(FakeTurso::TOKEN.to_owned().into())
    }
}

struct Shop {
    turso: FakeTurso,
    vault: FakeStore,
    documents: FakeDocuments,
}

impl Shop {
    fn new() -> Self {
        let (turso, documents) = (FakeTurso::default(), FakeDocuments::default());
        Self { turso, vault: FakeStore::new(HOME, "vault"), documents }
    }

    fn drills(&self) -> TursoDrills<FakeTurso, Token, FakeStore, FakeDocuments> {
        TursoDrills {
            connect: self.turso.clone(),
            secrets: Token,
            secret: "tidemark/turso".to_owned(),
            vault: self.vault.clone(),
            recovery_vault: self.vault.beside(AWAY, "vault-away"),
            documents: self.documents.clone(),
            heartbeat_secret: None,
        }
    }

    /// What restore-database writes down of what it makes.
    fn order(&self, stage: &Value) {
        let order = json!({
            "id": "restore-1", "resource": "turso/shop", "requested_at": "2026-11-22T10:00:00Z", "region": "turso", "to": "latest",
            "name": NAME, "drill": {"id": ID, "expires": "2026-11-23T10:00:00Z"}, "work": {"group": "production", "stage": stage},
        });
        self.documents.put(&format!("restores/turso/{NAME}.json"), &order.to_string());
    }

    fn put(&self, sql: &str) {
        self.turso.put(FakeTurso::listed(NAME, "id-made", "production"), sql);
    }

    /// The recovery point with so many orders.
    fn manifest(&self, rows: u64) -> RecoveryPointId {
        self.manifest_of("2026-11-22T09:00:00Z", &json!({"orders": rows}))
    }

    /// The recovery point of that slot, with these tables.
    fn manifest_of(&self, slot: &str, rows: &Value) -> RecoveryPointId {
        let slot = Slot::at(at(slot));
        let id = RecoveryPointId::new("shop", "id-shop", slot, 1);
        let resource = ResourceId::turso("shop");
        let manifest = Manifest {
            version: 1,
            id: id.clone(),
            resource: resource.clone(),
            incarnation: "id-shop".to_owned(),
            slot,
            plan: "default".to_owned(),
            method: "page-export".to_owned(),
            taken_at: slot.instant(),
            restorable_to: None,
            verified_at: slot.instant(),
            objects: Vec::new(),
            source: Map::new(),
            content: json!({"rows": rows}).as_object().cloned().unwrap(),
        };
        self.vault.put(&format!("{}manifest.json", point_prefix(&resource, slot, &id)), manifest.to_json());
        id
    }
}

const ORDERS: &str = "CREATE TABLE orders (id INTEGER PRIMARY KEY, product TEXT); INSERT INTO orders (product) VALUES ('a'), ('b'), ('c');";

#[tokio::test]
async fn a_turso_database_is_what_its_manifest_says() {
    let shop = Shop::new();
    shop.put(ORDERS);
    for (rows, fails) in [(3, false), (4, true)] {
        let mut drill = drill(ResourceId::turso("shop"), To::Point(shop.manifest(rows)), "turso");
        drill.assertions =
            vec![json!({"name": "some", "sql": "SELECT count(*) FROM orders;", "expect": {"at_least": 3}})];
        let checked = shop.drills().check(&drill, turn()).await.unwrap();
        assert_eq!(failure(&checked).is_some(), fails, "{checked:?}");
        shop.vault.remove(&format!(
            "{}manifest.json",
            point_prefix(&drill.resource, Slot::at(at("2026-11-22T09:00:00Z")), &shop.manifest(rows))
        ));
    }
}

#[rstest]
#[case(json!({"name": "x", "sql": "SELECT count(*) FROM orders", "expect": {"at_least": 4}}), true)]
#[case(json!({"name": "x", "sql": "SELECT product FROM orders WHERE id = 1", "expect": "a"}), false)]
#[case(json!({"name": "x", "sql": "SELECT product FROM orders", "expect": {"rows": 3}}), false)]
#[case(json!({"name": "x", "sql": "SELECT id, product FROM orders", "expect": {"rows": 3}}), true)]
#[case(json!({"name": "x", "sql": "DROP TABLE orders", "expect": {"rows": 0}}), true)]
#[case(json!({"name": "x", "sql": "SELECT 1) ; DROP TABLE orders; --", "expect": 1}), true)]
#[tokio::test]
async fn assertions_on_a_branch(#[case] assertion: Value, #[case] fails: bool) {
    let shop = Shop::new();
    shop.put(ORDERS);
    let mut drill = drill(ResourceId::turso("shop"), To::Instant(at("2026-11-22T09:30:00Z")), "turso");
    drill.assertions = vec![assertion];
    let checked = shop.drills().check(&drill, turn()).await.unwrap();
    let failure = failure(&checked);
    assert_eq!(failure.is_some(), fails, "{checked:?}");
    assert!(failure.is_none_or(|(code, _)| code == "AssertionFailed"));
}

/// What both recovery points around its instant have is in a branch; what only one of them has was made or dropped in between.
#[tokio::test]
async fn a_branch_has_the_tables_that_there_were_before_and_after() {
    let shop = Shop::new();
    shop.put(ORDERS);
    let mut drill = drill(ResourceId::turso("shop"), To::Instant(at("2026-11-22T09:30:00Z")), "turso");
    let unchecked = |checked: &Checked| match checked {
        Checked::Over { unchecked, .. } => unchecked.join("; "),
        Checked::Further(_) => panic!("not over"),
    };
    let checked = shop.drills().check(&drill, turn()).await.unwrap();
    assert!(failure(&checked).is_none() && unchecked(&checked).contains("before and after"), "{checked:?}");

    let before = shop.manifest_of("2026-11-22T09:00:00Z", &json!({"orders": 1, "dropped": 1}));
    let after = shop.manifest_of("2026-11-22T10:00:00Z", &json!({"orders": 9, "made": 1}));
    drill.around = Some([before.clone(), after]);
    let checked = shop.drills().check(&drill, turn()).await.unwrap();
    assert!(failure(&checked).is_none() && unchecked(&checked).is_empty(), "{checked:?}");

    let after = shop.manifest_of("2026-11-22T11:00:00Z", &json!({"orders": 9, "dropped": 1}));
    drill.around = Some([before, after]);
    let checked = shop.drills().check(&drill, turn()).await.unwrap();
    assert!(failure(&checked).unwrap().1.contains("dropped"), "{checked:?}");
}

#[tokio::test]
async fn an_empty_branch_proves_nothing() {
    let shop = Shop::new();
    shop.put("");
    let drill = drill(ResourceId::turso("shop"), To::Instant(at("2026-11-22T09:30:00Z")), "turso");
    let checked = shop.drills().check(&drill, turn()).await.unwrap();
    assert_eq!(failure(&checked).unwrap().0, "NothingChecked");
}

#[tokio::test]
async fn of_turso_only_what_the_order_knows_by_its_id_is_deleted() {
    let shop = Shop::new();
    shop.put(ORDERS);
    let plans =
        PlanDocument::parse(r#"{"plans": {"default": {"turso": {"databases": ["production/*"]}}}}"#).unwrap();
    let look = async || shop.drills().look(&plans).await.unwrap().made;
    // Nothing but the name says so.
    let [made] = &look().await[..] else { panic!() };
    assert_eq!(made.drill, None);
    assert_eq!(shop.drills().tear_down(made).await.unwrap_err().code(), "NotYetADrills");
    // Asked for; whose it is nobody knows yet.
    shop.order(&json!({"is": "asked"}));
    let [made] = &look().await[..] else { panic!() };
    assert_eq!((made.drill.as_deref(), made.resource.to_string()), (Some(ID), "turso/shop".to_owned()));
    assert_eq!(shop.drills().tear_down(made).await.unwrap_err().code(), "NotYetADrills");
    // Somebody else's of the same name.
    shop.order(&json!({"is": "made", "id": "id-other", "hostname": "x"}));
    assert_eq!(shop.drills().tear_down(made).await.unwrap_err().code(), "NotADrills");
    assert_eq!(shop.turso.names(), [NAME]);
    shop.order(&json!({"is": "made", "id": "id-made", "hostname": "x"}));
    shop.drills().tear_down(made).await.unwrap();
    assert_eq!(shop.turso.names(), Vec::<String>::new());
    shop.drills().tear_down(made).await.unwrap();
    // It is no database that a plan protects.
    assert!(shop.drills().look(&plans).await.unwrap().protected.is_empty());
}

// ---- caches ----

fn cache(kind: CacheKind, shards: u32) -> Cache {
    let mut cache = Cache::fake(kind, "sessions", "2026-01-01T00:00:00Z", shards);
    cache.settings.node_type = Some("cache.r7g.large".to_owned());
    cache.settings.replicas = 2;
    cache
}

fn network() -> CacheNetwork {
    CacheNetwork {
        subnet_group: "staging".to_owned(),
        subnets: vec!["subnet-1".to_owned()],
        security_groups: vec!["sg-1".to_owned()],
    }
}

fn staged(cache: &Cache, class: DrillClass, stored: u64) -> Staging {
    redis::staging(cache, class, stored, HOME, Some(&network()), true).unwrap()
}

#[rstest]
#[case(90_000_000, Some("cache.t4g.micro"))]
#[case(250_000_000, Some("cache.t4g.small"))]
#[case(600_000_000, Some("cache.t4g.medium"))]
#[case(2_000_000_000, Some("cache.r7g.large"))]
// Of what nobody knows the size of, nobody knows what it fits into.
#[case(0, Some("cache.r7g.large"))]
fn the_smallest_node_that_fits(#[case] stored: u64, #[case] class: Option<&str>) {
    let staging = staged(&cache(CacheKind::ReplicationGroup, 1), DrillClass::Smallest, stored);
    assert_eq!(staging.class.as_deref(), class);
    assert_eq!(
        (&staging.request["replicas"], &staging.request["subnet_group"]),
        (&json!(0), &json!("staging"))
    );
    let as_source = staged(&cache(CacheKind::ReplicationGroup, 1), DrillClass::Source, stored);
    assert_eq!(as_source.class.as_deref(), Some("cache.r7g.large"));
}

#[test]
fn what_is_not_as_others_is_restored_as_it_is() {
    // Several shards keep their fail-over, and so their replicas.
    let mut sharded = cache(CacheKind::ReplicationGroup, 3);
    sharded.settings.cluster_mode = ClusterMode::Enabled;
    let staging = staged(&sharded, DrillClass::Smallest, 90_000_000);
    assert_eq!(staging.request.get("replicas"), None);
    assert!(staging.micro_usd_an_hour >= 9 * 32_500);
    let mut tiered = cache(CacheKind::ReplicationGroup, 1);
    tiered.settings.data_tiering = true;
    assert_eq!(staged(&tiered, DrillClass::Smallest, 1).class.as_deref(), Some("cache.r7g.large"));
    let serverless = staged(&cache(CacheKind::Serverless, 0), DrillClass::Smallest, 1);
    assert_eq!((serverless.class, &serverless.request["subnets"]), (None, &json!(["subnet-1"])));
    let nowhere = redis::staging(&cache(CacheKind::Cluster, 1), DrillClass::Smallest, 1, AWAY, None, false);
    assert!(nowhere.unwrap_err().contains("RecoveryStagingCache"));
}

struct Caches {
    account: FakeCaches,
    servers: FakeServers,
    vault: FakeStore,
}

impl Caches {
    fn drills(&self) -> RedisDrills<FakeElastiCache, FakeStore, FakeSecrets, FakeServers> {
        let region = |name: &str, vault: FakeStore| CacheRegion {
            caches: self.account.region(name),
            exports: vault.beside(name, "exports"),
            vault,
            staging: Some(network()),
        };
        RedisDrills {
            home: region(HOME, self.vault.clone()),
            recovery: region(AWAY, self.vault.beside(AWAY, "vault-away")),
            secrets: FakeSecrets,
            servers: self.servers.clone(),
            heartbeat_secret: None,
        }
    }
}

/// A restored cache with three keys, of a recovery point that has so many.
fn sessions(keys: u64) -> (Caches, Drill) {
    let (caches, drill, host) = restored(keys, 0);
    for key in ["a", "b", "c"] {
        caches.servers.put(&host, 0, key, FakeValue::Text(b"value".to_vec()));
    }
    (caches, drill)
}

/// An empty one, of a recovery point all of whose keys expire.
fn sessions_that_expire(keys: u64) -> (Caches, Drill) {
    let (caches, drill, _) = restored(keys, keys);
    (caches, drill)
}

fn restored(keys: u64, expiring: u64) -> (Caches, Drill, String) {
    let caches = Caches {
        account: FakeCaches::default(),
        servers: FakeServers::default(),
        vault: FakeStore::new(HOME, "vault"),
    };
    let mut cache = Cache::fake(CacheKind::ReplicationGroup, NAME, "2026-11-22T10:01:00Z", 1);
    cache.tags.insert(tag::DRILL.to_owned(), ID.to_owned());
    cache.tags.insert(tag::RESOURCE.to_owned(), "redis/sessions".to_owned());
    let host = cache.endpoint.as_ref().unwrap().host.clone();
    caches.account.put_cache(cache);
    caches.servers.add(&host);
    let slot = Slot::at(at("2026-11-22T06:00:00Z"));
    let (resource, id) = (ResourceId::redis("sessions"), RecoveryPointId::new("sessions", "made", slot, 1));
    let manifest = Manifest {
        version: 1,
        id: id.clone(),
        resource: resource.clone(),
        incarnation: "made".to_owned(),
        slot,
        plan: "default".to_owned(),
        method: "elasticache-snapshot".to_owned(),
        taken_at: slot.instant(),
        restorable_to: None,
        verified_at: slot.instant(),
        objects: Vec::new(),
        source: Map::new(),
        content: json!({
            "keys": keys, "keys_by_kind": {"string": keys}, "keys_by_database": {"0": keys}, "expiring": expiring,
            "expired_at_least": 0, "expired_at_most": 0, "functions": 0,
        })
        .as_object()
        .cloned()
        .unwrap(),
    };
    caches.vault.put(&format!("{}manifest.json", point_prefix(&resource, slot, &id)), manifest.to_json());
    (caches, drill(resource, To::Point(id), HOME), host)
}

#[rstest]
#[case(3, false)]
#[case(4, true)]
#[tokio::test]
async fn a_cache_has_as_many_keys_as_its_recovery_point(#[case] keys: u64, #[case] fails: bool) {
    let (caches, drill) = sessions(keys);
    let checked = caches.drills().check(&drill, turn()).await.unwrap();
    assert_eq!(failure(&checked).is_some(), fails, "{checked:?}");
}

/// A server that tells nothing passes nothing, and one whose keys may all have expired says that none was read.
#[tokio::test]
async fn a_cache_that_proves_nothing() {
    let (caches, drill) = sessions(3);
    let no = || Reply::Refused("ERR unknown command".to_owned());
    for command in ["DBSIZE", "SCAN 0 COUNT 1000"] {
        caches.servers.answer(command, no());
    }
    let checked = caches.drills().check(&drill, turn()).await.unwrap();
    assert_eq!(failure(&checked).unwrap().0, "NothingChecked");

    let (caches, drill) = sessions_that_expire(3);
    let checked = caches.drills().check(&drill, turn()).await.unwrap();
    let Checked::Over { unchecked, .. } = &checked else { panic!("{checked:?}") };
    assert!(failure(&checked).is_none() && unchecked.join("; ").contains("none is left"), "{checked:?}");
}

#[tokio::test]
async fn what_no_server_answers_is_no_assertion() {
    let (caches, mut drill) = sessions(3);
    drill.staging.class = Some("append-only directory".to_owned());
    let side = domain::Side {
        resource: drill.resource.clone(),
        database: None,
        question: domain::Question::Command(vec!["DBSIZE".to_owned()]),
    };
    assert_eq!(caches.drills().number(&drill, &side).await.unwrap_err().code(), "AssertionsInvalid");
}

#[tokio::test]
async fn of_caches_only_what_carries_the_tag_is_deleted() {
    let (caches, _) = sessions(3);
    let plans = PlanDocument::parse(PLANS).unwrap();
    let looked = caches.drills().look(&plans).await.unwrap();
    // The account in memory shows its caches in every Region.
    let [made, _] = &looked.made[..] else { panic!("{looked:?}") };
    assert_eq!((made.drill.as_deref(), made.resource.to_string()), (Some(ID), "redis/sessions".to_owned()));
    let untagged =
        Cache::fake(CacheKind::ReplicationGroup, "tidemark-drill-notes", "2026-11-22T10:01:00Z", 1);
    caches.account.put_cache(untagged);
    let other = Made { name: "tidemark-drill-notes".to_owned(), ..made.clone() };
    assert_eq!(caches.drills().tear_down(&other).await.unwrap_err().code(), "NotTaggedYet");
    caches.drills().tear_down(made).await.unwrap();
    caches.account.finish();
    let left = caches.drills().look(&plans).await.unwrap().made;
    assert_eq!(left.iter().map(|made| made.name.as_str()).collect::<Vec<_>>(), ["tidemark-drill-notes"; 2]);
}
