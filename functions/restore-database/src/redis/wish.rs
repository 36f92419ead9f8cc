use domain::Engine;
use redis::elasticache::{CacheKind, Settings};
use serde::Deserialize;

use crate::request::{self, identifier};

/// What a restore may be told of Redis and Valkey alone.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Wish {
    /// Where the data come from, where there is a choice.
    pub(crate) from: Option<From>,
    pub(crate) node_type: Option<String>,
    pub(crate) engine_version: Option<String>,
    pub(crate) replicas: Option<u32>,
    pub(crate) multi_az: Option<bool>,
    pub(crate) automatic_failover: Option<bool>,
    pub(crate) subnet_group: Option<String>,
    pub(crate) subnets: Option<Vec<String>>,
    pub(crate) security_groups: Option<Vec<String>>,
    pub(crate) parameter_group: Option<String>,
    pub(crate) at_rest_encryption: Option<bool>,
    pub(crate) in_transit_encryption: Option<bool>,
    pub(crate) kms_key: Option<String>,
    pub(crate) user_groups: Option<Vec<String>>,
    /// The secret with the password that clients of the new cache need.
    pub(crate) secret: Option<String>,
}

/// Where the data come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum From {
    /// The objects in the vault.
    Vault,
    /// The provider's snapshot.
    Snapshot,
}

impl request::Wish for Wish {
    const ENGINE: Engine = Engine::Redis;
    const KEYS: &'static [&'static str] = &[
        "from",
        "node_type",
        "engine_version",
        "replicas",
        "multi_az",
        "automatic_failover",
        "subnet_group",
        "subnets",
        "security_groups",
        "parameter_group",
        "at_rest_encryption",
        "in_transit_encryption",
        "kms_key",
        "user_groups",
        "secret",
    ];
    const LONGEST: usize = 40;
    const NAMES: &'static str = "a cache's name is 1 to 40 letters, digits and single hyphens, with a letter first and no hyphen last";

    /// As `CreateReplicationGroup` says, the strictest of the three sorts. ElastiCache keeps it in lower case.
    fn name(text: &str) -> Option<String> {
        identifier(text, Self::LONGEST)
    }
}

impl Wish {
    /// The settings of a new cache: those of the source, unless told otherwise. Groups and keys are a Region's own, and so
    /// are left to the Region's defaults elsewhere.
    pub(crate) fn settings(&self, source: &Settings, elsewhere: bool) -> Settings {
        let mut settings = source.clone();
        if elsewhere {
            settings.subnet_group = None;
            settings.subnets = Vec::new();
            settings.security_groups = Vec::new();
            settings.kms_key = None;
            settings.user_groups = Vec::new();
            // Those of the service are in every Region.
            settings.parameter_group.take_if(|group| !group.starts_with("default."));
        }
        let text = |given: &Option<String>, kept: &mut Option<String>| {
            if given.is_some() {
                kept.clone_from(given);
            }
        };
        text(&self.node_type, &mut settings.node_type);
        text(&self.engine_version, &mut settings.engine_version);
        text(&self.subnet_group, &mut settings.subnet_group);
        text(&self.parameter_group, &mut settings.parameter_group);
        text(&self.kms_key, &mut settings.kms_key);
        let list = |given: &Option<Vec<String>>, kept: &mut Vec<String>| {
            if let Some(given) = given {
                kept.clone_from(given);
            }
        };
        list(&self.subnets, &mut settings.subnets);
        list(&self.security_groups, &mut settings.security_groups);
        list(&self.user_groups, &mut settings.user_groups);
        settings.replicas = self.replicas.unwrap_or(settings.replicas);
        settings.multi_az = self.multi_az.unwrap_or(settings.multi_az);
        settings.automatic_failover = self.automatic_failover.unwrap_or(settings.automatic_failover);
        settings.at_rest_encryption = self.at_rest_encryption.unwrap_or(settings.at_rest_encryption);
        settings.in_transit_encryption = self.in_transit_encryption.unwrap_or(settings.in_transit_encryption);
        settings
    }

    /// The keys of a request that mean something for a cache of that sort alone, given for another.
    pub(crate) fn unfit(&self, kind: CacheKind) -> Vec<&'static str> {
        let serverless = kind == CacheKind::Serverless;
        let nodes = [
            ("node_type", self.node_type.is_some()),
            ("replicas", self.replicas.is_some()),
            ("multi_az", self.multi_az.is_some()),
            ("automatic_failover", self.automatic_failover.is_some()),
            ("subnet_group", self.subnet_group.is_some()),
            ("parameter_group", self.parameter_group.is_some()),
        ];
        let all = [("subnets", self.subnets.is_some() && !serverless)]
            .into_iter()
            .chain(nodes.map(|(key, given)| (key, given && serverless)));
        all.filter(|(_, wrong)| *wrong).map(|(key, _)| key).collect()
    }
}
