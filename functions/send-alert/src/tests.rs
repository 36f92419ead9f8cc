//! The function over a memory, a topic and boards in memory: one pass after another, on a clock that the test moves.

mod adversity;
mod hostile;
mod storms;

use std::{collections::BTreeMap, time::Duration};

use alarms::Alarm;
use alerts::{FakeTopic, Message};
use domain::{Finding, Findings, ResourceId, Severity, Standing};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use reconcile::{Budget, Deadline, Error, Request, Result, Summary, board_name, run};
use serde_json::{Value, json};
use state::FakeDocuments;
use vault::FakeLedger;

use crate::{
    memory::Open,
    observe::{Manner, OPEN, SendAlert},
    request::Ask,
};

/// A deployment in memory.
struct World {
    ledger: FakeLedger,
    topic: FakeTopic,
    alarms: Vec<Alarm>,
    now: Timestamp,
}

fn manner() -> Manner {
    Manner {
        stage: "prod".to_owned(),
        prefix: "tidemark-prod-".to_owned(),
        runbooks: "https://example.com/runbooks".to_owned(),
        lease: SignedDuration::from_secs(30),
        reminder: SignedDuration::from_hours(4),
    }
}

fn finding(resource: &str, kind: &str, since: &str) -> Finding {
    Finding {
        resource: ResourceId::rds(resource),
        kind: kind.to_owned(),
        code: None,
        severity: Severity::Critical,
        since: since.parse().unwrap(),
        says: format!("{kind} happened to {resource}"),
        next: "Do something.".to_owned(),
        standing: Standing {
            plan: Some("default".to_owned()),
            newest_restorable: Some("2026-11-22T03:12:00Z".parse().unwrap()),
            rpo_seconds: Some(900),
        },
    }
}

impl World {
    fn new() -> Self {
        Self {
            ledger: FakeLedger::default(),
            topic: FakeTopic::default(),
            alarms: Vec::new(),
            now: "2026-11-22T03:59:00Z".parse().unwrap(),
        }
    }

    fn documents(&self) -> &FakeDocuments {
        &self.ledger.documents
    }

    /// What a function finds, as of now.
    fn board(&self, function: &str, findings: &[Finding]) {
        let board = Findings { function: function.to_owned(), at: self.now, findings: findings.to_vec() };
        self.documents().put(&board_name(function), &json!(board).to_string());
    }

    async fn ask(&self, ask: Ask) -> Result<Summary> {
        let function = SendAlert {
            alarms: self.alarms.clone(),
            topic: self.topic.clone(),
            documents: self.documents().clone(),
            manner: manner(),
        };
        let deadline = Deadline::after(Duration::from_secs(30));
        run(&function, &self.ledger.journal(), ask, self.now, deadline, Budget::default()).await
    }

    async fn tick(&self) -> Summary {
        self.ask(Ask::Look).await.unwrap()
    }

    async fn receive(&self, payload: Value) -> Summary {
        self.ask(Ask::parse(payload).unwrap()).await.unwrap()
    }

    fn later(&mut self, minutes: i64) {
        self.now += SignedDuration::from_mins(minutes);
    }

    fn open(&self) -> Open {
        self.documents().text(OPEN).map(|text| serde_json::from_str(&text).unwrap()).unwrap_or_default()
    }

    /// `event resource kinds`, for each message so far.
    fn said(&self) -> Vec<String> {
        self.topic.published().iter().map(said).collect()
    }
}

fn said(message: &Message) -> String {
    let of = |name: &str| message.attributes[name].join("+");
    format!("{} {} {}", of("event"), of("resource"), of("kind"))
}

/// What Lambda puts into the failures queue when it gives an invocation up.
fn given_up(function: &str, code: &str, message: &str, at: Timestamp) -> Value {
    let body = json!({
        "version": "1.0",
        "timestamp": at,
        "requestContext": {
            "requestId": "r-1",
            "functionArn": format!("arn:aws:lambda:us-east-1:123456789012:function:{function}:$LATEST"),
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 3
        },
        "requestPayload": {"wake": "tick"},
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "responsePayload": {"errorType": code, "errorMessage": message}
    });
    queue("tidemark-prod-failures", &body.to_string(), at)
}

fn queue(name: &str, body: &str, sent: Timestamp) -> Value {
    json!({"Records": [{
        "messageId": "m-1",
        "eventSource": "aws:sqs",
        "eventSourceARN": format!("arn:aws:sqs:us-east-1:123456789012:{name}"),
        "attributes": {"SentTimestamp": sent.as_millisecond().to_string()},
        "body": body
    }]})
}

