use std::time::Instant;

use jiff::Timestamp;
use reconcile::{Documents, Done, Entry, Error, Kind, Ledger, Metric, Outcome, Result};
use redis::elasticache::ElastiCache;
use secrets::Secrets;
use serde_json::{Value, json};
use vault::Store;

use super::{
    cache, directory,
    observe::RedisRestores,
    work::{Make, Work},
};
use crate::{
    orders::{self, Order, Ordered},
    restore::{DEAD_END, RESTORE, between_ms, elapsed_ms, ended},
};

/// What restore-database can do for Redis and Valkey. It can neither delete nor modify anything.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Begin what a person asked for.
    Begin { order: Box<Order<Work>>, document: String, replacing: Option<String>, notes: Vec<String> },
    /// The person asks again: go on with it.
    GoOn { ordered: Box<Ordered<Work>>, notes: Vec<String> },
    /// A tick goes on with it, or gives it up for that reason.
    Step { ordered: Box<Ordered<Work>>, requested_recorded: bool, dead: Option<String> },
}

impl reconcile::Action for Action {
    fn name(&self) -> &'static str {
        match self {
            Self::Begin { .. } | Self::GoOn { .. } => RESTORE,
            Self::Step { dead: Some(_), .. } => "give-up",
            Self::Step { .. } => "go-on",
        }
    }

    fn failure(&self, error: &Error, now: Timestamp) -> Option<Entry> {
        match self {
            // The person who asked reads the error.
            Self::Begin { .. } | Self::GoOn { .. } => None,
            Self::Step { ordered, .. } => ordered.order.restore.failed(error, now),
        }
    }
}

