use std::collections::{BTreeMap, BTreeSet};

use alerts::{Subscriber, Subscribers};
use domain::{
    Finding, Findings, PlanDocument, ResourceId, WatchedMonth,
    drill::history::{self, History},
    tag,
};
use futures::{StreamExt, future::OptionFuture, join, stream};
use inventory::{Lineages, Marks, is_acknowledged, rds_lineages};
use jiff::Timestamp;
use kms::{Key, Kms, Permission};
use plans::Plans;
use rds::{Instance, Quota, Rds};
use reconcile::{Documents, Error, Ledger, Result, board_name, parse_findings};
use redis::elasticache::{Cache, ElastiCache};
use secrets::PlainSecrets;
use turso::{Connect, Database, Keys, Token, Turso};
use vault::{Configuration, DefaultEncryption, Lock, PublicAccess, ReplicationRule, Versioning};

use crate::{
    Ask, CheckPosture, NAME, act, checks,
    systems::{Organization, Place, Systems, Topics},
};

/// Documents that are read at the same time.
const AT_ONCE: usize = 16;

/// So many other organizations are named, if a token opens others.
const NAMED_ORGANIZATIONS: usize = 3;

/// What is true now.
#[derive(Debug)]
pub struct Observed {
    /// The home Region's name.
    pub(crate) region: String,
    /// What stands on this function's own board.
    pub(crate) board: Vec<Finding>,
    /// `None` if it was not time to look.
    pub(crate) seen: Option<Seen>,
}

/// What a look saw. What did not answer hides nothing else.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Whether the ledger has that everything was looked at today.
    pub(crate) is_recorded: Result<bool>,
    pub(crate) plans: PlanDocument,
    pub(crate) home: PlaceSeen,
    pub(crate) recovery: PlaceSeen,
    pub(crate) instances: Result<Vec<Instance>>,
    /// The keys of protected instances, by ARN.
    pub(crate) instance_keys: BTreeMap<String, Result<Option<Key>>>,
    /// The recovery points of RDS.
    pub(crate) snapshots: Result<Lineages>,
    /// Whether anything is ever deleted: not before a person has read a retention plan.
    pub(crate) deletes: Result<bool>,
    pub(crate) caches: Result<Vec<Cache>>,
    /// `None` if there is no organization.
    pub(crate) turso: Option<Result<TursoSeen>>,
    /// Since when watch-rpo sees each resource protected.
    pub(crate) protected_since: Result<BTreeMap<ResourceId, Timestamp>>,
    /// What stays of the drills of each resource that is to be drilled, and was.
    pub(crate) drills: Result<BTreeMap<ResourceId, Result<History>>>,
    /// The topics' ARNs, and who subscribes.
    pub(crate) topics: [(String, Result<Vec<Subscriber>>); 2],
    /// The queue that the daily canary arrives in.
    pub(crate) canary_queue: String,
}

/// What one Region shows.
#[derive(Debug)]
pub(crate) struct PlaceSeen {
    pub(crate) region: String,
    pub(crate) quota: Result<Quota>,
    pub(crate) key: KeySeen,
    pub(crate) vault: BucketSeen,
    pub(crate) exports: BucketSeen,
}

/// The vault's key.
#[derive(Debug)]
pub(crate) struct KeySeen {
    /// The ARN of its alias.
    pub(crate) alias: String,
    pub(crate) key: Result<Option<Key>>,
    /// Of one that can be used: whether functions may.
    pub(crate) permission: Option<Result<Permission>>,
}

/// How a bucket is set up.
#[derive(Debug)]
pub(crate) struct BucketSeen {
    pub(crate) name: String,
    pub(crate) versioning: Result<Versioning>,
    pub(crate) lock: Result<Option<Lock>>,
    pub(crate) replication: Result<Vec<ReplicationRule>>,
    pub(crate) public_access: Result<PublicAccess>,
    pub(crate) policy: Result<Option<String>>,
    pub(crate) encryption: Result<Option<DefaultEncryption>>,
}

/// What Turso shows.
#[derive(Debug)]
pub(crate) struct TursoSeen {
    pub(crate) databases: Result<Vec<Database>>,
    pub(crate) organization: Result<turso::Organization>,
    pub(crate) expires: Result<Option<Timestamp>>,
    pub(crate) reach: Result<Vec<String>>,
}

/// Looks, once a day; each hour for as long as anything is wrong, so that what was mended ends; and whenever a person asks.
///
/// Whether it has looked today stands on its board: that moves on only with a pass of which everything was posted.
pub(crate) async fn observe<W: Systems>(
    function: &CheckPosture<W>,
    ask: Ask,
    now: Timestamp,
) -> Result<Observed> {
    let region = function.home.rds.region().to_owned();
    let board = board(&function.documents).await?;
    let is_of_today = board.as_ref().is_some_and(|board| act::day(board.at) == act::day(now));
    let board = board.map(|board| board.findings).unwrap_or_default();
    let is_due = ask == Ask::CheckNow || !is_of_today || !board.is_empty();
    if !is_due {
        return Ok(Observed { region, board, seen: None });
    }
    let seen = Some(look(function, &region, now).await?);
    Ok(Observed { region, board, seen })
}

