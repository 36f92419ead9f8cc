//! What the control planes need from the rest of the cloud: KMS, EventBridge, S3, the crash guard.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use http::Method;
use local_elasticache::{Bucket, Encryption, Head, Objects, ObjectsError};
use local_rds::{Event, EventSink, Key, Keys, Processes};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use toolbox::Guard;

use crate::Error;
use crate::api::Api;
use crate::keys::if_aws_managed;
use crate::objects::path;
use crate::xml::Element;

/// KMS keys are `MiniStack`'s, but for those that AWS makes by itself.
pub(crate) struct KmsKeys {
    pub(crate) api: Api,
}

impl Keys for KmsKeys {
    fn describe<'a>(&'a self, region: &'a str, key: &'a str) -> BoxFuture<'a, Option<Key>> {
        Box::pin(async move {
            if let Some(arn) = if_aws_managed(region, key) {
                return Some(Key { arn, enabled: true });
            }
            let body = json!({"KeyId": key});
            let answer = self.api.json(("kms", region), "TrentService.DescribeKey", &body).await;
            let answer = answer.inspect_err(|error| tracing::debug!(%error, key, "no such key")).ok()?;
            let metadata = &answer["KeyMetadata"];
            Some(Key {
                arn: metadata["Arn"].as_str()?.to_owned(),
                enabled: metadata["KeyState"].as_str() == Some("Enabled"),
            })
        })
    }
}

/// How the lifecycle events of RDS get to the bus. EventBridge promises only that it tries ("at least once", in no
/// order), and RDS that events are sent on a best effort basis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EventDelivery {
    /// Once each, one after the other.
    #[default]
    Normal,
    /// Each twice in a row. Unlike on AWS the two have different ids.
    Twice,
    /// Each so much later.
    Late(Duration),
    /// In pairs of which the second comes first; one that stays alone for [`ALONE`] is delivered alone.
    OutOfOrder,
    /// Not at all.
    Never,
}

/// How long an event waits for another that overtakes it.
const ALONE: Duration = Duration::from_millis(500);

/// As it is told over HTTP: `{"delivery": "late", "ms": 500}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "delivery", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum ToldDelivery {
    Normal {},
    Twice {},
    Late { ms: u64 },
    OutOfOrder {},
    Never {},
}

impl From<ToldDelivery> for EventDelivery {
    fn from(told: ToldDelivery) -> Self {
        match told {
            ToldDelivery::Normal {} => Self::Normal,
            ToldDelivery::Twice {} => Self::Twice,
            ToldDelivery::Late { ms } => Self::Late(Duration::from_millis(ms)),
            ToldDelivery::OutOfOrder {} => Self::OutOfOrder,
            ToldDelivery::Never {} => Self::Never,
        }
    }
}

impl From<EventDelivery> for ToldDelivery {
    fn from(delivery: EventDelivery) -> Self {
        match delivery {
            EventDelivery::Normal => Self::Normal {},
            EventDelivery::Twice => Self::Twice {},
            EventDelivery::Late(by) => Self::Late { ms: u64::try_from(by.as_millis()).unwrap_or(u64::MAX) },
            EventDelivery::OutOfOrder => Self::OutOfOrder {},
            EventDelivery::Never => Self::Never {},
        }
    }
}

type Addressed = (String, Event);

/// Lifecycle events go to the default bus of their Region.
pub(crate) struct Bus(UnboundedSender<Addressed>);

impl Bus {
    pub(crate) fn start(api: Api, delivery: watch::Receiver<EventDelivery>) -> Self {
        let (sender, queue) = unbounded_channel();
        let deliver = move |event| put(api.clone(), event);
        tokio::spawn(carry(queue, delivery, deliver));
        Self(sender)
    }
}