#[tokio::test]
async fn a_conversation_from_alert_over_reminder_to_all_clear() {
    let mut world = World::new();
    world.board("watch-rpo", &[finding("orders", "rpo-exceeded", "2026-11-22T03:27:00Z")]);
    world.tick().await;
    for _ in 0..10 {
        world.later(1);
        world.tick().await;
    }
    assert_eq!(world.said(), ["opened rds/orders rpo-exceeded"], "what lasts is not said again");
    world.later(4 * 60);
    world.tick().await;
    world.board("watch-rpo", &[]);
    world.later(1);
    world.tick().await;
    world.later(1);
    world.tick().await;
    assert_eq!(
        world.said(),
        [
            "opened rds/orders rpo-exceeded",
            "reminder rds/orders rpo-exceeded",
            "cleared rds/orders rpo-exceeded"
        ]
    );
    assert_eq!(world.open().conversations.len(), 0);
    let messages = world.topic.published();
    let threads: Vec<_> = messages.iter().map(|message| &message.chat["metadata"]["threadId"]).collect();
    assert!(threads.windows(2).all(|pair| pair[0] == pair[1]), "{threads:?}");
    insta::assert_snapshot!("opened", format!("{}\n\n{}", messages[0].subject, messages[0].text));
    insta::assert_json_snapshot!("opened_json", messages[0].json);
    insta::assert_json_snapshot!("opened_chat", messages[0].chat);
    insta::assert_json_snapshot!("opened_attributes", messages[0].attributes);
    insta::assert_snapshot!("cleared", format!("{}\n\n{}", messages[2].subject, messages[2].text));
}

#[tokio::test]
async fn two_conditions_on_one_resource_are_one_conversation() {
    let mut world = World::new();
    let (slow, missed) = (
        finding("orders", "rpo-exceeded", "2026-11-22T03:27:00Z"),
        finding("orders", "recovery-point-failed", "2026-11-22T03:00:00Z"),
    );
    world.board("watch-rpo", std::slice::from_ref(&slow));
    world.tick().await;
    world.later(1);
    world.board("backup-rds", &[missed]);
    world.tick().await;
    world.later(1);
    world.board("watch-rpo", &[]);
    world.tick().await;
    world.later(1);
    // It comes back while the other one lasts: it was told already.
    world.board("watch-rpo", &[slow]);
    world.tick().await;
    world.board("watch-rpo", &[]);
    world.board("backup-rds", &[]);
    world.later(1);
    world.tick().await;
    assert_eq!(
        world.said(),
        [
            "opened rds/orders rpo-exceeded",
            "updated rds/orders recovery-point-failed+rpo-exceeded",
            "cleared rds/orders recovery-point-failed+rpo-exceeded",
        ]
    );
    let ids: Vec<String> = world.topic.published().into_iter().map(|message| message.id).collect();
    let alert = ids[0].split_once('/').unwrap().0.to_owned();
    assert_eq!(ids, [1, 2, 3].map(|sequence| format!("{alert}/{sequence}")));
}

