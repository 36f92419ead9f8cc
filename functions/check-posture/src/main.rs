//! Wiring only.

use alerts::Sns;
use check_posture::{CheckPosture, Organization, Place, Systems, Topics};
use events::Bus;
use kms::AwsKms;
use plans::SsmPlans;
use rds::AwsRds;
use reconcile::{Journal, Settings, aws_config, serve};
use redis::elasticache::AwsElastiCache;
use secrets::SecretsManager;
use state::StateBucket;
use turso::HttpConnector;
use vault::{S3Store, VaultLedger};

/// AWS and Turso themselves.
struct Deployed;

impl Systems for Deployed {
    type Rds = AwsRds;
    type Kms = AwsKms;
    type Caches = AwsElastiCache;
    type Secrets = SecretsManager;
    type Connector = HttpConnector;
    type Bucket = S3Store;
    type Store = S3Store;
    type Ledger = VaultLedger;
    type Plans = SsmPlans;
    type Subscribers = Sns;
    type Documents = StateBucket;
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
        let recovery_exports = settings.required("TIDEMARK_RECOVERY_EXPORT_BUCKET");
        let key = settings.required("TIDEMARK_KEY");
        let recovery_key = settings.required("TIDEMARK_RECOVERY_KEY");
        let state = settings.required("TIDEMARK_STATE_BUCKET");
        let bus = settings.required("TIDEMARK_EVENT_BUS");
        let parameter = settings.required("TIDEMARK_PLANS_PARAMETER");
        let topics = Topics {
            alerts: settings.required("TIDEMARK_ALERTS_TOPIC"),
            watch: settings.required("TIDEMARK_WATCH_TOPIC"),
            canary_queue: settings.required("TIDEMARK_CANARY_QUEUE"),
        };
        // Who has no databases at Turso names no organization.
        let organization = settings.optional("TIDEMARK_TURSO_ORGANIZATION");
        let organization = organization.map(|slug| (slug, settings.required("TIDEMARK_TURSO_SECRET")));
        settings.check()?;

        let aws = aws_config(&settings);
        let organization = organization.map(|(slug, secret)| {
            let connector = HttpConnector::new(&settings, &slug)?;
            Ok::<_, reconcile::Error>(Organization { connector, secrets: SecretsManager::new(&aws), secret })
        });
        let place = |region: &str, key, vault, exports| Place {
            rds: AwsRds::new(&aws, region),
            kms: AwsKms::new(&aws, region),
            key,
            vault: S3Store::in_region(&aws, region, vault),
            exports: S3Store::in_region(&aws, region, exports),
        };
        let ledger = VaultLedger::new(&aws, vault.clone());
        let documents = StateBucket::new(&aws, state);
        let reconciler = CheckPosture::<Deployed> {
            store: S3Store::new(&aws, vault.clone()),
            home: place(&home, key, vault, exports),
            recovery: place(&recovery, recovery_key, recovery_vault, recovery_exports),
            caches: AwsElastiCache::new(&aws, &home),
            organization: organization.transpose()?,
            ledger: ledger.clone(),
            plans: SsmPlans::new(&aws, parameter),
            subscribers: Sns::new(&aws),
            topics,
            documents: documents.clone(),
        };
        Ok((reconciler, Journal { ledger, facts: Bus::new(&aws, bus), documents }))
    })
    .await
}