async fn board(documents: &impl Documents) -> Result<Option<Findings>> {
    let name = board_name(NAME);
    let document = documents.read(&name).await?;
    // The pass says when it cannot be read, and replaces it.
    Ok(document.and_then(|document| parse_findings(&name, &document).ok()))
}

async fn look<W: Systems>(function: &CheckPosture<W>, region: &str, now: Timestamp) -> Result<Seen> {
    let CheckPosture { home, recovery, ledger, .. } = function;
    let key = act::checked(region, now).key();
    let recorded = async { ledger.get(&key).await.map(|entry| entry.is_some()) };
    // Without plans nobody knows what should be so.
    let plans = function.plans.read().await?;
    let instances = async {
        let instances = home.rds.instances().await;
        let keys = instances.as_ref().map(|instances| own_keys(instances)).unwrap_or_default();
        let described = kms::describe_all(&home.kms, keys.iter().map(String::as_str)).await;
        (instances, described)
    };
    let snapshots =
        async { rds_lineages(&home.rds, &recovery.rds, &Marks::read(&[&function.store]).await?).await };
    let turso = OptionFuture::from(function.organization.as_ref().map(turso));
    let (is_recorded, instances, snapshots, deletes, caches, turso, protected_since, topics, at_home, away) = join!(
        recorded,
        Box::pin(instances),
        Box::pin(snapshots),
        is_acknowledged(&function.store),
        Box::pin(function.caches.caches()),
        Box::pin(turso),
        protected_since(&function.documents, now),
        topics(&function.subscribers, &function.topics),
        Box::pin(place(home)),
        Box::pin(place(recovery)),
    );
    let (instances, instance_keys) = instances;
    let mut seen = Seen {
        is_recorded,
        plans,
        home: at_home,
        recovery: away,
        instances,
        instance_keys,
        snapshots,
        deletes,
        caches,
        turso,
        protected_since,
        drills: Ok(BTreeMap::new()),
        topics,
        canary_queue: function.topics.canary_queue.clone(),
    };
    seen.drills = drills(&function.documents, &seen).await;
    Ok(seen)
}

/// As watch-rpo remembers it. Where it has not run yet, nothing is protected for long.
async fn protected_since(
    documents: &impl Documents,
    now: Timestamp,
) -> Result<BTreeMap<ResourceId, Timestamp>> {
    for name in WatchedMonth::names(now) {
        let Some(document) = documents.read(&name).await? else { continue };
        let month: WatchedMonth = serde_json::from_str(&document.text).map_err(|error| {
            Error::permanent("DocumentUnreadable", format!("document {name} is no memory of watch-rpo"))
                .caused_by(error)
        })?;
        let since = month.resources.into_iter();
        return Ok(since.filter_map(|(resource, watched)| Some((resource, watched.seen_since?))).collect());
    }
    Ok(BTreeMap::new())
}

/// One list, and one read for each resource that is to be drilled, and was. One that cannot be read hides no other.
async fn drills(documents: &impl Documents, seen: &Seen) -> Result<BTreeMap<ResourceId, Result<History>>> {
    let names: BTreeSet<String> = documents.names(history::DOCUMENTS).await?.into_iter().collect();
    let drilled = checks::drilled(seen).into_iter().flat_map(|(_, drilled)| drilled.into_iter().flatten());
    let there = drilled.filter(|resource| names.contains(&history::document(resource)));
    let read = async |resource: ResourceId| {
        let history = drills_of(documents, &resource).await;
        (resource, history)
    };
    Ok(stream::iter(there).map(read).buffer_unordered(AT_ONCE).collect().await)
}

async fn drills_of(documents: &impl Documents, resource: &ResourceId) -> Result<History> {
    let name = history::document(resource);
    let gone = || Error::retryable("DocumentGone", format!("document {name} is gone"));
    let document = documents.read(&name).await?.ok_or_else(gone)?;
    serde_json::from_str(&document.text).map_err(|error| {
        Error::permanent("DocumentUnreadable", format!("document {name} is none about drills"))
            .caused_by(error)
    })
}

/// The keys of the instances that are under a plan. One of another account cannot be described from here.
fn own_keys(instances: &[Instance]) -> BTreeSet<String> {
    let account = |arn: &str| arn.split(':').nth(4).map(str::to_owned);
    let protected = instances.iter().filter(|instance| tag::plan(&instance.tags).is_some());
    let own = protected.filter_map(|instance| {
        instance.kms_key.as_ref().filter(|key| account(key) == account(&instance.arn))
    });
    own.cloned().collect()
}

