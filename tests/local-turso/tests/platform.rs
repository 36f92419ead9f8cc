//! The Platform API, judged by its published document.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use common::{Cloud, ORGANIZATION, file};
use http::Method;
use local_turso::Plan;
use serde_json::{Value, json};

const GET: Method = Method::GET;
const POST: Method = Method::POST;

#[tokio::test]
async fn every_answer_is_as_the_published_document_says() {
    let cloud = Cloud::start().await;
    let token = cloud.turso.tokens().full_access;
    for path in ["organizations", "locations", "auth/validate", "auth/api-tokens"] {
        assert_eq!(cloud.call(&token, GET, path, None).await.status, 200, "{path}");
    }
    assert_eq!(cloud.call(&token, GET, "auth/validate", None).await.json()["exp"], -1);
    cloud.ok(GET, "", None).await;
    cloud.ok(Method::PATCH, "", Some(json!({"overages": true}))).await;
    cloud.ok(GET, "subscription", None).await;

    let group = json!({"name": "east", "location": "aws-us-east-1"});
    cloud.ok(POST, "groups", Some(group.clone())).await;
    assert_eq!(cloud.refused(POST, "groups", Some(group)).await, (409, "group already exists".to_owned()));
    cloud.ok(GET, "groups", None).await;
    cloud.ok(GET, "groups/east", None).await;
    cloud.ok(GET, "groups/east/configuration", None).await;
    cloud.ok(POST, "groups/east/auth/tokens?expiration=1d", None).await;
    cloud.ok(POST, "groups/east/auth/rotate", None).await;
    cloud.ok(POST, "groups/east/unarchive", None).await;

    cloud.create("shop", None).await;
    cloud.create("branch", Some(json!({"type": "database", "name": "shop"}))).await;
    cloud.create("empty", Some(json!({"type": "database_upload"}))).await;
    for path in [
        "databases",
        "databases?group=default&limit=2",
        "databases/branch",
        "databases/shop/configuration",
        "databases/shop/instances",
        "databases/shop/instances/aws-eu-west-1",
        "databases/shop/usage?from=2026-01-01T00:00:00Z",
        "databases/empty/usage",
        "databases/shop/stats",
    ] {
        cloud.ok(GET, path, None).await;
    }
    let change = json!({"size_limit": "256mb", "allow_attach": true, "delete_protection": true,
        "block_writes": true, "allowed_ips": ["127.0.0.1"]});
    let configuration = cloud.ok(Method::PATCH, "databases/shop/configuration", Some(change)).await;
    assert_eq!(
        (&configuration["size_limit"], &configuration["block_writes"]),
        (&json!("256mb"), &json!(true))
    );
    let permissions = json!({"permissions": {"read_attach": {"databases": ["branch"]}}});
    let path = "databases/shop/auth/tokens?expiration=2w1d30m&authorization=read-only";
    cloud.ok(POST, path, Some(permissions)).await;
    cloud.ok(POST, "databases/shop/auth/rotate", None).await;
    assert_eq!(cloud.refused(Method::DELETE, "databases/shop", None).await.0, 403);
    assert_eq!(cloud.refused(Method::DELETE, "groups/default", None).await.0, 403);
    cloud.ok(Method::PATCH, "databases/shop/configuration", Some(json!({"delete_protection": false}))).await;
    assert_eq!(cloud.ok(Method::DELETE, "databases/shop", None).await, json!({"database": "shop"}));
    cloud.ok(Method::PATCH, "groups/east/configuration", Some(json!({"delete_protection": true}))).await;
    assert_eq!(cloud.refused(Method::DELETE, "groups/east", None).await.0, 403);
    cloud.ok(Method::DELETE, "groups/default", None).await;
    assert_eq!(cloud.ok(GET, "databases", None).await, json!({"databases": []}));
    assert_eq!(cloud.judgement(), "");
    cloud.stop().await;
}

