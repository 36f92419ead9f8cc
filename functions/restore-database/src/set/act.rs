use futures::future::join_all;
use jiff::Timestamp;
use reconcile::{Documents, Done, Entry, Error, Kind, Ledger, Metric, Outcome, Result};
use serde_json::{Map, Value, json};

use super::{COMPLETED, FAILED, REQUESTED, RecoverySets, Trouble, refused, troubles, work::Work};
use crate::{
    databases::Engines,
    orders::{self, Order, Ordered},
    restore::{DEAD_END, End, RESTORE, Restore},
};

/// What restore-database can do for a set.
#[derive(Debug)]
pub enum Action<A> {
    /// Begin what a person asked for.
    Begin {
        order: Box<Order<Work>>,
        document: String,
        replacing: Option<String>,
        members: Vec<Result<A, Trouble>>,
    },
    /// The person asks again: go on with it.
    GoOn { ordered: Box<Ordered<Work>>, members: Vec<Result<A, Trouble>> },
    /// A tick begins what was not begun then.
    BeginMember { member: A },
    /// All that was begun is over, each so; `None` of what never came to be, or is given up.
    Conclude { ordered: Box<Ordered<Work>>, requested_recorded: bool, ends: Vec<Option<End>> },
}

impl<A: reconcile::Action> reconcile::Action for Action<A> {
    fn name(&self) -> &'static str {
        match self {
            Self::Begin { .. } | Self::GoOn { .. } => RESTORE,
            Self::BeginMember { .. } => "begin-member",
            Self::Conclude { .. } => "conclude",
        }
    }

    fn failure(&self, error: &Error, now: Timestamp) -> Option<Entry> {
        match self {
            Self::BeginMember { member } => member.failure(error, now),
            // The person who asked reads the error.
            Self::Begin { .. } | Self::GoOn { .. } | Self::Conclude { .. } => None,
        }
    }
}

impl<P, D: Documents, L: Ledger> RecoverySets<P, D, L> {
    /// Carries out `action`. A set that is asked for twice is found made; entries are written once.
    pub(crate) async fn act<G: Engines>(
        &self,
        databases: &G,
        action: &Action<G::Action>,
        now: Timestamp,
    ) -> Result<Done> {
        match action {
            Action::Begin { order, document, replacing, members } => {
                let mut ordered = self.begin(order, document, replacing.as_deref(), now).await?;
                let begun = begin_all(databases, members, now).await;
                let nothing = |one: &Result<Done, Trouble>| {
                    one.as_ref().is_err_and(|trouble| trouble.kind != Kind::Retryable)
                };
                if begun.iter().all(nothing) {
                    // Nothing was made. The name is free again for a request that mends it; if this cannot be written, ticks say so.
                    ordered.order.refused = true;
                    ordered.save(&self.documents).await?;
                }
                answer(&ordered.order, begun, now)
            }
            Action::GoOn { ordered, members } => {
                answer(&ordered.order, begin_all(databases, members, now).await, now)
            }
            Action::BeginMember { member } => Box::pin(databases.act(member, now)).await,
            Action::Conclude { ordered, requested_recorded, ends } => {
                self.conclude(&ordered.order, *requested_recorded, ends, now).await
            }
        }
    }

    /// Writes the order down. Of two that ask at once, one does.
    async fn begin(
        &self,
        order: &Order<Work>,
        document: &str,
        replacing: Option<&str>,
        now: Timestamp,
    ) -> Result<Ordered<Work>> {
        if let Some(ordered) = Ordered::begin(&self.documents, document, order.clone(), replacing).await? {
            return Ok(ordered);
        }
        match orders::read::<Work>(&self.documents, document).await? {
            // It may have chosen another instant.
            Some(there) if there.order.is_same_as(order, now) => Err(Error::retryable(
                "RestoreContended",
                format!(
                    "{} was asked for at the same moment; ask again to go on with it",
                    there.order.restore.id
                ),
            )),
            _ => Err(Error::misconfigured(
                "NameTaken",
                format!(
                    "somebody else began to make {} at the same time; choose another name for \"as\"; nothing was done",
                    order.name
                ),
            )),
        }
    }

