//! Whether every table can be read to the end.

use std::time::Duration;

use super::{Blocks, Damage, Fault, FaultKind, Relation, Session, Tally, Walk, walk::Work};

/// Goes on reading the tables of a database, as far as the time that is `left` allows: [`Walk::is_over`] says whether that was
/// everything, [`Walk::evidence`] what could not be read.
///
/// Every column of every row is turned into what a client would be sent, in the server: so what is compressed or out of line is
/// read too, and no row, however large, comes to us. Then the rows are counted once more through an index, where there is one:
/// a file that ends too early holds no damaged block, and its rows are missed only by whoever comes from an index.
///
/// An error is of no one table: the connection was lost ([`FaultKind::Unavailable`]), or the catalogs themselves cannot be read.
/// What was done until then is in `walk`, so connect again and go on. What loses the connection again and again is a finding at
/// last, and is gone past.
pub async fn read_tables<S: Session>(
    session: &S,
    walk: &mut Walk,
    mut left: impl FnMut() -> Duration,
) -> Result<(), Fault> {
    if walk.is_over {
        return Ok(());
    }
    let tables = session.tables(walk.next_oid()).await?;
    walk.go_on(session, tables, &Read, &mut left).await
}

struct Read;

impl<S: Session> Work<S> for Read {
    async fn range(
        &self,
        session: &S,
        relation: &Relation,
        blocks: Blocks,
        within: Duration,
    ) -> Result<(Tally, Vec<Damage>), Fault> {
        Ok((session.read(relation, blocks, within).await?, Vec::new()))
    }

    async fn end(
        &self,
        session: &S,
        relation: &Relation,
        rows: u64,
        within: Duration,
    ) -> Result<Option<Fault>, Fault> {
        if !relation.has_full_index || session.rows_by_index(relation, within).await? == rows {
            return Ok(None);
        }
        // Somebody may have written meanwhile, such as a job that the server runs by itself.
        let (heap, index) = session.rows_both_ways(relation, within).await?;
        Ok((heap != index).then(|| {
            let said =
                format!("the table has {heap} rows, but an index of it leads to {index}: some are lost");
            Fault::new(FaultKind::Corrupt, said)
        }))
    }
}
