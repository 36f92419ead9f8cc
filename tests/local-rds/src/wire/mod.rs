//! The RDS Query protocol: form-encoded requests in, XML documents out.

mod fault;
mod page;
mod parameters;
mod reply;
mod xml;

pub(crate) use fault::Fault;
pub(crate) use page::{Filters, Page, same};
pub(crate) use parameters::Parameters;
pub(crate) use reply::{failure, success};
pub(crate) use xml::{Element, time};
