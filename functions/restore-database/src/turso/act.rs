use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use reconcile::{Documents, Done, Entry, Error, Kind, Ledger, Metric, Outcome, Result};
use serde_json::json;
use turso::{Access, Database, NewBranch, Scratch, Session, Turso};
use vault::Store;

use super::{
    count, file,
    observe::Reached,
    work::{Make, Stage, Work},
};
use crate::{
    orders::{self, Order, Ordered},
    restore::{DEAD_END, RESTORE, between_ms, ended},
};

/// What restore-database can do at Turso. It deletes nothing but a database that the same restore made a moment ago and
/// whose content did not arrive.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Begin what a person asked for.
    Begin { order: Box<Order<Work>>, document: String, replacing: Option<String>, notes: Vec<String> },
    /// The person asks again: go on with it.
    GoOn { ordered: Box<Ordered<Work>> },
    /// A tick goes on with it.
    Step { ordered: Box<Ordered<Work>>, requested_recorded: bool, too_long: bool },
}

impl reconcile::Action for Action {
    fn name(&self) -> &'static str {
        match self {
            Self::Begin { .. } | Self::GoOn { .. } => RESTORE,
            Self::Step { .. } => "go-on",
        }
    }

    fn failure(&self, error: &Error, now: Timestamp) -> Option<Entry> {
        match self {
            // The person who asked reads the error.
            Self::Begin { .. } | Self::GoOn { .. } => None,
            Self::Step { ordered, .. } => ordered.order.restore.failed(error, now),
        }
    }
}

/// How many databases are made for one restore before it is given up.
const ATTEMPTS: u32 = 3;

/// How long a token for a new database lives.
const TOKEN_LIFETIME: Duration = Duration::from_hours(1);

/// Carries out `action`. A restore asked for twice is found made; entries are written once.
pub(crate) async fn act<T: Turso, S: Store, D: Documents, L: Ledger>(
    function: &Reached<'_, T, S, D, L>,
    action: &Action,
    now: Timestamp,
) -> Result<Done> {
    match action {
        Action::Begin { order, document, replacing, notes } => {
            let ordered = begin(function, order, document, replacing.as_deref(), now).await?;
            answer(function, ordered, notes, true, now).await
        }
        Action::GoOn { ordered } => {
            let is_free = ordered.order.restore.set.is_none();
            answer(function, ordered.as_ref().clone(), &[], is_free, now).await
        }
        Action::Step { ordered, too_long: true, .. } => Err(Error::permanent(
            DEAD_END,
            format!(
                "{} was asked for more than a day ago and is not over; look at {}",
                ordered.order.restore.id, ordered.order.name
            ),
        )),
        Action::Step { ordered, requested_recorded, too_long: false } => {
            let mut ordered = ordered.as_ref().clone();
            let over = go_on(function, &mut ordered, now).await.map_err(ended)?;
            let mut done = Done::default().with("restore_id", ordered.order.restore.id.clone());
            if !requested_recorded {
                // The function was killed after the restore was begun.
                done.entries.push(requested(&ordered.order, now));
            }
            done.unfinished = !over;
            Ok(if over { completed(done, &ordered.order, now) } else { done })
        }
    }
}

/// Writes the order down. Of two that ask at once, one does; if both ask for the same, the other goes on with it.
async fn begin<T, S, D: Documents, L>(
    function: &Reached<'_, T, S, D, L>,
    order: &Order<Work>,
    document: &str,
    replacing: Option<&str>,
    now: Timestamp,
) -> Result<Ordered<Work>> {
    if let Some(ordered) = Ordered::begin(function.documents, document, order.clone(), replacing).await? {
        return Ok(ordered);
    }
    match orders::read::<Work>(function.documents, document).await? {
        Some(there) if there.order.is_same_as(order, now) => Ok(there),
        _ => Err(Error::misconfigured(
            "NameTaken",
            format!(
                "somebody else began to make {} at the same time; choose another name for \"as\"; nothing was done",
                order.name
            ),
        )),
    }
}

