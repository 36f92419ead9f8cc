//! One pass over a toy world: what every function gets from the loop.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use domain::{Finding, Findings, ResourceId, Severity, Standing};
use jiff::{Timestamp, civil::Date};
use reconcile::{
    Action, Budget, Deadline, Document, Documents, Done, Entry, EntryKey, Error, Facts, Journal, Ledger,
    Outcome, Plan, Reconciler, Result, Summary, Wake, board_name, run,
};
use serde_json::{Map, Value, json};

/// What to do with each resource: the work takes that long, then ends that way.
#[derive(Clone)]
struct Work {
    resource: &'static str,
    takes: Duration,
    fails: Option<&'static str>,
    finds: Option<&'static str>,
}

impl Action for Work {
    fn name(&self) -> &'static str {
        "work"
    }

    fn failure(&self, error: &Error, now: Timestamp) -> Option<Entry> {
        let mut entry = entry(self.resource, now);
        entry.outcome = Outcome::Failed(error.code().to_owned());
        Some(entry)
    }
}

struct Toy(Vec<Work>);

impl Reconciler for Toy {
    const NAME: &'static str = "toy";
    type Request = Wake;
    type Observed = Vec<Work>;
    type Action = Work;

    async fn observe(&self, _wake: Wake, _now: Timestamp) -> Result<Vec<Work>> {
        Ok(self.0.clone())
    }

    fn plan(observed: &Vec<Work>, _now: Timestamp) -> Result<Plan<Work>> {
        let mut plan = Plan::empty();
        for work in observed {
            plan.act(&ResourceId::rds(work.resource), work.clone(), "it is there");
        }
        Ok(plan)
    }

    async fn act(&self, work: &Work, now: Timestamp) -> Result<Done> {
        tokio::time::sleep(work.takes).await;
        match work.fails {
            Some(code) => Err(Error::permanent(code, format!("{} is broken", work.resource))),
            None => {
                let findings = work.finds.map(|kind| finding(work.resource, kind, now)).into_iter().collect();
                Ok(Done { entries: vec![entry(work.resource, now)], findings, ..Done::default() })
            }
        }
    }
}

fn entry(resource: &str, now: Timestamp) -> Entry {
    Entry {
        day: Date::constant(2026, 11, 22),
        at: now,
        function: "toy",
        kind: "worked",
        resource: ResourceId::rds(resource),
        subject: "s".to_owned(),
        region: "us-east-1".to_owned(),
        outcome: Outcome::Completed,
        detail: Map::new(),
    }
}

/// A ledger in memory that refuses the first `refusals` writes.
#[derive(Default)]
struct Memory {
    entries: RefCell<BTreeMap<EntryKey, Value>>,
    published: RefCell<Vec<EntryKey>>,
    refusals: RefCell<usize>,
    documents: RefCell<BTreeMap<String, String>>,
}

impl Ledger for &Memory {
    async fn append(&self, entry: &Entry) -> Result<()> {
        let mut refusals = self.refusals.borrow_mut();
        if *refusals > 0 {
            *refusals -= 1;
            return Err(Error::retryable("SlowDown", "the bucket is busy"));
        }
        self.entries.borrow_mut().insert(entry.key(), json!(entry));
        Ok(())
    }

    async fn keys(&self, _days: &BTreeSet<Date>) -> Result<BTreeSet<EntryKey>> {
        Ok(self.entries.borrow().keys().cloned().collect())
    }

    async fn get(&self, key: &EntryKey) -> Result<Option<Value>> {
        Ok(self.entries.borrow().get(key).cloned())
    }
}

impl Facts for &Memory {
    async fn publish(&self, entry: &Entry) -> Result<()> {
        self.published.borrow_mut().push(entry.key());
        Ok(())
    }
}

/// The version of a document is its text.
impl Documents for &Memory {
    async fn read(&self, name: &str) -> Result<Option<Document>> {
        let text = self.documents.borrow().get(name).cloned();
        Ok(text.map(|text| Document { version: text.clone(), text }))
    }

    async fn names(&self, prefix: &str) -> Result<Vec<String>> {
        Ok(self.documents.borrow().keys().filter(|name| name.starts_with(prefix)).cloned().collect())
    }

    async fn write(&self, name: &str, text: &str, replacing: Option<&str>) -> Result<Option<String>> {
        if self.documents.borrow().get(name).map(String::as_str) != replacing {
            return Ok(None);
        }
        self.documents.borrow_mut().insert(name.to_owned(), text.to_owned());
        Ok(Some(text.to_owned()))
    }
}

