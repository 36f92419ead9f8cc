//! The function over an account and vaults in memory: one pass after another.

mod drills;
mod shown;

use std::{collections::BTreeMap, time::Duration};

use domain::{
    DayOfAges, Engine, Finding, Findings, PlanDocument, RecoveryPointId, ResourceId, Severity, Slot,
    Standing, retention::Region,
};
use inventory::{Mark, mark_key};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use rds::{FakeAccount, Snapshot};
use reconcile::{Budget, Deadline, Entry, Error, Ledger, Outcome, Request, Result, Summary, run};
use report::{Occasion, Prices, Report, State};
use rstest::rstest;
use serde_json::{Value, json};
use vault::{FakeLedger, FakeStore, point_prefix};

use crate::{Ask, PublishReport};

const HOME: &str = "us-east-1";
const AWAY: &str = "us-west-2";

struct World {
    account: FakeAccount,
    vault: FakeStore,
    away: FakeStore,
    ledger: FakeLedger,
    now: Timestamp,
}

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

impl World {
    /// A Monday on which all is well with one RDS database, of which there are snapshots of so many days.
    fn calm(days: i64) -> Self {
        let vault = FakeStore::new(HOME, "vault");
        let world = Self {
            account: FakeAccount::default(),
            away: vault.beside(AWAY, "vault-away"),
            vault,
            ledger: FakeLedger::default(),
            now: "2026-11-23T06:30:00Z".parse().unwrap(),
        };
        world.vault.set_now(world.now);
        for day in 0..days {
            world.account.put_snapshot(HOME, world.snapshot(day, HOME));
            world.account.put_snapshot(AWAY, world.snapshot(day, AWAY));
        }
        world.watch(&[("rds/orders", days)]);
        world.post("watch-rpo", &[]);
        for day in 0..days {
            world.measured("rds/orders", day, 240 + day);
        }
        world
    }

    fn slot(&self, days_ago: i64) -> Slot {
        let today: Timestamp = "2026-11-23T03:00:00Z".parse().unwrap();
        Slot::at(today - hours(24 * days_ago))
    }

    fn id(&self, days_ago: i64) -> RecoveryPointId {
        RecoveryPointId::new("orders", "db-ABC", self.slot(days_ago), 1)
    }

    fn snapshot(&self, days_ago: i64, region: &str) -> Snapshot {
        let taken = Snapshot::fake(HOME, "orders", "db-ABC", self.slot(days_ago));
        if region == HOME { taken } else { Snapshot::fake_copy(region, &taken) }
    }

    /// What watch-rpo sees protected, and since how many days.
    fn watch(&self, resources: &[(&str, i64)]) {
        let resources: BTreeMap<&str, Value> = resources
            .iter()
            .map(|(name, days)| {
                (*name, json!({"seen_since": self.now - hours(24 * days), "plan": "default", "worst": null}))
            })
            .collect();
        let month = json!({"month": "2026-11", "look_minutes": 1, "resources": resources});
        self.ledger.documents.put("watch/2026-11.json", &month.to_string());
    }

    fn post(&self, function: &str, findings: &[(&str, &str, Severity)]) {
        let findings = findings.iter().map(|(resource, kind, severity)| Finding {
            resource: ResourceId::try_from((*resource).to_owned()).unwrap(),
            kind: (*kind).to_owned(),
            code: None,
            severity: *severity,
            since: self.now - hours(1),
            says: "it says so".to_owned(),
            next: "do this".to_owned(),
            standing: Standing::default(),
        });
        let board = Findings { function: function.to_owned(), at: self.now, findings: findings.collect() };
        self.ledger.documents.put(&format!("findings/{function}.json"), &json!(board).to_string());
    }

