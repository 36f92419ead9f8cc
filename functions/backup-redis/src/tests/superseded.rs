//! What is left over: since when, and what of it the vaults have in another way, or had once.

use std::{sync::Arc, time::Duration};

use domain::{RecoveryPointId, Slot, tag};
use reconcile::{Error, Reconciler, Wake};
use redis::elasticache::{Cache, CacheKind, Snapshot};
use rstest::rstest;

use super::{
    left_over::{End, WEEK, backed_up, end, is_still, names, note, sessions},
    world::{World, group},
};

/// An hour less than a week.
const ALMOST: Duration = Duration::from_hours(7 * 24 - 1);

const SINCE: &str = "left-over/backup-redis.json";

/// The same cache, protected again.
fn protect(world: &World) {
    world.account.put_cache(group("sessions", 1));
}

/// Slots come once a year, so that what is there stays the newest.
fn yearly(world: &mut World) {
    r#"{"plans": {"default": {"schedule": {"redis": "0 6 22 11 *"}}}}"#.clone_into(&mut world.plans);
}

/// Puts a snapshot of ours there as of that slot, beside the one that was backed up.
fn put_snapshot(world: &World, slot: &str) -> String {
    let id = RecoveryPointId::new("sessions", "2026-01-01T00:00:00Z", Slot::at(slot.parse().unwrap()), 1);
    let like = world.snapshots().remove(0);
    let arn = format!("{}-of-{slot}", like.arn);
    let created = Some(slot.parse().unwrap());
    world.account.put_snapshot(Snapshot { name: id.to_string(), arn, created, ..like });
    id.to_string()
}

/// Removes all that the vaults have, or what ends so.
fn empty(world: &World, ending: &str) {
    for store in [&world.vault, &world.recovery] {
        for key in store.objects().keys().filter(|key| key.starts_with("redis/") && key.ends_with(ending)) {
            store.remove(key);
        }
    }
}

#[tokio::test]
async fn a_tag_that_was_taken_off_by_mistake_costs_nothing_for_a_week() {
    let (mut world, id) = backed_up().await;
    yearly(&mut world);
    // Older than a week, all the while that it is protected.
    world.wait(WEEK * 4);
    assert!(is_still(&world.tick().await));
    end(&world, End::Untagged);
    note(&world).await;
    world.wait(ALMOST);
    assert!(is_still(&world.tick().await), "nobody had a week yet to see the mistake");
    protect(&world);
    note(&world).await;
    world.wait(WEEK);
    end(&world, End::Untagged);
    note(&world).await;
    world.wait(ALMOST);
    assert!(is_still(&world.tick().await), "it counts from the second time");
    assert_eq!(names(&world), [id.to_string()]);
    world.wait(Duration::from_hours(1));
    assert_eq!(World::actions(&world.tick().await), ["delete-snapshot"]);
}

#[rstest]
#[case::lost(None)]
#[case::unreadable(Some("{\"redis/sessions"))]
#[case::of_others(Some(
    r#"{"redis/sessions/aaaaaa": "2026-01-01T00:00:00Z", "nonsense": "2026-01-01T00:00:00Z"}"#
))]
#[tokio::test]
async fn without_its_document_the_week_counts_anew(#[case] text: Option<&str>) {
    let (mut world, id) = backed_up().await;
    end(&world, End::Gone);
    note(&world).await;
    world.wait(ALMOST);
    match text {
        Some(text) => world.ledger.documents.put(SINCE, text),
        None => world.ledger.documents.remove(SINCE),
    }
    note(&world).await;
    world.wait(ALMOST);
    assert!(is_still(&world.tick().await));
    assert_eq!(names(&world), [id.to_string()]);
    world.wait(Duration::from_hours(1));
    assert_eq!(World::actions(&world.tick().await), ["delete-snapshot"]);
}

#[tokio::test]
async fn where_it_cannot_be_written_nothing_goes() {
    let (mut world, id) = backed_up().await;
    end(&world, End::Gone);
    for _ in 0..3 {
        world.ledger.documents.refuse_next_write(Error::retryable("SlowDown", "busy"));
        world.tick().await;
        assert_eq!(names(&world), [id.to_string()]);
        world.wait(WEEK * 2);
    }
}

