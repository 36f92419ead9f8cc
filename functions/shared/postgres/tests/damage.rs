//! Against a real server whose files were damaged.

#![expect(clippy::unwrap_used, reason = "a failing test panics")]

mod support;

use std::path::Path;

use postgres::checks::{FaultKind, Finding, Structure, Walk, check_structure, read_tables};
use support::{BLOCK, Cluster, handed_over, little, plenty};

/// Some 90 blocks each, with a table before and one after.
const TABLES: &str = "
    CREATE TABLE before AS SELECT generate_series(1, 1000) AS n;
    CREATE TABLE orders (id int PRIMARY KEY, note text);
    INSERT INTO orders SELECT n, md5(n::text) FROM generate_series(1, 10000) AS n;
    CREATE TABLE plain AS SELECT * FROM orders;
    CREATE TABLE after AS SELECT generate_series(1, 1000) AS n;
    CREATE EXTENSION amcheck; CHECKPOINT;";

async fn read(cluster: &Cluster) -> Walk {
    let mut walk = Walk::default();
    read_tables(&cluster.session().await, &mut walk, plenty).await.unwrap();
    assert!(walk.is_over);
    // Whatever is wrong elsewhere, these are read.
    for table in ["public.before", "public.after"] {
        let told = walk.tables.iter().find(|told| told.relation == table).unwrap();
        assert_eq!((told.rows, told.is_whole), (1000, true));
    }
    walk
}

async fn structure(cluster: &Cluster) -> Structure {
    let mut structure = Structure::default();
    check_structure(&cluster.session().await, &mut structure, false, plenty).await.unwrap();
    assert!(structure.is_over);
    structure
}

fn places(findings: &[Finding]) -> Vec<(&str, Option<u32>, FaultKind)> {
    findings.iter().map(|one| (one.relation.as_str(), one.block, one.fault.kind)).collect()
}

fn page(bytes: &mut [u8], block: usize) -> &mut [u8] {
    &mut bytes[block * BLOCK..(block + 1) * BLOCK]
}

/// Where on a page its nth item is, from 1 on (`ItemIdData`: 15 bits of offset, after a header of 24 bytes).
fn item(page: &[u8], n: usize) -> usize {
    let at = 24 + (n - 1) * 4;
    usize::from(u16::from_le_bytes([page[at], page[at + 1]]) & 0x7fff)
}

#[tokio::test]
async fn torn_pages_are_found_block_by_block() {
    let mut cluster = Cluster::start(true).await;
    cluster.run(TABLES).await;
    let file = cluster.file("plain").await;
    cluster
        .damage(&file, |bytes| {
            for block in [37, 41, 42] {
                page(bytes, block)[BLOCK / 2..].fill(0x5a);
            }
        })
        .await;
    let walk = read(&cluster).await;
    let expected = [37, 41, 42].map(|block| ("public.plain", Some(block), FaultKind::Corrupt));
    assert_eq!(places(&walk.evidence.findings), expected);
    assert!(walk.evidence.findings.iter().all(|finding| finding.fault.sqlstate.as_deref() == Some("XX001")));
    let plain = walk.tables.iter().find(|told| told.relation == "public.plain").unwrap();
    // What can be read was read: all but three blocks of 120 rows.
    assert_eq!((plain.rows, plain.is_whole), (10_000 - 3 * 120, false));

    let (mut stepped, mut invocations) = (Walk::in_steps_of(7), 0);
    while !stepped.is_over {
        stepped = handed_over(&stepped);
        read_tables(&cluster.session().await, &mut stepped, little(2)).await.unwrap();
        invocations += 1;
        assert!(invocations < 200, "{stepped:?}");
    }
    assert_eq!((&stepped.evidence.findings, &stepped.tables), (&walk.evidence.findings, &walk.tables));
    // `verify_heapam` stumbles over the same pages.
    assert_eq!(places(&structure(&cluster).await.heaps.evidence.findings), expected);
}

#[tokio::test]
async fn broken_tuples_are_found_without_checksums() {
    let mut cluster = Cluster::start(false).await;
    cluster.run(TABLES).await;
    let file = cluster.file("plain").await;
    cluster
        .damage(&file, |bytes| {
            let page = page(bytes, 20);
            let tuple = item(page, 5);
            // `t_xmin` of a transaction that is yet to come, and no hint (`t_infomask`) that it was committed.
            page[tuple..tuple + 4].copy_from_slice(&0x7fff_fff0_u32.to_le_bytes());
            page[tuple + 21] &= !0x03;
        })
        .await;
    // To every query such a row is not there yet: only `amcheck` finds it.
    let walk = read(&cluster).await;
    assert_eq!((walk.evidence.findings.len(), walk.rows), (0, 2_000 + 10_000 + 9_999));
    let found = structure(&cluster).await.heaps.evidence.findings;
    assert_eq!(places(&found), [("public.plain", Some(20), FaultKind::Corrupt)]);
    let said = &found[0].fault.message;
    assert!(said.starts_with("offset 5 ") && said.contains("xmin"), "{said}");

    cluster
        .damage(&file, |bytes| {
            let page = page(bytes, 70);
            // After 24 bytes of header and 4 of a number: instead of a short text, a pointer (tag 18) to one out of line.
            let text = item(page, 9) + 28;
            page[text..text + 2].copy_from_slice(&[0x01, 18]);
        })
        .await;
    assert_eq!(
        places(&read(&cluster).await.evidence.findings),
        [("public.plain", Some(70), FaultKind::Corrupt)]
    );
}

