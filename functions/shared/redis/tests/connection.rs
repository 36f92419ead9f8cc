//! The client against a real server: with and without a password and TLS, and with what should not come.

#![expect(clippy::unwrap_used, reason = "a failing test panics")]

mod valkey;

use std::{sync::Arc, time::Duration};

use domain::ResourceId;
use heartbeat::{Keys, READ_TO_WRITE, Row, next};
use jiff::{SignedDuration, Timestamp};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use reconcile::Kind;
use redis::server::{
    Connection, FakeServers, LOADING, NOT_REACHED, REFUSED, Reply, Server, Servers, TOO_LARGE, TlsServers,
    shards,
};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use valkey::{PATIENCE, Valkey, ask, credentials};

const PASSWORD: &str = "correct-horse";

#[tokio::test]
async fn whoever_knows_the_password_gets_in() {
    let valkey = Valkey::start(&["--requirepass", PASSWORD]).await;
    valkey
        .does(&format!(
            "ACL SETUSER app on >{PASSWORD}2 ~* +@all\nACL SETUSER writer on >{PASSWORD}3 ~h +xadd"
        ))
        .await;
    let servers = TlsServers::new(None);
    let second = format!("{PASSWORD}2");
    for (user, password) in [("", PASSWORD), ("default", PASSWORD), ("app", second.as_str())] {
        let mut connection =
            servers.connect(&valkey.server, Some(&credentials(user, password))).await.unwrap();
        assert_eq!(ask(&mut connection, "PING").await, Reply::Text(b"PONG".to_vec()));
    }
    // A user who may do nothing but write is in too.
    let writer = credentials("writer", &format!("{PASSWORD}3"));
    let mut connection = servers.connect(&valkey.server, Some(&writer)).await.unwrap();
    let refused = connection.ask(&["GET", "h"], PATIENCE).await.unwrap().granted("read h").unwrap_err();
    assert_eq!((refused.code(), refused.kind()), (REFUSED, Kind::Misconfigured));
    let wrong = ["", "default", "app", "nobody"].map(|user| Some(credentials(user, "wrong-horse")));
    for credentials in wrong.into_iter().chain([None]) {
        let error = servers.connect(&valkey.server, credentials.as_ref()).await.unwrap_err();
        assert_eq!((error.code(), error.kind()), (REFUSED, Kind::Misconfigured), "{}", error.report());
        assert!(!error.report().contains("horse") && !format!("{error:?}").contains("horse"), "{error:?}");
    }
}

#[tokio::test]
async fn a_password_that_a_server_does_not_have_is_said() {
    let valkey = Valkey::start(&[]).await;
    let error =
        TlsServers::new(None).connect(&valkey.server, Some(&credentials("", PASSWORD))).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    assert!(
        error.report().contains("it has no password") && !error.report().contains(PASSWORD),
        "{}",
        error.report()
    );
}

#[tokio::test]
async fn a_server_that_loads_is_waited_for() {
    let full = Valkey::start(&["--enable-debug-command", "yes"]).await;
    full.does("DEBUG POPULATE 300 key 2000").await;
    let slowly = ["--key-load-delay", "2000", "--loading-process-events-interval-bytes", "2048"];
    let restored = Valkey::restored(&full.saved().await, &slowly).await;
    assert!(restored.waited_for.iter().any(|code| code == LOADING), "{:?}", restored.waited_for);
    assert_eq!(ask(&mut restored.connect().await, "DBSIZE").await, Reply::Integer(300));
}

#[tokio::test]
async fn nobody_there_is_not_reached() {
    let nowhere = Server { host: "127.0.0.1".to_owned(), port: valkey::free_port(), tls: true };
    let error = TlsServers::new(None).connect(&nowhere, None).await.unwrap_err();
    assert_eq!((error.code(), error.kind()), (NOT_REACHED, Kind::Retryable));
    // Somebody who accepts, and says nothing.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = Server { port: listener.local_addr().unwrap().port(), ..nowhere };
    let begun = std::time::Instant::now();
    let error = TlsServers::new(None).connect(&silent, None).await.unwrap_err();
    assert_eq!((error.code(), error.kind()), (NOT_REACHED, Kind::Retryable));
    assert!(
        error.report().contains("within 5 s") && begun.elapsed() < Duration::from_secs(10),
        "{}",
        error.report()
    );
}

#[tokio::test]
async fn a_question_that_takes_too_long_closes_the_connection() {
    let valkey = Valkey::start(&[]).await;
    let mut connection = valkey.connect().await;
    let asked = connection.ask(&["BLPOP", "nothing", "0"], Duration::from_millis(50)).await;
    assert_eq!(asked.unwrap_err().code(), NOT_REACHED);
    // What comes next would be the answer to another question.
    assert_eq!(connection.ask(&["PING"], PATIENCE).await.unwrap_err().code(), NOT_REACHED);
    // So is one whose answer nobody waited for.
    let mut connection = valkey.connect().await;
    drop(
        tokio::time::timeout(Duration::from_millis(50), connection.ask(&["BLPOP", "nothing", "0"], PATIENCE))
            .await,
    );
    assert_eq!(connection.ask(&["PING"], PATIENCE).await.unwrap_err().code(), NOT_REACHED);
}

