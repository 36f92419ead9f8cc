//! What a report says of the world.

use super::*;

#[tokio::test]
async fn one_database_that_is_well() {
    let world = World::calm(40);
    for day in 0..3 {
        let detail = json!({"duration_ms": 60_000 + day, "allocated_bytes": 21_474_836_480_u64});
        let id = world.id(day).to_string();
        world.record("recovery-point-completed", "rds/orders", &id, Outcome::Completed, detail).await;
    }
    let report = world.report().await;
    let [orders] = report.resources.as_slice() else { panic!("{:?}", report.resources) };
    assert_eq!((orders.state, orders.rpo_seconds, orders.rto_seconds), (State::Well, Some(900), Some(3_600)));
    assert_eq!((report.unknown.len(), report.occasion), (0, Occasion::OnDemand));
    assert!(orders.slots.iter().all(|day| day.verified == 1 && day.all() == 1), "{:?}", orders.slots);
    assert_eq!((orders.held.verified, orders.held.copied, orders.held.bytes), (40, 40, 80 * (20 << 30)));
    let filled: Vec<(u32, usize)> = orders.tiers.iter().map(|tier| (tier.kept, tier.filled.len())).collect();
    assert_eq!(filled, [(7, 7), (4, 4), (12, 2), (7, 1)]);
    assert_eq!(orders.age.unwrap().seconds, 240);
    assert_eq!((orders.worst.unwrap().seconds, orders.age_step_hours, orders.ages.len()), (269, 1, 720));
    assert_eq!(orders.points.len(), 40);
    assert_eq!(orders.points.last().unwrap().duration_ms, Some(60_000));
    let bytes: u64 = report.costs.iter().map(|cost| cost.bytes).sum();
    assert_eq!(bytes, 80 * (20 << 30));
    let cost: u64 = report.costs.iter().map(|cost| cost.micro_usd_a_month).sum();
    assert_eq!(cost, 80 * 20 * 95_000);
}

#[tokio::test]
async fn what_is_found_decides_the_state_and_the_worst_stands_first() {
    let world = World::calm(9);
    world.watch(&[("rds/orders", 9), ("rds/a", 9), ("rds/b", 9), ("redis/c", 9)]);
    world.post(
        "watch-rpo",
        &[("rds/b", "slot-missed", Severity::Critical), ("rds/a", "copy-behind", Severity::Warning)],
    );
    world.post("publish-report", &[("tidemark/report-x", "report-published", Severity::Info)]);
    let report = world.report().await;
    let states: Vec<(String, State)> =
        report.resources.iter().map(|one| (one.resource.to_string(), one.state)).collect();
    let expected = [
        ("rds/b", State::AtRisk),
        ("rds/a", State::NeedsALook),
        ("rds/orders", State::Well),
        ("redis/c", State::Well),
    ];
    assert_eq!(states, expected.map(|(name, state)| (name.to_owned(), state)));
    let found: Vec<&str> = report.findings.iter().map(|open| open.finding.kind.as_str()).collect();
    assert_eq!(found, ["slot-missed", "copy-behind"], "and word of a report is no finding");
}

#[rstest]
#[case::failed("recovery-point-failed", Some("SnapshotFailed"), |day: report::Slots| day.failed)]
#[case::deleted_since("recovery-point-completed", None, |day: report::Slots| day.verified)]
#[case::never_heard_of("restore-requested", None, |day: report::Slots| day.missing)]
#[tokio::test]
async fn a_slot_without_a_recovery_point(
    #[case] kind: &'static str,
    #[case] code: Option<&str>,
    #[case] counted: fn(report::Slots) -> u32,
) {
    let world = World::calm(9);
    let id = world.id(4).to_string();
    world.account.remove_snapshot(HOME, &id);
    world.account.remove_snapshot(AWAY, &id);
    let outcome = code.map_or(Outcome::Completed, |code| Outcome::Failed(code.to_owned()));
    world.record(kind, "rds/orders", &id, outcome, json!({})).await;
    let report = world.report().await;
    let day = report.resources[0].slots[25];
    assert_eq!((day.all(), counted(day)), (1, 1), "{day:?}");
    let before = report.resources[0].slots[20];
    assert_eq!(before.all(), 0, "nothing was expected before it was protected: {before:?}");
}

#[tokio::test]
async fn one_that_was_found_damaged_is_not_verified() {
    let world = World::calm(9);
    let resource = ResourceId::rds("orders");
    for region in Region::ALL {
        let mark = Mark::Unverified(region);
        world.vault.put(&mark_key(&resource, &world.id(2), world.now, mark), "{}");
    }
    let report = world.report().await;
    assert_eq!(report.resources[0].slots[27].unverified, 1);
    assert_eq!(report.resources[0].held.others, 1);
}

