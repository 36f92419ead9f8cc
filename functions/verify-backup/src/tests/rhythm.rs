//! When what is looked at, and how much in a run.

use reconcile::Error;
use rstest::rstest;
use serde_json::json;

use super::*;

#[tokio::test]
async fn each_region_is_looked_at_once_a_week() {
    let mut world = World::new();
    let (shop, sessions) = (world.database("shop", 0, 10), world.cache("sessions", 0, 1_000));
    let first = world.tick().await;
    assert_eq!(looked_at(&first).len(), 4, "{first:?}");
    assert_eq!(
        world.recorded(),
        ["us-east-1/recovery-point-verified", "us-west-2/recovery-point-verified"].repeat(2)
    );
    for hours in [1, 24, 6 * 24 - 2] {
        world.later(hours);
        let again = world.tick().await;
        assert_eq!((again.acted.len(), again.settled), (0, 1), "{hours}");
    }
    world.later(1);
    let again = looked_at(&world.tick().await);
    assert_eq!(again.len(), 4);
    let opened = |point: &Point| format!("{} us-east-1 newest", point.id);
    assert!(again.contains(&opened(&shop)) && again.contains(&opened(&sessions)), "{again:?}");
    assert_eq!(world.recorded().len(), 8, "each look is an entry of its own");
    assert!(world.board().is_empty() && world.marks().is_empty());
}

#[tokio::test]
async fn what_nobody_has_looked_at_comes_first_and_then_the_oldest_look() {
    let mut world = World::new();
    world.vault.replicate_to(&world.away, Replication::Off);
    let old = world.database("shop", 3, 10);
    world.tick().await;
    world.later(5 * 24);
    let young = world.database("shop", 4, 11);
    world.tick().await;
    world.later(3 * 24);
    let new = world.database("shop", 0, 12);
    // Enough for one. The newest is to be opened, and cannot be divided.
    world.budget = 1;
    let mut looks = Vec::new();
    for _ in 0..3 {
        looks.extend(
            looked_at(&world.tick().await).into_iter().map(|look| look.split(' ').next().unwrap().to_owned()),
        );
        world.later(1);
    }
    assert_eq!(looks[0], new.id.to_string(), "{looks:?}");
    assert!(looks[1..].iter().all(|look| *look == old.id.to_string()), "{looks:?} {young:?}");
}

/// However small the budget, and wherever a run ends, every byte is read once, and once only.
#[rstest]
#[case::one_byte(1)]
#[case::a_part(1_000)]
#[case::a_file(3_759)]
#[case::more_than_there_is(40_000)]
#[tokio::test]
async fn a_recovery_point_that_is_half_read_is_gone_on_with(#[case] budget: u64) {
    let mut world = World::new();
    world.vault.replicate_to(&world.away, Replication::Off);
    let point = world.cache("sessions", 0, 1_000);
    world.budget = budget;
    let mut runs = 0;
    while world.recorded().is_empty() {
        let summary = world.tick().await;
        assert!(summary.failed.is_empty(), "{summary:?}");
        world.later(1);
        runs += 1;
    }
    let parts = 2 * RDB.len().div_ceil(1_000);
    assert_eq!(world.vault.count("read"), parts);
    assert!(runs > 1 || u64::try_from(2 * RDB.len()).unwrap() < budget, "{runs}");
    assert!(world.memory().progress(&place(&point, Region::Home)).is_none());
    let entry = world.ledger.entries().into_values().next().unwrap();
    assert_eq!((&entry["bytes"], &entry["opened"]), (&json!(2 * RDB.len()), &json!("newest")));
}

fn place(point: &Point, region: Region) -> Place {
    Place { resource: point.resource.clone(), id: point.id.clone(), region }
}

#[tokio::test]
async fn a_run_ends_in_time_and_goes_on_from_there() {
    let mut world = World::new();
    world.vault.replicate_to(&world.away, Replication::Off);
    world.cache("sessions", 0, 1_000);
    // A look at the clock before each part: five parts a run.
    world.clock_step = SignedDuration::from_mins(2);
    let first = world.tick().await;
    assert_eq!((first.unfinished, world.recorded().len()), (1, 0));
    let read = world.vault.count("read");
    assert!((4..7).contains(&read), "{read}");
    world.clock_step = SignedDuration::ZERO;
    world.later(1);
    assert_eq!(looked_at(&world.tick().await).len(), 1);
    assert_eq!(world.vault.count("read"), 2 * RDB.len().div_ceil(1_000));
}

#[tokio::test]
async fn what_is_half_read_keeps_nothing_else_waiting() {
    let mut world = World::new();
    world.vault.replicate_to(&world.away, Replication::Off);
    let large = world.cache("large", 0, 1_000);
    world.budget = 2_000;
    world.tick().await;
    world.later(1);
    let small = world.database("small", 0, 5);
    let looks = looked_at(&world.tick().await);
    assert_eq!(looks, [format!("{} us-east-1", large.id), format!("{} us-east-1 newest", small.id)]);
}

