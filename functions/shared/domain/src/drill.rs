//! Drills: what is restored next, and when restores will take longer than the objective allows. Pure.

pub mod evidence;
pub mod history;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{RecoveryPointId, retention::Region};

/// What the names of databases that drills restore begin with, and no others: what tears down looks at the name where it cannot
/// see tags, and again where it can.
pub const PREFIX: &str = "tidemark-drill-";

/// What a drill restores from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// A second within the PITR window, by lot.
    Instant,
    /// The newest recovery point at home.
    Newest,
    /// An older one at home, by lot.
    Older,
    /// One in the recovery Region, by lot.
    Copy,
}

/// What there is to restore from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choices<'c> {
    /// The verified recovery points at home, the earliest slot first.
    pub home: &'c [RecoveryPointId],
    /// Those in the recovery Region.
    pub recovery: &'c [RecoveryPointId],
    /// The PITR window: its first second, and the first one after it.
    pub window: Option<(Timestamp, Timestamp)>,
}

/// What is restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// From what.
    pub way: Way,
    /// Where.
    pub region: Region,
    /// To which state.
    pub to: To,
}

/// The state that is restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum To {
    /// As it was at that second.
    Instant(Timestamp),
    /// As that recovery point holds it.
    Point(RecoveryPointId),
}

/// The recovery Region has its turn at least once in so many drills.
const COPY_EVERY: usize = 3;

/// Chooses: what was tried longest ago, of what is possible; and the recovery Region at least every third time. `history` is how
/// the drills of the resource were made so far, the last one last; `lot` is what the lot is drawn by, a drill's id. `None` if
/// there is nothing to restore.
pub fn choose(choices: Choices<'_>, history: &[Way], lot: &str) -> Option<Choice> {
    let last = |way: Way| history.iter().rposition(|tried| *tried == way);
    let since_copy = history.len() - last(Way::Copy).map_or(0, |at| at + 1);
    let mut ways = [Way::Instant, Way::Newest, Way::Older, Way::Copy];
    // Stable: of those that were never tried, in this order.
    ways.sort_by_key(|way| last(*way));
    if since_copy + 1 >= COPY_EVERY {
        ways.sort_by_key(|way| *way != Way::Copy);
    }
    ways.into_iter().find_map(|way| choose_way(choices, way, lot))
}

/// Chooses in that way, if that is possible.
pub fn choose_way(choices: Choices<'_>, way: Way, lot: &str) -> Option<Choice> {
    let (region, to) = match way {
        Way::Instant => (Region::Home, To::Instant(second(choices.window?, lot)?)),
        Way::Newest => (Region::Home, To::Point(choices.home.last()?.clone())),
        Way::Older => {
            let (_, older) = choices.home.split_last()?;
            (Region::Home, To::Point(drawn(older, lot)?.clone()))
        }
        Way::Copy => (Region::Recovery, To::Point(drawn(choices.recovery, lot)?.clone())),
    };
    Some(Choice { way, region, to })
}

fn drawn<'c, T>(all: &'c [T], lot: &str) -> Option<&'c T> {
    let count = u64::try_from(all.len()).ok().filter(|count| *count > 0)?;
    all.get(usize::try_from(number(lot) % count).ok()?)
}

fn second((first, end): (Timestamp, Timestamp), lot: &str) -> Option<Timestamp> {
    // The first whole second within: before it there is nothing.
    let first = first.as_second() + i64::from(first.subsec_nanosecond() > 0);
    let seconds = u64::try_from(end.as_second() - first).ok().filter(|seconds| *seconds > 0)?;
    Timestamp::from_second(first + i64::try_from(number(lot) % seconds).ok()?).ok()
}

/// A number that nobody chose, and that is the same for whoever asks again.
fn number(lot: &str) -> u64 {
    let digest = Sha256::digest(lot);
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// How long a restore took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// When it was asked for.
    pub at: Timestamp,
    /// How large the source was.
    pub bytes: u64,
    /// From the request until all checks had passed, in milliseconds.
    pub duration_ms: u64,
}

