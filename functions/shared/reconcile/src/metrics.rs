//! CloudWatch's embedded metric format: one JSON line on standard output becomes metrics, without an API call.
//!
//! Shape: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.
//! The crates that write it bring a whole metrics façade along; the format is this page.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// The namespace of every metric of Tidemark.
pub(crate) const NAMESPACE: &str = "Tidemark";

/// One measured value.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// Its name, with the unit in it: `backup_duration_ms`.
    pub name: &'static str,
    /// CloudWatch's word for the unit.
    pub unit: Unit,
    /// The value.
    pub value: f64,
}

/// CloudWatch's units, as far as we use them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// Seconds.
    Seconds,
    /// Thousandths of a second.
    Milliseconds,
    /// Bytes.
    Bytes,
}

impl Unit {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Seconds => "Seconds",
            Self::Milliseconds => "Milliseconds",
            Self::Bytes => "Bytes",
        }
    }
}

impl Metric {
    /// A number of things.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    pub fn count(name: &'static str, value: usize) -> Self {
        Self { name, unit: Unit::Count, value: value as f64 }
    }

    /// A duration for which seconds are fine enough.
    #[expect(clippy::cast_precision_loss, reason = "seconds stay far below 2^53")]
    pub fn seconds(name: &'static str, value: i64) -> Self {
        Self { name, unit: Unit::Seconds, value: value as f64 }
    }

    /// A duration.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds stay far below 2^53")]
    pub fn milliseconds(name: &'static str, value: i64) -> Self {
        Self { name, unit: Unit::Milliseconds, value: value as f64 }
    }

    /// A size.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a byte count above 2^53 may lose its last digits in a metric"
    )]
    pub fn bytes(name: &'static str, value: u64) -> Self {
        Self { name, unit: Unit::Bytes, value: value as f64 }
    }
}

/// The line for `metrics` under one set of `dimensions`.
pub(crate) fn embedded(now: Timestamp, dimensions: &[(&str, &str)], metrics: &[Metric]) -> Value {
    let definitions: Vec<Value> =
        metrics.iter().map(|metric| json!({"Name": metric.name, "Unit": metric.unit.as_str()})).collect();
    let mut line = Map::new();
    line.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": now.as_millisecond(),
            "CloudWatchMetrics": [{
                "Namespace": NAMESPACE,
                "Dimensions": [dimensions.iter().map(|(name, _)| name).collect::<Vec<_>>()],
                "Metrics": definitions,
            }],
        }),
    );
    // A line without a level counts as INFO under Lambda's log control; say so rather than rely on it.
    line.insert("level".to_owned(), "INFO".into());
    for (name, value) in dimensions {
        line.insert((*name).to_owned(), (*value).into());
    }
    for metric in metrics {
        line.insert(metric.name.to_owned(), metric.value.into());
    }
    Value::Object(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn embedded_metric_format() {
        let now: Timestamp = "2026-11-22T03:00:00Z".parse().unwrap();
        let line = embedded(
            now,
            &[("function", "backup-rds")],
            &[Metric::count("failed", 2), Metric::milliseconds("duration_ms", 43)],
        );
        insta::assert_json_snapshot!(line, @r#"
        {
          "_aws": {
            "CloudWatchMetrics": [
              {
                "Dimensions": [
                  [
                    "function"
                  ]
                ],
                "Metrics": [
                  {
                    "Name": "failed",
                    "Unit": "Count"
                  },
                  {
                    "Name": "duration_ms",
                    "Unit": "Milliseconds"
                  }
                ],
                "Namespace": "Tidemark"
              }
            ],
            "Timestamp": 1795316400000
          },
          "duration_ms": 43.0,
          "failed": 2.0,
          "function": "backup-rds",
          "level": "INFO"
        }
        "#);
    }
}
