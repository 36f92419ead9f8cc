//! The sweep: a scenario is repeated once for every AWS call that a function makes in it, each time with that call
//! broken in another way, and must end as if nothing had happened.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::Deref,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use futures::{StreamExt, future::BoxFuture, stream};
use local_cloud::{Call, CallFilter, Cloud, Effect, Fault, Inbox};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    Estate,
    alerting::state_bucket,
    end::{self, End},
    show,
};

/// What a function's work is, and how it is tried once: see [`Case`] for what a script can do.
pub struct Sweep {
    /// What cases are called after.
    pub name: &'static str,
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

/// Clouds on which cases run at the same time: a case mostly waits, for the retries of an SDK or for a lease.
pub struct Clouds {
    free: Mutex<Vec<Cloud>>,
    permits: Semaphore,
    count: usize,
}

/// A cloud for as long as a case takes.
struct Taken<'c> {
    clouds: &'c Clouds,
    /// `None` only while dropping.
    cloud: Option<Cloud>,
    _permit: SemaphorePermit<'c>,
}

impl Clouds {
    /// These, in which from now on nothing happens by itself.
    pub async fn new(clouds: Vec<Cloud>) -> Result<Self> {
        for cloud in &clouds {
            quiet(cloud).await?;
        }
        let count = clouds.len();
        Ok(Self { free: Mutex::new(clouds), permits: Semaphore::new(count), count })
    }

    async fn take(&self) -> Taken<'_> {
        // Never closed, and there is a cloud for each permit.
        loop {
            if let Ok(permit) = self.permits.acquire().await {
                let cloud = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
                return Taken { clouds: self, cloud, _permit: permit };
            }
        }
    }
}

impl Deref for Taken<'_> {
    type Target = Cloud;

    fn deref(&self) -> &Cloud {
        #[expect(clippy::expect_used, reason = "it is taken out only while dropping")]
        self.cloud.as_ref().expect("a cloud")
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut free = self.clouds.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.extend(self.cloud.take());
    }
}

/// Nothing wakes functions but the script: what events do besides is tried elsewhere.
async fn quiet(cloud: &Cloud) -> Result<()> {
    cloud.rds_events(local_cloud::EventDelivery::Never);
    let events = aws_sdk_eventbridge::Client::new(&cloud.config(&cloud.stack().home_region));
    for rule in events.list_rules().send().await?.rules() {
        events.disable_rule().name(rule.name().unwrap_or_default()).send().await?;
    }
    // A second instead of many, so that those who wait for a killed one's lease do not wait long.
    for function in ["backup-turso", "restore-database", "send-alert"] {
        cloud.set_environment(function, "TIDEMARK_LEASE_SECONDS", "1").await?;
    }
    // Every copy as if it were large: what a small one does is a part of that.
    cloud.set_environment("backup-turso", "TIDEMARK_STAGED_FROM_MIB", "0").await?;
    Ok(())
}

impl Sweep {
    /// Runs every case, or those whose name begins with `only` (`backup-rds/rds.CreateDBSnapshot`), on as many clouds as
    /// there are. Every case that does not end as it should is named in the error.
    pub async fn run(&self, clouds: &Clouds, only: Option<&str>) -> Result<Swept> {
        let begun = Instant::now();
        let mut first = self.calm(clouds, 0).await?;
        for number in 1..=CALM_RUNS {
            let second = self.calm(clouds, number).await?;
            if first.steps == second.steps && first.end == second.end {
                break;
            }
            // A minute may have gone by in the middle of one of them; if that is not it, no sweep can judge.
            ensure!(number < CALM_RUNS, "{}: undisturbed runs differ: {first:#?}, {second:#?}", self.name);
            first = second;
        }
        // Asked for by name, every call is broken in every way.
        let ways = |step: &Step| if only.is_some() { &WAYS } else { step.ways() };
        let cases = first.steps.iter().flat_map(|step| ways(step).iter().map(move |way| (step, *way)));
        let cases = cases.map(|(step, way)| (format!("{}/{step}/{way}", self.name), step, way));
        let cases: Vec<_> =
            cases.filter(|(name, ..)| only.is_none_or(|only| name.starts_with(only))).enumerate().collect();
        let count = cases.len();
        let judged = stream::iter(cases).map(async |(number, (name, step, way))| {
            let cloud = clouds.take().await;
            let outcome = self.judge(&cloud, number, step, way, &first.end).await;
            let wrong = outcome.err().map(|error| format!("{name}: {error:#}"));
            if let Some(wrong) = &wrong {
                show(wrong);
            }
            wrong
        });
        let wrong: Vec<String> =
            judged.buffer_unordered(clouds.count).filter_map(std::future::ready).collect().await;
        ensure!(
            wrong.is_empty(),
            "{} of {count} cases did not end as they should. One again: TIDEMARK_SWEEP=<case> cargo test -p scenarios \
             --test sweep\n{}",
            wrong.len(),
            wrong.join("\n")
        );
        Ok(Swept { calls: first.steps.len(), cases: count, took: begun.elapsed() })
    }

