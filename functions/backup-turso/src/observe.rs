use std::{cell::RefCell, collections::BTreeSet, fmt, path::PathBuf, rc::Rc, sync::Arc};

use domain::{Engine, PlanDocument};
use futures::{join, try_join};
use inventory::{LeftOverSince, Marks};
use jiff::{SignedDuration, Timestamp, ToSpan, civil::Date, tz::TimeZone};
use plans::Plans;
use reconcile::{Documents, EntryKey, Error, Ledger, Result};
use secrets::PlainSecrets;
use tokio::sync::{Mutex, Semaphore};
use turso::{Connect, Current, Database, Keys, Organization, Turso};
use vault::{Listed, Store};

use crate::{
    left_over::{LeftOver, left_over},
    made::Made,
    staging::Turn,
};

/// The function, with the outside systems that it sees.
pub struct BackupTurso<C: Connect, K, S, L, D, P> {
    /// The way to the organization, and the secret with its token; `None` where there is no organization.
    pub organization: Option<(C, String)>,
    /// Where the secret is.
    pub secrets: K,
    /// The vault of the home Region.
    pub home: S,
    /// That of the recovery Region.
    pub recovery: S,
    /// What is recorded already.
    pub ledger: L,
    /// What this function remembers of work in progress.
    pub documents: D,
    /// Where what was fetched of large copies is kept.
    pub staging: S,
    /// The backup plans.
    pub plans: P,
    /// Where and how the work is done.
    pub pace: Pace,
    /// With what the last look was made; begins empty.
    pub account: RefCell<Option<Rc<Account<C::Turso>>>>,
}

/// Where and how copies are made.
pub struct Pace {
    /// The folder for copies: of one database at a time, since all share its room.
    pub folder: PathBuf,
    /// The size of the parts in which they are stored.
    pub part_bytes: u64,
    /// What time it is.
    pub clock: fn() -> Timestamp,
    /// For how long a database is left to the invocation that last wrote that it is at work on it: as long as one can last,
    /// since a copy may take all of that and writes nothing meanwhile.
    pub lease: SignedDuration,
    /// How long one goes on with a large copy, and what is one.
    pub turn: Turn,
    /// Who copies.
    pub(crate) at_work: Semaphore,
    /// Who writes down what becomes of branches: of several at once all but one would have to try again.
    pub(crate) at_branches: Mutex<()>,
}

impl Pace {
    /// Copies in that folder, in parts of that size, with a lease of 15 minutes; none is large.
    pub fn new(folder: impl Into<PathBuf>, part_bytes: u64, clock: fn() -> Timestamp) -> Self {
        let lease = SignedDuration::from_mins(15);
        let turn = Turn { time: lease, staged_from: u64::MAX };
        Self {
            folder: folder.into(),
            part_bytes,
            clock,
            lease,
            turn,
            at_work: Semaphore::new(1),
            at_branches: Mutex::default(),
        }
    }

    /// On Lambda's own disk. Parts of 8 MiB: 80 GB fit into the 10,000 of an upload, and two of them into memory.
    pub fn deployed(lease: SignedDuration, turn: Turn) -> Self {
        Self { lease, turn, ..Self::new(std::env::temp_dir().join("tidemark"), 8 << 20, Timestamp::now) }
    }
}

/// The organization as the secret opens it.
pub struct Account<T> {
    pub(crate) turso: T,
    pub(crate) keys: Keys,
}

impl<T> fmt::Debug for Account<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").finish_non_exhaustive()
    }
}

/// What is true now.
#[derive(Clone, Debug)]
pub struct Observed {
    pub(crate) plans: PlanDocument,
    /// The organization's databases; `None` where there is no organization.
    pub(crate) databases: Option<Vec<Database>>,
    /// Asked for only where a plan wants branches.
    pub(crate) organization: Option<Organization>,
    pub(crate) home: Vec<Listed>,
    pub(crate) home_region: String,
    /// An error there stops the copies to it, and nothing else.
    pub(crate) recovery: Result<Vec<Listed>, Arc<Error>>,
    pub(crate) recovery_region: String,
    pub(crate) current: Current,
    /// An error there stops the recording, and nothing else.
    pub(crate) recorded: Result<BTreeSet<EntryKey>, Arc<Error>>,
    /// What is known of our branches. An error there stops all that becomes of branches, and nothing else.
    pub(crate) known: Result<Known, Arc<Error>>,
    /// An error there stops what becomes of branches that are left over, and nothing else.
    pub(crate) evidence: Result<Evidence, Arc<Error>>,
}

/// What this function remembers of branches.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// Those that it made.
    pub(crate) made: Made,
    /// Since when some are left over.
    pub(crate) since: LeftOverSince,
}

/// What the vaults say of the databases of which branches are left over; nothing where none are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence {
    /// The days that were listed.
    pub(crate) days: BTreeSet<Date>,
    pub(crate) home: Vec<Listed>,
    pub(crate) away: Vec<Listed>,
    /// Who holds what, and what was found damaged.
    pub(crate) marks: Marks,
}

/// How long a slot's recovery point is looked after.
const DAYS: i64 = 3;

/// How many days are listed at most for branches that are left over, so that old ones keep nobody busy.
const MOST_DAYS: usize = 60;

