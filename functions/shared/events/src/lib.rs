//! Facts on EventBridge's bus, under the source `tidemark`. What is published and in what shape: `docs/ledger.md`.

use aws_sdk_eventbridge::{Client, primitives::DateTime, types::PutEventsRequestEntry};
use reconcile::{Entry, Error, Facts, Result, SdkConfig, aws_error};
use serde_json::json;

/// The bus to which facts go.
#[derive(Clone, Debug)]
pub struct Bus {
    client: Client,
    name: String,
}

/// The source of everything that Tidemark publishes.
pub const SOURCE: &str = "tidemark";

impl Bus {
    /// The bus of that name.
    pub fn new(config: &SdkConfig, name: String) -> Self {
        Self { client: Client::new(config), name }
    }
}

impl Facts for Bus {
    async fn publish(&self, entry: &Entry) -> Result<()> {
        let event = PutEventsRequestEntry::builder()
            .event_bus_name(&self.name)
            .source(SOURCE)
            .detail_type(entry.detail_type())
            .resources(entry.resource.to_string())
            .time(DateTime::from_millis(entry.at.as_millisecond()))
            .detail(json!(entry).to_string())
            .build();
        let doing = format!("publish {} to bus {}", entry.key(), self.name);
        let answer =
            self.client.put_events().entries(event).send().await.map_err(|error| aws_error(&doing, error))?;
        // PutEvents answers 200 even when it took nothing (API reference, FailedEntryCount).
        match answer.entries().iter().find_map(|entry| entry.error_code()) {
            None if answer.failed_entry_count() == 0 => Ok(()),
            code => {
                let code = code.unwrap_or("FactNotTaken");
                Err(Error::retryable(code, format!("cannot {doing}: {code}")))
            }
        }
    }
}
