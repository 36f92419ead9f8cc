//! How long it takes from a failure to its alert, on the rhythm of the deployed schedules and a simulated clock: the real
//! functions over an account in memory, woken as EventBridge and Lambda wake them, many times with other phases.
//!
//! What AWS takes by itself is taken at its worst: Scheduler fires at any second of the minute (EventBridge Scheduler guide:
//! "60-second precision"), events are delivered within 5 s or not at all, RDS's own within 60 s.

#![allow(
    clippy::unwrap_used,
    clippy::unnecessary_wraps,
    reason = "a panic is how a test fails, and failures share a shape"
)]

use std::{collections::BTreeSet, time::Duration};

use alarms::Alarm;
use alerts::FakeTopic;
use backup_rds::BackupRds;
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use domain::{PlanDocument, RecoveryPointId, Slot, tag};
use jiff::{SignedDuration, Timestamp};
use rds::{AutomatedBackup, FakeAccount, Instance, PitrWindow, Snapshot, SnapshotKind};
use reconcile::{Budget, Deadline, Error, Reconciler, Request, run};
use scenarios::show;
use send_alert::{Manner, SendAlert};
use serde_json::{Value, json};
use vault::{FakeLedger, FakeStore};
use watch_rpo::{NoCaches, NoOrganization, WatchRpo};

const HOME: &str = "us-east-1";
const AWAY: &str = "us-west-2";
const SLOT: &str = "2026-11-22T03:00:00Z";

