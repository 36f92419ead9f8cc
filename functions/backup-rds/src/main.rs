//! `backup-rds`: for every RDS instance that carries `tidemark:plan`, the current slot has a snapshot, the snapshot has
//! a copy in the recovery Region under that Region's key, and the ledger says so.

mod act;
mod observe;
mod plan;
mod refusal;
#[cfg(test)]
mod tests;

use events::Bus;
use plans::{Plans, SsmPlans};
use rds::{AwsRds, Rds};
use reconcile::{
    Done, Journal, Ledger, Plan, Reconciler, Result, Settings, Timestamp, Wake, aws_config, serve,
};
use vault::VaultLedger;

use crate::{
    act::Action,
    observe::{BackupRds, Observed},
};

impl<R: Rds, L: Ledger, P: Plans> Reconciler for BackupRds<R, L, P> {
    const NAME: &'static str = "backup-rds";
    type Request = Wake;
    type Observed = Observed;
    type Action = Action;

    async fn observe(&self, _wake: Wake, now: Timestamp) -> Result<Observed> {
        observe::observe(self, now).await
    }

    fn plan(observed: &Observed, now: Timestamp) -> Result<Plan<Action>> {
        Ok(plan::plan(observed, now))
    }

    async fn act(&self, action: &Action, _now: Timestamp) -> Result<Done> {
        act::act(self, action).await
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    serve(async || {
        let settings = Settings::from_environment();
        let home = settings.required("AWS_REGION");
        let recovery = settings.required("TIDEMARK_RECOVERY_REGION");
        let recovery_key = settings.required("TIDEMARK_RECOVERY_KEY");
        let bucket = settings.required("TIDEMARK_VAULT_BUCKET");
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
        Ok((reconciler, Journal { ledger, facts: Bus::new(&aws, bus) }))
    })
    .await
}
