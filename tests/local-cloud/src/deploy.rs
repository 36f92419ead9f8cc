//! The real `sam deploy` of the real templates, into the local cloud and nowhere else.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::SystemTime;

use http::Method;
use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use toolbox::{Guard, Progress, Tools};

use crate::api::Api;
use crate::artifacts::{self, Profile};
use crate::stack::{self, Stack};
use crate::{Error, ministack};

const STAGE: &str = include_str!("python/stage.py");
const BUCKETS: &str = include_str!("python/buckets.py");

/// Where SAM puts the functions' code.
const ARTIFACT_BUCKET: &str = "tidemark-local-artifacts";

/// Where append-only directories of self-managed servers are archived, in the home Region.
pub const ARCHIVE_BUCKET: &str = "tidemark-local-archive";

/// The organization at Turso.
pub const ORGANIZATION: &str = "acme";

/// The subnet groups into which drills restore, of RDS and of ElastiCache, in both Regions.
pub const STAGING: &str = "staging";

/// The subnets of that group of ElastiCache.
const STAGING_SUBNETS: &str = "subnet-0d0c0ffee0d0c0f01,subnet-0d0c0ffee0d0c0f02";

/// The security group of what drills restore.
pub const STAGING_SECURITY_GROUP: &str = "sg-0d0c0ffee0d0c0f00";

/// One `sam deploy`, as samconfig.toml has it.
#[derive(Clone, Debug, Deserialize)]
struct Deployment {
    template: PathBuf,
    stack: String,
    region: String,
    capabilities: Vec<String>,
    tags: Vec<String>,
    parameters: BTreeMap<String, String>,
    /// The parameters that the template has.
    declares: Vec<String>,
}

/// All that is deployed.
#[derive(Clone, Debug, Deserialize)]
struct Plan {
    recovery_vault: Deployment,
    vault: Deployment,
    functions: Deployment,
    /// By logical id.
    binaries: BTreeMap<String, String>,
}

/// What deploying needs.
pub(crate) struct Deployer<'a> {
    pub(crate) tools: &'a Tools,
    pub(crate) guard: Arc<Guard>,
    pub(crate) api: &'a Api,
    pub(crate) data: &'a Path,
    /// For every subprocess: the front door, credentials that mean nothing.
    pub(crate) environment: &'a [(String, String)],
    pub(crate) profile: &'a Profile,
    /// For functions that connect to a database.
    pub(crate) database_ca: &'a Path,
    /// Where Turso's Platform API is.
    pub(crate) turso_api: &'a str,
    pub(crate) progress: &'a dyn Progress,
}

