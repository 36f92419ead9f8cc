//! Snapshots whose cache is gone, or under no backup plan any more.

use std::time::Duration;

use domain::{RecoveryPointId, ResourceId, retention::Region, tag};
use inventory::{Mark, mark_key};
use reconcile::{Error, Summary};
use redis::elasticache::{Cache, CacheKind, Snapshot};
use rstest::rstest;
use vault::Replication;

use super::world::{World, cache, group, rdb};

pub(super) const WEEK: Duration = Duration::from_hours(7 * 24);

/// How a cache comes to be protected no more.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    Gone,
    Untagged,
    /// It says that it is not to be protected.
    None,
}

pub(super) fn end(world: &World, end: End) {
    let group = group("sessions", 1);
    match end {
        End::Gone => world.account.remove_cache(group.kind, &group.name),
        End::Untagged => world.account.put_cache(Cache { tags: [].into(), ..group }),
        End::None => world
            .account
            .put_cache(Cache { tags: [(tag::PLAN.to_owned(), "none".to_owned())].into(), ..group }),
    }
}

/// A cache whose recovery point is in both vaults, and its snapshot still at ElastiCache.
pub(super) async fn backed_up() -> (World, RecoveryPointId) {
    let mut world = World::new(&[group("sessions", 1)]);
    world.settle().await;
    let [snapshot] = world.snapshots().try_into().unwrap();
    (world, RecoveryPointId::from(snapshot.name.as_str()))
}

pub(super) fn sessions() -> ResourceId {
    ResourceId::redis("sessions")
}

pub(super) fn names(world: &World) -> Vec<String> {
    world.snapshots().into_iter().map(|snapshot| snapshot.name).collect()
}

pub(super) fn is_still(summary: &Summary) -> bool {
    World::actions(summary).is_empty() && summary.unfinished == 0
}

/// The tick that sees first that something is left over, or that nothing is any more: it writes that down, and no more.
pub(super) async fn note(world: &World) {
    let summary = world.tick().await;
    assert_eq!((World::actions(&summary), summary.unfinished), (vec!["note-left-over"], 0));
}

#[rstest]
#[case::gone(End::Gone)]
#[case::untagged(End::Untagged)]
#[case::not_to_be(End::None)]
#[tokio::test]
async fn what_is_in_both_vaults_goes_after_a_week(#[case] how: End) {
    let (mut world, id) = backed_up().await;
    let vaults = (world.vault.objects(), world.recovery.objects());
    end(&world, how);
    note(&world).await;
    world.wait(Duration::from_hours(7 * 24 - 1));
    assert!(is_still(&world.tick().await), "whoever ended it by mistake still has it");
    world.wait(Duration::from_hours(1));
    let summary = world.tick().await;
    assert_eq!(World::actions(&summary), ["delete-snapshot"]);
    assert!(summary.acted[0].reason.contains(id.as_str()), "{}", summary.acted[0].reason);
    assert!(world.snapshots().is_empty() && world.board().is_empty());
    note(&world).await;
    assert!(is_still(&world.tick().await));
    assert_eq!((world.vault.objects(), world.recovery.objects()), vaults);
}

#[tokio::test]
async fn what_a_plan_still_names_is_protected_though_there_is_no_such_plan() {
    let (mut world, id) = backed_up().await;
    r#"{"plans": {"other": {}}}"#.clone_into(&mut world.plans);
    world.wait(WEEK * 2);
    let summary = world.tick().await;
    assert_eq!((World::actions(&summary), summary.failed.len()), (vec![], 1), "that is refused, aloud");
    assert_eq!(
        (names(&world), world.conditions()),
        (vec![id.to_string()], vec!["refused-PlanUnknown".to_owned()])
    );
}

#[tokio::test]
async fn a_plan_that_keeps_its_snapshots_is_not_hurried() {
    let (mut world, id) = backed_up().await;
    // Its slots come once a year.
    r#"{"plans": {"default": {"schedule": {"redis": "0 6 22 11 *"}}}}"#.clone_into(&mut world.plans);
    world.wait(WEEK * 20);
    assert!(is_still(&world.tick().await));
    assert_eq!(names(&world), [id.to_string()]);
}

