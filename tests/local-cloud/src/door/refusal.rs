//! Errors of our own, written as the service writes them.

use bytes::Bytes;
use http::Response;
use quick_xml::escape::escape;

use super::operation::Protocol;

pub(crate) struct Refusal<'a> {
    pub(crate) status: u16,
    pub(crate) code: &'a str,
    pub(crate) message: &'a str,
    pub(crate) request_id: &'a str,
}

impl Refusal<'_> {
    pub(crate) fn response(&self, protocol: Protocol) -> Response<Bytes> {
        let (content_type, body) = match protocol {
            Protocol::S3 => ("application/xml", self.s3().into_bytes()),
            Protocol::Query => ("text/xml", self.query().into_bytes()),
            Protocol::Json => ("application/json", self.json().into_bytes()),
            Protocol::Cbor => ("application/cbor", self.cbor()),
        };
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() =
            http::StatusCode::from_u16(self.status).unwrap_or(http::StatusCode::BAD_REQUEST);
        let headers = [
            ("content-type", content_type),
            ("x-amzn-requestid", self.request_id),
            ("x-amz-request-id", self.request_id),
            ("x-amzn-errortype", self.code),
        ];
        if protocol == Protocol::Cbor {
            // Without it a client takes the answer for no RPC v2 at all (Smithy, "RPC v2 CBOR protocol").
            response.headers_mut().insert("smithy-protocol", http::HeaderValue::from_static("rpc-v2-cbor"));
        }
        for (name, value) in headers {
            if let Ok(value) = value.parse() {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }

    fn s3(&self) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{}</Message>\
             <RequestId>{}</RequestId></Error>",
            escape(self.code),
            escape(self.message),
            escape(self.request_id)
        )
    }

    fn query(&self) -> String {
        let fault = if self.status < 500 { "Sender" } else { "Receiver" };
        format!(
            "<ErrorResponse><Error><Type>{fault}</Type><Code>{}</Code><Message>{}</Message></Error>\
             <RequestId>{}</RequestId></ErrorResponse>",
            escape(self.code),
            escape(self.message),
            escape(self.request_id)
        )
    }

    fn json(&self) -> String {
        self.members().to_string()
    }

    fn cbor(&self) -> Vec<u8> {
        let mut body = Vec::new();
        // A map of two texts: nothing that could not be written.
        let _ = ciborium::into_writer(&self.members(), &mut body);
        body
    }

    fn members(&self) -> serde_json::Value {
        serde_json::json!({"__type": self.code, "message": self.message})
    }
}

/// The code and the status with which a service says "too fast" (each service's "Common errors" in its API reference).
pub(crate) fn throttling(service: &str, protocol: Protocol) -> (&'static str, u16) {
    match (service, protocol) {
        (_, Protocol::S3) => ("SlowDown", 503),
        ("lambda", _) => ("TooManyRequestsException", 429),
        ("scheduler", _) => ("ThrottlingException", 429),
        (_, Protocol::Query) => ("Throttling", 400),
        (_, Protocol::Json | Protocol::Cbor) => ("ThrottlingException", 400),
    }
}

/// The code with which a service says that it has failed itself, always with status 500 (the same sources, and each
/// action's "Errors").
pub(crate) fn internal(service: &str, protocol: Protocol) -> &'static str {
    match (service, protocol) {
        (_, Protocol::S3) | ("sns", _) => "InternalError",
        ("monitoring" | "secretsmanager", _) => "InternalServiceError",
        (_, Protocol::Query) | ("sqs", _) => "InternalFailure",
        ("lambda", _) => "ServiceException",
        ("scheduler", _) => "InternalServerException",
        ("events", _) => "InternalException",
        ("kms", _) => "KMSInternalException",
        ("logs", _) => "ServiceUnavailableException",
        (_, Protocol::Json | Protocol::Cbor) => "InternalServerError",
    }
}

/// AWS's error code in an answer: the header, else the body's `<Code>` or `__type` (JSON or CBOR).
pub(crate) fn error_code(headers: &http::HeaderMap, body: &[u8]) -> Option<String> {
    if let Some(value) = headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok()) {
        return Some(short(value));
    }
    if let Some((_, rest)) = std::str::from_utf8(body).ok().and_then(|text| text.split_once("<Code>")) {
        return rest.split_once("</Code>").map(|(code, _)| code.to_owned());
    }
    let value: serde_json::Value =
        serde_json::from_slice(body).ok().or_else(|| ciborium::from_reader(body).ok())?;
    ["__type", "code", "Code"].iter().find_map(|name| value.get(name)?.as_str()).map(short)
}

/// `com.amazonaws.ssm#ParameterNotFound:http://…` is `ParameterNotFound`.
fn short(code: &str) -> String {
    let code = code.split(':').next().unwrap_or(code);
    code.rsplit('#').next().unwrap_or(code).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read_back_in_every_protocol() {
        for protocol in [Protocol::S3, Protocol::Query, Protocol::Json, Protocol::Cbor] {
            let refusal = Refusal { status: 503, code: "SlowDown", message: "a < b & c", request_id: "id" };
            let response = refusal.response(protocol);
            assert_eq!(response.status(), 503);
            assert_eq!(error_code(&http::HeaderMap::new(), response.body()).unwrap(), "SlowDown");
        }
    }

    #[test]
    fn namespaces_and_addresses_are_no_part_of_a_code() {
        let code = |body: &str| error_code(&http::HeaderMap::new(), body.as_bytes()).unwrap();
        assert_eq!(code(r#"{"__type":"com.amazonaws.ssm#ParameterNotFound"}"#), "ParameterNotFound");
        assert_eq!(code(r#"{"__type":"ValidationException:http://internal"}"#), "ValidationException");
        assert_eq!(error_code(&http::HeaderMap::new(), b"<html>"), None);
    }
}