    async fn calm(&self, clouds: &Clouds, number: usize) -> Result<Run> {
        let cloud = clouds.take().await;
        self.case(&cloud, &self.name_of("calm", number), None).await.context("an undisturbed run")
    }

    /// No other sweep's case is called so: a bucket with versions keeps what was deleted from it.
    fn name_of(&self, kind: &str, number: usize) -> String {
        format!("{}-{kind}-{number}", self.name)
    }

    async fn judge(&self, cloud: &Cloud, number: usize, step: &Step, way: Way, calm: &End) -> Result<()> {
        let hour = || jiff::Timestamp::now().as_second() / 3_600;
        let begun = hour();
        let mut run = self.case(cloud, &self.name_of("case", number), Some((step, way))).await?;
        if run.applied == 0 || hour() != begun {
            // A minute may have gone by in the middle of the undisturbed run: then that one had a call more. Or a slot came due in
            // the middle of this one, which then has two.
            run = self.case(cloud, &self.name_of("again", number), Some((step, way))).await?;
        }
        ensure!(run.applied == 1, "the call was not made again in this run");
        run.end.differences(calm).with_context(|| format!("failed on the way: {:?}", run.end.failed))?;
        // What was published may have been published before the answer was lost or the function died: then it is repeated,
        // as the same message. Nothing else may be said twice.
        let may_repeat = step.action == "Publish" && matches!(way, Way::AnswerLost | Way::KillAfter);
        ensure!(run.repeated == 0 || may_repeat, "{} messages came twice", run.repeated);
        Ok(())
    }

    async fn case(&self, cloud: &Cloud, name: &str, fault: Option<(&Step, Way)>) -> Result<Run> {
        let topic = cloud.stack().outputs.get("AlertsTopicArn").context("no output AlertsTopicArn")?;
        let estate = Estate::new(cloud);
        estate.forget().await?;
        estate.set_plans(&json!({"plans": {"default": {}}})).await?;
        let case = Case {
            estate,
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
        clean(case).await?;
        run
    }
}

impl Step {
    /// How the call is broken: a change in every way. A read has no effect that could be lost or be left half done: its lost
    /// answer is one more call that is repeated, and a kill after it finds the world as the change before left it. So the first read
    /// of a kind is broken in every way, and each of the others in one, in turn.
    fn ways(&self) -> &'static [Way] {
        let is_read = ["Describe", "Get", "Head", "List"].iter().any(|read| self.action.starts_with(read));
        let turn = self.nth as usize % WAYS.len();
        if is_read && self.nth > 1 { &WAYS[turn..=turn] } else { &WAYS }
    }

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
    /// How invocations failed, each way once.
    failed: Mutex<Vec<String>>,
}

/// What is called so was backed up once, and is restored in every case.
pub const KEPT: &str = "kept";

/// How often the scenario is run undisturbed until two runs are the same.
const CALM_RUNS: usize = 5;

/// How long one case may take.
const PATIENCE: Duration = Duration::from_mins(1);