#[tokio::test]
async fn a_value_that_is_too_large_is_left() {
    let valkey = Valkey::start(&[]).await;
    valkey.does("SETBIT large 80000000 1\nSETBIT fits 60000000 1").await;
    let mut connection = valkey.connect().await;
    assert_eq!(ask(&mut connection, "GET fits").await.bytes().unwrap().len(), 7_500_001);
    assert_eq!(connection.ask(&["GET", "large"], PATIENCE).await.unwrap_err().code(), TOO_LARGE);
    assert_eq!(connection.ask(&["PING"], PATIENCE).await.unwrap_err().code(), NOT_REACHED);
}

#[tokio::test]
async fn many_questions_are_one_journey() {
    let valkey = Valkey::start(&[]).await;
    let mut connection = valkey.connect().await;
    let commands: Vec<Vec<Vec<u8>>> = (0..5_000_u32)
        .map(|n| vec![b"SET".to_vec(), n.to_le_bytes().to_vec(), vec![0, b'\r', b'\n', 0xff]])
        .collect();
    let replies = connection.ask_all(&commands, PATIENCE).await.unwrap();
    assert!(replies.iter().all(|reply| reply.text() == Some("OK")) && replies.len() == 5_000);
    assert_eq!(ask(&mut connection, "DBSIZE").await, Reply::Integer(5_000));
    let key: &[u8] = &4_711_u32.to_le_bytes();
    let value = connection.ask(&[b"GET", key], PATIENCE).await.unwrap();
    assert_eq!(value.bytes().unwrap(), [0, b'\r', b'\n', 0xff]);
}

#[tokio::test]
async fn a_server_without_cluster_mode_has_all_keys() {
    let valkey = Valkey::start(&[]).await;
    let shards = shards(&mut valkey.connect().await, &valkey.server, PATIENCE).await.unwrap();
    assert_eq!((shards.primaries, shards.is_cluster), (vec![valkey.server.clone()], false));
}

#[tokio::test]
async fn the_shards_of_a_cluster_are_named_and_its_gaps_counted() {
    let bus = valkey::free_port().to_string();
    let options =
        ["--cluster-enabled", "yes", "--cluster-port", &bus, "--cluster-announce-hostname", "one.example"];
    let valkey =
        Valkey::start(&[&options[..], &["--cluster-preferred-endpoint-type", "hostname"]].concat()).await;
    valkey.does("CLUSTER ADDSLOTSRANGE 0 9999 10001 16383").await;
    let mut connection = valkey.connect().await;
    let found = shards(&mut connection, &valkey.server, PATIENCE).await.unwrap();
    let one = Server { host: "one.example".to_owned(), ..valkey.server.clone() };
    assert_eq!((found.primaries, found.is_cluster, found.missing_slots), (vec![one], true, 1));
    valkey.does("CONFIG SET cluster-preferred-endpoint-type unknown-endpoint").await;
    let found = shards(&mut connection, &valkey.server, PATIENCE).await.unwrap();
    assert_eq!(found.primaries, std::slice::from_ref(&valkey.server), "where we asked");
    let moved = connection.ask(&["GET", "key"], PATIENCE).await.unwrap();
    assert!(moved.refusal().is_some(), "not all slots are covered, or the key is elsewhere: {moved:?}");
}

/// TLS in front of a server, with a certificate of `host`; and the file of its root. The build of Valkey that the tests have speaks
/// none itself.
async fn tls_before(valkey: &Valkey, host: &str) -> (Server, String) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec![host.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let path = valkey.path().join("ca.pem");
    std::fs::write(&path, issuer.pem()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(certificate.pem().as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server { port: listener.local_addr().unwrap().port(), tls: true, ..valkey.server.clone() };
    let behind = (valkey.server.host.clone(), valkey.server.port);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, behind) = (acceptor.clone(), behind.clone());
            tokio::spawn(async move {
                if let (Ok(mut front), Ok(mut back)) =
                    (acceptor.accept(stream).await, TcpStream::connect(behind).await)
                {
                    let _ = tokio::io::copy_bidirectional(&mut front, &mut back).await;
                }
            });
        }
    });
    (server, path.display().to_string())
}

