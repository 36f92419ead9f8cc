//! Settings of new caches.

use aws_query::{Fault, Parameters};

use crate::state::{Kind, Settings, Shard, Snapshot, Traits};

/// That of the one network there is.
pub(crate) const SECURITY_GROUP: &str = "sg-0d0c0ffee0d0c0ffe";
/// Its subnets.
pub(crate) const SUBNETS: [&str; 2] = ["subnet-0d0c0ffee0d0c0ffa", "subnet-0d0c0ffee0d0c0ffb"];

/// What a cache is asked to be, before it has a name.
pub(super) struct Asked<'a> {
    pub(super) parameters: &'a Parameters,
    pub(super) region: &'a str,
    pub(super) kind: Kind,
    /// The version of the real server.
    pub(super) version: &'a str,
    pub(super) snapshot: Option<&'a Snapshot>,
    pub(super) cluster_mode: bool,
    pub(super) shards: Vec<Shard>,
    pub(super) replicas: u32,
}

impl Asked<'_> {
    /// What the request names, else what the snapshot has, else ElastiCache's defaults.
    pub(super) fn traits(self) -> Result<Traits, Fault> {
        let base = self.snapshot.map(|snapshot| &snapshot.traits);
        let parameters = self.parameters;
        let named = |name: &str, of: Option<&String>, default: &str| {
            parameters.owned(name).or_else(|| of.cloned()).unwrap_or_else(|| default.to_owned())
        };
        let engine = engine(parameters, self.snapshot)?;
        let engine_version = version(parameters, self.snapshot, &engine, self.version)?;
        let major = engine_version.split('.').next().unwrap_or_default();
        let mode = if self.cluster_mode { ".cluster.on" } else { "" };
        let port = parameters.integer("Port")?;
        let port = port.map_or(Some(base.map_or(6379, |base| base.port)), |port| u16::try_from(port).ok());
        let retention = parameters.integer("SnapshotRetentionLimit")?;
        if let Some(days @ 36..) = retention {
            return Err(Fault::invalid_value(format!(
                "Invalid SnapshotRetentionLimit {days}. Must be 0 to 35."
            )));
        }
        Ok(Traits {
            cache: String::new(),
            kind: self.kind,
            description: parameters.owned("ReplicationGroupDescription").unwrap_or_default(),
            node_type: node_type(parameters, base)?,
            cluster_mode: self.cluster_mode,
            shards: self.shards,
            replicas: self.replicas,
            automatic_failover: parameters.boolean("AutomaticFailoverEnabled")?.unwrap_or(self.cluster_mode),
            data_tiering: parameters.boolean("DataTieringEnabled")?.unwrap_or(false),
            parameter_group: named(
                "CacheParameterGroupName",
                None,
                &format!("default.{engine}{major}{mode}"),
            ),
            subnet_group: named("CacheSubnetGroupName", None, "default"),
            port: port.ok_or_else(|| Fault::invalid_value("Invalid port. Must be at most 65535."))?,
            zone: format!("{}a", self.region),
            retention_days: retention.unwrap_or(0),
            snapshot_window: named("SnapshotWindow", base.map(|base| &base.snapshot_window), "03:00-04:00"),
            maintenance_window: named(
                "PreferredMaintenanceWindow",
                base.map(|base| &base.maintenance_window),
                "sun:05:00-sun:06:00",
            ),
            auto_minor_version_upgrade: parameters.boolean("AutoMinorVersionUpgrade")?.unwrap_or(true),
            created: None,
            simulated: false,
            engine,
            engine_version,
        })
    }
}

/// `valkey` or `redis`; `redis` if neither the request nor a snapshot says (API reference).
fn engine(parameters: &Parameters, snapshot: Option<&Snapshot>) -> Result<String, Fault> {
    let engine = parameters.owned("Engine").map(|engine| engine.to_ascii_lowercase());
    let engine = engine.or_else(|| snapshot.map(|snapshot| snapshot.traits.engine.clone()));
    let engine = engine.unwrap_or_else(|| "redis".to_owned());
    match engine.as_str() {
        "valkey" | "redis" => Ok(engine),
        _ => Err(Fault::invalid_value(format!(
            "Invalid value {engine} for Engine. The local cloud has valkey and redis."
        ))),
    }
}

