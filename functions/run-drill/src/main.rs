//! Wiring only.

use events::Bus;
use invoke::Lambda;
use jiff::SignedDuration;
use plans::SsmPlans;
use postgres::TlsPostgres;
use rds::AwsRds;
use reconcile::{Error, Journal, SdkConfig, Settings, aws_config, serve};
use redis::{elasticache::AwsElastiCache, server::TlsServers};
use run_drill::{
    CacheNetwork, CacheRegion, Engines, Limits, Network, RdsDrills, RedisDrills, RunDrill, Sources,
    TursoDrills,
};
use secrets::SecretsManager;
use state::StateBucket;
use turso::HttpConnector;
use vault::{S3Store, VaultLedger};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    serve(async || {
        let settings = Settings::from_environment();
        let home = settings.required("AWS_REGION");
        let recovery = settings.required("TIDEMARK_RECOVERY_REGION");
        let vault = settings.required("TIDEMARK_VAULT_BUCKET");
        let recovery_vault = settings.required("TIDEMARK_RECOVERY_VAULT_BUCKET");
        let state = settings.required("TIDEMARK_STATE_BUCKET");
        let bus = settings.required("TIDEMARK_EVENT_BUS");
        let parameter = settings.required("TIDEMARK_PLANS_PARAMETER");
        let restore = settings.required("TIDEMARK_RESTORE_FUNCTION");
        let limits = limits(&settings);
        settings.check()?;

        let aws = aws_config(&settings);
        let documents = StateBucket::new(&aws, state);
        let ledger = VaultLedger::new(&aws, vault.clone());
        let regions = Regions { aws: &aws, settings: &settings, home, recovery, vault, recovery_vault };
        let reconciler = RunDrill {
            engines: Engines {
                rds: regions.rds(),
                redis: regions.redis(),
                turso: regions.turso(documents.clone()),
            },
            points: Sources {
                home: AwsRds::new(&aws, &regions.home),
                recovery: AwsRds::new(&aws, &regions.recovery),
                vault: regions.vault(),
                recovery_vault: regions.recovery_vault(),
            },
            plans: SsmPlans::new(&aws, parameter),
            functions: Lambda::new(&aws),
            restore,
            journal: Journal { ledger, facts: Bus::new(&aws, bus), documents },
            limits,
            region: regions.home.clone(),
        };
        let journal = reconciler.journal.clone();
        Ok((reconciler, journal))
    })
    .await
}

type Redis = RedisDrills<AwsElastiCache, S3Store, SecretsManager, TlsServers>;
type Turso = TursoDrills<HttpConnector, SecretsManager, S3Store, StateBucket>;

fn limits(settings: &Settings) -> Limits {
    let number = |key: &str, allowed| settings.number(key, allowed).unsigned_abs();
    Limits {
        at_once: usize::try_from(number("TIDEMARK_DRILLS_AT_ONCE", 1..=20)).unwrap_or(1),
        micro_usd_a_month: number("TIDEMARK_DRILL_USD_PER_MONTH", 0..=1_000_000) * 1_000_000,
        turn: SignedDuration::from_secs(settings.number("TIDEMARK_TURN_SECONDS", 1..=900)),
    }
}

/// What the engines have in common.
struct Regions<'a> {
    aws: &'a SdkConfig,
    settings: &'a Settings,
    home: String,
    recovery: String,
    vault: String,
    recovery_vault: String,
}

/// An engine that is not set up is no reason to drill nothing: of its databases it is told what is missing.
impl Regions<'_> {
    fn vault(&self) -> S3Store {
        S3Store::in_region(self.aws, &self.home, &self.vault)
    }

    fn recovery_vault(&self) -> S3Store {
        S3Store::in_region(self.aws, &self.recovery, &self.recovery_vault)
    }

    fn rds(&self) -> RdsDrills<AwsRds, SecretsManager, TlsPostgres> {
        let staging = |prefix: &str| {
            Some(Network {
                subnet_group: self.settings.optional(&format!("{prefix}_SUBNET_GROUP"))?,
                security_groups: self.security_groups(prefix)?,
            })
        };
        RdsDrills {
            home: AwsRds::new(self.aws, &self.home),
            recovery: AwsRds::new(self.aws, &self.recovery),
            home_staging: staging(HOME_STAGING),
            recovery_staging: staging(RECOVERY_STAGING),
            secrets: SecretsManager::new(self.aws),
            postgres: TlsPostgres::new(self.settings.optional("TIDEMARK_DATABASE_CA")),
            heartbeat_secret: self.heartbeat_secret(),
        }
    }

    fn redis(&self) -> Option<Redis> {
        let region = |name: &str, vault: S3Store, exports: String, staging: &str| CacheRegion {
            caches: AwsElastiCache::new(self.aws, name),
            vault,
            exports: S3Store::in_region(self.aws, name, exports),
            staging: self.cache_network(staging),
        };
        let exports = self.settings.optional("TIDEMARK_EXPORT_BUCKET")?;
        let recovery_exports = self.settings.optional("TIDEMARK_RECOVERY_EXPORT_BUCKET")?;
        Some(RedisDrills {
            home: region(&self.home, self.vault(), exports, HOME_STAGING),
            recovery: region(&self.recovery, self.recovery_vault(), recovery_exports, RECOVERY_STAGING),
            secrets: SecretsManager::new(self.aws),
            servers: TlsServers::new(self.settings.optional("TIDEMARK_DATABASE_CA")),
            heartbeat_secret: self.heartbeat_secret(),
        })
    }

    fn turso(&self, documents: StateBucket) -> Option<Turso> {
        let all = ["TIDEMARK_TURSO_ORGANIZATION", "TIDEMARK_TURSO_SECRET"];
        let [Some(organization), Some(secret)] = all.map(|key| self.settings.optional(key)) else {
            return None;
        };
        let unusable = |error: &Error| tracing::error!(error.code = error.code(), "{}", error.report());
        Some(TursoDrills {
            connect: HttpConnector::new(self.settings, &organization).inspect_err(unusable).ok()?,
            secrets: SecretsManager::new(self.aws),
            secret,
            vault: self.vault(),
            recovery_vault: self.recovery_vault(),
            documents,
            heartbeat_secret: self.heartbeat_secret(),
        })
    }

    fn cache_network(&self, prefix: &str) -> Option<CacheNetwork> {
        Some(CacheNetwork {
            subnet_group: self.settings.optional(&format!("{prefix}_CACHE_SUBNET_GROUP"))?,
            subnets: self.list(&format!("{prefix}_SUBNETS")).unwrap_or_default(),
            security_groups: self.security_groups(prefix)?,
        })
    }

    fn security_groups(&self, prefix: &str) -> Option<Vec<String>> {
        self.list(&format!("{prefix}_SECURITY_GROUPS"))
    }

    /// Names that are separated by commas.
    fn list(&self, key: &str) -> Option<Vec<String>> {
        let text = self.settings.optional(key)?;
        Some(text.split(',').map(|name| name.trim().to_owned()).collect())
    }

    fn heartbeat_secret(&self) -> Option<String> {
        self.settings.optional("TIDEMARK_HEARTBEAT_SECRET")
    }
}

/// How the variables begin that say where to restore.
const HOME_STAGING: &str = "TIDEMARK_STAGING";
const RECOVERY_STAGING: &str = "TIDEMARK_RECOVERY_STAGING";
