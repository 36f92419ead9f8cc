//! What was measured, as a table for a person and as JSON for a program.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use local_cloud::{Cloud, Measurement, Profile};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    story::{Comparison, Story},
    year::Shown,
};

/// All that was measured.
pub(crate) struct Report {
    story: Story,
    functions: BTreeMap<String, FunctionCost>,
    year: Shown,
}

/// What a function cost in this demo.
#[derive(Serialize)]
pub(crate) struct FunctionCost {
    invocations: usize,
    init_ms_median: f64,
    duration_ms_median: f64,
    peak_rss_bytes: u64,
    binary_bytes: u64,
}

/// What each deployed function cost so far.
pub(crate) async fn functions(cloud: &Cloud) -> Result<BTreeMap<String, FunctionCost>> {
    let mut costs = BTreeMap::new();
    for name in cloud.stack().functions.keys() {
        let measured = cloud.measurements(name).await?;
        let binary = toolbox::target().join(Profile::default().folder()).join(name);
        let binary_bytes =
            binary.metadata().with_context(|| format!("no binary at {}", binary.display()))?.len();
        costs.insert(name.clone(), cost(&measured, binary_bytes));
    }
    Ok(costs)
}

fn cost(measured: &[Measurement], binary_bytes: u64) -> FunctionCost {
    FunctionCost {
        invocations: measured.len(),
        init_ms_median: median(measured.iter().filter_map(|one| one.init_ms)),
        duration_ms_median: median(measured.iter().map(|one| one.duration_ms)),
        peak_rss_bytes: measured.iter().filter_map(|one| one.peak_rss_bytes).max().unwrap_or(0),
        binary_bytes,
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Whether a comparison found no difference.
fn held(comparison: &Comparison) -> bool {
    comparison.rows_expected == comparison.rows_restored
        && comparison.digests_match
        && comparison.commits_exact
}

impl Report {
    pub(crate) fn new(story: Story, functions: BTreeMap<String, FunctionCost>, year: Shown) -> Self {
        Self { story, functions, year }
    }

    /// Whether every check held.
    pub(crate) fn all_held(&self) -> bool {
        let heard = &self.story.heard;
        let (redis, turso) = (&self.story.redis, &self.story.turso);
        held(&self.story.pitr)
            && held(&self.story.copy)
            && redis.digest_matches
            && redis.aof.commands_exact
            && turso.digest_matches
            && self.story.drills.held()
            && heard.cleared
            && heard.duplicates == 0
            && self.year.held()
    }

    /// For a person.
    pub(crate) fn table(&self) -> String {
        let Story { pitr, copy, pitr_target, dropped_at, lost_seconds, .. } = &self.story;
        let mut restores = Table::new();
        restores.load_style(UTF8_FULL_CONDENSED);
        let seconds = |millis: i64| format!("{}.{:01} s", millis / 1000, millis % 1000 / 100);
        restores.set_header([
            "restored",
            "to the second before the DROP",
            &format!("the copy in {}", self.story.copy_region),
        ]);
        for row in [
            ["state", &format!("{pitr_target} (dropped {dropped_at})"), "the snapshot of the slot"],
            ["rows expected", &pitr.rows_expected.to_string(), &copy.rows_expected.to_string()],
            ["rows restored", &pitr.rows_restored.to_string(), &copy.rows_restored.to_string()],
            ["content of every table", same(pitr.digests_match), same(copy.digests_match)],
            ["commits by then, and no other", yes(pitr.commits_exact), "first so many, no gap"],
            ["commits lost", &format!("{lost_seconds:.2} s"), "all since the snapshot"],
            ["backed up in", &seconds(self.story.backup_duration_ms), &seconds(self.story.copy_duration_ms)],
            [
                "restored in",
                &seconds(self.story.restore_duration_ms),
                &seconds(self.story.copy_restore_duration_ms),
            ],
        ] {
            restores.add_row(row);
        }
        let others = self.others();
        let drills = self.drills();
        let heard = &self.story.heard;
        let mut alerts = Table::new();
        alerts.load_style(UTF8_FULL_CONDENSED);
        alerts.set_header(["a broken backup", "after"]);
        alerts.add_row(["one alert", &format!("{:.2} s from the refused call", heard.seconds_to_alert)]);
        alerts.add_row([
            "one all-clear",
            &format!("{:.2} s from the accepted one", heard.seconds_to_all_clear),
        ]);
        alerts.add_row(["anything said twice", if heard.duplicates == 0 { "no" } else { "YES" }]);
        let mut functions = Table::new();
        functions.load_style(UTF8_FULL_CONDENSED);
        functions.set_header([
            "function",
            "invocations",
            "cold start",
            "duration (median)",
            "peak memory",
            "binary",
        ]);
        for (name, cost) in &self.functions {
            // What had no work in this story has no figures but its size.
            let measured = |text: String| if cost.invocations == 0 { "–".to_owned() } else { text };
            functions.add_row([
                name.clone(),
                cost.invocations.to_string(),
                measured(format!("{:.0} ms", cost.init_ms_median)),
                measured(format!("{:.0} ms", cost.duration_ms_median)),
                measured(mebibytes(cost.peak_rss_bytes)),
                mebibytes(cost.binary_bytes),
            ]);
        }
        format!(
            "{restores}\n\n{others}\n\n{drills}\n\n{alerts}\n\n{}\n\n{functions}\n(functions built for a quick demo; `cargo bench -p bench` measures release builds)",
            self.year.table()
        )
    }

    /// Redis, its append-only directory, and Turso.
    fn others(&self) -> Table {
        let Story { redis, turso, .. } = &self.story;
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED);
        table.set_header(["restored", "Valkey, after FLUSHALL", "Turso, after DROP TABLE"]);
        for row in [
            ["expected", &format!("{} keys", redis.keys_expected), &format!("{} rows", turso.rows_expected)],
            ["restored", &format!("{} keys", redis.keys_restored), &format!("{} rows", turso.rows_restored)],
            [
                "content",
                if redis.digest_matches { "the same, key for key" } else { "DIFFERENT" },
                same(turso.digest_matches),
            ],
            ["copied by", &format!("an RDB, {}", redis.rdb_version), &turso.method],
            ["every byte inspected", &format!("{:.0} MB/s", redis.inspect_mb_per_s), "opened by SQLite"],
            [
                "append-only file, to the second",
                &format!(
                    "{}: the first command that is not there came at {}",
                    redis.aof.target, redis.aof.first_lost
                ),
                "",
            ],
        ] {
            table.add_row(row);
        }
        table
    }

    /// Drills, and what they found.
    fn drills(&self) -> Table {
        let drills = &self.story.drills;
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED);
        table.set_header(["drills", "what came of them"]);
        table
            .add_row(["of whole backups".to_owned(), format!("{} of {} passed", drills.passed, drills.held)]);
        let lost = drills
            .measured_loss_seconds
            .map_or("not measured".to_owned(), |lost| format!("at most {lost:.1} s"));
        table.add_row(["lost, by heartbeats".to_owned(), lost]);
        for (what, verdict) in &drills.caught {
            table.add_row([what.clone(), verdict.chars().take(110).collect()]);
        }
        let caught = drills.caught.len();
        table.add_row(["damage caught".to_owned(), format!("{caught} of {}", drills.corruptions_injected)]);
        table.add_row(["left behind".to_owned(), drills.leaked.to_string()]);
        table
    }

    /// For a program.
    pub(crate) fn json(&self) -> Value {
        let Story { pitr, copy, redis, turso, .. } = &self.story;
        json!({
            "all_held": self.all_held(),
            "rds": {
                "rows_expected": pitr.rows_expected,
                "rows_restored": pitr.rows_restored,
                "digest_matches": pitr.digests_match,
                "commits_exact": pitr.commits_exact,
                "pitr_target": self.story.pitr_target,
                "dropped_at": self.story.dropped_at,
                "lost_seconds": self.story.lost_seconds,
                "restore_duration_ms": self.story.restore_duration_ms,
                "backup_duration_ms": self.story.backup_duration_ms,
                "copy_duration_ms": self.story.copy_duration_ms,
                "copy_region": self.story.copy_region,
                "copy": {
                    "rows_expected": copy.rows_expected,
                    "rows_restored": copy.rows_restored,
                    "digest_matches": copy.digests_match,
                    "restore_duration_ms": self.story.copy_restore_duration_ms,
                },
            },
            "redis": {
                "keys_expected": redis.keys_expected,
                "keys_restored": redis.keys_restored,
                "digest_matches": redis.digest_matches,
                "rdb_version": redis.rdb_version,
                "inspect_mb_per_s": redis.inspect_mb_per_s,
                "restore_duration_ms": redis.restore_duration_ms,
            },
            "redis_aof": {
                "pitr_target": redis.aof.target,
                "first_lost_command_after_target": redis.aof.first_lost,
                "commands_exact": redis.aof.commands_exact,
            },
            "turso": {
                "rows_expected": turso.rows_expected,
                "rows_restored": turso.rows_restored,
                "digest_matches": turso.digest_matches,
                "method": turso.method,
                "restore_duration_ms": turso.restore_duration_ms,
            },
            "drill": {
                "engines": self.story.drills.engines,
                "held": self.story.drills.held,
                "passed": self.story.drills.passed,
                "corruptions_injected": self.story.drills.corruptions_injected,
                "corruptions_caught": self.story.drills.caught.len(),
                "measured_loss_seconds": self.story.drills.measured_loss_seconds,
                "restore_duration_ms": self.story.drills.restore_duration_ms,
                "leaked_resources": self.story.drills.leaked,
            },
            "alert": {
                "seconds_to_alert": self.story.heard.seconds_to_alert,
                "seconds_to_all_clear": self.story.heard.seconds_to_all_clear,
                "cleared": self.story.heard.cleared,
                "duplicates": self.story.heard.duplicates,
            },
            "retention": self.year.retention(),
            "report": self.year.report(),
            "functions": self.functions,
        })
    }
}

fn same(matches: bool) -> &'static str {
    if matches { "the same, row for row" } else { "DIFFERENT" }
}

fn yes(holds: bool) -> &'static str {
    if holds { "yes" } else { "NO" }
}

fn mebibytes(bytes: u64) -> String {
    format!("{}.{} MiB", bytes >> 20, ((bytes & 0xf_ffff) * 10) >> 20)
}
