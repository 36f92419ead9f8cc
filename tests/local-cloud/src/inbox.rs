//! What subscribers of an SNS topic get: a queue of one's own.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::api::Api;
use crate::cloud::ACCOUNT;
use crate::scenario::{POLL, fresh};
use crate::xml::Element;
use crate::{Cloud, Error};

/// A queue that is subscribed to a topic from its making on. Earlier messages are not in it.
#[derive(Debug)]
pub struct Inbox {
    api: Api,
    region: String,
    url: String,
    subscription: String,
    received: Mutex<Vec<Received>>,
}

/// A message as a subscriber got it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// When it was put into the queue (`SentTimestamp`, to the millisecond).
    pub received_at: Timestamp,
    /// SNS's.
    pub message_id: String,
    /// The subject, if it had one.
    pub subject: Option<String>,
    /// What the topic's subscribers of the protocol `sqs` get.
    pub body: String,
    /// The message attributes; binary ones and numbers as text.
    pub attributes: BTreeMap<String, String>,
}

impl Cloud {
    /// Subscribes a fresh queue to a topic, not raw, with this filter policy on message attributes.
    pub async fn inbox(&self, topic_arn: &str, filter: Option<Value>) -> Result<Inbox, Error> {
        let region = topic_arn.split(':').nth(3).unwrap_or_default().to_owned();
        let name = format!("inbox-{}-{}", std::process::id(), fresh());
        let api = self.inner.api.clone();
        let made = api.json(("sqs", &region), "AmazonSQS.CreateQueue", &json!({"QueueName": name})).await?;
        let url = made["QueueUrl"].as_str().map(str::to_owned);
        let url = url.ok_or_else(|| Error::unexpected("the answer of CreateQueue", made.to_string()))?;
        let endpoint = format!("arn:aws:sqs:{region}:{ACCOUNT}:{name}");
        let filter = filter.map(|filter| filter.to_string());
        let mut parameters = vec![("TopicArn", topic_arn), ("Protocol", "sqs"), ("Endpoint", &endpoint)];
        if let Some(filter) = &filter {
            parameters.push(("Attributes.entry.1.key", "FilterPolicy"));
            parameters.push(("Attributes.entry.1.value", filter));
        }
        let made = api.query(("sns", &region), SNS, "Subscribe", &parameters).await?;
        let made = Element::parse("the answer of Subscribe", &made)?;
        let subscription = made.all("SubscriptionArn").first().map(|arn| arn.text.clone());
        let subscription = subscription.unwrap_or_default();
        Ok(Inbox { api, region, url, subscription, received: Mutex::default() })
    }
}

/// The version of SNS's API.
const SNS: &str = "2010-03-31";

impl Inbox {
    /// Takes the queue away again: a message to a topic is worked on for each of its subscribers.
    pub async fn close(self) -> Result<(), Error> {
        let subscription = [("SubscriptionArn", self.subscription.as_str())];
        self.api.query(("sns", &self.region), SNS, "Unsubscribe", &subscription).await?;
        let queue = json!({"QueueUrl": self.url});
        self.api.json(("sqs", &self.region), "AmazonSQS.DeleteQueue", &queue).await.map(drop)
    }

    /// All messages so far, in the order of their arrival.
    pub async fn messages(&self) -> Result<Vec<Received>, Error> {
        let mut received = self.received.lock().await;
        loop {
            let batch = self.receive().await?;
            if batch.is_empty() {
                received.sort_by_key(|message| message.received_at);
                return Ok(received.clone());
            }
            for message in &batch {
                received.push(read(message)?);
                let handle = json!({"QueueUrl": self.url, "ReceiptHandle": message["ReceiptHandle"]});
                self.api.json(("sqs", &self.region), "AmazonSQS.DeleteMessage", &handle).await?;
            }
        }
    }

    /// All messages so far, once they are as expected; an error with what has come, if that is not in time.
    pub async fn wait(
        &self,
        what: &str,
        deadline: Duration,
        predicate: impl Fn(&[Received]) -> bool,
    ) -> Result<Vec<Received>, Error> {
        let start = Instant::now();
        loop {
            let messages = self.messages().await?;
            if predicate(&messages) {
                return Ok(messages);
            }
            if start.elapsed() >= deadline {
                let last = format!("{} messages: {messages:#?}", messages.len());
                return Err(Error::Deadline { what: what.to_owned(), seconds: deadline.as_secs(), last });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn receive(&self) -> Result<Vec<Value>, Error> {
        let asked = json!({
            "QueueUrl": self.url,
            "MaxNumberOfMessages": 10,
            "WaitTimeSeconds": 0,
            "MessageSystemAttributeNames": ["SentTimestamp"],
        });
        let answer = self.api.json(("sqs", &self.region), "AmazonSQS.ReceiveMessage", &asked).await?;
        Ok(answer["Messages"].as_array().cloned().unwrap_or_default())
    }
}

/// A message of SQS, with SNS's envelope in its body.
fn read(message: &Value) -> Result<Received, Error> {
    let unexpected = || Error::unexpected("a message from SNS", message.to_string());
    let sent = message["Attributes"]["SentTimestamp"].as_str().and_then(|text| text.parse().ok());
    let sent = sent.and_then(|ms| Timestamp::from_millisecond(ms).ok()).ok_or_else(unexpected)?;
    let body = message["Body"].as_str().unwrap_or_default();
    let envelope: Value = serde_json::from_str(body).map_err(|_| unexpected())?;
    let text = |name: &str| envelope[name].as_str().map(str::to_owned);
    let attributes = envelope["MessageAttributes"].as_object().into_iter().flatten();
    Ok(Received {
        received_at: sent,
        message_id: text("MessageId").ok_or_else(unexpected)?,
        subject: text("Subject"),
        body: text("Message").ok_or_else(unexpected)?,
        attributes: attributes
            .map(|(name, value)| (name.clone(), value["Value"].as_str().unwrap_or_default().to_owned()))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_envelope_is_an_error() {
        let envelope =
            r#"{"MessageId":"m","Message":"b","MessageAttributes":{"k":{"Type":"String","Value":"v"}}}"#;
        let message = |body: &str| json!({"Body": body, "Attributes": {"SentTimestamp": "1500"}});
        let received = read(&message(envelope)).unwrap();
        assert_eq!(received.received_at, Timestamp::from_millisecond(1500).unwrap());
        assert_eq!((received.body.as_str(), received.subject), ("b", None));
        assert_eq!(received.attributes["k"], "v");
        assert!(read(&message("raw")).is_err());
        assert!(read(&json!({"Body": envelope})).is_err());
    }
}
