//! Passes that meet each other, are killed, or get no answer; and what a pass costs.

use std::time::Instant;

use reconcile::{Error, Reconciler, Verdict};
use rstest::rstest;

use super::*;

fn down() -> Error {
    Error::retryable("ServiceUnavailable", "the Region is down")
}

/// What a pass decided to do.
fn acts(observed: &crate::observe::Observed, now: Timestamp) -> Vec<crate::act::Action> {
    let decisions = crate::plan::plan(observed, now).unwrap().decisions;
    let action = |decision: reconcile::Decision<_>| match decision.verdict {
        Verdict::Act(action) => Some(action),
        _ => None,
    };
    decisions.into_iter().filter_map(action).collect()
}

#[rstest]
#[case::which_look_again(World::calm, &["slot-missed"])]
#[case::which_look_no_more(World::large, &[])]
#[tokio::test]
async fn two_passes_at_once_are_as_good_as_one(#[case] world: fn(&str) -> World, #[case] kinds: &[&str]) {
    let mut one = world("2026-11-23T04:00:00Z");
    one.tick().await;
    let mut two = world("2026-11-23T04:00:00Z");
    two.sync();
    // The fakes answer at once, so the worst interleaving is played by hand: both have looked before either writes.
    let function = two.function();
    let seen = function.observe(Ask::Watch(Wake::Tick), two.now).await.unwrap();
    let too = function.observe(Ask::Watch(Wake::Tick), two.now).await.unwrap();
    let mut written = Vec::new();
    for action in acts(&seen, two.now).into_iter().chain(acts(&too, two.now)) {
        written.push(function.act(&action, two.now).await.unwrap().detail["written"].clone());
    }
    // The day's ages, and the memory.
    assert_eq!(
        written,
        [true, true, false, false],
        "the second hears that it was late, and that is no failure"
    );
    let (a, b) = tokio::join!(two.pass(Ask::Watch(Wake::Tick)), two.pass(Ask::Watch(Wake::Tick)));
    assert!(a.unwrap().failed.is_empty() && b.unwrap().failed.is_empty());
    assert_eq!(two.memory("2026-11"), one.memory("2026-11"));
    assert_eq!(two.kinds(), kinds, "with many snapshots, neither looked at them again");
    for world in [&mut one, &mut two] {
        world.now += minutes(5);
        world.tick().await;
    }
    assert_eq!(two.board(), one.board());
}

#[rstest]
#[case::before_it_remembers(true)]
#[case::after_it_remembered(false)]
#[tokio::test]
async fn a_pass_that_is_killed_is_put_right_by_the_next(#[case] before: bool) {
    let mut calm = World::calm("2026-11-23T04:01:00Z");
    calm.tick().await;
    let mut killed = World::large("2026-11-23T04:01:00Z");
    killed.sync();
    if !before {
        // Killed between the memory and the board: the memory alone was written.
        let function = killed.function();
        let observed = function.observe(Ask::Watch(Wake::Tick), killed.now).await.unwrap();
        for action in acts(&observed, killed.now) {
            function.act(&action, killed.now).await.unwrap();
        }
        assert!(killed.documents().text("findings/watch-rpo.json").is_none());
    }
    killed.now += minutes(5);
    killed.tick().await;
    assert_eq!(killed.kinds(), calm.kinds());
    assert_eq!(killed.finding("slot-missed").since, calm.finding("slot-missed").since);
}

