//! Slots that ElastiCache fills: a snapshot, its export, and what is left of them.

use std::collections::{BTreeMap, BTreeSet};

use domain::{RecoveryPointId, Slot, tag};
use jiff::{SignedDuration, Timestamp};
use reconcile::{Outcome, Plan};
use redis::elasticache::{Cache, CacheKind, NewSnapshot, Snapshot, SnapshotState, Tags, ensure};
use vault::Object;

use super::{Planner, Work};
use crate::{
    act::{Action, entry},
    intake::{Export, File, Intake},
    protected::Protected,
    refusal,
};

/// How long after its slot a cache may be too busy for a snapshot before that is a failure.
const OVERDUE: SignedDuration = SignedDuration::from_hours(1);

/// How long a snapshot may be in the making.
const STUCK: SignedDuration = SignedDuration::from_hours(24);

/// How long files may be missing after ElastiCache was last seen to export.
const EXPORT_ENDED: SignedDuration = SignedDuration::from_hours(1);

/// The same, if it was never seen to: then nobody knows when it ended.
const EXPORT_UNSEEN: SignedDuration = SignedDuration::from_hours(6);

/// After so long without a file an export is asked for again, though ElastiCache said that it begins.
const ASK_AGAIN: SignedDuration = SignedDuration::from_mins(15);

/// How often the instant is written down at which an export was still going on.
const SEEN_AGAIN: SignedDuration = SignedDuration::from_mins(10);

/// Of an object in the export bucket: of which recovery point it is, and of which shard.
pub(super) fn exported(key: &str) -> Option<(RecoveryPointId, String)> {
    let stem = key.strip_suffix(".rdb")?;
    let whole = RecoveryPointId::from(stem);
    if whole.parts().is_some() {
        return Some((whole, "0001".to_owned()));
    }
    let (id, shard) = stem.rsplit_once('-')?;
    let is_shard = (1..=4).contains(&shard.len()) && shard.bytes().all(|c| c.is_ascii_digit());
    let id = RecoveryPointId::from(id);
    (is_shard && id.parts().is_some()).then(|| (id, format!("{shard:0>4}")))
}

impl<'o> Planner<'o> {
    pub(super) fn fill_from_cache(&mut self, one: &Protected, cache: &Cache, work: Work) {
        if let Err(why) = ensure::exportable(cache) {
            self.find_unexportable(one, &why);
            return self.plan.settled(&one.resource, format!("it cannot be exported: {why}"));
        }
        let snapshot = self.snapshot(cache.kind, &work.id);
        let Some(older) = self.unfinished(one, cache, &work) else {
            return self.advance(one, cache, snapshot, work);
        };
        // What was begun for an earlier slot is finished first: if each slot ended the work on the one before, a large cache would
        // never get anything whole. The snapshot of the newest slot is taken all the same, as of when it should be.
        if snapshot.is_none() && work.own_intake().is_none() {
            self.take(one, cache, &work);
        }
        let snapshot = self.snapshot(cache.kind, &older.id);
        self.advance(one, cache, snapshot, older);
    }

