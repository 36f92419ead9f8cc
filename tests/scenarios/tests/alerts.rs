//! Nothing fails silently: from the failure to the message that a subscriber receives, and to the all-clear. The tests
//! share a cloud, one after the other, because what they break is everybody's.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a panic is how a test fails, and progress is for who watches"
)]

mod common;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use common::{big_account, cloud, protected, slots};
use jiff::{SignedDuration, Timestamp};
use local_cloud::{CallFilter, Effect, EventDelivery, Fault, Inbox, StateValue};
use local_rds::{Quotas, Seed};
use rstest::rstest;
use scenarios::{Alert, Estate, alerts, poll, show};
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

static ACCOUNT: Mutex<()> = Mutex::const_new(());

const PATIENCE: Duration = Duration::from_mins(1);

/// The cloud for oneself, in order, and without anybody's memory.
async fn alone() -> Result<(MutexGuard<'static, ()>, Estate<'static>)> {
    let alone = ACCOUNT.lock().await;
    let estate = Estate::new(cloud());
    cloud().clear_faults();
    cloud().rds_events(EventDelivery::Normal);
    cloud().rds().set_quotas(big_account());
    estate.remove_all("").await?;
    posture_is_checked().await?;
    // Word of a report is not what these scenarios are about.
    estate.no_report_is_due().await?;
    // An earlier test may have left alarms behind of functions that had not run.
    for function in [
        "backup-rds",
        "backup-redis",
        "backup-turso",
        "restore-database",
        "run-drill",
        "plan-retention",
        "delete-expired",
        "check-posture",
        "verify-backup",
        "publish-report",
        "write-heartbeat",
    ] {
        cloud().fire_schedule(&format!("{function}-tick")).await?;
    }
    cloud().evaluate_alarms(Timestamp::now() + SignedDuration::from_secs(1), None).await?;
    estate.forget().await?;
    Ok((alone, estate))
}

/// So that check-posture finds that it has looked today: what it would find here, and tell, is not what these scenarios are
/// about.
async fn posture_is_checked() -> Result<()> {
    let stack = cloud().stack();
    for hours in [7, 6] {
        let day = (Timestamp::now() - SignedDuration::from_hours(hours)).strftime("%Y-%m-%d").to_string();
        let of_it =
            format!("tidemark/check-posture/check-posture/{}/posture-checked.json", stack.home_region);
        let entry = json!({"kind": "posture-checked", "outcome": "completed"}).to_string();
        cloud().put_object(stack.vault_bucket(), &format!("ledger/{day}/{of_it}"), entry).await?;
    }
    Ok(())
}

/// Waits for so many messages, and gives them.
async fn received(inbox: &Inbox, count: usize) -> Result<Vec<Alert>> {
    let what = format!("{count} messages");
    alerts(&inbox.wait(&what, PATIENCE, |messages| messages.len() >= count).await?)
}

fn events(alerts: &[Alert]) -> Vec<&str> {
    alerts.iter().map(Alert::event).collect()
}

/// All ticks, as if a minute had passed; what fails, fails.
async fn a_minute() -> Result<()> {
    for function in ["backup-rds", "backup-redis", "backup-turso", "watch-rpo", "send-alert"] {
        cloud().fire_schedule(&format!("{function}-tick")).await?;
    }
    Ok(())
}

/// Minutes go by until the condition holds.
async fn minutes_until<F: Future<Output = Result<bool>>>(
    what: &str,
    condition: impl Fn() -> F,
) -> Result<()> {
    poll(what, async || {
        a_minute().await?;
        Ok(condition().await?.then_some(()))
    })
    .await
}

