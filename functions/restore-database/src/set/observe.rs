use std::collections::BTreeSet;

use domain::{Engine, RecoverySet};
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use plans::Plans;
use reconcile::{Documents, EntryKey, Error, Ledger, Outcome, Result};

use super::{
    end,
    names::names,
    plan::decide,
    request::SetRequest,
    work::{Member, Work},
};
use crate::{
    databases::Engines,
    drill,
    orders::{self, Order, Ordered},
    request::{Target, shown},
    restore::{End, Restore},
};

/// Recovery sets, with the outside systems that they alone see.
pub struct RecoverySets<P, D, L> {
    /// The Region in which they are restored unless told otherwise.
    pub home: String,
    /// Which sets there are.
    pub plans: P,
    /// Where orders are kept until they are over.
    pub documents: D,
    /// What is recorded already.
    pub ledger: L,
}

/// What bears on a person's request for a set.
#[derive(Debug)]
pub struct Asked<A> {
    /// What is written down; or what would be.
    pub(crate) order: Order<Work>,
    /// The order under that name.
    pub(crate) there: Option<Ordered<Work>>,
    /// How it ended, if the ledger knows.
    pub(crate) there_end: Option<End>,
    /// Whether this request is that order.
    pub(crate) is_there: bool,
    /// What bears on each member.
    pub(crate) members: Vec<Result<A>>,
    /// If one of them is refused: the newest instant there is, and what bears on each then.
    pub(crate) newest: Option<(Timestamp, Vec<Result<A>>)>,
}

/// The restores of sets there are.
#[derive(Debug)]
pub struct Restores<A> {
    pub(crate) all: Vec<Seen<A>>,
    /// What the ledger says of them and of their members.
    pub(crate) recorded: BTreeSet<EntryKey>,
    /// Documents that hold no order.
    pub(crate) unreadable: Vec<(String, Error)>,
}

/// A set's restore, and how far its members are.
#[derive(Debug)]
pub(crate) struct Seen<A> {
    pub(crate) ordered: Ordered<Work>,
    /// Whether each of them was begun, in order.
    pub(crate) is_begun: Vec<bool>,
    /// What bears on those that nobody has begun, and that are to be.
    pub(crate) to_begin: Vec<(Member, Result<A>)>,
}

/// Where orders are.
const DOCUMENTS: &str = "restores/sets/";

/// How long ticks try to begin what was not begun.
pub(crate) const BEGINNING: SignedDuration = SignedDuration::from_hours(6);

/// The document of the set's restore of that name.
pub(crate) fn document(name: &str) -> String {
    format!("{DOCUMENTS}{name}.json")
}

impl<P: Plans, D: Documents, L: Ledger> RecoverySets<P, D, L> {
    pub(crate) async fn observe_request<G: Engines>(
        &self,
        databases: &G,
        request: SetRequest,
        now: Timestamp,
    ) -> Result<Asked<G::Asked>> {
        let there = orders::read::<Work>(&self.documents, &document(&request.name)).await?;
        let there_end = match there.as_ref().map(|ordered| &ordered.order.restore) {
            Some(restore) => end(restore, &self.ledger.keys(&BTreeSet::from([restore.day()])).await?),
            None => None,
        };
        let restore = request.identity(&self.home, now);
        let same = there.as_ref().map(|ordered| &ordered.order).filter(|order| {
            order.is_same(&restore, &request.to, request.drill.as_ref(), now)
                && !matches!(there_end, Some(End::Failed(_)))
        });
        if let Some(order) = same.cloned() {
            let members = look(databases, &order, now).await;
            return Ok(Asked { order, there, there_end, is_there: true, members, newest: None });
        }
        let mut order = order(&request, self.set(&request.set).await?, restore)?;
        order.work.instant = match &request.to {
            Target::Instant(instant) => *instant,
            Target::Latest | Target::RecoveryPoint(_) => latest(databases, &order, now).await,
        };
        let members = look(databases, &order, now).await;
        let mut newest = None;
        if members.iter().any(|asked| decide::<G>(asked, now).is_err()) {
            let instant = newest_of::<G>(&members, now);
            if instant != order.work.instant {
                let mut order = order.clone();
                order.work.instant = instant;
                newest = Some((instant, look(databases, &order, now).await));
            }
        }
        Ok(Asked { order, there, there_end, is_there: false, members, newest })
    }

    /// The set of that name. Plans are read for nothing else, so that a document with mistakes hinders no other restore.
    async fn set(&self, name: &str) -> Result<RecoverySet> {
        let plans = self.plans.read().await?;
        let sets = plans.recovery_sets();
        if let Some(set) = sets.iter().find(|set| set.name == name) {
            return Ok(set.clone());
        }
        let names: Vec<&str> = sets.iter().map(|set| set.name.as_str()).collect();
        let there = if names.is_empty() {
            "it names none".to_owned()
        } else {
            format!("it names {}", names.join(", "))
        };
        Err(Error::misconfigured(
            "SetUnknown",
            format!(
                "the plan document has no recovery set {:?}: {there} (\"recovery_sets\" in docs/plans.md); nothing was done",
                shown(name)
            ),
        ))
    }

