//! The endpoints of databases: real SQL, page exports, branches in time, tokens.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{Cloud, Database, ORGANIZATION, open, request, text, until};
use http::Method;
use jiff::{SignedDuration, Timestamp};
use local_turso::{Alone, Plan, Speed};
use serde_json::{Value, json};

const TABLE: &str = "CREATE TABLE marks(number INTEGER PRIMARY KEY, mark TEXT)";

/// A few hundred pages in one commit.
fn filler(rows: u32) -> String {
    format!(
        "INSERT INTO marks(mark) WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {rows}) \
         SELECT hex(randomblob(400)) FROM c"
    )
}

/// Equal for equal contents.
const DIGEST: &str =
    "SELECT count(*) || '/' || sum(number) || '/' || sum(length(mark)) || '/' || max(mark) FROM marks";

#[tokio::test]
async fn what_sqld_answers_comes_through() {
    let cloud = Cloud::start().await;
    let shop = cloud.create("shop", None).await;
    assert_eq!(request("GET", &format!("{}/health", shop.url), &[], "").await.unwrap().status, 200);
    let version = request("GET", &format!("{}/version", shop.url), &[], "").await.unwrap();
    assert!(version.text().starts_with("sqld "), "{}", version.text());
    shop.sql(&[TABLE, "INSERT INTO marks VALUES (1, 'one')"]).await;
    assert_eq!(shop.sql(&["SELECT mark FROM marks"]).await, "one");
    let v3 = json!({"requests": [{"type": "execute", "stmt": {"sql": "SELECT 1"}}]}).to_string();
    assert_eq!(shop.request("POST", "/v3/pipeline", v3).await.status, 200);
    let cursor =
        json!({"batch": {"steps": [{"stmt": {"sql": "BEGIN"}}, {"stmt": {"sql": "SELECT * FROM marks"}}]}});
    let cursor = shop.request("POST", "/v3/cursor", cursor.to_string()).await.text();
    assert_eq!(cursor.matches("step_end").count(), 2, "{cursor}");
    let dump = shop.request("GET", "/dump", "").await.text();
    assert!(dump.contains("'one'") && dump.trim_end().ends_with("COMMIT;"), "{dump}");
    // An interactive transaction lives on one stream, over several requests.
    let step = |baton: Value, sql: &str| {
        json!({"baton": baton, "requests": [{"type": "execute", "stmt": {"sql": sql}}]}).to_string()
    };
    let begun = shop.request("POST", "/v2/pipeline", step(Value::Null, "BEGIN IMMEDIATE")).await.json();
    let inserted = step(begun["baton"].clone(), "INSERT INTO marks VALUES (2, 'two')");
    let inserted = shop.request("POST", "/v2/pipeline", inserted).await.json();
    let rolled =
        shop.request("POST", "/v2/pipeline", step(inserted["baton"].clone(), "ROLLBACK")).await.json();
    assert_eq!(rolled["results"][0]["type"], "ok", "{rolled}");
    assert_eq!(shop.sql(&["SELECT count(*) FROM marks"]).await, "1");
    assert_eq!(shop.request("GET", "/nonsense", "").await.status, 404);
    cloud.stop().await;
}

