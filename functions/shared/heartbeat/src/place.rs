use std::future::Future;

use crate::{Heartbeat, Row};

/// Where the heartbeats of one database are: the port. Each system's crate has its own, with what stands in [`crate::postgres`],
/// [`crate::sqlite`] and [`crate::redis`].
pub trait Place {
    /// What goes wrong there.
    type Error;

    /// The newest `count`, believed by nobody until they are verified.
    fn read(&mut self, count: u32) -> impl Future<Output = Result<Vec<Row>, Self::Error>>;

    /// Writes one, and deletes those that are too many. `false` if another writer was quicker, which is as good.
    fn write(&mut self, heartbeat: &Heartbeat) -> impl Future<Output = Result<bool, Self::Error>>;
}
