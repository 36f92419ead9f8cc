//! What can happen to a Turso database, and to what the vaults hold of it.

use anyhow::{Context, Result, ensure};
use http::Method;
use local_cloud::ORGANIZATION;
use scenarios::{Estate, Libsql, LibsqlContents, platform, poll};
use serde_json::{Value, json};

use crate::{
    backed_up,
    common::cloud,
    estate, meanwhile,
    shell::{follow, shell},
    tick,
};

const ROWS: usize = 500;

/// A database that is backed up and then deleted: what was in it, and its recovery point.
async fn lost(estate: &Estate<'_>, name: &str) -> Result<(LibsqlContents, String)> {
    let database = Libsql::create(cloud(), name).await?;
    database.fill(ROWS).await?;
    let whole = database.contents().await?;
    let point = backed_up(estate, "backup-turso", &format!("turso/{name}")).await?;
    platform(cloud(), Method::DELETE, &format!("databases/{name}"), None).await?;
    Ok((whole, point))
}

pub(crate) async fn database_deleted(page: &str) -> Result<()> {
    let estate = estate().await?;
    let (whole, point) = lost(&estate, "deleted").await?;
    let values = [
        ("STAGE", "dev"),
        ("AWS_REGION", estate.home()),
        ("DATABASE", "deleted"),
        ("RESTORED", "deleted-2"),
        ("ORGANIZATION", ORGANIZATION),
        ("TABLE", "orders"),
        ("TURSO_SECRET", "tidemark/turso"),
    ];
    let printed = meanwhile(async || tick("restore-database-tick").await, follow(page, &values)).await?;
    let found = format!("'value': '{}'", whole.rows["orders"]);
    ensure!(printed.contains(&point) && printed.contains(&found), "{printed}");
    assert_eq!(Libsql::open(cloud(), "deleted-2").await?.contents().await?, whole);
    let settings = platform(cloud(), Method::GET, "databases/deleted-2/configuration", None).await?;
    assert_eq!(settings["delete_protection"], true);
    Ok(())
}

/// Somebody has deleted the database, and hidden all that the vaults of both Regions have of it.
pub(crate) async fn compromised_credentials(page: &str) -> Result<()> {
    let estate = estate().await?;
    let (whole, point) = lost(&estate, "breached").await?;
    let stack = cloud().stack();
    let of_it = async |vault: &str| -> Result<Vec<String>> {
        let keys = cloud().object_keys(vault, "turso/").await?;
        Ok(keys.into_iter().filter(|key| key.contains(&format!("/{point}/"))).collect())
    };
    let vaults = [stack.vault_bucket(), stack.recovery_vault_bucket()];
    let mut before = Vec::new();
    for vault in vaults {
        before.push(of_it(vault).await?);
        for key in of_it(vault).await? {
            cloud().delete_object(vault, &key).await?;
        }
        assert_eq!(of_it(vault).await?, [""; 0], "hidden");
    }
    let key = "aws iam create-user --user-name breached >user.json
        aws iam create-access-key --user-name breached --query AccessKey.AccessKeyId --output text";
    let key = shell(key).await?;

    let values = [
        ("STAGE", "dev"),
        ("AWS_REGION", estate.home()),
        ("RECOVERY", estate.recovery()),
        ("USER_NAME", "breached"),
        ("ACCESS_KEY", key.trim()),
        ("RESOURCE", "turso/breached"),
        ("CASE", "case-17"),
        ("POINT", &point),
        ("RESTORED", "breached-2"),
    ];
    let printed = follow(page, &values).await?;
    let keys = shell(
        "aws iam list-access-keys --user-name breached --query 'AccessKeyMetadata[].Status' --output text",
    );
    assert_eq!(keys.await?.trim(), "Inactive");
    for (vault, before) in vaults.iter().zip(&before) {
        assert_eq!(&of_it(vault).await?, before);
    }
    let stopped = "aws lambda get-function-concurrency --function-name tidemark-dev-delete-expired";
    ensure!(printed.contains("\"ReservedConcurrentExecutions\": 0"), "{printed}");
    assert_eq!(shell(stopped).await?.trim(), "", "deletions go on");
    let held = cloud().object_keys(stack.vault_bucket(), "marks/turso/breached/").await?;
    ensure!(held.iter().any(|key| key.contains("held") || key.contains("hold")), "{held:?}");
    let restore = poll("the restore in the ledger", async || {
        let is_it =
            |entry: &Value| entry["kind"] == "restore-requested" && entry["resource"] == "turso/breached";
        Ok(cloud().ledger().await?.into_iter().find(is_it))
    })
    .await?;
    estate.follow_restore(restore["subject"].as_str().context("no subject")?).await?;
    assert_eq!(Libsql::open(cloud(), "breached-2").await?.contents().await?, whole);
    let release = json!({"release": point, "resource": "turso/breached", "why": "case-17 is over"});
    cloud().invoke("plan-retention", &release).await?.into_payload()?;
    Ok(())
}
