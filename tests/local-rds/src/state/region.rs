//! One Region: Regions know nothing of each other.

use std::collections::{BTreeMap, VecDeque};

use aws_query::{Clock, Fault};

use super::{AutomatedBackup, Instance, Snapshot, SnapshotKind};
use crate::events::Record;
use crate::faults;
use crate::identifiers::ARNS;

/// What one Region holds, by identifier.
pub(crate) struct Region {
    pub(crate) name: String,
    pub(crate) account: String,
    pub(crate) clock: Clock,
    pub(crate) instances: BTreeMap<String, Instance>,
    pub(crate) snapshots: BTreeMap<String, Snapshot>,
    pub(crate) backups: BTreeMap<String, AutomatedBackup>,
    /// The latest events, oldest first.
    pub(crate) events: VecDeque<Record>,
    /// Events for the bus that are handed over once the state is unlocked.
    pub(crate) outbox: Vec<crate::Event>,
}

impl Region {
    pub(crate) fn new(name: &str, account: &str, clock: Clock) -> Self {
        Self {
            name: name.to_owned(),
            account: account.to_owned(),
            clock,
            instances: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            backups: BTreeMap::new(),
            events: VecDeque::new(),
            outbox: Vec::new(),
        }
    }

    pub(crate) fn arn(&self, kind: &str, name: &str) -> String {
        ARNS.text(&self.name, &self.account, kind, name)
    }

    /// The identifier that `text` (an identifier or an ARN of this Region) names.
    pub(crate) fn local<'a>(&self, text: &'a str, kind: &str) -> Option<std::borrow::Cow<'a, str>> {
        match ARNS.parse(text) {
            None => Some(text.to_ascii_lowercase().into()),
            Some(arn)
                if (arn.kind.as_str(), &arn.region, &arn.account) == (kind, &self.name, &self.account) =>
            {
                Some(arn.name.to_ascii_lowercase().into())
            }
            Some(_) => None,
        }
    }

    /// The instance that an identifier or ARN names.
    pub(crate) fn instance(&mut self, text: &str) -> Result<&mut Instance, Fault> {
        self.local(text, "db")
            .and_then(|id| self.instances.get_mut(id.as_ref()))
            .ok_or_else(|| faults::instance_not_found(format!("DBInstance {text} not found.")))
    }

    /// The snapshot that an identifier or ARN names.
    pub(crate) fn snapshot(&mut self, text: &str) -> Result<&mut Snapshot, Fault> {
        self.local(text, "snapshot")
            .and_then(|id| self.snapshots.get_mut(id.as_ref()))
            .ok_or_else(|| faults::snapshot_not_found(format!("DBSnapshot {text} not found.")))
    }

    /// The automated backup that an ARN names.
    pub(crate) fn backup(&mut self, arn: &str) -> Result<&mut AutomatedBackup, Fault> {
        self.local(arn, "auto-backup")
            .and_then(|id| self.backups.get_mut(id.as_ref()))
            .ok_or_else(|| faults::backup_not_found(format!("The automated backup {arn} was not found.")))
    }

    /// The instance with a resource id, whatever it is called by now.
    pub(crate) fn by_resource(&mut self, resource_id: &str) -> Option<&mut Instance> {
        self.instances.values_mut().find(|instance| instance.traits.resource_id == resource_id)
    }

    /// The automated backup of an instance of this Region.
    pub(crate) fn own_backup(&mut self, resource_id: &str) -> Option<&mut AutomatedBackup> {
        self.backups.values_mut().find(|backup| !backup.replica && backup.traits.resource_id == resource_id)
    }

    /// The snapshot that was created under this number, unless it was deleted.
    pub(crate) fn numbered(&mut self, id: &str, number: u64) -> Option<&mut Snapshot> {
        self.snapshots.get_mut(id).filter(|snapshot| snapshot.number == number)
    }

    /// How many count against the quota.
    pub(crate) fn manual_snapshots(&self) -> usize {
        self.snapshots.values().filter(|snapshot| snapshot.kind == SnapshotKind::Manual).count()
    }

    /// Copies from other Regions under way.
    pub(crate) fn incoming_copies(&self) -> usize {
        self.snapshots
            .values()
            .filter(|snapshot| snapshot.source_arn.is_some() && snapshot.creating())
            .count()
    }
}
