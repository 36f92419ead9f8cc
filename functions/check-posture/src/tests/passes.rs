//! When it looks, what it says, and what happens when something does not answer.

use domain::Severity;
use rstest::rstest;

use super::*;

#[tokio::test]
async fn where_all_is_well_a_look_a_day_says_so() {
    let mut world = World::calm();
    let first = CheckPosture::<Fakes>::answer(world.tick().await);
    assert_eq!(
        (&first["ok"], &first["complete"], &first["findings"]),
        (&json!(true), &json!(true), &json!([]))
    );
    let calls = world.rds.calls().len();
    for _ in 0..23 {
        world.later(1);
        let again = world.tick().await;
        assert_eq!((again.acted.len(), again.settled), (0, 1));
    }
    assert_eq!(world.rds.calls().len(), calls, "one look a day");
    world.later(1);
    assert_eq!(world.tick().await.acted.len(), 1);
    let days: Vec<_> = world.ledger.entries().keys().map(ToString::to_string).collect();
    let key = "tidemark/check-posture/check-posture/us-east-1/posture-checked";
    assert_eq!(days, [format!("2026-11-22/{key}"), format!("2026-11-23/{key}")]);
    assert_eq!(world.ledger.facts().len(), 2, "each day's look is told once");
}

#[tokio::test]
async fn the_day_begins_when_its_look_is_due() {
    let mut world = World::calm();
    world.now = "2026-11-22T06:59:00Z".parse().unwrap();
    world.tick().await;
    world.now = "2026-11-22T07:00:00Z".parse().unwrap();
    assert_eq!(world.tick().await.acted.len(), 1, "before seven it was the day before's");
}

#[tokio::test]
async fn what_is_wrong_is_looked_at_each_hour_until_it_is_mended() {
    let mut world = World::calm();
    world.change(|instance| instance.deletion_protection = false);
    let since = world.now;
    world.tick().await;
    world.later(1);
    world.tick().await;
    assert_eq!(world.found(), ["rds/orders deletion-protection-off"]);
    assert_eq!(world.board()[0].since, since);
    assert_eq!(world.ledger.entries().len(), 1, "the day has its entry");
    world.change(|_| {});
    world.later(1);
    world.tick().await;
    assert_eq!(world.found(), [""; 0]);
    let calls = world.rds.calls().len();
    world.later(1);
    world.tick().await;
    assert_eq!(world.rds.calls().len(), calls, "nothing is wrong, and the day has had its look");
}

