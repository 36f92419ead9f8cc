//! The sweep: a scenario is repeated once for every AWS call that a function makes in it, each time with that call
//! broken in another way, and must end as if nothing had happened.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use futures::future::BoxFuture;
use local_cloud::{Call, CallFilter, Cloud, Effect, Fault, Inbox};
use serde_json::{Value, json};

use crate::{
    Estate,
    end::{self, End},
};

/// What a function's work is, and how it is tried once: see [`Case`] for what a script can do.
pub struct Sweep {
    /// The function whose calls are broken.
    pub function: &'static str,
    /// Does the work once, from a world in which nothing is, to the end. It sees no faults unless it looks for them.
    pub script: for<'c> fn(&'c Case<'c>) -> BoxFuture<'c, Result<()>>,
}

/// The ways in which each call is broken.
pub const WAYS: [Way; 4] = [Way::Error, Way::Throttle, Way::AnswerLost, Way::KillAfter];

/// One way in which a call is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Refused for good: `AccessDenied`.
    Error,
    /// Refused as too fast.
    Throttle,
    /// Takes effect, and the connection breaks before the answer.
    AnswerLost,
    /// Takes effect, and the function is killed before it hears of it.
    KillAfter,
}

impl Way {
    fn effect(self) -> Effect {
        match self {
            Self::Error => Effect::Error {
                code: "AccessDenied".to_owned(),
                status: 403,
                message: "made to fail by the sweep".to_owned(),
            },
            Self::Throttle => Effect::Throttle,
            Self::AnswerLost => Effect::LoseAnswer,
            Self::KillAfter => Effect::Kill,
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Throttle => "throttle",
            Self::AnswerLost => "answer-lost",
            Self::KillAfter => "kill-after",
        })
    }
}

/// A call of the undisturbed run: its kind, and which of that kind it was.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Step {
    service: String,
    action: String,
    region: String,
    nth: u32,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}.{}", self.service, self.action, self.region, self.nth)
    }
}

/// What a sweep did.
#[derive(Debug)]
pub struct Swept {
    /// Calls of the undisturbed run.
    pub calls: usize,
    /// Cases run.
    pub cases: usize,
    /// How long all took.
    pub took: Duration,
}

impl Sweep {
    /// Runs every case, or those whose name begins with `only` (`backup-rds/rds.CreateDBSnapshot`). Every case that does
    /// not end as it should is named in the error.
    pub async fn run(&self, cloud: &Cloud, only: Option<&str>) -> Result<Swept> {
        let begun = Instant::now();
        quiet(cloud).await?;
        let first = self.case(cloud, "calm-1", None).await.context("the undisturbed run")?;
        let second = self.case(cloud, "calm-2", None).await.context("the undisturbed run, once more")?;
        ensure!(
            first.steps == second.steps && first.end == second.end,
            "{}: two undisturbed runs differ, so that no sweep can judge: {first:#?}, {second:#?}",
            self.function
        );
        let (mut cases, mut wrong) = (0, Vec::new());
        for step in &first.steps {
            for way in WAYS {
                let name = format!("{}/{step}/{way}", self.function);
                if only.is_some_and(|only| !name.starts_with(only)) {
                    continue;
                }
                cases += 1;
                if let Err(error) = self.judge(cloud, cases, step, way, &first.end).await {
                    wrong.push(format!("{name}: {error:#}"));
                }
            }
        }
        ensure!(
            wrong.is_empty(),
            "{} of {cases} cases did not end as they should. One again: TIDEMARK_SWEEP=<case> cargo test -p scenarios \
             --test sweep\n{}",
            wrong.len(),
            wrong.join("\n")
        );
        Ok(Swept { calls: first.steps.len(), cases, took: begun.elapsed() })
    }

    async fn judge(&self, cloud: &Cloud, number: usize, step: &Step, way: Way, calm: &End) -> Result<()> {
        let run = self.case(cloud, &format!("case-{number}"), Some((step, way))).await?;
        ensure!(run.applied == 1, "the call was not made again in this run");
        run.end.differences(calm)?;
        // What was published may have been published before the answer was lost or the function died: then it is repeated,
        // as the same message. Nothing else may be said twice.
        let may_repeat = step.action == "Publish" && matches!(way, Way::AnswerLost | Way::KillAfter);
        ensure!(run.repeated == 0 || may_repeat, "{} messages came twice", run.repeated);
        Ok(())
    }

