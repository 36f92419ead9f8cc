//! Branches whose database is gone, or protected no more.

use domain::{RecoveryPointId, retention::Region};
use inventory::{Mark, mark_key};
use serde_json::{Value, json};
use turso::{Database, FakeTurso, Parent, branch_name};

use super::*;

/// What another plan names stays protected throughout.
pub(super) const BOTH: &str = r#"{"plans": {
    "default": {"schedule": {"turso": "0 3 22 11 *"}, "turso": {"databases": ["production/*"], "branches": 3}},
    "other": {"schedule": {"turso": "0 3 22 11 *"}, "turso": {"databases": ["staging/*"]}}}}"#;
pub(super) const OTHER: &str =
    r#"{"plans": {"other": {"schedule": {"turso": "0 3 22 11 *"}, "turso": {"databases": ["staging/*"]}}}}"#;
const NONE: &str = r#"{"plans": {"default": {}}}"#;

pub(super) const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How a database comes to be protected no more.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    Gone,
    Unnamed,
}

pub(super) fn end(world: &mut World, end: End) {
    match end {
        End::Gone => world.turso.remove("orders"),
        End::Unnamed => world.plans = OTHER,
    }
}

pub(super) fn slot(text: &str) -> Slot {
    Slot::at(text.parse().unwrap())
}

/// The slot of the recovery point that the vaults have.
pub(super) fn kept() -> Slot {
    slot("2026-11-22T03:00:00Z")
}

fn orders() -> ResourceId {
    ResourceId::turso("orders")
}

/// A branch of orders as Tidemark makes them: closed to writes, and on record.
pub(super) fn branch(world: &World, slot: Slot) -> String {
    let name = open_branch(world, slot);
    world.turso.change(&name, |one| one.listed.block_writes = true);
    record(world, &name, json!({"closed": name}));
    name
}

/// The same as an earlier version made them.
pub(super) fn open_branch(world: &World, slot: Slot) -> String {
    let source = FakeTurso::listed("orders", "id-of-orders", "production");
    let name = branch_name(&source, slot);
    let parent = Some(Parent { id: source.id, name: source.name });
    world.turso.put(Database { parent, ..FakeTurso::listed(&name, &name, "production") }, "");
    name
}

/// Puts on record how far that branch has come.
pub(super) fn record(world: &World, name: &str, stage: Value) {
    let mut made = recorded(world);
    made[name] = stage;
    world.ledger.documents.put("turso/branches.json", &made.to_string());
}

/// What is on record of branches.
pub(super) fn recorded(world: &World) -> Value {
    let text = world.ledger.documents.text("turso/branches.json");
    serde_json::from_str(&text.unwrap_or_else(|| "{}".to_owned())).unwrap()
}

/// A database with a recovery point in both vaults, and a branch of the same slot.
pub(super) async fn backed_up() -> (World, String) {
    let mut world = World::new(&["orders"]);
    world.plans = BOTH;
    world.settle().await;
    assert_eq!(world.manifests(&world.away).len(), 1);
    let name = branch(&world, kept());
    (world, name)
}

pub(super) fn is_still(summary: &Summary) -> bool {
    World::actions(summary).is_empty() && summary.unfinished == 0
}

/// The tick that sees first that something is left over, or that nothing is any more: it writes that down, and no more.
pub(super) async fn note(world: &World) {
    let summary = world.tick().await;
    assert_eq!((World::actions(&summary), summary.unfinished), (vec!["note-left-over"], 0));
}

/// The tick after branches went: that is written down.
async fn note_the_end(world: &World) {
    let mut actions = World::actions(&world.tick().await);
    actions.retain(|one| *one != "note-left-over");
    assert_eq!(actions, ["note-branches"]);
}

pub(super) fn has(world: &World, name: &str) -> bool {
    world.turso.names().iter().any(|there| there == name)
}

/// What stands on the board, but for patterns that the end of a database leaves idle.
pub(super) fn told(world: &World) -> Vec<String> {
    let idle = |finding: &&Finding| finding.kind != "pattern-matches-nothing";
    world.board().iter().filter(idle).map(|one| format!("{} {}", one.resource, one.condition())).collect()
}

pub(super) const STRANDED: [&str; 1] = ["turso/orders left-over-stranded"];
pub(super) const NOTHING: [&str; 0] = [];

