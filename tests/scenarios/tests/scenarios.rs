//! What must never break, end to end: the deployed functions, real PostgreSQL, and everything in between.
//!
//! The tests share one cloud and run at the same time, as databases share an account; each has databases of its own.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a panic is how a test fails, and progress is for who watches"
)]

mod common;

use std::time::Duration;

use anyhow::{Context, Result};
use aws_sdk_rds::types::DbInstance;
use common::{changes, cloud};
use jiff::{Timestamp, Unit};
use local_cloud::{CallFilter, Effect, Fault, Received};
use report::Report;
use rstest::rstest;
use scenarios::{Estate, poll};
use serde_json::{Value, json};

fn calls_of(function: &str, action: &str, name: &str) -> CallFilter {
    CallFilter::all().service("rds").function(function).action(action).resource(format!("*{name}*"))
}

async fn entries_of(name: &str) -> Result<Vec<Value>> {
    let of_it = |entry: &Value| entry["resource"] == format!("rds/{name}");
    Ok(cloud().ledger().await?.into_iter().filter(of_it).collect())
}

fn kinds(entries: &[Value]) -> Vec<&str> {
    entries.iter().filter_map(|entry| entry["kind"].as_str()).collect()
}

#[tokio::test]
async fn a_schedule_fired_makes_snapshot_copy_ledger_entries_and_metrics() -> Result<()> {
    let estate = Estate::new(cloud());
    estate.create_instance("creation").await?;
    estate.protect("creation").await?;
    estate.back_up().await?;

    let entries = entries_of("creation").await?;
    assert_eq!(kinds(&entries), ["recovery-point-completed", "copy-completed"]);
    for entry in &entries {
        assert!(entry["duration_ms"].as_i64().is_some_and(|duration| duration > 0), "{entry}");
        assert_eq!(entry["allocated_bytes"], 20_i64 << 30, "{entry}");
    }
    let id = entries[0]["subject"].as_str().context("no subject")?;
    let copy =
        estate.rds(estate.recovery()).describe_db_snapshots().db_snapshot_identifier(id).send().await?;
    let copy = copy.db_snapshots().first().context("no copy")?;
    assert_eq!((copy.status(), copy.encrypted()), (Some("available"), Some(true)));
    let key = copy.kms_key_id().context("no key")?;
    assert!(
        key.starts_with(&format!("arn:aws:kms:{}:", estate.recovery())),
        "the recovery Region's key, not {key}"
    );

    let metrics = cloud().metrics("backup-rds").await?;
    assert!(
        metrics
            .iter()
            .any(|line| line["resource"] == "rds/creation" && line["recovery_point_duration_ms"].is_number())
    );
    assert!(metrics.iter().any(|line| line["function"] == "backup-rds" && line["duration_ms"].is_number()));

    let before = changes("backup-rds", "creation");
    assert_eq!(before, ["CreateDBSnapshot", "CopyDBSnapshot"]);
    cloud().fire_schedule("backup-rds-slot").await?;
    assert_eq!(changes("backup-rds", "creation"), before, "the slot is filled: nothing is done again");
    Ok(())
}

#[tokio::test]
async fn rds_events_wake_the_function_without_a_tick() -> Result<()> {
    let estate = Estate::new(cloud());
    estate.create_instance("woken").await?;
    estate.protect("woken").await?;
    cloud().fire_schedule("backup-rds-slot").await?;
    // From here on nobody fires anything for it: RDS says that the snapshot is there, and the function goes on.
    poll("the copy, woken by events", async || {
        let calls = cloud().calls(&calls_of("backup-rds", "CopyDBSnapshot", "woken"));
        Ok((!calls.is_empty()).then_some(()))
    })
    .await
}

