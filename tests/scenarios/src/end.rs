//! What a scenario leaves behind, without what differs from run to run: names, instants, ids.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use domain::{Engine, drill::PREFIX};
use http::Method;
use local_cloud::Cloud;
use serde_json::Value;

use crate::{
    Estate,
    alerting::{board, state_bucket},
    platform,
    sweep::KEPT,
};

/// What is there at the end.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    /// Region, state and slot of each manual snapshot, how many of each there are, and what it is a copy of.
    pub snapshots: BTreeMap<String, usize>,
    /// Region, name and state of each instance of the scenario.
    pub instances: BTreeMap<String, usize>,
    /// Region, name and state of each cache of the scenario, and of each manual snapshot of one.
    pub caches: BTreeMap<String, usize>,
    /// Name of each Turso database of the scenario.
    pub databases: Vec<String>,
    /// Region and name of each object of a recovery point in the vaults, without the point's own name.
    pub objects: BTreeMap<String, usize>,
    /// What the ledger says was completed, and how often.
    pub completed: BTreeMap<String, usize>,
    /// What the ledger says failed on the way, and why: it may end well all the same, so [`End::differences`] leaves it out.
    pub failed: Vec<String>,
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
            caches: BTreeMap::new(),
            databases: databases(estate.cloud, name).await?,
            objects: BTreeMap::new(),
            completed: BTreeMap::new(),
            failed: Vec::new(),
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
                if id.starts_with(name) {
                    // What was restored of a set bears the name twice.
                    let (id, status) =
                        (id.replace(name, "NAME"), instance.db_instance_status().unwrap_or_default());
                    *end.instances.entry(format!("{region} {id} {status}")).or_default() += 1;
                }
                if id.starts_with(PREFIX) {
                    *end.instances.entry(format!("{region} of a drill")).or_default() += 1;
                }
            }
        }
        end.look_at_caches(estate, name).await?;
        end.look_at_vaults(estate, name).await?;
        let names = [name, KEPT].into_iter();
        let of_it: Vec<_> =
            names.flat_map(|name| Engine::PROTECTED.map(|engine| format!("{engine}/{name}"))).collect();
        let ledger = estate.cloud.ledger().await?;
        let refused = refused_drills(&ledger);
        for entry in ledger {
            if refused.contains(&entry["subject"]) {
                continue;
            }
            if entry["outcome"] != "completed" {
                end.failed.push(format!("{}: {}", entry["kind"], entry["error"]));
            }
            if entry["outcome"] == "completed" && of_it.iter().any(|resource| entry["resource"] == *resource)
            {
                let line = format!("{} {}", entry["region"], entry["kind"]);
                *end.completed.entry(line).or_default() += 1;
            }
        }
        Ok(end)
    }

    async fn look_at_caches(&mut self, estate: &Estate<'_>, name: &str) -> Result<()> {
        for region in [estate.home(), estate.recovery()] {
            let elasticache = estate.elasticache(region);
            let groups = elasticache.describe_replication_groups().send().await?;
            for group in groups.replication_groups() {
                if let Some(rest) = group.replication_group_id().unwrap_or_default().strip_prefix(name) {
                    let line = format!("{region} NAME{rest} {}", group.status().unwrap_or_default());
                    *self.caches.entry(line).or_default() += 1;
                }
            }
            let snapshots = elasticache.describe_snapshots().snapshot_source("user").send().await?;
            for snapshot in snapshots.snapshots() {
                let line = format!("{region} snapshot {}", snapshot.snapshot_status().unwrap_or_default());
                *self.caches.entry(line).or_default() += 1;
            }
        }
        Ok(())
    }

    async fn look_at_vaults(&mut self, estate: &Estate<'_>, name: &str) -> Result<()> {
        let stack = estate.cloud.stack();
        let buckets = [
            ("vault", stack.vault_bucket()),
            ("recovery vault", stack.recovery_vault_bucket()),
            ("exports", stack.export_bucket()),
        ];
        for (what, bucket) in buckets {
            // One of everything may follow one of what answered.
            let plans = format!("retention/{}/plans/", estate.home());
            if !estate.cloud.object_keys(bucket, &plans).await?.is_empty() {
                self.objects.insert(format!("{what} retention/plans"), 1);
            }
            // A look that was repeated may have said it again.
            for key in estate.cloud.object_keys(bucket, "marks/").await? {
                let said = key.rsplit_once("Z-").map_or("", |(_, said)| said);
                self.objects.insert(format!("{what} mark {said}"), 1);
            }
            for key in estate.cloud.object_keys(bucket, "reports/").await? {
                let kind = key.rsplit('.').next().unwrap_or_default();
                *self.objects.entry(format!("{what} report {kind}")).or_default() += 1;
            }
            for prefix in ["redis/", "turso/", "restores/"] {
                for key in estate.cloud.object_keys(bucket, prefix).await? {
                    if key.contains(name) {
                        let last = key.rsplit('/').next().unwrap_or_default();
                        *self.objects.entry(format!("{what} {prefix}{last}")).or_default() += 1;
                    }
                }
            }
        }
        Ok(())
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
        ensure!(self.caches == calm.caches, "caches: {:?}, not {:?}", self.caches, calm.caches);
        ensure!(
            self.databases == calm.databases,
            "databases: {:?}, not {:?}",
            self.databases,
            calm.databases
        );
        ensure!(self.objects == calm.objects, "objects: {:?}, not {:?}", self.objects, calm.objects);
        ensure!(self.completed == calm.completed, "ledger: {:?}, not {:?}", self.completed, calm.completed);
        ensure!(self.findings == calm.findings, "findings: {:?}, not {:?}", self.findings, calm.findings);
        let (now, before) = (&self.conversations, &calm.conversations);
        ensure!(now == before, "open conversations: {now:?}, not {before:?}");
        Ok(())
    }
}

/// The drills that failed for what the sweep refused, or left something unchecked for it, and their restores: each was held again.
fn refused_drills(ledger: &[Value]) -> Vec<Value> {
    let refused = |entry: &&Value| {
        entry["kind"] == "drill-failed" && entry["outcome"]["failed"] == "AccessDenied"
            || entry["unchecked"].to_string().contains("AccessDenied")
    };
    let of_it = |entry: &Value| [entry["subject"].clone(), entry["restore_id"].clone()];
    ledger.iter().filter(refused).flat_map(of_it).filter(Value::is_string).collect()
}

/// All that functions find wrong, and send-alert could tell: of what it cannot do itself, its own alarms tell.
pub(crate) async fn boards(cloud: &Cloud) -> Result<Vec<Value>> {
    let bucket = state_bucket(cloud)?;
    let mut findings = Vec::new();
    for key in cloud.object_keys(bucket, "findings/").await? {
        if key.ends_with("/send-alert.json") {
            continue;
        }
        findings.extend(board(cloud, &key).await?);
    }
    Ok(findings)
}

async fn databases(cloud: &Cloud, name: &str) -> Result<Vec<String>> {
    let listed = platform(cloud, Method::GET, "databases", None).await?;
    let names = listed["databases"].as_array().into_iter().flatten().filter_map(|one| one["Name"].as_str());
    let mut names: Vec<String> =
        names.filter(|one| one.starts_with(name)).map(|one| one.replace(name, "NAME")).collect();
    names.sort();
    Ok(names)
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
