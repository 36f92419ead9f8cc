//! Whether what the checks of a restored PostgreSQL found is what was lost: pure.

use std::collections::{BTreeMap, BTreeSet};

use domain::drill::{To, history::Verdict};
use heartbeat::{Basis, Estimate, Judgement};
use jiff::Timestamp;
use postgres::checks::{
    Amcheck, Catalog, Commits, Difference, DifferenceKind, Evidence, Remark, Structure, Walk,
    assertions::{self, Assertion},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{act::failed, drill::Drill, engine::Checked, measure};

/// How far the checks have come: a document that the next turn goes on from.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Progress {
    /// The databases of the server; `None` as long as nobody asked.
    pub(super) databases: Option<Vec<String>>,
    /// Those of the source; why it was not asked.
    pub(super) source: Option<Result<Vec<String>, String>>,
    /// Those that are done.
    pub(super) done: Vec<Finished>,
    /// The one that is being checked.
    pub(super) current: Option<Database>,
    /// Of the server, as its first database tells it.
    pub(super) commits: Option<Commits>,
    /// Whether heartbeats were read, or why not.
    pub(super) sought: Option<String>,
    /// The heartbeats, of the one database that has them.
    pub(super) heartbeats: Option<Judgement>,
}

/// What is known of the database that is being checked.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Database {
    pub(super) name: String,
    pub(super) catalog: Option<Catalog>,
    /// How many tables the source's has now; `None` if it was not asked.
    pub(super) tables_at_source: Option<u64>,
    /// Why it was not compared with the source's.
    pub(super) not_compared: Option<String>,
    pub(super) differences: Vec<Difference>,
    pub(super) tables: Walk,
    pub(super) structure: Structure,
    pub(super) asserted: Vec<assertions::Verdict>,
    pub(super) is_heartbeat_sought: bool,
}

/// What stays of a database that is done.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Finished {
    pub(super) name: String,
    /// How many relations were read to their ends.
    pub(super) relations: u64,
    pub(super) tables_at_source: Option<u64>,
    pub(super) has_assertions: bool,
    /// The first thing that is wrong: a code, and a sentence.
    pub(super) failure: Option<(String, String)>,
    pub(super) unchecked: Vec<String>,
    pub(super) not_compared: Option<String>,
    /// How much was read.
    pub(super) bytes: u64,
    /// What it has: for the next drill.
    pub(super) had: BTreeSet<String>,
    pub(super) evidence: Value,
}

/// What the next drill should know: what was there at this one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Known {
    /// Of when that state was.
    pub(super) at: Option<Timestamp>,
    /// `extension hstore`, `role app`, by database.
    pub(super) had: BTreeMap<String, BTreeSet<String>>,
    /// How many relations each database had.
    pub(super) relations: BTreeMap<String, u64>,
}

impl Database {
    /// What stays of it.
    pub(super) fn finish(self, drill: &Drill) -> Finished {
        let known: Known = serde_json::from_value(drill.known.clone()).unwrap_or_default();
        let failure = self.failure(drill, &known);
        let unchecked = self.unchecked(drill, &known);
        Finished {
            bytes: self.tables.bytes,
            not_compared: self.not_compared.clone(),
            relations: self.tables.relations,
            tables_at_source: self.tables_at_source,
            has_assertions: !self.asserted.is_empty(),
            failure: failure.map(|(code, says)| (code.to_owned(), format!("database {}: {says}", self.name))),
            unchecked,
            had: self.catalog.iter().flat_map(had).collect(),
            evidence: self.evidence(),
            name: self.name,
        }
    }

