use std::collections::BTreeSet;

use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

/// Verified, ours, made a minute after its slot.
fn verified(slot: Timestamp) -> Candidate {
    Candidate {
        id: RecoveryPointId::new("orders", "db-ABC", Slot::at(slot), 1),
        slot: Slot::at(slot),
        worth: [Some(Worth::Verified); 2],
        made_at: slot + SignedDuration::from_mins(1),
        is_held: false,
        is_ours: true,
        is_copied: false,
    }
}

fn policy(daily: u32, weekly: u32, monthly: u32, annual: u32) -> Policy {
    Policy {
        keep: Retention { daily, weekly, monthly, annual, redundancy: 1, minimum_age: LEAST_AGE },
        time_zone: TimeZone::UTC,
    }
}

fn zoned(policy: &Policy, time_zone: &str) -> Policy {
    Policy { time_zone: TimeZone::get(time_zone).unwrap(), ..policy.clone() }
}

/// The slots of what is kept, and of what fills a tier.
fn kept(candidates: &[Candidate], policy: &Policy, now: Timestamp) -> BTreeSet<Slot> {
    let decisions = plan(candidates, policy, now);
    candidates.iter().zip(decisions).filter(|(_, one)| one.is_kept()).map(|(one, _)| one.slot).collect()
}

/// The slots that fill each tier of a Region.
fn filling(candidates: &[Candidate], policy: &Policy, now: Timestamp, region: Region) -> [BTreeSet<Slot>; 4] {
    let decisions = plan(candidates, policy, now);
    Tier::ALL.map(|tier| {
        let fills = |decision: &Decision| decision.places[region as usize][tier as usize] == Place::Fills;
        let ones = candidates.iter().zip(&decisions);
        ones.filter(|(_, decision)| fills(decision)).map(|(one, _)| one.slot).collect()
    })
}

/// One each day at 03:00 UTC, the last on the day given.
fn daily_until(last: &str, days: i64) -> Vec<Candidate> {
    (0..days).map(|day| verified(at(last) - hours(24 * day))).collect()
}

#[test]
fn a_year_of_days_by_the_default_policy() {
    let candidates = daily_until("2026-11-22T03:00:00Z", 400);
    let days: Vec<String> = kept(&candidates, &policy(7, 4, 12, 7), at("2026-11-22T12:00:00Z"))
        .iter()
        .map(|slot| slot.utc_date().to_string())
        .collect();
    insta::assert_snapshot!(days.join(" "), @"2025-10-19 2025-12-01 2026-01-01 2026-02-01 2026-03-01 2026-04-01 2026-05-01 2026-06-01 2026-07-01 2026-08-01 2026-09-01 2026-10-01 2026-10-26 2026-11-01 2026-11-02 2026-11-09 2026-11-16 2026-11-17 2026-11-18 2026-11-19 2026-11-20 2026-11-21 2026-11-22");
}

#[rstest]
#[case(Tier::Daily, "2026-02-07T03:00:00Z")]
#[case(Tier::Weekly, "2026-02-28T03:00:00Z")]
// In Berlin, three o'clock in the night is another instant in summer.
#[case(Tier::Monthly, "2026-07-31T02:00:00Z")]
#[case(Tier::Annual, "2033-01-31T03:00:00Z")]
fn what_fills_a_tier_is_kept_until(#[case] tier: Tier, #[case] until: &str) {
    let policy = zoned(&policy(7, 4, 6, 7), "Europe/Berlin");
    assert_eq!(tier.kept_until(Slot::at(at("2026-01-31T03:00:00Z")), &policy), Some(at(until)));
}

#[test]
fn every_reason_is_told() {
    let mut candidates = daily_until("2026-11-22T03:00:00Z", 30);
    candidates[20].worth = [Some(Worth::Failed), None];
    candidates[21].is_held = true;
    let decisions = plan(&candidates, &policy(2, 1, 1, 1), at("2026-11-22T12:00:00Z"));
    let says = |at: usize| decisions[at].reasons(&candidates).join("; ");
    insta::assert_snapshot!(says(0), @"the first verified one of its day; the newest verified one; younger than the minimum age");
    insta::assert_snapshot!(says(2), @"its day is older than those that are kept; its week has tidemark-orders-20261116t0300z-yzryht; its month has tidemark-orders-20261101t0300z-yzryht; its year has tidemark-orders-20261024t0300z-yzryht");
    insta::assert_snapshot!(says(20), @"it failed, and will never be restorable");
    insta::assert_snapshot!(says(21), @"the first verified one of its month; under legal hold");
    assert_eq!((decisions[29].tier(), decisions[2].tier()), (Some(Tier::Annual), None));
}

