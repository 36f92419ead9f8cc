//! The last part: a year in some milliseconds, and the page that is made of it.

use std::path::PathBuf;

use anyhow::{Context, Result};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use scenarios::year;
use serde_json::{Value, json};

use crate::telling::Telling;

/// What a simulated year came to, and where its page is.
pub(crate) struct Shown {
    points: usize,
    kept: usize,
    expired: usize,
    plan_ms: f64,
    floor_violations: usize,
    path: PathBuf,
}

/// Simulates the year, and writes its page and JSON.
pub(crate) fn show(telling: &Telling) -> Result<Shown> {
    telling.chapter(
        "A year of slots, simulated: some fail, each day it is decided what is kept, and the rest goes",
    );
    let year = year::simulate()?;
    let folder = toolbox::target().join("demo");
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::create_dir_all(&folder)
            .and_then(|()| std::fs::write(&path, text))
            .with_context(|| format!("cannot write {}", path.display()))?;
        anyhow::Ok(path)
    };
    write("report.json", year.report.to_json())?;
    let path = write("report.html", report::html(&year.report))?;
    let shown = Shown {
        points: year.points,
        kept: year.kept,
        expired: year.expired,
        plan_ms: year.planned_in.as_secs_f64() * 1e3,
        floor_violations: year.floor_violations,
        path,
    };
    telling.fact(&format!(
        "{} recovery points were made, {} are kept, {} expired; 365 plans took {:.0} ms",
        shown.points, shown.kept, shown.expired, shown.plan_ms
    ));
    telling.fact(&format!("what a person sees of it: {}", shown.path.display()));
    Ok(shown)
}

impl Shown {
    /// Whether nothing went that must be kept.
    pub(crate) fn held(&self) -> bool {
        self.floor_violations == 0 && self.kept + self.expired == self.points && self.kept > 0
    }

    pub(crate) fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED);
        table.set_header(["a year of slots, simulated", ""]);
        for row in [
            ["made, kept, expired", &format!("{}, {}, {}", self.points, self.kept, self.expired)],
            ["deciding, 365 times", &format!("{:.0} ms", self.plan_ms)],
            ["what must be kept and was not", &self.floor_violations.to_string()],
            ["open it in a browser", &self.path.display().to_string()],
        ] {
            table.add_row(row);
        }
        table
    }

    pub(crate) fn retention(&self) -> Value {
        json!({
            "points": self.points,
            "kept": self.kept,
            "expired": self.expired,
            "plan_ms": self.plan_ms,
            "floor_violations": self.floor_violations,
        })
    }

    pub(crate) fn report(&self) -> Value {
        json!({"path": self.path})
    }
}