/// Has the database made, and says what becomes of it. Its content comes with the ticks. If it cannot be made, and it `is_free`, the
/// name is given up: a part of a set that was begun once is gone on with by ticks.
async fn answer<T: Turso, S: Store, D: Documents, L: Ledger>(
    function: &Reached<'_, T, S, D, L>,
    mut ordered: Ordered<Work>,
    notes: &[String],
    is_free: bool,
    now: Timestamp,
) -> Result<Done> {
    let mut notes = notes.to_vec();
    match make(function, &mut ordered).await {
        Ok(()) => {}
        // Once it is made, the name is taken by us: what could not be written down then, ticks find.
        Err(error) if error.kind() == Kind::Retryable || ordered.order.work.stage.made().is_some() => {
            notes.push(format!("a first attempt failed, ticks try again: {}", error.report()));
        }
        Err(error) if !is_free => return Err(error),
        Err(error) => {
            // Nothing was made by us. The name is free again for a request that mends it; if this cannot be written, ticks say so.
            ordered.order.refused = true;
            ordered.save(function.documents).await?;
            return Err(error);
        }
    }
    let order = &ordered.order;
    let mut done = Done { entries: vec![requested(order, now)], ..Done::underway() }
        .with("restore_id", order.restore.id.clone())
        .with("resource", order.restore.resource.to_string())
        .with("to", order.to.clone())
        .with("database", order.name.clone())
        .with("requested_at", order.restore.requested_at.to_string());
    for (key, value) in order.work.detail() {
        done = done.with(key, value);
    }
    if let Some((id, hostname)) = order.work.stage.made() {
        done = done.with("database_id", id).with("hostname", hostname);
    }
    let next = format!("ticks follow it; the ledger will hold {}", order.restore.id);
    Ok(done.with("notes", notes).with("next", next))
}

/// Goes one step further. Whether it is over.
async fn go_on<T: Turso, S: Store, D: Documents, L: Ledger>(
    function: &Reached<'_, T, S, D, L>,
    ordered: &mut Ordered<Work>,
    now: Timestamp,
) -> Result<bool> {
    make(function, ordered).await?;
    if let Stage::Uploading { id, hostname, .. } = &ordered.order.work.stage {
        // Whoever began was cut off, perhaps within the file: what is there is no database. It is made anew.
        let (id, hostname) = (id.clone(), hostname.clone());
        undo(function, ordered, &id, &hostname).await?;
        make(function, ordered).await?;
    }
    if let (Stage::Made { id, hostname }, Make::Upload { .. }) =
        (&ordered.order.work.stage, &ordered.order.work.make)
    {
        let (id, hostname) = (id.clone(), hostname.clone());
        ordered.order.work.stage =
            Stage::Uploading { id: id.clone(), hostname: hostname.clone(), since: now };
        // Of two that come here at once, one writes this and goes on.
        ordered.save(function.documents).await?;
        match upload(function, &ordered.order).await {
            Ok(rows) => {
                ordered.order.work.stage = Stage::Uploaded { id, hostname, rows };
                ordered.save(function.documents).await?;
            }
            Err(error) => {
                undo(function, ordered, &id, &hostname).await?;
                return Err(error);
            }
        }
    }
    is_whole(function, &ordered.order).await.map(|()| true)
}

/// Has the database made, if it is not yet.
async fn make<T: Turso, S, D: Documents, L>(
    function: &Reached<'_, T, S, D, L>,
    ordered: &mut Ordered<Work>,
) -> Result<()> {
    let turso = &function.turso;
    let name = ordered.order.name.clone();
    match &ordered.order.work.stage {
        Stage::Ordered => {
            if let Some(there) = turso.database(&name).await? {
                return Err(taken(&there));
            }
            // From here on one of that name may be ours.
            ordered.order.work.stage = Stage::Asked;
            ordered.save(function.documents).await?;
        }
        Stage::Asked => {}
        _ => return Ok(()),
    }
    let there = turso.database(&name).await?;
    let made = match there {
        Some(there) => own(function, &mut ordered.order, there).await?,
        None => match create(turso, &ordered.order).await {
            // The request was heard, its answer lost, and the request repeated; or another invocation was quicker.
            Err(error) if error.code() == "TursoConflict" => {
                let there = turso.database(&name).await?.ok_or(error)?;
                own(function, &mut ordered.order, there).await?
            }
            outcome => {
                ordered.order.work.adopted = false;
                outcome?
            }
        },
    };
    ordered.order.work.stage = Stage::Made { id: made.id, hostname: made.hostname };
    ordered.save(function.documents).await
}

