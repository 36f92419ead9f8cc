//! Whether a restored cache is what was lost.

use std::{collections::BTreeSet, time::Duration};

use domain::{
    Question, Side,
    drill::{To, history::Verdict},
    tag,
};
use heartbeat::{Basis, Estimate, Judgement, Place};
use reconcile::{Error, Kind, Result};
use redis::{
    checks::{self, Evidence, Expected, Remark, Walk},
    elasticache::{Cache, ElastiCache},
    heartbeats::Stream,
    server::{Follower, Reply, Server, Servers},
};
use secrets::{Credentials, PlainSecrets, Secrets};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vault::{Manifest, Store};

use super::{KINDS, RedisDrills};
use crate::{
    act::failed,
    drill::Drill,
    engine::{Checked, Turn},
    measure::{self, Beats},
    restored::Restored,
};

/// How far the checks have come.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Progress {
    heartbeats: Option<Judgement>,
    /// Whether they were read, or why not.
    sought: Option<String>,
    walk: Walk,
}

pub(super) async fn check<E, S, K, C>(
    function: &RedisDrills<E, S, K, C>,
    drill: &Drill,
    turn: Turn,
) -> Result<Checked>
where
    E: ElastiCache,
    S: Store,
    K: Secrets + PlainSecrets,
    C: Servers,
{
    let mut progress: Progress = measure::progress(&drill.checks)?;
    let manifest = function.manifest(drill).await?;
    let expected = Expected::of_content(&manifest.content).map_err(|why| {
        Error::permanent("ManifestUnreadable", format!("the manifest of {}: {why}", manifest.id))
    })?;
    let cache = restored(&function.region(&drill.staging.region)?.caches, drill).await?;
    let (server, credentials) = reach(&function.secrets, &cache).await?;
    if progress.sought.is_none() {
        match heartbeats(function, &server, credentials.as_ref()).await {
            Ok(beats) => {
                progress.heartbeats = beats.map(|beats| beats.judge(drill.question()));
                progress.sought = Some(measure::READ.to_owned());
            }
            Err(error) if error.kind() == Kind::Retryable => return Err(error),
            Err(error) => progress.sought = Some(error.report()),
        }
    }
    let went = checks::check(
        &function.servers,
        &server,
        credentials.as_ref(),
        Some(&expected),
        &mut progress.walk,
        turn.now,
        || turn.left(),
    )
    .await;
    match went {
        Ok(()) if progress.walk.is_over => {
            Ok(over(&progress, &manifest, &expected, drill, function.heartbeat_secret.is_some()))
        }
        Ok(()) => Ok(Checked::Further(json!(progress))),
        // What was done until the connection was lost is kept; what was never reached is waited for by whoever asks.
        Err(error) if error.kind() == Kind::Retryable && !drill.checks.is_null() => {
            tracing::warn!("{}: {}; the next tick goes on", drill.id, error.report());
            Ok(Checked::Further(json!(progress)))
        }
        Err(error) => Err(error),
    }
}

/// The one whole number that a command answers.
pub(super) async fn number<E: ElastiCache, S: Store, K: Secrets, C: Servers>(
    function: &RedisDrills<E, S, K, C>,
    drill: &Drill,
    side: &Side,
) -> Result<i128> {
    let Question::Command(words) = &side.question else {
        return Err(measure::no_number(side, "SQL is no command"));
    };
    let cache = restored(&function.region(&drill.staging.region)?.caches, drill).await?;
    let (server, credentials) = reach(&function.secrets, &cache).await?;
    let mut connection = Follower::open(&function.servers, &server, credentials).await?;
    match connection.ask(words, SMALL).await? {
        Reply::Integer(number) => Ok(number.into()),
        Reply::Refused(says) => Err(measure::no_number(side, &format!("the server refuses: {says}"))),
        _ => Err(measure::no_number(side, "the answer is no integer")),
    }
}

/// How long one command may take.
const SMALL: Duration = Duration::from_mins(2);

async fn restored(caches: &impl ElastiCache, drill: &Drill) -> Result<Cache> {
    find(caches, &drill.name).await?.ok_or_else(|| {
        let says = format!("cache {} is gone, and nobody has checked it to the end", drill.name);
        Error::permanent("RestoredGone", says)
    })
}

async fn find(caches: &impl ElastiCache, name: &str) -> Result<Option<Cache>> {
    for kind in KINDS {
        if let Some(cache) = caches.cache(kind, name).await? {
            return Ok(Some(cache));
        }
    }
    Ok(None)
}

/// The heartbeats in what a person's restore made.
pub(super) async fn of_restored<E: ElastiCache, S: Store, K: Secrets + PlainSecrets, C: Servers>(
    function: &RedisDrills<E, S, K, C>,
    restored: &Restored,
) -> Result<Option<Beats>> {
    measure::has_keys(function.heartbeat_secret.as_ref())?;
    let cache = find(&function.region(&restored.region)?.caches, &restored.name).await?;
    let cache = cache.ok_or_else(|| restored.gone())?;
    restored.made(cache.tags.get(tag::RESTORE))?;
    let (server, credentials) = reach(&function.secrets, &cache).await?;
    heartbeats(function, &server, credentials.as_ref()).await
}

