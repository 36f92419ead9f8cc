//! Plans and databases: what nobody thought of.

use std::collections::{BTreeMap, BTreeSet};

use ::rds::Instance;
use ::redis::elasticache::Cache;
use ::turso::{Database, is_tidemarks_own};
use domain::{BackupPlan, Engine, Finding, PlanDocument, ResourceId, Standing, tag};
use jiff::{SignedDuration, Timestamp};
use reconcile::Error;

use super::{Check, Of, check, warning};
use crate::{kind, observe::Seen};

/// How long what was restored for a look, and not for good, may stand without a plan.
const LOOKED_AT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The instances that are backed up, each with its plan.
pub(super) fn instances<'s>(
    instances: &'s [Instance],
    plans: &'s PlanDocument,
) -> Vec<(&'s Instance, &'s BackupPlan)> {
    let postgres = instances.iter().filter(|instance| instance.engine == "postgres");
    postgres.filter_map(|instance| Some((instance, plans.get(tag::plan(&instance.tags)?)?))).collect()
}

/// The caches that are backed up, each with its plan.
pub(super) fn caches<'s>(caches: &'s [Cache], plans: &'s PlanDocument) -> Vec<(&'s Cache, &'s BackupPlan)> {
    let fit = caches.iter().filter(|cache| cache.settings.engine != "memcached");
    fit.filter_map(|cache| Some((cache, plans.get(tag::plan(&cache.tags)?)?))).collect()
}

/// The Turso databases that are backed up, each with its plan.
pub(super) fn databases<'s>(
    databases: &'s [Database],
    plans: &'s PlanDocument,
) -> Vec<(&'s Database, &'s BackupPlan)> {
    let with_plan = |database: &'s Database| match naming(database, plans).as_slice() {
        [plan] => Some((database, *plan)),
        _ => None,
    };
    databases.iter().filter(|database| !is_tidemarks_own(database)).filter_map(with_plan).collect()
}

fn naming<'s>(database: &Database, plans: &'s PlanDocument) -> Vec<&'s BackupPlan> {
    let Database { group, name, .. } = database;
    let names = |plan: &&BackupPlan| plan.turso.databases.iter().any(|pattern| pattern.matches(group, name));
    plans.iter().filter(names).collect()
}

/// The databases of the organization; none where there is no organization.
fn all_databases(seen: &Seen) -> Result<&[Database], &Error> {
    match &seen.turso {
        None => Ok(&[]),
        Some(Ok(turso)) => turso.databases.as_ref().map(Vec::as_slice),
        Some(Err(error)) => Err(error),
    }
}

/// The plans under which something is kept in the vault.
pub(super) fn in_the_vault(seen: &Seen) -> Result<Vec<&BackupPlan>, &Error> {
    let (caches, databases) = (caches(seen.caches.as_ref()?, &seen.plans), all_databases(seen)?);
    let databases = self::databases(databases, &seen.plans);
    let used: BTreeSet<&str> = caches
        .into_iter()
        .map(|(_, plan)| plan)
        .chain(databases.into_iter().map(|(_, plan)| plan))
        .map(|plan| plan.name.as_str())
        .collect();
    let is_used =
        |plan: &&BackupPlan| used.contains(plan.name.as_str()) || !plan.redis.append_only.is_empty();
    Ok(seen.plans.iter().filter(is_used).collect())
}

/// What is protected under a plan that has it drilled, by engine.
pub(crate) fn drilled(seen: &Seen) -> [(Engine, Result<Vec<ResourceId>, &Error>); 3] {
    fn wanted<T>((of, plan): (T, &BackupPlan)) -> Option<T> {
        plan.drill.as_ref().map(|_| of)
    }
    let instances = seen.instances.as_ref().map(|all| {
        let under = instances(all, &seen.plans).into_iter().filter_map(wanted);
        under.map(|of| ResourceId::rds(&of.id)).collect()
    });
    let caches = seen.caches.as_ref().map(|all| {
        let under = caches(all, &seen.plans).into_iter().filter_map(wanted);
        let plans = seen.plans.iter().filter(|plan| plan.drill.is_some());
        let archives = plans.flat_map(|plan| &plan.redis.append_only).map(|of| &of.name);
        under.map(|of| &of.name).chain(archives).map(ResourceId::redis).collect()
    });
    let databases = all_databases(seen).map(|all| {
        let under = databases(all, &seen.plans).into_iter().filter_map(wanted);
        under.map(|of| ResourceId::turso(&of.name)).collect()
    });
    [(Engine::Rds, instances), (Engine::Redis, caches), (Engine::Turso, databases)]
}

/// How recoverable protected resources are, as far as this look knows.
pub(crate) fn standings(seen: &Seen) -> BTreeMap<ResourceId, Standing> {
    let standing = |engine: Engine, plan: &BackupPlan, newest_restorable: Option<Timestamp>| Standing {
        plan: Some(plan.name.to_string()),
        newest_restorable,
        rpo_seconds: Some(plan.objectives.rpo_of(engine).as_secs()),
    };
    let mut standings = BTreeMap::new();
    for (of, plan) in seen.instances.iter().flat_map(|all| instances(all, &seen.plans)) {
        let standing = standing(Engine::Rds, plan, of.latest_restorable);
        standings.insert(ResourceId::rds(&of.id), standing);
    }
    for (of, plan) in seen.caches.iter().flat_map(|all| caches(all, &seen.plans)) {
        standings.insert(ResourceId::redis(&of.name), standing(Engine::Redis, plan, None));
    }
    for (of, plan) in all_databases(seen).into_iter().flat_map(|all| databases(all, &seen.plans)) {
        standings.insert(ResourceId::turso(&of.name), standing(Engine::Turso, plan, None));
    }
    standings
}

