//! The cloud as a whole: started, asked, stopped.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use local_elasticache::LocalElastiCache;
use local_rds::LocalRds;
use local_turso::LocalTurso;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use toolbox::{Guard, Progress, Set, Tools};

use crate::api::Api;
use crate::artifacts::Profile;
use crate::bridges::{Buckets, Bus, EventDelivery, Guarded, KmsKeys};
use crate::deploy::{Deployer, ORGANIZATION};
use crate::door::{Armed, Call, CallFilter, Calls, Door, Doorstep, Fault, Faults, House};
use crate::ministack::{MiniStack, Settings};
use crate::stack::Stack;
use crate::turso::Desk;
use crate::{Error, Speed};

/// The account that everything belongs to.
pub const ACCOUNT: &str = "123456789012";

/// The Region of requests that name none, and of a cloud into which nothing is deployed.
const DEFAULT_REGION: &str = "us-east-1";

/// How the cloud is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// The front door's port; 0 for any that is free.
    pub port: u16,
    /// Logs and data. `None`: a folder below cargo's target folder, removed at the end, however that comes.
    pub data: Option<PathBuf>,
    /// Whether the templates are deployed.
    pub deploy: bool,
    /// Whether schedules fire by themselves. A scenario fires them when it wants.
    pub schedules: bool,
    /// What functions are built with.
    pub profile: Profile,
    /// How long the providers take.
    pub speed: Speed,
}

impl Default for Options {
    /// For tests: any port, everything deployed, schedules paused, all as fast as it can be.
    fn default() -> Self {
        Self {
            port: 0,
            data: None,
            deploy: true,
            schedules: false,
            profile: Profile::default(),
            speed: Speed::instant(),
        }
    }
}

/// A running cloud. It has a runtime of its own, so that tests with a runtime each can share one.
///
/// Dropping it, or the end of this process, ends everything behind it; [`Cloud::stop`] waits until it has.
pub struct Cloud {
    pub(crate) inner: Inner,
    /// `None` only while dropping.
    runtime: Option<Runtime>,
}

pub(crate) struct Inner {
    pub(crate) api: Api,
    house: Arc<House>,
    ministack: Arc<MiniStack>,
    rds: LocalRds,
    elasticache: LocalElastiCache,
    turso: LocalTurso,
    stack: Stack,
    endpoint: String,
    environment: Vec<(String, String)>,
    data: PathBuf,
    owns_data: bool,
    tools: Tools,
    _door: Door,
    // Dropped last: it ends what is still there.
    guard: Arc<Guard>,
}