#[tokio::test]
async fn a_backup_that_fails_is_one_alert_and_one_all_clear() -> Result<()> {
    let (_alone, estate) = alone().await?;
    let inbox = estate.subscribe_to("orders").await?;
    let refuse = Effect::error("KMSKeyNotAccessibleFault");
    let of_it = CallFilter::all().service("rds").action("CreateDBSnapshot").resource("*orders*");
    cloud().inject(Fault::new(refuse, of_it.clone()).times(u32::MAX));
    cloud().rds().seed(estate.home(), [protected("orders", &[])])?;
    cloud().forget_calls();
    // From here on facts wake send-alert; nobody ticks it.
    let failed = cloud().fire_schedule("backup-rds-slot").await?;
    ensure!(
        failed.payload["failed"][0]["error"]["code"] == "KMSKeyNotAccessibleFault",
        "it was to fail: {failed:?}"
    );
    let failed_at = cloud().calls(&of_it).first().context("no call")?.at;
    let alert = received(&inbox, 1).await?.remove(0);
    let took = alert.received.received_at.duration_since(failed_at);
    show(&format!("from the refused call to the subscriber: {:.2} s", took.as_secs_f64()));
    ensure!(took < SignedDuration::from_mins(5), "{took:?}");
    assert_eq!((alert.event(), alert.kinds()), ("opened", vec!["recovery-point-failed"]));
    assert_eq!(alert.body["conditions"][0]["code"], "KMSKeyNotAccessibleFault");
    assert_eq!(alert.body["plan"], "default");
    assert!(alert.body["recovery"]["newest_restorable"].is_string(), "{}", alert.body);
    let subject = alert.received.subject.as_deref().context("no subject")?;
    assert_eq!(subject, "Tidemark dev CRITICAL: rds/orders: recovery point failed");

    for _ in 0..3 {
        a_minute().await?;
    }
    cloud().clear_faults();
    minutes_until("the all-clear", async || Ok(inbox.messages().await?.len() >= 2)).await?;
    for _ in 0..3 {
        a_minute().await?;
    }
    assert_eq!(events(&alerts(&inbox.messages().await?)?), ["opened", "cleared"]);
    Ok(())
}

#[tokio::test]
async fn a_backup_that_never_ran_is_found_without_it() -> Result<()> {
    let (_alone, estate) = alone().await?;
    // Its newest recovery point is for a slot whose next one's grace is over, whatever hour it is.
    cloud().rds().seed(estate.home(), [protected("orders", &slots(4)[2..])])?;
    estate.remember_watched(&["orders"]).await?;
    let inbox = estate.subscribe(json!({"kind": ["slot-missed"]})).await?;
    cloud().fire_schedule("watch-rpo-tick").await?.into_payload()?;
    let alert = received(&inbox, 1).await?.remove(0);
    assert_eq!((alert.event(), alert.body["resource"].as_str()), ("opened", Some("rds/orders")));
    let conditions = alert.body["conditions"].as_array().context("no conditions")?;
    let missed =
        conditions.iter().find(|condition| condition["kind"] == "slot-missed").context("not told")?;
    let says = missed["says"].as_str().context("no words")?;
    assert!(says.contains("has no completed recovery point"), "{says}");
    minutes_until("the all-clear", async || Ok(inbox.messages().await?.len() >= 2)).await?;
    assert_eq!(events(&alerts(&inbox.messages().await?)?), ["opened", "cleared"]);
    Ok(())
}

#[tokio::test]
async fn a_watcher_that_is_dead_is_told_by_cloudwatch_alone() -> Result<()> {
    let (_alone, estate) = alone().await?;
    let inbox = estate.subscribe_to_watch().await?;
    for _ in 0..2 {
        a_minute().await?;
    }
    let now = Timestamp::now();
    let well = cloud().evaluate_alarms(now + SignedDuration::from_secs(1), None).await?;
    let heartbeat = "tidemark-dev-watch-rpo-heartbeat";
    let of = |states: &[local_cloud::AlarmState], name: &str| {
        states.iter().find(|state| state.name == name).map(|state| state.state)
    };
    assert_eq!(of(&well, heartbeat), Some(StateValue::Ok), "{well:?}");
    // Nothing of ours runs from here on.
    let silent = cloud().evaluate_alarms(now + SignedDuration::from_mins(8), Some(now)).await?;
    assert_eq!(of(&silent, heartbeat), Some(StateValue::Alarm), "{silent:?}");
    let messages = inbox
        .wait("the heartbeat's alarm", PATIENCE, |messages| {
            messages.iter().any(|message| message.body.contains(heartbeat))
        })
        .await?;
    assert!(messages.iter().all(|message| message.attributes.is_empty()), "CloudWatch's own words");
    Ok(())
}

