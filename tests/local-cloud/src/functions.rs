//! What a scenario does to the deployed functions, besides invoking them and waiting for the answer.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Map, Value, json};

use crate::scenario::POLL;
use crate::{Cloud, Error};

/// How long Lambda may take with a changed configuration.
const UPDATE_LIMIT: Duration = Duration::from_secs(30);

impl Cloud {
    /// Hands a payload over as EventBridge and its Scheduler do (invocation type `Event`), and waits for nothing.
    ///
    /// An invocation that fails is repeated as often as the function's configuration says, then goes to its `OnFailure`
    /// destination. Where schedules are paused, as in tests, the first retry comes after 50 ms and the second after
    /// 100 ms instead of AWS's one and two minutes. How each attempt went is in [`Cloud::measurements`].
    pub async fn invoke_async(&self, function: &str, payload: &Value) -> Result<(), Error> {
        let path = format!("/2015-03-31/functions/{}/invocations", self.stack().function(function)?);
        let headers = [("content-type", "application/json"), ("x-amz-invocation-type", "Event")];
        let scope = ("lambda", self.home());
        self.inner.api.send(scope, Method::POST, &path, &headers, payload.to_string()).await.map(|_| ())
    }

    /// Stops the function's processes where they are, and lets them go on after `duration`; how many there were.
    ///
    /// One that is killed meanwhile, because its invocation timed out for example, stays dead, and none outlives the
    /// cloud. To freeze a function at one of its calls, inject [`crate::Effect::Freeze`].
    pub async fn freeze(&self, function: &str, duration: Duration) -> Result<usize, Error> {
        let name = self.stack().function(function)?;
        let order = format!("freeze?function={name}&ms={}", duration.as_millis());
        let answer = self.inner.api.launcher(&order).await?;
        let frozen = answer["frozen"].as_u64().and_then(|number| usize::try_from(number).ok());
        frozen.ok_or_else(|| Error::unexpected("the launcher's answer", answer.to_string()))
    }

    /// Changes one environment variable of a function, and keeps the others. Invocations from now on see it.
    pub async fn set_environment(&self, function: &str, key: &str, value: &str) -> Result<(), Error> {
        let (name, mut variables) = self.environment_of(function).await?;
        variables.insert(key.to_owned(), value.into());
        self.replace_environment(&name, &variables).await
    }

    /// Takes one environment variable away from a function, and keeps the others.
    pub async fn remove_environment(&self, function: &str, key: &str) -> Result<(), Error> {
        let (name, mut variables) = self.environment_of(function).await?;
        variables.remove(key);
        self.replace_environment(&name, &variables).await
    }

    /// The deployed name, and the variables.
    async fn environment_of(&self, function: &str) -> Result<(String, Map<String, Value>), Error> {
        let name = self.stack().function(function)?.to_owned();
        let configuration = self.configuration(&name).await?;
        let variables = configuration["Environment"]["Variables"].as_object().cloned().unwrap_or_default();
        Ok((name, variables))
    }

    async fn configuration(&self, name: &str) -> Result<Value, Error> {
        let path = format!("/2015-03-31/functions/{name}/configuration");
        let scope = ("lambda", self.home());
        self.inner.api.send(scope, Method::GET, &path, &[], "").await?.json("a function's configuration")
    }

    async fn replace_environment(&self, name: &str, variables: &Map<String, Value>) -> Result<(), Error> {
        let path = format!("/2015-03-31/functions/{name}/configuration");
        let body = json!({"Environment": {"Variables": variables}}).to_string();
        let headers = [("content-type", "application/json")];
        self.inner.api.send(("lambda", self.home()), Method::PUT, &path, &headers, body).await?;
        // Until then an invocation may still be refused, or meet the old variables.
        let start = Instant::now();
        loop {
            let configuration = self.configuration(name).await?;
            let status = configuration["LastUpdateStatus"].as_str().unwrap_or_default();
            if status == "Successful" {
                return Ok(());
            }
            if start.elapsed() >= UPDATE_LIMIT {
                let what = format!("the configuration of {name} taking effect");
                return Err(Error::Deadline {
                    what,
                    seconds: UPDATE_LIMIT.as_secs(),
                    last: status.to_owned(),
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }
}
