//! `cargo bench -p bench --bench report`: how long a page takes, how large it becomes, and in how much memory.

use std::{io::Write, time::Instant};

use anyhow::{Context, Result, ensure};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use report::{fixture, html};

const RUNS: usize = 9;
/// What a page of 1,000 resources may have.
const MOST: usize = 5_000_000;

fn main() -> Result<()> {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["resources", "median", "slowest", "page", "JSON", "memory beside the report"]);
    for count in [1, 30, 300, 1_000, 3_000] {
        let report = fixture::report(count, 7);
        let held = peak()?;
        let (mut times, mut size) = (Vec::new(), 0);
        for _ in 0..RUNS {
            let begun = Instant::now();
            size = html(&report).len();
            times.push(begun.elapsed());
        }
        let memory = peak()?.saturating_sub(held);
        times.sort();
        ensure!(count > 1_000 || size < MOST, "the page of {count} resources has {size} bytes");
        let [median, slowest] =
            [times[RUNS / 2], times[RUNS - 1]].map(|time| format!("{:.1} ms", time.as_secs_f64() * 1e3));
        let [page, json] = [size, report.to_json().len()].map(|bytes| format!("{} kB", bytes / 1_000));
        table.add_row([count.to_string(), median, slowest, page, json, format!("{} kB", memory / 1_000)]);
    }
    writeln!(std::io::stdout(), "{RUNS} runs each\n{table}")?;
    Ok(())
}

/// The most memory that this process ever held (`proc_pid_status(5)`, `VmHWM`).
fn peak() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).context("no VmHWM")?;
    let kilobytes: u64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
    Ok(kilobytes * 1_024)
}
