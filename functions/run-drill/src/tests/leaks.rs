//! What is deleted, and what never is.

use super::*;

fn instance(name: &str, tags: &[(&str, &str)]) -> Instance {
    Instance {
        deletion_protection: false,
        tags: tags.iter().map(|(key, value)| ((*key).to_owned(), value.replace("MARK", &mark()))).collect(),
        ..Instance::fake(HOME, name, &format!("db-{name}"))
    }
}

const LEFT: [(&str, &str); 4] = [
    (tag::DRILL, "drill-rds-orders-20261101t100000z-MARK"),
    (tag::RESOURCE, "rds/orders"),
    (tag::RESTORE, "restore-tidemark-drill-orders-1-20261101t100000z"),
    (tag::EXPIRES, "2026-11-02T10:00:00Z"),
];

#[tokio::test]
async fn what_a_drill_left_is_told_of_and_deleted() {
    for region in [HOME, AWAY] {
        let mut world = World::new();
        world.account.put_instance(region, instance("tidemark-drill-orders-1", &LEFT));
        world.tick().await;
        let [finding] = &world.findings()[..] else { panic!("{:?}", world.findings()) };
        assert_eq!(
            (finding.kind.as_str(), finding.resource.to_string()),
            ("drill-leaked", "rds/orders".to_owned())
        );
        assert!(finding.says.contains("tidemark-drill-orders-1"), "{}", finding.says);
        world.account.finish();
        world.tick().await;
        assert_eq!((world.restored(), world.findings()), (Vec::new(), Vec::new()));
    }
}

#[tokio::test]
async fn nothing_else_is_ever_deleted() {
    let mut world = World::new();
    // A copy of a drill's tags, a name without tags, a restore of a person's, and the production instance with a drill's tag.
    world.account.put_instance(HOME, instance("orders-replica", &LEFT));
    world.account.put_instance(HOME, instance("tidemark-drill-notes", &[]));
    world.account.put_instance(HOME, instance("orders-restored", &[(tag::RESTORE, "restore-1")]));
    let mut production = rds::Rds::instance(&world.account.region(HOME), "orders").await.unwrap().unwrap();
    production.tags.insert(tag::DRILL.to_owned(), format!("drill-rds-orders-20261101t100000z-{}", mark()));
    world.account.put_instance(HOME, production);
    for _ in 0..3 {
        world.tick().await;
        world.account.finish();
    }
    for name in ["orders-replica", "tidemark-drill-notes", "orders-restored", "orders"] {
        assert!(
            rds::Rds::instance(&world.account.region(HOME), name).await.unwrap().is_some(),
            "{name} is gone"
        );
    }
    assert!(!world.account.calls().iter().any(|call| call.contains("DeleteDBInstance")));
    // The name is told of.
    let [finding] = &world.findings()[..] else { panic!("{:?}", world.findings()) };
    assert_eq!(finding.code.as_deref(), Some("tidemark-drill-notes"));
}

/// A record that is lost leaves what its drill made to the reaper; one that cannot be read leaves it until it has expired.
#[tokio::test]
async fn a_lost_record_leaves_nothing_running() {
    let mut world = World::new();
    world.ask("rds/orders").await.unwrap();
    world.ledger.documents.put("drills/rds/orders.json", "{");
    world.tick().await;
    assert_eq!(world.restored().len(), 1);
    world.now += SignedDuration::from_hours(26);
    world.tick().await;
    world.account.finish();
    assert_eq!(world.restored(), []);

    let mut world = World::new();
    world.ask("rds/orders").await.unwrap();
    world.ledger.documents.remove("drills/rds/orders.json");
    world.tick().await;
    world.account.finish();
    assert_eq!(world.restored(), []);
}

/// The Region that does not answer may hold what a drill made: it is not over before somebody has looked.
#[tokio::test]
async fn a_silent_region_is_not_an_empty_one() {
    let mut world = World::new();
    world.pass(json!({"drill": "rds/orders", "way": "copy"})).await.unwrap();
    for _ in 0..4 {
        world.world_moves();
        world.tick().await;
    }
    // Already judged; from here on the other Region is silent.
    let mut world = World::new();
    world.pass(json!({"drill": "rds/orders", "way": "copy"})).await.unwrap();
    world.world_moves();
    world.tick().await;
    world.account.finish();
    for _ in 0..3 {
        let silent = Error::retryable("ServiceUnavailable", "not now");
        // Home is asked first.
        world.account.refuse_next("DescribeDBInstances", silent);
        world.now += SignedDuration::from_mins(1);
        _ = world.pass(json!({"wake": "tick"})).await;
        assert!(world.record("rds/orders").under_way.is_some());
    }
    world.until_over().await;
    assert_eq!(world.restored(), []);
}

/// Another deployment in the same account has drills of its own.
#[tokio::test]
async fn what_another_deployments_drill_made_is_left_to_it() {
    let mut world = World::new();
    let tags = LEFT.map(|(key, value)| {
        (key, if key == tag::DRILL { "drill-rds-orders-20261101t100000z-another" } else { value })
    });
    world.account.put_instance(HOME, instance("tidemark-drill-orders-1", &tags));
    world.tick().await;
    world.account.finish();
    assert_eq!((world.restored().len(), world.findings()), (1, Vec::new()));
}

/// A drill whose verdict cannot be recorded does not keep what it made for ever.
#[tokio::test]
async fn what_has_expired_goes_whatever_its_record_says() {
    let mut world = World::new();
    world.ask("rds/orders").await.unwrap();
    world.world_moves();
    for _ in 0..30 {
        world.ledger.refuse_next_append(Error::permanent("AccessDenied", "no"));
        world.tick().await;
    }
    assert_eq!(world.restored().len(), 1);
    world.now += SignedDuration::from_hours(26);
    for _ in 0..2 {
        world.ledger.refuse_next_append(Error::permanent("AccessDenied", "no"));
        world.tick().await;
    }
    world.account.finish();
    assert_eq!(world.restored(), []);
    assert!(
        world.findings().iter().any(|finding| finding.code.as_deref() == Some("AccessDenied")),
        "{:?}",
        world.findings()
    );
}

/// A mistake in the plans keeps nothing running, and ends no finding.
#[tokio::test]
async fn without_plans_what_is_under_way_is_torn_down() {
    let mut world = World::new();
    let table = FakeTable { lost: 1, ..FakeTable::new(1, "public.orders", &[1]) };
    world.server.put("postgres", FakeDatabase { tables: vec![table], ..FakeDatabase::default() });
    world.ask("rds/orders").await.unwrap();
    world.until_over().await;
    world.tick().await;
    assert_eq!(world.findings()[0].kind, "drill-failed");
    world.now += SignedDuration::from_hours(1);
    world.ask("rds/orders").await.unwrap();
    world.no_plans = true;
    world.until_over().await;
    world.tick().await;
    assert_eq!(world.restored(), []);
    assert!(world.findings().iter().any(|finding| finding.kind == "drill-failed"), "{:?}", world.findings());
    assert_eq!(world.ask("rds/orders").await.unwrap_err().code(), "PlansInvalid");
}
