use domain::ResourceId;
use jiff::{SignedDuration, Timestamp};

use crate::{Bad, Doubt, HIGHEST, Heartbeat, Keys, Row, heartbeat::Content};

/// A writer follows a heartbeat that is this far ahead of its clock, and no further: otherwise a clock that was once years
/// ahead would keep every later heartbeat in the future.
pub const MOST_AHEAD: SignedDuration = SignedDuration::from_hours(1);

/// What a writer writes now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// The heartbeat.
    pub heartbeat: Heartbeat,
    /// What its writer found and should tell.
    pub notes: Vec<Note>,
}

/// What a writer finds in the rows that it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The clock is behind the heartbeat before, whose time is given again.
    ClockBack {
        /// How far behind, in milliseconds.
        by_ms: u64,
    },
    /// A row above the one that is followed is not followed itself.
    NotFollowed(Bad),
    /// Rows are there, and none of them can be followed: a chain begins.
    BegunAnew,
}

/// A row with the highest number there is stands in the way, or above; a person has to delete it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no number is left for a heartbeat after {0}: delete the row that has it, which is none of Tidemark's"
)]
pub struct NumbersExhausted(pub u64);

/// The next heartbeat of `resource`, made of the newest rows there, in any order.
///
/// Its number is one more than the highest there, whoever wrote that: so numbers never go back, and of two writers who read
/// the same rows only one's row goes in. What it *follows* is the newest row that is intact, of this resource, and at most an hour
/// ahead of the clock: so a row that is none of ours is passed over and not built upon, and whoever deletes it makes no gap.
pub fn next(
    resource: &ResourceId,
    rows: &[Row],
    now: Timestamp,
    keys: &Keys,
) -> Result<Next, NumbersExhausted> {
    let highest = rows.iter().filter_map(Row::position).max().unwrap_or(0);
    if highest >= HIGHEST {
        return Err(NumbersExhausted(highest));
    }
    let looked_at = rows.iter().map(|row| (row, followable(row, resource, now, keys)));
    let (good, doubtful): (Vec<_>, Vec<_>) = looked_at.partition(|(_, found)| found.is_ok());
    let before =
        good.into_iter().filter_map(|(_, found)| found.ok()).max_by_key(|found| (found.number(), found.at()));
    let follows = before.as_ref().map_or(0, Heartbeat::number);

    let above = |row: &Row| row.position().is_none_or(|number| number > follows);
    let not_followed = |(row, found): (&Row, Result<_, _>)| {
        found.err().map(|doubt| Note::NotFollowed(Bad::new(&row.number, doubt)))
    };
    let mut notes: Vec<Note> =
        doubtful.into_iter().filter(|(row, _)| above(row)).filter_map(not_followed).collect();
    if before.is_none() && !rows.is_empty() {
        notes.push(Note::BegunAnew);
    }
    let now = whole_milliseconds(now);
    let at = before.map_or(now, |before| before.at().max(now));
    let by_ms = at.as_millisecond().abs_diff(now.as_millisecond());
    if by_ms > 0 {
        notes.push(Note::ClockBack { by_ms });
    }
    let content = Content { number: highest + 1, follows, at, resource: resource.clone() };
    Ok(Next { heartbeat: content.sign(keys.newest()), notes })
}

fn followable(row: &Row, resource: &ResourceId, now: Timestamp, keys: &Keys) -> Result<Heartbeat, Doubt> {
    let heartbeat = row.verify(keys)?;
    if heartbeat.resource() != resource {
        return Err(Doubt::OtherResource);
    }
    if heartbeat.at().duration_since(now) > MOST_AHEAD {
        return Err(Doubt::Future);
    }
    Ok(heartbeat)
}

/// What is signed is what is stored. The last second there is has no milliseconds of its own.
fn whole_milliseconds(now: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(now.as_millisecond())
        .or_else(|_| Timestamp::from_second(now.as_second()))
        .unwrap_or(now)
}
