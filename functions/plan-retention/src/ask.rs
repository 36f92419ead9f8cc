use domain::{RecoveryPointId, ResourceId};
use reconcile::{Error, Request, Result, Wake};
use serde_json::Value;

/// What the function is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Time to plan, once a day: `{"wake": "slot"}`, `{"wake": "tick"}`.
    Plan,
    /// A person wants a plan now, and says whether recovery points may have vanished meanwhile: `{"plan": "now"}`,
    /// `{"plan": "in-spite-of-losses"}`.
    PlanNow {
        /// They may.
        in_spite_of_losses: bool,
    },
    /// A person has read the plan of that hash, and what it expires may be deleted from now on: `{"acknowledge": "<hash>"}`.
    Acknowledge(String),
    /// A person holds a recovery point, or lets it go: `{"hold": "<recovery point>", "resource": "turso/shop", "why": "…"}`, and
    /// the same with `release`.
    Hold {
        /// Of which resource.
        resource: ResourceId,
        /// Which.
        id: RecoveryPointId,
        /// Hold it, or let it go.
        is_held: bool,
        /// For the record.
        why: String,
    },
}

impl Request for Ask {
    fn surveys(&self) -> bool {
        matches!(self, Self::Plan | Self::PlanNow { .. })
    }

    fn parse(payload: Value) -> Result<Self> {
        let text = |key: &str| payload.get(key).and_then(Value::as_str);
        let mut keys: Vec<&str> =
            payload.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
        keys.sort_unstable();
        match keys.as_slice() {
            ["plan"] => match text("plan") {
                Some("now") => Ok(Self::PlanNow { in_spite_of_losses: false }),
                Some("in-spite-of-losses") => Ok(Self::PlanNow { in_spite_of_losses: true }),
                _ => Err(malformed("\"plan\" is \"now\" or \"in-spite-of-losses\"")),
            },
            ["acknowledge"] => match text("acknowledge").filter(|hash| is_hash(hash)) {
                Some(hash) => Ok(Self::Acknowledge(hash.to_owned())),
                None => Err(malformed("\"acknowledge\" is a plan's hash, 64 of 0-9 and a-f")),
            },
            ["hold", "resource", "why"] => hold(&payload, "hold", true),
            ["release", "resource", "why"] => hold(&payload, "release", false),
            // Nobody knows which of two things was meant.
            keys if keys.iter().any(|key| OWN.contains(key)) => {
                Err(malformed(&format!("{} do not belong together, or not all are there", keys.join(", "))))
            }
            _ => Wake::parse(payload).map(|_| Self::Plan).map_err(|error| {
                let message = format!(
                    "{error}; plan-retention also knows {{\"plan\": …}}, {{\"acknowledge\": …}}, {{\"hold\": …, \"resource\": …, \
                     \"why\": …}} and the same with \"release\""
                );
                Error::new(error.kind(), error.code().to_owned(), message)
            }),
        }
    }
}

/// What a person may ask.
const OWN: [&str; 4] = ["plan", "acknowledge", "hold", "release"];

fn hold(payload: &Value, key: &str, is_held: bool) -> Result<Ask> {
    let text = |key: &str| payload.get(key).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
    let resource = text("resource").and_then(|text| ResourceId::try_from(text.to_owned()).ok());
    let id = text(key).map(RecoveryPointId::from).filter(|id| id.parts().is_some());
    match (resource, id, text("why").filter(|why| why.len() <= 1_000)) {
        (Some(resource), Some(id), Some(why)) => Ok(Ask::Hold { resource, id, is_held, why: why.to_owned() }),
        (None, ..) => Err(malformed("\"resource\" is such as \"turso/shop\"")),
        (_, None, _) => Err(malformed(&format!("{key:?} is a recovery point's name, as the ledger has it"))),
        (.., None) => Err(malformed("\"why\" says in up to 1,000 characters why, for the record")),
    }
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c))
}

fn malformed(what: &str) -> Error {
    Error::misconfigured(
        "MalformedEvent",
        format!("the payload is not understood and nothing was done: {what}"),
    )
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    const POINT: &str = "tidemark-shop-20261122t0300z-ellsxv";

    #[rstest]
    #[case(json!({"wake": "slot"}), Ask::Plan)]
    #[case(json!({"plan": "now"}), Ask::PlanNow { in_spite_of_losses: false })]
    #[case(json!({"plan": "in-spite-of-losses"}), Ask::PlanNow { in_spite_of_losses: true })]
    #[case(json!({"acknowledge": "a".repeat(64)}), Ask::Acknowledge("a".repeat(64)))]
    #[case(
        json!({"hold": POINT, "resource": "turso/shop", "why": "case 17"}),
        Ask::Hold { resource: ResourceId::turso("shop"), id: POINT.into(), is_held: true, why: "case 17".to_owned() }
    )]
    #[case(
        json!({"release": POINT, "resource": "turso/shop", "why": "closed"}),
        Ask::Hold { resource: ResourceId::turso("shop"), id: POINT.into(), is_held: false, why: "closed".to_owned() }
    )]
    fn understands(#[case] payload: Value, #[case] ask: Ask) {
        assert_eq!(Ask::parse(payload).unwrap(), ask);
    }

    #[rstest]
    #[case(json!({"plan": "tomorrow"}))]
    #[case(json!({"plan": "now", "wake": "tick"}))]
    #[case(json!({"acknowledge": "yes"}))]
    #[case(json!({"acknowledge": "A".repeat(64)}))]
    #[case(json!({"acknowledge": "a".repeat(64), "hold": POINT}))]
    #[case(json!({"hold": POINT, "resource": "turso/shop"}))]
    #[case(json!({"hold": "../../x", "resource": "turso/shop", "why": "x"}))]
    #[case(json!({"hold": POINT, "resource": "shop", "why": "x"}))]
    #[case(json!({"hold": POINT, "resource": "turso/shop", "why": " "}))]
    #[case(json!({"hold": POINT, "release": POINT, "resource": "turso/shop", "why": "x"}))]
    #[case(json!([]))]
    #[case(json!(null))]
    fn refuses(#[case] payload: Value) {
        assert_eq!(Ask::parse(payload).unwrap_err().code(), "MalformedEvent");
    }
}
