//! The alerts topic. What a message says is send-alert's; here is what SNS allows, and the publication.

#[cfg(feature = "fake")]
mod fake;
mod message;
mod sns;
mod subscribers;

#[cfg(feature = "fake")]
pub use fake::{FakeSubscribers, FakeTopic};
pub use message::{Message, plain, subject};
pub use sns::{SnsTopic, Topic};
pub use subscribers::{Sns, Subscriber, Subscribers};
