//! What a test decides from outside: troubles of endpoints, faults of calls, who decides, how it ends.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::{Cloud, Database, ORGANIZATION, file, open, text, until};
use futures::future::BoxFuture;
use http::{Method, Request};
use local_turso::{Call, CallFilter, Effect, Fault, Lost, Onward, Outside, Speed, Trouble, Verdict};
use serde_json::json;

const GET: Method = Method::GET;
const CURSOR: &str =
    r#"{"batch": {"steps": [{"stmt": {"sql": "SELECT 1"}}, {"stmt": {"sql": "SELECT 2"}}]}}"#;

/// Two hundred pages and more, in several commits.
async fn filled(cloud: &Cloud) -> Database {
    let shop = cloud.create("shop", None).await;
    shop.sql(&["CREATE TABLE marks(mark)"]).await;
    for _ in 0..4 {
        let fill = "INSERT INTO marks WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 200) \
                    SELECT hex(randomblob(600)) FROM c";
        shop.sql(&[fill]).await;
    }
    shop.request("GET", "/info", "").await;
    shop
}

#[tokio::test]
async fn endpoints_go_wrong_as_told_and_no_longer() {
    let cloud = Cloud::start().await;
    let shop = filled(&cloud).await;
    let whole = shop.frames(1).await.unwrap();
    assert!(whole.len() / 4120 > 200, "{}", whole.len() / 4120);

    cloud.turso.trouble("shop", Trouble::NoPageExport).unwrap();
    for path in ["/info", "/export/1", "/sync/1/1/2"] {
        assert_eq!(shop.request("GET", path, "").await.status, 404, "{path}");
    }
    assert_eq!(shop.request("POST", "/v3/cursor", CURSOR).await.status, 200);
    cloud.turso.clear_troubles("shop").unwrap();

    for status in [400, 500] {
        cloud.turso.trouble("shop", Trouble::SyncFails { status, from_frame: 150 }).unwrap();
        assert_eq!(shop.request("GET", "/sync/1/1/129", "").await.body.len(), 128 * 4120);
        let error = shop.frames(1).await.unwrap_err();
        assert!(error.starts_with(&status.to_string()), "{error}");
        cloud.turso.clear_troubles("shop").unwrap();
    }

    cloud.turso.trouble("shop", Trouble::FrameTorn).unwrap();
    assert!(shop.frames(1).await.unwrap_err().ends_with("bytes of frames"));
    cloud.turso.clear_troubles("shop").unwrap();

    cloud.turso.checkpoint("shop").await.unwrap();
    let base = shop.request("GET", "/export/2", "").await.body;
    cloud.turso.trouble("shop", Trouble::ExportCut { after_bytes: 5000, clean: true }).unwrap();
    assert_eq!(shop.request("GET", "/export/2", "").await.body, base[..5000]);
    cloud.turso.clear_troubles("shop").unwrap();
    cloud.turso.trouble("shop", Trouble::ExportCut { after_bytes: 5000, clean: false }).unwrap();
    assert!(shop.try_request("GET", "/export/2", "").await.is_err());
    cloud.turso.clear_troubles("shop").unwrap();

    let lines = shop.request("POST", "/v3/cursor", CURSOR).await.text();
    cloud.turso.trouble("shop", Trouble::CursorCut { after_lines: 3, clean: true }).unwrap();
    let torn = shop.request("POST", "/v3/cursor", CURSOR).await.text();
    assert_eq!((torn.lines().count(), torn.matches("step_end").count()), (3, 0), "{torn}");
    assert!(lines.lines().count() > 5);
    cloud.turso.clear_troubles("shop").unwrap();
    cloud.turso.trouble("shop", Trouble::CursorCut { after_lines: 3, clean: false }).unwrap();
    assert!(shop.try_request("POST", "/v3/cursor", CURSOR).await.is_err());
    cloud.turso.clear_troubles("shop").unwrap();

    let pause = Duration::from_millis(20);
    cloud.turso.trouble("shop", Trouble::Slow { piece_bytes: base.len() / 10, pause }).unwrap();
    let began = Instant::now();
    assert_eq!(shop.request("GET", "/export/2", "").await.body, base);
    assert!(began.elapsed() >= pause * 10);
    cloud.turso.clear_troubles("shop").unwrap();
    assert!(cloud.turso.trouble("none", Trouble::FrameTorn).is_err());
    cloud.stop().await;
}

#[tokio::test]
async fn a_checkpoint_after_info_leads_over_to_the_next_generation() {
    let cloud = Cloud::start().await;
    let shop = filled(&cloud).await;
    cloud.turso.trouble("shop", Trouble::CheckpointAfterInfo).unwrap();
    let info = || async { shop.request("GET", "/info", "").await.json()["current_generation"].as_u64() };
    assert_eq!((info().await, info().await), (Some(1), Some(2)));
    let (end, beyond) = {
        let frames = shop.frames(1).await.unwrap().len() / 4120;
        (frames, shop.request("GET", &format!("/sync/1/{}/{}", frames + 1, frames + 2), "").await)
    };
    let marker = json!({"status": "checkpoint_needed", "generation": 3, "max_frame_no": end});
    assert_eq!((beyond.status, beyond.json()), (400, marker));
    shop.sql(&["INSERT INTO marks VALUES ('later')"]).await;
    let exported = open(&shop.export(cloud.data.path()).await);
    assert_eq!(text(&exported, "SELECT count(*) FROM marks"), "801");
    cloud.stop().await;
}

