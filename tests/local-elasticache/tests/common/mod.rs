//! A control plane on real Valkey with S3 in memory, and small means to talk to it.

// Each test file uses a part of it; not all are in functions that clippy knows for tests.
#![allow(dead_code, clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeSet;
use std::fmt::Write;
use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use local_elasticache::{Alone, Keys, LocalElastiCache, MemoryObjects, Options, Processes, Response, Speed};
use tempfile::TempDir;
use toolbox::{Guard, Set, Silent};

pub(crate) const HOME: &str = "eu-west-1";
pub(crate) const AWAY: &str = "eu-central-1";
pub(crate) const ACCOUNT: &str = "000000000000";
pub(crate) const VAULT: &str = "vault";

/// Process groups that run.
#[derive(Default)]
pub(crate) struct Observer {
    pub(crate) running: Mutex<BTreeSet<u32>>,
    guard: OnceLock<Guard>,
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

pub(crate) struct Cloud {
    pub(crate) cache: LocalElastiCache,
    pub(crate) objects: Arc<MemoryObjects>,
    pub(crate) observer: Arc<Observer>,
    pub(crate) data: TempDir,
    pub(crate) tools: toolbox::Tools,
}

impl Cloud {
    pub(crate) async fn start() -> Self {
        Self::start_with(Arc::new(Alone)).await
    }

    pub(crate) async fn start_with(keys: Arc<dyn Keys>) -> Self {
        // The first to come sets it, for all tests of a file.
        let _ = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_test_writer().try_init();
        let tools = toolbox::install(Set::Cloud, &Silent).await.unwrap();
        let data = tempfile::tempdir().unwrap();
        let observer = Arc::new(Observer::default());
        let guard = Guard::start(&tools.python).unwrap();
        guard.adopt_folder(data.path());
        assert!(observer.guard.set(guard).is_ok());
        let objects = Arc::new(MemoryObjects::default());
        let options = Options {
            account: ACCOUNT.to_owned(),
            data: data.path().join("elasticache"),
            valkey: tools.valkey.clone(),
            speed: Speed::instant(),
            keys,
            objects: objects.clone(),
            processes: observer.clone(),
        };
        let cache = LocalElastiCache::start(options).await.unwrap();
        objects.make_bucket(VAULT, HOME, Some(&policy(HOME, VAULT)));
        Self { cache, objects, observer, data, tools }
    }

    pub(crate) async fn call(&self, region: &str, action: &str, parameters: &[(&str, &str)]) -> Response {
        let mut body = format!("Action={action}&Version=2015-02-02");
        for (name, value) in parameters {
            // Good enough for what tests send.
            let value = value.replace('%', "%25").replace('+', "%2B").replace('&', "%26");
            write!(body, "&{name}={value}").unwrap();
        }
        self.cache.handle(region, body.as_bytes()).await
    }

    /// A call that must go well: its document.
    pub(crate) async fn ok(&self, region: &str, action: &str, parameters: &[(&str, &str)]) -> String {
        let response = self.call(region, action, parameters).await;
        let body = String::from_utf8(response.body).unwrap();
        assert_eq!(response.status, 200, "{action}: {body}");
        body
    }

