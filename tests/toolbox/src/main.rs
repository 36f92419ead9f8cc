//! `cargo run -p toolbox -- cloud|build|shell`: installs a set and prints the folder of its commands, for `PATH`.

use std::io::Write;
use std::process::ExitCode;

use toolbox::{Progress, Set};

struct Lines;

impl Progress for Lines {
    fn step(&self, line: &str) {
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let set = match std::env::args().nth(1).as_deref() {
        Some("cloud") => Set::Cloud,
        Some("build") => Set::Build,
        Some("shell") => Set::Shell,
        _ => {
            let _ = writeln!(std::io::stderr(), "usage: toolbox cloud|build|shell");
            return ExitCode::from(2);
        }
    };
    match toolbox::install(set, &Lines).await {
        Ok(tools) => {
            let _ = writeln!(std::io::stdout(), "{}", tools.bin.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            let cause =
                std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            let _ = writeln!(std::io::stderr(), "{error}{cause}");
            ExitCode::FAILURE
        }
    }
}
