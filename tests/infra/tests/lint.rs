//! `sam validate --lint`, which asks cfn-lint about every property, action and ARN, and needs no account.

#![allow(clippy::expect_used, reason = "a panic is how a test fails, in its helpers too")]

use infra_tests::sam;

fn validate(template: &std::path::Path) -> (bool, String) {
    let template = template.to_string_lossy();
    let output =
        sam(&toolbox::workspace(), &["validate", "--lint", "--template", &template]).expect("sam runs");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), said)
}

#[test]
fn the_vault_is_clean() {
    let (clean, said) = validate(&toolbox::workspace().join("infra/vault.yaml"));
    assert!(clean, "{said}");
}

#[test]
fn the_functions_are_clean() {
    let (clean, said) = validate(&toolbox::workspace().join("infra/template.yaml"));
    assert!(clean, "{said}");
}

#[test]
fn a_mistake_is_noticed() {
    let vault = std::fs::read_to_string(toolbox::workspace().join("infra/vault.yaml")).expect("the vault");
    let spoilt = vault.replace("PendingWindowInDays: 30", "PendingWindowInDays: 300");
    assert_ne!(vault, spoilt);
    let folder = toolbox::target().join("infra-tests");
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("spoilt.yaml");
    std::fs::write(&file, spoilt).expect("a file");
    let (clean, said) = validate(&file);
    assert!(!clean && said.contains("greater than the maximum of 30"), "{said}");
}
