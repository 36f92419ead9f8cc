use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};

use crate::ResourceId;

/// How old recovery points were on one day (UTC): a document that watch-rpo writes each minute, for reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayOfAges {
    /// Which.
    pub day: Date,
    /// Of each resource that was measured.
    #[serde(default)]
    pub resources: BTreeMap<ResourceId, Ages>,
}

/// How old one resource's newest restorable state was in the course of a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ages {
    /// The largest of the last minute that was measured.
    pub last: MeasuredAge,
    /// The largest.
    pub worst: MeasuredAge,
    /// The largest of each hour that was measured, in seconds.
    pub hours: BTreeMap<u8, i64>,
}

/// A measured recovery-point age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasuredAge {
    /// How much would have been lost.
    pub age_seconds: i64,
    /// In which minute.
    pub at: Timestamp,
}

impl DayOfAges {
    /// What the names of all of them begin with.
    pub const FOLDER: &str = "watch/ages/";

    /// A day on which nothing was measured yet.
    pub fn empty(day: Date) -> Self {
        Self { day, resources: BTreeMap::new() }
    }

    /// What the document of a day is called.
    pub fn name(day: Date) -> String {
        format!("{}{day}.json", Self::FOLDER)
    }

    /// Notes what was measured. A minute that is looked at again, because somebody asks, has its largest.
    pub fn note(&mut self, resource: &ResourceId, age_seconds: i64, now: Timestamp) {
        let measured = MeasuredAge { age_seconds, at: minute(now) };
        // A clock's hour is within 0 to 23.
        let hour = u8::try_from(measured.at.to_zoned(TimeZone::UTC).hour()).unwrap_or_default();
        let new = || Ages { last: measured, worst: measured, hours: BTreeMap::new() };
        let ages = self.resources.entry(resource.clone()).or_insert_with(new);
        if ages.last.at != measured.at || measured.age_seconds > ages.last.age_seconds {
            ages.last = measured;
        }
        if measured.age_seconds > ages.worst.age_seconds {
            ages.worst = measured;
        }
        let worst = ages.hours.entry(hour).or_insert(measured.age_seconds);
        *worst = measured.age_seconds.max(*worst);
    }
}

fn minute(instant: Timestamp) -> Timestamp {
    Timestamp::from_second(instant.as_second() - instant.as_second().rem_euclid(60)).unwrap_or(instant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_holds_the_worst_of_each_hour_and_the_last() {
        let mut day = DayOfAges::empty("2026-11-22".parse().unwrap());
        let resource = ResourceId::rds("orders");
        let measured = [
            ("03:00:01", 100),
            ("03:04:00.5", 340),
            ("03:04:30", 339),
            ("03:05:59", 20),
            ("23:59:10", 299),
            ("23:59:20", 300),
            ("23:59:30", 300),
        ];
        for (at, age_seconds) in measured {
            day.note(&resource, age_seconds, format!("2026-11-22T{at}Z").parse().unwrap());
        }
        assert_eq!(
            serde_json::to_string(&day).unwrap(),
            r#"{"day":"2026-11-22","resources":{"rds/orders":{"last":{"age_seconds":300,"at":"2026-11-22T23:59:00Z"},"#.to_owned()
                + r#""worst":{"age_seconds":340,"at":"2026-11-22T03:04:00Z"},"hours":{"3":340,"23":300}}}}"#
        );
        assert_eq!(DayOfAges::name(day.day), "watch/ages/2026-11-22.json");
    }
}