async fn create(turso: &impl Turso, order: &Order<Work>) -> Result<Database> {
    match &order.work.make {
        Make::Upload { .. } => turso.create_for_upload(&order.name, &order.work.group).await,
        Make::Branch { of, of_id } => {
            let (name, group) = (order.name.clone(), order.work.group.clone());
            turso.branch(&NewBranch { name, group, of: of.clone(), at: order.work.as_of }).await?;
            let made = turso.database(&order.name).await?.ok_or_else(|| {
                Error::retryable(
                    "BranchNotSeen",
                    format!("Turso made {} and does not list it yet", order.name),
                )
            })?;
            if is_branch_of(&made, of, of_id) { Ok(made) } else { Err(taken(&made)) }
        }
    }
}

/// Whether it was branched from that database. Turso may leave out the parent's id.
fn is_branch_of(there: &Database, of: &str, of_id: &str) -> bool {
    there
        .parent
        .as_ref()
        .is_some_and(|parent| if parent.id.is_empty() { parent.name == of } else { parent.id == of_id })
}

fn taken(there: &Database) -> Error {
    Error::permanent(
        "NameTaken",
        format!(
            "there is a Turso database {} now ({}), which this restore did not make as far as it knows; it is left as it is: \
             choose another name",
            there.name, there.id
        ),
    )
}

/// The database of that name, if it is the one that this restore asked for and of which no answer came: nothing but a
/// branch of the same source, or a database with nothing in it, can be that one. One that waits for its upload refuses to be
/// read; so may others, but those refuse the upload, too.
async fn own<T: Turso, S, D, L>(
    function: &Reached<'_, T, S, D, L>,
    order: &mut Order<Work>,
    there: Database,
) -> Result<Database> {
    let is_ours = match &order.work.make {
        Make::Branch { of, of_id } => is_branch_of(&there, of, of_id),
        Make::Upload { .. } if there.parent.is_some() => false,
        Make::Upload { .. } => {
            let session = session(function, order, &there.hostname, Access::ReadOnly).await?;
            match count::objects(&function.turso, &session).await {
                Ok(objects) => objects == 0,
                Err(error) if error.code() == "TursoRequestInvalid" => true,
                Err(error) => return Err(error),
            }
        }
    };
    order.work.adopted = is_ours;
    if is_ours { Ok(there) } else { Err(taken(&there)) }
}

/// The way to the new database. One that is encrypted has its source's key, unless the secret names one for it.
async fn session<T: Turso, S, D, L>(
    function: &Reached<'_, T, S, D, L>,
    order: &Order<Work>,
    hostname: &str,
    access: Access,
) -> Result<Session> {
    let token = function.turso.token(&order.name, access, TOKEN_LIFETIME).await?;
    let keys = &function.keys.encryption_keys;
    let inherited = match &order.work.make {
        Make::Branch { of, .. } => keys.get(of),
        Make::Upload { .. } => None,
    };
    let encryption_key = keys.get(&order.name).or(inherited).cloned();
    Ok(Session { hostname: hostname.to_owned(), token, encryption_key })
}

/// Brings the vault's file to the new database. What must be in it then, by table.
async fn upload<T: Turso, S: Store, D: Documents, L: Ledger>(
    function: &Reached<'_, T, S, D, L>,
    order: &Order<Work>,
) -> Result<BTreeMap<String, u64>> {
    let (Make::Upload { region, prefix, object, .. }, Some((_, hostname))) =
        (&order.work.make, order.work.stage.made())
    else {
        return Err(Error::permanent("RestoreUnreadable", "the order is for no upload"));
    };
    let scratch = Scratch::new(function.scratch, &format!("{}.db", order.restore.id))?;
    let content = file::fetch(function.vault(region), prefix, object, &scratch).await?;
    file::prepare(scratch.path())?;
    let session = session(function, order, hostname, Access::Full).await?;
    function.turso.upload(&session, scratch.path()).await?;
    Ok(content.rows)
}

