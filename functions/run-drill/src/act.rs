//! Goes on with a drill, step by step; each step is written down before the next.

use std::time::Instant;

use domain::drill::{To, Way, history::Verdict};
use invoke::{Answer, Functions};
use jiff::{SignedDuration, Timestamp};
use reconcile::{Documents, Done, Entry, EntryKey, Error, Facts, Kind, Ledger, Metric, Outcome, Result};
use serde_json::{Value, json};

use crate::{
    RunDrill,
    drill::{Drill, Heartbeats, Judged, Stage},
    engine::{Checked, Engine, Made, Turn},
    measure,
    record::Kept,
    restored,
    set::{self, SetAction},
};

/// What run-drill can do. It restores nothing itself, and deletes nothing but what drills made.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Write down that a drill is under way, and have it restored.
    Begin {
        /// Where it is written down.
        kept: Box<Kept>,
        /// The drill.
        drill: Box<Drill>,
        /// A person waits for the answer.
        asked: bool,
    },
    /// Go on with the drill under way.
    Step {
        /// Where it is written down.
        kept: Box<Kept>,
        /// What there is of it.
        sight: Sight,
    },
    /// Write down what is remembered of a resource.
    Remember {
        /// What.
        kept: Box<Kept>,
    },
    /// Delete what a drill left.
    Reap {
        /// What.
        made: Made,
    },
    /// Read what a person's restore lost.
    Measure {
        /// Where the ledger says that it is over.
        key: EntryKey,
    },
    /// What is done with the drills of recovery sets.
    Set(SetAction),
}

/// What there is of a drill.
#[derive(Clone, Debug, PartialEq)]
pub struct Sight {
    /// What it made.
    pub(crate) made: Vec<Made>,
    /// Whether its set, if it is of one, needs it no more.
    pub(crate) is_released: bool,
    /// Whether everywhere where it might have made something was looked.
    pub(crate) is_whole: bool,
    /// How the restore ended, if the ledger knows.
    pub(crate) end: Option<End>,
}

/// How a restore ended, as the ledger has it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum End {
    Completed(EntryKey),
    Failed(EntryKey),
}

/// The name of the action whose answer a person waits for.
pub(crate) const ASKED: &str = "drill";

/// How long after the verdict something may still appear, if the ledger does not know how the restore ended.
const APPEARS: SignedDuration = SignedDuration::from_mins(30);

/// How long after it was restored a database may not be reached.
const REACHED: SignedDuration = SignedDuration::from_hours(1);

impl reconcile::Action for Action {
    fn name(&self) -> &'static str {
        match self {
            Self::Begin { asked: true, .. } => ASKED,
            Self::Begin { .. } => "begin",
            Self::Step { .. } => "go-on",
            Self::Remember { .. } => "remember",
            Self::Reap { .. } => "reap",
            Self::Measure { .. } => "measure-restore",
            Self::Set(action) => action.name(),
        }
    }

    /// What fails a drill is its verdict; what fails here, the next tick tries again.
    fn failure(&self, _: &Error, _: Timestamp) -> Option<Entry> {
        None
    }
}

/// Carries out `action`.
pub(crate) async fn act<R, E, T, I, P, C, L, B, D>(
    function: &RunDrill<R, E, T, I, P, C, L, B, D>,
    action: &Action,
    now: Timestamp,
) -> Result<Done>
where
    R: Engine,
    E: Engine,
    T: Engine,
    C: Functions,
    L: Ledger,
    B: Facts,
    D: Documents,
{
    match action {
        Action::Begin { kept, drill, .. } => {
            let mut kept = kept.as_ref().clone();
            kept.record.wanted = None;
            kept.record.under_way = Some(drill.as_ref().clone());
            // Before anything is asked for: whoever is killed from here on leaves a drill that the next tick finds.
            kept.save(&function.journal.documents).await?;
            let sight = Sight { made: Vec::new(), is_released: true, is_whole: false, end: None };
            Desk { function, kept, drill: drill.as_ref().clone(), now }.go_on(&sight).await
        }
        Action::Step { kept, sight } => match &kept.record.under_way {
            Some(drill) => {
                let (kept, drill) = (kept.as_ref().clone(), drill.clone());
                Desk { function, kept, drill, now }.go_on(sight).await
            }
            None => Ok(Done::default()),
        },
        Action::Remember { kept } => {
            kept.as_ref().clone().save(&function.journal.documents).await?;
            Ok(Done::default())
        }
        Action::Measure { key } => restored::act(function, key, now).await,
        Action::Set(action) => set::act(function, action, now).await,
        Action::Reap { made } => {
            function.engines.tear_down(made).await?;
            Ok(Done::underway().with("deleting", made.name.clone()).with("region", made.region.clone()))
        }
    }
}