impl Memory {
    /// What stands on the function's board: resource, condition, since.
    fn board(&self) -> Vec<(String, String, Timestamp)> {
        let documents = self.documents.borrow();
        let Some(text) = documents.get(&board_name("toy")) else { return Vec::new() };
        let findings: Findings = serde_json::from_str(text).unwrap();
        let row = |finding: &Finding| (finding.resource.to_string(), finding.condition(), finding.since);
        findings.findings.iter().map(row).collect()
    }

    fn changes(&self) -> usize {
        self.published.borrow().iter().filter(|key| key.as_str().ends_with("findings-changed")).count()
    }
}

fn work(resource: &'static str, takes_s: u64, fails: Option<&'static str>) -> Work {
    Work { resource, takes: Duration::from_secs(takes_s), fails, finds: None }
}

fn finding(resource: &str, kind: &str, now: Timestamp) -> Finding {
    Finding {
        resource: ResourceId::rds(resource),
        kind: kind.to_owned(),
        code: None,
        severity: Severity::Warning,
        since: now,
        says: "it lacks something".to_owned(),
        next: "give it that".to_owned(),
        standing: Standing::default(),
    }
}

#[tokio::test]
async fn what_is_found_in_doing_something_is_told_by_the_same_pass() {
    let memory = Memory::default();
    let found = Work { finds: Some("lacking"), ..work("a", 0, None) };
    pass(&[found], &memory, 100, 1).await;
    let conditions: Vec<_> =
        memory.board().into_iter().map(|(resource, condition, _)| (resource, condition)).collect();
    assert_eq!((conditions, memory.changes()), (vec![("rds/a".to_owned(), "lacking".to_owned())], 1));
    pass(&[work("a", 0, None)], &memory, 100, 1).await;
    assert!(memory.board().is_empty());
}

async fn pass(works: &[Work], memory: &Memory, seconds: u64, concurrency: usize) -> Summary {
    pass_at(works, memory, seconds, concurrency, Timestamp::UNIX_EPOCH).await
}

