//! Append-only directories of servers of one's own, archived to S3.

use std::time::Duration;

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use scenarios::{OwnServer, poll};
use serde_json::json;

use crate::{common::cloud, estate, kinds_of, refusal, tick_until};

/// A server that has written for more than a second.
pub(crate) async fn written(folder: &std::path::Path) -> Result<OwnServer> {
    let server = OwnServer::start(cloud().tools(), folder).await?;
    let mut client = server.connect().await?;
    let begun = Timestamp::now();
    let mut number = 0;
    while Timestamp::now().duration_since(begun) < SignedDuration::from_millis(2_200) {
        client.call(&["SET", &format!("key:{number}"), "1"]).await?;
        number += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(server)
}

#[tokio::test]
async fn a_second_outside_the_interval_is_refused_with_the_interval() -> Result<()> {
    let (estate, folder) = (estate().await?, tempfile::tempdir()?);
    let server = written(&folder.path().join("own")).await?;
    server.archive(cloud(), "cut", None).await?;
    server.stop().await?;
    tick_until(&estate, "backup-redis", "redis/cut", "recovery-point-completed").await?;
    for to in ["2001-01-01T00:00:00Z", "2099-01-01T00:00:00Z"] {
        let (code, said) = refusal(&json!({"resource": "redis/cut", "to": to, "as": "cut-restored"})).await?;
        assert!(["OutsidePitrWindow", "OutsideRecoveryPoints"].contains(&code.as_str()), "{code}: {said}");
        assert!(said.contains("nothing was done"), "{said}");
    }
    let exports = cloud().stack().export_bucket();
    assert_eq!(cloud().object_keys(exports, "restores/cut-restored/").await?, [""; 0]);
    Ok(())
}

#[tokio::test]
async fn an_archive_whose_files_do_not_belong_together_is_no_recovery_point() -> Result<()> {
    let (estate, folder) = (estate().await?, tempfile::tempdir()?);
    let server = written(&folder.path().join("own")).await?;
    server.archive(cloud(), "torn", Some(".incr.aof")).await?;
    server.stop().await?;
    poll("the reason why redis/torn is not taken in", async || {
        let tick = estate.cloud.fire_schedule("backup-redis-tick").await?;
        // The sidecar may still be at work: that fails the tick. An hour after the slot it is a finding.
        let mut said = tick.error.map(|error| error.error_message).unwrap_or_default();
        said.push_str(&json!(estate.findings("backup-redis").await?).to_string());
        Ok(said.contains(".incr.aof, which is not there").then_some(()))
    })
    .await?;
    let kinds = kinds_of("redis/torn").await?;
    assert!(!kinds.iter().any(|kind| kind == "recovery-point-completed"), "{kinds:?}");
    Ok(())
}
