//! Which report is due, and what it is called: a name is a function of when it was due, so that it is made once.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp, ToSpan, civil::Date, tz::TimeZone};
use report::Occasion;
use vault::Object;

/// Below which reports are, in the vault.
pub(crate) const REPORTS: &str = "reports/";

/// How long after midnight (UTC) a day's report is due.
const DUE: SignedDuration = SignedDuration::from_mins(390);

/// So long after it was due a report is still made, if its time was missed.
const CAUGHT_UP: SignedDuration = SignedDuration::from_hours(72);

/// A report's name: `2026-11-23-weekly`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(String);

impl Name {
    fn new(day: Date, occasion: Occasion) -> Self {
        Self(format!("{day}-{}", occasion.as_str()))
    }

    /// The name.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The key of the page.
    pub(crate) fn page(&self) -> String {
        format!("{REPORTS}{}.html", self.0)
    }

    /// The key of the JSON, which is written first.
    pub(crate) fn json(&self) -> String {
        format!("{REPORTS}{}.json", self.0)
    }

    /// Whether a person asked for it.
    pub(crate) fn is_on_demand(&self) -> bool {
        self.0.get(10..).is_some_and(|rest| rest.starts_with("-on-demand"))
    }

    /// The day in it.
    pub(crate) fn day(&self) -> Option<Date> {
        self.0.get(..10)?.parse().ok()
    }
}

/// What is there of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct There {
    /// Since when its JSON is there.
    pub(crate) json: Option<Timestamp>,
    /// Since when its page is.
    pub(crate) page: Option<Timestamp>,
}

/// The reports that there are, by name.
pub(crate) type Reports = BTreeMap<Name, There>;

/// Reads a list of the vault.
pub(crate) fn reports(objects: &[Object]) -> Reports {
    let mut reports = Reports::new();
    for object in objects {
        let Some((name, kind)) = object.key.strip_prefix(REPORTS).and_then(|key| key.rsplit_once('.')) else {
            continue;
        };
        let name = Name(name.to_owned());
        if name.day().is_none() {
            continue;
        }
        let there = reports.entry(name).or_default();
        match kind {
            "json" => there.json = Some(object.modified),
            "html" => there.page = Some(object.modified),
            _ => {}
        }
    }
    reports
}

/// What is due and not there: the last Monday's, and that of the last first of a month.
pub(crate) fn due(reports: &Reports, now: Timestamp) -> Vec<(Name, Occasion)> {
    let today = (now - DUE).to_zoned(TimeZone::UTC).date();
    let monday =
        today.checked_sub(i64::from(today.weekday().to_monday_zero_offset()).days()).unwrap_or(today);
    let due = [(monday, Occasion::Weekly), (today.first_of_month(), Occasion::Monthly)];
    due.into_iter()
        .filter(|(day, _)| {
            let since = day.to_zoned(TimeZone::UTC).map(|midnight| midnight.timestamp() + DUE);
            since.is_ok_and(|since| now.duration_since(since) < CAUGHT_UP)
        })
        .map(|(day, occasion)| (Name::new(day, occasion), occasion))
        .filter(|(name, _)| !reports.contains_key(name))
        .collect()
}

/// What a person's report is called: the second one of a day has the time in its name.
pub(crate) fn on_demand(reports: &Reports, now: Timestamp) -> Name {
    let name = Name::new(now.to_zoned(TimeZone::UTC).date(), Occasion::OnDemand);
    if reports.contains_key(&name) {
        return Name(format!("{}-{}", name.0, now.strftime("%H%M%S%.3fZ")));
    }
    name
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn names(now: &str) -> Vec<String> {
        due(&Reports::new(), now.parse().unwrap()).into_iter().map(|(name, _)| name.0).collect()
    }

    #[rstest]
    #[case::just_before("2026-11-23T06:29:59Z", &[])]
    #[case::on_monday("2026-11-23T06:30:00Z", &["2026-11-23-weekly"])]
    #[case::caught_up("2026-11-26T06:29:59Z", &["2026-11-23-weekly"])]
    #[case::too_late("2026-11-26T06:30:00Z", &[])]
    #[case::on_the_first("2026-12-01T06:30:00Z", &["2026-11-30-weekly", "2026-12-01-monthly"])]
    #[case::before_it("2026-12-01T06:00:00Z", &["2026-11-30-weekly"])]
    #[case::both_at_once("2027-02-01T07:00:00Z", &["2027-02-01-weekly", "2027-02-01-monthly"])]
    fn when(#[case] now: &str, #[case] expected: &[&str]) {
        assert_eq!(names(now), expected);
    }

    #[test]
    fn a_list_is_read_and_what_is_no_report_is_left() {
        let object = |key: &str| Object {
            key: key.to_owned(),
            bytes: 1,
            etag: String::new(),
            modified: Timestamp::UNIX_EPOCH,
        };
        let keys = [
            "reports/2026-11-23-weekly.json",
            "reports/2026-11-23-weekly.html",
            "reports/x.html",
            "reports/",
            "other",
        ];
        let reports = reports(&keys.map(object));
        let there = There { json: Some(Timestamp::UNIX_EPOCH), page: Some(Timestamp::UNIX_EPOCH) };
        assert_eq!(reports, [(Name("2026-11-23-weekly".to_owned()), there)].into());
        let now = "2026-11-23T07:15:03.25Z".parse().unwrap();
        assert!(due(&reports, now).is_empty());
        let first = on_demand(&reports, now);
        assert_eq!(first.0, "2026-11-23-on-demand");
        let second = on_demand(&[(first, there)].into(), now);
        assert_eq!(second.page(), "reports/2026-11-23-on-demand-071503.250Z.html");
        assert_eq!(second.day(), Some("2026-11-23".parse().unwrap()));
    }
}
