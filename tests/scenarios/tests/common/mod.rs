//! One cloud for a whole test binary: started by the first test that needs it, ended with the process by its guard.

use std::{collections::BTreeSet, sync::LazyLock};

use domain::{RecoveryPointId, ResourceId, Schedule, Slot, tag};
use jiff::{SignedDuration, Timestamp};
use local_cloud::{CallFilter, Cloud, Options, Progress};
use local_rds::{Quotas, Seed, SeedSnapshot};

struct Lines;

impl Progress for Lines {
    fn step(&self, line: &str) {
        eprintln!("{line}");
    }
}

#[allow(dead_code, reason = "not every test binary shares one")]
static CLOUD: LazyLock<Cloud> = LazyLock::new(start);

/// Starts one more.
pub(crate) fn start() -> Cloud {
    // A runtime of its own: the first test's would end with that test.
    let start = || {
        tokio::runtime::Runtime::new()
            .unwrap()
            .block_on(Cloud::start(Options::default(), std::sync::Arc::new(Lines)))
    };
    std::thread::spawn(start).join().unwrap().unwrap()
}

/// The cloud that the tests of this binary share.
#[allow(dead_code, reason = "not every test binary shares one")]
pub(crate) fn cloud() -> &'static Cloud {
    &CLOUD
}

/// The RDS calls of a function that changed something, about resources that hold `name` in theirs. One that RDS refused,
/// because another invocation had been quicker, changed nothing.
#[allow(dead_code, reason = "not every test binary looks at calls")]
pub(crate) fn changes(function: &str, name: &str) -> Vec<String> {
    let reads = BTreeSet::from(["Describe", "List"]);
    cloud()
        .calls(&CallFilter::all().service("rds").function(function))
        .into_iter()
        .filter(|call| call.error_code.is_none() && !reads.iter().any(|read| call.action.starts_with(read)))
        .filter(|call| call.resource.as_deref().is_some_and(|resource| resource.contains(name)))
        .map(|call| call.action)
        .collect()
}

/// A simulated instance under the default plan, with a recovery point for each of `slots`.
#[allow(dead_code, reason = "not every test binary seeds")]
pub(crate) fn protected(name: &str, slots: &[Slot]) -> Seed {
    let mut seed = Seed::new(name, Timestamp::now() - SignedDuration::from_hours(24 * 60));
    seed.tags.insert(tag::PLAN.to_owned(), "default".to_owned());
    seed.snapshots = slots.iter().map(|slot| recovery_point(name, *slot)).collect();
    seed
}

#[allow(dead_code, reason = "not every test binary seeds")]
fn recovery_point(name: &str, slot: Slot) -> SeedSnapshot {
    let tags = [
        (tag::PLAN, "default".to_owned()),
        (tag::RESOURCE, ResourceId::rds(name).to_string()),
        (tag::SLOT, slot.to_string()),
    ];
    SeedSnapshot {
        identifier: RecoveryPointId::new(name, name, slot, 1).to_string(),
        // Taken so long ago that the ledger is not asked about it any more.
        taken: slot.instant() - SignedDuration::from_hours(15 * 24),
        tags: tags.map(|(key, value)| (key.to_owned(), value)).into(),
    }
}

/// The last `count` slots of the default plan, the current one first.
#[allow(dead_code, reason = "not every test binary seeds")]
pub(crate) fn slots(count: i64) -> Vec<Slot> {
    let schedule = Schedule::parse("0 3 * * *", "UTC").unwrap();
    let current = schedule.latest_at(Timestamp::now()).unwrap();
    (0..count).map(|day| Slot::at(current.instant() - SignedDuration::from_hours(24 * day))).collect()
}

/// Room for whatever a test needs.
#[allow(dead_code, reason = "not every test binary needs it")]
pub(crate) fn big_account() -> Quotas {
    Quotas { instances: 10_000, manual_snapshots: 100_000, ..Quotas::default() }
}
