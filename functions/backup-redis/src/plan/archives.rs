//! Slots that an append-only archive fills.

use domain::AppendOnlyArchive;
use reconcile::Error;

use super::{Planner, Work, again};
use crate::{act::Action, protected::Protected};

impl Planner<'_> {
    pub(super) fn fill_from_archive(&mut self, one: &Protected, archive: &AppendOnlyArchive, work: Work) {
        let resource = &one.resource;
        match self.observed.archives.get(resource) {
            Some(Err(error)) => return self.plan.refuse(resource, again(error)),
            Some(Ok(files)) if files.is_empty() => {
                return self.plan.refuse(resource, nothing_there(archive));
            }
            _ => {}
        }
        // Another slot's work is dropped: an archive reaches further with each slot, and is taken in quickly.
        let intake = work.own_intake().cloned().unwrap_or_else(|| work.new_intake(one, self.now));
        let reason = if work.attempt == 1 {
            format!("slot {} of plan {} has no recovery point", work.slot, one.plan.name)
        } else {
            format!("attempt {} of slot {} failed", work.attempt - 1, work.slot)
        };
        let action = Action::TakeIn {
            intake: Box::new(intake),
            version: work.version,
            archive: Some(archive.clone()),
            region: self.region(),
        };
        self.plan.act(resource, action, reason);
    }
}

fn nothing_there(archive: &AppendOnlyArchive) -> Error {
    Error::misconfigured(
        "ArchiveEmpty",
        format!(
            "there is nothing at s3://{}/{}, where the plan says that {} is archived; does its timer run (docs/redis.md)?",
            archive.bucket, archive.prefix, archive.name
        ),
    )
}