#[tokio::test]
async fn the_judge_condemns() {
    let cloud = Cloud::start().await;
    let token = cloud.turso.tokens().full_access;
    cloud.call(&token, GET, "organizations?colour=red", None).await;
    cloud.call(&token, GET, "nonsense", None).await;
    let verdict = cloud.judgement();
    assert!(verdict.contains("parameter colour is not documented"), "{verdict}");
    assert!(verdict.contains("GET /v1/nonsense (404): is no documented operation"), "{verdict}");
    cloud.stop().await;
}

#[tokio::test]
async fn what_is_wrong_is_refused_with_the_status_that_says_so() {
    let cloud = Cloud::start().await;
    cloud.create("shop", None).await;
    let long = "x".repeat(65);
    let make = |name: &str, seed: Value| {
        let mut body = json!({"name": name, "group": "default"});
        if !seed.is_null() {
            body["seed"] = seed;
        }
        Some(body)
    };
    let tomorrow = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24)).to_string();
    let at = |time: &str| json!({"type": "database", "name": "shop", "timestamp": time});
    let cases = [
        (POST, "databases", make("shop", Value::Null), 409, "database with name shop already exists"),
        (POST, "databases", make("Shop", Value::Null), 400, "lowercase"),
        (POST, "databases", make(&long, Value::Null), 400, "64 at most"),
        (POST, "databases", make("", Value::Null), 400, "lowercase"),
        (POST, "databases", Some(json!({"name": "x"})), 400, "missing field `group`"),
        (POST, "databases", Some(json!({"name": "x", "group": "no"})), 400, "group not found"),
        (POST, "databases", Some(json!([1])), 400, "invalid request body"),
        (POST, "databases", make("x", json!({"type": "database"})), 400, "names no database"),
        (POST, "databases", make("x", json!({"type": "database", "name": "no"})), 400, "could not find"),
        (POST, "databases", make("x", json!({"type": "tape"})), 400, "unknown seed type"),
        (POST, "databases", make("x", at("yesterday")), 400, "invalid timestamp"),
        (POST, "databases", make("x", at(&tomorrow)), 400, "in the future"),
        (POST, "databases", make("x", at("2020-01-01T00:00:00Z")), 400, "outside the plan's recovery window"),
        (GET, "databases/no", None, 404, "could not find database with name no: record not found"),
        (Method::DELETE, "databases/no", None, 404, "could not find database"),
        (GET, "databases/no/configuration", None, 404, "could not find database"),
        (GET, "groups/no", None, 404, "group not found"),
        (POST, "groups", Some(json!({"name": "g", "location": "ams"})), 400, "invalid location: ams"),
        (POST, "databases/shop/auth/tokens?expiration=soon", None, 400, "Invalid expiration format"),
        (POST, "databases/shop/auth/tokens?authorization=all", None, 400, "Invalid authorization"),
        (GET, "databases?limit=0", None, 400, "limit"),
        (GET, "databases?limit=-1", None, 400, "limit"),
        (GET, "databases/shop/usage?from=2026", None, 400, "invalid from parameter"),
        (
            Method::PATCH,
            "databases/shop/configuration",
            Some(json!({"size_limit": "big"})),
            400,
            "size limit",
        ),
        (Method::PUT, "databases", None, 404, "not found"),
        (GET, "databases/../../../etc/passwd", None, 404, ""),
    ];
    for (method, path, body, status, text) in cases {
        let refused = cloud.refused(method.clone(), path, body).await;
        assert!(refused.0 == status && refused.1.contains(text), "{method} {path}: {refused:?}");
    }
    let token = cloud.turso.tokens().full_access;
    assert_eq!(cloud.call(&token, GET, "organizations/other/databases", None).await.status, 404);
    let huge = json!({"name": "x".repeat(2 << 20)});
    assert_eq!(cloud.refused(POST, "databases", Some(huge)).await.0, 413);
    // Nothing of it was made, and the name was not kept.
    let listed = cloud.ok(GET, "databases", None).await;
    assert_eq!(listed["databases"].as_array().unwrap().len(), 1);
    cloud.create("x", None).await;

    let mut plan = Plan::named("scaler").unwrap();
    plan.databases = Some(2);
    cloud.turso.set_plan(plan);
    assert_eq!(cloud.refused(POST, "databases", make("y", Value::Null)).await.0, 402);
    assert_eq!(cloud.ok(GET, "", None).await["organization"]["plan_id"], "scaler");
    cloud.stop().await;
}

