//! `restore-database`: a person asks for a database as it was at a second or at a recovery point, and it is made, under
//! a new name, in either Region. Ticks follow it until its first query is answered, and write down how long it took.

mod act;
mod follow;
mod observe;
mod plan;
mod request;
#[cfg(test)]
mod tests;

use events::Bus;
use postgres::TlsPostgres;
use rds::AwsRds;
use reconcile::{Journal, Settings, aws_config, serve};
use secrets::SecretsManager;
use vault::VaultLedger;

use crate::observe::RestoreDatabase;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    serve(async || {
        let settings = Settings::from_environment();
        let home = settings.required("AWS_REGION");
        let recovery = settings.required("TIDEMARK_RECOVERY_REGION");
        let bucket = settings.required("TIDEMARK_VAULT_BUCKET");
        let bus = settings.required("TIDEMARK_EVENT_BUS");
        let extra_roots = settings.optional("TIDEMARK_DATABASE_CA");
        settings.check()?;

        let aws = aws_config(&settings);
        let ledger = VaultLedger::new(&aws, bucket);
        let reconciler = RestoreDatabase {
            home: AwsRds::new(&aws, &home),
            recovery: AwsRds::new(&aws, &recovery),
            ledger: ledger.clone(),
            secrets: SecretsManager::new(&aws),
            postgres: TlsPostgres::new(extra_roots),
        };
        Ok((reconciler, Journal { ledger, facts: Bus::new(&aws, bus) }))
    })
    .await
}
