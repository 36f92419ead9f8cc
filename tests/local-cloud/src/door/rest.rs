//! Action names of the REST services that the functions call, from method, path and query.

use http::{HeaderMap, Method};

use super::operation::{Operation, Protocol};

/// Bucket sub-resources and the word that follows Get, Put and Delete in the action's name.
const BUCKET_PARTS: &[(&str, &str)] = &[
    ("versioning", "BucketVersioning"),
    ("object-lock", "ObjectLockConfiguration"),
    ("encryption", "BucketEncryption"),
    ("lifecycle", "BucketLifecycleConfiguration"),
    ("replication", "BucketReplication"),
    ("policy", "BucketPolicy"),
    ("policyStatus", "BucketPolicyStatus"),
    ("publicAccessBlock", "PublicAccessBlock"),
    ("ownershipControls", "BucketOwnershipControls"),
    ("tagging", "BucketTagging"),
    ("notification", "BucketNotificationConfiguration"),
    ("location", "BucketLocation"),
    ("acl", "BucketAcl"),
    ("cors", "BucketCors"),
    ("logging", "BucketLogging"),
    ("website", "BucketWebsite"),
    ("requestPayment", "BucketRequestPayment"),
];

/// The same for objects.
const OBJECT_PARTS: &[(&str, &str)] = &[
    ("retention", "ObjectRetention"),
    ("legal-hold", "ObjectLegalHold"),
    ("tagging", "ObjectTagging"),
    ("acl", "ObjectAcl"),
    ("attributes", "ObjectAttributes"),
    ("torrent", "ObjectTorrent"),
];

pub(crate) fn s3(method: &Method, path: &str, query: &str, headers: &HeaderMap) -> Operation {
    let has = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
    let copies = headers.contains_key("x-amz-copy-source");
    let (bucket, key) =
        path.trim_start_matches('/').split_once('/').unwrap_or((path.trim_start_matches('/'), ""));
    let (action, resource) = if bucket.is_empty() {
        ("ListBuckets".to_owned(), None)
    } else if key.is_empty() {
        (bucket_action(method, has), Some(bucket.to_owned()))
    } else {
        (object_action(method, has, copies), Some(format!("{bucket}/{key}")))
    };
    Operation { action, resource: resource.map(|text| decoded(&text)), protocol: Protocol::S3 }
}

fn decoded(path: &str) -> String {
    // A plus is a plus in a path; in a form it would be a space.
    let query = path.replace('+', "%2B");
    form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name.into_owned()).next().unwrap_or_default()
}

fn verb(method: &Method) -> &'static str {
    match *method {
        Method::PUT | Method::POST => "Put",
        Method::DELETE => "Delete",
        Method::HEAD => "Head",
        _ => "Get",
    }
}

fn part(method: &Method, parts: &[(&str, &str)], has: impl Fn(&str) -> bool) -> Option<String> {
    let (_, noun) = parts.iter().find(|(flag, _)| has(flag))?;
    // The one irregular name.
    if *method == Method::DELETE && *noun == "BucketLifecycleConfiguration" {
        return Some("DeleteBucketLifecycle".to_owned());
    }
    Some(format!("{}{noun}", verb(method)))
}

fn bucket_action(method: &Method, has: impl Fn(&str) -> bool + Copy) -> String {
    if let Some(action) = part(method, BUCKET_PARTS, has) {
        return action;
    }
    match *method {
        Method::GET if has("uploads") => "ListMultipartUploads",
        Method::GET if has("versions") => "ListObjectVersions",
        Method::GET if has("list-type") => "ListObjectsV2",
        Method::GET => "ListObjects",
        Method::HEAD => "HeadBucket",
        Method::PUT => "CreateBucket",
        Method::DELETE => "DeleteBucket",
        Method::POST if has("delete") => "DeleteObjects",
        _ => "PostObject",
    }
    .to_owned()
}

fn object_action(method: &Method, has: impl Fn(&str) -> bool + Copy, copies: bool) -> String {
    if let Some(action) = part(method, OBJECT_PARTS, has) {
        return action;
    }
    match *method {
        Method::GET if has("uploadId") => "ListParts",
        Method::GET => "GetObject",
        Method::HEAD => "HeadObject",
        Method::PUT if has("uploadId") && copies => "UploadPartCopy",
        Method::PUT if has("uploadId") => "UploadPart",
        Method::PUT if copies => "CopyObject",
        Method::PUT => "PutObject",
        Method::DELETE if has("uploadId") => "AbortMultipartUpload",
        Method::DELETE => "DeleteObject",
        Method::POST if has("uploads") => "CreateMultipartUpload",
        Method::POST if has("uploadId") => "CompleteMultipartUpload",
        Method::POST if has("restore") => "RestoreObject",
        _ => "SelectObjectContent",
    }
    .to_owned()
}

