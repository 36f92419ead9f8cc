//! A bucket's policy, as far as it says what a service of AWS may do.

use serde_json::Value;
use wildmatch::WildMatch;

/// Whether the policy lets that service do `action` with `resource`: a statement allows it, and none denies it in any case.
/// Conditions are not judged: one that narrows a denial may not apply, and one that narrows a permission may well do.
pub(super) fn allows(policy: &Value, service: &str, action: &str, resource: &str) -> bool {
    let statements = one_or_many(&policy["Statement"]);
    let matching = |effect: &str| {
        statements.iter().any(|statement| {
            let is_unconditional = statement["Condition"].as_object().is_none_or(serde_json::Map::is_empty);
            statement["Effect"] == effect
                && (effect == "Allow" || is_unconditional)
                && is_for(statement, service)
                && names(statement, "Action", action)
                && names(statement, "Resource", resource)
        })
    };
    matching("Allow") && !matching("Deny")
}

fn is_for(statement: &Value, service: &str) -> bool {
    let principal = &statement["Principal"];
    let named = |key: &str| one_or_many(&principal[key]);
    *principal == "*"
        || named("AWS").iter().any(|name| *name == "*")
        || named("Service").iter().any(|name| *name == service)
}

/// Whether the statement means that: by name, or by all but what it names.
fn names(statement: &Value, key: &str, wanted: &str) -> bool {
    let any = |list: &Value| {
        let patterns = one_or_many(list);
        // Actions are the same in capitals and small letters; a bucket's name has no capitals.
        patterns
            .iter()
            .filter_map(Value::as_str)
            .any(|pattern| WildMatch::new(&pattern.to_lowercase()).matches(&wanted.to_lowercase()))
    };
    let others = &statement[format!("Not{key}")];
    any(&statement[key]) || (!others.is_null() && !any(others))
}

fn one_or_many(value: &Value) -> &[Value] {
    match value {
        Value::Array(many) => many,
        Value::Null => &[],
        one => std::slice::from_ref(one),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    const SERVICE: &str = "us-east-1.elasticache-snapshot.amazonaws.com";
    const OBJECT: &str = "arn:aws:s3:::exports/any";

    fn statement(effect: &str, principal: &Value, action: &Value, resource: &Value) -> Value {
        json!({"Effect": effect, "Principal": principal, "Action": action, "Resource": resource})
    }

    #[rstest]
    #[case::by_name(json!({"Service": SERVICE}), json!("s3:PutObject"), json!(OBJECT), true)]
    #[case::among_others(json!({"Service": ["a", SERVICE]}), json!(["s3:GetObject", "S3:putobject"]), json!(["arn:aws:s3:::exports/*"]), true)]
    #[case::by_pattern(json!({"Service": SERVICE}), json!("s3:Put*"), json!("*"), true)]
    #[case::for_everybody(json!("*"), json!("s3:*"), json!("*"), true)]
    #[case::of_another_region(json!({"Service": "us-west-2.elasticache-snapshot.amazonaws.com"}), json!("s3:*"), json!("*"), false)]
    #[case::another_action(json!({"Service": SERVICE}), json!("s3:GetObject"), json!("*"), false)]
    #[case::the_bucket_alone(json!({"Service": SERVICE}), json!("s3:*"), json!("arn:aws:s3:::exports"), false)]
    fn what_one_statement_allows(
        #[case] principal: Value,
        #[case] action: Value,
        #[case] resource: Value,
        #[case] expected: bool,
    ) {
        let one = statement("Allow", &principal, &action, &resource);
        assert_eq!(allows(&json!({"Statement": one}), SERVICE, "s3:PutObject", OBJECT), expected);
        assert_eq!(allows(&json!({"Statement": [one]}), SERVICE, "s3:PutObject", OBJECT), expected);
    }

    #[test]
    fn a_denial_counts_if_it_always_applies() {
        let allow = statement("Allow", &json!({"Service": SERVICE}), &json!("s3:*"), &json!("*"));
        let deny = statement("Deny", &json!("*"), &json!("s3:*"), &json!("*"));
        let mut tls = deny.clone();
        tls["Condition"] = json!({"Bool": {"aws:SecureTransport": "false"}});
        let mut all_but = deny.clone();
        all_but.as_object_mut().unwrap().remove("Action");
        all_but["NotAction"] = json!("s3:PutObject");
        let may =
            |statements: Value| allows(&json!({"Statement": statements}), SERVICE, "s3:PutObject", OBJECT);
        assert!(may(json!([allow, tls])));
        assert!(may(json!([allow, all_but])));
        assert!(!may(json!([allow, deny])));
        assert!(!may(json!(null)));
    }
}
