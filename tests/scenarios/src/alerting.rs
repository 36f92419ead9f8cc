//! What scenarios about alerts have in common: a memory to begin with, inboxes, and what a message says.

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp, ToSpan, tz::TimeZone};
use local_cloud::{Cloud, Inbox, Received};
use serde_json::{Value, json};

use crate::Estate;

/// A message of send-alert, as a subscriber's program reads it.
#[derive(Clone, Debug)]
pub struct Alert {
    /// The message as it was delivered.
    pub received: Received,
    /// Its JSON form.
    pub body: Value,
}

impl Alert {
    /// `opened`, `updated`, `reminder`, `cleared` or `digest`.
    pub fn event(&self) -> &str {
        self.body["event"].as_str().unwrap_or_default()
    }

    /// What names the message.
    pub fn id(&self) -> &str {
        self.body["id"].as_str().unwrap_or_default()
    }

    /// The kinds that it is about.
    pub fn kinds(&self) -> Vec<&str> {
        self.body["kinds"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    }
}

/// Reads messages of send-alert.
pub fn alerts(messages: &[Received]) -> Result<Vec<Alert>> {
    let alert = |received: &Received| {
        let body = serde_json::from_str(&received.body);
        let body = body.with_context(|| format!("no JSON: {:?}", received.body))?;
        Ok(Alert { received: received.clone(), body })
    };
    messages.iter().map(alert).collect()
}

/// The state bucket, in which functions remember.
pub(crate) fn state_bucket(cloud: &Cloud) -> Result<&str> {
    cloud.stack().vault.get("StateBucketName").map(String::as_str).context("no output StateBucketName")
}

/// The findings on the board of that key.
pub(crate) async fn board(cloud: &Cloud, key: &str) -> Result<Vec<Value>> {
    let mut board: Value = serde_json::from_slice(&cloud.object(state_bucket(cloud)?, key).await?)?;
    Ok(board["findings"].as_array_mut().map(std::mem::take).unwrap_or_default())
}

impl Estate<'_> {
    /// What functions remember is forgotten: open alerts, findings, who is watched since when.
    pub async fn forget(&self) -> Result<()> {
        Ok(self.cloud.empty_bucket(state_bucket(self.cloud)?).await?)
    }

    /// What a function finds wrong now.
    pub async fn findings(&self, function: &str) -> Result<Vec<Value>> {
        let (bucket, key) = (state_bucket(self.cloud)?, format!("findings/{function}.json"));
        if self.cloud.object_keys(bucket, &key).await?.is_empty() {
            return Ok(Vec::new());
        }
        board(self.cloud, &key).await
    }

    /// watch-rpo has seen these instances protected for weeks.
    pub async fn remember_watched(&self, names: &[&str]) -> Result<()> {
        let resources: Vec<String> = names.iter().map(|name| format!("rds/{name}")).collect();
        let since = Timestamp::now() - SignedDuration::from_hours(24 * 28);
        self.remember_watched_since(&resources, since).await
    }

    /// watch-rpo has seen these resources protected since then.
    pub async fn remember_watched_since(&self, resources: &[String], since: Timestamp) -> Result<()> {
        let resource = |name: &String| (name.clone(), json!({"seen_since": since, "worst": null}));
        let resources: serde_json::Map<String, Value> = resources.iter().map(resource).collect();
        let month = Timestamp::now().strftime("%Y-%m").to_string();
        let memory = json!({"month": month, "resources": resources});
        let bucket = state_bucket(self.cloud)?;
        Ok(self.cloud.put_object(bucket, &format!("watch/{month}.json"), memory.to_string()).await?)
    }

    /// So that publish-report finds no report due, on whatever day that is.
    pub async fn no_report_is_due(&self) -> Result<()> {
        let due = (Timestamp::now() - SignedDuration::from_mins(390)).to_zoned(TimeZone::UTC).date();
        let monday = due.checked_sub(i64::from(due.weekday().to_monday_zero_offset()).days())?;
        for name in [format!("{monday}-weekly"), format!("{}-monthly", due.first_of_month())] {
            let key = format!("reports/{name}.html");
            self.cloud.put_object(self.cloud.stack().vault_bucket(), &key, "<!DOCTYPE html>").await?;
        }
        Ok(())
    }

    /// A subscriber of the alerts.
    pub async fn subscribe(&self, filter: Value) -> Result<Inbox> {
        self.inbox("AlertsTopicArn", Some(filter)).await
    }

    /// A subscriber of what CloudWatch says without us.
    pub async fn subscribe_to_watch(&self) -> Result<Inbox> {
        self.inbox("WatchTopicArn", None).await
    }

    async fn inbox(&self, output: &str, filter: Option<Value>) -> Result<Inbox> {
        let topic = self.cloud.stack().outputs.get(output).with_context(|| format!("no output {output}"))?;
        Ok(self.cloud.inbox(topic, filter).await?)
    }

    /// A subscriber of all that is said of one database.
    pub async fn subscribe_to(&self, name: &str) -> Result<Inbox> {
        self.subscribe(json!({"resource": [format!("rds/{name}")]})).await
    }
}
