//! `samconfig.toml`: three stages of three deployments that agree with one another.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{Documents, Findings, expect, strings, text};

/// The stages that `samconfig.toml` has.
pub const STAGES: [&str; 3] = ["dev", "staging", "prod"];

/// Every rule for `samconfig.toml`.
pub fn check(documents: &Documents) -> Findings {
    let mut findings = Vec::new();
    let config = &documents.samconfig;
    for stage in STAGES {
        let of = |environment: &str| &config[format!("{stage}{environment}")]["deploy"]["parameters"];
        let (recovery, vault, functions) = (of("-recovery"), of("-vault"), of(""));
        for (environment, section, template, stack) in [
            ("-recovery", recovery, &documents.vault, format!("tidemark-{stage}-vault")),
            ("-vault", vault, &documents.vault, format!("tidemark-{stage}-vault")),
            ("", functions, &documents.functions_source, format!("tidemark-{stage}")),
        ] {
            let name = format!("{stage}{environment}");
            expect(&mut findings, section["stack_name"] == stack.as_str(), || {
                format!("{name}: the stack is named {}", section["stack_name"])
            });
            expect(&mut findings, section["resolve_s3"] == true, || {
                format!("{name}: no bucket for artifacts")
            });
            expect(&mut findings, section["capabilities"] == "CAPABILITY_IAM", || {
                format!("{name}: may make {}, not just roles", section["capabilities"])
            });
            let confirms = section["confirm_changeset"] == true;
            expect(&mut findings, confirms == (stage == "prod"), || {
                format!("{name}: confirm_changeset is {confirms}")
            });
            let overrides = overrides(section);
            expect(&mut findings, overrides.get("Stage") == Some(&stage), || {
                format!("{name}: another stage")
            });
            for (parameter, value) in &overrides {
                let about = &template["Parameters"][*parameter];
                expect(&mut findings, !about.is_null(), || {
                    format!("{name}: there is no parameter {parameter}")
                });
                let allowed = about["AllowedValues"].as_array();
                let admitted = allowed.is_none_or(|allowed| allowed.iter().any(|one| written(one) == *value));
                expect(&mut findings, admitted, || format!("{name}: {parameter} cannot be {value}"));
            }
        }
        let away = text(&recovery["region"]);
        expect(&mut findings, overrides(vault).get("ReplicaRegion") == Some(&away), || {
            format!("{stage}: the vault does not replicate to {away}")
        });
        expect(&mut findings, overrides(functions).get("RecoveryRegion") == Some(&away), || {
            format!("{stage}: the functions do not copy to {away}")
        });
        expect(&mut findings, vault["region"] == functions["region"], || {
            format!("{stage}: the vault is in {}, the functions in {}", vault["region"], functions["region"])
        });
        expect(&mut findings, vault["region"] != recovery["region"], || {
            format!("{stage}: one Region for everything")
        });
        let modes = [recovery, vault].map(|section| overrides(section).get("ObjectLockMode").copied());
        expect(&mut findings, modes[0] == modes[1], || {
            format!("{stage}: the vaults lock differently: {modes:?}")
        });
    }
    // SAM's cache hashes a function's own folder: a change in functions/shared would be deployed as it was before.
    expect(&mut findings, config["default"]["build"]["parameters"]["cached"] == false, || {
        "default: sam build may deploy stale code from its cache".into()
    });
    findings
}

fn overrides(section: &Value) -> BTreeMap<&str, &str> {
    strings(&section["parameter_overrides"]).into_iter().filter_map(|pair| pair.split_once('=')).collect()
}

/// An allowed value as an override would write it.
fn written(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
