//! Wiring only.

use events::Bus;
use plans::SsmPlans;
use rds::AwsRds;
use reconcile::{Error, Journal, Settings, aws_config, serve};
use redis::elasticache::AwsElastiCache;
use secrets::SecretsManager;
use state::StateBucket;
use turso::HttpConnector;
use vault::{S3Store, VaultLedger};
use watch_rpo::{SecretOrganization, WatchRpo};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    serve(async || {
        let settings = Settings::from_environment();
        let home = settings.required("AWS_REGION");
        let recovery = settings.required("TIDEMARK_RECOVERY_REGION");
        let bucket = settings.required("TIDEMARK_VAULT_BUCKET");
        let recovery_bucket = settings.required("TIDEMARK_RECOVERY_VAULT_BUCKET");
        let state = settings.required("TIDEMARK_STATE_BUCKET");
        let bus = settings.required("TIDEMARK_EVENT_BUS");
        let parameter = settings.required("TIDEMARK_PLANS_PARAMETER");
        let organization = settings.optional("TIDEMARK_TURSO_ORGANIZATION");
        let organization =
            organization.map(|organization| (organization, settings.required("TIDEMARK_TURSO_SECRET")));
        settings.check()?;

        let aws = aws_config(&settings);
        let documents = StateBucket::new(&aws, state);
        let turso = organization.map(|(organization, secret)| {
            let connector = HttpConnector::new(&settings, &organization)?;
            Ok::<_, Error>(SecretOrganization::new(SecretsManager::new(&aws), secret, connector))
        });
        let reconciler = WatchRpo {
            home: AwsRds::new(&aws, &home),
            recovery: AwsRds::new(&aws, &recovery),
            caches: AwsElastiCache::new(&aws, &home),
            turso: turso.transpose()?,
            vault: S3Store::new(&aws, bucket.clone()),
            recovery_vault: S3Store::in_region(&aws, &recovery, recovery_bucket),
            plans: SsmPlans::new(&aws, parameter),
            documents: documents.clone(),
        };
        let ledger = VaultLedger::new(&aws, bucket);
        Ok((reconciler, Journal { ledger, facts: Bus::new(&aws, bus), documents }))
    })
    .await
}
