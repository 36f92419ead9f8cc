//! The function over an account in memory: one pass after another, with the cloud moving in between.

use std::{collections::BTreeMap, time::Duration};

use domain::{Finding, Findings, PlanDocument};
use jiff::Timestamp;
use proptest::prelude::*;
use rds::{FakeAccount, FakeRds, Instance, Snapshot, SnapshotKind, Tags};
use reconcile::{Budget, Deadline, Error, Reconciler, Summary, Wake, run};
use rstest::rstest;
use vault::FakeLedger;

use crate::{act::Action, observe::BackupRds};

const HOME: &str = "us-east-1";
const AWAY: &str = "us-west-2";
const KEY: &str = "arn:aws:kms:us-west-2:123456789012:alias/tidemark-test";

/// A deployment over an account in memory.
struct World {
    account: FakeAccount,
    ledger: FakeLedger,
    now: Timestamp,
}

fn instance(id: &str, incarnation: &str, plan: Option<&str>) -> Instance {
    let tags = plan.map(|plan| (domain::tag::PLAN.to_owned(), plan.to_owned())).into_iter().collect();
    Instance { tags, ..Instance::fake(HOME, id, incarnation) }
}

impl World {
    fn new(instances: &[Instance]) -> Self {
        let world = Self {
            account: FakeAccount::default(),
            ledger: FakeLedger::default(),
            now: "2026-11-22T03:00:10Z".parse().unwrap(),
        };
        world.account.set_now(world.now);
        for instance in instances {
            world.account.put_instance(HOME, instance.clone());
        }
        world
    }

    fn function(&self) -> BackupRds<FakeRds, FakeLedger, PlanDocument> {
        BackupRds {
            home: self.account.region(HOME),
            recovery: self.account.region(AWAY),
            ledger: self.ledger.clone(),
            plans: PlanDocument::parse(r#"{"plans": {"default": {}}}"#).unwrap(),
            recovery_key: KEY.to_owned(),
        }
    }

    async fn tick(&self) -> Summary {
        let deadline = Deadline::after(Duration::from_mins(5));
        run(&self.function(), &self.ledger.journal(), Wake::Tick, self.now, deadline, Budget::default())
            .await
            .unwrap()
    }

    /// Five minutes later, with everything that the cloud was doing finished.
    fn later(&mut self) {
        self.now = self.now.checked_add(Duration::from_mins(5)).unwrap();
        self.account.set_now(self.now);
        self.account.finish();
    }

    /// Ticks until nothing is unfinished.
    async fn settle(&mut self) -> Summary {
        for _ in 0..20 {
            let summary = self.tick().await;
            if summary.unfinished == 0 {
                return summary;
            }
            self.later();
        }
        panic!("still unfinished after 20 ticks");
    }

    fn actions(summary: &Summary) -> Vec<&'static str> {
        summary.acted.iter().map(|acted| acted.action).collect()
    }

    fn changing_calls(&self) -> Vec<String> {
        self.account.calls().into_iter().filter(|call| !call.contains("Describe")).collect()
    }

    /// What the function says is wrong.
    fn board(&self) -> Vec<Finding> {
        let text = self.ledger.documents.text("findings/backup-rds.json").unwrap();
        serde_json::from_str::<Findings>(&text).unwrap().findings
    }

