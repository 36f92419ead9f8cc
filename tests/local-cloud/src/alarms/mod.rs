//! Alarms, evaluated as CloudWatch does it, but when a scenario says so and as of the instant that it says: nothing
//! waits for a minute to pass.
//!
//! `MiniStack` keeps alarms and carries out their actions. Its own evaluation is off (see the launcher): it knows neither
//! dimensions nor missing data.

mod evaluation;
mod metrics;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

pub use evaluation::StateValue;
use evaluation::{Comparison, Rule, Statistic, Treatment};
use metrics::{Metric, Queue, Sources};

use crate::{Cloud, Error};

/// An alarm after its evaluation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlarmState {
    /// The alarm's name.
    pub name: String,
    /// Its state now.
    pub state: StateValue,
    /// The state that it was in before.
    pub previous: StateValue,
    /// Why it is in its state: the datapoints, and what missing ones were treated as.
    pub reason: String,
}

/// An alarm as `DescribeAlarms` tells of it. One of another kind (metric math, percentiles, anomalies) cannot be read,
/// which is an error: it would never be evaluated.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MetricAlarm {
    alarm_name: String,
    alarm_arn: String,
    #[serde(default, deserialize_with = "or_default")]
    alarm_description: String,
    namespace: String,
    metric_name: String,
    #[serde(default, deserialize_with = "or_default")]
    dimensions: Vec<Dimension>,
    unit: Option<String>,
    statistic: Statistic,
    #[expect(dead_code, reason = "read only to be sure that it is absent")]
    extended_statistic: Option<()>,
    period: u32,
    evaluation_periods: usize,
    datapoints_to_alarm: Option<usize>,
    threshold: f64,
    comparison_operator: Comparison,
    #[serde(default, deserialize_with = "or_default")]
    treat_missing_data: Treatment,
    state_value: StateValue,
    #[serde(default, deserialize_with = "or_default")]
    state_reason: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Dimension {
    name: String,
    value: String,
}

/// What is `null` is absent.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

impl Cloud {
    /// Evaluates the alarms of the deployed stacks, in both Regions, as of `at`, which may lie in the past or in the
    /// future; all of them, by name.
    ///
    /// With `silent_since`, what functions measured and how they were invoked after that instant does not count, as if
    /// nothing had run since. What lies in queues counts always: what is in them now, each message from its arrival on.
    ///
    /// An alarm whose state changes is set to it, so that its actions are carried out, and the event
    /// `CloudWatch Alarm State Change` is put on the default bus of its Region. Metrics without a source here (see
    /// `alarms::metrics`) are missing data.
    pub async fn evaluate_alarms(
        &self,
        at: Timestamp,
        silent_since: Option<Timestamp>,
    ) -> Result<Vec<AlarmState>, Error> {
        let (home, away) = (self.home().to_owned(), self.stack().recovery_region.clone());
        let mut evaluated = self.evaluate_alarms_in(&home, at, silent_since).await?;
        if !away.is_empty() && away != home {
            evaluated.extend(self.evaluate_alarms_in(&away, at, silent_since).await?);
        }
        evaluated.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(evaluated)
    }

    async fn evaluate_alarms_in(
        &self,
        region: &str,
        at: Timestamp,
        silent_since: Option<Timestamp>,
    ) -> Result<Vec<AlarmState>, Error> {
        let alarms = self.alarms(region).await?;
        let mut sources = self.sources(region, &alarms).await?;
        if let Some(since) = silent_since {
            sources.invocations.retain(|one| one.at <= since);
            sources.lines.retain(|line| {
                line["_aws"]["Timestamp"].as_i64().is_some_and(|ms| ms <= since.as_millisecond())
            });
        }
        let mut evaluated = Vec::new();
        for alarm in &alarms {
            let rule = alarm.rule();
            let samples = sources.samples(&alarm.metric(), at, rule.reach());
            let (state, reason) = rule.evaluate(&samples, at, alarm.state_value);
            if state != alarm.state_value {
                self.change_state(region, alarm, state, &reason, at).await?;
            }
            evaluated.push(AlarmState {
                name: alarm.alarm_name.clone(),
                state,
                previous: alarm.state_value,
                reason,
            });
        }
        Ok(evaluated)
    }

    async fn alarms(&self, region: &str) -> Result<Vec<MetricAlarm>, Error> {
        let mut alarms = Vec::new();
        let mut asked = json!({"AlarmNamePrefix": format!("{}-", self.stack().name), "MaxRecords": 100});
        loop {
            let target = "GraniteServiceVersion20100801.DescribeAlarms";
            let answer = self.inner.api.json(("monitoring", region), target, &asked).await?;
            for alarm in answer["MetricAlarms"].as_array().into_iter().flatten() {
                alarms.push(MetricAlarm::deserialize(alarm).map_err(|error| {
                    Error::unexpected(format!("the alarm {}", alarm["AlarmName"]), error.to_string())
                })?);
            }
            asked["NextToken"] = answer["NextToken"].clone();
            if !answer["NextToken"].is_string() {
                return Ok(alarms);
            }
        }
    }

    /// Only what the alarms ask for: logs can be long.
    async fn sources(&self, region: &str, alarms: &[MetricAlarm]) -> Result<Sources, Error> {
        let mut sources = Sources::default();
        let own = alarms.iter().any(|alarm| !alarm.namespace.starts_with("AWS/"));
        // Functions are in the home Region, and with them their metrics.
        if region == self.home() {
            for function in self.stack().functions.keys().filter(|_| own) {
                sources.lines.extend(self.metrics(function).await?);
            }
            sources.invocations = self.all_measurements().await?;
        }
        sources.queues = self.queues().await?.into_iter().filter(|queue| queue.region == region).collect();
        Ok(sources)
    }

