//! Whether a drill has passed of late.

use domain::{
    ResourceId, Severity,
    drill::{
        To, Way,
        history::{History, Past, Phases, Promised, Verdict, document},
    },
    retention::Region,
};
use rstest::rstest;

use super::*;

const ALL: [&str; 3] = ["rds/orders", "redis/sessions", "turso/shop"];

fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * days)
}

impl World {
    /// What watch-rpo remembers: for so many days each of them has been protected.
    fn watch(&self, protected: &[(&str, i64)]) {
        let resources: std::collections::BTreeMap<&str, Value> = protected
            .iter()
            .map(|(name, days_ago)| {
                (*name, json!({"seen_since": self.now - days(*days_ago), "plan": "default", "worst": null}))
            })
            .collect();
        let month = json!({"month": "2026-11", "look_minutes": 1, "resources": resources});
        self.ledger.documents.put("watch/2026-11.json", &month.to_string());
    }

    /// Drills of it, each so many days ago; what failed, and not why it passed.
    fn drilled(&self, resource: &str, drills: &[(i64, Option<&str>)]) {
        let past = drills.iter().map(|(days_ago, failed)| self.past(*days_ago, *failed)).collect();
        let resource: ResourceId = resource.to_owned().try_into().unwrap();
        self.ledger.documents.put(&document(&resource), &json!(History { past }).to_string());
    }

    fn past(&self, days_ago: i64, failed: Option<&str>) -> Past {
        let at = self.now - days(days_ago);
        Past {
            id: format!("drill-{days_ago}"),
            way: Way::Newest,
            region: Region::Home,
            to: To::Instant(at),
            asked_at: at,
            judged_at: at,
            verdict: failed.map_or(Verdict::Passed, |says| Verdict::Failed {
                code: "CheckFailed".to_owned(),
                says: says.to_owned(),
            }),
            bytes: 1,
            class: None,
            phases: Phases::default(),
            loss: None,
            objectives: Promised { rpo_ms: 900_000, rto_ms: 3_600_000 },
            unchecked: Vec::new(),
            cost_micro_usd: 1,
            set: None,
        }
    }
}

#[rstest]
#[case::the_month_is_not_over(35, &[], None)]
#[case::never_drilled(40, &[], Some("no drill of it has ever passed, and it has been protected for 40 days; none was ever held"))]
#[case::passed_of_late(400, &[(60, Some("no")), (35, None)], None)]
#[case::passed_and_failed_since(400, &[(30, None), (1, Some("no"))], None)]
#[case::not_held_any_more(400, &[(36, None)], Some("judged at 2026-10-17T07:00:00Z, 36 days ago; none was held since"))]
#[case::fails(400, &[(70, None), (8, Some("public.orders, block 7: invalid page"))],
    Some("70 days ago; the last one failed at 2026-11-14T07:00:00Z with CheckFailed: public.orders, block 7: invalid page"))]
#[case::only_ever_failed(36, &[(30, Some("no"))], Some("protected for 36 days; the last one failed"))]
#[case::protected_anew(3, &[(70, None)], None)]
#[tokio::test]
async fn overdue(
    #[case] protected: i64,
    #[case] drills: &[(i64, Option<&str>)],
    #[case] expected: Option<&str>,
) {
    for resource in ALL {
        let world = World::calm();
        world.watch(&[(resource, protected)]);
        if !drills.is_empty() {
            world.drilled(resource, drills);
        }
        let answer = world.check().await;
        assert_eq!((&answer["ok"], &answer["complete"]), (&json!(true), &json!(true)));
        let board = world.board();
        let Some(expected) = expected else {
            assert_eq!(world.found(), [""; 0]);
            continue;
        };
        let [finding] = board.as_slice() else { panic!("{board:?}") };
        assert_eq!((finding.condition(), finding.severity), ("drill-overdue".to_owned(), Severity::Warning));
        assert!(finding.says.starts_with(resource) && finding.says.contains(expected), "{}", finding.says);
        assert!(finding.next.contains(&format!("{{\"drill\": \"{resource}\"}}")), "{}", finding.next);
        assert!(finding.since < world.now, "since the 35 days were over");
    }
}

