use std::fmt;

use cronexpr::Crontab;
use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, DateTime},
    tz::TimeZone,
};

/// The scheduled instant a recovery point belongs to. Schedules have minute precision, so slots do too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(Timestamp);

impl Slot {
    /// The slot at `instant`, with anything below a minute cut off.
    pub fn at(instant: Timestamp) -> Self {
        let second = instant.as_second();
        Self(Timestamp::from_second(second - second.rem_euclid(60)).unwrap_or(instant))
    }

    /// The instant itself.
    pub const fn instant(self) -> Timestamp {
        self.0
    }

    /// The UTC day the slot falls on; the ledger is laid out by it.
    pub fn utc_date(self) -> Date {
        self.0.to_zoned(TimeZone::UTC).date()
    }

    /// `20261122t0300z`: lower case and free of punctuation, so that it fits every provider's identifiers.
    pub fn compact(self) -> String {
        self.0.strftime(COMPACT).to_string()
    }

    /// Reads what [`Slot::compact`] wrote.
    pub fn parse_compact(text: &str) -> Option<Self> {
        let slot = DateTime::strptime(COMPACT, text).ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp();
        (slot.strftime(COMPACT).to_string() == text).then_some(Self(slot))
    }
}

const COMPACT: &str = "%Y%m%dt%H%Mz";

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// When a plan's slots are: a five-field cron expression read in the plan's time zone.
///
/// Every civil time that the expression names is a slot exactly once, whatever daylight saving does: cronexpr skips a
/// 02:30 that a clock change swallows, and a night without a slot would be a night without a backup. So the
/// expression is matched on civil time, and jiff places the result: a time in the gap moves forward by the gap's
/// length, a time that happens twice is the first (RFC 5545, section 3.3.5).
#[derive(Clone, Debug)]
pub struct Schedule {
    expression: String,
    /// Read as if the zone were UTC: its "timestamps" are civil times.
    crontab: Crontab,
    time_zone: TimeZone,
}

/// A schedule that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "{expression:?} is no cron expression of five fields (minute hour day-of-month month day-of-week): {reason}"
)]
pub struct InvalidSchedule {
    expression: String,
    reason: String,
}

/// How far back to look for the latest slot, widening: minutely schedules are found in the first hour without
/// walking a year of them, and a schedule that has not come round for a year has no current slot.
const LOOK_BACK_HOURS: [i64; 5] = [1, 25, 8 * 24, 32 * 24, 367 * 24];

/// No zone ever moved its clock further than a day (Samoa, 2011): civil times beyond it need not be looked at.
const LARGEST_CLOCK_CHANGE: SignedDuration = SignedDuration::from_hours(24);

impl Schedule {
    /// Reads `expression`, e.g. `0 3 * * *`, in the IANA time zone `time_zone`.
    pub fn parse(expression: &str, time_zone: &str) -> Result<Self, InvalidSchedule> {
        let invalid = |reason: String| InvalidSchedule { expression: expression.to_owned(), reason };
        let fields = expression.split_whitespace().count();
        if fields != 5 {
            return Err(invalid(format!("it has {fields} fields")));
        }
        let time_zone = TimeZone::get(time_zone).map_err(|error| invalid(error.to_string()))?;
        let crontab = cronexpr::parse_crontab(&format!("{expression} UTC")).map_err(|error| {
            invalid(error.to_string().lines().map(str::trim).collect::<Vec<_>>().join(" "))
        })?;
        // An expression such as `0 0 30 2 *` reads well and never comes: no backup would ever be taken.
        crontab.find_next(Timestamp::UNIX_EPOCH).map_err(|_| invalid("it never comes".to_owned()))?;
        Ok(Self { expression: expression.to_owned(), crontab, time_zone })
    }

    /// The latest slot at or before `now`: the one that should have a recovery point.
    pub fn latest_at(&self, now: Timestamp) -> Option<Slot> {
        LOOK_BACK_HOURS.iter().find_map(|hours| {
            let from = now.checked_sub(SignedDuration::from_hours(*hours)).ok()?;
            self.between(from, now)?.filter(|instant| *instant <= now).max().map(Slot::at)
        })
    }

    /// The first slot after `now`.
    pub fn next_after(&self, now: Timestamp) -> Option<Slot> {
        let from = now.checked_sub(LARGEST_CLOCK_CHANGE).ok()?;
        self.civil_times_after(from)?.filter_map(|civil| self.place(civil)).find(|at| *at > now).map(Slot::at)
    }

    /// The slots after `after` up to `until`, the earliest first; the first `most` of them, if there are more.
    pub fn slots(&self, after: Timestamp, until: Timestamp, most: usize) -> Vec<Slot> {
        let Ok(from) = after.checked_sub(LARGEST_CLOCK_CHANGE) else { return Vec::new() };
        let instants = self.between(from, until).into_iter().flatten();
        let mut slots: Vec<Slot> =
            instants.filter(|at| *at > after && *at <= until).map(Slot::at).take(most).collect();
        slots.sort_unstable();
        slots
    }

    fn between(&self, from: Timestamp, to: Timestamp) -> Option<impl Iterator<Item = Timestamp>> {
        let last = to.to_zoned(self.time_zone.clone()).datetime().checked_add(LARGEST_CLOCK_CHANGE).ok()?;
        Some(
            self.civil_times_after(from)?
                .take_while(move |civil| *civil <= last)
                .filter_map(|civil| self.place(civil)),
        )
    }