impl Cloud {
    /// Installs the tools if they are missing, starts everything, builds and deploys.
    pub async fn start(options: Options, progress: Arc<dyn Progress>) -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("local-cloud")
            .enable_all()
            .build()
            .map_err(Error::run("a runtime"))?;
        let started = runtime.spawn(start(options, progress)).await;
        match started {
            Ok(Ok(inner)) => Ok(Self { inner, runtime: Some(runtime) }),
            Ok(Err(error)) => {
                runtime.shutdown_background();
                Err(error)
            }
            Err(error) => {
                runtime.shutdown_background();
                Err(Error::unexpected("the start", error.to_string()))
            }
        }
    }

    /// `http://127.0.0.1:PORT`: for every service and every Region.
    pub fn endpoint(&self) -> &str {
        &self.inner.endpoint
    }

    /// What a program needs to find the cloud and nothing else: for subprocesses and shells.
    pub fn environment(&self) -> Vec<(String, String)> {
        self.inner.environment.clone()
    }

    /// For SDK clients.
    pub fn config(&self, region: impl Into<String>) -> SdkConfig {
        let credentials = Credentials::builder()
            .access_key_id(ACCOUNT)
            .secret_access_key("local")
            .provider_name("local-cloud")
            .build();
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region.into()))
            .endpoint_url(self.endpoint())
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build()
    }

    /// The RDS control plane.
    pub fn rds(&self) -> &LocalRds {
        &self.inner.rds
    }

    /// The ElastiCache control plane.
    pub fn elasticache(&self) -> &LocalElastiCache {
        &self.inner.elasticache
    }

    /// Turso. The calls to it are in [`Cloud::calls`], and [`Cloud::inject`] makes them fail, under the service `turso`.
    pub fn turso(&self) -> &LocalTurso {
        &self.inner.turso
    }

    /// What is deployed.
    pub fn stack(&self) -> &Stack {
        &self.inner.stack
    }

    /// The Python tools, for clients in tests.
    pub fn tools(&self) -> &Tools {
        &self.inner.tools
    }

    /// Logs and data.
    pub fn data(&self) -> &Path {
        &self.inner.data
    }

    /// The AWS calls that match, oldest first. Deploying is not among them.
    pub fn calls(&self, filter: &CallFilter) -> Vec<Call> {
        self.inner.house.calls.matching(filter)
    }

    /// Forgets all calls so far.
    pub fn forget_calls(&self) {
        self.inner.house.calls.forget();
    }

    /// Makes calls fail; the rule's number.
    pub fn inject(&self, fault: Fault) -> u64 {
        self.inner.house.faults.arm(fault)
    }

    /// The rules in force.
    pub fn faults(&self) -> Vec<Armed> {
        self.inner.house.faults.list()
    }

    /// Ends all faults.
    pub fn clear_faults(&self) {
        self.inner.house.faults.disarm(None);
    }

    /// How the lifecycle events of RDS that happen from now on are delivered.
    pub fn rds_events(&self, delivery: EventDelivery) {
        self.inner.house.events.send_replace(delivery);
    }

    /// What `GET /_local/state` says.
    pub fn state(&self) -> Value {
        self.inner.house.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns if `MiniStack` ends by itself, with the end of its log.
    pub async fn failed(&self) -> Error {
        self.inner.ministack.ended().await
    }

    /// Ends every process and removes what is ours; returns when that is done.
    pub async fn stop(self) {
        let (rds, ministack) = (self.inner.rds.clone(), Arc::clone(&self.inner.ministack));
        let (elasticache, turso) = (self.inner.elasticache.clone(), self.inner.turso.clone());
        if let Some(runtime) = &self.runtime {
            let stopped = runtime.spawn(async move {
                futures::join!(rds.stop(), elasticache.stop(), turso.stop(), ministack.stop())
            });
            let _ = stopped.await;
        }
        if self.inner.owns_data {
            let _ = std::fs::remove_dir_all(&self.inner.data);
            self.inner.guard.release_folder(&self.inner.data);
        }
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waiting is not allowed where this may be dropped, in somebody's async code.
            runtime.shutdown_background();
        }
    }
}

async fn start(options: Options, progress: Arc<dyn Progress>) -> Result<Inner, Error> {
    let tools = toolbox::install(Set::Cloud, &*progress).await?;
    let guard = Arc::new(Guard::start(&tools.python)?);
    let (data, owns_data) = data_folder(options.data.as_deref(), &guard)?;
    progress.step("starting MiniStack and the front door");
    let doorstep = Doorstep::bind(options.port).await?;
    let door_port = doorstep.address()?.port();
    let endpoint = format!("http://127.0.0.1:{door_port}");
    let ministack = MiniStack::start(Settings {
        tools: &tools,
        data: &data,
        door_port,
        account: ACCOUNT,
        home_region: DEFAULT_REGION,
        schedules: options.schedules,
        guard: Arc::clone(&guard),
    })
    .await?;
    let api = ministack.api.clone();
    let events = watch::Sender::new(EventDelivery::Normal);
    let (calls, faults) = (Arc::new(Calls::default()), Arc::new(Faults::default()));
    let desk = Desk::new(api.clone(), Arc::clone(&calls), Arc::clone(&faults));
    let bus = Bus::start(api.clone(), events.subscribe());
    let Providers { rds, elasticache, turso } =
        Providers::start(&options.speed, &tools, &data, &api, &guard, bus, desk).await?;
    let house = Arc::new(House {
        rds: rds.clone(),
        elasticache: elasticache.clone(),
        api: api.clone(),
        calls,
        faults,
        events,
        state: Mutex::new(Value::Null),
    });
    let door = doorstep.open(Arc::clone(&house));
    let environment = environment(&endpoint, &data)?;
    let stack = if options.deploy {
        let deployer = Deployer {
            tools: &tools,
            guard: Arc::clone(&guard),
            api: &api,
            data: &data,
            environment: &environment,
            profile: &options.profile,
            database_ca: &rds.ca_certificate(),
            turso_api: &turso.endpoint(),
            progress: &*progress,
        };
        let stack = tokio::select! {
            stack = deployer.deploy() => stack?,
            error = ministack.ended() => return Err(error),
        };
        keep_turso_token(&api, &stack.home_region, &turso).await?;
        stack
    } else {
        Stack { home_region: DEFAULT_REGION.to_owned(), ..Stack::default() }
    };
    house.calls.forget();
    *house.state.lock().unwrap_or_else(PoisonError::into_inner) =
        state(&endpoint, &turso.endpoint(), &environment, &stack, &data);
    Ok(Inner {
        api,
        house,
        ministack: Arc::new(ministack),
        rds,
        elasticache,
        turso,
        stack,
        endpoint,
        environment,
        data,
        owns_data,
        tools,
        _door: door,
        guard,
    })
}

