//! A local Turso, and small means to talk to it as its clients do.

// Each test file uses a part of it; not all are in functions that clippy knows for tests.
#![allow(dead_code, clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeSet;
use std::future::Future;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use local_turso::{Alone, LocalTurso, Options, Outside, Processes, Speed};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use tempfile::TempDir;
use toolbox::{Guard, Set, Silent};

pub(crate) const ORGANIZATION: &str = "tidemark";

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

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One request; an error is a connection that broke, in the head or in the body.
pub(crate) async fn request(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Result<Answer, Box<dyn std::error::Error>> {
    let mut request =
        Request::builder().method(method).uri(url).header("user-agent", "test app/backup-turso");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http();
    let answer = client.request(request.body(Full::new(body.into()))?).await?;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await?.to_bytes().to_vec();
    Ok(Answer { status, body })
}

pub(crate) struct Cloud {
    pub(crate) turso: LocalTurso,
    pub(crate) observer: Arc<Observer>,
    pub(crate) data: TempDir,
    pub(crate) tools: toolbox::Tools,
    /// Calls of the Platform API, to be judged in the end.
    seen: Mutex<Vec<Value>>,
}

impl Cloud {
    pub(crate) async fn start() -> Self {
        Self::start_with(Speed::instant(), Arc::new(Alone)).await
    }

    pub(crate) async fn start_with(speed: Speed, outside: Arc<dyn Outside>) -> Self {
        // The first to come sets it, for all tests of a file.
        let _ = tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_test_writer().try_init();
        let tools = toolbox::install(Set::Cloud, &Silent).await.unwrap();
        let data = tempfile::tempdir().unwrap();
        let observer = Arc::new(Observer::default());
        let guard = Guard::start(&tools.python).unwrap();
        guard.adopt_folder(data.path());
        assert!(observer.guard.set(guard).is_ok());
        let options = Options {
            data: data.path().join("turso"),
            sqld: tools.sqld.clone(),
            speed,
            processes: observer.clone(),
            outside,
            organization: ORGANIZATION.to_owned(),
            port: 0,
        };
        let turso = LocalTurso::start(options).await.unwrap();
        Self { turso, observer, data, tools, seen: Mutex::default() }
    }

    /// A call of the Platform API below `/v1`, with a token of the caller's choice.
    pub(crate) async fn call(&self, token: &str, method: Method, path: &str, body: Option<Value>) -> Answer {
        let bearer = format!("Bearer {token}");
        let path = path.trim_end_matches('/');
        let url = format!("{}/v1/{path}", self.turso.endpoint());
        let sent = body.as_ref().map(Value::to_string).unwrap_or_default();
        let answer = request(method.as_str(), &url, &[("authorization", &bearer)], sent).await.unwrap();
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        let document = (!answer.body.is_empty()).then(|| answer.json());
        self.seen.lock().unwrap().push(json!({
            "method": method.as_str(), "path": format!("/v1/{path}"), "query": query,
            "request": body, "status": answer.status, "response": document,
        }));
        answer
    }

    /// A call below the organization that must go well.
    pub(crate) async fn ok(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let token = self.turso.tokens().full_access;
        let answer = self.call(&token, method, &format!("organizations/{ORGANIZATION}/{path}"), body).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    /// A call below the organization that must be refused: its status and its text.
    pub(crate) async fn refused(&self, method: Method, path: &str, body: Option<Value>) -> (u16, String) {
        let token = self.turso.tokens().full_access;
        let answer = self.call(&token, method, &format!("organizations/{ORGANIZATION}/{path}"), body).await;
        assert_ne!(answer.status, 200, "{path} went well: {}", answer.text());
        (answer.status, answer.json()["error"].as_str().unwrap_or_default().to_owned())
    }

    /// Makes a database in the group `default`.
    pub(crate) async fn create(&self, name: &str, seed: Option<Value>) -> Database {
        let mut body = json!({"name": name, "group": "default"});
        if let Some(seed) = seed {
            body["seed"] = seed;
        }
        let made = self.ok(Method::POST, "databases", Some(body)).await;
        let url = format!("http://{}", made["database"]["Hostname"].as_str().unwrap());
        let token = self.token(name, "").await;
        Database { name: name.to_owned(), url, token }
    }

    /// A token for a database; `query` may say which (`?authorization=read-only`).
    pub(crate) async fn token(&self, name: &str, query: &str) -> String {
        let made = self.ok(Method::POST, &format!("databases/{name}/auth/tokens{query}"), None).await;
        made["jwt"].as_str().unwrap().to_owned()
    }

    /// What the published document says against the calls so far.
    pub(crate) fn judgement(&self) -> String {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openapi");
        let mut child = Command::new(&self.tools.python)
            .arg(here.join("judge.py"))
            .arg(here.join("platform-openapi.json"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let calls = Value::from(self.seen.lock().unwrap().clone()).to_string();
        child.stdin.take().unwrap().write_all(calls.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) async fn stop(self) {
        self.turso.stop().await;
        assert_eq!(*self.observer.running.lock().unwrap(), BTreeSet::new(), "processes are left");
        let left: Vec<_> = std::fs::read_dir(self.data.path().join("turso")).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

/// The endpoint of a database.
#[derive(Clone)]
pub(crate) struct Database {
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) token: String,
}

impl Database {
    pub(crate) fn with_token(&self, token: String) -> Self {
        Self { token, ..self.clone() }
    }

    pub(crate) async fn request(&self, method: &str, path: &str, body: impl Into<Bytes>) -> Answer {
        self.try_request(method, path, body).await.unwrap()
    }

    pub(crate) async fn try_request(
        &self,
        method: &str,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Result<Answer, Box<dyn std::error::Error>> {
        let bearer = format!("Bearer {}", self.token);
        request(method, &format!("{}{path}", self.url), &[("authorization", &bearer)], body).await
    }

    /// Statements on one stream: the answer as it is.
    pub(crate) async fn pipeline(&self, statements: &[&str]) -> Answer {
        let mut requests: Vec<_> =
            statements.iter().map(|sql| json!({"type": "execute", "stmt": {"sql": sql}})).collect();
        requests.push(json!({"type": "close"}));
        self.request("POST", "/v2/pipeline", json!({"requests": requests}).to_string()).await
    }

    /// Statements that must go well: the first value of the last one.
    pub(crate) async fn sql(&self, statements: &[&str]) -> String {
        let answer = self.pipeline(statements).await;
        assert_eq!(answer.status, 200, "{statements:?}: {}", answer.text());
        let document = answer.json();
        let results = document["results"].as_array().unwrap();
        assert!(results.iter().all(|result| result["type"] == "ok"), "{statements:?}: {document}");
        let last = &results[results.len() - 2]["response"]["result"]["rows"][0][0]["value"];
        last.as_str().unwrap_or_default().to_owned()
    }

    /// All frames of `/sync` from the start of a generation to the end marker, also over later generations.
    pub(crate) async fn frames(&self, mut generation: u64) -> Result<Vec<u8>, String> {
        let (mut frames, mut start) = (Vec::new(), 1);
        loop {
            let path = format!("/sync/{generation}/{start}/{}", start + 128);
            let answer = self.try_request("GET", &path, "").await.map_err(|error| error.to_string())?;
            if answer.status == 200 {
                if answer.body.is_empty() || answer.body.len() % 4120 != 0 {
                    return Err(format!("{} bytes of frames", answer.body.len()));
                }
                start += answer.body.len() / 4120;
                frames.extend(answer.body);
                continue;
            }
            let marker = answer.json();
            if answer.status != 400 || marker["status"] != "checkpoint_needed" {
                return Err(format!("{} {}", answer.status, answer.text()));
            }
            assert_eq!(marker["max_frame_no"].as_u64().unwrap(), start as u64 - 1);
            if marker["generation"].as_u64().unwrap() == generation {
                return Ok(frames);
            }
            (generation, start) = (generation + 1, 1);
        }
    }

    /// The whole page export, as a file.
    pub(crate) async fn export(&self, to: &Path) -> PathBuf {
        let info = self.request("GET", "/info", "").await;
        assert_eq!(info.status, 200, "{}", info.text());
        let generation = info.json()["current_generation"].as_u64().unwrap();
        let base = self.request("GET", &format!("/export/{generation}"), "").await;
        assert_eq!(base.status, 200);
        let mut file = base.body;
        assert_eq!(file.len() % 4096, 0);
        let frames = self.frames(generation).await.unwrap();
        let mut is_committed = true;
        for frame in frames.chunks(4120) {
            let number = |at: usize| u32::from_be_bytes(frame[at..at + 4].try_into().unwrap()) as usize;
            let (page, pages) = (number(0), number(4));
            if file.len() < page * 4096 {
                file.resize(page * 4096, 0);
            }
            file[(page - 1) * 4096..page * 4096].copy_from_slice(&frame[24..]);
            is_committed = pages > 0;
            if is_committed {
                file.resize(pages * 4096, 0);
            }
        }
        assert!(is_committed, "the frames end in the middle of a commit");
        let path = to.join(format!("{}-{}.db", self.name, fastrand::u32(..)));
        std::fs::write(&path, file).unwrap();
        path
    }
}

/// Opens a database file that nobody writes to, and has it checked.
pub(crate) fn open(path: &Path) -> Connection {
    let uri = format!("file:{}?immutable=1", path.display());
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(uri, flags).unwrap();
    assert_eq!(text(&connection, "PRAGMA integrity_check"), "ok");
    connection
}

/// The first value of a query.
pub(crate) fn text(connection: &Connection, sql: &str) -> String {
    let value: rusqlite::types::Value = connection.query_row(sql, [], |row| row.get(0)).unwrap();
    match value {
        rusqlite::types::Value::Integer(number) => number.to_string(),
        rusqlite::types::Value::Text(text) => text,
        other => format!("{other:?}"),
    }
}

/// A file that Turso takes, with so many rows.
pub(crate) fn file(folder: &Path, rows: u32) -> Vec<u8> {
    let path = folder.join(format!("made-{}.db", fastrand::u32(..)));
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "journal_mode", "wal").unwrap();
    connection
        .execute_batch("CREATE TABLE marks(number INTEGER, mark BLOB); PRAGMA user_version = 7")
        .unwrap();
    let fill = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ?1) \
                INSERT INTO marks SELECT n, randomblob(300) FROM c";
    connection.execute(fill, [rows]).unwrap();
    connection.close().unwrap();
    std::fs::read(path).unwrap()
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