#[tokio::test]
async fn an_alarm_on_a_function_becomes_an_alert_and_its_all_clear() -> Result<()> {
    let (_alone, estate) = alone().await?;
    let inbox = estate.subscribe(json!({"resource": ["tidemark/restore-database"]})).await?;
    cloud().fire_schedule("restore-database-tick").await?.into_payload()?;
    let now = Timestamp::now();
    cloud().evaluate_alarms(now + SignedDuration::from_secs(1), None).await?;
    cloud().evaluate_alarms(now + SignedDuration::from_mins(30), Some(now)).await?;
    // CloudWatch's event wakes send-alert; nobody ticks it.
    let alert = received(&inbox, 1).await?.remove(0);
    assert_eq!((alert.event(), alert.kinds()), ("opened", vec!["alarm"]));
    cloud().fire_schedule("restore-database-tick").await?.into_payload()?;
    cloud().evaluate_alarms(Timestamp::now() + SignedDuration::from_secs(1), None).await?;
    minutes_until("the all-clear", async || Ok(inbox.messages().await?.len() >= 2)).await?;
    assert_eq!(events(&alerts(&inbox.messages().await?)?), ["opened", "cleared"]);
    Ok(())
}

#[tokio::test]
async fn the_canary_goes_the_whole_way_and_its_absence_is_an_alarm() -> Result<()> {
    const ALARM: &str = "tidemark-dev-canary";
    let (_alone, estate) = alone().await?;
    let (people, watch) = (
        estate.subscribe(json!({"kind": [{"anything-but": ["canary"]}]})).await?,
        estate.subscribe_to_watch().await?,
    );
    let before = canaries().await?;
    cloud().fire_schedule("watch-rpo-canary").await?.into_payload()?;
    let seconds =
        poll("the canary, measured", async || Ok(canaries().await?.get(before.len()).copied())).await?;
    ensure!((0.0..60.0).contains(&seconds), "the canary took {seconds} s");
    let state = |states: Vec<local_cloud::AlarmState>| {
        states.into_iter().find(|state| state.name == ALARM).map(|state| state.state)
    };
    let now = Timestamp::now();
    let come = cloud().evaluate_alarms(now + SignedDuration::from_mins(1), None).await?;
    assert_eq!(state(come), Some(StateValue::Ok));
    assert!(people.messages().await?.is_empty(), "people are not told of canaries");

    // Tomorrow's does not get through.
    let refuse = Effect::Error { code: "AuthorizationError".into(), status: 403, message: "no".into() };
    cloud().inject(Fault::new(refuse, CallFilter::all().service("sns").action("Publish")).times(u32::MAX));
    estate.forget().await?;
    cloud().fire_schedule("watch-rpo-canary").await?.into_payload()?;
    // What it cannot tell, its alarm must.
    poll("send-alert failing aloud", async || {
        let error = cloud().fire_schedule("send-alert-tick").await?.error;
        Ok(error.filter(|error| error.error_type == "AuthorizationError").map(drop))
    })
    .await?;
    let gone = cloud().evaluate_alarms(now + SignedDuration::from_hours(29), None).await?;
    assert_eq!(state(gone), Some(StateValue::Alarm));
    let told =
        |messages: &[local_cloud::Received]| messages.iter().any(|message| message.body.contains(ALARM));
    watch.wait("the canary's alarm", PATIENCE, told).await?;
    Ok(())
}

/// Every `canary_seconds` that send-alert measured.
async fn canaries() -> Result<Vec<f64>> {
    let metrics = cloud().metrics("send-alert").await?;
    Ok(metrics.iter().filter_map(|line| line["canary_seconds"].as_f64()).collect())
}

