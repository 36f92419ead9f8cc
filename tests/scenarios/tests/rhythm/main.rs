//! How long it takes from a failure to its alert, on the rhythm of the deployed schedules and a simulated clock: the real
//! functions over an account in memory, woken as EventBridge and Lambda wake them, many times with other phases.
//!
//! What AWS takes by itself is taken at its worst: Scheduler fires at any second of the minute (EventBridge Scheduler guide:
//! "60-second precision"), events are delivered within 5 s or not at all, RDS's own within 60 s.

#![allow(
    clippy::unwrap_used,
    clippy::unnecessary_wraps,
    reason = "a panic is how a test fails, and failures share a shape"
)]

mod failures;
mod functions;
mod points;
mod world;

use std::{sync::Mutex, thread};

use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use scenarios::show;
use tokio::runtime::Builder;

use crate::{
    failures::{Failure, failures},
    world::World,
};

const PHASES: usize = 60;

/// Seconds from that failure to its alert in each phase, the shortest first. Each failure has phases of its own.
fn play(number: usize, failure: &Failure) -> Vec<i64> {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let seeds = (0..PHASES).map(|phase| (number * PHASES + phase) as u64);
    let plays = seeds.map(|seed| runtime.block_on(World::before(failure, seed).play(failure)));
    let mut took: Vec<i64> = plays.collect();
    took.sort_unstable();
    took
}

/// The same of all of them, a few at a time.
fn play_all() -> Vec<(&'static Failure, Vec<i64>)> {
    let (waiting, played) = (Mutex::new(failures().enumerate()), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let next = waiting.lock().unwrap().next();
            let Some((number, failure)) = next else { return };
            let took = play(number, failure);
            played.lock().unwrap().push((number, failure, took));
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let mut played = played.into_inner().unwrap();
    played.sort_unstable_by_key(|(number, ..)| *number);
    played.into_iter().map(|(_, failure, took)| (failure, took)).collect()
}

/// Median, 90 %, longest.
fn figures(took: &[i64]) -> [i64; 3] {
    [took[took.len() / 2], took[took.len() * 9 / 10], took[took.len() - 1]]
}

#[test]
fn everything_that_fails_is_told_within_five_minutes_and_half_of_it_within_one() {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["from the failure to SNS", "median", "90%", "longest"]);
    let mut row = |name: &str, figures: [i64; 3]| {
        table.add_row(
            [vec![name.to_owned()], figures.map(|seconds| format!("{seconds} s")).to_vec()].concat(),
        );
    };
    let mut all = Vec::new();
    let mut slow = Vec::new();
    for (failure, took) in play_all() {
        let [median, most, longest] = figures(&took);
        row(failure.name, [median, most, longest]);
        if median >= 60 || longest >= 300 {
            slow.push(failure.name);
        }
        all.extend(took);
    }
    all.sort_unstable();
    row("all together", figures(&all));
    show(&format!(
        "{table}\n({PHASES} phases of each; simulated clock; a failure counts from when it is one, not from when its grace began)"
    ));
    assert!(slow.is_empty(), "too slow: {slow:?}");
}
