//! Against a real server on which all is well, or at least whole.

#![expect(clippy::unwrap_used, reason = "a failing test panics")]

mod support;

use std::collections::BTreeMap;

use postgres::checks::{
    Amcheck, ClientSession, DifferenceKind, FaultKind, Remark, Session, Structure, Walk,
    assertions::{Verdict, check_assertion, parse},
    check_structure, compare, read_tables,
};
use serde_json::{Value, json};
use support::{Cluster, handed_over, little, plenty};

const ODD: &str = r#"
    CREATE TABLE empty (id int PRIMARY KEY);
    CREATE TABLE without_columns (); INSERT INTO without_columns DEFAULT VALUES; INSERT INTO without_columns DEFAULT VALUES;
    CREATE SCHEMA "We""ird schema";
    CREATE TABLE "We""ird schema"."tä""ble
of 'quotes'; --" (t int, "T t" text, "ctid2" bigint, "drop" int);
    INSERT INTO "We""ird schema"."tä""ble
of 'quotes'; --" SELECT n, repeat('ü', n), n, n FROM generate_series(1, 300) AS n;
    ALTER TABLE "We""ird schema"."tä""ble
of 'quotes'; --" DROP COLUMN "drop";
    CREATE TABLE generated (a int PRIMARY KEY, b int GENERATED ALWAYS AS (a * 2) STORED, c int GENERATED ALWAYS AS (a * 3) VIRTUAL);
    INSERT INTO generated SELECT generate_series(1, 1000);
    CREATE TABLE large (id int PRIMARY KEY, raw bytea, packed text);
    ALTER TABLE large ALTER raw SET STORAGE EXTERNAL;
    INSERT INTO large SELECT n, decode(repeat(md5(n::text), 4000), 'hex'), repeat('compressible ', 50000) FROM generate_series(1, 30) AS n;
    CREATE TABLE orders (id int PRIMARY KEY, note text);
    INSERT INTO orders SELECT n, md5(n::text) FROM generate_series(1, 20000) AS n;
    DELETE FROM orders WHERE id % 7 = 0; UPDATE orders SET note = 'changed' WHERE id % 11 = 0;
    CREATE INDEX by_part ON orders (note) WHERE id < 100;
    CREATE TABLE measures (at date, value int) PARTITION BY RANGE (at);
    CREATE TABLE measures_2025 PARTITION OF measures FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
    CREATE TABLE measures_2026 PARTITION OF measures FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
    INSERT INTO measures SELECT '2025-12-31'::date + n % 5, n FROM generate_series(0, 499) AS n;
    CREATE TABLE child (extra text) INHERITS (orders); INSERT INTO child VALUES (-1, 'of the child', 'x');
    CREATE UNLOGGED TABLE fleeting AS SELECT generate_series(1, 10) AS n;
    CREATE MATERIALIZED VIEW filled AS SELECT id FROM orders WHERE id < 100;
    CREATE MATERIALIZED VIEW never_filled AS SELECT 1 AS one WITH NO DATA;
    CREATE VIEW seen AS SELECT 1 / 0 AS error;
    CREATE TABLE rights (one aclitem); INSERT INTO rights VALUES ('admin=r/admin');
    CREATE EXTENSION postgres_fdw; CREATE SERVER nowhere FOREIGN DATA WRAPPER postgres_fdw;
    CREATE FOREIGN TABLE elsewhere (n int) SERVER nowhere;
    SELECT lo_from_bytea(0, decode(repeat('ab', 5000), 'hex'));
"#;

async fn walk_in_one_go(session: &ClientSession) -> Walk {
    let mut walk = Walk::default();
    read_tables(session, &mut walk, plenty).await.unwrap();
    assert!(walk.is_over);
    walk
}