#[tokio::test]
async fn a_restore_to_a_second_between_two_commits_has_the_first_and_not_the_second() -> Result<()> {
    let estate = Estate::new(cloud());
    estate.create_instance("between").await?;
    let source = estate.connect(estate.home(), "between").await?;
    source.run("CREATE TABLE marks (mark text PRIMARY KEY); INSERT INTO marks VALUES ('first')").await?;
    let between = source.clock().await?.round(Unit::Millisecond)?;
    poll("the clock moving on", async || Ok((source.clock().await? > between).then_some(()))).await?;
    source.run("INSERT INTO marks VALUES ('second')").await?;

    estate.wait_restorable("between", between).await?;
    let request = json!({"resource": "between", "to": between, "as": "between-restored"});
    let answer = estate.ask_restore(&request).await?;
    let outcome = estate.follow_restore(answer["restore_id"].as_str().context("no id")?).await?;
    let restored = estate.connect(estate.home(), "between-restored").await?;
    assert_eq!(restored.number("SELECT count(*) FROM marks WHERE mark = 'first'").await?, 1);
    assert_eq!(restored.number("SELECT count(*) FROM marks WHERE mark = 'second'").await?, 0);

    let phases = &outcome.entry["phases"];
    let instant =
        |phase: &str| -> Result<Timestamp> { Ok(phases[phase].as_str().context("no phase")?.parse()?) };
    assert!(
        instant("requested")? < instant("available")?
            && instant("available")? <= instant("first_query_answered")?
    );
    assert_eq!(outcome.entry["first_query"], "answered");
    assert_keeps_settings(
        &instance(&estate, "between").await?,
        &instance(&estate, "between-restored").await?,
    );
    Ok(())
}

async fn instance(estate: &Estate<'_>, name: &str) -> Result<DbInstance> {
    let answer =
        estate.rds(estate.home()).describe_db_instances().db_instance_identifier(name).send().await?;
    answer.db_instances.unwrap_or_default().pop().context("no such instance")
}

fn assert_keeps_settings(source: &DbInstance, restored: &DbInstance) {
    let settings = |instance: &DbInstance| {
        let groups = instance
            .vpc_security_groups()
            .iter()
            .map(|group| group.vpc_security_group_id().map(str::to_owned));
        let parameters = instance
            .db_parameter_groups()
            .iter()
            .map(|group| group.db_parameter_group_name().map(str::to_owned));
        let options = instance
            .option_group_memberships()
            .iter()
            .map(|group| group.option_group_name().map(str::to_owned));
        let subnets =
            instance.db_subnet_group().and_then(|group| group.db_subnet_group_name()).map(str::to_owned);
        (subnets, groups.collect::<Vec<_>>(), parameters.collect::<Vec<_>>(), options.collect::<Vec<_>>())
    };
    assert_eq!(settings(source), settings(restored));
    assert!(
        restored.tag_list().iter().all(|tag| tag.key() != Some("tidemark:plan")),
        "a restored copy is not under backup"
    );
}

#[rstest]
#[case::tomorrow("2099-01-01T00:00:00Z", "is in the future")]
#[case::long_ago("2001-01-01T00:00:00Z", "is before the PITR window")]
#[tokio::test]
async fn a_time_outside_the_window_is_refused_and_nothing_changes(
    #[case] to: &str,
    #[case] because: &str,
) -> Result<()> {
    let estate = Estate::new(cloud());
    let name = format!("window-{}", &to[..4]);
    estate.create_instance(&name).await?;
    estate.wait_restorable(&name, Timestamp::UNIX_EPOCH).await?;
    let target = format!("{name}-restored");
    let refused =
        cloud().invoke("restore-database", &json!({"resource": name, "to": to, "as": target})).await?;
    let error = refused.error.context("it was not refused")?;
    assert_eq!(error.error_type, "OutsidePitrWindow");
    assert!(
        error.error_message.contains(because) && error.error_message.contains("possible is any second from"),
        "{error:?}"
    );
    assert!(changes("restore-database", &name).is_empty());
    Ok(())
}

