use std::sync::Arc;

use domain::{Engine, Finding, PlanDocument};
use futures::{
    future::{OptionFuture, join3},
    join, try_join,
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use plans::Plans;
use rds::{Instance, Rds};
use reconcile::{Documents, Error, Result, Wake, board_name, parse_findings};
use vault::Store;

use crate::{
    Ask,
    engines::{self, Answer, Asked, Seen, Vaults, redis::Source, turso::Database},
    history,
    memory::{self, Memory, Rhythm},
    organization::{Caches, Organization},
};

/// The function, with the outside systems that it sees.
pub struct WatchRpo<R, C, T, S, P, D> {
    /// The Region of the databases.
    pub home: R,
    /// The Region of the copies.
    pub recovery: R,
    /// ElastiCache, at home.
    pub caches: C,
    /// The Turso organization, if there is one.
    pub turso: Option<T>,
    /// The vault at home.
    pub vault: S,
    /// The vault in the recovery Region.
    pub recovery_vault: S,
    /// The backup plans.
    pub plans: P,
    /// What it found and what it remembers.
    pub documents: D,
}

/// What is true now.
#[derive(Clone, Debug)]
pub struct Observed {
    pub(crate) canary: bool,
    pub(crate) plans: PlanDocument,
    pub(crate) instances: Seen<Instance>,
    pub(crate) caches: Seen<Source>,
    pub(crate) databases: Seen<Database>,
    /// What stands on this function's own board.
    pub(crate) board: Vec<Finding>,
    pub(crate) memory: memory::Found,
    /// The ages that were measured today.
    pub(crate) history: history::Found,
    /// Whether an event woke the function, and not its time.
    pub(crate) by_event: bool,
    /// The recovery Region's name.
    pub(crate) recovery: String,
}

/// An engine of which nothing is protected, as far as anybody knows, is asked once in so many minutes.
const UNUSED_ASKED_EVERY: i8 = 5;

/// An event has them looked at again, but a night's hundred events within a minute cost one look.
const LOOK_AT_EVENTS_EVERY: SignedDuration = SignedDuration::from_mins(1);

/// Looks. What the event says is not looked at.
pub(crate) async fn observe<R, C, T, S, P, D>(
    function: &WatchRpo<R, C, T, S, P, D>,
    ask: Ask,
    now: Timestamp,
) -> Result<Observed>
where
    R: Rds,
    C: Caches,
    T: Organization,
    S: Store,
    P: Plans,
    D: Documents,
{
    // Without plans or its memory there is nothing to say: no heartbeat then, which the alarm on it tells.
    let documents = &function.documents;
    let (plans, board, memory, history) = try_join!(
        function.plans.read(),
        board(documents),
        memory::read(documents, now),
        history::read(documents, now)
    )?;
    let looker = Looker { function, plans: &plans, memory: &memory.memory, board: &board, ask: &ask, now };
    let looks = join3(Box::pin(looker.instances()), Box::pin(looker.caches()), Box::pin(looker.databases()));
    let (instances, caches, databases) = looks.await;
    if let (Answer::Failed(error), false) =
        (&instances.answer, caches.protects(&plans) || databases.protects(&plans))
    {
        // Nothing else can be said either.
        return Err(Error::new(error.kind(), error.code().to_owned(), error.report()));
    }
    let (canary, recovery) = (ask == Ask::Canary, function.recovery.region().to_owned());
    let by_event = matches!(ask, Ask::Watch(Wake::Event { .. }));
    Ok(Observed { canary, plans, instances, caches, databases, board, memory, history, by_event, recovery })
}

/// What a look at each engine needs to know. No engine waits for another, nor falls silent with it.
struct Looker<'l, R, C, T, S, P, D> {
    function: &'l WatchRpo<R, C, T, S, P, D>,
    plans: &'l PlanDocument,
    memory: &'l Memory,
    board: &'l [Finding],
    ask: &'l Ask,
    now: Timestamp,
}

impl<R, C, T, S, P, D> Looker<'_, R, C, T, S, P, D>
where
    R: Rds,
    C: Caches,
    T: Organization,
    S: Store,
    D: Documents,
{
    async fn instances(&self) -> Seen<Instance> {
        let WatchRpo { home, recovery, .. } = self.function;
        let due = is_due(self.ask, self.memory.rhythm(Engine::Rds), self.now);
        let look = OptionFuture::from(due.then(|| engines::rds::look(home, recovery, self.now)));
        match join!(home.instances(), look) {
            (Ok(resources), look) => Seen { resources, answer: Answer::All, look },
            (Err(error), look) => {
                Seen { resources: Vec::new(), answer: Answer::Failed(Arc::new(error)), look }
            }
        }
    }

    async fn caches(&self) -> Seen<Source> {
        let is_used = engines::redis::is_named(self.plans) || self.is_known(Engine::Redis);
        let asked = self.asked(Engine::Redis, "aws.elasticache", is_used || self.is_turn_of_the_unused());
        engines::redis::observe(&self.function.caches, &self.vaults(), self.plans, asked, self.now).await
    }

    async fn databases(&self) -> Seen<Database> {
        let Some(organization) = &self.function.turso else { return Seen::nothing() };
        let is_used = engines::turso::is_named(self.plans) || self.is_known(Engine::Turso);
        let asked = self.asked(Engine::Turso, "turso", is_used);
        let documents = &self.function.documents;
        engines::turso::observe(organization, &self.vaults(), documents, self.plans, asked, self.now).await
    }

    /// Whether anything of that engine is expected to be protected, or something is said of it.
    fn is_known(&self, engine: Engine) -> bool {
        self.memory.expects(engine) || self.board.iter().any(|found| found.resource.engine == engine)
    }

    /// Another's event is no reason to ask an engine anything: its minute comes.
    fn asked(&self, engine: Engine, source: &str, is_used: bool) -> Asked {
        let is_its = match self.ask {
            Ask::Watch(Wake::Event { source: of, .. }) => of == source,
            Ask::Watch(_) | Ask::Canary => true,
        };
        let resources = is_its && is_used;
        Asked { resources, points: resources && is_due(self.ask, self.memory.rhythm(engine), self.now) }
    }

    fn is_turn_of_the_unused(&self) -> bool {
        *self.ask == Ask::Canary || self.now.to_zoned(TimeZone::UTC).minute() % UNUSED_ASKED_EVERY == 0
    }

    fn vaults(&self) -> Vaults<'_, S> {
        Vaults { home: &self.function.vault, recovery: &self.function.recovery_vault }
    }
}

async fn board(documents: &impl Documents) -> Result<Vec<Finding>> {
    let name = board_name(crate::NAME);
    let document = documents.read(&name).await?;
    // The pass says when it cannot be read, and replaces it.
    let findings = document.and_then(|document| parse_findings(&name, &document).ok());
    Ok(findings.map(|findings| findings.findings).unwrap_or_default())
}

/// Whether it is time to look at an engine's recovery points.
fn is_due(ask: &Ask, rhythm: Rhythm, now: Timestamp) -> bool {
    let every = match ask {
        Ask::Canary => return true,
        Ask::Watch(Wake::Event { .. }) => LOOK_AT_EVENTS_EVERY,
        // Each minute, even if an event had them looked at half a minute ago.
        Ask::Watch(_) if rhythm.look_minutes == 1 => return true,
        Ask::Watch(_) => SignedDuration::from_mins(rhythm.look_minutes),
    };
    // Wakes come a second early or late.
    let every = every - SignedDuration::from_secs(5);
    rhythm.seen_at.is_none_or(|seen_at| now.duration_since(seen_at) >= every)
}