    async fn case(&self, cloud: &Cloud, name: &str, fault: Option<(&Step, Way)>) -> Result<Run> {
        let topic = cloud.stack().outputs.get("AlertsTopicArn").context("no output AlertsTopicArn")?;
        forget_everything(cloud).await?;
        let case = Case {
            estate: Estate::new(cloud),
            name: name.to_owned(),
            function: self.function,
            inbox: cloud.inbox(topic, None).await?,
            found: Mutex::default(),
            failed: Mutex::default(),
        };
        cloud.clear_faults();
        cloud.forget_calls();
        let armed = fault.map(|(step, way)| cloud.inject(step.fault(self.function, way)));
        let outcome = (self.script)(&case).await;
        let armed = armed.and_then(|id| cloud.faults().into_iter().find(|armed| armed.id == id));
        cloud.clear_faults();
        let steps = steps(&cloud.calls(&CallFilter::all().function(self.function)));
        let run = match outcome {
            Ok(()) => case.run(steps, armed.map_or(0, |armed| armed.applied)).await,
            Err(error) => Err(error),
        };
        clean(&case).await?;
        run
    }
}

impl Step {
    fn fault(&self, function: &str, way: Way) -> Fault {
        let filter = CallFilter::all()
            .service(&self.service)
            .action(&self.action)
            .region(&self.region)
            .function(function);
        Fault::new(way.effect(), filter).nth(self.nth)
    }
}

fn steps(calls: &[Call]) -> Vec<Step> {
    let mut seen: BTreeMap<(String, String, String), u32> = BTreeMap::new();
    calls
        .iter()
        .map(|call| {
            let key = (call.service.clone(), call.action.clone(), call.region.clone());
            let nth = seen.entry(key).or_default();
            *nth += 1;
            Step {
                service: call.service.clone(),
                action: call.action.clone(),
                region: call.region.clone(),
                nth: *nth,
            }
        })
        // Those at the same time are recorded in any order.
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

/// What came of one run.
#[derive(Debug)]
struct Run {
    steps: Vec<Step>,
    /// How often the fault happened.
    applied: u32,
    end: End,
    /// Messages that subscribers received more than once.
    repeated: usize,
}

/// One run of a scenario, for its script.
pub struct Case<'c> {
    /// The cloud, as people use it.
    pub estate: Estate<'c>,
    /// What the script's database is called; what belongs to it begins so.
    pub name: String,
    function: &'static str,
    inbox: Inbox,
    /// The resources that were found wrong at some time: of these, and only of these, somebody must have been told.
    found: Mutex<BTreeSet<String>>,
    /// How the last invocation that failed did.
    failed: Mutex<String>,
}

/// How long one case may take.
const PATIENCE: Duration = Duration::from_mins(1);

