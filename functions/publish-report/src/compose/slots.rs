//! What became of each slot.

use std::collections::{BTreeMap, BTreeSet};

use domain::{BackupPlan, Engine, RecoveryPointId, ResourceId, Slot, retention::Worth};
use inventory::Held;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use report::Slots;

use super::resources::is_within;
use crate::{
    recorded::Known,
    seen::{Seen, days},
};

/// A schedule has no more slots than that in these days: one each minute.
const MOST: usize = 31 * 24 * 60;

/// What became of one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Verified,
    Unverified,
    Pending,
    Failed,
}

/// The slots of these days, by plan and engine: not cheap to find, and the same for all their resources.
pub(super) struct Calendar<'s> {
    seen: &'s Seen,
    now: Timestamp,
    days: Vec<Date>,
    due: BTreeMap<(String, Engine), Vec<Slot>>,
    /// What the ledger says, by resource.
    recorded: BTreeMap<&'s ResourceId, Vec<(&'s RecoveryPointId, Known)>>,
}

impl<'s> Calendar<'s> {
    pub(super) fn new(seen: &'s Seen, now: Timestamp) -> Self {
        let mut recorded: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for ((resource, id), known) in seen.recorded.iter().flat_map(|recorded| &recorded.points) {
            recorded.entry(resource).or_default().push((id, *known));
        }
        Self { seen, now, days: days(now).into_iter().collect(), due: BTreeMap::new(), recorded }
    }

    /// What became of each day's slots of that resource.
    pub(super) fn of<'h>(
        &mut self,
        resource: &ResourceId,
        plan: Option<&BackupPlan>,
        since: Option<Timestamp>,
        points: impl Iterator<Item = &'h Held>,
    ) -> Vec<Slots> {
        let fates = self.fates(resource, points);
        let mut expected: BTreeSet<Slot> = match (plan, since) {
            (Some(plan), Some(since)) => {
                let since = self.since(resource, since, &fates);
                self.due(plan, resource.engine)
                    .iter()
                    .copied()
                    .filter(|slot| slot.instant() >= since)
                    .collect()
            }
            // Under no plan nothing is expected.
            _ => BTreeSet::new(),
        };
        expected.extend(fates.keys().filter(|slot| is_within(**slot, self.now)));
        let mut of_days = vec![Slots::default(); self.days.len()];
        for slot in expected {
            let Ok(at) = self.days.binary_search(&slot.utc_date()) else { continue };
            let day = &mut of_days[at];
            *match fates.get(&slot) {
                _ if !self.answers(resource.engine) => &mut day.unknown,
                Some(Fate::Verified) => &mut day.verified,
                Some(Fate::Unverified) => &mut day.unverified,
                Some(Fate::Pending) => &mut day.pending,
                Some(Fate::Failed) => &mut day.failed,
                None if self.is_in_grace(slot, plan) => &mut day.pending,
                None if self.seen.recorded.is_none() => &mut day.unknown,
                None => match self.is_unchanged(resource, slot, plan, &fates) {
                    Some(true) => &mut day.unchanged,
                    Some(false) => &mut day.missing,
                    None => &mut day.unknown,
                },
            } += 1;
        }
        of_days
    }

    /// The best that is known of each slot: of what is there, and of what the ledger says was there.
    fn fates<'h>(
        &self,
        resource: &ResourceId,
        points: impl Iterator<Item = &'h Held>,
    ) -> BTreeMap<Slot, Fate> {
        let mut fates = BTreeMap::new();
        let mut note = |slot: Slot, fate: Fate| {
            let best = fates.entry(slot).or_insert(fate);
            *best = fate.min(*best);
        };
        let mut there = BTreeSet::new();
        for held in points {
            there.insert(&held.id);
            note(
                held.slot,
                match held.worth() {
                    Worth::Verified => Fate::Verified,
                    Worth::Unverified => Fate::Unverified,
                    Worth::Pending => Fate::Pending,
                    Worth::Failed => Fate::Failed,
                },
            );
        }
        for (id, known) in self.recorded.get(resource).into_iter().flatten() {
            let Some(parts) = id.parts() else { continue };
            // What is there speaks for itself; of what is gone, the ledger does.
            if there.contains(id) {
                continue;
            }
            match known {
                Known { is_completed: true, is_unverified: false, .. } => note(parts.slot, Fate::Verified),
                Known { is_completed: true, .. } => note(parts.slot, Fate::Unverified),
                Known { has_failed: true, .. } => note(parts.slot, Fate::Failed),
                Known { .. } => {}
            }
        }
        fates
    }

    fn answers(&self, engine: Engine) -> bool {
        let inventory = self.seen.inventory.as_ref();
        inventory.is_some_and(|inventory| inventory.engines.get(&engine).is_some_and(Result::is_ok))
    }

    /// Since when slots are expected. The watch's memory may be younger than the resource.
    fn since(&self, resource: &ResourceId, since: Timestamp, fates: &BTreeMap<Slot, Fate>) -> Timestamp {
        let earliest = fates.keys().next().map(|slot| slot.instant());
        let of_this = self.seen.ages.values().find(|day| day.resources.contains_key(resource));
        let measured =
            of_this.and_then(|day| day.day.to_zoned(TimeZone::UTC).ok()).map(|day| day.timestamp());
        [Some(since), earliest, measured].into_iter().flatten().min().unwrap_or(since)
    }

    fn due(&mut self, plan: &BackupPlan, engine: Engine) -> &[Slot] {
        let (days, now) = (&self.days, self.now);
        self.due.entry((plan.name.to_string(), engine)).or_insert_with(|| {
            let first = days.first().and_then(|day| day.to_zoned(TimeZone::UTC).ok());
            let schedule = plan.schedules.get(&engine);
            let slots = schedule.zip(first).map(|(schedule, first)| {
                let before = first.timestamp() - jiff::SignedDuration::from_secs(1);
                schedule.slots(before, now, MOST)
            });
            slots.unwrap_or_default()
        })
    }

    fn is_in_grace(&self, slot: Slot, plan: Option<&BackupPlan>) -> bool {
        plan.is_some_and(|plan| self.now.duration_since(slot.instant()) < plan.objectives.slot_grace)
    }

    /// A Turso database to which nothing was written costs no object in that hour. Nothing records that; but watch-rpo knew it
    /// when it measured: had something been written, and not been copied, the age would have exceeded the objective in the
    /// hour in which the next slot was due. A day's first recovery point is made in any case. `None` where nobody measured.
    fn is_unchanged(
        &self,
        resource: &ResourceId,
        slot: Slot,
        plan: Option<&BackupPlan>,
        fates: &BTreeMap<Slot, Fate>,
    ) -> Option<bool> {
        let Some(plan) = plan.filter(|_| resource.engine == Engine::Turso) else { return Some(false) };
        let of_the_day =
            |(of, fate): (&Slot, &Fate)| *fate == Fate::Verified && of.utc_date() == slot.utc_date();
        if !fates.range(..slot).rev().take_while(|(of, _)| of.utc_date() == slot.utc_date()).any(of_the_day) {
            return Some(false);
        }
        let judged_at = slot.instant() + plan.objectives.slot_grace;
        let at = judged_at.min(self.now).to_zoned(TimeZone::UTC);
        let ages = self.seen.ages.get(&at.date()).and_then(|day| day.resources.get(resource));
        let hour = u8::try_from(at.hour()).unwrap_or_default();
        let age = ages.and_then(|ages| ages.hours.get(&hour))?;
        Some(*age <= plan.objectives.turso_rpo.as_secs())
    }
}
