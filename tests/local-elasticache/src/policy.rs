//! What a bucket's policy lets ElastiCache do.

use serde_json::Value;
use wildmatch::WildMatch;

/// What an export needs (ElastiCache User Guide, "Exporting a backup"), by the permission that refusals name.
pub(crate) const EXPORT: [(&str, &[&str]); 3] = [
    (
        "READ",
        &["s3:GetObject", "s3:ListBucket", "s3:ListMultipartUploadParts", "s3:ListBucketMultipartUploads"],
    ),
    ("WRITE", &["s3:PutObject"]),
    ("READ_ACP", &["s3:GetBucketAcl"]),
];

/// What a restore needs ("Seeding a new self-designed cluster with an externally created backup").
pub(crate) const RESTORE: [&str; 3] = ["s3:GetObject", "s3:ListBucket", "s3:GetBucketAcl"];

/// Whether `policy` allows ElastiCache of a Region an action on a bucket, or on its object `key` if the action is on
/// objects. Conditions are not looked at, as one on the caller's account or ARN holds for every caller here; but for the
/// one that denies what comes without TLS, as ElastiCache's requests never do.
pub(crate) fn allows(policy: Option<&str>, region: &str, action: &str, bucket: &str, key: &str) -> bool {
    let Some(policy) = policy.and_then(|text| serde_json::from_str::<Value>(text).ok()) else {
        return false;
    };
    let principal = format!("{region}.elasticache-snapshot.amazonaws.com");
    let on_objects = matches!(action, "s3:GetObject" | "s3:PutObject" | "s3:ListMultipartUploadParts");
    let resource =
        if on_objects { format!("arn:aws:s3:::{bucket}/{key}") } else { format!("arn:aws:s3:::{bucket}") };
    let applies = |statement: &&Value| {
        let named = &statement["Principal"];
        let is_of_others = statement["Condition"]["Bool"]["aws:SecureTransport"] == "false";
        !is_of_others
            && (named == "*" || named["AWS"] == "*" || any(&named["Service"], |name| name == principal))
            && any(&statement["Action"], |pattern| {
                matches(&pattern.to_ascii_lowercase(), &action.to_ascii_lowercase())
            })
            && any(&statement["Resource"], |pattern| matches(pattern, &resource))
    };
    let statements = items(&policy["Statement"]);
    let has = |effect: &str| statements.iter().filter(applies).any(|it| it["Effect"] == effect);
    has("Allow") && !has("Deny")
}

/// One or a list: policies may have either.
fn items(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) => items,
        other => std::slice::from_ref(other),
    }
}

fn any(value: &Value, is: impl Fn(&str) -> bool) -> bool {
    items(value).iter().filter_map(Value::as_str).any(is)
}

/// `*` is any number of characters, `?` one.
fn matches(pattern: &str, text: &str) -> bool {
    WildMatch::new(pattern).matches(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#"{"Statement": [
        {"Effect": "Allow", "Principal": {"Service": ["eu-west-1.elasticache-snapshot.amazonaws.com"]},
         "Action": ["s3:Get*", "s3:PutObject"], "Resource": ["arn:aws:s3:::vault", "arn:aws:s3:::vault/*"]},
        {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::vault/locked/*"},
        {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::vault/*",
         "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    ]}"#;

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("s3:*", "s3:getobject", true),
            ("s3:get*acl", "s3:getbucketacl", true),
            ("s3:get*acl", "s3:getobject", false),
            ("*", "", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("a*b*c", "a-b-b-c", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_policy_allows_what_it_says() {
        let allowed = |region, action, bucket, key| allows(Some(POLICY), region, action, bucket, key);
        assert!(allowed("eu-west-1", "s3:PutObject", "vault", "a.rdb"));
        assert!(allowed("eu-west-1", "s3:GetBucketAcl", "vault", ""));
        assert!(!allowed("eu-west-1", "s3:PutObject", "vault", "locked/a.rdb"), "denied");
        assert!(!allowed("eu-west-1", "s3:ListBucket", "vault", ""), "not named");
        assert!(!allowed("eu-central-1", "s3:PutObject", "vault", "a.rdb"), "another Region's principal");
        assert!(!allowed("eu-west-1", "s3:PutObject", "vault-2", "a.rdb"), "another bucket");
        assert!(!allows(None, "eu-west-1", "s3:PutObject", "vault", "a"), "no policy");
        assert!(!allows(Some("not JSON"), "eu-west-1", "s3:PutObject", "vault", "a"));
    }
}
