use std::{collections::BTreeMap, sync::Arc};

use alarms::{Alarm, Alarms};
use domain::Findings;
use futures::{future::join_all, join};
use jiff::SignedDuration;
use reconcile::{Document, Documents, Error, FINDINGS, Result, parse_findings};
use serde::de::DeserializeOwned;

use crate::{
    memory::{Failures, Open},
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

/// What is true now.
#[derive(Debug)]
pub struct Observed {
    pub(crate) manner: Manner,
    pub(crate) open: Open,
    pub(crate) version: Option<String>,
    pub(crate) failures: Failures,
    pub(crate) received: Received,
    /// What each function finds. An unreadable board says nothing, and ends nothing.
    pub(crate) boards: BTreeMap<String, Result<Findings, Arc<Error>>>,
    /// An error leaves what was known of alarms as it was.
    pub(crate) alarms: Result<Vec<Alarm>, Arc<Error>>,
}

/// Which conversations are open.
pub(crate) const OPEN: &str = "alerts/open.json";
/// Which functions failed.
pub(crate) const FAILURES: &str = "alerts/failures.json";

/// One read for each function's board, two for the memory, one for the alarms, however many resources there are.
pub(crate) async fn observe<A: Alarms, T, D: Documents>(
    function: &SendAlert<A, T, D>,
    ask: Ask,
) -> Result<Observed> {
    let documents = &function.documents;
    let (open, failures, boards, alarms) = join!(
        documents.read(OPEN),
        documents.read(FAILURES),
        read_boards(documents),
        function.alarms.standing(&function.manner.prefix),
    );
    let open = open?;
    Ok(Observed {
        manner: function.manner.clone(),
        version: open.as_ref().map(|document| document.version.clone()),
        open: remembered(OPEN, open),
        failures: remembered(FAILURES, failures?),
        received: match ask {
            Ask::Look => Received::default(),
            Ask::Receive(received) => received,
        },
        boards: boards?,
        alarms: alarms.map_err(Arc::new),
    })
}

/// Our own memory. If it cannot be read, what lasts is told once more; to tell nothing for ever would be worse.
fn remembered<T: DeserializeOwned + Default>(name: &str, document: Option<Document>) -> T {
    let Some(document) = document else { return T::default() };
    serde_json::from_str(&document.text).unwrap_or_else(|error| {
        tracing::error!(document = name, "the memory is unreadable and begins anew: {error}");
        T::default()
    })
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
