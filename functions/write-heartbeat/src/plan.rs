//! What to write where: pure.

use std::{collections::BTreeMap, rc::Rc};

use domain::{BackupPlan, Engine, ResourceId, Standing, tag};
use heartbeat::Keys;
use jiff::Timestamp;
use rds::Instance;
use reconcile::{Error, Plan, Result};
use redis::elasticache::Cache;

use crate::{
    NAME,
    act::Action,
    observe::Observed,
    place::{self, Beat, Way},
};

/// What stands in the way, or does not.
enum Look {
    Clear(Way),
    /// Nobody can write there at the moment, and that is as it should be.
    Idle(String),
    Refused(Error),
    /// Its engine did not answer.
    Unknown,
}

/// One more heartbeat for each database that the plan which protects it names.
pub(crate) fn plan(observed: &Observed, now: Timestamp) -> Plan<Action> {
    let mut plan = Plan::empty();
    let here = ResourceId::tidemark(NAME);
    let mut named: BTreeMap<&ResourceId, Vec<(&BackupPlan, &str)>> = BTreeMap::new();
    for backup in observed.plans.iter() {
        for (resource, secret) in &backup.heartbeats {
            named.entry(resource).or_default().push((backup, secret));
        }
    }
    if named.is_empty() {
        plan.settled(&here, "no plan names heartbeats");
        return plan;
    }
    let keys = match &observed.keys {
        Some(Ok(keys)) => keys,
        Some(Err(error)) => {
            plan.do_without("heartbeat-keys", error);
            return plan;
        }
        None => {
            plan.do_without("heartbeat-keys", &no_keys(&named));
            return plan;
        }
    };
    for (part, error) in
        [("instances", observed.instances.as_ref().err()), ("caches", observed.caches.as_ref().err())]
    {
        if let Some(error) = error {
            plan.miss(part, error, &[]);
        }
    }
    if let Some(error) = observed.memories.values().find_map(|found| found.as_ref().err()) {
        plan.miss("heartbeat-memory", error, &[]);
    }
    for (resource, by) in named {
        one(&mut plan, observed, resource, &by, keys, now);
    }
    plan
}

fn one(
    plan: &mut Plan<Action>,
    observed: &Observed,
    resource: &ResourceId,
    by: &[(&BackupPlan, &str)],
    keys: &Rc<Keys>,
    now: Timestamp,
) {
    // Nobody could tell whether the database was set back, and a heartbeat would cover that up: a minute without one is a pause.
    let Some(Ok(found)) = observed.memories.get(resource) else { return plan.leave_resource(resource) };
    plan.findings.extend(found.memory.told(now).cloned());
    let [(backup, secret)] = by else {
        plan.refuse(resource, named_twice(resource, by));
        return;
    };
    plan.standing(resource, Standing { plan: Some(backup.name.to_string()), ..Standing::default() });
    match look(observed, resource, backup) {
        Look::Clear(way) => {
            let beat = Beat {
                resource: resource.clone(),
                way,
                secret: (*secret).to_owned(),
                keys: Rc::clone(keys),
                found: found.clone(),
            };
            plan.act(resource, Action::Beat(Box::new(beat)), format!("plan {} names it", backup.name));
        }
        Look::Idle(why) => plan.settled(resource, why),
        Look::Refused(error) => plan.refuse(resource, error),
        Look::Unknown => plan.leave_resource(resource),
    }
}

fn look(observed: &Observed, resource: &ResourceId, backup: &BackupPlan) -> Look {
    let name = &resource.name;
    let seen = match resource.engine {
        Engine::Rds => observed.instances.as_ref().map(|all| {
            let found = all.iter().find(|instance| instance.id == *name);
            found.map_or_else(
                || nowhere(observed, resource, backup),
                |found| instance(resource, backup, found),
            )
        }),
        Engine::Redis => observed.caches.as_ref().map(|all| {
            // Of the three sorts each may have one of that name; the plan protects one.
            let mut same: Vec<&Cache> = all.iter().filter(|cache| cache.name == *name).collect();
            same.sort_by_key(|cache| tag::plan(&cache.tags) != Some(backup.name.as_str()));
            match same.first() {
                Some(found) => cache(resource, backup, found),
                None if backup.redis.append_only.iter().any(|archive| archive.name == *name) => {
                    own_server(resource)
                }
                None => nowhere(observed, resource, backup),
            }
        }),
        Engine::Turso => Ok(database(observed, resource, backup)),
        // A plan document names none.
        Engine::Tidemark => Ok(nowhere(observed, resource, backup)),
    };
    seen.unwrap_or(Look::Unknown)
}

