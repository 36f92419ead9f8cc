//! Answers: the result's envelope, or the error's.

use crate::{Element, Fault};

/// An answer, with what a call recorder wants to know.
#[derive(Clone, Debug)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// `text/xml`, or what another protocol has.
    pub content_type: &'static str,
    /// The document.
    pub body: Vec<u8>,
    /// The action asked for; empty if the request named none.
    pub action: String,
    /// The identifier or ARN the request was about.
    pub resource: Option<String>,
    /// AWS's error code, if it failed.
    pub error_code: Option<String>,
    /// `x-amzn-RequestId`.
    pub request_id: String,
}

/// A service that speaks the Query protocol.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// The XML namespace of its answers.
    pub namespace: &'static str,
    /// The version of its API.
    pub version: &'static str,
}

impl Service {
    /// The envelope of an action that went well. `result` is `ACTIONResult`, absent for actions that answer nothing.
    pub fn success(&self, action: &str, result: Option<Element>, resource: Option<String>) -> Response {
        let request_id = request_id();
        let mut root = Element::new(format!("{action}Response")).namespace(self.namespace);
        if let Some(result) = result {
            root = root.with(result);
        }
        root = root.with(Element::new("ResponseMetadata").text("RequestId", &request_id));
        Response {
            status: 200,
            content_type: "text/xml",
            body: root.document().unwrap_or_default(),
            action: action.to_owned(),
            resource,
            error_code: None,
            request_id,
        }
    }

    /// The envelope of an error.
    pub fn failure(&self, action: &str, fault: &Fault, resource: Option<String>) -> Response {
        let request_id = request_id();
        let blame = if fault.status < 500 { "Sender" } else { "Receiver" };
        let error = Element::new("Error")
            .text("Type", blame)
            .text("Code", fault.code)
            .text("Message", &fault.message);
        let root = Element::new("ErrorResponse")
            .namespace(self.namespace)
            .with(error)
            .with(Element::of("RequestId", &request_id));
        Response {
            status: fault.status,
            content_type: "text/xml",
            body: root.document().unwrap_or_default(),
            action: action.to_owned(),
            resource,
            error_code: Some(fault.code.to_owned()),
            request_id,
        }
    }

    /// For a request that names no action.
    pub fn no_action(&self) -> Fault {
        Fault::missing_action("The request must contain the parameter Action.")
    }

    /// For an action that this service does not have.
    pub fn unknown(&self, action: &str) -> Fault {
        Fault::invalid_action(format!("Could not find operation {action} for version {}", self.version))
    }
}

/// A version 4 UUID. It names a request in a log and guards nothing, so a plain generator is enough.
pub fn request_id() -> String {
    let bits = fastrand::u128(..) & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
