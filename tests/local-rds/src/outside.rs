//! What the control plane needs from the rest of the local cloud besides keys and the process guard: an event bus.

use aws_query::Alone;
use jiff::Timestamp;

/// An `EventBridge` event, without the fields that the bus adds (id, version, account, region).
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Always `aws.rds`.
    pub source: &'static str,
    /// Such as `RDS DB Instance Event`.
    pub detail_type: &'static str,
    /// When it happened.
    pub time: Timestamp,
    /// The ARNs of what it happened to.
    pub resources: Vec<String>,
    /// `EventCategories`, `SourceType`, `SourceArn`, `Date`, `Message`, `SourceIdentifier`, `EventID`.
    pub detail: serde_json::Value,
}

/// Where lifecycle events go.
pub trait EventSink: Send + Sync {
    /// Hands one event over. Must not block: queue it.
    fn emit(&self, region: &str, event: Event);
}

impl EventSink for Alone {
    fn emit(&self, _region: &str, _event: Event) {}
}
