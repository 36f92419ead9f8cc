//! The functions as they are deployed: built once by cargo, stripped, zipped.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use toolbox::Progress;
use zip::write::SimpleFileOptions;

use crate::Error;

/// The cargo profile that functions are built with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile(String);

impl Profile {
    /// A profile of the workspace's `Cargo.toml`.
    pub fn named(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// Cargo's folder for it: `dev` is `debug`, for history's sake.
    pub fn folder(&self) -> &str {
        match self.0.as_str() {
            "dev" | "test" => "debug",
            "bench" => "release",
            other => other,
        }
    }
}

impl Default for Profile {
    /// What the caller itself was built with, so that nothing is compiled twice: `dev` in tests, else `local`.
    fn default() -> Self {
        Self::named(if cfg!(debug_assertions) { "dev" } else { "local" })
    }
}

/// Builds the functions' binaries; where each of them is.
pub(crate) async fn build(
    names: &[String],
    profile: &Profile,
    progress: &dyn Progress,
) -> Result<Vec<PathBuf>, Error> {
    progress.step(&format!("building {} with the profile {}", names.join(", "), profile.0));
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // The whole workspace is selected, as it is for `cargo demo` and `cargo test`: cargo unites the features of what is
    // selected, and with other features every dependency would be compiled a second time. Tests bring the features of
    // development dependencies along.
    command.current_dir(toolbox::workspace()).args(["build", "--workspace", "--profile", &profile.0]);
    if profile.folder() == "debug" {
        command.arg("--tests");
    }
    for name in names {
        command.args(["--bin", name]);
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(Error::run("cargo"))?;
    let mut output = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        let mut lines = BufReader::new(stderr).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if line.trim_start().starts_with("Compiling") || line.trim_start().starts_with("Blocking") {
                progress.step(line.trim());
            }
            output.push(line);
        }
    }
    if !child.wait().await.map_err(Error::run("cargo"))?.success() {
        let output = output.split_off(output.len().saturating_sub(60)).join("\n");
        return Err(Error::Failed { what: "cargo build".to_owned(), output });
    }
    let folder = toolbox::target().join(profile.folder());
    Ok(names.iter().map(|name| folder.join(name)).collect())
}

/// Puts a binary into `zip` as `bootstrap`, without its symbols and uncompressed: it never leaves this machine.
pub(crate) async fn package(binary: &Path, zip: &Path) -> Result<(), Error> {
    let cache = cached(binary)?;
    // Several clouds may start at once, in this process and in others: one packages, the others link to what it made.
    let lock_path = cache.with_file_name("package.lock");
    let lock = File::create(&lock_path).map_err(Error::files(&lock_path))?;
    lock.lock().map_err(Error::files(&lock_path))?;
    if !cache.exists() {
        let stripped = cache.with_extension("stripped");
        strip(binary, &stripped).await?;
        let partial = cache.with_extension("partial");
        write_zip(&stripped, &partial).map_err(Error::files(&partial))?;
        let _ = std::fs::remove_file(&stripped);
        remove_older(&cache, binary);
        std::fs::rename(&partial, &cache).map_err(Error::files(&cache))?;
    }
    // A link keeps what it links to, should somebody's newer build replace the cached one.
    let _ = std::fs::remove_file(zip);
    if std::fs::hard_link(&cache, zip).is_err() {
        std::fs::copy(&cache, zip).map_err(Error::files(zip))?;
    }
    Ok(())
}

/// `target/local-cloud/PROFILE/NAME-HASH.zip`; the hash tells one build from the next.
fn cached(binary: &Path) -> Result<PathBuf, Error> {
    let profile = binary.parent().and_then(Path::file_name).unwrap_or_default();
    let folder = toolbox::target().join("local-cloud").join(profile);
    std::fs::create_dir_all(&folder).map_err(Error::files(&folder))?;
    let metadata = binary.metadata().map_err(Error::files(binary))?;
    let modified = metadata.modified().map_err(Error::files(binary))?;
    let mut hash = Sha256::new();
    hash.update(format!("{} {} {modified:?}", binary.display(), metadata.len()));
    let digest = data_encoding::HEXLOWER.encode(hash.finalize().get(..8).unwrap_or_default());
    let name = binary.file_name().unwrap_or_default().to_string_lossy();
    Ok(folder.join(format!("{name}-{digest}.zip")))
}

/// Each is tens of megabytes: of earlier builds none is kept.
fn remove_older(cache: &Path, binary: &Path) {
    let prefix = format!("{}-", binary.file_name().unwrap_or_default().to_string_lossy());
    let folder = cache.parent().and_then(|folder| std::fs::read_dir(folder).ok());
    for entry in folder.into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(&prefix)
            && Path::new(&name).extension().is_some_and(|extension| extension == "zip")
        {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Symbols are most of an unoptimised binary. `strip` comes with the linker that made it; without it, they stay.
async fn strip(binary: &Path, stripped: &Path) -> Result<(), Error> {
    if cfg!(target_os = "linux") {
        let status = Command::new("strip")
            .arg("-o")
            .args([stripped, binary])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .await;
        if status.is_ok_and(|status| status.success()) {
            return Ok(());
        }
    }
    std::fs::copy(binary, stripped).map_err(Error::files(stripped))?;
    Ok(())
}

fn write_zip(binary: &Path, zip: &Path) -> std::io::Result<()> {
    let mut content = Vec::new();
    File::open(binary)?.read_to_end(&mut content)?;
    let mut writer = zip::ZipWriter::new(File::create(zip)?);
    let options = SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Stored)
        .unix_permissions(0o755);
    writer.start_file("bootstrap", options)?;
    writer.write_all(&content)?;
    writer.finish()?.sync_data()
}