/// The server is the same whatever is asked for: Valkey. What was asked for is told.
fn version(
    parameters: &Parameters,
    snapshot: Option<&Snapshot>,
    engine: &str,
    real: &str,
) -> Result<String, Fault> {
    let asked = parameters.owned("EngineVersion").or_else(|| parameters.owned("MajorEngineVersion"));
    if let Some(asked) = asked {
        let numbers = asked.split('.').all(|part| part.parse::<u16>().is_ok());
        let complete = match asked.split('.').count() {
            1 => format!("{asked}.0.0"),
            2 => format!("{asked}.0"),
            _ => asked.clone(),
        };
        return numbers
            .then_some(complete)
            .ok_or_else(|| Fault::invalid_value(format!("Invalid engine version: {asked}")));
    }
    let kept = snapshot.filter(|snapshot| snapshot.traits.engine == engine);
    Ok(match kept {
        Some(snapshot) => snapshot.traits.engine_version.clone(),
        None if engine == "redis" => "7.1.0".to_owned(),
        None => real.to_owned(),
    })
}

fn node_type(parameters: &Parameters, base: Option<&Traits>) -> Result<String, Fault> {
    match parameters.get("CacheNodeType") {
        Some(node_type) if !node_type.starts_with("cache.") => {
            Err(Fault::invalid_value(format!("Invalid Cache Node Type: {node_type}.")))
        }
        Some(node_type) => Ok(node_type.to_owned()),
        None => Ok(base.map_or_else(|| "cache.t4g.micro".to_owned(), |base| base.node_type.clone())),
    }
}

/// What only a running cache has. `key` is what `KmsKeyId` stands for.
pub(super) fn settings(
    parameters: &Parameters,
    traits: &Traits,
    key: Option<String>,
) -> Result<Settings, Fault> {
    let serverless = traits.kind == Kind::Serverless;
    let at_rest = parameters.boolean("AtRestEncryptionEnabled")?;
    if key.is_some() && !serverless && at_rest != Some(true) {
        return Err(Fault::invalid_combination(
            "KmsKeyId can only be specified with AtRestEncryptionEnabled.",
        ));
    }
    let transit = parameters.boolean("TransitEncryptionEnabled")?.unwrap_or(serverless);
    let auth_token = auth_token(parameters)?;
    if auth_token.is_some() && !transit {
        return Err(Fault::invalid_combination(
            "AuthToken can only be specified with TransitEncryptionEnabled.",
        ));
    }
    let or = |list: Vec<String>, default: &[&str]| {
        if list.is_empty() { default.iter().map(|&it| it.to_owned()).collect() } else { list }
    };
    Ok(Settings {
        security_groups: or(parameters.strings("SecurityGroupIds"), &[SECURITY_GROUP]),
        subnets: or(parameters.strings("SubnetIds"), &SUBNETS),
        multi_az: parameters.boolean("MultiAZEnabled")?.unwrap_or(false),
        // "Default: true when using Valkey, false when using Redis OSS" (API reference).
        at_rest_encryption: serverless || at_rest.unwrap_or(traits.engine == "valkey"),
        key,
        transit_encryption: transit,
        transit_mode: parameters.owned("TransitEncryptionMode").unwrap_or_else(|| "required".to_owned()),
        auth_token,
        storage_limit_gb: parameters.integer("CacheUsageLimits.DataStorage.Maximum")?,
    })
}

/// 16 to 128 printable characters, as ElastiCache has them.
fn auth_token(parameters: &Parameters) -> Result<Option<String>, Fault> {
    let Some(token) = parameters.owned("AuthToken") else { return Ok(None) };
    let printable = token.bytes().all(|b| b.is_ascii_graphic() && !b"\"/@".contains(&b));
    if (16..=128).contains(&token.len()) && printable {
        return Ok(Some(token));
    }
    Err(Fault::invalid_value(
        "Invalid AuthToken provided. It must have 16 to 128 printable characters and none of '\"', '/' and '@'.",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Parameters {
        Parameters::parse(body.as_bytes()).unwrap()
    }

    #[test]
    fn engines_and_versions() {
        let of = |body: &str| {
            let parameters = parse(body);
            let engine = engine(&parameters, None)?;
            version(&parameters, None, &engine, "9.1.2").map(|version| format!("{engine} {version}"))
        };
        assert_eq!(of("").unwrap(), "redis 7.1.0");
        assert_eq!(of("Engine=Valkey").unwrap(), "valkey 9.1.2");
        assert_eq!(of("Engine=valkey&EngineVersion=8.1").unwrap(), "valkey 8.1.0");
        assert_eq!(of("Engine=valkey&MajorEngineVersion=8").unwrap(), "valkey 8.0.0");
        for bad in ["Engine=memcached", "EngineVersion=latest"] {
            assert_eq!(of(bad).unwrap_err().code, "InvalidParameterValue", "{bad}");
        }
    }

    #[test]
    fn tokens_are_checked_as_elasticache_does() {
        for bad in ["short", &"x".repeat(129), "sixteen-with-an%40at", "sixteen+with+spaces"] {
            assert!(auth_token(&parse(&format!("AuthToken={bad}"))).is_err(), "{bad}");
        }
        assert!(auth_token(&parse("AuthToken=sixteen-characters!")).unwrap().is_some());
    }
}
