//! Where the measurements behind an alarm come from.
//!
//! - A metric of our own: the lines in Embedded Metric Format that the deployed functions logged.
//! - `AWS/Lambda`: the launcher's record of invocations.
//! - `AWS/SQS`: the launcher's record of when each message came. `NumberOfMessagesSent` counts those, and not what passes
//!   the front door: SNS, alarms, and Lambda's destinations put messages into queues inside `MiniStack`.
//!
//! Of all else nothing is known, which is missing data.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use super::evaluation::Sample;
use crate::scenario::Measurement;

/// How long SQS goes on reporting on a queue to which nothing happens (SQS Developer Guide, "Available CloudWatch
/// metrics for Amazon SQS").
const ACTIVE: SignedDuration = SignedDuration::from_hours(6);

/// A metric: what an alarm names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Metric<'a> {
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    pub(super) dimensions: BTreeMap<&'a str, &'a str>,
    pub(super) unit: Option<&'a str>,
}

/// A queue as the launcher tells of it. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct Queue {
    pub(super) name: String,
    pub(super) region: String,
    pub(super) created: f64,
    /// Whether a function is fed from it: Lambda asks it all the time then, which keeps it active.
    pub(super) polled: bool,
    /// When each message was sent to it, also of those that are gone.
    pub(super) sent: Vec<f64>,
    /// Those that are in it.
    pub(super) waiting: Vec<Waiting>,
}

/// A message in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub(super) struct Waiting {
    pub(super) sent: f64,
    /// From when on it can be received.
    pub(super) visible: f64,
}

impl Queue {
    /// When each message was sent to it, oldest first.
    pub(super) fn arrivals(&self) -> Vec<Timestamp> {
        self.sent.iter().filter_map(|sent| instant(*sent)).collect()
    }

    /// Whether SQS reports on it in the minute that ends at `end`.
    fn is_active(&self, end: Timestamp) -> bool {
        let before = |seconds: f64| instant(seconds).is_some_and(|at| at <= end);
        let recently =
            |seconds: f64| instant(seconds).is_some_and(|at| at <= end && end.duration_since(at) <= ACTIVE);
        before(self.created)
            && (self.polled
                || self.waiting.iter().any(|message| before(message.sent))
                || self.sent.iter().any(|sent| recently(*sent)))
    }

    /// What SQS reports in the minute that ends at `end`, besides what was sent in it.
    fn reported(&self, metric: &str, end: Timestamp) -> Option<f64> {
        let before = |seconds: f64| instant(seconds).filter(|at| *at <= end);
        match metric {
            "ApproximateNumberOfMessagesVisible" => {
                let visible = self.waiting.iter().filter(|message| before(message.visible).is_some()).count();
                Some(u32::try_from(visible).map_or(f64::MAX, f64::from))
            }
            "ApproximateAgeOfOldestMessage" => {
                let oldest = self.waiting.iter().filter_map(|message| before(message.sent)).min();
                Some(oldest.map_or(0.0, |oldest| end.duration_since(oldest).as_secs_f64()))
            }
            "NumberOfMessagesSent" => Some(0.0),
            _ => None,
        }
    }
}

/// All there is to know, of one Region.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// Lines in Embedded Metric Format.
    pub(super) lines: Vec<Value>,
    pub(super) invocations: Vec<Measurement>,
    pub(super) queues: Vec<Queue>,
}

impl Sources {
    /// What was measured of a metric in the time before `at`.
    pub(super) fn samples(&self, metric: &Metric<'_>, at: Timestamp, reach: Duration) -> Vec<Sample> {
        match metric.namespace {
            "AWS/Lambda" => self.lambda(metric),
            "AWS/SQS" => self.sqs(metric, at, reach),
            _ => self.lines.iter().flat_map(|line| embedded(line, metric)).collect(),
        }
    }

    fn lambda(&self, metric: &Metric<'_>) -> Vec<Sample> {
        let function = match metric.dimensions.iter().collect::<Vec<_>>()[..] {
            [] => None,
            [(&"FunctionName", name)] => Some(*name),
            _ => return Vec::new(),
        };
        let of_it = self.invocations.iter().filter(|one| function.is_none_or(|name| one.function == name));
        let value = |one: &Measurement| match metric.name {
            "Invocations" => Some(1.0),
            "Errors" => Some(f64::from(u8::from(one.failed))),
            // With every invocation Lambda says that it was not throttled; those that were are none here.
            "Throttles" => Some(0.0),
            "Duration" => Some(one.duration_ms),
            _ => None,
        };
        of_it.filter_map(|one| Some(Sample { at: one.at, value: value(one)? })).collect()
    }