#[tokio::test]
async fn over_tls_the_certificate_must_be_of_a_trusted_root_and_for_the_host() {
    let valkey = Valkey::start(&["--requirepass", PASSWORD]).await;
    let who = credentials("", PASSWORD);
    let (server, root) = tls_before(&valkey, "127.0.0.1").await;
    let servers = TlsServers::new(Some(root.clone()));
    let mut connection = servers.connect(&server, Some(&who)).await.unwrap();
    let text = "x".repeat(300_000);
    ask(&mut connection, &format!("SET large {text}")).await;
    assert_eq!(ask(&mut connection, "GET large").await.text(), Some(text.as_str()));
    let shards = shards(&mut connection, &server, PATIENCE).await.unwrap();
    assert!(shards.primaries[0].tls);

    let error = TlsServers::new(None).connect(&server, Some(&who)).await.unwrap_err();
    assert_eq!((error.code(), error.kind()), (NOT_REACHED, Kind::Retryable), "an unknown root");
    assert!(error.report().contains("certificate"), "{}", error.report());
    let (other, root) = tls_before(&valkey, "other.example").await;
    let error = TlsServers::new(Some(root)).connect(&other, Some(&who)).await.unwrap_err();
    assert!(error.report().contains("certificate"), "{}", error.report());
    // What speaks TLS is not spoken to without it, nor the other way about.
    let plain = Server { tls: false, ..server.clone() };
    let error = servers.connect(&plain, Some(&who)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Retryable, "{}", error.report());
    let error =
        servers.connect(&Server { tls: true, ..valkey.server.clone() }, Some(&who)).await.unwrap_err();
    assert_eq!(error.code(), NOT_REACHED, "{}", error.report());
}

/// What a writer of heartbeats does: it reads, makes the next, and writes it.
async fn writes(connection: &mut impl Connection, at: Timestamp, keys: &Keys) -> (Reply, Vec<String>) {
    let rows = read(connection).await;
    let made = next(&ResourceId::redis("sessions"), &rows, at, keys).unwrap();
    let command = heartbeat::redis::write(&made.heartbeat);
    (connection.ask(&command, PATIENCE).await.unwrap(), command)
}

async fn read(connection: &mut impl Connection) -> Vec<Row> {
    let reply = connection.ask(&heartbeat::redis::read(READ_TO_WRITE), PATIENCE).await.unwrap();
    let row = |entry: &Reply| {
        let [id, fields] = entry.many().unwrap() else { panic!("{entry:?}") };
        let fields = fields.many().unwrap().iter().map(|field| field.text().unwrap().to_owned());
        heartbeat::redis::row(id.text().unwrap(), &fields.collect::<Vec<_>>())
    };
    reply.many().unwrap().iter().map(row).collect()
}

async fn heartbeats_go_in_and_come_back(mut connection: impl Connection) {
    let secret = format!(r#"{{"keys": [{{"id": "2026-11", "secret": "{}"}}]}}"#, "5a".repeat(32));
    let keys = Keys::parse(&secret.into()).unwrap();
    let start: Timestamp = "2026-11-23T10:40:00Z".parse().unwrap();
    for minute in 0..20 {
        let (reply, _) = writes(&mut connection, start + SignedDuration::from_mins(minute), &keys).await;
        assert_eq!(reply.text(), Some(format!("{}-0", minute + 1).as_str()));
    }
    let rows = read(&mut connection).await;
    let numbers: Vec<_> = rows.iter().map(|row| row.verify(&keys).unwrap().number()).collect();
    assert_eq!(numbers, (5..=20).rev().collect::<Vec<_>>());
    // Another writer was quicker, or the answer to this one was lost.
    let (_, command) = writes(&mut connection, start + SignedDuration::from_mins(20), &keys).await;
    let again = connection.ask(&command, PATIENCE).await.unwrap();
    assert!(again.refusal().unwrap().starts_with(heartbeat::redis::NOT_NEWER), "{again:?}");
}

#[tokio::test]
async fn heartbeats_are_written_and_read_by_their_user() {
    let valkey = Valkey::start(&[]).await;
    valkey.does(&format!("ACL SETUSER heartbeat >{PASSWORD} {}", heartbeat::redis::ACL)).await;
    let who = credentials("heartbeat", PASSWORD);
    let connection = TlsServers::new(None).connect(&valkey.server, Some(&who)).await.unwrap();
    heartbeats_go_in_and_come_back(connection).await;
    assert_eq!(ask(&mut valkey.connect().await, "XLEN tidemark:heartbeat").await, Reply::Integer(21));
}

#[tokio::test]
async fn the_fake_keeps_heartbeats_as_the_server_does() {
    let servers = FakeServers::default();
    servers.demand("cache.example", "heartbeat", PASSWORD);
    let server = Server { host: "cache.example".to_owned(), port: 6379, tls: true };
    assert_eq!(servers.connect(&server, None).await.unwrap_err().code(), REFUSED);
    let connection = servers.connect(&server, Some(&credentials("heartbeat", PASSWORD))).await.unwrap();
    heartbeats_go_in_and_come_back(connection).await;
}