/// Deletes the database that this restore made, so that it is made anew: if it still is that one. One that may be somebody
/// else's stays, and gets its content once more.
async fn undo<T: Turso, S, D: Documents, L>(
    function: &Reached<'_, T, S, D, L>,
    ordered: &mut Ordered<Work>,
    id: &str,
    hostname: &str,
) -> Result<()> {
    let name = ordered.order.name.clone();
    let again = match function.turso.database(&name).await? {
        Some(there) if there.id != id || there.hostname != hostname => return Err(taken(&there)),
        Some(there) if ordered.order.work.adopted => Stage::Made { id: there.id, hostname: there.hostname },
        Some(_) => function.turso.delete(&name).await.map(|()| Stage::Ordered)?,
        None => Stage::Ordered,
    };
    ordered.order.work.failures += 1;
    ordered.order.work.stage = again;
    ordered.save(function.documents).await?;
    if ordered.order.work.failures >= ATTEMPTS {
        return Err(Error::permanent(
            "AttemptsExhausted",
            format!(
                "{ATTEMPTS} databases were made for {} and none got its content",
                ordered.order.restore.id
            ),
        ));
    }
    Ok(())
}

/// Whether the new database answers, and has the rows that it must have.
async fn is_whole<T: Turso, S, D, L>(function: &Reached<'_, T, S, D, L>, order: &Order<Work>) -> Result<()> {
    let turso = &function.turso;
    let Some((id, hostname)) = order.work.stage.made() else {
        return Err(Error::permanent("RestoreUnreadable", "nothing was made yet"));
    };
    match turso.database(&order.name).await? {
        Some(there) if there.id == id => {}
        Some(there) => return Err(taken(&there)),
        None => {
            return Err(Error::permanent(
                "DatabaseGone",
                format!("{} ({id}) is gone; ask again if it is still wanted", order.name),
            ));
        }
    }
    let session = session(function, order, hostname, Access::ReadOnly).await?;
    let Stage::Uploaded { rows, .. } = &order.work.stage else {
        return count::objects(turso, &session).await.map(drop);
    };
    let found = count::rows(turso, &session, rows.keys()).await?;
    let differing: Vec<String> = rows
        .iter()
        .filter(|(table, count)| found.get(*table) != Some(count))
        .take(3)
        .map(|(table, count)| format!("{table} has {} rows, not {count}", found.get(table).unwrap_or(&0)))
        .collect();
    if differing.is_empty() {
        return Ok(());
    }
    Err(Error::permanent(
        "ContentDiffers",
        format!("{} does not hold what the recovery point holds: {}", order.name, differing.join("; ")),
    ))
}

/// The entry that a restore was asked for.
fn requested(order: &Order<Work>, now: Timestamp) -> Entry {
    let detail = [("name", order.name.clone().into()), ("to", order.to.clone().into())];
    let mut entry = order.restore.requested(detail, now);
    entry.detail.extend(order.work.detail().into_iter().map(|(key, value)| (key.to_owned(), value)));
    entry
}

/// The entries that it is there, and how long it took. `now` is when a tick saw it answer: no finer than the ticks.
fn completed(mut done: Done, order: &Order<Work>, now: Timestamp) -> Done {
    let restore = &order.restore;
    let mut available = restore.entry("restore-available", Outcome::Completed, now);
    available.detail.insert("name".to_owned(), order.name.clone().into());
    let duration_ms = between_ms(restore.requested_at, now);
    let rows: Option<u64> = match &order.work.stage {
        Stage::Uploaded { rows, .. } => Some(rows.values().sum()),
        _ => None,
    };
    let phases = json!({"requested": restore.requested_at, "available": now, "creating_ms": duration_ms,
        "first_query_answered": now, "first_query_ms": 0});
    let detail = [
        ("name", json!(order.name)),
        ("to", json!(order.to)),
        ("database_id", json!(order.work.stage.made().map(|(id, _)| id))),
        ("endpoint", json!(order.work.stage.made().map(|(_, hostname)| hostname))),
        ("phases", phases),
        ("duration_ms", json!(duration_ms)),
        ("first_query", json!("answered")),
        ("rows", json!(rows)),
    ];
    let mut completed = restore.entry("restore-completed", Outcome::Completed, now);
    completed
        .detail
        .extend(detail.into_iter().chain(order.work.detail()).map(|(key, value)| (key.to_owned(), value)));
    done.entries.extend([available, completed]);
    done.metrics.push(Metric::milliseconds("restore_duration_ms", duration_ms));
    done.with("duration_ms", duration_ms)
}
