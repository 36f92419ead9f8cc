//! Branches that somebody may have taken into use: they are open to writes, or were.

use serde_json::json;
use turso::Turso;

use super::{
    left_over::{
        BOTH, End, NOTHING, STRANDED, WEEK, backed_up, branch, end, has, is_still, kept, note, open_branch,
        recorded, slot, told,
    },
    *,
};

const HOURLY: &str = r#"{"plans": {"default": {"schedule": {"turso": "0 * * * *"}, "turso": {"databases": ["production/*"], "branches": 2}}}}"#;

fn set_open(world: &World, name: &str, is_open: bool) {
    world.turso.change(name, |one| one.listed.block_writes = !is_open);
}

fn is_open(world: &World, name: &str) -> bool {
    let mut open = true;
    world.turso.change(name, |one| open = !one.listed.block_writes);
    open
}

fn ours(world: &World) -> Vec<String> {
    world.turso.names().into_iter().filter(|name| name.starts_with("tidemark-")).collect()
}

fn says(world: &World) -> String {
    let found = world.board().into_iter().find(|one| one.kind == "left-over-stranded").unwrap();
    format!("{} {}", found.says, found.next)
}

/// Database gone, application on the branch, a week: it is what production runs on.
#[tokio::test]
async fn a_branch_that_production_runs_on_is_never_deleted() {
    let (mut world, name) = backed_up().await;
    end(&mut world, End::Gone);
    note(&world).await;
    set_open(&world, &name, true);
    world.turso.execute(&name, "CREATE TABLE sold(x); INSERT INTO sold VALUES ('much')");
    assert_eq!(World::actions(&world.tick().await), ["note-branches"]);
    for _ in 0..3 {
        world.later_by(WEEK);
        assert!(is_still(&world.tick().await) && has(&world, &name));
        assert_eq!(told(&world), STRANDED);
    }
    let text = says(&world);
    assert!(text.contains(&name) && text.contains("it is open to writes"), "{text}");
    // For an hour of maintenance, or because the organization has used up its quota.
    set_open(&world, &name, false);
    assert!(is_still(&world.tick().await) && has(&world, &name));
    assert!(says(&world).contains("open to writes, or was"), "{}", says(&world));
    assert!(world.turso.calls().iter().all(|call| !call.starts_with("delete")));
}

#[tokio::test]
async fn where_the_source_lives_an_open_branch_stays_too() {
    let mut world = World::new(&["orders"]);
    world.plans = HOURLY;
    for _ in 0..3 {
        world.settle().await;
        world.later(60);
    }
    let [first, _] = ours(&world).try_into().unwrap();
    set_open(&world, &first, true);
    for round in 0..4 {
        world.settle().await;
        world.later(60);
        if round == 1 {
            set_open(&world, &first, false);
        }
    }
    let kept = ours(&world);
    assert!(kept.contains(&first) && kept.len() == 3, "it, and two that nobody opened: {kept:?}");
    assert!(world.board().is_empty(), "{:?}", world.board());
}

/// Opened after the list was read.
#[tokio::test]
async fn one_more_look_is_taken_before_a_superseded_branch_goes() {
    let (world, name) = backed_up().await;
    let listed = world.turso.database(&name).await.unwrap().unwrap();
    let folder = TempDir::new().unwrap();
    let function = world.function(&folder);
    crate::observe::observe(&function, NOW.get()).await.unwrap();
    let action = crate::act::Action::Unbranch { branch: Box::new(listed) };
    for is_opened in [true, false] {
        set_open(&world, &name, is_opened);
        let done = crate::act::act(&function, &action, NOW.get()).await.unwrap();
        assert_eq!((done.detail.contains_key("left"), has(&world, &name)), (is_opened, is_opened));
    }
}

#[tokio::test]
async fn what_an_earlier_version_made_stays_and_is_told_once_for_each_database() {
    let mut world = World::new(&["orders"]);
    world.plans = BOTH;
    world.settle().await;
    let old = [open_branch(&world, kept()), open_branch(&world, slot("2026-11-10T03:00:00Z"))];
    // While the database is protected that is no news.
    world.later_by(WEEK);
    assert!(is_still(&world.tick().await));
    assert_eq!(told(&world), NOTHING);
    end(&mut world, End::Gone);
    note(&world).await;
    world.later_by(WEEK * 2);
    assert!(is_still(&world.tick().await));
    assert_eq!(told(&world), STRANDED);
    assert!(old.iter().all(|name| has(&world, name) && says(&world).contains(name)), "{}", says(&world));
    // Closing it by hand says nothing of what was written to it before.
    set_open(&world, &old[0], false);
    assert!(is_still(&world.tick().await) && has(&world, &old[0]));
}

#[tokio::test]
async fn a_branch_is_closed_when_it_is_made() {
    let mut world = World::new(&["orders"]);
    world.plans = HOURLY;
    world.settle().await;
    world.later(60);
    world.settle().await;
    let [name] = ours(&world).try_into().unwrap();
    assert!(!is_open(&world, &name));
    let id = world.turso.database(&name).await.unwrap().unwrap().id;
    assert_eq!(recorded(&world)[&name], json!({"closed": id}));
    // It is read, and branched, as any other.
    let again = turso::NewBranch {
        name: "again".to_owned(),
        group: "production".to_owned(),
        of: name,
        at: NOW.get(),
    };
    world.turso.branch(&again).await.unwrap();
}

