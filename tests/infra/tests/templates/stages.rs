//! `samconfig.toml`: a stage that disagrees with itself is noticed.

use infra_tests::{Documents, stages};
use serde_json::{Value, json};

use crate::{REAL, none};

#[test]
fn the_stages_agree() {
    none(&stages::check(&REAL));
}

#[test]
fn a_stage_that_disagrees_is_noticed() {
    let findings =
        |samconfig: &Value| stages::check(&Documents { samconfig: samconfig.clone(), ..REAL.clone() });
    let at = |environment: &str, key: &str| -> &'static str {
        format!("/{environment}/deploy/parameters/{key}").leak()
    };
    for (pointer, value, words) in [
        (at("dev-recovery", "region"), json!("eu-west-1"), "dev: the vault does not replicate to eu-west-1"),
        (
            at("prod", "parameter_overrides/1"),
            json!("RecoveryRegion=eu-west-1"),
            "prod: the functions do not copy",
        ),
        (at("staging", "region"), json!("us-east-2"), "staging: the vault is in"),
        (at("prod", "confirm_changeset"), json!(false), "prod: confirm_changeset is false"),
        (at("dev", "parameter_overrides/1"), json!("RecoverRegion=us-west-2"), "no parameter RecoverRegion"),
        (at("dev", "parameter_overrides/3"), json!("LogLevel=WARN"), "LogLevel cannot be WARN"),
        (at("prod-vault", "stack_name"), json!("other"), "the stack is named"),
        (at("prod-vault", "parameter_overrides/3"), json!("ObjectLockMode=COMPLIANCE"), "lock differently"),
        (at("dev", "capabilities"), json!("CAPABILITY_NAMED_IAM"), "not just roles"),
        ("/default/build/parameters/cached", json!(true), "stale code"),
    ] {
        let mut copy = REAL.samconfig.clone();
        *copy.pointer_mut(pointer).unwrap_or_else(|| panic!("there is no {pointer} to spoil")) = value;
        let found = findings(&copy);
        assert!(
            found.iter().any(|finding| finding.contains(words)),
            "{pointer} should say `{words}`: {found:?}"
        );
    }
}