    /// A call that must fail: its code and message.
    pub(crate) async fn fault(
        &self,
        region: &str,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> (String, String) {
        let response = self.call(region, action, parameters).await;
        let body = String::from_utf8(response.body).unwrap();
        let code = response.error_code.unwrap_or_else(|| panic!("{action} went well: {body}"));
        (code, value(&body, "Message").unwrap().to_owned())
    }

    /// A replication group, not waited for.
    pub(crate) async fn create(&self, id: &str, more: &[(&str, &str)]) -> String {
        let mut parameters =
            vec![("ReplicationGroupId", id), ("ReplicationGroupDescription", "a test"), ("Engine", "valkey")];
        parameters.extend(more);
        self.ok(HOME, "CreateReplicationGroup", &parameters).await
    }

    pub(crate) async fn create_simulated(&self, id: &str, more: &[(&str, &str)]) {
        let mut parameters = SIMULATED.to_vec();
        parameters.extend(more);
        self.create(id, &parameters).await;
        self.group(id).await;
    }

    /// Waits until a replication group is available, and returns its document.
    pub(crate) async fn group(&self, id: &str) -> String {
        self.until_status("DescribeReplicationGroups", "ReplicationGroupId", id, "Status", "available").await
    }

    /// Waits until a cache cluster is available, and returns its document with its node.
    pub(crate) async fn cluster(&self, id: &str) -> String {
        self.until_status("DescribeCacheClusters", "CacheClusterId", id, "CacheClusterStatus", "available")
            .await;
        let parameters = [("CacheClusterId", id), ("ShowCacheNodeInfo", "true")];
        self.ok(HOME, "DescribeCacheClusters", &parameters).await
    }

    /// Waits until a snapshot is available, and returns its document.
    pub(crate) async fn snapshot(&self, name: &str) -> String {
        self.until_status("DescribeSnapshots", "SnapshotName", name, "SnapshotStatus", "available").await
    }

    /// Waits until a thing has a status, and returns its document.
    pub(crate) async fn until_status(
        &self,
        action: &str,
        name: &str,
        id: &str,
        element: &str,
        status: &str,
    ) -> String {
        until(&format!("{id} {status}"), || async {
            let xml = self.ok(HOME, action, &[(name, id)]).await;
            let now = value(&xml, element).unwrap();
            assert!(now == status || !now.ends_with("failed"), "{xml}");
            (now == status).then_some(xml)
        })
        .await
    }

    /// A snapshot of a replication group, exported to [`VAULT`]: the keys of its objects.
    pub(crate) async fn export(&self, group: &str, name: &str) -> Vec<String> {
        self.ok(HOME, "CreateSnapshot", &[("ReplicationGroupId", group), ("SnapshotName", name)]).await;
        self.snapshot(name).await;
        let copy = [("SourceSnapshotName", name), ("TargetSnapshotName", name), ("TargetBucket", VAULT)];
        self.ok(HOME, "CopySnapshot", &copy).await;
        self.snapshot(name).await;
        let prefix = format!("{name}-");
        self.objects.keys(VAULT).into_iter().filter(|key| key.starts_with(&prefix)).collect()
    }

    /// Runs `data.py`: what it prints.
    pub(crate) async fn python(&self, arguments: &[&str]) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data.py");
        let mut command = tokio::process::Command::new(&self.tools.python);
        let output = command.arg("-B").arg(script).args(arguments).kill_on_drop(true).output().await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }

    pub(crate) async fn stop(self) {
        self.cache.stop().await;
        assert_eq!(*self.observer.running.lock().unwrap(), BTreeSet::new(), "processes are left");
        let left = std::fs::read_dir(self.data.path().join("elasticache")).unwrap().count();
        assert_eq!(left, 0, "files are left");
    }
}

/// Parameters for a cache without a server.
pub(crate) const SIMULATED: [(&str, &str); 2] =
    [("Tags.Tag.1.Key", "local-cloud:data"), ("Tags.Tag.1.Value", "simulated")];

/// The bucket policy of the ElastiCache User Guide.
pub(crate) fn policy(region: &str, bucket: &str) -> String {
    format!(
        r#"{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow",
            "Principal": {{"Service": "{region}.elasticache-snapshot.amazonaws.com"}},
            "Action": ["s3:PutObject", "s3:GetObject", "s3:ListBucket", "s3:GetBucketAcl",
                       "s3:ListMultipartUploadParts", "s3:ListBucketMultipartUploads"],
            "Resource": ["arn:aws:s3:::{bucket}", "arn:aws:s3:::{bucket}/*"]}}]}}"#
    )
}

/// The text of the first element of a name.
pub(crate) fn value<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(value, _)| value)
}

/// The texts of all elements of a name.
pub(crate) fn values(xml: &str, name: &str) -> Vec<String> {
    let start = format!("<{name}>");
    let parts = xml.split(&start).skip(1);
    parts.map(|part| part.split("</").next().unwrap().to_owned()).collect()
}

/// Host and port of the first endpoint.
pub(crate) fn endpoint(xml: &str) -> (String, String) {
    (value(xml, "Address").unwrap().to_owned(), value(xml, "Port").unwrap().to_owned())
}

/// Polls until there is something.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within a minute: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