#[rstest]
#[case::gone(End::Gone)]
#[case::unnamed(End::Unnamed)]
#[tokio::test]
async fn what_both_vaults_have_goes_after_a_week(#[case] how: End) {
    let (mut world, name) = backed_up().await;
    let vaults = (world.home.objects(), world.away.objects());
    end(&mut world, how);
    note(&world).await;
    world.later_by(WEEK - SignedDuration::from_hours(1));
    assert!(is_still(&world.tick().await) && has(&world, &name), "whoever ended it by mistake still has it");
    world.later(60);
    assert_eq!(World::actions(&world.tick().await), ["delete-branch"]);
    assert!(!has(&world, &name));
    assert_eq!(told(&world), NOTHING);
    note_the_end(&world).await;
    assert!(is_still(&world.tick().await));
    assert_eq!((world.home.objects(), world.away.objects()), vaults);
    assert_eq!(
        has(&world, "orders"),
        matches!(how, End::Unnamed),
        "the database itself is nobody's to delete"
    );
}

#[rstest]
#[case::by_one(BOTH)]
#[case::by_two(r#"{"plans": {
    "default": {"schedule": {"turso": "0 3 22 11 *"}, "turso": {"databases": ["production/*"], "branches": 3}},
    "other": {"schedule": {"turso": "0 3 22 11 *"}, "turso": {"databases": ["*/orders"]}}}}"#)]
#[case::by_one_without_branches(r#"{"plans": {"default": {"schedule": {"turso": "0 3 22 11 *"}, "turso": {"databases": ["production/*"]}}}}"#)]
#[tokio::test]
async fn of_what_a_plan_names_they_stay(#[case] plans: &'static str) {
    let (mut world, name) = backed_up().await;
    world.plans = plans;
    world.later_by(WEEK * 10);
    assert!(World::actions(&world.tick().await).is_empty());
    assert!(has(&world, &name));
}

#[tokio::test]
async fn where_no_plan_names_anything_any_more_nothing_goes_and_that_is_told() {
    let (mut world, name) = backed_up().await;
    world.plans = NONE;
    world.later_by(WEEK * 10);
    assert!(is_still(&world.tick().await));
    assert_eq!(told(&world), ["tidemark/backup-turso left-over-stranded"]);
    assert!(world.board()[0].says.contains(&name), "{}", world.board()[0].says);
    world.plans = OTHER;
    note(&world).await;
    assert!(is_still(&world.tick().await), "the slip was no week's notice");
    world.later_by(WEEK);
    assert_eq!(World::actions(&world.tick().await), ["delete-branch"]);
    assert_eq!(told(&world), NOTHING);
}

#[tokio::test]
async fn what_is_left_of_a_database_that_was_made_anew_goes() {
    let (world, old) = backed_up().await;
    world.turso.put(FakeTurso::listed("orders", "id-new", "production"), "CREATE TABLE rows(id)");
    world.settle().await;
    world.later_by(WEEK);
    world.settle().await;
    assert!(!has(&world, &old) && has(&world, "orders"));
    assert_eq!(told(&world), NOTHING);
}

#[rstest]
#[case::of_nothing(|one: &mut Database| one.parent = None)]
#[case::of_another(|one: &mut Database| one.parent = Some(Parent { id: "id-of-another".to_owned(), name: "orders".to_owned() }))]
#[case::of_nobody_knows_what(|one: &mut Database| one.parent = Some(Parent { id: String::new(), name: "orders".to_owned() }))]
#[case::of_another_name(|one: &mut Database| one.parent = Some(Parent { id: "id-of-orders".to_owned(), name: "order".to_owned() }))]
#[case::delete_protection(|one: &mut Database| one.delete_protection = true)]
#[tokio::test]
async fn what_is_not_surely_ours_or_is_protected_by_a_person_stays(#[case] change: fn(&mut Database)) {
    let (mut world, name) = backed_up().await;
    world.turso.change(&name, |database| change(&mut database.listed));
    // Neither does any plan name what it may be taken for.
    world.turso.change(&name, |database| "nowhere".clone_into(&mut database.listed.group));
    end(&mut world, End::Gone);
    world.tick().await;
    world.later_by(WEEK * 10);
    assert!(is_still(&world.tick().await));
    assert!(has(&world, &name));
    assert_eq!(told(&world), NOTHING);
}

