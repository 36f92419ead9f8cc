use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use domain::{Finding, ResourceId, Severity, Standing};
use futures::{StreamExt, future::OptionFuture, stream};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Map, Value};
use tokio::time::timeout_at;

use crate::{
    Acted, Action, Budget, Deadline, Decision, Documents, Done, Entry, Error, Facts, Failed, Journal, Kind,
    Ledger, Metric, Outcome, Plan, Reconciler, Request, Result, Summary, Verdict, board::Board, logs,
    metrics, summary::Waiting,
};

/// One pass: observe, plan, act within the budget, record.
///
/// Fails as a whole only where nothing was done: the observation failed, or the request was refused. Anything that one
/// resource's action meets stays with that resource, in [`Summary::failed`].
pub async fn run<R, L, F, D>(
    reconciler: &R,
    journal: &Journal<L, F, D>,
    request: R::Request,
    now: Timestamp,
    deadline: Deadline,
    budget: Budget,
) -> Result<Summary>
where
    R: Reconciler,
    L: Ledger,
    F: Facts,
    D: Documents,
{
    let surveys = request.surveys();
    let looks = async {
        // The board first: a pass that looked at the world earlier than another must not overwrite what that one posted.
        let board = OptionFuture::from(surveys.then(|| Board::read(&journal.documents, R::NAME))).await;
        // Boxed, here and below: the SDK's futures are large, and nesting them by value exceeds what the compiler lays out.
        (Box::pin(reconciler.observe(request, now)).await, board)
    };
    let (observed, board) = timeout_at(deadline.last_call(), looks).await.map_err(|_| out_of_time())?;
    let observed = observed?;
    let Plan { decisions, findings, standings, measured, incomplete, not_looked_for, not_looked_at } =
        R::plan(&observed, now)?;
    for (resource, metrics) in &measured {
        measure(now, resource, metrics);
    }
    let any_found = !findings.is_empty();
    let found = Found {
        findings,
        unknown: not_looked_at,
        everything_unknown: incomplete,
        not_looked_for,
        unsaid: false,
    };
    let (summary, found) = (RefCell::new(Summary::new::<R>(now)), RefCell::new(found));
    let pass = Pass { reconciler, journal, now, deadline, budget, standings, summary, found };
    let mut board = board.transpose();
    if let (Ok(Some(board)), true) = (&mut board, any_found) {
        // What is wrong is said before anything is done, so that nobody has to wait for it, or never hears of it.
        pass.post(board, false).await;
    }
    stream::iter(decisions)
        .for_each_concurrent(budget.concurrency, |decision| pass.carry_out(decision))
        .await;
    match board {
        Ok(Some(mut board)) => pass.post(&mut board, true).await,
        Ok(None) => {}
        Err(error) => pass.not_posted(error),
    }
    Ok(pass.summary.into_inner())
}

/// How often a pass tries to post, when others of the same function post at the same time.
const POSTS: usize = 5;

/// What the decisions of one pass share.
struct Pass<'p, R, L, F, D> {
    reconciler: &'p R,
    journal: &'p Journal<L, F, D>,
    now: Timestamp,
    deadline: Deadline,
    budget: Budget,
    standings: BTreeMap<ResourceId, Standing>,
    /// Borrowed only between awaits: the pass runs on one thread.
    summary: RefCell<Summary>,
    found: RefCell<Found>,
}

/// What a pass found wrong, and what it could not find out.
#[derive(Default)]
struct Found {
    findings: Vec<Finding>,
    /// Resources of which nothing is known this time: their earlier findings stay.
    unknown: BTreeSet<ResourceId>,
    everything_unknown: bool,
    not_looked_for: Vec<&'static str>,
    /// Something failed that no finding says, because the next tick may not meet it.
    unsaid: bool,
}

impl Found {
    /// Whether that earlier finding may well go on.
    fn is_unknown(&self, earlier: &Finding) -> bool {
        self.everything_unknown
            || self.unknown.contains(&earlier.resource)
            || self.not_looked_for.contains(&earlier.kind.as_str())
    }
}