#[rstest]
#[case::gone(End::Gone)]
#[case::untagged(End::Untagged)]
#[tokio::test]
async fn what_a_later_recovery_point_supersedes_goes_and_is_not_brought_in(#[case] how: End) {
    let (mut world, newest) = backed_up().await;
    // Of the day before: its attempts failed, or nobody got round to it.
    let older = put_snapshot(&world, "2026-11-21T18:00:00Z");
    end(&world, how);
    note(&world).await;
    assert_eq!((world.conditions(), world.manifests().len()), (vec![], 1));
    world.wait(WEEK);
    assert_eq!(World::actions(&world.tick().await), ["delete-snapshot", "delete-snapshot"]);
    assert!(names(&world).is_empty(), "{newest} {older}");
}

#[tokio::test]
async fn it_is_superseded_though_no_later_snapshot_is_there() {
    let (mut world, newest) = backed_up().await;
    let older = put_snapshot(&world, "2026-11-18T18:00:00Z");
    world.account.remove_snapshot(CacheKind::ReplicationGroup, newest.as_str());
    end(&world, End::Gone);
    // Days later no list is of the day of that recovery point, but for the one on which the protection was seen to end.
    note(&world).await;
    world.wait(WEEK);
    assert_eq!(World::actions(&world.tick().await), ["delete-snapshot"]);
    assert!(!names(&world).contains(&older) && world.board().is_empty());
}

#[tokio::test]
async fn a_later_one_that_is_doubted_or_only_at_home_supersedes_nothing() {
    let (mut world, newest) = backed_up().await;
    let older = put_snapshot(&world, "2026-11-21T18:00:00Z");
    end(&world, End::Gone);
    let doubt = inventory::Mark::Unverified(domain::retention::Region::Recovery);
    world.vault.put(&inventory::mark_key(&sessions(), &newest, world.now, doubt), "");
    note(&world).await;
    world.wait(WEEK);
    assert!(is_still(&world.tick().await));
    assert_eq!(world.conditions(), ["left-over-stranded"]);
    assert!(world.board()[0].says.contains(&older), "{}", world.board()[0].says);
    // Of a lost copy nobody says anything here: others find that, and bring it there.
    let (mut world, _) = backed_up().await;
    let older = put_snapshot(&world, "2026-11-21T18:00:00Z");
    end(&world, End::Gone);
    for key in world.recovery.objects().keys() {
        world.recovery.remove(key);
    }
    world.tick().await;
    world.wait(WEEK);
    assert!(!World::actions(&world.tick().await).contains(&"delete-snapshot"));
    assert!(names(&world).contains(&older));
}

#[rstest]
#[case::untagged(End::Untagged, false)]
#[case::gone(End::Gone, false)]
#[case::held(End::Untagged, true)]
#[tokio::test]
async fn what_retention_let_go_is_not_brought_in_again_nor_called_a_last_state(
    #[case] how: End,
    #[case] is_held: bool,
) {
    let (mut world, id) = backed_up().await;
    if is_held {
        let mut held = world.snapshots().remove(0);
        held.tags.insert(tag::LEGAL_HOLD.to_owned(), String::new());
        world.account.put_snapshot(held);
    }
    end(&world, how);
    note(&world).await;
    empty(&world, "");
    for _ in 0..3 {
        world.wait(WEEK);
        assert!(is_still(&world.tick().await));
        assert_eq!((names(&world), world.conditions()), (vec![id.to_string()], vec![]));
    }
    assert!(world.manifests().is_empty());
}

#[tokio::test]
async fn what_lost_only_a_part_is_no_decision_of_retention_and_is_told() {
    let (mut world, id) = backed_up().await;
    end(&world, End::Untagged);
    note(&world).await;
    empty(&world, ".rdb");
    world.wait(WEEK);
    assert!(!World::actions(&world.tick().await).contains(&"delete-snapshot"));
    assert_eq!(
        (names(&world), world.conditions()),
        (vec![id.to_string()], vec!["left-over-stranded".to_owned()])
    );
}

#[tokio::test]
async fn without_the_ledger_nobody_knows_and_nothing_new_is_told_or_brought_in() {
    let (world, _) = backed_up().await;
    end(&world, End::Untagged);
    note(&world).await;
    empty(&world, "");
    let mut observed = world.function().observe(Wake::Tick, world.now).await.unwrap();
    observed.recorded = Err(Arc::new(Error::retryable("SlowDown", "busy")));
    let plan = crate::plan::plan(&observed, world.now);
    let acts = plan.decisions.iter().filter(|one| matches!(one.verdict, reconcile::Verdict::Act(_)));
    assert_eq!((acts.count(), plan.findings.len(), plan.incomplete), (0, 0, true));
}

