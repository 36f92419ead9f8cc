//! `cargo bench -p bench --bench retention`: how long it takes to decide what becomes of a million recovery points of 10,000
//! resources, on one thread, and in how much memory.

use std::{io::Write, time::Instant};

use anyhow::{Context, Result, ensure};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use domain::{
    RecoveryPointId, Retention, Slot,
    retention::{Candidate, Policy, Worth, plan},
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

const RESOURCES: usize = 10_000;
const POINTS: i64 = 100;
const RUNS: usize = 9;

fn main() -> Result<()> {
    let now: Timestamp = "2026-11-22T12:00:00Z".parse()?;
    let resources: Vec<Vec<Candidate>> = (0..RESOURCES).map(|resource| candidates(resource, now)).collect();
    let held = peak()?;

    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["calendar", "median", "fastest", "slowest", "kept", "memory of the decisions"]);
    for zone in ["UTC", "Europe/Berlin"] {
        let policy = Policy { keep: Retention::default(), time_zone: TimeZone::get(zone)? };
        let (mut times, mut kept, mut memory) = (Vec::new(), 0, 0);
        for _ in 0..RUNS {
            let begun = Instant::now();
            let decisions: Vec<_> =
                resources.iter().map(|candidates| plan(candidates, &policy, now)).collect();
            times.push(begun.elapsed());
            kept = decisions.iter().flatten().filter(|decision| decision.is_kept()).count();
            memory = peak()?.saturating_sub(held);
        }
        times.sort();
        ensure!(kept > RESOURCES && kept < RESOURCES * 40, "{kept} are kept");
        let [median, fastest, slowest] = [times[RUNS / 2], times[0], times[RUNS - 1]]
            .map(|time| format!("{:.0} ms", time.as_secs_f64() * 1e3));
        let memory = format!("{:.0} MiB", megabytes(memory));
        table.add_row([zone.to_owned(), median, fastest, slowest, kept.to_string(), memory]);
    }
    let count = resources.iter().map(Vec::len).sum::<usize>();
    writeln!(
        std::io::stdout(),
        "{count} recovery points of {RESOURCES} resources, which themselves take {:.0} MiB; {RUNS} runs each\n{table}",
        megabytes(held)
    )?;
    Ok(())
}

/// One each six hours for the last weeks, one each day before, and now and then none.
fn candidates(resource: usize, now: Timestamp) -> Vec<Candidate> {
    let name = format!("database-{resource}");
    let hours = |point: i64| if point < 40 { 6 * point } else { 24 * (point - 30) };
    let one = |point: i64| {
        let slot = Slot::at(now - SignedDuration::from_hours(hours(point)));
        Candidate {
            id: RecoveryPointId::new(&name, "db-ABC", slot, 1),
            slot,
            worth: if point % 11 == 3 { [Some(Worth::Failed), None] } else { [Some(Worth::Verified); 2] },
            made_at: slot.instant(),
            is_held: false,
            is_ours: true,
            is_copied: false,
        }
    };
    (0..POINTS).map(one).collect()
}

/// The most that this process ever held (`proc_pid_status(5)`, `VmHWM`), in bytes.
fn peak() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kilobytes = line.split_whitespace().next().context("an empty VmHWM")?;
    Ok(kilobytes.parse::<u64>()? * 1024)
}

#[expect(clippy::cast_precision_loss, reason = "sizes of processes")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