/// Takes events from the queue to `deliver`, in the way that is asked for when each comes out of the queue.
async fn carry<F: Future<Output = ()> + Send + 'static>(
    mut queue: UnboundedReceiver<Addressed>,
    delivery: watch::Receiver<EventDelivery>,
    deliver: impl Fn(Addressed) -> F,
) {
    while let Some(event) = queue.recv().await {
        let asked = *delivery.borrow();
        match asked {
            EventDelivery::Normal => deliver(event).await,
            EventDelivery::Twice => {
                deliver(event.clone()).await;
                deliver(event).await;
            }
            EventDelivery::Late(by) => {
                let delivered = deliver(event);
                tokio::spawn(async move {
                    tokio::time::sleep(by).await;
                    delivered.await;
                });
            }
            EventDelivery::OutOfOrder => {
                if let Ok(Some(second)) = tokio::time::timeout(ALONE, queue.recv()).await {
                    deliver(second).await;
                }
                deliver(event).await;
            }
            EventDelivery::Never => {}
        }
    }
}

async fn put(api: Api, (region, event): Addressed) {
    let entry = json!({
        "Source": event.source,
        "DetailType": event.detail_type,
        "Time": event.time.as_second(),
        "Resources": event.resources,
        "Detail": event.detail.to_string(),
    });
    let body = json!({"Entries": [entry]});
    match api.json(("events", &region), "AWSEvents.PutEvents", &body).await {
        Ok(answer) if answer["FailedEntryCount"] == 0 => {}
        Ok(answer) => tracing::warn!(%answer, "an RDS event was refused"),
        Err(error) => tracing::warn!(%error, "an RDS event could not be delivered"),
    }
}

impl EventSink for Bus {
    fn emit(&self, region: &str, event: Event) {
        // The queue ends with the cloud; so do its events.
        let _ = self.0.send((region.to_owned(), event));
    }
}

/// Buckets are `MiniStack`'s.
pub(crate) struct Buckets(pub(crate) Api);

impl Buckets {
    /// The Region of a bucket, which alone answers for it.
    async fn region(&self, bucket: &str) -> Result<Option<String>, ObjectsError> {
        let path = format!("/{bucket}?location");
        let Some(located) = self.ask("us-east-1", Method::GET, &path, &[]).await? else { return Ok(None) };
        let location = Element::parse("a bucket's location", &located.body)?;
        // The first Region's name is left out (S3 API Reference, "GetBucketLocation").
        let region = Some(location.text.trim()).filter(|region| !region.is_empty()).unwrap_or("us-east-1");
        Ok(Some(region.to_owned()))
    }

    /// As [`Buckets::region`], of a bucket that must be there.
    async fn of(&self, bucket: &str) -> Result<String, ObjectsError> {
        let region = self.region(bucket).await?;
        Ok(region.ok_or_else(|| format!("there is no bucket {bucket}"))?)
    }

    /// An answer, unless there is nothing of the kind.
    async fn ask(
        &self,
        region: &str,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Option<crate::api::Reply>, ObjectsError> {
        match self.0.send(("s3", region), method, path, headers, "").await {
            Ok(reply) => Ok(Some(reply)),
            Err(Error::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl Objects for Buckets {
    fn bucket<'a>(&'a self, bucket: &'a str) -> BoxFuture<'a, Result<Option<Bucket>, ObjectsError>> {
        Box::pin(async move {
            let Some(region) = self.region(bucket).await? else { return Ok(None) };
            let policy = self.ask(&region, Method::GET, &format!("/{bucket}?policy"), &[]).await?;
            let policy = policy.map(|policy| String::from_utf8_lossy(&policy.body).into_owned());
            Ok(Some(Bucket { region, policy }))
        })
    }

    fn head<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<Head>, ObjectsError>> {
        Box::pin(async move {
            let region = self.of(bucket).await?;
            let asked = self.ask(&region, Method::HEAD, &path(bucket, key), &[]).await?;
            let Some(reply) = asked else { return Ok(None) };
            let header = |name: &str| reply.headers.get(name).and_then(|value| value.to_str().ok());
            let encryption = match header("x-amz-server-side-encryption") {
                Some("aws:kms" | "aws:kms:dsse") => Encryption::Kms,
                Some("AES256") => Encryption::Aes256,
                _ => Encryption::None,
            };
            let size_bytes = header("content-length").unwrap_or_default().parse()?;
            Ok(Some(Head { size_bytes, encryption }))
        })
    }

    fn get<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        to: &'a Path,
    ) -> BoxFuture<'a, Result<(), ObjectsError>> {
        Box::pin(async move {
            let region = self.of(bucket).await?;
            let reply = self.ask(&region, Method::GET, &path(bucket, key), &[]).await?;
            let reply = reply.ok_or_else(|| format!("there is no object {key} in {bucket}"))?;
            Ok(tokio::fs::write(to, &reply.body).await?)
        })
    }

    fn put<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        from: &'a Path,
    ) -> BoxFuture<'a, Result<(), ObjectsError>> {
        Box::pin(async move {
            let bytes = tokio::fs::read(from).await?;
            let headers = [("if-none-match", "*")];
            let region = self.of(bucket).await?;
            self.0.send(("s3", region.as_str()), Method::PUT, &path(bucket, key), &headers, bytes).await?;
            Ok(())
        })
    }
}

/// The crash guard knows process groups by number.
pub(crate) struct Guarded(pub(crate) Arc<Guard>);

impl Processes for Guarded {
    fn adopt(&self, process_group: u32) {
        self.0.adopt(process_group);
    }

