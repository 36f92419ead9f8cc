//! Lifecycle events, as RDS words them (RDS User Guide, "Amazon RDS event categories and event messages").

use jiff::Timestamp;
use serde_json::json;

use crate::Event;
use crate::state::Region;

/// How many a Region remembers. AWS keeps 14 days.
const REMEMBERED: usize = 10_000;

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Instance,
    Snapshot,
}

impl Source {
    /// As `DescribeEvents` writes it.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Instance => "db-instance",
            Self::Snapshot => "db-snapshot",
        }
    }

    fn arn_kind(self) -> &'static str {
        match self {
            Self::Instance => "db",
            Self::Snapshot => "snapshot",
        }
    }
}

/// One remembered event.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// Ascending, for pages.
    pub(crate) number: u64,
    pub(crate) source: Source,
    pub(crate) identifier: String,
    pub(crate) arn: String,
    pub(crate) category: &'static str,
    pub(crate) message: String,
    pub(crate) time: Timestamp,
}

/// An event's number, category and message.
pub(crate) struct Notice(&'static str, &'static str, String);

macro_rules! notices {
    ($($name:ident($($argument:ident),*) = $id:literal $category:literal $message:literal;)*) => {
        impl Notice {
            $(pub(crate) fn $name($($argument: &str),*) -> Self {
                Self(concat!("RDS-EVENT-", $id), $category, format!($message))
            })*
        }
    };
}

notices! {
    backing_up() = "0001" "backup" "Backing up DB instance";
    backed_up() = "0002" "backup" "Finished DB Instance backup";
    instance_deleted() = "0003" "deletion" "DB instance deleted";
    instance_created() = "0005" "creation" "DB instance created";
    class_changed() = "0014" "configuration change" "Finished applying modification to DB instance class";
    password_changed() = "0016" "configuration change" "Reset master credentials";
    storage_changed() = "0017" "configuration change" "Finished applying modification to allocated storage";
    recovered(source, target) = "0019" "restoration" "Restored from DB instance {source} to {target}";
    backups_off() = "0028" "configuration change" "Disabled automated backups";
    instance_failed() = "0031" "failure" "DB instance put into failed state. RDS recommends that you initiate a \
         point-in-time-restore.";
    backups_on() = "0032" "configuration change" "Enabled automated backups";
    renamed(old, new) = "0172" "notification" "Renamed instance from {old} to {new}";
    snapshot_started() = "0040" "creation" "Creating manual snapshot";
    snapshot_deleted() = "0041" "deletion" "Deleted manual snapshot";
    snapshot_created() = "0042" "creation" "Manual snapshot created";
    restored(snapshot) = "0043" "restoration" "Restored from snapshot {snapshot}";
    remote_copy_started(snapshot, region) = "0059" "notification" "Started copy of snapshot {snapshot} from region {region}";
    remote_copy_finished(snapshot, region) = "0060" "notification" "Finished copy of snapshot {snapshot} from region {region}";
    remote_copy_cancelled(snapshot, region) = "0061" "notification" "Canceled snapshot copy request of {snapshot} from region {region}";
    automated_started() = "0090" "creation" "Creating automated snapshot";
    automated_created() = "0091" "creation" "Automated snapshot created";
    copy_cancelled(snapshot, region) = "0190" "notification" "Canceled snapshot copy request of {snapshot} in region {region}";
    copy_started(snapshot, region) = "0196" "notification" "Started copy of snapshot {snapshot} in region {region}";
    copy_finished(snapshot, region) = "0197" "notification" "Finished copy of snapshot {snapshot} in region {region}";
}

impl Region {
    /// Remembers what happened to an instance, and tells the bus.
    pub(crate) fn instance_event(&mut self, identifier: &str, notice: Notice) {
        self.event(Source::Instance, identifier, notice);
    }

    /// Remembers what happened to a snapshot, and tells the bus.
    pub(crate) fn snapshot_event(&mut self, identifier: &str, notice: Notice) {
        self.event(Source::Snapshot, identifier, notice);
    }

    fn event(&mut self, source: Source, identifier: &str, Notice(id, category, message): Notice) {
        let time = self.clock.now();
        let arn = self.arn(source.arn_kind(), identifier);
        let (detail_type, source_type) = match source {
            Source::Instance => ("RDS DB Instance Event", "DB_INSTANCE"),
            Source::Snapshot => ("RDS DB Snapshot Event", "SNAPSHOT"),
        };
        self.outbox.push(Event {
            source: "aws.rds",
            detail_type,
            time,
            resources: vec![arn.clone()],
            detail: json!({
                "EventCategories": [category],
                "SourceType": source_type,
                "SourceArn": arn,
                "Date": aws_query::time(time),
                "Message": message,
                "SourceIdentifier": identifier,
                "EventID": id,
            }),
        });
        let number = self.events.back().map_or(0, |last| last.number + 1);
        let identifier = identifier.to_owned();
        self.events.push_back(Record { number, source, identifier, arn, category, message, time });
        if self.events.len() > REMEMBERED {
            self.events.pop_front();
        }
    }
}