#[tokio::test]
async fn a_person_is_answered_at_any_time() {
    let world = World::calm();
    world.tick().await;
    world.change(|instance| {
        instance.deletion_protection = false;
        instance.retention_days = 0;
    });
    world.subscribers.leave_but(ALERTS, &[CANARY]);
    let answer = world.check().await;
    assert_eq!(
        (&answer["ok"], &answer["critical"], &answer["warning"]),
        (&json!(false), &json!(2), &json!(1))
    );
    let findings = answer["findings"].as_array().unwrap();
    let kinds: Vec<_> = findings.iter().map(|finding| finding["kind"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        ["automated-backups-off", "no-subscriber", "deletion-protection-off"],
        "the worst first"
    );
    for finding in findings {
        assert!(finding["says"].as_str().unwrap().len() > 40 && finding["next"].as_str().unwrap().len() > 40);
    }
    assert_eq!(findings[0]["plan"], json!(null), "the pass adds it where it posts");
    let conditions = world.found();
    assert_eq!(
        conditions,
        ["rds/orders deletion-protection-off", "tidemark/tidemark-test-alerts no-subscriber"],
        "watch-rpo tells of the third"
    );
    assert_eq!(world.board()[0].standing.plan.as_deref(), Some("default"));
}

#[tokio::test]
async fn warnings_alone_stop_no_deployment() {
    let world = World::calm();
    world.change(|instance| instance.deletion_protection = false);
    let answer = world.check().await;
    assert_eq!((&answer["ok"], &answer["warning"]), (&json!(true), &json!(1)));
}

#[tokio::test]
async fn more_than_anybody_reads_is_counted() {
    let world = World::calm();
    for number in 0..600 {
        world.rds.put_instance(HOME, Instance::fake(HOME, &format!("db-{number:03}"), "db-X"));
    }
    let answer = world.check().await;
    assert_eq!((answer["findings"].as_array().unwrap().len(), &answer["not_shown"]), (500, &json!(100)));
    assert_eq!(world.board().len(), 600, "the board has all");
}

/// What one part hides when it does not answer, and what it does not.
#[rstest]
#[case::instances("instances", "rds/orders deletion-protection-off")]
#[case::caches("caches", "redis/pets unprotected")]
#[case::turso("turso", "turso/toys unprotected")]
#[case::topics("tidemark-test-alerts", "tidemark/tidemark-test-alerts no-subscriber")]
#[case::vault("vault-us-east-1", "tidemark/vault-us-east-1 versioning-off")]
#[case::key("key-us-east-1", "tidemark/key-us-east-1 key-unusable")]
#[tokio::test]
async fn what_does_not_answer_ends_nothing_and_stops_nothing(#[case] silent: &str, #[case] stands: &str) {
    let mut world = World::calm();
    world.change(|instance| instance.deletion_protection = false);
    world.caches.put_cache(Cache { tags: [].into(), ..cache("pets") });
    world.turso.put(Database { group: "play".to_owned(), ..database("toys") }, "CREATE TABLE t(x)");
    world.subscribers.leave_but(ALERTS, &[CANARY]);
    world.home.vault.change(|setup| setup.versioning = vault::Versioning::Suspended);
    world.home.kms.put(&[], Key { enabled: false, state: "Disabled".to_owned(), ..Key::fake(KEY) });
    world.tick().await;
    let before = world.found();
    assert!(before.contains(&stands.to_owned()) && before.len() == 6, "{before:?}");
    // All are mended, and one part does not answer.
    world.change(|_| {});
    world.caches.put_cache(cache("pets"));
    world.turso.remove("toys");
    world.subscribers.subscribe(ALERTS, "email", "oncall@example.com", true);
    world.home.vault.change(|setup| setup.versioning = vault::Versioning::Enabled);
    world.home.kms.put(&[], Key::fake(KEY));
    match silent {
        "instances" => world.rds.refuse_next("us-east-1 DescribeDBInstances", denied()),
        "caches" => world.caches.refuse_next("DescribeCaches", denied()),
        "turso" => world.turso.refuse_next("databases", denied()),
        "tidemark-test-alerts" => world.subscribers.refuse_next(denied()),
        "vault-us-east-1" => world.home.vault.refuse_next("versioning", denied()),
        _ => {
            // Only the vault's is asked for.
            world.change(|instance| instance.kms_key = None);
            world.home.kms.refuse_next(denied());
        }
    }
    world.later(1);
    let answer = CheckPosture::<Fakes>::answer(world.tick().await);
    let mut expected = vec![stands.to_owned(), format!("tidemark/{silent} refused-AccessDenied")];
    expected.sort_unstable();
    let mut found = world.found();
    found.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!((&answer["ok"], &answer["complete"]), (&json!(false), &json!(false)));
    assert_eq!(answer["failed"].as_array().unwrap().len(), 1);
    world.later(1);
    world.tick().await;
    assert_eq!(world.found(), [""; 0]);
}

#[tokio::test]
async fn an_instances_key_that_is_not_shown_stays_as_it_was() {
    let mut world = World::calm();
    let key = instance("orders").kms_key.unwrap();
    world.home.kms.put(&[], Key { enabled: false, state: "Disabled".to_owned(), ..Key::fake(&key) });
    world.tick().await;
    world.home.kms.put(&[], Key::fake(&key));
    world.home.kms.refuse_next(denied());
    world.later(1);
    world.tick().await;
    assert_eq!(world.found(), ["rds/orders key-unusable", "tidemark/instance-keys refused-AccessDenied"]);
    world.later(1);
    world.tick().await;
    assert_eq!(world.found(), [""; 0]);
}

#[tokio::test]
async fn a_day_in_which_something_was_silent_has_no_entry_until_all_answered() {
    let mut world = World::calm();
    world.rds.refuse_next("us-west-2 DescribeAccountAttributes", Error::retryable("Throttling", "slow down"));
    let mut summary = world.tick().await;
    assert_eq!(summary.take_unsaid_error().unwrap().code(), "Throttling", "Lambda tries it again");
    assert_eq!((world.ledger.entries().len(), world.found()), (0, vec![]));
    world.later(1);
    assert!(world.tick().await.take_unsaid_error().is_none());
    assert_eq!(world.ledger.entries().len(), 1);
}

/// Found by the sweep: the ledger had that all was looked at, and nobody had heard what was found.
#[tokio::test]
async fn what_could_not_be_posted_is_looked_for_again() {
    let mut world = World::calm();
    world.change(|instance| instance.deletion_protection = false);
    for _ in 0..2 {
        world.ledger.documents.refuse_next_write(denied());
    }
    assert!(world.tick().await.take_unsaid_error().is_some());
    assert_eq!(world.ledger.entries().len(), 1);
    world.later(1);
    world.tick().await;
    assert_eq!(world.found(), ["rds/orders deletion-protection-off"]);
}

#[tokio::test]
async fn a_ledger_that_cannot_be_written_is_no_good_sign() {
    let world = World::calm();
    world.ledger.refuse_next_append(denied());
    let answer = world.check().await;
    assert_ne!(answer["ok"], json!(true));
    assert_eq!(world.board()[0].severity, Severity::Critical);
}

#[tokio::test]
async fn a_look_costs_few_calls() {
    let world = World::calm();
    for number in 0..100 {
        world.rds.put_instance(
            HOME,
            Instance { kms_key: Some(KEY.to_owned()), ..instance(&format!("db-{number:03}")) },
        );
    }
    world.tick().await;
    let mut calls = world.rds.calls();
    calls.sort_unstable();
    let expected = [
        "us-east-1 DescribeAccountAttributes",
        "us-east-1 DescribeDBInstances",
        "us-east-1 DescribeDBSnapshots",
        "us-west-2 DescribeAccountAttributes",
        "us-west-2 DescribeDBSnapshots",
    ];
    assert_eq!(calls, expected);
    assert_eq!(world.home.kms.calls().len(), 4, "the vault's key twice, and each key of instances once");
    let vaults = [&world.home.vault, &world.recovery.vault, &world.home.exports, &world.recovery.exports];
    assert_eq!(vaults.map(|bucket| bucket.calls().len()), [6; 4]);
    let changes = world.rds.calls().into_iter().filter(|call| !call.contains("Describe")).count();
    assert_eq!(changes, 0);
}
