use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use domain::ResourceId;
use jiff::{SignedDuration, Timestamp};

use crate::{
    Bad, Beyond, CLOCKS_DIFFER, Doubt, Gap, Heartbeat, Judgement, Keys, Mark, Measured, Pause, Row,
    loss::milliseconds,
};

/// When heartbeats come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rhythm {
    /// One is due so long after the one before.
    pub interval: SignedDuration,
    /// So much later it is committed at the latest.
    pub late: SignedDuration,
}

impl Default for Rhythm {
    /// Every minute. EventBridge Scheduler invokes within the minute that a schedule names (EventBridge Scheduler User Guide,
    /// "Schedule types": "60 second precision"); a writer then has a quarter of one to connect and to commit.
    fn default() -> Self {
        Self { interval: SignedDuration::from_mins(1), late: SignedDuration::from_secs(75) }
    }
}

impl Rhythm {
    fn longest(self) -> SignedDuration {
        self.interval.saturating_add(self.late)
    }
}

/// What is asked of the rows of a restored database.
#[derive(Clone, Copy, Debug)]
pub struct Question<'q> {
    /// Whose heartbeats they should be: the protected resource's, not the restored copy's.
    pub resource: &'q ResourceId,
    /// The wanted instant; `None` for a recovery point, which holds what it holds.
    pub restored_to: Option<Timestamp>,
    /// When the restore was asked for.
    pub asked_at: Timestamp,
    /// When they should have come.
    pub rhythm: Rhythm,
}

impl Question<'_> {
    fn until(self) -> Timestamp {
        self.restored_to.unwrap_or(self.asked_at)
    }
}

/// What the rows of a restored database tell, in whichever order they are read.
pub fn judge(rows: &[Row], question: Question<'_>, keys: &Keys) -> Judgement {
    let rows: BTreeSet<&Row> = rows.iter().collect();
    let mut bad = Vec::new();
    let (good, inherited) = intact(&rows, question, keys, &mut bad);
    let held: BTreeSet<u64> = rows.iter().filter_map(|row| row.position()).collect();

    let mut judgement = Judgement { inherited, ..Judgement::default() };
    let chain = follow(good, &held, question.rhythm, &mut judgement, &mut bad);
    measure(&chain, question, &mut judgement);
    bad.sort_by_key(|bad| (bad.number.parse().unwrap_or(u64::MAX), bad.clone()));
    judgement.bad = bad;
    judgement
}

/// The intact heartbeats of the resource by their numbers; and how many there are of a resource that it was made from.
fn intact(
    rows: &BTreeSet<&Row>,
    question: Question<'_>,
    keys: &Keys,
    bad: &mut Vec<Bad>,
) -> (BTreeMap<u64, Heartbeat>, usize) {
    let mut own = Vec::new();
    let mut others = Vec::new();
    for row in rows {
        match row.verify(keys) {
            Ok(heartbeat) if heartbeat.resource() != question.resource => others.push(heartbeat),
            Ok(heartbeat) if is_after(heartbeat.at(), question.asked_at) => {
                bad.push(Bad::new(&row.number, Doubt::Future));
            }
            Ok(heartbeat) => own.push(heartbeat),
            Err(doubt) => bad.push(Bad::new(&row.number, doubt)),
        }
    }
    // A database that was made from another's restore keeps that one's rows, until its own have taken their place.
    let begins = own.iter().filter(|heartbeat| heartbeat.follows() == 0).map(Heartbeat::number).min();
    let (inherited, copied): (Vec<_>, Vec<_>) =
        others.into_iter().partition(|heartbeat| begins.is_some_and(|begins| heartbeat.number() < begins));
    let copied =
        copied.iter().map(|heartbeat| Bad::new(&heartbeat.number().to_string(), Doubt::OtherResource));
    bad.extend(copied);

    // Of two with one number the earlier counts: a loss is rather told too large.
    own.sort_by_key(|heartbeat| (heartbeat.at(), *heartbeat.signature()));
    let mut good = BTreeMap::new();
    for heartbeat in own {
        match good.entry(heartbeat.number()) {
            Entry::Vacant(place) => _ = place.insert(heartbeat),
            Entry::Occupied(place) => bad.push(Bad::new(&place.key().to_string(), Doubt::Duplicate)),
        }
    }
    (good, inherited.len())
}

/// Follows the heartbeats from the lowest number up, notes gaps, pauses and beginnings, and leaves out whose time goes back.
fn follow(
    good: BTreeMap<u64, Heartbeat>,
    held: &BTreeSet<u64>,
    rhythm: Rhythm,
    judgement: &mut Judgement,
    bad: &mut Vec<Bad>,
) -> BTreeMap<u64, Mark> {
    let mut chain = BTreeMap::<u64, Mark>::new();
    for heartbeat in good.into_values() {
        let (to, follows) = (heartbeat.mark(), heartbeat.follows());
        // None of a beginning, and of the lowest that is there: those before it are past their time.
        let before = chain.range(..=follows).next_back().map(|(_, mark)| *mark);
        match before {
            Some(from) if to.at < from.at => {
                bad.push(Bad::new(&to.number.to_string(), Doubt::Backwards));
                continue;
            }
            Some(from) => compare(from, to, follows, held, rhythm, judgement),
            None if follows == 0 && !chain.is_empty() => judgement.begun_anew.push(to),
            None => {}
        }
        chain.insert(to.number, to);
    }
    chain
}

/// What lies between `from`, the nearest that is there, and `to`, which was written after number `follows`.
fn compare(
    from: Mark,
    to: Mark,
    follows: u64,
    held: &BTreeSet<u64>,
    rhythm: Rhythm,
    judgement: &mut Judgement,
) {
    // A row that is there and not believed is no hole.
    let standing = held.range(from.number..=follows).skip(1).fold(0, |count: u64, _| count + 1);
    let missing = (follows - from.number).saturating_sub(standing);
    if missing > 0 {
        judgement.gaps.push(Gap { from, to, missing });
    } else if from.number == follows && to.at.duration_since(from.at) > rhythm.longest() {
        judgement.pauses.push(Pause { from, to });
    }
}

fn measure(chain: &BTreeMap<u64, Mark>, question: Question<'_>, judgement: &mut Judgement) {
    let until = question.until();
    let (beyond, within): (Vec<Mark>, Vec<Mark>) = chain.values().partition(|mark| is_after(mark.at, until));
    judgement.beyond = beyond.last().map(|newest| Beyond { rows: beyond.len(), newest: *newest });
    judgement.newest_intact = within.last().copied();
    judgement.loss = judgement.newest_intact.map(|heartbeat| {
        let at_most_ms = milliseconds(heartbeat.at, until);
        let longest_ms = u64::try_from(question.rhythm.longest().as_millis()).unwrap_or(0);
        Measured { until, heartbeat, at_least_ms: at_most_ms.saturating_sub(longest_ms), at_most_ms }
    });
}

/// By more than clocks differ.
fn is_after(at: Timestamp, instant: Timestamp) -> bool {
    at.duration_since(instant) > CLOCKS_DIFFER
}