#[tokio::test]
async fn tokens_may_what_they_are_for() {
    let cloud = Cloud::start().await;
    cloud.create("shop", None).await;
    let tokens = cloud.turso.tokens();
    let databases = format!("organizations/{ORGANIZATION}/databases");
    for (token, expected) in [
        (tokens.full_access.as_str(), 200),
        (&tokens.read_only, 200),
        (&tokens.expired, 401),
        (&tokens.revoked, 401),
        ("", 401),
        ("é\u{7f}", 401),
    ] {
        let bearer = format!("Bearer {token}");
        let url = format!("{}/v1/{databases}", cloud.turso.endpoint());
        let answer = common::request("GET", &url, &[("authorization", &bearer)], "").await;
        // Not every text can be in a header.
        let status = answer.map_or(401, |answer| answer.status);
        assert_eq!(status, expected, "{token}");
    }
    let shop = format!("{databases}/shop");
    let refused = cloud.call(&tokens.read_only, Method::DELETE, &shop, None).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    let mint = format!("{shop}/auth/tokens");
    assert_eq!(cloud.call(&tokens.read_only, POST, &mint, None).await.status, 403);

    let restriction = json!({"organization": ORGANIZATION, "group": "default",
        "scopes": ["read-only", "db:mint-token"]});
    let made =
        cloud.call(&tokens.full_access, POST, "auth/api-tokens/backup", Some(restriction)).await.json();
    let backup = made["token"].as_str().unwrap();
    assert_eq!(cloud.call(backup, POST, &mint, None).await.status, 200);
    assert_eq!(cloud.call(backup, GET, &databases, None).await.status, 200);
    assert_eq!(cloud.call(backup, Method::DELETE, &shop, None).await.status, 403);
    assert_eq!(cloud.call(backup, GET, "auth/api-tokens", None).await.status, 403);
    let group = json!({"name": "east", "location": "aws-us-east-1"});
    cloud.ok(POST, "groups", Some(group)).await;
    let other = format!("organizations/{ORGANIZATION}/groups/east");
    assert_eq!(cloud.call(backup, GET, &other, None).await.status, 403);
    let listed = cloud.call(&tokens.full_access, GET, "auth/api-tokens", None).await.json();
    let listed = listed["tokens"].as_array().unwrap();
    assert!(listed.iter().any(|token| token["scopes"] == json!(["db:mint-token", "read"])), "{listed:?}");
    assert_eq!(
        cloud.call(&tokens.full_access, Method::DELETE, "auth/api-tokens/backup", None).await.status,
        200
    );
    assert_eq!(cloud.call(backup, GET, &databases, None).await.status, 401);
    cloud.stop().await;
}

#[tokio::test]
async fn lists_come_page_by_page_whoever_asks_for_it() {
    let cloud = Cloud::start().await;
    for number in 0..5 {
        let body =
            json!({"name": format!("db-{number}"), "group": "default", "seed": {"type": "database_upload"}});
        cloud.ok(POST, "databases", Some(body)).await;
    }
    for (size, limit) in [(None, "limit=2"), (Some(2), ""), (Some(2), "limit=100")] {
        cloud.turso.set_page_size(size);
        let (mut seen, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let page = cloud.ok(GET, &format!("databases?{limit}{cursor}"), None).await;
            seen.extend(page["databases"].as_array().unwrap().iter().map(|it| it["Name"].clone()));
            pages += 1;
            match page["pagination"]["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!((seen.len(), pages), (5, 3), "{limit}");
    }
    cloud.stop().await;
}

#[tokio::test]
async fn two_at_once_make_one_database() {
    let cloud = Cloud::start().await;
    let token = cloud.turso.tokens().full_access;
    let body = json!({"name": "shop", "group": "default"});
    let path = format!("organizations/{ORGANIZATION}/databases");
    let calls = (0..4).map(|_| cloud.call(&token, POST, &path, Some(body.clone())));
    let mut statuses: Vec<_> =
        futures::future::join_all(calls).await.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409]);
    cloud.stop().await;
}

