use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use reconcile::{Done, Entry, Error, Outcome, Result};
use report::{Report, State, html};
use serde_json::{Map, Value, json};
use vault::{Created, Store};

use crate::{
    NAME,
    due::Name,
    observe::{PublishReport, about},
    plan::news,
};

/// The kind of the entry, the fact and the finding that tell of a report.
pub(crate) const KIND: &str = "report-published";

/// How much of a JSON is read with one call.
const READ_BYTES: u64 = 8 << 20;

/// What publish-report can do. Nothing is ever overwritten.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Write a report, and say so.
    Publish { name: Name, report: Box<Report> },
    /// Write the page of a JSON that is there, and say so.
    Finish { name: Name },
}

impl reconcile::Action for Action {
    fn name(&self) -> &'static str {
        match self {
            Self::Publish { .. } => "publish-report",
            Self::Finish { .. } => "finish-report",
        }
    }

    fn failure(&self, _error: &Error, _now: Timestamp) -> Option<Entry> {
        // The next tick goes on, and a person hears of it at once.
        None
    }
}

/// Carries out `action`. The JSON comes first, and the page is a function of the JSON that is there: so two that publish at once,
/// or one that goes on where another was killed, publish one report.
pub(crate) async fn act<R, S: Store, L, P, D>(
    function: &PublishReport<R, S, L, P, D>,
    action: &Action,
    now: Timestamp,
) -> Result<Done> {
    let vault = &function.vault;
    let (name, report) = match action {
        Action::Publish { name, report } => {
            let json = Bytes::from(report.to_json());
            match vault.create(&name.json(), "application/json", json).await? {
                Created::Now => (name, report.as_ref().clone()),
                Created::Before => (name, read(vault, name).await?),
            }
        }
        Action::Finish { name } => (name, read(vault, name).await?),
    };
    vault.create(&name.page(), "text/html; charset=utf-8", Bytes::from(html(&report))).await?;
    let entry = entry(name, &report, vault);
    let told = json!(entry);
    let mut done = Done { findings: vec![news(name, &told, now)], ..Done::default() };
    for key in ["page", "json", "fetch", "console", "summary"] {
        done = done.with(key, told[key].clone());
    }
    Ok(Done { entries: vec![entry], ..done })
}

/// The entry about a report: a function of what it says.
fn entry(name: &Name, report: &Report, vault: &impl Store) -> Entry {
    let (bucket, region, page) = (vault.bucket(), vault.region(), name.page());
    let uri = format!("s3://{bucket}/{page}");
    let count = |state: State| Value::from(report.count(state));
    let detail = [
        ("page", uri.clone().into()),
        ("json", format!("s3://{bucket}/{}", name.json()).into()),
        // Whoever may read the vault may do this; a link that lets others in is not made.
        ("fetch", format!("aws s3 cp {uri} tidemark-{}.html", name.as_str()).into()),
        (
            "console",
            format!(
                "https://{region}.console.aws.amazon.com/s3/object/{bucket}?region={region}&prefix={page}"
            )
            .into(),
        ),
        ("summary", report.summary().into()),
        ("resources", report.resources.len().into()),
        ("at_risk", count(State::AtRisk)),
        ("unknown", count(State::Unknown)),
        ("needs_a_look", count(State::NeedsALook)),
        ("well", count(State::Well)),
    ];
    Entry {
        day: name.day().unwrap_or_default(),
        at: report.made_at,
        function: NAME,
        kind: KIND,
        resource: about(name),
        subject: name.as_str().to_owned(),
        region: region.to_owned(),
        outcome: Outcome::Completed,
        detail: Map::from_iter(detail.map(|(key, value)| (key.to_owned(), value))),
    }
}

/// The report whose JSON is there.
async fn read(vault: &impl Store, name: &Name) -> Result<Report> {
    let key = name.json();
    let gone = || Error::retryable("ReportGone", format!("{key} went while it was looked at"));
    let object = vault.head(&key).await?.ok_or_else(gone)?;
    let mut text = BytesMut::new();
    let mut at = 0;
    while at < object.bytes {
        let until = object.bytes.min(at + READ_BYTES);
        text.extend_from_slice(&vault.read(&key, &object.etag, at..until).await?);
        at = until;
    }
    Report::parse(&text).map_err(|error| {
        let message = format!("{key} holds no report that this version reads; its page is not made of it");
        Error::permanent("ReportUnreadable", message).caused_by(error)
    })
}
