//! Wiring only.

use events::Bus;
use plans::SsmPlans;
use rds::AwsRds;
use reconcile::{Journal, Settings, aws_config, serve};
use state::StateBucket;
use vault::VaultLedger;
use watch_rpo::WatchRpo;

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
        settings.check()?;

        let aws = aws_config(&settings);
        let documents = StateBucket::new(&aws, state);
        let reconciler = WatchRpo {
            home: AwsRds::new(&aws, &home),
            recovery: AwsRds::new(&aws, &recovery),
            plans: SsmPlans::new(&aws, parameter),
            documents: documents.clone(),
        };
        let ledger = VaultLedger::new(&aws, bucket);
        Ok((reconciler, Journal { ledger, facts: Bus::new(&aws, bus), documents }))
    })
    .await
}