    fn sqs(&self, metric: &Metric<'_>, at: Timestamp, reach: Duration) -> Vec<Sample> {
        let [(&"QueueName", name)] = metric.dimensions.iter().collect::<Vec<_>>()[..] else {
            return Vec::new();
        };
        let Some(queue) = self.queues.iter().find(|queue| queue.name == *name) else { return Vec::new() };
        let minutes = i64::try_from(reach.as_secs() / 60).unwrap_or(i64::MAX);
        let ends = (0..=minutes).filter_map(|ago| at.checked_sub(SignedDuration::from_mins(ago)).ok());
        let reported = ends
            .filter(|end| queue.is_active(*end))
            .filter_map(|end| Some(Sample { at: end, value: queue.reported(metric.name, end)? }));
        let arrivals = queue.arrivals().into_iter().filter(|_| metric.name == "NumberOfMessagesSent");
        reported.chain(arrivals.map(|at| Sample { at, value: 1.0 })).collect()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "milliseconds since 1970 are far below 2^53")]
fn instant(seconds: f64) -> Option<Timestamp> {
    Timestamp::from_millisecond((seconds * 1000.0) as i64).ok()
}

/// What a line in Embedded Metric Format says of a metric (CloudWatch User Guide, "Specification: Embedded metric
/// format"): one value, or several.
fn embedded(line: &Value, metric: &Metric<'_>) -> Vec<Sample> {
    let at = line["_aws"]["Timestamp"].as_i64().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let directives = line["_aws"]["CloudWatchMetrics"].as_array().into_iter().flatten();
    let named = directives.filter(|directive| {
        let is_metric = |definition: &Value| {
            let unit = metric.unit.is_none_or(|unit| definition["Unit"].as_str() == Some(unit));
            unit && definition["Name"] == metric.name
        };
        let sets = directive["Dimensions"].as_array().map_or([].as_slice(), Vec::as_slice);
        let no_dimensions = sets.is_empty() && metric.dimensions.is_empty();
        directive["Namespace"] == metric.namespace
            && (no_dimensions
                || sets.iter().any(|set| dimensions(line, set).as_ref() == Some(&metric.dimensions)))
            && directive["Metrics"].as_array().is_some_and(|metrics| metrics.iter().any(is_metric))
    });
    let (Some(at), true) = (at, named.count() > 0) else { return Vec::new() };
    let values = match &line[metric.name] {
        Value::Array(values) => values.iter().filter_map(Value::as_f64).collect(),
        value => value.as_f64().into_iter().collect::<Vec<_>>(),
    };
    values.into_iter().map(|value| Sample { at, value }).collect()
}