/// Where it answers, and to whom. A cache that asks for no password is asked without.
async fn reach(secrets: &impl Secrets, cache: &Cache) -> Result<(Server, Option<Credentials>)> {
    let server = cache
        .endpoint
        .clone()
        .ok_or_else(|| Error::retryable("EndpointMissing", format!("{} has no endpoint yet", cache.name)))?;
    let secret = cache.tags.get(tag::SECRET);
    match secret {
        Some(secret) => Ok((server, Some(secrets.credentials(secret).await?))),
        None if !cache.settings.needs_credentials() => Ok((server, None)),
        None => Err(Error::misconfigured(
            "NotChecked",
            format!(
                "{} was restored and nothing was checked: its clients need a password, and no secret is named in the source's tag {}",
                cache.name,
                tag::SECRET
            ),
        )),
    }
}

async fn heartbeats<E, S, K: PlainSecrets, C: Servers>(
    function: &RedisDrills<E, S, K, C>,
    server: &Server,
    credentials: Option<&Credentials>,
) -> Result<Option<Beats>> {
    let Some(secret) = &function.heartbeat_secret else { return Ok(None) };
    let keys = measure::keys(&function.secrets, secret).await?;
    let mut stream = Stream::open(&function.servers, server, credentials.cloned()).await?;
    let rows = stream.read(measure::HEARTBEATS).await?;
    Ok((!rows.is_empty()).then_some(Beats { rows, keys }))
}

fn over(
    progress: &Progress,
    manifest: &Manifest,
    expected: &Expected,
    drill: &Drill,
    has_keys: bool,
) -> Checked {
    let walk = &progress.walk;
    let is_known = walk.counted.values().any(|counted| counted.is_counted || counted.is_whole);
    let failure = first(&walk.evidence)
        .map(|says| ("DataDiffers", says))
        .or_else(|| progress.heartbeats.as_ref().and_then(measure::unsound))
        .or_else(|| (!is_known).then(|| ("NothingChecked", NOTHING.to_owned())));
    let verdict = match failure {
        Some((code, says)) => failed(code, says),
        None => Verdict::Passed,
    };
    let state_at = match &drill.choice.to {
        To::Instant(instant) => *instant,
        To::Point(_) => manifest.taken_at,
    };
    let estimate = Estimate::new(
        Basis::RecoveryPointTime,
        state_at,
        drill.until(),
        measure::unmeasured(progress.sought.as_deref().filter(|_| has_keys)),
    );
    let loss = heartbeat::Loss::of(progress.heartbeats.as_ref(), estimate);
    let unread = progress.sought.as_deref().filter(|sought| *sought != measure::READ);
    let mut unchecked: Vec<String> = unread.map(|why| format!("heartbeats: {why}")).into_iter().collect();
    unchecked.extend(not_checked(walk, expected));
    let evidence = json!({
        "recovery_point": manifest.id, "taken_at": manifest.taken_at,
        "databases": walk.counted, "types": walk.types, "read": walk.read, "functions": walk.functions,
        "found": walk.evidence, "heartbeats": progress.heartbeats, "heartbeats_sought": progress.sought, "loss": loss,
    });
    let loss = Some(measure::in_short(&loss));
    Checked::Over { verdict, loss, evidence, unchecked, bytes: None, known: Value::Null }
}

/// What fails a drill of a server that tells nothing.
const NOTHING: &str = "the server neither counts its keys (DBSIZE) nor lists them (SCAN); nothing was proven";

/// What the server did not let be checked, and what there was not to check.
fn not_checked(walk: &Walk, expected: &Expected) -> Vec<String> {
    let says = |what: Remark| match what {
        Remark::ExpiriesNotKnown => {
            Some("how many keys should be left: the recovery point does not tell when they expire")
        }
        Remark::ShardsNotTold => Some("the other servers of its cluster, which it does not name"),
        Remark::DatabasesNotTold => Some("databases that the recovery point does not have"),
        Remark::NotCounted => Some("the number of keys by the server's own count (DBSIZE)"),
        Remark::NotListed => Some("the keys themselves, which the server does not list (SCAN)"),
        Remark::FunctionsNotTold => Some("function libraries, of which the server does not tell"),
        // Nothing to compare with there never is here; the others are about single keys, and not about what can be told of them all.
        Remark::NotCompared
        | Remark::ExpiredStillCounted
        | Remark::TypeNotRead
        | Remark::TooLarge
        | Remark::FieldsMayHaveExpired => None,
    };
    let remarks: BTreeSet<&str> = walk.evidence.notes.iter().filter_map(|note| says(note.what)).collect();
    let mut unchecked: Vec<String> = remarks.into_iter().map(str::to_owned).collect();
    let keys = walk.types.values().sum::<u64>();
    if keys == 0 && expected.total() > 0 {
        unchecked.push(format!(
            "any key: of the {} that the recovery point has all may have expired, and none is left to be read",
            expected.total()
        ));
    }
    unchecked
}

fn first(found: &Evidence) -> Option<String> {
    found.findings.first().map(|finding| measure::first(&finding.place, &finding.fault))
}
