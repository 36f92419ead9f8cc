use rstest::rstest;

use super::*;

/// A base made at 03:00:00, and an increment with a command of 10:00:00, one of 10:00:05 and one of 11:00:00.
fn archive(world: &World) -> RecoveryPointId {
    // A base may be commands as well.
    let base = format!("#TS:{}\r\n{}", at("2026-11-22T03:00:00Z").as_second(), set("base"));
    let commands =
        [("2026-11-22T10:00:00Z", "a"), ("2026-11-22T10:00:05Z", "b"), ("2026-11-22T11:00:00Z", "c")];
    let commands = commands.map(|(when, key)| format!("#TS:{}\r\n{}", at(when).as_second(), set(key)));
    let increment = commands.concat();
    let manifest =
        "file appendonly.aof.1.base.aof seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n";
    let files = vec![
        ("appendonly.aof.1.base.aof".to_owned(), Bytes::from(base)),
        ("appendonly.aof.1.incr.aof".to_owned(), Bytes::from(increment)),
        ("appendonly.aof.manifest".to_owned(), Bytes::from(manifest)),
    ];
    let source = Map::from_iter([("kind".to_owned(), json!("append-only"))]);
    let (from, to) = ("2026-11-22T03:00:00Z", Some("2026-11-22T11:00:00Z"));
    world.put("carts", "append-only", "2026-11-22T11:30:00Z", from, to, source, &files)
}

fn set(key: &str) -> String {
    format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n$1\r\n1\r\n", key.len())
}

fn carts(to: &str) -> Value {
    json!({"resource": "redis/carts", "to": to, "as": "carts-2"})
}

fn file(world: &World, name: &str) -> Option<String> {
    let body = world.exports().objects().get(&format!("restores/carts-2/appendonlydir/{name}")).cloned()?;
    Some(String::from_utf8(body.to_vec()).unwrap())
}

#[rstest]
#[case("2026-11-22T10:00:00Z", Some(1))]
#[case("2026-11-22T10:00:04.9Z", Some(1))]
#[case("2026-11-22T10:00:05Z", Some(2))]
#[case("2026-11-22T10:59:59Z", Some(2))]
#[case("2026-11-22T11:00:00Z", Some(3))]
#[case("latest", Some(3))]
#[case("2026-11-22T03:00:00Z", None)]
#[tokio::test]
async fn it_is_as_it_was_at_the_second(#[case] to: &str, #[case] commands: Option<usize>) {
    let world = World::new();
    let id = archive(&world);
    let before = world.untouched().await;
    let answer = world.ask(carts(to)).await.unwrap();
    assert_eq!(answer["recovery_point"], json!(id), "it was made after the second, and reaches back to it");
    assert_eq!(
        answer["commands"][0],
        "aws s3 sync s3://exports/restores/carts-2/appendonlydir/ ./appendonlydir"
    );
    let increment = file(&world, "appendonly.aof.1.incr.aof");
    assert_eq!(increment.map(|text| text.matches("SET").count()), commands);
    assert!(file(&world, "appendonly.aof.1.base.aof").is_some());
    let manifest = file(&world, "appendonly.aof.manifest").unwrap();
    assert_eq!(manifest.contains("incr"), commands.is_some());
    assert_eq!(world.untouched().await, before);
    assert_eq!(world.tick().await.unfinished, 0);
    assert_eq!(world.completed().unwrap()["directory"], "s3://exports/restores/carts-2/appendonlydir/");
}

#[rstest]
#[case::before_the_base("2026-11-22T02:59:59Z", "OutsideRecoveryPoints", "no recovery point")]
#[case::after_the_end(
    "2026-11-22T11:40:00Z",
    "OutsidePitrWindow",
    "every second from 2026-11-22T03:00:00Z to 2026-11-22T11:00:00Z"
)]
#[tokio::test]
async fn another_second_is_refused_with_what_is_possible(
    #[case] to: &str,
    #[case] code: &str,
    #[case] says: &str,
) {
    let world = World::new();
    archive(&world);
    let error = world.ask(carts(to)).await.unwrap_err();
    assert_eq!(error.code(), code, "{}", error.report());
    assert!(error.report().contains(says), "{}", error.report());
    assert!(world.exports().objects().is_empty());
}

#[tokio::test]
async fn nothing_is_written_over_another_second() {
    let mut world = World::new();
    archive(&world);
    world.ask(carts("2026-11-22T10:00:00Z")).await.unwrap();
    let before = world.exports().objects();
    assert_eq!(world.ask(carts("2026-11-22T11:00:00Z")).await.unwrap_err().code(), "NameTaken");
    world.tick().await;
    world.later(60);
    assert_eq!(
        world.ask(carts("2026-11-22T11:00:00Z")).await.unwrap_err().code(),
        "NameTaken",
        "it is over, and there"
    );
    // The document is lost: the files are in the way all the same.
    world.documents.remove("restores/redis/us-east-1/carts-2.json");
    assert_eq!(world.ask(carts("2026-11-22T11:00:00Z")).await.unwrap_err().code(), "NameTaken");
    assert_eq!(world.exports().objects(), before);
}

#[tokio::test]
async fn a_flipped_bit_in_the_vault_ends_it() {
    let world = World::new();
    let id = archive(&world);
    let prefix = point_prefix(&ResourceId::redis("carts"), Slot::at(at("2026-11-22T11:30:00Z")), &id);
    assert!(world.vault.corrupt(&format!("{prefix}appendonly.aof.1.incr.aof"), 30));
    let error = world.ask(carts("2026-11-22T11:00:00Z")).await.unwrap_err();
    assert_eq!(error.code(), "ChecksumMismatch");
    assert!(file(&world, "appendonly.aof.manifest").is_none(), "a server would load it");
}
