//! The organization's own record.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, ApiToken, Question, Refusal};
use crate::plane::Plane;

/// Where groups can be.
const LOCATIONS: [(&str, &str); 6] = [
    ("aws-ap-northeast-1", "AWS AP NorthEast (Tokyo)"),
    ("aws-ap-south-1", "AWS AP South (Mumbai)"),
    ("aws-eu-west-1", "AWS EU West (Ireland)"),
    ("aws-us-east-1", "AWS US East (Virginia)"),
    ("aws-us-east-2", "AWS US East (Ohio)"),
    ("aws-us-west-2", "AWS US West (Oregon)"),
];

pub(super) fn document(plane: &Plane) -> Value {
    named(plane, &plane.organization)
}

/// All that a token is shown: of what its owner belongs to, one that was made for an organization sees that alone.
pub(super) fn list(plane: &Plane, is_unrestricted: bool) -> Value {
    let others = if is_unrestricted { plane.state().other_organizations.clone() } else { Vec::new() };
    std::iter::once(&plane.organization).chain(&others).map(|slug| named(plane, slug)).collect()
}

/// What there is of an organization that has no databases.
pub(super) fn other(
    plane: &Plane,
    caller: &ApiToken,
    question: &Question<'_>,
    slug: &str,
    rest: &[&str],
) -> Answer {
    let is_known = plane.state().other_organizations.iter().any(|other| other == slug);
    match (question.method.as_str(), rest) {
        _ if !is_known || !caller.is_unrestricted() => Err(Refusal::new(404, "organization not found")),
        ("GET", ["databases"]) => Ok(Some(json!({"databases": []}))),
        _ => Err(Refusal::no_route()),
    }
}

fn named(plane: &Plane, slug: &str) -> Value {
    let state = plane.state();
    json!({
        "name": slug,
        "slug": slug,
        "type": "team",
        "overages": state.overages,
        "require_mfa": false,
        "blocked_reads": false,
        "blocked_writes": false,
        "plan_id": state.plan.id,
        "plan_timeline": "monthly",
        "platform": "",
    })
}

pub(super) fn locations() -> Value {
    let map: serde_json::Map<_, _> =
        LOCATIONS.iter().map(|(code, name)| ((*code).to_owned(), json!(name))).collect();
    json!({"locations": map})
}

pub(super) fn is_location(code: &str) -> bool {
    LOCATIONS.iter().any(|(known, _)| *known == code)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Change {
    overages: Option<bool>,
}

/// `/v1/organizations/{slug}` and what is below it, but for databases and groups.
pub(super) fn answer(plane: &Plane, question: &Question<'_>, rest: &[&str]) -> Answer {
    match (question.method.as_str(), rest) {
        ("GET", []) => Ok(Some(json!({"organization": document(plane)}))),
        ("PATCH", []) => {
            let change: Change = question.document()?;
            if let Some(overages) = change.overages {
                plane.state().overages = overages;
            }
            Ok(Some(json!({"organization": document(plane)})))
        }
        ("GET", ["subscription"]) => {
            let state = plane.state();
            let (plan, overages) = (&state.plan.id, state.overages);
            let subscription =
                json!({"name": plan, "plan": plan, "overages": overages, "timeline": "monthly"});
            Ok(Some(json!({"subscription": subscription})))
        }
        _ => Err(Refusal::no_route()),
    }
}
