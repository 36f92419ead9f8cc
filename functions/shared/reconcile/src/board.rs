//! What a function finds wrong, posted where send-alert reads it: one document for each function, written anew when it
//! changes. A finding that is not there any more has ended.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Finding, Findings, ResourceId};
use jiff::{SignedDuration, Timestamp};

use crate::{Document, Documents, Error, Result};

/// Where all boards are.
pub const FINDINGS: &str = "findings/";

/// An unchanged board is written anew after so long, so that it also tells that its function is well.
const RENEWED: SignedDuration = SignedDuration::from_mins(10);

/// A function's board as it was read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Board {
    before: Option<Findings>,
    version: Option<String>,
}

/// The name of a function's board.
pub fn board_name(function: &str) -> String {
    format!("{FINDINGS}{function}.json")
}

/// The findings in a document; one that cannot be read is said to be so, and is replaced by the next post.
pub fn parse_findings(name: &str, document: &Document) -> Result<Findings> {
    serde_json::from_str(&document.text).map_err(|error| {
        Error::permanent("FindingsUnreadable", format!("document {name} holds no findings")).caused_by(error)
    })
}

impl Board {
    pub(crate) async fn read(documents: &impl Documents, function: &str) -> Result<Self> {
        let name = board_name(function);
        let Some(document) = documents.read(&name).await? else { return Ok(Self::default()) };
        let before = parse_findings(&name, &document)
            .inspect_err(|error| tracing::warn!(error.code = error.code(), "{}", error.report()))
            .ok();
        Ok(Self { before, version: Some(document.version) })
    }

    /// What was found, with what of the earlier findings nobody could look at now.
    ///
    /// A finding ends only when a look at its resource no longer shows it: what is `unknown` now stays as it was. One
    /// that lasts keeps the instant since which it has.
    pub(crate) fn next(&self, found: Vec<Finding>, unknown: impl Fn(&Finding) -> bool) -> Vec<Finding> {
        let before = self.before.iter().flat_map(|before| &before.findings);
        let before: BTreeMap<_, &Finding> = before.map(|finding| (finding.key(), finding)).collect();
        let mut next: BTreeMap<_, Finding> =
            found.into_iter().map(|finding| (finding.key(), finding)).collect();
        for (key, earlier) in before {
            match next.get_mut(&key) {
                Some(finding) => finding.since = finding.since.min(earlier.since),
                None if unknown(earlier) => _ = next.insert(key, earlier.clone()),
                None => {}
            }
        }
        next.into_values().collect()
    }

    /// Writes `findings` if they differ from what stands there, or that is old. Tells what changed; `None` if another pass
    /// has written meanwhile: then nothing was.
    ///
    /// Only a pass that is `well`, which failed in nothing but what it says here, moves the board's instant on: whoever
    /// waits for the function to be well again waits for that.
    pub(crate) async fn post(
        &mut self,
        documents: &impl Documents,
        function: &str,
        findings: Vec<Finding>,
        well: bool,
        now: Timestamp,
    ) -> Result<Option<Change>> {
        let before = self.before.as_ref();
        let same = before.is_some_and(|before| before.findings == findings);
        let at = match before {
            Some(before) if !well => before.at,
            None if !well => Timestamp::UNIX_EPOCH,
            _ => now,
        };
        if same && before.is_some_and(|before| at.duration_since(before.at) < RENEWED) {
            return Ok(Some(Change::default()));
        }
        let earlier = before.map(|before| keys(&before.findings)).unwrap_or_default();
        let later = keys(&findings);
        let change =
            Change { opened: later.difference(&earlier).count(), ended: earlier.difference(&later).count() };
        let findings = Findings { function: function.to_owned(), at, findings };
        let text = serde_json::to_string(&findings)
            .map_err(|error| Error::permanent("FindingsUnwritable", error.to_string()))?;
        match documents.write(&board_name(function), &text, self.version.as_deref()).await? {
            Some(version) => {
                *self = Self { before: Some(findings), version: Some(version) };
                Ok(Some(change))
            }
            None => Ok(None),
        }
    }
}

/// How many findings are new, and how many are no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) opened: usize,
    pub(crate) ended: usize,
}

fn keys(findings: &[Finding]) -> BTreeSet<(ResourceId, String)> {
    findings.iter().map(Finding::key).collect()
}
