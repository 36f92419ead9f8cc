//! What the local cloud's control planes share.
//!
//! First the AWS Query protocol: form-encoded requests in, XML documents out. Then what any control plane needs that
//! answers at once and works on: names, a clock, keys, the process guard, child processes, transitions with a least time.

mod clock;
mod fault;
mod identifiers;
mod outside;
mod page;
mod parameters;
mod process;
mod reply;
mod tags;
mod work;
mod xml;

pub use clock::Clock;
pub use fault::Fault;
pub use identifiers::{Arn, Arns, identifier};
pub use outside::{Alone, Key, Keys, Processes};
pub use page::{Filters, Page, Paging, same};
pub use parameters::Parameters;
pub use process::{Group, Process, free_port};
pub use reply::{Response, Service, request_id};
pub use tags::Tags;
pub use work::{Pace, Tasks};
pub use xml::{Element, time};