#[rstest]
#[case::pitr("killed-pitr", "latest", "RestoreDBInstanceToPointInTime", "*")]
#[case::recovery_point("killed-copy", "recovery point", "RestoreDBInstanceFromDBSnapshot", "us-west-2")]
#[tokio::test]
async fn a_restore_survives_its_function_being_killed_in_the_middle(
    #[case] name: &str,
    #[case] to: &str,
    #[case] action: &str,
    #[case] region: &str,
) -> Result<()> {
    let estate = Estate::new(cloud());
    estate.create_instance(name).await?;
    estate
        .connect(estate.home(), name)
        .await?
        .run("CREATE TABLE kept AS SELECT 42::bigint AS answer")
        .await?;
    let target = format!("{name}-restored");
    let mut request = json!({"resource": name, "to": to, "as": target});
    if to == "recovery point" {
        estate.protect(name).await?;
        estate.back_up().await?;
        request["to"] = estate.recovery_point(name, estate.recovery()).await?["subject"].clone();
        request["region"] = json!(estate.recovery());
    } else {
        cloud().rds().archive_now(estate.home(), name).await?;
    }
    let filter = CallFilter::all().service("rds").action(action).region(region).resource(format!("*{name}*"));
    cloud().inject(Fault::new(Effect::Kill, filter));
    let killed = cloud().invoke("restore-database", &request).await?;
    assert!(killed.error.is_some(), "the function was to be killed: {killed:?}");

    let tag = poll("the restore", async || {
        let rds = estate.rds(request["region"].as_str().unwrap_or(estate.home()));
        let answer = rds.describe_db_instances().db_instance_identifier(&target).send().await?;
        let tags =
            answer.db_instances().first().map(|instance| instance.tag_list().to_vec()).unwrap_or_default();
        Ok(tags.into_iter().find(|tag| tag.key() == Some("tidemark:restore")).and_then(|tag| tag.value))
    })
    .await?;
    estate.follow_restore(&tag).await?;
    let region = request["region"].as_str().unwrap_or(estate.home());
    assert_eq!(estate.connect(region, &target).await?.number("SELECT answer FROM kept").await?, 42);

    let again = estate.ask_restore(&request).await?;
    assert_eq!(again["restore_id"], tag, "asked again, it is the same restore");
    Ok(())
}

#[tokio::test]
async fn two_invocations_at_once_make_one_snapshot() -> Result<()> {
    let estate = Estate::new(cloud());
    estate.create_instance("twice").await?;
    estate.protect("twice").await?;
    let fire = || cloud().fire_schedule("backup-rds-slot");
    let fired = futures::future::join_all([fire(), fire(), fire(), fire()]).await;
    fired.into_iter().collect::<Result<Vec<_>, _>>()?;
    cloud().ticks("backup-rds", Duration::from_mins(2)).await?;
    let snapshots = estate
        .rds(estate.home())
        .describe_db_snapshots()
        .db_instance_identifier("twice")
        .snapshot_type("manual")
        .send();
    assert_eq!(snapshots.await?.db_snapshots().len(), 1);
    assert_eq!(kinds(&entries_of("twice").await?), ["recovery-point-completed", "copy-completed"]);
    Ok(())
}

#[rstest]
#[case::killed("kill-create", "CreateDBSnapshot", Effect::Kill)]
#[case::killed_at_the_copy("kill-copy", "CopyDBSnapshot", Effect::Kill)]
#[case::answer_lost("lost-create", "CreateDBSnapshot", Effect::LoseAnswer)]
#[case::throttled("slow-copy", "CopyDBSnapshot", Effect::Throttle)]
#[tokio::test]
async fn a_backup_survives_what_happens_to_its_calls(
    #[case] name: &str,
    #[case] action: &str,
    #[case] effect: Effect,
) -> Result<()> {
    let estate = Estate::new(cloud());
    estate.create_instance(name).await?;
    let fault = cloud().inject(Fault::new(effect, calls_of("backup-rds", action, name)));
    estate.protect(name).await?;
    // The invocation may end with an error or with its function's death; the next tick goes on.
    _ = cloud().fire_schedule("backup-rds-slot").await?;
    cloud().ticks("backup-rds", Duration::from_mins(2)).await?;
    let applied = cloud().faults().into_iter().find(|armed| armed.id == fault).map(|armed| armed.applied);
    assert_eq!(applied, Some(1), "the fault happened");
    for region in [estate.home(), estate.recovery()] {
        let found = estate
            .rds(region)
            .describe_db_snapshots()
            .db_instance_identifier(name)
            .snapshot_type("manual")
            .send()
            .await?;
        assert_eq!(found.db_snapshots().len(), 1, "{region}");
    }
    assert_eq!(kinds(&entries_of(name).await?), ["recovery-point-completed", "copy-completed"]);
    Ok(())
}