#[tokio::test]
async fn odd_tables_are_read_to_the_end_in_one_go_and_in_many() {
    let cluster = Cluster::start(true).await;
    cluster.run(ODD).await;
    // Rows that somebody else sees, and other sessions' temporary tables, are not ours to read.
    let other = cluster.connect("postgres", "admin").await;
    other
        .batch_execute("CREATE TEMP TABLE passing AS SELECT 1; BEGIN; INSERT INTO orders VALUES (99999)")
        .await
        .unwrap();
    let session = cluster.session().await;
    let walk = walk_in_one_go(&session).await;
    assert_eq!(walk.evidence.findings, []);

    let client = cluster.connect("postgres", "admin").await;
    let mut rows = BTreeMap::new();
    for table in &walk.tables {
        let sql = format!("SELECT count(*) FROM ONLY {}", table.relation);
        let count: i64 = client.query_one(&sql, &[]).await.unwrap().get(0);
        assert_eq!((i64::try_from(table.rows), table.is_whole), (Ok(count), true), "{}", table.relation);
        rows.insert(table.relation.as_str(), table.rows);
    }
    for (table, expected) in [
        ("public.empty", 0),
        ("public.without_columns", 2),
        ("\"We\"\"ird schema\".\"tä\"\"ble\nof 'quotes'; --\"", 300),
        ("public.generated", 1_000),
        ("public.large", 30),
        ("public.orders", 17_143),
        ("public.child", 1),
        ("public.measures_2025", 100),
        ("public.measures_2026", 400),
        ("public.fleeting", 10),
        ("public.filled", 86),
        ("public.rights", 1),
        ("pg_catalog.pg_largeobject", 3),
    ] {
        assert_eq!(rows.get(table), Some(&expected), "{table} of {rows:?}");
    }
    assert_eq!(rows.len(), 13, "{rows:?}");
    let large = walk.tables.iter().find(|table| table.relation == "public.large").unwrap();
    // 30 times 64,000 bytes out of line and 650,000 compressed: each value in full.
    assert!((30 * 714_000..30 * 714_100).contains(&large.bytes), "{}", large.bytes);
    let notes: BTreeMap<_, _> =
        walk.evidence.notes.iter().map(|note| (note.relation.as_str(), note.what)).collect();
    let expected = [
        ("public.elsewhere", Remark::ForeignTable),
        ("public.fleeting", Remark::Unlogged),
        ("public.never_filled", Remark::NotPopulated),
    ];
    assert_eq!(notes, expected.into());

    let (mut stepped, mut invocations) = (Walk::in_steps_of(1), 0);
    while !stepped.is_over {
        stepped = handed_over(&stepped);
        read_tables(&cluster.session().await, &mut stepped, little(2)).await.unwrap();
        invocations += 1;
        assert!(invocations < 500, "{stepped:?}");
    }
    assert!(invocations > 20, "{invocations}");
    assert_eq!((&stepped.tables, stepped.rows, stepped.bytes), (&walk.tables, walk.rows, walk.bytes));
    assert_eq!(
        (&stepped.evidence.notes, &stepped.evidence.findings),
        (&walk.evidence.notes, &walk.evidence.findings)
    );

    let mut structure = Structure::default();
    check_structure(&session, &mut structure, false, plenty).await.unwrap();
    assert!(matches!(structure.amcheck, Some(Amcheck::NotAvailable { .. })), "{structure:?}");
    structure = Structure::default();
    check_structure(&session, &mut structure, true, plenty).await.unwrap();
    assert!(structure.is_over && !structure.has_findings(), "{structure:?}");
    let mut stepped = Structure::default();
    while !stepped.is_over {
        stepped = serde_json::from_str(&serde_json::to_string(&stepped).unwrap()).unwrap();
        check_structure(&session, &mut stepped, false, little(20)).await.unwrap();
        invocations += 1;
        assert!(invocations < 2_000, "{stepped:?}");
    }
    assert_eq!(stepped.heaps.relations, structure.heaps.relations);
    assert_eq!(stepped.indexes.checked, structure.indexes.checked);
    assert!(!stepped.has_findings(), "{stepped:?}");
    // Those of the catalogs are among them.
    assert!(structure.heaps.relations > 80 && structure.indexes.checked > 150, "{structure:?}");
}

