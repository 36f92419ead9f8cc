//! What a person may get wrong: nothing is done, and the answer says what is allowed.

use anyhow::Result;
use local_cloud::CallFilter;
use rstest::rstest;
use serde_json::{Value, json};

use crate::{common::cloud, estate, refusal};

#[rstest]
#[case::engine_unknown(json!({"resource": "mongo/orders", "to": "latest", "as": "x"}), "RequestInvalid", "redis/")]
#[case::key_of_another_engine(
    json!({"resource": "redis/nobody", "to": "latest", "as": "nobody-2", "instance_class": "db.t4g.micro"}),
    "RequestInvalid", "node_type")]
#[case::name_of_a_cache(json!({"resource": "redis/nobody", "to": "latest", "as": "-bad-"}), "RequestInvalid", "1 to 40")]
#[case::instant_without_offset(
    json!({"resource": "redis/nobody", "to": "2026-11-22T03:00:00", "as": "nobody-2"}), "RequestInvalid", "offset")]
#[case::cache_unknown(json!({"resource": "redis/nobody", "to": "latest", "as": "nobody-2"}), "ResourceUnknown", "nobody")]
#[case::region_unknown(
    json!({"resource": "redis/nobody", "to": "latest", "as": "nobody-2", "region": "eu-north-1"}), "RegionUnknown", "us-west-2")]
#[case::point_unknown(
    json!({"resource": "redis/nobody", "to": "tidemark-nobody-20260101t0000z-aaaaaa", "as": "nobody-2"}),
    "RecoveryPointUnknown", "tidemark-nobody-20260101t0000z-aaaaaa")]
#[case::from_nowhere(
    json!({"resource": "redis/nobody", "to": "latest", "as": "nobody-2", "from": "branch"}), "RequestInvalid", "vault")]
#[case::database_unknown(json!({"resource": "turso/nobody", "to": "latest", "as": "nobody-2"}), "ResourceUnknown", "nobody")]
#[case::region_of_a_database(
    json!({"resource": "turso/nobody", "to": "latest", "as": "nobody-2", "region": "us-west-2"}), "RequestInvalid", "group")]
#[case::key_of_a_cache(
    json!({"resource": "turso/nobody", "to": "latest", "as": "nobody-2", "node_type": "cache.t4g.small"}),
    "RequestInvalid", "from")]
#[tokio::test]
async fn a_request_that_cannot_be_meant_is_refused_and_nothing_is_done(
    #[case] request: Value,
    #[case] code: &str,
    #[case] says: &str,
) -> Result<()> {
    estate().await?;
    let (found, said) = refusal(&request).await?;
    assert_eq!(found, code, "{said}");
    assert!(said.contains(says), "{said}");
    let made = ["CreateReplicationGroup", "CreateServerlessCache", "CreateCacheCluster", "CreateDatabase"];
    for action in made {
        let calls = cloud().calls(&CallFilter::all().action(action).resource("*nobody*"));
        assert!(calls.is_empty(), "{calls:#?}");
    }
    Ok(())
}
