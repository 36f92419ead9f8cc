//! An account in which one resource is protected and all is in order, and the wakes of the functions.

use std::{cell::Cell, collections::BTreeSet, time::Duration};

use alarms::Alarm;
use alerts::{FakeTopic, Message};
use domain::{Engine, PlanDocument, Schedule, tag};
use jiff::{SignedDuration, Timestamp};
use rds::{FakeAccount, Instance};
use reconcile::{Budget, Deadline, Reconciler, Request, Summary, run};
use redis::elasticache::{Cache, CacheKind, FakeAccount as FakeCaches, SnapshotState};
use serde_json::{Value, json};
use tempfile::TempDir;
use turso::FakeTurso;
use vault::{FakeLedger, FakeStore, Replication};

use crate::{failures::Failure, points};

pub(crate) const HOME: &str = "us-east-1";
pub(crate) const AWAY: &str = "us-west-2";

/// The Turso database.
pub(crate) const USERS: &str = "users";

const PLANS: &str = r#"{"plans": {"default": {}}}"#;
const PLANS_FOR_TURSO: &str = r#"{"plans": {"default": {"turso": {"databases": ["production/*"]}}}}"#;

thread_local! {
    static NOW: Cell<Timestamp> = const { Cell::new(Timestamp::UNIX_EPOCH) };
}

/// What time it is in the world that plays.
pub(crate) fn clock() -> Timestamp {
    NOW.get()
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) const fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

/// One failure, from the minutes before it to its alert.
pub(crate) struct World {
    /// What is protected is of that engine.
    pub(crate) engine: Engine,
    pub(crate) account: FakeAccount,
    pub(crate) caches: FakeCaches,
    pub(crate) turso: FakeTurso,
    /// The token in the organization's secret.
    pub(crate) token: &'static str,
    pub(crate) vault: FakeStore,
    pub(crate) recovery_vault: FakeStore,
    pub(crate) exports: FakeStore,
    pub(crate) ledger: FakeLedger,
    pub(crate) topic: FakeTopic,
    pub(crate) alarms: Vec<Alarm>,
    pub(crate) plans: PlanDocument,
    pub(crate) orders: Instance,
    /// Logs are shipped up to here and no further.
    pub(crate) shipped_until: Option<Timestamp>,
    /// What ElastiCache exports of a shard.
    pub(crate) exported: Vec<u8>,
    /// The function that backs up is woken.
    pub(crate) backs_up: bool,
    /// Where backup-turso copies to.
    pub(crate) disk: TempDir,
    pub(crate) now: Timestamp,
    random: fastrand::Rng,
    wakes: BTreeSet<(Timestamp, Wake)>,
    /// Facts that were looked at.
    facts: usize,
    /// When the function that backs up first said that something is wrong.
    found_at: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wake {
    BackUp,
    Watch,
    WatchForEvent,
    Tell,
    TellOf(String),
}

fn orders() -> Instance {
    let tags = [(tag::PLAN.to_owned(), "default".to_owned())].into();
    Instance { tags, ..Instance::fake(HOME, "orders", points::incarnation(Engine::Rds)) }
}

pub(crate) fn sessions() -> Cache {
    let tags = [(tag::PLAN.to_owned(), "default".to_owned())].into();
    let incarnation = points::incarnation(Engine::Redis);
    Cache { tags, ..Cache::fake(CacheKind::ReplicationGroup, "sessions", incarnation, 1) }
}

impl World {
    /// The world some minutes before that failure.
    pub(crate) fn before(failure: &Failure, seed: u64) -> Self {
        let begins = at(failure.slot) + minutes(failure.from_slot_minutes);
        let mut world = Self::in_order(failure.engine, begins, seed);
        (failure.before)(&mut world);
        world
    }

    /// Something is protected, has been for long, and has its recovery points and copies.
    fn in_order(engine: Engine, begins: Timestamp, seed: u64) -> Self {
        let vault = FakeStore::new(HOME, "vault");
        let plans = if engine == Engine::Turso { PLANS_FOR_TURSO } else { PLANS };
        let mut world = Self {
            engine,
            account: FakeAccount::default(),
            caches: FakeCaches::default(),
            turso: FakeTurso::default(),
            token: FakeTurso::TOKEN,
            recovery_vault: vault.beside(AWAY, "recovery-vault"),
            exports: vault.beside(HOME, "exports"),
            vault,
            ledger: FakeLedger::default(),
            topic: FakeTopic::default(),
            alarms: Vec::new(),
            plans: PlanDocument::parse(plans).unwrap(),
            orders: orders(),
            shipped_until: None,
            exported: points::rdb(),
            backs_up: true,
            disk: TempDir::new().unwrap(),
            now: begins,
            random: fastrand::Rng::with_seed(seed),
            wakes: BTreeSet::new(),
            facts: 0,
            found_at: None,
        };
        world.vault.replicate_to(&world.recovery_vault, Replication::On);
        let (slots, hours) = match engine {
            Engine::Redis => {
                world.caches.put_cache(sessions());
                (4, 6)
            }
            Engine::Turso => {
                let users = FakeTurso::listed(USERS, points::incarnation(engine), "production");
                world.turso.put(users, "CREATE TABLE rows(x); INSERT INTO rows VALUES ('first')");
                (9, 1)
            }
            Engine::Rds | Engine::Tidemark => (2, 24),
        };
        let newest = world.schedule().latest_at(begins).unwrap().instant();
        for ago in 0..slots {
            world.complete(newest - minutes(60 * hours * ago), points::BYTES);
        }
        let incarnation = points::incarnation(engine);
        let memory = json!({"month": "2026-11", "resources": {
            points::resource(engine).to_string():
                {"seen_since": "2026-11-01T00:00:00Z", "incarnation": incarnation, "worst": null}
        }});
        world.ledger.documents.put("watch/2026-11.json", &memory.to_string());
        world.set_schedules();
        world
    }

