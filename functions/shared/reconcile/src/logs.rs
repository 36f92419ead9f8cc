use std::{
    io::Write,
    sync::atomic::{AtomicBool, Ordering},
};

use serde_json::Value;
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, filter_fn},
    fmt,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// Whether this process is a function whose standard output somebody reads. A pass that a test runs is none.
static SERVING: AtomicBool = AtomicBool::new(false);

/// Sends `tracing` to standard output as JSON lines, in the shape that Lambda's JSON log control reads.
///
/// The level is Lambda's own `AWS_LAMBDA_LOG_LEVEL` (the template's `ApplicationLogLevel`), INFO by default.
pub(crate) fn start() {
    SERVING.store(true, Ordering::Relaxed);
    let level = std::env::var("AWS_LAMBDA_LOG_LEVEL")
        .ok()
        .and_then(|level| level.parse().ok())
        .unwrap_or(LevelFilter::INFO);
    // The runtime would log each returned error once more, where it was handled; its span, with the request id, stays.
    let ours = filter_fn(|metadata| metadata.is_span() || !metadata.target().starts_with("lambda_runtime"));
    let lines =
        fmt::layer().json().flatten_event(true).with_target(false).with_current_span(false).with_filter(ours);
    // A second subscriber (in tests) is no reason to fail.
    _ = tracing_subscriber::registry().with(level).with(lines).try_init();
}

/// Writes one metric line. It goes around `tracing`, whose envelope CloudWatch would not recognise.
pub(crate) fn metric_line(line: &Value) {
    if !SERVING.load(Ordering::Relaxed) {
        return;
    }
    let mut out = std::io::stdout().lock();
    // Standard output is Lambda's log pipe; when it is gone there is nobody left to tell.
    _ = writeln!(out, "{line}");
}
