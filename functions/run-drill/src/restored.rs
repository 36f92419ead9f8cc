//! What a person's restore lost, by the heartbeats in what it made: it is read once, when the restore is over, and nothing of it is
//! touched.

use domain::{Finding, RecoveryPointId, ResourceId, Severity};
use heartbeat::{Basis, Estimate, Judgement, Loss, Question, Rhythm, Row, Unmeasured};
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use reconcile::{
    Documents, Done, Entry, EntryKey, Error, Facts, Filed, Kind, Ledger, Metric, Outcome, Plan, Result,
};
use serde_json::{Value, json};

use crate::{
    NAME, RunDrill,
    act::Action,
    engine::Engine,
    measure::{self, Beats},
    observe::{Observed, again},
};

/// The kind of the entry that says what was lost.
const MEASURED: &str = "restore-measured";

/// So long after it was asked for a restore may be over, and what it made may be out of reach.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(26);

/// How long after it was restored a database may not be reached.
const REACHED: SignedDuration = SignedDuration::from_hours(1);

/// A database that a person's restore made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The restore's id, which everything carries that it made.
    pub(crate) restore: String,
    /// Whose state it has.
    pub(crate) resource: ResourceId,
    /// In which Region.
    pub(crate) region: String,
    /// What it is called.
    pub(crate) name: String,
    /// The id that Turso gave it.
    pub(crate) database_id: Option<String>,
    /// When it was asked for.
    asked_at: Timestamp,
    /// The instant that was wanted; `None` of a recovery point as a whole, and of the newest second there is.
    wanted: Option<Timestamp>,
    /// Of when it is, as far as restore-database says, and how it knows.
    state: Option<(Basis, Timestamp)>,
    /// When it was completed.
    completed_at: Timestamp,
}

impl Restored {
    /// What the ledger says; `None` of an entry that is none of restore-database's.
    fn read(entry: &Value, filed: &Filed<'_>) -> Option<Self> {
        let text = |key: &str| entry[key].as_str();
        let instant = |value: Option<&str>| value?.parse::<Timestamp>().ok();
        let wanted = instant(text("set_instant").or(text("to")));
        let slot = |name: &str| RecoveryPointId::from(name).parts().map(|parts| parts.slot.instant());
        let of_point = text("recovery_point").or(text("to")).and_then(slot);
        let state = instant(text("as_of"))
            .map(|at| (Basis::RecoveryPointTime, at))
            .or_else(|| of_point.map(|at| (Basis::Slot, at)))
            .or_else(|| wanted.map(|at| (Basis::RestoredTo, at)));
        Some(Self {
            restore: filed.subject.to_owned(),
            resource: filed.resource.clone(),
            region: filed.region.to_owned(),
            name: text("instance").or(text("name"))?.to_owned(),
            database_id: text("database_id").map(str::to_owned),
            asked_at: instant(entry["phases"]["requested"].as_str())?,
            wanted,
            state,
            completed_at: instant(text("at"))?,
        })
    }

    /// What its heartbeats tell.
    fn judge(&self, mut beats: Beats) -> Judgement {
        if self.name == self.resource.name {
            // It took the place of its source, and gets heartbeats of its own since.
            let before = |row: &Row| row.verify(&beats.keys).map_or(true, |beat| beat.at() <= self.asked_at);
            beats.rows.retain(before);
        }
        beats.judge(Question {
            resource: &self.resource,
            restored_to: self.wanted,
            asked_at: self.asked_at,
            rhythm: Rhythm::default(),
        })
    }

    /// It is not there, or something else bears its name.
    pub(crate) fn gone(&self) -> Error {
        let says = format!("{} of {} is gone, and nobody has read its heartbeats", self.name, self.restore);
        Error::permanent("RestoredGone", says)
    }

    /// Refuses what does not carry the tag of the restore.
    pub(crate) fn made(&self, tag: Option<&String>) -> Result<()> {
        if tag == Some(&self.restore) { Ok(()) } else { Err(self.gone()) }
    }

    fn estimate(&self, because: Unmeasured) -> Option<Estimate> {
        let (basis, state_at) = self.state?;
        Some(Estimate::new(basis, state_at, self.wanted.unwrap_or(self.asked_at), because))
    }

    fn entry(&self, day: Date, outcome: Outcome, now: Timestamp) -> Entry {
        let detail = json!({"restored_as": self.name, "asked_at": self.asked_at, "to": self.wanted});
        Entry {
            day,
            at: now,
            function: NAME,
            kind: MEASURED,
            resource: self.resource.clone(),
            subject: self.restore.clone(),
            region: self.region.clone(),
            outcome,
            detail: detail.as_object().cloned().unwrap_or_default(),
        }
    }
}

/// The days whose restores may still be to be measured, if any database gets heartbeats.
pub(crate) fn days(plans: &domain::PlanDocument, now: Timestamp) -> impl Iterator<Item = Date> {
    let is_any = plans.iter().any(|plan| !plan.heartbeats.is_empty());
    let day = |at: Timestamp| at.to_zoned(TimeZone::UTC).date();
    let (first, last) = (day(now - REMEMBERED), day(now));
    first.series(jiff::ToSpan::day(1)).take_while(move |day| is_any && *day <= last)
}

