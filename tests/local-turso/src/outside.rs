//! What the control plane needs from the rest of the local cloud: the process guard, and who decides about calls.

use futures::future::BoxFuture;

use crate::Call;

/// The guard that ends every child process should this one die.
pub trait Processes: Send + Sync {
    /// A process group was started.
    fn adopt(&self, process_group: u32);
    /// It has ended.
    fn release(&self, process_group: u32);
}

/// What becomes of a call that has not taken effect yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Go,
    /// It is refused with Turso's error document.
    Refuse {
        /// HTTP status.
        status: u16,
        /// The text of `error`.
        message: String,
    },
    /// The connection is closed.
    Cut,
}

/// What becomes of the answer to a call that has taken effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Onward {
    /// It is given.
    Answer,
    /// It is lost: the connection is closed.
    Cut,
}

/// Who decides about calls and observes them. To delay a call or to let it hang, wait before answering.
pub trait Outside: Send + Sync {
    /// A call has arrived: its status is 0.
    fn before<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Verdict>;
    /// A call has taken effect, and its status is known; the body of the answer may still be under way.
    fn after<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Onward>;
}

/// Stand-ins for a Turso that runs alone: no guard, and every call goes on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Processes for Alone {
    fn adopt(&self, _process_group: u32) {}
    fn release(&self, _process_group: u32) {}
}

impl Outside for Alone {
    fn before<'a>(&'a self, _call: &'a Call) -> BoxFuture<'a, Verdict> {
        Box::pin(async { Verdict::Go })
    }
    fn after<'a>(&'a self, _call: &'a Call) -> BoxFuture<'a, Onward> {
        Box::pin(async { Onward::Answer })
    }
}
