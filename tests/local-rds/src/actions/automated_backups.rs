//! `DescribeDBInstanceAutomatedBackups`, `DeleteDBInstanceAutomatedBackup`.

use aws_query::{Element, Fault, Filters, Page, same};

use super::{Answer, PAGING, Request, result};
use crate::documents;
use crate::faults;
use crate::state::{AutomatedBackup, BackupStatus};
use crate::work;

const FILTERS: [&str; 3] = ["status", "db-instance-id", "dbi-resource-id"];

pub(super) fn describe(request: &Request) -> Answer {
    let parameters = &request.parameters;
    let page = Page::of(parameters, PAGING)?;
    let filters = Filters::of(parameters, &FILTERS)?;
    let (instance, resource_id) = (parameters.get("DBInstanceIdentifier"), parameters.get("DbiResourceId"));
    request.plane.region(&request.region, |region| {
        let wanted = match parameters.get("DBInstanceAutomatedBackupsArn") {
            Some(arn) => Some(region.backup(arn)?.id.clone()),
            None => None,
        };
        let region = &*region;
        let asked = |asked: Option<&str>, value: &str| asked.is_none_or(|asked| same(asked, value));
        let matching = region.backups.iter().filter(|(id, backup)| {
            let traits = &backup.traits;
            let passes = |name: &str, value: &str| match name {
                "status" => same(value, backup.status.text()),
                "db-instance-id" => same(value, &traits.instance) || same(value, &backup.instance_arn),
                "dbi-resource-id" => same(value, &traits.resource_id),
                _ => false,
            };
            asked(wanted.as_deref(), id)
                && asked(instance, &traits.instance)
                && asked(resource_id, &traits.resource_id)
                && filters.pass(passes)
        });
        let matching = matching.map(|(id, backup)| (id.as_str(), backup));
        let result = Element::new("DescribeDBInstanceAutomatedBackupsResult");
        let document = |backup: &AutomatedBackup| documents::backup(region, backup);
        Ok::<_, Fault>(page.element(result, "DBInstanceAutomatedBackups", matching, document))
    })
}

pub(super) fn delete(request: &Request) -> Answer {
    let parameters = &request.parameters;
    let (resource_id, arn) =
        (parameters.get("DbiResourceId"), parameters.get("DBInstanceAutomatedBackupsArn"));
    let document = request.plane.region(&request.region, |region| {
        let backup = match (resource_id, arn) {
            (Some(resource_id), None) => region.own_backup(resource_id).ok_or_else(|| {
                faults::backup_not_found(format!("There is no automated backup of {resource_id}."))
            })?,
            (None, Some(arn)) => region.backup(arn)?,
            _ => {
                return Err(Fault::invalid_combination(
                    "Exactly one of DbiResourceId and DBInstanceAutomatedBackupsArn must be specified.",
                ));
            }
        };
        if backup.status != BackupStatus::Retained {
            return Err(faults::backup_state(format!(
                "The automated backup is in the state {}: only retained ones can be deleted.",
                backup.status.text()
            )));
        }
        let backup = backup.clone();
        let document = documents::backup(region, &backup);
        region.backups.remove(&backup.id);
        if !backup.replica {
            work::drop_backups(region, &backup.traits.resource_id);
        }
        Ok(document)
    })?;
    Ok(result("DeleteDBInstanceAutomatedBackup", document))
}