#[tokio::test]
async fn a_failed_snapshot_is_nobodys_last_state() {
    let mut world = World::new(&[group("sessions", 1)]);
    world.tick().await;
    let [failed] = world.snapshots().try_into().unwrap();
    world.account.fail_snapshot(failed.kind, &failed.name);
    end(&world, End::Gone);
    note(&world).await;
    world.wait(WEEK * 2);
    assert!(is_still(&world.tick().await) && world.board().is_empty());
    // Beside another one it is not named.
    let last = put_snapshot(&world, "2026-11-21T18:00:00Z");
    let mut available = world.snapshots().into_iter().find(|one| one.name == last).unwrap();
    "available".clone_into(&mut available.status);
    world.account.put_snapshot(available);
    world.tick().await;
    let [finding] = world.board().try_into().unwrap();
    assert!(finding.says.contains(&last) && finding.next.contains(&last), "{finding:?}");
    assert!(!finding.says.contains(&failed.name) && !finding.next.contains(&failed.name), "{finding:?}");
}

#[tokio::test]
async fn a_held_snapshot_that_cannot_be_brought_in_stays_and_is_not_told() {
    let mut world = World::new(&[group("sessions", 1)]);
    world.tick().await;
    let mut held = world.snapshots().remove(0);
    held.tags.insert(tag::LEGAL_HOLD.to_owned(), "case 17".to_owned());
    world.account.put_snapshot(held);
    end(&world, End::Gone);
    world.later();
    note(&world).await;
    world.wait(WEEK * 2);
    assert!(is_still(&world.tick().await) && world.board().is_empty());
    assert_eq!(names(&world).len(), 1);
}

#[tokio::test]
async fn an_intake_that_cannot_be_read_tells_nothing_new() {
    let mut world = World::new(&[group("sessions", 1)]);
    world.tick().await;
    world.later();
    world.tick().await;
    end(&world, End::Gone);
    let mut observed = world.function().observe(Wake::Tick, world.now).await.unwrap();
    observed.intakes.insert(sessions(), Err(Arc::new(Error::misconfigured("AccessDenied", "not yours"))));
    let plan = crate::plan::plan(&observed, world.now);
    assert!(plan.findings.is_empty(), "{:?}", plan.findings);
    assert!(plan.not_looked_at.contains(&sessions()));
    let refused = |one: &&reconcile::Decision<_>| matches!(one.verdict, reconcile::Verdict::Refuse(_));
    assert_eq!(plan.decisions.iter().filter(refused).count(), 1);
}

/// How what the vaults have of a recovery point may be less than it seems.
#[derive(Clone, Copy, Debug)]
enum Less {
    BareInBoth,
    BareAway,
    HomeLacksOne,
}

#[rstest]
#[case(Less::BareInBoth)]
#[case(Less::BareAway)]
#[case(Less::HomeLacksOne)]
#[tokio::test]
async fn what_is_not_whole_in_both_vaults_keeps_its_snapshot(
    #[case] less: Less,
    #[values(true, false)] is_protected: bool,
) {
    let mut world = World::new(&[group("sessions", 2)]);
    r#"{"plans": {"default": {"schedule": {"redis": "0 6 22 11 *"}, "redis": {"keep_snapshots": 1}}}}"#
        .clone_into(&mut world.plans);
    world.settle().await;
    let id = names(&world).remove(0);
    if is_protected {
        r#"{"plans": {"default": {"schedule": {"redis": "0 6 22 11 *"}, "redis": {"keep_snapshots": 0}}}}"#
            .clone_into(&mut world.plans);
    } else {
        world.account.put_cache(Cache { tags: [].into(), ..group("sessions", 2) });
        note(&world).await;
        world.wait(WEEK);
    }
    let remove = |is_home: bool, ending: &str| {
        let store = if is_home { &world.vault } else { &world.recovery };
        for key in store.objects().keys().filter(|key| key.ends_with(ending)) {
            store.remove(key);
        }
    };
    match less {
        Less::BareInBoth => {
            remove(true, ".rdb");
            remove(false, ".rdb");
        }
        Less::BareAway => remove(false, ".rdb"),
        Less::HomeLacksOne => remove(true, "0002.rdb"),
    }
    assert!(!World::actions(&world.tick().await).contains(&"delete-snapshot"), "{less:?}");
    assert!(names(&world).contains(&id));
}
