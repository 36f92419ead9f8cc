//! Going through every relation, block after block, in as many invocations as it takes.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tokio_postgres::error::SqlState;

use super::{
    Blocks, Counted, Damage, Evidence, Fault, FaultKind, Finding, Note, Relation, RelationKind, Remark,
    Session, Tally,
};

/// The blocks of the first range: 128 MiB where a block has the usual 8 KiB. Later ranges are as large as takes about ten seconds.
const FIRST_STEP: u32 = 16_384;
/// A range takes at least this long, or the next is twice as large.
const QUICK: Duration = Duration::from_secs(5);
/// A range takes at most this long, or the next is half as large.
const SLOW: Duration = Duration::from_secs(20);
/// What is not over by then is tried again in smaller pieces.
pub(super) const LONGEST: Duration = Duration::from_mins(3);
/// With less time left than this, nothing is begun: it would only be cut off.
pub(super) const LEAST: Duration = Duration::from_secs(1);
/// How often a piece that cannot be made smaller is tried, until it is given up.
pub(super) const ATTEMPTS: u32 = 3;
/// The damaged blocks of a relation that are told one by one. The rest of it is left alone.
const DAMAGED_BLOCKS: u32 = 5;
/// How many tables are told one by one, so that the progress stays a document of some 100 KiB.
const TABLES_TOLD: usize = 1_000;

/// The relation under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct UnderWay {
    oid: u32,
    next_block: u32,
    rows: u64,
    bytes: u64,
    damaged_blocks: u32,
    /// Something is wrong before this block and not before `next_block`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    suspect_end: Option<u32>,
    /// Every block was looked at.
    is_at_end: bool,
    /// How often in a row the next piece was not over.
    attempts: u32,
}

/// How far a walk through the relations of a database is, and what it found. A document: what one invocation leaves, another
/// goes on from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Walk {
    /// Relations with smaller oids are done.
    next_oid: u32,
    under_way: Option<UnderWay>,
    step_blocks: u32,
    /// Whether every relation was gone through.
    pub is_over: bool,
    /// How many relations that was.
    pub relations: u64,
    /// How many rows, of all relations.
    pub rows: u64,
    /// How many bytes, as in [`Counted`].
    pub bytes: u64,
    /// Each of the first 1,000 tables.
    pub tables: Vec<Counted>,
    /// What is wrong, and what there is to know.
    #[serde(flatten)]
    pub evidence: Evidence,
}

impl Default for Walk {
    fn default() -> Self {
        Self::in_steps_of(FIRST_STEP)
    }
}

/// What is done with each range of blocks, and at the end of a relation.
pub(super) trait Work<S: Session> {
    fn range(
        &self,
        session: &S,
        relation: &Relation,
        blocks: Blocks,
        within: Duration,
    ) -> impl Future<Output = Result<(Tally, Vec<Damage>), Fault>>;

    /// What is wrong with a relation all of whose blocks were gone through.
    fn end(
        &self,
        session: &S,
        relation: &Relation,
        rows: u64,
        within: Duration,
    ) -> impl Future<Output = Result<Option<Fault>, Fault>>;
}

impl Walk {
    /// One whose first range has so many blocks.
    pub fn in_steps_of(blocks: u32) -> Self {
        Self {
            next_oid: 0,
            under_way: None,
            step_blocks: blocks.max(1),
            is_over: false,
            relations: 0,
            rows: 0,
            bytes: 0,
            tables: Vec::new(),
            evidence: Evidence::default(),
        }
    }

    /// Where to go on: relations with smaller oids are done.
    pub(super) const fn next_oid(&self) -> u32 {
        self.next_oid
    }

