//! Child processes that cannot outlive us.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::sync::watch;

use crate::Processes;

/// A process group that is killed when dropped, unless it has ended before.
pub struct Group {
    leader: Option<u32>,
    processes: Arc<dyn Processes>,
}

impl Group {
    /// That of a child that was started with a process group of its own.
    pub fn of(child: &Child, processes: Arc<dyn Processes>) -> Self {
        let leader = child.id();
        if let Some(leader) = leader {
            processes.adopt(leader);
        }
        Self { leader, processes }
    }

    /// Signals the leader alone: a server passes on what its children need.
    fn signal(&self, signal: Signal) {
        if let Some(leader) = self.pid() {
            // The only failure is that it has ended already.
            let _ = kill(leader, signal);
        }
    }

    /// Its leader was waited for: its number may belong to somebody else now.
    pub fn ended(&mut self) {
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

/// A server in a process group of its own. Dropping it kills it.
pub struct Process {
    /// True once the process is gone.
    ended: watch::Receiver<bool>,
    orders: watch::Sender<Option<Signal>>,
}

impl Process {
    /// Starts it.
    pub fn start(mut command: Command, processes: Arc<dyn Processes>) -> io::Result<Self> {
        let mut child = command.process_group(0).spawn()?;
        let mut group = Group::of(&child, processes);
        let (gone, ended) = watch::channel(false);
        let (orders, mut next) = watch::channel(None);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = child.wait() => break,
                    order = next.changed() => {
                        // No order means that the server was dropped.
                        let signal = order.ok().and_then(|()| *next.borrow_and_update());
                        group.signal(signal.unwrap_or(Signal::SIGKILL));
                        if signal.is_none() {
                            let _ = child.wait().await;
                            break;
                        }
                    }
                }
            }
            group.ended();
            gone.send_replace(true);
        });
        Ok(Self { ended, orders })
    }

    /// Whether the process is gone.
    pub fn has_ended(&self) -> bool {
        *self.ended.borrow()
    }

    /// Waits until the process is gone.
    pub async fn ended(&self) {
        // An error means that the task that would say so is gone, and with it the process.
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
    }

    /// Asks with `signal`, and kills what does not end within the time.
    pub async fn stop(&self, signal: Signal, within: Duration) {
        for signal in [signal, Signal::SIGKILL] {
            self.orders.send_replace(Some(signal));
            if tokio::time::timeout(within, self.ended()).await.is_ok() {
                return;
            }
        }
    }
}

/// A port of the loopback interface that nobody has at the moment. Another process may take it before a server does:
/// whoever starts one has to try again then.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
