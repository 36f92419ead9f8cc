//! Wiring only.

use alarms::CloudWatch;
use alerts::SnsTopic;
use events::Bus;
use jiff::SignedDuration;
use reconcile::{Journal, Settings, aws_config, serve};
use send_alert::{Manner, SendAlert};
use state::StateBucket;
use vault::VaultLedger;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    serve(async || {
        let settings = Settings::from_environment();
        let bucket = settings.required("TIDEMARK_VAULT_BUCKET");
        let state = settings.required("TIDEMARK_STATE_BUCKET");
        let bus = settings.required("TIDEMARK_EVENT_BUS");
        let topic = settings.required("TIDEMARK_ALERTS_TOPIC");
        let manner = Manner {
            stage: settings.required("TIDEMARK_STAGE"),
            prefix: settings.required("TIDEMARK_ALARM_PREFIX"),
            runbooks: settings.optional("TIDEMARK_RUNBOOKS_URL").unwrap_or_default(),
            lease: SignedDuration::from_secs(settings.number("TIDEMARK_LEASE_SECONDS", 1..=900)),
            reminder: SignedDuration::from_hours(settings.number("TIDEMARK_REMINDER_HOURS", 1..=168)),
        };
        settings.check()?;

        let aws = aws_config(&settings);
        let documents = StateBucket::new(&aws, state);
        let reconciler = SendAlert {
            alarms: CloudWatch::new(&aws),
            topic: SnsTopic::new(&aws, topic),
            documents: documents.clone(),
            manner,
        };
        let ledger = VaultLedger::new(&aws, bucket);
        Ok((reconciler, Journal { ledger, facts: Bus::new(&aws, bus), documents }))
    })
    .await
}