/// One failure, from the minute before it to its alert.
struct World {
    account: FakeAccount,
    ledger: FakeLedger,
    topic: FakeTopic,
    alarms: Vec<Alarm>,
    orders: Instance,
    /// Logs are shipped up to here and no further.
    shipped_until: Option<Timestamp>,
    /// backup-rds is woken.
    backs_up: bool,
    random: fastrand::Rng,
    now: Timestamp,
    wakes: BTreeSet<(Timestamp, Wake)>,
    /// Facts that were looked at.
    facts: usize,
    /// When backup-rds first said that something failed.
    failed_at: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wake {
    BackUp,
    Watch,
    WatchForEvent,
    Tell,
    TellOf(String),
}

/// A kind of failure: its name, when the simulation begins (minutes from the slot), and what happens ten minutes later
/// or so; that gives the moment from which the alert's seconds are counted, if it is known by then.
struct Failure {
    name: &'static str,
    from_slot_minutes: i64,
    happens: fn(&mut World) -> Option<Timestamp>,
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

fn orders() -> Instance {
    let tags = [(tag::PLAN.to_owned(), "default".to_owned())].into();
    Instance { tags, ..Instance::fake(HOME, "orders", "db-1") }
}

/// A recovery point of `orders` for the slot, in that state.
fn point(region: &str, slot: &str, status: &str) -> Snapshot {
    let slot = Slot::at(at(slot));
    let id = RecoveryPointId::new("orders", "db-1", slot, 1).to_string();
    let tags = [
        (tag::PLAN, "default".to_owned()),
        (tag::RESOURCE, "rds/orders".to_owned()),
        (tag::SLOT, slot.to_string()),
        (tag::REQUESTED_AT, slot.to_string()),
    ];
    Snapshot {
        arn: format!("arn:aws:rds:{region}:123456789012:snapshot:{id}"),
        id,
        instance: "orders".to_owned(),
        incarnation: "db-1".to_owned(),
        kind: SnapshotKind::Manual,
        status: status.to_owned(),
        percent: 0,
        allocated_gib: 20,
        created: Some(slot.instant()),
        encrypted: true,
        kms_key: None,
        copied_from: (region == AWAY).then(|| "arn:aws:rds:home".to_owned()),
        tags: tags.map(|(key, value)| (key.to_owned(), value)).into(),
    }
}

fn plans() -> PlanDocument {
    PlanDocument::parse(r#"{"plans": {"default": {}}}"#).unwrap()
}

impl World {
    fn new(begins: Timestamp, seed: u64) -> Self {
        let mut world = Self {
            account: FakeAccount::default(),
            ledger: FakeLedger::default(),
            topic: FakeTopic::default(),
            alarms: Vec::new(),
            orders: orders(),
            shipped_until: None,
            backs_up: true,
            random: fastrand::Rng::with_seed(seed),
            now: begins,
            wakes: BTreeSet::new(),
            facts: 0,
            failed_at: None,
        };
        // Yesterday is in order, and the database has been watched for long.
        world.account.put_snapshot(HOME, point(HOME, "2026-11-21T03:00:00Z", "available"));
        world.account.put_snapshot(AWAY, point(AWAY, "2026-11-21T03:00:00Z", "available"));
        let memory = json!({"month": "2026-11", "resources": {
            "rds/orders": {"seen_since": "2026-11-01T00:00:00Z", "incarnation": "db-1", "worst": null}
        }});
        world.ledger.documents.put("watch/2026-11.json", &memory.to_string());
        for minute in 0..45 {
            let minute = begins + SignedDuration::from_mins(minute);
            for wake in [Wake::Watch, Wake::Tell] {
                let second = world.random.i64(0..60);
                world.wakes.insert((minute + seconds(second), wake));
            }
            if minute.as_second() / 60 % 5 == 0 {
                let second = world.random.i64(0..60);
                world.wakes.insert((minute + seconds(second), Wake::BackUp));
            }
        }
        world
    }

    fn journal(&self) -> reconcile::Journal<FakeLedger, FakeLedger, state::FakeDocuments> {
        self.ledger.journal()
    }

    async fn pass<R: Reconciler>(&self, function: &R, payload: Value) -> Option<reconcile::Summary> {
        let ask = R::Request::parse(payload).unwrap();
        let deadline = Deadline::after(Duration::from_mins(1));
        run(function, &self.journal(), ask, self.now, deadline, Budget::default()).await.ok()
    }

    /// Somebody's wake, and the wakes that follow from it.
    async fn wake(&mut self, wake: &Wake) {
        self.account.set_now(self.now);
        // RDS ships logs every five minutes; a minute later they can be restored.
        let shipped = Timestamp::from_second((self.now.as_second() - 60) / 300 * 300).unwrap();
        let latest = self.shipped_until.map_or(shipped, |until| until.min(shipped));
        self.orders.latest_restorable = (self.orders.retention_days > 0).then_some(latest);
        if self.orders.status != "gone" {
            self.account.put_instance(HOME, self.orders.clone());
        }
        let tick = json!({"wake": "tick"});
        match wake {
            Wake::BackUp if self.backs_up => {
                let function = BackupRds {
                    home: self.account.region(HOME),
                    recovery: self.account.region(AWAY),
                    ledger: self.ledger.clone(),
                    plans: plans(),
                    recovery_key: "key".to_owned(),
                };
                let summary = self.pass(&function, tick).await;
                let failed = summary.is_none_or(|summary| !summary.failed.is_empty());
                if failed && self.failed_at.is_none() {
                    self.failed_at = Some(self.now);
                }
            }
            Wake::BackUp => {}
            Wake::Watch | Wake::WatchForEvent => {
                let vault = FakeStore::new(HOME, "vault");
                let function = WatchRpo {
                    home: self.account.region(HOME),
                    recovery: self.account.region(AWAY),
                    caches: NoCaches,
                    turso: None::<NoOrganization>,
                    recovery_vault: vault.beside(AWAY, "recovery-vault"),
                    vault,
                    plans: plans(),
                    documents: self.ledger.documents.clone(),
                };
                let event =
                    json!({"source": "aws.rds", "detail-type": "RDS DB Instance Event", "detail": {}});
                self.pass(&function, if *wake == Wake::Watch { tick } else { event }).await;
            }
            Wake::Tell => self.tell(tick).await,
            Wake::TellOf(payload) => self.tell(serde_json::from_str(payload).unwrap()).await,
        }
        let facts = self.ledger.facts();
        if facts[self.facts..].iter().any(|fact| fact["kind"] == "findings-changed") {
            self.event(5, Wake::Tell);
        }
        self.facts = facts.len();
    }

    async fn tell(&self, payload: Value) {
        let function = SendAlert {
            alarms: self.alarms.clone(),
            topic: self.topic.clone(),
            documents: self.ledger.documents.clone(),
            manner: Manner {
                stage: "prod".to_owned(),
                prefix: "tidemark-prod-".to_owned(),
                runbooks: String::new(),
                lease: seconds(30),
                reminder: SignedDuration::from_hours(4),
            },
        };
        self.pass(&function, payload).await;
    }

    /// Something is delivered within so many seconds, and its receiver runs for a second or two.
    fn event(&mut self, within_seconds: i64, wake: Wake) {
        let second = self.random.i64(1..=within_seconds);
        self.wakes.insert((self.now + seconds(second), wake));
    }

    /// Seconds from the failure to the first alert.
    async fn play(&mut self, failure: &Failure) -> i64 {
        let happens_at = self.now + SignedDuration::from_mins(9) + seconds(self.random.i64(0..60));
        let (mut moment, mut happened) = (None, false);
        while let Some((at, wake)) = self.wakes.pop_first() {
            if !happened && at >= happens_at {
                (self.now, happened) = (happens_at, true);
                moment = (failure.happens)(self);
                self.wakes.insert((at, wake));
                continue;
            }
            self.now = at;
            self.wake(&wake).await;
            let opened = |message: &alerts::Message| message.attributes["event"] == ["opened"];
            if self.topic.published().iter().any(opened) {
                let moment = moment.or(self.failed_at).unwrap();
                assert!(happened, "{}: told before it happened: {:?}", failure.name, self.topic.published());
                return self.now.duration_since(moment).as_secs() + self.random.i64(1..=2);
            }
        }
        panic!("{}: nobody was told", failure.name)
    }
}

/// What can go wrong, and when.
const FAILURES: &[Failure] = &[
    Failure {
        name: "a snapshot is refused (its key is disabled)",
        from_slot_minutes: -10,
        happens: refuse_snapshots,
    },
    Failure { name: "the quota of snapshots is full", from_slot_minutes: -10, happens: fill_quota },
    Failure { name: "RDS gives up on a snapshot", from_slot_minutes: 5, happens: fail_snapshot },
    Failure { name: "RDS gives up on a copy", from_slot_minutes: 5, happens: fail_copy },
    Failure { name: "backup-rds never ran", from_slot_minutes: 45, happens: never_run },
    Failure { name: "a copy is missing", from_slot_minutes: 345, happens: lose_copy },
    Failure {
        name: "logs are shipped no more (RPO exceeded)",
        from_slot_minutes: 120,
        happens: stop_shipping,
    },
    Failure { name: "automated backups are turned off", from_slot_minutes: 120, happens: turn_off },
    Failure { name: "the same, and RDS's event is lost", from_slot_minutes: 120, happens: turn_off_unheard },
    Failure { name: "the instance's storage is full", from_slot_minutes: 120, happens: fill_storage },
    Failure { name: "the database is deleted", from_slot_minutes: 120, happens: delete },
    Failure { name: "replication to the recovery Region lags", from_slot_minutes: 120, happens: lag },
    Failure { name: "Lambda gives a function up", from_slot_minutes: 120, happens: give_up },
    Failure { name: "an alarm on a function stands", from_slot_minutes: 120, happens: alarm },
    Failure {
        name: "the same, and CloudWatch's event is lost",
        from_slot_minutes: 120,
        happens: alarm_unheard,
    },
];

/// The slot is in order.
fn done(world: &World) {
    world.account.put_snapshot(HOME, point(HOME, SLOT, "available"));
    world.account.put_snapshot(AWAY, point(AWAY, SLOT, "available"));
}

fn refuse_snapshots(world: &mut World) -> Option<Timestamp> {
    for _ in 0..20 {
        let error = Error::misconfigured("KMSKeyNotAccessibleFault", "the key is disabled");
        world.account.refuse_next("CreateDBSnapshot", error);
    }
    None
}

fn fill_quota(world: &mut World) -> Option<Timestamp> {
    world.account.set_quota(1);
    None
}

fn fail_snapshot(world: &mut World) -> Option<Timestamp> {
    world.account.put_snapshot(HOME, point(HOME, SLOT, "failed"));
    Some(world.now)
}

fn fail_copy(world: &mut World) -> Option<Timestamp> {
    done(world);
    world.account.put_snapshot(AWAY, point(AWAY, SLOT, "failed"));
    Some(world.now)
}

fn never_run(_: &mut World) -> Option<Timestamp> {
    Some(at(SLOT) + SignedDuration::from_mins(60))
}

fn lose_copy(_: &mut World) -> Option<Timestamp> {
    Some(at(SLOT) + SignedDuration::from_mins(360))
}

fn stop_shipping(world: &mut World) -> Option<Timestamp> {
    let until = world.orders.latest_restorable.unwrap();
    world.shipped_until = Some(until);
    Some(until + SignedDuration::from_mins(15))
}

fn turn_off(world: &mut World) -> Option<Timestamp> {
    world.event(60, Wake::WatchForEvent);
    turn_off_unheard(world)
}

fn turn_off_unheard(world: &mut World) -> Option<Timestamp> {
    world.orders.retention_days = 0;
    Some(world.now)
}

fn fill_storage(world: &mut World) -> Option<Timestamp> {
    "storage-full".clone_into(&mut world.orders.status);
    Some(world.now)
}

fn delete(world: &mut World) -> Option<Timestamp> {
    "gone".clone_into(&mut world.orders.status);
    world.account.remove_instance(HOME, "orders");
    Some(world.now)
}

fn lag(world: &mut World) -> Option<Timestamp> {
    let latest = world.now - SignedDuration::from_mins(60);
    world.account.put_automated_backup(
        AWAY,
        AutomatedBackup {
            arn: format!("arn:aws:rds:{AWAY}:123456789012:auto-backup:ab-1"),
            instance: "orders".to_owned(),
            incarnation: "db-1".to_owned(),
            status: "replicating".to_owned(),
            source_region: HOME.to_owned(),
            window: Some(PitrWindow { earliest: at("2026-11-16T00:00:00Z"), latest }),
        },
    );
    Some(world.now)
}

fn give_up(world: &mut World) -> Option<Timestamp> {
    let body = json!({
        "timestamp": world.now,
        "requestContext": {
            "functionArn": format!("arn:aws:lambda:{HOME}:123456789012:function:tidemark-prod-backup-rds"),
            "condition": "RetriesExhausted"
        },
        "responsePayload": {"errorType": "AccessDenied", "errorMessage": "not allowed"}
    });
    let records = json!({"Records": [{
        "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:tidemark-prod-failures",
        "body": body.to_string()
    }]});
    world.event(5, Wake::TellOf(records.to_string()));
    Some(world.now)
}

fn alarm(world: &mut World) -> Option<Timestamp> {
    world.event(5, Wake::Tell);
    alarm_unheard(world)
}

fn alarm_unheard(world: &mut World) -> Option<Timestamp> {
    world.alarms.push(Alarm {
        name: "tidemark-prod-backup-rds-silent".to_owned(),
        function: Some("tidemark-prod-backup-rds".to_owned()),
        description: "it has not run".to_owned(),
        reason: "no datapoints".to_owned(),
        since: Some(world.now),
    });
    Some(world.now)
}

/// The world ten minutes before that failure.
fn before(failure: &Failure, seed: u64) -> World {
    let mut world = World::new(at(SLOT) + SignedDuration::from_mins(failure.from_slot_minutes), seed);
    match failure.name {
        "backup-rds never ran" => world.backs_up = false,
        // The copy is refused as too fast, again and again: no failure of any call, and no copy either.
        "a copy is missing" => {
            world.account.put_snapshot(HOME, point(HOME, SLOT, "available"));
            world.backs_up = false;
        }
        "RDS gives up on a snapshot" => world.account.put_snapshot(HOME, point(HOME, SLOT, "creating")),
        _ if failure.from_slot_minutes > 0 => done(&world),
        _ => {}
    }
    world
}

const SEEDS: u64 = 60;

#[tokio::test]
async fn everything_that_fails_is_told_within_five_minutes_and_half_of_it_within_one() {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["from the failure to SNS", "median", "90%", "longest"]);
    let mut all = Vec::new();
    let mut slow = Vec::new();
    for failure in FAILURES {
        let mut took = Vec::new();
        for seed in 0..SEEDS {
            took.push(before(failure, seed).play(failure).await);
        }
        took.sort_unstable();
        let (median, most, longest) = (took[took.len() / 2], took[took.len() * 9 / 10], took[took.len() - 1]);
        table.add_row([
            failure.name.to_owned(),
            format!("{median} s"),
            format!("{most} s"),
            format!("{longest} s"),
        ]);
        if median >= 60 || longest >= 300 {
            slow.push(failure.name);
        }
        all.extend(took);
    }
    all.sort_unstable();
    let row = [
        "all together".to_owned(),
        format!("{} s", all[all.len() / 2]),
        format!("{} s", all[all.len() * 9 / 10]),
        format!("{} s", all[all.len() - 1]),
    ];
    table.add_row(row);
    show(&format!(
        "{table}\n({SEEDS} phases of each; simulated clock; a failure counts from when it is one, not from when its grace began)"
    ));
    assert!(slow.is_empty(), "too slow: {slow:?}");
}