/// A set of dimensions with their values; nothing if the line lacks one.
fn dimensions<'a>(line: &'a Value, set: &'a Value) -> Option<BTreeMap<&'a str, &'a str>> {
    let pair = |name: &'a Value| Some((name.as_str()?, line.get(name.as_str()?)?.as_str()?));
    set.as_array()?.iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn metric<'a>(namespace: &'a str, name: &'a str, dimensions: &[(&'a str, &'a str)]) -> Metric<'a> {
        Metric { namespace, name, dimensions: dimensions.iter().copied().collect(), unit: None }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_line_counts_for_exactly_its_dimensions() {
        let line = json!({
            "_aws": {"Timestamp": 5000, "CloudWatchMetrics": [{
                "Namespace": "Tidemark",
                "Dimensions": [["function"], ["function", "plan"], []],
                "Metrics": [{"Name": "failed", "Unit": "Count"}, {"Name": "ages"}],
            }]},
            "function": "watch", "plan": "gold", "failed": 2, "ages": [1.5, 2], "other": 3,
        });
        let sources = Sources { lines: vec![line], ..Sources::default() };
        let values = |metric: &Metric<'_>| -> Vec<f64> {
            let samples = sources.samples(metric, at(10), Duration::from_mins(5));
            assert!(samples.iter().all(|sample| sample.at == at(5)));
            samples.iter().map(|sample| sample.value).collect()
        };
        let watch = ("function", "watch");
        assert_eq!(values(&metric("Tidemark", "failed", &[watch])), [2.0]);
        assert_eq!(values(&metric("Tidemark", "ages", &[watch, ("plan", "gold")])), [1.5, 2.0]);
        assert_eq!(values(&metric("Tidemark", "failed", &[])), [2.0]);
        let counted = Metric { unit: Some("Count"), ..metric("Tidemark", "failed", &[watch]) };
        assert_eq!(values(&counted), [2.0]);
        for none in [
            metric("Other", "failed", &[watch]),
            metric("Tidemark", "other", &[watch]),
            metric("Tidemark", "failed", &[("function", "other")]),
            metric("Tidemark", "failed", &[("plan", "gold")]),
            Metric { unit: Some("Bytes"), ..metric("Tidemark", "failed", &[watch]) },
        ] {
            assert_eq!(values(&none), [0.0; 0], "{none:?}");
        }
    }

    #[test]
    fn each_invocation_is_a_measurement_of_its_function() {
        let invocation = |function: &str, failed| Measurement {
            function: function.to_owned(),
            at: at(7),
            init_ms: None,
            duration_ms: 12.0,
            peak_rss_bytes: None,
            failed,
        };
        let sources = Sources {
            invocations: vec![invocation("a", true), invocation("b", false)],
            ..Sources::default()
        };
        let values = |name, dimensions: &[(&'static str, &'static str)]| -> Vec<f64> {
            let samples =
                sources.samples(&metric("AWS/Lambda", name, dimensions), at(60), Duration::from_mins(5));
            samples.iter().map(|sample| sample.value).collect()
        };
        assert_eq!(values("Errors", &[("FunctionName", "a")]), [1.0]);
        assert_eq!(values("Errors", &[("FunctionName", "b")]), [0.0]);
        assert_eq!(values("Invocations", &[]), [1.0, 1.0]);
        assert_eq!(values("ConcurrentExecutions", &[]), [0.0; 0]);
        assert_eq!(values("Errors", &[("Resource", "a")]), [0.0; 0]);
    }

    #[test]
    fn a_queue_is_reported_on_every_minute_while_it_is_active() {
        let waiting = |sent, visible| Waiting { sent, visible };
        let queue = Queue {
            name: "failures".to_owned(),
            region: "us-east-1".to_owned(),
            created: 900.0,
            polled: false,
            sent: vec![1000.0, 1030.0, 1100.0],
            // Somebody has the first of the two, and will not delete it.
            waiting: vec![waiting(1030.0, 1500.0), waiting(1100.0, 1100.0)],
        };
        let sources = Sources { queues: vec![queue.clone()], ..Sources::default() };
        let last = |name, end: i64| -> Option<f64> {
            let metric = metric("AWS/SQS", name, &[("QueueName", "failures")]);
            let samples = sources.samples(&metric, at(end), Duration::from_mins(1));
            samples.iter().find(|sample| sample.at == at(end)).map(|sample| sample.value)
        };
        assert_eq!(last("ApproximateNumberOfMessagesVisible", 990), None);
        assert_eq!(last("ApproximateNumberOfMessagesVisible", 1060), Some(0.0));
        assert_eq!(last("ApproximateNumberOfMessagesVisible", 1400), Some(1.0));
        assert_eq!(last("ApproximateNumberOfMessagesVisible", 2000), Some(2.0));
        assert_eq!(last("ApproximateAgeOfOldestMessage", 2030), Some(1000.0));
        assert_eq!(last("ApproximateNumberOfMessagesDelayed", 2030), None);
        let polled = Queue { polled: true, sent: Vec::new(), waiting: Vec::new(), ..queue.clone() };
        assert!(polled.is_active(at(1_000_000)) && !polled.is_active(at(800)), "from its making on");
        assert!(!Queue { polled: false, ..polled }.is_active(at(1000)));
        let sent = metric("AWS/SQS", "NumberOfMessagesSent", &[("QueueName", "failures")]);
        let samples = sources.samples(&sent, at(1110), Duration::from_mins(3));
        assert!((samples.iter().map(|sample| sample.value).sum::<f64>() - 3.0).abs() < f64::EPSILON);
    }
}
