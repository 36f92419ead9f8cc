//! What is found of databases, keys, plans, the Turso token and the topics.

use domain::Severity;
use kms::KeyManager;
use rstest::rstest;
use turso::Parent;

use super::*;

#[rstest]
#[case::off(0, Some("automated-backups-off"))]
#[case::short(6, Some("retention-too-short"))]
#[case::enough(7, None)]
#[tokio::test]
async fn automated_backups(#[case] days: i32, #[case] expected: Option<&str>) {
    let world = World::calm();
    world.change(|instance| instance.retention_days = days);
    let answer = world.check().await;
    let kinds: Vec<_> =
        answer["findings"].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert_eq!((kinds, world.found()), (expected.into_iter().collect(), vec![]));
    assert_eq!(answer["ok"], json!(days > 0));
}

#[tokio::test]
async fn a_database_that_one_call_deletes() {
    let world = World::calm();
    world.change(|instance| instance.deletion_protection = false);
    world.turso.change("shop", |database| database.listed.delete_protection = false);
    world.check().await;
    assert_eq!(world.found(), ["rds/orders deletion-protection-off", "turso/shop deletion-protection-off"]);
    assert!(world.board().iter().all(|finding| finding.severity == Severity::Warning));
}

#[tokio::test]
async fn the_default_key_is_said_once_and_is_no_danger() {
    let world = World::calm();
    let key = instance("orders").kms_key.unwrap();
    world.home.kms.put(&[], Key { manager: KeyManager::Aws, ..Key::fake(&key) });
    let finding = world.only("rds/orders default-key").await;
    assert_eq!(finding.severity, Severity::Info);
}

#[rstest]
#[case::disabled("Disabled", "enable-key")]
#[case::dying("PendingDeletion", "cancel-key-deletion")]
#[case::odd("Unavailable", "describe-key")]
#[tokio::test]
async fn a_key_that_cannot_be_used(#[case] state: &str, #[case] next: &str) {
    let broken = |arn: &str| Key {
        state: state.to_owned(),
        enabled: false,
        deletion_date: (state == "PendingDeletion").then(|| "2026-12-22T00:00:00Z".parse().unwrap()),
        ..Key::fake(arn)
    };
    let world = World::calm();
    world.recovery.kms.put(&[], broken(AWAY_KEY));
    let finding = world.only("tidemark/key-us-west-2 key-unusable").await;
    assert!(finding.next.contains(next) && finding.next.contains("--region us-west-2"), "{}", finding.next);
    assert_eq!(finding.severity, Severity::Critical);
    assert_eq!(finding.says.contains("2026-12-22"), state == "PendingDeletion");
    world.recovery.kms.put(&[], Key::fake(AWAY_KEY));
    world.home.kms.put(&[], broken(&instance("orders").kms_key.unwrap()));
    world.only("rds/orders key-unusable").await;
}

#[tokio::test]
async fn a_key_that_is_gone_or_denies() {
    let world = World::calm();
    world
        .recovery
        .kms
        .deny(AWAY_KEY, "User: arn:aws:sts::1:assumed-role/x is not authorized to perform: kms:Encrypt");
    let denied = world.only("tidemark/key-us-west-2 key-unusable").await;
    assert!(denied.says.contains("not authorized to perform: kms:Encrypt"), "{}", denied.says);
    world.recovery.kms.remove(AWAY_KEY);
    let gone = world.only("tidemark/key-us-west-2 key-unusable").await;
    assert!(gone.says.contains("no key alias/tidemark-test in us-west-2"), "{}", gone.says);
    assert_eq!(gone.since, denied.since);
}

#[tokio::test]
async fn the_key_of_another_account_is_none_of_ours() {
    let world = World::calm();
    world.change(|instance| {
        instance.kms_key = Some("arn:aws:kms:us-east-1:210987654321:key/theirs".to_owned());
    });
    assert_eq!(world.check().await["ok"], json!(true));
    assert_eq!(world.found(), [""; 0]);
}

