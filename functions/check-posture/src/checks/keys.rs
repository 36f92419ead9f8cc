//! Keys: what encrypts the vaults, the copies and the instances.

use ::kms::{Key, KeyManager, Permission};
use ::rds::Instance;
use domain::{Finding, ResourceId};
use jiff::Timestamp;

use super::{Check, Of, critical, info, plans};
use crate::{
    kind,
    observe::{KeySeen, PlaceSeen, Seen},
};

/// What is said of an instance's key.
const OF_INSTANCES: [&str; 2] = [kind::KEY_UNUSABLE, kind::DEFAULT_KEY];

pub(super) fn checks(seen: &Seen, now: Timestamp) -> Vec<Check<'_>> {
    let mut checks = vec![of_place(&seen.home, now), of_place(&seen.recovery, now)];
    let instances = match &seen.instances {
        Ok(instances) => plans::instances(instances, &seen.plans),
        Err(error) => {
            let of = Of::Engine(domain::Engine::Rds);
            checks.push(Check { kinds: &OF_INSTANCES, of, found: Err(error) });
            return checks;
        }
    };
    for (instance, _) in instances {
        let Some((arn, key)) =
            instance.kms_key.as_ref().and_then(|arn| seen.instance_keys.get_key_value(arn))
        else {
            continue;
        };
        let found =
            key.as_ref().map(|key| of_instance(instance, arn, key.as_ref(), now).into_iter().collect());
        let of = Of::One(ResourceId::rds(&instance.id));
        checks.push(Check { kinds: &OF_INSTANCES, of, found });
    }
    checks
}

fn of_place(place: &PlaceSeen, now: Timestamp) -> Check<'_> {
    let resource = ResourceId::tidemark(format!("key-{}", place.region));
    let found = of_vault(&resource, &place.key, &place.region, now);
    let found = found.map(|found| found.into_iter().collect());
    Check { kinds: std::slice::from_ref(&kind::KEY_UNUSABLE), of: Of::One(resource), found }
}

/// The key of a vault, and of the copies of snapshots there.
fn of_vault<'s>(
    resource: &ResourceId,
    seen: &'s KeySeen,
    region: &str,
    now: Timestamp,
) -> Result<Option<Finding>, &'s reconcile::Error> {
    let KeySeen { alias, key, permission } = seen;
    let name = alias.rsplit_once(':').map_or(alias.as_str(), |(_, name)| name);
    let meaning = "what is in the vault there, and the copies of snapshots, can be neither written nor read";
    let Some(key) = key.as_ref()? else {
        let says = format!("there is no key {name} in {region}: {meaning}");
        let next = "Deploy infra/vault.yaml there again. If the key itself is gone, what it encrypted is lost: see which other Region \
                    holds it.";
        return Ok(Some(critical(now).of(resource, kind::KEY_UNUSABLE, says, next)));
    };
    if let Some((state, next)) = unusable(key, region) {
        let says = format!("the key {name} in {region} {state}: {meaning}");
        return Ok(Some(critical(now).of(resource, kind::KEY_UNUSABLE, says, next)));
    }
    let Some(Permission::Denied(why)) = permission.as_ref().map(Result::as_ref).transpose()? else {
        return Ok(None);
    };
    let says = format!(
        "the key {name} in {region} lets Tidemark's roles encrypt no more ({why}): the next backup or copy there fails"
    );
    let next = format!(
        "See its policy: `aws kms get-key-policy --region {region} --policy-name default --key-id {}`. It must leave the decision to \
         IAM, as in infra/vault.yaml: `kms:*` for the account's root.",
        key.arn
    );
    Ok(Some(critical(now).of(resource, kind::KEY_UNUSABLE, says, next)))
}

/// The key of an instance, and of all its snapshots.
fn of_instance(instance: &Instance, arn: &str, key: Option<&Key>, now: Timestamp) -> Option<Finding> {
    let resource = ResourceId::rds(&instance.id);
    let region = arn.split(':').nth(3).unwrap_or_default();
    let Some(key) = key else {
        let says =
            format!("it is encrypted with {arn}, and there is no such key: RDS cannot restore its snapshots");
        let next =
            "Restore it under another name from a copy in the recovery Region, which is under another key.";
        return Some(critical(now).of(&resource, kind::KEY_UNUSABLE, says, next));
    };
    if let Some((state, next)) = unusable(key, region) {
        let says = format!("its key {arn} {state}: RDS can neither snapshot it nor restore its snapshots");
        return Some(critical(now).of(&resource, kind::KEY_UNUSABLE, says, next));
    }
    (key.manager == KeyManager::Aws).then(|| {
        let says = "it is encrypted with the default key of RDS (aws/rds), so that its snapshots can be neither shared with nor copied \
                    to another account; the copies in the recovery Region can, they are under Tidemark's key";
        let next = "Nothing, if no other account shall ever have it. Otherwise copy a snapshot under a key of your own (`aws rds \
                    copy-db-snapshot --kms-key-id …`), and restore from that: the key of an instance cannot be changed.";
        info(now).of(&resource, kind::DEFAULT_KEY, says, next)
    })
}

/// In what state a key is that cannot be used, or soon cannot, and what to do about it.
fn unusable(key: &Key, region: &str) -> Option<(String, String)> {
    let Key { arn, state, enabled, deletion_date, .. } = key;
    let at = format!("--region {region} --key-id {arn}");
    match state.as_str() {
        "PendingDeletion" | "PendingReplicaDeletion" => {
            let when = deletion_date.map(|date| format!(" on {date}")).unwrap_or_default();
            let state = format!("is to be deleted{when}, and everything under it is lost then");
            let next = format!(
                "At once: `aws kms cancel-key-deletion {at}`, then `aws kms enable-key {at}`. Find out who it was (CloudTrail, \
                 ScheduleKeyDeletion)."
            );
            Some((state, next))
        }
        "Disabled" => {
            let next =
                format!("`aws kms enable-key {at}`. Find out who disabled it (CloudTrail, DisableKey).");
            Some(("is disabled".to_owned(), next))
        }
        _ if *enabled => None,
        other => Some((format!("is {other}"), format!("See why: `aws kms describe-key {at}`."))),
    }
}
