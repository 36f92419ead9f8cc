//! A recovery point, whatever it was taken of.

use domain::{RecoveryPointState, Slot};
use jiff::Timestamp;

/// Of a recovery point or a copy of one what the plan needs: there may be hundreds of thousands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) id: String,
    /// The protected resource's name.
    pub(crate) resource: String,
    /// The provider's own id of that, or, where only names tell it, its mark (`RecoveryPointId::mark`).
    pub(crate) incarnation: String,
    pub(crate) slot: Slot,
    pub(crate) state: RecoveryPointState,
    /// When it was taken.
    pub(crate) taken: Timestamp,
    /// How large it is, or at most is.
    pub(crate) bytes: u64,
    pub(crate) is_copy: bool,
    /// It is pending, and nothing has moved for so long that nobody seems to work on it.
    pub(crate) is_stalled: bool,
}

/// Recovery points from the oldest to the newest.
pub(crate) fn order(point: &Point) -> (Slot, Timestamp, &str) {
    (point.slot, point.taken, &point.id)
}
