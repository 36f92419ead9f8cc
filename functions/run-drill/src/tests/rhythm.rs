//! When drills are held, and how many.

use domain::drill::Way;
use rstest::rstest;

use super::*;

#[tokio::test]
async fn each_month_on_its_day_and_every_way_in_turn() {
    let mut world = World::new();
    // Seen for the first time: due at the next slot, which is the second of the month, at seven.
    world.tick().await;
    assert!(world.record("rds/orders").under_way.is_none());
    let mut ways = Vec::new();
    for month in ["2026-12", "2027-01", "2027-02", "2027-03"] {
        world.now = at(&format!("{month}-02T06:58:00Z"));
        world.tick().await;
        assert!(world.record("rds/orders").under_way.is_none(), "{month}: too early");
        world.tick().await;
        world.tick().await;
        let drill = world.record("rds/orders").under_way.unwrap_or_else(|| panic!("{month}: not begun"));
        assert_eq!(drill.by, "its schedule");
        for _ in 0..10 {
            world.ledger_of_this_month();
            world.world_moves();
            world.tick().await;
        }
        let last = world.record("rds/orders").history.past.last().cloned().unwrap();
        assert!(last.has_passed(), "{last:?}");
        ways.push(last.way);
    }
    assert_eq!(ways, [Way::Instant, Way::Newest, Way::Copy, Way::Older]);
}

impl World {
    /// The fake restore files under a fixed day; so what is restored now is asked for now.
    fn ledger_of_this_month(&self) {
        for (region, mut instance) in self.restored() {
            instance.tags.insert(tag::REQUESTED_AT.to_owned(), self.now.to_string());
            self.account.put_instance(&region, instance);
        }
    }
}

#[tokio::test]
async fn no_more_than_the_budget_allows_at_once() {
    let mut world = World::new();
    for name in ["accounts", "billing", "catalog"] {
        world.protect(name);
    }
    world.pass(json!({"drill": "all"})).await.unwrap();
    world.tick().await;
    assert_eq!(world.restored().len(), 2);
    let error = world.ask("rds/orders").await.err();
    if let Some(error) = error {
        assert_eq!(error.code(), "DrillBudgetExceeded");
    }
    for _ in 0..40 {
        world.world_moves();
        world.tick().await;
        assert!(world.restored().len() <= 2);
    }
    let passed = world.verdicts().iter().filter(|verdict| verdict["kind"] == "drill-passed").count();
    assert_eq!((passed, world.restored().len()), (4, 0));
}

#[tokio::test]
async fn no_more_than_the_months_money() {
    let mut world = World::new();
    world.limits.micro_usd_a_month = 1_000_000;
    let (code, says) = world
        .ask("rds/orders")
        .await
        .map_err(|error| {
            let (code, says) = refused(&error);
            (code.to_owned(), says)
        })
        .unwrap_err();
    assert_eq!(code, "DrillBudgetExceeded");
    assert!(says.contains("up to $") && says.contains("$1.00 a month are allowed"), "{says}");
    // Its schedule is refused as well, and people are told.
    world.tick().await;
    world.now = at("2026-12-02T07:05:00Z");
    world.tick().await;
    let findings = world.findings();
    assert!(
        findings.iter().any(|finding| finding.code.as_deref() == Some("DrillBudgetExceeded")),
        "{findings:?}"
    );
    assert_eq!(world.restored(), []);
}

#[rstest]
#[case("instant", HOME)]
#[case("newest", HOME)]
#[case("older", HOME)]
#[case("copy", AWAY)]
#[tokio::test]
async fn a_person_chooses_the_way(#[case] way: &str, #[case] region: &str) {
    let world = World::new();
    world.pass(json!({"drill": "rds/orders", "way": way})).await.unwrap();
    assert_eq!(world.restored()[0].0, region);
    let (_, payload) = &world.functions.calls()[0];
    assert_eq!(payload.get("region").is_some(), region == AWAY);
}

#[tokio::test]
async fn what_cannot_be_drilled_is_said() {
    let mut world = World::new();
    let error = world.ask("rds/unknown").await.unwrap_err();
    assert!(error.to_string().contains("protected is rds/orders"), "{error}");
    world.staging = None;
    let error = world.ask("rds/orders").await.unwrap_err();
    assert_eq!(error.code(), "StagingMissing");
    assert_eq!(world.restored(), []);
    world.staging = World::new().staging;
    let assertion = r#"{"plans": {"default": {"drill": {"assertions": {"rds/orders": [{"name": "x"}]}}}}}"#;
    world.plans = PlanDocument::parse(assertion).unwrap();
    let error = world.ask("rds/orders").await.unwrap_err();
    assert_eq!(error.code(), "AssertionsInvalid");
    assert!(error.to_string().contains("rds/orders[0]"), "{error}");
}

#[tokio::test]
async fn who_asks_again_hears_of_the_drill_under_way() {
    let mut world = World::new();
    world.ask("rds/orders").await.unwrap();
    world.now += SignedDuration::from_mins(3);
    let again = world.ask("rds/orders").await.unwrap();
    assert_eq!(again["acted"][0]["drill"], format!("drill-rds-orders-20261122t100000z-{}", mark()));
    assert_eq!(world.restored().len(), 1);
}
