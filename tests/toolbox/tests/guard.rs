//! The guard: whatever happens to us, nothing that we started stays.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use toolbox::Guard;

const FOLDER: &str = "TOOLBOX_TEST_FOLDER";

fn python() -> PathBuf {
    PathBuf::from(std::env::var_os("TIDEMARK_PYTHON").unwrap_or_else(|| "python3".into()))
}

/// A process group of two processes that do not end by themselves and ignore a polite request.
fn stubborn() -> Child {
    Command::new("sh")
        .args(["-c", "trap '' TERM; sleep 600 & echo ready; while :; do wait; done"])
        .process_group(0)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn is_ready(child: &mut Child) {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line.trim(), "ready");
}

/// Whether any process of the group still runs (a zombie does not).
fn group_runs(group: u32) -> bool {
    let is_alive = |state: &str, of: &str| of == group.to_string() && !state.starts_with('Z');
    if let Ok(processes) = std::fs::read_dir("/proc") {
        // `ps` is not in every Linux image. After the name, which may hold anything: state, parent, group.
        return processes
            .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("stat")).ok())
            .any(|stat| {
                let words: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
                is_alive(words[0], words[2])
            });
    }
    let output = Command::new("ps").args(["-A", "-o", "stat=,pgid="]).output().unwrap();
    let listing = String::from_utf8(output.stdout).unwrap();
    assert!(!listing.is_empty());
    listing.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        is_alive(words[0], words[1])
    })
}

fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "not within 20 s: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Not a test by itself: the parent that the next test kills.
#[test]
#[ignore = "run by parent_killed_leaves_nothing"]
fn parent() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let guard = Guard::start(&python()).unwrap();
    let mut child = stubborn();
    is_ready(&mut child);
    guard.adopt(child.id());
    guard.adopt_folder(Path::new(&folder));
    let mut out = std::io::stderr();
    writeln!(out, "group {}", child.id()).unwrap();
    child.wait().unwrap();
}

#[test]
fn parent_killed_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("file"), "x").unwrap();
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "parent", "--ignored", "--nocapture"])
        .env(FOLDER, &data)
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let group: u32 = BufReader::new(parent.stderr.take().unwrap())
        .lines()
        .find_map(|line| line.unwrap().strip_prefix("group ").map(|number| number.parse().unwrap()))
        .unwrap();
    assert!(group_runs(group));
    // SIGKILL: the parent has no chance to clean up.
    parent.kill().unwrap();
    parent.wait().unwrap();
    eventually("the group is gone", || !group_runs(group));
    eventually("the folder is gone", || !data.exists());
}

#[test]
fn dropped_guard_ends_what_it_has_and_nothing_else() {
    let guard = Guard::start(&python()).unwrap();
    let (mut mine, mut released) = (stubborn(), stubborn());
    is_ready(&mut mine);
    is_ready(&mut released);
    guard.adopt(mine.id());
    guard.adopt(released.id());
    guard.release(released.id());
    drop(guard);
    mine.wait().unwrap();
    assert!(!group_runs(mine.id()));
    assert!(group_runs(released.id()));
    Command::new("kill").args(["-9", "--", &format!("-{}", released.id())]).status().unwrap();
    released.wait().unwrap();
}
