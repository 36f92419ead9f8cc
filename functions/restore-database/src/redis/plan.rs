//! From a person's request to an order, or to a refusal that says what is possible instead.

use domain::tag;
use jiff::Timestamp;
use reconcile::{Error, Plan, Result};
use redis::elasticache::{CacheKind, SnapshotState, Source, Tags};

use super::{
    act::Action,
    observe::{Asked, document},
    staged_prefix,
    wish::From,
    work::{Chosen, Directory, Make, NewCache, Origin, Staged, Work},
};
use crate::{
    drill::{Asker, Drill, is_needed},
    orders::Order,
    points::{self, Found, Point},
    request::Target,
    restore::{End, Part, Restore},
};

/// How a directory was copied, in a manifest.
const APPEND_ONLY: &str = "append-only";

/// Decides how the request is carried out.
pub(crate) fn plan(asked: &Asked, now: Timestamp) -> Result<Plan<Action>> {
    let request = &asked.request;
    let restore = identity(asked, now);
    let mut plan = Plan::empty();
    if let Some(ordered) = &asked.order
        && ordered.order.is_same(&restore, &request.to, request.drill.as_ref(), now)
        && !matches!(asked.order_end, Some(End::Failed(_)))
    {
        let action = Action::GoOn { ordered: Box::new(ordered.clone()), notes: Vec::new() };
        plan.act(&request.resource, action, format!("{} was asked for already", ordered.order.restore.id));
        return Ok(plan);
    }
    is_needed(request.drill.as_ref(), now)?;
    free(asked, &restore)?;
    let point = point(asked, now)?;
    let (work, notes) = work(asked, point, &restore, now)?;
    let reason = format!("{} asked for {}; that is {}", request.by(), request.to.as_tag(), work.chosen.id);
    let (to, name, drill) = (request.to.as_tag(), request.name.clone(), request.drill.clone());
    let order = Order { restore, to, name, drill, work, refused: false };
    let action = Action::Begin {
        order: Box::new(order),
        document: document(&asked.region, &request.name),
        replacing: asked.order.as_ref().map(|ordered| ordered.version.clone()),
        notes,
    };
    plan.act(&request.resource, action, reason);
    Ok(plan)
}

/// Which restore this is. If its cache is there and its document was lost, it is the one that the tags name.
fn identity(asked: &Asked, now: Timestamp) -> Restore {
    let request = &asked.request;
    let mut restore = request.identity(&asked.region, now);
    if let Some((id, requested_at)) = asked.bearer.as_ref().and_then(|cache| begun(asked, &cache.tags, now)) {
        (restore.id, restore.requested_at) = (id, requested_at);
    }
    restore
}

/// The id and instant in the tags of a cache that this same request made a moment ago.
fn begun(asked: &Asked, tags: &Tags, now: Timestamp) -> Option<(String, Timestamp)> {
    let request = &asked.request;
    let requested_at: Timestamp = tags.get(tag::REQUESTED_AT)?.parse().ok()?;
    let same = tags.get(tag::RESOURCE) == Some(&request.resource.to_string())
        && tags.get(tag::RESTORED_TO) == Some(&request.to.as_tag())
        && request.asker().is_same(Asker::of(tags), requested_at, now);
    same.then(|| tags.get(tag::RESTORE).cloned())?.map(|id| (id, requested_at))
}

/// The new name must be free: of caches of every sort, of other restores under way, and of directories.
fn free(asked: &Asked, restore: &Restore) -> Result<()> {
    let name = &asked.request.name;
    let taken = |by: String| {
        Err(Error::misconfigured(
            "NameTaken",
            format!("{by}; choose another name for \"as\"; nothing was done"),
        ))
    };
    if let Some(ordered) =
        asked.order.as_ref().filter(|ordered| !ordered.order.refused && asked.order_end.is_none())
    {
        let (id, to) = (&ordered.order.restore.id, &ordered.order.to);
        return taken(format!("{id}, to {to}, is making {name} in {} already", asked.region));
    }
    match &asked.bearer {
        Some(cache) if cache.tags.get(tag::RESTORE) != Some(&restore.id) => {
            let by =
                cache.tags.get(tag::RESTORE).map_or("no restore".to_owned(), |id| format!("restore {id}"));
            let (kind, region) = (cache.kind, &asked.region);
            taken(format!("there is a {kind} {name} in {region} already, made by {by}"))
        }
        _ if !asked.staged.is_empty() => {
            let place = format!("s3://{}/{}appendonlydir/", asked.exports, staged_prefix(name));
            taken(format!("{place} holds {} files of another restore", asked.staged.len()))
        }
        _ => Ok(()),
    }
}

