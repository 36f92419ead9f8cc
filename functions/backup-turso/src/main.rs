//! Wiring only.

use backup_turso::{BackupTurso, Pace, Turn};
use events::Bus;
use jiff::SignedDuration;
use plans::SsmPlans;
use reconcile::{Journal, Settings, aws_config, serve};
use secrets::SecretsManager;
use state::StateBucket;
use turso::HttpConnector;
use vault::{S3Store, VaultLedger};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    serve(async || {
        let settings = Settings::from_environment();
        settings.required("AWS_REGION");
        let recovery = settings.required("TIDEMARK_RECOVERY_REGION");
        let vault = settings.required("TIDEMARK_VAULT_BUCKET");
        let recovery_vault = settings.required("TIDEMARK_RECOVERY_VAULT_BUCKET");
        let state = settings.required("TIDEMARK_STATE_BUCKET");
        let bus = settings.required("TIDEMARK_EVENT_BUS");
        let parameter = settings.required("TIDEMARK_PLANS_PARAMETER");
        // Who has no databases at Turso names no organization.
        let organization = settings.optional("TIDEMARK_TURSO_ORGANIZATION");
        let secret = organization.as_ref().map(|_| settings.required("TIDEMARK_TURSO_SECRET"));
        let lease = SignedDuration::from_secs(settings.number("TIDEMARK_LEASE_SECONDS", 1..=900));
        let turn = Turn {
            time: SignedDuration::from_secs(settings.number("TIDEMARK_TURN_SECONDS", 1..=900)),
            staged_from: settings.number("TIDEMARK_STAGED_FROM_MIB", 0..=10_240).unsigned_abs() << 20,
        };
        settings.check()?;

        let aws = aws_config(&settings);
        let connector = organization.map(|slug| HttpConnector::new(&settings, &slug)).transpose()?;
        let ledger = VaultLedger::new(&aws, vault.clone());
        let staging = S3Store::new(&aws, state.clone());
        let documents = StateBucket::new(&aws, state);
        let home = S3Store::new(&aws, vault);
        let away = S3Store::in_region(&aws, &recovery, recovery_vault);
        let function = BackupTurso {
            organization: connector.zip(secret),
            secrets: SecretsManager::new(&aws),
            home,
            recovery: away,
            ledger: ledger.clone(),
            documents: documents.clone(),
            staging,
            plans: SsmPlans::new(&aws, parameter),
            pace: Pace::deployed(lease, turn),
            account: std::cell::RefCell::default(),
        };
        Ok((function, Journal { ledger, facts: Bus::new(&aws, bus), documents }))
    })
    .await
}