/// What is ours and not `MiniStack`'s.
struct Providers {
    rds: LocalRds,
    elasticache: LocalElastiCache,
    turso: LocalTurso,
}

impl Providers {
    async fn start(
        speed: &Speed,
        tools: &Tools,
        data: &Path,
        api: &Api,
        guard: &Arc<Guard>,
        bus: Bus,
        desk: Desk,
    ) -> Result<Self, Error> {
        let keys = Arc::new(KmsKeys { api: api.clone() });
        let processes = Arc::new(Guarded(Arc::clone(guard)));
        let rds = LocalRds::start(local_rds::Options {
            account: ACCOUNT.to_owned(),
            data: data.join("rds"),
            postgres: tools.postgres.clone(),
            speed: speed.rds,
            keys: keys.clone(),
            events: Arc::new(bus),
            processes: processes.clone(),
        });
        let elasticache = LocalElastiCache::start(local_elasticache::Options {
            account: ACCOUNT.to_owned(),
            data: data.join("elasticache"),
            valkey: tools.valkey.clone(),
            speed: speed.elasticache,
            keys,
            objects: Arc::new(Buckets(api.clone())),
            processes: processes.clone(),
        });
        let turso = LocalTurso::start(local_turso::Options {
            data: data.join("turso"),
            sqld: tools.sqld.clone(),
            speed: speed.turso,
            processes,
            outside: Arc::new(desk),
            organization: ORGANIZATION.to_owned(),
            port: 0,
        });
        Ok(Self { rds: rds.await?, elasticache: elasticache.await?, turso: turso.await? })
    }
}

/// The token of the organization, where the template has the functions look for it.
async fn keep_turso_token(api: &Api, region: &str, turso: &LocalTurso) -> Result<(), Error> {
    let secret = json!({"token": turso.tokens().full_access});
    let body = json!({"Name": "tidemark/turso", "SecretString": secret.to_string()});
    api.json(("secretsmanager", region), "secretsmanager.CreateSecret", &body).await.map(|_| ())
}

/// The caller's folder, or one of our own, which the guard removes.
fn data_folder(chosen: Option<&Path>, guard: &Guard) -> Result<(PathBuf, bool), Error> {
    static STARTED: AtomicU32 = AtomicU32::new(0);
    let folder = match chosen {
        Some(folder) => std::path::absolute(folder).map_err(Error::files(folder))?,
        None => {
            let number = STARTED.fetch_add(1, Ordering::Relaxed);
            toolbox::target().join("local-cloud").join(format!("{}-{number}", std::process::id()))
        }
    };
    if chosen.is_none() {
        // A process of the same number, long ago, that nothing cleaned up after.
        let _ = std::fs::remove_dir_all(&folder);
        guard.adopt_folder(&folder);
    }
    std::fs::create_dir_all(&folder).map_err(Error::files(&folder))?;
    Ok((folder, chosen.is_none()))
}

/// Credentials that mean nothing anywhere, and empty configuration files, so that nobody's real profile is ever read.
fn environment(endpoint: &str, data: &Path) -> Result<Vec<(String, String)>, Error> {
    let empty = data.join("no-aws-configuration");
    std::fs::write(&empty, "").map_err(Error::files(&empty))?;
    let empty = empty.display().to_string();
    let variables = [
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_ACCESS_KEY_ID", ACCOUNT),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_REGION", DEFAULT_REGION),
        ("AWS_DEFAULT_REGION", DEFAULT_REGION),
        ("AWS_CONFIG_FILE", &empty),
        ("AWS_SHARED_CREDENTIALS_FILE", &empty),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_PAGER", ""),
    ];
    Ok(variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
}

fn state(endpoint: &str, turso: &str, environment: &[(String, String)], stack: &Stack, data: &Path) -> Value {
    let environment: serde_json::Map<String, Value> =
        environment.iter().map(|(name, value)| (name.clone(), Value::String(value.clone()))).collect();
    json!({
        "endpoint": endpoint,
        "turso": turso,
        "account": ACCOUNT,
        "version": env!("CARGO_PKG_VERSION"),
        "data": data,
        "environment": environment,
        "stack": stack,
    })
}
