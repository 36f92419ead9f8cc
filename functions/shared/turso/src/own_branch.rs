//! The names of branches that Tidemark makes: `tidemark-<database>-<slot>-<mark>`, so that one of somebody else's making is
//! never taken for one of ours.

use domain::{RecoveryPointId, Slot, drill::PREFIX};

use crate::{Database, Parent};

/// The longest name that Turso takes (`CreateDatabase`: "No longer than 64 characters").
const LONGEST: usize = 64;

/// The name of the branch of `database` at `slot`. The database's own name is cut where it would be too long; the mark is of
/// its id, so that no two databases share a name.
pub fn branch_name(database: &Database, slot: Slot) -> String {
    named(&database.name, &database.id, slot)
}

fn named(database: &str, id: &str, slot: Slot) -> String {
    let end = format!("-{}-{}", slot.compact(), RecoveryPointId::mark(id));
    let mut name = format!("{}{}", RecoveryPointId::PREFIX, database.to_lowercase());
    name.truncate(LONGEST - end.len());
    let name = name.trim_end_matches('-');
    format!("{name}{end}")
}

/// The slot of `branch`, if it is exactly the one that we would make of `database` for it, and was made of that.
pub fn own_branch_slot(database: &Database, branch: &Database) -> Option<Slot> {
    let parent = branch.parent.as_ref()?;
    let is_of_it = if parent.id.is_empty() { parent.name == database.name } else { parent.id == database.id };
    let slot = said_slot(branch)?;
    (is_of_it && branch.name == branch_name(database, slot)).then_some(slot)
}

/// Of what, and of which slot of it, `branch` is by its own word alone: for one whose source is gone. `None` if it is not
/// exactly the one that we would have made of that.
pub fn own_branch_source(branch: &Database) -> Option<(&Parent, Slot)> {
    let parent = branch.parent.as_ref().filter(|parent| !parent.id.is_empty() && !parent.name.is_empty())?;
    let slot = said_slot(branch)?;
    (branch.name == named(&parent.name, &parent.id, slot)).then_some((parent, slot))
}

fn said_slot(branch: &Database) -> Option<Slot> {
    Slot::parse_compact(branch.name.rsplit('-').nth(1)?)
}

/// Whether Tidemark made it for its own ends, a branch or what a drill restores into: nobody's to protect, also where a pattern of a plan
/// matches its name.
pub fn is_tidemarks_own(database: &Database) -> bool {
    is_own_branch(database) || database.name.starts_with(PREFIX)
}

/// Whether it is a branch of Tidemark's making, which is a way to restore and nobody's to protect. A branch that a person made
/// may well be what production runs on.
pub fn is_own_branch(database: &Database) -> bool {
    let mut parts = database.name.rsplit('-');
    let mark = parts.next().is_some_and(|mark| mark.len() == 6);
    let slot = parts.next().is_some_and(|slot| Slot::parse_compact(slot).is_some());
    mark && slot && database.name.starts_with(RecoveryPointId::PREFIX) && database.parent.is_some()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::FakeTurso;

    fn slot() -> Slot {
        Slot::at("2026-11-22T03:00:00Z".parse().unwrap())
    }

    #[test]
    fn what_a_drill_restores_into_is_nobodys_to_protect() {
        let database = FakeTurso::listed("tidemark-drill-shop-5e8963f35b", "id", "production");
        assert!(is_tidemarks_own(&database) && !is_own_branch(&database));
        assert!(!is_tidemarks_own(&FakeTurso::listed("drill-shop", "id", "production")));
    }

    proptest! {
        #[test]
        fn a_name_is_one_that_turso_takes_and_we_know_again(name in "[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?", id in ".*") {
            let database = FakeTurso::listed(&name, &id, "production");
            let made = branch_name(&database, slot());
            prop_assert!(made.len() <= 64 && made.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'));
            let parent = Some(Parent { id: id.clone(), name: name.clone() });
            let branch = Database { parent, ..FakeTurso::listed(&made, "b", "production") };
            prop_assert!(is_own_branch(&branch));
            let source = own_branch_source(&branch).map(|(parent, slot)| (parent.name.clone(), slot));
            prop_assert_eq!(source, (!id.is_empty()).then(|| (name.clone(), slot())));
            prop_assert_eq!(own_branch_slot(&database, &branch), (!id.is_empty()).then_some(slot()).or(Some(slot())));
            // Of another database, or nobody's branch: not ours.
            let other = Database { parent: Some(Parent { id: format!("{id}x"), name }), ..branch.clone() };
            prop_assert_eq!((own_branch_slot(&database, &other), own_branch_source(&other)), (None, None));
            let nobodys = Database { parent: None, ..branch };
            prop_assert_eq!((own_branch_slot(&database, &nobodys), own_branch_source(&nobodys)), (None, None));
        }
    }
}