    fn release(&self, process_group: u32) {
        self.0.release(process_group);
    }
}

impl local_turso::Processes for Guarded {
    fn adopt(&self, process_group: u32) {
        self.0.adopt(process_group);
    }

    fn release(&self, process_group: u32) {
        self.0.release(process_group);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use super::*;

    /// The order in which three events arrive; in paused time.
    async fn arrivals(delivery: EventDelivery) -> Vec<String> {
        let (sender, queue) = unbounded_channel();
        let (_keep, delivery) = watch::channel(delivery);
        let arrived = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::clone(&arrived);
        let carrying = carry(queue, delivery, move |(region, _)| {
            let list = Arc::clone(&list);
            async move { list.lock().unwrap_or_else(PoisonError::into_inner).push(region) }
        });
        for name in ["a", "b", "c"] {
            let event = Event {
                source: "aws.rds",
                detail_type: "RDS DB Instance Event",
                time: jiff::Timestamp::UNIX_EPOCH,
                resources: Vec::new(),
                detail: json!({}),
            };
            sender.send((name.to_owned(), event)).unwrap();
        }
        // It ends with its queue, after what waits for company.
        drop(sender);
        carrying.await;
        tokio::time::sleep(Duration::from_mins(1)).await;
        arrived.lock().unwrap().clone()
    }

    #[tokio::test(start_paused = true)]
    async fn events_come_as_they_are_told_to() {
        for (delivery, expected) in [
            (EventDelivery::Normal, "abc"),
            (EventDelivery::Twice, "aabbcc"),
            (EventDelivery::Late(Duration::from_secs(30)), "abc"),
            (EventDelivery::Late(Duration::from_mins(2)), ""),
            (EventDelivery::OutOfOrder, "bac"),
            (EventDelivery::Never, ""),
        ] {
            assert_eq!(arrivals(delivery).await.concat(), expected, "{delivery:?}");
        }
    }

    #[test]
    fn a_delivery_is_told_in_one_way_only() {
        let late = EventDelivery::Late(Duration::from_millis(500));
        for (text, delivery) in [
            (r#"{"delivery":"out_of_order"}"#, EventDelivery::OutOfOrder),
            (r#"{"delivery":"late","ms":500}"#, late),
        ] {
            assert_eq!(EventDelivery::from(serde_json::from_str::<ToldDelivery>(text).unwrap()), delivery);
            assert_eq!(serde_json::to_string(&ToldDelivery::from(delivery)).unwrap(), text);
        }
        for text in [r#"{"delivery":"tiwce"}"#, r#"{"delivery":"late"}"#, r#"{"delivery":"twice","ms":1}"#] {
            assert!(serde_json::from_str::<ToldDelivery>(text).is_err(), "{text}");
        }
    }
}