#[tokio::test]
async fn it_ends_with_the_drill_that_passes() {
    let mut world = World::calm();
    world.watch(&[("rds/orders", 60)]);
    world.tick().await;
    assert_eq!(world.found(), ["rds/orders drill-overdue"]);
    assert_eq!(world.board()[0].since, world.now - days(25));
    world.later(1);
    world.drilled("rds/orders", &[(0, None)]);
    world.tick().await;
    assert_eq!(world.found(), [""; 0]);
}

#[tokio::test]
async fn what_its_plan_does_not_drill_is_never_overdue() {
    let mut world = World::calm();
    world.plans = PLAN.replacen(
        r#""default": {"#,
        r#""default": {"drill": null, "redis": {"append_only": {"x": "s3://bucket/x/"}}, "#,
        1,
    );
    world.watch(&[("rds/orders", 400), ("redis/sessions", 400), ("turso/shop", 400), ("redis/x", 400)]);
    world.check().await;
    assert_eq!(world.found(), [""; 0]);
    world.plans = world.plans.replace(r#""drill": null, "#, "");
    world.check().await;
    let all = ["rds/orders", "redis/sessions", "redis/x", "turso/shop"];
    assert_eq!(world.found(), all.map(|name| format!("{name} drill-overdue")));
}

#[rstest]
#[case::one_document("drills/rds/orders.json", "{", "drills", &["rds/orders"])]
#[case::of_another_kind("drills/rds/orders.json", r#"{"past": [{}]}"#, "drills", &["rds/orders"])]
#[case::the_watch("watch/2026-11.json", "{", "watch", &ALL)]
#[tokio::test]
async fn what_cannot_be_read_is_told_and_stops_nothing_else(
    #[case] document: &str,
    #[case] text: &str,
    #[case] part: &str,
    #[case] stand: &[&str],
) {
    let mut world = World::calm();
    let watched = ALL.map(|name| (name, 60));
    world.watch(&watched);
    world.tick().await;
    assert_eq!(world.found(), ALL.map(|name| format!("{name} drill-overdue")));
    // All have passed meanwhile, and one document cannot be read.
    for resource in ALL {
        world.drilled(resource, &[(0, None)]);
    }
    world.ledger.documents.put(document, text);
    world.change(|instance| instance.deletion_protection = false);
    world.later(1);
    let answer = CheckPosture::<Fakes>::answer(world.tick().await);
    assert_eq!((&answer["ok"], &answer["complete"]), (&json!(false), &json!(false)));
    let mut expected: Vec<String> = stand.iter().map(|name| format!("{name} drill-overdue")).collect();
    expected.push("rds/orders deletion-protection-off".to_owned());
    expected.push(format!("tidemark/{part} refused-DocumentUnreadable"));
    expected.sort_unstable();
    let mut found = world.found();
    found.sort_unstable();
    assert_eq!(found, expected);
    let refused = world.board().into_iter().find(|finding| finding.kind == "refused").unwrap();
    assert!(refused.says.contains(document), "{}", refused.says);
}

#[tokio::test]
async fn an_engine_that_does_not_answer_ends_nothing() {
    let mut world = World::calm();
    world.watch(&[("rds/orders", 60), ("redis/sessions", 60)]);
    world.tick().await;
    world.drilled("rds/orders", &[(0, None)]);
    world.drilled("redis/sessions", &[(0, None)]);
    world.caches.refuse_next("DescribeCaches", denied());
    world.later(1);
    world.tick().await;
    assert_eq!(world.found(), ["redis/sessions drill-overdue", "tidemark/caches refused-AccessDenied"]);
}

#[tokio::test]
async fn a_thousand_that_were_never_drilled_cost_one_list() {
    let world = World::calm();
    let names: Vec<String> = (0..1_000).map(|at| format!("db-{at:04}")).collect();
    for name in &names {
        world.rds.put_instance(HOME, Instance { kms_key: None, ..instance(name) });
    }
    let resources: Vec<String> = names.iter().map(|name| format!("rds/{name}")).collect();
    world.watch(&resources.iter().map(|name| (name.as_str(), 60)).collect::<Vec<_>>());
    world.tick().await;
    let overdue = world.board().iter().filter(|finding| finding.kind == "drill-overdue").count();
    assert_eq!(overdue, 1_000);
}