#[tokio::test]
async fn a_loss_ends_once_even_if_the_pass_that_ended_it_was_killed() {
    let mut world = World::calm("2026-11-22T12:00:00Z");
    world.tick().await;
    world.drop("orders");
    world.tick().await;
    // The board is fresh, so the next write is the memory's.
    world.tick_at("2026-11-23T11:59:00Z").await;
    world.now = at("2026-11-23T12:00:00Z");
    world.documents().refuse_next_write(Error::retryable("SlowDown", "S3 is busy"));
    world.tick().await;
    assert_eq!(world.kinds(), ["protection-lost"], "the memory could not be written, so it goes on");
    for kinds in [vec!["protection-lost"], vec![], vec![]] {
        world.now += minutes(1);
        world.tick().await;
        assert_eq!(world.kinds(), kinds);
    }
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_no_loss() {
    let mut world = World::calm("2026-11-22T12:00:00Z");
    world.documents().lose_answer_of_next_write();
    let mut summary = world.tick().await;
    assert_eq!(summary.take_error().unwrap().code(), "RequestTimedOut");
    let remembered = world.memory("2026-11");
    world.now += minutes(1);
    assert!(world.tick().await.failed.is_empty());
    assert_eq!(world.memory("2026-11"), remembered);
}

#[tokio::test]
async fn while_the_recovery_region_is_silent_its_findings_neither_begin_nor_end() {
    let mut world = World::large("2026-11-22T12:00:00Z");
    let newest = point("db-1", "2026-11-22T03:00:00Z");
    world.account.remove_snapshot(AWAY, &newest.id);
    world.account.put_automated_backup(AWAY, replica("db-1", at("2026-11-22T11:30:00Z")));
    assert_eq!(world.tick_at("2026-11-22T12:05:00Z").await, ["copy-missing"]);

    world.account.put_snapshot(AWAY, copy(&newest));
    world.account.put_automated_backup(AWAY, replica("db-1", at("2026-11-22T11:00:00Z")));
    world.stuck.insert("orders".to_owned());
    world.orders().latest_restorable = Some(at("2026-11-22T11:50:00Z"));
    world.account.refuse_next("us-west-2 DescribeDBSnapshots", down());
    world.now += minutes(5);
    let mut summary = world.tick().await;
    assert_eq!(world.kinds(), ["copy-missing", "rpo-exceeded"], "and nothing else is kept from being found");
    assert_eq!(summary.take_error().unwrap().code(), "ServiceUnavailable");
    assert_eq!(summary.findings, Some(2), "the heartbeat goes on");
    // A look that saw only half is repeated in the next minute.
    assert_eq!(world.tick_at("2026-11-22T12:11:00Z").await, ["replication-behind", "rpo-exceeded"]);
}

#[tokio::test]
async fn while_home_does_not_list_snapshots_the_rest_goes_on_and_it_is_asked_again_in_a_minute() {
    let mut world = World::large("2026-11-23T03:55:00Z");
    world.tick().await;
    world.account.refuse_next("us-east-1 DescribeDBSnapshots", down());
    world.stuck.insert("orders".to_owned());
    world.orders().latest_restorable = Some(at("2026-11-23T03:00:00Z"));
    assert_eq!(world.tick_at("2026-11-23T04:00:00Z").await, ["rpo-exceeded"]);
    assert_eq!(world.tick_at("2026-11-23T04:01:00Z").await, ["rpo-exceeded", "slot-missed"]);
}

#[tokio::test]
async fn a_region_that_refuses_is_a_finding_until_it_answers() {
    let mut world = World::large("2026-11-22T11:55:00Z");
    world.tick().await;
    world.now = at("2026-11-22T12:00:00Z");
    let denied = Error::misconfigured("AccessDenied", "not allowed to list the DB snapshots in us-west-2");
    world.account.refuse_next("us-west-2 DescribeDBSnapshots", denied);
    world.tick().await;
    assert_eq!(world.finding("refused").resource.to_string(), "tidemark/copies");
    // What it alone can show is not ended by that, and it is asked again in the next minute.
    world.now += minutes(1);
    world.tick().await;
    assert_eq!(world.kinds(), Vec::<String>::new());
}

#[rstest]
#[case::of_instances("us-east-1 DescribeDBInstances")]
#[tokio::test]
async fn without_an_answer_about_instances_the_pass_fails_and_its_board_stays(#[case] call: &'static str) {
    let mut world = World::calm("2026-11-23T04:00:00Z");
    world.tick().await;
    let before = world.board();
    world.account.refuse_next(call, down());
    world.now += minutes(1);
    assert_eq!(world.ask(Ask::Watch(Wake::Tick)).await.unwrap_err().code(), "ServiceUnavailable");
    assert_eq!(world.board(), before);
}

#[tokio::test]
async fn ten_thousand_databases_cost_pages_and_plan_in_no_time() {
    let fleet = (0..10_000).map(|n| database(&format!("db-{n:05}"), &format!("db-{n:05}-X")));
    let mut world = World::new("2026-11-22T12:00:00Z", fleet);
    for (id, database) in &world.databases {
        for day in ["2026-11-20", "2026-11-21", "2026-11-22"] {
            let mut point = point(&database.incarnation, &format!("{day}T03:00:00Z"));
            point.id = point.id.replace("orders", id);
            point.tags.insert(tag::RESOURCE.to_owned(), format!("rds/{id}"));
            world.account.put_snapshot(AWAY, copy(&point));
            world.account.put_snapshot(HOME, point);
        }
    }
    world.sync();
    // The port's calls are whole listings; the pages are counted at the wire, by `tests/bench`.
    for (now, calls) in
        [("2026-11-22T12:00:00Z", 4), ("2026-11-22T12:01:00Z", 1), ("2026-11-22T12:05:00Z", 4)]
    {
        world.now = at(now);
        let before = world.account.calls().len();
        let function = world.function();
        let observed = function.observe(Ask::Watch(Wake::Tick), world.now).await.unwrap();
        assert_eq!(world.account.calls().len() - before, calls, "{now}");
        let begun = Instant::now();
        let plan = crate::plan::plan(&observed, world.now).unwrap();
        // Unoptimised, on a busy machine; a quadratic loop would take minutes.
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        println!("planned in {:?}", begun.elapsed());
        assert!(plan.findings.is_empty());
        for action in acts(&observed, world.now) {
            function.act(&action, world.now).await.unwrap();
        }
    }
}
