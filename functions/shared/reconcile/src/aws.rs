use std::time::Duration;

use aws_config::{
    AppName, BehaviorVersion, Region, SdkConfig, environment::EnvironmentVariableCredentialsProvider,
    retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::{client::result::SdkError, http::Response};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::{Error, Kind, Settings};

/// The one SDK configuration of a function; every client is cloned from it, so that they share connections.
///
/// Read from what Lambda puts into the environment, and nothing else: the default chain would also link, and be ready
/// to ask, profile files, the instance metadata service, ECS, STS and SSO. The behaviour version is pinned: a dependency
/// update must not change retries or checksums unseen. The operation time-out is far below any function's own, so that
/// a hanging call becomes an error with a name.
pub fn aws_config(settings: &Settings) -> SdkConfig {
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(settings.optional("AWS_REGION").map(Region::new))
        .credentials_provider(SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new()))
        .retry_config(RetryConfig::standard().with_max_attempts(4))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(3))
                .operation_attempt_timeout(Duration::from_secs(15))
                .operation_timeout(Duration::from_secs(45))
                .build(),
        );
    // Both as the default chain reads them (AWS SDKs and Tools Reference Guide, "Service-specific endpoints", "Application ID").
    config.set_endpoint_url(settings.optional("AWS_ENDPOINT_URL"));
    config.set_app_name(settings.optional("AWS_SDK_UA_APP_ID").and_then(|id| AppName::new(id).ok()));
    config.build()
}

/// Our error for a failed AWS call. `doing` is the attempt in the present tense: `list the DB snapshots in us-west-2`.
pub fn aws_error<E>(doing: &str, error: SdkError<E, Response>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let code = error.code().map_or_else(|| transport_code(&error).to_owned(), str::to_owned);
    let status = error.raw_response().map(|response| response.status().as_u16());
    let request_id = error
        .raw_response()
        .and_then(|response| {
            response.headers().get("x-amzn-requestid").or_else(|| response.headers().get("x-amz-request-id"))
        })
        .map(str::to_owned);
    let said = error.message().map(|message| format!(": {message}")).unwrap_or_default();
    let ours = Error::new(kind(&code, status), code.clone(), format!("cannot {doing}: {code}{said}"))
        .with_request_id(request_id);
    // A modelled error's text is already in the message; what has no code (DNS, TLS, time-outs) has it in its causes.
    if error.code().is_some() { ours } else { ours.caused_by(error) }
}

fn transport_code<E>(error: &SdkError<E, Response>) -> &'static str {
    match error {
        SdkError::ConstructionFailure(_) => "RequestInvalid",
        SdkError::TimeoutError(_) => "RequestTimedOut",
        SdkError::DispatchFailure(_) => "RequestNotSent",
        SdkError::ResponseError(_) => "ResponseUnreadable",
        _ => "UnknownError",
    }
}

/// What an AWS error code asks for. Throttles and 5xx answers pass; refused access, keys and parameters do not.
fn kind(code: &str, status: Option<u16>) -> Kind {
    // A resource in the wrong state is busy with something else; what never gets out of it, the RPO watch finds.
    const PASSING: [&str; 15] = [
        "Throttl",
        "RequestLimitExceeded",
        "SlowDown",
        "RequestTimedOut",
        "RequestNotSent",
        "ResponseUnreadable",
        "InvalidDBInstanceState",
        "InvalidDBSnapshotState",
        "ConditionalRequestConflict",
        "InvalidCacheClusterState",
        "InvalidReplicationGroupState",
        "InvalidServerlessCacheS",
        "InvalidSnapshotState",
        "InsufficientCacheClusterCapacity",
        "PaginationTokenExpired",
    ];
    const OURS: [&str; 14] = [
        "AccessDenied",
        "KMS",
        "InvalidParameter",
        "ValidationError",
        "NoSuchBucket",
        "ParameterNotFound",
        "UnrecognizedClient",
        "QuotaExceeded",
        "QuotaForC",
        "SnapshotFeatureNotSupported",
        "ServiceLinkedRoleNotFound",
        "CacheParameterGroupNotFound",
        "CacheSubnetGroupNotFound",
        "UserGroupNotFound",
    ];
    if PASSING.iter().any(|part| code.contains(part))
        || status.is_some_and(|status| status >= 500 || status == 429)
    {
        Kind::Retryable
    } else if OURS.iter().any(|part| code.contains(part)) || status == Some(403) {
        Kind::Misconfigured
    } else {
        Kind::Permanent
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("Throttling", Some(400), Kind::Retryable)]
    #[case("InternalFailure", Some(500), Kind::Retryable)]
    #[case("RequestTimedOut", None, Kind::Retryable)]
    #[case("KMSKeyNotAccessibleFault", Some(400), Kind::Misconfigured)]
    #[case("AccessDenied", Some(403), Kind::Misconfigured)]
    #[case("SnapshotQuotaExceeded", Some(400), Kind::Misconfigured)]
    #[case("InvalidDBInstanceState", Some(400), Kind::Retryable)]
    #[case("DBSnapshotAlreadyExists", Some(400), Kind::Permanent)]
    #[case("InvalidReplicationGroupState", Some(400), Kind::Retryable)]
    #[case("InvalidServerlessCacheSnapshotStateFault", Some(400), Kind::Retryable)]
    #[case("InvalidServerlessCacheStateFault", Some(400), Kind::Retryable)]
    #[case("ThrottledException", Some(400), Kind::Retryable)]
    #[case("SnapshotQuotaExceededFault", Some(400), Kind::Misconfigured)]
    #[case("ClusterQuotaForCustomerExceeded", Some(400), Kind::Misconfigured)]
    #[case("SnapshotFeatureNotSupportedFault", Some(400), Kind::Misconfigured)]
    #[case("SnapshotAlreadyExistsFault", Some(400), Kind::Permanent)]
    fn kinds(#[case] code: &str, #[case] status: Option<u16>, #[case] expected: Kind) {
        assert_eq!(kind(code, status), expected);
    }
}
