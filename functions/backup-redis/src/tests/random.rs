use std::{collections::BTreeMap, time::Duration};

use domain::retention::Region;
use inventory::{Mark, mark_key};
use proptest::prelude::*;
use reconcile::{Error, Reconciler, Wake};
use vault::Replication;

use super::world::{World, group, rdb};

/// What may go wrong with the next call of an operation.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    ElastiCache(&'static str, bool),
    Vault(&'static str, How),
    Exports(&'static str),
    Documents(bool),
    Ledger,
}

#[derive(Clone, Copy, Debug)]
enum How {
    Refuse,
    LoseAnswer,
    /// The invocation is cut off there.
    Hang,
}

fn trouble() -> impl Strategy<Value = Trouble> {
    const ELASTICACHE: [&str; 6] = [
        "CreateSnapshot",
        "CopySnapshot",
        "DeleteSnapshot",
        "DescribeSnapshots",
        "DescribeCaches",
        "ListTagsForResource",
    ];
    const VAULT: [&str; 5] = ["list", "copy", "read", "create", "read_whole"];
    let how = prop_oneof![Just(How::Refuse), Just(How::LoseAnswer), Just(How::Hang)];
    prop_oneof![
        (prop::sample::select(&ELASTICACHE[..]), any::<bool>())
            .prop_map(|(call, lose)| Trouble::ElastiCache(call, lose)),
        (prop::sample::select(&VAULT[..]), how).prop_map(|(call, how)| Trouble::Vault(call, how)),
        Just(Trouble::Exports("list")),
        any::<bool>().prop_map(Trouble::Documents),
        Just(Trouble::Ledger),
    ]
}

fn meet(world: &World, trouble: Trouble) {
    let busy = || Error::retryable("SlowDown", "busy");
    match trouble {
        Trouble::ElastiCache(call, true) => world.account.lose_answer_of_next(call),
        Trouble::ElastiCache(call, false) => world.account.refuse_next(call, busy()),
        Trouble::Vault(call, How::Refuse) => world.vault.refuse_next(call, busy()),
        Trouble::Vault(call, How::LoseAnswer) => world.vault.lose_answer_of_next(call),
        Trouble::Vault(call, How::Hang) => world.vault.hang_next(call),
        Trouble::Exports(call) => world.exports.refuse_next(call, busy()),
        Trouble::Documents(true) => world.ledger.documents.lose_answer_of_next_write(),
        Trouble::Documents(false) => world.ledger.documents.refuse_next_write(busy()),
        Trouble::Ledger => world.ledger.refuse_next_append(busy()),
    }
}

/// The end state that counts: what exists in each place, and what the ledger says.
fn end_state(world: &World) -> (Vec<String>, Vec<String>, Vec<String>, Vec<String>) {
    let keys = |objects: BTreeMap<String, _>| objects.into_keys().collect();
    (
        keys(world.vault.objects()),
        keys(world.recovery.objects()),
        world
            .snapshots()
            .into_iter()
            .map(|snapshot| format!("{} {}", snapshot.name, snapshot.status))
            .collect(),
        world.ledger.entries().keys().map(ToString::to_string).collect(),
    )
}

async fn two_slots(troubles: &[Trouble], twice: bool) -> World {
    let mut world = World::new(&[group("sessions", 2), group("users", 1)]);
    world.contents.insert("0001".to_owned(), rdb(30));
    let mut troubles = troubles.iter();
    for slot in ["2026-11-22T06:00:10Z", "2026-11-22T12:00:10Z"] {
        world.now = slot.parse().unwrap();
        for trouble in troubles.by_ref().take(6) {
            meet(&world, *trouble);
            // The pass may fail as a whole; the next tick goes on.
            _ = world.pass(Duration::from_millis(100)).await;
            world.later();
        }
        if twice {
            for _ in 0..6 {
                let (a, b) = tokio::join!(world.tick(), world.tick());
                assert!(a.failed.is_empty() && b.failed.is_empty(), "{:?} {:?}", a.failed, b.failed);
                world.later();
            }
        }
        settle(&mut world).await;
    }
    world
}

/// Faults that were not met yet are met here; one that hangs costs no more than a second.
async fn settle(world: &mut World) {
    for _ in 0..40 {
        let pass = world.pass(Duration::from_secs(1)).await;
        if pass.is_ok_and(|summary| summary.unfinished == 0) {
            return;
        }
        world.later();
    }
    panic!("still unfinished after 40 ticks");
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

#[test]
fn two_invocations_at_once_end_as_one() {
    runtime().block_on(async {
        let (one, two) = (two_slots(&[], false).await, two_slots(&[], true).await);
        assert_eq!(end_state(&one), end_state(&two));
        for key in two.vault.objects().keys() {
            assert_eq!(two.vault.writes(key), 1, "{key}");
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever goes wrong on the way, and wherever it is cut off, the end is the same.
    #[test]
    fn faults_on_the_way_do_not_change_the_end(troubles in prop::collection::vec(trouble(), 0..12)) {
        runtime().block_on(async {
            let (calm, rough) = (two_slots(&[], false).await, two_slots(&troubles, false).await);
            prop_assert_eq!(end_state(&calm), end_state(&rough));
            for key in rough.vault.objects().keys() {
                prop_assert_eq!(rough.vault.writes(key), 1, "{}", key);
            }
            Ok(())
        })?;
    }

    /// In a world of any snapshots and any state of the copies, only what is ours, whole in both vaults and older than what
    /// the plan keeps is ever deleted.
    #[test]
    fn nothing_is_deleted_that_is_not_ours_and_copied(
        slots in prop::collection::vec((0_u32..4, any::<bool>(), any::<bool>(), any::<bool>()), 1..6),
        keep in 0_u32..3,
    ) {
        runtime().block_on(async {
            let mut world = World::new(&[group("sessions", 1)]);
            world.plans = format!(r#"{{"plans": {{"default": {{"redis": {{"keep_snapshots": {keep}}}}}}}}}"#);
            world.vault.replicate_to(&world.recovery, Replication::Off);
            let mut protected = Vec::new();
            for (number, (hour, untagged, copied, manifest)) in slots.iter().enumerate() {
                let slot = format!("2026-11-{:02}T{:02}:00:00Z", 20 + number % 2, hour * 6).parse().unwrap();
                let slot = domain::Slot::at(slot);
                let id = domain::RecoveryPointId::new("sessions", "2026-01-01T00:00:00Z", slot, 1 + u32::try_from(number).unwrap());
                let mut tags = redis::elasticache::Tags::new();
                if !untagged {
                    tags.insert("tidemark:resource".to_owned(), "redis/sessions".to_owned());
                }
                world.account.put_snapshot(redis::elasticache::Snapshot {
                    name: id.to_string(), arn: format!("arn:{id}"), kind: redis::elasticache::CacheKind::ReplicationGroup,
                    cache: "sessions".to_owned(), status: "available".to_owned(), shards: Vec::new(), engine: None,
                    engine_version: None, created: Some(slot.instant()), tags,
                });
                let prefix = vault::point_prefix(&domain::ResourceId::redis("sessions"), slot, &id);
                for (name, there) in [("0001.rdb", true), ("manifest.json", *manifest)] {
                    if there {
                        world.vault.put(&format!("{prefix}{name}"), "x");
                    }
                    if there && *copied {
                        world.recovery.put(&format!("{prefix}{name}"), "x");
                    }
                }
                if *untagged || !copied || !manifest {
                    protected.push(id.to_string());
                }
            }
            let observed = world.function().observe(Wake::Tick, world.now).await.unwrap();
            let plan = crate::plan::plan(&observed, world.now);
            let mut deleted = 0;
            for decision in &plan.decisions {
                if let reconcile::Verdict::Act(crate::act::Action::Delete { snapshot, .. }) = &decision.verdict {
                    deleted += 1;
                    prop_assert!(!protected.contains(&snapshot.name), "{}", snapshot.name);
                }
            }
            let whole = slots.len() - protected.len();
            prop_assert_eq!(deleted, whole.saturating_sub(usize::try_from(keep).unwrap()));
            Ok(())
        })?;
    }

    /// Of what is left over only that goes which is ours, a week old and left over for a week, held by nobody, and as late as
    /// something that is whole in both vaults and found damaged by nobody.
    #[test]
    fn nothing_that_is_left_over_goes_without_all_of_its_conditions(
        left in prop::collection::vec((0_i64..15, prop::array::uniform6(prop::bool::weighted(0.8))), 1..8),
        days_left in prop::option::weighted(0.9, 4_i64..15),
    ) {
        runtime().block_on(async {
            let world = World::new(&[]);
            world.vault.replicate_to(&world.recovery, Replication::Off);
            let resource = domain::ResourceId::redis("sessions");
            let (mut expected, mut kept) = (Vec::new(), Vec::new());
            if let Some(days) = days_left {
                let since = world.now - jiff::SignedDuration::from_hours(24 * days);
                let key = format!("{resource}/{}", domain::RecoveryPointId::mark("x"));
                let text = serde_json::json!({key: since}).to_string();
                world.ledger.documents.put("left-over/backup-redis.json", &text);
            }
            for (number, (days, conditions)) in left.iter().enumerate() {
                let [tagged, manifest, copied, available, unheld, undoubted] = *conditions;
                let slot = domain::Slot::at(world.now - jiff::SignedDuration::from_hours(24 * days));
                let id = domain::RecoveryPointId::new("sessions", "x", slot, 1 + u32::try_from(number).unwrap());
                let tag = ("tidemark:resource".to_owned(), resource.to_string());
                world.account.put_snapshot(redis::elasticache::Snapshot {
                    name: id.to_string(), arn: format!("arn:{id}"), kind: redis::elasticache::CacheKind::ReplicationGroup,
                    cache: "sessions".to_owned(), status: if available { "available" } else { "restoring" }.to_owned(),
                    shards: Vec::new(), engine: None, engine_version: None, created: Some(slot.instant()),
                    tags: tagged.then_some(tag).into_iter().collect(),
                });
                let prefix = vault::point_prefix(&resource, slot, &id);
                for (name, there) in [("0001.rdb", true), ("manifest.json", manifest)] {
                    if there {
                        world.vault.put(&format!("{prefix}{name}"), "x");
                    }
                    if there && copied {
                        world.recovery.put(&format!("{prefix}{name}"), "x");
                    }
                }
                let marks = [(unheld, Mark::Held), (undoubted, Mark::Unverified(Region::Recovery))];
                for (_, mark) in marks.into_iter().filter(|(is_not, _)| !is_not) {
                    world.vault.put(&mark_key(&resource, &id, world.now, mark), "");
                }
                if manifest && copied && undoubted {
                    kept.push(slot);
                }
                if *days >= 7 && days_left.is_some_and(|days| days >= 7) && tagged && available && unheld {
                    expected.push((slot, id.to_string()));
                }
            }
            expected.retain(|(slot, _)| kept.iter().any(|kept| kept >= slot));
            let mut expected: Vec<String> = expected.into_iter().map(|(_, id)| id).collect();
            let observed = world.function().observe(Wake::Tick, world.now).await.unwrap();
            let plan = crate::plan::plan(&observed, world.now);
            let mut deleted: Vec<String> = plan.decisions.iter().filter_map(|decision| match &decision.verdict {
                reconcile::Verdict::Act(crate::act::Action::Delete { snapshot, .. }) => Some(snapshot.name.clone()),
                _ => None,
            }).collect();
            deleted.sort();
            expected.sort();
            prop_assert_eq!(deleted, expected);
            Ok(())
        })?;
    }
}