/// Four lists for each engine-day and two calls to Turso, whatever the number of databases (a call for each hundred).
pub(crate) async fn observe<C, K, S, L, D, P>(
    function: &BackupTurso<C, K, S, L, D, P>,
    now: Timestamp,
) -> Result<Observed>
where
    C: Connect,
    K: PlainSecrets,
    S: Store,
    L: Ledger,
    D: Documents,
    P: Plans,
{
    let plans = function.plans.read().await?;
    let days = days(&plans, now);
    let wants_branches = plans.iter().any(|plan| plan.turso.branches > 0);
    let home = async {
        try_join!(
            function.look_at_branches(wants_branches),
            vault::list(&function.home, Engine::Turso, days.iter().copied()),
            Current::read(&function.documents)
        )
    };
    let recovery = vault::list(&function.recovery, Engine::Turso, days.iter().copied());
    let (home, recovery, recorded) = join!(home, recovery, function.ledger.keys(&days));
    let (((databases, organization), known), home, current) = home?;
    let evidence = match &known {
        Ok(known) => {
            let databases = databases.as_deref().unwrap_or_default();
            let left_over = left_over(databases, &plans, &current, &known.made);
            evidence(function, &left_over, &current, &known.since).await
        }
        Err(_) => Ok(Evidence::default()),
    };
    Ok(Observed {
        plans,
        databases,
        organization,
        home,
        home_region: function.home.region().to_owned(),
        recovery: recovery.map_err(Arc::new),
        recovery_region: function.recovery.region().to_owned(),
        current,
        recorded: recorded.map_err(Arc::new),
        known: known.map_err(Arc::new),
        evidence: evidence.map_err(Arc::new),
    })
}

/// The last days, and those of the slots that are current.
fn days(plans: &PlanDocument, now: Timestamp) -> BTreeSet<Date> {
    let back = |days: i64| now.checked_sub(SignedDuration::from_hours(24 * days)).unwrap_or(now);
    let last = (0..DAYS).map(|days| back(days).to_zoned(TimeZone::UTC).date());
    let slots = plans.iter().filter(|plan| !plan.turso.databases.is_empty());
    let slots = slots.filter_map(|plan| Some(plan.schedules.get(&Engine::Turso)?.latest_at(now)?.utc_date()));
    last.chain(slots).collect()
}

/// The days on which recovery points are as late as the branches: of each its own, the next one, which begins with a copy
/// whether or not anything was written, the one of the database's newest recovery point, and the last ones of its protection,
/// of a database that was copied by rows.
async fn evidence<C: Connect, K, S: Store, L, D, P>(
    function: &BackupTurso<C, K, S, L, D, P>,
    left_over: &[LeftOver<'_>],
    current: &Current,
    since: &LeftOverSince,
) -> Result<Evidence> {
    if left_over.is_empty() {
        return Ok(Evidence::default());
    }
    let days: BTreeSet<Date> = left_over
        .iter()
        .flat_map(|one| {
            let newest = current.of_incarnation(one.name, one.id);
            let newest = newest.and_then(|newest| Some(newest.id.parts()?.slot.utc_date()));
            let day = one.slot.utc_date();
            let days = [Some(day), day.checked_add(1.day()).ok(), newest].into_iter().flatten();
            days.chain(since.last_days(&one.lineage()))
        })
        .collect();
    let days: BTreeSet<Date> = days.into_iter().rev().take(MOST_DAYS).collect();
    let vaults = [&function.home, &function.recovery];
    let (home, away, marks) = try_join!(
        vault::list(&function.home, Engine::Turso, days.iter().copied()),
        vault::list(&function.recovery, Engine::Turso, days.iter().copied()),
        Marks::read(&vaults)
    )?;
    Ok(Evidence { days, home, away, marks })
}

/// The databases, if there is an organization, and what is known of our branches among them.
type Look = ((Option<Vec<Database>>, Option<Organization>), Result<Known>);

impl<C: Connect, K: PlainSecrets, S, L, D: Documents, P> BackupTurso<C, K, S, L, D, P> {
    /// What is known of branches is read first: of one that is closed meanwhile the list must not say that somebody has opened
    /// what was closed.
    async fn look_at_branches(&self, wants_branches: bool) -> Result<Look> {
        let known = async {
            let (made, since) =
                try_join!(Made::read(&self.documents), LeftOverSince::read(&self.documents, "backup-turso"))?;
            Ok(Known { made, since })
        };
        let known = if self.organization.is_some() { known.await } else { Ok(Known::default()) };
        Ok((self.look(wants_branches).await?, known))
    }
}

impl<C: Connect, K: PlainSecrets, S, L, D, P> BackupTurso<C, K, S, L, D, P> {
    /// Reads the secret, anew each time, and asks for the databases.
    async fn look(&self, wants_branches: bool) -> Result<(Option<Vec<Database>>, Option<Organization>)> {
        let Some((connector, secret)) = &self.organization else { return Ok((None, None)) };
        let keys = Keys::parse(secret, &self.secrets.text(secret).await?)?;
        let account = Rc::new(Account { turso: connector.connect(keys.token.clone()), keys });
        *self.account.borrow_mut() = Some(Rc::clone(&account));
        let organization =
            async { if wants_branches { account.turso.organization().await.map(Some) } else { Ok(None) } };
        let (databases, organization) = try_join!(account.turso.databases(), organization)?;
        Ok((Some(databases), organization))
    }
}

impl<C: Connect, K, S, L, D, P> BackupTurso<C, K, S, L, D, P> {
    /// The organization as it was opened for this pass.
    pub(crate) fn account(&self) -> Result<Rc<Account<C::Turso>>> {
        self.account.borrow().clone().ok_or_else(|| {
            Error::misconfigured("OrganizationNotConfigured", "TIDEMARK_TURSO_ORGANIZATION is not set")
        })
    }
}