pub(super) fn checks(seen: &Seen, now: Timestamp) -> [Check<'_>; 4] {
    let kind = &kind::UNPROTECTED;
    let instances = seen.instances.as_ref();
    let instances = instances.map(|all| all.iter().filter_map(move |of| unprotected_instance(of, now)));
    let caches = seen.caches.as_ref();
    let caches = caches.map(|all| all.iter().filter_map(move |of| unprotected_cache(of, now)));
    let databases = all_databases(seen);
    let databases =
        databases.map(|all| all.iter().filter_map(move |of| unprotected_database(of, &seen.plans, now)));
    [
        check(kind, Of::Engine(Engine::Rds), instances),
        check(kind, Of::Engine(Engine::Redis), caches),
        check(kind, Of::Engine(Engine::Turso), databases),
        check(&kind::PLAN_WITHOUT_DATABASES, Of::All, without_databases(seen, now)),
    ]
}

/// What its owner says of it, and whether that is enough: `None` if it is.
fn oversight(tags: &BTreeMap<String, String>, now: Timestamp) -> Option<String> {
    if tags.contains_key(tag::PLAN) {
        return None;
    }
    let Some(of) = tags.get(tag::RESOURCE).filter(|_| tags.contains_key(tag::RESTORE)) else {
        return Some(format!("nobody said whether it is to be protected: it has no tag {}", tag::PLAN));
    };
    let made: Option<Timestamp> = tags.get(tag::REQUESTED_AT).and_then(|at| at.parse().ok());
    let stays = made.is_none_or(|made| now.duration_since(made) > LOOKED_AT);
    stays.then(|| format!("it was restored from {of} more than a week ago, and has no tag {}", tag::PLAN))
}

fn unprotected_instance(instance: &Instance, now: Timestamp) -> Option<Finding> {
    let Instance { id, arn, engine, status, replica_of, tags, .. } = instance;
    // What a replica holds, its source does, too.
    if replica_of.is_some() || status == "deleting" {
        return None;
    }
    let says = oversight(tags, now)?;
    let none = format!(
        "`aws rds add-tags-to-resource --resource-name {arn} --tags Key={},Value={}`",
        tag::PLAN,
        tag::NO_PLAN
    );
    let next = if engine == "postgres" {
        format!(
            "Name the plan that protects it: `aws rds add-tags-to-resource --resource-name {arn} --tags Key={},Value=default`. If it is \
             not to be protected, say so: {none}.",
            tag::PLAN
        )
    } else {
        format!(
            "Tidemark protects PostgreSQL, and this is {engine}: back it up otherwise, and say so: {none}."
        )
    };
    Some(warning(now).of(&ResourceId::rds(id), kind::UNPROTECTED, says, next))
}

fn unprotected_cache(cache: &Cache, now: Timestamp) -> Option<Finding> {
    let Cache { name, arn, status, settings, tags, .. } = cache;
    // Of memcached nothing can be backed up by anybody.
    if settings.engine == "memcached" || status == "deleting" {
        return None;
    }
    let says = oversight(tags, now)?;
    let next = format!(
        "Name the plan that protects it: `aws elasticache add-tags-to-resource --resource-name {arn} --tags Key={},Value=default`. If \
         nothing in it is worth a backup, say so: the same with `Value={}`.",
        tag::PLAN,
        tag::NO_PLAN
    );
    Some(warning(now).of(&ResourceId::redis(name), kind::UNPROTECTED, says, next))
}

fn unprotected_database(database: &Database, plans: &PlanDocument, now: Timestamp) -> Option<Finding> {
    let Database { group, name, .. } = database;
    let is_meant = plans.unprotected().iter().any(|pattern| pattern.matches(group, name));
    if is_tidemarks_own(database) || is_meant || !naming(database, plans).is_empty() {
        return None;
    }
    let says = format!("nobody said whether it is to be protected: no plan names {group}/{name}");
    let next = format!(
        "Name it in a plan (`turso.databases`). If it is not to be protected, say so in the plan document: `\"unprotected\": \
         {{\"turso\": [\"{group}/{name}\"]}}`."
    );
    Some(warning(now).of(&ResourceId::turso(name), kind::UNPROTECTED, says, next))
}

fn without_databases(seen: &Seen, now: Timestamp) -> Result<Vec<Finding>, &Error> {
    let instances = instances(seen.instances.as_ref()?, &seen.plans);
    let mut used: BTreeSet<&str> = instances.into_iter().map(|(_, plan)| plan.name.as_str()).collect();
    used.extend(in_the_vault(seen)?.into_iter().map(|plan| plan.name.as_str()));
    let unused = seen.plans.iter().filter(|plan| !used.contains(plan.name.as_str()));
    Ok(unused.map(|plan| unused_plan(plan, now)).collect())
}

fn unused_plan(plan: &BackupPlan, now: Timestamp) -> Finding {
    let name = &plan.name;
    let says = format!(
        "plan {name} protects nothing: no instance and no cache has it in its tag {}, and it names no database or archive that is \
                        there",
        tag::PLAN
    );
    let next = "Look for a tag or a pattern that is misspelt. If nothing is to be under it, take it out of the plan document.";
    warning(now).of(&ResourceId::tidemark(format!("plan-{name}")), kind::PLAN_WITHOUT_DATABASES, says, next)
}
