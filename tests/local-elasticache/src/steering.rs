//! What a test decides about ElastiCache from outside, because no request can bring it about, or not soon enough.

use jiff::SignedDuration;

use crate::state::{CacheStatus, Form, Kind};
use crate::{Error, LocalElastiCache};

/// What is wrong with an export that looks well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// One bit in the middle of the first object is another.
    FlipBit,
    /// The first object is only the first half of what it should be.
    Truncate,
    /// The first object has no bytes at all.
    Empty,
    /// The object of the last shard is missing.
    LeaveOutLastShard,
}

impl LocalElastiCache {
    /// Shifts the clock of ElastiCache against the machine's: positive is ahead. Zero at first.
    ///
    /// From now on, all that ElastiCache stamps (creation times of caches and snapshots) is by that clock, and so are the
    /// 24 hours of snapshot quotas; what is stamped already stays.
    pub fn set_clock_skew(&self, skew: SignedDuration) {
        self.plane.clock.set_skew(skew);
    }

    /// Whether everything is as it stays until somebody asks for something: no snapshot, copy, export or cache is on its way.
    pub fn is_at_rest(&self) -> bool {
        self.plane.tasks.are_done()
    }

    /// Gives a cache a status, as its Describe call writes it (`modifying`, `create-failed`), until work under way gives
    /// it another one. Requests are refused as in that status on AWS. A replication group comes before a cache cluster
    /// or serverless cache of the same name.
    pub fn set_status(&self, region: &str, cache: &str, status: &str) -> Result<(), Error> {
        self.plane.region(region, |region| {
            let kinds = [Kind::Group, Kind::Cluster, Kind::Serverless];
            let kind = kinds.into_iter().find(|kind| region.cache(*kind, cache).is_ok());
            let kind = kind.ok_or_else(|| Error::Cache(cache.to_owned()))?;
            let status = CacheStatus::named(status, kind).ok_or_else(|| Error::Status(status.to_owned()))?;
            let found = region.cache(kind, cache).map_err(|_| Error::Cache(cache.to_owned()))?;
            found.status = status;
            Ok(())
        })
    }

    /// Says of a replication group, or of a snapshot, that it has data tiering: what has cannot be exported. Snapshots
    /// taken of the group from now on have it, too.
    pub fn set_data_tiering(&self, region: &str, name: &str, on: bool) -> Result<(), Error> {
        self.plane.region(region, |region| {
            let cache = region.cache(Kind::Group, name).map(|cache| cache.traits.data_tiering = on);
            let snapshot = region.snapshot(Form::Node, name).map(|it| it.traits.data_tiering = on);
            cache.or(snapshot).map_err(|_| Error::Cache(name.to_owned()))
        })
    }

    /// Spoils the next export: what it puts into the bucket, not the snapshot. Called twice, the next two.
    pub fn damage_next_export(&self, damage: Damage) {
        self.plane.damage_next_export(damage);
    }

    /// Makes a snapshot that is there older by so much, and nothing else about it different.
    pub fn age_snapshot(&self, region: &str, name: &str, by: SignedDuration) -> Result<(), Error> {
        self.plane.region(region, |region| {
            let form =
                [Form::Node, Form::Serverless].into_iter().find(|form| region.snapshot(*form, name).is_ok());
            let missing = || Error::Cache(name.to_owned());
            let snapshot = region.snapshot(form.ok_or_else(missing)?, name).map_err(|_| missing())?;
            snapshot.taken = Some(snapshot.taken.ok_or_else(missing)? - by);
            Ok(())
        })
    }

    /// Lets the next snapshot of a cache end as `failed`.
    pub fn fail_next_snapshot(&self, region: &str, cache: &str) {
        self.plane.fail_next_snapshot(region, &cache.to_ascii_lowercase());
    }
}
