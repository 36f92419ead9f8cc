//! What planning finds wrong: pure.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Engine, Finding, ResourceId, Severity, Standing};
use inventory::{Loss, Stray};
use jiff::Timestamp;

pub(crate) const VANISHED: &str = "recovery-point-vanished";
pub(crate) const STRAY: &str = "stray-found";

/// So many strays stand in a message, and so much of each.
const NAMED: usize = 3;
const NAMED_CHARS: usize = 100;

/// What each Region lost of what the last plan kept.
pub(crate) fn lost(here: &ResourceId, losses: &[Loss], now: Timestamp) -> Vec<Finding> {
    // Of one resource it is said there; of several, once for all.
    let mut by_resource: BTreeMap<&ResourceId, Vec<String>> = BTreeMap::new();
    for loss in losses {
        let mut of = loss.vanished.iter().map(|(resource, _)| *resource);
        let only = of.next().filter(|first| of.all(|other| other == *first));
        let says = format!("{} is gone {}", loss.names(), loss.region.says());
        by_resource.entry(only.unwrap_or(here)).or_default().push(says);
    }
    let finding = |(resource, says): (&ResourceId, Vec<String>)| Finding {
        resource: resource.clone(),
        kind: VANISHED.to_owned(),
        code: None,
        severity: Severity::Critical,
        since: now,
        says: format!(
            "{}: the last retention plan kept it, and Tidemark did not delete it.",
            says.join("; ")
        ),
        next: "See in CloudTrail who deleted it; what is in the vault is still there as an older version."
            .to_owned(),
        standing: Standing::default(),
    };
    by_resource.into_iter().map(finding).collect()
}

/// The strays that nobody has dealt with: one finding for all. A person deletes them, or says that they are none; Tidemark does
/// neither, because what it did not make it does not delete, and a person's own copy of a snapshot has its tags, too.
pub(crate) fn strays(here: &ResourceId, strays: &[Stray], now: Timestamp) -> Option<Finding> {
    let mut old: Vec<&Stray> = strays.iter().filter(|stray| stray.is_old(now)).collect();
    old.sort_by_key(|stray| (stray.made_at, stray.engine, &stray.name, stray.region));
    let named: Vec<String> = old.iter().take(NAMED).map(|stray| named(stray)).collect();
    let more = match old.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let things = match old.len() {
        0 => return None,
        1 => "1 thing looks as if Tidemark had made it and belongs".to_owned(),
        count => format!("{count} things look as if Tidemark had made them and belong"),
    };
    let says = format!(
        "{things} to no recovery point, so that nothing verifies, keeps or deletes it: {}{more}",
        named.join("; ")
    );
    let of: BTreeSet<bool> = old.iter().map(|stray| stray.engine == Engine::Rds).collect();
    let next = of.iter().rev().map(|is_snapshot| if *is_snapshot { SNAPSHOTS } else { OBJECTS });
    let next = next.chain(["The newest retention plan names them all."]).collect::<Vec<_>>().join(" ");
    Some(Finding::new(here, STRAY, Severity::Warning, now, says, next))
}

/// What a person does about them by hand.
const SNAPSHOTS: &str = "To be rid of a snapshot: aws rds delete-db-snapshot --db-snapshot-identifier NAME --region REGION; to keep it: \
                         aws rds remove-tags-from-resource --resource-name ARN --tag-keys tidemark:resource tidemark:slot.";
const OBJECTS: &str =
    "An object: aws s3api delete-object --bucket VAULT --key KEY --version-id ID, for each of its versions.";

fn named(stray: &Stray) -> String {
    let what = if stray.engine == Engine::Rds { "snapshot" } else { "object" };
    let (name, why) = (short(&stray.name), short(&stray.why));
    format!("{what} {name} {} ({why})", stray.region.says())
}

fn short(text: &str) -> String {
    match text.char_indices().nth(NAMED_CHARS) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.to_owned(),
    }
}
