//! What a page shows, as it is published in JSON. `docs/report.md` documents the shape.

use std::cmp::Reverse;

use domain::{
    BackupPlan, Engine, Finding, LONGEST_WITHOUT, ResourceId, Slot,
    drill::{
        Fit, Forecast, Way, fit, forecast,
        history::{History, Loss, Past},
    },
    retention::Tier,
};
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};

/// The shape of the document.
pub const VERSION: u32 = 1;

/// Everything that one page shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The shape.
    pub version: u32,
    /// When it was made; all that it says is as of then.
    pub made_at: Timestamp,
    /// The installation.
    pub stage: String,
    /// Why it was made.
    pub occasion: Occasion,
    /// The Region of the databases.
    pub home_region: String,
    /// The Region of the copies.
    pub recovery_region: String,
    /// The first of the days that it looks back on, in UTC.
    pub first_day: Date,
    /// How many days that are; the last one is the day on which it was made.
    pub days: u32,
    /// What could not be looked at: nobody knows whether it is well.
    pub unknown: Vec<Unknown>,
    /// Where it shows less than there is.
    pub cut: Vec<Cut>,
    /// The protected resources, and those that were, the worst first.
    pub resources: Vec<Resource>,
    /// What stands on the functions' boards, the worst first.
    pub findings: Vec<Open>,
    /// Restores and drills, the newest first.
    pub restores: Vec<Restore>,
    /// What was deleted.
    pub deletions: Deletions,
    /// The retention plan that was published last.
    pub retention: Option<RetentionPlan>,
    /// What is stored, by engine, Region and tier.
    pub costs: Vec<Cost>,
    /// What the prices are.
    pub prices: Prices,
}

/// Why a report was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Occasion {
    /// It is Monday.
    Weekly,
    /// It is the first of the month.
    Monthly,
    /// A person asked.
    OnDemand,
}

impl Occasion {
    /// The word for it in keys.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
            Self::OnDemand => "on-demand",
        }
    }
}

/// Something that could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unknown {
    /// What.
    pub what: String,
    /// Why not.
    pub why: String,
}

/// Where less is shown than there is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// Of what.
    pub what: String,
    /// How many are shown.
    pub shown: usize,
    /// Of how many.
    pub of: usize,
}

/// How a resource stands. The order is that of the page: the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// A critical finding stands.
    AtRisk,
    /// Something that decides it did not answer.
    Unknown,
    /// A warning stands.
    NeedsALook,
    /// Nothing is known to be wrong, and all that decides it was looked at.
    Well,
    /// It is under no plan any more; its recovery points are still there.
    NotProtected,
}

impl State {
    /// All of them, the worst first.
    pub const ALL: [Self; 5] =
        [Self::AtRisk, Self::Unknown, Self::NeedsALook, Self::Well, Self::NotProtected];
}

/// One resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    /// Which.
    pub resource: ResourceId,
    /// How it stands.
    pub state: State,
    /// Under which backup plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Since when it is seen protected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protected_since: Option<Timestamp>,
    /// How much may be lost, by its plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpo_seconds: Option<i64>,
    /// How long a restore may take, by its plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rto_seconds: Option<i64>,
    /// The recovery-point age that was measured last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age: Option<Age>,
    /// The largest of these days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worst: Option<Age>,
    /// The largest recovery-point age of each step since the first day began, in seconds; `null` where none was measured.
    pub ages: Vec<Option<i64>>,
    /// How many hours such a step has.
    pub age_step_hours: u32,
    /// What became of the slots of each day.
    pub slots: Vec<Slots>,
    /// Its recovery points of these days, the earliest first: sizes and durations.
    pub points: Vec<Point>,
    /// What there is of it, in both Regions together.
    pub held: Held,
    /// How full its tiers are; empty where nobody knows.
    pub tiers: Vec<Buckets>,
    /// How its drills stand.
    #[serde(default)]
    pub drills: Drills,
}