#[test]
fn a_failure_on_the_first_does_not_cost_the_month() {
    let mut candidates = daily_until("2026-11-22T03:00:00Z", 60);
    for failed in candidates.iter_mut().filter(|one| one.slot.utc_date().day() < 4) {
        failed.worth = [Some(Worth::Failed), None];
    }
    let [_, _, months, _] =
        filling(&candidates, &policy(1, 0, 2, 0), at("2026-11-22T12:00:00Z"), Region::Home);
    let days: Vec<i8> = months.iter().map(|slot| slot.utc_date().day()).collect();
    assert_eq!(days, [4, 4]);
}

#[test]
fn days_without_a_backup_cost_no_day() {
    let candidates = daily_until("2026-11-02T03:00:00Z", 30);
    assert_eq!(kept(&candidates, &policy(7, 0, 0, 0), at("2026-11-22T12:00:00Z")).len(), 7);
}

#[test]
fn of_many_in_a_day_the_first_stays_and_the_newest() {
    let candidates: Vec<_> =
        (0..20).map(|quarter| verified(at("2026-11-18T00:00:00Z") + hours(6 * quarter))).collect();
    let kept = kept(&candidates, &policy(7, 0, 0, 0), at("2026-11-24T12:00:00Z"));
    let text: Vec<_> = kept.iter().map(|slot| slot.compact()[6..13].to_owned()).collect();
    assert_eq!(text, ["18t0000", "19t0000", "20t0000", "21t0000", "22t0000", "22t1800"]);
}

#[test]
fn the_calendar_is_the_plans() {
    let candidates: Vec<_> = ["2026-10-31T14:00:00Z", "2026-10-31T16:00:00Z", "2026-11-20T16:00:00Z"]
        .map(|slot| verified(at(slot)))
        .into();
    let now = at("2026-11-25T00:00:00Z");
    let months = |policy: &Policy| filling(&candidates, policy, now, Region::Recovery)[2].clone();
    assert_eq!(months(&policy(1, 0, 9, 0)).len(), 2);
    // In Tokyo it is November by then.
    let tokyo = months(&zoned(&policy(1, 0, 9, 0), "Asia/Tokyo"));
    assert!(tokyo.contains(&candidates[1].slot) && !tokyo.contains(&candidates[2].slot));
}

#[test]
fn where_clocks_go_back_over_midnight_a_day_does_not_begin_twice() {
    // In Newfoundland in 2010 it became 23:01 of the day before at 00:01.
    let policy = zoned(&policy(9, 0, 0, 0), "America/St_Johns");
    let candidates: Vec<_> =
        ["2010-11-07T02:00:00Z", "2010-11-07T02:30:00Z", "2010-11-07T03:00:00Z", "2010-11-07T06:00:00Z"]
            .map(|slot| verified(at(slot)))
            .into();
    let [days, ..] = filling(&candidates, &policy, at("2010-12-01T00:00:00Z"), Region::Home);
    assert_eq!(days, BTreeSet::from([candidates[0].slot, candidates[1].slot]));
}

#[test]
fn what_is_not_verified_counts_for_nothing_and_waits_for_a_better_look() {
    let mut candidates = daily_until("2026-11-22T03:00:00Z", 40);
    let first_of_november =
        candidates.iter().position(|one| one.slot.utc_date().to_string() == "2026-11-01").unwrap();
    candidates[first_of_november].worth = [Some(Worth::Unverified); 2];
    let now = at("2026-11-22T12:00:00Z");
    let (policy, decisions) = (policy(1, 0, 2, 0), plan(&candidates, &policy(1, 0, 2, 0), now));
    assert_eq!(decisions[first_of_november].floors, Floors::MAY_FILL);
    assert!(decisions[first_of_november - 1].is_kept(), "the 2nd fills the month meanwhile");
    candidates[first_of_november].worth = [Some(Worth::Verified); 2];
    assert!(!plan(&candidates, &policy, now)[first_of_november - 1].is_kept());
}

