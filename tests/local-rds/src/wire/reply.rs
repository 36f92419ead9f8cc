//! Answers: the result's envelope, or the error's.

use super::{Element, Fault};
use crate::Response;

const NAMESPACE: &str = "http://rds.amazonaws.com/doc/2014-10-31/";

/// The envelope of an action that went well. `result` is `ACTIONResult`, absent for actions that answer nothing.
pub(crate) fn success(action: &str, result: Option<Element>, resource: Option<String>) -> Response {
    let request_id = request_id();
    let mut root = Element::new(format!("{action}Response")).namespace(NAMESPACE);
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
pub(crate) fn failure(action: &str, fault: &Fault, resource: Option<String>) -> Response {
    let request_id = request_id();
    let blame = if fault.status < 500 { "Sender" } else { "Receiver" };
    let error =
        Element::new("Error").text("Type", blame).text("Code", fault.code).text("Message", &fault.message);
    let root = Element::new("ErrorResponse")
        .namespace(NAMESPACE)
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

/// A version 4 UUID. It names a request in a log and guards nothing, so a plain generator is enough.
fn request_id() -> String {
    let bits = fastrand::u128(..) & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
