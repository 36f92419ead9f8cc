//! What a scenario does with the deployed functions, and how it reads back what they did.

use std::time::{Duration, Instant};

use http::Method;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Cloud, Error};

/// Between two looks at something that is waited for.
pub(crate) const POLL: Duration = Duration::from_millis(50);

/// A synchronous invocation and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Invocation {
    /// The deployed name.
    pub function: String,
    /// What the handler answered; `Null` if it failed.
    pub payload: Value,
    /// How it failed, if it did.
    pub error: Option<LambdaError>,
    /// The lines that it printed.
    pub logs: Vec<String>,
}

/// What Lambda reports of a failed invocation.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct LambdaError {
    /// Such as `Runtime.ExitError` or the handler's own type.
    #[serde(rename = "errorType", default)]
    pub error_type: String,
    /// What went wrong.
    #[serde(rename = "errorMessage", default)]
    pub error_message: String,
}

/// What one invocation cost.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Measurement {
    /// The deployed name.
    pub function: String,
    /// When it was invoked.
    pub at: Timestamp,
    /// From starting the process to its first poll of the Runtime API; `None` if the environment was warm.
    pub init_ms: Option<f64>,
    /// From the poll's answer to the result.
    pub duration_ms: f64,
    /// The most memory its process ever had resident; `None` where the system does not tell, or it was killed.
    pub peak_rss_bytes: Option<u64>,
    /// Whether the invocation failed.
    pub failed: bool,
}

impl Invocation {
    /// The payload, or the failure as an error.
    pub fn into_payload(self) -> Result<Value, Error> {
        match self.error {
            None => Ok(self.payload),
            Some(error) => Err(Error::Failed {
                what: format!("{} ({})", self.function, error.error_type),
                output: format!("{}\n{}", error.error_message, self.logs.join("\n")),
            }),
        }
    }
}

impl Cloud {
    pub(crate) fn home(&self) -> &str {
        &self.stack().home_region
    }

    /// Invokes a function, by its crate's name or its deployed one, and waits for the result.
    pub async fn invoke(&self, function: &str, payload: &Value) -> Result<Invocation, Error> {
        let name = self.stack().function(function)?.to_owned();
        let caller = format!("{}-{}", std::process::id(), fresh());
        let path = format!("/2015-03-31/functions/{name}/invocations");
        let headers = [("content-type", "application/json"), ("x-tidemark-invocation", caller.as_str())];
        let scope = ("lambda", self.home());
        let reply = self.inner.api.send(scope, Method::POST, &path, &headers, payload.to_string()).await?;
        let body = if reply.body.is_empty() { Value::Null } else { reply.json("a function's answer")? };
        let measured = self.inner.api.launcher(&format!("invocations?caller={caller}")).await?;
        let log = measured[0]["log"].as_str().unwrap_or_default();
        let failed = reply.headers.contains_key("x-amz-function-error");
        let error = if failed { Some(lambda_error(&body)) } else { None };
        Ok(Invocation {
            function: name,
            payload: if failed { Value::Null } else { body },
            error,
            logs: log.lines().map(str::to_owned).collect(),
        })
    }

    /// Fires a deployed schedule: its own target with its own input, as EventBridge Scheduler would.
    ///
    /// `name` is the whole name (`tidemark-dev-backup-rds-slot`) or what follows the stack's (`backup-rds-slot`).
    pub async fn fire_schedule(&self, name: &str) -> Result<Invocation, Error> {
        let prefix = format!("{}-", self.stack().name);
        let name = if name.starts_with(&prefix) { name.to_owned() } else { format!("{prefix}{name}") };
        let path = format!("/schedules/{name}");
        let schedule = self
            .inner
            .api
            .send(("scheduler", self.home()), Method::GET, &path, &[], "")
            .await?
            .json(&name)?;
        let target = schedule["Target"]["Arn"].as_str().unwrap_or_default();
        let Some((_, function)) = target.rsplit_once(":function:") else {
            return Err(Error::unexpected(format!("the target of {name}"), target));
        };
        let input = schedule["Target"]["Input"].as_str().unwrap_or("{}");
        let input: Value = serde_json::from_str(input)
            .map_err(|_| Error::unexpected(format!("the input of {name}"), input))?;
        self.invoke(function, &input).await
    }

