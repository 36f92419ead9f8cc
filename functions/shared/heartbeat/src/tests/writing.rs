//! What a writer writes next.

use domain::ResourceId;
use jiff::{SignedDuration, Timestamp};
use rstest::rstest;

use super::{after, both, judged, new, old, orders, start, write_on, written};
use crate::{Bad, Doubt, Mark, Next, Note, NumbersExhausted, Row, heartbeat::Content, next};

fn wrote(rows: &[Row], now: Timestamp) -> Next {
    next(&orders(), rows, now, &old()).unwrap()
}

#[test]
fn the_first_is_number_1_and_follows_none() {
    let first = wrote(&[], start() + SignedDuration::from_nanos(999_999));
    assert_eq!((first.heartbeat.number(), first.heartbeat.follows()), (1, 0));
    assert_eq!(first.heartbeat.at(), start(), "what is signed is what is stored: whole milliseconds");
    assert_eq!(first.notes, []);
}

#[test]
fn each_follows_the_one_before() {
    let rows = written(5);
    let numbers: Vec<_> = rows.iter().map(|row| (row.number.as_str(), row.follows.as_str())).collect();
    assert_eq!(numbers, [("1", "0"), ("2", "1"), ("3", "2"), ("4", "3"), ("5", "4")]);
    let mut turned = rows.clone();
    turned.reverse();
    assert_eq!(wrote(&turned, after(300)), wrote(&rows, after(300)));
}

#[test]
fn a_clock_that_went_back_is_told_and_the_time_stands_still() {
    let rows = written(5);
    let written = wrote(&rows, after(200));
    assert_eq!(written.heartbeat.mark(), Mark { number: 6, at: after(240) });
    assert_eq!(written.notes, [Note::ClockBack { by_ms: 40_000 }]);
}

/// Otherwise every later one would be in the future too.
#[test]
fn a_clock_that_was_days_ahead_once_is_not_followed() {
    let mut rows = written(5);
    rows.push(Row::from(&wrote(&rows, after(90_000)).heartbeat));
    let written = wrote(&rows, after(360));
    assert_eq!(written.heartbeat.mark(), Mark { number: 7, at: after(360) });
    assert_eq!(written.heartbeat.follows(), 5);
    assert_eq!(written.notes, [Note::NotFollowed(Bad::new("6", Doubt::Future))]);
    write_on(&mut rows, 10, 360, &old());
    let judgement = judged(&rows, None, after(1_000), &old());
    assert_eq!(judgement.gaps, []);
    assert_eq!(judgement.bad.len(), 1, "the one in the future: {judgement:?}");
    let judgement = judged(&rows, None, after(100_000), &old());
    assert!(judgement.is_sound() && judgement.newest_intact.unwrap().number == 16, "{judgement:?}");
}

/// A row that is none of ours is passed over; whether it stays or a person deletes it, nothing is missing.
#[rstest]
#[case::next("6")]
#[case::far_away("1000000000000")]
fn what_is_not_intact_is_not_built_upon(#[case] number: &str) {
    let mut rows = written(5);
    rows.push(Row { number: number.to_owned(), ..rows[4].clone() });
    let written = wrote(&rows, after(300));
    assert_eq!(written.heartbeat.follows(), 5);
    assert_eq!(written.notes, [Note::NotFollowed(Bad::new(number, Doubt::WrongSignature))]);
    write_on(&mut rows, 3, 300, &old());
    let judgement = judged(&rows, None, after(430), &old());
    assert_eq!((judgement.gaps.len(), judgement.bad.len()), (0, 1), "{judgement:?}");
    rows.remove(5);
    let judgement = judged(&rows, None, after(430), &old());
    assert!(judgement.is_sound() && judgement.begun_anew.is_empty(), "{judgement:?}");
}

#[test]
fn where_nothing_can_be_followed_a_chain_begins_above_what_is_there() {
    let mut rows = written(5);
    let begun = next(&orders(), &rows, after(300), &new()).unwrap();
    assert_eq!((begun.heartbeat.number(), begun.heartbeat.follows()), (6, 0));
    assert_eq!(begun.notes.last(), Some(&Note::BegunAnew));
    write_on(&mut rows, 3, 300, &new());
    // With the old key there still, or again, it is one history.
    let judgement = judged(&rows, None, after(430), &both());
    assert!(judgement.is_sound(), "{judgement:?}");
    assert_eq!(judgement.begun_anew, [Mark { number: 6, at: after(300) }]);
}

#[test]
fn a_new_key_signs_what_follows_the_old_ones() {
    let mut rows = written(5);
    write_on(&mut rows, 5, 300, &both());
    assert!(rows[..5].iter().all(|row| row.key_id == "2026-11"));
    assert!(rows[5..].iter().all(|row| row.key_id == "2027-02"));
    let judgement = judged(&rows, None, after(560), &both());
    assert!(judgement.is_sound() && judgement.begun_anew.is_empty(), "{judgement:?}");
    // Dropped too early: told as such, and what the new key signed still counts.
    let judgement = judged(&rows, None, after(560), &new());
    assert!(judgement.bad.iter().all(|bad| bad.doubt == Doubt::UnknownKey) && judgement.bad.len() == 5);
    assert_eq!((judgement.newest_intact.unwrap().number, judgement.gaps.len()), (10, 0));
}

#[test]
fn a_database_made_from_anothers_has_its_own_chain_after_the_inherited_rows() {
    let copy = ResourceId::rds("orders-copy");
    let mut rows = written(5);
    let begun = next(&copy, &rows, after(300), &old()).unwrap();
    assert_eq!((begun.heartbeat.number(), begun.heartbeat.follows()), (6, 0));
    rows.push(Row::from(&begun.heartbeat));
    let question = crate::Question {
        resource: &copy,
        restored_to: None,
        asked_at: after(330),
        rhythm: crate::Rhythm::default(),
    };
    let judgement = crate::judge(&rows, question, &old());
    assert!(judgement.is_sound() && judgement.inherited == 5, "{judgement:?}");
    assert_eq!(judgement.newest_intact.unwrap().number, 6);
}

#[test]
fn where_no_number_is_left_that_is_said() {
    let mut rows = written(2);
    for number in ["9223372036854775807", "18446744073709551615"] {
        rows[1].number = number.to_owned();
        let error = next(&orders(), &rows, after(120), &old()).unwrap_err();
        assert!(error.to_string().contains(number), "{error}");
    }
    rows[1].number = "9223372036854775806".to_owned();
    assert_eq!(wrote(&rows, after(120)).heartbeat.number(), 9_223_372_036_854_775_807);
    let last = Content { number: i64::MAX.unsigned_abs(), follows: 0, at: start(), resource: orders() };
    let rows = [Row::from(&last.sign(old().newest()))];
    assert!(matches!(next(&orders(), &rows, after(60), &old()), Err(NumbersExhausted(_))));
}

#[rstest]
#[case::the_first_instant(Timestamp::MIN)]
#[case::the_last_instant(Timestamp::MAX)]
fn no_clock_is_too_odd(#[case] now: Timestamp) {
    let written = next(&orders(), &written(3), now, &old()).unwrap();
    assert!(Row::from(&written.heartbeat).verify(&old()).is_ok());
}