#[tokio::test]
async fn what_gets_worse_is_said_and_warnings_are_repeated_less_often() {
    let mut world = World::new();
    let mut warning = finding("orders", "copy-behind", "2026-11-22T03:00:00Z");
    warning.severity = Severity::Warning;
    world.board("watch-rpo", &[warning.clone()]);
    world.tick().await;
    world.later(5 * 60);
    world.tick().await;
    assert_eq!(world.said().len(), 1);
    world.later(20 * 60);
    world.tick().await;
    warning.severity = Severity::Critical;
    world.board("watch-rpo", &[warning]);
    world.later(1);
    world.tick().await;
    let events: Vec<String> =
        world.said().iter().map(|said| said.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(events, ["opened", "reminder", "updated"]);
}

#[tokio::test]
async fn a_function_that_lambda_gave_up_is_told_of_until_it_is_well() {
    let mut world = World::new();
    world.board("backup-rds", &[]);
    world.later(5);
    // As reconcile reports it; people read no more than the message.
    let message = "cannot list the DB instances [misconfigured]";
    let failed = given_up("tidemark-prod-backup-rds", "AccessDenied", message, world.now);
    world.receive(failed.clone()).await;
    world.receive(failed).await;
    world.alarms.push(Alarm {
        name: "tidemark-prod-backup-rds-errors".to_owned(),
        function: Some("tidemark-prod-backup-rds".to_owned()),
        description: "backup-rds fails".to_owned(),
        reason: "Threshold Crossed".to_owned(),
        since: Some(world.now),
    });
    world.later(1);
    world.tick().await;
    assert_eq!(
        world.said(),
        ["opened tidemark/backup-rds function-failed", "updated tidemark/backup-rds alarm+function-failed"]
    );
    insta::assert_snapshot!("function_failed", world.topic.published()[1].text);
    // A pass that began after the failure has looked at everything.
    world.later(1);
    world.board("backup-rds", &[]);
    world.alarms.clear();
    world.tick().await;
    assert_eq!(world.said()[2], "cleared tidemark/backup-rds alarm+function-failed");
    assert!(world.open().failures.is_empty());
}

/// Word of a report, as publish-report posts it.
fn news(name: &str) -> Finding {
    Finding {
        resource: ResourceId::tidemark(name),
        severity: Severity::Info,
        says: "All 30 protected resources are well. s3://vault/reports/2026-11-23-weekly.html".to_owned(),
        standing: Standing::default(),
        ..finding("x", "report-published", "2026-11-22T03:58:56Z")
    }
}

#[tokio::test]
async fn news_is_told_once_and_ends_without_a_word() {
    let mut world = World::new();
    world.board("publish-report", &[news("report-1")]);
    for _ in 0..3 {
        world.tick().await;
        world.later(60 * 24);
    }
    assert_eq!(world.said(), ["opened tidemark/report-1 report-published"], "and no reminder");
    let message = world.topic.published().remove(0);
    assert_eq!(message.subject, "Tidemark prod INFO: tidemark/report-1: report published");
    assert!(message.text.contains("s3://vault/reports/2026-11-23-weekly.html"), "{}", message.text);
    assert!(!message.text.contains("recovery") && !message.text.contains("all-clear"), "{}", message.text);
    // The next one is told, and the one before ends.
    world.board("publish-report", &[news("report-2")]);
    world.tick().await;
    assert_eq!(world.said()[1..], ["opened tidemark/report-2 report-published"]);
    world.board("publish-report", &[]);
    world.tick().await;
    assert_eq!((world.said().len(), world.open().conversations.len()), (2, 0));
}

#[tokio::test]
async fn news_is_not_forgotten_while_its_board_cannot_be_read() {
    let world = World::new();
    world.board("publish-report", &[news("report-1")]);
    world.tick().await;
    world.documents().put(&board_name("publish-report"), "{");
    world.tick().await;
    world.board("publish-report", &[news("report-1")]);
    world.tick().await;
    assert_eq!(world.said().len(), 1, "it is not told twice");
}

#[tokio::test]
async fn news_of_what_goes_wrong_then_has_its_all_clear() {
    let world = World::new();
    world.board("publish-report", &[news("report-1")]);
    world.tick().await;
    let wrong =
        Finding { severity: Severity::Critical, kind: "action-failed".to_owned(), ..news("report-1") };
    world.board("publish-report", &[wrong, news("report-1")]);
    world.tick().await;
    world.board("publish-report", &[]);
    world.tick().await;
    let said = world.said();
    let events: Vec<&str> = said.iter().map(|said| said.split(' ').next().unwrap()).collect();
    assert_eq!(events, ["opened", "updated", "cleared"]);
}

#[tokio::test]
async fn the_canary_is_measured_by_when_it_arrived() {
    let mut world = World::new();
    let mut canary = finding("x", "canary", "2026-11-22T03:58:56Z");
    canary.resource = ResourceId::tidemark("canary");
    canary.severity = Severity::Info;
    world.board("watch-rpo", &[canary]);
    world.tick().await;
    let message = world.topic.published().remove(0);
    assert_eq!(message.attributes["kind"], ["canary"]);
    let envelope = json!({"Type": "Notification", "Message": message.json.to_string()}).to_string();
    let arrived = queue("tidemark-prod-canary", &envelope, world.now);
    let Ask::Receive(received) = Ask::parse(arrived.clone()).unwrap() else { panic!("not received") };
    assert_eq!(received.canary_seconds, [4]);
    assert_eq!(world.receive(arrived).await.failed.len(), 0);
    world.later(5);
    world.board("watch-rpo", &[]);
    world.tick().await;
    let cleared = world.topic.published().remove(1);
    let envelope = json!({"Type": "Notification", "Message": cleared.json.to_string()}).to_string();
    let Ask::Receive(received) = Ask::parse(queue("tidemark-prod-canary", &envelope, world.now)).unwrap()
    else {
        panic!("not received")
    };
    assert!(received.canary_seconds.is_empty(), "the all-clear is not measured");
}

#[test]
fn every_kind_has_its_section_in_the_runbook() {
    let runbook = include_str!("../../../docs/runbooks/alerts.md");
    for kind in ["alarm", "function-failed", "many-resources-at-once", "refused", "action-failed"] {
        assert!(runbook.contains(&format!("\n## {kind}\n")), "docs/runbooks/alerts.md has no section {kind}");
    }
}

/// What happens to the world between two passes.
#[derive(Clone, Debug)]
enum Step {
    Board(usize, Vec<usize>),
    Tick,
    TwoTicks,
    LoseWrite,
    LosePublish,
    RefusePublish,
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..2_usize, prop::collection::vec(0..3_usize, 0..4)).prop_map(|(board, of)| Step::Board(board, of)),
        6 => Just(Step::Tick),
        2 => Just(Step::TwoTicks),
        1 => Just(Step::LoseWrite),
        1 => Just(Step::LosePublish),
        1 => Just(Step::RefusePublish),
        2 => Just(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever happens: once it is quiet, what is open is what is wrong; in every conversation the first message opens,
    /// an all-clear ends, sequences grow, and nothing but a lost answer makes a message come twice.
    #[test]
    fn nobody_is_told_nothing_and_nobody_twice(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new();
            let mut wrong: [Vec<usize>; 2] = Default::default();
            // Answers that were lost, and messages that were refused.
            let (mut faults, mut refused) = (0, 0);
            for step in &steps {
                world.now += SignedDuration::from_secs(1);
                match step {
                    Step::Board(board, of) => {
                        wrong[*board].clone_from(of);
                        let findings: Vec<Finding> = of.iter().map(|number| {
                            finding(&format!("db-{number}"), &format!("kind-{board}"), "2026-11-22T03:27:00Z")
                        }).collect();
                        world.board(["watch-rpo", "backup-rds"][*board], &findings);
                    }
                    Step::Tick => _ = world.tick().await,
                    Step::TwoTicks => _ = tokio::join!(world.tick(), world.tick()),
                    Step::LoseWrite => { world.documents().lose_answer_of_next_write(); faults += 1; }
                    Step::LosePublish => { world.topic.lose_answer_of_next(); faults += 1; }
                    Step::RefusePublish => {
                        world.topic.refuse_next(Error::retryable("Throttled", "slow down"));
                        refused += 1;
                    }
                    Step::Wait => world.later(1),
                }
            }
            for _ in 0..12 {
                world.later(1);
                world.tick().await;
            }
            check(&world, &wrong, faults, refused);
        });
    }
}