/// How the drills of a resource stand.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Drills {
    /// In a word.
    pub state: DrillState,
    /// When the next one is due, by its plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_due: Option<Timestamp>,
    /// How many drills are remembered.
    #[serde(default)]
    pub count: usize,
    /// The newest of them, the last one last; and the last that passed, and the last that tells what an RPO promises.
    #[serde(default)]
    pub past: Vec<Past>,
    /// The fit of duration against size, over all that are remembered and passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fit: Option<Fit>,
    /// From when on restores take longer than the plan allows, if that is within a year.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<TooSlow>,
    /// What the drills that ended in these days cost, in millionths of a US dollar, by an estimate that is rather too high.
    #[serde(default)]
    pub micro_usd: u64,
}

/// How drills stand, in a word. The order is that of the page: the worst first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DrillState {
    /// It was never drilled.
    Never,
    /// The last one failed.
    Failed,
    /// The last one passed too long ago.
    Overdue,
    /// What would tell did not answer.
    #[default]
    Unknown,
    /// The last one passed, and of late.
    Passed,
    /// Its plan does not want it drilled, or it is under none.
    NotWanted,
}

/// Restores will take longer than the plan allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TooSlow {
    /// From when on, if the source goes on growing as it did.
    pub from: Timestamp,
    /// How large it is by then.
    pub bytes: u64,
    /// How long a restore takes now, in milliseconds.
    pub now_ms: u64,
}

/// How far a forecast looks ahead.
const AHEAD: SignedDuration = SignedDuration::from_hours(24 * 365);

impl Drills {
    /// How those drills stand under that plan; what they cost is counted from `first_day` on.
    pub fn of(history: History, plan: Option<&BackupPlan>, first_day: Date, now: Timestamp) -> Self {
        let drilled = plan.and_then(|plan| plan.drill.as_ref());
        let measured = history.measured();
        let foreseen = plan.and_then(|plan| forecast(&measured, plan.objectives.rto, AHEAD, now));
        let History { past } = history;
        let is_of_these_days = |past: &&Past| past.judged_at.to_zoned(TimeZone::UTC).date() >= first_day;
        let costs = past.iter().filter(is_of_these_days).map(|past| past.cost_micro_usd);
        Self {
            state: match past.last() {
                _ if drilled.is_none() => DrillState::NotWanted,
                None => DrillState::Never,
                Some(last) if !last.has_passed() => DrillState::Failed,
                Some(last) if now.duration_since(last.judged_at) > LONGEST_WITHOUT => DrillState::Overdue,
                Some(_) => DrillState::Passed,
            },
            next_due: drilled.and_then(|drill| drill.schedule.next_after(now)).map(Slot::instant),
            count: past.len(),
            fit: fit(&measured),
            forecast: foreseen.map(|Forecast { from, bytes, now_ms }| TooSlow { from, bytes, now_ms }),
            micro_usd: costs.fold(0, u64::saturating_add),
            past,
        }
    }

    /// Leaves the newest `most` of them, and those that say something that none of these says.
    pub fn leave(&mut self, most: usize, engine: Engine) {
        let telling = [self.last_passed(), self.last_of_loss(engine)];
        let telling: Vec<String> = telling.into_iter().flatten().map(|past| past.id.clone()).collect();
        let older = self.past.len().saturating_sub(most);
        let mut at = 0;
        self.past.retain(|past| {
            at += 1;
            at > older || telling.contains(&past.id)
        });
    }

    /// The last one, whatever became of it.
    pub fn last(&self) -> Option<&Past> {
        self.past.last()
    }

    /// The last one that passed: how long a restore takes.
    pub fn last_passed(&self) -> Option<&Past> {
        self.past.iter().rev().find(|past| past.has_passed())
    }

    /// The last one that passed and whose loss is what the objective speaks of.
    pub fn last_of_loss(&self, engine: Engine) -> Option<&Past> {
        self.past
            .iter()
            .rev()
            .find(|past| past.has_passed() && past.loss.is_some() && tells_rpo(engine, past.way))
    }
}

/// So many resources have charts of their drills.
pub const CHARTED: usize = 8;

