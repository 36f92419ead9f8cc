//! Since when what is left of a source is left over, and what the vaults have of it.

use std::collections::BTreeSet;

use domain::{Engine, ResourceId, Slot, retention::Region};
use inventory::{GRACE, Kept, LeftOverSince, Lineage, Mark, Marks};
use jiff::SignedDuration;
use rstest::rstest;
use state::FakeDocuments;
use vault::list;

use super::{DATA, MANIFEST, NOW, SLOT, World, at};

fn lineage(resource: ResourceId) -> Lineage {
    Lineage { resource, mark: "abcdef".to_owned() }
}

#[tokio::test]
async fn the_week_counts_from_the_latest_of_both_and_begins_anew_after_an_interruption() {
    let documents = FakeDocuments::default();
    let read = || LeftOverSince::read(&documents, "backup-x");
    let (shop, cache) = (lineage(ResourceId::turso("shop")), lineage(ResourceId::redis("a.b-c")));
    let (now, long_ago) = (at(NOW), at("2020-01-01T00:00:00Z"));
    let later = |time: SignedDuration| now.checked_add(time).unwrap();
    let hour = SignedDuration::from_hours(1);

    let nothing = read().await.unwrap();
    assert_eq!(nothing.next(&BTreeSet::new(), now), None);
    let both = BTreeSet::from([shop.clone(), cache.clone()]);
    let first = nothing.next(&both, now).unwrap();
    assert!(first.write(&documents).await.unwrap());
    assert!(
        !nothing.next(&both, later(hour)).unwrap().write(&documents).await.unwrap(),
        "another was quicker"
    );
    assert_eq!(
        documents.text("left-over/backup-x.json").unwrap(),
        r#"{"redis/a.b-c/abcdef":"2026-11-22T05:00:00Z","turso/shop/abcdef":"2026-11-22T05:00:00Z"}"#
    );

    let seen = read().await.unwrap();
    assert_eq!(seen.next(&both, later(hour)), None, "nothing new");
    assert!(!nothing.is_over(&shop, long_ago, later(GRACE * 9)), "not seen, no end");
    assert!(
        !seen.is_over(&shop, long_ago, later(GRACE - hour)) && seen.is_over(&shop, long_ago, later(GRACE))
    );
    assert!(
        !seen.is_over(&shop, later(hour), later(GRACE))
            && seen.is_over(&shop, later(hour), later(GRACE + hour))
    );
    let days: Vec<String> = seen.last_days(&shop).map(|day| day.to_string()).collect();
    assert_eq!(days, ["2026-11-22", "2026-11-21"]);

    // One is protected again, and then no more.
    let one = seen.next(&BTreeSet::from([cache.clone()]), later(hour)).unwrap();
    assert!(one.write(&documents).await.unwrap());
    let again = read().await.unwrap().next(&both, later(hour * 2)).unwrap();
    assert!(
        again.is_over(&cache, long_ago, later(GRACE)) && !again.is_over(&shop, long_ago, later(GRACE + hour))
    );
    assert_eq!(nothing.last_days(&shop).count(), 0);
}

#[rstest]
#[case::whole(&[DATA, MANIFEST], &[DATA, MANIFEST], Kept::Twice)]
#[case::on_its_way(&[DATA, MANIFEST], &[DATA], Kept::Once)]
#[case::not_begun(&[DATA, MANIFEST], &[], Kept::Once)]
#[case::bare_away(&[DATA, MANIFEST], &[MANIFEST], Kept::Once)]
#[case::bare(&[MANIFEST], &[MANIFEST], Kept::No)]
#[case::not_completed(&[DATA], &[DATA], Kept::No)]
#[case::only_away(&[], &[DATA, MANIFEST], Kept::No)]
#[case::home_lost_one(&[DATA, MANIFEST], &[DATA, "more", MANIFEST], Kept::No)]
#[case::another_size(&["large", MANIFEST], &[DATA, MANIFEST], Kept::Once)]
#[tokio::test]
async fn only_what_is_whole_in_both_vaults_and_undoubted_is_kept(
    #[case] home: &[&str],
    #[case] away: &[&str],
    #[case] expected: Kept,
) {
    let world = World::new();
    for (store, names) in [(&world.vault, home), (&world.away, away)] {
        for name in names {
            world.put(store, SLOT, name);
        }
    }
    let kept = async || {
        let day = [Slot::at(at(SLOT)).utc_date()];
        let points = list(&world.vault, Engine::Turso, day).await.unwrap();
        let copies = list(&world.away, Engine::Turso, day).await.unwrap();
        let marks = Marks::read(&[&world.vault, &world.away]).await.unwrap();
        Kept::of(points.iter().map(|point| (point, copies.iter().find(|copy| copy.id == point.id))), &marks)
    };
    assert_eq!(kept().await, expected);
    for region in Region::ALL {
        world.mark(1, Mark::Unverified(region));
        assert_eq!(kept().await, Kept::No);
        world.mark(2, Mark::Verified(region));
        assert_eq!(kept().await, expected);
    }
}
