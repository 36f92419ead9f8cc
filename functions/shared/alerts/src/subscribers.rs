use std::future::Future;

use aws_sdk_sns::{Client, types::Subscription};
use reconcile::{Result, SdkConfig, aws_error};

/// Somebody who subscribes to a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscriber {
    /// `email`, `sqs`, `https`, …
    pub protocol: String,
    /// An address, a queue's ARN, …
    pub endpoint: String,
    /// Whether anything is delivered: nothing is until whoever is there has said that it is wanted.
    pub is_confirmed: bool,
}

/// Where subscribers are asked for.
pub trait Subscribers {
    /// Those of the topic of that ARN (one call per 100).
    fn of(&self, topic: &str) -> impl Future<Output = Result<Vec<Subscriber>>>;
}

/// SNS.
#[derive(Clone, Debug)]
pub struct Sns {
    client: Client,
}

impl Sns {
    /// Of the home Region.
    pub fn new(config: &SdkConfig) -> Self {
        Self { client: Client::new(config) }
    }
}

impl Subscribers for Sns {
    async fn of(&self, topic: &str) -> Result<Vec<Subscriber>> {
        let pages = self.client.list_subscriptions_by_topic().topic_arn(topic).into_paginator();
        let found: std::result::Result<Vec<_>, _> = pages.items().send().collect().await;
        let found = found.map_err(|error| aws_error(&format!("list the subscribers of {topic}"), error))?;
        Ok(found.into_iter().filter_map(subscriber).collect())
    }
}

/// `None` for one that has left: SNS shows it for a while.
fn subscriber(found: Subscription) -> Option<Subscriber> {
    // In place of an ARN (SNS API Reference, `ListSubscriptionsByTopic`; Developer Guide, "Deleting a subscription").
    let arn = found.subscription_arn.unwrap_or_default();
    (arn != "Deleted").then(|| Subscriber {
        protocol: found.protocol.unwrap_or_default(),
        endpoint: found.endpoint.unwrap_or_default(),
        is_confirmed: arn.starts_with("arn:"),
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("arn:aws:sns:us-east-1:123456789012:tidemark-dev-alerts:1", Some(true))]
    #[case("PendingConfirmation", Some(false))]
    #[case("Deleted", None)]
    fn who_is_there(#[case] arn: &str, #[case] expected: Option<bool>) {
        let found = Subscription::builder().subscription_arn(arn).protocol("email").endpoint("a@b.c").build();
        assert_eq!(subscriber(found).map(|one| one.is_confirmed), expected);
    }
}
