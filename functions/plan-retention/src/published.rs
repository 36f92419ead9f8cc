use inventory::RetentionPlan;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use reconcile::{Error, Result};
use vault::Store;

/// Below which retention plans are.
const PLANS: &str = "retention/plans/";

/// How long after midnight (UTC) a day's plan is due.
const DUE: SignedDuration = SignedDuration::from_mins(330);

/// Below which acknowledgements are.
const ACKNOWLEDGED: &str = "retention/acknowledged/";

/// A plan that was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    pub(crate) key: String,
    pub(crate) plan: RetentionPlan,
}

impl Published {
    /// The newest one.
    pub(crate) async fn newest(vault: &impl Store) -> Result<Option<Self>> {
        let Some(newest) = vault.list(PLANS).await?.pop() else { return Ok(None) };
        let key = newest.key;
        let gone = || Error::retryable("RetentionPlanGone", format!("{key} went while it was looked at"));
        let text = vault.read_whole(&key).await?.ok_or_else(gone)?;
        let plan = RetentionPlan::parse(&key, &text)?;
        Ok(Some(Self { key, plan }))
    }

    /// Where a plan is published: by its time, so that the last of the list is the newest.
    pub(crate) fn key(plan: &RetentionPlan) -> String {
        let at = plan.made_at.strftime("%Y-%m-%dT%H:%M:%SZ");
        format!("{PLANS}{at}-{}.json", short(&plan.hash()))
    }

    /// Whether it was made since the last time that one was due, 05:30 UTC, after the night's backups; and of everything: what
    /// did not answer is decided about as soon as it does.
    pub(crate) fn is_of_the_day(&self, now: Timestamp) -> bool {
        let day = |instant: Timestamp| (instant - DUE).to_zoned(TimeZone::UTC).date();
        self.plan.undecided.is_empty() && day(self.plan.made_at) == day(now)
    }
}

/// A plan's hash as it stands in names: enough of it to tell one from another.
pub(crate) fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

/// Where it stands that a person has read a plan.
pub(crate) fn acknowledgement_key(hash: &str) -> String {
    format!("{ACKNOWLEDGED}{hash}.json")
}

/// Whether a person has ever read one: until then nothing is deleted.
pub(crate) async fn is_acknowledged(vault: &impl Store) -> Result<bool> {
    Ok(!vault.list(ACKNOWLEDGED).await?.is_empty())
}
