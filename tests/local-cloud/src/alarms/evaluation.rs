//! The state of an alarm, from the datapoints of its metric: arithmetic, without a clock and without a cloud.
//!
//! The rules are those of the CloudWatch User Guide, "Alarm evaluation" and "Configuring how CloudWatch alarms treat
//! missing data"; the tables of the latter are this module's tests.

use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// The state of an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StateValue {
    /// Within the threshold.
    Ok,
    /// Beyond the threshold, for as many datapoints as the alarm asks for.
    Alarm,
    /// Nothing is known.
    InsufficientData,
}

impl StateValue {
    /// As the API writes it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Alarm => "ALARM",
            Self::InsufficientData => "INSUFFICIENT_DATA",
        }
    }
}

/// How an alarm makes one datapoint of what was measured in a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) enum Statistic {
    Average,
    Maximum,
    Minimum,
    SampleCount,
    Sum,
}

/// When a datapoint is breaching.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) enum Comparison {
    #[serde(rename = "GreaterThanOrEqualToThreshold")]
    AtLeast,
    #[serde(rename = "GreaterThanThreshold")]
    Above,
    #[serde(rename = "LessThanOrEqualToThreshold")]
    AtMost,
    #[serde(rename = "LessThanThreshold")]
    Below,
}

impl Comparison {
    fn breaches(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::AtLeast => value >= threshold,
            Self::Above => value > threshold,
            Self::AtMost => value <= threshold,
            Self::Below => value < threshold,
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::AtLeast => "greater than or equal to",
            Self::Above => "greater than",
            Self::AtMost => "less than or equal to",
            Self::Below => "less than",
        })
    }
}

/// What a period without a measurement stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Treatment {
    Breaching,
    NotBreaching,
    Ignore,
    #[default]
    Missing,
}

/// What decides the state of an alarm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rule {
    pub(super) statistic: Statistic,
    pub(super) period: Duration,
    pub(super) evaluation_periods: usize,
    pub(super) datapoints_to_alarm: usize,
    pub(super) threshold: f64,
    pub(super) comparison: Comparison,
    pub(super) missing: Treatment,
}

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) at: Timestamp,
    pub(super) value: f64,
}

/// CloudWatch looks further back than the evaluation periods, so that datapoints can make up for missing ones. How far
/// it does not tell; in its own examples it is five for three.
const FURTHER_BACK: usize = 2;

impl Rule {
    fn range(&self) -> usize {
        self.evaluation_periods + FURTHER_BACK
    }

    /// How far back measurements count.
    pub(super) fn reach(&self) -> Duration {
        self.period * u32::try_from(self.range()).unwrap_or(u32::MAX)
    }

    /// The datapoints as of `at`, oldest first. Their periods end at `at`: a period under way counts on AWS, too, as
    /// soon as there is something in it.
    fn datapoints(&self, samples: &[Sample], at: Timestamp) -> Vec<Option<f64>> {
        let period = SignedDuration::try_from(self.period).unwrap_or(SignedDuration::MAX);
        let mut end = at;
        let mut points = Vec::with_capacity(self.range());
        for _ in 0..self.range() {
            let start = end.saturating_sub(period).unwrap_or(Timestamp::MIN);
            let within = samples.iter().filter(|sample| start < sample.at && sample.at <= end);
            points.push(self.statistic.of(within.map(|sample| sample.value)));
            end = start;
        }
        points.reverse();
        points
    }

    /// The state as of `at`, and why.
    pub(super) fn evaluate(
        &self,
        samples: &[Sample],
        at: Timestamp,
        current: StateValue,
    ) -> (StateValue, String) {
        let points = self.datapoints(samples, at);
        let breaching: Vec<_> = points
            .iter()
            .map(|point| point.map(|value| self.comparison.breaches(value, self.threshold)))
            .collect();
        let state =
            state(&breaching, self.evaluation_periods, self.datapoints_to_alarm, self.missing, current);
        (state, self.reason(&points, state))
    }