/// The recovery point that is meant, if it can be restored to what is meant.
fn point(asked: &Asked, now: Timestamp) -> Result<&Point> {
    let request = &asked.request;
    let refuse = || Err(points::refusal(&request.resource, &request.to, &asked.found, &asked.vault, now));
    let Found::Point(point) = &asked.found else { return refuse() };
    match &request.to {
        Target::Instant(instant) if *instant > now => refuse(),
        // A directory is asked for to get a second: another than that is not what is meant.
        Target::Instant(instant) if is_directory(point) && point.manifest.restorable_to.is_none() => {
            Err(Error::misconfigured(
                "PitrNotPossible",
                format!(
                    "{0} cannot be restored to {instant}: the commands in {1} carry no times; ask for {1} as a whole, and set \
                     aof-timestamp-enabled yes for those to come; nothing was done",
                    request.resource, point.manifest.id
                ),
            ))
        }
        // A set has one instant for all: what ends before it is had to its end.
        Target::Instant(instant)
            if is_directory(point)
                && !point.holds(*instant)
                && (request.part.is_none() || point.reaches() > *instant) =>
        {
            let (id, from, to) = (&point.manifest.id, point.manifest.taken_at, point.reaches());
            Err(Error::misconfigured(
                "OutsidePitrWindow",
                format!(
                    "{} cannot be restored to {instant} in {}: {id} holds every second from {from} to {to}; ask for one of \
                     these, or for {id}; nothing was done",
                    request.resource, asked.region
                ),
            ))
        }
        _ => Ok(point),
    }
}

fn is_directory(point: &Point) -> bool {
    point.manifest.method == APPEND_ONLY
}

fn work(asked: &Asked, point: &Point, restore: &Restore, now: Timestamp) -> Result<(Work, Vec<String>)> {
    let wanted = match &asked.request.to {
        Target::Latest => Some(now),
        Target::Instant(instant) => Some(*instant),
        Target::RecoveryPoint(_) => None,
    };
    if is_directory(point) {
        let target = match &asked.request.to {
            Target::Instant(instant) if point.holds(*instant) => Some(*instant),
            _ => point.manifest.restorable_to,
        };
        let chosen = Chosen::new(point, target.unwrap_or(point.manifest.taken_at), wanted);
        let directory = Directory {
            prefix: point.prefix(),
            objects: point.manifest.objects.clone(),
            target,
            reading: None,
            cutting: None,
        };
        directory.manifest_name()?;
        let note = match target {
            Some(target) => {
                format!("holds every command up to and including the second of {target}, and none after it")
            }
            None => "its commands carry no times, so it is all that was archived".to_owned(),
        };
        return Ok((Work { chosen, make: Make::Directory(Box::new(directory)) }, vec![note]));
    }
    let chosen = Chosen::new(point, point.manifest.taken_at, wanted);
    let (cache, mut notes) = cache(asked, point, restore)?;
    if let Some(missing) = chosen.missing_seconds() {
        let (id, taken_at) = (&chosen.id, chosen.taken_at);
        notes.insert(
            0,
            format!(
                "on ElastiCache the recovery point is the nearest snapshot: {id} holds the data as of {taken_at}; what was \
                 written in the {missing} seconds after it is not in it"
            ),
        );
    }
    Ok((Work { chosen, make: Make::Cache(Box::new(cache)) }, notes))
}

