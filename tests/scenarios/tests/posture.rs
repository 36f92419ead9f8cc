//! One thing after another is broken in a deployment in which all is well: check-posture finds each, and sees each mended.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a panic is how a test fails, and progress is for who watches"
)]

mod common;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use aws_sdk_rds::types::Tag;
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use common::{cloud, protected};
use jiff::{SignedDuration, Timestamp};
use local_cloud::{CallFilter, Effect, Fault};
use local_elasticache::{Seed as CacheSeed, SeedKind};
use local_rds::{Quotas, Seed};
use scenarios::{Estate, Libsql, alerts, show};
use serde_json::{Value, json};

/// What a look finds: `rds/orders deletion-protection-off`.
type Found = Vec<String>;

struct World {
    estate: Estate<'static>,
    s3: aws_sdk_s3::Client,
    s3_away: aws_sdk_s3::Client,
    sns: aws_sdk_sns::Client,
}

impl World {
    /// In which an instance, a cache and a Turso database are protected, and somebody listens.
    async fn well() -> Result<Self> {
        let estate = Estate::new(cloud());
        let s3 = |region: &str| {
            let config = cloud().config(region.to_owned());
            let config = aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build();
            aws_sdk_s3::Client::from_conf(config)
        };
        let world = Self {
            s3: s3(estate.home()),
            s3_away: s3(estate.recovery()),
            sns: aws_sdk_sns::Client::new(&cloud().config(estate.home())),
            estate,
        };
        let plans = json!({"plans": {"default": {"turso": {"databases": ["default/shop"]}}}});
        world.estate.set_plans(&plans).await?;
        cloud().rds().seed(world.estate.home(), [protected("orders", &[])])?;
        world.protect_from_deletion("orders", true).await?;
        world.cache("sessions", Some("default"))?;
        Libsql::create(cloud(), "shop").await?;
        cloud().turso().set_plan(local_turso::Plan::named("scaler").context("no such plan")?);
        let protect = json!({"delete_protection": true});
        scenarios::platform(cloud(), http::Method::PATCH, "databases/shop/configuration", Some(protect))
            .await?;
        Ok(world)
    }

    fn cache(&self, name: &str, plan: Option<&str>) -> Result<()> {
        let mut seed = CacheSeed::new(name, SeedKind::ReplicationGroup, Timestamp::UNIX_EPOCH);
        seed.tags.extend(plan.map(|plan| ("tidemark:plan".to_owned(), plan.to_owned())));
        Ok(cloud().elasticache().seed(self.estate.home(), [seed])?)
    }

    async fn protect_from_deletion(&self, name: &str, is_on: bool) -> Result<()> {
        let rds = self.estate.rds(self.estate.home());
        let modify = rds.modify_db_instance().db_instance_identifier(name);
        modify.deletion_protection(is_on).apply_immediately(true).send().await?;
        Ok(())
    }

    async fn version(&self, bucket: &str, status: BucketVersioningStatus) -> Result<()> {
        let configuration = VersioningConfiguration::builder().status(status).build();
        let put = self.s3.put_bucket_versioning().bucket(bucket);
        put.versioning_configuration(configuration).send().await?;
        Ok(())
    }

    /// What a person is answered, and what stands on the board then.
    async fn check(&self) -> Result<(Value, Found)> {
        let answer = cloud().invoke("check-posture", &json!({"check": "now"})).await?.into_payload()?;
        let board = self.estate.findings("check-posture").await?;
        let line = |finding: &Value| {
            let code = finding["code"].as_str().map_or_else(String::new, |code| format!("-{code}"));
            format!("{} {}{code}", finding["resource"].as_str().unwrap(), finding["kind"].as_str().unwrap())
        };
        Ok((answer, board.iter().map(line).collect()))
    }