/// How far a restore has come.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Progress {
    /// A later tick goes on.
    Underway(String),
    /// It is there; what the ledger shall say of it.
    Over(Vec<(&'static str, Value)>),
}

/// How much is staged while a person waits for an answer.
const AT_ONCE_BYTES: u64 = 1 << 30;

/// Carries out `action`. A restore asked for twice is found made; entries are written once.
pub(crate) async fn act<E: ElastiCache, S: Store, D: Documents, L: Ledger, K: Secrets>(
    function: &RedisRestores<E, S, D, L, K>,
    action: &Action,
    now: Timestamp,
) -> Result<Done> {
    match action {
        Action::Begin { order, document, replacing, notes } => {
            let ordered = begin(function, order, document, replacing.as_deref(), now).await?;
            answer(function, ordered, notes, true, now).await
        }
        Action::GoOn { ordered, notes } => {
            let is_free = ordered.order.restore.set.is_none();
            answer(function, ordered.as_ref().clone(), notes, is_free, now).await
        }
        Action::Step { ordered, dead: Some(why), .. } => Err(Error::permanent(
            DEAD_END,
            format!("{}: {why}; look at it, and ask again under another name", ordered.order.restore.id),
        )),
        Action::Step { ordered, requested_recorded, dead: None } => {
            let mut ordered = ordered.as_ref().clone();
            let progress = step(function, &mut ordered, u64::MAX, now).await.map_err(ended)?;
            let mut done = Done::default().with("restore_id", ordered.order.restore.id.clone());
            if !requested_recorded {
                // The function was killed after the restore was begun.
                done.entries.push(requested(&ordered.order, None, now));
            }
            Ok(match progress {
                Progress::Underway(what) => {
                    done.unfinished = true;
                    done.with("status", what)
                }
                Progress::Over(detail) => over(done, &ordered.order, detail, now),
            })
        }
    }
}

/// Writes the order down. Of two that ask at once, one does; if both ask for the same, the other goes on with it.
async fn begin<E, S, D: Documents, L, K>(
    function: &RedisRestores<E, S, D, L, K>,
    order: &Order<Work>,
    document: &str,
    replacing: Option<&str>,
    now: Timestamp,
) -> Result<Ordered<Work>> {
    let documents = &function.documents;
    if let Some(ordered) = Ordered::begin(documents, document, order.clone(), replacing).await? {
        return Ok(ordered);
    }
    let there = orders::read::<Work>(documents, document).await?;
    match there {
        Some(there) if there.order.is_same_as(order, now) => Ok(there),
        _ => Err(Error::misconfigured(
            "NameTaken",
            format!(
                "somebody else began to make {} at the same time; choose another name for \"as\"; nothing was done",
                order.name
            ),
        )),
    }
}

/// Begins what can be begun at once, and says what becomes of it. If that is nothing, and it `is_free`, the name is given up: a part
/// of a set that was begun once is gone on with by ticks.
async fn answer<E: ElastiCache, S: Store, D: Documents, L: Ledger, K: Secrets>(
    function: &RedisRestores<E, S, D, L, K>,
    mut ordered: Ordered<Work>,
    notes: &[String],
    is_free: bool,
    now: Timestamp,
) -> Result<Done> {
    let begun = Instant::now();
    let mut notes = notes.to_vec();
    let status = match step(function, &mut ordered, AT_ONCE_BYTES, now).await {
        Ok(Progress::Underway(what)) => what,
        Ok(Progress::Over(_)) => "there".to_owned(),
        Err(error) if error.kind() == Kind::Retryable => {
            notes.push(format!("a first attempt failed, ticks try again: {}", error.report()));
            "begun".to_owned()
        }
        Err(error) if !is_free => return Err(error),
        Err(error) => {
            // Nothing was made. The name is free again for a request that mends it; if this cannot be written, ticks say so.
            ordered.order.refused = true;
            ordered.save(&function.documents).await?;
            return Err(error);
        }
    };
    let order = &ordered.order;
    let entry = requested(order, Some(elapsed_ms(begun)), now);
    let mut done = Done { entries: vec![entry], ..Done::underway() }
        .with("restore_id", order.restore.id.clone())
        .with("resource", order.restore.resource.to_string())
        .with("to", order.to.clone())
        .with("region", order.restore.region.clone())
        .with("status", status)
        .with("requested_at", order.restore.requested_at.to_string());
    for (key, value) in order.work.chosen.detail() {
        done = done.with(key, value);
    }
    done = match &order.work.make {
        Make::Cache(new) => done.with("cache", order.name.clone()).with("cache_kind", new.kind.as_str()),
        Make::Directory(_) => {
            let exports = function.region(&order.restore.region)?.exports.bucket();
            let place = directory::place(exports, &order.name);
            done.with("directory", place.clone()).with("commands", directory::commands(&place))
        }
    };
    let next = format!("ticks follow it; the ledger will hold {}", order.restore.id);
    Ok(done.with("notes", notes).with("next", next))
}

async fn step<E: ElastiCache, S: Store, D: Documents, L: Ledger, K: Secrets>(
    function: &RedisRestores<E, S, D, L, K>,
    ordered: &mut Ordered<Work>,
    at_once_bytes: u64,
    now: Timestamp,
) -> Result<Progress> {
    let region = function.region(&ordered.order.restore.region)?;
    match &ordered.order.work.make {
        Make::Cache(_) => cache::step(function, region, ordered, at_once_bytes, now).await,
        Make::Directory(_) => directory::step(function, region, ordered, at_once_bytes).await,
    }
}

/// The entry that a restore was asked for.
fn requested(order: &Order<Work>, accepted_ms: Option<i64>, now: Timestamp) -> Entry {
    let detail = [
        ("name", order.name.clone().into()),
        ("to", order.to.clone().into()),
        ("accepted_ms", accepted_ms.into()),
        ("recovery_point", json!(order.work.chosen.id)),
    ];
    order.restore.requested(detail, now)
}

/// The entries that it is there, and how long it took. `now` is when a tick first saw it: no finer than the ticks.
fn over(mut done: Done, order: &Order<Work>, detail: Vec<(&'static str, Value)>, now: Timestamp) -> Done {
    let restore = &order.restore;
    let mut available = restore.entry("restore-available", Outcome::Completed, now);
    available.detail.insert("name".to_owned(), order.name.clone().into());
    let duration_ms = between_ms(restore.requested_at, now);
    let mut completed = restore.entry("restore-completed", Outcome::Completed, now);
    let phases = json!({"requested": restore.requested_at, "available": now, "creating_ms": duration_ms});
    let common = [
        ("name", order.name.clone().into()),
        ("to", order.to.clone().into()),
        ("phases", phases),
        ("duration_ms", duration_ms.into()),
        ("first_query", "not-asked".into()),
    ];
    let all = common.into_iter().chain(order.work.chosen.detail()).chain(detail);
    completed.detail.extend(all.map(|(key, value)| (key.to_owned(), value)));
    done.entries.extend([available, completed]);
    done.metrics.push(Metric::milliseconds("restore_duration_ms", duration_ms));
    done.with("duration_ms", duration_ms)
}