#[tokio::test]
async fn what_is_left_of_a_cache_that_was_made_anew_goes_and_the_new_ones_stays() {
    let (mut world, old) = backed_up().await;
    let incarnation = "2026-11-22T06:30:00Z".to_owned();
    world.account.put_cache(Cache { incarnation, ..group("sessions", 1) });
    world.settle().await;
    world.wait(WEEK);
    world.settle().await;
    let [kept] = names(&world).try_into().unwrap();
    assert_ne!(kept, old.to_string());
    assert!(world.board().is_empty(), "{:?}", world.board());
}

#[tokio::test]
async fn under_the_name_of_one_that_is_protected_nothing_is_brought_there_and_it_is_told() {
    let mut world = World::new(&[group("sessions", 1)]);
    world.tick().await;
    world.later();
    world.tick().await;
    let old = world.snapshots().remove(0).name;
    // Its export was begun; the document is the new one's from now on.
    let incarnation = "2026-11-22T06:06:00Z".to_owned();
    world.account.put_cache(Cache { incarnation: incarnation.clone(), ..group("sessions", 1) });
    world.settle().await;
    let [manifest] = world.manifests().try_into().unwrap();
    assert_eq!(manifest.incarnation, incarnation);
    world.wait(WEEK);
    world.settle().await;
    assert!(names(&world).contains(&old));
    assert_eq!(world.conditions(), ["left-over-stranded"]);
}

#[rstest]
#[case::untagged(|snapshot: &mut Snapshot| snapshot.tags.clear())]
#[case::of_another(|snapshot: &mut Snapshot| _ = snapshot.tags.insert(tag::RESOURCE.to_owned(), "redis/users".to_owned()))]
#[case::of_another_engine(|snapshot: &mut Snapshot| _ = snapshot.tags.insert(tag::RESOURCE.to_owned(), "rds/sessions".to_owned()))]
#[case::of_another_cache(|snapshot: &mut Snapshot| "users".clone_into(&mut snapshot.cache))]
#[tokio::test]
async fn what_name_and_tag_do_not_agree_on_is_not_ours(#[case] change: fn(&mut Snapshot)) {
    let (mut world, id) = backed_up().await;
    let mut theirs = world.snapshots().remove(0);
    change(&mut theirs);
    world.account.put_snapshot(theirs.clone());
    // By name and tag nothing of ours.
    world.account.put_snapshot(Snapshot {
        name: "before-upgrade".to_owned(),
        arn: format!("{}-2", theirs.arn),
        ..theirs
    });
    end(&world, End::Gone);
    world.wait(WEEK * 2);
    assert!(is_still(&world.tick().await));
    assert_eq!(names(&world), ["before-upgrade".to_owned(), id.to_string()]);
    assert!(world.board().is_empty());
}

#[tokio::test]
async fn a_tag_that_changed_since_it_was_listed_keeps_it() {
    let (mut world, id) = backed_up().await;
    end(&world, End::Gone);
    world.wait(WEEK);
    // The list is of before; the resource itself says otherwise.
    let listed = world.snapshots().remove(0);
    let action = |snapshot: Snapshot| crate::act::Action::Delete {
        resource: sessions(),
        snapshot: Box::new(snapshot),
    };
    for (key, code) in [(tag::LEGAL_HOLD, "HeldByTag"), (tag::RESOURCE, "NameTaken")] {
        let mut changed = listed.clone();
        changed.tags.insert(key.to_owned(), "case 17".to_owned());
        world.account.put_snapshot(changed);
        let refused = crate::act::act(&world.function(), &action(listed.clone()), world.now).await;
        assert_eq!(refused.unwrap_err().code(), code);
    }
    assert_eq!(names(&world), [id.to_string()]);
}

#[rstest]
#[case::at_home(true)]
#[case::in_the_recovery_region(false)]
#[tokio::test]
async fn what_a_person_holds_stays_until_it_is_released(#[case] at_home: bool) {
    let (mut world, id) = backed_up().await;
    end(&world, End::Gone);
    let mark = |world: &World, mark| {
        let vault = if at_home { &world.vault } else { &world.recovery };
        vault.put(&mark_key(&sessions(), &id, world.now, mark), "");
    };
    mark(&world, Mark::Held);
    note(&world).await;
    world.wait(WEEK * 10);
    assert!(is_still(&world.tick().await));
    assert_eq!(names(&world), [id.to_string()]);
    mark(&world, Mark::Released);
    assert_eq!(World::actions(&world.tick().await), ["delete-snapshot"]);
}

