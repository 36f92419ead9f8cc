//! What a report says of drills.

use domain::{
    RecoveryPointId,
    drill::{
        To, Way,
        history::{History, Loss, Past, Phases, Promised, Verdict, document},
    },
};
use report::{DrillState, Drills};

use super::*;

/// A drill so many days ago: it took so many minutes.
fn past(world: &World, days_ago: i64, minutes: u64, is_failed: bool) -> Past {
    let at = world.now - hours(24 * days_ago);
    let ms = minutes * 60_000;
    Past {
        id: format!("drill-rds-orders-{days_ago}"),
        way: if days_ago % 2 == 0 { Way::Instant } else { Way::Copy },
        region: Region::Home,
        to: To::Point(RecoveryPointId::from("tidemark-orders-20261102t0300z-yzryht")),
        asked_at: at,
        judged_at: at + SignedDuration::from_millis(i64::try_from(ms).unwrap()),
        verdict: if is_failed {
            Verdict::Failed { code: "CheckFailed".to_owned(), says: "public.orders is damaged".to_owned() }
        } else {
            Verdict::Passed
        },
        bytes: minutes << 30,
        class: Some("db.t4g.medium".to_owned()),
        phases: Phases { duration_ms: Some(ms), ..Phases::default() },
        loss: Some(Loss { is_measured: true, at_least_ms: 0, at_most_ms: 42_000 }),
        objectives: Promised { rpo_ms: 900_000, rto_ms: 3_600_000 },
        unchecked: Vec::new(),
        cost_micro_usd: 1_000,
        set: None,
    }
}

impl World {
    fn drilled(&self, resource: &str, past: Vec<Past>) {
        let resource = ResourceId::try_from(resource.to_owned()).unwrap();
        self.ledger.documents.put(&document(&resource), &json!(History { past }).to_string());
    }

    /// What is said of one resource.
    async fn drills_of(&self, resource: &str) -> Drills {
        let report = self.report().await;
        let mut all = report.resources.into_iter();
        all.find(|one| one.resource.to_string() == resource).unwrap().drills
    }
}

#[rstest]
#[case::never(&[], DrillState::Never)]
#[case::passed(&[(40, false), (10, false)], DrillState::Passed)]
#[case::on_the_last_day(&[(34, false)], DrillState::Passed)]
#[case::too_long_ago(&[(36, false)], DrillState::Overdue)]
#[case::failed(&[(40, false), (10, true)], DrillState::Failed)]
#[case::failed_long_ago(&[(90, true)], DrillState::Failed)]
#[tokio::test]
async fn in_a_word(#[case] drills: &[(i64, bool)], #[case] state: DrillState) {
    let world = World::calm(60);
    if !drills.is_empty() {
        let past = drills.iter().map(|(days_ago, failed)| past(&world, *days_ago, 20, *failed)).collect();
        world.drilled("rds/orders", past);
    }
    let said = world.drills_of("rds/orders").await;
    assert_eq!((said.state, said.count), (state, drills.len()));
    assert_eq!(said.next_due, Some("2026-12-02T07:00:00Z".parse().unwrap()));
    let of_these_days = drills.iter().filter(|(days_ago, _)| *days_ago < 30).count();
    assert_eq!(said.micro_usd, 1_000 * of_these_days as u64);
}

#[tokio::test]
async fn growth_is_foreseen_before_it_is_too_much() {
    let world = World::calm(60);
    // A minute more with each GiB, and ten of them a month.
    let grown = (0..5)
        .map(|month| past(&world, 30 * (4 - month) + 1, 10 + 10 * u64::try_from(month).unwrap(), false));
    world.drilled("rds/orders", grown.collect());
    let said = world.drills_of("rds/orders").await;
    let fit = said.fit.unwrap();
    assert_eq!((fit.from.bytes, fit.to.bytes), (10 << 30, 50 << 30));
    assert!(fit.to.duration_ms.abs_diff(50 * 60_000) < 100, "{fit:?}");
    let foreseen = said.forecast.unwrap();
    let expected: Timestamp = "2026-12-22T06:30:00Z".parse().unwrap();
    assert!(foreseen.from.duration_since(expected).abs() < hours(1), "{foreseen:?}");
    assert!(foreseen.bytes.abs_diff(60 << 30) < 1 << 20, "{foreseen:?}");
    let page =
        String::from_utf8(world.vault.objects()["reports/2026-11-23-on-demand.html"].to_vec()).unwrap();
    assert!(page.contains("from about December 2026 on restores take longer than 1 h"));
}

#[tokio::test]
async fn what_nobody_wants_drilled_is_not_missed() {
    let world = World::calm(60);
    world.watch(&[]);
    assert_eq!(world.drills_of("rds/orders").await.state, DrillState::NotWanted, "it is protected no more");
}

#[tokio::test]
async fn what_cannot_be_read_is_not_known_and_hides_no_other() {
    let world = World::calm(60);
    world.watch(&[("rds/orders", 60), ("rds/other", 60), ("rds/new", 60)]);
    world.ledger.documents.put("drills/rds/orders.json", "{");
    world.drilled("rds/other", vec![past(&world, 3, 20, false)]);
    world.ledger.documents.put("drills/budget.json", "of something else");
    let report = world.report().await;
    let states: Vec<(String, DrillState)> =
        report.resources.iter().map(|one| (one.resource.to_string(), one.drills.state)).collect();
    let expected = [
        ("rds/new", DrillState::Never),
        ("rds/orders", DrillState::Unknown),
        ("rds/other", DrillState::Passed),
    ];
    assert_eq!(states, expected.map(|(name, state)| (name.to_owned(), state)));
    let unknown: Vec<&str> = report.unknown.iter().map(|unknown| unknown.what.as_str()).collect();
    assert_eq!(unknown, ["drills of rds/orders"]);
    assert!(report.resources.iter().all(|one| one.state == State::Well), "backups are what they are");
}

#[tokio::test]
async fn many_resources_show_fewer_drills_and_say_so() {
    let world = World::calm(0);
    let names: Vec<String> = (0..1_000).map(|at| format!("rds/database-{at:04}")).collect();
    world.watch(&names.iter().map(|name| (name.as_str(), 400)).collect::<Vec<_>>());
    // All passed only long ago, and the newest of them takes longest.
    for (at, name) in names.iter().enumerate() {
        let minutes = u64::try_from(at % 50).unwrap() + 1;
        let drills = (0..60).rev().map(|month| past(&world, 30 * month + 2, minutes, month < 10));
        world.drilled(name, drills.collect());
    }
    let report = world.report().await;
    let kept: Vec<usize> = report.resources.iter().map(|one| one.drills.past.len()).collect();
    let whole = kept.iter().filter(|kept| **kept == 60).count();
    assert_eq!(
        (whole, kept.iter().filter(|kept| **kept == 4).count()),
        (8, 992),
        "three, and the last that passed"
    );
    assert!(report.resources.iter().all(|one| one.drills.count == 60 && one.drills.last_passed().is_some()));
    let [cut] = report.cut.as_slice() else { panic!("{:?}", report.cut) };
    assert_eq!((cut.shown, cut.of), (8 * 60 + 992 * 4, 60_000));
    let page = &world.vault.objects()["reports/2026-11-23-on-demand.html"];
    assert!(page.len() < 5_000_000, "{} bytes", page.len());
    let json = &world.vault.objects()["reports/2026-11-23-on-demand.json"];
    assert!(json.len() < 10_000_000, "{} bytes", json.len());
}
