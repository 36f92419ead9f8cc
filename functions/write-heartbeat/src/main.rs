//! Wiring only.

use events::Bus;
use plans::SsmPlans;
use postgres::TlsPostgres;
use rds::AwsRds;
use reconcile::{Journal, Settings, aws_config, serve};
use redis::{elasticache::AwsElastiCache, server::TlsServers};
use secrets::SecretsManager;
use state::StateBucket;
use turso::HttpConnector;
use vault::VaultLedger;
use write_heartbeat::{Known, Systems, WriteHeartbeat};

/// AWS, Turso and the databases themselves.
struct Deployed;

impl Systems for Deployed {
    type Rds = AwsRds;
    type Caches = AwsElastiCache;
    type Tables = TlsPostgres;
    type Servers = TlsServers;
    type Connector = HttpConnector;
    type Secrets = SecretsManager;
    type Plans = SsmPlans;
    type Documents = StateBucket;
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    serve(async || {
        let settings = Settings::from_environment();
        let home = settings.required("AWS_REGION");
        let vault = settings.required("TIDEMARK_VAULT_BUCKET");
        let state = settings.required("TIDEMARK_STATE_BUCKET");
        let bus = settings.required("TIDEMARK_EVENT_BUS");
        let parameter = settings.required("TIDEMARK_PLANS_PARAMETER");
        // Who wants no heartbeats has no keys; who has no databases at Turso names no organization.
        let keys = settings.optional("TIDEMARK_HEARTBEAT_SECRET");
        let organization = settings.optional("TIDEMARK_TURSO_ORGANIZATION");
        let extra_roots = settings.optional("TIDEMARK_DATABASE_CA");
        settings.check()?;

        let aws = aws_config(&settings);
        let turso = organization.map(|organization| HttpConnector::new(&settings, &organization));
        let documents = StateBucket::new(&aws, state);
        let reconciler = WriteHeartbeat::<Deployed> {
            home: AwsRds::new(&aws, &home),
            caches: AwsElastiCache::new(&aws, &home),
            tables: TlsPostgres::new(extra_roots.clone()),
            servers: TlsServers::new(extra_roots),
            turso: turso.transpose()?,
            secrets: Known::new(SecretsManager::new(&aws)),
            keys,
            plans: SsmPlans::new(&aws, parameter),
            documents: documents.clone(),
        };
        let ledger = VaultLedger::new(&aws, vault);
        Ok((reconciler, Journal { ledger, facts: Bus::new(&aws, bus), documents }))
    })
    .await
}
