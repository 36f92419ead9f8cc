//! Findings in words: what is wrong, with the value and what is allowed, and the next step. What only one engine has is
//! said by its module.

use domain::{Finding, ResourceId, Severity, Slot, Standing};
use jiff::{SignedDuration, Timestamp};

use crate::{
    engines::{GivenUp, Lost, Protected},
    kind,
    point::Point,
    watched::{Newest, Watched, after},
};

pub(crate) fn rpo_exceeded<R: Protected>(
    watched: &Watched<'_, R>,
    newest: Newest,
    age: SignedDuration,
) -> Finding {
    let rpo = watched.rpo();
    let from = newest.instant().unwrap_or(watched.none_since());
    let writing = watched.writing_since(from);
    let (thing, state) = (R::THING, R::STATE);
    let newest = match newest.instant() {
        Some(newest) if writing > newest => format!(
            "the newest {state} is {}, and the {thing} has been running again since {}, {} ago",
            second(newest),
            second(writing),
            length(age)
        ),
        Some(newest) => format!("the newest {state} is {}, {} ago", second(newest), length(age)),
        None => there_is_none(watched, age),
    };
    let ends = if age > rpo {
        String::new()
    } else {
        format!(", and this ends when it is less than {} old", length(watched.calm()))
    };
    Finding::new(
        &watched.resource,
        kind::RPO_EXCEEDED,
        Severity::Critical,
        after(writing, rpo),
        format!("{newest}; the objective is {}{ends}", length(rpo)),
        watched.of.next_for_rpo(),
    )
}

fn there_is_none<R: Protected>(watched: &Watched<'_, R>, age: SignedDuration) -> String {
    if watched.looked_since > watched.seen_since {
        let looked = second(watched.looked_since);
        return format!("there is no recovery point of a slot since {looked}, {} ago", length(age));
    }
    let what = if watched.of.continuous().is_some() { R::STATE } else { "recovery point" };
    let seen = second(watched.seen_since);
    format!("there is no {what} yet, {} after it was first seen protected, at {seen}", length(age))
}

pub(crate) fn slot_missed<R: Protected>(
    watched: &Watched<'_, R>,
    slot: Slot,
    newest: Option<&Point>,
    due: Timestamp,
) -> Finding {
    let newest = newest.map_or_else(
        || {
            let since = if watched.looked_since > watched.seen_since {
                format!("of a slot since {}", second(watched.looked_since))
            } else {
                "at all".to_owned()
            };
            format!("there is no completed one {since}")
        },
        |point| format!("the newest completed one is {}, for slot {}", point.id, point.slot),
    );
    let grace = length(watched.plan.objectives.slot_grace);
    Finding::new(
        &watched.resource,
        kind::SLOT_MISSED,
        Severity::Critical,
        due,
        format!(
            "slot {slot} of plan {} has no completed recovery point; it was due by {}, and {grace} are allowed; {newest}",
            watched.plan.name,
            second(due)
        ),
        watched.of.next_for_slot(),
    )
}

pub(crate) fn recovery_point_failed<R: Protected>(watched: &Watched<'_, R>, point: &Point) -> Finding {
    given_up(watched, kind::RECOVERY_POINT_FAILED, watched.of.failed(point), point)
}

pub(crate) fn copy_failed<R: Protected>(watched: &Watched<'_, R>, copy: &Point, region: &str) -> Finding {
    given_up(watched, kind::COPY_FAILED, watched.of.copy_failed(copy, region), copy)
}

/// Told at once, and not only when a grace is over: it is tried again, and whatever was wrong may last.
fn given_up<R: Protected>(watched: &Watched<'_, R>, kind: &str, given_up: GivenUp, point: &Point) -> Finding {
    let GivenUp { code, says, next } = given_up;
    let finding = Finding::new(&watched.resource, kind, Severity::Warning, point.taken, says, next);
    Finding { code: Some(code.to_owned()), ..finding }
}

pub(crate) fn copy_missing<R: Protected>(
    watched: &Watched<'_, R>,
    point: &Point,
    due: Timestamp,
    region: &str,
    why: &str,
) -> Finding {
    Finding::new(
        &watched.resource,
        kind::COPY_MISSING,
        Severity::Critical,
        due,
        format!("{}; {why}", no_copy(watched, point, due, region)),
        watched.of.next_for_copy(point, region),
    )
}

