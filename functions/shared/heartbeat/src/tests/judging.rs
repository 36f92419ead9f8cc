//! What the rows of a restored database tell.

use domain::ResourceId;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use rstest::rstest;

use super::{after, both, judged, old, orders, start, write_on, written};
use crate::{
    Bad, Basis, Beyond, Doubt, Estimate, Gap, Heartbeat, Judgement, Loss, Mark, Pause, Row, Unmeasured,
    heartbeat::Content,
};

fn mark(number: u64, seconds: i64) -> Mark {
    Mark { number, at: after(seconds) }
}

fn signed(number: u64, follows: u64, at: Timestamp, resource: ResourceId) -> Row {
    Row::from(&Content { number, follows, at, resource }.sign(old().newest()))
}

#[test]
fn a_restore_to_an_instant_lost_what_came_after_the_newest_heartbeat() {
    // 1 to 10, the last at second 540; the wanted instant is second 580.
    let judgement = judged(&written(10), Some(after(580)), after(9_000), &old());
    assert!(judgement.is_sound() && judgement.pauses.is_empty());
    assert_eq!(judgement.newest_intact, Some(mark(10, 540)));
    let loss = judgement.loss.unwrap();
    assert_eq!((loss.until, loss.heartbeat, loss.at_most_ms), (after(580), mark(10, 540), 40_000));
    assert_eq!(loss.at_least_ms, 0, "the next one was not due yet");
}

#[test]
fn of_a_recovery_point_the_loss_is_up_to_when_the_restore_was_asked_for() {
    let loss = judged(&written(10), None, after(4_140), &old()).loss.unwrap();
    assert_eq!((loss.until, loss.at_most_ms), (after(4_140), 3_600_000));
    assert_eq!(loss.at_least_ms, 3_465_000, "the next one came a minute later, and at most 75 seconds more");
}

#[test]
fn heartbeats_from_after_the_wanted_instant_tell_that_the_restore_went_too_far() {
    let judgement = judged(&written(10), Some(after(430)), after(9_000), &old());
    assert_eq!(judgement.beyond, Some(Beyond { rows: 2, newest: mark(10, 540) }));
    assert_eq!(judgement.newest_intact, Some(mark(8, 420)));
    assert!(!judgement.is_sound());
    // Clocks differ by seconds.
    assert_eq!(judged(&written(10), Some(after(536)), after(9_000), &old()).beyond, None);
    assert_eq!(judged(&written(10), Some(after(536)), after(9_000), &old()).loss.unwrap().at_most_ms, 0);
}

#[test]
fn a_hole_in_the_numbers_is_a_gap_and_one_in_time_a_pause() {
    let mut rows = written(10);
    rows.drain(3..6);
    let judgement = judged(&rows, None, after(600), &old());
    assert_eq!(judgement.gaps, [Gap { from: mark(3, 120), to: mark(7, 360), missing: 3 }]);
    assert_eq!((judgement.pauses.len(), judgement.bad.len(), judgement.is_sound()), (0, 0, false));

    let mut rows = written(3);
    write_on(&mut rows, 2, 1_000, &old());
    let judgement = judged(&rows, None, after(1_100), &old());
    assert_eq!(judgement.pauses, [Pause { from: mark(3, 120), to: mark(4, 1_000) }]);
    assert!(judgement.is_sound());
}

#[rstest]
#[case::at_once(120, 0)]
#[case::as_late_as_can_be(255, 0)]
#[case::later(256, 1)]
fn a_writer_may_be_late(#[case] second: i64, #[case] pauses: usize) {
    let mut rows = written(3);
    write_on(&mut rows, 1, second, &old());
    assert_eq!(judged(&rows, None, after(500), &old()).pauses.len(), pauses);
}

#[test]
fn a_row_of_another_database_is_not_believed() {
    let mut rows = written(3);
    rows.push(signed(4, 3, after(180), ResourceId::rds("billing")));
    let judgement = judged(&rows, None, after(200), &old());
    assert_eq!(judgement.bad, [Bad { number: "4".to_owned(), doubt: Doubt::OtherResource }]);
    assert_eq!((judgement.newest_intact, judgement.inherited), (Some(mark(3, 120)), 0));
}

#[test]
fn of_two_rows_of_one_number_the_earlier_counts() {
    let mut rows = written(3);
    rows.push(rows[2].clone());
    assert!(judged(&rows, None, after(200), &old()).is_sound(), "one that was read twice is one");
    rows.push(signed(3, 2, after(150), orders()));
    let judgement = judged(&rows, None, after(200), &old());
    assert_eq!(judgement.bad, [Bad { number: "3".to_owned(), doubt: Doubt::Duplicate }]);
    assert_eq!(judgement.newest_intact, Some(mark(3, 120)));
}

#[test]
fn a_time_that_goes_back_is_not_believed() {
    let mut rows = written(3);
    rows.push(signed(4, 3, after(100), orders()));
    rows.push(signed(5, 4, after(240), orders()));
    let judgement = judged(&rows, None, after(300), &old());
    assert_eq!(judgement.bad, [Bad { number: "4".to_owned(), doubt: Doubt::Backwards }]);
    assert_eq!((judgement.newest_intact, judgement.gaps.len()), (Some(mark(5, 240)), 0));
}

