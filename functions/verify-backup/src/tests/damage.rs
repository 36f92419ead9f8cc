//! What is found damaged, and what is not thought so.

use reconcile::Error;
use rstest::rstest;

use super::*;

const DAMAGED: &str = "turso/shop recovery-point-damaged";

fn object(point: &Point) -> String {
    format!("{}database.sqlite.zst", point.prefix)
}

fn manifest(point: &Point) -> String {
    format!("{}manifest.json", point.prefix)
}

/// One bit anywhere, an object that is gone or another one, a manifest that is none: it is marked where it is damaged, told
/// until it is whole again, and read again once a week.
#[rstest]
#[case::first_bit(HOME, "ChecksumMismatch", |store: &FakeStore, point: &Point| assert!(store.corrupt(&object(point), 0)))]
#[case::in_the_midst(AWAY, "ChecksumMismatch", |store: &FakeStore, point: &Point| assert!(store.corrupt(&object(point), 300)))]
#[case::gone(HOME, "ObjectMissing", |store: &FakeStore, point: &Point| store.remove(&object(point)))]
#[case::shorter(AWAY, "SizeMismatch", |store: &FakeStore, point: &Point| store.put(&object(point), "short"))]
#[case::no_manifest(HOME, "ManifestUnreadable", |store: &FakeStore, point: &Point| store.put(&manifest(point), "{"))]
#[tokio::test]
async fn damage_is_marked_and_told_until_it_is_mended(
    #[case] region: &str,
    #[case] code: &str,
    #[case] damage: fn(&FakeStore, &Point),
) {
    let mut world = World::new();
    let point = world.database("shop", 8, 20);
    world.tick().await;
    world.later(24);
    world.vault.replicate_to(&world.away, Replication::Off);
    let store = if region == HOME { world.vault.clone() } else { world.away.clone() };
    let whole = store.objects();
    damage(&store, &point);
    world.later(7 * 24);
    let found = world.tick().await;
    assert_eq!((found.failed.len(), found.acted.len()), (0, 2), "{found:?}");
    let mark = if region == HOME { "unverified-at-home" } else { "unverified-away" };
    assert_eq!((world.marks(), world.conditions()), (vec![mark.to_owned()], vec![DAMAGED.to_owned()]));
    assert!(world.recorded().contains(&format!("{region}/recovery-point-unverified-{code}")));
    let other = if region == HOME { AWAY } else { HOME };
    let says = world.board()[0].says.clone();
    assert!(says.contains(code) && says.contains(&format!("in {other} it was")), "{says}");
    // What is whole is opened in its stead. It lasts, and is neither read nor marked again at once.
    world.later(1);
    let instead = looked_at(&world.tick().await);
    assert!(instead.iter().all(|look| look.ends_with("us-west-2 newest")), "{instead:?}");
    for _ in 0..3 {
        world.later(1);
        assert_eq!(world.tick().await.acted.len(), 0);
        assert_eq!((world.marks().len(), world.conditions()), (1, vec![DAMAGED.to_owned()]));
        assert!(world.board()[0].says.contains(code), "{}", world.board()[0].says);
    }
    world.later(7 * 24);
    world.tick().await;
    assert_eq!(
        (world.marks().len(), world.recorded().iter().filter(|key| key.contains("-unverified-")).count()),
        (1, 2)
    );
    // Somebody brings the earlier version back.
    for key in [object(&point), manifest(&point)] {
        store.put(&key, whole[&key].clone());
    }
    world.later(1);
    world.verify(&point).await;
    let lifted = mark.replace("unverified", "verified");
    assert_eq!(world.marks(), [mark.to_owned(), lifted]);
    world.later(1);
    world.tick().await;
    assert!(world.board().is_empty(), "{:?}", world.board());
}