#[tokio::test]
async fn a_thousand_failing_databases_are_a_digest() -> Result<()> {
    let (_alone, estate) = alone().await?;
    let everything = estate.subscribe(json!({"engine": ["rds"]})).await?;
    let one = estate.subscribe_to("storm-0500").await?;
    let seeds = |days: u32| {
        (0..1_000).map(move |number| Seed {
            retention_days: days,
            ..protected(&format!("storm-{number:04}"), &slots(1))
        })
    };
    cloud().rds().seed(estate.home(), seeds(0))?;
    cloud().rds().seed(estate.recovery(), seeds(7))?;
    cloud().fire_schedule("watch-rpo-tick").await?.into_payload()?;
    received(&everything, 3).await?;
    for _ in 0..3 {
        cloud().fire_schedule("watch-rpo-tick").await?.into_payload()?;
        cloud().fire_schedule("send-alert-tick").await?.into_payload()?;
    }
    let digests = alerts(&everything.messages().await?)?;
    assert_eq!(events(&digests), ["digest"; 3]);
    let told: u64 = digests.iter().filter_map(|digest| digest.body["resources"].as_u64()).sum();
    assert_eq!(told, 1_000);
    assert_eq!(received(&one, 1).await?.len(), 1, "who subscribed to one of them hears of it");

    cloud().rds().seed(estate.home(), seeds(7))?;
    cloud().fire_schedule("watch-rpo-tick").await?.into_payload()?;
    let digests = received(&everything, 6).await?;
    assert_eq!(events(&digests), ["digest"; 6], "the all-clear too");
    Ok(())
}

#[tokio::test]
async fn filter_policies_deliver_what_they_should_and_nothing_else() -> Result<()> {
    let (_alone, estate) = alone().await?;
    let seed = |name: &str, days| Seed { retention_days: days, ..protected(name, &slots(1)) };
    cloud().rds().seed(estate.home(), [seed("careless", 1), seed("reckless", 0)])?;
    cloud().rds().seed(estate.recovery(), [seed("careless", 7), seed("reckless", 7)])?;
    let policies = [
        (json!({"severity": ["critical"]}), vec!["rds/reckless"]),
        (json!({"severity": ["warning"]}), vec!["rds/careless"]),
        (json!({"kind": ["retention-too-short", "slot-missed"]}), vec!["rds/careless"]),
        (json!({"resource": [{"prefix": "rds/care"}]}), vec!["rds/careless"]),
        (json!({"plan": ["default"], "event": ["opened"]}), vec!["rds/careless", "rds/reckless"]),
        (json!({"plan": ["another"]}), vec![]),
        (json!({"engine": ["redis"]}), vec![]),
        (json!({"event": ["cleared"]}), vec![]),
    ];
    let mut inboxes = Vec::new();
    for (policy, expected) in policies {
        inboxes.push((estate.subscribe(policy.clone()).await?, policy, expected));
    }
    cloud().fire_schedule("watch-rpo-tick").await?.into_payload()?;
    // SNS delivers a message to all its subscribers at once: what this one has, the others have or never get.
    received(&inboxes[4].0, 2).await?;
    for (inbox, policy, expected) in &inboxes {
        let got = alerts(&inbox.messages().await?)?;
        let mut resources: Vec<&str> =
            got.iter().filter_map(|alert| alert.body["resource"].as_str()).collect();
        resources.sort_unstable();
        assert_eq!(resources, *expected, "{policy}");
    }
    Ok(())
}

#[tokio::test]
async fn a_function_that_lambda_gives_up_is_told_of_until_it_is_well() -> Result<()> {
    const GOOD: &str = r#"{"plans": {"default": {}}}"#;
    let (_alone, estate) = alone().await?;
    let inbox = estate.subscribe(json!({"resource": ["tidemark/backup-rds"]})).await?;
    let parameter = cloud().stack().outputs.get("PlansParameterName").context("no output")?;
    cloud().ssm_put(parameter, "{").await?;
    cloud().invoke_async("backup-rds", &json!({"wake": "tick"})).await?;
    let alert = received(&inbox, 1).await;
    cloud().ssm_put(parameter, GOOD).await?;
    let alert = alert?.remove(0);
    assert_eq!((alert.event(), alert.kinds()), ("opened", vec!["function-failed"]));
    assert_eq!(alert.body["conditions"][0]["code"], "PlansInvalid");
    minutes_until("the all-clear", async || Ok(inbox.messages().await?.len() >= 2)).await?;
    assert_eq!(events(&alerts(&inbox.messages().await?)?), ["opened", "cleared"]);
    Ok(())
}