    fn snapshot(&self, kind: CacheKind, id: &RecoveryPointId) -> Option<&'o Snapshot> {
        self.snapshots.get(&(kind == CacheKind::Serverless, id.as_str())).copied()
    }

    /// The work on an earlier slot, if it was begun and can be gone on with.
    fn unfinished(&self, one: &Protected, cache: &Cache, work: &Work) -> Option<Work> {
        let intake = work.intake.as_ref().filter(|intake| intake.id != work.id)?;
        let (id, slot) = (&intake.id, intake.slot());
        let parts = id.parts()?;
        let goes_on = one.is_of(id)
            && parts.slot == slot
            && slot < work.slot
            && self.observed.days.contains(&slot.utc_date())
            && !self.is_completed(id)
            && self.failure(&one.resource, id, slot).is_none()
            && (self.is_ready(intake) || self.snapshot(cache.kind, id).is_some_and(|s| !is_failed(s)));
        goes_on.then(|| Work {
            id: id.clone(),
            slot,
            attempt: parts.attempt,
            intake: Some(intake.clone()),
            version: work.version.clone(),
        })
    }

    /// Whether all its files are in the vault, or still where they were exported to.
    pub(super) fn is_ready(&self, intake: &Intake) -> bool {
        let stored = self.observed.home.get(&intake.id);
        let exported = self.exported.get(&intake.id);
        let is_there = |(name, file): (&String, &File)| {
            let stored = stored.and_then(|point| point.objects.get(name));
            let source = exported.and_then(|files| files.values().find(|object| object.key == file.key));
            stored.is_some_and(|object| object.bytes == file.bytes)
                || source.is_some_and(|object| object.etag == file.etag)
        };
        !intake.files.is_empty() && intake.files.iter().all(is_there)
    }

    /// The next step for a recovery point, whichever slot's.
    fn advance(&mut self, one: &Protected, cache: &Cache, snapshot: Option<&Snapshot>, work: Work) {
        if let Some(intake) = work.own_intake().filter(|intake| self.is_ready(intake)) {
            let intake = intake.clone();
            return self.take_in(intake, work);
        }
        let Some(snapshot) = snapshot else { return self.take(one, cache, &work) };
        if is_failed(snapshot) {
            return self.record_failed_snapshot(one, snapshot, &work);
        }
        let intake = match work.own_intake() {
            Some(intake) => intake.clone(),
            None => work.new_intake(one, self.requested_at(snapshot)),
        };
        self.bring_in(Some(cache), snapshot, intake, work);
    }

    /// The next step on the way of a snapshot into the vault. Without its `cache` what the intake says of that is all there is.
    pub(super) fn bring_in(
        &mut self,
        cache: Option<&Cache>,
        snapshot: &Snapshot,
        intake: Intake,
        work: Work,
    ) {
        let resource = &intake.resource;
        match snapshot.state() {
            // Both callers look for that first: there is no way for it.
            SnapshotState::Failed => {}
            SnapshotState::Busy => match work.own_intake() {
                Some(intake) if intake.export.is_some() => {
                    let begun = intake.export.map(|export| export.begun);
                    if begun.is_some_and(|begun| self.now.duration_since(begun) > STUCK) {
                        return self.plan.refuse(resource, refusal::stuck(snapshot));
                    }
                    self.follow(intake.clone(), work, snapshot);
                }
                _ if self.is_stuck(snapshot, work.slot) => {
                    self.plan.refuse(resource, refusal::stuck(snapshot));
                }
                _ => self.plan.wait(resource, format!("{} is {}", snapshot.name, snapshot.status)),
            },
            SnapshotState::Available => self.export(cache, snapshot, intake, work),
        }
    }

    fn is_stuck(&self, snapshot: &Snapshot, slot: Slot) -> bool {
        self.now.duration_since(snapshot.created.unwrap_or(slot.instant())) > STUCK
    }

    fn record_failed_snapshot(&mut self, one: &Protected, snapshot: &Snapshot, work: &Work) {
        let (resource, region) = (one.resource.clone(), &self.observed.region);
        let mut entry = entry("recovery-point-failed", resource, work.slot, region, &work.id, self.now);
        entry.outcome = Outcome::Failed("SnapshotFailed".to_owned());
        entry.detail.insert("plan".to_owned(), one.plan.name.to_string().into());
        let reason = format!("{} is {}", snapshot.name, snapshot.status);
        self.plan.act(&one.resource, Action::Record { entry: Box::new(entry) }, reason);
        // Now, and not once the entry is read.
        self.find_attempt(one, (&work.id, work.slot, work.attempt), "SnapshotFailed");
    }

    /// Notes from time to time that the export is still going on.
    fn follow(&mut self, mut intake: Intake, work: Work, snapshot: &Snapshot) {
        let resource = intake.resource.clone();
        let seen = intake.export.and_then(|export| export.busy);
        if seen.is_some_and(|seen| self.now.duration_since(seen) < SEEN_AGAIN) {
            return self.plan.wait(&resource, format!("{} is {}", snapshot.name, snapshot.status));
        }
        if let Some(export) = &mut intake.export {
            export.busy = Some(self.now);
        }
        let reason = format!("{} is {}", snapshot.name, snapshot.status);
        let action = Action::Note { intake: Box::new(intake), version: work.version };
        self.plan.act(&resource, action, reason);
    }

    fn take(&mut self, one: &Protected, cache: &Cache, work: &Work) {
        let (resource, slot) = (&one.resource, work.slot);
        if cache.status != "available" {
            let overdue = self.now.duration_since(slot.instant()) > OVERDUE;
            if overdue && !matches!(cache.status.as_str(), "creating" | "snapshotting") {
                return self.plan.refuse(resource, refusal::overdue(cache, slot));
            }
            let reason =
                format!("slot {slot} needs a snapshot; the cache is {} and takes none now", cache.status);
            return self.plan.wait(resource, reason);
        }
        let taken = self.taken_in_a_day(one, cache);
        if taken.len() >= cache.kind.snapshots_a_day() {
            let again = taken.into_values().min().map(|first| first + DAY);
            return self.plan.refuse(resource, refusal::room(cache.kind, &cache.name, again));
        }
        let tag = |key: &str, value: String| (key.to_owned(), value);
        let tags = Tags::from([
            tag(tag::PLAN, one.plan.name.to_string()),
            tag(tag::RESOURCE, resource.to_string()),
            tag(tag::SLOT, slot.to_string()),
            tag(tag::REQUESTED_AT, self.now.to_string()),
        ]);
        let new = NewSnapshot { kind: cache.kind, cache: cache.name.clone(), id: work.id.clone(), tags };
        let reason = if work.attempt == 1 {
            format!("slot {slot} of plan {} has no recovery point", one.plan.name)
        } else {
            format!("attempt {} of slot {slot} failed", work.attempt - 1)
        };
        let region = self.observed.region.clone();
        self.plan.act(resource, Action::Take { slot, region, new }, reason);
    }

    /// The snapshots of the last 24 hours, anybody's, by name; and of those that are deleted the ones that the vault has.
    fn taken_in_a_day(&self, one: &Protected, cache: &Cache) -> BTreeMap<String, Timestamp> {
        let recent = |at: &Timestamp| self.now.duration_since(*at) < DAY;
        let of_it = self
            .snapshots
            .values()
            .filter(|snapshot| (snapshot.kind, snapshot.cache.as_str()) == (cache.kind, cache.name.as_str()));
        let mut taken: BTreeMap<String, Timestamp> = of_it
            .filter_map(|snapshot| Some((snapshot.name.clone(), snapshot.created.filter(recent)?)))
            .collect();
        let stored = self.observed.home.values().filter(|point| one.is_of(&point.id));
        for point in stored.filter(|point| recent(&point.slot.instant())) {
            taken.entry(point.id.to_string()).or_insert(point.slot.instant());
        }
        taken
    }

    /// Of a snapshot that is there: takes its files in, once ElastiCache has written them all.
    fn export(&mut self, cache: Option<&Cache>, snapshot: &Snapshot, mut intake: Intake, work: Work) {
        if let Some(cache) = cache {
            // As it was when the snapshot was taken, as far as ElastiCache still tells.
            let mut source = cache.source();
            source.settings.engine_version =
                snapshot.engine_version.clone().or(source.settings.engine_version);
            if !snapshot.shards.is_empty() {
                source.settings.shards.clone_from(&snapshot.shards);
            }
            intake.source = source.to_map();
        }
        intake.taken_at = snapshot.created.or(intake.taken_at);
        let none = BTreeMap::new();
        let found = self.exported.get(&work.id).unwrap_or(&none);
        if self.is_all(snapshot, found) {
            intake.files = files(&intake, found);
            return self.take_in(intake, work);
        }
        self.ask_for_export(intake, work, snapshot);
    }

    pub(super) fn requested_at(&self, snapshot: &Snapshot) -> Timestamp {
        let said = snapshot.tags.get(tag::REQUESTED_AT).and_then(|instant| instant.parse().ok());
        said.or(snapshot.created).unwrap_or(self.now)
    }

    fn is_all(&self, snapshot: &Snapshot, found: &BTreeMap<String, &Object>) -> bool {
        let told: BTreeSet<String> =
            snapshot.shards.iter().map(|shard| format!("{:0>4}", shard.id)).collect();
        if !told.is_empty() {
            // Their names are ElastiCache's; what counts is how many there are.
            return found.len() >= told.len();
        }
        let in_a_row =
            found.keys().zip(1..).all(|(shard, number): (_, u32)| *shard == format!("{number:04}"));
        let newest = found.values().map(|object| object.modified).max();
        in_a_row && newest.is_some_and(|newest| self.now.duration_since(newest) >= self.observed.quiet)
    }

    fn ask_for_export(&mut self, mut intake: Intake, work: Work, snapshot: &Snapshot) {
        let resource = intake.resource.clone();
        let none = BTreeMap::new();
        let found = self.exported.get(&work.id).unwrap_or(&none);
        let newest = found.values().map(|object| object.modified).max();
        let expected = snapshot.shards.len().max(1);
        if let Some(export) = intake.export {
            let (since, limit) = match export.busy {
                Some(busy) => (busy, EXPORT_ENDED),
                None => (export.begun, EXPORT_UNSEEN),
            };
            let waited = self.now.duration_since(newest.map_or(since, |newest| newest.max(since)));
            if waited > limit {
                let error = refusal::export_incomplete(snapshot, found.len(), expected, waited);
                let reason = error.to_string();
                let action =
                    Action::Fail { error: reason.clone(), intake: Box::new(intake), region: self.region() };
                return self.plan.act(&resource, action, reason);
            }
            let asked_lately = export.asked.is_some_and(|asked| self.now.duration_since(asked) < ASK_AGAIN);
            if newest.is_some() || asked_lately {
                let reason = format!("{} of {expected} files of {} are exported", found.len(), work.id);
                return self.plan.wait(&resource, reason);
            }
        } else if !found.is_empty() {
            // It was asked for, and the document about that was lost.
            intake.export = Some(Export { begun: self.now, asked: Some(self.now), busy: None });
            let action = Action::Note { intake: Box::new(intake), version: work.version };
            return self.plan.act(
                &resource,
                action,
                format!("{} files of {} are exported", found.len(), work.id),
            );
        }
        let begun = intake.export.map_or(self.now, |export| export.begun);
        let busy = intake.export.and_then(|export| export.busy);
        intake.export = Some(Export { begun, asked: None, busy });
        let reason = format!("{} is available and not exported", snapshot.name);
        let action = Action::Export {
            snapshot: Box::new(snapshot.clone()),
            intake: Box::new(intake),
            version: work.version,
            region: self.region(),
        };
        self.plan.act(&resource, action, reason);
    }

    pub(super) fn take_in(&mut self, intake: Intake, work: Work) {
        let resource = intake.resource.clone();
        let reason = format!("{} files of {} are not all verified in the vault", intake.files.len(), work.id);
        let region = self.region();
        let action =
            Action::TakeIn { intake: Box::new(intake), version: work.version, archive: None, region };
        self.plan.act(&resource, action, reason);
    }

    pub(super) fn region(&self) -> String {
        self.observed.region.clone()
    }

    /// Of its snapshots that are in the vault and in the copy's, all but the newest that the plan keeps are of no more use.
    /// Every other snapshot is left alone: somebody else's, one that a person holds, and any that is not proven to be elsewhere.
    pub(super) fn delete_snapshots(&mut self, one: &Protected) {
        let crate::protected::What::Cache(cache) = &one.what else { return };
        let mut ours: Vec<(RecoveryPointId, Slot, &Snapshot)> = Vec::new();
        let of_it = self
            .snapshots
            .values()
            .filter(|snapshot| (snapshot.kind, snapshot.cache.as_str()) == (cache.kind, cache.name.as_str()));
        for snapshot in of_it {
            let id = RecoveryPointId::from(snapshot.name.as_str());
            let Some(slot) = id.parts().map(|parts| parts.slot) else { continue };
            let is_ours =
                one.is_of(&id) && snapshot.tags.get(tag::RESOURCE) == Some(&one.resource.to_string());
            if is_ours && self.is_in_both_vaults(&id) {
                ours.push((id, slot, snapshot));
            }
        }
        ours.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| b.0.cmp(&a.0)));
        let kept = usize::try_from(one.plan.redis.keep_snapshots).unwrap_or(usize::MAX);
        let is_held = |snapshot: &Snapshot| snapshot.tags.contains_key(tag::LEGAL_HOLD);
        let is_idle = |snapshot: &Snapshot| snapshot.state() == SnapshotState::Available;
        let idle = ours.into_iter().skip(kept).filter(|(.., one)| is_idle(one) && !is_held(one));
        delete(&mut self.plan, one, kept, idle.map(|(id, _, snapshot)| (id, snapshot)));
    }
}