#[rstest]
#[case::protected(false)]
#[case::left_over(true)]
#[tokio::test]
async fn the_tag_of_a_legal_hold_keeps_a_snapshot(#[case] is_left_over: bool) {
    let (mut world, id) = backed_up().await;
    let mut held = world.snapshots().remove(0);
    held.tags.insert(tag::LEGAL_HOLD.to_owned(), String::new());
    world.account.put_snapshot(held);
    if is_left_over {
        end(&world, End::Gone);
        note(&world).await;
    }
    world.wait(WEEK * 2);
    world.settle().await;
    assert!(names(&world).contains(&id.to_string()));
    assert!(world.board().is_empty());
}

#[rstest]
#[case(Region::Home)]
#[case(Region::Recovery)]
#[tokio::test]
async fn of_what_a_later_look_found_damaged_the_snapshot_stays_and_is_told_of(#[case] region: Region) {
    let (mut world, id) = backed_up().await;
    end(&world, End::Gone);
    note(&world).await;
    world.wait(WEEK * 2);
    world.vault.put(&mark_key(&sessions(), &id, world.now, Mark::Unverified(region)), "");
    assert!(is_still(&world.tick().await));
    assert_eq!(
        (names(&world), world.conditions()),
        (vec![id.to_string()], vec!["left-over-stranded".to_owned()])
    );
    world.later();
    world.vault.put(&mark_key(&sessions(), &id, world.now, Mark::Verified(region)), "");
    assert_eq!(World::actions(&world.tick().await), ["delete-snapshot"]);
    assert!(world.board().is_empty());
}

#[tokio::test]
async fn without_its_copy_nothing_goes() {
    let mut world = World::new(&[group("sessions", 1)]);
    world.vault.replicate_to(&world.recovery, Replication::Late);
    for _ in 0..4 {
        world.tick().await;
        world.later();
    }
    assert_eq!((world.manifests().len(), world.recovery.objects().len()), (1, 0));
    end(&world, End::Gone);
    world.tick().await;
    world.wait(WEEK);
    assert_eq!(World::actions(&world.tick().await), ["copy-recovery-point"], "it is brought there first");
    assert_eq!(world.snapshots().len(), 1);
    assert!(world.board().is_empty());
    world.later();
    assert!(World::actions(&world.tick().await).contains(&"delete-snapshot"));
}

#[tokio::test]
async fn what_the_vault_does_not_have_stays_for_ever_and_is_told_of() {
    let mut world = World::new(&[group("sessions", 1)]);
    world.tick().await;
    let [last] = world.snapshots().try_into().unwrap();
    end(&world, End::Gone);
    world.later();
    note(&world).await;
    for _ in 0..3 {
        assert!(is_still(&world.tick().await));
        assert_eq!(world.conditions(), ["left-over-stranded"]);
        world.wait(WEEK * 20);
    }
    let [finding] = world.board().try_into().unwrap();
    assert_eq!((finding.resource, finding.severity), (sessions(), domain::Severity::Warning));
    assert_eq!(finding.since, "2026-11-22T06:05:10Z".parse().unwrap(), "as long as it is so");
    assert!(finding.says.contains(&last.name) && finding.next.contains(&last.name), "{}", finding.says);
    world.account.remove_snapshot(last.kind, &last.name);
    world.tick().await;
    assert!(world.board().is_empty());
}