#[tokio::test]
async fn what_may_not_be_read_is_said() {
    let cluster = Cluster::start(true).await;
    cluster
        .run(
            "CREATE TABLE open (n int); CREATE TABLE closed (n int); CREATE TABLE filtered (n int); CREATE TABLE last (n int);
             INSERT INTO open VALUES (1); INSERT INTO closed VALUES (1); INSERT INTO filtered VALUES (1), (2); INSERT INTO last VALUES (1);
             ALTER TABLE filtered ENABLE ROW LEVEL SECURITY; CREATE POLICY ones ON filtered USING (n = 1);
             CREATE ROLE reader LOGIN; GRANT SELECT ON open, filtered, last TO reader;
             CREATE SCHEMA hidden; CREATE TABLE hidden.t (n int); GRANT SELECT ON hidden.t TO reader",
        )
        .await;
    let session = ClientSession::new(cluster.connect("postgres", "reader").await);
    let walk = walk_in_one_go(&session).await;
    let found: Vec<_> = walk
        .evidence
        .findings
        .iter()
        .map(|finding| {
            (finding.relation.as_str(), finding.fault.kind, finding.fault.sqlstate.as_deref().unwrap())
        })
        .collect();
    assert_eq!(
        found,
        [
            ("public.closed", FaultKind::Unreadable, "42501"),
            ("public.filtered", FaultKind::Unreadable, "42501"),
            ("hidden.t", FaultKind::Unreadable, "42501"),
        ]
    );
    assert!(
        walk.evidence.findings[1].fault.message.contains("row-level security"),
        "{:?}",
        walk.evidence.findings
    );
    assert!(
        walk.evidence.findings[0].fault.message.contains("permission denied for table closed"),
        "{:?}",
        walk.evidence.findings
    );
    let whole: Vec<_> = walk.tables.iter().filter(|table| table.is_whole).map(|table| table.rows).collect();
    assert_eq!((walk.rows, whole), (2, vec![1, 1]));

    // Nor may it create the extension, nor use one that is there.
    for create in ["", "CREATE EXTENSION amcheck"] {
        cluster.run(create).await;
        let mut structure = Structure::default();
        check_structure(&session, &mut structure, true, plenty).await.unwrap();
        let Some(Amcheck::NotAvailable { reason }) = &structure.amcheck else { panic!("{structure:?}") };
        assert!(structure.is_over && reason.contains("permission") || reason.contains("may not"), "{reason}");
    }
}

#[tokio::test]
async fn text_of_no_encoding_and_lost_connections_are_no_damage() {
    let cluster = Cluster::start(true).await;
    cluster
        .run("CREATE DATABASE raw ENCODING 'SQL_ASCII' TEMPLATE template0 LOCALE_PROVIDER libc LOCALE 'C'")
        .await;
    let client = cluster.connect("raw", "admin").await;
    // A byte that is no UTF-8: asked for the text, the server would refuse.
    client
        .batch_execute(
            "CREATE TABLE texts AS SELECT convert_from('\\xfc', 'SQL_ASCII') AS one FROM generate_series(1, 9)",
        )
        .await
        .unwrap();
    assert!(client.query("SELECT one FROM texts", &[]).await.is_err());
    let session = ClientSession::new(cluster.connect("raw", "admin").await);
    assert_eq!(walk_in_one_go(&session).await.rows, 9);

    client
        .batch_execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'raw' AND pid <> pg_backend_pid()",
        )
        .await
        .unwrap();
    let mut walk = Walk::default();
    let fault = read_tables(&session, &mut walk, plenty).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unavailable, "{fault:?}");
    let session = ClientSession::new(cluster.connect("raw", "admin").await);
    read_tables(&session, &mut walk, plenty).await.unwrap();
    assert_eq!((walk.is_over, walk.rows, walk.evidence.findings), (true, 9, Vec::new()));
}

async fn verdict(session: &ClientSession, sql: &str, expect: Value, within: u32) -> Verdict {
    let document = json!([{"name": "a", "database": "postgres", "sql": sql, "expect": expect, "within_seconds": within}]);
    check_assertion(session, &parse("a", &document).unwrap()[0]).await.unwrap()
}