#[tokio::test]
async fn uploads_fail_and_databases_sleep_are_archived_or_want_a_key() {
    let cloud = Cloud::start().await;
    let bytes = file(cloud.data.path(), 10);
    let made = cloud.create("made", Some(json!({"type": "database_upload"}))).await;
    cloud.turso.trouble("made", Trouble::UploadFails { status: 500 }).unwrap();
    assert_eq!(made.request("POST", "/v1/upload", bytes.clone()).await.status, 500);
    assert_eq!(made.pipeline(&["SELECT 1"]).await.status, 400);
    cloud.turso.clear_troubles("made").unwrap();
    assert_eq!(made.request("POST", "/v1/upload", bytes).await.status, 200);

    cloud.turso.archive("made").await.unwrap();
    let listed = cloud.ok(GET, "databases/made", None).await;
    assert_eq!(listed["database"]["archived"], true);
    for path in ["/info", "/export/1", "/dump"] {
        assert_eq!(made.request("GET", path, "").await.status, 403, "{path}");
    }
    assert_eq!(cloud.ok(GET, "groups/default", None).await["group"]["archived"], true);
    cloud.ok(Method::POST, "groups/default/unarchive", None).await;
    assert_eq!(made.sql(&["SELECT count(*) FROM marks"]).await, "10");

    cloud.turso.require_encryption_key("made", Some("a2V5")).unwrap();
    assert_eq!(made.pipeline(&["SELECT 1"]).await.status, 400);
    let bearer = format!("Bearer {}", made.token);
    for (key, status) in [("a2V5", 200), ("other", 400)] {
        let headers = [("authorization", bearer.as_str()), ("x-turso-encryption-key", key)];
        let answer = common::request("GET", &format!("{}/info", made.url), &headers, "").await.unwrap();
        assert_eq!(answer.status, status, "{key}");
    }
    let body = json!({"name": "b", "group": "default", "seed": {"type": "database", "name": "made"}});
    assert_eq!(cloud.refused(Method::POST, "databases", Some(body)).await.0, 400);
    cloud.turso.require_encryption_key("made", None).unwrap();

    // Two wake it at once: it is started once.
    cloud.turso.put_to_sleep("made").await.unwrap();
    assert!(cloud.observer.running.lock().unwrap().is_empty());
    tokio::join!(made.sql(&["SELECT 1"]), made.sql(&["SELECT 2"]));
    assert_eq!(cloud.observer.running.lock().unwrap().len(), 1);
    cloud.stop().await;
}

#[tokio::test]
async fn calls_fail_as_told_and_are_recorded() {
    let cloud = Cloud::start().await;
    let shop = cloud.create("shop", None).await;
    cloud.turso.forget_calls();
    let databases = format!("/v1/organizations/{ORGANIZATION}/databases");
    for status in [429, 500] {
        cloud.turso.inject(Fault::new(Effect::error(status), CallFilter::platform()).times(2));
    }
    for expected in [429, 429, 500, 500] {
        assert_eq!(cloud.refused(GET, "databases", None).await.0, expected);
    }
    cloud.ok(GET, "databases?group=default", None).await;

    let lost = CallFilter::platform().method("POST").path("*/databases");
    cloud.turso.inject(Fault::new(Effect::LoseAnswer, lost));
    let bearer = format!("Bearer {}", cloud.turso.tokens().full_access);
    let url = format!("{}{databases}", cloud.turso.endpoint());
    let body = json!({"name": "lost", "group": "default"}).to_string();
    let headers = [("authorization", bearer.as_str())];
    assert!(common::request("POST", &url, &headers, body.clone()).await.is_err());
    // It took effect.
    assert_eq!(common::request("POST", &url, &headers, body).await.unwrap().status, 409);

    cloud.turso.inject(Fault::new(Effect::Cut, CallFilter::database("shop").path("/v2/*")));
    assert!(shop.try_request("POST", "/v2/pipeline", "{}").await.is_err());
    let hang = cloud.turso.inject(Fault::new(Effect::Hang, CallFilter::database("shop").path("/info")));
    let hung = shop.try_request("GET", "/info", "");
    let release = async {
        until("it hangs", || async {
            tokio::time::timeout(Duration::from_millis(50), std::future::pending::<()>()).await.err()
        })
        .await;
        assert!(cloud.turso.clear_faults(Some(hang)));
    };
    let (hung, ()) = tokio::join!(hung, release);
    assert!(hung.is_err());
    assert!(cloud.turso.clear_faults(None) && !cloud.turso.clear_faults(None));
    assert_eq!(shop.request("GET", "/info", "").await.status, 200);

    let calls = cloud.turso.calls();
    let told: Vec<_> = calls
        .iter()
        .map(|call| (call.database.as_deref(), call.method.as_str(), call.status, call.fault.as_deref()))
        .collect();
    let expected = [
        (None, "GET", 429, Some("error")),
        (None, "GET", 429, Some("error")),
        (None, "GET", 500, Some("error")),
        (None, "GET", 500, Some("error")),
        (None, "GET", 200, None),
        (None, "POST", 200, Some("lose_answer")),
        (None, "POST", 409, None),
        (Some("shop"), "POST", 0, Some("cut")),
        (Some("shop"), "GET", 0, Some("hang")),
        (Some("shop"), "GET", 200, None),
    ];
    assert_eq!(told, expected);
    assert_eq!(
        (calls[4].path.as_str(), calls[4].query.as_deref()),
        (databases.as_str(), Some("group=default"))
    );
    assert_eq!(calls[4].function.as_deref(), Some("backup-turso"));
    assert_eq!(calls[6].error.as_deref(), Some("database with name lost already exists"));
    cloud.stop().await;
}

