//! The errors a caller may get, with AWS's own codes and statuses (botocore's model of RDS 2014-10-31).

/// An error of the RDS API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// HTTP status.
    pub(crate) status: u16,
    /// The code in the document, which is what clients match on.
    pub(crate) code: &'static str,
    /// For people.
    pub(crate) message: String,
}

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident = $status:literal $code:literal;)*) => {
        $(
            $(#[$doc])*
            pub(crate) fn $name(message: impl Into<String>) -> Self {
                Self { status: $status, code: $code, message: message.into() }
            }
        )*
    };
}

impl Fault {
    faults! {
        backup_not_found = 404 "DBInstanceAutomatedBackupNotFound";
        backup_quota = 400 "DBInstanceAutomatedBackupQuotaExceeded";
        backup_state = 400 "InvalidDBInstanceAutomatedBackupState";
        instance_exists = 400 "DBInstanceAlreadyExists";
        instance_not_found = 404 "DBInstanceNotFound";
        instance_quota = 400 "InstanceQuotaExceeded";
        instance_state = 400 "InvalidDBInstanceState";
        internal = 500 "InternalFailure";
        invalid_action = 400 "InvalidAction";
        invalid_combination = 400 "InvalidParameterCombination";
        invalid_value = 400 "InvalidParameterValue";
        key_not_accessible = 400 "KMSKeyNotAccessibleFault";
        malformed = 400 "MalformedQueryString";
        missing_action = 400 "MissingAction";
        missing_parameter = 400 "MissingParameter";
        restore_not_enabled = 400 "PointInTimeRestoreNotEnabled";
        sharing_quota = 400 "SharedSnapshotQuotaExceeded";
        snapshot_exists = 400 "DBSnapshotAlreadyExists";
        snapshot_not_found = 404 "DBSnapshotNotFound";
        snapshot_quota = 400 "SnapshotQuotaExceeded";
        snapshot_state = 400 "InvalidDBSnapshotState";
    }
}
