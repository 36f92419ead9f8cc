//! Heartbeats in a real cluster, of which one shard has the stream.

#![expect(clippy::unwrap_used, reason = "a failing test panics")]

mod valkey;

use std::time::{Duration, Instant};

use domain::ResourceId;
use heartbeat::{Keys, Place, READ_TO_WRITE, next};
use jiff::{SignedDuration, Timestamp};
use redis::{heartbeats::Stream, server::TlsServers};
use valkey::{PATIENCE, Valkey, ask, credentials, free_port};

const PASSWORD: &str = "correct-horse";

async fn node(slots: &str) -> (Valkey, u16) {
    let bus = free_port();
    let valkey = Valkey::start(&["--cluster-enabled", "yes", "--cluster-port", &bus.to_string()]).await;
    let user = format!("ACL SETUSER heartbeat >{PASSWORD} {}", heartbeat::redis::ACL);
    valkey.does(&format!("CLUSTER ADDSLOTSRANGE {slots}\n{user}")).await;
    (valkey, bus)
}

#[tokio::test]
async fn whichever_shard_is_asked_the_stream_is_found() {
    let ((one, _), (two, bus)) = (node("0 8191").await, node("8192 16383").await);
    one.does(&format!("CLUSTER MEET 127.0.0.1 {} {bus}", two.server.port)).await;
    let deadline = Instant::now() + PATIENCE;
    for valkey in [&one, &two] {
        while !ask(&mut valkey.connect().await, "CLUSTER INFO")
            .await
            .text()
            .unwrap()
            .contains("cluster_state:ok")
        {
            assert!(Instant::now() < deadline, "no cluster");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    let secret = format!(r#"{{"keys": [{{"id": "2026-11", "secret": "{}"}}]}}"#, "5a".repeat(32));
    let (keys, servers) = (Keys::parse(&secret.into()).unwrap(), TlsServers::new(None));
    let start: Timestamp = "2026-11-23T10:40:00Z".parse().unwrap();
    for (minute, server) in (0..).zip([&one.server, &two.server, &one.server]) {
        let mut stream =
            Stream::open(&servers, server, Some(credentials("heartbeat", PASSWORD))).await.unwrap();
        let rows = stream.read(READ_TO_WRITE).await.unwrap();
        assert_eq!(rows.len(), minute);
        let at = start + SignedDuration::from_mins(i64::try_from(minute).unwrap());
        let made = next(&ResourceId::redis("sessions"), &rows, at, &keys).unwrap();
        assert!(stream.write(&made.heartbeat).await.unwrap());
        assert!(!stream.write(&made.heartbeat).await.unwrap(), "the same again is another writer's");
    }
}
