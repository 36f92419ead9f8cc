//! What a test decides about RDS from outside, because no request can bring it about, or not soon enough.

use std::{fs::OpenOptions, os::unix::fs::FileExt, path::Path};

use jiff::SignedDuration;

use crate::state::InstanceStatus;
use crate::{Error, LocalRds};

impl LocalRds {
    /// Shifts the clock of RDS against the machine's: positive is ahead. Zero at first.
    ///
    /// From now on, all that RDS stamps (creation times of instances and snapshots, events) and tells (restorable times)
    /// is by that clock; what is stamped already stays. A restore to a time that RDS told gets what was there then.
    pub fn set_clock_skew(&self, skew: SignedDuration) {
        self.plane.clock.set_skew(skew);
    }

    /// Keeps the latest restorable time of an instance this far behind the clock of RDS, in its own Region or, for
    /// replicated automated backups, in the other. Real archives do not tell more than they have.
    pub fn set_archive_lag(&self, region: &str, instance: &str, lag: SignedDuration) -> Result<(), Error> {
        self.plane.region(region, |region| {
            let mut found =
                region.backups.values_mut().filter(|it| it.traits.instance == instance).peekable();
            found.peek().ok_or_else(|| Error::Instance(instance.to_owned()))?;
            found.for_each(|backup| backup.lag = Some(lag));
            Ok(())
        })
    }

    /// Gives an instance a status, as `DescribeDBInstances` writes it (`storage-full`, `incompatible-restore`), until
    /// work under way or another call gives it another one. Requests are refused as in that status on AWS.
    pub fn set_status(&self, region: &str, instance: &str, status: &str) -> Result<(), Error> {
        let status = InstanceStatus::named(status).ok_or_else(|| Error::Status(status.to_owned()))?;
        self.plane.region(region, |region| {
            let found = region.instance(instance).map_err(|_| Error::Instance(instance.to_owned()))?;
            found.status = status;
            Ok(())
        })
    }

    /// Runs statements in a database of an instance as a superuser: what RDS lets `rds_superuser` do and PostgreSQL does not, such
    /// as making the extension `amcheck` and granting its functions.
    pub async fn run_as_superuser(
        &self,
        region: &str,
        instance: &str,
        database: &str,
        sql: &str,
    ) -> Result<(), Error> {
        let cluster = self.plane.region(region, |region| region.instance(instance).ok()?.data.cluster());
        let cluster = cluster.ok_or_else(|| Error::Instance(instance.to_owned()))?;
        let client =
            cluster.server.connect_to(database).await.map_err(|error| Error::Postgres(error.into()))?;
        client.batch_execute(sql).await.map_err(|error| Error::Postgres(error.into()))
    }

    /// Overwrites the first place in a snapshot's data at which `text` stands, as storage does that tells nobody: of a row's
    /// text, the page that holds the row is torn. What was copied from it is torn with it, because it shares its files.
    pub fn tear_snapshot(&self, region: &str, snapshot: &str, text: &str) -> Result<(), Error> {
        let found = self.plane.region(region, |region| {
            region.snapshot(snapshot).map_err(|_| Error::Snapshot(snapshot.to_owned())).cloned()
        })?;
        let folder = found.data.ok_or_else(|| Error::Snapshot(snapshot.to_owned()))?;
        match tear(&folder.path().join("base.tar"), text.as_bytes()) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::Text { snapshot: snapshot.to_owned(), text: text.to_owned() }),
            Err(error) => Err(Error::Postgres(error.into())),
        }
    }

    /// Changes what a snapshot tells of its allocated storage.
    pub fn set_snapshot_storage(&self, region: &str, snapshot: &str, gib: u32) -> Result<(), Error> {
        self.plane.region(region, |region| {
            let found = region.snapshot(snapshot).map_err(|_| Error::Snapshot(snapshot.to_owned()))?;
            found.traits.allocated_storage_gib = gib;
            Ok(())
        })
    }
}

/// Overwrites `text` where it first stands in a file. Whether it does.
fn tear(file: &Path, text: &[u8]) -> std::io::Result<bool> {
    let bytes = std::fs::read(file)?;
    let Some(at) = bytes.windows(text.len().max(1)).position(|window| window == text) else {
        return Ok(false);
    };
    OpenOptions::new().write(true).open(file)?.write_all_at(&vec![0; text.len()], at as u64)?;
    Ok(true)
}
