//! What is opened, and not only compared byte by byte.

use super::*;

#[tokio::test]
async fn of_each_lineage_the_newest_and_one_by_lot_are_opened_once_a_week() {
    let mut world = World::new();
    for day in 0..6 {
        world.database("shop", day, 5);
        world.cache("sessions", day, 1_000);
    }
    let opened = |summary: &Summary| {
        let looks = looked_at(summary);
        let count = |why: &str| looks.iter().filter(|look| look.ends_with(why)).count();
        assert!(looks.iter().filter(|look| look.contains(AWAY)).all(|look| look.ends_with(AWAY)), "at home");
        (looks.len(), count(" newest"), count(" by-lot"))
    };
    assert_eq!(opened(&world.tick().await), (24, 2, 2));
    world.later(24);
    // A newer one is compared at once; it is opened when a newest one is due again.
    let newest = world.database("shop", 0, 5);
    assert_eq!(opened(&world.tick().await), (2, 0, 0));
    world.later(6 * 24);
    let again = world.tick().await;
    assert_eq!(opened(&again), (25, 2, 2));
    assert!(looked_at(&again).contains(&format!("{} us-east-1 newest", newest.id)));
}

#[tokio::test]
async fn the_lot_falls_on_another_week_after_week() {
    let mut world = World::new();
    world.vault.replicate_to(&world.away, Replication::Off);
    for day in 0..20 {
        world.cache("sessions", day, 4_000);
    }
    let mut drawn = std::collections::BTreeSet::new();
    for _ in 0..8 {
        let looks = looked_at(&world.tick().await);
        drawn.extend(looks.into_iter().filter(|look| look.ends_with("by-lot")));
        world.later(7 * 24);
    }
    assert!(drawn.len() > 4, "{drawn:?}");
}

/// What was stored is not what it should be, though every byte is as it was stored: so it is in both Regions.
#[tokio::test]
async fn what_does_not_hold_what_its_manifest_tells_is_damaged_everywhere() {
    let mut world = World::new();
    let (shop, sessions) = (world.database("shop", 0, 5), world.cache("sessions", 0, 1_000));
    for (point, key) in [(&shop, "rows"), (&sessions, "keys")] {
        for store in [&world.vault, &world.away] {
            let name = format!("{}manifest.json", point.prefix);
            let mut manifest: Value = serde_json::from_slice(&store.objects()[&name]).unwrap();
            manifest["content"][key] = json!(1_000_000);
            store.put(&name, manifest.to_string());
        }
    }
    let summary = world.tick().await;
    assert!(summary.failed.is_empty(), "{summary:?}");
    let mut marks = world.marks();
    marks.sort_unstable();
    assert_eq!(marks, ["unverified-at-home", "unverified-at-home", "unverified-away", "unverified-away"]);
    world.later(1);
    world.tick().await;
    let says: Vec<_> = world.board().into_iter().map(|finding| finding.says).collect();
    assert!(says[0].contains("it holds 78 as its keys; the manifest says 1000000"), "{says:?}");
    assert!(says[1].contains(r#"it holds {"orders":5} as its rows"#), "{says:?}");
    assert!(says.iter().all(|says| says.contains("a copy is no better")), "{says:?}");
    // That its bytes are as they were stored does not mend it; that it holds what its manifest tells does.
    world.later(7 * 24);
    world.tick().await;
    assert_eq!(world.marks().len(), 4);
    for store in [&world.vault, &world.away] {
        let name = format!("{}manifest.json", shop.prefix);
        let mut manifest: Value = serde_json::from_slice(&store.objects()[&name]).unwrap();
        manifest["content"]["rows"] = json!({"orders": 5});
        store.put(&name, manifest.to_string());
    }
    world.verify(&shop).await;
    let lifted = world.marks().into_iter().filter(|mark| mark.starts_with("verified")).count();
    assert_eq!(lifted, 2);
}

#[tokio::test]
async fn a_database_is_opened_when_there_is_time_and_leaves_nothing_on_the_disk() {
    let mut world = World::new();
    world.vault.replicate_to(&world.away, Replication::Off);
    let point = world.database("shop", 0, 2_000);
    world.clock_step = SignedDuration::from_mins(4);
    let cut_off = world.tick().await;
    assert_eq!((cut_off.unfinished, world.recorded().len(), world.marks().len()), (1, 0, 0), "{cut_off:?}");
    world.clock_step = SignedDuration::ZERO;
    world.later(1);
    assert_eq!(looked_at(&world.tick().await), [format!("{} us-east-1 newest", point.id)]);
    let left: Vec<_> = std::fs::read_dir(world.folder.path().join("opened")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_database_for_which_the_disk_is_too_small_is_told() {
    let world = World::new();
    let point = world.database("shop", 0, 5);
    let name = format!("{}manifest.json", point.prefix);
    let mut manifest: Value = serde_json::from_slice(&world.vault.objects()[&name]).unwrap();
    manifest["content"]["plain_bytes"] = json!(u64::MAX / 2);
    world.vault.put(&name, manifest.to_string());
    world.tick().await;
    assert_eq!(world.conditions(), ["turso/shop refused-DatabaseTooLarge"]);
    assert!(world.marks().is_empty());
}
