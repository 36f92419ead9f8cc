use std::time::Duration;

use aws_sdk_s3::{
    Client,
    config::{Builder, Region, timeout::TimeoutConfig},
};
use reconcile::SdkConfig;

/// S3 in the configuration's Region, or in that one; connections are shared with whatever else uses `config`.
pub(crate) fn client(config: &SdkConfig, region: Option<&str>) -> Client {
    // Path style: the local cloud has no host per bucket, and AWS takes both for buckets without dots.
    let mut config = Builder::from(config).force_path_style(true);
    if let Some(region) = region {
        config = config.region(Region::new(region.to_owned()));
    }
    Client::from_conf(config.build())
}

/// What a call that moves so many bytes may take. The configuration's own patience is for calls that move none; slower
/// than 4 MiB a second is a connection that hangs.
pub(crate) fn patience(bytes: u64) -> Builder {
    waiting(Duration::from_secs(15 + bytes / (4 << 20)))
}

/// What a call may take that S3 thinks over: to complete an upload "can take several minutes" (S3 API Reference,
/// "`CompleteMultipartUpload`").
pub(crate) fn long_patience() -> Builder {
    waiting(Duration::from_mins(4))
}

fn waiting(attempt: Duration) -> Builder {
    let timeouts =
        TimeoutConfig::builder().operation_attempt_timeout(attempt).operation_timeout(attempt * 3).build();
    aws_sdk_s3::config::Config::builder().timeout_config(timeouts)
}
