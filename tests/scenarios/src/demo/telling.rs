//! What the person who watches sees: on standard error while it runs, the table at the end on standard output.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use local_cloud::{Cloud, Progress};

use crate::report::Report;

/// The teller, with its clock.
pub(crate) struct Telling {
    begun: Instant,
}

impl Telling {
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now() }
    }

    /// A new part of the story.
    pub(crate) fn chapter(&self, title: &str) {
        line(&format!("\n▸ {title}"));
    }

    /// Something that is so.
    pub(crate) fn fact(&self, fact: &str) {
        let seconds = self.begun.elapsed().as_secs_f64();
        line(&format!("  {seconds:6.1} s  {fact}"));
    }

    /// Somebody else's words.
    pub(crate) fn quote(&self, lines: &[String]) {
        for quoted in lines {
            line(&format!("           │ {quoted}"));
        }
    }

    pub(crate) fn up(&self, cloud: &Cloud) {
        let stack = cloud.stack();
        let functions: Vec<&str> = stack.functions.keys().map(String::as_str).collect();
        self.fact(&format!("up at {}: {} deployed by `sam deploy`", cloud.endpoint(), functions.join(", ")));
    }

    /// The functions' last lines, above the error that they may explain.
    pub(crate) fn logs(&self, lines: &[String]) {
        for logged in lines {
            line(&format!("  {logged}"));
        }
    }

    pub(crate) fn failed(&self, error: &anyhow::Error) {
        line(&format!("\n✗ {error:#}"));
    }

    pub(crate) fn finish(&self, report: &Report) {
        let verdict = if report.all_held() { "✓ every check held" } else { "✗ a check did not hold" };
        let took = Duration::from_secs(self.begun.elapsed().as_secs());
        // Whoever pipes us into `head` has seen enough.
        _ = writeln!(std::io::stdout().lock(), "\n{}\n{verdict}, in {took:?}", report.table());
    }
}

fn line(text: &str) {
    // Whoever closed standard error does not want to hear.
    _ = writeln!(std::io::stderr().lock(), "{text}");
}

impl Progress for Telling {
    fn step(&self, line: &str) {
        self.fact(line);
    }
}
