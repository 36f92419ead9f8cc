//! The deployment's plan document, read from SSM Parameter Store. Its shape is in `docs/plans.md`.

use std::future::Future;

use aws_sdk_ssm::Client;
use domain::PlanDocument;
use reconcile::{Error, Result, SdkConfig, aws_error};

/// Where plans come from.
pub trait Plans {
    /// Reads them, anew each time: a changed plan takes effect at the next tick.
    fn read(&self) -> impl Future<Output = Result<PlanDocument>>;
}

/// A document that is already here, for tests.
impl Plans for PlanDocument {
    async fn read(&self) -> Result<PlanDocument> {
        Ok(self.clone())
    }
}

/// The document in SSM Parameter Store.
#[derive(Clone, Debug)]
pub struct SsmPlans {
    client: Client,
    parameter: String,
}

impl SsmPlans {
    /// The document in the parameter of that name.
    pub fn new(config: &SdkConfig, parameter: String) -> Self {
        Self { client: Client::new(config), parameter }
    }
}

impl Plans for SsmPlans {
    async fn read(&self) -> Result<PlanDocument> {
        let doing = format!("read the plan document from SSM parameter {}", self.parameter);
        let answer = self
            .client
            .get_parameter()
            .name(&self.parameter)
            .send()
            .await
            .map_err(|error| aws_error(&doing, error))?;
        let text = answer.parameter.and_then(|parameter| parameter.value).unwrap_or_default();
        PlanDocument::parse(&text).map_err(|error| {
            Error::misconfigured(
                "PlansInvalid",
                format!(
                    "SSM parameter {}: {error}; nothing was done, mend it with `aws ssm put-parameter`",
                    self.parameter
                ),
            )
        })
    }
}