#[rstest]
#[case::another_under_its_name(|world: &World, name: &str| world.turso.put(FakeTurso::listed(name, "id-x", "production"), ""))]
#[case::delete_protection(|world: &World, name: &str| world.turso.change(name, |one| one.listed.delete_protection = true))]
#[case::opened(|world: &World, name: &str| world.turso.change(name, |one| one.listed.block_writes = false))]
#[case::its_source_is_there(|world: &World, _: &str| database(&world.turso, "orders"))]
#[tokio::test]
async fn what_changed_since_it_was_listed_is_left(#[case] change: fn(&World, &str)) {
    let (mut world, name) = backed_up().await;
    let listed = turso::Turso::database(&world.turso, &name).await.unwrap().unwrap();
    end(&mut world, End::Gone);
    world.tick().await;
    change(&world, &name);
    let folder = TempDir::new().unwrap();
    let function = world.function(&folder);
    crate::observe::observe(&function, NOW.get()).await.unwrap();
    let action = crate::act::Action::RemoveLeftOver { branch: Box::new(listed), is_gone: true };
    let done = crate::act::act(&function, &action, NOW.get()).await.unwrap();
    assert_eq!(done.detail["left"], name);
    assert!(has(&world, &name));
}

#[rstest]
#[case::at_home(true)]
#[case::in_the_recovery_region(false)]
#[tokio::test]
async fn of_what_a_person_holds_the_branch_stays_until_it_is_released(#[case] at_home: bool) {
    let (mut world, name) = backed_up().await;
    end(&mut world, End::Gone);
    note(&world).await;
    let mark = |world: &World, mark| {
        let vault = if at_home { &world.home } else { &world.away };
        let id = RecoveryPointId::new("orders", "id-of-orders", kept(), 1);
        vault.put(&mark_key(&orders(), &id, NOW.get(), mark), "");
    };
    mark(&world, Mark::Held);
    world.later_by(WEEK * 10);
    assert!(is_still(&world.tick().await) && has(&world, &name));
    mark(&world, Mark::Released);
    assert_eq!(World::actions(&world.tick().await), ["delete-branch"]);
}

#[rstest]
#[case(Region::Home)]
#[case(Region::Recovery)]
#[tokio::test]
async fn of_what_a_later_look_found_damaged_the_branch_stays_and_is_told_of(#[case] region: Region) {
    let (mut world, name) = backed_up().await;
    end(&mut world, End::Gone);
    note(&world).await;
    world.later_by(WEEK);
    let id = RecoveryPointId::new("orders", "id-of-orders", kept(), 1);
    world.home.put(&mark_key(&orders(), &id, NOW.get(), Mark::Unverified(region)), "");
    assert!(is_still(&world.tick().await) && has(&world, &name));
    assert_eq!(told(&world), STRANDED);
    world.later(1);
    world.home.put(&mark_key(&orders(), &id, NOW.get(), Mark::Verified(region)), "");
    assert_eq!(World::actions(&world.tick().await), ["delete-branch"]);
    assert_eq!(told(&world), NOTHING);
}

#[tokio::test]
async fn what_the_vault_does_not_have_stays_for_ever_and_is_told_of() {
    let mut world = World::new(&[]);
    world.plans = BOTH;
    let name = branch(&world, kept());
    note(&world).await;
    for _ in 0..3 {
        assert!(is_still(&world.tick().await));
        assert_eq!(told(&world), STRANDED);
        world.later_by(WEEK * 20);
    }
    let finding = world.board().into_iter().find(|one| one.resource == orders()).unwrap();
    assert_eq!(finding.severity, domain::Severity::Warning);
    assert!(finding.says.contains(&name) && finding.next.contains(&name), "{finding:?}");
    world.turso.remove(&name);
    world.tick().await;
    assert_eq!(told(&world), NOTHING);
}

#[tokio::test]
async fn a_branch_that_is_later_than_all_that_the_vault_has_may_be_the_last_state() {
    let (mut world, name) = backed_up().await;
    let later = branch(&world, slot("2026-11-22T04:00:00Z"));
    end(&mut world, End::Gone);
    note(&world).await;
    world.later_by(WEEK * 2);
    assert_eq!(World::actions(&world.tick().await), ["delete-branch"]);
    assert!(!has(&world, &name) && has(&world, &later));
    assert_eq!(told(&world), STRANDED);
    assert!(!world.board().iter().any(|finding| finding.says.contains(&name)));
}

#[tokio::test]
async fn where_nothing_was_written_since_an_earlier_recovery_point_is_as_late() {
    let mut world = World::new(&["orders"]);
    world.plans = r#"{"plans": {"default": {"schedule": {"turso": "0 * * * *"}, "turso": {"databases": ["production/*"]}},
        "other": {"turso": {"databases": ["staging/*"]}}}}"#;
    world.settle().await;
    world.later(60);
    world.settle().await;
    assert_eq!(world.manifests(&world.home).len(), 1, "nothing was written");
    let name = branch(&world, slot("2026-11-22T04:00:00Z"));
    end(&mut world, End::Gone);
    note(&world).await;
    world.later_by(WEEK);
    assert_eq!(World::actions(&world.tick().await), ["delete-branch"]);
    assert!(!has(&world, &name));
}

