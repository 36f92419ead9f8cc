use super::world::{World, rdb};

const PLACE: &str = "sessions/appendonlydir/";

fn world() -> World {
    let mut world = World::new(&[]);
    r#"{"plans": {"default": {"redis": {"append_only": {"sessions": "s3://archive/sessions/appendonlydir/"}}}}}"#
        .clone_into(&mut world.plans);
    world
}

fn command(at: Option<i64>, value: &str) -> String {
    let stamp = at.map(|at| format!("#TS:{at}\r\n")).unwrap_or_default();
    format!("{stamp}*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${}\r\n{value}\r\n", value.len())
}

fn manifest(number: u32) -> String {
    format!(
        "file appendonly.aof.{number}.base.rdb seq {number} type b\nfile appendonly.aof.{number}.incr.aof seq {number} type i\n"
    )
}

fn put(world: &World, name: &str, body: impl Into<Vec<u8>>) {
    world.archive.put(&format!("{PLACE}{name}"), body.into());
}

/// As the timer uploads it: files, then the manifest.
fn sync(world: &World, number: u32, commands: &str) {
    put(world, &format!("appendonly.aof.{number}.base.rdb"), rdb(7));
    put(world, &format!("appendonly.aof.{number}.incr.aof"), commands);
    put(world, "appendonly.aof.manifest", manifest(number));
}

/// 2026-11-22T05:59:00Z
const BEFORE: i64 = 1_795_327_140;

#[tokio::test]
async fn an_archive_reaches_to_the_second_of_its_last_command() {
    let mut world = world();
    sync(&world, 1, &(command(Some(BEFORE - 60), "a") + &command(Some(BEFORE + 120), "b")));
    world.settle().await;
    let [manifest] = world.manifests().try_into().unwrap();
    assert_eq!(manifest.method, "append-only");
    assert_eq!(manifest.restorable_to.unwrap(), "2026-11-22T06:01:00Z".parse().unwrap());
    assert_eq!(manifest.objects.len(), 3);
    assert_eq!(
        (&manifest.content["keys"], &manifest.content["increments"][0]["commands"]),
        (&7.into(), &2.into())
    );
    assert_eq!(world.ledger_kinds(), ["recovery-point-completed", "copy-completed"]);
    assert!(world.board().is_empty());
}

#[tokio::test]
async fn without_times_it_is_whole_and_reaches_to_no_second() {
    let mut world = world();
    sync(&world, 1, &command(None, "a"));
    world.settle().await;
    world.tick().await;
    assert_eq!(world.manifests()[0].restorable_to, None);
    assert_eq!(world.conditions(), ["append-only-without-times"]);
    assert!(world.board()[0].next.contains("aof-timestamp-enabled"));
}

#[tokio::test]
async fn a_sync_that_has_stopped_is_told_of_and_an_idle_server_is_not() {
    let mut world = world();
    sync(&world, 1, &command(Some(BEFORE - 2 * 86_400), "a"));
    // The base is of 06:00; only days later the directory is behind.
    world.now = "2026-11-24T06:00:10Z".parse().unwrap();
    world.settle().await;
    world.tick().await;
    assert_eq!(world.conditions(), ["append-only-behind"]);
    world.later();
    put(&world, "tidemark-synced", "");
    world.tick().await;
    assert!(world.board().is_empty(), "nothing is written to it, and the timer runs");
}

#[tokio::test]
async fn a_sync_that_stops_between_two_slots_is_told_of_once_the_objective_is_exceeded() {
    let mut world = world();
    sync(&world, 1, &command(Some(BEFORE + 120), "a"));
    world.now = "2026-11-22T12:00:10Z".parse().unwrap();
    world.settle().await;
    for (now, told) in [("2026-11-22T13:59:00Z", 0), ("2026-11-22T14:05:00Z", 1)] {
        world.now = now.parse().unwrap();
        world.tick().await;
        assert_eq!(world.conditions(), ["append-only-behind"][..told], "{now}");
    }
    assert!(world.board()[0].says.contains("Nothing has come"), "{}", world.board()[0].says);
}

