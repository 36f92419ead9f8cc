//! Drills of RDS: where they are restored, what they made, and its end.

mod check;
mod judge;

use domain::{BackupPlan, DrillClass, PlanDocument, ResourceId, Side, drill::PREFIX, tag};
use futures::{join, try_join};
use jiff::{SignedDuration, Timestamp};
use postgres::checks::{Checks, assertions};
use rds::{Instance, Rds, Teardown};
use reconcile::{Error, Result};
use secrets::{PlainSecrets, Secrets};
use serde_json::{Map, json};

use crate::{
    drill::Drill,
    engine::{Checked, Engine, Looked, Made, Staging, Stored, Subject, Turn, is_a_drills},
    measure::Beats,
    price,
    restored::Restored,
};

/// RDS, with the outside systems that its drills see.
pub struct RdsDrills<R, S, P> {
    /// The Region of the databases.
    pub home: R,
    /// The Region of the copies.
    pub recovery: R,
    /// Where to restore at home.
    pub home_staging: Option<Network>,
    /// Where to restore in the recovery Region.
    pub recovery_staging: Option<Network>,
    /// Credentials of databases.
    pub secrets: S,
    /// Servers that can be checked.
    pub postgres: P,
    /// The secret with the keys that sign heartbeats.
    pub heartbeat_secret: Option<String>,
}

/// Where nobody reaches what is restored, but for whoever checks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// The subnet group.
    pub subnet_group: String,
    /// The security groups.
    pub security_groups: Vec<String>,
}

/// The smallest class in which every version that RDS offers runs, with the memory that checks need.
const SMALLEST: &str = "db.t4g.medium";
/// The classes that are smaller: what is in such a one is restored into the same.
const SMALLER: [&str; 4] = ["db.t4g.micro", "db.t4g.small", "db.t3.micro", "db.t3.small"];

impl<R: Rds + Teardown, S: Secrets + PlainSecrets, P: Checks> Engine for RdsDrills<R, S, P> {
    async fn look(&self, plans: &PlanDocument) -> Result<Looked> {
        let (home, recovery) = join!(self.home.instances(), self.recovery.instances());
        let home = home?;
        let mut looked = Looked { protected: protected(&home, plans), ..Looked::default() };
        looked.add(self.home.region(), Ok(made(&home, self.home.region())));
        looked.add(self.recovery.region(), recovery.map(|there| made(&there, self.recovery.region())));
        Ok(looked)
    }

