//! How many shards a new replication group is to have, with which slots.

use aws_query::{Fault, Parameters};

use crate::state::{Shard, Snapshot, shards};
use crate::valkey::{SLOTS, Slots};

/// The shards that the request asks for, else the snapshot's, else one.
pub(super) fn read(parameters: &Parameters, snapshot: Option<&Snapshot>) -> Result<Vec<Shard>, Fault> {
    let groups = parameters.list("NodeGroupConfiguration");
    let count = parameters.integer("NumNodeGroups")?.map(|count| count as usize);
    if count == Some(0) {
        return Err(Fault::invalid_value("NumNodeGroups must be at least 1."));
    }
    if let Some(count) = count
        && !groups.is_empty()
        && groups.len() != count
    {
        return Err(Fault::invalid_combination(
            "NumNodeGroups must be the number of node groups in NodeGroupConfiguration.",
        ));
    }
    if groups.is_empty() {
        return Ok(match (count, snapshot) {
            (Some(count), Some(snapshot)) if snapshot.traits.shards.len() == count => {
                snapshot.traits.shards.clone()
            }
            (Some(count), _) => shards(count),
            (None, Some(snapshot)) => snapshot.traits.shards.clone(),
            (None, None) => shards(1),
        });
    }
    configured(&groups)
}

fn configured(groups: &[Parameters]) -> Result<Vec<Shard>, Fault> {
    let mut configured = shards(groups.len());
    for (shard, group) in configured.iter_mut().zip(groups) {
        if let Some(id) = group.get("NodeGroupId") {
            if id.is_empty() || id.len() > 4 || !id.bytes().all(|b| b.is_ascii_digit()) {
                return Err(Fault::invalid_value(format!(
                    "Invalid node group id: {id}. Must be 1 to 4 digits."
                )));
            }
            id.clone_into(&mut shard.id);
        }
        if let Some(slots) = group.get("Slots") {
            shard.slots = Slots::parse(slots).ok_or_else(|| {
                Fault::invalid_value(format!(
                    "Invalid slots: {slots}. The local cloud takes one range, such as 0-5460."
                ))
            })?;
        }
    }
    let mut ranges: Vec<Slots> = configured.iter().map(|shard| shard.slots).collect();
    ranges.sort_by_key(|slots| slots.first);
    let next = ranges.iter().try_fold(0, |next, slots| (slots.first == next).then_some(slots.last + 1));
    if next != Some(SLOTS) {
        return Err(Fault::invalid_value("The slots of all node groups must be 0 to 16383, each once."));
    }
    Ok(configured)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_body(body: &str) -> Result<Vec<Shard>, Fault> {
        read(&Parameters::parse(body.as_bytes()).unwrap(), None)
    }

    #[test]
    fn slots_are_shared_evenly_and_completely() {
        for count in [1, 2, 3, 7, 90] {
            let shards = shards(count);
            assert_eq!(shards[0].slots.first, 0);
            assert_eq!(shards[count - 1].slots.last, SLOTS - 1);
            assert!(shards.windows(2).all(|two| two[0].slots.last + 1 == two[1].slots.first), "{count}");
        }
        assert_eq!(read_body("NumNodeGroups=3").unwrap()[1].slots.to_string(), "5461-10921");
    }

    #[test]
    fn node_groups_are_checked() {
        let group = |n: usize, slots: &str| {
            format!("NodeGroupConfiguration.NodeGroupConfiguration.{n}.Slots={slots}&")
        };
        let whole = read_body(&(group(1, "0-99") + &group(2, "100-16383"))).unwrap();
        assert_eq!((whole.len(), whole[1].slots.first), (2, 100));
        for bad in ["100-16382", "99-16383", "100-16384", "x"] {
            assert!(read_body(&(group(1, "0-99") + &group(2, bad))).is_err(), "{bad}");
        }
        assert!(read_body("NumNodeGroups=0").is_err());
        assert!(read_body(&(group(1, "0-16383") + "NumNodeGroups=2")).is_err());
    }
}