#[rstest]
#[case::before_it_is_made("branch", false)]
#[case::when_it_is_made("branch", true)]
#[case::before_it_is_closed("block-writes", false)]
#[case::when_it_is_closed("block-writes", true)]
#[case::before_that_is_written_down("database", false)]
#[tokio::test(start_paused = true)]
async fn cut_off_while_it_is_made_the_next_ticks_close_it(
    #[case] call: &'static str,
    #[case] answers_late: bool,
) {
    let mut world = World::new(&["orders"]);
    world.plans = HOURLY;
    world.settle().await;
    world.later(60);
    if answers_late {
        world.turso.lose_answer_of_next(call);
    } else {
        world.turso.hang_next(call);
    }
    _ = world.try_tick().await;
    world.later(5);
    world.settle().await;
    let [name] = ours(&world).try_into().unwrap();
    assert!(!is_open(&world, &name) && recorded(&world)[&name]["closed"].is_string(), "{}", recorded(&world));
    assert!(world.board().is_empty(), "{:?}", world.board());
}

#[tokio::test]
async fn of_two_that_make_it_at_once_it_is_closed_once_and_for_all() {
    let mut world = World::new(&["orders"]);
    world.plans = HOURLY;
    world.settle().await;
    world.later(60);
    let (a, b) = tokio::join!(world.tick(), world.tick());
    assert!(a.failed.is_empty() && b.failed.is_empty(), "{:?} {:?}", a.failed, b.failed);
    world.settle().await;
    let [name] = ours(&world).try_into().unwrap();
    assert!(!is_open(&world, &name) && recorded(&world)[&name]["closed"].is_string());
}

#[tokio::test]
async fn what_a_person_opened_is_not_closed_again() {
    let mut world = World::new(&["orders"]);
    world.plans = HOURLY;
    world.settle().await;
    world.later(60);
    // Within the hour: what counts is that it was closed.
    world.settle().await;
    let [name] = ours(&world).try_into().unwrap();
    set_open(&world, &name, true);
    for _ in 0..3 {
        world.settle().await;
        assert!(is_open(&world, &name));
        world.later(5);
    }
    assert_eq!(recorded(&world)[&name], "open");
}

#[tokio::test]
async fn one_that_stayed_open_for_an_hour_is_nobodys_to_close() {
    let (world, _) = backed_up().await;
    let name = open_branch(&world, slot("2026-11-22T02:00:00Z"));
    let hour = SignedDuration::from_hours(1);
    super::left_over::record(&world, &name, json!({"begun": NOW.get() - hour}));
    assert_eq!(World::actions(&world.tick().await), ["note-branches"]);
    assert!(is_open(&world, &name) && recorded(&world)[&name] == "open");
    // A minute earlier it would have been.
    super::left_over::record(
        &world,
        &name,
        json!({"begun": NOW.get() - hour + SignedDuration::from_mins(1)}),
    );
    assert_eq!(World::actions(&world.tick().await), ["close-branch"]);
    assert!(!is_open(&world, &name));
    assert_eq!(recorded(&world)[&name], json!({"closed": name}));
}

#[tokio::test]
async fn a_token_that_may_not_close_leaves_no_open_branch_behind() {
    let mut world = World::new(&["orders"]);
    world.plans = HOURLY;
    world.settle().await;
    world.later(60);
    world
        .turso
        .refuse_next("block-writes", Error::misconfigured("TursoForbidden", "the token does not allow it"));
    let mut summary = world.tick().await;
    assert_eq!(summary.take_error().unwrap().code(), "TursoForbidden");
    assert!(ours(&world).is_empty());
    assert_eq!(world.board()[0].condition(), "refused-TursoForbidden");
    world.settle().await;
    assert_eq!(ours(&world).len(), 1);
}

#[rstest]
#[case::lost(None)]
#[case::unreadable(Some("[]"))]
#[tokio::test]
async fn without_what_is_known_of_branches_none_goes(#[case] text: Option<&str>) {
    let (mut world, name) = backed_up().await;
    branch(&world, slot("2026-11-22T02:00:00Z"));
    end(&mut world, End::Gone);
    note(&world).await;
    match text {
        Some(text) => world.ledger.documents.put("turso/branches.json", text),
        None => world.ledger.documents.remove("turso/branches.json"),
    }
    world.later_by(WEEK * 2);
    assert!(is_still(&world.tick().await) && has(&world, &name));
    assert_eq!(told(&world), STRANDED);
    let folder = TempDir::new().unwrap();
    let mut observed = crate::observe::observe(&world.function(&folder), NOW.get()).await.unwrap();
    observed.known = Err(std::sync::Arc::new(Error::retryable("AccessDenied", "not yours")));
    let plan = crate::plan::plan(&observed, NOW.get());
    assert_eq!(
        (plan.not_looked_for, plan.findings.len()),
        (vec!["left-over-stranded"], 1),
        "and the idle pattern"
    );
}