    /// Writes down how it ended, and how long the longest of its members took.
    async fn conclude(
        &self,
        order: &Order<Work>,
        requested_recorded: bool,
        ends: &[Option<End>],
        now: Timestamp,
    ) -> Result<Done> {
        let (mut members, mut missing, mut longest_ms) = (Vec::new(), Vec::new(), 0);
        for ((member, restore), end) in order.parts().zip(ends) {
            let entry = match end.map(|end| ending(&restore, end, now)) {
                Some(entry) => self.ledger.get(&entry.key()).await?.unwrap_or_default(),
                None => Value::Null,
            };
            longest_ms = longest_ms.max(entry["duration_ms"].as_i64().unwrap_or(0));
            let mut told = described(&member.name, &restore);
            let end = match end {
                Some(End::Completed) => {
                    told.insert("missing_seconds".to_owned(), 0.into());
                    json!("completed")
                }
                Some(End::Failed(code)) => json!({"failed": code}),
                None => json!("not-made"),
            };
            told.insert("outcome".to_owned(), end);
            let kept = TOLD.iter().filter_map(|key| Some(((*key).to_owned(), entry.get(key)?.clone())));
            told.extend(kept);
            if told["outcome"] != "completed" {
                missing.push(restore.id);
            }
            members.push(Value::Object(told));
        }
        let mut done = Done::default().with("restore_id", order.restore.id.clone());
        if !requested_recorded {
            // The function was killed after the restore was begun.
            done.entries.push(requested(order, now));
        }
        let (kind, outcome) = if missing.is_empty() {
            (COMPLETED, Outcome::Completed)
        } else {
            (FAILED, Outcome::Failed(DEAD_END.to_owned()))
        };
        let mut entry = entry(order, kind, outcome, now);
        entry.detail.insert("members".to_owned(), members.into());
        if missing.is_empty() {
            entry.detail.insert("duration_ms".to_owned(), longest_ms.into());
            done.metrics.push(Metric::milliseconds("set_restore_duration_ms", longest_ms));
            done = done.with("duration_ms", longest_ms);
        } else {
            let error = format!(
                "not all of the set was made: {}; what was made is left as it is",
                missing.join(", ")
            );
            entry.detail.insert("error".to_owned(), error.into());
        }
        done.entries.push(entry);
        Ok(done)
    }
}

/// What a set's entry takes over from its members'.
const TOLD: [&str; 5] = ["duration_ms", "first_query", "recovery_point", "as_of", "missing_seconds"];

/// The entry that says how a member ended.
fn ending(restore: &Restore, end: End, now: Timestamp) -> Entry {
    match end {
        End::Completed => restore.entry("restore-completed", Outcome::Completed, now),
        End::Failed(code) => restore.entry("restore-failed", Outcome::Failed(code.to_owned()), now),
    }
}

async fn begin_all<G: Engines>(
    databases: &G,
    members: &[Result<G::Action, Trouble>],
    now: Timestamp,
) -> Vec<Result<Done, Trouble>> {
    let all = members.iter().map(async |member| match member {
        Ok(action) => Box::pin(databases.act(action, now)).await.map_err(|error| Trouble::from(&error)),
        Err(trouble) => Err(trouble.clone()),
    });
    join_all(all).await
}

/// Says of each member what became of it; an error if that is nothing of any.
fn answer(order: &Order<Work>, begun: Vec<Result<Done, Trouble>>, now: Timestamp) -> Result<Done> {
    let troubles = troubles(order, &begun);
    let (count, failed) = (begun.len(), troubles.len());
    if failed == count && troubles.iter().all(|(_, trouble)| trouble.kind != Kind::Retryable) {
        let what = format!("{}: of {count} databases", order.restore.id);
        return Err(refused(&what, &troubles, ""));
    }
    let id = &order.restore.id;
    let next = if failed == 0 {
        format!("ticks follow it; the ledger will hold {id}")
    } else {
        format!(
            "ticks try again what could not be begun, for some hours; mend what the errors name, or ask again for the same; the ledger \
             will hold {id}"
        )
    };
    let mut done = Done { entries: vec![requested(order, now)], ..Done::underway() }
        .with("restore_id", id.clone())
        .with("region", order.restore.region.clone());
    for (key, value) in order.detail() {
        done = done.with(key, value);
    }
    let mut members = Vec::new();
    for ((member, restore), one) in order.parts().zip(begun) {
        let mut told = described(&member.name, &restore);
        match one {
            Ok(one) => {
                done.entries.extend(one.entries);
                done.metrics.extend(one.metrics);
                told.insert("missing_seconds".to_owned(), 0.into());
                told.extend(one.detail);
                told.remove("next");
            }
            Err(trouble) => _ = told.insert("error".to_owned(), trouble.to_json()),
        }
        members.push(Value::Object(told));
    }
    Ok(done.with("begun", count - failed).with("of", count).with("members", members).with("next", next))
}

/// Which restore it is of which database.
fn described(name: &str, restore: &Restore) -> Map<String, Value> {
    let detail = [
        ("resource", json!(restore.resource)),
        ("name", json!(name)),
        ("restore_id", json!(restore.id)),
        ("region", json!(restore.region)),
    ];
    detail.map(|(key, value)| (key.to_owned(), value)).into_iter().collect()
}

fn entry(order: &Order<Work>, kind: &'static str, outcome: Outcome, now: Timestamp) -> Entry {
    let mut entry = order.restore.entry(kind, outcome, now);
    entry.detail.extend(order.detail().map(|(key, value)| (key.to_owned(), value)));
    entry
}

/// The entry that the set was asked for.
fn requested(order: &Order<Work>, now: Timestamp) -> Entry {
    let mut entry = entry(order, REQUESTED, Outcome::Completed, now);
    let members: Vec<Value> =
        order.parts().map(|(member, restore)| Value::Object(described(&member.name, &restore))).collect();
    entry.detail.insert("members".to_owned(), members.into());
    entry
}
