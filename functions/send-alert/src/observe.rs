use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use alarms::{Alarm, Alarms};
use domain::{Findings, Severity};
use futures::{future::join_all, join};
use jiff::SignedDuration;
use reconcile::{Document, Documents, Error, FINDINGS, Result, parse_findings};

use crate::{
    memory::Open,
    request::{Ask, Received},
};

/// The function, with the outside systems that it sees.
pub struct SendAlert<A, T, D> {
    /// CloudWatch's alarms.
    pub alarms: A,
    /// Where alerts go.
    pub topic: T,
    /// What the functions find, and what this one remembers.
    pub documents: D,
    /// How this deployment wants it.
    pub manner: Manner,
}

/// How a deployment wants its alerts.
#[derive(Clone, Debug)]
pub struct Manner {
    /// The installation's name, for subjects.
    pub stage: String,
    /// What the names of its functions and alarms begin with: `tidemark-prod-`.
    pub prefix: String,
    /// Where the runbooks are published; empty means that messages name the file.
    pub runbooks: String,
    /// How long an invocation can last.
    pub lease: SignedDuration,
    /// How often a critical alert is repeated while it lasts.
    pub reminder: SignedDuration,
}

impl Manner {
    /// How often something of that severity is repeated while it lasts; `None` for what is not.
    pub(crate) fn patience(&self, severity: Severity) -> Option<SignedDuration> {
        match severity {
            Severity::Critical => Some(self.reminder),
            Severity::Warning => Some(self.reminder * WARNING_PATIENCE),
            Severity::Info => None,
        }
    }
}

/// Warnings are repeated this many times less often than what is critical.
const WARNING_PATIENCE: i32 = 6;

/// What is true now.
#[derive(Debug)]
pub struct Observed {
    pub(crate) manner: Manner,
    pub(crate) open: Open,
    pub(crate) version: Option<String>,
    pub(crate) received: Received,
    /// What each function finds. An unreadable board says nothing, and ends nothing.
    pub(crate) boards: BTreeMap<String, Result<Findings, Arc<Error>>>,
    /// An error leaves what was known of alarms as it was.
    pub(crate) alarms: Result<Vec<Alarm>, Arc<Error>>,
}

/// Which conversations are open.
pub(crate) const OPEN: &str = "alerts/open.json";

/// One read for each function's board, one for the memory, one for the alarms, however many resources there are.
pub(crate) async fn observe<A: Alarms, T, D: Documents>(
    function: &SendAlert<A, T, D>,
    ask: Ask,
) -> Result<Observed> {
    let documents = &function.documents;
    let (open, boards, alarms) = join!(
        read_open(function, &ask),
        read_boards(documents),
        function.alarms.standing(&function.manner.prefix),
    );
    let (open, version) = open?;
    Ok(Observed {
        manner: function.manner.clone(),
        open,
        version,
        received: match ask {
            Ask::Look => Received::default(),
            Ask::Receive(received) => received,
        },
        boards: boards?,
        alarms: alarms.map_err(Arc::new),
    })
}

/// Our own memory. If it cannot be read, what lasts is told once more; to tell nothing for ever would be worse.
fn remembered(document: Option<Document>) -> Open {
    let Some(document) = document else { return Open::default() };
    serde_json::from_str(&document.text).unwrap_or_else(|error| {
        tracing::error!(document = OPEN, "the memory is unreadable and begins anew: {error}");
        Open::default()
    })
}

/// How long a batch from a queue waits for somebody else's lease. Nobody else has what it brings, and the queue would
/// deliver it again only after minutes.
const LEASE_PATIENCE: Duration = Duration::from_secs(5);

/// The memory, and which version of it was read.
async fn read_open<A, T, D: Documents>(
    function: &SendAlert<A, T, D>,
    ask: &Ask,
) -> Result<(Open, Option<String>)> {
    let deadline = Instant::now() + LEASE_PATIENCE;
    loop {
        let document = function.documents.read(OPEN).await?;
        let version = document.as_ref().map(|document| document.version.clone());
        let open = remembered(document);
        if open.lease.is_none() || !ask.brings_failures() || Instant::now() >= deadline {
            return Ok((open, version));
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

async fn read_boards<D: Documents>(documents: &D) -> Result<BTreeMap<String, Result<Findings, Arc<Error>>>> {
    let names = documents.names(FINDINGS).await?;
    let boards = names.into_iter().filter_map(|name| {
        let function = name.strip_prefix(FINDINGS)?.strip_suffix(".json")?.to_owned();
        // What this function itself could not do, it cannot tell either: its alarms do.
        (function != crate::NAME).then_some((function, name))
    });
    let reads = boards.map(|(function, name)| async move {
        let read = match documents.read(&name).await {
            Ok(Some(document)) => parse_findings(&name, &document),
            Ok(None) => Err(Error::retryable("DocumentGone", format!("document {name} is gone"))),
            Err(error) => Err(error),
        };
        (function, read.map_err(Arc::new))
    });
    Ok(join_all(reads).await.into_iter().collect())
}
