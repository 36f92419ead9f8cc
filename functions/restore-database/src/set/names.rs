//! What the members of a set are called when they are restored.

use std::collections::BTreeSet;

use domain::{Engine, RecoveryPointId, ResourceId};
use reconcile::Result;

use crate::{
    rds, redis,
    request::{Wish, invalid},
    turso,
};

/// The longest name that an engine takes.
const fn longest(engine: Engine) -> usize {
    match engine {
        Engine::Rds | Engine::Tidemark => rds::Overrides::LONGEST,
        Engine::Redis => redis::Wish::LONGEST,
        Engine::Turso => turso::Wish::LONGEST,
    }
}

/// A name for each: `<set_as>-<name>`, with the engine between where two are called the same. What is too long for its engine is cut,
/// and ends in a mark of what was cut. A pure function, so that whoever asks again means the same.
pub(crate) fn names(set_as: &str, members: &[ResourceId]) -> Result<Vec<String>> {
    let is_shared = |resource: &ResourceId| {
        members.iter().filter(|other| other.name.eq_ignore_ascii_case(&resource.name)).count() > 1
    };
    let whole = members.iter().map(|resource| {
        let engine = if is_shared(resource) { format!("{}-", resource.engine) } else { String::new() };
        format!("{set_as}-{engine}{}", resource.name).to_ascii_lowercase()
    });
    let whole: Vec<String> = whole.collect();
    let names = members.iter().zip(&whole).map(|(resource, name)| {
        let is_free = whole.iter().filter(|other| *other == name).count() == 1;
        if is_free && name.chars().count() <= longest(resource.engine) {
            name.clone()
        } else {
            marked(name, &format!("{set_as} {resource}"), longest(resource.engine))
        }
    });
    let names: Vec<String> = names.collect();
    let distinct: BTreeSet<&String> = names.iter().collect();
    if distinct.len() < names.len() {
        return Err(invalid(format!(
            "\"as\" is {set_as:?}: two of the set's databases would be called the same ({}); choose another name",
            names.join(", ")
        )));
    }
    Ok(names)
}

/// The beginning of a name, with a mark of the whole after it.
fn marked(name: &str, of: &str, longest: usize) -> String {
    let mark = RecoveryPointId::mark(of);
    let kept: String = name.chars().take(longest - mark.len() - 1).collect();
    format!("{}-{mark}", kept.trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use domain::drill::PREFIX;
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(&["rds/orders", "redis/sessions", "turso/catalog"], &["shop-2-orders", "shop-2-sessions", "shop-2-catalog"])]
    #[case(&["rds/shop", "turso/shop", "redis/carts"], &["shop-2-rds-shop", "shop-2-turso-shop", "shop-2-carts"])]
    #[case(&["rds/redis-a", "redis/a", "turso/a"], &["shop-2-redis-a-brfv2a", "shop-2-redis-a-shcru3", "shop-2-turso-a"])]
    #[case(&["rds/Orders", "turso/orders"], &["shop-2-rds-orders", "shop-2-turso-orders"])]
    #[case(
        &["redis/a-name-of-almost-forty-characters-in-all"],
        &["shop-2-a-name-of-almost-forty-cha-imlcxe"]
    )]
    fn what_they_are_called(#[case] members: &[&str], #[case] expected: &[&str]) {
        let members: Vec<ResourceId> =
            members.iter().map(|text| (*text).to_owned().try_into().unwrap()).collect();
        assert_eq!(names("shop-2", &members).unwrap(), expected);
    }

    fn is_name(resource: &ResourceId, name: &str) -> bool {
        let kept = match resource.engine {
            Engine::Rds | Engine::Tidemark => rds::Overrides::name(name),
            Engine::Redis => redis::Wish::name(name),
            Engine::Turso => turso::Wish::name(name),
        };
        kept.as_deref() == Some(name)
    }

    fn member() -> impl Strategy<Value = ResourceId> {
        let identifier = "[a-zA-Z]([a-zA-Z0-9]|-[a-z0-9]){0,18}";
        prop_oneof![
            identifier.prop_map(ResourceId::rds),
            "(a|rds-a|redis-a|turso-a)".prop_map(ResourceId::rds),
            identifier.prop_map(ResourceId::redis),
            "(a|redis-a)".prop_map(ResourceId::redis),
            "[a-z0-9][a-z0-9-]{0,61}[a-z0-9]".prop_map(ResourceId::turso),
            "(a|turso-a|redis-a)".prop_map(ResourceId::turso),
        ]
    }

    proptest! {
        /// Whatever belongs together: each name is one of its engine's, no two are the same, and a drill's say so.
        #[test]
        fn names_are_valid_and_different(
            set_as in "[a-z]([a-z0-9]|-[a-z0-9]){0,31}", of_drill: bool,
            members in proptest::collection::btree_set(member(), 2..10),
        ) {
            let members: Vec<ResourceId> = members.into_iter().collect();
            let lower: BTreeSet<String> = members.iter().map(|one| one.to_string().to_lowercase()).collect();
            prop_assume!(lower.len() == members.len());
            let set_as = if of_drill { format!("{PREFIX}{set_as}") } else { set_as };
            prop_assume!(set_as.len() <= 63);
            let named = names(&set_as, &members).unwrap();
            prop_assert_eq!(&named, &names(&set_as, &members).unwrap());
            let distinct: BTreeSet<&String> = named.iter().collect();
            prop_assert_eq!(distinct.len(), members.len(), "{:?}", named);
            for (member, name) in members.iter().zip(&named) {
                prop_assert!(is_name(member, name), "{}: {}", member, name);
                prop_assert!(!of_drill || name.starts_with(PREFIX), "{}", name);
            }
        }
    }
}
