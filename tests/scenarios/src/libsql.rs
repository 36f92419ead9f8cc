//! A Turso database with data in it, by the protocol that its clients speak, and what is in it as a digest.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use data_encoding::HEXLOWER;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, client::legacy::connect::HttpConnector, rt::TokioExecutor};
use local_cloud::{Cloud, ORGANIZATION};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::poll;

/// A database at Turso.
pub struct Libsql {
    client: Client<HttpConnector, Full<Bytes>>,
    /// `http://host:port`.
    url: String,
    token: String,
}

/// What a database holds: of two that hold the same, this is the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LibsqlContents {
    /// Rows by table.
    pub rows: BTreeMap<String, i64>,
    /// SHA-256 of the schema and of every row of every table, in order.
    pub digest: String,
}

impl LibsqlContents {
    /// How many rows.
    pub fn total(&self) -> i64 {
        self.rows.values().sum()
    }
}

/// Asks the Platform API, as a person's program does.
pub async fn platform(cloud: &Cloud, method: Method, path: &str, body: Option<Value>) -> Result<Value> {
    let token = cloud.turso().tokens().full_access;
    let uri = format!("{}/v1/organizations/{ORGANIZATION}/{path}", cloud.turso().endpoint());
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let request = Request::builder()
        .method(method.clone())
        .uri(uri)
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Bytes::from(body))?;
    let answer = cloud.turso().handle(request).await?;
    let (status, body) = (answer.status(), answer.into_body());
    ensure!(status.is_success(), "{method} {path}: {status} {}", String::from_utf8_lossy(&body));
    Ok(serde_json::from_slice(&body).unwrap_or(Value::Null))
}

impl Libsql {
    /// Makes a database in the group `default` and opens it.
    pub async fn create(cloud: &Cloud, name: &str) -> Result<Self> {
        Self::create_in(cloud, "default", name).await
    }

    /// Makes a database in that group and opens it.
    pub async fn create_in(cloud: &Cloud, group: &str, name: &str) -> Result<Self> {
        let body = json!({"name": name, "group": group});
        platform(cloud, Method::POST, "databases", Some(body)).await?;
        Self::open(cloud, name).await
    }

    /// Opens a database.
    pub async fn open(cloud: &Cloud, name: &str) -> Result<Self> {
        let found = platform(cloud, Method::GET, &format!("databases/{name}"), None).await?;
        let host = found["database"]["Hostname"].as_str().context("a database without a host")?.to_owned();
        let path = format!("databases/{name}/auth/tokens?expiration=1h&authorization=full-access");
        let token = platform(cloud, Method::POST, &path, None).await?;
        let token = token["jwt"].as_str().context("no token")?.to_owned();
        let client = Client::builder(TokioExecutor::new()).build_http();
        let database = Self { client, url: format!("http://{host}"), token };
        poll(&format!("{name} answers"), async || Ok(database.query("SELECT 1").await.ok().map(drop)))
            .await?;
        Ok(database)
    }

