//! Who is called, where, by whom: what a request says about itself before its body is read.

use http::{HeaderMap, Request};

/// From the `SigV4` credential scope and the user agent. Nothing is verified: the local cloud has no secrets to guard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scope {
    /// The signing name (`rds`, `s3`, …); empty for a request that is not signed.
    pub(crate) service: String,
    /// Empty for a request that is not signed.
    pub(crate) region: String,
    /// The function that calls: the `app/…` of its user agent (`AWS_SDK_UA_APP_ID`) without `tidemark-`.
    pub(crate) function: Option<String>,
    pub(crate) user_agent: String,
}

impl Scope {
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        let (service, region) = credential_header(request.headers())
            .or_else(|| credential_query(request.uri().query().unwrap_or_default()))
            .unwrap_or_default();
        let user_agent = header(request.headers(), "user-agent").unwrap_or_default().to_owned();
        let function = app_id(&user_agent)
            .or_else(|| app_id(header(request.headers(), "x-amz-user-agent").unwrap_or_default()))
            .map(|id| id.strip_prefix("tidemark-").unwrap_or(id).to_owned());
        Self { service, region, function, user_agent }
    }
}

pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// `AWS4-HMAC-SHA256 Credential=KEY/20260101/us-east-1/rds/aws4_request, SignedHeaders=…`.
fn credential_header(headers: &HeaderMap) -> Option<(String, String)> {
    let authorization = header(headers, "authorization")?;
    let (_, credential) = authorization.split_once("Credential=")?;
    service_and_region(credential.split(',').next().unwrap_or_default())
}

fn credential_query(query: &str) -> Option<(String, String)> {
    let (_, credential) =
        form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "X-Amz-Credential")?;
    service_and_region(&credential)
}

/// A key may contain slashes, so the parts are counted from the end.
fn service_and_region(credential: &str) -> Option<(String, String)> {
    let mut parts = credential.trim().rsplit('/');
    let _terminator = parts.next().filter(|part| *part == "aws4_request")?;
    let service = parts.next()?;
    let region = parts.next()?;
    Some((service.to_owned(), region.to_owned()))
}

fn app_id(user_agent: &str) -> Option<&str> {
    user_agent.split(' ').find_map(|word| word.strip_prefix("app/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(name: &str, value: &str, uri: &str) -> Scope {
        let request = Request::builder()
            .uri(uri)
            .header(name, value)
            .header("user-agent", "aws-sdk-rust/1.3 api/rds/1.0 app/tidemark-backup-rds lang/rust/1.95");
        Scope::of(&request.body(()).unwrap())
    }

    #[test]
    fn header_and_presigned_query_say_the_same() {
        let signed = scope(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=key/with/slash/20260101/eu-west-1/s3/aws4_request, SignedHeaders=host",
            "/",
        );
        let presigned =
            scope("host", "x", "/b/k?X-Amz-Credential=key%2F20260101%2Feu-west-1%2Fs3%2Faws4_request");
        assert_eq!(signed, presigned);
        assert_eq!((signed.service.as_str(), signed.region.as_str()), ("s3", "eu-west-1"));
        assert_eq!(signed.function.as_deref(), Some("backup-rds"));
    }

    #[test]
    fn unsigned_or_garbled_is_nobody() {
        for value in ["", "Basic abc", "AWS4-HMAC-SHA256 Credential=short/rds"] {
            assert_eq!(scope("authorization", value, "/").service, "");
        }
    }
}
