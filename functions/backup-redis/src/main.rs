//! Wiring only.

use backup_redis::{BackupRedis, Buckets, Pace};
use events::Bus;
use jiff::SignedDuration;
use plans::SsmPlans;
use reconcile::{Journal, SdkConfig, Settings, aws_config, serve};
use redis::elasticache::AwsElastiCache;
use state::StateBucket;
use vault::{S3Store, VaultLedger};

/// Buckets of the home Region, by name.
struct S3Buckets(SdkConfig);

impl Buckets for S3Buckets {
    type Store = S3Store;

    fn store(&self, bucket: &str) -> S3Store {
        S3Store::new(&self.0, bucket)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    serve(async || {
        let settings = Settings::from_environment();
        let home = settings.required("AWS_REGION");
        let recovery = settings.required("TIDEMARK_RECOVERY_REGION");
        let vault = settings.required("TIDEMARK_VAULT_BUCKET");
        let recovery_vault = settings.required("TIDEMARK_RECOVERY_VAULT_BUCKET");
        let exports = settings.required("TIDEMARK_EXPORT_BUCKET");
        let state = settings.required("TIDEMARK_STATE_BUCKET");
        let bus = settings.required("TIDEMARK_EVENT_BUS");
        let parameter = settings.required("TIDEMARK_PLANS_PARAMETER");
        let quiet = SignedDuration::from_secs(settings.number("TIDEMARK_QUIET_SECONDS", 1..=86_400));
        settings.check()?;

        let aws = aws_config(&settings);
        let ledger = VaultLedger::new(&aws, vault.clone());
        let documents = StateBucket::new(&aws, state);
        let reconciler = BackupRedis {
            caches: AwsElastiCache::new(&aws, &home),
            vault: S3Store::new(&aws, vault),
            recovery: S3Store::in_region(&aws, &recovery, recovery_vault),
            exports: S3Store::new(&aws, exports),
            archives: S3Buckets(aws.clone()),
            ledger: ledger.clone(),
            plans: SsmPlans::new(&aws, parameter),
            documents: documents.clone(),
            pace: Pace::deployed(quiet),
        };
        Ok((reconciler, Journal { ledger, facts: Bus::new(&aws, bus), documents }))
    })
    .await
}