impl Deployer<'_> {
    /// Builds, deploys, and applies what `MiniStack` drops.
    pub(crate) async fn deploy(&self) -> Result<Stack, Error> {
        let staged = self.data.join("deploy");
        std::fs::create_dir_all(&staged).map_err(Error::files(&staged))?;
        self.silence_sam()?;
        let mut plan = self.stage(&staged).await?;
        self.add_local_parameters(&mut plan.functions);
        for bucket in [ARTIFACT_BUCKET, ARCHIVE_BUCKET] {
            self.make_bucket(&plan.functions.region, bucket).await?;
        }
        let code = async {
            let names: Vec<String> = plan.binaries.values().cloned().collect();
            let binaries = artifacts::build(&names, self.profile, self.progress).await?;
            for (name, binary) in names.iter().zip(&binaries) {
                artifacts::package(binary, &staged.join(format!("{name}.zip"))).await?;
            }
            Ok(())
        };
        let vaults = async {
            futures::try_join!(
                self.sam_deploy(&plan.recovery_vault, None),
                self.sam_deploy(&plan.vault, None)
            )?;
            self.apply_to_buckets().await
        };
        futures::try_join!(code, vaults)?;
        self.sam_deploy(&plan.functions, Some(ARTIFACT_BUCKET)).await?;
        self.look(&plan).await
    }

    /// The stacks' outputs and resources.
    async fn look(&self, plan: &Plan) -> Result<Stack, Error> {
        let (functions, vault, recovery) = (&plan.functions, &plan.vault, &plan.recovery_vault);
        let (outputs, vault_outputs, recovery_vault_outputs, resources) = futures::try_join!(
            stack::outputs(self.api, &functions.region, &functions.stack),
            stack::outputs(self.api, &vault.region, &vault.stack),
            stack::outputs(self.api, &recovery.region, &recovery.stack),
            stack::resources(self.api, &functions.region, &functions.stack),
        )?;
        let deployed = plan
            .binaries
            .iter()
            .filter_map(|(id, binary)| Some((binary.clone(), resources.get(id)?.clone())))
            .collect();
        Ok(Stack {
            name: functions.stack.clone(),
            home_region: functions.region.clone(),
            recovery_region: recovery.region.clone(),
            functions: deployed,
            outputs,
            vault: vault_outputs,
            recovery_vault: recovery_vault_outputs,
            resources,
        })
    }

    async fn stage(&self, folder: &Path) -> Result<Plan, Error> {
        let root = toolbox::workspace();
        let mut command = self.command(&self.tools.python)?;
        command.args(["-I", "-c", STAGE]).args([root.as_path(), folder]);
        let output = self.run(command, "reading the templates", "stage", None).await?;
        serde_json::from_slice(&output)
            .map_err(|error| Error::unexpected("what stage.py prints", error.to_string()))
    }

    /// What differs here from AWS, and nothing else.
    fn add_local_parameters(&self, deployment: &mut Deployment) {
        let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
        let ca = self.database_ca.display().to_string();
        for (name, value) in [
            ("Architecture", architecture),
            ("ArchiveBucket", ARCHIVE_BUCKET),
            ("DatabaseCaFile", &ca),
            ("RecoveryStagingCacheSubnetGroup", STAGING),
            ("RecoveryStagingDbSubnetGroup", STAGING),
            ("RecoveryStagingSecurityGroupIds", STAGING_SECURITY_GROUP),
            ("RecoveryStagingSubnetIds", STAGING_SUBNETS),
            ("StagingCacheSubnetGroup", STAGING),
            ("StagingDbSubnetGroup", STAGING),
            ("StagingSecurityGroupIds", STAGING_SECURITY_GROUP),
            ("StagingSubnetIds", STAGING_SUBNETS),
            ("TursoApi", self.turso_api),
            ("TursoOrganization", ORGANIZATION),
        ] {
            if deployment.declares.iter().any(|declared| declared == name) {
                deployment.parameters.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    async fn make_bucket(&self, region: &str, name: &str) -> Result<(), Error> {
        let path = format!("/{name}");
        self.api.send(("s3", region), Method::PUT, &path, &[], "").await.map(|_| ())
    }

    /// `artifacts`: the bucket for code, if the template has any.
    async fn sam_deploy(&self, deployment: &Deployment, artifacts: Option<&str>) -> Result<(), Error> {
        let Deployment { stack, region, .. } = deployment;
        self.progress.step(&format!("sam deploy: {stack} into {region}"));
        let mut command = self.command(self.tools.bin.join("sam"))?;
        command
            .arg("deploy")
            .arg("--template-file")
            .arg(&deployment.template)
            .args(["--stack-name", stack, "--region", region])
            .args(["--no-confirm-changeset", "--no-fail-on-empty-changeset", "--no-progressbar"]);
        if let Some(bucket) = artifacts {
            command.args(["--s3-bucket", bucket]);
        }
        let parameters = deployment.parameters.iter().map(|(name, value)| format!("{name}={value}"));
        for (flag, values) in [
            ("--capabilities", deployment.capabilities.clone()),
            ("--tags", deployment.tags.clone()),
            ("--parameter-overrides", parameters.collect()),
        ] {
            if !values.is_empty() {
                command.arg(flag).args(values);
            }
        }
        let what = format!("sam deploy of {stack} into {region}");
        self.run(command, &what, &format!("sam-{stack}-{region}"), None).await.map(|_| ())
    }

    /// Object Lock, default encryption, replication, lifecycle: from the template's own properties.
    async fn apply_to_buckets(&self) -> Result<(), Error> {
        let buckets = self.api.launcher("buckets").await?;
        let mut command = self.command(&self.tools.python)?;
        command.args(["-I", "-c", BUCKETS]);
        let input = buckets.to_string();
        self.run(command, "applying bucket properties", "buckets", Some(input)).await.map(|_| ())
    }

    /// A subprocess that cannot reach AWS: it gets our environment and nothing of the user's.
    fn command(&self, program: impl AsRef<OsStr>) -> Result<Command, Error> {
        if !self.environment.iter().any(|(name, _)| name == "AWS_ENDPOINT_URL") {
            return Err(Error::unexpected("the environment of a subprocess", "no AWS_ENDPOINT_URL"));
        }
        let mut command = std::process::Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("LANG", "C.UTF-8")
            .env("HOME", self.data)
            .env("TMPDIR", self.data.join("tmp"))
            // No samconfig.toml here: every option is given by name.
            .current_dir(self.data.join("deploy"))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("SAM_CLI_TELEMETRY", "0")
            .env("SAM_CLI_POLL_DELAY", "0.1")
            .process_group(0);
        Ok(command.into())
    }

    /// Runs to its end; what it printed on standard output. The rest is in `NAME.log` in the data folder.
    async fn run(
        &self,
        mut command: Command,
        what: &str,
        name: &str,
        input: Option<String>,
    ) -> Result<Vec<u8>, Error> {
        let log = self.data.join(format!("{name}.log"));
        let errors = std::fs::File::create(&log).map_err(Error::files(&log))?;
        let mut child = command
            .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(errors)
            .kill_on_drop(true)
            .spawn()
            .map_err(Error::run(what))?;
        let process_group = child.id().unwrap_or_default();
        self.guard.adopt(process_group);
        if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
            // A child that does not read it fails for a reason of its own, which is reported below.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        let output = child.wait_with_output().await.map_err(Error::run(what));
        self.guard.release(process_group);
        let output = output?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let kept = printed.lines().rev().take(40).collect::<Vec<_>>();
        let kept: Vec<&str> = kept.into_iter().rev().collect();
        let output = format!("{}\n{}", kept.join("\n"), ministack::tail(&log));
        Err(Error::Failed { what: what.to_owned(), output })
    }

    /// SAM asks the package registry for a newer release once a week; it has just done so, as far as it can tell.
    fn silence_sam(&self) -> Result<(), Error> {
        let folder = self.data.join(".aws-sam");
        std::fs::create_dir_all(&folder).map_err(Error::files(&folder))?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let known = serde_json::json!({"lastVersionCheck": now, "telemetryEnabled": false});
        let path = folder.join("metadata.json");
        std::fs::write(&path, known.to_string()).map_err(Error::files(&path))
    }
}
