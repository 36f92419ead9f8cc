//! The errors a caller may get: those that every service has. A service's own are made with [`crate::faults!`].

/// An error of an API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// HTTP status.
    pub status: u16,
    /// The code in the document, which is what clients match on.
    pub code: &'static str,
    /// For people.
    pub message: String,
}

impl Fault {
    /// An error of one service, as its model has it.
    pub fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }
}

/// Functions that make the errors of one service, each with AWS's own status and code.
#[macro_export]
macro_rules! faults {
    ($($name:ident = $status:literal $code:literal;)*) => {
        $(
            pub(crate) fn $name(message: impl Into<String>) -> $crate::Fault {
                $crate::Fault::new($status, $code, message)
            }
        )*
    };
}

macro_rules! common {
    ($($(#[$doc:meta])* $name:ident = $status:literal $code:literal;)*) => {
        impl Fault {
            $(
                $(#[$doc])*
                pub fn $name(message: impl Into<String>) -> Self {
                    Self::new($status, $code, message)
                }
            )*
        }
    };
}

// "Common Errors" in every service's API reference.
common! {
    /// Nothing that the caller did.
    internal = 500 "InternalFailure";
    /// No such action.
    invalid_action = 400 "InvalidAction";
    /// Values that do not go together.
    invalid_combination = 400 "InvalidParameterCombination";
    /// A value that is not allowed.
    invalid_value = 400 "InvalidParameterValue";
    /// Not form-encoded.
    malformed = 400 "MalformedQueryString";
    /// No action.
    missing_action = 400 "MissingAction";
    /// A value that has to be there is not.
    missing_parameter = 400 "MissingParameter";
}