pub(crate) fn copy_behind<R: Protected>(
    watched: &Watched<'_, R>,
    point: &Point,
    due: Timestamp,
    region: &str,
) -> Finding {
    Finding::new(
        &watched.resource,
        kind::COPY_BEHIND,
        Severity::Warning,
        due,
        format!("{}; it is still being made", no_copy(watched, point, due, region)),
        watched.of.next_for_slow_copy(point, region),
    )
}

fn no_copy<R: Protected>(watched: &Watched<'_, R>, point: &Point, due: Timestamp, region: &str) -> String {
    format!(
        "recovery point {} of slot {} has no completed copy in {region}; it was due by {}, and {} are allowed",
        point.id,
        point.slot,
        second(due),
        length(watched.plan.objectives.copy_grace)
    )
}

pub(crate) fn shrunk<R: Protected>(
    watched: &Watched<'_, R>,
    newest: &Point,
    median: u64,
    before: usize,
) -> Finding {
    let (measures, median) = (R::measures(newest), R::size(median));
    let id = &newest.id;
    Finding::new(
        &watched.resource,
        kind::RECOVERY_POINT_SHRUNK,
        Severity::Warning,
        newest.taken,
        format!(
            "recovery point {id} {measures}; the median of the {before} before it is {median}, and less than half of that is \
             suspect"
        ),
        format!(
            "{} If not, restore {id} under another name with restore-database and compare.",
            watched.of.next_for_shrunk()
        ),
    )
}

pub(crate) fn protection_lost<R: Protected>(
    resource: &ResourceId,
    plan: Option<String>,
    there: Option<&R>,
    since: Timestamp,
) -> Finding {
    let by = plan.as_ref().map_or_else(|| "a plan".to_owned(), |plan| format!("plan {plan}"));
    let Lost { now, otherwise } = R::lost(&resource.name, there, plan.as_deref());
    let finding = Finding::new(
        resource,
        kind::PROTECTION_LOST,
        Severity::Warning,
        since,
        format!("until {} it was protected by {by}; {now}, and it is not backed up any more", second(since)),
        format!("If that is meant, nothing: this ends 24 hours after it began. If not, {otherwise}."),
    );
    Finding { standing: Standing { plan, ..Standing::default() }, ..finding }
}

pub(crate) fn canary(resource: &ResourceId, since: Timestamp) -> Finding {
    Finding::new(
        resource,
        kind::CANARY,
        Severity::Info,
        since,
        "nothing is wrong; this is the daily proof that what is found is told, and it ends within 10 minutes",
        "Nothing. Look into it on the day on which it does not come.",
    )
}

/// An instant, to the second.
pub(crate) fn second(instant: Timestamp) -> String {
    instant.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A duration as a person says it: `47 minutes`, `3 hours 5 minutes`, `2 days 4 hours`.
pub(crate) fn length(duration: SignedDuration) -> String {
    let count = |number: i64, unit: &str| match number {
        1 => format!("1 {unit}"),
        _ => format!("{number} {unit}s"),
    };
    let two = |whole: (i64, &str), rest: (i64, &str)| match rest.0 {
        0 => count(whole.0, whole.1),
        _ => format!("{} {}", count(whole.0, whole.1), count(rest.0, rest.1)),
    };
    let (seconds, minutes, hours) = (duration.as_secs(), duration.as_mins(), duration.as_hours());
    match minutes {
        ..2 => count(seconds, "second"),
        2..120 => count(minutes, "minute"),
        120..2_880 => two((hours, "hour"), (minutes % 60, "minute")),
        _ => two((hours / 24, "day"), (hours % 24, "hour")),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0, "0 seconds")]
    #[case(1, "1 second")]
    #[case(119, "119 seconds")]
    #[case(150, "2 minutes")]
    #[case(3_600, "60 minutes")]
    #[case(7_200, "2 hours")]
    #[case(7_260, "2 hours 1 minute")]
    #[case(172_800, "2 days")]
    #[case(176_400, "2 days 1 hour")]
    fn lengths(#[case] seconds: i64, #[case] text: &str) {
        assert_eq!(length(SignedDuration::from_secs(seconds)), text);
    }
}
