//! Branches at Turso, and whose they are.

use serde_json::json;
use turso::{FakeTurso, Parent, branch_name};

use super::{left_over::record, *};

const BRANCHES: &str = r#"{"plans": {"default": {"schedule": {"turso": "0 * * * *"}, "turso": {"databases": ["production/*"], "branches": 2}}}}"#;

fn branches(world: &World) -> Vec<String> {
    world.turso.names().into_iter().filter(|name| name != "orders").collect()
}

#[tokio::test]
async fn the_newest_slots_have_branches_and_older_ones_go() {
    let mut world = World::new(&["orders"]);
    world.plans = BRANCHES;
    for _ in 0..4 {
        world.settle().await;
        world.later(60);
    }
    let kept = branches(&world);
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert!(kept.iter().all(|name| name.starts_with("tidemark-orders-2026112")), "{kept:?}");
    let protected: Vec<_> =
        world.manifests(&world.home).into_iter().map(|manifest| manifest.resource).collect();
    assert!(
        protected.iter().all(|resource| resource.name == "orders"),
        "no branch is backed up: {protected:?}"
    );
}

#[tokio::test]
async fn what_only_looks_like_ours_is_left_alone() {
    let mut world = World::new(&["orders"]);
    world.plans = BRANCHES;
    let orders = FakeTurso::listed("orders", "id-of-orders", "production");
    let slot = |text: &str| Slot::at(text.parse().unwrap());
    let put = |name: String, parent: Option<Parent>| {
        world.turso.put(turso::Database { parent, ..FakeTurso::listed(&name, &name, "staging") }, "");
        name
    };
    let parent = |id: &str| Some(Parent { id: id.to_owned(), name: "orders".to_owned() });
    // Ours by name, and of nothing or of another database; and of ours, under another name.
    let theirs = [
        put(branch_name(&orders, slot("2026-11-20T01:00:00Z")), None),
        put(branch_name(&orders, slot("2026-11-20T02:00:00Z")), parent("id-of-another")),
        put("tidemark-orders-20261120t0300z-aaaaaa".to_owned(), parent("id-of-orders")),
        put("orders-before-upgrade".to_owned(), parent("id-of-orders")),
    ];
    let ours = put(branch_name(&orders, slot("2026-11-20T04:00:00Z")), parent("id-of-orders"));
    for name in theirs.iter().chain([&ours]) {
        world.turso.change(name, |one| one.listed.block_writes = true);
        record(&world, name, json!({"closed": name}));
    }
    for _ in 0..3 {
        world.settle().await;
        world.later(60);
    }
    let there = branches(&world);
    assert!(theirs.iter().all(|name| there.contains(name)), "{there:?}");
    assert!(!there.contains(&ours), "{there:?}");
}

#[tokio::test]
async fn a_plan_that_allows_no_more_databases_is_told_and_stops_no_copy() {
    let mut world = World::new(&["orders"]);
    world.plans = BRANCHES;
    world.turso.set_plan("starter", 1);
    // In its first slot nobody knows since when it exists.
    world.settle().await;
    world.later(60);
    let mut summary = world.tick().await;
    assert_eq!(World::actions(&summary), ["take-copy"]);
    assert_eq!(summary.take_error().unwrap().code(), "TursoForbidden");
    assert_eq!(world.board()[0].condition(), "refused-TursoForbidden");
}

#[tokio::test]
async fn a_branch_of_a_persons_making_is_protected_like_any_other() {
    let world = World::new(&["orders"]);
    let parent = Some(Parent { id: "id-of-orders".to_owned(), name: "orders".to_owned() });
    world.turso.put(
        turso::Database { parent, ..FakeTurso::listed("restored", "id-r", "production") },
        "CREATE TABLE rows(x)",
    );
    world.settle().await;
    assert_eq!(world.manifests(&world.home).len(), 2);
}