fn delete<'s>(
    plan: &mut Plan<Action>,
    one: &Protected,
    kept: usize,
    snapshots: impl Iterator<Item = (RecoveryPointId, &'s Snapshot)>,
) {
    for (id, snapshot) in snapshots {
        let resource = one.resource.clone();
        let reason =
            format!("{id} is in the vault and its copy, and the plan keeps {kept} snapshots at ElastiCache");
        let action = Action::Delete { resource, snapshot: Box::new(snapshot.clone()) };
        plan.act(&one.resource, action, reason);
    }
}

const DAY: SignedDuration = SignedDuration::from_hours(24);

pub(super) fn is_failed(snapshot: &Snapshot) -> bool {
    snapshot.state() == SnapshotState::Failed
}

/// The files to be taken in. What was read of one that is still the same is not read again.
fn files(intake: &Intake, found: &BTreeMap<String, &Object>) -> BTreeMap<String, File> {
    let file = |(shard, object): (&String, &&Object)| {
        let name = format!("{shard}.rdb");
        let before =
            intake.files.get(&name).filter(|file| file.etag == object.etag && file.key == object.key);
        let fresh =
            || File { key: object.key.clone(), etag: object.etag.clone(), bytes: object.bytes, read: None };
        let file = before.cloned().unwrap_or_else(fresh);
        (name, file)
    };
    found.iter().map(file).collect()
}
