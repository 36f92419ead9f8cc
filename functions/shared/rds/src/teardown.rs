use std::future::Future;

use aws_sdk_rds::operation::delete_db_instance::DeleteDBInstanceError;
use domain::drill::PREFIX;
use reconcile::{Error, Result, aws_error};

use crate::AwsRds;

/// What tears down what drills made. Of run-drill alone.
pub trait Teardown {
    /// Begins to delete the instance of that identifier, without a final snapshot and with its automated backups. One that is gone
    /// already is no error; one that is being deleted, or is up to something else, is `InvalidDBInstanceState`, which passes. One
    /// with deletion protection is `InvalidParameterCombination`, and stays.
    ///
    /// An identifier that is no drill's is `NotADrills`, before RDS is asked: the caller looks at tags, this at the name again.
    ///
    /// One that is being made can be deleted too: it is a final snapshot that cannot be had then (RDS User Guide, "Deleting a DB
    /// instance"). For a while after this it may tell its former status.
    fn delete_instance(&self, id: &str) -> impl Future<Output = Result<()>>;
}

/// Refuses what no drill made.
pub(crate) fn check(id: &str) -> Result<()> {
    if id.starts_with(PREFIX) {
        return Ok(());
    }
    let says =
        format!("DB instance {id} is not deleted: only what begins with {PREFIX} is, which drills made");
    Err(Error::permanent("NotADrills", says))
}

impl Teardown for AwsRds {
    async fn delete_instance(&self, id: &str) -> Result<()> {
        check(id)?;
        let request = self
            .client
            .delete_db_instance()
            .db_instance_identifier(id)
            .skip_final_snapshot(true)
            .delete_automated_backups(true);
        match request.send().await {
            Err(error)
                if !error
                    .as_service_error()
                    .is_some_and(DeleteDBInstanceError::is_db_instance_not_found_fault) =>
            {
                Err(aws_error(&format!("delete DB instance {id} in {}", self.region), error))
            }
            _ => Ok(()),
        }
    }
}
