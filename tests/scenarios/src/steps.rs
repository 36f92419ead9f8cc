use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use aws_sdk_rds::{config::Region, primitives::DateTime, types::Tag};
use jiff::Timestamp;
use local_cloud::{Cloud, Invocation};
use postgres::{Server, TlsPostgres};
use secrets::Credentials;
use serde_json::{Value, json};

use crate::Database;

/// The databases of a scenario, on a cloud that may be shared with other scenarios.
pub struct Estate<'c> {
    /// The cloud.
    pub cloud: &'c Cloud,
    tls: TlsPostgres,
    credentials: Credentials,
}

/// How long anything may take before the scenario fails.
const PATIENCE: Duration = Duration::from_mins(2);

/// Asks `condition` again and again until it gives something, for two minutes at most.
pub async fn poll<T, F: Future<Output = Result<Option<T>>>>(
    what: &str,
    condition: impl Fn() -> F,
) -> Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(found) = condition().await? {
            return Ok(found);
        }
        if begun.elapsed() > PATIENCE {
            bail!("{what}: not within {} s", PATIENCE.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What the ledger says of a restore that is over.
#[derive(Clone, Debug)]
pub struct RestoreOutcome {
    /// The whole entry.
    pub entry: Value,
    /// From the request to the first query.
    pub duration_ms: i64,
}

impl<'c> Estate<'c> {
    /// On that cloud.
    pub fn new(cloud: &'c Cloud) -> Self {
        let ca = cloud.rds().ca_certificate().display().to_string();
        let credentials =
            Credentials { username: "tidemark".to_owned(), password: "correct-horse-battery".into() };
        Self { cloud, tls: TlsPostgres::new(Some(ca)), credentials }
    }

    /// The Region of the functions and databases.
    pub fn home(&self) -> &'c str {
        &self.cloud.stack().home_region
    }

    /// The Region of the copies.
    pub fn recovery(&self) -> &'c str {
        &self.cloud.stack().recovery_region
    }

    /// A client of RDS, as any program has it.
    pub fn rds(&self, region: &str) -> aws_sdk_rds::Client {
        let config = self.cloud.config(region);
        aws_sdk_rds::Client::from_conf(
            aws_sdk_rds::config::Builder::from(&config).region(Region::new(region.to_owned())).build(),
        )
    }

    /// A PostgreSQL instance with its credentials in Secrets Manager, available, and not protected yet.
    pub async fn create_instance(&self, name: &str) -> Result<()> {
        self.create_instance_keeping(name, 7).await
    }

    /// The same, with automated backups of so many days.
    pub async fn create_instance_keeping(&self, name: &str, days: i32) -> Result<()> {
        let secret = format!("tidemark/{name}");
        let password = "correct-horse-battery";
        let value =
            json!({"engine": "postgres", "username": self.credentials.username, "password": password});
        aws_sdk_secretsmanager::Client::new(&self.cloud.config(self.home()))
            .create_secret()
            .name(&secret)
            .secret_string(value.to_string())
            .send()
            .await?;
        self.rds(self.home())
            .create_db_instance()
            .db_instance_identifier(name)
            .engine("postgres")
            .db_instance_class("db.t4g.medium")
            .allocated_storage(20)
            .storage_encrypted(true)
            .db_name("shop")
            .master_username(&self.credentials.username)
            .master_user_password(password)
            .backup_retention_period(days)
            .tags(Tag::builder().key("tidemark:secret").value(&secret).build())
            .send()
            .await
            .with_context(|| format!("cannot create DB instance {name}"))?;
        self.wait_available(self.home(), name).await.map(drop)
    }

    /// Tags an instance with the default plan. From here on whatever wakes backup-rds backs it up.
    pub async fn protect(&self, name: &str) -> Result<()> {
        let rds = self.rds(self.home());
        let instance = rds.describe_db_instances().db_instance_identifier(name).send().await?;
        let arn = instance
            .db_instances()
            .first()
            .and_then(|instance| instance.db_instance_arn())
            .context("no such instance")?;
        let plan = Tag::builder().key("tidemark:plan").value("default").build();
        rds.add_tags_to_resource().resource_name(arn).tags(plan).send().await?;
        Ok(())
    }

    /// Waits until an instance is available; where it listens.
    pub async fn wait_available(&self, region: &str, name: &str) -> Result<Server> {
        let rds = self.rds(region);
        let rds = &rds;
        poll(&format!("{name} available"), async || {
            let answer = rds.describe_db_instances().db_instance_identifier(name).send().await?;
            let instance = answer.db_instances().first().context("no such instance")?;
            let endpoint = instance.endpoint().filter(|_| instance.db_instance_status() == Some("available"));
            Ok(endpoint.and_then(|endpoint| {
                Some(Server {
                    host: endpoint.address()?.to_owned(),
                    port: u16::try_from(endpoint.port()?).ok()?,
                    database: "shop".to_owned(),
                })
            }))
        })
        .await
    }

    /// Connects to an instance that is available.
    pub async fn connect(&self, region: &str, name: &str) -> Result<Database> {
        let server = self.wait_available(region, name).await?;
        Database::connect(&self.tls, &server, &self.credentials).await
    }

    /// Waits until RDS says that point-in-time restores reach `instant`.
    pub async fn wait_restorable(&self, name: &str, instant: Timestamp) -> Result<Timestamp> {
        let rds = self.rds(self.home());
        let rds = &rds;
        poll(&format!("{name} restorable to {instant}"), async || {
            let answer = rds.describe_db_instances().db_instance_identifier(name).send().await?;
            let latest = answer
                .db_instances()
                .first()
                .and_then(|instance| instance.latest_restorable_time())
                .map(timestamp);
            Ok(latest.filter(|latest| *latest > instant))
        })
        .await
    }

    /// Fires the schedule of backup-rds and lets the ticks go on until all is done; every answer.
    pub async fn back_up(&self) -> Result<Vec<Invocation>> {
        self.back_up_by("backup-rds").await
    }

    /// As [`Estate::back_up`], of the function of another engine.
    pub async fn back_up_by(&self, function: &str) -> Result<Vec<Invocation>> {
        let first = self.cloud.fire_schedule(&format!("{function}-slot")).await?;
        let mut all = vec![first];
        all.extend(self.cloud.ticks(function, PATIENCE).await?);
        Ok(all)
    }

    /// The recovery point that the ledger has of an instance, completed in `region`.
    pub async fn recovery_point(&self, name: &str, region: &str) -> Result<Value> {
        self.recovery_point_of(&format!("rds/{name}"), region).await
    }

    /// The recovery point that the ledger has of a resource, completed in `region`.
    pub async fn recovery_point_of(&self, resource: &str, region: &str) -> Result<Value> {
        let entries = self.cloud.ledger().await?;
        let found = entries.into_iter().rev().find(|entry| {
            entry["resource"] == resource
                && entry["region"] == region
                && entry["slot"].is_string()
                && entry["outcome"] == "completed"
        });
        found.ok_or_else(|| anyhow!("the ledger has no completed recovery point of {resource} in {region}"))
    }

    /// Puts the document of the backup plans in place of the one there is.
    pub async fn set_plans(&self, plans: &Value) -> Result<()> {
        let parameter =
            self.cloud.stack().outputs.get("PlansParameterName").context("no output PlansParameterName")?;
        Ok(self.cloud.ssm_put(parameter, &plans.to_string()).await?)
    }

    /// Asks restore-database, as a person does; its answer.
    pub async fn ask_restore(&self, request: &Value) -> Result<Value> {
        Ok(self.cloud.invoke("restore-database", request).await?.into_payload()?)
    }

    /// Lets the ticks follow the restore until the ledger says that it is over.
    pub async fn follow_restore(&self, restore_id: &str) -> Result<RestoreOutcome> {
        poll(&format!("{restore_id} completed"), async || {
            self.cloud.fire_schedule("restore-database-tick").await?;
            let entries = self.cloud.ledger().await?;
            let mut of_it = entries.into_iter().filter(|entry| entry["subject"] == restore_id);
            let over =
                of_it.find(|entry| entry["kind"] == "restore-completed" || entry["kind"] == "restore-failed");
            match over {
                Some(entry) if entry["kind"] == "restore-failed" => bail!("{restore_id} failed: {entry}"),
                Some(entry) => {
                    let duration_ms = entry["duration_ms"].as_i64().context("no duration_ms")?;
                    Ok(Some(RestoreOutcome { entry, duration_ms }))
                }
                None => Ok(None),
            }
        })
        .await
    }
}

fn timestamp(from: &DateTime) -> Timestamp {
    let nanos = i32::try_from(from.subsec_nanos()).unwrap_or(0);
    Timestamp::new(from.secs(), nanos).unwrap_or(Timestamp::UNIX_EPOCH)
}
