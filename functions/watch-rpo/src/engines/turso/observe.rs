use std::{collections::HashMap, sync::Arc};

use domain::{PlanDocument, RecoveryPointState};
use jiff::Timestamp;
use reconcile::Documents;
use turso::{Current, CurrentPoint};
use vault::Store;

use super::Database;
use crate::{
    engines::{
        Answer, Asked, Look, Protected, Seen,
        vaulted::{self, Vaults},
    },
    look::{in_time, is_credible},
    organization::Organization,
    point::Point,
};

/// Asks Turso for its databases, lists the vaults if anything is protected, and reads which recovery points are current.
pub(crate) async fn observe<T: Organization, S: Store, D: Documents>(
    organization: &T,
    vaults: &Vaults<'_, S>,
    documents: &D,
    plans: &PlanDocument,
    asked: Asked,
    now: Timestamp,
) -> Seen<Database> {
    if !asked.resources {
        return Seen::nothing();
    }
    let mut resources: Vec<Database> = match in_time("databases were", organization.databases()).await {
        Ok(databases) => databases.into_iter().map(Database::new).collect(),
        Err(error) => return Seen { answer: Answer::Failed(Arc::new(error)), ..Seen::nothing() },
    };
    let mut look = vaulted::look_if(asked, vaults, &resources, plans, now).await;
    if let Some(look) = look.as_mut().filter(|look| look.home.is_ok()) {
        match Current::read(documents).await {
            Ok(current) => note_current(&mut resources, &current, look, plans, now),
            // Without it a database to which nothing is written would seem not to be backed up.
            Err(error) => look.home = Err(Arc::new(error)),
        }
    }
    Seen { resources, answer: Answer::All, look }
}

/// Believes what is said to be current, unless the recovery point should have been listed and is not there.
fn note_current(
    resources: &mut [Database],
    current: &Current,
    look: &Look<()>,
    plans: &PlanDocument,
    now: Timestamp,
) {
    let completed = look.home.iter().flatten().filter(|point| point.state == RecoveryPointState::Completed);
    let completed: HashMap<&str, &Point> = completed.map(|point| (point.id.as_str(), point)).collect();
    for database in resources {
        let Some(said) = current.databases.get(database.name()) else { continue };
        let super::Under::Plan(plan) = database.under(plans) else { continue };
        let listed_since = Database::looked_since(plan, now);
        let is_there = match said.id.parts() {
            Some(parts) if parts.slot.instant() >= listed_since => {
                completed.get(said.id.as_str()).is_some_and(|point| Database::key_of(point) == database.key())
            }
            Some(parts) => parts.mark == database.mark && parts.resource == database.name().to_lowercase(),
            None => false,
        };
        let CurrentPoint { incarnation, current_as_of, .. } = said;
        let is_meant = is_there && incarnation == database.incarnation() && is_credible(*current_as_of, now);
        database.current_at = is_meant.then_some(*current_as_of);
    }
}

/// Whether plans name any databases.
pub(crate) fn is_named(plans: &PlanDocument) -> bool {
    plans.iter().any(|plan| !plan.turso.databases.is_empty())
}
