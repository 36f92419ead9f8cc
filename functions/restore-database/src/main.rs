//! Wiring only.

use events::Bus;
use jiff::SignedDuration;
use plans::SsmPlans;
use postgres::TlsPostgres;
use rds::AwsRds;
use reconcile::{Error, Journal, SdkConfig, Settings, aws_config, serve};
use redis::elasticache::AwsElastiCache;
use restore_database::{
    Databases, RdsRestores, RecoverySets, RedisRegion, RedisRestores, RestoreDatabase, TursoRestores,
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
        let bucket = settings.required("TIDEMARK_VAULT_BUCKET");
        let state = settings.required("TIDEMARK_STATE_BUCKET");
        let bus = settings.required("TIDEMARK_EVENT_BUS");
        let parameter = settings.required("TIDEMARK_PLANS_PARAMETER");
        let extra_roots = settings.optional("TIDEMARK_DATABASE_CA");
        let lease = SignedDuration::from_secs(settings.number("TIDEMARK_LEASE_SECONDS", 1..=900));
        settings.check()?;

        let aws = aws_config(&settings);
        let documents = StateBucket::new(&aws, state);
        let regions =
            Regions { aws: &aws, home, recovery, vault: bucket, documents: documents.clone(), lease };
        let ledger = VaultLedger::new(&aws, regions.vault.clone());
        let rds = RdsRestores {
            home: AwsRds::new(&aws, &regions.home),
            recovery: AwsRds::new(&aws, &regions.recovery),
            ledger: ledger.clone(),
            secrets: SecretsManager::new(&aws),
            postgres: TlsPostgres::new(extra_roots),
        };
        let sets = RecoverySets {
            home: regions.home.clone(),
            plans: SsmPlans::new(&aws, parameter),
            documents: documents.clone(),
            ledger: ledger.clone(),
        };
        let databases = Databases { rds, redis: regions.redis(&settings), turso: regions.turso(&settings) };
        let reconciler = RestoreDatabase { databases, sets };
        Ok((reconciler, Journal { ledger, facts: Bus::new(&aws, bus), documents }))
    })
    .await
}

type Redis = RedisRestores<AwsElastiCache, S3Store, StateBucket, VaultLedger, SecretsManager>;
type Turso = TursoRestores<HttpConnector, SecretsManager, S3Store, StateBucket, VaultLedger>;

/// What the engines have in common.
struct Regions<'a> {
    aws: &'a SdkConfig,
    home: String,
    recovery: String,
    vault: String,
    documents: StateBucket,
    lease: SignedDuration,
}

/// An engine that is not set up is no reason to restore nothing: whoever asks for it hears what is missing.
impl Regions<'_> {
    fn redis(&self, settings: &Settings) -> Option<Redis> {
        let region = |name: &str, vault: &str, exports: String| RedisRegion {
            caches: AwsElastiCache::new(self.aws, name),
            vault: S3Store::in_region(self.aws, name, vault),
            exports: S3Store::in_region(self.aws, name, exports),
        };
        let away = settings.optional("TIDEMARK_RECOVERY_VAULT_BUCKET")?;
        Some(RedisRestores {
            home: region(&self.home, &self.vault, settings.optional("TIDEMARK_EXPORT_BUCKET")?),
            recovery: region(&self.recovery, &away, settings.optional("TIDEMARK_RECOVERY_EXPORT_BUCKET")?),
            documents: self.documents.clone(),
            ledger: VaultLedger::new(self.aws, self.vault.clone()),
            secrets: SecretsManager::new(self.aws),
        })
    }

    fn turso(&self, settings: &Settings) -> Option<Turso> {
        let all = ["TIDEMARK_TURSO_ORGANIZATION", "TIDEMARK_TURSO_SECRET", "TIDEMARK_RECOVERY_VAULT_BUCKET"];
        let [Some(organization), Some(secret), Some(away)] = all.map(|key| settings.optional(key)) else {
            return None;
        };
        let unusable = |error: &Error| tracing::error!(error.code = error.code(), "{}", error.report());
        Some(TursoRestores {
            connect: HttpConnector::new(settings, &organization).inspect_err(unusable).ok()?,
            secrets: SecretsManager::new(self.aws),
            secret,
            vault: S3Store::in_region(self.aws, &self.home, &self.vault),
            recovery_vault: S3Store::in_region(self.aws, &self.recovery, away),
            documents: self.documents.clone(),
            ledger: VaultLedger::new(self.aws, self.vault.clone()),
            scratch: std::env::temp_dir().join("tidemark"),
            lease: self.lease,
        })
    }
}