#[test]
fn a_time_that_has_not_come_is_not_believed() {
    let judgement = judged(&written(3), None, after(100), &old());
    assert_eq!(judgement.bad, [Bad { number: "3".to_owned(), doubt: Doubt::Future }]);
    assert_eq!(judgement.newest_intact, Some(mark(2, 60)));
}

#[test]
fn a_row_that_is_there_and_damaged_is_no_gap() {
    let mut rows = written(5);
    rows[2].at_ms = "0".to_owned();
    let judgement = judged(&rows, None, after(300), &old());
    assert_eq!(judgement.bad, [Bad { number: "3".to_owned(), doubt: Doubt::WrongSignature }]);
    assert_eq!(judgement.gaps, []);
    rows.remove(1);
    let judgement = judged(&rows, None, after(300), &old());
    assert_eq!(judgement.gaps, [Gap { from: mark(1, 0), to: mark(4, 180), missing: 1 }]);
}

#[test]
fn nothing_tells_nothing() {
    assert_eq!(judged(&[], None, start(), &old()), Judgement::default());
    let number = "9".repeat(1_000);
    let rows = [Row { number, ..written(1).remove(0) }];
    let judgement = judged(&rows, None, start(), &old());
    assert_eq!(judgement.bad, [Bad { number: "9".repeat(40), doubt: Doubt::Unreadable }]);
    assert_eq!(judgement.loss, None);
}

#[rstest]
#[case(Timestamp::MIN, Timestamp::MAX)]
#[case(Timestamp::MAX, Timestamp::MIN)]
fn no_instant_is_too_odd(#[case] restored_to: Timestamp, #[case] asked_at: Timestamp) {
    let far = i64::MAX.unsigned_abs();
    let rows = [
        signed(1, 0, Timestamp::MIN, orders()),
        signed(2, 1, Timestamp::MAX, orders()),
        signed(far, far - 1, Timestamp::MAX, orders()),
    ];
    for restored_to in [None, Some(restored_to)] {
        for asked_at in [asked_at, start()] {
            let judgement = judged(&rows, restored_to, asked_at, &old());
            assert!(judgement.gaps.iter().all(|gap| gap.missing == far - 3), "{judgement:?}");
        }
    }
}

#[test]
fn the_ledger_says_how_a_loss_is_known() {
    let estimate = Estimate::new(Basis::RestoredTo, after(0), after(60), Unmeasured::NoHeartbeats);
    assert_eq!(
        serde_json::to_string(&Loss::of(None, estimate)).unwrap(),
        r#"{"known":"estimated","until":"2026-11-23T10:41:00Z","state_at":"2026-11-23T10:40:00Z","loss_ms":60000,"#.to_owned()
            + r#""how":"restored-to","because":"no-heartbeats"}"#
    );
    let judgement = judged(&written(2), Some(after(90)), after(900), &old());
    let measured = Loss::of(Some(&judgement), estimate);
    let text = serde_json::to_string(&measured).unwrap();
    assert_eq!(
        text,
        r#"{"known":"measured","until":"2026-11-23T10:41:30Z","heartbeat":{"number":2,"at":"2026-11-23T10:41:00Z"},"#.to_owned()
            + r#""at_least_ms":0,"at_most_ms":30000}"#
    );
    assert_eq!(serde_json::from_str::<Loss>(&text).unwrap(), measured);
    let none_intact = Loss::of(Some(&Judgement::default()), estimate);
    assert_eq!(none_intact, Loss::Estimated(Estimate { because: Unmeasured::NoneIntact, ..estimate }));
    let text = serde_json::to_string(&judgement).unwrap();
    assert_eq!(serde_json::from_str::<Judgement>(&text).unwrap(), judgement);
}

/// A history with everything in it: pauses, a clock that goes back, a new key, a row of somebody's, a writer without the old key.
fn eventful(steps: &[(u8, u16)]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut second = 0;
    for (step, amount) in steps {
        match step {
            0 => second += i64::from(*amount),
            1 => second -= i64::from(*amount % 600),
            2 => write_on(&mut rows, 2, second, &both()),
            3 => write_on(&mut rows, 1, second, &super::new()),
            4 => rows.extend(rows.first().cloned().map(|row| Row { number: amount.to_string(), ..row })),
            _ => write_on(&mut rows, 3, second, &old()),
        }
        second += 60;
    }
    rows
}

fn heartbeats(rows: &[Row]) -> Vec<Heartbeat> {
    rows.iter().map(|row| row.verify(&old()).unwrap()).collect()
}