impl<R: Reconciler, L: Ledger, F: Facts, D: Documents> Pass<'_, R, L, F, D> {
    async fn carry_out(&self, decision: Decision<R::Action>) {
        let Decision { resource, verdict, reason } = decision;
        match verdict {
            Verdict::Settled => self.summary.borrow_mut().settled += 1,
            Verdict::Wait => {
                let mut summary = self.summary.borrow_mut();
                summary.unfinished += 1;
                summary.waiting.push(Waiting { resource, reason });
            }
            Verdict::Refuse(error) => {
                let error = self.record_failure(self.refusal(&resource, &error), error).await;
                self.failed("refused", Failed { resource, action: "plan", error });
            }
            Verdict::Act(_) if !self.deadline.allows(self.budget.reserve) => {
                self.found.borrow_mut().unknown.insert(resource);
                let mut summary = self.summary.borrow_mut();
                summary.deferred += 1;
                summary.unfinished += 1;
            }
            Verdict::Act(action) => match self.attempt(&action).await {
                Ok(done) => {
                    tracing::info!(resource = %resource, action = action.name(), reason, "done");
                    measure(self.now, &resource, &done.metrics);
                    self.found.borrow_mut().findings.extend(done.findings);
                    let mut summary = self.summary.borrow_mut();
                    summary.unfinished += usize::from(done.unfinished);
                    summary.acted.push(Acted {
                        resource,
                        action: action.name(),
                        reason,
                        detail: done.detail,
                    });
                }
                Err(error) => {
                    let entry = action.failure(&error, self.now);
                    let unrecorded =
                        if error.kind() == Kind::Misconfigured { "refused" } else { "action-failed" };
                    let kind = entry.as_ref().map_or(unrecorded, |entry| entry.kind);
                    let error = self.record_failure(entry, error).await;
                    self.failed(kind, Failed { resource, action: action.name(), error });
                }
            },
        }
    }

    /// Acts and records what came of it, within the invocation's time.
    async fn attempt(&self, action: &R::Action) -> Result<Done> {
        timeout_at(self.deadline.last_call(), async {
            let done = Box::pin(self.reconciler.act(action, self.now)).await?;
            for entry in &done.entries {
                self.journal.record(entry).await.map_err(|error| unrecorded(action, &done, &error))?;
            }
            Ok(done)
        })
        .await
        .map_err(|_| out_of_time())?
    }

    /// Writes the failure into the ledger. A ledger that cannot be written is worse news than the failure itself, so
    /// it becomes the error, with the failure in its text.
    async fn record_failure(&self, entry: Option<Entry>, error: Error) -> Error {
        let Some(entry) = entry else { return error };
        match self.journal.record_once(&entry).await {
            Ok(()) => error,
            Err(ledger) => Error::new(
                ledger.kind(),
                ledger.code().to_owned(),
                format!("{}; and it could not be recorded: {ledger}", error.report()),
            ),
        }
    }

    /// The entry for what should be done and cannot be: once a day for as long as it lasts.
    fn refusal(&self, resource: &ResourceId, error: &Error) -> Option<Entry> {
        (error.kind() != Kind::Retryable).then(|| Entry {
            day: self.now.to_zoned(TimeZone::UTC).date(),
            at: self.now,
            function: R::NAME,
            kind: "refused",
            resource: resource.clone(),
            subject: R::NAME.to_owned(),
            region: "any".to_owned(),
            outcome: Outcome::Failed(error.code().to_owned()),
            detail: Map::from_iter([("error".to_owned(), error.report().into())]),
        })
    }

    /// What should have been done and was not. A failure that the next tick may not meet says nothing yet.
    fn failed(&self, kind: &str, failed: Failed) {
        let Failed { resource, action, error } = &failed;
        tracing::error!(
            resource = %resource, action,
            error.code = error.code(), error.kind = error.kind().as_str(), "{}", error.report()
        );
        let mut found = self.found.borrow_mut();
        if error.kind() == Kind::Retryable {
            found.unknown.insert(resource.clone());
            found.unsaid = true;
        } else {
            found.findings.push(self.finding(kind, resource, error));
        }
        let mut summary = self.summary.borrow_mut();
        summary.unfinished += 1;
        summary.failed.push(failed);
    }

    fn finding(&self, kind: &str, resource: &ResourceId, error: &Error) -> Finding {
        let next = match error.kind() {
            Kind::Misconfigured => "Mend what the error names; the next tick tries again by itself.",
            Kind::Permanent | Kind::Retryable => "Look into what the error names; every tick tries again.",
        };
        Finding {
            resource: resource.clone(),
            kind: kind.to_owned(),
            code: Some(error.code().to_owned()),
            severity: Severity::Critical,
            since: self.now,
            says: error.report(),
            next: next.to_owned(),
            standing: Standing::default(),
        }
    }

    /// Posts what was found so far, for send-alert, and wakes it if that changed.
    async fn post(&self, board: &mut Board, last: bool) {
        let posted = timeout_at(self.deadline.last_call(), self.try_post(board, last)).await;
        match posted.map_err(|_| out_of_time()).flatten() {
            Ok(count) => self.summary.borrow_mut().findings = Some(count),
            Err(error) => self.not_posted(error),
        }
    }

    /// How many findings stand there then.
    async fn try_post(&self, board: &mut Board, last: bool) -> Result<usize> {
        let well = last && !self.found.borrow().unsaid;
        for attempt in 0..POSTS {
            // Before it has acted a pass ends nothing. And what another pass posted meanwhile may be newer than what this one
            // saw: it is added to, and not undone.
            let ends_nothing = !last || attempt > 0;
            let findings = board.next(self.findings(), |earlier| ends_nothing || self.is_unknown(earlier));
            let count = findings.len();
            let documents = &self.journal.documents;
            let Some(change) = board.post(documents, R::NAME, findings, well, self.now).await? else {
                *board = Board::read(documents, R::NAME).await?;
                continue;
            };
            if change.opened + change.ended > 0 {
                self.journal.facts.publish(&self.changed(change.opened, change.ended)).await?;
            }
            return Ok(count);
        }
        let message = format!("other passes of {} post at the same time; the next tick looks again", R::NAME);
        Err(Error::retryable("FindingsContended", message))
    }

    fn findings(&self) -> Vec<Finding> {
        let found = self.found.borrow();
        found.findings.iter().map(|finding| self.with_standing(finding.clone())).collect()
    }

    fn is_unknown(&self, earlier: &Finding) -> bool {
        self.found.borrow().is_unknown(earlier)
    }

    /// Nobody hears what this pass found: it has failed, and has no heartbeat.
    fn not_posted(&self, error: Error) {
        self.summary.borrow_mut().findings = None;
        let resource = ResourceId::tidemark(R::NAME);
        self.failed("action-failed", Failed { resource, action: "post-findings", error });
    }

    /// Whoever finds something says how the resource stands, if it can.
    fn with_standing(&self, finding: Finding) -> Finding {
        match self.standings.get(&finding.resource) {
            Some(standing) if finding.standing == Standing::default() => {
                Finding { standing: standing.clone(), ..finding }
            }
            _ => finding,
        }
    }

    /// The fact that wakes send-alert. It is no entry of the ledger: the findings have entries of their own.
    fn changed(&self, opened: usize, ended: usize) -> Entry {
        Entry {
            day: self.now.to_zoned(TimeZone::UTC).date(),
            at: self.now,
            function: R::NAME,
            kind: "findings-changed",
            resource: ResourceId::tidemark(R::NAME),
            subject: R::NAME.to_owned(),
            region: "any".to_owned(),
            outcome: Outcome::Completed,
            detail: Map::from_iter([
                ("opened".to_owned(), opened.into()),
                ("ended".to_owned(), ended.into()),
            ]),
        }
    }
}

/// Writes a resource's metrics to the log, where CloudWatch finds them.
fn measure(now: Timestamp, resource: &ResourceId, values: &[Metric]) {
    if !values.is_empty() {
        let name = resource.to_string();
        logs::metric_line(&metrics::embedded(now, &[("resource", &name)], values));
    }
}

/// The action took effect and could not be written down: the reader must hear of both.
fn unrecorded(action: &impl Action, done: &Done, error: &Error) -> Error {
    let detail = Value::Object(done.detail.clone());
    let message =
        format!("{} was done ({detail}) and could not be recorded: {}", action.name(), error.report());
    Error::new(error.kind(), error.code().to_owned(), message)
}

fn out_of_time() -> Error {
    Error::retryable(
        "OutOfTime",
        "the invocation's time is nearly over; the next tick goes on from what it finds",
    )
}

impl Summary {
    fn new<R: Reconciler>(now: Timestamp) -> Self {
        Self {
            function: R::NAME,
            at: now,
            acted: Vec::new(),
            waiting: Vec::new(),
            failed: Vec::new(),
            settled: 0,
            deferred: 0,
            unfinished: 0,
            findings: None,
        }
    }
}