    fn schedule(&self) -> &Schedule {
        &self.plans.get("default").unwrap().schedules[&self.engine]
    }

    /// The wakes of half an hour. What is woken every five minutes is so since it was deployed.
    fn set_schedules(&mut self) {
        let slot = self.schedule().next_after(self.now - seconds(1)).unwrap().instant();
        let phase = self.random.i64(0..5);
        for minute in 0..30 {
            let minute = self.now + minutes(minute);
            let mut wakes = vec![Wake::Watch, Wake::Tell];
            if minute == slot || minute.as_second() / 60 % 5 == phase {
                wakes.push(Wake::BackUp);
            }
            for wake in wakes {
                let second = self.random.i64(0..60);
                self.wakes.insert((minute + seconds(second), wake));
            }
        }
    }

    /// The cloud goes on to `now`.
    fn go_on(&mut self) {
        NOW.set(self.now);
        self.account.set_now(self.now);
        self.caches.set_now(self.now);
        self.vault.set_now(self.now);
        // RDS ships logs every five minutes; a minute later they can be restored.
        let shipped = Timestamp::from_second((self.now.as_second() - 60) / 300 * 300).unwrap();
        let latest = self.shipped_until.map_or(shipped, |until| until.min(shipped));
        self.orders.latest_restorable = (self.orders.retention_days > 0).then_some(latest);
        if self.engine == Engine::Rds && self.orders.status != "gone" {
            self.account.put_instance(HOME, self.orders.clone());
        }
    }

    /// ElastiCache has done what it was asked for when backup-redis looks again.
    fn export(&self) {
        let is_busy = |state| state == SnapshotState::Busy;
        if self.caches.snapshots().iter().any(|snapshot| is_busy(snapshot.state())) {
            for (_, key, _) in self.caches.finish() {
                self.exports.put(&key, self.exported.clone());
            }
        }
    }

    async fn pass<R: Reconciler>(&self, function: &R, payload: Value) -> Option<Summary> {
        let ask = R::Request::parse(payload).unwrap();
        let deadline = Deadline::after(Duration::from_mins(1));
        run(function, &self.ledger.journal(), ask, self.now, deadline, Budget::default()).await.ok()
    }

    /// Somebody's wake, and the wakes that follow from it.
    async fn wake(&mut self, wake: &Wake) {
        self.go_on();
        let tick = json!({"wake": "tick"});
        match wake {
            Wake::BackUp if self.backs_up => self.back_up(tick).await,
            Wake::BackUp => {}
            Wake::Watch => _ = self.pass(&self.watch_rpo(), tick).await,
            Wake::WatchForEvent => {
                let event =
                    json!({"source": "aws.rds", "detail-type": "RDS DB Instance Event", "detail": {}});
                self.pass(&self.watch_rpo(), event).await;
            }
            Wake::Tell => _ = self.pass(&self.send_alert(), tick).await,
            Wake::TellOf(payload) => {
                _ = self.pass(&self.send_alert(), serde_json::from_str(payload).unwrap()).await;
            }
        }
        let facts = self.ledger.facts();
        if facts[self.facts..].iter().any(|fact| fact["kind"] == "findings-changed") {
            self.event(5, Wake::Tell);
        }
        self.facts = facts.len();
    }

    async fn back_up(&mut self, tick: Value) {
        let summary = match self.engine {
            Engine::Redis => {
                self.export();
                self.pass(&self.backup_redis(), tick).await
            }
            Engine::Turso => self.pass(&self.backup_turso(), tick).await,
            Engine::Rds | Engine::Tidemark => self.pass(&self.backup_rds(), tick).await,
        };
        let is_wrong = |summary: Summary| !summary.failed.is_empty() || summary.findings > Some(0);
        // One that only writes it down has found it as well.
        let is_recorded = || self.ledger.entries().values().any(|entry| entry["outcome"] != "completed");
        if self.found_at.is_none() && (summary.is_none_or(is_wrong) || is_recorded()) {
            self.found_at = Some(self.now);
        }
    }

    /// Something is delivered within so many seconds, and its receiver runs for a second or two.
    pub(crate) fn event(&mut self, within_seconds: i64, wake: Wake) {
        let second = self.random.i64(1..=within_seconds);
        self.wakes.insert((self.now + seconds(second), wake));
    }

    /// Seconds from the failure to the first alert of it.
    pub(crate) async fn play(&mut self, failure: &Failure) -> i64 {
        let happens_at = self.now + minutes(1) + seconds(self.random.i64(0..60));
        let (mut moment, mut happened) = (None, false);
        while let Some((at, wake)) = self.wakes.pop_first() {
            if !happened && at >= happens_at {
                (self.now, happened) = (happens_at, true);
                self.go_on();
                moment = (failure.happens)(self);
                self.wakes.insert((at, wake));
                continue;
            }
            self.now = at;
            self.wake(&wake).await;
            let published = self.topic.published();
            assert!(
                happened || published.is_empty(),
                "{}: told before it happened: {published:?}",
                failure.name
            );
            if published.iter().any(|message| failure.is_told_by(message)) {
                let strays: Vec<&Message> =
                    published.iter().filter(|message| !failure.has_to_do_with(message)).collect();
                assert!(strays.is_empty(), "{}: something else is wrong: {strays:?}", failure.name);
                let moment = moment.or(self.found_at).unwrap();
                return self.now.duration_since(moment).as_secs() + self.random.i64(1..=2);
            }
        }
        panic!("{}: nobody was told; told was {:?}", failure.name, self.topic.published())
    }
}