    /// Fires the function's tick until it answers `"unfinished": 0`; all its answers.
    ///
    /// A tick that fails does not end it: as on AWS, the next one goes on.
    pub async fn ticks(&self, function: &str, deadline: Duration) -> Result<Vec<Invocation>, Error> {
        let schedule = format!("{}-tick", self.stack().function(function)?);
        let start = Instant::now();
        let mut ticks = Vec::new();
        loop {
            let tick = self.fire_schedule(&schedule).await?;
            let last = tick.error.as_ref().map_or_else(
                || tick.payload.to_string(),
                |error| format!("{}: {}", error.error_type, error.error_message),
            );
            let finished = tick.payload["unfinished"] == 0;
            ticks.push(tick);
            if finished {
                return Ok(ticks);
            }
            if start.elapsed() >= deadline {
                let what = format!("{function} finishing its work in {} ticks", ticks.len());
                return Err(Error::Deadline { what, seconds: deadline.as_secs(), last });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The ledger: every object under `ledger/` in the home Region's vault, in the order of the keys.
    pub async fn ledger(&self) -> Result<Vec<Value>, Error> {
        let bucket = self.stack().vault_bucket();
        let mut entries = Vec::new();
        for key in self.object_keys(bucket, "ledger/").await? {
            let object = self.object(bucket, &key).await?;
            let entry = serde_json::from_slice(&object)
                .map_err(|_| Error::unexpected(&key, String::from_utf8_lossy(&object)))?;
            entries.push(entry);
        }
        Ok(entries)
    }

    /// The metrics that a function wrote in Embedded Metric Format, oldest first.
    pub async fn metrics(&self, function: &str) -> Result<Vec<Value>, Error> {
        let lines = self.log_lines(function).await?;
        Ok(lines
            .iter()
            .filter_map(|line| json_object(line))
            .filter(|line| line.get("_aws").is_some())
            .collect())
    }

    /// The JSON lines that a function logged, metrics aside, oldest first.
    pub async fn logs(&self, function: &str) -> Result<Vec<Value>, Error> {
        let lines = self.log_lines(function).await?;
        Ok(lines
            .iter()
            .filter_map(|line| json_object(line))
            .filter(|line| line.get("_aws").is_none())
            .collect())
    }

    /// Every line in a function's log group (`CloudWatch` Logs), platform lines too, oldest first.
    pub async fn log_lines(&self, function: &str) -> Result<Vec<String>, Error> {
        let group = format!("/aws/lambda/{}", self.stack().function(function)?);
        let mut lines = Vec::new();
        let mut token = Value::Null;
        loop {
            let mut body = json!({"logGroupName": group});
            if token.is_string() {
                body["nextToken"] = token;
            }
            let scope = ("logs", self.home());
            let answer = self.inner.api.json(scope, "Logs_20140328.FilterLogEvents", &body).await?;
            let events = answer["events"].as_array().into_iter().flatten();
            lines.extend(events.filter_map(|event| event["message"].as_str()).map(str::to_owned));
            token = answer["nextToken"].clone();
            if !token.is_string() {
                return Ok(lines);
            }
        }
    }

    /// What a function's invocations so far cost, oldest first.
    pub async fn measurements(&self, function: &str) -> Result<Vec<Measurement>, Error> {
        let name = self.stack().function(function)?;
        Ok(self.all_measurements().await?.into_iter().filter(|one| one.function == name).collect())
    }

    pub(crate) async fn all_measurements(&self) -> Result<Vec<Measurement>, Error> {
        serde_json::from_value(self.inner.api.launcher("invocations").await?)
            .map_err(|error| Error::unexpected("the launcher's measurements", error.to_string()))
    }

    /// Sets an SSM parameter of the home Region.
    pub async fn ssm_put(&self, name: &str, value: &str) -> Result<(), Error> {
        let body = json!({"Name": name, "Value": value, "Type": "String", "Overwrite": true});
        self.inner.api.json(("ssm", self.home()), "AmazonSSM.PutParameter", &body).await.map(|_| ())
    }

    /// Puts an event on the default bus of a Region in AWS's own name (`aws.rds`), which `PutEvents` grants nobody.
    pub async fn put_aws_event(
        &self,
        region: &str,
        source: &str,
        detail_type: &str,
        detail: &Value,
    ) -> Result<(), Error> {
        let entry = json!({"Source": source, "DetailType": detail_type, "Detail": detail.to_string()});
        self.put_event(region, &entry).await
    }

    /// An entry of `PutEvents`, in whoever's name.
    pub(crate) async fn put_event(&self, region: &str, entry: &Value) -> Result<(), Error> {
        let body = json!({"Entries": [entry]});
        let answer = self.inner.api.json(("events", region), "AWSEvents.PutEvents", &body).await?;
        if answer["FailedEntryCount"] == 0 {
            return Ok(());
        }
        Err(Error::unexpected("the answer of PutEvents", answer.to_string()))
    }
}

fn json_object(line: &str) -> Option<Value> {
    serde_json::from_str::<Value>(line).ok().filter(Value::is_object)
}

fn lambda_error(body: &Value) -> LambdaError {
    serde_json::from_value(body.clone())
        .unwrap_or_else(|_| LambdaError { error_type: String::new(), error_message: body.to_string() })
}

/// A number that no other call in this process gets.
pub(crate) fn fresh() -> u32 {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}
