//! Drills of recovery sets.

use domain::drill::history::Verdict;
use postgres::checks::fake::number;

use super::*;

const SHOP: &str = r#"{"plans": {"default": {}}, "recovery_sets": {"shop": {
    "resources": ["rds/orders", "rds/accounts"],
    "assertions": [{"name": "an account for each order", "differ_by_at_most": 2, "sides": [
        {"resource": "rds/orders", "sql": "SELECT count(*) FROM orders"},
        {"resource": "rds/accounts", "sql": "SELECT count(*) FROM accounts"}]}]
}}}"#;

/// A shop whose stores have so many orders and accounts.
fn shop(orders: i64, accounts: i64) -> World {
    let mut world = World::new();
    world.plans = PlanDocument::parse(SHOP).unwrap();
    world.protect("accounts");
    let mut database =
        FakeDatabase { tables: vec![FakeTable::new(1, "public.orders", &[10])], ..FakeDatabase::default() };
    for (table, count) in [("orders", orders), ("accounts", accounts)] {
        database.answers.insert(format!("SELECT count(*) FROM {table}"), Ok(number(count)));
    }
    world.server.put("postgres", database);
    world
}

impl World {
    fn set(&self) -> Value {
        serde_json::from_str(&self.ledger.documents.text("drills/sets/shop.json").unwrap()).unwrap()
    }

    async fn until_set_over(&mut self) {
        for _ in 0..60 {
            self.world_moves();
            self.tick().await;
            if self.set()["under_way"].is_null() {
                return;
            }
        }
        panic!("not over: {}", self.set());
    }
}

#[tokio::test]
async fn a_set_is_restored_together_and_asked_across_before_anything_is_torn_down() {
    let mut world = shop(1_000, 1_002);
    let answer = world.ask("set/shop").await.unwrap();
    assert_eq!(answer["set_instant"], "2026-11-22T09:55:00Z");
    assert_eq!(world.restored().len(), 2);
    assert!(world.functions.calls().len() == 1);
    world.until_set_over().await;
    assert_eq!((world.restored(), world.findings()), (Vec::new(), Vec::new()));
    let verdicts = world.verdicts();
    assert_eq!(verdicts.len(), 3);
    for verdict in &verdicts {
        assert_eq!(
            (&verdict["kind"], &verdict["set"]),
            (&json!("drill-passed"), &json!("shop")),
            "{verdict}"
        );
    }
    let across = verdicts.iter().find(|verdict| verdict["resource"] == "tidemark/recovery-set-shop").unwrap();
    assert_eq!(across["evidence"]["assertions"][0]["holds"], true, "{across}");
    for resource in ["rds/orders", "rds/accounts"] {
        let past = &world.record(resource).history.past;
        assert_eq!((past.len(), past[0].set.as_deref()), (1, Some("shop")));
        // All are restored at the same time: it takes as long as the slowest.
        assert!(across["duration_ms"].as_u64() >= past[0].phases.duration_ms, "{across}");
    }
    assert_eq!(world.set()["past"][0]["duration_ms"], across["duration_ms"]);
    assert_eq!(world.set()["past"][0]["verdict"]["is"], "passed");
}

#[tokio::test]
async fn what_does_not_hold_across_fails_it() {
    let mut world = shop(1_000, 1_003);
    world.ask("set/shop").await.unwrap();
    world.until_set_over().await;
    world.tick().await;
    let [finding] = &world.findings()[..] else { panic!("{:?}", world.findings()) };
    assert_eq!(finding.resource.to_string(), "tidemark/recovery-set-shop");
    assert!(
        finding.says.contains("an account for each order") && finding.says.contains("1000 and 1003"),
        "{}",
        finding.says
    );
    assert_eq!(world.restored(), []);
}

#[tokio::test]
async fn a_member_that_fails_fails_the_set() {
    let mut world = shop(1, 1);
    let mut table = FakeTable::new(1, "public.orders", &[10]);
    table.lost = 1;
    world.server.put("postgres", FakeDatabase { tables: vec![table], ..FakeDatabase::default() });
    world.ask("set/shop").await.unwrap();
    world.until_set_over().await;
    let verdict = &world.set()["past"][0]["verdict"];
    assert_eq!(verdict["code"], "MemberFailed", "{verdict}");
    let past = &world.record("rds/orders").history.past[0];
    assert!(matches!(&past.verdict, Verdict::Failed { code, .. } if code == "TableUnreadable"));
    assert_eq!(world.restored(), []);
}

#[tokio::test]
async fn a_set_that_cannot_be_restored_is_told() {
    let mut world = shop(1, 1);
    *world.answers.lock().unwrap() = Restores::Refused("SetRefused");
    world.ask("set/shop").await.unwrap();
    world.tick().await;
    world.tick().await;
    let [finding] = &world.findings()[..] else { panic!("{:?}", world.findings()) };
    assert_eq!(finding.code.as_deref(), Some("SetRefused"));
    assert!(world.set()["under_way"].is_null());
    let error = world.ask("set/unknown").await.unwrap_err();
    assert!(error.to_string().contains("the plan document has shop"), "{error}");
}

