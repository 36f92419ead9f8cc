use std::future::Future;

use reconcile::Result;
use serde_json::Value;

/// Functions that can be invoked.
pub trait Functions {
    /// Invokes the function of that name and waits for its answer (invocation type `RequestResponse`).
    ///
    /// What is asked for must be the same thing when it is asked for again: an answer may be lost after the function was at work,
    /// and the request is sent again then. It may also be at work twice at once.
    ///
    /// Errors are of what may go well the next time, and retryable: the function refused with an error of that kind, and its code
    /// is the error's; it ended without an answer (`Sandbox.Timedout`, `Runtime.ExitError`, a panic); Lambda did not let it begin
    /// (`TooManyRequestsException`), or its answer did not come in time. And of what Lambda refuses for good: access, a
    /// function that is not there.
    fn invoke(&self, function: &str, payload: &Value) -> impl Future<Output = Result<Answer>>;
}

/// What a function answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// What it returned.
    Done(Value),
    /// It refused; asked the same again, it refuses again.
    Refused {
        /// The stable code of its error.
        code: String,
        /// The error with all its causes, 2,000 characters at most.
        message: String,
    },
}
