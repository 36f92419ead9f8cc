use std::collections::BTreeMap;

use domain::{
    Engine, PlanDocument, RecoveryPointId, ResourceId,
    retention::{Decision, Region, Tier, Worth},
};
use jiff::Timestamp;
use reconcile::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::{BackupPlans, Held, Inventory, Judgement, Strays};

/// The shape of the document.
pub(crate) const VERSION: u32 = 1;

/// What retention decided about every recovery point, and why: published before anything is deleted, and the only thing
/// that is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionPlan {
    /// The shape.
    pub version: u32,
    /// When it was made.
    pub made_at: Timestamp,
    /// What was decided, lineage by lineage.
    pub lineages: Vec<LineagePlan>,
    /// What was not decided, because something did not answer: engines, and resources.
    #[serde(default)]
    pub undecided: Vec<String>,
    /// What belongs to no recovery point: nothing is decided about it, and nothing deletes it but a person.
    #[serde(default, skip_serializing_if = "Strays::is_empty")]
    pub strays: Strays,
}

/// What was decided about the recovery points of one incarnation of one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineagePlan {
    /// The resource.
    pub resource: ResourceId,
    /// What stands for the incarnation in their names.
    pub mark: String,
    /// By which backup plan; without one, all are kept.
    pub plan: Option<String>,
    /// What is kept, the earliest slot first.
    pub keep: Vec<Decided>,
    /// What is expired.
    pub expire: Vec<Decided>,
}

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// About which recovery point.
    pub id: RecoveryPointId,
    /// In which Regions it was verified.
    pub verified: Vec<Region>,
    /// The coarsest tier that it fills.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// Of one that is expired, and still there: since when every plan has expired it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Why.
    pub why: Vec<String>,
}

/// Since when each is expired.
type ExpiredSince<'p> = BTreeMap<(&'p ResourceId, &'p RecoveryPointId), Timestamp>;

/// What a Region lost of an engine's recovery points since a plan was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss<'p> {
    /// Of which engine.
    pub engine: Engine,
    /// Where.
    pub region: Region,
    /// How many the plan kept that were verified there.
    pub kept: usize,
    /// Which of those are there no more, or lost their manifest.
    pub vanished: Vec<(&'p ResourceId, &'p RecoveryPointId)>,
}

/// Of what a plan kept of an engine in a Region, so much may be gone without anybody being asked: a tenth.
const LARGEST_LOSS: usize = 10;

/// So many names stand in a message.
const NAMED: usize = 5;

impl Loss<'_> {
    /// Whether so much is gone that nothing may be decided before a person has looked.
    pub fn is_large(&self) -> bool {
        self.vanished.len() * LARGEST_LOSS > self.kept
    }

    /// The refusal of a large one.
    pub fn refusal(&self) -> Error {
        let message = format!(
            "{} of the {} recovery points of {} that the last plan kept {} are gone: {}. Nothing is planned, and nothing deleted, \
             until that is understood; then invoke plan-retention with {{\"plan\": \"in-spite-of-losses\"}}",
            self.vanished.len(),
            self.kept,
            self.engine,
            self.region.says(),
            self.names()
        );
        Error::misconfigured("InventoryShrank", message)
    }

    /// What vanished, by name, as far as a message goes.
    pub fn names(&self) -> String {
        let named: Vec<&str> = self.vanished.iter().take(NAMED).map(|(_, id)| id.as_str()).collect();
        let more = self.vanished.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{}{more}", named.join(", "))
    }
}

impl LineagePlan {
    /// `is_unknown` says that nobody could tell by which backup plan it is kept: then all is, and what was to go before goes on as
    /// what nobody has looked at.
    fn of(judgement: &Judgement, is_unknown: bool, expired_since: &ExpiredSince, now: Timestamp) -> Self {
        let (mut keep, mut expire) = (Vec::new(), Vec::new());
        for (held, decision) in judgement.decisions() {
            let is_verified = |region: &Region| {
                held.holding(*region).is_some_and(|holding| holding.worth == Worth::Verified)
            };
            let is_kept = decision.is_none_or(Decision::is_kept);
            let before = expired_since.get(&(&held.resource, &held.id)).copied();
            let since = if is_kept { before.filter(|_| is_unknown) } else { before.or(Some(now)) };
            // What was to go may go yet, and is nobody's loss.
            let counts = !(is_kept && since.is_some());
            let decided = Decided {
                id: held.id.clone(),
                verified: Region::ALL.into_iter().filter(|region| counts && is_verified(region)).collect(),
                tier: decision.and_then(Decision::tier),
                since,
                why: judgement.why(decision),
            };
            if is_kept { keep.push(decided) } else { expire.push(decided) }
        }
        let plan = judgement.plan.map(|plan| plan.name.to_string());
        let crate::Lineage { resource, mark } = judgement.lineage.clone();
        Self { resource, mark, plan, keep, expire }
    }

