//! The files of the repository, read by the same Python code that `sam` runs.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use toolbox::{Set, Silent, Tools};

/// The templates and the configuration as JSON, intrinsic functions in their long form (`{"Ref": …}`).
#[derive(Clone, Debug)]
pub struct Documents {
    /// `infra/template.yaml` as it is written.
    pub functions_source: Value,
    /// The same as `CloudFormation` receives it: expanded by the SAM translator.
    pub functions: Value,
    /// `infra/vault.yaml`.
    pub vault: Value,
    /// `samconfig.toml`.
    pub samconfig: Value,
}

/// Installs the tools if they are not there, and reads the files.
pub fn documents() -> Result<Documents> {
    let tools = tools()?;
    let mut python = Command::new(&tools.python);
    python.arg("-c").arg(include_str!("to_json.py")).arg(toolbox::workspace());
    // The translator wants to know where it is; it calls nobody.
    let output = offline(&mut python)?.output().context("cannot run Python")?;
    ensure!(output.status.success(), "reading infra/ failed:\n{}", String::from_utf8_lossy(&output.stderr));
    let mut all: Value = serde_json::from_slice(&output.stdout).context("Python printed no JSON")?;
    Ok(Documents {
        functions_source: all["functions_source"].take(),
        functions: all["functions"].take(),
        vault: all["vault"].take(),
        samconfig: all["samconfig"].take(),
    })
}

/// Runs the SAM CLI in `folder`, without credentials and without a network.
pub fn sam(folder: &Path, arguments: &[&str]) -> Result<Output> {
    let tools = tools()?;
    let mut sam = Command::new(tools.bin.join("sam"));
    offline(sam.args(arguments).current_dir(folder))?.output().context("cannot run sam")
}

fn tools() -> Result<Tools> {
    tokio::runtime::Runtime::new()?
        .block_on(toolbox::install(Set::Build, &Silent))
        .context("cannot install the tools")
}

/// Nothing of the caller's AWS configuration, and a proxy that refuses: what would go out fails instead.
fn offline(command: &mut Command) -> Result<&mut Command> {
    let home = toolbox::target().join("infra-tests").join("home");
    std::fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
    for (key, _) in std::env::vars_os().filter(|(key, _)| key.to_string_lossy().starts_with("AWS_")) {
        command.env_remove(key);
    }
    let nowhere = "http://127.0.0.1:9";
    Ok(command
        .env("HOME", home)
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("SAM_CLI_TELEMETRY", "0")
        .env("HTTP_PROXY", nowhere)
        .env("HTTPS_PROXY", nowhere)
        .env("http_proxy", nowhere)
        .env("https_proxy", nowhere)
        .env_remove("NO_PROXY")
        .env_remove("no_proxy"))
}
