//! `backup-redis`: every protected Redis or Valkey has a recovery point in the vault for its current slot, each byte of it
//! read back and understood; a copy of it is in the recovery Region; and the ledger says so.
//!
//! There are two sources. **ElastiCache** (`cache`) takes a snapshot and exports it to a bucket, from where S3 copies it
//! into the vault; snapshots that are of no more use are deleted. **Append-only archives** (`archive`) are directories of
//! self-managed servers, which their owner archives to a bucket; they reach to the second. `docs/redis.md` tells it whole.

mod act;
mod archive;
mod intake;
mod left_over;
mod note;
mod observe;
mod plan;
mod protected;
mod refusal;
#[cfg(test)]
mod tests;
mod verify;

use plans::Plans;
use reconcile::{Documents, Done, Ledger, Plan, Reconciler, Result, Timestamp, Wake};
use redis::elasticache::ElastiCache;
use vault::Store;

pub use crate::observe::{BackupRedis, Buckets, Pace};
use crate::{act::Action, observe::Observed};

impl<C, S, B, L, P, D> Reconciler for BackupRedis<C, S, B, L, P, D>
where
    C: ElastiCache,
    S: Store,
    B: Buckets,
    L: Ledger,
    P: Plans,
    D: Documents,
{
    const NAME: &'static str = "backup-redis";
    type Request = Wake;
    type Observed = Observed;
    type Action = Action;

    async fn observe(&self, _wake: Wake, now: Timestamp) -> Result<Observed> {
        observe::observe(self, now).await
    }

    fn plan(observed: &Observed, now: Timestamp) -> Result<Plan<Action>> {
        Ok(plan::plan(observed, now))
    }

    async fn act(&self, action: &Action, now: Timestamp) -> Result<Done> {
        act::act(self, action, now).await
    }
}