    pub(crate) async fn observe_restores<G: Engines>(
        &self,
        databases: &G,
        restores: &G::Restores,
        now: Timestamp,
    ) -> Result<Restores<G::Asked>> {
        let (mut orders, unreadable) = orders::all::<Work>(&self.documents, DOCUMENTS).await?;
        orders.retain(|ordered| !ordered.order.refused && ordered.order.restore.is_remembered(now));
        let days = orders.iter().map(|ordered| ordered.order.restore.day()).collect();
        let recorded = self.ledger.keys(&days).await?;
        let looks = orders.into_iter().map(async |ordered| {
            let restore = &ordered.order.restore;
            let is_over = end(restore, &recorded).is_some();
            let is_wanted = ordered.order.drill.as_ref().is_none_or(|drill| now < drill.expires);
            let in_time = is_wanted && now.duration_since(restore.requested_at) <= BEGINNING;
            // One whose engine does not answer may well have been.
            let is_begun = ordered.order.parts().map(|(_, part)| {
                is_recorded(&part, &recorded) || G::is_followed(restores, &part) != Some(false)
            });
            let is_begun: Vec<bool> = is_begun.collect();
            let members = ordered.order.work.members.iter().zip(&is_begun);
            let to_begin = members.filter(|(_, is_begun)| in_time && !is_over && !**is_begun);
            let looks = to_begin.map(async |(member, _)| {
                (member.clone(), look_at(databases, &ordered.order, member, now).await)
            });
            let to_begin = join_all(looks).await;
            Seen { ordered, is_begun, to_begin }
        });
        let all = join_all(looks).await;
        Ok(Restores { all, recorded, unreadable })
    }
}

/// Whether the ledger knows of it: then it was begun, also if what it made is gone.
fn is_recorded(part: &Restore, recorded: &BTreeSet<EntryKey>) -> bool {
    part.is_recorded(recorded, "restore-requested", Outcome::Completed) || part.end(recorded).is_some()
}

/// What would be written down, but for the instant.
fn order(request: &SetRequest, set: RecoverySet, restore: Restore) -> Result<Order<Work>> {
    if let Some(other) = request.wishes.keys().find(|resource| !set.resources.contains(resource)) {
        let members: Vec<String> = set.resources.iter().map(ToString::to_string).collect();
        return Err(crate::request::invalid(format!(
            "\"wishes\" has {:?}, which is none of the set {}: {}",
            shown(&other.to_string()),
            set.name,
            members.join(", ")
        )));
    }
    let names = names(&request.name, &set.resources)?;
    for name in &names {
        drill::check(request.drill.as_ref(), name)?;
    }
    let members = set.resources.into_iter().zip(names).map(|(resource, name)| {
        let wish = request.wishes.get(&resource).cloned().unwrap_or_default();
        Member { resource, name, wish }
    });
    let work = Work { set: set.name, instant: restore.requested_at, members: members.collect() };
    let (to, name, drill) = (request.to.as_tag(), request.name.clone(), request.drill.clone());
    Ok(Order { restore, to, name, drill, work, refused: false })
}

/// The newest instant that all of them can be restored to. What has no seconds, and what can be had as it is now, bounds nothing.
async fn latest<G: Engines>(databases: &G, order: &Order<Work>, now: Timestamp) -> Timestamp {
    let with_windows = order.work.members.iter().filter(|member| member.resource.engine == Engine::Rds);
    let looks = with_windows
        .map(async |member| Box::pin(databases.observe(order.request(member, Target::Latest)?, now)).await);
    newest_of::<G>(&join_all(looks).await, now)
}

/// Whole seconds: that is how finely commands of append-only files are dated.
fn newest_of<G: Engines>(members: &[Result<G::Asked>], now: Timestamp) -> Timestamp {
    let newest = members.iter().flatten().filter_map(G::newest).min();
    newest.or_else(|| Timestamp::from_second(now.as_second()).ok()).unwrap_or(now)
}

async fn look<G: Engines>(databases: &G, order: &Order<Work>, now: Timestamp) -> Vec<Result<G::Asked>> {
    join_all(order.work.members.iter().map(|member| look_at(databases, order, member, now))).await
}

async fn look_at<G: Engines>(
    databases: &G,
    order: &Order<Work>,
    member: &Member,
    now: Timestamp,
) -> Result<G::Asked> {
    // Boxed: the SDK's futures are large, and nesting them by value exceeds what the compiler lays out.
    Box::pin(databases.observe(order.request(member, Target::Instant(order.work.instant))?, now)).await
}