async fn place<W: Systems>(place: &Place<W>) -> PlaceSeen {
    let Place { rds, kms, key, vault, exports } = place;
    let (quota, key, vault, exports) =
        join!(rds.quota(), vault_key(kms, key), bucket(vault), bucket(exports));
    PlaceSeen { region: rds.region().to_owned(), quota, key, vault, exports }
}

async fn vault_key(kms: &impl Kms, alias: &str) -> KeySeen {
    let key = kms.describe(alias).await;
    // Of one that nobody can use it is not worth asking who may.
    let usable = key.as_ref().ok().and_then(Option::as_ref).filter(|key| key.enabled);
    let permission = OptionFuture::from(usable.map(|key| kms.may_encrypt(&key.arn))).await;
    KeySeen { alias: alias.to_owned(), permission, key }
}

async fn bucket(bucket: &impl Configuration) -> BucketSeen {
    let (versioning, lock, replication, public_access, policy, encryption) = join!(
        bucket.versioning(),
        bucket.lock(),
        bucket.replication(),
        bucket.public_access(),
        bucket.policy(),
        bucket.encryption(),
    );
    let name = bucket.bucket().to_owned();
    BucketSeen { name, versioning, lock, replication, public_access, policy, encryption }
}

async fn turso<W: Systems>(organization: &Organization<W>) -> Result<TursoSeen> {
    let Organization { connector, secrets, secret } = organization;
    let keys = Keys::parse(secret, &secrets.text(secret).await?)?;
    let turso = connector.connect(keys.token);
    let (databases, organization, expires, reach) =
        join!(turso.databases(), turso.organization(), turso.expires(), turso.reach(NAMED_ORGANIZATIONS),);
    Ok(TursoSeen { databases, organization, expires, reach })
}

async fn topics(subscribers: &impl Subscribers, topics: &Topics) -> [(String, Result<Vec<Subscriber>>); 2] {
    let (alerts, watch) = join!(subscribers.of(&topics.alerts), subscribers.of(&topics.watch));
    [(topics.alerts.clone(), alerts), (topics.watch.clone(), watch)]
}

impl Seen {
    /// What did not answer, by the name of the part.
    pub(crate) fn silent<'s>(&'s self) -> Vec<(String, &'s Error)> {
        let mut silent = Vec::new();
        let mut note =
            |part: String, error: Option<&'s Error>| silent.extend(error.map(|error| (part, error)));
        note("ledger".to_owned(), self.is_recorded.as_ref().err());
        note("instances".to_owned(), self.instances.as_ref().err());
        // One is enough: keys are refused for one reason.
        let refused = self.instance_keys.values().find_map(|key| key.as_ref().err());
        note("instance-keys".to_owned(), refused);
        note("snapshots".to_owned(), self.snapshots.as_ref().err());
        note("retention".to_owned(), self.deletes.as_ref().err());
        note("caches".to_owned(), self.caches.as_ref().err());
        match &self.turso {
            Some(Ok(turso)) => {
                note("turso".to_owned(), turso.databases.as_ref().err());
                note("turso-organization".to_owned(), turso.organization.as_ref().err());
                let token = turso.expires.as_ref().err().or(turso.reach.as_ref().err());
                note("turso-token".to_owned(), token);
            }
            Some(Err(error)) => note("turso".to_owned(), Some(error)),
            None => {}
        }
        note("watch".to_owned(), self.protected_since.as_ref().err());
        match &self.drills {
            // One is enough: the others are named once it is mended.
            Ok(drills) => note("drills".to_owned(), drills.values().find_map(|of| of.as_ref().err())),
            Err(error) => note("drills".to_owned(), Some(error)),
        }
        for (topic, subscribers) in &self.topics {
            note(name_of(topic).to_owned(), subscribers.as_ref().err());
        }
        for place in [&self.home, &self.recovery] {
            note(format!("quota-{}", place.region), place.quota.as_ref().err());
            let KeySeen { key, permission, .. } = &place.key;
            let tried = permission.as_ref().and_then(|permission| permission.as_ref().err());
            note(format!("key-{}", place.region), key.as_ref().err().or(tried));
            for bucket in [&place.vault, &place.exports] {
                note(bucket.name.clone(), bucket.error());
            }
        }
        silent
    }
}

impl BucketSeen {
    /// The first question that it did not answer.
    fn error(&self) -> Option<&Error> {
        let Self { versioning, lock, replication, public_access, policy, encryption, .. } = self;
        let errors = [
            versioning.as_ref().err(),
            lock.as_ref().err(),
            replication.as_ref().err(),
            public_access.as_ref().err(),
            policy.as_ref().err(),
            encryption.as_ref().err(),
        ];
        errors.into_iter().flatten().next()
    }
}

/// A topic's or queue's name, of its ARN.
pub(crate) fn name_of(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}