    fn measured(&self, resource: &str, days_ago: i64, age_seconds: i64) {
        let at = self.now - hours(24 * days_ago);
        let day = at.to_zoned(TimeZone::UTC).date();
        let name = DayOfAges::name(day);
        let there = self.ledger.documents.text(&name).map(|text| serde_json::from_str(&text).unwrap());
        let mut ages: DayOfAges = there.unwrap_or_else(|| DayOfAges::empty(day));
        ages.note(&resource.to_owned().try_into().unwrap(), age_seconds, at);
        self.ledger.documents.put(&name, &json!(ages).to_string());
    }

    async fn record(
        &self,
        kind: &'static str,
        resource: &str,
        subject: &str,
        outcome: Outcome,
        detail: Value,
    ) {
        let Value::Object(detail) = detail else { panic!("{detail} is no object") };
        let entry = Entry {
            day: self.now.to_zoned(TimeZone::UTC).date(),
            at: self.now,
            function: "test",
            kind,
            resource: ResourceId::try_from(resource.to_owned()).unwrap(),
            subject: subject.to_owned(),
            region: HOME.to_owned(),
            outcome,
            detail,
        };
        self.ledger.append(&entry).await.unwrap();
    }

    async fn try_ask(&self, payload: Value) -> Result<Summary> {
        let function = PublishReport {
            home: self.account.region(HOME),
            recovery: self.account.region(AWAY),
            vault: self.vault.clone(),
            recovery_vault: self.away.clone(),
            ledger: self.ledger.clone(),
            plans: PlanDocument::parse(r#"{"plans": {"default": {"turso": {"databases": ["*/*"]}}}}"#)
                .unwrap(),
            documents: self.ledger.documents.clone(),
            stage: "prod".to_owned(),
            prices: Prices { rds_micro_usd: 95_000, s3_micro_usd: 23_000 },
        };
        let deadline = Deadline::after(Duration::from_mins(5));
        let ask = Ask::parse(payload)?;
        run(&function, &self.ledger.journal(), ask, self.now, deadline, Budget::default()).await
    }

    async fn ask(&self, payload: Value) -> Summary {
        self.try_ask(payload).await.unwrap()
    }

    async fn tick(&self) -> Summary {
        self.ask(json!({"wake": "tick"})).await
    }

    /// What a report made now says.
    async fn report(&self) -> Report {
        let summary = self.ask(json!({"report": "now"})).await;
        let json =
            summary.acted[0].detail["json"].as_str().unwrap().strip_prefix("s3://vault/").unwrap().to_owned();
        Report::parse(&self.vault.objects()[&json]).unwrap()
    }

    fn reports(&self) -> Vec<String> {
        self.vault.objects().into_keys().filter(|key| key.starts_with("reports/")).collect()
    }

    fn news(&self) -> Vec<String> {
        let text = self.ledger.documents.text("findings/publish-report.json").unwrap_or_default();
        let board = serde_json::from_str::<Findings>(&text).map(|board| board.findings).unwrap_or_default();
        board
            .iter()
            .map(|finding| format!("{} {} {}", finding.severity.as_str(), finding.kind, finding.resource))
            .collect()
    }
}

fn actions(summary: &Summary) -> Vec<&'static str> {
    summary.acted.iter().map(|acted| acted.action).collect()
}

#[tokio::test]
async fn each_week_has_one_report_and_word_of_it_stands_for_two_days() {
    let mut world = World::calm(30);
    assert_eq!(actions(&world.tick().await), ["publish-report"]);
    let keys = ["reports/2026-11-23-weekly.html", "reports/2026-11-23-weekly.json"];
    assert_eq!(world.reports(), keys);
    let word = ["info report-published tidemark/report-2026-11-23-weekly"];
    assert_eq!(world.news(), word);
    for later in [1, 24, 46] {
        world.now = "2026-11-23T06:30:00Z".parse::<Timestamp>().unwrap() + hours(later);
        assert_eq!(actions(&world.tick().await), [""; 0], "{later} hours later");
        assert_eq!(world.news(), word, "{later} hours later");
    }
    world.now += hours(3);
    world.tick().await;
    assert_eq!((world.news().len(), world.reports().len()), (0, 2));
    let facts = world.ledger.facts();
    assert_eq!(facts.iter().filter(|fact| fact["kind"] == "report-published").count(), 1, "{facts:?}");
    assert_eq!(keys.map(|key| world.vault.writes(key)), [1, 1]);
}

