//! Goes on with the drill of a set.

use domain::{
    CrossAssertion,
    drill::{To, Way, history::Verdict},
};
use invoke::{Answer, Functions};
use jiff::Timestamp;
use reconcile::{Documents, Done, Error, Facts, Kind, Ledger, Result};
use serde_json::{Value, json};

use super::{
    KeptSet, SetDrill,
    record::{SetJudged, SetPast, Told},
};
use crate::{RunDrill, act::failed, drill::Drill, engine::Engine, record::Kept};

/// What is done with the drills of sets.
#[derive(Clone, Debug, PartialEq)]
pub enum SetAction {
    /// Write down that a drill is under way, and have the set restored.
    Begin {
        /// Where it is written down.
        kept: Box<KeptSet>,
        /// The drill.
        drill: Box<SetDrill>,
        /// A person waits for the answer.
        asked: bool,
    },
    /// Go on with the drill under way.
    Step {
        /// Where it is written down.
        kept: Box<KeptSet>,
    },
    /// Write down that there is such a set.
    Remember {
        /// What.
        kept: Box<KeptSet>,
    },
}

impl SetAction {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Begin { asked: true, .. } => crate::act::ASKED,
            Self::Begin { .. } => "begin-set",
            Self::Step { .. } => "go-on-with-set",
            Self::Remember { .. } => "remember",
        }
    }
}

pub(crate) async fn act<R, E, T, I, P, C, L, B, D>(
    function: &RunDrill<R, E, T, I, P, C, L, B, D>,
    action: &SetAction,
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
        SetAction::Begin { kept, drill, .. } => {
            let mut kept = kept.as_ref().clone();
            kept.record.wanted = None;
            kept.record.under_way = Some(drill.as_ref().clone());
            kept.save(&function.journal.documents).await?;
            Desk { function, kept, drill: drill.as_ref().clone(), now }.go_on().await
        }
        SetAction::Step { kept } => match &kept.record.under_way {
            Some(drill) => {
                let (kept, drill) = (kept.as_ref().clone(), drill.clone());
                Desk { function, kept, drill, now }.go_on().await
            }
            None => Ok(Done::default()),
        },
        SetAction::Remember { kept } => {
            kept.as_ref().clone().save(&function.journal.documents).await?;
            Ok(Done::default())
        }
    }
}

/// One drill of a set that is worked on.
struct Desk<'f, R, E, T, I, P, C, L, B, D> {
    function: &'f RunDrill<R, E, T, I, P, C, L, B, D>,
    kept: KeptSet,
    drill: SetDrill,
    now: Timestamp,
}

/// How far the drills of the members have come.
enum Members {
    /// Some have no verdict yet.
    Open,
    /// All have.
    Judged {
        /// The first one that failed, if any did.
        first: Option<(String, String)>,
        /// How long the slowest took: they are restored at the same time.
        longest_ms: Option<u64>,
    },
    /// Nothing of any is there any more.
    Over,
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
    async fn go_on(mut self) -> Result<Done> {
        if self.drill.instant.is_none() && self.drill.judged.is_none() {
            if self.drill.has_expired(self.now) {
                // What was made of it is gone or reaped by now; asked again, it would be made anew.
                let says = "it could not be begun within a day".to_owned();
                self.judge(failed("RestoreNotBegun", says), Value::Null).await?;
            } else {
                self.ask().await?;
            }
        }
        if self.drill.judged.is_none() {
            let members = self.members().await?;
            match members {
                Members::Judged { first: None, longest_ms } => {
                    self.drill.duration_ms = longest_ms;
                    self.across().await?;
                }
                Members::Judged { first: Some((drill, says)), .. } => {
                    self.judge(failed("MemberFailed", format!("{drill} failed: {says}")), Value::Null)
                        .await?;
                }
                Members::Open | Members::Over if self.drill.has_expired(self.now) => {
                    let says = "its members were not all restored and checked within a day".to_owned();
                    self.judge(failed("ChecksTooLong", says), Value::Null).await?;
                }
                Members::Open | Members::Over => {}
            }
        }
        let Some(judged) = self.drill.judged.clone() else { return Ok(self.underway()) };
        if !self.drill.is_released {
            self.function.journal.record_once(&self.drill.verdict_entry(&judged)).await?;
            self.drill.is_released = true;
            self.save().await?;
        }
        if !matches!(self.members().await?, Members::Over) {
            return Ok(self.underway());
        }
        let passed = judged.verdict == Verdict::Passed;
        let past = SetPast {
            id: self.drill.id.clone(),
            asked_at: self.drill.asked_at,
            judged_at: judged.at,
            duration_ms: self.drill.duration_ms,
            verdict: judged.verdict,
        };
        self.kept.record.past.push(past);
        self.kept.record.under_way = None;
        self.kept.save(&self.function.journal.documents).await?;
        Ok(Done::default().with("drill", self.drill.id.clone()).with("passed", passed))
    }

