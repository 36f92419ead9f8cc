//! `CreateDBInstance`.

use std::sync::Arc;

use aws_query::{Fault, Parameters};

use super::{Answer, Request, result, settings, tags};
use crate::documents;
use crate::postgres::{ADMINISTRATOR, Master};
use crate::state::Traits;
use crate::work;

const ENGINES: [&str; 3] = ["postgres", "mysql", "mariadb"];

pub(super) async fn create(request: Request) -> Answer {
    let Request { plane, region, parameters } = request;
    let id = parameters.required("DBInstanceIdentifier")?.to_owned();
    let mut traits = traits(&parameters, &plane.clusters.install.version)?;
    let master = if traits.simulated { None } else { Some(master(&parameters, &traits)?) };
    traits.key = match (parameters.boolean("StorageEncrypted")?, parameters.get("KmsKeyId")) {
        (Some(true), Some(key)) => Some(plane.key(&region, key).await?),
        (Some(true), None) => Some(plane.default_key(&region).await),
        (_, Some(_)) => {
            return Err(Fault::invalid_combination("KmsKeyId can only be specified with StorageEncrypted."));
        }
        _ => None,
    };
    let instance = settings::instance(&parameters, &region, traits, "")?;
    let quotas = plane.quotas();
    let (document, resource_id) = plane.region(&region, |region| {
        let mut instance = instance;
        instance.traits.instance = settings::new_identifier(region, quotas, "DBInstanceIdentifier", &id)?;
        let resource_id = instance.traits.resource_id.clone();
        let document = documents::instance(region, &instance);
        region.instances.insert(instance.traits.instance.clone(), instance);
        Ok((document, resource_id))
    })?;
    // A simulated instance has no use for it.
    let master =
        master.unwrap_or_else(|| Master { name: String::new(), password: String::new(), database: None });
    plane.tasks.spawn(work::bring_up(Arc::clone(&plane), region, resource_id, work::Origin::New(master)));
    Ok(result("CreateDBInstance", document))
}

fn traits(parameters: &Parameters, real_version: &str) -> Result<Traits, Fault> {
    let simulated = settings::simulated(&tags::read(parameters)?);
    let engine = parameters.required("Engine")?;
    if !ENGINES.contains(&engine) || (engine != "postgres" && !simulated) {
        return Err(Fault::invalid_value(format!("Invalid DB engine: {engine}")));
    }
    parameters.required("DBInstanceClass")?;
    let Some(size) = settings::storage(parameters)? else {
        return Err(Fault::invalid_value(
            "The parameter AllocatedStorage must be provided and must not be blank.",
        ));
    };
    let port = parameters.integer("Port")?.unwrap_or(5432);
    let port = u16::try_from(port).ok().filter(|port| *port >= 1150);
    let port = port.ok_or_else(|| Fault::invalid_value("Invalid port. Must be between 1150 and 65535."))?;
    Ok(Traits {
        instance: String::new(),
        resource_id: String::new(),
        engine: engine.to_owned(),
        engine_version: version(parameters, real_version, simulated)?,
        allocated_storage_gib: size,
        storage_type: "gp3".to_owned(),
        iops: None,
        master_username: username(parameters)?,
        database: database(parameters)?,
        zone: String::new(),
        port,
        option_group: String::new(),
        iam_authentication: false,
        created: None,
        key: None,
        retention_days: 1,
        backup_window: "03:00-03:30".to_owned(),
        simulated,
    })
}

/// The server's own version, whichever minor one was asked for; another major one there is not.
fn version(parameters: &Parameters, real: &str, simulated: bool) -> Result<String, Fault> {
    let major = |version: &str| version.split('.').next().unwrap_or_default().to_owned();
    match parameters.get("EngineVersion") {
        None => Ok(real.to_owned()),
        Some(asked) if simulated => Ok(asked.to_owned()),
        Some(asked) if major(asked) == major(real) => Ok(real.to_owned()),
        Some(asked) => Err(Fault::invalid_combination(format!("Cannot find version {asked} for postgres"))),
    }
}

/// 1 to 63 letters, digits and underscores, a letter first.
fn word(text: &str) -> bool {
    text.len() <= 63
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn username(parameters: &Parameters) -> Result<String, Fault> {
    let name = parameters.get("MasterUsername").ok_or_else(|| {
        Fault::invalid_value("The parameter MasterUsername must be provided and must not be blank.")
    })?;
    let reserved = [ADMINISTRATOR, "admin", "public", "rds_superuser", "rds_replication"];
    if !word(name) || name.starts_with("pg_") {
        return Err(Fault::invalid_value(
            "MasterUsername must begin with a letter and contain only alphanumerics.",
        ));
    }
    if reserved.iter().any(|reserved| name.eq_ignore_ascii_case(reserved)) {
        return Err(Fault::invalid_value(format!(
            "MasterUsername {name} cannot be used as it is a reserved word."
        )));
    }
    Ok(name.to_owned())
}

fn database(parameters: &Parameters) -> Result<Option<String>, Fault> {
    match parameters.get("DBName") {
        Some(name) if !word(name) => Err(Fault::invalid_value(
            "DBName must begin with a letter and contain only alphanumeric characters.",
        )),
        name => Ok(name.map(str::to_owned)),
    }
}

fn master(parameters: &Parameters, traits: &Traits) -> Result<Master, Fault> {
    if parameters.boolean("ManageMasterUserPassword")? == Some(true) {
        return Err(Fault::invalid_combination(
            "ManageMasterUserPassword is not supported by the local cloud.",
        ));
    }
    let password = settings::password(parameters)?.ok_or_else(|| {
        Fault::invalid_value("The parameter MasterUserPassword must be provided and must not be blank.")
    })?;
    Ok(Master { name: traits.master_username.clone(), password, database: traits.database.clone() })
}