#[tokio::test]
async fn an_upload_is_served_and_comes_back_as_it_was() {
    let cloud = Cloud::start().await;
    let bytes = file(cloud.data.path(), 5000);
    let shop = cloud.create("shop", Some(json!({"type": "database_upload"}))).await;
    assert_eq!(shop.pipeline(&["SELECT 1"]).await.status, 400);
    assert_eq!(shop.request("GET", "/info", "").await.status, 400);
    let reader = shop.with_token(cloud.token("shop", "?authorization=read-only").await);
    assert_eq!(reader.request("POST", "/v1/upload", bytes.clone()).await.status, 403);
    assert_eq!(shop.with_token("x".to_owned()).request("POST", "/v1/upload", "").await.status, 401);
    for (hostile, why) in [
        (Vec::new(), "not a SQLite database"),
        (vec![0; 4096], "not a SQLite database"),
        (bytes[..bytes.len() - 4096].to_vec(), "are not the"),
        (bytes[..bytes.len() - 1].to_vec(), "are not the"),
    ] {
        let refused = shop.request("POST", "/v1/upload", hostile).await;
        assert!(refused.status == 400 && refused.text().contains(why), "{}", refused.text());
    }
    let uploaded = shop.request("POST", "/v1/upload", bytes.clone()).await;
    assert_eq!(uploaded.status, 200, "{}", uploaded.text());
    assert_eq!(shop.request("POST", "/v1/upload", bytes.clone()).await.status, 409);
    assert_eq!(shop.sql(&["SELECT count(*) FROM marks"]).await, "5000");
    assert_eq!(shop.sql(&["PRAGMA user_version"]).await, "7");
    let exported = shop.export(cloud.data.path()).await;
    assert_eq!(std::fs::read(exported).unwrap(), bytes, "not a byte was changed");
    let plain = cloud.create("plain", None).await;
    assert_eq!(plain.request("POST", "/v1/upload", bytes).await.status, 409);
    // `dump` is gone, and not refused.
    let dump = cloud.create("dump", Some(json!({"type": "dump", "url": "https://example.com/x.sql"}))).await;
    assert_eq!(dump.sql(&["SELECT count(*) FROM sqlite_schema"]).await, "0");
    cloud.stop().await;
}

#[tokio::test]
async fn a_token_for_one_organization_is_shown_no_other() {
    let cloud = Cloud::start().await;
    cloud.turso.set_other_organizations(&["private"]);
    let unrestricted = cloud.turso.tokens().full_access;
    let body = json!({"organization": ORGANIZATION});
    let scoped = cloud.call(&unrestricted, POST, "auth/api-tokens/scoped", Some(body)).await.json();
    let scoped = scoped["token"].as_str().unwrap();
    let slugs = async |token: &str| {
        let list = cloud.call(token, GET, "organizations", None).await.json();
        let slugs = list.as_array().unwrap().iter().map(|one| one["slug"].as_str().unwrap().to_owned());
        slugs.collect::<Vec<_>>()
    };
    assert_eq!(slugs(&unrestricted).await, [ORGANIZATION, "private"]);
    assert_eq!(slugs(scoped).await, [ORGANIZATION]);
    let path = "organizations/private/databases";
    assert_eq!(cloud.call(&unrestricted, GET, path, None).await.status, 200);
    assert_eq!(cloud.call(scoped, GET, path, None).await.status, 404);
    assert_eq!(cloud.judgement(), "");
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    cloud.turso.expire_token(scoped, Some(soon));
    assert_eq!(cloud.call(scoped, GET, "auth/validate", None).await.json()["exp"], soon.as_second());
    cloud.stop().await;
}