    /// What was not checked of it.
    fn unchecked(&self, drill: &Drill, known: &Known) -> Vec<String> {
        let Structure { heaps, indexes, amcheck, .. } = &self.structure;
        let mut unchecked = Vec::new();
        match amcheck {
            Some(Amcheck::NotAvailable { reason }) => {
                unchecked.push(format!("the structure of heaps and indexes (amcheck: {reason})"));
            }
            Some(Amcheck::Available { verifies_heaps: false, version, .. }) => {
                unchecked.push(format!("the structure of heaps, which amcheck {version} cannot verify"));
            }
            Some(Amcheck::Available { .. }) | None => {}
        }
        for (remark, what) in [
            (Remark::NotCountedThroughIndex, "tables were not counted through an index"),
            (Remark::IndexNotChecked, "indexes were not checked"),
            (Remark::RowsNotLookedUp, "indexes were checked without looking up their tables' rows"),
        ] {
            let notes = [&self.tables.evidence, &heaps.evidence, &indexes.evidence];
            let notes = notes.into_iter().flat_map(|evidence| &evidence.notes);
            let of_kind: Vec<_> = notes.filter(|note| note.what == remark).collect();
            if let Some(first) = of_kind.first() {
                unchecked.push(format!(
                    "{} {what}, {} among them: it took too long",
                    of_kind.len(),
                    first.relation
                ));
            }
        }
        let missing = self.differences.iter().filter(|one| one.kind == DifferenceKind::Missing);
        if let (Some(first), false) = (missing.clone().next(), known.is_before(drill)) {
            unchecked.push(format!(
                "whether it should have what the source has now ({} in all, the first: {first}): the next drill knows",
                missing.count()
            ));
        }
        unchecked.into_iter().map(|what| format!("database {}: {what}", self.name)).collect()
    }

    /// The first thing that is wrong.
    fn failure(&self, drill: &Drill, known: &Known) -> Option<(&'static str, String)> {
        if self.catalog.as_ref().is_some_and(|catalog| catalog.hides_damage) {
            let says = "the server is set to pass over damaged pages (zero_damaged_pages or ignore_checksum_failure)";
            return Some(("DamageHidden", says.to_owned()));
        }
        if let Some(difference) = self.differences.iter().find(|one| self.is_lost(one, drill, known)) {
            return Some(("CatalogDiffers", difference.to_string()));
        }
        let had = known.relations.get(&self.name).copied().unwrap_or(0);
        if self.tables.relations == 0 && had > 0 && self.tables_at_source != Some(0) && known.is_before(drill)
        {
            return Some(("TablesMissing", format!("it has no table, and had {had}")));
        }
        let Structure { heaps, indexes, .. } = &self.structure;
        let walks = [
            ("TableUnreadable", &self.tables.evidence),
            ("HeapDamaged", &heaps.evidence),
            ("IndexDamaged", &indexes.evidence),
        ];
        if let Some(found) = walks.into_iter().find_map(|(code, found)| Some((code, first(found)?))) {
            return Some(found);
        }
        let failed = self.asserted.iter().find(|verdict| !verdict.holds)?;
        // What was found instead may be somebody's: the ledger has it.
        Some((
            "AssertionFailed",
            format!("assertion {:?} does not hold: expected {}", failed.name, failed.expected),
        ))
    }

    /// Whether a difference from the source cannot be explained by what was done at the source since: it had it before the state
    /// that was restored, and has it still.
    fn is_lost(&self, difference: &Difference, drill: &Drill, known: &Known) -> bool {
        let had_before = || known.had.get(&self.name).is_some_and(|had| had.contains(&difference.what));
        match difference.kind {
            DifferenceKind::Unsound => true,
            DifferenceKind::Missing => known.is_before(drill) && had_before(),
            DifferenceKind::Changed | DifferenceKind::Fewer => false,
        }
    }

    fn evidence(&self) -> Value {
        let Self { name, catalog, differences, tables, structure, asserted, .. } = self;
        let told: Vec<_> = tables.tables.iter().take(TABLES).collect();
        json!({
            "database": name,
            "server_version": catalog.as_ref().map(|catalog| &catalog.server_version),
            "counts": catalog.as_ref().map(|catalog| &catalog.counts),
            "differences": differences,
            "relations": tables.relations, "rows": tables.rows, "bytes": tables.bytes,
            "tables": told, "read": tables.evidence,
            "amcheck": structure.amcheck, "heaps": structure.heaps.evidence,
            "indexes_checked": structure.indexes.checked, "indexes": structure.indexes.evidence,
            "assertions": asserted,
        })
    }
}

impl Known {
    /// Whether it is of a state before the one that was restored.
    fn is_before(&self, drill: &Drill) -> bool {
        self.at.is_some_and(|at| at < drill.restored_state())
    }
}

/// What a catalog has that must not be missing from a later state.
fn had(catalog: &Catalog) -> impl Iterator<Item = String> {
    let extensions = catalog.extensions.keys().map(|name| format!("extension {name}"));
    extensions.chain(catalog.roles.keys().map(|name| format!("role {name}")))
}

