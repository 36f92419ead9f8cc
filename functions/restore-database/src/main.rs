//! `restore-database`: a person asks for a database as it was at a second or at a recovery point, and it is made, under
//! a new name, in either Region. Ticks follow it until its first query is answered, and write down how long it took.

mod act;
mod entry;
mod follow;
mod observe;
mod plan;
mod request;
#[cfg(test)]
mod tests;

use events::Bus;
use postgres::{Postgres, TlsPostgres};
use rds::{AwsRds, Rds};
use reconcile::{
    Done, Journal, Ledger, Plan, Reconciler, Result, Settings, Summary, Timestamp, aws_config, serve,
};
use secrets::{Secrets, SecretsManager};
use serde_json::Value;
use vault::VaultLedger;

use crate::{
    act::Action,
    observe::{Observed, RestoreDatabase},
    request::Ask,
};

impl<R: Rds, L: Ledger, S: Secrets, P: Postgres> Reconciler for RestoreDatabase<R, L, S, P> {
    const NAME: &'static str = "restore-database";
    type Request = Ask;
    type Observed = Observed;
    type Action = Action;

    async fn observe(&self, ask: Ask, now: Timestamp) -> Result<Observed> {
        observe::observe(self, ask, now).await
    }

    fn plan(observed: &Observed, now: Timestamp) -> Result<Plan<Action>> {
        match observed {
            Observed::Asked(asked) => plan::plan(asked, now),
            Observed::Restores(restores) => Ok(follow::plan(restores, now)),
        }
    }

    async fn act(&self, action: &Action, now: Timestamp) -> Result<Done> {
        act::act(self, action, now).await
    }

    /// A person reads what became of the one request; a tick's answer is its summary.
    fn answer(mut summary: Summary) -> Value {
        match summary.acted.pop_if(|acted| acted.action == act::RESTORE) {
            Some(acted) => Value::Object(acted.detail),
            None => summary.into_json(),
        }
    }
}

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