proptest! {
    #[test]
    fn any_flipped_bit_is_found(count in 1_usize..8, which: prop::sample::Index, field in 0_usize..6, bit: prop::sample::Index) {
        let mut rows = written(count);
        let which = which.index(count);
        let mut fields = rows[which].fields().map(str::to_owned);
        let mut bytes = fields[field].clone().into_bytes();
        let bit = bit.index(8 * bytes.len());
        bytes[bit / 8] ^= 1 << (bit % 8);
        fields[field] = String::from_utf8_lossy(&bytes).into_owned();
        rows[which] = Row::of_fields(fields);
        prop_assert!(rows[which].verify(&old()).is_err(), "{:?}", rows[which]);
        let judgement = judged(&rows, None, after(1_000), &old());
        prop_assert_eq!(judgement.bad.len(), 1);
        prop_assert_ne!(judgement.newest_intact.map(|mark| mark.number), Some(which as u64 + 1));
    }

    #[test]
    fn the_order_of_the_rows_does_not_matter(
        steps in prop::collection::vec((0_u8..8, 1_u16..5_000), 1..12), seed: u64, wanted in 0_i64..3_000,
    ) {
        let rows = eventful(&steps);
        let mut mixed = rows.clone();
        let mut state = seed;
        for index in (1..mixed.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            mixed.swap(index, usize::try_from(state >> 33).unwrap() % (index + 1));
        }
        for restored_to in [None, Some(after(wanted))] {
            let expected = judged(&rows, restored_to, after(9_000), &both());
            prop_assert_eq!(&expected, &judged(&mixed, restored_to, after(9_000), &both()));
        }
    }

    /// Whatever befalls writers, nothing is told missing that is not, and no row of their own is doubted.
    #[test]
    fn no_writer_makes_a_false_alarm(steps in prop::collection::vec((0_u8..8, 1_u16..5_000), 1..12)) {
        let judgement = judged(&eventful(&steps), None, after(1_000_000), &both());
        prop_assert_eq!(judgement.gaps, vec![]);
        let forged = |bad: &Bad| bad.doubt == Doubt::WrongSignature;
        prop_assert!(judgement.bad.iter().all(forged), "{:?}", judgement.bad);
    }

    #[test]
    fn any_inner_row_that_is_missing_is_a_gap(count in 3_usize..40, which: prop::sample::Index) {
        let mut rows = written(count);
        let all = heartbeats(&rows);
        let which = 1 + which.index(count - 2);
        rows.remove(which);
        let judgement = judged(&rows, None, after(9_000), &old());
        let gap = Gap { from: all[which - 1].mark(), to: all[which + 1].mark(), missing: 1 };
        prop_assert_eq!(judgement.gaps, vec![gap]);
        prop_assert!(judgement.bad.is_empty() && judgement.pauses.is_empty());
    }

    #[test]
    fn a_shorter_tail_or_head_only_costs(count in 2_usize..40, tail in 0_usize..40, head in 0_usize..40, wanted in 0_i64..3_000) {
        let rows = written(count);
        let left = &rows[head.min(count - 1)..(count - tail.min(count - 1)).max(head.min(count - 1) + 1)];
        let whole = judged(&rows, Some(after(wanted)), after(9_000), &old());
        let judgement = judged(left, Some(after(wanted)), after(9_000), &old());
        prop_assert!(judgement.gaps.is_empty() && judgement.bad.is_empty() && judgement.pauses.is_empty());
        if let Some(loss) = judgement.loss {
            let least = whole.loss.unwrap();
            prop_assert!(loss.at_most_ms >= least.at_most_ms && loss.at_least_ms >= least.at_least_ms);
            prop_assert!(loss.at_least_ms <= loss.at_most_ms);
        }
    }

    /// What was written up to some second is there, and nothing else: the truth lies within the bounds.
    #[test]
    fn the_true_loss_lies_within_the_bounds(state_at in 0_i64..3_600, wanted in 0_i64..3_600, late in prop::collection::vec(0_i64..75, 60)) {
        let (state_at, wanted) = (state_at.min(wanted), state_at.max(wanted));
        let mut rows = Vec::new();
        for (minute, late) in (0..).zip(late) {
            let second = if minute == 0 { 0 } else { 60 * minute + late };
            if second <= state_at {
                write_on(&mut rows, 1, second, &old());
            }
        }
        let loss = judged(&rows, Some(after(wanted)), after(9_000), &old()).loss.unwrap();
        let truth = u64::try_from(SignedDuration::from_secs(wanted - state_at).as_millis()).unwrap();
        prop_assert!((loss.at_least_ms..=loss.at_most_ms).contains(&truth), "{truth} {loss:?}");
    }

    #[test]
    fn nothing_is_too_odd_to_be_judged(
        fields in prop::collection::vec(prop::array::uniform6(".{0,20}|-?[0-9]{1,20}|v1:[0-9a-f]{64}"), 0..6), restored_to: Option<i64>, asked_at: i64,
    ) {
        let rows: Vec<Row> = fields.into_iter().map(Row::of_fields).collect();
        let instant = |ms| Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX);
        let judgement = judged(&rows, restored_to.map(instant), instant(asked_at), &old());
        prop_assert!(judgement.newest_intact.is_none() && judgement.loss.is_none() && judgement.bad.len() <= rows.len());
        let _ = crate::next(&orders(), &rows, instant(asked_at), &old());
    }
}