#[rstest]
#[case::a_region(|world: &World| world.account.refuse_next("us-west-2 DescribeDBSnapshots", no()), "rds recovery points")]
#[case::the_watch(|world: &World| world.ledger.documents.remove("watch/2026-11.json"), "what watch-rpo sees protected")]
#[case::its_board(|world: &World| world.ledger.documents.remove("findings/watch-rpo.json"), "what watch-rpo finds")]
#[case::its_board_in_words(|world: &World| world.ledger.documents.put("findings/watch-rpo.json", "{"), "findings in findings/watch-rpo.json")]
#[tokio::test]
async fn what_did_not_answer_is_not_well(#[case] break_it: fn(&World), #[case] named: &str) {
    let world = World::calm(9);
    break_it(&world);
    let report = world.report().await;
    assert!(report.unknown.iter().any(|unknown| unknown.what == named), "{:?}", report.unknown);
    assert!(report.resources.iter().all(|one| one.state == State::Unknown), "{:?}", report.resources);
    assert!(report.summary().contains("not known"), "{}", report.summary());
}

fn no() -> Error {
    Error::misconfigured("AccessDenied", "no")
}

#[tokio::test]
async fn a_silent_engine_shows_no_slot_as_well_and_none_as_missing() {
    let world = World::calm(9);
    world.account.refuse_next("us-east-1 DescribeDBSnapshots", no());
    let report = world.report().await;
    let [orders] = report.resources.as_slice() else { panic!("{:?}", report.resources) };
    let sum = |of: fn(&report::Slots) -> u32| orders.slots.iter().map(of).sum::<u32>();
    assert_eq!((sum(|day| day.unknown), sum(report::Slots::all)), (9, 9));
    assert!(orders.tiers.is_empty() && report.costs.is_empty());
}

#[tokio::test]
async fn a_board_that_nobody_renews_says_nothing() {
    let mut world = World::calm(9);
    world.now += SignedDuration::from_mins(31);
    let report = world.report().await;
    assert_eq!(report.resources[0].state, State::Unknown);
}

fn manifest(id: &RecoveryPointId, slot: Slot) -> String {
    json!({
        "version": 1, "id": id, "resource": "turso/shop", "incarnation": "id-1", "slot": slot.to_string(), "plan": "default",
        "method": "page-export", "taken_at": slot.to_string(), "verified_at": slot.to_string(), "objects": [], "source": {},
        "content": {},
    })
    .to_string()
}

#[tokio::test]
async fn an_hour_in_which_nothing_was_written_is_no_hole() {
    let world = World::calm(0);
    world.watch(&[("turso/shop", 2)]);
    let shop = ResourceId::turso("shop");
    // Of yesterday: one at midnight, and none since. Measured from 1 to 12 o'clock; at 9 the age exceeds two hours.
    let midnight = Slot::at("2026-11-22T00:00:00Z".parse().unwrap());
    let id = RecoveryPointId::new("shop", "id-1", midnight, 1);
    let prefix = point_prefix(&shop, midnight, &id);
    world.vault.put(&format!("{prefix}shop.db.zst"), "bytes");
    world.vault.put(&format!("{prefix}manifest.json"), manifest(&id, midnight));
    let mut ages = DayOfAges::empty("2026-11-22".parse().unwrap());
    for hour in 1..13 {
        let at = midnight.instant() + hours(hour);
        ages.note(&shop, if hour == 9 { 7_201 } else { 600 }, at);
    }
    world.ledger.documents.put(&DayOfAges::name(ages.day), &json!(ages).to_string());
    let report = world.report().await;
    let day = report.resources[0].slots[28];
    // Judged an hour after each: 1 to 11 o'clock, and the one of 8 was missed; of those after it nobody measured.
    assert_eq!((day.verified, day.unchanged, day.missing, day.unknown), (1, 10, 1, 12), "{day:?}");
    assert_eq!(report.resources[0].resource.engine, Engine::Turso);
}

