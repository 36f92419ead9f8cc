//! A real sqld.

#![allow(dead_code, reason = "not every test uses all of it")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{
    fs,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use futures::StreamExt;
use reconcile::Settings;
use secrecy::SecretString;
use serde_json::json;
use tempfile::TempDir;
use turso::{Connect, HttpConnector, HttpTurso, Session, Turso};

pub(crate) struct Sqld {
    pub(crate) folder: TempDir,
    server: Child,
    pub(crate) turso: HttpTurso,
    pub(crate) session: Session,
}

impl Drop for Sqld {
    fn drop(&mut self) {
        _ = self.server.kill();
        _ = self.server.wait();
    }
}

pub(crate) fn http(api: &str) -> HttpConnector {
    let settings = Settings::new([
        ("TIDEMARK_TURSO_API".to_owned(), api.to_owned()),
        ("AWS_SDK_UA_APP_ID".to_owned(), "tidemark-test".to_owned()),
    ]);
    HttpConnector::new(&settings, "acme").unwrap().with_first_pause(Duration::from_millis(5))
}

pub(crate) fn session(port: u16) -> Session {
    Session {
        hostname: format!("127.0.0.1:{port}"),
        token: SecretString::from("token"),
        encryption_key: None,
    }
}

impl Sqld {
    pub(crate) async fn start() -> Self {
        Self::on(None).await
    }

    /// On these pages, which it takes as its own.
    pub(crate) async fn on(pages: Option<&[u8]>) -> Self {
        let tools = toolbox::install(toolbox::Set::Cloud, &toolbox::Silent).await.unwrap();
        let folder = TempDir::new().unwrap();
        if let Some(pages) = pages {
            let place = folder.path().join("data/dbs/default");
            fs::create_dir_all(&place).unwrap();
            fs::write(place.join("data"), pages).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Command::new(tools.sqld)
            .args(["-d", "data", "--http-listen-addr", &format!("127.0.0.1:{port}")])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let turso = http(&format!("http://127.0.0.1:{port}")).connect(SecretString::from("token"));
        let sqld = Self { folder, server, turso, session: session(port) };
        let end = Instant::now() + Duration::from_secs(30);
        while sqld.turso.cursor(&sqld.session, &json!({"baton": null, "batch": {"steps": []}})).await.is_err()
        {
            assert!(Instant::now() < end, "sqld does not start");
            tokio::task::yield_now().await;
        }
        sqld
    }

    /// Carries out each statement by itself.
    pub(crate) async fn execute(&self, statements: &[&str]) {
        for statement in statements {
            let request = json!({"baton": null, "batch": {"steps": [{"stmt": {"sql": statement}}]}});
            let mut body = self.turso.cursor(&self.session, &request).await.unwrap();
            let mut text = Vec::new();
            while let Some(piece) = body.next().await {
                text.extend_from_slice(&piece.unwrap());
            }
            let text = String::from_utf8_lossy(&text);
            assert!(!text.contains("error") && text.contains("step_end"), "{statement}: {text}");
        }
    }

    /// The file that sqld itself keeps, as it is now, with its log.
    pub(crate) fn files(&self) -> (TempDir, PathBuf) {
        let folder = TempDir::new().unwrap();
        let here = self.folder.path().join("data/dbs/default");
        for suffix in ["", "-wal"] {
            fs::copy(here.join(format!("data{suffix}")), folder.path().join(format!("data{suffix}")))
                .unwrap();
        }
        let path = folder.path().join("data");
        (folder, path)
    }
}