    /// In the words of CloudWatch.
    fn reason(&self, points: &[Option<f64>], state: StateValue) -> String {
        let values: Vec<f64> = points.iter().rev().flatten().take(self.evaluation_periods).copied().collect();
        let missing = self.evaluation_periods - values.len();
        if state == StateValue::InsufficientData {
            return format!("Insufficient Data: {missing} datapoints were unknown.");
        }
        let received = if values.is_empty() {
            format!("no datapoints were received for {} periods", self.evaluation_periods)
        } else {
            let beyond =
                values.iter().filter(|value| self.comparison.breaches(**value, self.threshold)).count();
            format!(
                "{beyond} out of the last {} datapoints {values:?} were {} the threshold ({:?}) (minimum {} to ALARM)",
                values.len(),
                self.comparison,
                self.threshold,
                self.datapoints_to_alarm,
            )
        };
        let filled = match missing {
            0 => String::new(),
            _ => format!(" and {missing} missing datapoints were treated as [{:?}]", self.missing),
        };
        format!("Threshold Crossed: {received}{filled}.")
    }
}

impl Statistic {
    fn of(self, values: impl Iterator<Item = f64>) -> Option<f64> {
        let (mut count, mut sum, mut least, mut most) = (0.0, 0.0, f64::INFINITY, f64::NEG_INFINITY);
        for value in values {
            count += 1.0;
            sum += value;
            least = value.min(least);
            most = value.max(most);
        }
        (count > 0.0).then_some(match self {
            Self::Average => sum / count,
            Self::Maximum => most,
            Self::Minimum => least,
            Self::SampleCount => count,
            Self::Sum => sum,
        })
    }
}

