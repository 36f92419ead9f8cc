//! What there is: how many, how large, for which tier, at what cost.

use std::collections::BTreeMap;

use domain::{
    Engine, ResourceId,
    retention::{Decision, Place, Region, Tier, Worth},
};
use inventory::{Held, Holding, Judgement, What};
use jiff::{Timestamp, tz::TimeZone};
use report::{Buckets, Cost, KeptAs};

use crate::seen::Seen;

/// What is decided about everything, by resource.
pub(super) struct Kept<'s> {
    by_resource: BTreeMap<&'s ResourceId, OfResource<'s>>,
}

/// Of one resource: all its lineages, of which the last has the newest recovery point.
#[derive(Default)]
pub(super) struct OfResource<'s> {
    lineages: Vec<Judgement<'s>>,
}

impl<'s> Kept<'s> {
    pub(super) fn of(seen: &'s Seen, now: Timestamp) -> Self {
        let mut by_resource: BTreeMap<_, OfResource<'_>> = BTreeMap::new();
        if let (Some(inventory), Some(plans)) = (&seen.inventory, &seen.plans) {
            for judgement in Judgement::of_all(inventory, plans, &seen.backup_plans, now) {
                by_resource.entry(&judgement.lineage.resource).or_default().lineages.push(judgement);
            }
        }
        for of in by_resource.values_mut() {
            of.lineages.sort_by_key(|judgement| judgement.decisions().last().map(|(held, _)| held.slot));
        }
        Self { by_resource }
    }

    pub(super) fn of_resource(&self, resource: &ResourceId) -> &OfResource<'s> {
        const NOTHING: &OfResource<'_> = &OfResource { lineages: Vec::new() };
        self.by_resource.get(resource).unwrap_or(NOTHING)
    }

    /// What it costs, by engine, Region and tier.
    pub(super) fn into_costs(self, seen: &Seen) -> Vec<Cost> {
        let mut sums: BTreeMap<(Engine, Region, KeptAs), (usize, u64)> = BTreeMap::new();
        for judgement in self.by_resource.values().flat_map(|of| &of.lineages) {
            for (held, decision) in judgement.decisions() {
                for region in Region::ALL {
                    let Some(holding) = held.holding(region) else { continue };
                    let (points, bytes) =
                        sums.entry((held.resource.engine, region, kept_as(decision))).or_default();
                    *points += 1;
                    *bytes = bytes.saturating_add(self::bytes(holding));
                }
            }
        }
        let cost =
            |((engine, region, kept_as), (points, bytes)): ((Engine, Region, KeptAs), (usize, u64))| {
                let price =
                    if engine == Engine::Rds { seen.prices.rds_micro_usd } else { seen.prices.s3_micro_usd };
                let micro_usd = (u128::from(bytes) * u128::from(price)) >> 30;
                Cost {
                    engine,
                    region: match region {
                        Region::Home => seen.home_region.clone(),
                        Region::Recovery => seen.recovery_region.clone(),
                    },
                    kept_as,
                    points,
                    bytes,
                    micro_usd_a_month: u64::try_from(micro_usd).unwrap_or(u64::MAX),
                }
            };
        sums.into_iter().map(cost).collect()
    }
}

impl<'s> OfResource<'s> {
    /// All its recovery points.
    pub(super) fn points(&self) -> impl Iterator<Item = &'s Held> {
        self.lineages.iter().flat_map(|judgement| judgement.decisions().map(|(held, _)| held))
    }

    /// How many there are.
    pub(super) fn held(&self) -> report::Held {
        let mut sum = report::Held::default();
        for held in self.points() {
            let is_verified =
                |region: Region| held.holding(region).is_some_and(|holding| holding.worth == Worth::Verified);
            match Region::ALL.map(is_verified) {
                [false, false] => sum.others += 1,
                both => {
                    sum.verified += 1;
                    sum.copied += u32::from(both == [true, true]);
                }
            }
            sum.on_hold += u32::from(held.is_held);
            let bytes = Region::ALL.iter().filter_map(|region| held.holding(*region)).map(bytes);
            sum.bytes = bytes.fold(sum.bytes, u64::saturating_add);
        }
        sum
    }

    /// How full the tiers are of the incarnation that is there now; in the Region that has more of them, which is the home
    /// Region unless something was lost there.
    pub(super) fn tiers(&self) -> Vec<Buckets> {
        let Some(newest) = self.lineages.last() else { return Vec::new() };
        let Some(plan) = newest.plan else { return Vec::new() };
        let buckets = |tier: Tier| {
            let filled = |region: Region| -> Vec<_> {
                let fills =
                    |decision: &&Decision| decision.places[region as usize][tier as usize] == Place::Fills;
                let filled = newest.decisions().filter(|(_, decision)| decision.as_ref().is_some_and(fills));
                filled.map(|(held, _)| day(held, &plan.time_zone)).collect()
            };
            let [home, recovery] = Region::ALL.map(filled);
            let filled = if recovery.len() > home.len() { recovery } else { home };
            Buckets { tier, kept: tier.kept(&plan.keep), filled }
        };
        Tier::ALL.map(buckets).into()
    }
}

/// The day of its slot, by the plan's calendar.
fn day(held: &Held, time_zone: &TimeZone) -> jiff::civil::Date {
    held.slot.instant().to_zoned(time_zone.clone()).date()
}

fn kept_as(decision: Option<&Decision>) -> KeptAs {
    match decision.map(|decision| (decision.tier(), decision.is_kept())) {
        Some((Some(Tier::Daily), _)) => KeptAs::Daily,
        Some((Some(Tier::Weekly), _)) => KeptAs::Weekly,
        Some((Some(Tier::Monthly), _)) => KeptAs::Monthly,
        Some((Some(Tier::Annual), _)) => KeptAs::Annual,
        Some((None, false)) => KeptAs::Expired,
        Some((None, true)) | None => KeptAs::Otherwise,
    }
}

/// Whether it is a recovery point that was ever whole.
pub(super) fn is_complete(held: &Held) -> bool {
    matches!(held.worth(), Worth::Verified | Worth::Unverified)
}

/// What it takes in one Region; of a snapshot at most.
pub(super) fn bytes(holding: &Holding) -> u64 {
    match &holding.what {
        What::Snapshots(snapshots) => {
            let gib = |allocated: i32| u64::try_from(allocated).unwrap_or_default() << 30;
            snapshots.iter().map(|one| gib(one.allocated_gib)).fold(0, u64::saturating_add)
        }
        What::Objects(listed) => listed.bytes(),
    }
}
