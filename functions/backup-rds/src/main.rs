//! Wiring only.

use backup_rds::BackupRds;
use events::Bus;
use plans::SsmPlans;
use rds::AwsRds;
use reconcile::{Journal, Settings, aws_config, serve};
use state::StateBucket;
use vault::VaultLedger;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    serve(async || {
        let settings = Settings::from_environment();
        let home = settings.required("AWS_REGION");
        let recovery = settings.required("TIDEMARK_RECOVERY_REGION");
        let recovery_key = settings.required("TIDEMARK_RECOVERY_KEY");
        let bucket = settings.required("TIDEMARK_VAULT_BUCKET");
        let state = settings.required("TIDEMARK_STATE_BUCKET");
        let bus = settings.required("TIDEMARK_EVENT_BUS");
        let parameter = settings.required("TIDEMARK_PLANS_PARAMETER");
        settings.check()?;

        let aws = aws_config(&settings);
        let ledger = VaultLedger::new(&aws, bucket);
        let reconciler = BackupRds {
            home: AwsRds::new(&aws, &home),
            recovery: AwsRds::new(&aws, &recovery),
            ledger: ledger.clone(),
            plans: SsmPlans::new(&aws, parameter),
            recovery_key,
        };
        let documents = StateBucket::new(&aws, state);
        Ok((reconciler, Journal { ledger, facts: Bus::new(&aws, bus), documents }))
    })
    .await
}
