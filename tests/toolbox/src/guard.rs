//! The crash guard: a small process that outlives this one by a moment.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use crate::Error;

const SCRIPT: &str = include_str!("guard.py");

/// Ends every adopted process group, and removes every adopted folder, once this process is gone, however it went.
///
/// Dropping the guard does the same at once.
#[derive(Debug)]
pub struct Guard {
    /// `None` only while dropping.
    orders: Mutex<Option<ChildStdin>>,
    child: Mutex<Child>,
}

impl Guard {
    /// Starts the guard with any Python 3 (only its standard library is used).
    pub fn start(python: &Path) -> Result<Self, Error> {
        let mut child = Command::new(python)
            // Isolated and without site-packages: quicker, and nobody's environment can change it.
            .args(["-I", "-S", "-c", SCRIPT])
            .process_group(0)
            .stdin(Stdio::piped())
            // Not ours: whoever waits for our output to end would otherwise wait for the guard.
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|source| Error::Run { program: python.to_owned(), source })?;
        let orders = child.stdin.take();
        Ok(Self { orders: Mutex::new(orders), child: Mutex::new(child) })
    }

    /// From now on, this process group ends with us.
    pub fn adopt(&self, process_group: u32) {
        self.order(&format!("add {process_group}\n"));
    }

    /// This process group has ended by itself: its number may belong to somebody else now.
    pub fn release(&self, process_group: u32) {
        self.order(&format!("remove {process_group}\n"));
    }

    /// From now on, this folder is removed when we end.
    pub fn adopt_folder(&self, folder: &Path) {
        self.order(&format!("folder {}\n", folder.display()));
    }

    /// This folder stays, although it was adopted.
    pub fn release_folder(&self, folder: &Path) {
        self.order(&format!("keep {}\n", folder.display()));
    }

    fn order(&self, line: &str) {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(orders) = orders.as_mut() {
            // A guard that somebody killed cannot be told; the orderly stop still works without it.
            let _ = orders.write_all(line.as_bytes());
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.orders.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let _ = self.child.get_mut().unwrap_or_else(PoisonError::into_inner).wait();
    }
}
