//! The next backup is broken, and somebody is told; it is mended, and they are told of that too.

use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use local_cloud::{CallFilter, Effect, Fault, Inbox};
use scenarios::{Alert, Estate, alerts};
use serde_json::json;

use crate::{story, telling::Telling};

/// What a subscriber of the alerts heard.
pub(crate) struct Heard {
    /// From the refused call to the message in the subscriber's queue.
    pub(crate) seconds_to_alert: f64,
    /// From the accepted call to the all-clear there.
    pub(crate) seconds_to_all_clear: f64,
    pub(crate) cleared: bool,
    /// Messages beside the alert and the all-clear.
    pub(crate) duplicates: usize,
}

const PATIENCE: Duration = Duration::from_mins(2);

pub(crate) async fn run(estate: &Estate<'_>, database: &str, telling: &Telling) -> Result<Heard> {
    telling.chapter("The next slot comes, and its snapshot is refused: the database's key is disabled");
    let inbox = estate.subscribe_to(database).await?;
    telling.fact("an SQS queue subscribes to the alerts of this database");
    let of_it = CallFilter::all().service("rds").action("CreateDBSnapshot").resource(format!("*{database}*"));
    let refuse = Effect::Error {
        code: "KMSKeyNotAccessibleFault".to_owned(),
        status: 400,
        message: "the KMS key is disabled".to_owned(),
    };
    estate.cloud.inject(Fault::new(refuse, of_it.clone()).times(u32::MAX));
    next_slot(estate).await?;
    estate.cloud.forget_calls();
    estate.cloud.fire_schedule("backup-rds-slot").await?;
    let refused = estate.cloud.calls(&of_it).first().context("no snapshot was asked for")?.at;
    let alert = heard(&inbox, "opened").await?;
    let seconds_to_alert = alert.received.received_at.duration_since(refused).as_secs_f64();
    telling.fact(&format!("told after {seconds_to_alert:.2} s:"));
    telling.quote(&words(&alert));

    telling.chapter("The key is enabled again, and the ticks go on");
    estate.cloud.clear_faults();
    estate.back_up().await?;
    let cleared = heard(&inbox, "cleared").await?;
    let calls = estate.cloud.calls(&of_it);
    let accepted = calls.iter().find(|call| call.error_code.is_none()).context("no snapshot was taken")?.at;
    let seconds_to_all_clear = cleared.received.received_at.duration_since(accepted).as_secs_f64();
    telling.fact(&format!("told that it is over: {}", cleared.received.subject.as_deref().unwrap_or("?")));
    // Whatever else would be said is said by now.
    for schedule in ["watch-rpo-tick", "send-alert-tick", "send-alert-tick"] {
        estate.cloud.fire_schedule(schedule).await?;
    }
    let all = alerts(&inbox.messages().await?)?;
    let count = |event: &str| all.iter().filter(|alert| alert.event() == event).count();
    Ok(Heard {
        seconds_to_alert,
        seconds_to_all_clear,
        cleared: count("opened") == 1 && count("cleared") == 1,
        duplicates: all.len().saturating_sub(2),
    })
}

/// Makes this minute a slot of the default plan.
async fn next_slot(estate: &Estate<'_>) -> Result<()> {
    let schedule = Timestamp::now().strftime("%-M %-H * * *").to_string();
    let mut plans = story::plans();
    plans["plans"]["default"]["schedule"] = json!({"rds": schedule});
    estate.set_plans(&plans).await
}

async fn heard(inbox: &Inbox, event: &str) -> Result<Alert> {
    let is_it = |alert: &Alert| alert.event() == event;
    let what = format!("a message that says {event}");
    let messages = inbox
        .wait(&what, PATIENCE, |messages| alerts(messages).is_ok_and(|alerts| alerts.iter().any(is_it)))
        .await?;
    alerts(&messages)?.into_iter().find(is_it).context(what)
}

/// What a person would read of it.
fn words(alert: &Alert) -> Vec<String> {
    let text = |pointer: &str| alert.body.pointer(pointer).and_then(|value| value.as_str()).unwrap_or("?");
    vec![
        alert.received.subject.clone().unwrap_or_default(),
        format!("what: {}", text("/conditions/0/says")),
        format!("newest restorable second: {}", text("/recovery/newest_restorable")),
        format!("next: {}", text("/conditions/0/next")),
        format!("runbook: {}", text("/conditions/0/runbook")),
    ]
}
