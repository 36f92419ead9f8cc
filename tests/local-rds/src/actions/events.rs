//! `DescribeEvents`.

use aws_query::{Element, Fault, Page, time};
use jiff::SignedDuration;

use super::{Answer, PAGING, Request};
use crate::events::Record;

/// The sources that the API knows; we have events of the first two.
const SOURCES: [&str; 11] = [
    "db-instance",
    "db-snapshot",
    "db-parameter-group",
    "db-security-group",
    "db-cluster",
    "db-cluster-snapshot",
    "custom-engine-version",
    "db-proxy",
    "blue-green-deployment",
    "db-shard-group",
    "zero-etl",
];

pub(super) fn describe(request: &Request) -> Answer {
    let parameters = &request.parameters;
    let page = Page::of(parameters, PAGING)?;
    let now = request.plane.clock.now();
    let kind = parameters.get("SourceType");
    if let Some(kind) = kind
        && !SOURCES.contains(&kind)
    {
        return Err(Fault::invalid_value(format!("Invalid source type: {kind}")));
    }
    let identifier = parameters.get("SourceIdentifier");
    if identifier.is_some() && kind.is_none() {
        return Err(Fault::invalid_combination("SourceType must be specified with SourceIdentifier."));
    }
    let (start, end) = (parameters.time("StartTime")?, parameters.time("EndTime")?);
    // 60 minutes unless told; no longer than the 14 days that AWS keeps events.
    let duration = parameters.integer("Duration")?;
    if (start.is_some() || end.is_some()) && duration.is_some() {
        return Err(Fault::invalid_combination("Duration cannot be specified with StartTime or EndTime."));
    }
    let minutes = i64::from(duration.unwrap_or(60)).min(14 * 24 * 60);
    let end = end.unwrap_or(now);
    let start = start.unwrap_or(end - SignedDuration::from_mins(minutes));
    let categories = parameters.strings("EventCategories");
    request.plane.region(&request.region, |region| {
        let matching = region.events.iter().filter(|record| {
            kind.is_none_or(|kind| kind == record.source.text())
                && identifier.is_none_or(|id| id.eq_ignore_ascii_case(&record.identifier))
                && (categories.is_empty() || categories.iter().any(|category| category == record.category))
                && start <= record.time
                && record.time <= end
        });
        // Keys of one length, so that their order as text is that of the numbers.
        let keyed: Vec<_> = matching.map(|record| (format!("{:020}", record.number), record)).collect();
        let items = keyed.iter().map(|(key, record)| (key.as_str(), *record));
        let result = Element::new("DescribeEventsResult");
        Ok(page.element(result, "Events", items, document))
    })
}

fn document(record: &Record) -> Element {
    Element::new("Event")
        .text("SourceIdentifier", &record.identifier)
        .text("SourceType", record.source.text())
        .text("SourceArn", &record.arn)
        .text("Message", &record.message)
        .text("Date", time(record.time))
        .list("EventCategories", [Element::of("EventCategory", record.category)])
}
