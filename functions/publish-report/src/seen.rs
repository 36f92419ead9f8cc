//! What a report is made of. Whatever does not answer is named, and stands on the page as not known.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    DayOfAges, Findings, PlanDocument, ResourceId, Watched, WatchedMonth,
    drill::history::{self, History},
};
use futures::{StreamExt, join, stream};
use inventory::{BackupPlans, Inventory, Places, Published, is_acknowledged};
use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use plans::Plans;
use rds::Rds;
use reconcile::{Documents, Error, FINDINGS, Ledger, Result, parse_findings};
use report::{Prices, Unknown};
use vault::Store;

use crate::{observe::PublishReport, recorded::Recorded};

/// So many days a report looks back on, the day on which it is made among them.
pub const DAYS: u32 = 30;

/// Documents that are read at the same time.
const AT_ONCE: usize = 8;

/// The same of those of which there is one for each resource.
const DRILLS_AT_ONCE: usize = 32;

/// What is true now, as far as it answered.
#[derive(Debug)]
pub struct Seen {
    /// The installation.
    pub stage: String,
    /// The Region of the databases.
    pub home_region: String,
    /// The Region of the copies.
    pub recovery_region: String,
    /// What storage costs.
    pub prices: Prices,
    /// The backup plans.
    pub plans: Option<PlanDocument>,
    /// The recovery points.
    pub inventory: Option<Inventory>,
    /// By which plan each lineage is kept.
    pub backup_plans: BackupPlans,
    /// The retention plan that was published last, and whether one was ever acknowledged.
    pub retention: Option<Published>,
    /// Whether a person has ever acknowledged one.
    pub is_acknowledged: bool,
    /// What watch-rpo sees protected; `None` if nobody knows.
    pub watched: Option<BTreeMap<ResourceId, Watched>>,
    /// The recovery-point ages of each day of which there are any.
    pub ages: BTreeMap<Date, DayOfAges>,
    /// What the functions find.
    pub boards: Vec<Findings>,
    /// The drills of each resource that was ever drilled; `None` if nobody knows of any, or of that one.
    pub drills: Option<BTreeMap<ResourceId, Option<History>>>,
    /// What the ledger says; `None` if it did not answer.
    pub recorded: Option<Recorded>,
    /// What did not answer, and why.
    pub unknown: Vec<Unknown>,
}

/// The first of the days that a report looks back on.
pub(crate) fn first_day(now: Timestamp) -> Date {
    let today = now.to_zoned(TimeZone::UTC).date();
    today.checked_sub((i64::from(DAYS) - 1).days()).unwrap_or(today)
}

/// Those days.
pub(crate) fn days(now: Timestamp) -> BTreeSet<Date> {
    let first = first_day(now);
    (0..i64::from(DAYS)).filter_map(|at| first.checked_add(at.days()).ok()).collect()
}

/// Looks at everything. Nothing that does not answer keeps anything else from being seen.
pub(crate) async fn see<R, S, L, P, D>(function: &PublishReport<R, S, L, P, D>, now: Timestamp) -> Seen
where
    R: Rds,
    S: Store,
    L: Ledger,
    P: Plans,
    D: Documents,
{
    let PublishReport { home, recovery, vault, recovery_vault, ledger, plans, documents, .. } = function;
    let days = days(now);
    let places = Places { home, recovery, vault, recovery_vault };
    let (plans, inventory, retention, acknowledged, watched, ages, boards, drills, recorded) = join!(
        plans.read(),
        Inventory::observe(places, now),
        Published::newest(vault),
        is_acknowledged(vault),
        watched(documents, now),
        ages(documents, &days),
        boards(documents),
        drills(documents),
        Recorded::read(ledger, &days),
    );
    let mut missed = Missed::default();
    let inventory = missed.unless("recovery points", inventory);
    for (engine, error) in inventory.iter().flat_map(Inventory::unknown) {
        missed.say(&format!("{engine} recovery points"), error);
    }
    let backup_plans = match &inventory {
        Some(inventory) => BackupPlans::read(inventory, vault, recovery_vault).await,
        None => BackupPlans::default(),
    };
    for (lineage, error) in &backup_plans.unknown {
        missed.say(&format!("the backup plan of {}", lineage.resource), error);
    }
    let ages = missed.ages(ages);
    Seen {
        stage: function.stage.clone(),
        home_region: vault.region().to_owned(),
        recovery_region: recovery_vault.region().to_owned(),
        prices: function.prices,
        plans: missed.unless("backup plans", plans),
        inventory,
        backup_plans,
        retention: missed.unless("the newest retention plan", retention).flatten(),
        is_acknowledged: missed
            .unless("whether a retention plan was acknowledged", acknowledged)
            .unwrap_or(false),
        watched: missed.unless("what watch-rpo sees protected", watched),
        ages,
        boards: missed.boards(boards),
        drills: missed.drills(drills),
        recorded: missed.unless("the ledger", recorded),
        unknown: missed.0,
    }
}