    fn civil_times_after(&self, from: Timestamp) -> Option<impl Iterator<Item = DateTime>> {
        let civil = from.to_zoned(self.time_zone.clone()).datetime().to_zoned(TimeZone::UTC).ok()?;
        Some(
            self.crontab
                .iter_after(civil.timestamp())
                .ok()?
                .map_while(Result::ok)
                .map(|next| next.datetime()),
        )
    }

    fn place(&self, civil: DateTime) -> Option<Timestamp> {
        self.time_zone.to_ambiguous_timestamp(civil).compatible().ok()
    }

    /// As it was written.
    pub fn expression(&self) -> &str {
        &self.expression
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[rstest]
    #[case::just_before("0 3 * * *", "UTC", "2026-11-22T02:59:59Z", "2026-11-21T03:00:00Z")]
    #[case::on_the_second("0 3 * * *", "UTC", "2026-11-22T03:00:00Z", "2026-11-22T03:00:00Z")]
    #[case::six_hourly("0 */6 * * *", "UTC", "2026-11-22T17:59:00Z", "2026-11-22T12:00:00Z")]
    #[case::hourly("0 * * * *", "UTC", "2026-11-22T17:59:00Z", "2026-11-22T17:00:00Z")]
    #[case::minutely("* * * * *", "UTC", "2026-11-22T17:59:31Z", "2026-11-22T17:59:00Z")]
    #[case::yearly("0 0 1 1 *", "UTC", "2026-11-22T17:59:31Z", "2026-01-01T00:00:00Z")]
    #[case::berlin("0 3 * * *", "Europe/Berlin", "2026-07-01T03:00:00Z", "2026-07-01T01:00:00Z")]
    // 02:30 does not exist on 29 March 2026 in Berlin; the day still has its slot.
    #[case::fall_back_first_pass(
        "30 2 * * *",
        "Europe/Berlin",
        "2026-10-25T00:45:00Z",
        "2026-10-25T00:30:00Z"
    )]
    #[case::fall_back_second_pass(
        "30 2 * * *",
        "Europe/Berlin",
        "2026-10-25T01:15:00Z",
        "2026-10-25T00:30:00Z"
    )]
    #[case::spring_forward("30 2 * * *", "Europe/Berlin", "2026-03-29T12:00:00Z", "2026-03-29T01:30:00Z")]
    fn latest_slot(#[case] cron: &str, #[case] zone: &str, #[case] now: &str, #[case] slot: &str) {
        let schedule = Schedule::parse(cron, zone).unwrap();
        assert_eq!(schedule.latest_at(at(now)).unwrap().instant(), at(slot));
    }

    #[rstest]
    #[case("0 3 * *", "it has 4 fields")]
    #[case("0 25 * * *", "")]
    #[case("0 0 30 2 *", "it never comes")]
    #[case("", "it has 0 fields")]
    fn refuses(#[case] cron: &str, #[case] why: &str) {
        let error = Schedule::parse(cron, "UTC").unwrap_err().to_string();
        assert!(error.contains(why) && error.contains("five fields"), "{error}");
    }

    #[test]
    fn compact_form_fits_identifiers() {
        assert_eq!(Slot::at(at("2026-11-22T03:00:59.9Z")).compact(), "20261122t0300z");
    }

    #[test]
    fn every_day_of_a_year_has_one_slot() {
        for zone in ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo"] {
            let schedule = Schedule::parse("30 2 * * *", zone).unwrap();
            let mut slot = schedule.latest_at(at("2026-01-01T12:00:00Z")).unwrap();
            for day in 1..=365 {
                slot = schedule.next_after(slot.instant()).unwrap();
                let expected =
                    Date::new(2026, 1, 1).unwrap().checked_add(jiff::Span::new().days(day)).unwrap();
                assert_eq!(slot.instant().to_zoned(TimeZone::get(zone).unwrap()).date(), expected, "{zone}");
            }
        }
    }

    #[test]
    fn a_day_has_its_slots_whatever_the_clocks_do() {
        let count = |cron: &str, zone: &str, after: &str, until: &str| {
            Schedule::parse(cron, zone).unwrap().slots(at(after), at(until), 100).len()
        };
        let (before, after) = ("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z");
        assert_eq!(count("0 */6 * * *", "Europe/Berlin", before, after), 4);
        assert_eq!(count("30 2 * * *", "Europe/Berlin", before, after), 1);
        assert_eq!(
            count("0 3 * * *", "UTC", "2026-11-22T03:00:00Z", "2026-11-23T03:00:00Z"),
            1,
            "not the first"
        );
        assert_eq!(count("* * * * *", "UTC", "2026-11-22T03:00:00Z", "2026-11-23T03:00:00Z"), 100, "no more");
        let slots = Schedule::parse("0 3 * * *", "UTC").unwrap().slots(
            at("2026-11-22T04:00:00Z"),
            at("2026-12-22T04:00:00Z"),
            100,
        );
        assert_eq!((slots.len(), slots[0].instant()), (30, at("2026-11-23T03:00:00Z")));
    }

    proptest! {
        /// No slot lies between the latest one and now, and time never moves a slot backwards.
        #[test]
        fn latest_is_latest(seconds in 1_700_000_000_i64..2_000_000_000, step in 0_i64..200_000) {
            let schedule = Schedule::parse("15 */5 * * *", "America/New_York").unwrap();
            let now = Timestamp::from_second(seconds).unwrap();
            let slot = schedule.latest_at(now).unwrap();
            prop_assert!(slot.instant() <= now);
            prop_assert!(schedule.next_after(slot.instant()).unwrap().instant() > now);
            let later = schedule.latest_at(Timestamp::from_second(seconds + step).unwrap()).unwrap();
            prop_assert!(later >= slot);
        }
    }
}