fn instance(resource: &ResourceId, backup: &BackupPlan, found: &Instance) -> Look {
    if let Err(error) = protects(resource, backup, &found.tags) {
        return Look::Refused(error);
    }
    if found.engine != "postgres" {
        let said =
            format!("{resource} has the engine {}; an instance's heartbeats are for postgres", found.engine);
        return Look::Refused(Error::misconfigured("EngineNotSupported", said));
    }
    if let Some(source) = &found.replica_of {
        let said = format!(
            "{resource} is a read replica of {source} and takes no heartbeats of its own; those of its source come with the rest: \
             take it out of the plan's heartbeats"
        );
        return Look::Refused(Error::misconfigured("HeartbeatOfReplica", said));
    }
    match (&found.endpoint, is_idle(&found.status)) {
        (Some(endpoint), false) => Look::Clear(Way::Postgres(postgres::Server {
            host: endpoint.host.clone(),
            port: endpoint.port,
            database: found.database.clone().unwrap_or_else(|| "postgres".to_owned()),
        })),
        _ => Look::Idle(format!("it is {}", found.status)),
    }
}

fn cache(resource: &ResourceId, backup: &BackupPlan, found: &Cache) -> Look {
    if let Err(error) = protects(resource, backup, &found.tags) {
        return Look::Refused(error);
    }
    match (&found.endpoint, is_idle(&found.status)) {
        (Some(endpoint), false) => Look::Clear(Way::Redis(endpoint.clone())),
        _ => Look::Idle(format!("it is {}", found.status)),
    }
}

/// Its hostname is in its secret: whether it is there, only it can tell.
fn database(observed: &Observed, resource: &ResourceId, backup: &BackupPlan) -> Look {
    if !observed.has_turso {
        return Look::Refused(place::no_organization(resource));
    }
    if !backup.turso.databases.iter().any(|pattern| pattern.may_match(&resource.name)) {
        let said = format!(
            "plan {} names heartbeats of {resource}, and none of its patterns (turso.databases) names that database; name them in the \
             plan that protects it",
            backup.name
        );
        return Look::Refused(Error::misconfigured("HeartbeatOfAnotherPlan", said));
    }
    Look::Clear(Way::Turso)
}

/// Nobody can connect, by somebody's wish.
fn is_idle(status: &str) -> bool {
    ["creating", "deleting", "starting", "stopped", "stopping"].contains(&status)
}

/// Only the plan that protects a database has a say in it.
fn protects(resource: &ResourceId, backup: &BackupPlan, tags: &BTreeMap<String, String>) -> Result<()> {
    let name = backup.name.as_str();
    let other = match tag::plan(tags) {
        Some(plan) if plan == name => return Ok(()),
        Some(plan) => format!("the tag {}={plan}", tag::PLAN),
        None => tag::absence(tags),
    };
    let said = format!(
        "plan {name} names heartbeats of {resource}, which has {other}; name them in the plan that protects it"
    );
    Err(Error::misconfigured("HeartbeatOfAnotherPlan", said))
}

fn nowhere(observed: &Observed, resource: &ResourceId, backup: &BackupPlan) -> Look {
    let said = format!(
        "plan {} names heartbeats of {resource}, and nothing in {} has that name: mend the plan",
        backup.name, observed.region
    );
    Look::Refused(Error::misconfigured("HeartbeatOfNothing", said))
}

fn own_server(resource: &ResourceId) -> Look {
    let said = format!(
        "{resource} is a server of your own, whose address Tidemark does not know: only ElastiCache gets heartbeats; take it out of the \
         plan's heartbeats"
    );
    Look::Refused(Error::misconfigured("HeartbeatOfOwnServer", said))
}

fn named_twice(resource: &ResourceId, by: &[(&BackupPlan, &str)]) -> Error {
    let plans: Vec<&str> = by.iter().map(|(backup, _)| backup.name.as_str()).collect();
    let said = format!(
        "plans {} all name heartbeats of {resource}; only the one that protects it may",
        plans.join(" and ")
    );
    Error::misconfigured("HeartbeatNamedTwice", said)
}

fn no_keys(named: &BTreeMap<&ResourceId, Vec<(&BackupPlan, &str)>>) -> Error {
    let first = named.keys().next().map_or_else(String::new, ToString::to_string);
    let said = format!(
        "{} databases are to get heartbeats, {first} among them, and there is no key to sign with: make a secret with keys and deploy \
         with its name as the parameter HeartbeatSecret (docs/heartbeats.md)",
        named.len()
    );
    Error::misconfigured("HeartbeatKeysNotSet", said)
}
