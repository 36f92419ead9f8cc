//! What fails a drill, and what interrupts it.

use domain::drill::history::Verdict;
use postgres::checks::{Fault, FaultKind};
use rstest::rstest;

use super::*;

/// Breaks the restored server.
fn put(world: &World, change: impl FnOnce(&mut FakeDatabase)) {
    let table = FakeTable::new(1, "public.orders", &[10, 10, 3]);
    let mut database = FakeDatabase { tables: vec![table], ..FakeDatabase::default() };
    change(&mut database);
    world.server.put("postgres", database);
}

fn torn(database: &mut FakeDatabase) {
    let fault = Fault::of("XX001", "invalid page in block 1 of relation base/5/16384");
    database.tables[0].faults.insert(1, fault);
}

#[rstest]
#[case(torn as fn(&mut FakeDatabase), "TableUnreadable", "public.orders, block 1: invalid page")]
#[case(|database: &mut FakeDatabase| database.tables[0].lost = 2, "TableUnreadable", "some are lost")]
#[case(|database: &mut FakeDatabase| _ = database.tables[0].damages.insert(2, "xmin is in the future".to_owned()), "HeapDamaged", "xmin is in the future")]
#[case(|database: &mut FakeDatabase| database.catalog.hides_damage = true, "DamageHidden", "zero_damaged_pages")]
#[tokio::test]
async fn what_is_damaged_fails_it(
    #[case] damage: fn(&mut FakeDatabase),
    #[case] code: &str,
    #[case] says: &str,
) {
    let mut world = World::new();
    put(&world, damage);
    world.ask("rds/orders").await.unwrap();
    world.until_over().await;
    let past = &world.record("rds/orders").history.past[0];
    let Verdict::Failed { code: found, says: said } = &past.verdict else { panic!("{past:?}") };
    assert!(found == code && said.contains(says), "{found}: {said}");
    // Evidence and alert stay, the data does not.
    assert_eq!(world.restored(), []);
    world.tick().await;
    let [finding] = &world.findings()[..] else { panic!("{:?}", world.findings()) };
    assert_eq!((finding.kind.as_str(), finding.code.as_deref()), ("drill-failed", Some(code)));
    assert!(finding.says.contains(says), "{}", finding.says);
    assert_eq!(world.verdicts()[0]["first_failure"], json!(said));
    // A drill that passes ends it.
    put(&world, |_| {});
    world.now += SignedDuration::from_hours(1);
    world.ask("rds/orders").await.unwrap();
    world.until_over().await;
    world.tick().await;
    assert_eq!(world.findings(), []);
}

#[tokio::test]
async fn an_assertion_that_does_not_hold_fails_it() {
    let mut world = World::new();
    let plans = r#"{"plans": {"default": {"drill": {"assertions": {"rds/orders": [
        {"name": "orders are there", "database": "postgres", "sql": "SELECT count(*) FROM orders", "expect": {"at_least": 1000}}
    ]}}}}}"#;
    world.plans = PlanDocument::parse(plans).unwrap();
    put(&world, |database| {
        database
            .answers
            .insert("SELECT count(*) FROM orders".to_owned(), Ok(postgres::checks::fake::number(23)));
    });
    world.ask("rds/orders").await.unwrap();
    world.until_over().await;
    let past = &world.record("rds/orders").history.past[0];
    let Verdict::Failed { code, says } = &past.verdict else { panic!("{past:?}") };
    assert_eq!(code, "AssertionFailed");
    assert!(says.contains("orders are there") && says.contains("1000") && !says.contains("23"), "{says}");
    assert!(
        world.verdicts()[0]["evidence"].to_string().contains("\"found\":\"23\""),
        "{}",
        world.verdicts()[0]
    );
}

#[tokio::test]
async fn what_is_refused_is_told_and_not_tried_for_ever() {
    let mut world = World::new();
    *world.answers.lock().unwrap() = Restores::Refused("KMSKeyNotAccessibleFault");
    world.ask("rds/orders").await.unwrap();
    assert_eq!(world.verdicts()[0]["outcome"], json!({"failed": "KMSKeyNotAccessibleFault"}));
    // Something might still appear; then it is over.
    for _ in 0..40 {
        world.tick().await;
    }
    assert!(world.record("rds/orders").under_way.is_none());
    assert_eq!(world.functions.calls().len(), 1);
}