/// Has the restores measured that are over and were not, and tells of those that brought back something unsound. Pure.
pub(crate) fn plan(observed: &Observed, now: Timestamp, plan: &mut Plan<Action>) {
    let (Ok(plans), Ok(recorded)) = (&observed.plans, &observed.recorded) else { return };
    let filed: Vec<(&EntryKey, Filed<'_>)> =
        recorded.iter().filter_map(|key| Some((key, key.filed()?))).collect();
    let has_heartbeats =
        |resource: &ResourceId| plans.iter().any(|plan| plan.heartbeats.contains_key(resource));
    for (key, over) in &filed {
        if !over.is("restore-completed") || over.is_of_a_drill() || !has_heartbeats(&over.resource) {
            continue;
        }
        let same = |other: &&(&EntryKey, Filed<'_>)| {
            other.1.is(MEASURED) && (&other.1.resource, other.1.subject) == (&over.resource, over.subject)
        };
        match filed.iter().find(same) {
            None => {
                let reason = format!("{} is over, and its plan names heartbeats", over.subject);
                plan.act(&over.resource, Action::Measure { key: (*key).clone() }, reason);
            }
            Some((_, measured)) => {
                plan.findings.extend(measured.failure(MEASURED).map(|code| unsound(over, code, now)));
            }
        }
    }
}

/// A restored database that is not to be trusted: it is told for as long as the restore is remembered.
fn unsound(filed: &Filed<'_>, code: &str, now: Timestamp) -> Finding {
    let (restore, resource) = (filed.subject, &filed.resource);
    let says = format!(
        "what {restore} made of {resource} is not what was asked for, or was changed: its heartbeats tell {code}"
    );
    let next = format!(
        "Read the ledger's entry restore-measured of {restore} before anybody uses what it made: its first_failure says what is wrong; \
         then restore another recovery point, or another second."
    );
    let since = filed.day.to_zoned(TimeZone::UTC).map_or(now, |midnight| midnight.timestamp());
    let finding = Finding::new(resource, "restore-unsound", Severity::Critical, since, says, next);
    Finding { code: Some(code.to_owned()), ..finding }
}

/// Reads the heartbeats, and writes down what they tell.
pub(crate) async fn act<R, E, T, I, P, C, L, B, D>(
    function: &RunDrill<R, E, T, I, P, C, L, B, D>,
    key: &EntryKey,
    now: Timestamp,
) -> Result<Done>
where
    R: Engine,
    E: Engine,
    T: Engine,
    L: Ledger,
    B: Facts,
    D: Documents,
{
    let (Some(entry), Some(filed)) = (function.journal.ledger.get(key).await?, key.filed()) else {
        let says = format!("{key} is listed in the ledger, and not there");
        return Err(Error::retryable("LedgerEntryMissing", says));
    };
    let restored = Restored::read(&entry, &filed).ok_or_else(|| {
        Error::permanent("LedgerUnreadable", format!("{key} does not say what was restored when"))
    })?;
    let read = function.engines.heartbeats(&restored).await.map(|beats| Some(restored.judge(beats?)));
    let is_early = now.duration_since(restored.completed_at) < REACHED;
    if let Err(error) = &read
        && error.kind() == Kind::Retryable
        && is_early
    {
        return Err(again(error));
    }
    let entry = judged(&restored, filed.day, read, now);
    function.journal.record_once(&entry).await?;
    let lost = entry.detail["loss"]["at_most_ms"].as_i64();
    let mut done =
        Done::default().with("restore_id", restored.restore).with("loss", entry.detail["loss"].clone());
    done.metrics.extend(lost.map(|lost| Metric::milliseconds("restore_loss_ms", lost)));
    Ok(done)
}

/// What is written down of what was read, or was not.
fn judged(restored: &Restored, day: Date, read: Result<Option<Judgement>>, now: Timestamp) -> Entry {
    let (judgement, not_read) = match read {
        Ok(judgement) => (judgement, None),
        Err(error) => (None, Some(error.report())),
    };
    let because = if not_read.is_some() { Unmeasured::NotRead } else { Unmeasured::NoHeartbeats };
    let measured = judgement.as_ref().and_then(|judgement| judgement.loss).map(Loss::Measured);
    let loss = measured.or_else(|| Some(Loss::of(judgement.as_ref(), restored.estimate(because)?)));
    let wrong = judgement.as_ref().and_then(measure::unsound);
    let outcome = match &wrong {
        Some((code, _)) => Outcome::Failed((*code).to_owned()),
        None => Outcome::Completed,
    };
    let mut entry = restored.entry(day, outcome, now);
    let detail = [
        ("loss", json!(loss.as_ref().map(measure::in_short))),
        ("not_read", json!(not_read)),
        ("first_failure", json!(wrong.map(|(_, says)| says))),
        ("evidence", measure::shortened(&json!({"loss": loss, "heartbeats": judgement}))),
    ];
    entry.detail.extend(detail.map(|(key, value)| (key.to_owned(), value)));
    entry
}
