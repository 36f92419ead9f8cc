//! A control plane on real `PostgreSQL`, and small means to talk to it.

// Each test file uses a part of it; not all are in functions that clippy knows for tests.
#![allow(dead_code, clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeSet;
use std::fmt::Write;
use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use local_rds::{Alone, Event, EventSink, LocalRds, Options, Processes, Response, Speed};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tempfile::TempDir;
use tokio_postgres::Client;
use tokio_postgres_rustls::MakeRustlsConnect;
use toolbox::{Guard, Set, Silent};

pub(crate) const HOME: &str = "eu-west-1";
pub(crate) const AWAY: &str = "eu-central-1";
pub(crate) const ACCOUNT: &str = "000000000000";
pub(crate) const PASSWORD: &str = "correct-horse";

/// Process groups that run, and all events.
#[derive(Default)]
pub(crate) struct Observer {
    pub(crate) running: Mutex<BTreeSet<u32>>,
    guard: OnceLock<Guard>,
    pub(crate) events: Mutex<Vec<(String, Event)>>,
}

impl Processes for Observer {
    fn adopt(&self, process_group: u32) {
        self.running.lock().unwrap().insert(process_group);
        self.guard.get().unwrap().adopt(process_group);
    }
    fn release(&self, process_group: u32) {
        self.running.lock().unwrap().remove(&process_group);
        self.guard.get().unwrap().release(process_group);
    }
}

impl EventSink for Observer {
    fn emit(&self, region: &str, event: Event) {
        self.events.lock().unwrap().push((region.to_owned(), event));
    }
}

impl Observer {
    /// The ids of events about something, in order.
    pub(crate) fn ids(&self, identifier: &str) -> Vec<String> {
        let events = self.events.lock().unwrap();
        let about = events.iter().filter(|(_, event)| event.detail["SourceIdentifier"] == identifier);
        about.map(|(_, event)| event.detail["EventID"].as_str().unwrap().to_owned()).collect()
    }
}

pub(crate) struct Cloud {
    pub(crate) rds: LocalRds,
    pub(crate) observer: Arc<Observer>,
    pub(crate) data: TempDir,
    pub(crate) tools: toolbox::Tools,
}

impl Cloud {
    pub(crate) async fn start() -> Self {
        Self::start_with(Arc::new(Alone)).await
    }

    pub(crate) async fn start_with(keys: Arc<dyn local_rds::Keys>) -> Self {
        // The first to come sets it, for all tests of a file.
        let _ = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_test_writer().try_init();
        let tools = toolbox::install(Set::Cloud, &Silent).await.unwrap();
        let data = scratch();
        let observer = Arc::new(Observer::default());
        let guard = Guard::start(&tools.python).unwrap();
        guard.adopt_folder(data.path());
        assert!(observer.guard.set(guard).is_ok());
        let options = Options {
            account: ACCOUNT.to_owned(),
            data: data.path().join("rds"),
            postgres: tools.postgres.clone(),
            speed: Speed::instant(),
            keys,
            events: observer.clone(),
            processes: observer.clone(),
        };
        let rds = LocalRds::start(options).await.unwrap();
        Self { rds, observer, data, tools }
    }

    pub(crate) async fn call(&self, region: &str, action: &str, parameters: &[(&str, &str)]) -> Response {
        let mut body = format!("Action={action}&Version=2014-10-31");
        for (name, value) in parameters {
            // Good enough for what tests send.
            let value = value.replace('%', "%25").replace('+', "%2B").replace('&', "%26");
            write!(body, "&{name}={value}").unwrap();
        }
        self.rds.handle(region, body.as_bytes()).await
    }

    /// A call that must go well: its document.
    pub(crate) async fn ok(&self, region: &str, action: &str, parameters: &[(&str, &str)]) -> String {
        let response = self.call(region, action, parameters).await;
        let body = String::from_utf8(response.body).unwrap();
        assert_eq!(response.status, 200, "{action}: {body}");
        body
    }