#[tokio::test]
async fn both_regions_can_be_damaged() {
    let mut world = World::new();
    let point = world.database("shop", 8, 20);
    world.tick().await;
    world.later(7 * 24);
    assert!(world.vault.corrupt(&object(&point), 5) && world.away.corrupt(&object(&point), 6));
    world.tick().await;
    assert_eq!(world.marks(), ["unverified-at-home", "unverified-away"]);
    world.later(1);
    world.tick().await;
    let says = world.board()[0].says.clone();
    assert!(
        says.contains(HOME) && says.contains(AWAY) && says.contains("take another recovery point"),
        "{says}"
    );
    assert!(!says.contains("meanwhile"), "{says}");
}

/// What passes, and what a person must mend, is not damage; nor is what is being deleted, or not there yet.
#[rstest]
#[case::throttled("read", Error::retryable("SlowDown", "busy"), None)]
#[case::timed_out("head", Error::retryable("RequestTimedOut", "late"), None)]
#[case::no_manifest_comes("read_whole", Error::retryable("BodyIncomplete", "cut off"), None)]
#[case::refused("read", Error::misconfigured("AccessDenied", "no"), Some("turso/shop refused-AccessDenied"))]
#[case::no_key(
    "read_whole",
    Error::misconfigured("KMS.DisabledException", "no"),
    Some("turso/shop refused-KMS.DisabledException")
)]
#[case::replaced_meanwhile("read", Error::permanent("PreconditionFailed", "another"), None)]
#[case::gone_meanwhile("read", Error::permanent("NoSuchKey", "gone"), None)]
#[tokio::test]
async fn what_may_pass_marks_nothing(
    #[case] call: &'static str,
    #[case] error: Error,
    #[case] told: Option<&str>,
) {
    let mut world = World::new();
    world.vault.replicate_to(&world.away, Replication::Off);
    let earlier = world.cache("sessions", 0, 1_000);
    world.tick().await;
    world.later(1);
    world.database("shop", 0, 20);
    let retried = error.kind();
    world.vault.refuse_next(call, error);
    let summary = world.tick().await;
    assert_eq!(summary.failed.len(), 1, "{retried:?} {earlier:?}");
    assert_eq!((world.marks(), world.conditions()), (vec![], told.map(str::to_owned).into_iter().collect()));
    world.later(1);
    assert_eq!(world.tick().await.acted.len(), 1);
    assert!(world.board().is_empty() && world.recorded().len() == 2);
}

/// Whoever deletes it begins with its manifest.
#[rstest]
#[case::before_it_is_looked_at(true)]
#[case::in_the_midst(false)]
#[tokio::test]
async fn what_is_being_deleted_is_not_damaged(#[case] at_once: bool) {
    let world = World::new();
    world.vault.replicate_to(&world.away, Replication::Off);
    let point = world.cache("sessions", 0, 1_000);
    let function = world.function();
    let observed = function.observe(Ask::Due, world.now).await.unwrap();
    let plan = actions(&observed, world.now);
    let delete = || {
        for name in ["manifest.json", "1.rdb", "2.rdb"] {
            world.vault.remove(&format!("{}{name}", point.prefix));
        }
    };
    // Its object was found, and it waits for room in memory.
    let room = function.pace.memory.acquire_many(crate::observe::MEMORY_MIB).await.unwrap();
    if at_once {
        delete();
    }
    let acting = function.act(&plan[0], world.now);
    let deleting = async {
        tokio::task::yield_now().await;
        delete();
        drop(room);
    };
    let (done, ()) = futures::join!(acting, deleting);
    assert_eq!(done.unwrap().detail["is"], "being deleted");
    assert!(world.marks().is_empty() && world.recorded().is_empty());
}

#[tokio::test]
async fn a_copy_that_is_not_all_there_yet_is_not_damaged() {
    let mut world = World::new();
    let point = world.database("shop", 0, 20);
    world.away.remove(&object(&point));
    for _ in 0..6 {
        world.later(24);
        world.tick().await;
        assert!(world.marks().is_empty());
    }
    world.later(48);
    world.tick().await;
    assert_eq!(
        (world.marks(), world.conditions().contains(&DAMAGED.to_owned())),
        (vec!["unverified-away".to_owned()], true)
    );
}