    /// Goes on through `relations`, which are in the order of their oids, until they are over or `left` says that too little
    /// time is left. A fault is one of the session and not of a relation: there is nothing to do but to connect again and go on.
    pub(super) async fn go_on<S: Session>(
        &mut self,
        session: &S,
        relations: Vec<Relation>,
        work: &impl Work<S>,
        left: &mut impl FnMut() -> Duration,
    ) -> Result<(), Fault> {
        for relation in relations {
            if left() < LEAST {
                return Ok(());
            }
            let Some(blocks) = self.begin(session, &relation).await? else { continue };
            while self.under_way.is_some() {
                let within = left();
                if within < LEAST {
                    return Ok(());
                }
                self.step(session, &relation, blocks, work, within.min(LONGEST)).await?;
            }
        }
        self.is_over = true;
        Ok(())
    }

    /// Takes up a relation: how many blocks it has, or `None` if there is nothing to be done with it.
    async fn begin<S: Session>(&mut self, session: &S, relation: &Relation) -> Result<Option<u32>, Fault> {
        self.next_oid = relation.oid;
        // Another one is there if the table under way was dropped meanwhile.
        let is_new = self.under_way.as_ref().is_none_or(|under_way| under_way.oid != relation.oid);
        if is_new {
            self.under_way = None;
            let skipped = match relation.kind {
                RelationKind::ForeignTable => Some(Remark::ForeignTable),
                RelationKind::MaterializedView { is_populated: false } => Some(Remark::NotPopulated),
                _ => None,
            };
            if let Some(remark) = skipped {
                self.evidence.note(Note::new(&relation.name, remark));
                self.leave(relation);
                return Ok(None);
            }
            if relation.is_unlogged {
                self.evidence.note(Note::new(&relation.name, Remark::Unlogged));
            }
        }
        match session.blocks(relation.oid).await {
            Ok(Some(blocks)) => {
                if is_new {
                    self.under_way = Some(UnderWay {
                        oid: relation.oid,
                        next_block: 0,
                        rows: 0,
                        bytes: 0,
                        damaged_blocks: 0,
                        suspect_end: None,
                        is_at_end: false,
                        attempts: 0,
                    });
                }
                Ok(Some(blocks))
            }
            // Dropped since it was listed.
            Ok(None) => {
                self.under_way = None;
                self.leave(relation);
                Ok(None)
            }
            Err(fault) if fault.kind == FaultKind::Unavailable => Err(fault),
            Err(fault) => {
                self.evidence.find(Finding::new(&relation.name, relation.oid, None, fault));
                self.close(relation, false);
                Ok(None)
            }
        }
    }

    async fn step<S: Session>(
        &mut self,
        session: &S,
        relation: &Relation,
        blocks: u32,
        work: &impl Work<S>,
        within: Duration,
    ) -> Result<(), Fault> {
        let Some(under_way) = &self.under_way else { return Ok(()) };
        if under_way.is_at_end {
            let found = if under_way.damaged_blocks > 0 {
                // It is known already that rows are missing.
                Ok(None)
            } else {
                work.end(session, relation, under_way.rows, within).await
            };
            return self.ended(relation, found);
        }
        let range = next_range(under_way, self.step_blocks, blocks);
        let begun = Instant::now();
        match work.range(session, relation, range, within).await {
            Ok((tally, damages)) => {
                self.passed(relation, range, tally, damages, begun.elapsed());
                Ok(())
            }
            Err(fault) => self.failed(relation, range, blocks, fault),
        }
    }

    fn passed(
        &mut self,
        relation: &Relation,
        range: Blocks,
        tally: Tally,
        damages: Vec<Damage>,
        took: Duration,
    ) {
        let Some(under_way) = &mut self.under_way else { return };
        under_way.rows += tally.rows;
        under_way.bytes += tally.bytes;
        under_way.damaged_blocks += u32::try_from(damages.len()).unwrap_or(u32::MAX);
        if under_way.suspect_end.is_none() {
            self.step_blocks = next_step(self.step_blocks, range.len(), took);
        }
        under_way.go_past(range);
        let is_given_up = under_way.damaged_blocks >= DAMAGED_BLOCKS;
        for Damage { block, message } in damages {
            let fault = Fault { kind: FaultKind::Corrupt, sqlstate: None, message };
            self.evidence.find(Finding::new(&relation.name, relation.oid, block, fault));
        }
        if is_given_up {
            self.close(relation, false);
        }
    }