    /// A call that must fail: its code.
    pub(crate) async fn fault(&self, region: &str, action: &str, parameters: &[(&str, &str)]) -> String {
        let response = self.call(region, action, parameters).await;
        let body = String::from_utf8(response.body).unwrap();
        response.error_code.unwrap_or_else(|| panic!("{action} went well: {body}"))
    }

    pub(crate) async fn create(&self, id: &str, more: &[(&str, &str)]) {
        let mut parameters = vec![
            ("DBInstanceIdentifier", id),
            ("Engine", "postgres"),
            ("DBInstanceClass", "db.t4g.micro"),
            ("AllocatedStorage", "20"),
            ("MasterUsername", "app"),
            ("MasterUserPassword", PASSWORD),
            ("DBName", "shop"),
        ];
        parameters.extend(more);
        self.ok(HOME, "CreateDBInstance", &parameters).await;
    }

    pub(crate) async fn create_simulated(&self, id: &str, more: &[(&str, &str)]) {
        let mut parameters = vec![("Tags.Tag.1.Key", "local-cloud:data"), ("Tags.Tag.1.Value", "simulated")];
        parameters.extend(more);
        self.create(id, &parameters).await;
    }

    /// Waits until an instance is available, and returns its document.
    pub(crate) async fn instance(&self, region: &str, id: &str) -> String {
        self.described(region, "DescribeDBInstances", "DBInstanceIdentifier", id, "DBInstanceStatus").await
    }

    /// Waits until a snapshot is available, and returns its document.
    pub(crate) async fn snapshot(&self, region: &str, id: &str) -> String {
        self.described(region, "DescribeDBSnapshots", "DBSnapshotIdentifier", id, "Status").await
    }

    async fn described(&self, region: &str, action: &str, name: &str, id: &str, status: &str) -> String {
        until(id, || async {
            let xml = self.ok(region, action, &[(name, id)]).await;
            let now = value(&xml, status);
            assert_ne!(now, Some("failed"), "{xml}");
            (now == Some("available")).then_some(xml)
        })
        .await
    }

    /// A session of the master user, with TLS verified against the control plane's authority.
    pub(crate) async fn connect(
        &self,
        instance: &str,
        password: &str,
    ) -> Result<Client, tokio_postgres::Error> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.rds.ca_certificate()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut config = tokio_postgres::Config::new();
        config
            .host(value(instance, "Address").unwrap())
            .port(value(instance, "Port").unwrap().parse().unwrap());
        config.user("app").password(password).dbname("shop");
        config.ssl_mode(tokio_postgres::config::SslMode::Require);
        let (client, connection) = config.connect(MakeRustlsConnect::new(tls)).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    pub(crate) async fn stop(self) {
        self.rds.stop().await;
        assert_eq!(*self.observer.running.lock().unwrap(), BTreeSet::new(), "processes are left");
    }
}

/// In memory where there is room: each instance is a thousand small files.
fn scratch() -> TempDir {
    let data = if memory_has_room() { tempfile::tempdir_in(MEMORY) } else { tempfile::tempdir() }.unwrap();
    // The user that PostgreSQL runs as must get in.
    std::fs::set_permissions(data.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    data
}

const MEMORY: &str = "/dev/shm";

/// Some containers have 64 MB of it.
#[cfg(target_os = "linux")]
fn memory_has_room() -> bool {
    let found = nix::sys::statvfs::statvfs(MEMORY);
    found.is_ok_and(|found| found.blocks_available() * found.block_size() > 2 << 30)
}

#[cfg(not(target_os = "linux"))]
fn memory_has_room() -> bool {
    false
}

/// The text of the first element of a name.
pub(crate) fn value<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    Some(rest.split_once('<')?.0)
}

/// The texts of all elements of a name.
pub(crate) fn values<'a>(xml: &'a str, name: &str) -> Vec<&'a str> {
    xml.split(&format!("<{name}>")).skip(1).filter_map(|rest| Some(rest.split_once('<')?.0)).collect()
}

/// Asks again until there is an answer, for a minute at most.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, ask: impl Fn() -> F) -> T {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what}: not in time");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
