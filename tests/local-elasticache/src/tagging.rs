//! `GetResources` of the Resource Groups Tagging API, for things of ElastiCache.

use std::collections::BTreeMap;

use aws_query::{Page, Paging, Response, request_id};
use serde_json::{Value, json};

use crate::plane::Plane;
use crate::state::{Kind, Region, Tags};

/// The one action there is.
const TARGET: &str = "ResourceGroupsTaggingAPI_20170126.GetResources";
/// 1 to 100 resources, 50 unless told (API reference).
const PAGING: Paging = Paging { size: "ResourcesPerPage", marker: "PaginationToken", least: 1, most: 100 };
const DEFAULT: u64 = 50;

/// An error of that API: its code, and a message for people.
struct Refusal(&'static str, String);

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal("InvalidParameterException", message.into())
}

/// Answers a request in JSON 1.1.
pub(crate) fn answer(plane: &Plane, region: &str, target: &str, body: &[u8]) -> Response {
    let action = target.rsplit('.').next().unwrap_or_default().to_owned();
    let answer = if target == TARGET {
        get_resources(plane, region, body)
    } else {
        Err(Refusal("UnknownOperationException", format!("The local cloud has no {target}.")))
    };
    let (status, document, error_code) = match answer {
        Ok(document) => (200, document, None),
        Err(Refusal(code, message)) => {
            (400, json!({"__type": code, "message": message}), Some(code.to_owned()))
        }
    };
    Response {
        status,
        content_type: "application/x-amz-json-1.1",
        body: document.to_string().into_bytes(),
        action,
        resource: None,
        error_code,
        request_id: request_id(),
    }
}

fn get_resources(plane: &Plane, region: &str, body: &[u8]) -> Result<Value, Refusal> {
    let body: &[u8] = if body.is_empty() { b"{}" } else { body };
    let request: Value = serde_json::from_slice(body)
        .map_err(|error| Refusal("SerializationException", format!("The request is not JSON: {error}")))?;
    let page = page(&request)?;
    let wanted = Wanted::of(&request)?;
    // Only what has tags is known to that API.
    let mut resources = plane.region(region, |region| resources(region));
    resources.retain(|arn, tags| !tags.is_empty() && wanted.takes(arn, tags));
    let (taken, token) = page.take(resources.iter().map(|(arn, tags)| (arn.as_str(), (arn, tags))));
    let mappings: Vec<Value> = taken
        .into_iter()
        .map(|(arn, tags)| {
            let tags: Vec<Value> =
                tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
            json!({"ResourceARN": arn, "Tags": tags})
        })
        .collect();
    Ok(json!({"PaginationToken": token.unwrap_or_default(), "ResourceTagMappingList": mappings}))
}

fn page(request: &Value) -> Result<Page, Refusal> {
    let size = match &request["ResourcesPerPage"] {
        Value::Null => DEFAULT,
        size => size.as_u64().unwrap_or(0),
    };
    if !(u64::from(PAGING.least)..=u64::from(PAGING.most)).contains(&size) {
        return Err(invalid(format!(
            "ResourcesPerPage must be 1 to 100, not {}.",
            request["ResourcesPerPage"]
        )));
    }
    let token = request["PaginationToken"].as_str().filter(|token| !token.is_empty());
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    Page::after(token, PAGING, size).ok_or_else(|| invalid("The pagination token is not valid."))
}

/// What the request asks for.
struct Wanted {
    /// Keys, each with the values that will do; any if there are none.
    tags: Vec<(String, Vec<String>)>,
    /// `elasticache` or `elasticache:cluster`.
    types: Vec<String>,
    arns: Vec<String>,
}

impl Wanted {
    fn of(request: &Value) -> Result<Self, Refusal> {
        let tags = request["TagFilters"].as_array().cloned().unwrap_or_default();
        if tags.len() > 50 {
            return Err(invalid("There can be at most 50 tag filters."));
        }
        let tags = tags.iter().map(|filter| {
            let key = filter["Key"].as_str().ok_or_else(|| invalid("A tag filter needs a key."))?;
            Ok((key.to_owned(), strings(&filter["Values"])))
        });
        let wanted = Self {
            tags: tags.collect::<Result<_, Refusal>>()?,
            types: strings(&request["ResourceTypeFilters"]),
            arns: strings(&request["ResourceARNList"]),
        };
        let filtered = !(wanted.tags.is_empty() && wanted.types.is_empty());
        if filtered && !wanted.arns.is_empty() {
            return Err(invalid("ResourceARNList cannot be combined with filters."));
        }
        Ok(wanted)
    }

    fn takes(&self, arn: &str, tags: &Tags) -> bool {
        let kind = arn.split(':').nth(5).unwrap_or_default();
        let of_type = |wanted: &String| match wanted.split_once(':') {
            None => wanted == "elasticache",
            Some((service, wanted)) => service == "elasticache" && wanted == kind,
        };
        let tagged = |(key, values): &(String, Vec<String>)| {
            tags.get(key).is_some_and(|value| values.is_empty() || values.contains(value))
        };
        (self.types.is_empty() || self.types.iter().any(of_type))
            && self.tags.iter().all(tagged)
            && (self.arns.is_empty() || self.arns.iter().any(|wanted| wanted == arn))
    }
}

fn strings(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Everything, by ARN. The nodes of a replication group have the group's tags.
fn resources(region: &Region) -> BTreeMap<String, Tags> {
    let caches = region.caches.iter().flat_map(|((kind, name), cache)| {
        let traits = &cache.traits;
        let shards = traits.shards.iter().filter(|_| *kind == Kind::Group);
        let members = shards.flat_map(|shard| traits.members(shard));
        let members = members.map(|member| (region.arn("cluster", &member), cache.tags.clone()));
        members.chain([(region.arn(kind.arn(), name), cache.tags.clone())]).collect::<Vec<_>>()
    });
    let snapshots = region
        .snapshots
        .iter()
        .map(|((form, name), snapshot)| (region.arn(form.arn(), name), snapshot.tags.clone()));
    caches.chain(snapshots).collect()
}
