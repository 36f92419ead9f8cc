//! Against a server as RDS has it: over TLS, as a master user who is no superuser.

#![expect(clippy::unwrap_used, reason = "a failing test panics")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use local_rds::{Alone, Event, EventSink, LocalRds, Options, Processes, Speed};
use postgres::{
    Postgres, Server, TlsPostgres,
    checks::{Amcheck, Checks, Session, Structure, Walk, check_structure, read_tables},
};
use secrets::Credentials;
use toolbox::{Guard, Set, Silent};

const REGION: &str = "eu-west-1";
const PASSWORD: &str = "correct-horse";

struct Quiet(Guard);

impl EventSink for Quiet {
    fn emit(&self, _: &str, _: Event) {}
}

impl Processes for Quiet {
    fn adopt(&self, process_group: u32) {
        self.0.adopt(process_group);
    }
    fn release(&self, process_group: u32) {
        self.0.release(process_group);
    }
}

async fn call(rds: &LocalRds, body: &str) -> String {
    let response = rds.handle(REGION, format!("{body}&Version=2014-10-31").as_bytes()).await;
    let text = String::from_utf8(response.body).unwrap();
    assert_eq!(response.status, 200, "{text}");
    text
}

fn value<'a>(xml: &'a str, name: &str) -> &'a str {
    let (_, rest) = xml.split_once(&format!("<{name}>")).unwrap();
    rest.split_once('<').unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_instance_is_checked_over_tls_by_its_master_user() {
    let tools = toolbox::install(Set::Cloud, &Silent).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let quiet = Arc::new(Quiet(Guard::start(&tools.python).unwrap()));
    quiet.0.adopt_folder(folder.path());
    let options = Options {
        account: "000000000000".to_owned(),
        data: folder.path().join("rds"),
        postgres: tools.postgres.clone(),
        speed: Speed::instant(),
        keys: Arc::new(Alone),
        events: quiet.clone(),
        processes: quiet.clone(),
    };
    let rds = LocalRds::start(options).await.unwrap();
    let create = "Action=CreateDBInstance&DBInstanceIdentifier=orders&Engine=postgres&DBInstanceClass=db.t4g.micro\
                  &AllocatedStorage=20&MasterUsername=app&DBName=shop&BackupRetentionPeriod=0&MasterUserPassword=";
    call(&rds, &format!("{create}{PASSWORD}")).await;
    let deadline = Instant::now() + Duration::from_mins(2);
    let described = loop {
        let xml = call(&rds, "Action=DescribeDBInstances&DBInstanceIdentifier=orders").await;
        if value(&xml, "DBInstanceStatus") == "available" {
            break xml;
        }
        assert!(Instant::now() < deadline, "{xml}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let server = Server {
        host: value(&described, "Address").to_owned(),
        port: value(&described, "Port").parse().unwrap(),
        database: "shop".to_owned(),
    };
    let credentials = Credentials { username: "app".to_owned(), password: PASSWORD.to_owned().into() };
    let tls = TlsPostgres::new(Some(rds.ca_certificate().display().to_string()));
    tls.first_query(&server, &credentials).await.unwrap();
    let client = tls.connect(&server, &credentials).await.unwrap();
    client
        .batch_execute(
            "CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders SELECT generate_series(1, 5000)",
        )
        .await
        .unwrap();

    let session = tls.open(&server, &credentials).await.unwrap();
    assert_eq!(session.databases().await.unwrap(), ["postgres", "shop"]);
    let left = || Duration::from_mins(10);
    let mut walk = Walk::default();
    read_tables(&session, &mut walk, left).await.unwrap();
    assert_eq!((walk.is_over, walk.rows, walk.evidence.findings), (true, 5000, Vec::new()));
    let mut structure = Structure::default();
    check_structure(&session, &mut structure, true, left).await.unwrap();
    let Some(Amcheck::NotAvailable { reason }) = structure.amcheck else { panic!("{:?}", structure.amcheck) };
    assert!(reason.contains("cannot be created") && structure.is_over, "{reason}");
    // What every role may ask is answered to this one too.
    let catalog = session.catalog().await.unwrap();
    assert!(catalog.roles.contains_key("app") && catalog.counts.tables == 1, "{catalog:?}");
    assert!(session.commits().await.unwrap().newest().is_none());

    let wrong = Credentials { password: "wrong".to_owned().into(), ..credentials };
    let refused = tls.open(&server, &wrong).await.err().unwrap();
    assert_eq!((refused.code(), refused.kind()), ("28P01", reconcile::Kind::Retryable));
    rds.stop().await;
}
