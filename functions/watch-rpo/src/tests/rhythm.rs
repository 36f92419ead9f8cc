//! How often snapshots are looked at: each minute while there are few, and with many as often as costs no more.

use rstest::rstest;

use super::*;

/// A pass that looks at snapshots asks for the instances, both Regions' snapshots, and the replicated backups.
const LOOK: usize = 4;
const NO_LOOK: usize = 1;

impl World {
    /// What the ticks of the coming minutes cost.
    async fn costs(&mut self, ticks: usize) -> Vec<usize> {
        let mut costs = Vec::new();
        for _ in 0..ticks {
            self.now += minutes(1);
            costs.push(self.cost(Ask::Watch(Wake::Tick)).await);
        }
        costs
    }
}

#[tokio::test]
async fn few_are_looked_at_each_minute_and_that_is_not_written_down() {
    let mut world = World::calm("2026-11-22T12:00:00Z");
    assert_eq!(world.cost(Ask::Watch(Wake::Tick)).await, LOOK);
    let (memory, writes) = (world.memory("2026-11"), world.documents().writes());
    assert_eq!((&memory["look_minutes"], memory.get("snapshots_seen_at")), (&json!(1), None));
    // After ten minutes the board is written anew, to tell that its function is well.
    assert_eq!(world.costs(9).await, [LOOK; 9]);
    assert_eq!(world.memory("2026-11"), memory);
    assert_eq!(world.documents().writes(), writes + 9, "the ages alone");
}

#[rstest]
#[case(0, 1)]
#[case(5_000, 1)]
#[case(5_001, 2)]
#[case(10_000, 2)]
#[case(10_001, 3)]
#[case(15_001, 4)]
#[case(20_000, 4)]
#[case(20_001, 5)]
#[case(25_001, 5)]
#[tokio::test]
async fn as_often_as_their_number_in_both_regions_allows(#[case] snapshots: usize, #[case] every: usize) {
    let mut world = World::new("2026-11-22T12:00:00Z", [database("orders", "db-1")]);
    world.fill(snapshots);
    assert_eq!(world.cost(Ask::Watch(Wake::Tick)).await, LOOK);
    assert_eq!(world.memory("2026-11")["look_minutes"], every);
    for _ in 0..2 {
        let mut expected = vec![NO_LOOK; every];
        expected[every - 1] = LOOK;
        assert_eq!(world.costs(every).await, expected);
    }
}

#[rstest]
#[case::a_hundred_thousand(100_000, 5)]
#[case::more_than_there_can_be(usize::MAX, 5)]
fn never_less_often_than_every_five_minutes(#[case] snapshots: usize, #[case] every: i64) {
    assert_eq!(crate::look::look_minutes(snapshots), every);
}

#[tokio::test]
async fn a_wake_may_come_a_little_early() {
    let mut world = World::large("2026-11-22T12:00:01Z");
    world.tick().await;
    for (now, cost) in [("12:04:50", NO_LOOK), ("12:04:58", LOOK), ("12:09:53", LOOK)] {
        world.now = at(&format!("2026-11-22T{now}Z"));
        assert_eq!(world.cost(Ask::Watch(Wake::Tick)).await, cost, "{now}");
    }
}

#[tokio::test]
async fn the_rhythm_follows_the_number() {
    let mut world = World::calm("2026-11-22T12:00:00Z");
    world.fill(SNAPSHOTS_A_MINUTE);
    world.tick().await;
    world.fill(SNAPSHOTS_A_MINUTE + 1);
    assert_eq!(world.costs(4).await, [LOOK, NO_LOOK, LOOK, NO_LOOK]);
    let newest = world.account.snapshots(HOME).into_iter().find(|snapshot| snapshot.tags.is_empty());
    world.account.remove_snapshot(HOME, &newest.unwrap().id);
    assert_eq!(world.costs(4).await, [LOOK; 4]);
    let memory = world.memory("2026-11");
    assert_eq!((&memory["look_minutes"], memory.get("snapshots_seen_at")), (&json!(1), None));
}

#[tokio::test]
async fn a_region_that_does_not_answer_does_not_make_many_few() {
    let mut world = World::large("2026-11-22T12:00:00Z");
    world.tick().await;
    world.now += minutes(4);
    let down = reconcile::Error::retryable("ServiceUnavailable", "the Region is down");
    world.account.refuse_next("us-west-2 DescribeDBSnapshots", down);
    world.costs(1).await;
    assert_eq!(world.memory("2026-11")["look_minutes"], 5);
    assert_eq!(world.costs(6).await, [LOOK, NO_LOOK, NO_LOOK, NO_LOOK, NO_LOOK, LOOK]);
}

#[tokio::test]
async fn a_new_month_goes_on_in_the_rhythm_of_the_old() {
    let mut world = World::large("2026-11-30T23:58:00Z");
    world.tick().await;
    assert_eq!(world.costs(5).await, [NO_LOOK, NO_LOOK, NO_LOOK, NO_LOOK, LOOK]);
    assert_eq!(world.memory("2026-12")["snapshots_seen_at"], "2026-12-01T00:03:00Z");
}

#[rstest]
#[case::few(World::calm)]
#[case::many(World::large)]
#[tokio::test]
async fn a_night_of_events_costs_one_look_a_minute(#[case] world: fn(&str) -> World) {
    let mut world = world("2026-11-22T12:00:00Z");
    let mut cost = 0;
    for _ in 0..100 {
        cost += world.cost(event()).await;
        world.now += Duration::from_secs(1);
    }
    assert_eq!(cost, 100 + 2 * (LOOK - NO_LOOK));
}

#[tokio::test]
async fn events_take_no_look_from_the_minutes() {
    let mut world = World::calm("2026-11-22T12:00:00Z");
    for _ in 0..3 {
        assert_eq!(world.cost(Ask::Watch(Wake::Tick)).await, LOOK);
        assert_eq!(world.memory("2026-11").get("snapshots_seen_at"), None);
        world.now += Duration::from_secs(30);
        assert_eq!(world.cost(event()).await, LOOK);
        world.now += Duration::from_secs(30);
    }
}

/// What nobody wrote keeps nothing away for longer than what is meant may.
#[rstest]
#[tokio::test]
async fn look_minutes_that_cannot_be_keep_nothing_away(
    #[values(Some(0), Some(-1), Some(i64::MIN), Some(i64::MAX), Some(6), None)] look_minutes: Option<i64>,
    #[values(None, Some("03:59:00"), Some("04:00:00"), Some("04:05:00"), Some("04:05:01"))] seen: Option<
        &str,
    >,
    #[values(World::calm, World::large)] world: fn(&str) -> World,
) {
    let mut world = world("2026-11-23T04:00:00Z");
    let mut memory = world.memory("2026-11");
    match look_minutes {
        Some(minutes) => memory["look_minutes"] = json!(minutes),
        None => _ = memory.as_object_mut().unwrap().remove("look_minutes"),
    }
    memory["snapshots_seen_at"] = json!(seen.map(|seen| format!("2026-11-23T{seen}Z")));
    world.documents().put("watch/2026-11.json", &memory.to_string());
    let begun = world.now;
    let waited = world.minute_when("slot-missed", true).await.duration_since(begun);
    assert!(waited <= minutes(MOST_LOOK_MINUTES), "{waited}");
    let written = world.memory("2026-11")["look_minutes"].as_i64().unwrap();
    assert!((1..=MOST_LOOK_MINUTES).contains(&written), "{written}");
}