fn check(world: &World, wrong: &[Vec<usize>; 2], faults: usize, refused: usize) {
    let open: Vec<String> = world.open().conversations.keys().map(ToString::to_string).collect();
    let mut expected: Vec<String> = wrong.iter().flatten().map(|number| format!("rds/db-{number}")).collect();
    expected.sort();
    expected.dedup();
    assert_eq!(open, expected, "{:?}", world.said());
    assert!(world.open().conversations.values().all(|conversation| conversation.pending.is_none()));

    let mut conversations: BTreeMap<String, Vec<(u32, String)>> = BTreeMap::new();
    let mut repeated = 0;
    for message in world.topic.published() {
        let (id, sequence) = message.id.split_once('/').unwrap();
        let messages = conversations.entry(id.to_owned()).or_default();
        let this = (sequence.parse().unwrap(), message.attributes["event"][0].clone());
        if messages.last().is_some_and(|last| *last == this) {
            repeated += 1;
        } else {
            messages.push(this);
        }
    }
    assert!(repeated <= faults, "{repeated} messages came twice, with {faults} lost answers");
    for messages in conversations.values() {
        assert!(messages.windows(2).all(|pair| pair[0].0 < pair[1].0), "{messages:?}");
        let before_last = &messages[..messages.len() - 1];
        // An all-clear whose answer was lost may have to be taken back.
        let ended = before_last.iter().filter(|(_, event)| event == "cleared").count();
        assert!(ended <= faults && (messages[0].1 == "opened" || faults + refused > 0), "{messages:?}");
    }
}
