//! RDS: snapshots and their copies, and beside them automated backups, from which a restore reaches any second.

mod observe;
mod says;

use std::collections::HashMap;

use domain::{Engine, Finding, PlanDocument, RecoveryPointId, tag};
use jiff::Timestamp;
use rds::Instance;

pub(crate) use self::observe::look;
use crate::{
    engines::{Activity, GivenUp, Key, Lost, Parts, Protected, Under},
    point::Point,
    watched::{Newest, Watched},
};

/// Up to when each instance's automated backups, replicated to the recovery Region, reach there; by `DbiResourceId`.
pub(crate) type Replicas = HashMap<String, Timestamp>;

impl Protected for Instance {
    const ENGINE: Engine = Engine::Rds;
    const THING: &'static str = "instance";
    const STATE: &'static str = "restorable second";
    const PARTS: Parts = Parts { resources: "instances", points: "snapshots", copies: "copies" };
    const PAGE: usize = 100;
    type Beside = Replicas;

    fn name(&self) -> &str {
        &self.id
    }

    fn incarnation(&self) -> &str {
        &self.incarnation
    }

    /// By its tag. One of another engine, or with an unknown plan, is refused by backup-rds.
    fn under<'p>(&self, plans: &'p PlanDocument) -> Under<'p> {
        let Some(name) = tag::plan(&self.tags) else { return Under::Nothing };
        plans.get(name).filter(|_| self.engine == "postgres").map_or(Under::Refused, Under::Plan)
    }

    fn activity(&self) -> Activity {
        match self.status.as_str() {
            "stopped" | "stopping" => Activity::Idle,
            "starting" => Activity::Waking,
            _ => Activity::Running,
        }
    }

    fn continuous(&self) -> Option<Newest> {
        let reaches = || self.latest_restorable.map_or(Newest::Nothing, Newest::At);
        has_automated_backups(self).then(reaches)
    }

    fn key(&self) -> Key<'_> {
        key(&self.incarnation, &self.id)
    }

    fn key_of(point: &Point) -> Key<'_> {
        key(&point.incarnation, &point.resource)
    }

    /// AWS does not promise that a copy keeps `DbiResourceId`, which "is unique to an AWS Region"; its name, which says
    /// the same, is ours.
    fn is_named_for(&self, copy: &Point) -> bool {
        let name = RecoveryPointId::new(&copy.resource, &self.incarnation, copy.slot, 1);
        copy.id.strip_prefix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    }

    fn own_findings(
        watched: &Watched<'_, Self>,
        beside: Option<&Replicas>,
        region: &str,
        now: Timestamp,
    ) -> Vec<Finding> {
        let mut found = Vec::new();
        let wanted = watched.plan.automated_backup_days();
        if !has_automated_backups(watched.of) {
            found.push(says::automated_backups_off(watched, wanted, now));
        } else if watched.of.retention_days < wanted {
            found.push(says::retention_too_short(watched, wanted, now));
        }
        if is_unhealthy(&watched.of.status) {
            found.push(says::unhealthy(watched, now));
        }
        found.extend(replication_behind(watched, beside, region, now));
        found
    }

    fn next_for_rpo(&self) -> String {
        says::next_for_rpo(self)
    }

    fn next_for_slot(&self) -> String {
        "See what backup-rds found and logged, and whether it runs at all; invoke it with {\"wake\": \"slot\"}: it takes the snapshot \
         of the current slot, or says why it cannot."
            .to_owned()
    }

    fn failed(&self, point: &Point) -> GivenUp {
        says::failed(self, point)
    }

    fn copy_failed(&self, copy: &Point, region: &str) -> GivenUp {
        says::copy_failed(copy, region)
    }

    fn next_for_copy(&self, _point: &Point, region: &str) -> String {
        says::next_for_copy(region)
    }

    fn next_for_slow_copy(&self, _point: &Point, region: &str) -> String {
        says::next_for_slow_copy(region)
    }

    fn next_for_shrunk(&self) -> &'static str {
        "See whether the database was moved to a smaller one on purpose; then this ends as the next recovery points come."
    }

    fn measures(point: &Point) -> String {
        format!("was taken of {} of storage", Self::size(point.bytes))
    }

    fn size(bytes: u64) -> String {
        format!("{} GiB", bytes / GIB)
    }

    fn lost(name: &str, there: Option<&Self>, plan: Option<&str>) -> Lost {
        says::lost(name, there, plan)
    }
}

const GIB: u64 = 1 << 30;

/// `DbiResourceId`; where RDS does not tell it, the name as well, so that the nameless are not taken for one another.
fn key<'k>(incarnation: &'k str, name: &'k str) -> Key<'k> {
    (incarnation, if incarnation.is_empty() { name } else { "" })
}

fn has_automated_backups(instance: &Instance) -> bool {
    instance.retention_days > 0
}

/// Whether RDS neither backs the instance up nor mends it by itself in its state (User Guide, "Viewing DB instance
/// status").
fn is_unhealthy(status: &str) -> bool {
    matches!(status, "failed" | "restore-error" | "storage-full" | "insufficient-capacity")
        || status.starts_with("incompatible-")
        || status.starts_with("inaccessible-encryption-credentials")
}

fn replication_behind(
    watched: &Watched<'_, Instance>,
    replicas: Option<&Replicas>,
    region: &str,
    now: Timestamp,
) -> Option<Finding> {
    let latest = *replicas?.get(&watched.of.incarnation)?;
    let behind = watched.exposed(latest, now);
    let late = !watched.is_idle() && behind > watched.plan.objectives.replica_rpo;
    let finding = late.then(|| says::replication_behind(watched, latest, behind, region))?;
    // RDS's clock may be a little ahead of this one.
    Some(Finding { since: finding.since.min(now), ..finding })
}