/// Refuses, cuts and loses what it is told to, and remembers what was done.
#[derive(Default)]
struct Gate {
    before: Mutex<Option<Verdict>>,
    after: Mutex<Option<Onward>>,
    done: Mutex<Vec<(String, u16)>>,
}

impl Outside for Gate {
    fn before<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Verdict> {
        assert_eq!(call.status, 0);
        Box::pin(async { self.before.lock().unwrap().take().unwrap_or(Verdict::Go) })
    }
    fn after<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Onward> {
        self.done.lock().unwrap().push((call.path.clone(), call.status));
        Box::pin(async { self.after.lock().unwrap().take().unwrap_or(Onward::Answer) })
    }
}

#[tokio::test]
async fn who_is_outside_decides_also_about_calls_that_come_by_no_port() {
    let gate = Arc::new(Gate::default());
    let cloud = Cloud::start_with(Speed::instant(), gate.clone()).await;
    let bearer = format!("Bearer {}", cloud.turso.tokens().full_access);
    let ask = || async {
        let request = Request::get("/v1/auth/validate").header("authorization", &bearer);
        let answer = cloud.turso.handle(request.body(Bytes::new()).unwrap()).await?;
        Ok::<_, Lost>((answer.status().as_u16(), answer.into_body()))
    };
    assert_eq!(ask().await, Ok((200, Bytes::from(r#"{"exp":-1}"#))));
    *gate.before.lock().unwrap() = Some(Verdict::Refuse { status: 422, message: "no".to_owned() });
    assert_eq!(ask().await, Ok((422, Bytes::from(r#"{"error":"no"}"#))));
    *gate.before.lock().unwrap() = Some(Verdict::Cut);
    assert_eq!(ask().await, Err(Lost));
    *gate.after.lock().unwrap() = Some(Onward::Cut);
    assert_eq!(ask().await, Err(Lost));
    let shop = cloud.create("shop", None).await;
    *gate.after.lock().unwrap() = Some(Onward::Cut);
    assert!(shop.try_request("GET", "/info", "").await.is_err());
    let done = gate.done.lock().unwrap().clone();
    assert_eq!(done[..2], [("/v1/auth/validate".to_owned(), 200), ("/v1/auth/validate".to_owned(), 200)]);
    assert_eq!(done.last().unwrap(), &("/info".to_owned(), 200));
    cloud.stop().await;
}

/// Not a test by itself: what the next one kills.
#[tokio::test]
async fn runs_until_it_is_killed() {
    if std::env::var_os("LOCAL_TURSO_TO_BE_KILLED").is_none() {
        return;
    }
    let cloud = Cloud::start().await;
    cloud.create("shop", None).await;
    let processes: Vec<_> = cloud.observer.running.lock().unwrap().iter().copied().collect();
    println!("\nRUNNING {} {}", processes[0], cloud.data.path().display());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn killed_it_leaves_no_process_and_no_data() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "runs_until_it_is_killed", "--nocapture"])
        .env("LOCAL_TURSO_TO_BE_KILLED", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.map_while(Result::ok).find(|line| line.starts_with("RUNNING ")).unwrap();
    let mut words = line.split(' ').skip(1);
    let (process, data) = (words.next().unwrap(), words.next().unwrap());
    // Whoever it belongs to: a process that is there can be asked for.
    let is_there =
        || Command::new("kill").args(["-0", process]).stderr(Stdio::null()).status().unwrap().success();
    assert!(is_there());
    child.kill().unwrap();
    child.wait().unwrap();
    until("nothing is left", || async {
        (!is_there() && !std::path::Path::new(data).exists()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn dropped_it_leaves_no_process_either() {
    let cloud = Cloud::start().await;
    cloud.create("shop", None).await;
    let (observer, data) = (cloud.observer.clone(), cloud.data);
    assert_eq!(observer.running.lock().unwrap().len(), 1);
    drop(cloud.turso);
    until("nothing is left", || async {
        let left = std::fs::read_dir(data.path().join("turso")).unwrap().count();
        (observer.running.lock().unwrap().is_empty() && left == 0).then_some(())
    })
    .await;
}