#[tokio::test]
async fn a_memory_that_is_lost_or_unreadable_means_that_all_is_looked_at_anew() {
    let mut world = World::new();
    world.database("shop", 40, 5);
    for (text, runs) in
        [(None, 1), (Some("{"), 1), (Some(r#"{"version": 9, "since": "2026-01-01T00:00:00Z"}"#), 1)]
    {
        match text {
            Some(text) => world.ledger.documents.put(MEMORY, text),
            None => world.ledger.documents.remove(MEMORY),
        }
        let summary = world.tick().await;
        assert_eq!((summary.acted.len(), summary.failed.len()), (2 * runs, 0), "{text:?}");
        assert!(world.board().is_empty(), "a lost memory is no month without a look");
        world.later(1);
    }
}

#[tokio::test]
async fn instants_that_cannot_be_are_not_believed() {
    let mut world = World::new();
    let point = world.database("shop", 0, 5);
    world.tick().await;
    let mut memory = world.memory();
    let place = place(&point, Region::Home);
    memory.apply(&Change::Looked(place, Look::new("9999-01-01T00:00:00Z".parse().unwrap(), true)));
    world.ledger.documents.put(MEMORY, &memory.to_text().unwrap());
    world.later(1);
    assert_eq!(looked_at(&world.tick().await), [format!("{} us-east-1", point.id)]);
}

#[tokio::test]
async fn what_is_there_no_more_is_forgotten_and_what_did_not_answer_is_not() {
    let mut world = World::new();
    let (shop, sessions) = (world.database("shop", 0, 5), world.cache("sessions", 0, 1_000));
    world.tick().await;
    for key in world.vault.objects().into_keys().filter(|key| key.starts_with("turso/")) {
        world.vault.remove(&key);
        world.away.remove(&key);
    }
    world.later(1);
    world.vault.refuse_next("list", Error::retryable("SlowDown", "the marks: the run fails"));
    world.try_ask(json!({"wake": "tick"})).await.unwrap_err();
    world.database("other", 0, 5);
    world.tick().await;
    let memory = world.memory();
    assert!(memory.look(&place(&shop, Region::Home)).at().is_none());
    assert!(memory.look(&place(&sessions, Region::Recovery)).at().is_some());
}

/// Two runs at once, or one whose answers are lost: what each did is remembered.
#[tokio::test]
async fn another_run_that_writes_at_the_same_time_undoes_nothing() {
    let world = World::new();
    let point = world.database("shop", 0, 5);
    world.ledger.documents.lose_answer_of_next_write();
    let lost = world.tick().await;
    assert_eq!(lost.failed.len(), 1, "{lost:?}");
    assert_eq!(world.recorded().len(), 2);
    let again = world.tick().await;
    assert!(again.failed.is_empty());
    assert!(world.memory().look(&place(&point, Region::Home)).whole_at().is_some());
    assert_eq!(world.recorded().len(), 2, "the same day, the same entries");
}

#[tokio::test]
async fn a_person_has_one_looked_at_now() {
    let mut world = World::new();
    let (old, new) = (world.database("shop", 1, 5), world.database("shop", 0, 6));
    world.tick().await;
    world.later(1);
    world.budget = 1;
    let mut asked = looked_at(&world.verify(&old).await);
    asked.sort_unstable();
    assert_eq!(asked, [format!("{} us-east-1 wanted", old.id), format!("{} us-west-2", old.id)]);
    let all = world.ask(json!({"verify": "all", "resource": "turso/shop"})).await;
    assert_eq!(looked_at(&all).len(), 4, "{new:?}");
}

#[rstest]
#[case::unknown("turso/other", "all", "RecoveryPointUnknown")]
#[case::unknown_point("turso/shop", "tidemark-shop-20201122t0300z-ellsxv", "RecoveryPointUnknown")]
#[case::not_ready("turso/half", "all", "RecoveryPointNotReady")]
#[tokio::test]
async fn what_is_not_there_is_refused(#[case] resource: &str, #[case] verify: &str, #[case] code: &str) {
    let world = World::new();
    world.database("shop", 0, 5);
    let half = world.database("half", 0, 5);
    for store in [&world.vault, &world.away] {
        store.remove(&format!("{}manifest.json", half.prefix));
    }
    let error = world.try_ask(json!({"verify": verify, "resource": resource})).await.unwrap_err();
    assert_eq!(error.code(), code);
}

#[tokio::test]
async fn what_nobody_finds_whole_for_a_month_is_told() {
    let mut world = World::new();
    world.cache("sessions", 0, 1_000);
    world.tick().await;
    for day in 1..31 {
        world.later(24);
        if day >= 7 {
            refuse(&world);
        }
        world.tick().await;
        let told = world.conditions().iter().any(|condition| condition.contains("not-verified"));
        assert!(!told, "after {day} days");
        assert_eq!(
            world.conditions().contains(&"redis/sessions refused-AccessDenied".to_owned()),
            day >= 7,
            "{day}"
        );
    }
    world.later(1);
    refuse(&world);
    world.tick().await;
    let conditions = world.conditions();
    assert!(conditions.contains(&"redis/sessions recovery-point-not-verified".to_owned()), "{conditions:?}");
    world.later(1);
    world.tick().await;
    world.later(1);
    world.tick().await;
    assert!(world.board().is_empty(), "{:?}", world.board());
}

/// Nobody may read the next manifest, in either Region.
fn refuse(world: &World) {
    for store in [&world.vault, &world.away] {
        store.refuse_next("read_whole", Error::misconfigured("AccessDenied", "no"));
    }
}

#[tokio::test]
async fn what_has_no_copy_is_told_once_it_has_had_the_time() {
    let mut world = World::new();
    world.vault.replicate_to(&world.away, Replication::Late);
    let point = world.database("shop", 0, 5);
    world.tick().await;
    assert!(world.board().is_empty());
    world.later(49);
    world.tick().await;
    assert_eq!(world.conditions(), ["turso/shop recovery-point-uncopied"]);
    assert!(world.board()[0].says.contains(point.id.as_str()));
    world.vault.replicate();
    world.later(1);
    world.tick().await;
    assert!(world.board().is_empty());
}