/// Those that are drilled, and were: first those whose restores are foreseen to become too slow, the soonest first, then by how much of
/// what their plan allows a restore takes.
pub fn nearest_to_rto(resources: &[Resource]) -> Vec<&Resource> {
    let is_drilled = |resource: &&Resource| {
        !resource.drills.past.is_empty() && resource.drills.state != DrillState::NotWanted
    };
    let mut drilled: Vec<&Resource> = resources.iter().filter(is_drilled).collect();
    let soonest = |resource: &Resource| resource.drills.forecast.map(|forecast| forecast.from);
    let share = |resource: &Resource| {
        let ms = resource.drills.last_passed().and_then(|past| past.phases.duration_ms).unwrap_or_default();
        let rto = resource.rto_seconds.and_then(|rto| u64::try_from(rto).ok()).unwrap_or(u64::MAX);
        u128::from(ms) * 1_000_000 / u128::from(rto.max(1))
    };
    drilled.sort_by_cached_key(|resource| {
        (soonest(resource).is_none(), soonest(resource), Reverse(share(resource)), resource.resource.clone())
    });
    drilled
}

/// Whether what such a drill loses is what the plan promises to lose at most: what is restored after a disaster is the newest
/// state that there is. Of RDS that is a second of the PITR window, and a snapshot is always older than the objective; an older
/// recovery point, or one that was drawn among the copies, loses what was written since, which nobody promised.
pub const fn tells_rpo(engine: Engine, way: Way) -> bool {
    match way {
        Way::Instant => true,
        Way::Newest => !matches!(engine, Engine::Rds),
        Way::Older | Way::Copy => false,
    }
}

/// A measured recovery-point age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Age {
    /// How much would have been lost.
    pub seconds: i64,
    /// Then.
    pub at: Timestamp,
}

/// What became of one day's slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slots {
    /// There is a verified recovery point, or was until retention deleted it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub verified: u32,
    /// None was made, because nothing was written since an earlier one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unchanged: u32,
    /// There is one, and it was not verified, or a later look found it damaged.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unverified: u32,
    /// It failed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failed: u32,
    /// There is nothing.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub missing: u32,
    /// It is under way, or its grace is not over.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub pending: u32,
    /// What would tell did not answer.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unknown: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Slots {
    /// Those of which all that was there can be restored.
    pub const fn good(&self) -> u32 {
        self.verified + self.unchanged
    }

    /// How many there were.
    pub const fn all(&self) -> u32 {
        self.good() + self.unverified + self.failed + self.missing + self.pending + self.unknown
    }
}

/// A recovery point, as far as size and duration go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// Of which slot.
    pub slot: Timestamp,
    /// Its size; of an RDS snapshot the allocated storage, which is the most that it can be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// From the request until it was seen complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<i64>,
}

/// How many recovery points there are of a resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Verified ones.
    pub verified: u32,
    /// All others.
    pub others: u32,
    /// Those of them that a person holds.
    pub on_hold: u32,
    /// Verified ones that the recovery Region has, too.
    pub copied: u32,
    /// What they take in both Regions; of RDS at most.
    pub bytes: u64,
}

/// How full one tier is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Buckets {
    /// Which.
    pub tier: Tier,
    /// How many buckets the plan keeps.
    pub kept: u32,
    /// The days of the recovery points that fill some, the earliest first.
    pub filled: Vec<Date>,
}

/// A finding, and who says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// On whose board it stands.
    pub said_by: String,
    /// What is wrong.
    #[serde(flatten)]
    pub finding: Finding,
}

/// A restore, or a drill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restore {
    /// Of what.
    pub resource: ResourceId,
    /// Its id.
    pub id: String,
    /// When it was over.
    pub at: Timestamp,
    /// Whether it was a drill; otherwise a person asked.
    pub is_drill: bool,
    /// How long it took: of a drill until the last check had passed, otherwise until the first query was answered where one was
    /// asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<i64>,
    /// How long the plan allows; of a drill, allowed then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rto_seconds: Option<i64>,
    /// The error code, if it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// What it lost: of a drill always, of a person's restore if a plan names heartbeats of its source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<Loss>,
}