/// What puts the next backup at risk, what is told of it, and that it ends when it is mended.
#[rstest]
#[case::snapshot_quota_full("quota", "SnapshotQuotaFull")]
#[case::copy_quota_full("copy-quota", "SnapshotQuotaFull")]
#[case::no_copy_at_once_more("copies", "copy-missing")]
#[case::key_of_the_recovery_region_disabled("key", "KMSKeyNotAccessibleFault")]
#[case::ledger_denied("ledger", "AccessDenied")]
#[tokio::test]
async fn what_stops_backups_is_told_and_ends(#[case] what: &str, #[case] code: &str) -> Result<()> {
    let (_alone, estate) = alone().await?;
    let inbox = estate.subscribe_to("orders").await?;
    let key = "alias/tidemark-dev";
    match what {
        "quota" => cloud().rds().set_quotas(Quotas { manual_snapshots: 0, ..big_account() }),
        "copy-quota" => {
            // The copy finds the quota full that the snapshot did not: there is room for one and no more.
            cloud().rds().seed(estate.recovery(), [protected("neighbour", &slots(1))])?;
            cloud().rds().set_quotas(Quotas { manual_snapshots: 1, ..big_account() });
        }
        "copies" => cloud().rds().set_quotas(Quotas { cross_region_copies: 0, ..big_account() }),
        "key" => cloud().set_key_enabled(estate.recovery(), key, false).await?,
        _ => {
            let deny = Effect::Error { code: "AccessDenied".into(), status: 403, message: "no".into() };
            let writes = CallFilter::all().service("s3").action("PutObject").resource("*ledger/*");
            cloud().inject(Fault::new(deny, writes).times(u32::MAX));
        }
    }
    // Yesterday's recovery point has no copy yet, and should have.
    let behind = if what == "copies" { &slots(2)[1..] } else { &[] };
    cloud().rds().seed(estate.home(), [protected("orders", behind)])?;
    if what == "copies" {
        estate.remember_watched(&["orders"]).await?;
    }
    minutes_until("the alert", async || Ok(!inbox.messages().await?.is_empty())).await?;
    let alert = alerts(&inbox.messages().await?)?.remove(0);
    let codes = alert.body["conditions"].as_array().context("no conditions")?;
    let is_it = |condition: &Value| condition["code"] == code || condition["kind"] == code;
    assert!(codes.iter().any(is_it), "{codes:?}");
    match what {
        "key" => cloud().set_key_enabled(estate.recovery(), key, true).await?,
        _ => cloud().clear_faults(),
    }
    cloud().rds().set_quotas(big_account());
    let is_clear = |alerts: &[Alert]| alerts.last().is_some_and(|last| last.event() == "cleared");
    minutes_until("the all-clear", async || Ok(is_clear(&alerts(&inbox.messages().await?)?))).await?;
    let said = alerts(&inbox.messages().await?)?;
    assert_eq!(said.iter().filter(|alert| alert.event() == "opened").count(), 1, "{:?}", events(&said));
    assert_eq!(said.iter().filter(|alert| alert.event() == "cleared").count(), 1, "{:?}", events(&said));
    Ok(())
}

/// Events only wake: however they come, the backup is the same, and nobody is told of anything.
#[rstest]
#[case::twice(EventDelivery::Twice)]
#[case::late(EventDelivery::Late(Duration::from_millis(700)))]
#[case::out_of_order(EventDelivery::OutOfOrder)]
#[case::never(EventDelivery::Never)]
#[tokio::test]
async fn events_may_come_as_they_like(#[case] delivery: EventDelivery) -> Result<()> {
    let (_alone, estate) = alone().await?;
    let inbox = estate.subscribe_to("orders").await?;
    cloud().rds_events(delivery);
    cloud().rds().seed(estate.home(), [protected("orders", &[])])?;
    estate.back_up().await?;
    a_minute().await?;
    for region in [estate.home(), estate.recovery()] {
        let found = estate.rds(region).describe_db_snapshots().snapshot_type("manual").send().await?;
        assert_eq!(found.db_snapshots().len(), 1, "{region}");
    }
    assert!(inbox.messages().await?.is_empty());
    Ok(())
}