#[tokio::test]
async fn a_class_that_is_not_to_be_had_is_replaced_by_the_sources() {
    let mut world = World::new();
    *world.answers.lock().unwrap() = Restores::Refused("InsufficientDBInstanceCapacity");
    world.ask("rds/orders").await.unwrap();
    let classes: Vec<Value> =
        world.functions.calls().iter().map(|(_, payload)| payload["instance_class"].clone()).collect();
    assert_eq!(classes, ["db.t4g.medium", "db.r6g.xlarge"]);
    world.tick().await;
    assert_eq!(world.functions.calls().len(), 2);
}

#[tokio::test]
async fn a_restore_that_fails_fails_the_drill() {
    let mut world = World::new();
    world.ask("rds/orders").await.unwrap();
    let (region, instance) = world.restored()[0].clone();
    world.write(&instance, &region, "restore-failed", Outcome::Failed("RestoreFailed".to_owned()));
    world.tick().await;
    let past = &world.record("rds/orders");
    let judged = past.under_way.as_ref().unwrap().judged.as_ref().unwrap();
    assert!(matches!(&judged.verdict, Verdict::Failed { code, .. } if code == "RestoreFailed"), "{judged:?}");
    world.until_over().await;
    assert_eq!(world.restored(), []);
}

#[tokio::test]
async fn what_does_not_come_within_a_day_is_given_up() {
    let mut world = World::new();
    world.ask("rds/orders").await.unwrap();
    world.now += SignedDuration::from_hours(25);
    world.tick().await;
    assert_eq!(world.verdicts()[0]["outcome"], json!({"failed": "RestoreTooLong"}));
    for _ in 0..40 {
        world.account.finish();
        world.tick().await;
    }
    assert_eq!(world.restored(), []);
    assert!(world.record("rds/orders").under_way.is_none());
}

#[tokio::test]
async fn a_server_that_nobody_reaches_fails_it_after_an_hour() {
    let mut world = World::new();
    world.ask("rds/orders").await.unwrap();
    world.world_moves();
    let unreached = || Error::retryable("DatabaseNotReached", "it does not answer");
    for _ in 0..59 {
        world.server.refuse_next(unreached());
        world.tick().await;
        assert_eq!(world.verdicts(), Vec::<Value>::new());
    }
    for _ in 0..5 {
        world.server.refuse_next(unreached());
        world.tick().await;
    }
    assert_eq!(world.verdicts()[0]["outcome"], json!({"failed": "DatabaseNotReached"}));
}

/// What was checked until a connection was lost is not checked again, and a lost connection is no damage.
#[tokio::test]
async fn a_lost_connection_is_not_damage() {
    let mut world = World::new();
    world.ask("rds/orders").await.unwrap();
    world.world_moves();
    for _ in 0..3 {
        world.server.fail_next(Fault::new(FaultKind::Unavailable, "the connection was lost"));
    }
    world.until_over().await;
    assert_eq!(world.verdicts()[0]["kind"], "drill-passed");
}

/// Every write is refused once, and its answer lost once; every call to RDS and to restore-database, too. Whatever is met, there is
/// one verdict, never a second instance, and nothing is left.
#[tokio::test]
async fn whatever_is_interrupted_it_ends_the_same() {
    for step in 0..30 {
        for lost in [false, true] {
            for what in ["document", "ledger", "function", "delete"] {
                let mut world = World::new();
                world.tick().await;
                world.pass(json!({"drill": "all"})).await.unwrap();
                for tick in 0..60 {
                    world.world_moves();
                    if tick == step {
                        world.interrupt(what, lost);
                    }
                    world.now += SignedDuration::from_mins(1);
                    _ = world.pass(json!({"wake": "tick"})).await;
                    assert!(world.restored().len() <= 1, "{what} at {step}: two at once");
                }
                let record = world.record("rds/orders");
                assert!(record.under_way.is_none(), "{what} at {step}: {record:?}");
                assert_eq!(world.restored(), [], "{what} at {step}");
                assert_eq!(record.history.past.len(), 1, "{what} at {step}");
                let verdicts = world.verdicts();
                assert_eq!(
                    (verdicts.len(), &verdicts[0]["kind"]),
                    (1, &json!("drill-passed")),
                    "{what} at {step}"
                );
                assert_eq!(world.findings(), [], "{what} at {step}");
            }
        }
    }
}

