//! Branches at Turso: made, closed to writes, and deleted as long as nobody can have written to them.

use jiff::Timestamp;
use reconcile::{Documents, Done, Kind, Result};
use turso::{Connect, Database, NewBranch, Turso};

use crate::{
    made::{Change, Made},
    observe::BackupTurso,
};

/// Makes a branch and closes it to writes at once. That it is begun is written down first: a tick that follows one that was cut
/// off in between knows by that which open branch is Tidemark's to close.
pub(crate) async fn make<C, K, S, L, D, P>(
    function: &BackupTurso<C, K, S, L, D, P>,
    new: &NewBranch,
) -> Result<Done>
where
    C: Connect,
    D: Documents,
{
    let turso = &function.account()?.turso;
    let begun: Timestamp = (function.pace.clock)();
    {
        let _alone = function.pace.at_branches.lock().await;
        Made::begin(&function.documents, &new.name, begun).await?;
    }
    let done = Done::underway().with("branch", new.name.clone());
    match turso.branch(new).await {
        // Its name says of what and of when it is: the one that is there is the same. The next tick sees whether it is closed.
        Err(error) if error.code() == "TursoConflict" => return Ok(done),
        made => made?,
    }
    match turso.block_writes(&new.name).await {
        // A token without the right to close it would leave one more open branch behind at each slot. Nobody knows of it yet.
        Err(error) if error.kind() != Kind::Retryable => {
            turso.delete(&new.name).await?;
            return Err(error);
        }
        closed => closed?,
    }
    if let Some(branch) = turso.database(&new.name).await? {
        let _alone = function.pace.at_branches.lock().await;
        Made::close(&function.documents, &branch).await?;
    }
    // The next tick sees whether an older one has to go.
    Ok(done)
}

/// Closes a branch to writes that was made a moment ago, if it is still that.
pub(crate) async fn close<C, K, S, L, D, P>(
    function: &BackupTurso<C, K, S, L, D, P>,
    branch: &Database,
) -> Result<Done>
where
    C: Connect,
    D: Documents,
{
    let turso = &function.account()?.turso;
    let there = turso.database(&branch.name).await?;
    if !there.is_some_and(|there| is_it(&there, branch)) {
        return Ok(Done::underway().with("left", branch.name.clone()));
    }
    turso.block_writes(&branch.name).await?;
    let _alone = function.pace.at_branches.lock().await;
    Made::close(&function.documents, branch).await?;
    Ok(Done::underway().with("branch", branch.name.clone()))
}

fn is_it(there: &Database, branch: &Database) -> bool {
    (&there.id, &there.parent) == (&branch.id, &branch.parent)
}

/// Looks once more first: it is deleted by its name, which may be another's by now; somebody may have opened it to writes since it
/// was listed; and a list may have lacked its source, if that `is_gone`.
pub(crate) async fn delete<C: Connect, K, S, L, D, P>(
    function: &BackupTurso<C, K, S, L, D, P>,
    branch: &Database,
    is_gone: bool,
) -> Result<Done> {
    let turso = &function.account()?.turso;
    let left = || Ok(Done::default().with("left", branch.name.clone()));
    if let Some(parent) = branch.parent.as_ref().filter(|_| is_gone) {
        let source = turso.database(&parent.name).await?;
        if source.is_some_and(|source| source.id == parent.id) {
            return left();
        }
    }
    let there = turso.database(&branch.name).await?;
    let may_go = |there: &Database| is_it(there, branch) && there.block_writes && !there.delete_protection;
    if there.is_some_and(|there| !may_go(&there)) {
        return left();
    }
    turso.delete(&branch.name).await?;
    Ok(Done::default().with("branch", branch.name.clone()))
}

/// Writes down what has become of branches.
pub(crate) async fn note<C: Connect, K, S, L, D: Documents, P>(
    function: &BackupTurso<C, K, S, L, D, P>,
    changes: &[Change],
) -> Result<Done> {
    let _alone = function.pace.at_branches.lock().await;
    Made::apply(&function.documents, changes).await?;
    Ok(Done::default().with("changed", changes.len()))
}
