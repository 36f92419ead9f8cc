//! Which recovery points are kept, and why: grandfather-father-son, over verified recovery points only, with floors that no
//! policy can lower.
//!
//! A tier has a bucket for each day, ISO week, month or year of the plan's calendar, and keeps as many of the newest
//! buckets that hold anything as the plan says. A bucket is filled by the *earliest* verified recovery point in it: the one
//! nearest to when it was due. So what fills a bucket is known when it is made, and nothing that comes later takes its
//! place; a failure on the 1st makes the 2nd's the month's. Buckets in which nothing succeeded do not count: after ten
//! days without a backup there are still seven daily ones.
//!
//! What is complete and not verified counts for nothing, and is kept all the same wherever it would fill a bucket if it
//! were: a later look may find that it is whole.

mod decision;
#[cfg(test)]
mod tests;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

pub use self::decision::{Decision, Floors, Place};
use crate::{RecoveryPointId, Retention, Slot};

/// Nothing younger is ever deleted, whatever a plan says: a day in which a person can see that a plan is wrong.
pub const LEAST_AGE: SignedDuration = SignedDuration::from_hours(24);

/// The tiers, the finest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Days of the plan's calendar.
    Daily,
    /// ISO weeks.
    Weekly,
    /// Months.
    Monthly,
    /// Years.
    Annual,
}

impl Tier {
    /// All of them, the finest first.
    pub const ALL: [Self; 4] = [Self::Daily, Self::Weekly, Self::Monthly, Self::Annual];

    /// How many buckets a plan keeps of it.
    pub const fn kept(self, keep: &Retention) -> u32 {
        match self {
            Self::Daily => keep.daily,
            Self::Weekly => keep.weekly,
            Self::Monthly => keep.monthly,
            Self::Annual => keep.annual,
        }
    }
}

/// How one plan keeps one resource's recovery points.
#[derive(Clone, Debug)]
pub struct Policy {
    /// How many buckets each tier has, and what is kept besides.
    pub keep: Retention,
    /// Whose days, weeks, months and years they are.
    pub time_zone: TimeZone,
}

/// What is known of a recovery point's worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    /// Complete, and found to be whole.
    Verified,
    /// Complete, and not found to be whole, or found not to be.
    Unverified,
    /// Still being made.
    Pending,
    /// It will never be one.
    Failed,
}

/// A recovery point, as far as keeping it goes. All of one plan run are of one incarnation of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub id: RecoveryPointId,
    /// The slot that it fills.
    pub slot: Slot,
    /// What it is worth.
    pub worth: Worth,
    /// When it was made.
    pub made_at: Timestamp,
    /// A person holds it: nothing but that person lets it go.
    pub is_held: bool,
    /// Tidemark made it.
    pub is_ours: bool,
    /// A copy of it is under way.
    pub is_copied: bool,
}

/// Decides for every candidate of one resource; the decisions are in the candidates' order. In O(n log n).
pub fn plan(candidates: &[Candidate], policy: &Policy, now: Timestamp) -> Vec<Decision> {
    let rows = rows(candidates, &policy.time_zone);
    let mut decisions = vec![Decision::default(); candidates.len()];
    let worth = |row: &Row| candidates[row.at].worth;
    for tier in Tier::ALL {
        if candidates.iter().any(|candidate| candidate.worth == Worth::Unverified) {
            // Where they would be if they were verified, among those that are.
            let complete =
                rows.iter().filter(|row| [Worth::Verified, Worth::Unverified].contains(&worth(row)));
            fill(complete, tier, policy, |row, place| {
                if worth(row) == Worth::Unverified {
                    let decision = &mut decisions[row.at];
                    decision.places[tier as usize] = place;
                    decision.floors.set(Floors::MAY_FILL, decision.fills_any());
                }
            });
        }
        let verified = rows.iter().filter(|row| worth(row) == Worth::Verified);
        fill(verified, tier, policy, |row, place| decisions[row.at].places[tier as usize] = place);
    }
    put_floors(candidates, &rows, policy, now, &mut decisions);
    decisions
}

