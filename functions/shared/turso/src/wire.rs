//! What Turso answers, read leniently where a surplus or a missing field does no harm, and strictly where it would.

use jiff::Timestamp;
use reconcile::{Error, Kind, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::{Configuration, Database, Organization, Parent};

/// An answer that is not what it must be. What it said is not shown: it may hold a token.
pub(crate) fn unreadable(doing: &str, why: &str) -> Error {
    Error::retryable("TursoAnswerUnreadable", format!("cannot {doing}: Turso's answer {why}"))
}

pub(crate) fn json(doing: &str, body: &[u8]) -> Result<Value> {
    serde_json::from_slice(body).map_err(|_| unreadable(doing, "is no JSON"))
}

/// The first of those fields that is there as text. Turso writes `DbId` here and `dbId` there.
fn text(value: &Value, names: &[&str]) -> Option<String> {
    names
        .iter()
        .find_map(|name| value.get(*name)?.as_str())
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

fn flag(value: &Value, names: &[&str]) -> bool {
    names.iter().find_map(|name| value.get(*name)?.as_bool()).unwrap_or(false)
}

fn texts(value: Option<&Value>) -> Vec<String> {
    let list = value.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

pub(crate) fn organization(doing: &str, value: &Value) -> Result<Organization> {
    let value = value.get("organization").unwrap_or(value);
    let slug = text(value, &["slug", "name"]).ok_or_else(|| unreadable(doing, "names no organization"))?;
    let plan = text(value, &["plan_id", "plan"]).unwrap_or_default();
    Ok(Organization { slug, plan, reads_blocked: flag(value, &["blocked_reads", "block_reads"]) })
}

/// Until when a token is valid; -1 stands for ever (Platform API, "Validate API Token").
pub(crate) fn expiry(doing: &str, value: &Value) -> Result<Option<Timestamp>> {
    let seconds = value.get("exp").and_then(Value::as_i64);
    match seconds.ok_or_else(|| unreadable(doing, "has no time of expiration"))? {
        -1 => Ok(None),
        seconds => {
            let read = Timestamp::from_second(seconds).map(Some);
            read.map_err(|_| unreadable(doing, &format!("has {seconds} for a time of expiration")))
        }
    }
}

/// The slugs of organizations.
pub(crate) fn organizations(doing: &str, value: &Value) -> Result<Vec<String>> {
    let list = value.get("organizations").unwrap_or(value).as_array();
    let list = list.ok_or_else(|| unreadable(doing, "has no list of organizations"))?;
    Ok(list.iter().filter_map(|one| text(one, &["slug", "name"])).collect())
}

/// One database. Without a name, an id or a place it cannot be protected, so that is an error and not an omission.
pub(crate) fn database(doing: &str, value: &Value) -> Result<Database> {
    let need = |names: &[&str]| {
        text(value, names).ok_or_else(|| unreadable(doing, &format!("has a database without {}", names[0])))
    };
    let hostname = need(&["Hostname", "hostname"])?;
    if !is_host(&hostname) {
        return Err(unreadable(doing, &format!("gives {hostname:?} as the place of a database")));
    }
    let mut locations = texts(value.get("regions"));
    if locations.is_empty() {
        locations.extend(text(value, &["primaryRegion", "primary_region"]));
    }
    let parent = value.get("parent").filter(|parent| parent.is_object());
    Ok(Database {
        name: need(&["Name", "name"])?,
        id: need(&["DbId", "dbId", "db_id", "id"])?,
        hostname,
        group: text(value, &["group", "Group"]).unwrap_or_default(),
        locations,
        block_reads: flag(value, &["block_reads", "blockReads"]),
        block_writes: blocks_writes(value),
        delete_protection: flag(value, &["delete_protection"]),
        sleeping: flag(value, &["sleeping"]),
        archived: flag(value, &["archived"]),
        parent: parent.map(|parent| Parent {
            id: text(parent, &["id", "DbId", "dbId"]).unwrap_or_default(),
            name: text(parent, &["name", "Name"]).unwrap_or_default(),
        }),
    })
}

/// A host and, for the local cloud, a port: nothing that could lead a token elsewhere within an address.
pub(crate) fn is_host(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 253
        && !text.starts_with(['.', '-', ':'])
        && text.chars().all(|c| c.is_ascii_alphanumeric() || ".-:".contains(c))
        && text.split_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_ok())
}

/// One page of databases, and the cursor of the next one.
pub(crate) fn databases(doing: &str, value: &Value) -> Result<(Vec<Database>, Option<String>)> {
    let list = value.get("databases").and_then(Value::as_array);
    // A list that is not there must not read as an organization without databases.
    let list = list.ok_or_else(|| unreadable(doing, "has no list of databases"))?;
    let next = value.get("pagination").and_then(|pages| text(pages, &["next", "next_cursor"]));
    Ok((list.iter().map(|one| database(doing, one)).collect::<Result<_>>()?, next))
}

/// Whether a database, or its configuration, says so.
pub(crate) fn blocks_writes(value: &Value) -> bool {
    flag(value, &["block_writes", "blockWrites"])
}

pub(crate) fn configuration(value: &Value) -> Configuration {
    Configuration {
        size_limit: text(value, &["size_limit", "sizeLimit"]),
        allowed_ips: texts(value.get("allowed_ips")),
        delete_protection: flag(value, &["delete_protection"]),
    }
}

#[derive(Deserialize)]
struct End {
    status: String,
    generation: u64,
    max_frame_no: u64,
}

/// The generation and last frame in the one answer that means the end. Any other body of an error is an error.
pub(crate) fn end_marker(status: u16, body: &[u8]) -> Option<(u64, u64)> {
    let end: End = serde_json::from_slice(body).ok().filter(|_| status == 400)?;
    (end.status == "checkpoint_needed").then_some((end.generation, end.max_frame_no))
}

/// Our error for a refused request.
pub(crate) fn refused(doing: &str, status: u16, body: &[u8]) -> Error {
    let (kind, code) = match status {
        401 => (Kind::Misconfigured, "TursoUnauthorized"),
        402 => (Kind::Misconfigured, "TursoPaymentRequired"),
        403 => (Kind::Misconfigured, "TursoForbidden"),
        404 => (Kind::Permanent, "TursoNotFound"),
        409 => (Kind::Permanent, "TursoConflict"),
        408 | 429 => (Kind::Retryable, "TursoThrottled"),
        500.. => (Kind::Retryable, "TursoUnavailable"),
        300..=399 => (Kind::Permanent, "TursoRedirected"),
        _ => (Kind::Permanent, "TursoRequestInvalid"),
    };
    let next = match status {
        401 => "; the token in the secret is not valid: make a new one and put it there",
        402 => "; look at the organization's billing",
        403 => "; the token or the pricing plan does not allow it, or a quota is used up",
        _ => "",
    };
    let said = said(body).map(|said| format!(": {said}")).unwrap_or_default();
    Error::new(kind, code, format!("cannot {doing}: Turso answers {status}{said}{next}"))
}

/// The message of an error's body: short, in one line, and never more than its `error` field.
fn said(body: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let said = value.get("error").map(|error| match error {
        Value::String(said) => said.clone(),
        other => other.get("message").and_then(Value::as_str).unwrap_or_default().to_owned(),
    })?;
    let line: String = said.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect();
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[test]
    fn either_spelling_is_read_and_the_rest_left_aside() {
        for id in ["DbId", "dbId"] {
            let value = json!({"Name": "orders", id: "0eb7", "Hostname": "orders-acme.turso.io", "group": "production",
                "regions": ["aws-us-east-1"], "parent": {"id": "1", "name": "old"}, "sleeping": true, "new_field": [1]});
            let database = database("list", &value).unwrap();
            assert_eq!((database.id.as_str(), database.sleeping, database.archived), ("0eb7", true, false));
            assert_eq!(database.parent.unwrap().name, "old");
        }
    }

    #[rstest]
    #[case(json!({}))]
    #[case(json!({"databases": null}))]
    #[case(json!({"databases": [{"Name": "orders"}]}))]
    #[case(json!({"databases": [{"Name": "orders", "DbId": "1", "Hostname": "evil.example/x?"}]}))]
    #[case(json!({"databases": [{"Name": "orders", "DbId": "1", "Hostname": "user@evil"}]}))]
    fn a_list_that_is_not_whole_is_an_error(#[case] value: Value) {
        assert_eq!(databases("list", &value).unwrap_err().code(), "TursoAnswerUnreadable");
    }

    #[rstest]
    #[case(400, r#"{"status":"checkpoint_needed","generation":3,"max_frame_no":7}"#, true)]
    #[case(500, r#"{"status":"checkpoint_needed","generation":3,"max_frame_no":7}"#, false)]
    #[case(400, r#"{"status":"ok","generation":3,"max_frame_no":7}"#, false)]
    #[case(400, r#"{"status":"checkpoint_needed","generation":3}"#, false)]
    #[case(400, r#"{"status":"checkpoint_needed","generation":-3,"max_frame_no":7}"#, false)]
    #[case(400, r#"{"error":"bad request"}"#, false)]
    #[case(400, "", false)]
    fn only_the_marker_is_the_end(#[case] status: u16, #[case] body: &str, #[case] end: bool) {
        assert_eq!(end_marker(status, body.as_bytes()), end.then_some((3, 7)));
    }

    #[test]
    fn a_refusal_says_what_turso_said_and_no_more() {
        let error = refused("list", 403, br#"{"error":"quota\n exceeded","token":"eyJ"}"#);
        assert_eq!((error.code(), error.kind()), ("TursoForbidden", Kind::Misconfigured));
        assert!(error.report().contains("quota") && !error.report().contains("eyJ"), "{}", error.report());
        assert_eq!(refused("list", 503, b"<html>").kind(), Kind::Retryable);
    }
}
