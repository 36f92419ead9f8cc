//! What scenarios about drills have in common: what is remembered of them, what they made, and how they go on.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use aws_sdk_rds::types::DbInstance;
use domain::{drill::PREFIX, tag};
use jiff::Timestamp;
use local_cloud::CallFilter;
use serde_json::{Value, json};

use crate::{Estate, alerting::state_bucket, poll, sweep::Case};

impl Estate<'_> {
    /// Makes the extension `amcheck` in the databases of an instance, as docs/deploying.md says.
    pub async fn make_checkable(&self, name: &str) -> Result<()> {
        let make = "CREATE SCHEMA amcheck; CREATE EXTENSION amcheck SCHEMA amcheck;
             GRANT USAGE ON SCHEMA amcheck TO tidemark;
             GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA amcheck TO tidemark";
        for database in ["postgres", "shop"] {
            self.cloud.rds().run_as_superuser(self.home(), name, database, make).await?;
        }
        Ok(())
    }

    /// Has the PITR window of an instance begin now: what is in it is there at every second that a drill may draw.
    pub async fn begin_window(&self, name: &str) -> Result<()> {
        let rds = self.rds(self.home());
        for days in [0, 7] {
            let modify = rds.modify_db_instance().db_instance_identifier(name).backup_retention_period(days);
            modify.apply_immediately(true).send().await?;
            self.wait_available(self.home(), name).await?;
        }
        self.wait_restorable(name, Timestamp::now()).await.map(drop)
    }

    /// What is remembered of the drills of a resource; `Null` before the first.
    pub async fn drills(&self, resource: &str) -> Result<Value> {
        let (bucket, key) = (state_bucket(self.cloud)?, format!("drills/{resource}.json"));
        if self.cloud.object_keys(bucket, &key).await?.is_empty() {
            return Ok(Value::Null);
        }
        Ok(serde_json::from_slice(&self.cloud.object(bucket, &key).await?)?)
    }

    /// The instances that drills of a resource made, each with its Region.
    pub async fn drilled(&self, resource: &str) -> Result<Vec<(&str, DbInstance)>> {
        let mut drilled = Vec::new();
        for region in [self.home(), self.recovery()] {
            let instances = self.rds(region).describe_db_instances().send().await?;
            let of_it = instances.db_instances.unwrap_or_default().into_iter().filter(|instance| {
                let is_drills = instance.db_instance_identifier().unwrap_or_default().starts_with(PREFIX);
                let is = |one: &aws_sdk_rds::types::Tag| {
                    one.key() == Some(tag::RESOURCE) && one.value() == Some(resource)
                };
                is_drills && instance.tag_list().iter().any(is)
            });
            drilled.extend(of_it.map(|instance| (region, instance)));
        }
        Ok(drilled)
    }

    /// Waits until of what drills of a resource made nothing is being made or deleted.
    pub async fn wait_for_drilled(&self, resource: &str) -> Result<()> {
        poll("what a drill made being available, or gone", async || {
            let drilled = self.drilled(resource).await?;
            let is_calm = |(_, one): &(&str, DbInstance)| one.db_instance_status() == Some("available");
            Ok(drilled.iter().all(is_calm).then_some(()))
        })
        .await
    }

    /// Lets the ticks go on with a drill until it is over; what stays of it.
    pub async fn follow_drill(&self, resource: &str) -> Result<Value> {
        poll(&format!("the end of a drill of {resource}"), async || {
            self.cloud.fire_schedule("restore-database-tick").await?;
            self.cloud.fire_schedule("run-drill-tick").await?;
            let mut drills = self.drills(resource).await?;
            let past = drills["past"].as_array_mut().and_then(Vec::pop);
            Ok(past.filter(|_| drills["under_way"].is_null()))
        })
        .await
    }
}

/// How long a drill may take in a case of a sweep.
const PATIENCE: Duration = Duration::from_mins(1);

impl Case<'_> {
    /// Holds a drill of a resource, as a person asks for it, to its end. What the sweep refuses may fail it, or leave something
    /// unchecked, which says nothing of the backup: then it is held again.
    ///
    /// Whatever breaks: of each drill there is one verdict and never more than one instance, and nothing else is deleted.
    pub async fn drill(&self, resource: &str) -> Result<()> {
        let mut held = 0;
        loop {
            self.insist("run-drill", &json!({"drill": resource})).await?;
            held += 1;
            let past = self.until_drilled(resource, held).await?;
            self.settle().await?;
            if past["verdict"]["is"] == "passed" && past["unchecked"].is_null() {
                return self.made_one_each(resource, held).await;
            }
            let is_refused = past["verdict"]["code"] == "AccessDenied"
                || past["unchecked"].to_string().contains("AccessDenied");
            ensure!(is_refused && held == 1, "drill {held} failed: {past}");
        }
    }

    /// Lets restore-database and run-drill go on, each as far as it goes, until so many drills are over; what stays of the last.
    async fn until_drilled(&self, resource: &str, count: usize) -> Result<Value> {
        let (begun, tick) = (Instant::now(), json!({"wake": "tick"}));
        loop {
            // So that an undisturbed drill takes the same ticks each time.
            self.estate.wait_for_drilled(resource).await?;
            self.work_off("restore-database").await?;
            self.ask("run-drill", &tick).await?;
            self.ask("send-alert", &tick).await?;
            let drills = self.estate.drills(resource).await?;
            let past = drills["past"].as_array().map_or(&[][..], Vec::as_slice);
            if let (true, Some(last)) = (past.len() == count && drills["under_way"].is_null(), past.last()) {
                return Ok(last.clone());
            }
            ensure!(begun.elapsed() < PATIENCE, "the drill is not over: {drills}");
        }
    }

    async fn made_one_each(&self, resource: &str, held: usize) -> Result<()> {
        let cloud = self.estate.cloud;
        let done = |function: &str, verb: &str| {
            let calls = cloud.calls(&CallFilter::all().service("rds").function(function));
            let done =
                calls.into_iter().filter(|call| call.action.starts_with(verb) && call.error_code.is_none());
            done.map(|call| call.resource.unwrap_or_default()).collect::<Vec<_>>()
        };
        let made = done("restore-database", "Restore");
        let mut names = made.clone();
        names.sort();
        names.dedup();
        ensure!(names.len() == held && made.len() == held, "{held} drills made {made:?}");
        let deleted = done("run-drill", "Delete");
        ensure!(
            deleted.iter().all(|name| names.contains(name)),
            "{deleted:?} were deleted, {names:?} are drills'"
        );
        let verdicts = cloud
            .ledger()
            .await?
            .into_iter()
            .filter(|entry| ["drill-passed", "drill-failed"].iter().any(|kind| entry["kind"] == *kind));
        let subjects: Vec<Value> = verdicts.map(|entry| entry["subject"].clone()).collect();
        ensure!(subjects.len() == held, "{held} drills have the verdicts of {subjects:?}");
        if !self.estate.drilled(resource).await?.is_empty() {
            bail!("something is left of {resource}'s drills");
        }
        Ok(())
    }
}
