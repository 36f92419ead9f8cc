//! What should be done: pure, so that every case is a test.

mod archives;
mod caches;
mod copies;
mod findings;
mod left_over;

pub(crate) use self::findings::lacking;
use std::collections::{BTreeMap, BTreeSet};

use domain::{RecoveryPointId, ResourceId, Slot, Standing};
use jiff::Timestamp;
use reconcile::{EntryKey, Error, Plan};
use redis::elasticache::{CacheKind, Snapshot};
use vault::{Listed, Object};

use crate::{
    act::Action,
    intake::Intake,
    note::Reach,
    observe::Observed,
    protected::{ATTEMPTS, Protected, What, protected},
    refusal,
};

/// What an attempt fails with when it is over, so that the next one begins. Anything else is tried again as it is.
const FOR_GOOD: [&str; 7] = [
    "SnapshotFailed",
    "ExportIncomplete",
    "RdbCorrupt",
    "FileEmpty",
    "FileDiffers",
    "ArchiveUnsteady",
    "AppendOnlyCorrupt",
];

/// Decides, in this order: write down what has finished, fill the newest slots, copy what is not yet away, delete what is of
/// no more use, and tend what is left over of caches that nobody protects any more.
pub(crate) fn plan(observed: &Observed, now: Timestamp) -> Plan<Action> {
    let mut planner = Planner::new(observed, now);
    planner.say_what_did_not_answer();
    let (protected, refused) = protected(observed.caches(), &observed.plans, now);
    let tended: BTreeSet<ResourceId> = protected
        .iter()
        .map(|one| &one.resource)
        .chain(refused.iter().map(|one| &one.resource))
        .cloned()
        .collect();
    planner.record();
    for one in refused {
        planner.plan.standing(&one.resource, Standing { plan: Some(one.plan), ..Standing::default() });
        planner.plan.refuse(&one.resource, one.error);
    }
    for one in &protected {
        planner.plan.standing(&one.resource, planner.standing_of(one));
        planner.fill(one);
        planner.find_lasting(one);
    }
    planner.copy_away();
    for one in &protected {
        planner.delete_snapshots(one);
    }
    planner.tend_left_over(&tended);
    planner.plan
}

struct Planner<'o> {
    observed: &'o Observed,
    now: Timestamp,
    /// By whether they are serverless, and name.
    snapshots: BTreeMap<(bool, &'o str), &'o Snapshot>,
    /// What was exported, by recovery point and shard.
    exported: BTreeMap<RecoveryPointId, BTreeMap<String, &'o Object>>,
    plan: Plan<Action>,
}

impl<'o> Planner<'o> {
    fn new(observed: &'o Observed, now: Timestamp) -> Self {
        let (mut snapshots, mut exported) = (BTreeMap::new(), BTreeMap::new());
        if let Ok(live) = &observed.live {
            for snapshot in &live.snapshots {
                let is_serverless = snapshot.kind == CacheKind::Serverless;
                snapshots.insert((is_serverless, snapshot.name.as_str()), snapshot);
            }
            for object in &live.exported {
                if let Some((id, shard)) = caches::exported(&object.key) {
                    exported.entry(id).or_insert_with(BTreeMap::new).insert(shard, object);
                }
            }
        }
        Self { observed, now, snapshots, exported, plan: Plan::empty() }
    }

    fn say_what_did_not_answer(&mut self) {
        let observed = self.observed;
        if let Err(error) = &observed.live {
            self.plan.do_without("elasticache", error);
        }
        if let Err(error) = &observed.recorded {
            self.plan.do_without("ledger", error);
        }
        if let Err(error) = &observed.away {
            self.plan.do_without("copies", error);
        }
        if let Err(error) = &observed.notes {
            self.plan.miss("notes", error, &findings::NOTED);
        }
    }

