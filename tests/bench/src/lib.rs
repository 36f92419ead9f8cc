//! Measures a function as Lambda starts it: a process, told where the Runtime API is, that polls it for its first event.

use std::{
    fs::File,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use tokio::{io::AsyncReadExt, net::TcpListener, process::Command, time::timeout};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// One cold start.
#[derive(Clone, Copy, Debug)]
pub struct ColdStart {
    /// From before the process is made to its first poll of the Runtime API.
    pub to_first_poll: Duration,
    /// The most memory it held until then; `None` where the system does not tell.
    pub peak_bytes: Option<u64>,
}

/// What every function finds in its environment on Lambda, and what the template sets. None of it is ever connected to.
const ENVIRONMENT: [(&str, &str); 40] = [
    ("AWS_REGION", "us-east-1"),
    ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
    ("AWS_SECRET_ACCESS_KEY", "example"),
    ("AWS_SESSION_TOKEN", "example"),
    ("AWS_LAMBDA_FUNCTION_NAME", "bench"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
    ("AWS_LAMBDA_LOG_STREAM_NAME", "bench"),
    ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/bench"),
    ("TIDEMARK_RECOVERY_REGION", "us-west-2"),
    ("TIDEMARK_KEY", "arn:aws:kms:us-east-1:123456789012:alias/tidemark-bench"),
    ("TIDEMARK_RECOVERY_KEY", "arn:aws:kms:us-west-2:123456789012:alias/tidemark-bench"),
    ("TIDEMARK_VAULT_BUCKET", "tidemark-vault-bench"),
    ("TIDEMARK_STATE_BUCKET", "tidemark-state-bench"),
    ("TIDEMARK_EXPORT_BUCKET", "tidemark-export-bench"),
    ("TIDEMARK_RECOVERY_VAULT_BUCKET", "tidemark-vault-bench-away"),
    ("TIDEMARK_RECOVERY_EXPORT_BUCKET", "tidemark-export-bench-away"),
    ("TIDEMARK_TURSO_ORGANIZATION", "acme"),
    ("TIDEMARK_TURSO_SECRET", "tidemark/turso"),
    ("TIDEMARK_TURSO_API", "https://api.turso.tech"),
    ("TIDEMARK_STAGE", "bench"),
    ("TIDEMARK_ALERTS_TOPIC", "arn:aws:sns:us-east-1:123456789012:tidemark-bench-alerts"),
    ("TIDEMARK_WATCH_TOPIC", "arn:aws:sns:us-east-1:123456789012:tidemark-bench-watch"),
    ("TIDEMARK_CANARY_QUEUE", "arn:aws:sqs:us-east-1:123456789012:tidemark-bench-canary"),
    ("TIDEMARK_PRICE_RDS_MICRO_USD", "95000"),
    ("TIDEMARK_PRICE_S3_MICRO_USD", "23000"),
    ("TIDEMARK_ALARM_PREFIX", "tidemark-bench-"),
    ("TIDEMARK_LEASE_SECONDS", "30"),
    ("TIDEMARK_QUIET_SECONDS", "600"),
    ("TIDEMARK_STAGED_FROM_MIB", "512"),
    ("TIDEMARK_TURN_SECONDS", "600"),
    ("TIDEMARK_DELETE_AT_MOST", "200"),
    ("TIDEMARK_VERIFY_MIB", "2048"),
    ("TIDEMARK_HEARTBEAT_SECRET", "tidemark/heartbeat-keys"),
    ("TIDEMARK_RESTORE_FUNCTION", "tidemark-bench-restore-database"),
    ("TIDEMARK_DRILLS_AT_ONCE", "3"),
    ("TIDEMARK_DRILL_USD_PER_MONTH", "100"),
    ("TIDEMARK_REMINDER_HOURS", "4"),
    ("TIDEMARK_EVENT_BUS", "default"),
    ("TIDEMARK_PLANS_PARAMETER", "/tidemark/bench/plans"),
];

/// Starts `binary` with `extra` variables and waits for its first poll.
pub async fn cold_start(binary: &Path, extra: &[(&str, &str)]) -> Result<ColdStart> {
    let runtime_api = TcpListener::bind("127.0.0.1:0").await?;
    let mut command = Command::new(binary);
    command
        .env_clear()
        .envs(ENVIRONMENT)
        .envs(extra.iter().copied())
        .env("AWS_LAMBDA_RUNTIME_API", runtime_api.local_addr()?.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let begun = Instant::now();
    let mut child = command.spawn().with_context(|| format!("cannot start {}", binary.display()))?;
    let polled = timeout(Duration::from_secs(10), first_request(&runtime_api)).await;
    let to_first_poll = begun.elapsed();
    // Read while the process still waits for its event.
    let peak_bytes = child.id().and_then(peak_bytes);
    child.kill().await?;
    let request = polled.with_context(|| format!("{} did not poll within 10 s", binary.display()))??;
    ensure!(
        request.starts_with("GET /2018-06-01/runtime/invocation/next "),
        "its first request was {request:?}"
    );
    Ok(ColdStart { to_first_poll, peak_bytes })
}

async fn first_request(listener: &TcpListener) -> Result<String> {
    let (mut connection, _) = listener.accept().await?;
    let mut request = vec![0; 256];
    let length = connection.read(&mut request).await?;
    Ok(String::from_utf8_lossy(&request[..length]).lines().next().unwrap_or_default().to_owned())
}

/// `VmHWM` of a process (`proc_pid_status(5)`).
fn peak_bytes(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

/// How large `binary` is as the zip that Lambda gets.
pub fn zip_bytes(binary: &Path) -> Result<u64> {
    let file = tempfile::tempfile()?;
    let mut zip = ZipWriter::new(file);
    zip.start_file(
        "bootstrap",
        SimpleFileOptions::default().compression_method(CompressionMethod::Deflated),
    )?;
    let mut content = Vec::new();
    File::open(binary)?.read_to_end(&mut content)?;
    zip.write_all(&content)?;
    Ok(zip.finish()?.metadata()?.len())
}

/// The functions as they are deployed: name and binary.
///
/// What `sam build` left in `.aws-sam/build`, if it is there for every function; otherwise they are built with the same
/// profile by `cargo build --release`. Their names are those of the folders beside `functions/shared`.
pub fn deployed() -> Result<Vec<(String, PathBuf)>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(toolbox::workspace().join("functions"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.contains('-') {
            names.push(name);
        }
    }
    names.sort();
    let built: Vec<PathBuf> = names.iter().map(|name| sam_bootstrap(name)).collect();
    if built.iter().all(|bootstrap| bootstrap.exists()) {
        return Ok(names.into_iter().zip(built).collect());
    }
    cargo_build(&names)?;
    let folder = toolbox::target().join("release");
    Ok(names.into_iter().map(|name| (name.clone(), folder.join(name))).collect())
}

/// `backup-rds` is built into `.aws-sam/build/BackupRdsFunction/bootstrap`.
fn sam_bootstrap(name: &str) -> PathBuf {
    let logical: String = name
        .split('-')
        .map(|word| word[..1].to_uppercase() + &word[1..])
        .chain(["Function".to_owned()])
        .collect();
    toolbox::workspace().join(".aws-sam/build").join(logical).join("bootstrap")
}

fn cargo_build(names: &[String]) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = std::process::Command::new(cargo);
    command.current_dir(toolbox::workspace()).args(["build", "--release"]);
    for name in names {
        command.args(["--package", name]);
    }
    ensure!(command.status()?.success(), "cargo build --release failed");
    Ok(())
}