/// RDS's clock and the function's differ, within what AWS still takes for the same time.
#[rstest]
#[case::ahead(4)]
#[case::behind(-4)]
#[tokio::test]
async fn a_clock_that_is_wrong_raises_no_alert(#[case] minutes: i64) -> Result<()> {
    let (_alone, estate) = alone().await?;
    let inbox = estate.subscribe_to("orders").await?;
    cloud().rds().set_clock_skew(SignedDuration::from_mins(minutes));
    let outcome = async {
        cloud().rds().seed(estate.home(), [protected("orders", &[])])?;
        estate.back_up().await?;
        a_minute().await
    };
    let outcome = outcome.await;
    cloud().rds().set_clock_skew(SignedDuration::ZERO);
    outcome?;
    assert!(inbox.messages().await?.is_empty(), "{:?}", inbox.messages().await?);
    Ok(())
}

/// A function that stands still for longer than its lease, and then goes on as if nothing had happened.
#[tokio::test]
async fn a_frozen_function_tells_nobody_twice() -> Result<()> {
    let (_alone, estate) = alone().await?;
    let inbox = estate.subscribe_to("orders").await?;
    cloud().set_environment("send-alert", "TIDEMARK_LEASE_SECONDS", "1").await?;
    let claim = CallFilter::all()
        .service("s3")
        .function("send-alert")
        .action("PutObject")
        .resource("*alerts/open.json");
    cloud().inject(Fault::new(Effect::freeze(Duration::from_secs(4)), claim));
    cloud().rds().seed(estate.home(), [Seed { retention_days: 0, ..protected("orders", &slots(1)) }])?;
    cloud().fire_schedule("watch-rpo-tick").await?.into_payload()?;
    let told = poll("the alert", async || {
        cloud().fire_schedule("send-alert-tick").await?;
        Ok((!inbox.messages().await?.is_empty()).then_some(()))
    });
    let told = told.await;
    // The frozen one has come back by the time that all its answers are in.
    let thawed = poll("the thaw", async || {
        cloud().fire_schedule("send-alert-tick").await?;
        let frozen = cloud().calls(&CallFilter::all().function("send-alert").action("Publish"));
        let oldest = frozen.first().map(|call| Timestamp::now().duration_since(call.at));
        Ok(oldest.filter(|age| *age > SignedDuration::from_secs(6)))
    });
    let thawed = thawed.await;
    cloud().set_environment("send-alert", "TIDEMARK_LEASE_SECONDS", "30").await?;
    told?;
    thawed?;
    assert_eq!(events(&alerts(&inbox.messages().await?)?), ["opened"]);
    Ok(())
}

#[rstest]
#[case::not_an_object(json!("tick"))]
#[case::records_of_another_service(json!({"Records": [{"eventSource": "aws:s3", "eventSourceARN": "a", "body": "b"}]}))]
#[case::records_without_bodies(json!({"Records": [{}]}))]
#[case::huge(json!({"Records": "x".repeat(200_000)}))]
#[tokio::test]
async fn hostile_payloads_are_typed_errors_and_nobody_is_told(#[case] payload: Value) -> Result<()> {
    let (_alone, estate) = alone().await?;
    // Of databases: alarms that an earlier test left standing are told of meanwhile.
    let inbox = estate.subscribe(json!({"event": ["opened"], "engine": ["rds"]})).await?;
    let error = cloud().invoke("send-alert", &payload).await?.error.context("it was not refused")?;
    assert_eq!(error.error_type, "MalformedEvent");
    assert!(error.error_message.len() < 2_000, "a hostile payload is not repeated whole");
    cloud().fire_schedule("send-alert-tick").await?.into_payload()?;
    assert!(inbox.messages().await?.is_empty());
    Ok(())
}
