//! `sam build` runs cargo once for each function. Cargo compiles what two functions share once, as long as both ask for
//! the same features of it; where they differ, that crate and all that depends on it are compiled again.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use infra_tests::functions::FUNCTIONS;

/// The features of each crate as one function builds it. A build script's crate can be there twice.
fn features(package: &str) -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--edges",
            "normal,build",
            "--prefix",
            "none",
            "--format",
            "{p}\t{f}",
            "--package",
            package,
        ])
        .current_dir(toolbox::workspace())
        .output()
        .unwrap_or_else(|error| panic!("cargo tree: {error}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut crates: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let (name, features) = line.split_once('\t').unwrap_or((line, ""));
        crates.entry(name.to_owned()).or_default().insert(features.trim_end_matches(" (*)").to_owned());
    }
    crates
}

#[test]
fn functions_share_what_they_compile() {
    let all: Vec<_> = FUNCTIONS.iter().map(|function| (function.name, features(function.name))).collect();
    let mut differences = Vec::new();
    for (at, (one, crates)) in all.iter().enumerate() {
        for (other, others) in &all[at + 1..] {
            for (name, features) in crates {
                if let Some(different) = others.get(name).filter(|different| *different != features) {
                    differences.push(format!("{name}: {one} has {features:?}, {other} has {different:?}"));
                }
            }
        }
    }
    assert!(
        differences.is_empty(),
        "sam build compiles these, and all that depends on them, more than once; ask for the same features in the root \
         Cargo.toml:\n{}",
        differences.join("\n")
    );
}