    fn ledger_kinds(&self) -> Vec<String> {
        self.ledger.entries().keys().map(|key| key.as_str().rsplit('/').next().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn a_slot_from_snapshot_to_copy_to_ledger() {
    let mut world = World::new(&[
        instance("orders", "db-1", Some("default")),
        instance("scratch", "db-2", None),
        instance("toy", "db-3", Some("none")),
    ]);

    let first = world.tick().await;
    assert_eq!(World::actions(&first), ["take-snapshot"]);
    let again = world.tick().await;
    assert_eq!(
        (World::actions(&again), again.waiting.len()),
        (vec![], 1),
        "a pending snapshot is waited for"
    );

    world.later();
    let second = world.tick().await;
    assert_eq!(World::actions(&second), ["record", "copy-snapshot"]);
    world.later();
    let third = world.tick().await;
    assert_eq!(World::actions(&third), ["record"]);
    assert_eq!(third.unfinished, 0);

    let [snapshot] = world.account.snapshots(HOME).try_into().unwrap();
    let [copy] = world.account.snapshots(AWAY).try_into().unwrap();
    assert_eq!((snapshot.instance.as_str(), &copy.id), ("orders", &snapshot.id));
    assert_eq!(copy.kms_key.as_deref(), Some(KEY));
    assert_eq!(snapshot.tags["tidemark:slot"], "2026-11-22T03:00:00Z");
    insta::assert_json_snapshot!(world.ledger.entries().values().collect::<Vec<_>>());
    assert_eq!(world.ledger.facts().len(), 2, "each entry was published once");

    let before = world.changing_calls().len();
    let rest = world.tick().await;
    assert_eq!((World::actions(&rest), rest.unfinished), (vec![], 0));
    assert_eq!(world.changing_calls().len(), before, "a settled world is left alone");
}

#[tokio::test]
async fn two_invocations_at_once_make_one_snapshot_and_one_copy() {
    let mut world = World::new(&[instance("orders", "db-1", Some("default"))]);
    for _ in 0..4 {
        let (a, b) = tokio::join!(world.tick(), world.tick());
        assert!(a.failed.is_empty() && b.failed.is_empty());
        world.later();
    }
    assert_eq!(world.account.snapshots(HOME).len(), 1);
    assert_eq!(world.account.snapshots(AWAY).len(), 1);
    assert_eq!(world.ledger_kinds(), ["recovery-point-completed", "copy-completed"]);
}

#[tokio::test]
async fn a_missed_slot_is_caught_up_and_the_next_one_follows() {
    let mut world = World::new(&[instance("orders", "db-1", Some("default"))]);
    world.now = "2026-11-22T17:41:00Z".parse().unwrap();
    world.settle().await;
    assert_eq!(world.account.snapshots(HOME)[0].tags["tidemark:slot"], "2026-11-22T03:00:00Z");
    world.now = "2026-11-23T02:59:59Z".parse().unwrap();
    assert_eq!(world.tick().await.unfinished, 0);
    world.now = "2026-11-23T03:00:00Z".parse().unwrap();
    world.settle().await;
    assert_eq!(world.account.snapshots(AWAY).len(), 2);
}

#[tokio::test]
async fn a_database_made_anew_under_the_same_name_gets_its_own_recovery_point() {
    let mut world = World::new(&[instance("orders", "db-OLD", Some("default"))]);
    world.settle().await;
    world.account.put_instance(HOME, instance("orders", "db-NEW", Some("default")));
    world.settle().await;
    let mut incarnations: Vec<_> =
        world.account.snapshots(HOME).into_iter().map(|snapshot| snapshot.incarnation).collect();
    incarnations.sort();
    assert_eq!(incarnations, ["db-NEW", "db-OLD"]);
}

#[tokio::test]
async fn one_resources_mistake_stops_no_other() {
    let mut mysql = instance("legacy", "db-3", Some("default"));
    "mysql".clone_into(&mut mysql.engine);
    let world = World::new(&[
        instance("aaa", "db-1", Some("defautl")),
        mysql,
        instance("orders", "db-2", Some("default")),
    ]);
    let mut summary = world.tick().await;
    assert_eq!(World::actions(&summary), ["take-snapshot"]);
    let error = summary.take_error().unwrap();
    assert_eq!(error.code(), "ResourcesFailed");
    insta::assert_snapshot!(error.report());
}

#[tokio::test]
async fn a_busy_instance_is_waited_for() {
    let mut busy = instance("orders", "db-1", Some("default"));
    "backing-up".clone_into(&mut busy.status);
    let mut world = World::new(&[busy]);
    let summary = world.tick().await;
    assert_eq!((summary.acted.len(), summary.waiting.len()), (0, 1));
    world.settle().await;
    assert_eq!(world.account.snapshots(HOME).len(), 1);
}

#[tokio::test]
async fn an_instance_that_can_take_no_snapshot_is_an_error_once_its_slot_is_overdue() {
    let mut stopped = instance("orders", "db-1", Some("default"));
    "stopped".clone_into(&mut stopped.status);
    let mut world = World::new(&[stopped]);
    world.now += Duration::from_hours(2);
    let error = world.tick().await.take_error().unwrap();
    assert_eq!(error.code(), "SlotOverdue");
    assert_eq!(world.ledger_kinds(), ["refused-SlotOverdue"]);
}

#[rstest]
#[case::recovery_region("us-west-2 DescribeDBSnapshots")]
#[case::its_quota("us-west-2 DescribeAccountAttributes")]
#[tokio::test]
async fn a_recovery_region_that_does_not_answer_stops_no_snapshot(#[case] call: &'static str) {
    let mut world = World::new(&[instance("orders", "db-1", Some("default"))]);
    world.account.refuse_next(call, Error::retryable("ServiceUnavailable", "us-west-2 is down"));
    let mut summary = world.tick().await;
    assert_eq!(World::actions(&summary), ["take-snapshot"]);
    assert_eq!(summary.take_error().unwrap().code(), "ServiceUnavailable", "and it says so");
    world.settle().await;
    assert_eq!(world.account.snapshots(AWAY).len(), 1);
}

#[tokio::test]
async fn a_snapshot_that_never_ends_is_an_error_after_a_day() {
    let mut world = World::new(&[instance("orders", "db-1", Some("default"))]);
    world.tick().await;
    world.now += Duration::from_hours(23);
    assert!(world.tick().await.failed.is_empty());
    // The next day's slot has come; yesterday's snapshot is no longer looked at, today's is begun.
    world.now += Duration::from_hours(2);
    assert_eq!(World::actions(&world.tick().await), ["take-snapshot"]);
}

#[tokio::test]
async fn copies_from_elsewhere_are_left_to_the_deployment_that_made_them() {
    let world = World::new(&[]);
    let copy =
        Snapshot { copied_from: Some("arn:aws:rds:us-west-2:1:snapshot:x".to_owned()), ..old_snapshot(1) };
    world.account.put_snapshot(HOME, copy);
    let summary = world.tick().await;
    assert_eq!((summary.unfinished, world.changing_calls().len()), (0, 0));
}

#[tokio::test]
async fn a_full_quota_is_named_before_anything_is_tried() {
    let world = World::new(&[instance("a", "db-1", Some("default")), instance("b", "db-2", Some("default"))]);
    world.account.set_quota(1);
    let mut summary = world.tick().await;
    assert_eq!(World::actions(&summary), ["take-snapshot"], "what there is room for is done");
    let error = summary.take_error().unwrap();
    assert_eq!(error.code(), "SnapshotQuotaFull");
    assert!(error.report().contains("L-272F1212"), "{}", error.report());
}

#[tokio::test]
async fn a_failed_snapshot_is_tried_again_under_another_name_and_given_up_after_three() {
    let mut world = World::new(&[instance("orders", "db-1", Some("default"))]);
    for attempt in 1..=3 {
        assert!(World::actions(&world.tick().await).contains(&"take-snapshot"), "attempt {attempt}");
        for snapshot in world.account.snapshots(HOME) {
            world.account.fail_snapshot(HOME, &snapshot.id);
        }
    }
    let mut summary = world.tick().await;
    assert_eq!(World::actions(&summary), ["record"]);
    assert_eq!(summary.take_error().unwrap().code(), "AttemptsExhausted");
    assert_eq!(world.account.snapshots(HOME).len(), 3);
    assert!(world.account.snapshots(AWAY).is_empty(), "a failed snapshot is not copied");
    let kinds = world.ledger_kinds();
    assert_eq!(kinds.iter().filter(|kind| *kind == "recovery-point-failed-SnapshotFailed").count(), 3);
    assert!(kinds.contains(&"refused-AttemptsExhausted".to_owned()), "{kinds:?}");
    world.later();
    assert_eq!(world.tick().await.failed.len(), 1, "it keeps saying so");
}

#[tokio::test]
async fn copies_respect_the_quota_of_twenty_at_once_newest_first() {
    let mut world = World::new(&[]);
    for day in 1..=25 {
        world.account.put_snapshot(HOME, old_snapshot(day));
    }
    let summary = world.tick().await;
    assert_eq!((summary.acted.len(), summary.waiting.len()), (20, 5));
    let slots: Vec<String> =
        world.account.snapshots(AWAY).into_iter().map(|copy| copy.tags["tidemark:slot"].clone()).collect();
    assert!(slots.iter().all(|slot| slot.as_str() >= "2026-10-06"), "{slots:?}");
    assert!(
        !World::actions(&world.tick().await).contains(&"copy-snapshot"),
        "none fits while twenty are in progress"
    );
    world.settle().await;
    assert_eq!(world.account.snapshots(AWAY).len(), 25);
}

#[rstest]
#[case::strangers_name("orders-before-upgrade", true)]
#[case::our_name_without_our_tags("tidemark-orders-20261001t0300z-abcdef", false)]
#[tokio::test]
async fn what_tidemark_did_not_make_is_left_alone(#[case] id: &str, #[case] tagged: bool) {
    let world = World::new(&[]);
    let mut snapshot = Snapshot { id: id.to_owned(), ..old_snapshot(1) };
    if !tagged {
        snapshot.tags.clear();
    }
    world.account.put_snapshot(HOME, snapshot);
    let summary = world.tick().await;
    assert_eq!((summary.unfinished, world.changing_calls().len()), (0, 0));
}

#[tokio::test]
async fn a_name_that_a_stranger_took_is_an_error_not_a_success() {
    let mut world = World::new(&[instance("orders", "db-1", Some("default"))]);
    world.tick().await;
    let mut taken = world.account.snapshots(HOME).remove(0);
    taken.tags.clear();
    world.account.put_snapshot(HOME, taken);
    assert_eq!(world.tick().await.take_error().unwrap().code(), "NameTaken");
    assert_eq!(world.ledger_kinds(), ["recovery-point-failed-NameTaken"]);
    world.later();
    world.tick().await;
    let said: Vec<_> = world.ledger.facts().iter().map(|fact| fact["kind"].clone()).collect();
    assert_eq!(said, ["recovery-point-failed", "findings-changed"], "a failure that lasts is said once");
    let board = world.board();
    assert_eq!(board.len(), 1, "{board:?}");
    assert_eq!(board[0].condition(), "recovery-point-failed-NameTaken");
    assert_eq!(board[0].standing.plan.as_deref(), Some("default"));
}

#[tokio::test]
async fn five_hundred_instances_with_thirty_snapshots_each_cost_pages() {
    let mut world = World::new(&[]);
    for number in 0..50 {
        let id = format!("db-{number:03}");
        world.account.put_instance(HOME, instance(&id, &id.to_uppercase(), Some("default")));
    }
    world.account.set_quota(100_000);
    world.settle().await;
    let before = world.account.calls().len();
    world.tick().await;
    // The port's calls are whole listings; the pages are counted at the wire, by `tests/bench`.
    assert_eq!(world.account.calls().len() - before, 5, "a settled tick lists and does not ask one by one");
}

fn old_snapshot(day: u32) -> Snapshot {
    let id = format!("tidemark-orders-202610{day:02}t0300z-abcdef");
    let tag = |key: &str, value: String| (format!("tidemark:{key}"), value);
    Snapshot {
        arn: format!("arn:aws:rds:{HOME}:123456789012:snapshot:{id}"),
        id,
        instance: "orders".to_owned(),
        incarnation: "db-1".to_owned(),
        kind: SnapshotKind::Manual,
        status: "available".to_owned(),
        percent: 100,
        allocated_gib: 20,
        created: Some("2026-10-01T03:00:00Z".parse().unwrap()),
        encrypted: true,
        kms_key: None,
        copied_from: None,
        tags: Tags::from([
            tag("plan", "default".to_owned()),
            tag("resource", "rds/orders".to_owned()),
            tag("slot", format!("2026-10-{day:02}T03:00:00Z")),
        ]),
    }
}

/// What may go wrong with the next call of an operation.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Throttle(&'static str),
    LoseAnswer(&'static str),
    LedgerDown,
}

fn trouble() -> impl Strategy<Value = Trouble> {
    const CALLS: [&str; 4] =
        ["CreateDBSnapshot", "CopyDBSnapshot", "DescribeDBSnapshots", "DescribeAccountAttributes"];
    prop_oneof![
        prop::sample::select(&CALLS[..]).prop_map(Trouble::Throttle),
        prop::sample::select(&CALLS[..2]).prop_map(Trouble::LoseAnswer),
        Just(Trouble::LedgerDown),
    ]
}

/// The end state that counts: what exists, and what the ledger says.
fn end_state(world: &World) -> (BTreeMap<String, usize>, Vec<String>) {
    let mut recovery_points = BTreeMap::new();
    for region in [HOME, AWAY] {
        for snapshot in world.account.snapshots(region) {
            *recovery_points.entry(format!("{region} {} {}", snapshot.id, snapshot.status)).or_default() += 1;
        }
    }
    (recovery_points, world.ledger.entries().keys().map(ToString::to_string).collect())
}

proptest! {
    /// Whatever goes wrong on the way, the end is the same: one recovery point, one copy, one entry for each.
    #[test]
    fn faults_on_the_way_do_not_change_the_end(troubles in prop::collection::vec(trouble(), 0..8)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let databases = [instance("orders", "db-1", Some("default")), instance("users", "db-2", Some("default"))];
            let mut calm = World::new(&databases);
            calm.settle().await;
            let mut rough = World::new(&databases);
            for trouble in &troubles {
                match trouble {
                    Trouble::Throttle(call) => rough.account.refuse_next(call, Error::retryable("Throttling", "slow down")),
                    Trouble::LoseAnswer(call) => rough.account.lose_answer_of_next(call),
                    Trouble::LedgerDown => rough.ledger.refuse_next_append(Error::retryable("SlowDown", "S3 is busy")),
                }
                let deadline = Deadline::after(Duration::from_mins(5));
                // The pass may fail as a whole; the next tick goes on.
                _ = run(&rough.function(), &rough.ledger.journal(), Wake::Tick, rough.now, deadline, Budget::default()).await;
                rough.later();
            }
            rough.settle().await;
            prop_assert_eq!(end_state(&calm), end_state(&rough));
            Ok(())
        })?;
    }

    /// The plan is a function of what was observed: asked twice it says the same, whatever the order of the lists.
    #[test]
    fn plans_do_not_depend_on_order(seed in any::<u64>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let world = World::new(&[instance("a", "db-1", Some("default")), instance("b", "db-2", Some("default"))]);
            for day in 1..=25 {
                world.account.put_snapshot(HOME, old_snapshot(day));
            }
            let observed = world.function().observe(Wake::Tick, world.now).await.unwrap();
            let mut shuffled = observed.clone();
            let by = move |text: &str| text.bytes().fold(seed, |hash, byte| hash.rotate_left(7) ^ u64::from(byte).wrapping_mul(seed | 1));
            shuffled.home.recovery_points.sort_by_key(|point| by(&point.snapshot.id));
            shuffled.instances.sort_by_key(|instance| by(&instance.id));
            let wanted = |observed| {
                let plan = crate::plan::plan(observed, world.now);
                let mut names: Vec<String> = plan.decisions.iter().map(|decision| match &decision.verdict {
                    reconcile::Verdict::Act(Action::Copy { new, .. }) => format!("copy {}", new.id),
                    reconcile::Verdict::Act(Action::Take { new, .. }) => format!("take {}", new.id),
                    other => format!("{} {other:?}", decision.reason),
                }).collect();
                names.sort();
                names
            };
            prop_assert_eq!(wanted(&observed), wanted(&shuffled));
            Ok(())
        })?;
    }
}
