//! Over a server in memory: however often it is interrupted, the same comes out.

#![expect(clippy::unwrap_used, reason = "a failing test panics")]

use std::{collections::BTreeMap, time::Duration};

use postgres::{
    Server,
    checks::{
        Amcheck, Checks, Fault, FaultKind, Index, Remark, Structure, Walk, check_structure,
        fake::{FakeDatabase, FakeServer, FakeSession, FakeTable},
        read_tables,
    },
};
use proptest::prelude::*;
use secrets::Credentials;

const PLENTY: Duration = Duration::from_mins(10);

async fn open(server: &FakeServer) -> FakeSession {
    let of = Server { host: "drill".to_owned(), port: 5432, database: "shop".to_owned() };
    let credentials = Credentials { username: "tidemark".to_owned(), password: "x".to_owned().into() };
    server.open(&of, &credentials).await.unwrap()
}

fn server(tables: Vec<FakeTable>) -> FakeServer {
    let server = FakeServer::default();
    server.put("shop", FakeDatabase { tables, ..FakeDatabase::default() });
    server
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// Reads on, with time for so many looks at the clock in each invocation, until it is over.
async fn read_in(server: &FakeServer, first_step: u32, looks: &[u32]) -> Walk {
    let mut walk = Walk::in_steps_of(first_step);
    for invocation in 0.. {
        assert!(invocation < 10_000, "{walk:?}");
        let (mut asked, may) = (0, looks[invocation % looks.len()]);
        let left = || {
            asked += 1;
            if asked <= may { PLENTY } else { Duration::ZERO }
        };
        read_tables(&open(server).await, &mut walk, left).await.unwrap();
        if walk.is_over {
            break;
        }
        walk = serde_json::from_str(&serde_json::to_string(&walk).unwrap()).unwrap();
    }
    walk
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn interruptions_change_nothing(
        tables in prop::collection::vec((prop::collection::vec(0_u64..5, 0..40), prop::option::of(0_u32..45)), 0..6),
        first_step in 1_u32..20,
        looks in prop::collection::vec(2_u32..9, 1..4),
    ) {
        let make = |(number, (blocks, damaged)): (usize, &(Vec<u64>, Option<u32>))| {
            let mut table = FakeTable::new(16_384 + u32::try_from(number).unwrap() * 3, &format!("public.t{number}"), blocks);
            let damaged = damaged.filter(|block| usize::try_from(*block).unwrap() < blocks.len());
            table.faults = damaged.map(|block| (block, Fault::of("XX001", "invalid page"))).into_iter().collect();
            table
        };
        let server = server(tables.iter().enumerate().map(make).collect());
        let (whole, stepped) = block_on(async {
            (read_in(&server, 16_384, &[u32::MAX]).await, read_in(&server, first_step, &looks).await)
        });
        prop_assert_eq!(&stepped.evidence.findings, &whole.evidence.findings);
        prop_assert_eq!(&stepped.tables, &whole.tables);
        prop_assert_eq!(whole.relations, tables.len() as u64);
        let readable: u64 = tables.iter().map(|(blocks, damaged)| {
            let lost = damaged.and_then(|block| blocks.get(usize::try_from(block).unwrap())).unwrap_or(&0);
            blocks.iter().sum::<u64>() - lost
        }).sum();
        prop_assert_eq!(whole.rows, readable);
    }
}

#[tokio::test]
async fn a_table_that_is_mostly_damaged_is_given_up() {
    let mut table = FakeTable::new(1, "public.t", &[1; 100]);
    table.faults = (10..100).map(|block| (block, Fault::of("XX001", "invalid page"))).collect();
    let walk = read_in(&server(vec![table, FakeTable::new(2, "public.u", &[1])]), 16_384, &[u32::MAX]).await;
    let blocks: Vec<_> = walk.evidence.findings.iter().map(|finding| finding.block.unwrap()).collect();
    assert_eq!(blocks, [10, 11, 12, 13, 14]);
    assert_eq!((walk.rows, walk.relations), (11, 2));
}

#[tokio::test]
async fn rows_that_an_index_leads_to_and_the_table_lost_are_found() {
    let mut table = FakeTable::new(1, "public.t", &[7; 3]);
    table.lost = 2;
    let walk = read_in(&server(vec![table]), 16_384, &[u32::MAX]).await;
    assert_eq!(walk.evidence.findings[0].fault.kind, FaultKind::Corrupt);
    assert!(walk.evidence.findings[0].fault.message.contains("21 rows, but an index of it leads to 23"));
}

#[tokio::test]
async fn what_loses_the_connection_each_time_is_gone_past() {
    let mut table = FakeTable::new(1, "public.t", &[1; 1000]);
    table.faults = [(700, Fault::new(FaultKind::Unavailable, "connection closed"))].into();
    let server = server(vec![table]);
    let (mut walk, mut lost) = (Walk::default(), 0);
    while !walk.is_over {
        lost += u32::from(read_tables(&open(&server).await, &mut walk, || PLENTY).await.is_err());
        assert!(lost < 30, "{walk:?}");
    }
    assert_eq!((walk.evidence.findings.len(), walk.evidence.findings[0].block), (1, Some(700)));
    assert_eq!((walk.rows, server.opened()), (999, lost + 1));
}

#[tokio::test]
async fn a_slow_index_is_checked_without_its_rows_and_then_left() {
    let slow = || Fault::of("57014", "canceling statement due to statement timeout");
    let index = |oid, name: &str| Index { oid, name: name.to_owned() };
    let server = FakeServer::default();
    let mut database = FakeDatabase {
        indexes: vec![
            (index(3, "public.a"), None),
            (index(4, "public.b"), Some(slow())),
            (index(5, "public.c"), None),
        ],
        ..FakeDatabase::default()
    };
    server.put("shop", database.clone());
    let mut structure = Structure::default();
    for _ in 0..3 {
        check_structure(&open(&server).await, &mut structure, true, || PLENTY).await.unwrap();
    }
    assert!(structure.is_over && !structure.has_findings(), "{structure:?}");
    assert_eq!(
        (structure.indexes.evidence.notes[0].what, structure.indexes.checked),
        (Remark::IndexNotChecked, 2)
    );

    // Too slow once only.
    database.indexes[1].1 = None;
    server.put("shop", database);
    structure = Structure::default();
    // The first question is for the extension, then heaps, indexes, the first index.
    check_structure(&open(&server).await, &mut structure, true, {
        let mut asked = 0;
        move || {
            asked += 1;
            if asked <= 2 { PLENTY } else { Duration::ZERO }
        }
    })
    .await
    .unwrap();
    assert_eq!(structure.indexes.checked, 1);
    structure = serde_json::from_str(&serde_json::to_string(&structure).unwrap()).unwrap();
    check_structure(&open(&server).await, &mut structure, true, || PLENTY).await.unwrap();
    assert_eq!(
        (structure.is_over, structure.indexes.checked, structure.indexes.evidence.notes.len()),
        (true, 3, 0)
    );
}

#[tokio::test]
async fn what_verify_heapam_says_is_a_finding_and_not_available_is_no_pass() {
    let mut table = FakeTable::new(1, "public.t", &[1; 9]);
    table.damages = BTreeMap::from([(4, "offset 3 xmin is in the future".to_owned())]);
    let server = server(vec![table]);
    let mut structure = Structure::default();
    check_structure(&open(&server).await, &mut structure, true, || PLENTY).await.unwrap();
    assert_eq!(structure.heaps.evidence.findings[0].block, Some(4));

    let amcheck = Amcheck::NotAvailable { reason: "the extension is not created, and may not be".to_owned() };
    server.put("shop", FakeDatabase { amcheck: amcheck.clone(), ..FakeDatabase::default() });
    let mut structure = Structure::default();
    check_structure(&open(&server).await, &mut structure, false, || PLENTY).await.unwrap();
    assert_eq!((structure.amcheck, structure.is_over, structure.heaps.is_over), (Some(amcheck), true, false));
}

#[tokio::test]
async fn a_lost_connection_is_told_and_nothing_is_lost() {
    let server = server(vec![FakeTable::new(1, "public.t", &[1; 9]), FakeTable::new(2, "public.u", &[2; 9])]);
    let mut walk = Walk::in_steps_of(2);
    server.fail_next(Fault::new(FaultKind::Unavailable, "connection closed"));
    let fault = read_tables(&open(&server).await, &mut walk, || PLENTY).await.unwrap_err();
    assert_eq!(fault.into_error("read the tables of shop").kind(), reconcile::Kind::Retryable);
    read_tables(&open(&server).await, &mut walk, || PLENTY).await.unwrap();
    assert_eq!((walk.rows, walk.evidence.findings.len()), (27, 0));
}
