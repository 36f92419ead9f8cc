//! What is found of the buckets.

use domain::Severity;
use rstest::rstest;
use vault::{DefaultLock, Lock, PublicAccess, ReplicationRule, Versioning};

use super::*;

#[rstest]
#[case::suspended(|setup: &mut Setup| setup.versioning = Versioning::Suspended, "versioning-off", Severity::Critical)]
#[case::never(|setup: &mut Setup| setup.versioning = Versioning::Never, "versioning-off", Severity::Critical)]
#[case::unlocked(|setup: &mut Setup| setup.lock = None, "lock-off", Severity::Warning)]
#[case::no_default(|setup: &mut Setup| setup.lock = Some(Lock { default: None }), "lock-off", Severity::Warning)]
#[case::open(|setup: &mut Setup| setup.public_access = PublicAccess::default(), "public-access-open", Severity::Warning)]
#[case::another_key(|setup: &mut Setup| encrypt(setup, "aws:kms", Some("other")), "encryption-differs", Severity::Critical)]
#[case::the_default_key(|setup: &mut Setup| encrypt(setup, "aws:kms", None), "encryption-differs", Severity::Critical)]
#[case::no_key(|setup: &mut Setup| encrypt(setup, "AES256", None), "encryption-differs", Severity::Warning)]
#[tokio::test]
async fn a_vault_that_is_set_up_otherwise(
    #[case] change: fn(&mut Setup),
    #[case] kind: &str,
    #[case] severity: Severity,
) {
    for (region, bucket) in [(HOME, false), (AWAY, true)] {
        let world = World::calm();
        let vault = if bucket { &world.recovery.vault } else { &world.home.vault };
        vault.change(change);
        let finding = world.only(&format!("tidemark/vault-{region} {kind}")).await;
        assert_eq!(finding.severity, severity);
        assert!(finding.next.contains(&format!("--bucket vault-{region}")), "{}", finding.next);
        vault.change(|setup| {
            *setup = Setup {
                replication: setup.replication.clone(),
                ..Setup::of_a_vault(if bucket { AWAY_KEY } else { KEY }, None)
            }
        });
        world.check().await;
        assert_eq!(world.found(), [""; 0]);
    }
}

fn encrypt(setup: &mut Setup, algorithm: &str, key: Option<&str>) {
    setup.encryption =
        Some(DefaultEncryption { algorithm: algorithm.to_owned(), key: key.map(str::to_owned) });
}

#[rstest]
#[case::by_arn(KEY)]
#[case::by_id("vault")]
#[case::by_alias(ALIAS)]
#[case::by_short_alias("alias/tidemark-test")]
#[tokio::test]
async fn the_vaults_key_has_several_names(#[case] name: &str) {
    let world = World::calm();
    world.home.vault.change(|setup| encrypt(setup, "aws:kms", Some(name)));
    world.check().await;
    assert_eq!(world.found(), [""; 0]);
}

#[rstest]
#[case::none(|rules: &mut Vec<ReplicationRule>| rules.clear(), "nothing is replicated to vault-us-west-2: there is no replication rule")]
#[case::disabled(|rules: &mut Vec<ReplicationRule>| rules[0].enabled = false, "is disabled")]
#[case::elsewhere(|rules: &mut Vec<ReplicationRule>| rules[0].destination = "other".to_owned(), "replicates to other")]
#[case::without_kms(|rules: &mut Vec<ReplicationRule>| rules[0].kms_objects = false, "passes over what is encrypted")]
#[case::by_tag(|rules: &mut Vec<ReplicationRule>| rules[0].by_tag = true, "only objects with certain tags")]
#[case::another_key(|rules: &mut Vec<ReplicationRule>| rules[0].replica_key = Some("other".to_owned()), "encrypts replicas with other")]
#[case::no_key(|rules: &mut Vec<ReplicationRule>| rules[0].replica_key = None, "names no key")]
#[case::in_part(|rules: &mut Vec<ReplicationRule>| rules[0].prefix = "redis/".to_owned(), "not turso/*, ledger/*, marks/*, retention/*, reports/* is replicated")]
#[tokio::test]
async fn a_vault_that_is_not_replicated(#[case] change: fn(&mut Vec<ReplicationRule>), #[case] says: &str) {
    let world = World::calm();
    world.home.vault.change(|setup| change(&mut setup.replication));
    let finding = world.only("tidemark/vault-us-east-1 replication-incomplete").await;
    assert!(finding.says.contains(says), "{}", finding.says);
    assert_eq!(finding.severity, Severity::Critical);
}