#[rstest]
#[case::untagged(Instance::fake(HOME, "new", "db-N"), true)]
#[case::not_to_be(Instance { tags: tags("none"), ..Instance::fake(HOME, "new", "db-N") }, false)]
#[case::under_a_plan_that_is_gone(Instance { tags: tags("gone"), ..Instance::fake(HOME, "new", "db-N") }, false)]
#[case::a_replica(Instance { replica_of: Some("orders".to_owned()), ..Instance::fake(HOME, "new", "db-N") }, false)]
#[case::going(Instance { status: "deleting".to_owned(), ..Instance::fake(HOME, "new", "db-N") }, false)]
#[case::another_engine(Instance { engine: "mysql".to_owned(), ..Instance::fake(HOME, "new", "db-N") }, true)]
#[case::restored_today(restored("2026-11-21T00:00:00Z"), false)]
#[case::restored_long_ago(restored("2026-11-14T00:00:00Z"), true)]
#[tokio::test]
async fn an_instance_that_nobody_thought_of(#[case] instance: Instance, #[case] is_told: bool) {
    let world = World::calm();
    let engine = instance.engine.clone();
    world.rds.put_instance(HOME, instance);
    world.check().await;
    let expected: Vec<&str> = is_told.then_some("rds/new unprotected").into_iter().collect();
    assert_eq!(world.found(), expected);
    if let Some(finding) = world.board().first() {
        assert!(finding.next.contains("Key=tidemark:plan,Value=none"), "{}", finding.next);
        assert_eq!(finding.next.contains("Value=default"), engine == "postgres");
    }
}

fn restored(at: &str) -> Instance {
    let tags = [(tag::RESTORE, "restore-1"), (tag::RESOURCE, "rds/orders"), (tag::REQUESTED_AT, at)];
    let tags = tags.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    Instance { tags, ..Instance::fake(HOME, "new", "db-N") }
}

#[tokio::test]
async fn a_cache_that_nobody_thought_of() {
    let world = World::calm();
    let untagged = || Cache { tags: [].into(), ..cache("pets") };
    world.caches.put_cache(untagged());
    assert!(world.only("redis/pets unprotected").await.next.contains("Value=none"));
    world.caches.put_cache(Cache { tags: tags("none"), ..untagged() });
    let mut memcached = Cache { name: "memo".to_owned(), ..untagged() };
    memcached.settings.engine = "memcached".to_owned();
    world.caches.put_cache(memcached);
    world.check().await;
    assert_eq!(world.found(), [""; 0]);
}