#[tokio::test]
async fn a_pass_in_which_nothing_is_due_costs_one_list_and_what_word_there_is() {
    let world = World::calm(30);
    world.tick().await;
    let (vault, account) = (world.vault.calls().len(), world.account.calls().len());
    world.tick().await;
    assert_eq!(world.vault.calls().len() - vault, 1, "{:?}", &world.vault.calls()[vault..]);
    assert_eq!(world.account.calls().len(), account);
}

#[tokio::test]
async fn a_person_gets_one_at_once_and_another_one_later() {
    let mut world = World::calm(3);
    let summary = world.ask(json!({"report": "now"})).await;
    let detail = &summary.acted[0].detail;
    assert_eq!(detail["page"], "s3://vault/reports/2026-11-23-on-demand.html");
    assert_eq!(
        detail["fetch"],
        "aws s3 cp s3://vault/reports/2026-11-23-on-demand.html tidemark-2026-11-23-on-demand.html"
    );
    assert_eq!(
        detail["console"],
        "https://us-east-1.console.aws.amazon.com/s3/object/vault?region=us-east-1&prefix=reports/2026-11-23-on-demand.html"
    );
    assert_eq!(detail["summary"], "1 protected resource: it is well.");
    world.now += SignedDuration::from_mins(4);
    let again = world.ask(json!({"report": "now"})).await;
    assert_eq!((&again.acted[0].detail, world.reports().len()), (detail, 2), "it is the same");
    world.now += SignedDuration::from_mins(2);
    let another = world.ask(json!({"report": "now"})).await;
    assert_eq!(another.acted[0].detail["page"], "s3://vault/reports/2026-11-23-on-demand-063600.000Z.html");
    assert_eq!(world.news().len(), 2, "each is told");
}

#[rstest]
#[case::before_the_json(|vault: &FakeStore| vault.refuse_next("create", Error::retryable("SlowDown", "busy")))]
#[case::before_the_page(|vault: &FakeStore| vault.lose_answer_of_next("create"))]
#[tokio::test]
async fn killed_anywhere_the_next_tick_publishes_the_same_report(#[case] break_it: fn(&FakeStore)) {
    let mut world = World::calm(9);
    break_it(&world.vault);
    assert!(world.tick().await.take_error().is_some());
    assert_eq!(world.news().len(), 0);
    world.now += hours(1);
    assert_eq!(world.tick().await.failed.len(), 0);
    assert_eq!((world.reports().len(), world.news().len()), (2, 1));
    let objects = world.vault.objects();
    let report = Report::parse(&objects["reports/2026-11-23-weekly.json"]).unwrap();
    assert_eq!(objects["reports/2026-11-23-weekly.html"], report::html(&report));
}

#[tokio::test]
async fn killed_before_it_was_recorded_it_is_recorded_and_told_by_the_next_tick() {
    let world = World::calm(9);
    world.ledger.refuse_next_append(Error::retryable("SlowDown", "busy"));
    assert!(world.tick().await.take_error().is_some());
    assert_eq!(actions(&world.tick().await), ["finish-report"]);
    assert_eq!((world.reports().len(), world.news().len()), (2, 1));
    assert!(world.ledger.entries().keys().any(|key| key.as_str()
        == "2026-11-23/tidemark/report-2026-11-23-weekly/2026-11-23-weekly/us-east-1/report-published"));
    assert_eq!(actions(&world.tick().await), [""; 0]);
}

#[tokio::test]
async fn a_new_deployment_sends_no_empty_page_by_itself() {
    let world = World::calm(0);
    world.watch(&[]);
    assert_eq!((world.tick().await.acted.len(), world.reports().len()), (0, 0));
    assert_eq!(world.report().await.summary(), "Nothing is under a backup plan.");
}
