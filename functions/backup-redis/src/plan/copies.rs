//! Recovery points that are whole: written down, and copied to the recovery Region where replication has not.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use reconcile::EntryKey;
use vault::Listed;

use super::Planner;
use crate::act::{Action, entry};

/// How long replication may take before the copy is made here.
const REPLICATION: SignedDuration = SignedDuration::from_mins(30);

impl Planner<'_> {
    /// Every recovery point that is whole, and every copy of one, stands in the ledger.
    pub(super) fn record(&mut self) {
        let observed = self.observed;
        let Ok(recorded) = &observed.recorded else { return };
        for point in observed.home.values().filter(|point| point.completed().is_some()) {
            self.record_one(recorded, point, &observed.region, "recovery-point-completed");
            if self.copied(&point.id) {
                self.record_one(recorded, point, &observed.recovery_region, "copy-completed");
            }
        }
    }

    fn record_one(
        &mut self,
        recorded: &BTreeSet<EntryKey>,
        point: &Listed,
        region: &str,
        kind: &'static str,
    ) {
        let key = entry(kind, point.resource.clone(), point.slot, region, &point.id, self.now).key();
        if recorded.contains(&key) {
            return;
        }
        let action = Action::RecordPoint { point: Box::new(point.clone()), region: region.to_owned(), kind };
        self.plan.act(&point.resource, action, format!("{} is whole in {region}", point.id));
    }

    /// Every recovery point is in the recovery Region. Newest first: tonight's copies matter most.
    pub(super) fn copy_away(&mut self) {
        let observed = self.observed;
        let Ok(away) = &observed.away else { return };
        let mut points: Vec<&Listed> = observed.home.values().collect();
        points.sort_by(|a, b| b.slot.cmp(&a.slot).then_with(|| a.id.cmp(&b.id)));
        for point in points {
            let Some(completed) = point.completed().filter(|_| !self.copied(&point.id)) else { continue };
            let region = observed.recovery_region.clone();
            if self.now.duration_since(completed) < REPLICATION {
                let reason = format!("S3 replicates {} to {region}", point.id);
                self.plan.wait(&point.resource, reason);
                continue;
            }
            let reason =
                format!("{} is not whole in {region}, and S3 has not replicated it in time", point.id);
            let copy = away.get(&point.id).cloned().map(Box::new);
            let action = Action::CopyAway { point: Box::new(point.clone()), copy, region };
            self.plan.act(&point.resource, action, reason);
        }
    }
}
