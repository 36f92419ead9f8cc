use serde::{Deserialize, Serialize};

/// The layout of a checkpoint. One of another layout is refused when it is read, and the file is read from its start
/// again: a state that is half understood would give a verdict on something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct CheckpointVersion;

impl CheckpointVersion {
    /// To be raised with every change of what a checkpoint holds, the grammar's numbers included.
    const NUMBER: u16 = 1;
}

impl From<CheckpointVersion> for u16 {
    fn from(_: CheckpointVersion) -> Self {
        CheckpointVersion::NUMBER
    }
}

impl TryFrom<u16> for CheckpointVersion {
    type Error = String;

    fn try_from(number: u16) -> Result<Self, String> {
        if number == Self::NUMBER {
            return Ok(Self);
        }
        Err(format!(
            "checkpoint of layout {number}, this version knows {}: begin with the first byte",
            Self::NUMBER
        ))
    }
}
