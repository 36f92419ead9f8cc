//! The replication of the vault: whether all that is in it comes to the recovery Region.

use ::vault::ReplicationRule;
use domain::Finding;
use jiff::Timestamp;

use super::{Check, Of, buckets, check, critical, warning};
use crate::{
    kind,
    observe::{PlaceSeen, Seen},
};

/// What is kept in a vault, by what its keys begin with.
const KEPT: [&str; 6] = ["redis/", "turso/", "ledger/", "marks/", "retention/", "reports/"];

pub(super) fn checks(seen: &Seen, now: Timestamp) -> [Check<'_>; 1] {
    let bucket = &seen.home.vault;
    let found = bucket.replication.as_ref().map(|rules| replication(rules, seen, now));
    [check(&kind::REPLICATION_INCOMPLETE, Of::One(buckets::resource(bucket)), found)]
}

fn replication(rules: &[ReplicationRule], seen: &Seen, now: Timestamp) -> Option<Finding> {
    let resource = buckets::resource(&seen.home.vault);
    let next = "Deploy infra/vault.yaml in the home Region again, with ReplicaRegion set. What was written meanwhile is copied by \
                backup-redis and backup-turso themselves; the ledger is not (S3 Batch Replication can).";
    let left_out: Vec<&str> =
        KEPT.into_iter().filter(|kept| !rules.iter().any(|rule| takes(rule, kept, &seen.recovery))).collect();
    if !left_out.is_empty() {
        let what = if left_out.len() == KEPT.len() {
            "nothing".to_owned()
        } else {
            format!("not {}*", left_out.join("*, "))
        };
        let why: Vec<String> = rules.iter().filter_map(|rule| lacks(rule, &seen.recovery)).collect();
        let why = match (rules.is_empty(), why.is_empty()) {
            (true, _) => ": there is no replication rule".to_owned(),
            (false, true) => String::new(),
            (false, false) => format!(": {}", why.join("; ")),
        };
        let says = format!("of the vault, {what} is replicated to {}{why}", seen.recovery.vault.name);
        return Some(critical(now).of(&resource, kind::REPLICATION_INCOMPLETE, says, next));
    }
    let hides = rules.iter().find(|rule| rule.enabled && rule.deletes)?;
    let says = format!(
        "rule {:?} replicates deletions too: what somebody deletes at home is hidden in {}",
        hides.id, seen.recovery.vault.name
    );
    let next = "Set DeleteMarkerReplication of the rule to Disabled, as infra/vault.yaml has it.";
    Some(warning(now).of(&resource, kind::REPLICATION_INCOMPLETE, says, next))
}

/// Whether a rule has S3 replicate what begins so.
fn takes(rule: &ReplicationRule, kept: &str, recovery: &PlaceSeen) -> bool {
    kept.starts_with(&rule.prefix) && lacks(rule, recovery).is_none()
}

/// Why a rule does not do what it is there for.
fn lacks(rule: &ReplicationRule, recovery: &PlaceSeen) -> Option<String> {
    let ReplicationRule { id, enabled, by_tag, destination, kms_objects, replica_key, .. } = rule;
    let known = recovery.key.key.as_ref().ok().and_then(Option::as_ref);
    // Which key an id stands for is not known where KMS did not answer.
    let is_own = |used: &str| known.is_none() || buckets::is_key(used, &recovery.key.alias, known);
    let says = if !enabled {
        "is disabled".to_owned()
    } else if *destination != recovery.vault.name {
        format!("replicates to {destination}")
    } else if !kms_objects {
        "passes over what is encrypted with a key of KMS, which is everything".to_owned()
    } else if *by_tag {
        "takes only objects with certain tags".to_owned()
    } else {
        match replica_key.as_deref() {
            Some(used) if is_own(used) => return None,
            Some(used) => format!("encrypts replicas with {used}, and not with {}", recovery.key.alias),
            None => "names no key for the replicas".to_owned(),
        }
    };
    Some(format!("rule {id:?} {says}"))
}
