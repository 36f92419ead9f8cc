use std::future::Future;

use aws_sdk_sns::{Client, types::MessageAttributeValue};
use reconcile::{Error, Result, SdkConfig, aws_error};
use serde_json::json;

use crate::Message;

/// Where alerts are published.
pub trait Topic {
    /// Publishes to everybody who subscribes; SNS's id of the message. SNS knows no idempotency for such topics: after an
    /// answer that was lost, the message may have gone out, and goes out again under the same [`Message::id`].
    fn publish(&self, message: &Message) -> impl Future<Output = Result<String>>;
}

/// A topic of SNS.
#[derive(Clone, Debug)]
pub struct SnsTopic {
    client: Client,
    arn: String,
}

impl SnsTopic {
    /// The topic of that ARN.
    pub fn new(config: &SdkConfig, arn: String) -> Self {
        Self { client: Client::new(config), arn }
    }
}

impl Topic for SnsTopic {
    async fn publish(&self, message: &Message) -> Result<String> {
        let doing = format!("publish {} to {}", message.id, self.arn);
        let mut request = self
            .client
            .publish()
            .topic_arn(&self.arn)
            .subject(&message.subject)
            .message_structure("json")
            .message(message.bodies());
        for (name, values) in &message.attributes {
            // SNS refuses a message with an empty attribute.
            let values: Vec<&str> =
                values.iter().map(String::as_str).filter(|value| !value.is_empty()).collect();
            if !values.is_empty() {
                request = request.message_attributes(*name, attribute(&values, &doing)?);
            }
        }
        let answer = request.send().await.map_err(|error| aws_error(&doing, error))?;
        Ok(answer.message_id.unwrap_or_default())
    }
}

fn attribute(values: &[&str], doing: &str) -> Result<MessageAttributeValue> {
    let (kind, value) = match values {
        [one] => ("String", (*one).to_owned()),
        several => ("String.Array", json!(several).to_string()),
    };
    MessageAttributeValue::builder()
        .data_type(kind)
        .string_value(value)
        .build()
        .map_err(|error| Error::permanent("MessageInvalid", format!("cannot {doing}")).caused_by(error))
}
