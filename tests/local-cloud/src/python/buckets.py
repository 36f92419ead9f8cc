"""Applies, through the S3 API, what MiniStack drops of a bucket's CloudFormation properties.

Standard input: {NAME: {"region": REGION, "properties": PROPERTIES}}, with intrinsic functions resolved. A property that
is not known here is an error, so that the local bucket never silently differs from the template's.
"""

import json
import sys

import boto3
from botocore.config import Config

# Kept by MiniStack itself: checked by the infrastructure's own tests.
KEPT = {"BucketName", "VersioningConfiguration", "ObjectLockEnabled", "PublicAccessBlockConfiguration", "CorsConfiguration"}


def renamed(value):
    """CloudFormation's spelling in the API's: `Id`, and numbers and truths that became text."""
    if isinstance(value, dict):
        return {("ID" if key == "Id" else key): renamed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [renamed(item) for item in value]
    if value in ("true", "false"):
        return value == "true"
    if isinstance(value, str) and value.isdigit():
        return int(value)
    return value


def object_lock(s3, bucket, value):
    s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=renamed(value))


def encryption(s3, bucket, value):
    rules = [
        {"BucketKeyEnabled": renamed(rule.get("BucketKeyEnabled", False)),
         "ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"]}
        for rule in value["ServerSideEncryptionConfiguration"]
    ]
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": rules})


def lifecycle_rule(rule):
    if "ExpirationInDays" in rule:
        rule["Expiration"] = {"Days": rule.pop("ExpirationInDays")}
    return {"Filter": {"Prefix": rule.pop("Prefix", "")}, **rule}


def lifecycle(s3, bucket, value):
    rules = [lifecycle_rule(rule) for rule in renamed(value)["Rules"]]
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})


def replication(s3, bucket, value):
    role, rules = value["Role"], renamed(value["Rules"])
    s3.put_bucket_replication(Bucket=bucket, ReplicationConfiguration={"Role": role, "Rules": rules})


def ownership(s3, bucket, value):
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls=value)


def tags(s3, bucket, value):
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": value})


APPLIED = {
    "ObjectLockConfiguration": object_lock,
    "BucketEncryption": encryption,
    "LifecycleConfiguration": lifecycle,
    "ReplicationConfiguration": replication,
    "OwnershipControls": ownership,
    "Tags": tags,
}


def main():
    for bucket, made in json.load(sys.stdin).items():
        s3 = boto3.client("s3", region_name=made["region"], config=Config(user_agent_appid="local-cloud-setup"))
        for name, value in made["properties"].items():
            if name in APPLIED:
                APPLIED[name](s3, bucket, value)
            elif name not in KEPT:
                sys.exit(f"buckets: {bucket} has the property {name}, which the local cloud does not know how to apply")


main()