#[tokio::test]
async fn restores_drills_and_deletions_stand_there_with_their_reasons() {
    let world = World::calm(9);
    let done = Outcome::Completed;
    world
        .record(
            "restore-completed",
            "rds/orders",
            "restore-1",
            done.clone(),
            json!({"duration_ms": 1_200_000}),
        )
        .await;
    let loss = json!({"is_measured": true, "at_least_ms": 0, "at_most_ms": 30_000});
    world.record("restore-measured", "rds/orders", "restore-1", done.clone(), json!({"loss": loss})).await;
    let drill = json!({"duration_ms": 900_000, "phases": {"restore_ms": 700_000}, "rto_ms": 1_800_000});
    world.record("drill-passed", "rds/orders", "drill-1", done.clone(), drill).await;
    // The same drill's restore, and its end, are no restores of a person.
    let restored = json!({"duration_ms": 700_000});
    for (kind, subject) in [
        ("restore-completed", "restore-tidemark-drill-orders-20261123t0500z"),
        ("drill-torn-down", "drill-1"),
    ] {
        world.record(kind, "rds/orders", subject, done.clone(), restored.clone()).await;
    }
    let within = Outcome::Failed("RestoreFailed".to_owned());
    let subject = "restore-tidemark-drill-orders-20261122t0500z";
    world.record("restore-failed", "rds/orders", subject, within, json!({})).await;
    let failed = Outcome::Failed("RestoreFailed".to_owned());
    world.record("restore-failed", "rds/orders", "restore-2", failed, json!({"error": "no"})).await;
    let why = json!({"why": ["its day has another one"], "bytes": 5});
    world.record("recovery-point-deleted", "rds/orders", world.id(200).as_str(), done, why).await;
    let report = world.report().await;
    let restores: Vec<_> = report
        .restores
        .iter()
        .map(|restore| {
            (restore.id.as_str(), restore.is_drill, restore.duration_ms, restore.failed.as_deref())
        })
        .collect();
    assert_eq!(restores.len(), 3);
    assert!(restores.contains(&("restore-1", false, Some(1_200_000), None)), "{restores:?}");
    assert!(restores.contains(&("drill-1", true, Some(900_000), None)), "{restores:?}");
    assert!(restores.contains(&("restore-2", false, None, Some("RestoreFailed"))), "{restores:?}");
    let losses: Vec<_> = report.restores.iter().filter_map(|restore| restore.loss).collect();
    assert_eq!(json!(losses), json!([loss]));
    let rtos: Vec<_> =
        report.restores.iter().map(|restore| (restore.is_drill, restore.rto_seconds)).collect();
    assert!(
        rtos.iter().all(|(is_drill, rto)| *rto == Some(if *is_drill { 1_800 } else { 3_600 })),
        "{rtos:?}"
    );
    assert_eq!((report.deletions.count, report.deletions.bytes), (1, 5));
    assert_eq!(report.deletions.shown[0].why, ["its day has another one"]);
}

#[tokio::test]
async fn what_is_read_of_the_ledger_has_an_end_and_the_page_says_so() {
    let world = World::calm(1);
    for at in 0..4_000 {
        let slot = Slot::at(world.now - SignedDuration::from_mins(at));
        let id = RecoveryPointId::new("orders", "db-ABC", slot, 1).to_string();
        world
            .record(
                "recovery-point-completed",
                "rds/orders",
                &id,
                Outcome::Completed,
                json!({"duration_ms": 1}),
            )
            .await;
    }
    let other = RecoveryPointId::new("other", "db-DEF", world.slot(0), 1).to_string();
    world
        .record(
            "recovery-point-completed",
            "rds/other",
            &other,
            Outcome::Completed,
            json!({"duration_ms": 7}),
        )
        .await;
    world.watch(&[("rds/orders", 1), ("rds/other", 1)]);
    let report = world.report().await;
    let [cut] = report.cut.as_slice() else { panic!("{:?}", report.cut) };
    assert_eq!((cut.shown, cut.of), (3_000, 4_001));
    let other = report.resources.iter().find(|one| one.resource.name == "other").unwrap();
    assert_eq!(other.points[0].duration_ms, Some(7), "the newest of each comes first");
}

#[tokio::test]
async fn a_thousand_resources_cost_pages_and_not_resources() {
    let world = World::calm(0);
    let names: Vec<String> = (0..1_000).map(|at| format!("rds/database-{at:04}")).collect();
    let watched: Vec<(&str, i64)> = names.iter().map(|name| (name.as_str(), 30)).collect();
    world.watch(&watched);
    let report = world.report().await;
    assert_eq!((report.resources.len(), report.resources[0].age_step_hours), (1_000, 24));
    assert!(world.vault.calls().len() < 60, "{}", world.vault.calls().len());
    assert_eq!(world.account.calls().len(), 2);
    let page = &world.vault.objects()["reports/2026-11-23-on-demand.html"];
    assert!(page.len() < 5_000_000, "{} bytes", page.len());
}

#[tokio::test]
async fn hostile_names_and_texts_stay_texts() {
    let world = World::calm(0);
    let hostile = "rds/<script>alert(1)</script>\"'\u{202e}";
    world.watch(&[(hostile, 3)]);
    world.post("watch-rpo", &[(hostile, "<img src=x onerror=alert(1)>", Severity::Critical)]);
    world.ledger.documents.put("watch/ages/2026-11-22.json", "<script>");
    let report = world.report().await;
    assert_eq!(report.resources[0].state, State::AtRisk);
    let page =
        String::from_utf8(world.vault.objects()["reports/2026-11-23-on-demand.html"].to_vec()).unwrap();
    assert!(!page.contains("<script") && !page.contains("<img") && !page.contains('\u{202e}'));
}