/// So many tables of each database are told one by one.
const TABLES: usize = 100;

pub(super) fn over(progress: &Progress, drill: &Drill, all: &[Assertion]) -> Checked {
    let verdict = match first_failure(progress, drill, all) {
        Some((code, says)) => failed(&code, says),
        None => Verdict::Passed,
    };
    let loss = loss(progress, drill);
    let mut unchecked: Vec<String> = progress.done.iter().flat_map(|done| done.unchecked.clone()).collect();
    if let Some(Err(why)) = &progress.source {
        unchecked.push(format!("nothing was compared with the source: {why}"));
    } else {
        unchecked.extend(progress.done.iter().filter_map(|done| {
            let why = done.not_compared.as_ref()?;
            Some(format!("database {} was not compared with the source's: {why}", done.name))
        }));
    }
    let databases: Vec<&Value> = progress.done.iter().map(|done| &done.evidence).collect();
    let evidence = json!({
        "databases": databases,
        "newest_commit": progress.commits.as_ref().and_then(Commits::newest),
        "commits": progress.commits,
        "heartbeats": progress.heartbeats, "heartbeats_sought": progress.sought,
        "loss": loss,
    });
    let known = Known {
        at: Some(drill.restored_state()),
        had: progress.done.iter().map(|done| (done.name.clone(), done.had.clone())).collect(),
        relations: progress.done.iter().map(|done| (done.name.clone(), done.relations)).collect(),
    };
    let bytes = Some(progress.done.iter().map(|done| done.bytes).sum()).filter(|bytes| *bytes > 0);
    let loss = Some(measure::in_short(&loss));
    Checked::Over { verdict, loss, evidence, unchecked, bytes, known: json!(known) }
}

/// The first thing that is wrong: with the server as a whole, then with its databases in their order.
fn first_failure(progress: &Progress, drill: &Drill, all: &[Assertion]) -> Option<(String, String)> {
    let known: Known = serde_json::from_value(drill.known.clone()).unwrap_or_default();
    let is_there = |name: &String| progress.done.iter().any(|done| done.name == *name);
    let failure = |code: &str, says: String| Some((code.to_owned(), says));
    if let Some(Ok(source)) = &progress.source {
        // What the source has, and had before the state that was restored.
        let lost = source.iter().find(|name| known.relations.contains_key(*name) && !is_there(name));
        if let Some(name) = lost.filter(|_| known.is_before(drill)) {
            return failure("DatabaseMissing", format!("there is no database {name}, which the source has"));
        }
    }
    if let Some(assertion) = all.iter().find(|one| !is_there(&one.database)) {
        let says = format!("assertion {:?}: there is no database {}", assertion.name, assertion.database);
        return failure("AssertionFailed", says);
    }
    if let Some(found) = progress.done.iter().find_map(|done| done.failure.clone()) {
        return Some(found);
    }
    let is_empty = |done: &Finished| done.relations == 0 && !done.has_assertions;
    let is_so_at_source = |done: &Finished| done.tables_at_source == Some(0);
    let is_known_empty = !progress.done.is_empty() && progress.done.iter().all(is_so_at_source);
    if progress.done.iter().all(is_empty) && !is_known_empty {
        let says =
            "it has no tables at all, and nobody could say that its source has none; nothing was proven";
        return failure("NothingChecked", says.to_owned());
    }
    let (code, says) = progress.heartbeats.as_ref().and_then(measure::unsound)?;
    failure(code, says)
}

fn first(found: &Evidence) -> Option<String> {
    found.findings.first().map(|finding| {
        let block = finding.block.map_or_else(String::new, |block| format!(", block {block}"));
        format!("{}{block}: {}", finding.relation, finding.fault.message)
    })
}

fn loss(progress: &Progress, drill: &Drill) -> heartbeat::Loss {
    let basis = match drill.choice.to {
        _ if drill.as_of.is_some() => Basis::RecoveryPointTime,
        To::Instant(_) => Basis::RestoredTo,
        To::Point(_) => Basis::Slot,
    };
    // What the server itself remembers of its newest commit is nearer to the truth than what anybody says, and no measure.
    let because = measure::unmeasured(progress.sought.as_deref());
    let estimate = Estimate::new(basis, drill.restored_state(), drill.until(), because);
    heartbeat::Loss::of(progress.heartbeats.as_ref(), estimate)
}