    /// Runs statements in one go, each by itself.
    pub async fn run(&self, statements: &[String]) -> Result<Vec<Value>> {
        let execute = |sql: &String| json!({"type": "execute", "stmt": {"sql": sql}});
        let mut requests: Vec<Value> = statements.iter().map(execute).collect();
        requests.push(json!({"type": "close"}));
        let request = Request::post(format!("{}/v2/pipeline", self.url))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(json!({"requests": requests}).to_string())))?;
        let answer = self.client.request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        ensure!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
        let mut answer: Value = serde_json::from_slice(&body)?;
        let results = answer["results"].as_array_mut().context("no results")?;
        results.pop();
        for (result, statement) in results.iter().zip(statements) {
            if result["type"] != "ok" {
                bail!("{statement:.200}: {}", result["error"]["message"]);
            }
        }
        Ok(results.iter_mut().map(|result| result["response"]["result"].take()).collect())
    }

    /// The rows of a query, each value as hrana has it.
    pub async fn query(&self, sql: &str) -> Result<Vec<Vec<Value>>> {
        let mut results = self.run(&[sql.to_owned()]).await?;
        let rows = results.pop().context("no result")?;
        let rows = rows["rows"].as_array().context("no rows")?;
        Ok(rows.iter().map(|row| row.as_array().cloned().unwrap_or_default()).collect())
    }

    /// Fills it with `number` rows in some tables: keys, numbers, text, blobs, and all that SQLite keeps besides tables.
    pub async fn fill(&self, number: usize) -> Result<()> {
        let schema = [
            "CREATE TABLE customers (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, since TEXT, credit REAL)",
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER REFERENCES customers (id), total, note BLOB)",
            "CREATE TABLE \"odd \"\"name\"\"\" (a, b, PRIMARY KEY (a, b)) WITHOUT ROWID",
            "CREATE INDEX orders_by_customer ON orders (customer)",
            "CREATE VIEW totals AS SELECT customer, sum(total) AS total FROM orders GROUP BY customer",
            "CREATE TRIGGER no_negative BEFORE INSERT ON orders WHEN new.total < 0 BEGIN SELECT raise(ABORT, 'negative'); END",
            "PRAGMA user_version = 7",
        ];
        self.run(&schema.map(str::to_owned)).await?;
        let customers = number / 5;
        let series = |from: usize, to: usize| {
            format!("WITH RECURSIVE n(i) AS (SELECT {from} UNION ALL SELECT i + 1 FROM n WHERE i < {to})")
        };
        // A statement of Turso may take five seconds.
        let batches =
            |count: usize| (0..count).step_by(10_000).map(move |from| (from + 1, count.min(from + 10_000)));
        let mut statements = Vec::new();
        for (from, to) in batches(customers) {
            statements.push(format!(
                "{} INSERT INTO customers (name, since, credit) SELECT 'customer ' || i, date(1700000000 + i * 3600, 'unixepoch'), i / 3.0 FROM n",
                series(from, to)
            ));
        }
        for (from, to) in batches(number - customers) {
            statements.push(format!(
                "{} INSERT INTO orders SELECT i, 1 + i % {customers}, CASE i % 4 WHEN 0 THEN i WHEN 1 THEN i + 0.25 WHEN 2 THEN 1.0 * i ELSE NULL END, \
                 CASE i % 3 WHEN 0 THEN zeroblob(i % 17) WHEN 1 THEN 'note ' || i ELSE x'00ff' END FROM n",
                series(from, to)
            ));
        }
        statements.push("INSERT INTO \"odd \"\"name\"\"\" VALUES (9223372036854775807, -9223372036854775808), (9e999, -9e999), ('', x'')".to_owned());
        for statement in statements {
            self.run(&[statement]).await?;
        }
        Ok(())
    }

    /// What it holds.
    pub async fn contents(&self) -> Result<LibsqlContents> {
        let schema = "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'libsql_%' ORDER BY type, name";
        let schema = self.query(schema).await?;
        let (mut rows, mut digest) = (BTreeMap::new(), Sha256::new());
        digest.update(json!(schema).to_string());
        for object in schema {
            let [kind, name, ..] = object.as_slice() else { continue };
            let name = name["value"].as_str().unwrap_or_default();
            if kind["value"] != "table" {
                continue;
            }
            let quoted = name.replace('"', "\"\"");
            let columns = self.query(&format!("PRAGMA table_info(\"{quoted}\")")).await?;
            let columns = columns.iter().filter_map(|column| column.get(1)?["value"].as_str());
            let exact: Vec<String> = columns
                .map(|column| {
                    let column = column.replace('"', "\"\"");
                    format!("typeof(\"{column}\") || quote(\"{column}\")")
                })
                .collect();
            let all = format!("SELECT {} FROM \"{quoted}\" ORDER BY 1, 2", exact.join(", "));
            let found = self.query(&all).await.with_context(|| format!("cannot read {name}"))?;
            rows.insert(name.to_owned(), i64::try_from(found.len())?);
            digest.update(format!("{name}\n{}", json!(found)));
        }
        Ok(LibsqlContents { rows, digest: HEXLOWER.encode(&digest.finalize()) })
    }
}