/// `points`, oldest first: whether each is breaching; `None` is a missing one.
fn state(
    points: &[Option<bool>],
    evaluation_periods: usize,
    datapoints_to_alarm: usize,
    missing: Treatment,
    current: StateValue,
) -> StateValue {
    // The most recent that there are; what is missing between them is not needed if there are enough.
    let real: Vec<bool> = points.iter().rev().flatten().take(evaluation_periods).copied().collect();
    let breaching = real.iter().filter(|breaching| **breaching).count();
    let filled = evaluation_periods - real.len();
    let judged = |breaching: usize| {
        if breaching >= datapoints_to_alarm { StateValue::Alarm } else { StateValue::Ok }
    };
    // Nothing speaks for OK, and too little for ALARM.
    let undecided = filled > 0 && breaching == real.len() && breaching < datapoints_to_alarm;
    match missing {
        Treatment::Breaching => judged(breaching + filled),
        Treatment::Ignore if undecided => current,
        Treatment::Missing if undecided => {
            // The oldest datapoint is breaching, and was so long ago that enough others could have said otherwise.
            let oldest = points.iter().rev().rposition(Option::is_some);
            let long_ago = oldest.is_some_and(|behind| behind + 1 >= datapoints_to_alarm);
            if long_ago { StateValue::Alarm } else { StateValue::InsufficientData }
        }
        Treatment::NotBreaching | Treatment::Ignore | Treatment::Missing => judged(breaching),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(text: &str) -> Vec<Option<bool>> {
        let point = |word| match word {
            "0" => Some(false),
            "X" => Some(true),
            _ => None,
        };
        text.split(' ').map(point).collect()
    }

    /// The tables of the User Guide, in its own order of columns; `current` is `ALARM`, so that it shows where that is
    /// kept. The rows with one `X` alone and those of the newer edition are the same rules at other ages.
    #[test]
    fn missing_data_is_treated_as_the_user_guide_says() {
        use StateValue::{Alarm as A, InsufficientData as I, Ok as O};
        let kept = A;
        for (text, to_alarm, [missing, ignore, breaching, not_breaching]) in [
            // 3 out of 3, evaluation range 5.
            ("0 - X - X", 3, [O, O, O, O]),
            ("0 - - - -", 3, [O, O, O, O]),
            ("- - - - -", 3, [I, kept, A, O]),
            ("0 X X - X", 3, [A, A, A, A]),
            ("- - X - -", 3, [A, kept, A, O]),
            ("- - - - X", 3, [I, kept, A, O]),
            ("- - - X -", 3, [I, kept, A, O]),
            ("X - - - -", 3, [A, kept, A, O]),
            // 2 out of 3.
            ("0 - X - X", 2, [A, A, A, A]),
            ("0 0 X 0 X", 2, [A, A, A, A]),
            ("0 - X - -", 2, [O, O, A, O]),
            ("- - - - 0", 2, [O, O, A, O]),
            ("- - - X -", 2, [A, kept, A, O]),
            ("- - - - X", 2, [I, kept, A, O]),
            // What no table needs to say.
            ("0 0 0 0 0", 1, [O, O, O, O]),
            ("0 0 0 0 X", 1, [A, A, A, A]),
            ("X X 0 0 0", 1, [O, O, O, O]),
            ("X - - 0 0", 1, [A, A, A, A]),
        ] {
            let treated = [
                (Treatment::Missing, missing),
                (Treatment::Ignore, ignore),
                (Treatment::Breaching, breaching),
                (Treatment::NotBreaching, not_breaching),
            ];
            for (treatment, expected) in treated {
                let found = state(&points(text), 3, to_alarm, treatment, kept);
                assert_eq!(found, expected, "{text}, {to_alarm} out of 3, {treatment:?}");
            }
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn rule(statistic: Statistic) -> Rule {
        Rule {
            statistic,
            period: Duration::from_mins(1),
            evaluation_periods: 1,
            datapoints_to_alarm: 1,
            threshold: 2.0,
            comparison: Comparison::AtLeast,
            missing: Treatment::NotBreaching,
        }
    }

    #[test]
    fn a_period_ends_at_the_instant_asked_for_and_begins_after_the_one_before() {
        let samples =
            [(0, 1.0), (1, 2.0), (60, 4.0), (61, 8.0)].map(|(s, value)| Sample { at: at(s), value });
        for (statistic, expected) in [
            (Statistic::Sum, [None, Some(1.0), Some(6.0)]),
            (Statistic::Average, [None, Some(1.0), Some(3.0)]),
            (Statistic::Minimum, [None, Some(1.0), Some(2.0)]),
            (Statistic::Maximum, [None, Some(1.0), Some(4.0)]),
            (Statistic::SampleCount, [None, Some(1.0), Some(2.0)]),
        ] {
            assert_eq!(rule(statistic).datapoints(&samples, at(60)), expected, "{statistic:?}");
        }
        assert_eq!(rule(Statistic::Sum).reach(), Duration::from_mins(3));
    }

    #[test]
    fn each_comparison_has_its_own_edge() {
        for (comparison, at_threshold, above, below) in [
            (Comparison::AtLeast, true, true, false),
            (Comparison::Above, false, true, false),
            (Comparison::AtMost, true, false, true),
            (Comparison::Below, false, false, true),
        ] {
            let found = [2.0, 2.5, 1.5].map(|value| comparison.breaches(value, 2.0));
            assert_eq!(found, [at_threshold, above, below], "{comparison:?}");
        }
    }

    #[test]
    fn a_reason_tells_the_values_or_that_there_are_none() {
        let rule = Rule { missing: Treatment::Breaching, evaluation_periods: 2, ..rule(Statistic::Sum) };
        let (state, reason) = rule.evaluate(&[Sample { at: at(0), value: 3.0 }], at(1), StateValue::Ok);
        assert_eq!(state, StateValue::Alarm);
        assert!(reason.contains("[3.0]") && reason.contains("1 missing datapoints"), "{reason}");
        let (state, reason) = rule.evaluate(&[], at(1), StateValue::Ok);
        assert_eq!(state, StateValue::Alarm);
        assert!(reason.contains("no datapoints were received for 2 periods"), "{reason}");
        let rule = Rule { missing: Treatment::Missing, ..rule };
        assert_eq!(rule.evaluate(&[], at(1), StateValue::Ok).0, StateValue::InsufficientData);
    }
}