/// Killed after any of its writes, the next run comes to the same.
#[rstest]
#[case::before_the_mark("create", false)]
#[case::after_the_mark("create", true)]
#[tokio::test]
async fn cut_off_in_the_midst_of_marking_it_comes_to_the_same(
    #[case] call: &'static str,
    #[case] takes_effect: bool,
) {
    let mut world = World::new();
    let point = world.database("shop", 8, 20);
    assert!(world.vault.corrupt(&object(&point), 5));
    if takes_effect {
        world.vault.lose_answer_of_next(call);
    } else {
        world.vault.refuse_next(call, Error::retryable("SlowDown", "busy"));
    }
    assert_eq!(world.tick().await.failed.len(), 1);
    world.later(1);
    assert!(world.tick().await.failed.is_empty());
    assert_eq!(
        (world.marks(), world.conditions()),
        (vec!["unverified-at-home".to_owned()], vec![DAMAGED.to_owned()])
    );
    let unverified = |key: &&String| key.contains("unverified");
    assert_eq!(world.recorded().iter().filter(unverified).count(), 1);
}

#[tokio::test]
async fn cut_off_before_it_is_recorded_it_is_looked_at_once_more() {
    let mut world = World::new();
    world.vault.replicate_to(&world.away, Replication::Off);
    world.database("shop", 0, 20);
    world.ledger.refuse_next_append(Error::retryable("SlowDown", "busy"));
    assert_eq!(world.tick().await.failed.len(), 1);
    assert!(world.recorded().is_empty());
    world.later(1);
    world.tick().await;
    assert_eq!(world.recorded(), ["us-east-1/recovery-point-verified"]);
    world.later(1);
    assert_eq!(world.tick().await.acted.len(), 0);
}

#[tokio::test]
async fn what_another_has_marked_only_that_one_ends() {
    let mut world = World::new();
    let point = world.database("shop", 0, 20);
    let mark = |at, mark| inventory::mark_key(&point.resource, &point.id, at, mark);
    world.vault.put(&mark(world.now, inventory::Mark::Unverified(Region::Home)), "{}");
    world.tick().await;
    assert_eq!((world.marks().len(), world.conditions()), (1, vec![DAMAGED.to_owned()]));
    assert!(world.board()[0].says.contains("it is marked as damaged"), "{}", world.board()[0].says);
    world.later(1);
    world.vault.put(&mark(world.now, inventory::Mark::Verified(Region::Home)), "{}");
    world.tick().await;
    assert!(world.board().is_empty());
}

#[tokio::test]
async fn a_mark_of_which_only_the_copy_is_left_says_the_same() {
    let mut world = World::new();
    let point = world.database("shop", 0, 20);
    assert!(world.vault.corrupt(&object(&point), 5));
    world.tick().await;
    let mark = world.vault.objects().into_keys().find(|key| key.starts_with("marks/")).unwrap();
    world.vault.remove(&mark);
    world.later(1);
    world.tick().await;
    assert_eq!(world.conditions(), [DAMAGED]);
    assert!(world.board()[0].says.contains("ChecksumMismatch"), "{}", world.board()[0].says);
}

#[tokio::test]
async fn one_damaged_recovery_point_stops_no_other() {
    let world = World::new();
    let (bad, _) = (world.database("shop", 0, 20), world.cache("sessions", 0, 1_000));
    world.snapshot(0);
    world.vault.remove(&object(&bad));
    world.away.refuse_next("read", Error::misconfigured("AccessDenied", "no"));
    let summary = world.tick().await;
    assert_eq!((summary.acted.len(), summary.failed.len()), (5, 1), "{summary:?}");
    assert_eq!(world.recorded().iter().filter(|key| key.ends_with("recovery-point-verified")).count(), 4);
}
