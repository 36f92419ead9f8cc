//! Wiring only.

use events::Bus;
use invoke::Lambda;
use jiff::SignedDuration;
use plans::SsmPlans;
use postgres::TlsPostgres;
use rds::AwsRds;
use reconcile::{Journal, SdkConfig, Settings, aws_config, serve};
use run_drill::{Engines, Limits, Network, RdsDrills, RunDrill, Sources};
use secrets::SecretsManager;
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
        let restore = settings.required("TIDEMARK_RESTORE_FUNCTION");
        let limits = limits(&settings);
        settings.check()?;

        let aws = aws_config(&settings);
        let regions = Regions { aws: &aws, settings: &settings, home, recovery };
        let ledger = VaultLedger::new(&aws, vault.clone());
        let reconciler = RunDrill {
            engines: Engines { rds: regions.rds(), redis: None::<Rds>, turso: None::<Rds> },
            points: Sources {
                home: AwsRds::new(&aws, &regions.home),
                recovery: AwsRds::new(&aws, &regions.recovery),
                vault: S3Store::new(&aws, vault),
                recovery_vault: S3Store::in_region(&aws, &regions.recovery, recovery_vault),
            },
            plans: SsmPlans::new(&aws, parameter),
            functions: Lambda::new(&aws),
            restore,
            journal: Journal { ledger, facts: Bus::new(&aws, bus), documents: StateBucket::new(&aws, state) },
            limits,
            region: regions.home.clone(),
        };
        let journal = reconciler.journal.clone();
        Ok((reconciler, journal))
    })
    .await
}

type Rds = RdsDrills<AwsRds, SecretsManager, TlsPostgres>;

fn limits(settings: &Settings) -> Limits {
    let number = |key: &str, allowed| settings.number(key, allowed).unsigned_abs();
    Limits {
        at_once: usize::try_from(number("TIDEMARK_DRILLS_AT_ONCE", 1..=20)).unwrap_or(1),
        micro_usd_a_month: number("TIDEMARK_DRILL_USD_PER_MONTH", 0..=1_000_000) * 1_000_000,
        turn: SignedDuration::from_secs(settings.number("TIDEMARK_TURN_SECONDS", 1..=900)),
    }
}

/// What the engines have in common.
struct Regions<'a> {
    aws: &'a SdkConfig,
    settings: &'a Settings,
    home: String,
    recovery: String,
}

/// An engine that is not set up is no reason to drill nothing: of its databases it is told what is missing.
impl Regions<'_> {
    fn rds(&self) -> Rds {
        RdsDrills {
            home: AwsRds::new(self.aws, &self.home),
            recovery: AwsRds::new(self.aws, &self.recovery),
            home_staging: self.network("TIDEMARK_STAGING"),
            recovery_staging: self.network("TIDEMARK_RECOVERY_STAGING"),
            secrets: SecretsManager::new(self.aws),
            postgres: TlsPostgres::new(self.settings.optional("TIDEMARK_DATABASE_CA")),
            heartbeat_secret: self.settings.optional("TIDEMARK_HEARTBEAT_SECRET"),
        }
    }

    fn network(&self, prefix: &str) -> Option<Network> {
        Some(Network {
            subnet_group: self.settings.optional(&format!("{prefix}_SUBNET_GROUP"))?,
            security_groups: self.list(&format!("{prefix}_SECURITY_GROUPS"))?,
        })
    }

    /// Names that are separated by commas.
    fn list(&self, key: &str) -> Option<Vec<String>> {
        let text = self.settings.optional(key)?;
        Some(text.split(',').map(|name| name.trim().to_owned()).collect())
    }
}