impl Case<'_> {
    /// Asks a function for something; what it answers, if it lived to answer.
    pub async fn ask(&self, function: &str, payload: &Value) -> Result<Option<Value>> {
        let answer = self.estate.cloud.invoke(function, payload).await?;
        self.look_at_boards().await?;
        if let Some(error) = &answer.error {
            let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            let error = format!("{function}: {}: {}", error.error_type, error.error_message);
            if !failed.contains(&error) {
                failed.push(error);
            }
        }
        Ok(answer.error.is_none().then_some(answer.payload))
    }

    /// Asks a function for something until it answers.
    pub async fn insist(&self, function: &str, payload: &Value) -> Result<()> {
        let begun = Instant::now();
        while self.ask(function, payload).await?.is_none() {
            let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            ensure!(begun.elapsed() < PATIENCE, "no answer to {payload}; failures: {failed:?}");
        }
        Ok(())
    }

    /// Lets the ticks of the function, and of send-alert after it, go on until neither has anything left to do.
    pub async fn settle(&self) -> Result<()> {
        let tick = json!({"wake": "tick"});
        let begun = Instant::now();
        loop {
            self.estate.wait_for_caches().await?;
            let worked = self.ask(self.function, &tick).await?;
            let calm = is_settled(worked.as_ref());
            // As long as nothing was wrong there is nothing to tell; at the end it is asked in any case.
            let told = match self.function {
                "send-alert" => worked.clone(),
                _ if calm || self.anything_found() => self.ask("send-alert", &tick).await?,
                _ => None,
            };
            if calm && is_settled(told.as_ref()) {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
                bail!("not settled: {worked:?}, {told:?}; failures: {failed:?}");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Has a source of [`KEPT`] backed up by `function` and taken away again; what the vault holds of it then, by key. It is put
    /// back by [`Case::put_back`]: what is restored is in the vault, whatever became of its source.
    pub async fn keep(&self, engine: &str, function: &str) -> Result<Vec<(String, Vec<u8>)>> {
        self.work_off(function).await?;
        let (cloud, mut kept) = (self.estate.cloud, Vec::new());
        for key in cloud.object_keys(cloud.stack().vault_bucket(), &format!("{engine}/")).await? {
            let bytes = cloud.object(cloud.stack().vault_bucket(), &key).await?;
            kept.push((key, bytes));
        }
        self.estate.remove_all(KEPT).await?;
        Ok(kept)
    }

    /// Puts back what was kept, in order: a manifest comes last in it, too.
    pub async fn put_back(&self, kept: &[(String, Vec<u8>)]) -> Result<()> {
        for (key, bytes) in kept {
            let vault = self.estate.cloud.stack().vault_bucket();
            self.estate.cloud.put_object(vault, key, bytes.clone()).await?;
        }
        Ok(())
    }

    /// Lets another function do its work, undisturbed.
    pub(crate) async fn work_off(&self, function: &str) -> Result<()> {
        let begun = Instant::now();
        loop {
            self.estate.wait_for_caches().await?;
            let answer = self.ask(function, &json!({"wake": "tick"})).await?;
            if is_settled(answer.as_ref()) {
                return Ok(());
            }
            ensure!(begun.elapsed() < PATIENCE, "{function} does not settle: {answer:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn anything_found(&self) -> bool {
        !self.found.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
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
            // As an end calls it.
            let plain = resource.replace(&self.name, "NAME");
            let due = (1, usize::from(!still_wrong.contains(plain.as_str())));
            ensure!(
                (opened, cleared) == due,
                "{resource} was wrong, and this was told: {events:?}; open: {:?}; failed on the way: {:?}",
                end.conversations,
                end.failed
            );
        }
        Ok(Run { steps, applied, end, repeated })
    }
}

fn is_settled(answer: Option<&Value>) -> bool {
    answer.is_some_and(|answer| answer["unfinished"] == 0 && answer["acted"] == json!([]))
}

/// Takes away what the case made, so that the next one makes the same calls.
async fn clean(case: Case<'_>) -> Result<()> {
    case.inbox.close().await?;
    case.estate.remove_all(&case.name).await?;
    case.estate.remove_all(domain::drill::PREFIX).await
}
