//! Snapshots of RDS: nothing is read of them, but without their key they are nothing.

use reconcile::Error;
use rstest::rstest;

use super::*;

fn key(arn: &str, state: &str) -> Key {
    Key { state: state.to_owned(), enabled: state == "Enabled", ..Key::fake(arn) }
}

#[tokio::test]
async fn each_snapshot_is_judged_in_each_run_and_recorded_once_a_week() {
    let mut world = World::new();
    for day in 0..3 {
        world.snapshot(day);
    }
    let first = world.tick().await;
    assert_eq!((first.acted.len(), world.home_keys.calls().len()), (6, 1), "one call for a key");
    assert_eq!(world.away_keys.calls().len(), 2, "and for what the vault's is");
    assert_eq!(world.recorded().len(), 6);
    assert!(world.board().is_empty());
    world.later(1);
    assert_eq!(world.tick().await.acted.len(), 0);
    world.later(7 * 24);
    assert_eq!(world.tick().await.acted.len(), 6);
    assert_eq!(world.vault.count("read_whole") + world.away.count("read_whole"), 0);
}

#[rstest]
#[case::disabled(HOME, KEY, Some("Disabled"), "Disabled")]
#[case::about_to_be_deleted(
    AWAY,
    VAULT_KEY,
    Some("PendingDeletion"),
    "PendingDeletion, and is deleted on 2026-12-01"
)]
#[case::gone(HOME, KEY, None, "does not exist any more")]
#[tokio::test]
async fn a_key_that_cannot_be_used_is_told_at_once(
    #[case] region: &str,
    #[case] arn: &str,
    #[case] state: Option<&str>,
    #[case] says: &str,
) {
    let mut world = World::new();
    let ids: Vec<_> = (0..7).map(|day| world.snapshot(day)).collect();
    world.tick().await;
    let keys = if region == HOME { &world.home_keys } else { &world.away_keys };
    match state {
        Some(state) => {
            let deletion_date = Some("2026-12-01T00:00:00Z".parse().unwrap()).filter(|_| state != "Disabled");
            keys.put(&["alias/tidemark"], Key { deletion_date, ..key(arn, state) });
        }
        None => keys.remove(arn),
    }
    let recorded = world.recorded().len();
    world.later(8 * 24);
    let summary = world.tick().await;
    assert_eq!(world.conditions(), ["rds/orders snapshot-key-unusable"]);
    let said = world.board()[0].says.clone();
    assert!(said.contains(says) && said.contains(&ids[6]) && said.contains("and 2 more"), "{said}");
    assert_eq!(
        (summary.acted.len(), world.recorded().len()),
        (14, recorded + 14),
        "the other Region's, which are whole, are recorded, too"
    );
    let place = if region == HOME { "at-home" } else { "away" };
    assert_eq!(world.marks(), vec![format!("unverified-{place}"); 7], "retention counts on them no more");
    world.later(1);
    assert_eq!(world.tick().await.acted.len(), 0, "it is said once");
    assert_eq!(world.conditions(), ["rds/orders snapshot-key-unusable"]);
    keys_back(&world);
    world.later(1);
    assert_eq!(world.tick().await.acted.len(), 7, "what is restorable again is looked at at once");
    let marks = world.marks();
    assert_eq!(marks.iter().filter(|mark| **mark == format!("verified-{place}")).count(), 7, "{marks:?}");
    assert!(world.board().is_empty());
    world.later(1);
    assert_eq!(world.tick().await.acted.len(), 0);
}

#[tokio::test]
async fn a_person_who_asks_for_one_whose_key_is_dead_hears_so() {
    let world = World::new();
    let id = world.snapshot(0);
    world.home_keys.put(&[], key(KEY, "Disabled"));
    let summary = world.ask(json!({"verify": id, "resource": "rds/orders"})).await;
    let answer = summary.into_json().to_string();
    assert!(answer.contains("not restorable") && answer.contains("KeyUnusable"), "{answer}");
}

fn keys_back(world: &World) {
    world.home_keys.put(&[], Key::fake(KEY));
    world.away_keys.put(&["alias/tidemark"], Key::fake(VAULT_KEY));
}

#[tokio::test]
async fn a_copy_under_another_key_or_none_is_told() {
    let world = World::new();
    let (other, plain) = (world.snapshot(0), world.snapshot(1));
    world.away_keys.put(&[], Key::fake("arn:aws:kms:us-west-2:123456789012:key/other"));
    for mut copy in world.account.snapshots(AWAY) {
        if copy.id == other {
            copy.kms_key = Some("arn:aws:kms:us-west-2:123456789012:key/other".to_owned());
        } else {
            (copy.encrypted, copy.kms_key) = (false, None);
        }
        world.account.put_snapshot(AWAY, copy);
    }
    world.tick().await;
    assert_eq!(world.conditions(), ["rds/orders snapshot-key-unexpected"]);
    let says = world.board()[0].says.clone();
    for part in [&other, &plain, "key/other", "not encrypted", VAULT_KEY] {
        assert!(says.contains(part), "{says}");
    }
}

#[tokio::test]
async fn keys_that_do_not_answer_end_nothing_and_judge_nothing() {
    let mut world = World::new();
    world.snapshot(0);
    world.home_keys.put(&[], key(KEY, "Disabled"));
    world.tick().await;
    assert_eq!(world.conditions(), ["rds/orders snapshot-key-unusable"]);
    world.later(8 * 24);
    world.home_keys.refuse_next(Error::misconfigured("AccessDeniedException", "no"));
    let marks = world.marks();
    assert_eq!(world.tick().await.acted.len(), 1, "only of the copy is it known that it can be restored");
    assert_eq!(world.marks(), marks);
    let expected =
        ["rds/orders snapshot-key-unusable", "tidemark/keys-in-us-east-1 refused-AccessDeniedException"];
    assert_eq!(world.conditions(), expected);
    world.away_keys.remove(VAULT_KEY);
    world.later(1);
    world.tick().await;
    let conditions = world.conditions();
    assert!(
        conditions.contains(&"tidemark/recovery-key refused-RecoveryKeyUnknown".to_owned()),
        "{conditions:?}"
    );
}

#[tokio::test]
async fn a_snapshot_without_its_copy_is_told() {
    let mut world = World::new();
    let id = world.snapshot(3);
    world.account.remove_snapshot(AWAY, &id);
    world.tick().await;
    assert_eq!(world.conditions(), ["rds/orders recovery-point-uncopied"]);
    world.later(1);
    let engines = "us-west-2 DescribeDBSnapshots";
    world.account.refuse_next(engines, Error::misconfigured("AccessDenied", "no"));
    let summary = world.tick().await;
    assert_eq!(summary.acted.len(), 0);
    assert!(world.conditions().contains(&"rds/orders recovery-point-uncopied".to_owned()), "it ends nothing");
}