    fn failed(&mut self, relation: &Relation, range: Blocks, blocks: u32, fault: Fault) -> Result<(), Fault> {
        let Some(under_way) = &mut self.under_way else { return Ok(()) };
        let is_least = range.len() <= 1;
        if fault.is(&SqlState::UNDEFINED_TABLE) {
            // Dropped since it was listed.
            self.under_way = None;
            self.leave(relation);
            return Ok(());
        }
        match fault.kind {
            FaultKind::Unreadable => {
                self.evidence.find(Finding::new(
                    &relation.name,
                    relation.oid,
                    None,
                    refused(relation, fault),
                ));
                self.close(relation, false);
                return Ok(());
            }
            FaultKind::Corrupt | FaultKind::Failed if !is_least => {
                under_way.suspect_end = Some(range.to);
                return Ok(());
            }
            FaultKind::Corrupt | FaultKind::Failed => {}
            FaultKind::TimeLimit | FaultKind::Unavailable => {
                under_way.attempts += 1;
                let is_lost = fault.kind == FaultKind::Unavailable;
                self.step_blocks = (range.len() / if is_lost { 16 } else { 4 }).max(1);
                if !is_least || under_way.attempts < ATTEMPTS {
                    return if is_lost { Err(fault) } else { Ok(()) };
                }
            }
        }
        // This one block cannot be had, and why: on to the next.
        under_way.go_past(range);
        under_way.damaged_blocks += 1;
        let is_given_up = under_way.damaged_blocks >= DAMAGED_BLOCKS;
        let is_lost = fault.kind == FaultKind::Unavailable;
        self.evidence.find(Finding::new(
            &relation.name,
            relation.oid,
            (blocks > 0).then_some(range.from),
            fault.clone(),
        ));
        if is_given_up {
            self.close(relation, false);
        }
        if is_lost { Err(fault) } else { Ok(()) }
    }

    /// What came of the work at the end of a relation.
    fn ended(&mut self, relation: &Relation, found: Result<Option<Fault>, Fault>) -> Result<(), Fault> {
        let Some(under_way) = &mut self.under_way else { return Ok(()) };
        let is_whole = under_way.damaged_blocks == 0;
        let fault = match found {
            Ok(None) => {
                self.close(relation, is_whole);
                return Ok(());
            }
            Err(fault) if fault.kind == FaultKind::TimeLimit => {
                under_way.attempts += 1;
                if under_way.attempts >= ATTEMPTS {
                    self.evidence.note(Note::new(&relation.name, Remark::NotCountedThroughIndex));
                    self.close(relation, is_whole);
                }
                return Ok(());
            }
            Err(fault) if fault.kind == FaultKind::Unavailable => {
                under_way.attempts += 1;
                if under_way.attempts >= ATTEMPTS {
                    self.evidence.find(Finding::new(&relation.name, relation.oid, None, fault.clone()));
                    self.close(relation, is_whole);
                }
                return Err(fault);
            }
            Ok(Some(fault)) | Err(fault) => fault,
        };
        self.evidence.find(Finding::new(&relation.name, relation.oid, None, fault));
        self.close(relation, is_whole);
        Ok(())
    }

    /// Done with the relation under way.
    fn close(&mut self, relation: &Relation, is_whole: bool) {
        let (rows, bytes) = self.under_way.take().map_or((0, 0), |done| (done.rows, done.bytes));
        self.relations += 1;
        self.rows += rows;
        self.bytes += bytes;
        if self.tables.len() < TABLES_TOLD {
            self.tables.push(Counted { relation: relation.name.clone(), rows, bytes, is_whole });
        }
        self.leave(relation);
    }

    fn leave(&mut self, relation: &Relation) {
        self.next_oid = relation.oid.saturating_add(1);
    }
}

