//! CloudWatch's alarms, as far as send-alert tells of them.

use std::future::Future;

use aws_sdk_cloudwatch::{
    Client,
    types::{AlarmType, MetricAlarm, StateValue},
};
use jiff::Timestamp;
use reconcile::{Result, SdkConfig, aws_error};

/// An alarm that stands in ALARM and tells nobody by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// Its name.
    pub name: String,
    /// The Lambda function that it watches, if it watches one.
    pub function: Option<String>,
    /// What it means, as the template says.
    pub description: String,
    /// Why it stands so, as CloudWatch says.
    pub reason: String,
    /// Since when.
    pub since: Option<Timestamp>,
}

/// Where alarms are asked.
pub trait Alarms {
    /// Those in ALARM whose name begins with `prefix`. An alarm with actions of its own is left out: whoever is to hear
    /// of it hears of it without us.
    fn standing(&self, prefix: &str) -> impl Future<Output = Result<Vec<Alarm>>>;
}

/// A list, for tests.
impl Alarms for Vec<Alarm> {
    async fn standing(&self, prefix: &str) -> Result<Vec<Alarm>> {
        Ok(self.iter().filter(|alarm| alarm.name.starts_with(prefix)).cloned().collect())
    }
}

/// CloudWatch.
#[derive(Clone, Debug)]
pub struct CloudWatch {
    client: Client,
}

impl CloudWatch {
    /// Of the home Region.
    pub fn new(config: &SdkConfig) -> Self {
        Self { client: Client::new(config) }
    }
}

impl Alarms for CloudWatch {
    async fn standing(&self, prefix: &str) -> Result<Vec<Alarm>> {
        let mut pages = self
            .client
            .describe_alarms()
            .alarm_name_prefix(prefix)
            .alarm_types(AlarmType::MetricAlarm)
            .state_value(StateValue::Alarm)
            .into_paginator()
            .page_size(100)
            .send();
        let mut alarms = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| aws_error(&format!("list the alarms named {prefix}*"), error))?;
            let silent = page.metric_alarms.unwrap_or_default().into_iter();
            alarms.extend(silent.filter(|alarm| alarm.alarm_actions().is_empty()).map(alarm_of));
        }
        Ok(alarms)
    }
}

fn alarm_of(from: MetricAlarm) -> Alarm {
    let function = from.dimensions().iter().find(|dimension| dimension.name() == Some("FunctionName"));
    let since = from.state_transitioned_timestamp().or(from.state_updated_timestamp());
    Alarm {
        function: function.and_then(|dimension| dimension.value().map(str::to_owned)),
        since: since.and_then(|since| Timestamp::new(since.secs(), 0).ok()),
        name: from.alarm_name.unwrap_or_default(),
        description: from.alarm_description.unwrap_or_default(),
        reason: from.state_reason.unwrap_or_default(),
    }
}
