//! Whose a left-over branch is to judge, since when it is one, and what the vaults have of it.

use turso::{Current, FakeTurso};

use super::{
    left_over::{
        BOTH, End, NOTHING, OTHER, STRANDED, WEEK, backed_up, branch, end, has, is_still, kept, note,
        open_branch, slot, told,
    },
    *,
};

const NONE: &str = r#"{"plans": {"default": {}}}"#;

/// Another deployment backs that database up, and tends its branches.
#[rstest]
#[case::some_are_named(OTHER)]
#[case::none_is_named(NONE)]
#[tokio::test]
async fn what_another_deployment_tends_is_neither_deleted_nor_told_of(#[case] plans: &'static str) {
    for is_gone in [false, true] {
        let mut world = World::new(if is_gone { &[] } else { &["orders"] });
        world.plans = plans;
        let theirs = [open_branch(&world, kept()), open_branch(&world, slot("2026-11-10T03:00:00Z"))];
        world.turso.change(&theirs[0], |one| one.listed.block_writes = true);
        // A person brought its copies here, so that the vaults have all.
        if !is_gone {
            let (other, _) = backed_up().await;
            for (key, body) in other.home.objects() {
                world.home.put(&key, body);
            }
        }
        for _ in 0..3 {
            let actions = World::actions(&world.tick().await);
            assert!(actions.iter().all(|one| *one == "record"), "{actions:?}");
            assert_eq!(told(&world), NOTHING);
            world.later_by(WEEK);
        }
        assert!(theirs.iter().all(|name| has(&world, name)));
        assert_eq!(world.ledger.documents.text("left-over/backup-turso.json"), None);
    }
}

#[tokio::test]
async fn a_word_of_its_own_is_enough_to_tell_and_not_enough_to_delete() {
    let mut world = World::new(&["orders"]);
    world.plans = BOTH;
    world.settle().await;
    assert!(
        Current::read(&world.ledger.documents)
            .await
            .unwrap()
            .of_incarnation("orders", "id-of-orders")
            .is_some()
    );
    // Both deployments back it up, and the other one has made the branch.
    let theirs = open_branch(&world, kept());
    world.turso.change(&theirs, |one| one.listed.block_writes = true);
    end(&mut world, End::Unnamed);
    note(&world).await;
    world.later_by(WEEK * 2);
    assert!(is_still(&world.tick().await) && has(&world, &theirs));
    assert_eq!(told(&world), STRANDED);
}

#[tokio::test]
async fn of_a_database_that_was_copied_by_rows_the_branches_that_are_on_record_go_too() {
    let mut world = World::new(&["orders"]);
    world.plans = BOTH;
    world.turso.change("orders", |one| one.has_pages = false);
    world.settle().await;
    assert!(Current::read(&world.ledger.documents).await.unwrap().databases.is_empty());
    let (made, found) = (branch(&world, kept()), open_branch(&world, slot("2026-11-22T01:00:00Z")));
    let older = branch(&world, slot("2026-11-02T03:00:00Z"));
    end(&mut world, End::Gone);
    note(&world).await;
    assert_eq!(told(&world), NOTHING);
    world.later_by(WEEK);
    assert_eq!(World::actions(&world.tick().await), ["delete-branch", "delete-branch"]);
    assert!(
        !has(&world, &made) && !has(&world, &older) && has(&world, &found),
        "of that one nothing is known"
    );
    assert_eq!(told(&world), NOTHING);
}

#[tokio::test]
async fn what_is_known_of_a_database_is_kept_when_it_is_gone_and_when_another_bears_its_name() {
    let mut world = World::new(&["orders"]);
    world.plans = BOTH;
    world.settle().await;
    let old = open_branch(&world, slot("2026-11-20T03:00:00Z"));
    world.turso.put(FakeTurso::listed("orders", "id-new", "production"), "CREATE TABLE rows(id)");
    world.settle().await;
    let current = Current::read(&world.ledger.documents).await.unwrap();
    assert_eq!(current.databases["orders"].incarnation, "id-new");
    assert!(current.of_incarnation("orders", "id-of-orders").is_some());
    world.tick().await;
    assert_eq!(told(&world), STRANDED);
    assert!(world.board().iter().any(|one| one.says.contains(&old)));
    world.turso.remove("orders");
    world.tick().await;
    assert!(
        Current::read(&world.ledger.documents).await.unwrap().of_incarnation("orders", "id-new").is_some()
    );
}

/// A pattern fell out of the document for some days: all that is older than a week is still there.
#[tokio::test]
async fn a_plan_that_lost_a_line_costs_nothing_for_a_week() {
    let (mut world, name) = backed_up().await;
    let older = branch(&world, slot("2026-11-02T03:00:00Z"));
    world.later_by(WEEK * 4);
    assert!(is_still(&world.tick().await));
    world.plans = OTHER;
    note(&world).await;
    world.later_by(WEEK - SignedDuration::from_hours(1));
    assert!(is_still(&world.tick().await));
    world.plans = BOTH;
    note(&world).await;
    world.later_by(WEEK);
    world.plans = OTHER;
    note(&world).await;
    world.later_by(WEEK - SignedDuration::from_hours(1));
    assert!(is_still(&world.tick().await) && has(&world, &name) && has(&world, &older));
    world.later(60);
    assert_eq!(World::actions(&world.tick().await), ["delete-branch", "delete-branch"]);
}

#[rstest]
#[case::lost(None)]
#[case::unreadable(Some("no JSON"))]
#[tokio::test]
async fn without_its_document_the_week_counts_anew(#[case] text: Option<&str>) {
    const SINCE: &str = "left-over/backup-turso.json";
    let (mut world, name) = backed_up().await;
    end(&mut world, End::Gone);
    note(&world).await;
    world.later_by(WEEK - SignedDuration::from_hours(1));
    match text {
        Some(text) => world.ledger.documents.put(SINCE, text),
        None => world.ledger.documents.remove(SINCE),
    }
    note(&world).await;
    world.later_by(WEEK - SignedDuration::from_hours(1));
    assert!(is_still(&world.tick().await) && has(&world, &name));
    world.later(60);
    assert_eq!(World::actions(&world.tick().await), ["delete-branch"]);
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
async fn what_is_not_whole_in_both_vaults_keeps_its_branch(#[case] less: Less) {
    let (mut world, name) = backed_up().await;
    end(&mut world, End::Gone);
    note(&world).await;
    world.later_by(WEEK * 2);
    let remove = |store: &FakeStore| {
        for key in store.objects().keys().filter(|key| key.ends_with(OBJECT)) {
            store.remove(key);
        }
    };
    match less {
        Less::BareInBoth => {
            remove(&world.home);
            remove(&world.away);
        }
        Less::BareAway => remove(&world.away),
        Less::HomeLacksOne => {
            for key in world.away.objects().keys().filter(|key| key.ends_with(OBJECT)) {
                world.away.put(&key.replace(OBJECT, "more"), "more");
            }
        }
    }
    let actions = World::actions(&world.tick().await);
    assert!(!actions.contains(&"delete-branch") && has(&world, &name), "{less:?}");
    assert_eq!(told(&world), STRANDED);
}