#[tokio::test]
async fn each_month_the_set_and_each_by_itself() {
    let mut world = shop(5, 5);
    world.limits.at_once = 2;
    world.tick().await;
    world.now = at("2026-12-02T07:00:00Z");
    for _ in 0..60 {
        world.tick().await;
        assert!(world.restored().len() <= 2);
        world.world_moves_on_its_day();
    }
    assert_eq!(world.set()["past"].as_array().map(Vec::len), Some(1));
    for resource in ["rds/orders", "rds/accounts"] {
        assert!(!world.record(resource).history.past.is_empty(), "{resource}");
    }
    assert_eq!((world.restored(), world.findings()), (Vec::new(), Vec::new()));
}

impl World {
    /// As [`World::world_moves`], on the day that it is.
    fn world_moves_on_its_day(&self) {
        for (region, mut instance) in self.restored() {
            if instance.status == "creating" {
                instance.tags.insert(tag::REQUESTED_AT.to_owned(), self.now.to_string());
                self.account.put_instance(&region, instance);
            }
        }
        self.world_moves();
    }
}

/// A set that is too dear, and another with a member that nobody protects, stop nothing but themselves.
#[tokio::test]
async fn a_set_that_cannot_be_begun_stops_neither_its_members_nor_other_sets() {
    let mut world = shop(5, 5);
    let sets = r#"{"plans": {"default": {}}, "recovery_sets": {
        "all": {"resources": ["rds/orders", "rds/nobodys"]}, "shop": {"resources": ["rds/orders", "rds/accounts"]}}}"#;
    world.plans = PlanDocument::parse(sets).unwrap();
    world.tick().await;
    world.limits.micro_usd_a_month = 30_000_000;
    world.now = at("2026-12-02T07:00:00Z");
    for _ in 0..60 {
        world.tick().await;
        world.world_moves_on_its_day();
    }
    for resource in ["rds/orders", "rds/accounts"] {
        let past = &world.record(resource).history.past;
        let sets: Vec<_> = past.iter().map(|past| past.set.as_deref()).collect();
        assert_eq!(sets, [None], "{resource}: {:?}", world.findings());
    }
    let mut told: Vec<String> =
        world.findings().iter().map(|one| format!("{} {:?}", one.resource, one.code)).collect();
    told.sort();
    let refused = ["all Some(\"ResourceUnknown\")", "shop Some(\"DrillBudgetExceeded\")"];
    assert_eq!(told, refused.map(|one| format!("tidemark/recovery-set-{one}")));
    // There is money again: the set that could not be begun is begun, though another one still cannot.
    world.limits.micro_usd_a_month = 100_000_000;
    for _ in 0..60 {
        world.tick().await;
        world.world_moves_on_its_day();
    }
    assert_eq!(world.set()["past"].as_array().map(Vec::len), Some(1));
    assert_eq!(world.restored(), []);
}

/// A member's drill that could not be written down would leave the set asking again, and what it made reaped, for ever.
#[tokio::test]
async fn a_set_is_not_begun_over_a_document_that_cannot_be_read() {
    let mut world = shop(5, 5);
    world.tick().await;
    world.ledger.documents.put("drills/rds/accounts.json", "not JSON");
    assert_eq!(world.ask("set/shop").await.unwrap_err().code(), "DrillBudgetExceeded");
    assert_eq!((world.restored(), world.functions.calls().len()), (Vec::new(), 0));
}

/// Every kind of call fails once, at every step: one verdict each, never a third instance, nothing left.
#[tokio::test]
async fn whatever_is_interrupted_it_ends_the_same() {
    for step in 0..25 {
        for lost in [false, true] {
            for what in ["document", "ledger", "function", "delete"] {
                let mut world = shop(7, 7);
                world.tick().await;
                if step == 0 {
                    world.interrupt(what, lost);
                }
                _ = world.ask("set/shop").await;
                for tick in 1..70 {
                    world.world_moves();
                    if tick == step {
                        world.interrupt(what, lost);
                    }
                    world.now += SignedDuration::from_mins(1);
                    _ = world.pass(json!({"wake": "tick"})).await;
                    assert!(world.restored().len() <= 2, "{what} at {step}: three at once");
                }
                let at = format!("{what} at {step}, lost {lost}");
                let begun = world
                    .ledger
                    .documents
                    .text("drills/sets/shop.json")
                    .is_some_and(|text| text.contains("past\":[{"));
                if !begun {
                    // Refused before anything was written down: nothing was done.
                    assert_eq!((step, world.restored()), (0, Vec::new()), "{at}");
                    continue;
                }
                assert!(world.set()["under_way"].is_null(), "{at}: {}", world.set());
                assert_eq!((world.restored(), world.findings()), (Vec::new(), Vec::new()), "{at}");
                let verdicts = world.verdicts();
                assert!(verdicts.iter().all(|verdict| verdict["kind"] == "drill-passed"), "{at}");
                assert_eq!(verdicts.len(), 3, "{at}");
            }
        }
    }
}
