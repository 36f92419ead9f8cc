use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan, tz::TimeZone};
use serde::Deserialize;

use crate::ResourceId;

/// What watch-rpo remembers, from month to month: the part of `watch/<month>.json` that others read (`docs/alerts.md`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct WatchedMonth {
    /// Of each resource.
    #[serde(default)]
    pub resources: BTreeMap<ResourceId, Watched>,
}

/// What watch-rpo remembers of a resource.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Watched {
    /// Since when it is seen protected; `None` once it is expected no more.
    pub seen_since: Option<Timestamp>,
    /// By which plan.
    #[serde(default)]
    pub plan: Option<String>,
}

impl WatchedMonth {
    /// What the document is called: that of this month, or, where this one has none yet, that of the one before.
    pub fn names(now: Timestamp) -> [String; 2] {
        let today = now.to_zoned(TimeZone::UTC).date();
        [today, today.first_of_month().saturating_sub(1.day())]
            .map(|month| format!("watch/{}.json", month.strftime("%Y-%m")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_read_for_what_others_need() {
        let now = "2027-01-01T00:00:30Z".parse().unwrap();
        assert_eq!(WatchedMonth::names(now), ["watch/2027-01.json", "watch/2026-12.json"]);
        let text = r#"{"month": "2026-12", "look_minutes": 1, "resources": {
            "rds/orders": {"seen_since": "2026-11-01T12:00:00Z", "plan": "default", "worst": null},
            "rds/gone": {"seen_since": null, "worst": null}}}"#;
        let month: WatchedMonth = serde_json::from_str(text).unwrap();
        let orders = &month.resources[&ResourceId::rds("orders")];
        assert_eq!((orders.seen_since.is_some(), orders.plan.as_deref()), (true, Some("default")));
        assert_eq!(month.resources[&ResourceId::rds("gone")].seen_since, None);
    }
}
