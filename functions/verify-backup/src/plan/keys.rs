//! Whether the snapshots of RDS can be read: a snapshot whose key is disabled is `available`, and cannot be restored.

use std::collections::BTreeMap;

use domain::{Finding, ResourceId, Severity, retention::Region};
use jiff::Timestamp;
use kms::Key;
use rds::Snapshot;
use reconcile::{Error, Plan};

use super::{
    says,
    there::{Stored, complete},
};
use crate::{act::Action, memory::Place, observe::Observed};

/// The key is disabled, about to be deleted, or gone.
pub(crate) const KEY_UNUSABLE: &str = "snapshot-key-unusable";
/// A copy is under another key than that of the vault, or under none.
pub(crate) const KEY_UNEXPECTED: &str = "snapshot-key-unexpected";

/// What is known of the key of what is encrypted; of what is not in here, it can be used.
pub(crate) type Keys = BTreeMap<Place, KeyState>;

/// Why it is not said of a key that it can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeyState {
    /// It cannot: so nobody can restore what is under it.
    Unusable(String),
    /// Nobody answered.
    Unknown,
}

/// What is wrong, and with which recovery points.
type Found = BTreeMap<(ResourceId, &'static str), BTreeMap<String, Vec<String>>>;

/// Finds what is wrong with the keys.
pub(crate) fn judge(observed: &Observed, now: Timestamp, plan: &mut Plan<Action>) -> Keys {
    say_what_did_not_answer(observed, plan);
    let (mut keys, mut found) = (Keys::new(), Found::new());
    for there in complete(observed) {
        let Stored::Snapshot(snapshot) = there.stored else { continue };
        let (region, resource) = (there.region, &there.point.resource);
        let mut find = |kind, why: String| {
            let whys = found.entry((resource.clone(), kind)).or_default();
            whys.entry(why).or_default().push(snapshot.id.clone());
        };
        if let Some(state) = key_state(observed, region, snapshot) {
            if let KeyState::Unusable(why) = &state {
                find(KEY_UNUSABLE, format!("whose {why}"));
            }
            keys.insert(there.place(), state);
        }
        if let Some(why) = unexpected_key(observed, region, snapshot) {
            find(KEY_UNEXPECTED, why);
        }
    }
    for ((resource, kind), whys) in found {
        plan.find(finding(&resource, kind, whys, now));
    }
    keys
}

fn say_what_did_not_answer(observed: &Observed, plan: &mut Plan<Action>) {
    let kinds = [KEY_UNUSABLE, KEY_UNEXPECTED];
    for (region, seen) in observed.regions.iter().zip(&observed.keys.seen) {
        if let Some(error) = seen.values().find_map(|key| key.as_ref().err()) {
            plan.miss(&format!("keys-in-{region}"), error, &kinds);
        }
    }
    match &observed.keys.expected {
        Some(Err(error)) => plan.miss("recovery-key", error, &kinds),
        Some(Ok(None)) => {
            let name = &observed.keys.expected_name;
            let text = format!(
                "there is no key {name} in {}, under which copies of snapshots are encrypted; deploy infra/vault.yaml there",
                observed.regions[Region::Recovery as usize]
            );
            plan.miss("recovery-key", &Error::misconfigured("RecoveryKeyUnknown", text), &[KEY_UNEXPECTED]);
        }
        Some(Ok(Some(_))) | None => {}
    }
}

fn key_state(observed: &Observed, region: Region, snapshot: &Snapshot) -> Option<KeyState> {
    let name = snapshot.kms_key.as_ref()?;
    let state = match observed.keys.seen[region as usize].get(name) {
        None | Some(Err(_)) => return Some(KeyState::Unknown),
        Some(Ok(Some(key))) if key.enabled => return None,
        Some(Ok(Some(key))) => state(key),
        Some(Ok(None)) => "does not exist any more".to_owned(),
    };
    Some(KeyState::Unusable(format!("key {name} {state}")))
}

fn state(key: &Key) -> String {
    let until = key.deletion_date.map(|at| format!(", and is deleted on {}", at.strftime("%Y-%m-%d")));
    format!("is {}{}", key.state, until.unwrap_or_default())
}

/// At home a snapshot has its instance's encryption; a copy has what Tidemark asked for.
fn unexpected_key(observed: &Observed, region: Region, snapshot: &Snapshot) -> Option<String> {
    let expected = observed.keys.expected.as_ref()?.as_ref().ok()?.as_ref()?;
    if region == Region::Home {
        return None;
    }
    let under = match &snapshot.kms_key {
        _ if !snapshot.encrypted => "not encrypted".to_owned(),
        Some(key) if *key == expected.arn => return None,
        Some(key) => format!("encrypted with {key}"),
        None => return None,
    };
    Some(format!("which is {under}, and the vault's key there is {}", expected.arn))
}

fn finding(
    resource: &ResourceId,
    kind: &str,
    whys: BTreeMap<String, Vec<String>>,
    now: Timestamp,
) -> Finding {
    let said: Vec<String> =
        whys.into_iter().map(|(why, ids)| format!("{}, {why}", says::names(&ids))).collect();
    let (severity, what, next) = if kind == KEY_UNUSABLE {
        (
            Severity::Critical,
            "cannot be restored",
            "Enable the key, or cancel its deletion, before it is too late; what is under another key can be restored meanwhile.",
        )
    } else {
        (
            Severity::Warning,
            "not encrypted as it should be",
            "Find out who made or re-encrypted it. Copies that backup-rds makes from now on are under the vault's key.",
        )
    };
    Finding::new(resource, kind, severity, now, format!("{what}: {}.", said.join("; ")), next)
}
