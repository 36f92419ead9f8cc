//! A headless Chromium, driven over `WebDriver`: the few commands that these tests need.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use http::{Method, Request, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

/// Nothing here takes longer.
const PATIENCE: Duration = Duration::from_mins(1);

/// Where a browser must be there, as in CI.
const REQUIRED: &str = "TIDEMARK_REQUIRE_BROWSER";

/// A browser with one window. Its driver and it end with this value.
pub(crate) struct Browser {
    _driver: Child,
    /// Kept for as long as the browser writes into it.
    profile: TempDir,
    client: Client<HttpConnector, Full<bytes::Bytes>>,
    session: String,
}

impl Browser {
    /// Starts one. `None`, and a line that says so, where there is none and none is required.
    pub(crate) async fn start() -> Result<Option<Self>> {
        let profile = tempfile::tempdir()?;
        let started = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Chromium writes below its home, whatever profile it has.
            .env("HOME", profile.path())
            .kill_on_drop(true)
            .spawn();
        let mut driver = match started {
            Ok(driver) => driver,
            Err(error) => {
                let what = format!(
                    "no browser: chromedriver does not start ({error}). Debian and Ubuntu: apt-get install chromium-driver; macOS: brew \
                     install --cask chromedriver"
                );
                if std::env::var_os(REQUIRED).is_some() {
                    bail!("{what}; {REQUIRED} is set, so the page must be looked at");
                }
                #[expect(clippy::print_stderr, reason = "who runs the tests must see that this one did not")]
                {
                    eprintln!("skipped, {what}");
                }
                return Ok(None);
            }
        };
        let port = timeout(PATIENCE, port(&mut driver)).await??;
        let client = Client::builder(TokioExecutor::new()).build_http();
        let mut browser =
            Self { _driver: driver, client, session: format!("http://127.0.0.1:{port}/session"), profile };
        let options = json!({"args": [
            "--headless=new", "--hide-scrollbars", "--disable-gpu", "--disable-dev-shm-usage",
            // Chromium's sandbox refuses to run as root, as which CI runs; what is opened is our own page.
            "--no-sandbox",
            format!("--user-data-dir={}", browser.profile.path().join("profile").display()),
        ]});
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }}});
        let answer = browser.ask(Method::POST, "", wanted).await?;
        let id = answer["sessionId"].as_str().context("chromedriver gave no session")?;
        browser.session = format!("{}/{id}", browser.session);
        Ok(Some(browser))
    }

    async fn ask(&self, method: Method, path: &str, body: Value) -> Result<Value> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.session))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::from(body.to_string()))?;
        let body = timeout(PATIENCE, async {
            let answer = self.client.request(request).await?;
            anyhow::Ok(answer.into_body().collect().await?.to_bytes())
        });
        let mut answer: Value = serde_json::from_slice(&body.await??)?;
        match answer["value"]["error"].as_str() {
            Some(error) => Err(anyhow!("{path}: {error}: {}", answer["value"]["message"])),
            None => Ok(answer["value"].take()),
        }
    }

    /// Opens a file.
    pub(crate) async fn open(&self, page: &Path) -> Result<()> {
        let url = format!("file://{}", page.display());
        self.ask(Method::POST, "/url", json!({"url": url})).await.map(drop)
    }

    /// What a script in the page gives back. The page's own policy does not hold for it.
    pub(crate) async fn run(&self, script: &str) -> Result<Value> {
        self.ask(Method::POST, "/execute/sync", json!({"script": script, "args": []})).await
    }

    /// The same of a script that promises something.
    pub(crate) async fn promise(&self, script: &str) -> Result<Value> {
        let script = format!(
            "const done = arguments[arguments.length - 1]; ({script}).then(done, error => done({{error: String(error)}}));"
        );
        self.ask(Method::POST, "/execute/async", json!({"script": script, "args": []})).await
    }

    /// A command of Chromium's own protocol.
    pub(crate) async fn command(&self, command: &str, params: Value) -> Result<Value> {
        self.ask(Method::POST, "/goog/cdp/execute", json!({"cmd": command, "params": params})).await
    }

    /// What was logged since it was last asked: `browser` is the console, `performance` what was fetched.
    pub(crate) async fn log(&self, kind: &str) -> Result<Vec<Value>> {
        let entries = self.ask(Method::POST, "/se/log", json!({"type": kind})).await?;
        Ok(entries.as_array().cloned().unwrap_or_default())
    }

    /// Ends it in order; otherwise it ends with its driver.
    pub(crate) async fn close(self) -> Result<()> {
        self.ask(Method::DELETE, "", json!({})).await.map(drop)
    }
}

/// The port that the driver says it has.
async fn port(driver: &mut Child) -> Result<u16> {
    let output = driver.stdout.take().context("chromedriver has no output")?;
    let mut lines = BufReader::new(output).lines();
    while let Some(line) = lines.next_line().await? {
        if let Some((_, port)) = line.rsplit_once("successfully on port ") {
            return port.trim_end_matches('.').parse().context("chromedriver's port");
        }
    }
    bail!("chromedriver ended before it said where it listens")
}