impl World {
    pub(super) fn interrupt(&self, what: &str, lost: bool) {
        let error = || Error::retryable("ServiceUnavailable", "not now");
        match (what, lost) {
            ("document", true) => self.ledger.documents.lose_answer_of_next_write(),
            ("document", false) => self.ledger.documents.refuse_next_write(error()),
            ("ledger", _) => self.ledger.refuse_next_append(error()),
            ("function", true) => self.functions.lose_answer_of_next(),
            ("function", false) => self.functions.refuse_next(error()),
            (_, true) => self.account.lose_answer_of_next("DeleteDBInstance"),
            (_, false) => self.account.refuse_next("DeleteDBInstance", error()),
        }
    }
}

/// Nobody waits for the teardown to hear of it.
#[tokio::test]
async fn what_failed_is_told_while_it_is_torn_down() {
    let mut world = World::new();
    put(&world, torn);
    world.ask("rds/orders").await.unwrap();
    world.world_moves();
    world.tick().await;
    world.tick().await;
    assert!(world.record("rds/orders").under_way.is_some());
    assert_eq!(world.findings()[0].kind, "drill-failed");
}

#[rstest]
#[case::no_table(|_: &mut FakeDatabase| {}, 0)]
#[case::tables(|database: &mut FakeDatabase| database.tables = vec![FakeTable::new(1, "public.orders", &[1])], 1)]
#[tokio::test]
async fn an_empty_server_proves_nothing_unless_its_source_is_empty(
    #[case] fill: fn(&mut FakeDatabase),
    #[case] tables: u64,
) {
    let mut world = World::new();
    let mut database = FakeDatabase::default();
    fill(&mut database);
    database.catalog.counts.tables = tables;
    world.server.put("postgres", database);
    world.ask("rds/orders").await.unwrap();
    world.until_over().await;
    assert_eq!(world.verdicts()[0]["kind"], "drill-passed");
    // The source has tables, what was restored has none.
    let mut database = FakeDatabase::default();
    database.catalog.counts.tables = 5;
    world.server.put("postgres", database);
    world.now += SignedDuration::from_hours(1);
    world.pass(json!({"drill": "rds/orders", "way": "copy"})).await.unwrap();
    world.until_over().await;
    let past = world.record("rds/orders").history.past;
    assert!(matches!(&past[1].verdict, Verdict::Failed { code, .. } if code == "NothingChecked"), "{past:?}");
}

/// What could not be checked is no pass that nobody hears of.
#[tokio::test]
async fn what_was_not_checked_is_told() {
    let mut world = World::new();
    put(&world, |database| {
        database.amcheck = postgres::checks::Amcheck::NotAvailable { reason: "permission denied".to_owned() };
    });
    world.ask("rds/orders").await.unwrap();
    world.until_over().await;
    world.tick().await;
    let [finding] = &world.findings()[..] else { panic!("{:?}", world.findings()) };
    assert_eq!(finding.kind, "drill-incomplete");
    assert!(finding.says.contains("amcheck: permission denied"), "{}", finding.says);
}

/// What the next drill must not miss.
#[tokio::test]
async fn what_was_there_is_remembered() {
    let mut world = World::new();
    let shop =
        || FakeDatabase { tables: vec![FakeTable::new(1, "public.orders", &[1])], ..FakeDatabase::default() };
    world.server.put("shop", shop());
    world.pass(json!({"drill": "rds/orders", "way": "older"})).await.unwrap();
    world.until_over().await;
    assert_eq!(world.verdicts()[0]["evidence"]["databases"].as_array().map(Vec::len), Some(2));
    let resource = ResourceId::rds("orders");
    let kept = Kept::read(&world.ledger.documents, &resource).await.unwrap().unwrap();
    assert_eq!(kept.record.known["relations"], json!({"postgres": 1, "shop": 1}));
}