#[tokio::test]
async fn assertions_hold_or_do_not() {
    let cluster = Cluster::start(true).await;
    cluster
        .run("CREATE TABLE orders AS SELECT n AS id, n * 1.5 AS price FROM generate_series(1, 100) AS n")
        .await;
    let session = cluster.session().await;
    for (sql, expect) in [
        ("SELECT count(*) FROM orders", json!(100)),
        ("SELECT count(*) FROM orders; -- with a word", json!({"equals": 100})),
        ("SELECT sum(price) FROM orders", json!("7575")),
        ("SELECT max(price)::real FROM orders", json!({"at_least": 150, "at_most": 150})),
        ("SELECT 12345678901234567890.5", json!("12345678901234567890.50")),
        ("SELECT true", json!(true)),
        ("SELECT NULL::int", json!(null)),
        ("SELECT 'ü'", json!("ü")),
        ("SELECT timestamptz '2026-11-22 03:00:00+01'", json!("2026-11-22 02:00:00+00")),
        ("SELECT * FROM orders WHERE id <= 3", json!({"rows": 3})),
        ("TABLE orders LIMIT 0", json!({"rows": 0})),
        ("SHOW transaction_read_only", json!("on")),
    ] {
        let verdict = verdict(&session, sql, expect, 60).await;
        assert!(verdict.holds, "{sql}: {verdict:?}");
    }
    for (sql, expect, found, sqlstate) in [
        ("SELECT count(*) FROM orders", json!({"at_least": 101}), "100", None),
        ("SELECT id FROM orders ORDER BY id", json!(1), "100 rows with 1 column, and not one value", None),
        ("SELECT 1; SELECT 2", json!(1), "no answer", Some("42601")),
        ("DELETE FROM orders RETURNING id", json!({"rows": 100}), "no answer", Some("25006")),
        ("SELECT set_config('transaction_read_only', 'off', true)", json!("off"), "no answer", Some("25001")),
        ("SELECT * FROM nothing", json!(1), "no answer", Some("42P01")),
        ("COMMIT", json!({"rows": 0}), "no answer", None),
        ("SELECT 'secret'::int", json!(1), "no answer", Some("22P02")),
        ("SELECT pg_sleep(600)", json!({"rows": 1}), "no answer within 1 s", Some("57014")),
    ] {
        let verdict = verdict(&session, sql, expect, 1).await;
        assert!(!verdict.holds, "{sql}: {verdict:?}");
        let code = verdict.fault.as_ref().and_then(|fault| fault.sqlstate.as_deref());
        assert_eq!((verdict.found.as_str(), code), (found, sqlstate), "{sql}: {verdict:?}");
        assert!(!serde_json::to_string(&verdict).unwrap().contains("secret"), "{verdict:?}");
    }
    // After all of this, nothing was written and the session is as it was.
    assert!(verdict(&session, "SELECT count(*) FROM orders", json!(100), 60).await.holds);
}

#[tokio::test]
async fn catalogs_and_commits_are_told() {
    let mut cluster = Cluster::start(true).await;
    cluster
        .run("CREATE EXTENSION hstore; CREATE EXTENSION pg_trgm; CREATE ROLE app LOGIN PASSWORD 'secret'; CREATE ROLE staff; GRANT staff TO app; CREATE TABLE t (n int PRIMARY KEY)")
        .await;
    cluster.run("CREATE DATABASE closed ALLOW_CONNECTIONS false").await;
    cluster.run("CREATE DATABASE \"Shop ü\"").await;
    let session = cluster.session().await;
    assert_eq!(session.databases().await.unwrap(), ["Shop ü", "postgres"]);

    let source = session.catalog().await.unwrap();
    assert_eq!((source.counts.tables, source.counts.indexes, source.counts.schemas), (1, 1, 1));
    assert_eq!((source.counts.functions, source.encoding.as_str()), (0, "UTF8"));
    assert_eq!(source.roles["app"].member_of, ["staff"]);
    assert_eq!(source.roles["app"].attributes, ["INHERIT", "LOGIN"]);
    assert_eq!(source.collation.provider.as_deref(), Some("b"));
    assert!(source.has_data_checksums && !source.hides_damage);
    assert!(!serde_json::to_string(&source).unwrap().contains("SCRAM"));
    cluster.run("DROP EXTENSION hstore; DROP ROLE staff; DROP TABLE t; UPDATE pg_database SET datcollversion = '0'").await;
    let restored = session.catalog().await.unwrap();
    let found: Vec<_> =
        compare(&source, &restored).into_iter().map(|found| (found.kind, found.what)).collect();
    let expected = [
        (DifferenceKind::Missing, "extension hstore"),
        (DifferenceKind::Changed, "role app"),
        (DifferenceKind::Missing, "role staff"),
        (DifferenceKind::Fewer, "tables"),
        (DifferenceKind::Fewer, "indexes"),
        (DifferenceKind::Unsound, "version of the collation that the indexes were made with"),
    ];
    assert_eq!(found, expected.map(|(kind, what)| (kind, what.to_owned())));
    assert_eq!(compare(&source, &source), []);

    let commits = session.commits().await.unwrap();
    assert!(commits.last_committed_at.unwrap() > commits.started_at, "{commits:?}");
    assert_eq!((commits.newest(), commits.last_replayed_at, commits.is_in_recovery), (None, None, false));
    cluster.run("ALTER ROLE admin SET zero_damaged_pages = on").await;
    assert!(cluster.session().await.catalog().await.unwrap().hides_damage);
    drop(session);
    cluster.stop();
    cluster.restart().await;
    assert_eq!(cluster.session().await.commits().await.unwrap().last_committed_at, None);
}