#[tokio::test]
async fn an_older_one_is_as_good_as_any_later_recovery_point() {
    let (mut world, name) = backed_up().await;
    let older = branch(&world, slot("2026-11-10T03:00:00Z"));
    end(&mut world, End::Gone);
    note(&world).await;
    world.later_by(WEEK);
    assert_eq!(World::actions(&world.tick().await), ["delete-branch", "delete-branch"]);
    assert!(!has(&world, &older) && !has(&world, &name));
    assert_eq!(told(&world), NOTHING);
}

#[tokio::test]
async fn without_its_copy_nothing_goes() {
    let mut world = World::new(&["orders"]);
    world.plans = BOTH;
    world.home.replicate_to(&world.away, Replication::Off);
    world.tick().await;
    let name = branch(&world, kept());
    end(&mut world, End::Gone);
    world.tick().await;
    assert_eq!(told(&world), NOTHING, "it is on its way");
    world.later_by(WEEK);
    // No slot that is current is of its day any more, and nobody makes copies of it.
    world.plans = r#"{"plans": {"other": {"turso": {"databases": ["staging/*"]}}}}"#;
    assert!(is_still(&world.tick().await) && has(&world, &name));
    assert_eq!(told(&world), STRANDED);
    for (key, body) in world.home.objects() {
        world.away.put(&key, body);
    }
    assert_eq!(World::actions(&world.tick().await), ["delete-branch"]);
}

#[rstest]
#[case::databases("databases")]
#[case::vault("vault")]
#[case::copies("copies")]
#[tokio::test]
async fn where_anything_does_not_answer_nothing_goes(#[case] what: &'static str) {
    let (mut world, name) = backed_up().await;
    let later = branch(&world, slot("2026-11-22T04:00:00Z"));
    end(&mut world, End::Gone);
    world.tick().await;
    assert_eq!(told(&world), STRANDED);
    world.later_by(WEEK);
    let down = || Error::retryable("ServiceUnavailable", "down");
    match what {
        "vault" => world.home.refuse_next("list", down()),
        "copies" => world.away.refuse_next("list", down()),
        call => world.turso.refuse_next(call, down()),
    }
    let pass = world.try_tick().await;
    // The recovery Region's list of the last days is another one: those say nothing of this branch.
    let is_other = what == "copies" && !has(&world, &name);
    assert!(is_other || pass.is_err() || pass.is_ok_and(|pass| pass.acted.is_empty()));
    assert!(is_other || has(&world, &name));
    assert!(has(&world, &later));
    assert_eq!(told(&world), STRANDED, "and no finding ends");
}

#[tokio::test]
async fn evidence_that_cannot_be_read_keeps_everything() {
    let (mut world, name) = backed_up().await;
    end(&mut world, End::Gone);
    note(&world).await;
    world.later_by(WEEK);
    let folder = TempDir::new().unwrap();
    let mut observed = crate::observe::observe(&world.function(&folder), NOW.get()).await.unwrap();
    observed.evidence = Err(std::sync::Arc::new(Error::retryable("AccessDenied", "not yours")));
    let plan = crate::plan::plan(&observed, NOW.get());
    assert_eq!(plan.not_looked_for, ["left-over-stranded"]);
    let is_refusal = |one: &reconcile::Decision<_>| matches!(one.verdict, reconcile::Verdict::Refuse(_));
    assert!(plan.decisions.iter().all(is_refusal) && plan.decisions.len() == 1);
    assert!(has(&world, &name));
}

#[tokio::test]
async fn killed_after_the_deletion_or_done_twice_it_is_the_same() {
    for both in [false, true] {
        let (mut world, name) = backed_up().await;
        end(&mut world, End::Gone);
        note(&world).await;
        world.later_by(WEEK);
        if both {
            let (a, b) = tokio::join!(world.tick(), world.tick());
            assert!(a.failed.is_empty() && b.failed.is_empty(), "{:?} {:?}", a.failed, b.failed);
        } else {
            world.turso.lose_answer_of_next("delete");
            assert_eq!(world.tick().await.failed.len(), 1);
        }
        world.tick().await;
        assert!(is_still(&world.tick().await) && !has(&world, &name));
        assert_eq!(told(&world), NOTHING);
    }
}
