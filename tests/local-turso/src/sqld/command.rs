//! A process group that cannot outlive us.

use std::sync::Arc;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::process::Child;

use crate::Processes;

/// A process group that is killed when dropped, unless it has ended before.
pub(super) struct Group {
    leader: Option<u32>,
    processes: Arc<dyn Processes>,
}

impl Group {
    pub(super) fn of(child: &Child, processes: Arc<dyn Processes>) -> Self {
        let leader = child.id();
        if let Some(leader) = leader {
            processes.adopt(leader);
        }
        Self { leader, processes }
    }

    pub(super) fn signal(&self, signal: Signal) {
        if let Some(leader) = self.pid() {
            // The only failure is that it has ended already.
            let _ = kill(leader, signal);
        }
    }

    /// Its leader was waited for: its number may belong to somebody else now.
    pub(super) fn ended(&mut self) {
        if let Some(leader) = self.leader.take() {
            self.processes.release(leader);
        }
    }

    fn pid(&self) -> Option<Pid> {
        self.leader.and_then(|leader| i32::try_from(leader).ok()).map(Pid::from_raw)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.pid() {
            let _ = killpg(leader, Signal::SIGKILL);
            self.ended();
        }
    }
}