#[tokio::test]
async fn files_that_end_early_or_are_gone_are_found() {
    let mut cluster = Cluster::start(true).await;
    cluster.run(TABLES).await;
    let file = cluster.file("orders").await;
    cluster.damage(&file, |bytes| bytes.truncate(50 * BLOCK + 100)).await;
    let walk = read(&cluster).await;
    // No block is damaged: the index knows of rows that are not there.
    assert_eq!(places(&walk.evidence.findings), [("public.orders", None, FaultKind::Corrupt)]);
    let orders = walk.tables.iter().find(|told| told.relation == "public.orders").unwrap();
    assert_eq!(orders.rows, 50 * 120);

    // With a visibility map the index is asked alone, and the counts tell.
    cluster
        .run("TRUNCATE orders; INSERT INTO orders SELECT n, md5(n::text) FROM generate_series(1, 10000) AS n")
        .await;
    cluster.run("VACUUM (FREEZE) orders").await;
    cluster.run("CHECKPOINT").await;
    let file = cluster.file("orders").await;
    cluster.damage(&file, |bytes| bytes.truncate(50 * BLOCK)).await;
    let walk = read(&cluster).await;
    assert_eq!(places(&walk.evidence.findings), [("public.orders", None, FaultKind::Corrupt)]);
    assert!(walk.evidence.findings[0].fault.message.contains("6000 rows"), "{:?}", walk.evidence.findings);

    let file = cluster.file("plain").await;
    cluster.stop();
    std::fs::remove_file(&file).unwrap();
    cluster.restart().await;
    let walk = read(&cluster).await;
    assert_eq!(walk.evidence.findings[1].relation, "public.plain");
    assert_eq!(
        walk.evidence.findings[1].fault.sqlstate.as_deref(),
        Some("58P01"),
        "{:?}",
        walk.evidence.findings
    );
    assert_eq!(
        (walk.evidence.findings[1].block, walk.evidence.findings[1].fault.kind),
        (None, FaultKind::Corrupt)
    );
}

#[tokio::test]
async fn broken_indexes_are_found_by_amcheck() {
    let mut cluster = Cluster::start(false).await;
    cluster.run(TABLES).await;
    let index = cluster.file("orders_pkey").await;
    let whole = std::fs::read(&index).unwrap();
    cluster
        .damage(&index, |bytes| {
            // The first leaf is block 1; after the 8 bytes of an index tuple's header comes the key.
            let page = page(bytes, 1);
            let key = item(page, 10) + 8;
            page[key..key + 4].copy_from_slice(&i32::MAX.to_le_bytes());
        })
        .await;
    let findings = structure(&cluster).await.indexes.evidence.findings;
    assert_eq!(places(&findings), [("public.orders_pkey", None, FaultKind::Corrupt)]);
    assert_eq!(findings[0].fault.sqlstate.as_deref(), Some("XX002"), "{findings:?}");
    // Every row can be read, and is counted.
    assert_eq!(read(&cluster).await.evidence.findings, []);

    // An index as it was before some rows came: it is in order, and leads to too few.
    restore(&mut cluster, &index, &whole).await;
    assert!(!structure(&cluster).await.has_findings());
    cluster.run("INSERT INTO orders VALUES (20001, 'late')").await;
    restore(&mut cluster, &index, &whole).await;
    let findings = structure(&cluster).await.indexes.evidence.findings;
    assert_eq!(places(&findings), [("public.orders_pkey", None, FaultKind::Corrupt)]);
    assert!(findings[0].fault.message.contains("lacks matching index tuple"), "{findings:?}");
    let walk = read(&cluster).await;
    assert_eq!(places(&walk.evidence.findings), [("public.orders", None, FaultKind::Corrupt)]);
    assert!(walk.evidence.findings[0].fault.message.contains("10001 rows"), "{:?}", walk.evidence.findings);
}

async fn restore(cluster: &mut Cluster, file: &Path, whole: &[u8]) {
    cluster.damage(file, |bytes| *bytes = whole.to_vec()).await;
}
