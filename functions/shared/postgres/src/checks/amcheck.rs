//! Whether heaps and B-tree indexes are sound, by the extension `amcheck` (`PostgreSQL` documentation, F.1).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Amcheck, Blocks, Damage, Evidence, Fault, FaultKind, Finding, Index, Note, Relation, Remark, Session,
    Tally, Walk,
    walk::{ATTEMPTS, LEAST, LONGEST, Work},
};

/// How far `amcheck` got in a database, and what it found. A document, as [`Walk`] is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Structure {
    /// Whether there is such a thing; `None` as long as nobody asked.
    pub amcheck: Option<Amcheck>,
    /// The heaps: tables, materialized views, what their large values are in, and the catalogs.
    pub heaps: Walk,
    /// The B-tree indexes of all of these.
    pub indexes: Indexes,
    /// Whether everything that can be checked was.
    pub is_over: bool,
}

/// How far the check of indexes is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Indexes {
    /// Indexes with smaller oids are done.
    next_oid: u32,
    /// How often in a row the next one was not over.
    attempts: u32,
    /// How many were checked, those with findings among them.
    pub checked: u64,
    /// What is wrong, and what was not checked or not in full.
    #[serde(flatten)]
    pub evidence: Evidence,
}

impl Structure {
    /// Whether anything is wrong, as far as is known.
    pub const fn has_findings(&self) -> bool {
        !self.heaps.evidence.findings.is_empty() || !self.indexes.evidence.findings.is_empty()
    }
}

/// Goes on checking a database with `amcheck`, as far as the time that is `left` allows. Where it is not available,
/// [`Structure::amcheck`] says why and nothing is checked. With `may_create` the extension is made where it is not: take the
/// [`Catalog`](super::Catalog) before.
///
/// Values out of line are not looked up here: whoever reads the tables meets each of them.
///
/// An error is of no one relation, as with [`read_tables`](super::read_tables).
pub async fn check_structure<S: Session>(
    session: &S,
    structure: &mut Structure,
    may_create: bool,
    mut left: impl FnMut() -> Duration,
) -> Result<(), Fault> {
    if structure.is_over || left() < LEAST {
        return Ok(());
    }
    let amcheck = match &structure.amcheck {
        Some(amcheck) => amcheck.clone(),
        None => structure.amcheck.insert(session.amcheck(may_create).await?).clone(),
    };
    let Amcheck::Available { schema, verifies_heaps, .. } = amcheck else {
        structure.is_over = true;
        return Ok(());
    };
    if verifies_heaps && !structure.heaps.is_over {
        let heaps = session.heaps(structure.heaps.next_oid()).await?;
        structure.heaps.go_on(session, heaps, &Verify { schema: &schema }, &mut left).await?;
        if !structure.heaps.is_over {
            return Ok(());
        }
    }
    structure.is_over = structure.indexes.go_on(session, &schema, &mut left).await?;
    Ok(())
}

struct Verify<'a> {
    schema: &'a str,
}

impl<S: Session> Work<S> for Verify<'_> {
    async fn range(
        &self,
        session: &S,
        relation: &Relation,
        blocks: Blocks,
        within: Duration,
    ) -> Result<(Tally, Vec<Damage>), Fault> {
        let damages = session.verify_heap(self.schema, relation, blocks, within).await?;
        Ok((Tally::default(), damages))
    }

    async fn end(&self, _: &S, _: &Relation, _: u64, _: Duration) -> Result<Option<Fault>, Fault> {
        Ok(None)
    }
}

impl Indexes {
    /// Whether that was all.
    async fn go_on<S: Session>(
        &mut self,
        session: &S,
        schema: &str,
        left: &mut impl FnMut() -> Duration,
    ) -> Result<bool, Fault> {
        let mut is_first = true;
        for index in session.indexes(self.next_oid).await? {
            if self.next_oid < index.oid {
                (self.next_oid, self.attempts) = (index.oid, 0);
            }
            while self.next_oid == index.oid {
                let within = left();
                if within < LEAST {
                    return Ok(false);
                }
                // An index cannot be checked in pieces: it gets all the time there is, the first time with every row.
                let every_row = self.attempts == 0;
                let checked = session.verify_index(schema, &index, every_row, within).await;
                // One that others left little time says nothing about the index when it is cut off.
                let had_its_time = is_first || within >= LONGEST;
                is_first = false;
                self.met(&index, every_row, had_its_time, checked)?;
            }
        }
        Ok(true)
    }

    fn met(
        &mut self,
        index: &Index,
        every_row: bool,
        had_its_time: bool,
        checked: Result<(), Fault>,
    ) -> Result<(), Fault> {
        match checked {
            Ok(()) => {
                if !every_row {
                    self.evidence.note(Note::new(&index.name, Remark::RowsNotLookedUp));
                }
                self.done(index);
            }
            Err(fault) if fault.kind == FaultKind::TimeLimit => {
                self.attempts += u32::from(had_its_time);
                if self.attempts >= ATTEMPTS {
                    self.evidence.note(Note::new(&index.name, Remark::IndexNotChecked));
                    self.leave(index);
                }
            }
            Err(fault) if fault.kind == FaultKind::Unavailable => {
                self.attempts += 1;
                if self.attempts >= ATTEMPTS {
                    self.evidence.find(Finding::new(&index.name, index.oid, None, fault.clone()));
                    self.leave(index);
                }
                return Err(fault);
            }
            Err(fault) => {
                self.evidence.find(Finding::new(&index.name, index.oid, None, fault));
                self.done(index);
            }
        }
        Ok(())
    }

    const fn done(&mut self, index: &Index) {
        self.checked += 1;
        self.leave(index);
    }

    const fn leave(&mut self, index: &Index) {
        self.next_oid = index.oid.saturating_add(1);
        self.attempts = 0;
    }
}