/// `/2015-03-31/functions/NAME/…`.
pub(crate) fn lambda(method: &Method, path: &str) -> Option<Operation> {
    let mut parts = path.trim_start_matches('/').split('/').skip(1);
    if parts.next()? != "functions" {
        return None;
    }
    let name = parts.next().filter(|name| !name.is_empty());
    let below = parts.next().unwrap_or_default();
    let action = match (method.as_str(), name, below) {
        ("GET", None, _) => "ListFunctions",
        ("POST", None, _) => "CreateFunction",
        ("POST", Some(_), "invocations") => "Invoke",
        ("GET", Some(_), "") => "GetFunction",
        ("DELETE", Some(_), "") => "DeleteFunction",
        ("GET", Some(_), "configuration") => "GetFunctionConfiguration",
        ("PUT", Some(_), "configuration") => "UpdateFunctionConfiguration",
        ("PUT", Some(_), "code") => "UpdateFunctionCode",
        ("GET", Some(_), "concurrency") => "GetFunctionConcurrency",
        ("PUT", Some(_), "concurrency") => "PutFunctionConcurrency",
        _ => return None,
    };
    Some(named(action, name))
}

/// `/schedules/NAME`, `/schedule-groups/NAME`.
pub(crate) fn scheduler(method: &Method, path: &str) -> Option<Operation> {
    let mut parts = path.trim_start_matches('/').split('/');
    let noun = match parts.next()? {
        "schedules" => "Schedule",
        "schedule-groups" => "ScheduleGroup",
        _ => return None,
    };
    let name = parts.next().filter(|name| !name.is_empty());
    let action = match (method.as_str(), name) {
        ("GET", None) => format!("List{noun}s"),
        ("GET", Some(_)) => format!("Get{noun}"),
        ("POST", _) => format!("Create{noun}"),
        ("PUT", _) => format!("Update{noun}"),
        ("DELETE", _) => format!("Delete{noun}"),
        _ => return None,
    };
    Some(named(&action, name))
}

fn named(action: &str, name: Option<&str>) -> Operation {
    Operation { action: action.to_owned(), resource: name.map(decoded), protocol: Protocol::Json }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s3_actions_have_aws_names() {
        for (method, uri, action, resource) in [
            ("GET", "/", "ListBuckets", None),
            ("GET", "/b?list-type=2&prefix=x", "ListObjectsV2", Some("b")),
            ("GET", "/b/?versions", "ListObjectVersions", Some("b")),
            ("PUT", "/b?object-lock", "PutObjectLockConfiguration", Some("b")),
            ("DELETE", "/b?lifecycle", "DeleteBucketLifecycle", Some("b")),
            ("POST", "/b?delete", "DeleteObjects", Some("b")),
            ("PUT", "/b/a%20b/c+d", "PutObject", Some("b/a b/c+d")),
            ("PUT", "/b/k?partNumber=1&uploadId=u", "UploadPart", Some("b/k")),
            ("POST", "/b/k?uploads", "CreateMultipartUpload", Some("b/k")),
            ("POST", "/b/k?uploadId=u", "CompleteMultipartUpload", Some("b/k")),
            ("GET", "/b/k?versionId=v", "GetObject", Some("b/k")),
            ("HEAD", "/b/k", "HeadObject", Some("b/k")),
            ("PUT", "/b/k?legal-hold", "PutObjectLegalHold", Some("b/k")),
        ] {
            let uri: http::Uri = uri.parse().unwrap();
            let found =
                s3(&method.parse().unwrap(), uri.path(), uri.query().unwrap_or_default(), &HeaderMap::new());
            assert_eq!(
                (found.action.as_str(), found.resource.as_deref()),
                (action, resource),
                "{method} {uri}"
            );
        }
    }

    #[test]
    fn a_copy_is_not_a_put() {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-copy-source", "b/k".parse().unwrap());
        assert_eq!(s3(&Method::PUT, "/b/k2", "", &headers).action, "CopyObject");
    }

    #[test]
    fn lambda_and_scheduler_actions_have_aws_names() {
        let invoke = lambda(&Method::POST, "/2015-03-31/functions/backup/invocations").unwrap();
        assert_eq!((invoke.action.as_str(), invoke.resource.as_deref()), ("Invoke", Some("backup")));
        let get = scheduler(&Method::GET, "/schedules/tick").unwrap();
        assert_eq!((get.action.as_str(), get.resource.as_deref()), ("GetSchedule", Some("tick")));
        assert_eq!(scheduler(&Method::GET, "/schedules").unwrap().action, "ListSchedules");
        assert_eq!(scheduler(&Method::GET, "/tags/x"), None);
    }
}
