//! What a scenario leaves behind, without what differs from run to run: names, instants, ids.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use local_cloud::Cloud;
use serde_json::Value;

use crate::{Estate, alerting::state_bucket};

/// What is there at the end.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    /// Region, state and slot of each manual snapshot, how many of each there are, and what it is a copy of.
    pub snapshots: BTreeMap<String, usize>,
    /// Region, name and state of each instance of the scenario.
    pub instances: BTreeMap<String, usize>,
    /// What the ledger says was completed, and how often.
    pub completed: BTreeMap<String, usize>,
    /// What is still wrong.
    pub findings: Vec<Value>,
    /// Resources whose conversation is open, and the state that it is in.
    pub conversations: Vec<String>,
}

impl End {
    /// Looks at everything.
    pub async fn look(estate: &Estate<'_>, name: &str) -> Result<Self> {
        let mut end = Self {
            snapshots: BTreeMap::new(),
            instances: BTreeMap::new(),
            completed: BTreeMap::new(),
            findings: boards(estate.cloud).await?.iter().map(|finding| plain(finding, name)).collect(),
            conversations: conversations(estate.cloud, name).await?,
        };
        for region in [estate.home(), estate.recovery()] {
            let rds = estate.rds(region);
            let snapshots = rds.describe_db_snapshots().snapshot_type("manual").send().await?;
            for snapshot in snapshots.db_snapshots() {
                let slot = snapshot.tag_list().iter().find(|tag| tag.key() == Some("tidemark:slot"));
                let line = format!(
                    "{region} {} slot {} copy {}",
                    snapshot.status().unwrap_or_default(),
                    slot.and_then(|slot| slot.value()).unwrap_or("none"),
                    snapshot.source_db_snapshot_identifier().is_some()
                );
                *end.snapshots.entry(line).or_default() += 1;
            }
            let instances = rds.describe_db_instances().send().await?;
            for instance in instances.db_instances() {
                let id = instance.db_instance_identifier().unwrap_or_default();
                if let Some(rest) = id.strip_prefix(name) {
                    let status = instance.db_instance_status().unwrap_or_default();
                    *end.instances.entry(format!("{region} NAME{rest} {status}")).or_default() += 1;
                }
            }
        }
        for entry in estate.cloud.ledger().await? {
            if entry["outcome"] == "completed" && entry["resource"] == format!("rds/{name}") {
                let line = format!("{} {}", entry["region"], entry["kind"]);
                *end.completed.entry(line).or_default() += 1;
            }
        }
        Ok(end)
    }

    /// Fails for whatever is not as in `calm`.
    pub fn differences(&self, calm: &Self) -> Result<()> {
        ensure!(
            self.snapshots == calm.snapshots,
            "snapshots: {:?}, not {:?}",
            self.snapshots,
            calm.snapshots
        );
        ensure!(
            self.instances == calm.instances,
            "instances: {:?}, not {:?}",
            self.instances,
            calm.instances
        );
        ensure!(self.completed == calm.completed, "ledger: {:?}, not {:?}", self.completed, calm.completed);
        ensure!(self.findings == calm.findings, "findings: {:?}, not {:?}", self.findings, calm.findings);
        let (now, before) = (&self.conversations, &calm.conversations);
        ensure!(now == before, "open conversations: {now:?}, not {before:?}");
        Ok(())
    }
}

/// All that functions find wrong, and send-alert could tell: of what it cannot do itself, its own alarms tell.
pub(crate) async fn boards(cloud: &Cloud) -> Result<Vec<Value>> {
    let bucket = state_bucket(cloud)?;
    let mut findings = Vec::new();
    for key in cloud.object_keys(bucket, "findings/").await? {
        if key.ends_with("/send-alert.json") {
            continue;
        }
        let board: Value = serde_json::from_slice(&cloud.object(bucket, &key).await?)?;
        findings.extend(board["findings"].as_array().into_iter().flatten().cloned());
    }
    Ok(findings)
}

/// What a finding is, apart from its words and instants.
fn plain(finding: &Value, name: &str) -> Value {
    let mut plain = finding.clone();
    if let Some(plain) = plain.as_object_mut() {
        plain.retain(|key, _| ["resource", "kind", "code", "severity", "plan"].contains(&key.as_str()));
        let resource =
            plain.get("resource").and_then(Value::as_str).unwrap_or_default().replace(name, "NAME");
        plain.insert("resource".to_owned(), resource.into());
    }
    plain
}

async fn conversations(cloud: &Cloud, name: &str) -> Result<Vec<String>> {
    let bucket = state_bucket(cloud)?;
    let keys = cloud.object_keys(bucket, "alerts/open.json").await?;
    let Some(key) = keys.first() else { return Ok(Vec::new()) };
    let open: Value = serde_json::from_slice(&cloud.object(bucket, key).await?)?;
    let conversations = open["conversations"].as_object();
    let line = |(resource, conversation): (&String, &Value)| {
        format!("{} pending {}", resource.replace(name, "NAME"), conversation["pending"])
    };
    let mut lines: Vec<String> = conversations.into_iter().flatten().map(line).collect();
    if !open["lease"].is_null() {
        lines.push("somebody still publishes".to_owned());
    }
    Ok(lines)
}
