use jiff::Timestamp;
use reconcile::{Documents, Done, Entry, Error, Result};

/// All that watch-rpo can do. It changes nothing that is protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Write the month's memory in place of the version that was read.
    Remember { name: String, text: String, replacing: Option<String> },
}

impl reconcile::Action for Action {
    fn name(&self) -> &'static str {
        match self {
            Self::Remember { .. } => "remember",
        }
    }

    /// A memory that is lost costs no data, so it has no place in the ledger.
    fn failure(&self, _error: &Error, _now: Timestamp) -> Option<Entry> {
        None
    }
}

/// Carries out `action`. Another pass that wrote meanwhile saw the same world: the next tick adds what it did not see.
pub(crate) async fn act(documents: &impl Documents, action: &Action) -> Result<Done> {
    let Action::Remember { name, text, replacing } = action;
    let written = documents.write(name, text, replacing.as_deref()).await?;
    Ok(Done::default().with("document", name.as_str()).with("written", written.is_some()))
}
