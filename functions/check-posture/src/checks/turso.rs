//! What only Turso has: its token, and its own point-in-time restore.

use std::collections::BTreeMap;

use ::turso::{Database, Organization};
use domain::{BackupPlan, Engine, Finding, PlanName, ResourceId};
use jiff::{SignedDuration, Timestamp};
use reconcile::Error;

use super::{
    Check, Of, check, critical, info, many, plans,
    quotas::{DAYS, MOST_SLOTS},
    warning,
};
use crate::{
    kind,
    observe::{Seen, TursoSeen},
};

/// How long before its end a token is told of.
const WARNED: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How long before its end a token puts the next backups at risk.
const PRESSING: SignedDuration = SignedDuration::from_hours(3 * 24);

const DAY: SignedDuration = SignedDuration::from_hours(24);

pub(super) fn checks(seen: &Seen, now: Timestamp) -> Vec<Check<'_>> {
    let Some(answer) = &seen.turso else { return Vec::new() };
    let answer = answer.as_ref();
    let expires = answer.and_then(|turso| turso.expires.as_ref()).map(|at| token_expires((*at)?, now));
    let reaches = answer.and_then(|turso| turso.reach.as_ref()).map(|reach| token_reaches(reach, now));
    let windows = answer.and_then(|turso| windows(turso, seen, now));
    let databases = answer.and_then(|turso| turso.databases.as_ref());
    let open = databases.map(|databases| {
        let protected = plans::databases(databases, &seen.plans);
        protected.into_iter().filter_map(move |(database, _)| deletion_protection(database, now))
    });
    vec![
        check(&kind::TOKEN_EXPIRES, Of::All, expires),
        check(&kind::TOKEN_REACHES_BEYOND, Of::All, reaches),
        check(&kind::PITR_WINDOW_TOO_SHORT, Of::All, windows),
        check(&kind::DELETION_PROTECTION_OFF, Of::Engine(Engine::Turso), open),
    ]
}

fn token_expires(at: Timestamp, now: Timestamp) -> Option<Finding> {
    let left = at.duration_since(now);
    let level = match left {
        left if left < PRESSING => critical(now),
        left if left < WARNED => warning(now),
        _ => return None,
    };
    let days = many(left.as_hours().max(0) / 24, "day");
    let says = format!(
        "the token of the Turso organization ends on {at}, in {days}; no database there is backed up after that"
    );
    let next = "Make another (`turso auth api-tokens mint tidemark --org <organization>`), put it into the secret, and revoke the old \
                one.";
    Some(level.of(&token(), kind::TOKEN_EXPIRES, says, next))
}

fn token_reaches(reach: &[String], now: Timestamp) -> Option<Finding> {
    let says = format!(
        "the token was made for no organization alone: it also opens {}. Whoever gets hold of it can delete what is there",
        reach.join(", ")
    );
    let next = "Make one for the organization alone (`turso auth api-tokens mint tidemark --org <organization>`), put it into the \
                secret, and revoke the old one.";
    (!reach.is_empty()).then(|| warning(now).of(&token(), kind::TOKEN_REACHES_BEYOND, says, next))
}

fn token() -> ResourceId {
    ResourceId::tidemark("turso-token")
}

fn windows<'s>(turso: &'s TursoSeen, seen: &'s Seen, now: Timestamp) -> Result<Vec<Finding>, &'s Error> {
    let (organization, databases) = (turso.organization.as_ref()?, turso.databases.as_ref()?);
    let protected = plans::databases(databases, &seen.plans);
    let plans: BTreeMap<&PlanName, &BackupPlan> =
        protected.into_iter().map(|(_, plan)| (&plan.name, plan)).collect();
    Ok(plans.into_values().filter_map(|plan| window(organization, plan, now)).collect())
}

/// Whether Turso's own point-in-time restore reaches back to the last copy, so that no instant is lost between two of them; and,
/// as with RDS, over the plan's daily tier.
fn window(organization: &Organization, plan: &BackupPlan, now: Timestamp) -> Option<Finding> {
    let window = organization.pitr_window();
    let until = now.checked_add(DAY * i32::try_from(DAYS).unwrap_or(i32::MAX)).ok()?;
    let slots = plan.schedules.get(&Engine::Turso)?.slots(now, until, MOST_SLOTS);
    let gaps = slots.windows(2).map(|pair| pair[1].instant().duration_since(pair[0].instant()));
    let gap = gaps.max().unwrap_or(until.duration_since(now)) + plan.objectives.slot_grace;
    let daily = DAY * i32::try_from(plan.keep.daily).unwrap_or(i32::MAX);
    let reach = format!(
        "Turso's own point-in-time restore reaches back {} (pricing plan {:?})",
        many(window.as_hours(), "hour"),
        organization.plan
    );
    let resource = ResourceId::tidemark(format!("plan-{}", plan.name));
    let kind = kind::PITR_WINDOW_TOO_SHORT;
    if window < gap {
        let says = format!(
            "{reach}, and the copies of this plan are up to {} apart: of what was written in between, some can be restored to no \
             instant",
            many(gap.as_hours(), "hour")
        );
        let next = format!(
            "Let `plans.{}.schedule.turso` come round more often, or give the organization a larger pricing plan.",
            plan.name
        );
        Some(warning(now).of(&resource, kind, says, next))
    } else if window < daily {
        let says = format!(
            "{reach}, and the plan keeps {}: a mistake that is found later can be undone to the nearest copy, and to no second",
            many(plan.keep.daily, "daily recovery point")
        );
        let next =
            "Nothing, if the copies are enough. A larger pricing plan of Turso's reaches further back.";
        Some(info(now).of(&resource, kind, says, next))
    } else {
        None
    }
}

fn deletion_protection(database: &Database, now: Timestamp) -> Option<Finding> {
    let name = &database.name;
    let says =
        "delete protection is off: one call deletes it, and Turso revives no database that was deleted";
    let next = format!(
        "`turso db config delete-protection enable {name}`, or `PATCH /v1/organizations/<organization>/databases/{name}/configuration` with \
         {{\"delete_protection\": true}}."
    );
    let finding = || warning(now).of(&ResourceId::turso(name), kind::DELETION_PROTECTION_OFF, says, next);
    (!database.delete_protection).then(finding)
}
