use std::collections::BTreeMap;

use domain::ResourceId;
use jiff::{SignedDuration, Timestamp};
use plans::Plans;
use rds::Rds;
use reconcile::{Documents, EntryKey, Ledger, Result};
use report::{Occasion, Prices, Report};
use serde_json::Value;
use vault::Store;

use crate::{
    Ask,
    act::KIND,
    compose::compose,
    due::{Name, REPORTS, due, on_demand, reports},
    seen,
};

/// The function, with the outside systems that it sees.
pub struct PublishReport<R, S, L, P, D> {
    /// RDS where the databases are.
    pub home: R,
    /// RDS where the copies are.
    pub recovery: R,
    /// The vault at home, into which reports go.
    pub vault: S,
    /// The vault in the recovery Region.
    pub recovery_vault: S,
    /// What was done.
    pub ledger: L,
    /// The backup plans.
    pub plans: P,
    /// What the functions find and remember.
    pub documents: D,
    /// The installation's name.
    pub stage: String,
    /// What storage costs.
    pub prices: Prices,
}

/// For so long after it was published word of a report stands on the board, from which send-alert takes it.
const NEWS: SignedDuration = SignedDuration::from_hours(48);

/// Asked again so soon it is the same report: a client that got no answer asks by itself.
const SAME: SignedDuration = SignedDuration::from_mins(5);

/// What is true now.
#[derive(Debug)]
pub struct Observed {
    /// What is to be published, with its name.
    pub(crate) reports: Vec<(Name, Report)>,
    /// Whether a person asked.
    pub(crate) is_asked_for: bool,
    /// The one that a person asked for a moment ago, and asks for again.
    pub(crate) again: Option<Name>,
    /// What was published of late: the ledger's entry, if there is one. Without an entry, or without the page, somebody was
    /// killed.
    pub(crate) published: BTreeMap<Name, Published>,
}

/// A report that is there.
#[derive(Debug)]
pub(crate) struct Published {
    /// Whether its page is there, and not its JSON alone.
    pub(crate) has_page: bool,
    /// What the ledger says of it.
    pub(crate) entry: Option<Value>,
}

/// Looks which reports there are, and only if one is due at everything that it is made of.
pub(crate) async fn observe<R, S, L, P, D>(
    function: &PublishReport<R, S, L, P, D>,
    ask: Ask,
    now: Timestamp,
) -> Result<Observed>
where
    R: Rds,
    S: Store,
    L: Ledger,
    P: Plans,
    D: Documents,
{
    let there = reports(&function.vault.list(REPORTS).await?);
    let mut published = BTreeMap::new();
    for (name, there) in &there {
        if there.json.is_none_or(|since| now.duration_since(since) >= NEWS) {
            continue;
        }
        let entry = function.ledger.get(&entry_key(name, function.vault.region())).await?;
        published.insert(name.clone(), Published { has_page: there.page.is_some(), entry });
    }
    let mut wanted = due(&there, now);
    let is_asked_for = ask == Ask::Now;
    let mut again = None;
    if is_asked_for {
        // A person gets what a person asked for; what is due besides comes with the next tick.
        let is_same = |since: Timestamp| now.duration_since(since).abs() < SAME;
        let mut made = there.iter().filter(|(name, _)| name.is_on_demand());
        again = made.find(|(_, there)| there.json.is_some_and(is_same)).map(|(name, _)| name.clone());
        let new = again.is_none().then(|| (on_demand(&there, now), Occasion::OnDemand));
        wanted = new.into_iter().collect();
    }
    let mut reports = Vec::new();
    if !wanted.is_empty() {
        let seen = seen::see(function, now).await;
        reports.extend(wanted.into_iter().map(|(name, occasion)| (name, compose(&seen, occasion, now))));
    }
    Ok(Observed { reports, is_asked_for, again, published })
}

/// Where the entry about a report stands.
pub(crate) fn entry_key(name: &Name, region: &str) -> EntryKey {
    let day = name.day().unwrap_or_default();
    EntryKey::from_stored(format!("{day}/{}/{}/{region}/{KIND}", about(name), name.as_str()))
}

/// Each report is a matter of its own, so that word of it goes out once, and of the next one again.
pub(crate) fn about(name: &Name) -> ResourceId {
    ResourceId::tidemark(format!("report-{}", name.as_str()))
}