async fn pass_at(
    works: &[Work],
    memory: &Memory,
    seconds: u64,
    concurrency: usize,
    now: Timestamp,
) -> Summary {
    let journal = Journal { ledger: memory, facts: memory, documents: memory };
    let (deadline, budget) =
        (Deadline::after(Duration::from_secs(seconds)), Budget { concurrency, reserve: 0.2 });
    run(&Toy(works.to_vec()), &journal, Wake::Tick, now, deadline, budget).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn one_failure_stops_no_other_and_is_recorded_once() {
    let memory = Memory::default();
    let works = [work("a", 1, None), work("b", 1, Some("Broken")), work("c", 1, None)];
    for _ in 0..3 {
        let mut summary = pass(&works, &memory, 100, 1).await;
        assert_eq!((summary.acted.len(), summary.failed.len(), summary.unfinished), (2, 1, 1));
        assert_eq!(summary.take_error().unwrap().code(), "Broken");
    }
    let failures =
        memory.published.borrow().iter().filter(|key| key.as_str().ends_with("worked-Broken")).count();
    assert_eq!(failures, 1, "a failure that lasts is published once");
    assert_eq!(memory.entries.borrow().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn no_action_is_begun_when_the_reserve_is_reached() {
    let memory = Memory::default();
    let works: Vec<Work> = ["a", "b", "c", "d", "e"].map(|name| work(name, 30, None)).to_vec();
    // 30 + 30 s are begun with 100 and 70 s left, the third with 40; with 10 s left nothing is.
    let summary = pass(&works, &memory, 100, 1).await;
    assert_eq!((summary.acted.len(), summary.deferred, summary.unfinished), (3, 2, 2));
}

#[tokio::test(start_paused = true)]
async fn an_action_that_hangs_is_given_up_before_lambda_ends_the_process() {
    let memory = Memory::default();
    let mut summary = pass(&[work("a", 1_000, None), work("b", 1, None)], &memory, 100, 2).await;
    assert_eq!(summary.acted.len(), 1);
    assert_eq!(summary.take_error().unwrap().code(), "OutOfTime");
}

#[tokio::test(start_paused = true)]
async fn actions_run_at_the_same_time_within_the_budget() {
    let memory = Memory::default();
    let works: Vec<Work> = ["a", "b", "c", "d"].map(|name| work(name, 10, None)).to_vec();
    let begun = tokio::time::Instant::now();
    pass(&works, &memory, 100, 2).await;
    assert_eq!(begun.elapsed().as_secs(), 20);
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_recorded_is_a_failure_and_is_recorded_by_the_next_pass() {
    let memory = Memory { refusals: RefCell::new(1), ..Memory::default() };
    let summary = pass(&[work("a", 1, None)], &memory, 100, 1).await;
    assert_eq!(summary.failed[0].error.code(), "SlowDown");
    let summary = pass(&[work("a", 1, None)], &memory, 100, 1).await;
    assert_eq!((summary.failed.len(), summary.acted.len()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_cannot_be_written_does_not_hide_the_failure() {
    let memory = Memory { refusals: RefCell::new(9), ..Memory::default() };
    let summary = pass(&[work("a", 1, Some("Broken"))], &memory, 100, 1).await;
    let report = summary.failed[0].error.report();
    assert!(report.contains("a is broken") && report.contains("the bucket is busy"), "{report}");
}

#[tokio::test(start_paused = true)]
async fn several_failures_are_all_named() {
    let memory = Memory::default();
    let mut summary =
        pass(&[work("a", 1, Some("Broken")), work("b", 1, Some("Lost"))], &memory, 100, 1).await;
    let error = summary.take_error().unwrap();
    assert_eq!(error.code(), "ResourcesFailed");
    assert!(error.report().contains("rds/a") && error.report().contains("rds/b"));
}

#[tokio::test(start_paused = true)]
async fn a_finding_stands_on_the_board_until_a_look_no_longer_shows_it() {
    let memory = Memory::default();
    let minute = |minute: i64| Timestamp::from_second(minute * 60).unwrap();
    let broken = [work("a", 1, Some("Broken")), work("b", 1, None)];
    for at in 0..3 {
        let summary = pass_at(&broken, &memory, 100, 1, minute(at)).await;
        assert_eq!(summary.findings, Some(1));
    }
    assert_eq!(memory.board(), [("rds/a".to_owned(), "worked-Broken".to_owned(), minute(0))]);
    assert_eq!(memory.changes(), 1, "what lasts wakes nobody again");

    pass_at(&[work("a", 1, None)], &memory, 100, 1, minute(3)).await;
    assert_eq!((memory.board(), memory.changes()), (vec![], 2));
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_did_not_come_to_a_resource_ends_nothing() {
    let memory = Memory::default();
    pass(&[work("a", 1, Some("Broken"))], &memory, 100, 1).await;
    let before = memory.board();
    // The second takes all the time there is, and the first is not begun.
    pass(&[work("z", 1_000, None), work("a", 1, None)], &memory, 100, 1).await;
    assert_eq!(memory.board(), before);
}

#[tokio::test(start_paused = true)]
async fn what_stands_on_the_board_does_not_fail_the_invocation_too() {
    let memory = Memory::default();
    let said = &mut pass(&[work("a", 1, Some("Broken"))], &memory, 100, 1).await;
    assert_eq!((said.failed.len(), said.take_unsaid_error().is_none()), (1, true));
    // It hangs: the next tick may go on with it, so that nobody says anything of it yet.
    let unsaid = &mut pass(&[work("a", 1_000, None)], &memory, 100, 1).await;
    assert_eq!(unsaid.take_unsaid_error().unwrap().code(), "OutOfTime");
}

#[tokio::test(start_paused = true)]
async fn only_a_pass_that_is_well_moves_the_board_on() {
    let memory = Memory::default();
    let at = |second: i64| Timestamp::from_second(second).unwrap();
    let board_at = |memory: &Memory| {
        let text = memory.documents.borrow().get(&board_name("toy")).cloned().unwrap();
        serde_json::from_str::<Findings>(&text).unwrap().at
    };
    pass_at(&[], &memory, 100, 1, at(0)).await;
    pass_at(&[work("a", 1_000, None)], &memory, 100, 1, at(1_000)).await;
    assert_eq!(board_at(&memory), at(0));
    pass_at(&[work("a", 1, Some("Broken"))], &memory, 100, 1, at(2_000)).await;
    assert_eq!(board_at(&memory), at(2_000), "what it says is no reason to think it unwell");
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_board_is_written_anew_every_ten_minutes() {
    let memory = Memory::default();
    let at = |second: i64| Timestamp::from_second(second).unwrap();
    let written = |memory: &Memory| memory.documents.borrow().get(&board_name("toy")).cloned();
    pass_at(&[], &memory, 100, 1, at(0)).await;
    let first = written(&memory);
    pass_at(&[], &memory, 100, 1, at(599)).await;
    assert_eq!(written(&memory), first);
    pass_at(&[], &memory, 100, 1, at(600)).await;
    assert_ne!(written(&memory), first);
    assert_eq!(memory.changes(), 0);
}

#[tokio::test(start_paused = true)]
async fn two_passes_at_once_undo_nothing_of_each_other() {
    let memory = Memory::default();
    let (a, b) = ([work("a", 1, Some("Broken"))], [work("b", 1, Some("Broken"))]);
    let (one, other) = tokio::join!(pass(&a, &memory, 100, 1), pass(&b, &memory, 100, 1));
    assert!(one.findings.is_some() && other.findings.is_some());
    let resources: Vec<String> = memory.board().into_iter().map(|(resource, ..)| resource).collect();
    assert_eq!(resources, ["rds/a", "rds/b"]);
}