    fn underway(&self) -> Done {
        let members: Vec<Value> = self
            .drill
            .members
            .iter()
            .map(
                |member| json!({"resource": member.resource, "drill": member.id, "restored_as": member.name}),
            )
            .collect();
        Done::underway()
            .with("drill", self.drill.id.clone())
            .with("set", self.drill.set.clone())
            .with("set_instant", json!(self.drill.instant))
            .with("members", members)
            .with("next", format!("ticks go on with it; the ledger will hold {}", self.drill.id))
    }

    async fn save(&mut self) -> Result<()> {
        self.kept.record.under_way = Some(self.drill.clone());
        self.kept.save(&self.function.journal.documents).await
    }

    /// Has restore-database restore the set, and gives each member its drill. Asked again with the same id, it is the same restore.
    async fn ask(&mut self) -> Result<()> {
        let answer = self.function.functions.invoke(&self.function.restore, &self.drill.payload()).await?;
        let answer = match answer {
            Answer::Done(answer) => answer,
            Answer::Refused { code, message } => {
                return self.judge(failed(&code, message), Value::Null).await;
            }
        };
        let Some(instant) = answer["set_instant"].as_str().and_then(|text| text.parse().ok()) else {
            let says = "restore-database did not say to which instant it restores the set".to_owned();
            return self.judge(failed("RestoreNotBegun", says), Value::Null).await;
        };
        for member in &mut self.drill.members {
            let told = answer["members"].as_array().into_iter().flatten();
            let told = told.into_iter().find(|told| told["resource"] == json!(member.resource)).cloned();
            take_over(member, &told.unwrap_or_default(), instant);
        }
        for member in &self.drill.members {
            give(&self.function.journal.documents, member, self.now).await?;
        }
        self.drill.instant = Some(instant);
        self.save().await
    }

    /// How far its members have come, by their own documents.
    async fn members(&self) -> Result<Members> {
        let (mut first, mut open, mut over, mut longest_ms) = (None, false, true, None);
        for member in &self.drill.members {
            let kept = Kept::read(&self.function.journal.documents, &member.resource).await?;
            let record = kept.map(|kept| kept.record);
            let under_way = record.as_ref().and_then(|record| record.under_way.as_ref());
            let under_way = under_way.filter(|drill| drill.id == member.id);
            let past = record
                .as_ref()
                .and_then(|record| record.history.past.iter().find(|past| past.id == member.id));
            over &= under_way.is_none();
            let (verdict, took) = match (under_way, past) {
                (Some(drill), _) => {
                    (drill.judged.as_ref().map(|judged| judged.verdict.clone()), drill.phases.duration_ms)
                }
                (None, Some(past)) => (Some(past.verdict.clone()), past.phases.duration_ms),
                (None, None) => (None, None),
            };
            longest_ms = longest_ms.max(took);
            match verdict {
                Some(Verdict::Failed { says, .. }) => _ = first.get_or_insert((member.id.clone(), says)),
                Some(Verdict::Passed) => {}
                None => open = true,
            }
        }
        Ok(match (over, open) {
            (true, _) if self.drill.judged.is_some() => Members::Over,
            (_, true) => Members::Open,
            _ => Members::Judged { first, longest_ms },
        })
    }

