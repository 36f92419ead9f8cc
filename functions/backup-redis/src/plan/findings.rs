//! What is wrong, for as long as it is.

use domain::{Finding, RecoveryPointId, ResourceId, Severity, Slot, Standing};
use jiff::Timestamp;
use vault::Object;

use super::Planner;
use crate::{
    note::{Note, Reach},
    protected::{ATTEMPTS, Protected, What},
};

/// The object that an archive's owner writes anew with each run of the sync, so that a server to which nothing is written
/// can be told from a sync that has stopped.
pub(crate) const SYNCED: &str = "tidemark-synced";

/// Findings that are read off the notes.
pub(super) const NOTED: [&str; 3] =
    ["rdb-without-checksum", "append-only-without-times", "append-only-behind"];

impl Planner<'_> {
    fn find(
        &mut self,
        one: &Protected,
        kind: &str,
        code: Option<&str>,
        severity: Severity,
        [says, next]: [String; 2],
    ) {
        self.plan.find(Finding {
            resource: one.resource.clone(),
            kind: kind.to_owned(),
            code: code.map(str::to_owned),
            severity,
            since: self.now,
            says,
            next,
            standing: Standing::default(),
        });
    }

    /// It is under a plan and nothing can be done for it: said as long as that is so, and no failure each time.
    pub(super) fn find_unexportable(&mut self, one: &Protected, why: &str) {
        let says =
            format!("{} is under plan {}, and has no backup: {why}.", one.resource.name, one.plan.name);
        let next =
            "Let it have nodes and an engine whose snapshots can be exported, or protect it otherwise and \
                    take the tag tidemark:plan off."
                .to_owned();
        self.find(one, "cannot-export", None, Severity::Critical, [says, next]);
    }

    /// The attempts at a slot that failed, while none has succeeded.
    pub(super) fn find_failed(&mut self, one: &Protected, slot: Slot) {
        for attempt in 1..=ATTEMPTS {
            let id = RecoveryPointId::new(&one.resource.name, &one.incarnation, slot, attempt);
            if let Some(code) = self.failure(&one.resource, &id, slot) {
                self.find_attempt(one, (&id, slot, attempt), code);
            }
        }
    }

    /// That attempt failed.
    pub(super) fn find_attempt(
        &mut self,
        one: &Protected,
        (id, slot, attempt): (&RecoveryPointId, Slot, u32),
        code: &str,
    ) {
        let says = format!("Attempt {attempt} of {ATTEMPTS} at slot {slot}, {id}, failed with {code}.");
        let next = format!(
            "The ledger's entry {}/{}/{id} says what was found. The next attempt is made by itself.",
            slot.utc_date(),
            one.resource
        );
        self.find(one, "recovery-point-failed", Some(code), Severity::Critical, [says, next]);
    }

    pub(super) fn note(&self, one: &Protected) -> Option<&Note> {
        let note = self.observed.notes.as_ref().ok()?.get(&one.resource)?;
        one.is_of(&note.id).then_some(note)
    }

    /// What its newest recovery point lacks, and whether its archive is synced any more.
    pub(super) fn find_lasting(&mut self, one: &Protected) {
        let Some(note) = self.note(one).cloned() else { return };
        for finding in lacking(&one.resource, &note, self.now) {
            self.plan.find(finding);
        }
        if let (What::Archive(_), Some(reach)) = (&one.what, note.archive) {
            self.find_behind(one, &note, reach);
        }
    }

    fn find_behind(&mut self, one: &Protected, note: &Note, reach: Reach) {
        let Some(slot) = note.id.parts().map(|parts| parts.slot) else { return };
        let rpo = one.plan.objectives.redis_rpo;
        let Some(Ok(files)) = self.observed.archives.get(&one.resource) else {
            // What was found of it goes on, as far as anybody knows.
            return self.plan.leave_resource(&one.resource);
        };
        // Somebody else's file, and no evidence of anything: only that the sync ran.
        let is_marker = |file: &&Object| file.key.ends_with(&format!("/{SYNCED}"));
        let synced = files.iter().find(is_marker).map(|file| file.modified);
        let is_old = |at: Timestamp| self.now.duration_since(at) > rpo;
        let newest = files.iter().map(|file| file.modified).max();
        let last = match reach {
            Reach::To(last) => Some(last).filter(|last| slot.instant().duration_since(*last) > rpo),
            Reach::Undated => None,
        };
        let last = last.filter(|_| synced.is_none_or(is_old));
        let says = match (newest.filter(|at| is_old(*at)), last) {
            (Some(newest), _) => {
                format!(
                    "Nothing has come to the archive since {newest}, for more than {} minutes",
                    rpo.as_mins()
                )
            }
            (None, Some(last)) => format!(
                "The last command in {} is of {last}, more than {} minutes before its slot {slot}",
                note.id,
                rpo.as_mins()
            ),
            (None, None) => return,
        };
        let says =
            format!("{says}: the archive is not synced any more, or nothing is written to the server.");
        let next = format!(
            "Look at the timer that archives it (docs/redis.md). If the server is merely idle, let the timer write {SYNCED} \
             beside the files."
        );
        self.find(one, "append-only-behind", None, Severity::Critical, [says, next]);
    }
}

/// What that recovery point lacks, by itself.
pub(crate) fn lacking(resource: &ResourceId, note: &Note, now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |kind: &str, says: String, next: &str| {
        findings.push(Finding {
            resource: resource.clone(),
            kind: kind.to_owned(),
            code: None,
            severity: Severity::Warning,
            since: now,
            says,
            next: next.to_owned(),
            standing: Standing::default(),
        });
    };
    if note.unchecked {
        let says = format!(
            "{} has no checksum: its structure is whole, but a damaged value in it would look the same.",
            note.id
        );
        find("rdb-without-checksum", says, "Set rdbchecksum yes on the server.");
    }
    if note.archive == Some(Reach::Undated) {
        let says = format!(
            "{} can be restored as a whole and not to a second: the server writes no times into its append-only files.",
            note.id
        );
        let next = "Set aof-timestamp-enabled yes on the server, and let it rewrite (BGREWRITEAOF).";
        find("append-only-without-times", says, next);
    }
    findings
}