#[tokio::test]
async fn a_token_is_for_its_database_and_does_what_it_says() {
    let cloud = Cloud::start().await;
    let shop = cloud.create("shop", None).await;
    let other = cloud.create("other", None).await;
    shop.sql(&[TABLE]).await;
    let reader = shop.with_token(cloud.token("shop", "?authorization=read-only&expiration=1h").await);
    assert_eq!(reader.sql(&["SELECT count(*) FROM marks"]).await, "0");
    let refused = reader.pipeline(&["INSERT INTO marks VALUES (1, 'no')"]).await;
    assert!(refused.status == 403 && refused.text().contains("Write permission"), "{}", refused.text());
    assert_eq!(reader.request("GET", "/info", "").await.status, 200);
    assert_eq!(shop.sql(&["SELECT count(*) FROM marks"]).await, "0");

    let mut parts = shop.token.splitn(3, '.');
    let (head, _, signature) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    let forged =
        data_encoding::BASE64URL_NOPAD.encode(br#"{"a":"rw","iat":1,"group":"default","group_round":0}"#);
    let unsigned = data_encoding::BASE64URL_NOPAD.encode(br#"{"alg":"none"}"#);
    let expired = cloud.token("shop", "?expiration=0s").await;
    for hostile in [
        String::new(),
        "x".to_owned(),
        expired,
        other.token.clone(),
        format!("{head}.{forged}.{signature}"),
        format!("{unsigned}.{forged}."),
    ] {
        let stranger = shop.with_token(hostile.clone());
        let answer = stranger.pipeline(&["SELECT 1"]).await;
        assert!(answer.status == 401 && answer.json()["error"].is_string(), "{hostile}: {}", answer.text());
        for path in ["/info", "/export/1", "/sync/1/1/2"] {
            assert_eq!(stranger.request("GET", path, "").await.status, 401, "{hostile}");
        }
    }
    let group = cloud.ok(Method::POST, "groups/default/auth/tokens", None).await;
    let group = group["jwt"].as_str().unwrap().to_owned();
    for database in [&shop, &other] {
        assert_eq!(database.with_token(group.clone()).sql(&["SELECT 7"]).await, "7");
    }
    cloud.ok(Method::POST, "databases/shop/auth/rotate", None).await;
    assert_eq!(shop.pipeline(&["SELECT 1"]).await.status, 401);
    assert_eq!(other.sql(&["SELECT 7"]).await, "7");
    cloud.ok(Method::POST, "groups/default/auth/rotate", None).await;
    assert_eq!(other.pipeline(&["SELECT 1"]).await.status, 401);
    assert_eq!(other.with_token(group).pipeline(&["SELECT 1"]).await.status, 401);
    assert_eq!(shop.with_token(cloud.token("shop", "").await).sql(&["SELECT 7"]).await, "7");
    cloud.stop().await;
}

#[tokio::test]
async fn blocks_and_limits_are_sqlds_own_and_outlive_its_server() {
    let cloud = Cloud::start().await;
    let shop = cloud.create("shop", None).await;
    shop.sql(&[TABLE]).await;
    let path = "databases/shop/configuration";
    cloud.ok(Method::PATCH, path, Some(json!({"block_writes": true}))).await;
    for _ in 0..2 {
        assert_eq!(shop.sql(&["SELECT count(*) FROM marks"]).await, "0");
        assert!(shop.pipeline(&["INSERT INTO marks VALUES (1, 'no')"]).await.text().contains("BLOCKED"));
        cloud.turso.crash("shop").await.unwrap();
    }
    cloud.ok(Method::PATCH, path, Some(json!({"block_writes": false, "block_reads": true}))).await;
    assert!(shop.pipeline(&["SELECT * FROM marks"]).await.text().contains("BLOCKED"));
    cloud.ok(Method::PATCH, path, Some(json!({"block_reads": false, "size_limit": "65536"}))).await;
    let filler = filler(1000);
    let full = until("the database is full", || async {
        let answer = shop.pipeline(&[&filler]).await.text();
        answer.contains("full").then_some(answer)
    });
    full.await;
    cloud.stop().await;
}

/// Writes until told to end: each commit one row, some with many pages, some that give pages back.
async fn write(shop: Database, end: Arc<AtomicBool>) -> u32 {
    let (many, mut commits) = (filler(300), 0);
    while !end.load(Ordering::Relaxed) {
        let sql = match commits % 10 {
            3 => many.as_str(),
            7 => "DELETE FROM marks WHERE number % 3 = 0",
            _ => "INSERT INTO marks(mark) VALUES (hex(randomblob(50)))",
        };
        shop.sql(&[sql, "INSERT INTO acknowledged DEFAULT VALUES"]).await;
        commits += 1;
    }
    commits
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_export_beside_a_writer_is_whole_and_has_all_that_was_committed_before_it() {
    let cloud = Cloud::start().await;
    let shop = cloud.create("shop", None).await;
    shop.sql(&[TABLE, "CREATE TABLE acknowledged(number INTEGER PRIMARY KEY)"]).await;
    let end = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn(write(shop.clone(), Arc::clone(&end)));
    let mut generations = 0;
    let mut last = 0;
    while generations < 4 {
        let before: u32 = shop.sql(&["SELECT count(*) FROM acknowledged"]).await.parse().unwrap();
        let exported = open(&shop.export(cloud.data.path()).await);
        let there: u32 = text(&exported, "SELECT count(*) FROM acknowledged").parse().unwrap();
        assert!(
            there >= before && there >= last,
            "{before} commits were acknowledged, the export has {there}"
        );
        last = there;
        generations = shop.request("GET", "/info", "").await.json()["current_generation"].as_u64().unwrap();
    }
    end.store(true, Ordering::Relaxed);
    let commits = writer.await.unwrap();
    assert!(commits > 20, "{commits}");

    let exported = open(&shop.export(cloud.data.path()).await);
    assert_eq!(text(&exported, DIGEST), shop.sql(&[DIGEST]).await);
    assert_eq!(text(&exported, "PRAGMA page_count"), shop.sql(&["PRAGMA page_count"]).await);
    assert_eq!(text(&exported, "PRAGMA schema_version"), shop.sql(&["PRAGMA schema_version"]).await);
    // From the very beginning, over all generations, it is the same.
    let frames = shop.frames(1).await.unwrap();
    let mut file = shop.request("GET", "/export/1", "").await.body;
    for frame in frames.chunks(4120) {
        let number = |at: usize| u32::from_be_bytes(frame[at..at + 4].try_into().unwrap()) as usize;
        file.resize(file.len().max(number(0) * 4096), 0);
        file[(number(0) - 1) * 4096..number(0) * 4096].copy_from_slice(&frame[24..]);
        if number(4) > 0 {
            file.resize(number(4) * 4096, 0);
        }
    }
    let path = cloud.data.path().join("all.db");
    std::fs::write(&path, file).unwrap();
    assert_eq!(text(&open(&path), DIGEST), text(&exported, DIGEST));
    cloud.stop().await;
}

#[tokio::test]
async fn checkpoints_crashes_and_deletions_do_not_disturb_the_export() {
    let cloud = Cloud::start().await;
    let shop = cloud.create("shop", None).await;
    shop.sql(&[TABLE, &filler(500)]).await;
    for step in ["checkpoint", "crash", "sleep", "deletion", "crash"] {
        shop.sql(&["INSERT INTO marks(mark) VALUES ('before')"]).await;
        match step {
            "checkpoint" => {
                let before = shop.request("GET", "/info", "").await.json()["current_generation"].as_u64();
                assert_eq!(
                    Some(cloud.turso.checkpoint("shop").await.unwrap()),
                    before.map(|before| before + 1)
                );
            }
            "crash" => cloud.turso.crash("shop").await.unwrap(),
            "sleep" => {
                cloud.turso.put_to_sleep("shop").await.unwrap();
                let listed = cloud.ok(Method::GET, "databases/shop", None).await;
                assert_eq!(listed["database"]["sleeping"], true);
            }
            _ => drop(shop.sql(&["DELETE FROM marks WHERE number > 50"]).await),
        }
        shop.sql(&["INSERT INTO marks(mark) VALUES ('after')"]).await;
        let exported = open(&shop.export(cloud.data.path()).await);
        assert_eq!(text(&exported, DIGEST), shop.sql(&[DIGEST]).await, "after {step}");
    }
    let listed = cloud.ok(Method::GET, "databases/shop", None).await;
    assert_eq!(listed["database"]["sleeping"], false);
    cloud.stop().await;
}

#[tokio::test]
async fn requests_for_pages_that_make_no_sense_are_refused_and_are_no_end() {
    let cloud = Cloud::start().await;
    let shop = cloud.create("shop", None).await;
    shop.sql(&[TABLE]).await;
    shop.request("GET", "/info", "").await;
    for (path, status) in [
        ("/export/0", 404),
        ("/export/99", 404),
        ("/export/x", 400),
        ("/export/99999999999999999999999", 400),
        ("/sync/99/1/2", 404),
        ("/sync/1/0/2", 400),
        ("/sync/1/2/2", 400),
        ("/sync/1/1/130", 400),
        ("/sync/1/1/18446744073709551615", 400),
        ("/sync/1/-1/2", 400),
        ("/sync/1/../../x", 404),
    ] {
        let answer = shop.request("GET", path, "").await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert!(!answer.text().contains("checkpoint_needed"), "{path}: {}", answer.text());
    }
    let most = shop.request("GET", "/sync/1/1/129", "").await;
    assert!(most.status == 200 && most.body.len() >= 4120, "{}", most.status);
    for hostile in ["", "{", "[]", "{\"requests\": 5}", "\0\0"] {
        let answer = shop.request("POST", "/v2/pipeline", hostile).await;
        assert!((400..500).contains(&answer.status), "{hostile}: {}", answer.status);
    }
    assert_eq!(shop.sql(&["SELECT 7"]).await, "7");
    cloud.stop().await;
}

fn at(time: Timestamp) -> Value {
    json!({"type": "database", "value": "shop", "timestamp": time.to_string()})
}

#[tokio::test]
async fn a_branch_has_what_was_committed_by_then_and_nothing_later() {
    let cloud = Cloud::start().await;
    let shop = cloud.create("shop", None).await;
    shop.sql(&[TABLE]).await;
    let mut times = Vec::new();
    for number in 1..=6 {
        shop.sql(&[&format!("INSERT INTO marks(mark) VALUES ('{number}')"), &filler(100)]).await;
        if number == 3 {
            cloud.turso.checkpoint("shop").await.unwrap();
        }
        cloud.turso.archive_now("shop").await.unwrap();
        let count = shop.sql(&["SELECT count(*) FROM marks"]).await;
        times.push((Timestamp::now(), count));
        shop.sql(&["DELETE FROM marks WHERE number % 2 = 0"]).await;
    }
    for (number, (time, count)) in times.iter().enumerate() {
        let branch = cloud.create(&format!("branch-{number}"), Some(at(*time))).await;
        assert_eq!(branch.sql(&["SELECT count(*) FROM marks"]).await, *count, "at {time}");
        assert_eq!(branch.sql(&["PRAGMA quick_check"]).await, "ok");
    }
    let newest = cloud.create("newest", Some(json!({"type": "database", "name": "shop"}))).await;
    assert_eq!(newest.sql(&[DIGEST]).await, shop.sql(&[DIGEST]).await);
    // It is another database.
    newest.sql(&["DELETE FROM marks"]).await;
    assert_ne!(shop.sql(&["SELECT count(*) FROM marks"]).await, "0");
    let record = cloud.ok(Method::GET, "databases/branch-0", None).await;
    assert_eq!(record["database"]["parent"]["branched_at"], times[0].0.to_string());
    let id = record["database"]["parent"]["id"].as_str().unwrap();
    let branches = cloud.ok(Method::GET, &format!("databases?parent={id}"), None).await;
    assert_eq!(branches["databases"].as_array().unwrap().len(), 7);

    let body = |time: Timestamp| Some(json!({"name": "no", "group": "default", "seed": at(time)}));
    let early = times[0].0 - SignedDuration::from_hours(1);
    let refused = cloud.refused(Method::POST, "databases", body(early)).await;
    assert!(refused.0 == 400 && refused.1.contains("before database shop was created"), "{refused:?}");
    let mut plan = Plan::named("starter").unwrap();
    plan.pitr_window = SignedDuration::ZERO;
    cloud.turso.set_plan(plan);
    let refused = cloud.refused(Method::POST, "databases", body(times[5].0)).await;
    assert!(refused.0 == 400 && refused.1.contains("outside the plan's recovery window"), "{refused:?}");
    cloud.ok(Method::DELETE, "databases/shop", None).await;
    let refused = cloud.refused(Method::POST, "databases", body(times[5].0)).await;
    assert!(
        refused.1.contains("could not find database"),
        "a deleted database cannot be revived: {refused:?}"
    );
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_being_told_the_history_lags_no_further_than_the_looks() {
    let cloud = Cloud::start_with(Speed::instant(), Arc::new(Alone)).await;
    let shop = cloud.create("shop", None).await;
    shop.sql(&[TABLE, "CREATE TABLE acknowledged(number INTEGER PRIMARY KEY)"]).await;
    let end = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn(write(shop.clone(), Arc::clone(&end)));
    for round in 0..4 {
        let before: u32 = shop.sql(&["SELECT count(*) FROM acknowledged"]).await.parse().unwrap();
        let counted = Timestamp::now();
        let time = counted + SignedDuration::from_secs(2);
        until("the time has come", || async { (Timestamp::now() >= time).then_some(()) }).await;
        let after: u32 = shop.sql(&["SELECT count(*) FROM acknowledged"]).await.parse().unwrap();
        let branch = cloud.create(&format!("branch-{round}"), Some(at(time))).await;
        let there: u32 = branch.sql(&["SELECT count(*) FROM acknowledged"]).await.parse().unwrap();
        assert!((before..=after).contains(&there), "{before} ≤ {there} ≤ {after}");
        assert_eq!(branch.sql(&["PRAGMA quick_check"]).await, "ok");
    }
    end.store(true, Ordering::Relaxed);
    assert!(writer.await.unwrap() > 20);
    cloud.stop().await;
}

#[tokio::test]
async fn a_transition_takes_as_long_as_it_is_told() {
    let speed = Speed { create: Duration::from_mins(10), ..Speed::instant() };
    let cloud = Cloud::start_with(speed, Arc::new(Alone)).await;
    let token = cloud.turso.tokens().full_access;
    let body = json!({"name": "shop", "group": "default"});
    let path = format!("organizations/{ORGANIZATION}/databases");
    let make = cloud.call(&token, Method::POST, &path, Some(body.clone()));
    let hurry = async {
        until("it is being made", || async {
            let again = cloud.refused(Method::POST, "databases", Some(body.clone())).await;
            (again.0 == 409).then_some(())
        })
        .await;
        cloud.turso.set_speed(Speed::demo());
    };
    let (made, ()) = tokio::join!(make, hurry);
    assert_eq!(made.status, 200);
    cloud.stop().await;
}
