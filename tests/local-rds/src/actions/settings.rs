//! Settings of new instances, from requests to create and to restore.

use aws_query::{Fault, Parameters, identifier};

use crate::Quotas;
use crate::documents::DEFAULT_CA;
use crate::faults;
use crate::identifiers::{INSTANCE, resource_id};
use crate::state::{Data, Deferred, Instance, InstanceStatus, Region, Tags, Traits};

use super::tags;

/// The tag that asks for an instance without a server, and its value.
const SIMULATED: (&str, &str) = ("local-cloud:data", "simulated");

/// Whether the tags ask for simulated data.
pub(super) fn simulated(tags: &Tags) -> bool {
    tags.get(SIMULATED.0).is_some_and(|value| value == SIMULATED.1)
}

/// Checks a retention period.
pub(super) fn retention(parameters: &Parameters) -> Result<Option<u32>, Fault> {
    match parameters.integer("BackupRetentionPeriod")? {
        Some(days @ 36..) => Err(Fault::invalid_value(format!(
            "Invalid backup retention period: {days}. Must be between 0 and 35."
        ))),
        days => Ok(days),
    }
}

/// Checks an instance class.
pub(super) fn class(parameters: &Parameters) -> Result<Option<String>, Fault> {
    match parameters.get("DBInstanceClass") {
        Some(class) if !class.starts_with("db.") => {
            Err(Fault::invalid_value(format!("Invalid DB Instance class: {class}")))
        }
        class => Ok(class.map(str::to_owned)),
    }
}

/// Checks a size, in GiB.
pub(super) fn storage(parameters: &Parameters) -> Result<Option<u32>, Fault> {
    match parameters.integer("AllocatedStorage")? {
        Some(gib) if !(5..=65_536).contains(&gib) => Err(Fault::invalid_value(format!(
            "Invalid storage size for engine name postgres and storage type gp3: {gib}"
        ))),
        gib => Ok(gib),
    }
}

/// Checks a password as RDS for `PostgreSQL` does.
pub(super) fn password(parameters: &Parameters) -> Result<Option<String>, Fault> {
    let Some(password) = parameters.get("MasterUserPassword") else { return Ok(None) };
    let refused = |why: &str| {
        Err(Fault::invalid_value(format!("The parameter MasterUserPassword is not a valid password{why}")))
    };
    if password.len() < 8 {
        return refused(" because it is shorter than 8 characters.");
    }
    if password.len() > 128 {
        return refused(" because it is longer than 128 characters.");
    }
    if !password.chars().all(|c| c.is_ascii_graphic() && !"/@\"".contains(c)) {
        return refused(". Only printable ASCII characters besides '/', '@', '\"', ' ' may be used.");
    }
    Ok(Some(password.to_owned()))
}

/// Checks a window of the day, `HH:MM-HH:MM`.
pub(super) fn backup_window(parameters: &Parameters) -> Result<Option<String>, Fault> {
    let Some(window) = parameters.get("PreferredBackupWindow") else { return Ok(None) };
    let time = |text: &str| text.parse::<jiff::civil::Time>().is_ok() && text.len() == 5;
    match window.split_once('-') {
        Some((from, to)) if time(from) && time(to) => Ok(Some(window.to_owned())),
        _ => Err(Fault::invalid_value(format!("Invalid backup window: {window}"))),
    }
}

/// The identifier of a new instance, which must be free.
pub(super) fn new_identifier(
    region: &Region,
    quotas: Quotas,
    parameter: &str,
    text: &str,
) -> Result<String, Fault> {
    let id = identifier(parameter, text, INSTANCE)?;
    if region.instances.contains_key(&id) {
        return Err(faults::instance_exists("DB instance already exists"));
    }
    if region.instances.len() >= quotas.instances {
        return Err(faults::instance_quota("DB instance quota exceeded"));
    }
    Ok(id)
}

