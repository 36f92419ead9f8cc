//! How old recovery points were, day by day: `watch/ages/2026-11-22.json`, for reports.
//!
//! Written in each minute in which something was measured. Losing one costs a day's line in a chart.

use domain::DayOfAges;
use jiff::{Timestamp, tz::TimeZone};
use reconcile::{Documents, Error, Result};

/// The day's document as a pass found it.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// What it is called.
    pub(crate) name: String,
    /// Its version, which the next one replaces.
    pub(crate) version: Option<String>,
    /// What stands in it; one that cannot be read is replaced.
    pub(crate) ages: DayOfAges,
}

pub(crate) async fn read(documents: &impl Documents, now: Timestamp) -> Result<Found> {
    let day = now.to_zoned(TimeZone::UTC).date();
    let name = DayOfAges::name(day);
    let document = documents.read(&name).await?;
    let stored = document.as_ref().and_then(|document| {
        serde_json::from_str::<DayOfAges>(&document.text)
            .inspect_err(|error| tracing::warn!("document {name} cannot be read and is replaced: {error}"))
            .ok()
    });
    // One of another day was put there by somebody else.
    let ages = stored.filter(|stored| stored.day == day).unwrap_or_else(|| DayOfAges::empty(day));
    Ok(Found { name, version: document.map(|document| document.version), ages })
}

pub(crate) fn to_text(ages: &DayOfAges) -> Result<String> {
    serde_json::to_string(ages).map_err(|error| Error::permanent("MemoryUnwritable", error.to_string()))
}