/// What was deleted in these days.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletions {
    /// How many recovery points, a copy counted by itself.
    pub count: usize,
    /// What they took, as far as was read.
    pub bytes: u64,
    /// The newest of them.
    pub shown: Vec<Deletion>,
}

/// One recovery point that was deleted, in one Region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// Of what.
    pub resource: ResourceId,
    /// Its name.
    pub id: String,
    /// Where.
    pub region: String,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Why.
    pub why: Vec<String>,
    /// What it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// The retention plan that was published last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionPlan {
    /// When.
    pub made_at: Timestamp,
    /// Its hash.
    pub hash: String,
    /// How many recovery points it keeps.
    pub kept: usize,
    /// How many it expires.
    pub expired: usize,
    /// How many things look as if Tidemark had made them and belong to no recovery point.
    #[serde(default)]
    pub strays: usize,
    /// Whether a person has ever acknowledged one; until then nothing is deleted.
    pub is_acknowledged: bool,
}

/// What is stored of one engine in one Region for one tier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Of which engine.
    pub engine: Engine,
    /// Where.
    pub region: String,
    /// For what.
    pub kept_as: KeptAs,
    /// How many recovery points.
    pub points: usize,
    /// What they take; of RDS at most.
    pub bytes: u64,
    /// What that costs a month, in millionths of a US dollar; of RDS at most.
    pub micro_usd_a_month: u64,
}

/// What a recovery point is kept for: the coarsest tier that it fills, or what else keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeptAs {
    /// It fills a day.
    Daily,
    /// It fills a week.
    Weekly,
    /// It fills a month.
    Monthly,
    /// It fills a year.
    Annual,
    /// It fills no bucket and is kept: it is young, one of the newest, held, or nobody knows by which plan.
    Otherwise,
    /// It is expired, and still there.
    Expired,
}

impl KeptAs {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Daily, Self::Weekly, Self::Monthly, Self::Annual, Self::Otherwise, Self::Expired];
}

/// What a gigabyte (2^30 bytes) costs a month, in millionths of a US dollar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prices {
    /// Of RDS's backup storage.
    pub rds_micro_usd: u64,
    /// Of S3.
    pub s3_micro_usd: u64,
}

/// A document that is no report.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It is something else.
    #[error("it is no report")]
    Other(#[source] serde_json::Error),
    /// It is of another shape.
    #[error("its version is {0}, and {VERSION} is understood")]
    Version(u32),
}

impl Report {
    /// The document.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads a document.
    pub fn parse(text: &[u8]) -> Result<Self, Unreadable> {
        let report: Self = serde_json::from_slice(text).map_err(Unreadable::Other)?;
        if report.version == VERSION { Ok(report) } else { Err(Unreadable::Version(report.version)) }
    }

    /// How many resources stand so.
    pub fn count(&self, state: State) -> usize {
        self.resources.iter().filter(|resource| resource.state == state).count()
    }

    /// What a reader hears first: how many databases there are, and how they stand.
    pub fn summary(&self) -> String {
        let protected = self.resources.len() - self.count(State::NotProtected);
        let said = |state: State, one: &str, many: &str| match self.count(state) {
            0 => None,
            1 => Some(format!("1 {one}")),
            count => Some(format!("{count} {many}")),
        };
        let parts: Vec<String> = [
            said(State::AtRisk, "is at risk", "are at risk"),
            said(State::Unknown, "is not known", "are not known"),
            said(State::NeedsALook, "needs a look", "need a look"),
            said(State::Well, "is well", "are well"),
        ]
        .into_iter()
        .flatten()
        .collect();
        match protected {
            0 => "Nothing is under a backup plan.".to_owned(),
            1 => format!("1 protected resource: it {}.", parts.concat().trim_start_matches("1 ")),
            count if self.count(State::Well) == count => format!("All {count} protected resources are well."),
            count => format!("Of {count} protected resources {}.", parts.join(", ")),
        }
    }
}
