//! `cargo cloud`: the local cloud, up until Ctrl-C.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use local_cloud::{Cloud, Options, Progress, Speed};
use tokio::signal::unix::{SignalKind, signal};

/// A cloud on this machine in which the data is real: for the aws CLI, boto3, the SAM CLI, or anything that speaks AWS.
#[derive(Parser)]
#[command(name = "cargo cloud")]
struct Arguments {
    /// Listen on this port of 127.0.0.1
    #[arg(long, default_value_t = 4566)]
    port: u16,
    /// Keep logs and data in this folder
    #[arg(long)]
    data: Option<PathBuf>,
    /// Print one line of JSON when ready, instead of text
    #[arg(long)]
    json: bool,
    /// Start without deploying the templates
    #[arg(long)]
    no_deploy: bool,
}

/// Progress goes to standard error: standard output is for what a shell or a program reads.
struct Lines;

impl Progress for Lines {
    fn step(&self, line: &str) {
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse_from(toolbox::arguments());
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return failure("signals cannot be received on this system");
    };
    let options = Options {
        port: arguments.port,
        data: arguments.data,
        deploy: !arguments.no_deploy,
        schedules: true,
        speed: Speed::demo(),
        ..Options::default()
    };
    let started = tokio::select! {
        started = Cloud::start(options, Arc::new(Lines)) => started,
        // What was started so far is ended by the guard, as after a crash.
        _ = interrupt.recv() => return ExitCode::from(130),
        _ = terminate.recv() => return ExitCode::from(143),
    };
    let cloud = match started {
        Ok(cloud) => cloud,
        Err(error) => return failure(&chain(&error)),
    };
    let text = if arguments.json { cloud.state().to_string() } else { welcome(&cloud) };
    let _ = writeln!(std::io::stdout(), "{text}");
    let failed = tokio::select! {
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
        error = cloud.failed() => Some(error),
    };
    cloud.stop().await;
    failed.map_or(ExitCode::SUCCESS, |error| failure(&chain(&error)))
}

fn failure(message: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{message}");
    ExitCode::FAILURE
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn welcome(cloud: &Cloud) -> String {
    let mut lines = vec!["# The local cloud is up. For your shell:".to_owned()];
    lines.push("unset AWS_PROFILE AWS_SESSION_TOKEN".to_owned());
    for (name, value) in cloud.environment() {
        lines.push(format!("export {name}={value}"));
    }
    let stack = cloud.stack();
    if !stack.functions.is_empty() {
        lines.push(format!("\n# Deployed as {} in {}:", stack.name, stack.home_region));
        lines.extend(stack.functions.values().map(|name| format!("#   function {name}")));
        lines.push(format!("#   vault    {}", stack.vault_bucket()));
        lines.push(format!("#   vault    {} ({})", stack.recovery_vault_bucket(), stack.recovery_region));
        lines.push("\n# Try:".to_owned());
        let function = stack.functions.values().next().map_or("", String::as_str);
        // Version 1 of the AWS CLI asks RDS in us-east-1 at an address of its own unless it is told otherwise so.
        lines.push("#   aws --endpoint-url $AWS_ENDPOINT_URL rds describe-db-instances".to_owned());
        lines.push(format!("#   aws lambda invoke --function-name {function} /dev/stdout"));
        lines.push(format!("#   sam remote invoke {function} --event '{{\"wake\":\"tick\"}}'"));
    }
    lines.push(format!("#   curl {}/_local/calls", cloud.endpoint()));
    lines.push("\n# Ctrl-C ends it and everything in it.".to_owned());
    lines.join("\n")
}