/// A new instance: what the request names, else what `traits` has, else RDS's defaults.
///
/// A restore does not take over the source's groups, settings and tags (`RestoreDBInstanceToPointInTime`, API
/// reference): whoever restores has to name them.
pub(super) fn instance(
    parameters: &Parameters,
    region: &str,
    mut traits: Traits,
    default_class: &str,
) -> Result<Instance, Fault> {
    let major = traits.engine_version.split('.').next().unwrap_or_default().to_owned();
    let engine = traits.engine.clone();
    let named = |name: &str, default: String| parameters.owned(name).unwrap_or(default);
    traits.resource_id = resource_id();
    traits.created = None;
    traits.retention_days = retention(parameters)?.unwrap_or(traits.retention_days);
    traits.backup_window = backup_window(parameters)?.unwrap_or(traits.backup_window);
    traits.storage_type = named("StorageType", traits.storage_type);
    traits.iops = parameters.integer("Iops")?.or(traits.iops);
    traits.zone = named("AvailabilityZone", format!("{region}a"));
    traits.option_group = named("OptionGroupName", format!("default:{engine}-{major}"));
    traits.iam_authentication =
        parameters.boolean("EnableIAMDatabaseAuthentication")?.unwrap_or(traits.iam_authentication);
    if let Some(gib) = storage(parameters)? {
        if gib < traits.allocated_storage_gib {
            return Err(Fault::invalid_value(format!(
                "The allocated storage size {gib} must not be smaller than that of the source, {}.",
                traits.allocated_storage_gib
            )));
        }
        traits.allocated_storage_gib = gib;
    }
    let mut security_groups = parameters.strings("VpcSecurityGroupIds");
    if security_groups.is_empty() {
        security_groups.push(DEFAULT_SECURITY_GROUP.to_owned());
    }
    Ok(Instance {
        status: InstanceStatus::Creating,
        class: class(parameters)?.unwrap_or_else(|| default_class.to_owned()),
        maintenance_window: named("PreferredMaintenanceWindow", "sun:05:00-sun:05:30".to_owned()),
        security_groups,
        parameter_group: named("DBParameterGroupName", format!("default.{engine}{major}")),
        subnet_group: named("DBSubnetGroupName", "default".to_owned()),
        multi_az: parameters.boolean("MultiAZ")?.unwrap_or(false),
        public: parameters.boolean("PubliclyAccessible")?.unwrap_or(false),
        ca: named("CACertificateIdentifier", DEFAULT_CA.to_owned()),
        copy_tags: parameters.boolean("CopyTagsToSnapshot")?.unwrap_or(false),
        deletion_protection: parameters.boolean("DeletionProtection")?.unwrap_or(false),
        tags: tags::read(parameters)?,
        pending: Deferred::default(),
        address: None,
        data: Data::None,
        traits,
    })
}

/// That of the one network there is.
const DEFAULT_SECURITY_GROUP: &str = "sg-0d0c0ffee0d0c0ffe";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Parameters {
        Parameters::parse(body.as_bytes()).unwrap()
    }

    #[test]
    fn passwords_are_checked_as_rds_does() {
        for bad in ["short", "with+space%20", "with%40sign", "with/slash", &"x".repeat(129)] {
            assert!(password(&parse(&format!("MasterUserPassword={bad}"))).is_err(), "{bad}");
        }
        assert!(password(&parse("MasterUserPassword=it's-fine;%24")).unwrap().is_some());
    }

    #[test]
    fn windows_and_numbers_are_checked() {
        assert!(backup_window(&parse("PreferredBackupWindow=03:00-03:30")).unwrap().is_some());
        for bad in ["3-4", "25:00-26:00", "03:00"] {
            assert!(backup_window(&parse(&format!("PreferredBackupWindow={bad}"))).is_err(), "{bad}");
        }
        assert!(retention(&parse("BackupRetentionPeriod=36")).is_err());
        assert!(storage(&parse("AllocatedStorage=4")).is_err());
        assert!(class(&parse("DBInstanceClass=large")).is_err());
    }
}
