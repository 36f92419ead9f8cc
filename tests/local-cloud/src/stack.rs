//! What is deployed, as CloudFormation tells it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::Error;
use crate::api::Api;
use crate::xml::Element;

const VERSION: &str = "2010-05-15";

/// The deployed stacks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stack {
    /// The functions' stack: `tidemark-dev`. Names of functions and schedules begin with it.
    pub name: String,
    /// Where the functions and the databases are.
    pub home_region: String,
    /// Where the copies are.
    pub recovery_region: String,
    /// Crate name (`backup-rds`) to function name (`tidemark-dev-backup-rds`).
    pub functions: BTreeMap<String, String>,
    /// Outputs of the functions' stack.
    pub outputs: BTreeMap<String, String>,
    /// Outputs of the vault in the home Region.
    pub vault: BTreeMap<String, String>,
    /// Outputs of the vault in the recovery Region.
    pub recovery_vault: BTreeMap<String, String>,
    /// Logical to physical id, of the functions' stack.
    pub resources: BTreeMap<String, String>,
}

impl Stack {
    /// The deployed name of a function, given its crate's name or the deployed name itself.
    pub fn function(&self, name: &str) -> Result<&str, Error> {
        let deployed =
            self.functions.get(name).or_else(|| self.functions.values().find(|known| *known == name));
        deployed.map(String::as_str).ok_or_else(|| Error::NoFunction {
            name: name.to_owned(),
            deployed: self.functions.keys().cloned().collect::<Vec<_>>().join(", "),
        })
    }

    /// The vault in the home Region, which holds the ledger; empty if the stack has no such output.
    pub fn vault_bucket(&self) -> &str {
        self.vault.get("VaultBucketName").map_or("", String::as_str)
    }

    /// The bucket through which ElastiCache hands snapshots over, in the home Region; empty if the stack has no such output.
    pub fn export_bucket(&self) -> &str {
        self.vault.get("ExportBucketName").map_or("", String::as_str)
    }

    /// The same in the recovery Region.
    pub fn recovery_export_bucket(&self) -> &str {
        self.recovery_vault.get("ExportBucketName").map_or("", String::as_str)
    }

    /// The vault in the recovery Region; empty if the stack has no such output.
    pub fn recovery_vault_bucket(&self) -> &str {
        self.recovery_vault.get("VaultBucketName").map_or("", String::as_str)
    }
}

/// A stack's outputs.
pub(crate) async fn outputs(api: &Api, region: &str, stack: &str) -> Result<BTreeMap<String, String>, Error> {
    let scope = ("cloudformation", region);
    let answer = api.query(scope, VERSION, "DescribeStacks", &[("StackName", stack)]).await?;
    let root = Element::parse("DescribeStacks", &answer)?;
    let lists = root.all("Outputs");
    Ok(lists
        .iter()
        .flat_map(|list| &list.children)
        .map(|one| pair(one, "OutputKey", "OutputValue"))
        .collect())
}

/// A stack's resources, logical to physical id.
pub(crate) async fn resources(
    api: &Api,
    region: &str,
    stack: &str,
) -> Result<BTreeMap<String, String>, Error> {
    let mut found = BTreeMap::new();
    let mut token = String::new();
    loop {
        let mut parameters = vec![("StackName", stack)];
        if !token.is_empty() {
            parameters.push(("NextToken", &token));
        }
        let scope = ("cloudformation", region);
        let answer = api.query(scope, VERSION, "ListStackResources", &parameters).await?;
        let root = Element::parse("ListStackResources", &answer)?;
        let members = root.all("member");
        found.extend(members.iter().map(|one| pair(one, "LogicalResourceId", "PhysicalResourceId")));
        token = root.all("NextToken").first().map(|token| token.text.clone()).unwrap_or_default();
        if token.is_empty() {
            return Ok(found);
        }
    }
}

fn pair(element: &Element, key: &str, value: &str) -> (String, String) {
    (element.text_of(key).to_owned(), element.text_of(value).to_owned())
}
