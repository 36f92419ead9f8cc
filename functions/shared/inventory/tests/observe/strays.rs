//! What looks like a recovery point's, and is none's.

use domain::{Engine, tag};
use inventory::Stray;
use jiff::SignedDuration;
use rds::Snapshot;
use reconcile::Error;
use rstest::rstest;

use super::{AWAY, HOME, NOW, SLOT, World, at, snapshot};

/// The strays, told short: `home before-upgrade: its name is none that Tidemark gives`.
fn told(strays: &[Stray]) -> Vec<String> {
    let tell = |stray: &Stray| format!("{:?} {}: {}", stray.region, stray.name, stray.why).to_lowercase();
    strays.iter().map(tell).collect()
}

fn named(id: &str, tags: &[(&str, &str)]) -> Snapshot {
    let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Snapshot { id: id.to_owned(), tags, ..snapshot(HOME, SLOT, "available") }
}

const NAME: &str = "tidemark-orders-20261122t0300z-ellsxv";

#[rstest]
#[case::somebody_elses("before-upgrade", &[(tag::PLAN, "default")], None)]
#[case::under_another_name("before-upgrade", &[(tag::RESOURCE, "rds/orders"), (tag::SLOT, SLOT)], Some("its name is none that tidemark gives"))]
#[case::half_tagged("by-hand", &[(tag::SLOT, SLOT)], Some("its name is none that tidemark gives"))]
#[case::named_by_hand("tidemark-before-upgrade", &[], Some("its name is none that tidemark gives"))]
#[case::untagged(NAME, &[], Some("it has no tag tidemark:resource"))]
#[case::without_a_slot(NAME, &[(tag::RESOURCE, "rds/orders")], Some("it has no tag tidemark:slot"))]
#[case::no_slot(NAME, &[(tag::RESOURCE, "rds/orders"), (tag::SLOT, "today")], Some("its tag tidemark:slot is no instant: today"))]
#[case::of_a_cache(NAME, &[(tag::RESOURCE, "redis/orders"), (tag::SLOT, SLOT)], Some("its tag tidemark:resource names no rds database: redis/orders"))]
#[case::of_another(NAME, &[(tag::RESOURCE, "rds/users"), (tag::SLOT, SLOT)], Some("its name says orders of 2026-11-22t03:00:00z, and its tags say rds/users of 2026-11-22t03:00:00z"))]
#[tokio::test]
async fn a_snapshot_that_only_looks_like_ours_is_a_stray(
    #[case] id: &str,
    #[case] tags: &[(&str, &str)],
    #[case] why: Option<&str>,
) {
    let world = World::new();
    let snapshot = named(id, tags);
    let arn = |region: &str, account: &str| format!("arn:aws:rds:{region}:{account}:snapshot:{id}");
    // Where it was taken, and as a copy over there; a first one over there may be anybody's.
    let copy = Snapshot { copied_from: Some(arn(HOME, "123456789012")), ..snapshot.clone() };
    for (region, region_name, one) in
        [(HOME, "home", snapshot.clone()), (AWAY, "recovery", copy), (AWAY, "recovery", snapshot.clone())]
    {
        world.account.put_snapshot(region, one);
        let inventory = world.observe().await;
        let expected: Vec<String> = why.iter().map(|why| format!("{region_name} {id}: {why}")).collect();
        assert_eq!((told(&inventory.strays), inventory.known().count()), (expected, 0));
        world.account.remove_snapshot(region, id);
    }
    // Another deployment's: of another home Region, of another account, or one that works the other way round. And what is going.
    let elsewhere = [
        (AWAY, arn("eu-west-1", "123456789012")),
        (AWAY, arn(HOME, "210987654321")),
        (HOME, arn(AWAY, "123456789012")),
    ];
    for (region, source) in elsewhere {
        world.account.put_snapshot(region, Snapshot { copied_from: Some(source), ..snapshot.clone() });
        assert_eq!(told(&world.observe().await.strays), [""; 0]);
        world.account.remove_snapshot(region, id);
    }
    for status in ["deleting", "creating"] {
        let going = Snapshot { status: status.to_owned(), created: None, ..snapshot.clone() };
        world.account.put_snapshot(HOME, going);
        assert_eq!(told(&world.observe().await.strays), [""; 0], "{status}");
    }
}

#[tokio::test]
async fn an_object_that_no_recovery_point_explains_is_a_stray() {
    let world = World::new();
    world.put(&world.vault, SLOT, "manifest.json");
    world.vault.put("turso/2026-11-22/shop/notes.txt", "by hand");
    world.vault.put("turso/2026-11-22/shop/tidemark-shop/x", "by hand");
    world.away.put("redis/2026-11-21/shop/tidemark-shop-20261122t0300z-ellsxv/dump.rdb", "on another day");
    world.vault.put("ledger/2026-11-22/x.json", "{}");
    let inventory = world.observe().await;
    assert_eq!(
        told(&inventory.strays),
        [
            "recovery redis/2026-11-21/shop/tidemark-shop-20261122t0300z-ellsxv/dump.rdb: its key names a recovery point of another \
             resource or day",
            "home turso/2026-11-22/shop/notes.txt: its key is not one of day, resource, recovery point and object",
            "home turso/2026-11-22/shop/tidemark-shop/x: its key names no recovery point",
        ]
    );
    assert_eq!(inventory.known().count(), 1);
    assert!(!inventory.strays[0].is_old(at(NOW) + SignedDuration::from_hours(24 * 7)));
    assert!(inventory.strays[0].is_old(at(NOW) + SignedDuration::from_hours(24 * 7 + 1)));
    // Of an engine that does not answer nothing is said.
    world.vault.refuse_next("list", Error::retryable("SlowDown", "later"));
    assert!(world.observe_all().await.is_err(), "the marks come first");
    world.away.put("turso/x", "by hand");
    world.account.put_snapshot(AWAY, named("tidemark-x", &[]));
    world.account.refuse_next("us-east-1 DescribeDBSnapshots", Error::misconfigured("AccessDenied", "no"));
    assert!(world.observe().await.strays.iter().all(|stray| stray.engine != Engine::Rds));
}