/// One drill that is worked on.
struct Desk<'f, R, E, T, I, P, C, L, B, D> {
    function: &'f RunDrill<R, E, T, I, P, C, L, B, D>,
    kept: Kept,
    drill: Drill,
    now: Timestamp,
}

impl<R, E, T, I, P, C, L, B, D> Desk<'_, R, E, T, I, P, C, L, B, D>
where
    R: Engine,
    E: Engine,
    T: Engine,
    C: Functions,
    L: Ledger,
    B: Facts,
    D: Documents,
{
    /// As far as it goes now.
    async fn go_on(mut self, sight: &Sight) -> Result<Done> {
        if self.drill.stage == Stage::Asked && self.drill.judged.is_none() {
            self.ask().await?;
        }
        if self.drill.stage == Stage::Restoring && self.drill.judged.is_none() {
            self.follow(sight).await?;
        }
        if self.drill.stage == Stage::Checking && self.drill.judged.is_none() {
            self.check().await?;
        }
        if let Some(judged) = self.drill.judged.clone() {
            if self.drill.stage != Stage::TearingDown {
                self.record(&judged).await?;
            }
            return self.tear_down(sight, &judged).await;
        }
        Ok(self.underway())
    }

    fn underway(&self) -> Done {
        let drill = &self.drill;
        Done::underway()
            .with("drill", drill.id.clone())
            .with("stage", drill.stage.says())
            .with("way", json!(drill.choice.way))
            .with("to", json!(drill.choice.to))
            .with("restored_as", drill.name.clone())
            .with("region", drill.staging.region.clone())
            .with("next", format!("ticks go on with it; the ledger will hold {}", drill.id))
    }

    async fn save(&mut self) -> Result<()> {
        self.kept.record.under_way = Some(self.drill.clone());
        self.kept.save(&self.function.journal.documents).await
    }

    /// Has restore-database restore it. Asked again with the same id, it is the same restore.
    async fn ask(&mut self) -> Result<()> {
        loop {
            let begun = Instant::now();
            let answer = self.function.functions.invoke(&self.function.restore, &self.drill.payload()).await;
            match answer {
                Ok(Answer::Done(answer)) => {
                    self.drill.restore_id = answer["restore_id"].as_str().map(str::to_owned);
                    self.drill.point = answer["recovery_point"].as_str().map(Into::into);
                    if self.drill.restore_id.is_none() {
                        let says =
                            format!("restore-database answered without a restore_id: {}", short(&answer));
                        return self.judge(failed("RestoreNotBegun", says), Value::Null).await;
                    }
                    self.drill.phases.accepted_ms = Some(milliseconds(begun));
                    self.drill.stage = Stage::Restoring;
                    return self.save().await;
                }
                Ok(Answer::Refused { code, .. })
                    if is_of_class(&code) && self.drill.staging.otherwise.is_some() =>
                {
                    if let Some(otherwise) = self.drill.staging.otherwise.take() {
                        self.drill.staging = *otherwise;
                    }
                    self.save().await?;
                }
                Ok(Answer::Refused { code, message }) => {
                    self.drill.is_refused = true;
                    return self.judge(failed(&code, message), Value::Null).await;
                }
                Err(error) if !self.drill.has_expired(self.now) => return Err(error),
                Err(error) => {
                    let says = format!("restore-database could not be asked for a day: {}", error.report());
                    return self.judge(failed("RestoreNotBegun", says), Value::Null).await;
                }
            }
        }
    }

    /// Looks whether it is restored.
    async fn follow(&mut self, sight: &Sight) -> Result<()> {
        match &sight.end {
            Some(End::Completed(key)) => {
                let entry = self.function.journal.ledger.get(key).await?.ok_or_else(|| {
                    Error::retryable(
                        "LedgerEntryMissing",
                        format!("{key} is listed in the ledger, and not there"),
                    )
                })?;
                if self.drill.set.is_some() {
                    // Of a member that had trouble at first restore-database said only later what it chose.
                    if let Some(point) = entry["recovery_point"].as_str() {
                        (self.drill.choice.way, self.drill.choice.to) =
                            (Way::Newest, To::Point(point.into()));
                    }
                    let as_of = entry["as_of"].as_str().and_then(|text| text.parse().ok());
                    self.drill.as_of = as_of.or(self.drill.as_of);
                }
                let phases = &mut self.drill.phases;
                phases.creating_ms = entry["phases"]["creating_ms"].as_u64();
                phases.first_query_ms = entry["phases"]["first_query_ms"].as_u64();
                phases.restore_ms = entry["duration_ms"].as_u64();
                self.drill.stage = Stage::Checking;
                self.drill.checked_since = Some(self.now);
                self.save().await
            }
            Some(End::Failed(key)) => {
                let entry = self.function.journal.ledger.get(key).await?.unwrap_or_default();
                let why = entry["error"].as_str().unwrap_or("the ledger does not say why").to_owned();
                self.judge(failed("RestoreFailed", why), Value::Null).await
            }
            None if self.drill.has_expired(self.now) => {
                let status = sight.made.first().map_or("not to be seen", |made| made.status.as_str());
                let mut says = format!("{} was not restored within a day: it is {status}", self.drill.name);
                if let Some(trouble) = &self.drill.trouble {
                    says = format!("{says}; when it was asked for, restore-database said {trouble}");
                }
                self.judge(failed("RestoreTooLong", says), Value::Null).await
            }
            None => Ok(()),
        }
    }

    /// Checks, for this invocation's turn.
    async fn check(&mut self) -> Result<()> {
        if self.drill.has_expired(self.now) {
            let says = "the checks were not over within a day".to_owned();
            return self.judge(failed("ChecksTooLong", says), Value::Null).await;
        }
        let begun = Instant::now();
        let turn = self.function.limits.turn.unsigned_abs();
        let turn = Turn::new(self.now, turn);
        let checked = self.function.engines.check(&self.drill, turn).await;
        self.drill.checked_ms += milliseconds(begun);
        match checked {
            Ok(Checked::Further(checks)) => {
                self.drill.checks = checks;
                self.save().await
            }
            Ok(Checked::Over { verdict, loss, evidence, unchecked, bytes, known }) => {
                // What the provider says is the disk, which is the same for years however full it gets.
                self.drill.bytes = bytes.unwrap_or(self.drill.bytes);
                let phases = &mut self.drill.phases;
                phases.checks_ms = Some(self.drill.checked_ms);
                let restored = phases.restore_ms.map(|restore| restore + phases.accepted_ms.unwrap_or(0));
                phases.duration_ms = restored.map(|restored| restored + self.drill.checked_ms);
                let judged = Judged { at: self.now, verdict, loss, evidence, unchecked, known };
                self.judged(self.with_heartbeats(judged)).await
            }
            Err(error) if error.kind() == Kind::Retryable && self.is_patient() => {
                if !self.drill.checks.is_null() {
                    self.save().await?;
                }
                Err(error)
            }
            Err(error) => self.judge(failed(error.code(), error.report()), Value::Null).await,
        }
    }

    /// A database that should have heartbeats, and had some before the state that was restored, has lost them. One that never had any is
    /// not proven to have lost nothing.
    fn with_heartbeats(&self, mut judged: Judged) -> Judged {
        let Heartbeats { are_planned, since } = self.drill.heartbeats;
        let is_measured = judged.loss.is_some_and(|loss| loss.is_measured);
        if !are_planned || is_measured || judged.verdict != Verdict::Passed {
            return judged;
        }
        match since.filter(|since| *since < self.drill.restored_state()) {
            Some(since) => {
                let says = format!(
                    "there are no heartbeats that can be believed, and the state of {since} had some"
                );
                judged.verdict = failed("HeartbeatsGone", says);
            }
            None => judged
                .unchecked
                .push("its plan names heartbeats, and there are none to measure the loss by".to_owned()),
        }
        judged
    }

    /// What nobody ever reached is not reached any more after an hour; what was interrupted goes on for as long as the drill may last.
    fn is_patient(&self) -> bool {
        let since = self.drill.checked_since.unwrap_or(self.now);
        let never_begun = self.drill.checks.is_null();
        let is_out_of_reach = never_begun && self.now.duration_since(since) > REACHED;
        !self.drill.has_expired(self.now) && !is_out_of_reach
    }

    async fn judge(&mut self, verdict: Verdict, evidence: Value) -> Result<()> {
        self.judged(Judged {
            at: self.now,
            verdict,
            loss: None,
            evidence,
            unchecked: Vec::new(),
            known: Value::Null,
        })
        .await
    }

    /// The verdict is written down once, so that whoever records it records the same.
    async fn judged(&mut self, judged: Judged) -> Result<()> {
        let (evidence, unchecked) =
            (measure::shortened(&judged.evidence), measure::first_of(judged.unchecked));
        self.drill.judged = Some(Judged { evidence, unchecked, ..judged });
        self.drill.checks = Value::Null;
        self.save().await
    }

    /// The verdict stands in the ledger before anything is torn down.
    async fn record(&mut self, judged: &Judged) -> Result<()> {
        self.function.journal.record_once(&self.drill.verdict_entry(judged)).await?;
        self.drill.stage = Stage::TearingDown;
        self.save().await
    }

    /// Has everything deleted that it made; when nothing is there any more it is over.
    async fn tear_down(mut self, sight: &Sight, judged: &Judged) -> Result<Done> {
        if !sight.is_released {
            return Ok(self.underway().with("waits_for", "what is asked across its set"));
        }
        let mut met = None;
        for made in &sight.made {
            if let Err(error) = self.function.engines.tear_down(made).await {
                met = met.or(Some(error));
            }
        }
        if let Some(error) = met {
            // What is busy is waited for; what a person has to mend is told of.
            if error.kind() == Kind::Retryable && !self.drill.has_expired(self.now) {
                return Ok(self.underway().with("waits_for", error.report()));
            }
            return Err(lasting(error));
        }
        if !sight.is_whole && self.drill.has_expired(self.now) {
            let says = format!(
                "{} cannot be torn down: nobody can look at what it made in {}: this deployment has not that engine or Region any more; \
                 delete {} there, if it is, then the drill's key under_way in its document",
                self.drill.id, self.drill.staging.region, self.drill.name
            );
            return Err(Error::permanent("NotLookedAt", says));
        }
        let has_ended =
            sight.end.is_some() || self.drill.is_refused || self.now.duration_since(judged.at) > APPEARS;
        if !sight.made.is_empty() || !sight.is_whole || !has_ended {
            return Ok(self.underway());
        }
        let mut entry = self.drill.entry("drill-torn-down", Outcome::Completed, self.now);
        let cost = self.drill.cost_micro_usd(self.now);
        entry.detail.insert("cost_micro_usd_at_most".to_owned(), cost.into());
        entry.detail.insert("restored_as".to_owned(), self.drill.name.clone().into());
        self.function.journal.record_once(&entry).await?;
        let past = self.drill.past(judged, self.now);
        let mut done = Done::default().with("drill", self.drill.id.clone()).with("passed", past.has_passed());
        done.metrics.push(Metric::count("drill_passed", usize::from(past.has_passed())));
        done.metrics.extend(past.phases.duration_ms.map(|duration| {
            Metric::milliseconds("drill_duration_ms", i64::try_from(duration).unwrap_or(i64::MAX))
        }));
        done.metrics.extend(past.loss.map(|loss| {
            Metric::milliseconds("drill_loss_ms", i64::try_from(loss.at_most_ms).unwrap_or(i64::MAX))
        }));
        self.kept.record.history.past.push(past);
        self.kept.record.under_way = None;
        if judged.verdict == Verdict::Passed {
            // What was restored by a drill that failed is no measure for the next.
            if !judged.known.is_null() {
                self.kept.record.known = judged.known.clone();
            }
            if judged.loss.is_some_and(|loss| loss.is_measured) {
                let state = self.drill.restored_state();
                let since = &mut self.kept.record.heartbeats_since;
                *since = Some(since.map_or(state, |since| since.min(state)));
            }
        }
        self.kept.save(&self.function.journal.documents).await?;
        Ok(done)
    }
}

/// What has lasted for a day does not pass by itself: people are told of it.
fn lasting(error: Error) -> Error {
    Error::permanent(error.code().to_owned(), "what a drill made cannot be torn down").caused_by(error)
}

/// Whether the provider does not offer the class that was wanted (RDS API Reference, `RestoreDBInstanceFromDBSnapshot`; ElastiCache
/// API Reference, `CreateReplicationGroup`).
fn is_of_class(code: &str) -> bool {
    let of_class = [
        "InvalidParameterCombination",
        "InvalidParameterValue",
        "InsufficientDBInstanceCapacity",
        "InsufficientCacheClusterCapacity",
        "StorageTypeNotSupported",
    ];
    of_class.iter().any(|known| code.starts_with(known))
}

/// So many characters of what failed are told.
const LONGEST_SAID: usize = 1_000;

pub(crate) fn failed(code: &str, mut says: String) -> Verdict {
    measure::cut(&mut says, LONGEST_SAID);
    Verdict::Failed { code: code.to_owned(), says }
}

fn milliseconds(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(200).collect()
}