    /// The newest slot of it has a recovery point, or one is being made, or it is said why not.
    fn fill(&mut self, one: &Protected) {
        let resource = &one.resource;
        let Some(slot) = one.slot else {
            return self.plan.settled(resource, format!("plan {} has had no slot yet", one.plan.name));
        };
        let named = |attempt| RecoveryPointId::new(&resource.name, &one.incarnation, slot, attempt);
        if let Some(id) = (1..=ATTEMPTS).map(named).find(|id| self.is_completed(id)) {
            return self.plan.settled(resource, format!("slot {slot} has {id}"));
        }
        let (intake, version) = match self.observed.intakes.get(resource) {
            Some(Ok((intake, version))) => (intake.clone(), version.clone()),
            Some(Err(error)) => return self.plan.refuse(resource, again(error)),
            None => (None, None),
        };
        let attempt = one.attempt(slot, |id| self.failure(resource, id, slot).is_some());
        self.find_failed(one, slot);
        let Some((id, attempt)) = attempt else {
            let schedule = one.plan.schedules.get(&domain::Engine::Redis);
            let next = schedule.and_then(|schedule| schedule.next_after(self.now)).map(Slot::instant);
            return self.plan.refuse(resource, refusal::given_up(slot, next));
        };
        let work = Work { id, slot, attempt, intake, version };
        match &one.what {
            What::Cache(cache) => self.fill_from_cache(one, cache, work),
            What::Archive(archive) => self.fill_from_archive(one, archive, work),
        }
    }

    fn is_completed(&self, id: &RecoveryPointId) -> bool {
        self.observed.home.get(id).is_some_and(|point| point.completed().is_some())
    }

    /// With what that recovery point failed for good, by the ledger.
    fn failure(&self, resource: &ResourceId, id: &RecoveryPointId, slot: Slot) -> Option<&'static str> {
        let recorded = self.observed.recorded.as_ref().ok()?;
        let key = |code: &&&str| {
            let (day, region) = (slot.utc_date(), &self.observed.region);
            EntryKey::from_stored(format!("{day}/{resource}/{id}/{region}/recovery-point-failed-{code}"))
        };
        FOR_GOOD.iter().find(|code| recorded.contains(&key(code))).copied()
    }

    /// Whether both vaults have the recovery point so that nobody needs its snapshot any more: neither lacks what the other has.
    fn is_in_both_vaults(&self, id: &RecoveryPointId) -> bool {
        let Ok(away) = &self.observed.away else { return false };
        let pair = self.observed.home.get(id).zip(away.get(id));
        pair.is_some_and(|(home, copy)| home.is_whole_with(copy))
    }

    /// The recovery point in both Regions, whole in each.
    fn copied(&self, id: &RecoveryPointId) -> bool {
        let Ok(away) = &self.observed.away else { return false };
        let held = |home: &Listed, copy: &Listed| {
            home.completed().is_some() && copy.completed().is_some() && home.is_held_by(copy)
        };
        self.observed.home.get(id).zip(away.get(id)).is_some_and(|(home, copy)| held(home, copy))
    }

    fn standing_of(&self, one: &Protected) -> Standing {
        let newest = self.observed.home.values().filter(|point| {
            point.resource == one.resource && point.completed().is_some() && one.is_of(&point.id)
        });
        let newest = newest.map(|point| (point.slot, &point.id)).max();
        let reaches = newest.map(|(slot, id)| match self.note(one).filter(|note| note.id == *id) {
            Some(note) => match note.archive {
                Some(Reach::To(last)) => last,
                _ => slot.instant(),
            },
            None => slot.instant(),
        });
        Standing {
            plan: Some(one.plan.name.to_string()),
            newest_restorable: reaches,
            rpo_seconds: Some(one.plan.objectives.redis_rpo.as_secs()),
        }
    }
}

/// The recovery point that fills a slot, and what was done for the resource so far.
struct Work {
    id: RecoveryPointId,
    slot: Slot,
    attempt: u32,
    intake: Option<Intake>,
    version: Option<String>,
}

impl Work {
    /// The intake, if it is of this very recovery point.
    fn own_intake(&self) -> Option<&Intake> {
        self.intake.as_ref().filter(|intake| intake.id == self.id)
    }

    fn new_intake(&self, one: &Protected, now: Timestamp) -> Intake {
        let of = (one.incarnation.as_str(), one.plan.name.as_str());
        Intake::new(&self.id, &one.resource, of, self.slot, now)
    }
}

/// The same error, once more.
fn again(error: &Error) -> Error {
    Error::new(error.kind(), error.code().to_owned(), error.report())
}
