//! Wiring only.

use events::Bus;
use postgres::TlsPostgres;
use rds::AwsRds;
use reconcile::{Journal, Settings, aws_config, serve};
use restore_database::{RdsRestores, RestoreDatabase};
use secrets::SecretsManager;
use state::StateBucket;
use vault::VaultLedger;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    serve(async || {
        let settings = Settings::from_environment();
        let home = settings.required("AWS_REGION");
        let recovery = settings.required("TIDEMARK_RECOVERY_REGION");
        let bucket = settings.required("TIDEMARK_VAULT_BUCKET");
        let state = settings.required("TIDEMARK_STATE_BUCKET");
        let bus = settings.required("TIDEMARK_EVENT_BUS");
        let extra_roots = settings.optional("TIDEMARK_DATABASE_CA");
        settings.check()?;

        let aws = aws_config(&settings);
        let ledger = VaultLedger::new(&aws, bucket);
        let rds = RdsRestores {
            home: AwsRds::new(&aws, &home),
            recovery: AwsRds::new(&aws, &recovery),
            ledger: ledger.clone(),
            secrets: SecretsManager::new(&aws),
            postgres: TlsPostgres::new(extra_roots),
        };
        let reconciler = RestoreDatabase { rds };
        let documents = StateBucket::new(&aws, state);
        Ok((reconciler, Journal { ledger, facts: Bus::new(&aws, bus), documents }))
    })
    .await
}
