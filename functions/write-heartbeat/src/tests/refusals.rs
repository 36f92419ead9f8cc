//! What is not done, and what is said of it.

use rstest::rstest;

use super::*;

#[rstest]
#[case::nothing(
    r#"{"plans": {"default": {"heartbeats": {"rds/order": "s"}}}}"#,
    "HeartbeatOfNothing",
    "rds/order,"
)]
#[case::no_cache(
    r#"{"plans": {"default": {"heartbeats": {"redis/x": "s"}}}}"#,
    "HeartbeatOfNothing",
    "us-east-1"
)]
#[case::another_plan(
    r#"{"plans": {"default": {}, "scratch": {"heartbeats": {"rds/orders": "s"}}}}"#,
    "HeartbeatOfAnotherPlan",
    "tidemark:plan=default"
)]
#[case::another_plan_of_a_cache(
    r#"{"plans": {"default": {}, "scratch": {"heartbeats": {"redis/sessions": "s"}}}}"#,
    "HeartbeatOfAnotherPlan",
    "tidemark:plan=default"
)]
#[case::another_plan_of_turso(
    r#"{"plans": {"default": {"turso": {"databases": ["p/*"]}}, "scratch": {"heartbeats": {"turso/catalog": "s"}}}}"#,
    "HeartbeatOfAnotherPlan",
    "turso.databases"
)]
#[case::two_plans(
    r#"{"plans": {"default": {"heartbeats": {"rds/orders": "s"}}, "scratch": {"heartbeats": {"rds/orders": "t"}}}}"#,
    "HeartbeatNamedTwice",
    "plans default and scratch"
)]
#[case::own_server(
    r#"{"plans": {"default": {"redis": {"append_only": {"own": "s3://archive/own/"}}, "heartbeats": {"redis/own": "s"}}}}"#,
    "HeartbeatOfOwnServer",
    "redis/own"
)]
#[tokio::test]
async fn a_plan_that_names_what_it_may_not_is_told(
    #[case] plan: &str,
    #[case] code: &str,
    #[case] says: &str,
) {
    let mut world = World::new();
    world.plan(plan);
    world.tick().await;
    let finding = world.finding("refused");
    assert_eq!(finding.code.as_deref(), Some(code), "{}", finding.says);
    assert!(finding.says.contains(says), "{}", finding.says);
    assert_eq!(world.tables.calls(), Vec::<String>::new());
    world.plan(PLAN);
    world.tick().await;
    assert_eq!(world.kinds(), Vec::<String>::new());
}

#[rstest]
#[case(Instance { engine: "mysql".to_owned(), ..instance() }, "EngineNotSupported")]
#[case(Instance { replica_of: Some("main".to_owned()), ..instance() }, "HeartbeatOfReplica")]
#[case(Instance { tags: Tags::new(), ..instance() }, "HeartbeatOfAnotherPlan")]
#[tokio::test]
async fn an_instance_that_takes_none_is_told(#[case] instance: Instance, #[case] code: &str) {
    let mut world = World::of_orders();
    world.account.put_instance(HOME, instance);
    world.tick().await;
    assert_eq!(world.finding("refused").code.as_deref(), Some(code));
    assert_eq!(world.rows(), []);
}

#[tokio::test]
async fn without_an_organization_turso_takes_none_and_the_others_do() {
    let mut world = World::new();
    world.function.turso = None;
    let summary = world.tick().await;
    assert_eq!((summary.acted.len(), summary.failed.len()), (2, 1));
    assert_eq!(world.finding("refused").code.as_deref(), Some("TursoNotConfigured"));
}

#[rstest]
#[case::none_is_set_up(None, "HeartbeatKeysNotSet")]
#[case::there_is_none(Some(""), "ResourceNotFoundException")]
#[case::it_has_none(Some("hush"), "HeartbeatKeysUnreadable")]
#[tokio::test]
async fn without_keys_nothing_is_written_and_that_is_told(#[case] secret: Option<&str>, #[case] code: &str) {
    let mut world = World::new();
    world.ticks(1).await;
    match secret {
        None => world.function.keys = None,
        Some("") => _ = world.secrets.texts.borrow_mut().remove(KEYS),
        Some(text) => world.secrets.put(KEYS, text),
    }
    world.tick().await;
    let finding = world.board().into_iter().find(|finding| finding.code.as_deref() == Some(code)).unwrap();
    assert!(!finding.says.contains("hush"), "{}", finding.says);
    assert_eq!(world.rows().len(), 1);
}

#[rstest]
#[case("hush")]
#[case(r#"{"username": "hush"}"#)]
#[tokio::test]
async fn a_secret_without_credentials_is_told_and_not_shown(#[case] text: &str) {
    let mut world = World::new();
    for name in ["orders", "sessions", "catalog"] {
        world.secrets.put(&format!("tidemark/heartbeat-{name}"), text);
    }
    world.tick().await;
    let board = world.board();
    assert_eq!(board.len(), 3);
    assert!(board.iter().all(|finding| finding.code.as_deref() == Some("SecretUnreadable")), "{board:?}");
    assert!(board.iter().all(|finding| !finding.says.contains("hush")), "{board:?}");
}
