//! Drills of Turso: branches, and what is brought up from the vaults.

mod check;

use domain::{
    BackupPlan, PlanDocument, ResourceId, Side,
    drill::{PREFIX, To},
    retention::Region,
};
use jiff::{SignedDuration, Timestamp};
use reconcile::{Documents, Error, Result};
use secrets::PlainSecrets;
use serde::Deserialize;
use serde_json::{Map, json};
use turso::{Access, Connect, Database, Keys, Session, Turso, is_tidemarks_own};
use vault::Store;

use crate::{
    drill::Drill,
    engine::{Checked, Engine, Looked, Made, Staging, Stored, Subject, Turn},
    measure::Beats,
    restored::Restored,
};

/// Turso, with the outside systems that its drills see.
pub struct TursoDrills<C, K, S, D> {
    /// The way to the organization.
    pub connect: C,
    /// Where the token for it is.
    pub secrets: K,
    /// In which secret.
    pub secret: String,
    /// The vault at home.
    pub vault: S,
    /// The vault in the recovery Region.
    pub recovery_vault: S,
    /// Where restore-database keeps what it was asked for: Turso has no tags.
    pub documents: D,
    /// The secret with the keys that sign heartbeats.
    pub heartbeat_secret: Option<String>,
}

/// The Region under which the ledger files what happened at Turso.
const REGION: &str = "turso";

/// What is newer than this may not be in what Turso restores to yet: a branch may leave out 15 s (docs.turso.tech, "Point-in-Time
/// Recovery").
const SETTLED: SignedDuration = SignedDuration::from_mins(1);

/// How long a token for what a drill restored lives: longer than an invocation.
const TOKEN_LIFETIME: std::time::Duration = std::time::Duration::from_hours(1);

/// What restore-database writes down of what it makes, as far as drills need to know it.
#[derive(Debug, Deserialize)]
struct Order {
    resource: ResourceId,
    drill: Option<OrderedDrill>,
    work: Work,
}

#[derive(Debug, Deserialize)]
struct OrderedDrill {
    id: String,
    expires: Timestamp,
}

#[derive(Debug, Deserialize)]
struct Work {
    stage: OrderStage,
}

/// The id that Turso gave what was made, once that is known.
#[derive(Debug, Deserialize)]
struct OrderStage {
    id: Option<String>,
}

impl<C: Connect, K: PlainSecrets, S: Store, D: Documents> Engine for TursoDrills<C, K, S, D> {
    async fn look(&self, plans: &PlanDocument) -> Result<Looked> {
        let databases = self.reach().await?.0.databases().await?;
        let mut looked = Looked { protected: protected(&databases, plans), ..Looked::default() };
        let mut made = Vec::new();
        for database in databases.iter().filter(|database| database.name.starts_with(PREFIX)) {
            made.push(self.made(database).await?);
        }
        looked.add(REGION, Ok(made));
        Ok(looked)
    }

    async fn subject(
        &self,
        resource: &ResourceId,
        plan: &BackupPlan,
        stored: Stored,
        now: Timestamp,
    ) -> Result<Subject> {
        let (turso, _) = self.reach().await?;
        let source = turso.database(&resource.name).await?;
        let window = match (source, stored.earliest) {
            // Before its recovery points nobody knows whether it was there.
            (Some(_), Some(earliest)) => {
                let first = earliest.max(now - turso.organization().await?.pitr_window() + SETTLED);
                Some((first, now - SETTLED)).filter(|(first, end)| first < end)
            }
            _ => None,
        };
        let of_plan = plan.drill.as_ref().and_then(|drill| drill.assertions.get(resource)).cloned();
        let assertions = of_plan.unwrap_or_default();
        let path = format!("plans.{}.drill.assertions.{resource}", plan.name);
        let invalid = check::assertions(&path, &resource.name, &assertions).err();
        let staging = Region::ALL.map(|region| {
            let from = (region == Region::Recovery).then(|| ("from".to_owned(), json!("recovery-vault")));
            Ok(Staging { region: REGION.to_owned(), request: Map::from_iter(from), ..Staging::default() })
        });
        Ok(Subject { bytes: stored.bytes, window, staging, assertions, invalid })
    }

