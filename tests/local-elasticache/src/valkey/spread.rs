//! Keys from RDB files to the shards that hold their slots, whatever shards the files come from, as ElastiCache does
//! when a group is seeded with another number of shards than the files are of.

use std::path::Path;

use redis_protocol::resp2::types::OwnedFrame;

use super::client::Client;
use super::fleet::Plan;
use super::server::{Server, Start};
use super::{Error, Install};

/// Keys looked at, and moved, at a time.
const BATCH: &str = "512";
/// How long one batch may take to move.
const MOVED_WITHIN_MS: &str = "60000";

/// A server that holds what a file has, for as long as it is read from.
pub(super) async fn load(install: &Install, file: &Path) -> Result<Server, Error> {
    let server = Start { install, password: None, dump: Some(file) }.alone().await?;
    let keyspace = server.connect().await?.text(&["INFO", "keyspace"]).await?;
    // `db0:keys=…`
    let databases = keyspace.lines().filter_map(|line| Some(line.strip_prefix("db")?.split_once(':')?.0));
    match databases.into_iter().find(|database| *database != "0") {
        Some(database) => Err(Error::Database { database: format!("database {database}") }),
        None => Ok(server),
    }
}

/// Copies everything that `source` holds.
pub(super) async fn spread(source: &Server, plan: &Plan, targets: &[Server]) -> Result<(), Error> {
    let mut client = source.connect().await?;
    functions(&mut client, targets).await?;
    let mut cursor = b"0".to_vec();
    loop {
        let scan: [&[u8]; 4] = [b"SCAN", &cursor, b"COUNT", BATCH.as_bytes()];
        let (next, keys) = scanned(&client.call(&scan).await?)?;
        for (slots, target) in plan.slots.iter().zip(targets) {
            let keys: Vec<&Vec<u8>> = keys.iter().filter(|key| slots.hold(key)).collect();
            if !keys.is_empty() {
                migrate(&mut client, target, &keys).await?;
            }
        }
        if next == b"0" {
            return Ok(());
        }
        cursor = next;
    }
}

fn scanned(answer: &OwnedFrame) -> Result<(Vec<u8>, Vec<Vec<u8>>), Error> {
    let unexpected =
        |answer: &OwnedFrame| Error::Refused { command: "SCAN".to_owned(), answer: format!("{answer:?}") };
    let OwnedFrame::Array(parts) = answer else { return Err(unexpected(answer)) };
    let [OwnedFrame::BulkString(cursor), OwnedFrame::Array(keys)] = parts.as_slice() else {
        return Err(unexpected(answer));
    };
    let keys = keys.iter().filter_map(|key| match key {
        OwnedFrame::BulkString(key) => Some(key.clone()),
        _ => None,
    });
    Ok((cursor.clone(), keys.collect()))
}

/// Server to server, with expiry times. What has expired meanwhile is left out (`NOKEY`).
async fn migrate(client: &mut Client, target: &Server, keys: &[&Vec<u8>]) -> Result<(), Error> {
    let port = target.port.to_string();
    let mut command: Vec<&[u8]> = vec![b"MIGRATE", b"127.0.0.1", port.as_bytes(), b"", b"0"];
    // A key is met twice if the hash table shrinks during the scan.
    command.extend([MOVED_WITHIN_MS.as_bytes(), b"COPY", b"REPLACE"]);
    if let Some(password) = target.password() {
        command.extend([b"AUTH".as_slice(), password.as_bytes()]);
    }
    command.push(b"KEYS");
    command.extend(keys.iter().map(|key| key.as_slice()));
    client.call(&command).await.map(|_| ())
}

/// Libraries are the same on every shard.
async fn functions(client: &mut Client, targets: &[Server]) -> Result<(), Error> {
    let OwnedFrame::BulkString(libraries) = client.call(&["FUNCTION", "DUMP"]).await? else {
        return Ok(());
    };
    for target in targets {
        let restore: [&[u8]; 4] = [b"FUNCTION", b"RESTORE", &libraries, b"REPLACE"];
        target.connect().await?.call(&restore).await?;
    }
    Ok(())
}