    async fn subject(
        &self,
        resource: &ResourceId,
        plan: &BackupPlan,
        _: Stored,
        _: Timestamp,
    ) -> Result<Subject> {
        let name = resource.name.as_str();
        let (source, backups) = try_join!(self.home.instance(name), self.home.automated_backups_of(name))?;
        let source = source.ok_or_else(|| gone(resource))?;
        let of_source = backups.iter().find(|backup| backup.incarnation == source.incarnation);
        let window = of_source.and_then(|backup| backup.window);
        let class = plan.drill.as_ref().map(|drill| drill.class).unwrap_or_default();
        let gib = u64::try_from(source.allocated_gib).unwrap_or(0);
        let assertions = plan.drill.as_ref().and_then(|drill| drill.assertions.get(resource));
        let invalid = assertions.and_then(|list| {
            let path = format!("plans.{}.drill.assertions.{resource}", plan.name);
            let problems = assertions::parse(&path, &json!(list)).err()?;
            Some(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
        });
        Ok(Subject {
            bytes: gib << 30,
            window: window.map(|window| (window.earliest, window.latest + SignedDuration::from_secs(1))),
            staging: [
                staging(&source, class, self.home.region(), self.home_staging.as_ref(), true),
                staging(&source, class, self.recovery.region(), self.recovery_staging.as_ref(), false),
            ],
            assertions: assertions.cloned().unwrap_or_default(),
            invalid,
        })
    }

    async fn check(&self, drill: &Drill, turn: Turn) -> Result<Checked> {
        check::check(self, drill, turn).await
    }

    async fn number(&self, drill: &Drill, side: &Side) -> Result<i128> {
        check::number(self, drill, side).await
    }

    async fn heartbeats(&self, restored: &Restored) -> Result<Option<Beats>> {
        check::of_restored(self, restored).await
    }

    async fn tear_down(&self, made: &Made) -> Result<()> {
        let rds = self.region(&made.region)?;
        match rds.instance(&made.name).await? {
            None => Ok(()),
            Some(instance) => {
                is_a_drills(&made.name, instance.tags.get(tag::DRILL), made)?;
                rds.delete_instance(&made.name).await
            }
        }
    }
}

impl<R: Rds, S, P> RdsDrills<R, S, P> {
    fn region(&self, name: &str) -> Result<&R> {
        [&self.home, &self.recovery].into_iter().find(|rds| rds.region() == name).ok_or_else(|| {
            Error::permanent("RegionUnknown", format!("{name} is no Region of this deployment"))
        })
    }
}

fn protected(instances: &[Instance], plans: &PlanDocument) -> Vec<(ResourceId, String)> {
    let of_plan = |instance: &Instance| {
        let plan = tag::plan(&instance.tags).filter(|plan| plans.get(plan).is_some())?;
        // What a restore made has its source's tags, and is not protected by them.
        let is_source = instance.engine == "postgres" && !instance.tags.contains_key(tag::RESTORE);
        is_source.then(|| (ResourceId::rds(instance.id.clone()), plan.to_owned()))
    };
    instances.iter().filter_map(of_plan).collect()
}

/// What carries a drill's tag and name; and what has the name alone.
fn made(instances: &[Instance], region: &str) -> Vec<Made> {
    let ours = instances.iter().filter(|instance| instance.id.starts_with(PREFIX));
    ours.map(|instance| {
        let tag = |key: &str| instance.tags.get(key);
        let resource = tag(tag::RESOURCE).and_then(|text| ResourceId::try_from(text.clone()).ok());
        Made {
            resource: resource.unwrap_or_else(|| ResourceId::rds(instance.id.clone())),
            region: region.to_owned(),
            name: instance.id.clone(),
            sort: "DB instance",
            drill: tag(tag::DRILL).cloned(),
            expires: tag(tag::EXPIRES).and_then(|text| text.parse().ok()),
            status: instance.status.clone(),
        }
    })
    .collect()
}

fn staging(
    source: &Instance,
    class: DrillClass,
    region: &str,
    network: Option<&Network>,
    is_home: bool,
) -> Result<Staging, String> {
    let Some(network) = network else {
        let parameters = if is_home { "Staging…" } else { "RecoveryStaging…" };
        return Err(format!(
            "nothing says where in {region} it may be restored without production's clients reaching it: deploy with the \
             parameters {parameters} (docs/drills.md)"
        ));
    };
    let of_class = |class: &str, otherwise: Option<Box<Staging>>| {
        let mut request = Map::from_iter([
            ("subnet_group".to_owned(), json!(network.subnet_group)),
            ("security_groups".to_owned(), json!(network.security_groups)),
            ("instance_class".to_owned(), json!(class)),
            ("multi_az".to_owned(), json!(false)),
            ("publicly_accessible".to_owned(), json!(false)),
        ]);
        if !is_home {
            request.insert("region".to_owned(), json!(region));
        }
        let gib = u64::try_from(source.allocated_gib).unwrap_or(0);
        Staging {
            region: region.to_owned(),
            request,
            class: Some(class.to_owned()),
            otherwise,
            micro_usd_an_hour: price::instance(class, gib),
        }
    };
    let as_source = of_class(&source.class, None);
    let is_small = SMALLER.contains(&source.class.as_str()) || source.class == SMALLEST;
    Ok(match class {
        DrillClass::Smallest if !is_small => of_class(SMALLEST, Some(Box::new(as_source))),
        DrillClass::Smallest | DrillClass::Source => as_source,
    })
}

fn gone(resource: &ResourceId) -> Error {
    Error::retryable("SourceGone", format!("{resource} is not there any more; the next tick looks again"))
}
