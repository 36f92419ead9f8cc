//! What the adapter asks of ElastiCache to tear down, what it makes of the answers, and where it finds the tags of a cache that is up
//! to something.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::sync::{Arc, Mutex};

use aws_sdk_elasticache::config::{Credentials, HttpClient, RuntimeComponents, SharedCredentialsProvider};
use aws_smithy_runtime_api::{
    client::{
        http::{HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
        orchestrator::HttpRequest,
    },
    http::{Response, StatusCode},
};
use reconcile::{Kind, Settings, aws_config};
use redis::elasticache::{AwsElastiCache, CacheKind, ElastiCache, Tags, Teardown};
use rstest::rstest;

const DRILL: &str = "tidemark-drill-1";
const ARN: &str = "arn:aws:elasticache:us-east-1:123456789012:serverlesscache:tidemark-drill-1";

/// Answers each action by its name, which the body tells, or of the tagging API by nothing; and keeps what it was asked.
#[derive(Clone, Debug, Default)]
struct Canned {
    answers: Vec<(&'static str, u16, String)>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl HttpConnector for Canned {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = String::from_utf8(request.body().bytes().unwrap().to_vec()).unwrap();
        let says = |(action, ..): &&(&'static str, u16, String)| body.contains(&format!("Action={action}&"));
        let (_, status, answer) = self.answers.iter().find(says).or(self.answers.last()).cloned().unwrap();
        self.asked.lock().unwrap().push(body);
        let status = StatusCode::try_from(status).unwrap();
        HttpConnectorFuture::ready(Ok(Response::new(status, answer.into())))
    }
}

impl HttpClient for Canned {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl Canned {
    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn caches(&self) -> AwsElastiCache {
        let keys = SharedCredentialsProvider::new(Credentials::new("a", "b", None, None, "test"));
        let config = aws_config(&Settings::new([])).into_builder().http_client(self.clone());
        AwsElastiCache::new(&config.credentials_provider(keys).build(), "us-east-1")
    }
}

fn refusal(code: &str) -> String {
    format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
    )
}

#[rstest]
#[case(
    CacheKind::ReplicationGroup,
    "DeleteReplicationGroup",
    "&ReplicationGroupId=tidemark-drill-1&RetainPrimaryCluster=false"
)]
#[case(CacheKind::Cluster, "DeleteCacheCluster", "&CacheClusterId=tidemark-drill-1")]
#[case(CacheKind::Serverless, "DeleteServerlessCache", "&ServerlessCacheName=tidemark-drill-1")]
#[tokio::test]
async fn nothing_is_kept_of_a_drill(
    #[case] kind: CacheKind,
    #[case] action: &'static str,
    #[case] asks: &str,
) {
    let body = format!("<{action}Response><{action}Result/></{action}Response>");
    let canned = Canned { answers: vec![(action, 200, body)], ..Canned::default() };
    canned.caches().delete_cache(kind, DRILL).await.unwrap();
    assert_eq!(canned.asked(), [format!("Action={action}&Version=2015-02-02{asks}")]);
    let error = canned.caches().delete_cache(kind, "sessions").await.unwrap_err();
    assert_eq!((error.code(), canned.asked().len()), ("NotADrills", 1));
}

#[rstest]
#[case(CacheKind::ReplicationGroup, "ReplicationGroupNotFoundFault", false)]
#[case(CacheKind::ReplicationGroup, "InvalidReplicationGroupState", true)]
#[case(CacheKind::Cluster, "CacheClusterNotFound", false)]
#[case(CacheKind::Cluster, "InvalidCacheClusterState", true)]
#[case(CacheKind::Serverless, "ServerlessCacheNotFoundFault", false)]
#[case(CacheKind::Serverless, "InvalidServerlessCacheStateFault", true)]
#[tokio::test]
async fn refusals(#[case] kind: CacheKind, #[case] code: &str, #[case] passes: bool) {
    let canned = Canned { answers: vec![("Delete", 400, refusal(code))], ..Canned::default() };
    let refused = canned.caches().delete_cache(kind, DRILL).await.err();
    let refused = refused.map(|error| (error.code().to_owned(), error.kind()));
    assert_eq!(refused, passes.then(|| (code.to_owned(), Kind::Retryable)));
}

/// A serverless cache that is being made, and an index of tags that answers with that.
fn being_made(index: String) -> Canned {
    let cache = format!(
        "<DescribeServerlessCachesResponse><DescribeServerlessCachesResult><ServerlessCaches><member>\
         <ServerlessCacheName>{DRILL}</ServerlessCacheName><ARN>{ARN}</ARN><Status>creating</Status>\
         </member></ServerlessCaches></DescribeServerlessCachesResult></DescribeServerlessCachesResponse>"
    );
    let answers = vec![
        ("DescribeServerlessCaches", 200, cache),
        ("ListTagsForResource", 400, refusal("InvalidServerlessCacheStateFault")),
        ("GetResources", 200, index),
    ];
    Canned { answers, ..Canned::default() }
}

#[tokio::test]
async fn the_tags_of_a_cache_that_is_being_made_are_in_the_index() {
    let index = format!(
        r#"{{"ResourceTagMappingList": [{{"ResourceARN": "{ARN}", "Tags": [{{"Key": "tidemark:drill", "Value": "1"}}]}}]}}"#
    );
    let canned = being_made(index);
    let cache = canned.caches().cache(CacheKind::Serverless, DRILL).await.unwrap().unwrap();
    assert_eq!(cache.tags, Tags::from([("tidemark:drill".to_owned(), "1".to_owned())]));
    assert_eq!(canned.asked()[2], format!(r#"{{"ResourceARNList":["{ARN}"]}}"#));
}

#[tokio::test]
async fn where_the_index_lags_behind_the_refusal_stands_and_passes() {
    let canned = being_made(r#"{"ResourceTagMappingList": []}"#.to_owned());
    let error = canned.caches().cache(CacheKind::Serverless, DRILL).await.unwrap_err();
    assert_eq!((error.code(), error.kind()), ("InvalidServerlessCacheStateFault", Kind::Retryable));
}
