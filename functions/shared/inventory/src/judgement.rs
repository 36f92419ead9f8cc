use domain::{
    BackupPlan, PlanDocument,
    retention::{self, Candidate, Decision},
};
use jiff::Timestamp;

use crate::{BackupPlans, Held, Inventory, Lineage};

/// What is decided about the recovery points of one incarnation of one resource, by the plan that it is under.
#[derive(Debug)]
pub struct Judgement<'i> {
    /// Whose they are.
    pub lineage: &'i Lineage,
    /// By which backup plan. Without one all are kept: nobody knows by what they should go.
    pub plan: Option<&'i BackupPlan>,
    points: &'i [Held],
    candidates: Vec<Candidate>,
    /// In the order of the points; empty without a plan.
    decisions: Vec<Decision>,
}

impl<'i> Judgement<'i> {
    /// Judges all that is known.
    pub fn of_all(
        inventory: &'i Inventory,
        plans: &'i PlanDocument,
        backup_plans: &'i BackupPlans,
        now: Timestamp,
    ) -> impl Iterator<Item = Self> {
        inventory.known().map(move |(lineage, points)| {
            let plan = backup_plans.names.get(lineage).and_then(|name| plans.get(name));
            let candidates: Vec<Candidate> = points.iter().map(Held::candidate).collect();
            let decisions =
                plan.map(|plan| retention::plan(&candidates, &plan.policy(), now)).unwrap_or_default();
            Self { lineage, plan, points, candidates, decisions }
        })
    }

    /// Each recovery point, the earliest slot first, with what is decided about it.
    pub fn decisions(&self) -> impl Iterator<Item = (&'i Held, Option<&Decision>)> {
        let decisions = self.decisions.iter().map(Some).chain(std::iter::repeat(None));
        self.points.iter().zip(decisions)
    }

    /// Why it is decided so.
    pub fn why(&self, decision: Option<&Decision>) -> Vec<String> {
        decision.map_or_else(
            || vec!["no backup plan says how long it is kept".to_owned()],
            |decision| decision.reasons(&self.candidates),
        )
    }
}
