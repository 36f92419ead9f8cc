//! An RDS account in memory: stateful, with a quota, whose time a test moves and whose calls a test can break.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use domain::{RecoveryPointId, RecoveryPointState, Slot, tag};
use jiff::Timestamp;
use reconcile::{Error, Result};

use crate::{
    AutomatedBackup, Instance, NewCopy, NewSnapshot, PitrSource, Quota, Rds, Restore, RestoreFrom, Snapshot,
    SnapshotKind, Tags, Teardown, teardown,
};

/// The account: every Region of it.
#[derive(Clone, Debug, Default)]
pub struct FakeAccount(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    now: Timestamp,
    quota: Option<i64>,
    instances: BTreeMap<(String, String), Instance>,
    snapshots: BTreeMap<(String, String), Snapshot>,
    automated_backups: Vec<(String, AutomatedBackup)>,
    faults: VecDeque<(&'static str, Fault)>,
    calls: Vec<String>,
}

impl State {
    /// Instances that are being deleted go, and with each its automated backups and snapshots.
    fn forget_deleted(&mut self) {
        let Self { instances, snapshots, automated_backups, .. } = self;
        for ((region, _), gone) in instances.extract_if(.., |_, instance| instance.status == "deleting") {
            automated_backups.retain(|(at, backup)| *at != region || backup.incarnation != gone.incarnation);
            snapshots.retain(|(at, _), snapshot| {
                *at != region
                    || snapshot.kind != SnapshotKind::Automated
                    || snapshot.incarnation != gone.incarnation
            });
        }
    }
}

#[derive(Debug)]
enum Fault {
    Refuse(Error),
    LoseAnswer,
}

impl FakeAccount {
    /// What is true now.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One Region of it.
    pub fn region(&self, region: &str) -> FakeRds {
        FakeRds { account: self.clone(), region: region.to_owned() }
    }

    /// Sets the clock by which things are stamped.
    pub fn set_now(&self, now: Timestamp) {
        self.state().now = now;
    }

    /// Sets the manual-snapshot quota of every Region; 100 otherwise.
    pub fn set_quota(&self, limit: i64) {
        self.state().quota = Some(limit);
    }

    /// Adds or replaces an instance.
    pub fn put_instance(&self, region: &str, instance: Instance) {
        self.state().instances.insert((region.to_owned(), instance.id.clone()), instance);
    }

    /// Removes an instance.
    pub fn remove_instance(&self, region: &str, id: &str) {
        self.state().instances.remove(&(region.to_owned(), id.to_owned()));
    }

    /// Adds or replaces what a Region holds of one database's automated backups.
    pub fn put_automated_backup(&self, region: &str, backup: AutomatedBackup) {
        let mut state = self.state();
        let same =
            |there: &AutomatedBackup| (&there.arn, &there.incarnation) == (&backup.arn, &backup.incarnation);
        state.automated_backups.retain(|(at, there)| at != region || !same(there));
        state.automated_backups.push((region.to_owned(), backup));
    }

    /// Adds or replaces a snapshot.
    pub fn put_snapshot(&self, region: &str, snapshot: Snapshot) {
        self.state().snapshots.insert((region.to_owned(), snapshot.id.clone()), snapshot);
    }

    /// Removes a snapshot.
    pub fn remove_snapshot(&self, region: &str, id: &str) {
        self.state().snapshots.remove(&(region.to_owned(), id.to_owned()));
    }

    /// The cloud finishes whatever it was doing.
    pub fn finish(&self) {
        let mut state = self.state();
        state.forget_deleted();
        for snapshot in state.snapshots.values_mut().filter(|snapshot| snapshot.status != "failed") {
            "available".clone_into(&mut snapshot.status);
            snapshot.percent = 100;
        }
        for instance in state.instances.values_mut() {
            "available".clone_into(&mut instance.status);
        }
    }

    /// The cloud gives up on that snapshot.
    pub fn fail_snapshot(&self, region: &str, id: &str) {
        if let Some(snapshot) = self.state().snapshots.get_mut(&(region.to_owned(), id.to_owned())) {
            "failed".clone_into(&mut snapshot.status);
        }
    }

    /// The next call of `operation` (`CopyDBSnapshot`, or `us-west-2 CopyDBSnapshot`) answers `error` and does nothing.
    pub fn refuse_next(&self, operation: &'static str, error: Error) {
        self.state().faults.push_back((operation, Fault::Refuse(error)));
    }

    /// The next call of `operation` takes effect, and its answer is lost.
    pub fn lose_answer_of_next(&self, operation: &'static str) {
        self.state().faults.push_back((operation, Fault::LoseAnswer));
    }

    /// Every call so far: `us-east-1 CreateDBSnapshot`.
    pub fn calls(&self) -> Vec<String> {
        self.state().calls.clone()
    }

    /// The snapshots of a Region.
    pub fn snapshots(&self, region: &str) -> Vec<Snapshot> {
        let state = self.state();
        state
            .snapshots
            .iter()
            .filter(|((at, _), _)| at == region)
            .map(|(_, snapshot)| snapshot.clone())
            .collect()
    }
}

impl Instance {
    /// A PostgreSQL instance that is available, with automated backups and without tags.
    pub fn fake(region: &str, id: &str, incarnation: &str) -> Self {
        Self {
            id: id.to_owned(),
            arn: format!("arn:aws:rds:{region}:123456789012:db:{id}"),
            incarnation: incarnation.to_owned(),
            status: "available".to_owned(),
            engine: "postgres".to_owned(),
            class: "db.t4g.medium".to_owned(),
            allocated_gib: 20,
            latest_restorable: None,
            retention_days: 7,
            endpoint: None,
            subnet_group: None,
            security_groups: Vec::new(),
            parameter_group: None,
            option_group: None,
            multi_az: false,
            database: None,
            encrypted: true,
            kms_key: Some(format!("arn:aws:kms:{region}:123456789012:key/{id}")),
            deletion_protection: true,
            replica_of: None,
            tags: Tags::new(),
        }
    }
}

impl Snapshot {
    /// A recovery point of that slot, as backup-rds takes them under the plan `default`: available, and at once.
    pub fn fake(region: &str, instance: &str, incarnation: &str, slot: Slot) -> Self {
        let id = RecoveryPointId::new(instance, incarnation, slot, 1).to_string();
        let tags = [
            (tag::PLAN, "default".to_owned()),
            (tag::RESOURCE, format!("rds/{instance}")),
            (tag::SLOT, slot.to_string()),
        ];
        Self {
            arn: format!("arn:aws:rds:{region}:123456789012:snapshot:{id}"),
            id,
            instance: instance.to_owned(),
            incarnation: incarnation.to_owned(),
            kind: SnapshotKind::Manual,
            status: "available".to_owned(),
            percent: 100,
            allocated_gib: 20,
            created: Some(slot.instant()),
            encrypted: true,
            kms_key: None,
            copied_from: None,
            tags: tags.map(|(key, value)| (key.to_owned(), value)).into(),
        }
    }

    /// The same in another Region, copied from that one.
    #[must_use]
    pub fn fake_copy(region: &str, of: &Self) -> Self {
        let arn = format!("arn:aws:rds:{region}:123456789012:snapshot:{}", of.id);
        Self { arn, copied_from: Some(of.arn.clone()), ..of.clone() }
    }
}

/// One Region of a [`FakeAccount`].
#[derive(Clone, Debug)]
pub struct FakeRds {
    account: FakeAccount,
    region: String,
}

impl FakeRds {
    /// Records the call, meets its fault if one waits, and otherwise lets `effect` happen.
    fn call<T>(
        &self,
        operation: &'static str,
        effect: impl FnOnce(&mut State, &str) -> Result<T>,
    ) -> Result<T> {
        let mut state = self.account.state();
        state.calls.push(format!("{} {operation}", self.region));
        let here = format!("{} {operation}", self.region);
        let fault = state
            .faults
            .iter()
            .position(|(at, _)| *at == operation || *at == here)
            .and_then(|at| state.faults.remove(at));
        match fault {
            Some((_, Fault::Refuse(error))) => Err(error),
            Some((_, Fault::LoseAnswer)) => {
                effect(&mut state, &self.region)?;
                Err(Error::retryable("RequestTimedOut", "the answer was lost"))
            }
            None => effect(&mut state, &self.region),
        }
    }
}

fn add_snapshot(state: &mut State, region: &str, mut snapshot: Snapshot) -> Result<Snapshot> {
    let key = (region.to_owned(), snapshot.id.clone());
    if state.snapshots.contains_key(&key) {
        return Err(Error::permanent("DBSnapshotAlreadyExists", format!("{} exists", snapshot.id)));
    }
    let quota = quota(state, region);
    if quota.used >= quota.limit {
        return Err(Error::misconfigured("SnapshotQuotaExceeded", "the quota of manual snapshots is full"));
    }
    snapshot.created = Some(state.now);
    snapshot.arn = format!("arn:aws:rds:{region}:123456789012:snapshot:{}", snapshot.id);
    state.snapshots.insert(key, snapshot.clone());
    Ok(snapshot)
}

fn quota(state: &State, region: &str) -> Quota {
    let used = state
        .snapshots
        .iter()
        .filter(|((at, _), snapshot)| at == region && snapshot.kind == SnapshotKind::Manual)
        .count();
    Quota { used: i64::try_from(used).unwrap_or(i64::MAX), limit: state.quota.unwrap_or(100) }
}

fn blank_snapshot(id: &str, tags: &Tags) -> Snapshot {
    Snapshot {
        id: id.to_owned(),
        arn: String::new(),
        instance: String::new(),
        incarnation: String::new(),
        kind: SnapshotKind::Manual,
        status: "creating".to_owned(),
        percent: 0,
        allocated_gib: 20,
        created: None,
        encrypted: true,
        kms_key: None,
        copied_from: None,
        tags: tags.clone(),
    }
}

fn not_found(code: &str, what: &str) -> Error {
    Error::permanent(code, format!("{what} does not exist"))
}

impl Rds for FakeRds {
    fn region(&self) -> &str {
        &self.region
    }

    async fn instances(&self) -> Result<Vec<Instance>> {
        self.call("DescribeDBInstances", |state, region| {
            Ok(state
                .instances
                .iter()
                .filter(|((at, _), _)| at == region)
                .map(|(_, instance)| instance.clone())
                .collect())
        })
    }

    async fn instance(&self, id: &str) -> Result<Option<Instance>> {
        self.call("DescribeDBInstances", |state, region| {
            Ok(state.instances.get(&(region.to_owned(), id.to_owned())).cloned())
        })
    }

    async fn manual_snapshots(&self) -> Result<Vec<Snapshot>> {
        self.call("DescribeDBSnapshots", |state, region| {
            let own = |(key, snapshot): &(&(String, String), &Snapshot)| {
                key.0 == region && snapshot.kind == SnapshotKind::Manual
            };
            Ok(state.snapshots.iter().filter(own).map(|(_, snapshot)| snapshot.clone()).collect())
        })
    }

    async fn visit_manual_snapshots(&self, visit: impl FnMut(Snapshot)) -> Result<()> {
        self.manual_snapshots().await?.into_iter().for_each(visit);
        Ok(())
    }

    async fn snapshots_of(&self, instance: &str) -> Result<Vec<Snapshot>> {
        self.call("DescribeDBSnapshots", |state, region| {
            let of = |(key, snapshot): &(&(String, String), &Snapshot)| {
                key.0 == region && snapshot.instance == instance
            };
            Ok(state.snapshots.iter().filter(of).map(|(_, snapshot)| snapshot.clone()).collect())
        })
    }

    async fn snapshot(&self, id: &str) -> Result<Option<Snapshot>> {
        self.call("DescribeDBSnapshots", |state, region| {
            Ok(state.snapshots.get(&(region.to_owned(), id.to_owned())).cloned())
        })
    }

    async fn automated_backups(&self) -> Result<Vec<AutomatedBackup>> {
        self.call("DescribeDBInstanceAutomatedBackups", |state, region| {
            let here = |(at, _): &&(String, AutomatedBackup)| at == region;
            Ok(state.automated_backups.iter().filter(here).map(|(_, backup)| backup.clone()).collect())
        })
    }

    async fn automated_backups_of(&self, instance: &str) -> Result<Vec<AutomatedBackup>> {
        self.call("DescribeDBInstanceAutomatedBackups", |state, region| {
            let of = |(at, backup): &&(String, AutomatedBackup)| at == region && backup.instance == instance;
            Ok(state.automated_backups.iter().filter(of).map(|(_, backup)| backup.clone()).collect())
        })
    }

    async fn quota(&self) -> Result<Quota> {
        self.call("DescribeAccountAttributes", |state, region| Ok(quota(state, region)))
    }

    async fn create_snapshot(&self, new: &NewSnapshot) -> Result<Snapshot> {
        self.call("CreateDBSnapshot", |state, region| {
            let key = (region.to_owned(), new.instance.clone());
            let instance =
                state.instances.get(&key).ok_or_else(|| not_found("DBInstanceNotFound", &new.instance))?;
            let snapshot = Snapshot {
                instance: instance.id.clone(),
                incarnation: instance.incarnation.clone(),
                allocated_gib: instance.allocated_gib,
                ..blank_snapshot(new.id.as_str(), &new.tags)
            };
            add_snapshot(state, region, snapshot)
        })
    }

    async fn copy_snapshot(&self, new: &NewCopy) -> Result<Snapshot> {
        self.call("CopyDBSnapshot", |state, region| {
            let source = state.snapshots.values().find(|snapshot| snapshot.arn == new.source).cloned();
            let source = source.ok_or_else(|| not_found("DBSnapshotNotFound", &new.source))?;
            let copy = Snapshot {
                kms_key: Some(new.kms_key.clone()),
                copied_from: Some(source.arn.clone()),
                instance: source.instance,
                incarnation: source.incarnation,
                allocated_gib: source.allocated_gib,
                ..blank_snapshot(new.id.as_str(), &new.tags)
            };
            add_snapshot(state, region, copy)
        })
    }

    async fn delete_snapshot(&self, id: &str) -> Result<()> {
        self.call("DeleteDBSnapshot", |state, region| {
            let key = (region.to_owned(), id.to_owned());
            let is_settled = |snapshot: &Snapshot| snapshot.state() != RecoveryPointState::Pending;
            if !state.snapshots.get(&key).is_none_or(is_settled) {
                return Err(Error::permanent("InvalidDBSnapshotState", format!("{id} is being made")));
            }
            state.snapshots.remove(&key);
            Ok(())
        })
    }

    async fn tag_snapshot(&self, arn: &str, tags: &Tags) -> Result<()> {
        self.call("AddTagsToResource", |state, _| {
            let tagged = state.snapshots.values_mut().find(|snapshot| snapshot.arn == arn);
            let tagged = tagged.ok_or_else(|| not_found("DBSnapshotNotFound", arn))?;
            tagged.tags.extend(tags.clone());
            Ok(())
        })
    }

    async fn restore(&self, new: &Restore) -> Result<Instance> {
        self.call("Restore", |state, region| {
            let key = (region.to_owned(), new.instance.clone());
            if state.instances.contains_key(&key) {
                return Err(Error::permanent("DBInstanceAlreadyExists", format!("{} exists", new.instance)));
            }
            let known = match &new.from {
                RestoreFrom::Snapshot(id) => state.snapshots.contains_key(&(region.to_owned(), id.clone())),
                RestoreFrom::Instant(PitrSource::Incarnation(id), _) => state
                    .automated_backups
                    .iter()
                    .any(|(at, backup)| at == region && backup.incarnation == *id),
                RestoreFrom::Instant(PitrSource::AutomatedBackup(arn), _) => {
                    state.automated_backups.iter().any(|(at, backup)| at == region && backup.arn == *arn)
                }
            };
            if !known {
                return Err(not_found("DBSnapshotNotFound", "what to restore from"));
            }
            let made = Instance {
                status: "creating".to_owned(),
                class: new.class.clone().unwrap_or_default(),
                deletion_protection: false,
                subnet_group: new.subnet_group.clone(),
                security_groups: new.security_groups.clone(),
                parameter_group: new.parameter_group.clone(),
                option_group: new.option_group.clone(),
                multi_az: new.multi_az,
                tags: new.tags.clone(),
                ..Instance::fake(region, &new.instance, &format!("db-{}", new.instance.to_uppercase()))
            };
            state.instances.insert(key, made.clone());
            Ok(made)
        })
    }
}

impl Teardown for FakeRds {
    async fn delete_instance(&self, id: &str) -> Result<()> {
        teardown::check(id)?;
        self.call("DeleteDBInstance", |state, region| {
            let Some(instance) = state.instances.get_mut(&(region.to_owned(), id.to_owned())) else {
                return Ok(());
            };
            if instance.deletion_protection {
                let says = format!("{id} has deletion protection");
                return Err(Error::misconfigured("InvalidParameterCombination", says));
            }
            if instance.status == "deleting" {
                let says = format!("{id} is already being deleted");
                return Err(Error::retryable("InvalidDBInstanceState", says));
            }
            "deleting".clone_into(&mut instance.status);
            Ok(())
        })
    }
}