/// Restores will take longer than the objective allows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forecast {
    /// From when on, if the source goes on growing as it did; now at the earliest.
    pub from: Timestamp,
    /// How large it is by then.
    pub bytes: u64,
    /// How long a restore takes now.
    pub now_ms: u64,
}

/// How long a restore takes, by how large the source is: the line through what was measured, by two of its points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fit {
    /// For the smallest size of those that were measured.
    pub from: OfSize,
    /// For the largest.
    pub to: OfSize,
}

/// How long a restore of that size takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfSize {
    /// How large.
    pub bytes: u64,
    /// How long, in milliseconds.
    pub duration_ms: u64,
}

/// The fit of duration against size. `None` of so few that it tells nothing, and where all are of one size.
pub fn fit(history: &[Measured]) -> Option<Fit> {
    if history.len() < FEWEST {
        return None;
    }
    let line = durations(history)?;
    let of = |one: &Measured| OfSize { bytes: one.bytes, duration_ms: whole(line.at(float(one.bytes))) };
    let by_size = |one: &&Measured| one.bytes;
    Some(Fit { from: of(history.iter().min_by_key(by_size)?), to: of(history.iter().max_by_key(by_size)?) })
}

fn durations(history: &[Measured]) -> Option<Line> {
    Line::through(history.iter().map(|one| (float(one.bytes), float(one.duration_ms))))
}

/// So few restores, or of so short a time, tell nothing of growth.
const FEWEST: usize = 3;
const SHORTEST: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Whether restores will take longer than `objective` within `ahead`: a line through size against time, and one through duration
/// against size. A source that does not grow, and a restore that does not slow with size, make no forecast.
pub fn forecast(
    history: &[Measured],
    objective: SignedDuration,
    ahead: SignedDuration,
    now: Timestamp,
) -> Option<Forecast> {
    let (first, last) = (history.iter().min_by_key(|one| one.at)?, history.iter().max_by_key(|one| one.at)?);
    if history.len() < FEWEST || last.at.duration_since(first.at) < SHORTEST {
        return None;
    }
    let seconds = |at: Timestamp| at.duration_since(first.at).as_secs_f64();
    let growth = Line::through(history.iter().map(|one| (seconds(one.at), float(one.bytes))))?;
    let durations = durations(history)?;
    if growth.slope <= 0.0 || durations.slope <= 0.0 {
        return None;
    }
    let bytes = (objective.as_secs_f64() * 1_000.0 - durations.at_zero) / durations.slope;
    let from_seconds = ((bytes - growth.at_zero) / growth.slope).max(seconds(now));
    if from_seconds > seconds(now + ahead) {
        return None;
    }
    let from = first.at + SignedDuration::try_from_secs_f64(from_seconds).ok()?;
    let (bytes_then, now_ms) = (growth.at(from_seconds), durations.at(growth.at(seconds(now))));
    Some(Forecast { from, bytes: whole(bytes_then), now_ms: whole(now_ms) })
}

#[expect(clippy::cast_precision_loss, reason = "a fit is no more exact than 52 bits")]
fn float(number: u64) -> f64 {
    number as f64
}

/// Below zero a line is not to be believed.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what is too large becomes the largest, and less than 0 0"
)]
fn whole(number: f64) -> u64 {
    number as u64
}

/// A straight line.
struct Line {
    at_zero: f64,
    slope: f64,
}

impl Line {
    /// The one with the least squares; `None` where all points are above one another.
    fn through(points: impl Iterator<Item = (f64, f64)> + Clone) -> Option<Self> {
        let mean = |values: &mut dyn Iterator<Item = f64>| {
            let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
            sum / count
        };
        let x = mean(&mut points.clone().map(|(x, _)| x));
        let y = mean(&mut points.clone().map(|(_, y)| y));
        let spread: f64 = points.clone().map(|(at, _)| (at - x).powi(2)).sum();
        if spread <= f64::EPSILON {
            return None;
        }
        let slope = points.map(|(at, value)| (at - x) * (value - y)).sum::<f64>() / spread;
        Some(Self { at_zero: y - slope * x, slope })
    }

