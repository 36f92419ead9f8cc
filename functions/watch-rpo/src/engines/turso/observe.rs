use std::{collections::HashSet, sync::Arc};

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
            Ok(current) => note_current(&mut resources, &current, look, now),
            // Without it a database to which nothing is written would seem not to be backed up.
            Err(error) => look.home = Err(Arc::new(error)),
        }
    }
    Seen { resources, answer: Answer::All, look }
}

/// Believes what is said to be current of a recovery point that is there. backup-turso makes one each day, changed or not, so
/// it is among those that are listed.
fn note_current(resources: &mut [Database], current: &Current, look: &Look<()>, now: Timestamp) {
    let completed = look.home.iter().flatten().filter(|point| point.state == RecoveryPointState::Completed);
    let completed: HashSet<_> = completed.map(|point| (Database::key_of(point), point.id.as_str())).collect();
    for database in resources {
        let Some(said) = current.databases.get(database.name()) else { continue };
        let CurrentPoint { incarnation, id, current_as_of, .. } = said;
        let is_there = completed.contains(&(database.key(), id.as_str()));
        let is_meant = is_there && incarnation == database.incarnation() && is_credible(*current_as_of, now);
        let current_at = is_meant.then_some(*current_as_of);
        database.current_at = current_at;
    }
}

/// Whether plans name any databases.
pub(crate) fn is_named(plans: &PlanDocument) -> bool {
    plans.iter().any(|plan| !plan.turso.databases.is_empty())
}