#[rstest]
#[case(CacheKind::ReplicationGroup)]
#[case(CacheKind::Serverless)]
#[tokio::test]
async fn of_a_cache_that_lost_its_tag_the_last_snapshot_is_still_brought_to_the_vault(
    #[case] kind: CacheKind,
) {
    let mut world = World::new(&[cache(kind, "sessions", 1)]);
    world.tick().await;
    world.account.put_cache(Cache { tags: [].into(), ..cache(kind, "sessions", 1) });
    world.settle().await;
    let [manifest] = world.manifests().try_into().unwrap();
    assert_eq!((manifest.plan.as_str(), manifest.incarnation.as_str()), ("default", "2026-01-01T00:00:00Z"));
    assert_eq!(manifest.content["requested_at"], "2026-11-22T06:00:10Z");
    assert_eq!(redis::elasticache::Source::from_map(&manifest.source).unwrap().kind, kind);
    world.wait(WEEK);
    assert_eq!(World::actions(&world.tick().await), ["delete-snapshot"]);
    assert!(world.board().is_empty());
}

#[rstest]
#[case::asked_to_export(1)]
#[case::exported(2)]
#[case::nearly_there(3)]
#[tokio::test]
async fn what_was_begun_before_the_cache_went_is_finished(#[case] after: u32) {
    let mut world = World::new(&[group("sessions", 2)]);
    world.tick().await;
    for _ in 0..after {
        world.later();
        world.tick().await;
    }
    end(&world, End::Gone);
    world.settle().await;
    let [manifest] = world.manifests().try_into().unwrap();
    assert_eq!((manifest.objects.len(), manifest.incarnation.as_str()), (2, "2026-01-01T00:00:00Z"));
    assert!(world.board().is_empty(), "{:?}", world.board());
}

#[tokio::test]
async fn the_newest_is_brought_there_and_an_older_one_only_if_that_cannot_be() {
    for is_corrupt in [false, true] {
        let world = two_left(is_corrupt).await;
        let [manifest] = world.manifests().try_into().unwrap();
        let slot = if is_corrupt { "2026-11-22T00:00:00Z" } else { "2026-11-22T06:00:00Z" };
        assert_eq!(manifest.slot.to_string(), slot);
        let told: &[&str] = if is_corrupt { &["left-over-stranded"] } else { &[] };
        assert_eq!(world.conditions(), told);
    }
}

/// Of a cache that lost its tag two snapshots are left, neither in the vault.
async fn two_left(is_newest_corrupt: bool) -> World {
    let mut world = World::new(&[group("sessions", 1)]);
    world.tick().await;
    let first = world.snapshots().remove(0);
    let slot = "2026-11-22T00:00:00Z".parse().unwrap();
    let second = RecoveryPointId::new("sessions", "2026-01-01T00:00:00Z", domain::Slot::at(slot), 1);
    let arn = format!("{}-2", first.arn);
    world.account.put_snapshot(Snapshot { name: second.to_string(), arn, ..first });
    end(&world, End::Untagged);
    if is_newest_corrupt {
        world.contents.insert("0001".to_owned(), rdb(20)[..500].to_vec());
        // The newest is exported, and found to be corrupt.
        for _ in 0..3 {
            world.tick().await;
            world.later();
        }
        world.contents.clear();
    }
    world.settle().await;
    world
}

#[tokio::test]
async fn an_export_that_is_corrupt_is_given_up_and_told_of() {
    let mut world = World::new(&[group("sessions", 1)]);
    world.contents.insert("0001".to_owned(), rdb(20)[..500].to_vec());
    world.tick().await;
    end(&world, End::Untagged);
    for _ in 0..4 {
        world.later();
        world.tick().await;
    }
    assert_eq!(world.ledger_kinds(), ["recovery-point-failed-RdbCorrupt"]);
    world.wait(WEEK * 2);
    assert!(is_still(&world.tick().await));
    assert_eq!((world.snapshots().len(), world.conditions()), (1, vec!["left-over-stranded".to_owned()]));
}