#[tokio::test]
async fn a_turso_database_that_nobody_thought_of() {
    let mut world = World::calm();
    let toys = Database { group: "play".to_owned(), ..database("toys") };
    world.turso.put(toys.clone(), "CREATE TABLE t(x)");
    assert!(world.only("turso/toys unprotected").await.next.contains(r#""play/toys""#));
    world.plans = PLAN.replace("}}}}", r#"}}}, "unprotected": {"turso": ["play/*"]}}"#);
    world.check().await;
    assert_eq!(world.found(), [""; 0]);
    let parent = Some(Parent { id: "id-shop".to_owned(), name: "shop".to_owned() });
    let branch = "tidemark-shop-20261122t0300z-ellsxv";
    world.turso.put(Database { parent, group: "else".to_owned(), ..database(branch) }, "CREATE TABLE t(x)");
    world.check().await;
    assert_eq!(world.found(), [""; 0], "a branch of Tidemark's own");
}

#[tokio::test]
async fn a_plan_that_protects_nothing() {
    let mut world = World::calm();
    world.plans =
        r#"{"plans": {"default": {"turso": {"databases": ["production/*"]}}, "gold": {}}}"#.to_owned();
    let finding = world.only("tidemark/plan-gold plan-without-databases").await;
    assert!(finding.says.contains("plan gold protects nothing"), "{}", finding.says);
    world.plans = world
        .plans
        .replace(r#""gold": {}"#, r#""gold": {"redis": {"append_only": {"own": "s3://archive/own/"}}}"#);
    world.check().await;
    assert_eq!(world.found(), [""; 0], "an archive is something");
}

#[rstest]
#[case::never(None, None)]
#[case::in_a_year(Some(365), None)]
#[case::in_a_month(Some(29), Some(Severity::Warning))]
#[case::tomorrow(Some(1), Some(Severity::Critical))]
#[tokio::test]
async fn a_token_that_ends(#[case] days: Option<i64>, #[case] expected: Option<Severity>) {
    let world = World::calm();
    let at = days.map(|days| world.now + SignedDuration::from_hours(24 * days));
    world.turso.set_token(at, &[]);
    world.check().await;
    assert_eq!(world.board().first().map(|finding| finding.severity), expected);
}

#[tokio::test]
async fn a_token_that_opens_more_and_one_that_opens_nothing() {
    let mut world = World::calm();
    world.turso.set_token(None, &["private", "work"]);
    let finding = world.only("tidemark/turso-token token-reaches-beyond").await;
    assert!(finding.says.contains("private, work"), "{}", finding.says);
    world.secret = Secret("another");
    world.check().await;
    let stays = ["tidemark/turso refused-TursoUnauthorized", "tidemark/turso-token token-reaches-beyond"];
    for expected in stays {
        assert!(world.found().contains(&expected.to_owned()), "{:?}", world.found());
    }
    world.secret = Secret("two words");
    world.check().await;
    assert!(world.found().contains(&"tidemark/turso refused-SecretUnreadable".to_owned()));
}

#[rstest]
#[case::reaches_over_the_daily_tier("developer", "0 * * * *", None)]
#[case::to_the_last_copy("starter", "0 * * * *", Some(Severity::Info))]
#[case::not_even_that("starter", "0 3 * * 1", Some(Severity::Warning))]
#[tokio::test]
async fn turso_reaches_back(#[case] pricing: &str, #[case] cron: &str, #[case] expected: Option<Severity>) {
    let mut world = World::calm();
    world.turso.set_plan(pricing, 100);
    let turso = format!(r#""schedule": {{"turso": "{cron}"}}, "turso""#);
    world.plans = PLAN.replace(r#""turso""#, &turso);
    world.check().await;
    let found: Vec<_> =
        world.board().iter().map(|finding| (finding.kind.clone(), finding.severity)).collect();
    let expected = expected.map(|severity| ("pitr-window-too-short".to_owned(), severity));
    assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn topics_that_nobody_hears() {
    let world = World::calm();
    world.subscribers.leave_but(WATCH, &[]);
    let finding = world.only("tidemark/tidemark-test-watch no-subscriber").await;
    assert!(finding.says.contains("nobody subscribes"), "{}", finding.says);
    assert_eq!(finding.severity, Severity::Critical);
    world.subscribers.subscribe(WATCH, "email", "new@example.com", false);
    let finding = world.only("tidemark/tidemark-test-watch no-subscriber").await;
    assert!(finding.says.contains("is not confirmed (new@example.com)"), "{}", finding.says);
    world.subscribers.subscribe(WATCH, "https", "https://example.com", true);
    world.subscribers.leave_but(ALERTS, &[CANARY]);
    world.only("tidemark/tidemark-test-alerts no-subscriber").await;
}

#[tokio::test]
async fn without_an_organization_nothing_is_said_of_turso() {
    let mut world = World::calm();
    world.plans = r#"{"plans": {"default": {}}}"#.to_owned();
    world.turso.put(Database { delete_protection: false, ..database("toys") }, "CREATE TABLE t(x)");
    let function = CheckPosture { organization: None, ..world.function() };
    let deadline = Deadline::after(Duration::from_mins(5));
    run(&function, &world.ledger.journal(), Ask::Check, world.now, deadline, Budget::default())
        .await
        .unwrap();
    assert_eq!(world.found(), [""; 0]);
}