    fn at(&self, x: f64) -> f64 {
        self.at_zero + self.slope * x
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn ids(count: usize) -> Vec<RecoveryPointId> {
        (0..count).map(|number| RecoveryPointId::from(format!("point-{number}").as_str())).collect()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_year_of_drills_tries_everything_and_the_other_region_every_third_time() {
        let (home, recovery) = (ids(5), ids(3));
        let window = Some((at("2026-11-15T00:00:00.5Z"), at("2026-11-22T00:00:00Z")));
        let choices = Choices { home: &home, recovery: &recovery, window };
        let mut history = Vec::new();
        for month in 0..12 {
            history.push(choose(choices, &history, &format!("drill-{month}")).unwrap().way);
        }
        assert_eq!(history[..6], [Way::Instant, Way::Newest, Way::Copy, Way::Older, Way::Instant, Way::Copy]);
        for three in history.windows(3) {
            assert!(three.contains(&Way::Copy), "{history:?}");
        }
        for way in [Way::Instant, Way::Newest, Way::Older] {
            assert!(history.iter().filter(|tried| **tried == way).count() >= 2, "{way:?} in {history:?}");
        }
    }

    #[rstest]
    #[case::nothing(0, 0, None)]
    #[case::one_at_home(1, 0, Some(Way::Newest))]
    #[case::a_copy_alone(0, 1, Some(Way::Copy))]
    fn what_is_not_there_is_not_chosen(
        #[case] home: usize,
        #[case] recovery: usize,
        #[case] way: Option<Way>,
    ) {
        let (home, recovery) = (ids(home), ids(recovery));
        let choices = Choices { home: &home, recovery: &recovery, window: None };
        assert_eq!(choose(choices, &[Way::Newest, Way::Newest], "x").map(|choice| choice.way), way);
    }

    proptest! {
        #[test]
        fn a_choice_is_among_what_there_is(
            home in 0_usize..5, recovery in 0_usize..5, first in 0_i64..1_000_000, nanos in 0_i32..1_000_000_000,
            length in 0_i64..100, lot: String, tried in proptest::collection::vec(0_usize..4, 0..10),
        ) {
            let (home, recovery) = (ids(home), ids(recovery));
            let (first, end) = (Timestamp::new(first, nanos).unwrap(), Timestamp::from_second(first + length).unwrap());
            let choices = Choices { home: &home, recovery: &recovery, window: Some((first, end)) };
            let ways = [Way::Instant, Way::Newest, Way::Older, Way::Copy];
            let history: Vec<Way> = tried.into_iter().map(|way| ways[way]).collect();
            let chosen = choose(choices, &history, &lot);
            prop_assert_eq!(chosen.clone(), choose(choices, &history, &lot), "whoever asks again chooses the same");
            match chosen {
                None => prop_assert!(home.is_empty() && recovery.is_empty()),
                Some(Choice { way: Way::Instant, region, to: To::Instant(at) }) => {
                    prop_assert!(region == Region::Home && first <= at && at < end);
                }
                Some(Choice { way: Way::Copy, region, to: To::Point(id) }) => {
                    prop_assert!(region == Region::Recovery && recovery.contains(&id));
                }
                Some(Choice { way, region, to: To::Point(id) }) => {
                    let is_newest = home.last() == Some(&id);
                    prop_assert!(region == Region::Home && home.contains(&id) && is_newest == (way == Way::Newest));
                }
                Some(other) => prop_assert!(false, "{:?}", other),
            }
        }

        /// Whatever was measured, however it was written down.
        #[test]
        fn no_history_is_too_odd_for_a_forecast(
            all in proptest::collection::vec((any::<i32>(), any::<u64>(), any::<u64>()), 0..8), objective in any::<i32>(),
        ) {
            let one = |(at, bytes, duration_ms)| Measured { at: Timestamp::from_second(i64::from(at)).unwrap(), bytes, duration_ms };
            let history: Vec<Measured> = all.into_iter().map(one).collect();
            let now = at("2026-11-22T00:00:00Z");
            let ahead = SignedDuration::from_hours(24 * 90);
            if let Some(found) = fit(&history) {
                prop_assert!(found.from.bytes < found.to.bytes, "{:?}", found);
            }
            if let Some(found) = forecast(&history, SignedDuration::from_secs(i64::from(objective)), ahead, now) {
                prop_assert!(found.from >= now - SignedDuration::from_secs(1) && found.from <= now + ahead);
            }
        }
    }

    /// 10 GiB more each week, and a minute more for each 10 GiB.
    fn growing(weeks: i64) -> Vec<Measured> {
        let one = |week: i64| Measured {
            at: at("2026-06-01T00:00:00Z") + SignedDuration::from_hours(7 * 24 * week),
            bytes: u64::try_from(10 * week).unwrap() << 30,
            duration_ms: 60_000 * u64::try_from(20 + week).unwrap(),
        };
        (0..weeks).map(one).collect()
    }

    #[test]
    fn growth_is_told_before_it_is_too_much() {
        let (hour, ahead) = (SignedDuration::from_hours(1), SignedDuration::from_hours(24 * 90));
        let history = growing(20);
        let now = history[19].at;
        // A restore takes an hour once there are 400 GiB, in the fortieth week.
        assert_eq!(forecast(&history, hour, ahead, now), None, "that is twenty weeks off");
        let later = at("2026-06-01T00:00:00Z") + SignedDuration::from_hours(7 * 24 * 30);
        let found = forecast(&history, hour, ahead, later).unwrap();
        let expected = at("2026-06-01T00:00:00Z") + SignedDuration::from_hours(7 * 24 * 40);
        assert!(found.from.duration_since(expected).abs() < SignedDuration::from_mins(1), "{found:?}");
        assert!(found.bytes.abs_diff(400 << 30) < 1 << 20, "{found:?}");
        assert!(found.now_ms.abs_diff(50 * 60_000) < 100, "{found:?}");
        let too_late = forecast(&history, SignedDuration::from_mins(5), ahead, now).unwrap();
        assert!(too_late.from.duration_since(now).abs() < SignedDuration::from_secs(1), "it is so already");
    }

    #[test]
    fn the_fit_goes_from_the_smallest_to_the_largest() {
        let found = fit(&growing(20)).unwrap();
        assert_eq!(found.from, OfSize { bytes: 0, duration_ms: 20 * 60_000 });
        assert_eq!(found.to.bytes, 190 << 30);
        assert!(found.to.duration_ms.abs_diff(39 * 60_000) < 100, "{found:?}");
        assert_eq!(fit(&growing(2)), None);
        let same = growing(60).into_iter().map(|one| Measured { bytes: 7, ..one }).collect::<Vec<_>>();
        assert_eq!(fit(&same), None);
    }

    #[test]
    fn what_does_not_grow_or_is_hardly_known_makes_no_forecast() {
        let ahead = SignedDuration::from_hours(24 * 3_650);
        let told = |history: &[Measured]| {
            forecast(history, SignedDuration::from_mins(5), ahead, at("2026-11-22T00:00:00Z"))
        };
        assert!(told(&growing(2)).is_none());
        let same = growing(5).into_iter().map(|one| Measured { bytes: 7, ..one }).collect::<Vec<_>>();
        assert!(told(&same).is_none());
        let shrinking = growing(5).into_iter().rev().zip(growing(5));
        let shrinking: Vec<_> = shrinking.map(|(one, other)| Measured { at: other.at, ..one }).collect();
        assert!(told(&shrinking).is_none());
        assert!(told(&[]).is_none());
    }
}