impl UnderWay {
    const fn go_past(&mut self, range: Blocks) {
        self.next_block = range.to;
        self.is_at_end = range.is_last;
        self.attempts = 0;
        if let Some(end) = self.suspect_end
            && end <= range.to
        {
            self.suspect_end = None;
        }
    }
}

/// The next blocks of a relation that has `blocks`: half of what is suspect, so that the block that is at fault is found by
/// halving, whatever language the server's messages are in.
fn next_range(under_way: &UnderWay, step: u32, blocks: u32) -> Blocks {
    let from = under_way.next_block;
    let end = match under_way.suspect_end {
        Some(end) => from + (end.saturating_sub(from) / 2).max(1),
        None => blocks.max(from),
    };
    let to = end.min(from.saturating_add(step));
    Blocks { from, to, is_last: to >= blocks }
}

/// How many blocks to take next, after so many took so long.
fn next_step(step: u32, blocks: u32, took: Duration) -> u32 {
    if took > SLOW {
        (blocks / 2).max(1)
    } else if took < QUICK && blocks >= step {
        // A short last range says nothing about the size.
        step.saturating_mul(2)
    } else {
        step
    }
}

/// Why the server does not let us read: the code is the same for both.
fn refused(relation: &Relation, fault: Fault) -> Fault {
    if !relation.has_row_security {
        return fault;
    }
    let message = "row-level security would hide rows from this role: the table was not read; let the role bypass it (BYPASSRLS), or \
                   own the table without FORCE ROW LEVEL SECURITY";
    Fault { message: message.to_owned(), ..fault }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn under_way(next_block: u32, suspect_end: Option<u32>) -> UnderWay {
        UnderWay {
            oid: 1,
            next_block,
            rows: 0,
            bytes: 0,
            damaged_blocks: 0,
            suspect_end,
            is_at_end: false,
            attempts: 0,
        }
    }

    proptest! {
        /// Whatever the sizes, ranges follow each other, the last one ends the relation, and damage is found block by block.
        #[test]
        fn every_block_is_in_one_range(blocks in 0_u32..5_000, step in 1_u32..600, damaged in 0_u32..5_000) {
            let (mut state, mut seen, mut found) = (under_way(0, None), 0, None);
            while !state.is_at_end {
                let range = next_range(&state, step, blocks);
                prop_assert_eq!(range.from, seen);
                prop_assert!(!range.is_empty() || blocks == 0);
                if (range.from..range.to).contains(&damaged) && range.len() > 1 {
                    state.suspect_end = Some(range.to);
                    continue;
                }
                if (range.from..range.to).contains(&damaged) {
                    found = Some(range.from);
                }
                seen = range.to;
                state.go_past(range);
            }
            prop_assert_eq!(seen, blocks);
            prop_assert_eq!(found, (damaged < blocks).then_some(damaged));
        }
    }

    #[test]
    fn ranges_take_about_ten_seconds() {
        assert_eq!(next_step(100, 100, Duration::from_secs(1)), 200);
        assert_eq!(next_step(100, 7, Duration::from_secs(1)), 100);
        assert_eq!(next_step(100, 100, Duration::from_secs(10)), 100);
        assert_eq!(next_step(100, 100, Duration::from_secs(30)), 50);
        assert_eq!(next_step(1, 1, Duration::from_secs(30)), 1);
    }

    #[test]
    fn a_walk_is_a_document() {
        let mut walk = Walk::in_steps_of(3);
        walk.under_way = Some(under_way(7, Some(9)));
        walk.evidence.note(Note::new("public.t", Remark::Unlogged));
        let text = serde_json::to_string(&walk).unwrap();
        assert_eq!(serde_json::from_str::<Walk>(&text).unwrap(), walk);
        // One of an earlier release, which knew less.
        assert_eq!(serde_json::from_str::<Walk>("{}").unwrap(), Walk::default());
    }
}