#[tokio::test]
async fn what_would_be_deleted_is_published_and_what_a_person_holds_is_marked() -> Result<()> {
    let estate = Estate::new(cloud());
    estate.create_instance("kept").await?;
    estate.protect("kept").await?;
    estate.back_up().await?;
    let id = entries_of("kept").await?[0]["subject"].as_str().context("no subject")?.to_owned();
    // A person's own copy takes the tags over, and is none of ours.
    let copy = estate.rds(estate.home()).copy_db_snapshot().copy_tags(true);
    let copy = copy.source_db_snapshot_identifier(&id).target_db_snapshot_identifier("kept-by-hand");
    copy.send().await?;
    scenarios::poll("the copy by hand", async || {
        let by_hand =
            estate.rds(estate.home()).describe_db_snapshots().db_snapshot_identifier("kept-by-hand");
        Ok(by_hand.send().await?.db_snapshots()[0]
            .status()
            .filter(|status| *status == "available")
            .map(|_| ()))
    })
    .await?;

    let planned = cloud().invoke("plan-retention", &json!({"plan": "now"})).await?;
    let detail = &planned.payload["acted"][0];
    let hash = detail["hash"].as_str().with_context(|| planned.payload.to_string())?;
    let bucket = cloud().stack().vault_bucket();
    let key = detail["plan"].as_str().and_then(|place| place.strip_prefix(&format!("s3://{bucket}/")));
    let plan: Value = serde_json::from_slice(&cloud().object(bucket, key.context("no key")?).await?)?;
    assert_eq!(plan["hash"], hash);
    let lineages = plan["plan"]["lineages"].as_array().context("no lineages")?;
    let kept = lineages.iter().find(|one| one["resource"] == "rds/kept").context("it is not in the plan")?;
    assert_eq!((&kept["plan"], &kept["keep"][0]["id"]), (&"default".into(), &id.clone().into()));
    assert!(kept["keep"][0]["why"].to_string().contains("newest verified"), "{kept}");
    let strays = plan["plan"]["strays"]["named"].as_array().context("no strays")?;
    let stray = strays.iter().find(|one| one["name"] == "kept-by-hand").context("it is not in the plan")?;
    assert_eq!((&stray["engine"], &stray["region"]), (&"rds".into(), &"home".into()), "{stray}");
    assert!(detail["strays"].as_u64() >= Some(1), "{detail}");

    let acknowledged = cloud().invoke("plan-retention", &json!({"acknowledge": hash})).await?;
    assert!(acknowledged.error.is_none(), "{:?}", acknowledged.error);
    let hold = json!({"hold": id, "resource": "rds/kept", "why": "case 17"});
    cloud().invoke("plan-retention", &hold).await?;
    let marks = cloud().object_keys(bucket, &format!("marks/rds/kept/{id}/")).await?;
    assert!(marks.len() == 1 && marks[0].ends_with("-held"), "{marks:?}");
    let kinds = kinds(&entries_of("kept").await?).join(" ");
    assert!(kinds.contains("recovery-point-held"), "{kinds}");
    assert!(changes("plan-retention", "kept").is_empty(), "it changes no snapshot");
    Ok(())
}