#[rstest]
#[case::caches("DescribeCaches")]
#[case::snapshots("DescribeSnapshots")]
#[case::copies("copies")]
#[case::vault("vault")]
#[tokio::test]
async fn where_anything_does_not_answer_nothing_goes(#[case] what: &'static str) {
    let (mut world, id) = backed_up().await;
    let other = cache(CacheKind::Cluster, "lost", 1);
    let mut stranded = world.snapshots().remove(0);
    let lost = RecoveryPointId::new("lost", "x", domain::Slot::at(world.now), 1).to_string();
    stranded.tags.insert(tag::RESOURCE.to_owned(), "redis/lost".to_owned());
    world.account.put_snapshot(Snapshot {
        name: lost.clone(),
        arn: "arn:lost".to_owned(),
        cache: other.name,
        ..stranded
    });
    end(&world, End::Gone);
    world.tick().await;
    assert_eq!(world.conditions(), ["left-over-stranded"]);
    world.wait(WEEK);
    let down = || Error::retryable("ServiceUnavailable", "down");
    match what {
        "copies" => world.recovery.refuse_next("list", down()),
        "vault" => world.vault.refuse_next("list", down()),
        call => world.account.refuse_next(call, down()),
    }
    let pass = world.pass(Duration::from_mins(5)).await;
    assert!(pass.is_err() || pass.is_ok_and(|pass| !pass.failed.is_empty() && pass.acted.is_empty()));
    assert_eq!(names(&world), [lost.clone(), id.to_string()]);
    assert_eq!(world.conditions(), ["left-over-stranded"], "and no finding ends");
    assert_eq!(World::actions(&world.tick().await), ["delete-snapshot"]);
    assert_eq!(names(&world), [lost]);
}

#[tokio::test]
async fn marks_that_cannot_be_read_keep_everything() {
    let (mut world, id) = backed_up().await;
    end(&world, End::Gone);
    world.wait(WEEK);
    let mut observed = crate::observe::observe(&world.function(), world.now).await.unwrap();
    observed.evidence = Err(std::sync::Arc::new(Error::retryable("AccessDenied", "not yours")));
    let plan = crate::plan::plan(&observed, world.now);
    assert_eq!(plan.not_looked_for, ["left-over-stranded"]);
    let is_refusal = |one: &reconcile::Decision<_>| matches!(one.verdict, reconcile::Verdict::Refuse(_));
    assert!(plan.decisions.iter().all(is_refusal) && plan.decisions.len() == 1);
    assert_eq!(names(&world), [id.to_string()]);
}

#[tokio::test]
async fn an_index_of_tags_that_has_nothing_makes_nobody_ours() {
    let (mut world, id) = backed_up().await;
    // It has the tags of caches no more than those of snapshots.
    end(&world, End::Untagged);
    world.account.let_tags_lag(true);
    world.wait(WEEK * 2);
    assert!(is_still(&world.tick().await));
    assert_eq!(names(&world), [id.to_string()]);
}

#[tokio::test]
async fn killed_after_the_deletion_or_done_twice_it_is_the_same() {
    let (mut world, _) = backed_up().await;
    end(&world, End::Gone);
    note(&world).await;
    world.wait(WEEK);
    world.account.lose_answer_of_next("DeleteSnapshot");
    assert_eq!(world.tick().await.failed.len(), 1);
    note(&world).await;
    assert!(is_still(&world.tick().await) && world.snapshots().is_empty() && world.board().is_empty());

    let (mut world, _) = backed_up().await;
    end(&world, End::Gone);
    let (a, b) = tokio::join!(world.tick(), world.tick());
    assert!(a.failed.is_empty() && b.failed.is_empty(), "{:?} {:?}", a.failed, b.failed);
    world.wait(WEEK);
    let (a, b) = tokio::join!(world.tick(), world.tick());
    assert!(a.failed.is_empty() && b.failed.is_empty(), "{:?} {:?}", a.failed, b.failed);
    assert!(world.snapshots().is_empty());
}

#[tokio::test]
async fn what_is_left_over_costs_lists_and_no_call_for_each() {
    let caches: Vec<Cache> = (0..50).map(|number| group(&format!("cache-{number:03}"), 1)).collect();
    let mut world = World::new(&caches);
    world.settle().await;
    for cache in &caches {
        world.account.remove_cache(cache.kind, &cache.name);
    }
    let before = (world.account.calls().len(), world.vault.calls().len(), world.recovery.calls().len());
    note(&world).await;
    let after = (world.account.calls().len(), world.vault.calls().len(), world.recovery.calls().len());
    assert_eq!(
        (after.0 - before.0, after.1 - before.1, after.2 - before.2),
        (2, 4, 4),
        "one more: the marks"
    );
}