/// What did not answer.
#[derive(Default)]
struct Missed(Vec<Unknown>);

impl Missed {
    fn say(&mut self, what: &str, error: &Error) {
        tracing::warn!(error.code = error.code(), "{}", error.report());
        self.0.push(Unknown { what: what.to_owned(), why: format!("{}: {}", error.code(), error.report()) });
    }

    fn unless<T>(&mut self, what: &str, read: Result<T>) -> Option<T> {
        read.inspect_err(|error| self.say(what, error)).ok()
    }

    fn ages(&mut self, read: Result<Vec<(Date, Result<DayOfAges>)>>) -> BTreeMap<Date, DayOfAges> {
        let Some(read) = self.unless("recovery-point ages", read) else { return BTreeMap::new() };
        let of = |(day, read): (Date, Result<DayOfAges>)| {
            Some((day, self.unless(&format!("recovery-point ages of {day}"), read)?))
        };
        read.into_iter().filter_map(of).collect()
    }

    fn drills(
        &mut self,
        read: Result<Vec<(ResourceId, Result<History>)>>,
    ) -> Option<BTreeMap<ResourceId, Option<History>>> {
        let read = self.unless("drills", read)?.into_iter();
        let of = |(resource, read): (ResourceId, Result<History>)| {
            let history = self.unless(&format!("drills of {resource}"), read);
            (resource, history)
        };
        Some(read.map(of).collect())
    }

    fn boards(&mut self, read: Result<Vec<(String, Result<Findings>)>>) -> Vec<Findings> {
        let Some(read) = self.unless("what the functions find", read) else { return Vec::new() };
        let board =
            |(name, board): (String, Result<Findings>)| self.unless(&format!("findings in {name}"), board);
        read.into_iter().filter_map(board).collect()
    }
}

/// The watch's memory of this month, or of the one before where this one has none yet.
async fn watched(documents: &impl Documents, now: Timestamp) -> Result<BTreeMap<ResourceId, Watched>> {
    for name in WatchedMonth::names(now) {
        if let Some(document) = documents.read(&name).await? {
            let month: WatchedMonth = serde_json::from_str(&document.text).map_err(|error| {
                Error::permanent("DocumentUnreadable", format!("document {name} is no memory of watch-rpo"))
                    .caused_by(error)
            })?;
            return Ok(month.resources);
        }
    }
    let message =
        format!("there is no memory of watch-rpo of this month or the last, as of {now}: has it run?");
    Err(Error::retryable("DocumentGone", message))
}

/// The days' ages, as far as there are any.
async fn ages(documents: &impl Documents, days: &BTreeSet<Date>) -> Result<Vec<(Date, Result<DayOfAges>)>> {
    let names = documents.names(DayOfAges::FOLDER).await?;
    let there = days.iter().filter(|day| names.contains(&DayOfAges::name(**day)));
    let read = async |day: &Date| {
        let name = DayOfAges::name(*day);
        let gone = || Error::retryable("DocumentGone", format!("document {name} is gone"));
        let document = documents.read(&name).await?.ok_or_else(gone)?;
        serde_json::from_str(&document.text).map_err(|error| {
            Error::permanent("DocumentUnreadable", format!("document {name} holds no ages")).caused_by(error)
        })
    };
    Ok(stream::iter(there).map(async |day| (*day, read(day).await)).buffered(AT_ONCE).collect().await)
}

async fn boards(documents: &impl Documents) -> Result<Vec<(String, Result<Findings>)>> {
    let names = documents.names(FINDINGS).await?;
    let read = async |name: String| {
        let findings = match documents.read(&name).await {
            Ok(Some(document)) => parse_findings(&name, &document),
            Ok(None) => Err(Error::retryable("DocumentGone", format!("document {name} is gone"))),
            Err(error) => Err(error),
        };
        (name, findings)
    };
    Ok(stream::iter(names).map(read).buffered(AT_ONCE).collect().await)
}

/// What stays of drills, of each resource by itself.
async fn drills(documents: &impl Documents) -> Result<Vec<(ResourceId, Result<History>)>> {
    let names = documents.names(history::DOCUMENTS).await?;
    let read = async |name: String| {
        let gone = || Error::retryable("DocumentGone", format!("document {name} is gone"));
        let document = documents.read(&name).await?.ok_or_else(gone)?;
        serde_json::from_str(&document.text).map_err(|error| {
            Error::permanent("DocumentUnreadable", format!("document {name} is none about drills"))
                .caused_by(error)
        })
    };
    let of = names.into_iter().filter_map(|name| Some((history::resource(&name)?, name)));
    Ok(stream::iter(of)
        .map(async |(resource, name)| (resource, read(name).await))
        .buffered(DRILLS_AT_ONCE)
        .collect()
        .await)
}