#[tokio::test]
async fn a_person_gets_a_page_and_word_of_it_goes_out_once_as_information() -> Result<()> {
    let estate = Estate::new(cloud());
    estate.create_instance("shown").await?;
    estate.protect("shown").await?;
    estate.back_up().await?;
    // Before that its age is not known, and the page says nothing of it.
    estate.wait_restorable("shown", Timestamp::UNIX_EPOCH).await?;
    cloud().invoke("watch-rpo", &json!({"wake": "tick"})).await?;
    let inbox = estate.subscribe(json!({"kind": ["report-published"]})).await?;

    let answer = cloud().invoke("publish-report", &json!({"report": "now"})).await?;
    let detail = &answer.payload["acted"][0];
    let bucket = cloud().stack().vault_bucket();
    let place = detail["page"].as_str().with_context(|| answer.payload.to_string())?;
    let key = place.strip_prefix(&format!("s3://{bucket}/")).context("no key")?;
    let report = Report::parse(&cloud().object(bucket, &key.replace(".html", ".json")).await?)?;
    let shown = report.resources.iter().find(|one| one.resource.to_string() == "rds/shown");
    let shown = shown.with_context(|| format!("{:?}", report.resources))?;
    assert_eq!((shown.held.verified, shown.held.copied, shown.plan.as_deref()), (1, 1, Some("default")));
    assert!(shown.slots.iter().any(|day| day.verified > 0), "{:?}", shown.slots);
    assert!(shown.age.is_some() && shown.points.iter().any(|point| point.duration_ms.is_some()), "{shown:?}");
    let page = String::from_utf8(cloud().object(bucket, key).await?)?;
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("shown") && page == report::html(&report));

    cloud().invoke("send-alert", &json!({"wake": "tick"})).await?;
    let of_it = |message: &Received| message.body.contains(key);
    let messages = inbox
        .wait("word of the report", Duration::from_secs(30), |messages| messages.iter().any(of_it))
        .await?;
    let told: Vec<_> = messages.iter().filter(|message| of_it(message)).collect();
    assert_eq!(told.len(), 1);
    let told: Value = serde_json::from_str(&told[0].body)?;
    assert_eq!((&told["severity"], &told["event"]), (&"info".into(), &"opened".into()));
    assert!(changes("publish-report", "shown").is_empty(), "it changes no snapshot");
    Ok(())
}

#[rstest]
#[case::no_such_report("publish-report", json!({"report": "weekly"}), "MalformedEvent")]
#[case::no_reason("plan-retention", json!({"hold": "tidemark-no-such-db-20261122t0300z-ellsxv", "resource": "rds/no-such-db"}), "MalformedEvent")]
#[case::unknown_point("plan-retention", json!({"hold": "tidemark-no-such-db-20261122t0300z-ellsxv", "resource": "rds/no-such-db", "why": "x"}), "RecoveryPointUnknown")]
#[case::unknown_resource("restore-database", json!({"resource": "no-such-db", "to": "latest", "as": "x"}), "ResourceUnknown")]
#[case::unknown_region("restore-database", json!({"resource": "no-such-db", "to": "latest", "as": "x", "region": "eu-west-1"}), "RegionUnknown")]
#[case::not_a_name("restore-database", json!({"resource": "no-such-db", "to": "latest", "as": "not a name"}), "RequestInvalid")]
#[case::not_a_wake("backup-rds", json!({"wake": "up"}), "MalformedEvent")]
#[case::not_an_object("backup-rds", json!([1, 2, 3]), "MalformedEvent")]
#[case::huge("backup-rds", json!({"source": "x".repeat(100_000)}), "MalformedEvent")]
#[tokio::test]
async fn bad_input_is_a_typed_error_and_changes_nothing(
    #[case] function: &str,
    #[case] payload: Value,
    #[case] error_type: &str,
) -> Result<()> {
    let error = cloud().invoke(function, &payload).await?.error.context("it was not refused")?;
    assert_eq!(error.error_type, error_type);
    assert!(error.error_message.len() < 2_000, "a hostile payload is not repeated whole");
    assert!(changes(function, "no-such-db").is_empty());
    Ok(())
}