    /// The same, as far as nobody has seen it: nothing is expired. What was to go may be gone by now, and is nobody's loss; if it
    /// is there after all, it has been expired all the while.
    fn all_kept(&self, planned_at: Timestamp) -> Self {
        let unseen = || "it was not looked at".to_owned();
        let kept = self.keep.iter().map(|one| match one.since {
            // It was to go, and was not looked at before either.
            Some(_) => one.clone(),
            None => Decided { why: vec![unseen()], ..one.clone() },
        });
        let expired = self.expire.iter().map(|one| Decided {
            verified: Vec::new(),
            since: one.since.or(Some(planned_at)),
            why: one.why.iter().cloned().chain([unseen()]).collect(),
            ..one.clone()
        });
        let keep = kept.chain(expired).collect();
        Self { keep, expire: Vec::new(), ..self.clone() }
    }
}

impl RetentionPlan {
    /// Decides about all that is known, by the plan that each lineage is under. Of an engine that did not answer, what the last
    /// plan names is kept.
    pub fn make(
        inventory: &Inventory,
        plans: &PlanDocument,
        backup_plans: &BackupPlans,
        last: Option<&Self>,
        now: Timestamp,
    ) -> Self {
        let expired_since = last.map(Self::expired_since).unwrap_or_default();
        let judgements = Judgement::of_all(inventory, plans, backup_plans, now);
        let lineages = judgements.map(|judgement| {
            let is_unknown = backup_plans.unknown.iter().any(|(lineage, _)| lineage == judgement.lineage);
            LineagePlan::of(&judgement, is_unknown, &expired_since, now)
        });
        let is_unknown = |engine: Engine| inventory.unknown().any(|(unknown, _)| unknown == engine);
        let not_seen = last.into_iter().flat_map(|last| {
            let not_seen = last.lineages.iter().filter(|lineage| is_unknown(lineage.resource.engine));
            not_seen.map(|lineage| lineage.all_kept(last.made_at))
        });
        let undecided = inventory
            .unknown()
            .map(|(engine, _)| engine.to_string())
            .chain(backup_plans.unknown.iter().map(|(lineage, _)| lineage.resource.to_string()));
        Self {
            version: VERSION,
            made_at: now,
            lineages: lineages.chain(not_seen).collect(),
            undecided: undecided.collect(),
            strays: Strays::of(&inventory.strays),
        }
    }

    /// Since when each has been expired by one plan after the other, those among them that a plan could not look at.
    fn expired_since(&self) -> ExpiredSince<'_> {
        let since = |one: &Decided| one.since.unwrap_or(self.made_at);
        self.expired_or_unseen().map(|(resource, one)| ((resource, &one.id), since(one))).collect()
    }

    /// What each Region has lost of each engine: of what it keeps, and was verified there. Of an engine that did not answer
    /// nothing is said.
    pub fn losses(&self, inventory: &Inventory) -> Vec<Loss<'_>> {
        let known: BTreeMap<_, &Held> = inventory
            .known()
            .flat_map(|(_, points)| points.iter().map(|point| ((&point.resource, &point.id), point)))
            .collect();
        let is_known =
            |resource: &ResourceId| inventory.engines.get(&resource.engine).is_some_and(Result::is_ok);
        let is_there = |resource: &ResourceId, id: &RecoveryPointId, region: Region| {
            let holding = known.get(&(resource, id)).and_then(|held| held.holding(region));
            holding.is_some_and(|holding| holding.worth != Worth::Failed)
        };
        let mut losses: BTreeMap<(Engine, Region), Loss> = BTreeMap::new();
        let looked_at = self.kept().filter(|(resource, _)| is_known(resource));
        for (resource, decided) in looked_at {
            for region in decided.verified.iter().copied() {
                let engine = resource.engine;
                let loss = losses.entry((engine, region)).or_insert_with(|| Loss {
                    engine,
                    region,
                    kept: 0,
                    vanished: Vec::new(),
                });
                loss.kept += 1;
                if !is_there(resource, &decided.id, region) {
                    loss.vanished.push((resource, &decided.id));
                }
            }
        }
        losses.into_values().filter(|loss| !loss.vanished.is_empty()).collect()
    }

    /// What it keeps.
    pub fn kept(&self) -> impl Iterator<Item = (&ResourceId, &Decided)> {
        self.lineages.iter().flat_map(|lineage| lineage.keep.iter().map(move |one| (&lineage.resource, one)))
    }

    /// What it expires, or keeps only because nobody could look at it, when an earlier one had expired it.
    pub fn expired_or_unseen(&self) -> impl Iterator<Item = (&ResourceId, &Decided)> {
        self.expired().chain(self.kept().filter(|(_, decided)| decided.since.is_some()))
    }

    /// What it expires.
    pub fn expired(&self) -> impl Iterator<Item = (&ResourceId, &Decided)> {
        self.lineages
            .iter()
            .flat_map(|lineage| lineage.expire.iter().map(move |one| (&lineage.resource, one)))
    }
}