#[tokio::test]
async fn files_that_change_while_they_are_copied_are_chosen_anew() {
    let mut world = world();
    sync(&world, 1, &command(Some(BEFORE), "a"));
    // It is rewritten, and the old files are deleted before the copy.
    let changed = reconcile::Error::permanent("PreconditionFailed", "it changed");
    world.vault.refuse_next("copy", changed);
    assert_eq!(World::actions(&world.tick().await), ["take-in"]);
    world.archive.remove(&format!("{PLACE}appendonly.aof.1.base.rdb"));
    world.archive.remove(&format!("{PLACE}appendonly.aof.1.incr.aof"));
    sync(&world, 2, &command(Some(BEFORE), "b"));
    world.settle().await;
    let [manifest] = world.manifests().try_into().unwrap();
    assert!(manifest.object("appendonly.aof.2.base.rdb").is_some());
    assert_eq!(manifest.objects.len(), 3);
}

#[tokio::test]
async fn an_increment_that_grew_after_it_was_copied_makes_another_attempt() {
    let mut world = world();
    sync(&world, 1, &command(Some(BEFORE), "a"));
    // The increment is copied, the base is not; then the increment grows.
    world.vault.lose_answer_of_next("copy");
    world.tick().await;
    sync(&world, 1, &(command(Some(BEFORE), "a") + &command(Some(BEFORE + 1), "b")));
    world.settle().await;
    let [manifest] = world.manifests().try_into().unwrap();
    assert!(manifest.id.as_str().ends_with("-2"), "{}", manifest.id);
    assert_eq!(manifest.content["increments"][0]["commands"], 2);
}

#[tokio::test]
async fn a_missing_file_is_no_backup() {
    let mut world = world();
    put(&world, "appendonly.aof.1.base.rdb", rdb(7));
    put(&world, "appendonly.aof.manifest", manifest(1));
    assert_eq!(world.tick().await.take_error().unwrap().code(), "ArchiveIncomplete");
    assert!(world.manifests().is_empty() && world.ledger_kinds().is_empty(), "the files may still come");
    world.wait(std::time::Duration::from_hours(2));
    world.tick().await;
    assert_eq!(world.ledger_kinds(), ["recovery-point-failed-ArchiveIncomplete"], "and then it is told");
    put(&world, "appendonly.aof.1.incr.aof", "");
    world.settle().await;
    assert_eq!(world.manifests().len(), 1, "an increment may be empty");
}

#[tokio::test]
async fn a_broken_increment_or_base_is_corrupt() {
    for (base, increment) in
        [(rdb(7), "*3\r\nnonsense\r\n".to_owned()), (b"REDIS00".to_vec(), command(None, "a"))]
    {
        let mut world = world();
        sync(&world, 1, &increment);
        put(&world, "appendonly.aof.1.base.rdb", base);
        world.tick().await;
        assert_eq!(world.ledger_kinds(), ["recovery-point-failed-AppendOnlyCorrupt"]);
        world.later();
        assert!(world.manifests().is_empty());
    }
}

#[tokio::test]
async fn a_torn_tail_is_what_a_copy_of_a_running_server_has() {
    let mut world = world();
    sync(&world, 1, &(command(Some(BEFORE), "a") + "*3\r\n$3\r\nSE"));
    world.settle().await;
    assert_eq!(world.manifests()[0].content["increments"][0]["torn_bytes"], 10);
}

#[tokio::test]
async fn a_manifest_that_leads_elsewhere_is_refused() {
    let world = world();
    put(&world, "appendonly.aof.manifest", "file ../../secret seq 1 type b\n");
    assert_eq!(world.tick().await.take_error().unwrap().code(), "ArchiveUnfit");
    put(&world, "other.manifest", manifest(1));
    assert_eq!(world.tick().await.take_error().unwrap().code(), "ArchiveUnfit");
    assert!(world.vault.objects().is_empty());
}

#[tokio::test]
async fn an_empty_place_and_elasticache_that_is_down_are_two_things() {
    let world = world();
    let down = reconcile::Error::retryable("ServiceUnavailable", "down");
    world.account.refuse_next("DescribeCaches", down);
    let mut summary = world.tick().await;
    let report = summary.take_error().unwrap().report();
    assert!(report.contains("down") && report.contains("there is nothing at s3://archive/"), "{report}");
}