#[test]
fn what_has_no_copy_takes_no_place_from_what_has_one() {
    let mut candidates = daily_until("2026-11-22T03:00:00Z", 60);
    for uncopied in &mut candidates[..20] {
        uncopied.worth = [Some(Worth::Verified), None];
    }
    let now = at("2026-11-25T12:00:00Z");
    let policy =
        Policy { keep: Retention { redundancy: 2, ..policy(7, 0, 0, 0).keep }, ..policy(7, 0, 0, 0) };
    let decisions = plan(&candidates, &policy, now);
    let kept: Vec<usize> = (0..60).filter(|at| decisions[*at].is_kept()).collect();
    assert_eq!(kept, [0, 1, 2, 3, 4, 5, 6, 20, 21, 22, 23, 24, 25, 26], "seven in each Region");
    let says = |at: usize| decisions[at].reasons(&candidates).join("; ");
    insta::assert_snapshot!(says(20), @"the first verified copy of its day; the newest verified one");
    insta::assert_snapshot!(says(21), @"the first verified copy of its day; one of the newest verified ones that the plan keeps in any case");
}

#[test]
fn a_copy_alone_is_a_recovery_point_like_another() {
    let mut candidates = daily_until("2026-11-22T03:00:00Z", 3);
    candidates[0].worth = [None, Some(Worth::Verified)];
    let policy = policy(1, 0, 0, 0);
    assert_eq!(kept(&candidates, &policy, at("2026-11-25T12:00:00Z")).len(), 2, "the newest of each Region");
}

#[rstest]
#[case::the_only_one(1, 0)]
#[case::all_that_there_are(2, 9)]
#[case::no_less_than_asked(40, 3)]
fn a_policy_that_keeps_nothing_keeps_the_floor(#[case] days: i64, #[case] redundancy: u32) {
    let candidates = daily_until("2020-11-22T03:00:00Z", days);
    let mut policy = policy(0, 0, 0, 0);
    policy.keep.redundancy = redundancy;
    let expected = usize::try_from(days).unwrap().min(redundancy.max(1) as usize);
    assert_eq!(kept(&candidates, &policy, at("2026-11-22T12:00:00Z")).len(), expected);
}

/// In both Regions.
fn worth() -> impl Strategy<Value = [Option<Worth>; 2]> {
    let one = prop_oneof![
        6 => Just(Some(Worth::Verified)),
        1 => Just(Some(Worth::Unverified)),
        1 => Just(Some(Worth::Pending)),
        1 => Just(Some(Worth::Failed)),
        1 => Just(None),
    ];
    [one.clone(), one]
}

const BEGIN: &str = "2023-01-01T00:00:00Z";

/// Up to 200 in three years, some on the same slot.
fn some() -> impl Strategy<Value = Vec<Candidate>> {
    let one = (0..3 * 365 * 4_i64, 1..3_u32, worth(), any::<[bool; 6]>());
    prop::collection::vec(one, 0..200).prop_map(|ones| {
        let one =
            |(quarter, attempt, worth, [held, held_too, foreign, foreign_too, copied, copied_too]): (
                i64,
                u32,
                [Option<Worth>; 2],
                [bool; 6],
            )| {
                let slot = at(BEGIN) + hours(6 * quarter);
                Candidate {
                    id: RecoveryPointId::new("orders", "db-ABC", Slot::at(slot), attempt),
                    worth,
                    is_held: held && held_too,
                    is_ours: !(foreign && foreign_too),
                    is_copied: copied && copied_too,
                    ..verified(slot)
                }
            };
        let mut all: Vec<_> = ones.into_iter().map(one).collect();
        all.sort_by(|one, other| one.id.cmp(&other.id));
        all.dedup_by(|one, other| one.id == other.id);
        all
    })
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let zones = prop::sample::select(&["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Tokyo"][..]);
    (0..9_u32, 0..6_u32, 0..14_u32, 0..4_u32, 0..5_u32, 0..100_i64, zones).prop_map(
        |(daily, weekly, monthly, annual, redundancy, age, zone)| {
            let keep = Retention { daily, weekly, monthly, annual, redundancy, minimum_age: hours(age) };
            Policy { keep, time_zone: TimeZone::get(zone).unwrap() }
        },
    )
}

fn ids(candidates: &[Candidate], policy: &Policy, now: Timestamp) -> BTreeSet<RecoveryPointId> {
    let decisions = plan(candidates, policy, now);
    candidates.iter().zip(decisions).filter(|(_, one)| one.is_kept()).map(|(one, _)| one.id.clone()).collect()
}

