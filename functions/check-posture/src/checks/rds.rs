//! What only RDS has.

use ::rds::Instance;
use domain::{BackupPlan, Engine, Finding, ResourceId};
use jiff::Timestamp;

use super::{Check, Of, check, critical, many, plans, warning};
use crate::{kind, observe::Seen};

pub(super) fn checks(seen: &Seen, now: Timestamp) -> [Check<'_>; 1] {
    let instances = seen.instances.as_ref();
    let protected = instances.map(|instances| plans::instances(instances, &seen.plans));
    let found = protected
        .map(|protected| protected.into_iter().filter_map(move |(of, _)| deletion_protection(of, now)));
    [check(&kind::DELETION_PROTECTION_OFF, Of::Engine(Engine::Rds), found)]
}

/// What watch-rpo tells of, each minute: said in an answer, and not on this board, where it would end later.
pub(crate) fn told_elsewhere(seen: &Seen, now: Timestamp) -> Vec<Finding> {
    let protected = seen.instances.iter().flat_map(|instances| plans::instances(instances, &seen.plans));
    protected.filter_map(|(of, plan)| automated_backups(of, plan, now)).collect()
}

fn automated_backups(instance: &Instance, plan: &BackupPlan, now: Timestamp) -> Option<Finding> {
    let (resource, wanted) = (ResourceId::rds(&instance.id), plan.automated_backup_days());
    let next = format!(
        "`aws rds modify-db-instance --db-instance-identifier {} --backup-retention-period {wanted} --apply-immediately`.",
        instance.id
    );
    match instance.retention_days {
        days if days >= wanted => None,
        ..=0 => {
            let says = format!(
                "automated backups are off, so that it can be restored to its snapshots and to no second between them; plan {} needs \
                 {} of them",
                plan.name,
                many(wanted, "day")
            );
            Some(critical(now).of(&resource, kind::AUTOMATED_BACKUPS_OFF, says, next))
        }
        days => {
            let says = format!(
                "automated backups are kept for {}; plan {} keeps {} daily recovery points, so {} are needed",
                many(days, "day"),
                plan.name,
                plan.keep.daily,
                many(wanted, "day")
            );
            Some(warning(now).of(&resource, kind::RETENTION_TOO_SHORT, says, next))
        }
    }
}

fn deletion_protection(instance: &Instance, now: Timestamp) -> Option<Finding> {
    let id = &instance.id;
    let next = format!(
        "`aws rds modify-db-instance --db-instance-identifier {id} --deletion-protection --apply-immediately`; this needs no restart."
    );
    let says = "deletion protection is off: one call deletes it, and its automated backups with it";
    let finding = || warning(now).of(&ResourceId::rds(id), kind::DELETION_PROTECTION_OFF, says, next);
    (!instance.deletion_protection).then(finding)
}
