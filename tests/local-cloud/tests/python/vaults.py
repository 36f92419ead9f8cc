"""Makes buckets as `infra/vault.yaml` has them: locked, versioned, encrypted; the last two replicate from one to the other."""

import boto3

HOME, RECOVERY = "us-east-1", "us-west-2"


def vault(name, region):
    s3 = boto3.client("s3", region_name=region)
    where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True, **where)
    retention = {"Mode": "GOVERNANCE", "Days": 1}
    s3.put_object_lock_configuration(
        Bucket=name, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": retention}})
    key = boto3.client("kms", region_name=region).create_key()["KeyMetadata"]["Arn"]
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    s3.put_bucket_encryption(
        Bucket=name, ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": default}]})


vault("vault-home", HOME)
vault("vault-locked", HOME)
vault("vault-recovery", RECOVERY)
vault("replicated-home", HOME)
vault("replicated-recovery", RECOVERY)
boto3.client("s3", region_name=HOME).put_bucket_replication(Bucket="replicated-home", ReplicationConfiguration={
    "Role": "arn:aws:iam::123456789012:role/replication",
    "Rules": [{
        "ID": "everything", "Status": "Enabled", "Priority": 0, "Filter": {"Prefix": ""},
        "DeleteMarkerReplication": {"Status": "Disabled"},
        "Destination": {"Bucket": "arn:aws:s3:::replicated-recovery"},
    }],
})
away = boto3.client("s3", region_name=RECOVERY)
away.create_bucket(Bucket="vault-open", CreateBucketConfiguration={"LocationConstraint": RECOVERY})
away.put_bucket_versioning(Bucket="vault-open", VersioningConfiguration={"Status": "Enabled"})
# Its objects can be locked, and none is by default.
away.create_bucket(
    Bucket="vault-unlocked", ObjectLockEnabledForBucket=True, CreateBucketConfiguration={"LocationConstraint": RECOVERY})
print("ok")
