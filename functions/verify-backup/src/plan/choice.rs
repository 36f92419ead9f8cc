//! What is read in this run, of what is due.

use std::cmp::Reverse;

use super::due::Due;

/// How many are left for the next runs, and what is read in this one, in the order in which it is: what is half read, then what
/// nobody has looked at yet, the newest first, then what was looked at longest ago.
///
/// So that one very large recovery point keeps no other waiting for weeks, what is half read has half of the budget as long as
/// anything else is due.
pub(super) fn choose(mut due: Vec<Due<'_>>, budget: u64, most: usize) -> (usize, Vec<Due<'_>>) {
    due.sort_by_cached_key(|due| {
        let point = due.there.point;
        (!due.is_half_read, due.last, Reverse(point.slot), point.id.clone(), due.there.region)
    });
    let total = due.len();
    let others = due.split_off(due.partition_point(|due| due.is_half_read));
    let begun = due.iter().map(|due| due.bytes).fold(0, u64::saturating_add);
    let (others, used) = within(others, budget - begun.min(budget / 2));
    let (mut chosen, _) = within(due, budget.saturating_sub(used));
    chosen.extend(others);
    chosen.truncate(most);
    (total - chosen.len(), chosen)
}

/// As many as fit, in their order, the last one perhaps in part; and how much that is. What costs nothing always fits.
fn within(due: Vec<Due<'_>>, budget: u64) -> (Vec<Due<'_>>, u64) {
    let (mut chosen, mut used, mut is_full) = (Vec::new(), 0_u64, false);
    for one in due {
        let left = budget.saturating_sub(used);
        // One that cannot be divided would never be read if it had to fit.
        let fits = one.bytes <= left || (!one.is_divisible && used == 0);
        let taken = match one.bytes {
            0 => 0,
            _ if is_full => continue,
            bytes if fits => bytes,
            _ if one.is_divisible => left,
            _ => 0,
        };
        is_full |= !fits;
        if taken > 0 || one.bytes == 0 {
            used = used.saturating_add(taken);
            chosen.push(Due { budget: taken, ..one });
        }
    }
    (chosen, used)
}
