//! What only Redis and Valkey have, in words.

use domain::{Finding, ResourceId, Severity, tag};
use jiff::Timestamp;
use redis::elasticache::{Cache, CacheKind};

use crate::{engines::Lost, kind};

/// How to read what happened to a cache in the last day.
fn events(cache: &Cache) -> String {
    let kind = match cache.kind {
        CacheKind::ReplicationGroup => "replication-group",
        CacheKind::Cluster => "cache-cluster",
        CacheKind::Serverless => "serverless-cache",
    };
    let name = &cache.name;
    format!(
        "`aws elasticache describe-events --source-type {kind} --source-identifier {name} --duration 1440`"
    )
}

pub(super) fn unhealthy(resource: &ResourceId, cache: &Cache, now: Timestamp) -> Finding {
    let Cache { name, status, .. } = cache;
    let next = match status.as_str() {
        "deleting" | "deleted" => format!(
            "If that is meant, nothing: once it is gone this ends. If not, it cannot be stopped; find out who it was (CloudTrail), and \
             restore {name} with restore-database from its newest recovery point."
        ),
        _ => format!(
            "See why: {}. If it cannot be mended, restore it under another name with restore-database.",
            events(cache)
        ),
    };
    Finding::new(
        resource,
        kind::RESOURCE_UNHEALTHY,
        Severity::Critical,
        now,
        format!("the cache is {status}; only one that is available is backed up"),
        next,
    )
}

pub(super) fn next_for_rpo(cache: &Cache) -> String {
    let Cache { name, .. } = cache;
    let by_hand = match cache.kind {
        CacheKind::ReplicationGroup => {
            format!("create-snapshot --replication-group-id {name} --snapshot-name {name}-by-hand")
        }
        CacheKind::Cluster => {
            format!("create-snapshot --cache-cluster-id {name} --snapshot-name {name}-by-hand")
        }
        CacheKind::Serverless => format!(
            "create-serverless-cache-snapshot --serverless-cache-name {name} --serverless-cache-snapshot-name {name}-by-hand"
        ),
    };
    format!(
        "See what backup-redis found and logged, and what ElastiCache says of the cache: {}. Until it is mended, a snapshot holds \
         today's state: `aws elasticache {by_hand}`.",
        events(cache)
    )
}

pub(super) fn next_for_archive(place: &str) -> String {
    format!(
        "See what backup-redis found and logged, and whether its owner still archives to it: `aws s3 ls {place} --recursive`; the \
         newest file should be younger than the objective."
    )
}

pub(super) fn untagged(cache: &Cache, plan: Option<&str>) -> Lost {
    Lost {
        now: format!("now the cache has {}", tag::absence(&cache.tags)),
        otherwise: format!(
            "put the tag back: `aws elasticache add-tags-to-resource --resource-name {} --tags Key={},Value={}`",
            cache.arn,
            tag::PLAN,
            plan.unwrap_or("…")
        ),
    }
}

pub(super) fn gone(name: &str) -> Lost {
    Lost {
        now: "now there is no such cache, and no plan names such an archive".to_owned(),
        otherwise: format!(
            "restore {name} with restore-database, or name the archive in the plan again (`redis.append_only`)"
        ),
    }
}