/// A candidate in its place in time.
struct Row {
    /// Where it stands among the candidates.
    at: usize,
    /// The bucket of each tier that it is in: of two buckets, the later one is the larger.
    buckets: [i64; 4],
}

/// The candidates, the earliest first.
fn rows(candidates: &[Candidate], time_zone: &TimeZone) -> Vec<Row> {
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_unstable_by(|one, other| {
        let (one, other) = (&candidates[*one], &candidates[*other]);
        one.slot.cmp(&other.slot).then_with(|| one.id.cmp(&other.id))
    });
    let row = |at: usize| {
        let instant = candidates[at].slot.instant();
        let offset = time_zone.to_offset(instant);
        let date = offset.to_datetime(instant).date();
        let day = (instant.as_second() + i64::from(offset.seconds())).div_euclid(SECONDS_OF_A_DAY);
        // ISO weeks begin on Mondays; the first day of 1970 was a Thursday.
        let week = (day + 3).div_euclid(7);
        let year = i64::from(date.year());
        Row { at, buckets: [day, week, year * 12 + i64::from(date.month()), year] }
    };
    order.into_iter().map(row).collect()
}

const SECONDS_OF_A_DAY: i64 = 24 * 60 * 60;

/// Says of each row, the earliest first, how it stands to its bucket of that tier.
fn fill<'r>(
    rows: impl Iterator<Item = &'r Row> + Clone,
    tier: Tier,
    policy: &Policy,
    mut say: impl FnMut(&Row, Place),
) {
    // Where clocks go back over midnight, the day before does not begin anew: a bucket is the latest that there was by then.
    let latest = |so_far: &mut i64, row: &'r Row| {
        *so_far = row.buckets[tier as usize].max(*so_far);
        Some((row, *so_far))
    };
    let with_buckets = rows.scan(i64::MIN, latest);
    let buckets = with_buckets.clone().fold((0_u32, None), |(count, last), (_, bucket)| {
        if last == Some(bucket) { (count, last) } else { (count.saturating_add(1), Some(bucket)) }
    });
    let beyond = buckets.0.saturating_sub(tier.kept(&policy.keep));
    let (mut begun, mut filler) = (0, None);
    for (row, bucket) in with_buckets {
        let place = match filler {
            Some((at, of)) if of == bucket => Place::FilledBy(at),
            _ => {
                (begun, filler) = (begun + 1, Some((row.at, bucket)));
                Place::Fills
            }
        };
        say(row, if begun > beyond { place } else { Place::Beyond });
    }
}

/// What is kept whatever its tiers.
fn put_floors(
    candidates: &[Candidate],
    rows: &[Row],
    policy: &Policy,
    now: Timestamp,
    decisions: &mut [Decision],
) {
    let verified = rows.iter().rev().map(|row| row.at).filter(|at| candidates[*at].worth == Worth::Verified);
    let redundancy = usize::try_from(policy.keep.redundancy.max(1)).unwrap_or(usize::MAX);
    for (rank, at) in verified.take(redundancy).enumerate() {
        decisions[at].floors |= if rank == 0 { Floors::NEWEST } else { Floors::REDUNDANCY };
    }
    let minimum_age = policy.keep.minimum_age.max(LEAST_AGE);
    for (candidate, decision) in candidates.iter().zip(decisions) {
        let Candidate { worth, made_at, is_held, is_ours, is_copied, .. } = candidate;
        decision.floors.set(Floors::YOUNG, now.duration_since(*made_at) < minimum_age);
        decision.floors.set(Floors::HELD, *is_held);
        decision.floors.set(Floors::FOREIGN, !*is_ours);
        decision.floors.set(Floors::COPIED, *is_copied);
        decision.floors.set(Floors::PENDING, *worth == Worth::Pending);
    }
}
