//! Wiring only.

use events::Bus;
use jiff::SignedDuration;
use kms::AwsKms;
use rds::AwsRds;
use reconcile::{Journal, Settings, aws_config, serve};
use state::StateBucket;
use vault::{S3Store, VaultLedger};
use verify_backup::{Desk, Pace, VerifyBackup};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    serve(async || {
        let settings = Settings::from_environment();
        let home = settings.required("AWS_REGION");
        let recovery = settings.required("TIDEMARK_RECOVERY_REGION");
        let recovery_key = settings.required("TIDEMARK_RECOVERY_KEY");
        let vault = settings.required("TIDEMARK_VAULT_BUCKET");
        let recovery_vault = settings.required("TIDEMARK_RECOVERY_VAULT_BUCKET");
        let state = settings.required("TIDEMARK_STATE_BUCKET");
        let bus = settings.required("TIDEMARK_EVENT_BUS");
        let turn = SignedDuration::from_secs(settings.number("TIDEMARK_TURN_SECONDS", 1..=900));
        let budget_bytes = settings.number("TIDEMARK_VERIFY_MIB", 1..=1_048_576).unsigned_abs() << 20;
        settings.check()?;

        let aws = aws_config(&settings);
        let ledger = VaultLedger::new(&aws, vault.clone());
        let journal =
            Journal { ledger, facts: Bus::new(&aws, bus), documents: StateBucket::new(&aws, state) };
        let reconciler = VerifyBackup {
            home: AwsRds::new(&aws, &home),
            recovery: AwsRds::new(&aws, &recovery),
            vault: S3Store::new(&aws, vault),
            recovery_vault: S3Store::in_region(&aws, &recovery, recovery_vault),
            home_keys: AwsKms::new(&aws, &home),
            recovery_keys: AwsKms::new(&aws, &recovery),
            recovery_key,
            journal: journal.clone(),
            pace: Pace::deployed(turn, budget_bytes),
            desk: Desk::default(),
        };
        Ok((reconciler, journal))
    })
    .await
}
