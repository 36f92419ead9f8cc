//! What is asked for: the name that AWS gives the action, and the resource it is about.

use http::{HeaderMap, Method, Request};
use serde_json::Value;

use super::rest;
use super::scope::{Scope, header};

/// An action and its resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Operation {
    /// AWS's name (`CreateDBSnapshot`, `PutObject`); `METHOD /path` where it is not known.
    pub(crate) action: String,
    /// An identifier, a name, an ARN, or `bucket/key`.
    pub(crate) resource: Option<String>,
    pub(crate) protocol: Protocol,
}

/// How the service writes its errors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// XML as of S3.
    S3,
    /// XML as of the Query protocol.
    Query,
    /// JSON, with or without REST.
    #[default]
    Json,
    /// CBOR as of Smithy RPC v2.
    Cbor,
}

/// What can be said before the body is read. `None`: only the body tells (the Query protocol).
pub(crate) fn from_head<B>(request: &Request<B>, scope: &Scope) -> Option<Operation> {
    let headers = request.headers();
    if let Some(target) = header(headers, "x-amz-target") {
        let action = target.rsplit('.').next().unwrap_or(target).to_owned();
        return Some(Operation { action, resource: None, protocol: Protocol::Json });
    }
    let path = request.uri().path();
    // Smithy RPC v2: /service/NAME/operation/NAME.
    if let Some((_, action)) = path.strip_prefix("/service/").and_then(|rest| rest.split_once("/operation/"))
    {
        return Some(Operation { action: action.to_owned(), resource: None, protocol: Protocol::Cbor });
    }
    let query = request.uri().query().unwrap_or_default();
    let known = match scope.service.as_str() {
        "s3" => Some(rest::s3(request.method(), path, query, headers)),
        "lambda" => rest::lambda(request.method(), path),
        "scheduler" => rest::scheduler(request.method(), path),
        _ if is_form(headers) => return None,
        _ if query.contains("Action=") => return Some(from_form(query.as_bytes())),
        _ => None,
    };
    Some(known.unwrap_or_else(|| unknown(request.method(), path)))
}

fn unknown(method: &Method, path: &str) -> Operation {
    Operation { action: format!("{method} {path}"), ..Operation::default() }
}

pub(crate) fn is_form(headers: &HeaderMap) -> bool {
    header(headers, "content-type")
        .is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"))
}

/// The parameters that name what a Query action is about; what is made comes before what it is made from.
const FORM_RESOURCES: &[&str] = &[
    "TargetDBSnapshotIdentifier",
    "TargetDBInstanceIdentifier",
    "DBSnapshotIdentifier",
    "DBInstanceIdentifier",
    "SourceDBInstanceArn",
    "TargetSnapshotName",
    "SnapshotName",
    "ServerlessCacheSnapshotName",
    "ServerlessCacheName",
    "ReplicationGroupId",
    "CacheClusterId",
    "ResourceName",
    "StackName",
    "TopicArn",
    "RoleName",
    "RoleArn",
    "PolicyArn",
    "QueueUrl",
    "Name",
];

/// The Query protocol. `RestoreDBInstanceFromDBSnapshot` names a snapshot, but makes the instance.
pub(crate) fn from_form(body: &[u8]) -> Operation {
    let mut action = String::new();
    let mut best: Option<(usize, String)> = None;
    for (name, value) in form_urlencoded::parse(body) {
        if name == "Action" {
            action = value.into_owned();
        } else if let Some(rank) = FORM_RESOURCES.iter().position(|known| *known == name)
            && best.as_ref().is_none_or(|(found, _)| rank < *found)
        {
            best = Some((rank, value.into_owned()));
        }
    }
    let mut resource = best.map(|(_, value)| value);
    if action == "RestoreDBInstanceFromDBSnapshot" {
        resource = form_urlencoded::parse(body)
            .find(|(name, _)| name == "DBInstanceIdentifier")
            .map(|(_, value)| value.into_owned());
    }
    Operation { action, resource, protocol: Protocol::Query }
}

/// The members that name what a JSON action is about.
const JSON_RESOURCES: &[&str] = &[
    "SecretId",
    "KeyId",
    "AliasName",
    "QueueUrl",
    "QueueName",
    "TopicArn",
    "logGroupName",
    "logGroupIdentifier",
    "FunctionName",
    "AlarmName",
    "Rule",
    "Name",
    "Names",
    "ResourceArn",
    "ResourceARN",
];

/// The resource of a JSON action; for `PutEvents` the detail type of its first event.
pub(crate) fn json_resource(action: &str, body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    if action == "PutEvents" {
        return text(body.pointer("/Entries/0/DetailType")?);
    }
    JSON_RESOURCES.iter().find_map(|name| text(body.get(name)?))
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => text(items.first()?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_action_is_about_what_it_makes() {
        let copy = from_form(
            b"Action=CopyDBSnapshot&SourceDBSnapshotIdentifier=arn%3Aaws&TargetDBSnapshotIdentifier=copy",
        );
        assert_eq!((copy.action.as_str(), copy.resource.as_deref()), ("CopyDBSnapshot", Some("copy")));
        let create = from_form(b"DBInstanceIdentifier=db&Action=CreateDBSnapshot&DBSnapshotIdentifier=snap");
        assert_eq!(create.resource.as_deref(), Some("snap"));
        let restore = from_form(
            b"Action=RestoreDBInstanceFromDBSnapshot&DBSnapshotIdentifier=snap&DBInstanceIdentifier=new",
        );
        assert_eq!(restore.resource.as_deref(), Some("new"));
    }

    #[test]
    fn a_json_action_is_about_its_first_name() {
        assert_eq!(
            json_resource("GetParameter", br#"{"Name":"/tidemark/dev/plans"}"#).unwrap(),
            "/tidemark/dev/plans"
        );
        assert_eq!(json_resource("GetParameters", br#"{"Names":["a","b"]}"#).unwrap(), "a");
        assert_eq!(json_resource("PutEvents", br#"{"Entries":[{"DetailType":"T"}]}"#).unwrap(), "T");
        assert_eq!(json_resource("ListKeys", b"{}"), None);
        assert_eq!(json_resource("ListKeys", b"not json"), None);
    }

    #[test]
    fn the_head_is_enough_for_json_and_rest() {
        let scope = Scope { service: "ssm".into(), ..Scope::default() };
        let request = Request::post("/").header("x-amz-target", "AmazonSSM.GetParameter").body(()).unwrap();
        assert_eq!(from_head(&request, &scope).unwrap().action, "GetParameter");
        let scope = Scope { service: "rds".into(), ..Scope::default() };
        let form =
            Request::post("/").header("content-type", "application/x-www-form-urlencoded; charset=utf-8");
        assert_eq!(from_head(&form.body(()).unwrap(), &scope), None);
        let scope = Scope { service: "polly".into(), ..Scope::default() };
        let other = Request::get("/v1/voices").body(()).unwrap();
        assert_eq!(from_head(&other, &scope).unwrap().action, "GET /v1/voices");
    }
}
