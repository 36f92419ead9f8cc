//! Functions as other functions invoke them.
//!
//! [`Functions`] is the port. [`Lambda`] invokes those of the account; `FakeFunctions` (feature `fake`) answers with what a test
//! says.

#[cfg(feature = "fake")]
mod fake;
mod lambda;
mod port;

#[cfg(feature = "fake")]
pub use fake::FakeFunctions;
pub use lambda::Lambda;
pub use port::{Answer, Functions};
