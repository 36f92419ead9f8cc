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
//!
//! Each Region is judged by itself, as if the other were lost: what has no copy takes no place from what has one, and the
//! floors hold in both. A recovery point that either of them needs is kept in both.

mod decision;
#[cfg(test)]
mod tests;

use jiff::{SignedDuration, Span, Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

pub use self::decision::{Decision, Floors, Place};
use crate::{RecoveryPointId, Retention, Slot};

/// Nothing younger is ever deleted, whatever a plan says: a day in which a person can see that a plan is wrong.
pub const LEAST_AGE: SignedDuration = SignedDuration::from_hours(24);

/// The tiers, the finest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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

    /// The word for it, in tags and documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
            Self::Annual => "annual",
        }
    }

    /// About until when what fills a bucket of it is kept: so many days, weeks, months or years later.
    pub fn kept_until(self, slot: Slot, policy: &Policy) -> Option<Timestamp> {
        let kept = i64::from(self.kept(&policy.keep));
        let span = match self {
            Self::Daily => Span::new().try_days(kept),
            Self::Weekly => Span::new().try_weeks(kept),
            Self::Monthly => Span::new().try_months(kept),
            Self::Annual => Span::new().try_years(kept),
        };
        let begun = slot.instant().to_zoned(policy.time_zone.clone());
        Some(begun.checked_add(span.ok()?).ok()?.timestamp())
    }

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

/// Where recovery points are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Region {
    /// The Region of the databases.
    Home,
    /// The Region of the copies.
    Recovery,
}

impl Region {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Home, Self::Recovery];

    /// Where it is, in a sentence.
    pub const fn says(self) -> &'static str {
        match self {
            Self::Home => "at home",
            Self::Recovery => "in the recovery Region",
        }
    }
}

/// What is known of a recovery point's worth, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
    /// What it is worth in each Region, in the order of [`Region::ALL`]; `None` where there is nothing of it.
    pub worth: [Option<Worth>; 2],
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
    for region in Region::ALL {
        fill_tiers(candidates, &rows, region, policy, &mut decisions);
        put_newest(candidates, &rows, region, policy, &mut decisions);
    }
    put_floors(candidates, policy, now, &mut decisions);
    decisions
}

/// How each stands to the tiers of that Region.
fn fill_tiers(
    candidates: &[Candidate],
    rows: &[Row],
    region: Region,
    policy: &Policy,
    decisions: &mut [Decision],
) {
    let worth = |row: &Row| candidates[row.at].worth[region as usize];
    let any_unverified = rows.iter().any(|row| worth(row) == Some(Worth::Unverified));
    for tier in Tier::ALL {
        let mut put = |row: &Row, place| decisions[row.at].places[region as usize][tier as usize] = place;
        if any_unverified {
            // Where they would be if they were verified, among those that are.
            let complete =
                rows.iter().filter(|row| matches!(worth(row), Some(Worth::Verified | Worth::Unverified)));
            fill(complete, tier, policy, |row, place| {
                if worth(row) == Some(Worth::Unverified) {
                    put(row, if place == Place::Fills { Place::WouldFill } else { place });
                }
            });
        }
        let verified = rows.iter().filter(|row| worth(row) == Some(Worth::Verified));
        fill(verified, tier, policy, put);
    }
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
            Some((at, of)) if of == bucket => Place::FilledBy(u32::try_from(at).unwrap_or(u32::MAX)),
            _ => {
                (begun, filler) = (begun + 1, Some((row.at, bucket)));
                Place::Fills
            }
        };
        say(row, if begun > beyond { place } else { Place::Beyond });
    }
}

/// The newest verified ones of that Region, which are kept whatever their tiers.
fn put_newest(
    candidates: &[Candidate],
    rows: &[Row],
    region: Region,
    policy: &Policy,
    decisions: &mut [Decision],
) {
    let is_verified = |at: &usize| candidates[*at].worth[region as usize] == Some(Worth::Verified);
    let redundancy = usize::try_from(policy.keep.redundancy.max(1)).unwrap_or(usize::MAX);
    let newest_first = rows.iter().rev().map(|row| row.at).filter(is_verified);
    for (rank, at) in newest_first.take(redundancy).enumerate() {
        decisions[at].floors |= if rank == 0 { Floors::NEWEST } else { Floors::REDUNDANCY };
    }
}

/// What else is kept whatever its tiers.
fn put_floors(candidates: &[Candidate], policy: &Policy, now: Timestamp, decisions: &mut [Decision]) {
    let minimum_age = policy.keep.minimum_age.max(LEAST_AGE);
    for (candidate, decision) in candidates.iter().zip(decisions) {
        let Candidate { worth, made_at, is_held, is_ours, is_copied, .. } = candidate;
        decision.floors.set(Floors::YOUNG, now.duration_since(*made_at) < minimum_age);
        decision.floors.set(Floors::HELD, *is_held);
        decision.floors.set(Floors::FOREIGN, !*is_ours);
        decision.floors.set(Floors::COPIED, *is_copied);
        decision.floors.set(Floors::PENDING, worth.contains(&Some(Worth::Pending)));
        decision.floors.set(Floors::MAY_FILL, decision.has(Place::WouldFill));
    }
}
