//! The topics: whether anybody hears what is told.

use ::alerts::Subscriber;
use domain::{Finding, ResourceId};
use jiff::Timestamp;

use super::{Check, Of, check, critical, many};
use crate::{
    kind,
    observe::{Seen, name_of},
};

pub(super) fn checks(seen: &Seen, now: Timestamp) -> Vec<Check<'_>> {
    let topics = seen.topics.iter();
    topics
        .map(|(topic, subscribers)| {
            let found = subscribers.as_ref().map(|all| nobody(topic, all, &seen.canary_queue, now));
            check(&kind::NO_SUBSCRIBER, Of::One(ResourceId::tidemark(name_of(topic))), found)
        })
        .collect()
}

/// The queue in which the daily canary arrives is ours, and nobody reads it.
fn nobody(topic: &str, subscribers: &[Subscriber], canary_queue: &str, now: Timestamp) -> Option<Finding> {
    let others: Vec<&Subscriber> = subscribers.iter().filter(|one| one.endpoint != canary_queue).collect();
    if others.iter().any(|one| one.is_confirmed) {
        return None;
    }
    let name = name_of(topic);
    let says = match others.as_slice() {
        [] => format!("nobody subscribes to the topic {name}: what is told there, nobody hears"),
        pending => format!(
            "nobody hears what is told on the topic {name}: {} not confirmed ({})",
            match pending {
                [_] => "its one subscription is".to_owned(),
                _ => format!(
                    "its {} are",
                    many(i64::try_from(pending.len()).unwrap_or(i64::MAX), "subscription")
                ),
            },
            pending.iter().map(|one| one.endpoint.as_str()).collect::<Vec<_>>().join(", ")
        ),
    };
    let next = format!(
        "Subscribe: `aws sns subscribe --topic-arn {topic} --protocol email --notification-endpoint …`, and confirm with the link in the \
         mail that AWS sends. Two people are better than one."
    );
    Some(critical(now).of(&ResourceId::tidemark(name), kind::NO_SUBSCRIBER, says, next))
}
