//! What can happen to Tidemark's own functions.

use anyhow::{Result, ensure};
use local_cloud::{CallFilter, Effect, Fault};
use scenarios::poll;

use crate::{
    common::cloud,
    estate, meanwhile,
    shell::{follow, shell},
    tick,
};

/// Every snapshot is refused, until somebody mends that while the page is followed.
pub(crate) async fn backup_failed(page: &str) -> Result<()> {
    let estate = estate().await?;
    estate.create_instance("refused").await?;
    let of_it = CallFilter::all().service("rds").action("CreateDBSnapshot").resource("*refused*");
    let fault = cloud().inject(Fault::new(Effect::error("AccessDenied"), of_it).times(u32::MAX));
    let refusals =
        || cloud().faults().iter().find(|armed| armed.id == fault).map_or(0, |armed| armed.applied);
    estate.protect("refused").await?;
    let of_it = async || -> Result<usize> {
        let found = estate.findings("backup-rds").await?;
        Ok(found.iter().filter(|finding| finding["resource"] == "rds/refused").count())
    };
    poll("a finding", async || {
        cloud().fire_schedule("backup-rds-tick").await?;
        Ok((of_it().await? > 0).then_some(()))
    })
    .await?;

    let values =
        [("STAGE", "dev"), ("AWS_REGION", estate.home()), ("ENGINE", "rds"), ("DATABASE", "refused")];
    let before = refusals();
    let mended = async {
        poll("another attempt", async || Ok((refusals() > before).then_some(()))).await?;
        cloud().clear_faults();
        Ok(())
    };
    let (printed, ()) = tokio::try_join!(follow(page, &values), mended)?;
    ensure!(printed.contains("AccessDenied"), "{printed}");
    ensure!(printed.contains("recovery-point-completed.json"), "{printed}");
    assert_eq!(of_it().await?, 0);
    estate.recovery_point("refused", estate.home()).await.map(drop)
}

/// Its schedule is off, and it may not run.
pub(crate) async fn watcher_silent(page: &str) -> Result<()> {
    let estate = estate().await?;
    let stop = "name=tidemark-dev-watch-rpo
        aws lambda put-function-concurrency --function-name $name --reserved-concurrent-executions 0
        aws scheduler get-schedule --name $name-tick --output json \
          --query '{Name: Name, ScheduleExpression: ScheduleExpression, FlexibleTimeWindow: FlexibleTimeWindow, Target: Target}' >schedule.json
        aws scheduler update-schedule --cli-input-json file://schedule.json --state DISABLED";
    shell(stop).await?;
    let state = "aws scheduler get-schedule --name tidemark-dev-watch-rpo-tick --query State --output text";
    assert_eq!(shell(state).await?.trim(), "DISABLED");

    // Here schedules do not fire by themselves; this one does, as soon as it is on.
    let minute = async || {
        if shell(state).await.is_ok_and(|state| state.trim() == "ENABLED") {
            tick("watch-rpo-tick").await;
        }
    };
    let values = [("STAGE", "dev"), ("AWS_REGION", estate.home()), ("FUNCTION", "watch-rpo")];
    let printed = meanwhile(minute, follow(page, &values)).await?;
    ensure!(
        printed.contains("DISABLED") && printed.contains("\"ReservedConcurrentExecutions\": 0"),
        "{printed}"
    );
    ensure!(printed.contains("\"heartbeat\":1"), "{printed}");
    assert_eq!(shell(state).await?.trim(), "ENABLED");
    Ok(())
}