    async fn queues(&self) -> Result<Vec<Queue>, Error> {
        serde_json::from_value(self.inner.api.launcher("queues").await?)
            .map_err(|error| Error::unexpected("the launcher's queues", error.to_string()))
    }

    /// When each message was sent to a queue of the home Region, oldest first, whatever has become of it.
    pub async fn arrivals(&self, queue: &str) -> Result<Vec<Timestamp>, Error> {
        let queues = self.queues().await?;
        let mut found = queues.iter().filter(|found| found.name == queue && found.region == self.home());
        let found = found.next().map(Queue::arrivals);
        found.ok_or_else(|| Error::unexpected("the list of queues", format!("no queue {queue}")))
    }

    async fn change_state(
        &self,
        region: &str,
        alarm: &MetricAlarm,
        state: StateValue,
        reason: &str,
        at: Timestamp,
    ) -> Result<(), Error> {
        let body = json!({"AlarmName": alarm.alarm_name, "StateValue": state, "StateReason": reason});
        let target = "GraniteServiceVersion20100801.SetAlarmState";
        self.inner.api.json(("monitoring", region), target, &body).await?;
        let entry = json!({
            "Source": "aws.cloudwatch",
            "DetailType": "CloudWatch Alarm State Change",
            "Time": at.as_second(),
            "Resources": [alarm.alarm_arn],
            "Detail": alarm.change(state, reason, at).to_string(),
        });
        self.put_event(region, &entry).await
    }
}

impl MetricAlarm {
    fn rule(&self) -> Rule {
        Rule {
            statistic: self.statistic,
            period: Duration::from_secs(self.period.into()),
            evaluation_periods: self.evaluation_periods,
            datapoints_to_alarm: self.datapoints_to_alarm.unwrap_or(self.evaluation_periods),
            threshold: self.threshold,
            comparison: self.comparison_operator,
            missing: self.treat_missing_data,
        }
    }

    fn metric(&self) -> Metric<'_> {
        Metric {
            namespace: &self.namespace,
            name: &self.metric_name,
            dimensions: self.dimensions.iter().map(|it| (it.name.as_str(), it.value.as_str())).collect(),
            unit: self.unit.as_deref(),
        }
    }

    /// The event's detail (CloudWatch User Guide, "Alarm events and EventBridge").
    fn change(&self, state: StateValue, reason: &str, at: Timestamp) -> Value {
        let dimensions: BTreeMap<_, _> = self.dimensions.iter().map(|it| (&it.name, &it.value)).collect();
        let timestamp = at.strftime("%Y-%m-%dT%H:%M:%S%.3f%z").to_string();
        json!({
            "alarmName": self.alarm_name,
            "state": {"value": state, "reason": reason, "timestamp": timestamp},
            "previousState": {"value": self.state_value, "reason": self.state_reason},
            "configuration": {
                "description": self.alarm_description,
                "metrics": [{
                    "id": "m1",
                    "metricStat": {
                        "metric": {
                            "namespace": self.namespace,
                            "name": self.metric_name,
                            "dimensions": dimensions,
                        },
                        "period": self.period,
                        "stat": format!("{:?}", self.statistic),
                    },
                    "returnData": true,
                }],
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described() -> Value {
        json!({
            "AlarmName": "silent", "AlarmArn": "arn:aws:cloudwatch:us-east-1:123456789012:alarm:silent",
            "AlarmDescription": "", "MetricName": "Invocations", "Namespace": "AWS/Lambda", "Statistic": "Sum",
            "ExtendedStatistic": null, "Period": 60, "EvaluationPeriods": 4, "Threshold": 1.0,
            "ComparisonOperator": "LessThanThreshold", "TreatMissingData": "breaching",
            "StateValue": "INSUFFICIENT_DATA", "StateReason": "new", "Unit": null,
            "Dimensions": [{"Name": "FunctionName", "Value": "watch"}],
        })
    }

    #[test]
    fn an_alarm_is_read_or_refused_as_a_whole() {
        let alarm = MetricAlarm::deserialize(&described()).unwrap();
        assert_eq!((alarm.rule().datapoints_to_alarm, alarm.rule().missing), (4, Treatment::Breaching));
        for (name, value) in [
            ("ExtendedStatistic", json!("p99")),
            ("Statistic", json!("p99")),
            ("ComparisonOperator", json!("LessThanLowerThreshold")),
            ("TreatMissingData", json!("notbreaching")),
        ] {
            let mut other = described();
            other[name] = value;
            assert!(MetricAlarm::deserialize(&other).is_err(), "{name}");
        }
        let mut without = described();
        without["TreatMissingData"] = Value::Null;
        assert_eq!(MetricAlarm::deserialize(&without).unwrap().rule().missing, Treatment::Missing);
    }

    #[test]
    fn a_change_is_told_in_the_words_of_cloudwatch() {
        let alarm = MetricAlarm::deserialize(&described()).unwrap();
        let at = "2026-11-22T03:04:05.678Z".parse().unwrap();
        let change = alarm.change(StateValue::Alarm, "because", at);
        assert_eq!(change["state"]["value"], "ALARM");
        assert_eq!(change["state"]["timestamp"], "2026-11-22T03:04:05.678+0000");
        assert_eq!(change["previousState"]["value"], "INSUFFICIENT_DATA");
        let metric = &change["configuration"]["metrics"][0]["metricStat"];
        assert_eq!(metric["metric"]["dimensions"]["FunctionName"], "watch");
        assert_eq!((&metric["stat"], &metric["period"]), (&json!("Sum"), &json!(60)));
    }
}
