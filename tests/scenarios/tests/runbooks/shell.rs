//! The shell of whoever is on call: their folder, their tools, and the local cloud in the place of AWS.

use std::{collections::BTreeMap, path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use scenarios::show;
use tempfile::TempDir;
use tokio::{process::Command, sync::OnceCell, time::timeout};
use toolbox::{Set, Silent, Tools};

use crate::{common::cloud, page::Page};

/// How long one page may take.
const PATIENCE: Duration = Duration::from_mins(3);

/// What each script begins with. The local cloud takes a second for what AWS takes minutes for.
const BEGIN: &str = "set -euo pipefail\nexec 2>&1\nsleep() { command sleep 0.2; }\n";

/// What was printed may hold none of these.
fn secrets() -> [String; 2] {
    ["correct-horse-battery".to_owned(), cloud().turso().tokens().full_access]
}

async fn clients() -> Result<&'static Tools> {
    static CLIENTS: OnceCell<Tools> = OnceCell::const_new();
    Ok(CLIENTS.get_or_try_init(async || toolbox::install(Set::Shell, &Silent).await).await?)
}

/// The commands that the pages use, where the real ones do not find the local cloud by themselves.
fn stand_ins() -> PathBuf {
    toolbox::workspace().join("tests/scenarios/tests/runbooks/bin")
}

/// Runs a script in a folder of its own; what it printed.
async fn bash(script: &str) -> Result<String> {
    let folder = TempDir::new()?;
    let (tools, clients) = (cloud().tools(), clients().await?);
    let path = std::env::var("PATH").unwrap_or_default();
    let own = [
        ("PATH", format!("{}:{path}", stand_ins().display())),
        ("HOME", folder.path().display().to_string()),
        ("LOCAL_AWS", clients.bin.join("aws").display().to_string()),
        ("LOCAL_DATABASE_CA", cloud().rds().ca_certificate().display().to_string()),
        ("LOCAL_PATH", path.clone()),
        ("LOCAL_POSTGRES", tools.postgres.join("bin").display().to_string()),
        ("LOCAL_PYTHON", tools.python.display().to_string()),
        ("LOCAL_TURSO", cloud().turso().endpoint()),
    ];
    let output = Command::new("bash")
        .arg("-c")
        .arg(format!("{BEGIN}{script}"))
        .current_dir(folder.path())
        .env_clear()
        .envs(cloud().environment())
        .envs(own)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(PATIENCE, output).await.context("it takes too long")??;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{}:\n{printed}", output.status);
    Ok(printed)
}

/// Makes something so, by the same tools.
pub(crate) async fn shell(script: &str) -> Result<String> {
    bash(script).await.with_context(|| format!("cannot bring about: {script}"))
}

/// Copies all blocks of the page into one shell, with these values for what is the reader's; what they print.
pub(crate) async fn follow(page: &str, values: &[(&str, &str)]) -> Result<String> {
    let begun = std::time::Instant::now();
    let page = Page::read(page)?;
    let values: BTreeMap<&str, String> =
        values.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    let printed = bash(&page.filled_in(&values)?)
        .await
        .with_context(|| format!("docs/runbooks/{}.md, copied into a shell, failed", page.name))?;
    for secret in secrets() {
        ensure!(!printed.contains(&secret), "{} shows a secret:\n{printed}", page.name);
    }
    show(&format!("{}.md: followed in {} ms", page.name, begun.elapsed().as_millis()));
    Ok(printed)
}
