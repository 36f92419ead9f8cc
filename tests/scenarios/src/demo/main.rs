//! `cargo demo`: a real database is backed up, broken and restored, by the deployed functions, on a cloud of this machine.

mod broken;
mod drills;
mod redis;
mod report;
mod story;
mod telling;
mod turso;
mod year;

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use clap::Parser;
use local_cloud::{Cloud, Options, Speed};

use crate::{report::Report, telling::Telling};

/// Tidemark's main job, on this machine: no AWS account, no Docker, no root.
#[derive(Parser)]
#[command(name = "cargo demo")]
struct Arguments {
    /// Write what was measured to this file too
    #[arg(long, value_name = "PATH")]
    json: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse_from(toolbox::arguments());
    let telling = Arc::new(Telling::new());
    match demo(&arguments, &telling).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            telling.failed(&error);
            ExitCode::FAILURE
        }
    }
}

/// Tells whether every check held.
async fn demo(arguments: &Arguments, telling: &Arc<Telling>) -> Result<bool> {
    telling.chapter(
        "Starting a cloud on this machine, with PostgreSQL behind RDS, Valkey behind ElastiCache, and sqld behind Turso",
    );
    let options = Options { speed: Speed::demo(), ..Options::default() };
    let progress: Arc<dyn local_cloud::Progress> = telling.clone();
    let cloud = tokio::select! {
        cloud = Cloud::start(options, progress) => cloud?,
        // What was started so far is ended by the guard, as after a crash.
        _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
    };
    telling.up(&cloud);
    let outcome = tokio::select! {
        outcome = story::run(&cloud, telling) => outcome,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
        error = cloud.failed() => Err(error.into()),
        () = tokio::time::sleep(LIMIT) => Err(anyhow::anyhow!("not done after {} s", LIMIT.as_secs())),
    };
    let report = match outcome {
        Ok(story) => Report::new(story, report::functions(&cloud).await?, year::show(telling)?),
        Err(error) => {
            telling.logs(&logs(&cloud).await);
            cloud.stop().await;
            return Err(error);
        }
    };
    cloud.stop().await;
    telling.finish(&report);
    if let Some(path) = &arguments.json {
        std::fs::write(path, format!("{:#}\n", report.json()))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(report.all_held())
}

/// Nobody waits longer than this for a demo.
const LIMIT: Duration = Duration::from_mins(8);

/// The last lines that each function logged: what a person wants to see when something broke.
async fn logs(cloud: &Cloud) -> Vec<String> {
    let mut shown = Vec::new();
    for function in cloud.stack().functions.keys() {
        let lines = cloud.log_lines(function).await.unwrap_or_default();
        let said: Vec<&String> = lines.iter().filter(|line| !line.contains("\"_aws\"")).collect();
        let last = &said[said.len().saturating_sub(8)..];
        shown.extend(last.iter().map(|line| format!("{function}: {}", line.trim())));
    }
    shown
}