    /// What must hold across the stores: all of it is asked, one after the other, and the first that does not hold fails the drill.
    async fn across(&mut self) -> Result<()> {
        while let Some(assertion) = self.drill.assertions.get(self.drill.told.len()).cloned() {
            let numbers = match self.numbers(&assertion).await {
                Ok(numbers) => Ok(numbers),
                Err(error) if error.kind() == Kind::Retryable && !self.drill.has_expired(self.now) => {
                    return Err(error);
                }
                Err(error) => Err(error.report()),
            };
            let (holds, found) = match numbers {
                Ok([left, right]) => {
                    let holds = left.abs_diff(right) <= u128::from(assertion.differ_by_at_most);
                    (
                        holds,
                        format!("{left} and {right}, which may differ by {}", assertion.differ_by_at_most),
                    )
                }
                Err(says) => (false, says),
            };
            self.drill.told.push(Told { assertion: assertion.name, holds, found });
            self.save().await?;
        }
        let first = self.drill.told.iter().find(|told| !told.holds);
        let verdict = match first {
            Some(told) => {
                failed("AssertionFailed", format!("assertion {:?}: {}", told.assertion, told.found))
            }
            None => Verdict::Passed,
        };
        self.judge(verdict, json!({"assertions": self.drill.told})).await
    }

    async fn numbers(&self, assertion: &CrossAssertion) -> Result<[i128; 2]> {
        let [left, right] = &assertion.sides;
        let ask = async |side: &domain::Side| {
            let member = self.drill.members.iter().find(|member| member.resource == side.resource);
            let member = member.ok_or_else(|| {
                let says =
                    format!("{} is no database of this drill: the plan was changed meanwhile", side.resource);
                Error::permanent("AssertionsInvalid", says)
            })?;
            self.function.engines.number(member, side).await
        };
        Ok([ask(left).await?, ask(right).await?])
    }

    async fn judge(&mut self, verdict: Verdict, evidence: Value) -> Result<()> {
        self.drill.judged = Some(SetJudged { at: self.now, verdict, evidence });
        self.save().await
    }
}

/// What restore-database says of a member's restore.
fn take_over(member: &mut Drill, told: &Value, instant: Timestamp) {
    let text = |key: &str| told[key].as_str().map(str::to_owned);
    member.restore_id = text("restore_id");
    if let Some(name) = text("name") {
        member.name = name;
    }
    member.instant = Some(instant);
    member.as_of = told["as_of"].as_str().and_then(|text| text.parse().ok());
    member.trouble = told["error"].as_object().map(|error| {
        let part = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        format!("{}: {}", part("code"), part("message"))
    });
    (member.choice.way, member.choice.to) = match text("recovery_point") {
        Some(point) => (Way::Newest, To::Point(point.as_str().into())),
        None => (Way::Instant, To::Instant(instant)),
    };
}

/// Writes a member's drill into its own document, unless it stands there, under way or over.
async fn give(documents: &impl Documents, member: &Drill, now: Timestamp) -> Result<()> {
    let mut kept =
        Kept::read(documents, &member.resource).await?.unwrap_or_else(|| Kept::new(&member.resource, now));
    if kept.record.history.past.iter().any(|past| past.id == member.id) {
        return Ok(());
    }
    match &kept.record.under_way {
        Some(drill) if drill.id == member.id => Ok(()),
        Some(drill) => {
            let says = format!(
                "{} is drilled by itself ({}); its set goes on when that is over",
                member.resource, drill.id
            );
            Err(Error::retryable("DrillContended", says))
        }
        None => {
            kept.record.under_way = Some(member.clone());
            kept.save(documents).await
        }
    }
}
