//! The organization's own record.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Question, Refusal};
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
    let state = plane.state();
    json!({
        "name": plane.organization,
        "slug": plane.organization,
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