    async fn check(&self, drill: &Drill, turn: Turn) -> Result<Checked> {
        check::check(self, drill, turn).await
    }

    async fn number(&self, drill: &Drill, side: &Side) -> Result<i128> {
        check::number(self, drill, side).await
    }

    async fn heartbeats(&self, restored: &Restored) -> Result<Option<Beats>> {
        check::of_restored(self, restored).await
    }

    /// What bears a drill's name and its order knows by its id.
    async fn tear_down(&self, made: &Made) -> Result<()> {
        let (turso, _) = self.reach().await?;
        let Some(there) = turso.database(&made.name).await? else { return Ok(()) };
        let order = self.order(&made.name).await?;
        let known = order.as_ref().and_then(|order| order.work.stage.id.as_ref());
        match known {
            Some(id) if *id == there.id && there.name.starts_with(PREFIX) => turso.delete(&there.name).await,
            Some(id) => Err(Error::permanent(
                "NotADrills",
                format!(
                    "Turso database {} is {}, and the drill made {id}; it is left as it is: look whose it is",
                    there.name, there.id
                ),
            )),
            None => Err(Error::retryable(
                "NotYetADrills",
                format!(
                    "nobody has written down yet that the drill made Turso database {} ({})",
                    there.name, there.id
                ),
            )),
        }
    }
}

impl<C, K, S, D> TursoDrills<C, K, S, D> {
    fn vault_of(&self, region: Region) -> &S {
        match region {
            Region::Home => &self.vault,
            Region::Recovery => &self.recovery_vault,
        }
    }
}

impl<C: Connect, K: PlainSecrets, S, D: Documents> TursoDrills<C, K, S, D> {
    async fn reach(&self) -> Result<(C::Turso, Keys)> {
        let keys = Keys::parse(&self.secret, &self.secrets.text(&self.secret).await?)?;
        Ok((self.connect.connect(keys.token.clone()), keys))
    }

    /// What was ordered under that name; `None` if nothing was, or nobody can read it.
    async fn order(&self, name: &str) -> Result<Option<Order>> {
        let document = self.documents.read(&format!("restores/turso/{name}.json")).await?;
        Ok(document.and_then(|document| serde_json::from_str(&document.text).ok()))
    }

    async fn made(&self, database: &Database) -> Result<Made> {
        let order = self.order(&database.name).await?;
        let drill = order.as_ref().and_then(|order| order.drill.as_ref());
        Ok(Made {
            resource: order
                .as_ref()
                .map_or_else(|| ResourceId::turso(&database.name), |order| order.resource.clone()),
            region: REGION.to_owned(),
            name: database.name.clone(),
            sort: "Turso database",
            drill: drill.map(|drill| drill.id.clone()),
            expires: drill.map(|drill| drill.expires),
            status: "there".to_owned(),
        })
    }

    /// The way to what was restored. One that is encrypted has its source's key, unless the secret names one for it.
    async fn session(&self, source: &ResourceId, restored: &Database) -> Result<Session> {
        let (turso, keys) = self.reach().await?;
        let token = turso.token(&restored.name, Access::ReadOnly, TOKEN_LIFETIME).await?;
        let own = keys.encryption_keys.get(&restored.name);
        let encryption_key = own.or_else(|| keys.encryption_keys.get(&source.name)).cloned();
        Ok(Session { hostname: restored.hostname.clone(), token, encryption_key })
    }
}

fn protected(databases: &[Database], plans: &PlanDocument) -> Vec<(ResourceId, String)> {
    let of_plan = |database: &Database| {
        let names = |plan: &&BackupPlan| {
            plan.turso.databases.iter().any(|pattern| pattern.matches(&database.group, &database.name))
        };
        let mut naming = plans.iter().filter(names);
        // What two plans name is protected by neither.
        match (naming.next(), naming.next()) {
            (Some(plan), None) if !is_tidemarks_own(database) => {
                Some((ResourceId::turso(&database.name), plan.name.to_string()))
            }
            _ => None,
        }
    };
    databases.iter().filter_map(of_plan).collect()
}

/// The state that was restored, in a sentence.
fn says(to: &To) -> String {
    match to {
        To::Instant(instant) => format!("a branch as of {instant}"),
        To::Point(id) => format!("recovery point {id}"),
    }
}
