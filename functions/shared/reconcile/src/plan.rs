use std::collections::{BTreeMap, BTreeSet};

use domain::{Finding, ResourceId, Standing};
use serde_json::{Map, Value};

use crate::{Entry, Error, Metric};

/// What a pass decided, one decision for each thing it looked at.
#[derive(Debug)]
pub struct Plan<A> {
    /// In the order in which they should be carried out, as far as the budget goes.
    pub decisions: Vec<Decision<A>>,
    /// What is wrong. Refusals and failures are added by the pass.
    pub findings: Vec<Finding>,
    /// How recoverable resources are, for whoever is told of a finding about them.
    pub standings: BTreeMap<ResourceId, Standing>,
    /// What was measured, by resource.
    pub measured: Vec<(ResourceId, Vec<Metric>)>,
    /// Something did not answer, so that an earlier finding that is not here may well go on.
    pub incomplete: bool,
    /// The kinds of findings that this pass did not look for: earlier ones stay.
    pub not_looked_for: Vec<&'static str>,
    /// The resources that this pass could say nothing of: their earlier findings stay.
    pub not_looked_at: BTreeSet<ResourceId>,
}

/// One decision, with the reason that stands in logs, answers and goldens.
#[derive(Debug)]
pub struct Decision<A> {
    /// What it is about.
    pub resource: ResourceId,
    /// What was decided.
    pub verdict: Verdict<A>,
    /// Why, as a sentence a person on call understands.
    pub reason: String,
}

/// The decision itself.
#[derive(Debug)]
pub enum Verdict<A> {
    /// Do this now.
    Act(A),
    /// Something is under way, or must come first; the next tick looks again.
    Wait,
    /// All is as it should be.
    Settled,
    /// It should be done and cannot be: counts as a failure of this resource.
    Refuse(Error),
}

/// Something that can be carried out.
pub trait Action {
    /// The action's name in logs and answers, a verb and its object: `take-snapshot`.
    fn name(&self) -> &'static str;

    /// The ledger entry that a failure of it leaves. Recorded once, however often the tick meets the same failure.
    fn failure(&self, error: &Error, now: jiff::Timestamp) -> Option<Entry>;
}

/// What came of an action.
#[derive(Debug, Default)]
pub struct Done {
    /// To be recorded in the ledger and published as facts.
    pub entries: Vec<Entry>,
    /// To be emitted, under the resource's name.
    pub metrics: Vec<Metric>,
    /// What was found wrong in doing it; the next pass finds it by itself as long as it lasts.
    pub findings: Vec<Finding>,
    /// For the answer, e.g. the id of the snapshot.
    pub detail: Map<String, Value>,
    /// The cloud still works on it: a later tick has to look again.
    pub unfinished: bool,
}

impl Done {
    /// The action set something going that a later tick must follow.
    pub fn underway() -> Self {
        Self { unfinished: true, ..Self::default() }
    }

    /// Adds `key: value` to the answer.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.detail.insert(key.to_owned(), value.into());
        self
    }
}

impl<A> Plan<A> {
    /// A plan without decisions.
    pub const fn empty() -> Self {
        Self {
            decisions: Vec::new(),
            findings: Vec::new(),
            standings: BTreeMap::new(),
            measured: Vec::new(),
            incomplete: false,
            not_looked_for: Vec::new(),
            not_looked_at: BTreeSet::new(),
        }
    }

    fn push(&mut self, resource: &ResourceId, verdict: Verdict<A>, reason: impl Into<String>) {
        self.decisions.push(Decision { resource: resource.clone(), verdict, reason: reason.into() });
    }

    /// Decides to do `action`.
    pub fn act(&mut self, resource: &ResourceId, action: A, reason: impl Into<String>) {
        self.push(resource, Verdict::Act(action), reason);
    }

    /// Decides to look again later.
    pub fn wait(&mut self, resource: &ResourceId, reason: impl Into<String>) {
        self.push(resource, Verdict::Wait, reason);
    }

    /// Notes that nothing is to be done.
    pub fn settled(&mut self, resource: &ResourceId, reason: impl Into<String>) {
        self.push(resource, Verdict::Settled, reason);
    }

    /// Notes what should be done and cannot be.
    pub fn refuse(&mut self, resource: &ResourceId, error: Error) {
        let reason = error.to_string();
        self.push(resource, Verdict::Refuse(error), reason);
    }

    /// Says that something is wrong.
    pub fn find(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// Says how recoverable a resource is.
    pub fn standing(&mut self, resource: &ResourceId, standing: Standing) {
        self.standings.insert(resource.clone(), standing);
    }

    /// Says what was measured of a resource.
    pub fn measure(&mut self, resource: &ResourceId, metrics: Vec<Metric>) {
        self.measured.push((resource.clone(), metrics));
    }

    /// Notes that this pass does not look for findings of these kinds.
    pub fn leave(&mut self, kinds: &[&'static str]) {
        self.not_looked_for.extend(kinds);
    }

    /// Notes that this pass can say nothing of a resource.
    pub fn leave_resource(&mut self, resource: &ResourceId) {
        self.not_looked_at.insert(resource.clone());
    }

    /// Notes that `what` did not answer. The pass fails for that, does all the rest, and ends no finding.
    pub fn do_without(&mut self, what: &str, error: &Error) {
        self.incomplete = true;
        self.miss(what, error, &[]);
    }

    /// Notes that `what` did not answer, without which only findings of these kinds cannot be judged.
    pub fn miss(&mut self, what: &str, error: &Error, kinds: &[&'static str]) {
        self.leave(kinds);
        let error = Error::new(error.kind(), error.code().to_owned(), error.report());
        self.refuse(&ResourceId::tidemark(what), error);
    }
}