    /// Breaks something, sees it found, mends it, and sees that it has ended.
    async fn broken(
        &self,
        expected: &str,
        broken: impl AsyncFnOnce(&Self) -> Result<()>,
        mended: impl AsyncFnOnce(&Self) -> Result<()>,
    ) -> Result<()> {
        let begun = std::time::Instant::now();
        broken(self).await.with_context(|| format!("cannot bring about: {expected}"))?;
        let (answer, found) = self.check().await?;
        ensure!(found == [expected], "{expected}: {found:?}, {answer:#}");
        let finding = &answer["findings"][0];
        for key in ["severity", "says", "next"] {
            ensure!(finding[key].as_str().is_some_and(|text| !text.is_empty()), "{key} of {finding}");
        }
        ensure!((answer["ok"] == false) == (finding["severity"] == "critical"), "{answer:#}");
        mended(self).await?;
        let (answer, found) = self.check().await?;
        ensure!(found.is_empty() && answer["ok"] == true, "{expected} goes on: {found:?}, {answer:#}");
        show(&format!("{expected}: found and ended in {} ms", begun.elapsed().as_millis()));
        Ok(())
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a list of what can be broken, one after the other on one cloud")]
async fn each_thing_that_is_broken_is_found_and_ends_when_it_is_mended() -> Result<()> {
    let world = World::well().await?;
    let (answer, found) = world.check().await?;
    let deaf = ["tidemark/tidemark-dev-alerts no-subscriber", "tidemark/tidemark-dev-watch no-subscriber"];
    assert_eq!(found, deaf, "{answer:#}");
    assert_eq!(answer["ok"], false);
    let watch = world.estate.subscribe_to_watch().await?;
    let listener = world.estate.subscribe(json!({"engine": ["tidemark"]})).await?;
    let (answer, found) = world.check().await?;
    assert_eq!(
        (found, &answer["ok"], &answer["complete"]),
        (vec![], &json!(true), &json!(true)),
        "{answer:#}"
    );
    drop(watch);

    let (vault, away) = (cloud().stack().vault_bucket(), cloud().stack().recovery_vault_bucket());
    let exports = cloud().stack().export_bucket();
    let (home, recovery) = (world.estate.home(), world.estate.recovery());

    world
        .broken(
            "rds/orders deletion-protection-off",
            async |world| world.protect_from_deletion("orders", false).await,
            async |world| world.protect_from_deletion("orders", true).await,
        )
        .await?;
    world
        .broken(
            "rds/stranger unprotected",
            async |world| {
                let stranger = Seed::new("stranger", Timestamp::now());
                Ok(cloud().rds().seed(world.estate.home(), [stranger])?)
            },
            async |world| {
                let rds = world.estate.rds(world.estate.home());
                let found = rds.describe_db_instances().db_instance_identifier("stranger").send().await?;
                let arn = found.db_instances()[0].db_instance_arn().unwrap();
                let none = Tag::builder().key("tidemark:plan").value("none").build();
                rds.add_tags_to_resource().resource_name(arn).tags(none).send().await?;
                // Nobody takes that for a plan that is missing.
                let tick = cloud().fire_schedule("backup-rds-tick").await?.into_payload()?;
                ensure!(!tick["failed"].to_string().contains("stranger"), "{tick:#}");
                Ok(())
            },
        )
        .await?;
    world
        .broken(
            "redis/pets unprotected",
            async |world| world.cache("pets", None),
            async |world| world.cache("pets", Some("none")),
        )
        .await?;
    let key = format!("tidemark/key-{recovery} key-unusable");
    world
        .broken(
            &key,
            async |_| Ok(cloud().set_key_enabled(recovery, "alias/tidemark-dev", false).await?),
            async |_| Ok(cloud().set_key_enabled(recovery, "alias/tidemark-dev", true).await?),
        )
        .await?;
    world
        .broken(
            &format!("tidemark/{vault} versioning-off"),
            async |world| world.version(vault, BucketVersioningStatus::Suspended).await,
            async |world| world.version(vault, BucketVersioningStatus::Enabled).await,
        )
        .await?;
    let rules = world.s3.get_bucket_replication().bucket(vault).send().await?.replication_configuration;
    world
        .broken(
            &format!("tidemark/{vault} replication-incomplete"),
            async |world| {
                world.s3.delete_bucket_replication().bucket(vault).send().await?;
                Ok(())
            },
            async |world| {
                let put = world.s3.put_bucket_replication().bucket(vault);
                put.set_replication_configuration(rules).send().await?;
                Ok(())
            },
        )
        .await?;
    let access = world.s3_away.get_public_access_block().bucket(away).send().await?;
    world
        .broken(
            &format!("tidemark/{away} public-access-open"),
            async |world| {
                world.s3_away.delete_public_access_block().bucket(away).send().await?;
                Ok(())
            },
            async |world| {
                let put = world.s3_away.put_public_access_block().bucket(away);
                let access = access.public_access_block_configuration;
                put.set_public_access_block_configuration(access).send().await?;
                Ok(())
            },
        )
        .await?;
    let policy = world.s3.get_bucket_policy().bucket(exports).send().await?.policy;
    world
        .broken(
            &format!("tidemark/{exports} export-closed"),
            async |world| {
                world.s3.delete_bucket_policy().bucket(exports).send().await?;
                Ok(())
            },
            async |world| {
                world.s3.put_bucket_policy().bucket(exports).set_policy(policy).send().await?;
                Ok(())
            },
        )
        .await?;
    world
        .broken(
            "tidemark/turso-token token-reaches-beyond",
            async |_| {
                cloud().turso().set_other_organizations(&["private"]);
                Ok(())
            },
            async |_| {
                cloud().turso().set_other_organizations(&[]);
                Ok(())
            },
        )
        .await?;
    let token = cloud().turso().tokens().full_access;
    world
        .broken(
            "tidemark/turso-token token-expires",
            async |_| {
                let soon = Timestamp::now() + SignedDuration::from_hours(36);
                cloud().turso().expire_token(&token, Some(soon));
                Ok(())
            },
            async |_| {
                cloud().turso().expire_token(&token, None);
                Ok(())
            },
        )
        .await?;
    let topic = cloud().stack().outputs["WatchTopicArn"].clone();
    world
        .broken(
            "tidemark/tidemark-dev-watch no-subscriber",
            async |world| {
                let all = world.sns.list_subscriptions_by_topic().topic_arn(&topic).send().await?;
                for one in all.subscriptions() {
                    world.sns.unsubscribe().set_subscription_arn(one.subscription_arn.clone()).send().await?;
                }
                Ok(())
            },
            async |world| world.estate.subscribe_to_watch().await.map(drop),
        )
        .await?;
    silence(&world, vault).await?;
    quotas(&world).await?;
    backups(&world).await?;
    is_told(&listener, &key).await?;
    it_only_looks(home)
}

/// A part that does not answer is told, and hides nothing else.
async fn silence(world: &World, vault: &str) -> Result<()> {
    let of_it = CallFilter::all().service("s3").action("GetBucketVersioning").function("check-posture");
    let of_it = of_it.resource(format!("*{vault}*"));
    cloud().inject(Fault::new(Effect::error("AccessDenied"), of_it).times(1));
    world.protect_from_deletion("orders", false).await?;
    let (answer, found) = world.check().await?;
    let expected =
        ["rds/orders deletion-protection-off".to_owned(), format!("tidemark/{vault} refused-AccessDenied")];
    ensure!(found == expected, "{found:?}");
    ensure!(answer["ok"] == false && answer["complete"] == false, "{answer:#}");
    ensure!(answer["failed"][0]["error"]["code"] == "AccessDenied", "{answer:#}");
    cloud().clear_faults();
    world.protect_from_deletion("orders", true).await?;
    let (answer, found) = world.check().await?;
    ensure!(found.is_empty() && answer["ok"] == true, "{found:?}, {answer:#}");
    Ok(())
}

/// Both Regions have room for ten, and thirty days of snapshots do not fit.
async fn quotas(world: &World) -> Result<()> {
    cloud().rds().set_quotas(Quotas { manual_snapshots: 10, ..Quotas::default() });
    let (answer, found) = world.check().await?;
    let full = ["tidemark/us-east-1 snapshot-quota", "tidemark/us-west-2 snapshot-quota"];
    ensure!(found == full && answer["ok"] == true && answer["warning"] == 2, "{found:?}, {answer:#}");
    let says = answer["findings"][0]["says"].as_str().context("no says")?;
    ensure!(says.contains("of 10 manual snapshots are used in us-east-1"), "{says}");
    cloud().rds().set_quotas(Quotas::default());
    let (_, found) = world.check().await?;
    ensure!(found.is_empty(), "{found:?}");
    Ok(())
}

/// watch-rpo tells of it each minute; here it stands in the answer alone, and stops a deployment.
async fn backups(world: &World) -> Result<()> {
    let home = world.estate.home();
    let keep = async |days: i32| -> Result<()> {
        let rds = world.estate.rds(home);
        let modify = rds.modify_db_instance().db_instance_identifier("orders").backup_retention_period(days);
        modify.apply_immediately(true).send().await?;
        scenarios::poll("the new retention", async || {
            let found = rds.describe_db_instances().db_instance_identifier("orders").send().await?;
            Ok(found.db_instances()[0].backup_retention_period().filter(|found| *found == days))
        })
        .await
        .map(drop)
    };
    keep(0).await?;
    let (answer, found) = world.check().await?;
    ensure!(found.is_empty() && answer["ok"] == false, "{found:?}, {answer:#}");
    ensure!(answer["findings"][0]["kind"] == "automated-backups-off", "{answer:#}");
    cloud().fire_schedule("watch-rpo-tick").await?;
    let told = world.estate.findings("watch-rpo").await?;
    ensure!(told.iter().any(|finding| finding["kind"] == "automated-backups-off"), "{told:?}");
    keep(7).await?;
    let (answer, _) = world.check().await?;
    ensure!(answer["ok"] == true, "{answer:#}");
    cloud().fire_schedule("watch-rpo-tick").await?;
    Ok(())
}

/// The fact that findings changed woke send-alert each time.
async fn is_told(listener: &local_cloud::Inbox, key: &str) -> Result<()> {
    let (resource, kind) = key.split_once(' ').context("no kind")?;
    cloud().fire_schedule("send-alert-tick").await?;
    let came = |messages: &[local_cloud::Received]| {
        alerts(messages).is_ok_and(|alerts| {
            alerts.iter().any(|alert| alert.body["resource"] == resource && alert.kinds().contains(&kind))
        })
    };
    listener.wait("the alert about the key", Duration::from_mins(1), came).await?;
    Ok(())
}

/// Of all that check-posture did, nothing changed anything but its board, the ledger and who was told.
fn it_only_looks(home: &str) -> Result<()> {
    let calls = cloud().calls(&CallFilter::all().function("check-posture"));
    let changes: Vec<_> = calls
        .iter()
        .filter(|call| !["Describe", "Get", "List", "Head"].iter().any(|verb| call.action.starts_with(verb)))
        .map(|call| {
            format!("{} {} {}", call.service, call.action, call.resource.as_deref().unwrap_or_default())
        })
        .collect();
    let is_own = |change: &&String| {
        change.starts_with("events PutEvents")
            || change.starts_with("kms Encrypt")
            || (change.starts_with("s3 PutObject")
                && (change.contains("findings/check-posture.json") || change.contains("ledger/")))
    };
    let others: Vec<_> = changes.iter().filter(|change| !is_own(change)).collect();
    ensure!(others.is_empty(), "it did more than look: {others:?}");
    ensure!(calls.iter().any(|call| call.region != home), "it looked in both Regions");
    Ok(())
}