#[tokio::test]
async fn several_rules_together_are_enough_and_deletions_stay_at_home() {
    let world = World::calm();
    world.home.vault.change(|setup| {
        let whole = setup.replication[0].clone();
        let prefixes = ["redis/", "turso/", "ledger/", "marks/", "re"];
        setup.replication =
            prefixes.map(|prefix| ReplicationRule { prefix: prefix.to_owned(), ..whole.clone() }).into();
    });
    world.check().await;
    assert_eq!(world.found(), [""; 0]);
    world.home.vault.change(|setup| setup.replication[2].deletes = true);
    let finding = world.only("tidemark/vault-us-east-1 replication-incomplete").await;
    assert_eq!(finding.severity, Severity::Warning);
}

#[rstest]
#[case::no_policy(None, "s3:PutObject")]
#[case::no_json(Some("{"), "s3:PutObject")]
#[case::of_another_region(Some(AWAY), "s3:PutObject")]
#[tokio::test]
async fn an_export_bucket_that_is_closed(#[case] policy: Option<&str>, #[case] says: &str) {
    let world = World::calm();
    let policy =
        policy.map(|text| if text == AWAY { exports(AWAY).policy.unwrap() } else { text.to_owned() });
    world.home.exports.change(|setup| setup.policy = policy);
    let finding = world.only("tidemark/exports-us-east-1 export-closed").await;
    assert!(finding.says.contains(says), "{}", finding.says);
    world.caches.remove_cache(CacheKind::ReplicationGroup, "sessions");
    world.check().await;
    assert_eq!(world.found(), [""; 0], "nothing goes through it");
}

#[tokio::test]
async fn an_export_bucket_that_lacks_one_permission() {
    let world = World::calm();
    world.recovery.exports.change(|setup| {
        setup.policy =
            setup.policy.as_ref().map(|text| text.replace("s3:GetBucketAcl", "s3:GetBucketLocation"));
    });
    let finding = world.only("tidemark/exports-us-west-2 export-closed").await;
    assert!(finding.says.contains("do s3:GetBucketAcl:"), "{}", finding.says);
    world.recovery.exports.change(|setup| {
        *setup = exports(AWAY);
        encrypt(setup, "aws:kms", None);
    });
    world.only("tidemark/exports-us-west-2 encryption-differs").await;
}

#[rstest]
#[case::as_deployed(8, false, "", None)]
#[case::short_and_enough(2, false, r#""daily": 30"#, None)]
#[case::not_over_a_day(1, false, r#""minimum_age_hours": 24"#, Some((Severity::Warning, "which extends locks, does not run")))]
#[case::not_over_the_minimum_age(8, false, r#""minimum_age_hours": 240"#, Some((Severity::Warning, "keeps whatever its tiers (240 hours)")))]
#[case::too_long(30, false, "", Some((Severity::Info, "is paid for, 22 days longer")))]
#[case::long_and_for_good(30, true, "", Some((Severity::Info, "(COMPLIANCE)")))]
#[case::longer_than_anything(3_000, true, "", Some((Severity::Warning, "more than 2562 days by any plan")))]
#[tokio::test]
async fn the_lock_and_the_plan(
    #[case] days: i64,
    #[case] compliance: bool,
    #[case] keep: &str,
    #[case] expected: Option<(Severity, &str)>,
) {
    let mut world = World::calm();
    world.plans = PLAN.replace(r#""turso""#, &format!(r#""keep": {{{keep}}}, "turso""#));
    world.turso.set_plan("pro", 100);
    world.change(|instance| instance.retention_days = 35);
    let lock = |days, compliance| Some(Lock { default: Some(DefaultLock { compliance, days }) });
    world.home.vault.change(|setup| setup.lock = lock(days, compliance));
    let well = if keep.contains("240") { 10 } else { 8 };
    world.recovery.vault.change(|setup| setup.lock = lock(well, false));
    world.check().await;
    match expected {
        None => assert_eq!(world.found(), [""; 0]),
        Some((severity, says)) => {
            let finding = world.only("tidemark/vault-us-east-1 lock-contradicts-plan").await;
            assert!(finding.says.contains(says), "{}", finding.says);
            assert_eq!(finding.severity, severity);
        }
    }
}

#[tokio::test]
async fn the_lock_is_no_matter_of_plans_that_keep_nothing_in_the_vault() {
    let mut world = World::calm();
    world.plans = r#"{"plans": {"default": {"turso": {"databases": ["production/*"]}}, "long": {"keep": {"minimum_age_hours": 2000}}}}"#.to_owned();
    world.put(Instance { tags: tags("long"), retention_days: 35, ..Instance::fake(HOME, "archive", "db-A") });
    world.check().await;
    assert_eq!(world.found(), [""; 0]);
}