impl Case<'_> {
    /// Asks a function for something; what it answers, if it lived to answer.
    pub async fn ask(&self, function: &str, payload: &Value) -> Result<Option<Value>> {
        let answer = self.estate.cloud.invoke(function, payload).await?;
        self.look_at_boards().await?;
        if let Some(error) = &answer.error {
            *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = format!("{function}: {error:?}");
        }
        Ok(answer.error.is_none().then_some(answer.payload))
    }

    /// Lets the ticks of the function, and of send-alert after it, go on until neither has anything left to do.
    pub async fn settle(&self) -> Result<()> {
        let tick = json!({"wake": "tick"});
        let begun = Instant::now();
        loop {
            let worked = self.ask(self.function, &tick).await?;
            let told = match self.function {
                "send-alert" => worked.clone(),
                _ => self.ask("send-alert", &tick).await?,
            };
            let is_settled = |answer: &Option<Value>| {
                answer
                    .as_ref()
                    .is_some_and(|answer| answer["unfinished"] == 0 && answer["acted"] == json!([]))
            };
            if is_settled(&worked) && is_settled(&told) {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
                bail!("not settled: {worked:?}, {told:?}; the last failure: {failed}");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Puts findings on a function's board, in that function's stead.
    pub async fn post(&self, function: &str, findings: Value) -> Result<()> {
        let board = json!({"function": function, "at": jiff::Timestamp::now(), "findings": findings});
        let bucket = state_bucket(self.estate.cloud)?;
        let key = format!("findings/{function}.json");
        self.estate.cloud.put_object(bucket, &key, board.to_string()).await?;
        self.look_at_boards().await
    }

    async fn look_at_boards(&self) -> Result<()> {
        let boards = end::boards(self.estate.cloud).await?;
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.extend(boards.iter().filter_map(|finding| finding["resource"].as_str().map(str::to_owned)));
        Ok(())
    }

    async fn run(&self, steps: Vec<Step>, applied: u32) -> Result<Run> {
        let end = End::look(&self.estate, &self.name).await?;
        let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let (mut ids, mut repeated) = (BTreeSet::new(), 0);
        for message in self.inbox.messages().await? {
            let body: Value = serde_json::from_str(&message.body).context("a message that is no JSON")?;
            let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
            if ids.insert(text("id")) {
                told.entry(text("resource")).or_default().push(text("event"));
            } else {
                repeated += 1;
            }
        }
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let still_wrong: BTreeSet<&str> =
            end.findings.iter().filter_map(|finding| finding["resource"].as_str()).collect();
        for resource in found.iter().chain(told.keys()) {
            let events = told.get(resource).cloned().unwrap_or_default();
            ensure!(found.contains(resource), "{resource} was told of and never wrong: {events:?}");
            let opened = events.iter().filter(|event| *event == "opened").count();
            let cleared = events.iter().filter(|event| *event == "cleared").count();
            let due = (1, usize::from(!still_wrong.contains(resource.as_str())));
            ensure!((opened, cleared) == due, "{resource} was wrong, and this was told: {events:?}");
        }
        Ok(Run { steps, applied, end, repeated })
    }
}

pub(crate) fn state_bucket(cloud: &Cloud) -> Result<&str> {
    cloud.stack().vault.get("StateBucketName").map(String::as_str).context("no output StateBucketName")
}

/// Nothing wakes functions but the script: what events do besides is tried elsewhere.
async fn quiet(cloud: &Cloud) -> Result<()> {
    cloud.rds_events(local_cloud::EventDelivery::Never);
    let events = aws_sdk_eventbridge::Client::new(&cloud.config(&cloud.stack().home_region));
    for rule in events.list_rules().send().await?.rules() {
        events.disable_rule().name(rule.name().unwrap_or_default()).send().await?;
    }
    // A second instead of thirty, so that those who wait for a killed one's lease do not wait long.
    Ok(cloud.set_environment("send-alert", "TIDEMARK_LEASE_SECONDS", "1").await?)
}

/// What functions remembered of the case before.
async fn forget_everything(cloud: &Cloud) -> Result<()> {
    let bucket = state_bucket(cloud)?;
    for key in cloud.object_keys(bucket, "").await? {
        cloud.delete_object(bucket, &key).await?;
    }
    Ok(())
}

/// Takes away what the case made, so that the next one makes the same calls.
async fn clean(case: &Case<'_>) -> Result<()> {
    let estate = &case.estate;
    for region in [estate.home(), estate.recovery()] {
        let rds = estate.rds(region);
        let instances = rds.describe_db_instances().send().await?;
        for instance in instances.db_instances() {
            let id = instance.db_instance_identifier().unwrap_or_default();
            if id.starts_with(&case.name) {
                let delete = rds.delete_db_instance().db_instance_identifier(id);
                delete.skip_final_snapshot(true).delete_automated_backups(true).send().await?;
            }
        }
        let snapshots = rds.describe_db_snapshots().snapshot_type("manual").send().await?;
        for snapshot in snapshots.db_snapshots() {
            let id = snapshot.db_snapshot_identifier().unwrap_or_default();
            rds.delete_db_snapshot().db_snapshot_identifier(id).send().await?;
        }
    }
    let vault = estate.cloud.stack().vault_bucket();
    for key in estate.cloud.object_keys(vault, "ledger/").await? {
        estate.cloud.delete_object(vault, &key).await?;
    }
    Ok(())
}
