//! Wiring only.

use delete_expired::DeleteExpired;
use events::Bus;
use plans::SsmPlans;
use rds::AwsRds;
use reconcile::{Journal, Settings, aws_config, serve};
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
        let at_most = settings.number("TIDEMARK_DELETE_AT_MOST", 1..=10_000);
        settings.check()?;

        let aws = aws_config(&settings);
        let (ledger, documents) = (VaultLedger::new(&aws, vault.clone()), StateBucket::new(&aws, state));
        let (vault, recovery_vault) =
            (S3Store::new(&aws, vault), S3Store::in_region(&aws, &recovery, recovery_vault));
        let reconciler = DeleteExpired {
            home: AwsRds::new(&aws, &home),
            recovery: AwsRds::new(&aws, &recovery),
            setups: [vault.clone(), recovery_vault.clone()],
            vault,
            recovery_vault,
            ledger: ledger.clone(),
            plans: SsmPlans::new(&aws, parameter),
            documents: documents.clone(),
            at_most: usize::try_from(at_most).unwrap_or(1),
        };
        Ok((reconciler, Journal { ledger, facts: Bus::new(&aws, bus), documents }))
    })
    .await
}
