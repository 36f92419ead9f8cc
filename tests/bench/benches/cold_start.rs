//! `cargo bench -p bench`: cold start, memory and size of each function, as deployed.
//!
//! With `--profile dev` the harness itself is compiled in seconds; what it measures is built for release all the same.

use std::{io::Write, time::Duration};

use anyhow::Result;
use bench::{ColdStart, cold_start, deployed, zip_bytes};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};

/// How often each function is started.
const STARTS: usize = 41;

/// Where this machine keeps its certificates; a Lambda has them at `/etc/pki/tls/certs/ca-bundle.crt`.
const BUNDLES: [&str; 2] = ["/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/certs/ca-certificates.crt"];

#[tokio::main]
async fn main() -> Result<()> {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header([
        "function",
        "to first poll: median",
        "min",
        "90%",
        "with SSL_CERT_FILE",
        "peak memory",
        "binary",
        "zip",
    ]);
    for (name, binary) in deployed()? {
        let plain = starts(&binary, &[]).await?;
        let bundle = BUNDLES.into_iter().find(|bundle| std::path::Path::new(bundle).exists());
        let with_file = match bundle {
            Some(bundle) => {
                milliseconds(quantile(&starts(&binary, &[("SSL_CERT_FILE", bundle)]).await?, 0.5))
            }
            None => "no bundle here".to_owned(),
        };
        let peak = plain.iter().filter_map(|start| start.peak_bytes).max();
        table.add_row([
            name,
            milliseconds(quantile(&plain, 0.5)),
            milliseconds(quantile(&plain, 0.0)),
            milliseconds(quantile(&plain, 0.9)),
            with_file,
            peak.map_or_else(|| "?".to_owned(), mebibytes),
            mebibytes(binary.metadata()?.len()),
            mebibytes(zip_bytes(&binary)?),
        ]);
    }
    writeln!(std::io::stdout(), "{STARTS} starts each, built for release\n{table}")?;
    Ok(())
}

async fn starts(binary: &std::path::Path, extra: &[(&str, &str)]) -> Result<Vec<ColdStart>> {
    // One that does not count: the first reads the binary from the disk.
    cold_start(binary, extra).await?;
    let mut starts = Vec::with_capacity(STARTS);
    for _ in 0..STARTS {
        starts.push(cold_start(binary, extra).await?);
    }
    starts.sort_by_key(|start| start.to_first_poll);
    Ok(starts)
}

/// Of sorted starts.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "41 starts"
)]
fn quantile(starts: &[ColdStart], part: f64) -> Duration {
    starts[((starts.len() - 1) as f64 * part) as usize].to_first_poll
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}

#[expect(clippy::cast_precision_loss, reason = "sizes of binaries")]
fn mebibytes(bytes: u64) -> String {
    format!("{:.2} MiB", bytes as f64 / f64::from(1 << 20))
}
