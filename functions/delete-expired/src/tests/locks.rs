//! What is locked, and what a lock stops.

use domain::Slot;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use vault::FakeStore;

use super::{PLANS, World, actions, prefix};

#[tokio::test]
async fn objects_go_when_their_locks_have_ended_with_all_their_versions() {
    let world = World::with_copies(12);
    // Somebody wrote over an old one, and deleted it besides.
    let old = prefix(world.slot(11));
    world.vault.put(&format!("{old}database.sqlite.zst"), "ruined");
    world.vault.remove(&format!("{old}manifest.json"));
    world.agree().await;
    world.tick().await;
    // Locked for eight days: of the twelve those of the last eight days are, and the one that was written over.
    let home: Vec<i8> = (11..=22).filter(|day| !(12..15).contains(day)).collect();
    assert_eq!(World::copy_days(&world.vault), home);
    let mut world = world;
    world.later(24 * 9);
    world.put_copy(world.slot(0));
    world.plan(json!({"plan": "now"})).await;
    world.tick().await;
    assert_eq!(World::copy_days(&world.vault), [22], "and December's");
    assert_eq!(World::copy_days(&world.away), [22]);
}

#[tokio::test]
async fn a_legal_hold_of_s3_stops_it_too() {
    let world = World::with_copies(12);
    world.agree().await;
    world.away.set_legal_hold(&format!("{}manifest.json", prefix(world.slot(11))), true);
    let first = world.tick().await;
    let left: Vec<_> = first.acted.iter().filter_map(|acted| acted.detail.get("left")).collect();
    assert!(left.len() == 1 && left[0].to_string().contains("legal hold"), "{left:?}");
    assert!(World::copy_days(&world.vault).contains(&11) && World::copy_days(&world.away).contains(&11));
}

#[tokio::test]
async fn locks_grow_with_the_tier_and_never_shrink() {
    let mut world = World::with_copies(3);
    world.plans =
        r#"{"plans": {"default": {"keep": {"daily": 30, "weekly": 0, "monthly": 12, "annual": 0}}}}"#;
    assert_eq!(actions(&world.tick().await), [""; 0], "nobody has agreed to it");
    world.agree().await;
    assert_eq!(actions(&world.tick().await), ["lock-recovery-points"; 2], "five at a time");
    let until =
        |store: &FakeStore, days| store.locked_until(&format!("{}manifest.json", prefix(world.slot(days))));
    let (month, day) = (world.slot(2).instant(), world.slot(1).instant());
    for store in [&world.vault, &world.away] {
        assert_eq!(until(store, 2), Some("2027-11-20T05:30:00Z".parse().unwrap()), "{month}");
        assert_eq!(until(store, 1), Some(day + SignedDuration::from_hours(24 * 30)));
    }
    let calls = world.vault.count("protection");
    assert_eq!(
        (actions(&world.tick().await), world.vault.count("protection")),
        (vec![], calls),
        "it is remembered"
    );
    // A plan that keeps less shortens nothing; what was forgotten is looked at once more.
    world.ledger.documents.put("retention/locks.json", "{");
    world.plans = PLANS;
    world.tick().await;
    let until = world.away.locked_until(&format!("{}manifest.json", prefix(world.slot(2))));
    assert_eq!(until, Some("2027-11-20T05:30:00Z".parse().unwrap()));
}

/// Backups have stopped: what there is is all that there is, and is locked for as long as nothing newer comes.
#[tokio::test]
async fn what_outlives_its_tier_stays_locked() {
    let mut world = World::with_copies(3);
    world.agree().await;
    for _ in 0..6 {
        world.later(24 * 5);
        world.tick().await;
        for days in [0, 1] {
            let slot = Slot::at(
                "2026-11-22T05:30:00Z".parse::<Timestamp>().unwrap() - SignedDuration::from_hours(24 * days),
            );
            let locked = [&world.vault, &world.away]
                .map(|store| store.locked_until(&format!("{}manifest.json", prefix(slot))));
            assert!(
                locked.iter().all(|until| until.is_some_and(|until| until > world.now)),
                "{locked:?} {}",
                world.now
            );
        }
    }
}

/// As long as all goes well, nothing is locked beyond its tier and its bucket's default: what is expired can go.
#[tokio::test]
async fn nothing_is_locked_for_longer_than_it_is_needed() {
    let mut world = World::with_copies(1);
    world.plans = r#"{"plans": {"default": {"keep": {"daily": 7, "weekly": 0, "monthly": 0, "annual": 0, "redundancy": 1}}}}"#;
    world.agree().await;
    let first = world.slot(0);
    for _ in 0..9 {
        world.tick().await;
        let until = world.vault.locked_until(&format!("{}manifest.json", prefix(first)));
        assert!(
            until.is_none_or(|until| until <= first.instant() + SignedDuration::from_hours(8 * 24)),
            "{until:?}"
        );
        world.later(24);
        world.put_copy(world.slot(0));
        world.plan(json!({"plan": "now"})).await;
    }
    world.tick().await;
    assert!(!World::copy_days(&world.vault).contains(&first.utc_date().day()), "it is gone");
}

/// An object was mended: what was remembered of its lock is of another version.
#[tokio::test]
async fn what_came_later_is_looked_at_again() {
    let mut world = World::with_copies(3);
    world.plans =
        r#"{"plans": {"default": {"keep": {"daily": 30, "weekly": 0, "monthly": 12, "annual": 0}}}}"#;
    world.agree().await;
    world.tick().await;
    world.later(1);
    let mended = format!(
        "{}database.sqlite.zst",
        prefix(Slot::at("2026-11-20T05:30:00Z".parse::<Timestamp>().unwrap()))
    );
    world.vault.put(&mended, "content");
    world.tick().await;
    for store in [&world.vault, &world.away] {
        assert_eq!(store.locked_until(&mended), Some("2027-11-20T05:30:00Z".parse().unwrap()));
    }
}