fn now() -> Timestamp {
    at("2026-01-02T00:00:00Z")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn floors_hold(candidates in some(), policy in any_policy()) {
        let decisions = plan(&candidates, &policy, now());
        let ones = || candidates.iter().zip(&decisions);
        for region in Region::ALL {
            let is_verified = |one: &Candidate| one.worth[region as usize] == Some(Worth::Verified);
            let verified: Vec<_> = ones().filter(|(one, _)| is_verified(one)).collect();
            let kept = verified.iter().filter(|(_, decision)| decision.is_kept()).count();
            prop_assert!(kept >= verified.len().min(policy.keep.redundancy.max(1) as usize));
            if let Some((_, newest)) = verified.iter().max_by_key(|(one, _)| (one.slot, one.id.as_str())) {
                prop_assert!(newest.is_kept());
            }
        }
        for (one, decision) in ones() {
            let is_young = now().duration_since(one.made_at) < LEAST_AGE.max(policy.keep.minimum_age);
            let is_pending = one.worth.contains(&Some(Worth::Pending));
            let stays = one.is_held || !one.is_ours || one.is_copied || is_pending || is_young;
            prop_assert!(decision.is_kept() || !stays);
            prop_assert!(!decision.reasons(&candidates).is_empty(), "{decision:?}");
        }
    }

    #[test]
    fn what_was_carried_out_needs_nothing_more(candidates in some(), policy in any_policy()) {
        let first = ids(&candidates, &policy, now());
        let left: Vec<_> = candidates.into_iter().filter(|one| first.contains(&one.id)).collect();
        prop_assert_eq!(ids(&left, &policy, now()), first);
    }

    #[test]
    fn the_order_does_not_matter((candidates, shuffled) in some().prop_flat_map(|some| (Just(some.clone()), Just(some).prop_shuffle())), policy in any_policy()) {
        prop_assert_eq!(ids(&candidates, &policy, now()), ids(&shuffled, &policy, now()));
    }

    #[test]
    fn who_keeps_more_keeps_all_of_it(candidates in some(), policy in any_policy(), more in any::<[u8; 5]>(), age in 0..50_i64) {
        let [daily, weekly, monthly, annual, redundancy] = more.map(|more| u32::from(more % 4));
        let keep = Retention {
            daily: policy.keep.daily + daily,
            weekly: policy.keep.weekly + weekly,
            monthly: policy.keep.monthly + monthly,
            annual: policy.keep.annual + annual,
            redundancy: policy.keep.redundancy + redundancy,
            minimum_age: policy.keep.minimum_age + hours(age),
        };
        let larger = Policy { keep, time_zone: policy.time_zone.clone() };
        prop_assert!(ids(&candidates, &policy, now()).is_subset(&ids(&candidates, &larger, now())));
    }
}

/// What came of each day of ten years: most went well, some failed, some had no copy, and now and then nothing went well for
/// weeks.
fn ten_years() -> impl Strategy<Value = Vec<[Option<Worth>; 2]>> {
    const WELL: [Option<Worth>; 2] = [Some(Worth::Verified); 2];
    const HOME_ONLY: [Option<Worth>; 2] = [Some(Worth::Verified), None];
    const FAILED: [Option<Worth>; 2] = [Some(Worth::Failed), None];
    const DOUBTED: [Option<Worth>; 2] = [Some(Worth::Unverified), Some(Worth::Verified)];
    let stretch = prop_oneof![
        5 => (5..80_usize).prop_map(|days| vec![WELL; days]),
        2 => (1..4_usize).prop_map(|days| vec![FAILED; days]),
        1 => (1..4_usize).prop_map(|days| vec![DOUBTED; days]),
        1 => (1..60_usize).prop_map(|days| vec![HOME_ONLY; days]),
        1 => (10..100_usize).prop_map(|days| vec![FAILED; days]),
    ];
    prop::collection::vec(stretch, 400).prop_map(|stretches| {
        let mut days = stretches.concat();
        days.truncate(3_653);
        days
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Each day one more, and what is expired is deleted at once: at any time every tier is as full, and with the very same
    /// recovery points, as if nothing had ever been deleted.
    #[test]
    fn no_day_needs_what_an_earlier_one_deleted(days in ten_years(), policy in any_policy()) {
        let (mut all, mut there) = (Vec::<Candidate>::new(), Vec::<Candidate>::new());
        for (day, worth) in (0_i64..).zip(days) {
            let slot = at(BEGIN) + hours(24 * day + 3);
            let made = Candidate { worth, ..verified(slot) };
            all.push(made.clone());
            there.push(made);
            let now = slot + hours(2);
            let decisions = plan(&there, &policy, now);
            let mut decisions = decisions.iter();
            there.retain(|_| decisions.next().is_some_and(Decision::is_kept));
            // The whole is planned now and then: it takes longer.
            if day % 50 == 0 || day > 3_640 {
                for region in Region::ALL {
                    prop_assert_eq!(filling(&there, &policy, now, region), filling(&all, &policy, now, region));
                }
                prop_assert_eq!(ids(&there, &policy, now), ids(&all, &policy, now));
            }
        }
    }
}