fn cache(asked: &Asked, point: &Point, restore: &Restore) -> Result<(NewCache, Vec<String>)> {
    let (request, wish) = (&asked.request, &asked.request.wish);
    let source = Source::from_map(&point.manifest.source)?;
    let elsewhere = asked.region != asked.home;
    let unfit = wish.unfit(source.kind);
    if !unfit.is_empty() {
        return Err(crate::request::invalid(format!(
            "{} is a {}, for which {} means nothing",
            request.resource,
            source.kind,
            unfit.join(", ")
        )));
    }
    let settings = wish.settings(&source.settings, elsewhere);
    let secret = wish.secret.clone().or_else(|| asked.secret.clone());
    if settings.auth_token && secret.is_none() {
        return Err(Error::misconfigured(
            "SecretMissing",
            format!(
                "clients of {} need a password, which ElastiCache tells nobody; name a secret with the one that the new cache \
                 shall have (\"secret\"), or in the source's tag {}; nothing was done",
                request.resource,
                tag::SECRET
            ),
        ));
    }
    let from = origin(asked, point, &source)?;
    let mut notes = Vec::new();
    match &from {
        Origin::Snapshot { name, .. } => {
            notes.push(format!("made from the snapshot {name}, which is still there"));
        }
        Origin::Objects(objects) => notes.push(format!("made from {} objects of the vault", objects.len())),
    }
    if elsewhere {
        notes.push(format!(
            "in {} the source's groups and key do not exist: subnet group, security groups, parameter group, user groups and \
             key are the Region's defaults unless named in the request",
            asked.region
        ));
    }
    let secret = secret.filter(|_| settings.needs_credentials());
    let tags = tags(asked, restore, secret.as_deref());
    Ok((NewCache { kind: source.kind, settings, tags, secret, from, accepted_at: None }, notes))
}

/// Where the data come from: the snapshot itself where it still is, because that is quicker, or the vault.
fn origin(asked: &Asked, point: &Point, source: &Source) -> Result<Origin> {
    let id = &point.manifest.id;
    // A serverless cache is made from its snapshot by ARN; what else bears the name is not the snapshot that was verified.
    let usable = asked.snapshot.as_ref().filter(|snapshot| {
        snapshot.state() == SnapshotState::Available
            && snapshot.kind == source.kind
            && snapshot.name == id.as_str()
    });
    if let Some(snapshot) = usable {
        return Ok(Origin::Snapshot { name: snapshot.name.clone(), arn: snapshot.arn.clone() });
    }
    if asked.request.wish.from == Some(From::Snapshot) {
        return Err(Error::misconfigured(
            "SnapshotGone",
            format!(
                "ElastiCache has no available snapshot {id} in {}; leave \"from\" out to restore it from the vault; nothing \
                 was done",
                asked.region
            ),
        ));
    }
    let partition = source.arn.split(':').nth(1).filter(|part| !part.is_empty()).unwrap_or("aws");
    let prefix = point.prefix();
    // Names end in the shard's number, and ElastiCache takes the files in the order of the shards.
    let mut objects: Vec<_> =
        point.manifest.objects.iter().filter(|object| object.name.strip_suffix(".rdb").is_some()).collect();
    objects.sort_by(|a, b| a.name.cmp(&b.name));
    let shards = source.settings.shards.len();
    if objects.is_empty() || (source.kind != CacheKind::Serverless && shards != 0 && shards != objects.len())
    {
        return Err(Error::permanent(
            "ManifestUnreadable",
            format!(
                "the manifest of {id} names {} RDB files for {shards} shards; nothing was done",
                objects.len()
            ),
        ));
    }
    let staged = objects.into_iter().filter_map(|object| {
        let there = point.listed.objects.get(&object.name)?;
        let to = format!("{}{id}/{}", staged_prefix(&asked.request.name), object.name);
        Some(Staged {
            from: format!("{prefix}{}", object.name),
            etag: there.etag.clone(),
            bytes: object.bytes,
            arn: format!("arn:{partition}:s3:::{}/{to}", asked.exports),
            to,
        })
    });
    Ok(Origin::Objects(staged.collect()))
}

/// The source's own tags are not taken over: `tidemark:plan` would put a restored copy under backup, and billing tags
/// would lie.
fn tags(asked: &Asked, restore: &Restore, secret: Option<&str>) -> Tags {
    let tag = |key: &str, value: String| (key.to_owned(), value);
    let mut tags = Tags::from([
        tag(tag::RESTORE, restore.id.clone()),
        tag(tag::RESOURCE, restore.resource.to_string()),
        tag(tag::RESTORED_TO, asked.request.to.as_tag()),
        tag(tag::REQUESTED_AT, restore.requested_at.to_string()),
    ]);
    tags.extend(secret.map(|secret| tag(tag::SECRET, secret.to_owned())));
    tags.extend(asked.request.drill.iter().flat_map(Drill::tags));
    tags.extend(asked.request.part.iter().flat_map(Part::tags));
    tags
}
