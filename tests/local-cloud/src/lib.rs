//! A cloud on this machine in which the data is real: the same binaries, deployed by the real SAM CLI from the real
//! templates, against `MiniStack`, an RDS whose instances are `PostgreSQL` servers and an ElastiCache whose caches are
//! Valkey servers, behind one loopback endpoint; and a Turso whose databases are sqld servers, behind another.
//!
//! ```no_run
//! # async fn example() -> Result<(), local_cloud::Error> {
//! use std::sync::Arc;
//! use local_cloud::{CallFilter, Cloud, Effect, Fault, Options, Silent};
//!
//! let cloud = Cloud::start(Options::default(), Arc::new(Silent)).await?;
//! let calls = CallFilter::all().service("rds").action("CreateDBSnapshot").function("backup-rds");
//! cloud.inject(Fault::new(Effect::Kill, calls));
//! cloud.fire_schedule("backup-rds-slot").await?;
//! cloud.ticks("backup-rds", std::time::Duration::from_secs(30)).await?;
//! println!("{:#?}", cloud.ledger().await?);
//! cloud.stop().await;
//! # Ok(())
//! # }
//! ```

mod alarms;
mod api;
mod artifacts;
mod bridges;
mod cloud;
mod deploy;
mod door;
mod error;
mod functions;
mod inbox;
mod keys;
mod ministack;
mod objects;
mod scenario;
mod speed;
mod stack;
mod turso;
mod xml;

pub use alarms::{AlarmState, StateValue};
pub use artifacts::Profile;
pub use bridges::EventDelivery;
pub use cloud::{ACCOUNT, Cloud, Options};
pub use deploy::{ARCHIVE_BUCKET, ORGANIZATION, STAGING, STAGING_SECURITY_GROUP};
pub use door::{Armed, Call, CallFilter, Effect, Fault};
pub use error::Error;
pub use inbox::{Inbox, Received};
pub use local_elasticache::LocalElastiCache;
pub use local_rds::LocalRds;
pub use local_turso::LocalTurso;
pub use scenario::{Invocation, LambdaError, Measurement};
pub use speed::Speed;
pub use stack::Stack;
pub use toolbox::{Progress, Silent};
