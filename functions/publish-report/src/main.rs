//! Wiring only.

use events::Bus;
use plans::SsmPlans;
use publish_report::PublishReport;
use rds::AwsRds;
use reconcile::{Journal, Settings, aws_config, serve};
use report::Prices;
use state::StateBucket;
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
        let stage = settings.required("TIDEMARK_STAGE");
        let price = |key: &str| u64::try_from(settings.number(key, 0..=1_000_000_000)).unwrap_or_default();
        let prices = Prices {
            rds_micro_usd: price("TIDEMARK_PRICE_RDS_MICRO_USD"),
            s3_micro_usd: price("TIDEMARK_PRICE_S3_MICRO_USD"),
        };
        settings.check()?;

        let aws = aws_config(&settings);
        let ledger = VaultLedger::new(&aws, vault.clone());
        let documents = StateBucket::new(&aws, state);
        let reconciler = PublishReport {
            home: AwsRds::new(&aws, &home),
            recovery: AwsRds::new(&aws, &recovery),
            vault: S3Store::new(&aws, vault),
            recovery_vault: S3Store::in_region(&aws, &recovery, recovery_vault),
            ledger: ledger.clone(),
            plans: SsmPlans::new(&aws, parameter),
            documents: documents.clone(),
            stage,
            prices,
        };
        Ok((reconciler, Journal { ledger, facts: Bus::new(&aws, bus), documents }))
    })
    .await
}
