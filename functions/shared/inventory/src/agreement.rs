use std::collections::BTreeSet;

use data_encoding::HEXLOWER;
use domain::{
    Engine, PlanDocument, RecoveryPointId, ResourceId,
    retention::{self, Candidate},
};
use jiff::Timestamp;
use reconcile::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{BackupPlans, Inventory, Lineage};

/// The shape of the document.
const VERSION: u32 = 1;

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

impl LineagePlan {
    /// The same, as far as nobody has seen it: nothing is expired.
    fn all_kept(&self) -> Self {
        let mut keep: Vec<Decided> = self.keep.iter().chain(&self.expire).cloned().collect();
        for one in &mut keep {
            one.why = vec!["it was not looked at".to_owned()];
        }
        Self { keep, expire: Vec::new(), ..self.clone() }
    }
}

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// About which recovery point.
    pub id: RecoveryPointId,
    /// Why.
    pub why: Vec<String>,
}

impl RetentionPlan {
    /// Decides about all that is known, by the plan that each lineage is under. Of one without a plan that is in the document
    /// everything is kept: nobody knows by what it should go. Of an engine that did not answer, what the last plan names is kept.
    pub fn make(
        inventory: &Inventory,
        plans: &PlanDocument,
        backup_plans: &BackupPlans,
        last: Option<&Self>,
        now: Timestamp,
    ) -> Self {
        let plan_of = &backup_plans.names;
        let lineages = inventory.known().map(|(lineage, points)| {
            let plan = plan_of.get(lineage).and_then(|name| plans.get(name));
            let candidates: Vec<Candidate> = points.iter().map(crate::Held::candidate).collect();
            let (mut keep, mut expire) = (Vec::new(), Vec::new());
            match plan {
                None => keep.extend(candidates.iter().map(|one| Decided {
                    id: one.id.clone(),
                    why: vec!["no backup plan says how long it is kept".to_owned()],
                })),
                Some(plan) => {
                    let decisions = retention::plan(&candidates, &plan.policy(), now);
                    for (candidate, decision) in candidates.iter().zip(decisions) {
                        let decided =
                            Decided { id: candidate.id.clone(), why: decision.reasons(&candidates) };
                        if decision.is_kept() { keep.push(decided) } else { expire.push(decided) }
                    }
                }
            }
            let plan = plan.map(|plan| plan.name.to_string());
            let Lineage { resource, mark } = lineage.clone();
            LineagePlan { resource, mark, plan, keep, expire }
        });
        let is_unknown = |engine: Engine| inventory.unknown().any(|(unknown, _)| unknown == engine);
        let not_seen = last
            .into_iter()
            .flat_map(|last| &last.lineages)
            .filter(|lineage| is_unknown(lineage.resource.engine));
        let undecided = inventory
            .unknown()
            .map(|(engine, _)| engine.to_string())
            .chain(backup_plans.unknown.iter().map(|(lineage, _)| lineage.resource.to_string()));
        Self {
            version: VERSION,
            made_at: now,
            lineages: lineages.chain(not_seen.map(LineagePlan::all_kept)).collect(),
            undecided: undecided.collect(),
        }
    }

    /// What stands for what it expires: of two plans that expire the same it is the same.
    pub fn hash(&self) -> String {
        let expired: Vec<_> = self
            .lineages
            .iter()
            .flat_map(|lineage| lineage.expire.iter().map(move |one| (lineage.resource.to_string(), &one.id)))
            .collect();
        HEXLOWER.encode(&Sha256::digest(json!(expired).to_string()))
    }

    /// The document.
    pub fn to_json(&self) -> String {
        let mut document = json!(self);
        document["hash"] = self.hash().into();
        document.to_string()
    }

    /// Reads a document. One whose hash is of something else is refused.
    pub fn parse(key: &str, text: &[u8]) -> Result<Self> {
        let unreadable = |why: &str| {
            Error::permanent("RetentionPlanUnreadable", format!("{key} holds no retention plan: {why}"))
        };
        let document: serde_json::Value =
            serde_json::from_slice(text).map_err(|error| unreadable("it is no JSON").caused_by(error))?;
        let hash = document["hash"].as_str().unwrap_or_default().to_owned();
        let plan: Self = serde_json::from_value(document)
            .map_err(|error| unreadable("fields are missing").caused_by(error))?;
        if plan.version != VERSION {
            return Err(unreadable(&format!("its version is {}, and {VERSION} is understood", plan.version)));
        }
        if plan.hash() != hash {
            return Err(unreadable("its hash is of another one"));
        }
        Ok(plan)
    }

    /// What it keeps and is there no more.
    pub fn vanished<'p>(&'p self, inventory: &Inventory) -> Vec<(&'p ResourceId, &'p RecoveryPointId)> {
        let known: BTreeSet<_> = inventory
            .known()
            .flat_map(|(_, points)| points.iter().map(|point| (&point.resource, &point.id)))
            .collect();
        let is_known =
            |resource: &ResourceId| inventory.engines.get(&resource.engine).is_some_and(Result::is_ok);
        self.kept()
            .filter(|(resource, id)| is_known(resource) && !known.contains(&(*resource, *id)))
            .collect()
    }

    /// What it keeps.
    pub fn kept(&self) -> impl Iterator<Item = (&ResourceId, &RecoveryPointId)> {
        self.lineages
            .iter()
            .flat_map(|lineage| lineage.keep.iter().map(move |one| (&lineage.resource, &one.id)))
    }

    /// What it expires.
    pub fn expired(&self) -> impl Iterator<Item = (&ResourceId, &RecoveryPointId)> {
        self.lineages
            .iter()
            .flat_map(|lineage| lineage.expire.iter().map(move |one| (&lineage.resource, &one.id)))
    }
}
