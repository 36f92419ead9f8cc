//! What functions remember from tick to tick, for scenarios in which weeks pass.

use anyhow::{Context, Result, bail};
use jiff::{SignedDuration, Timestamp};
use reconcile::Documents;
use serde_json::{Value, json};
use state::StateBucket;

use crate::{Estate, alerting::state_bucket};

/// How often a change is tried, while functions write the same document.
const TRIES: usize = 20;

impl Estate<'_> {
    /// Changes a document of the state bucket as functions do: on condition that nobody else has meanwhile.
    pub async fn change_document(&self, name: &str, change: impl Fn(&mut Value)) -> Result<()> {
        let bucket = state_bucket(self.cloud)?.to_owned();
        let documents = StateBucket::new(&self.cloud.config(self.home()), bucket);
        for _ in 0..TRIES {
            let document = documents.read(name).await?;
            let mut value = match &document {
                Some(document) => serde_json::from_str(&document.text)?,
                None => json!({}),
            };
            change(&mut value);
            let version = document.as_ref().map(|document| document.version.as_str());
            if documents.write(name, &value.to_string(), version).await?.is_some() {
                return Ok(());
            }
        }
        bail!("others change {name} all the time");
    }

    /// Something is left over of `resource` for so much longer than `function` has seen it.
    pub async fn age_left_over(&self, function: &str, resource: &str, by: SignedDuration) -> Result<()> {
        let name = format!("left-over/{function}.json");
        let prefix = format!("{resource}/");
        let bucket = state_bucket(self.cloud)?;
        let text = self.cloud.object(bucket, &name).await?;
        let seen: Value = serde_json::from_slice(&text)?;
        let of_it = |key: &String| key.starts_with(&prefix);
        let key = seen.as_object().and_then(|seen| seen.keys().find(|key| of_it(key))).cloned();
        let key =
            key.with_context(|| format!("{function} has not seen that anything of {resource} is left over"))?;
        self.change_document(&name, |seen| {
            if let Some(since) = seen[&key].as_str().and_then(|since| since.parse::<Timestamp>().ok()) {
                seen[&key] = json!(since - by);
            }
        })
        .await
    }
}
