use std::future::Future;

use crate::Result;

/// A document, and which version of it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its text.
    pub text: String,
    /// What names this very version (S3: its `ETag`).
    pub version: String,
}

/// Small documents that functions remember by from one pass to the next: what they found, which alerts are open.
///
/// Nothing here is a backup or evidence of one: losing all of it costs repeated alerts and no data. A write says which
/// version it replaces, so that of two invocations that read the same one wins and the other hears of it.
pub trait Documents {
    /// The document of that name, if there is one.
    fn read(&self, name: &str) -> impl Future<Output = Result<Option<Document>>>;
    /// The names that begin so.
    fn names(&self, prefix: &str) -> impl Future<Output = Result<Vec<String>>>;
    /// Writes `text` in place of version `replacing` (`None`: where there is none). The new version, or `None` if
    /// somebody else wrote meanwhile: then nothing was changed.
    fn write(
        &self,
        name: &str,
        text: &str,
        replacing: Option<&str>,
    ) -> impl Future<Output = Result<Option<String>>>;
}
