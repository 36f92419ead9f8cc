"""Compares what is deployed with infra/template.yaml and infra/vault.yaml, resource by resource.

Usage: deployed.py ROOT. Only what is written plainly or with Stage and the pseudo parameters is compared.
"""

import json
import sys

import boto3
from samcli.yamlhelper import yaml_parse

ROOT, STAGE, HOME, RECOVERY, ACCOUNT = sys.argv[1], "dev", "us-east-1", "us-west-2", "123456789012"
VALUES = {
    "Stage": STAGE, "AWS::Region": HOME, "AWS::AccountId": ACCOUNT, "AWS::Partition": "aws", "RecoveryRegion": RECOVERY,
}


def resolved(value):
    if isinstance(value, list):
        return [resolved(item) for item in value]
    if isinstance(value, dict) and set(value) != {"Fn::Sub"}:
        return {key: resolved(item) for key, item in value.items()}
    if isinstance(value, dict):
        text = value["Fn::Sub"]
        for name, replacement in VALUES.items():
            text = text.replace("${%s}" % name, replacement)
        return text
    return value


def template(name):
    with open(f"{ROOT}/infra/{name}", encoding="utf-8") as file:
        return yaml_parse(file.read())


def client(service, region=HOME):
    return boto3.client(service, region_name=region)


def same(what, found, expected):
    assert found == expected, f"{what}: deployed {found!r}, in the template {expected!r}"


def check_function(name, function, defaults):
    deployed = client("lambda").get_function_configuration(FunctionName=name)
    for key in ("Timeout", "MemorySize", "Runtime"):
        same(f"{name} {key}", deployed[key], function.get(key, defaults.get(key)))
    variables = {**defaults["Environment"]["Variables"], **function["Environment"]["Variables"]}
    for key, value in variables.items():
        value = resolved(value)
        if isinstance(value, str):
            same(f"{name} {key}", deployed["Environment"]["Variables"][key], value)
    role = client("iam").get_role(RoleName=deployed["Role"].rsplit("/", 1)[-1])["Role"]
    same(f"{name} role", role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["Service"], "lambda.amazonaws.com")
    asynchronous = client("lambda").get_function_event_invoke_config(FunctionName=name, Qualifier="$LATEST")
    same(f"{name} retries", asynchronous["MaximumRetryAttempts"], defaults["EventInvokeConfig"]["MaximumRetryAttempts"])
    own = function.get("EventInvokeConfig", defaults["EventInvokeConfig"])
    queue = own["DestinationConfig"]["OnFailure"]["Destination"]["Fn::GetAtt"][0]
    same(f"{name} failures", asynchronous["DestinationConfig"]["OnFailure"]["Destination"], queue_arn(queue))


def queue_arn(logical_id):
    name = resolved(infra["Resources"][logical_id]["Properties"]["QueueName"])
    return f"arn:aws:sqs:{HOME}:{ACCOUNT}:{name}"


def check_event(function, event):
    properties = event["Properties"]
    if event["Type"] == "ScheduleV2":
        name = resolved(properties["Name"])
        found = client("scheduler").get_schedule(Name=name)
        same(name, found["ScheduleExpression"], properties["ScheduleExpression"])
        same(name, found["ScheduleExpressionTimezone"], properties["ScheduleExpressionTimezone"])
        same(name, found["Target"]["Input"], properties["Input"])
        for key, value in properties["RetryPolicy"].items():
            same(f"{name} {key}", found["Target"]["RetryPolicy"][key], value)
        target = found["Target"]["Arn"]
    elif event["Type"] == "SQS":
        name = queue_arn(properties["Queue"]["Fn::GetAtt"][0])
        found = client("lambda").list_event_source_mappings(EventSourceArn=name)["EventSourceMappings"]
        same(name, [mapping["BatchSize"] for mapping in found], [properties["BatchSize"]])
        target = found[0]["FunctionArn"]
    else:
        name = resolved(properties["RuleName"])
        found = client("events").describe_rule(Name=name)
        same(name, json.loads(found["EventPattern"]), json.loads(json.dumps(resolved(properties["Pattern"]))))
        target = client("events").list_targets_by_rule(Rule=name)["Targets"][0]["Arn"]
    assert target.endswith(f":function:{function}"), f"{name} targets {target}"


CHECKED = {"functions": 0, "events": 0, "others": 0}
infra = template("template.yaml")
for resource in infra["Resources"].values():
    properties = resource["Properties"]
    kind = resource["Type"]
    if kind == "AWS::Serverless::Function":
        name = resolved(properties["FunctionName"])
        check_function(name, properties, infra["Globals"]["Function"])
        CHECKED["functions"] += 1
        for event in properties["Events"].values():
            check_event(name, event)
            CHECKED["events"] += 1
    elif kind == "AWS::Logs::LogGroup":
        name = resolved(properties["LogGroupName"])
        found = client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        same(f"{name} days", found[0]["retentionInDays"], 14)  # samconfig.toml, dev
    elif kind == "AWS::SSM::Parameter":
        found = client("ssm").get_parameter(Name=resolved(properties["Name"]))["Parameter"]["Value"]
        same("the plans", found, properties["Value"])
    elif kind == "AWS::SNS::Topic":
        arn = f"arn:aws:sns:{HOME}:{ACCOUNT}:{resolved(properties['TopicName'])}"
        client("sns").get_topic_attributes(TopicArn=arn)
    elif kind == "AWS::SQS::Queue":
        url = client("sqs").get_queue_url(QueueName=resolved(properties["QueueName"]))["QueueUrl"]
        found = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        same(f"{url} hides", int(found["VisibilityTimeout"]), properties.get("VisibilityTimeout", 30))
    elif kind == "AWS::CloudWatch::Alarm":
        found = client("cloudwatch").describe_alarms(AlarmNames=[resolved(properties["AlarmName"])])["MetricAlarms"]
        same("alarm", found[0]["Threshold"], float(properties["Threshold"]))
        same("alarm's actions", len(found[0]["AlarmActions"]), len(properties.get("AlarmActions", [])))
    elif kind == "AWS::SNS::Subscription" and "Condition" not in resource:
        topic = resolved(infra["Resources"][properties["TopicArn"]["Ref"]]["Properties"]["TopicName"])
        arn = f"arn:aws:sns:{HOME}:{ACCOUNT}:{topic}"
        found = client("sns").list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]
        found = [client("sns").get_subscription_attributes(SubscriptionArn=one["SubscriptionArn"])["Attributes"]
                 for one in found if one["Protocol"] == properties["Protocol"]]
        same("filters", [json.loads(one["FilterPolicy"]) for one in found], [properties["FilterPolicy"]])
    else:
        continue
    CHECKED["others"] += kind != "AWS::Serverless::Function"

vault = template("vault.yaml")
bucket = vault["Resources"]["VaultBucket"]["Properties"]
parameters = {name: parameter.get("Default") for name, parameter in vault["Parameters"].items()}
for region in (HOME, RECOVERY):
    name, s3 = f"tidemark-vault-{STAGE}-{ACCOUNT}-{region}", client("s3", region)
    same("versioning", s3.get_bucket_versioning(Bucket=name)["Status"], bucket["VersioningConfiguration"]["Status"])
    lock = s3.get_object_lock_configuration(Bucket=name)["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]
    same("lock", lock, {"Mode": parameters["ObjectLockMode"], "Days": parameters["ObjectLockDays"]})
    rule = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"][0]
    key = rule["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"]
    alias = client("kms", region).describe_key(KeyId=f"alias/tidemark-{STAGE}")["KeyMetadata"]["Arn"]
    same("key", key, alias)
    assert s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]["BlockPublicPolicy"]
    lifecycle = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
    same("lifecycle", [rule["ID"] for rule in lifecycle], [rule["Id"] for rule in bucket["LifecycleConfiguration"]["Rules"]])

# What the functions remember is in the home Region only, under the same key.
state = f"tidemark-state-{STAGE}-{ACCOUNT}-{HOME}"
rule = client("s3").get_bucket_encryption(Bucket=state)["ServerSideEncryptionConfiguration"]["Rules"][0]
alias = client("kms").describe_key(KeyId=f"alias/tidemark-{STAGE}")["KeyMetadata"]["Arn"]
same("state's key", rule["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"], alias)
same("state's versioning", client("s3").get_bucket_versioning(Bucket=state).get("Status"), None)
names = [bucket["Name"] for bucket in client("s3").list_buckets()["Buckets"]]
same("state buckets", [name for name in names if name.startswith("tidemark-state-")], [state])

# What the properties are for: an object is locked, encrypted under our key, and copied to the other Region.
home, key = client("s3"), "deployed-test"
home.put_object(Bucket=f"tidemark-vault-{STAGE}-{ACCOUNT}-{HOME}", Key=key, Body=b"x", ChecksumAlgorithm="SHA256")
head = home.head_object(Bucket=f"tidemark-vault-{STAGE}-{ACCOUNT}-{HOME}", Key=key)
same("lock mode", head["ObjectLockMode"], parameters["ObjectLockMode"])
same("encryption", head["ServerSideEncryption"], "aws:kms")
waiter = client("s3", RECOVERY).get_waiter("object_exists")
waiter.wait(Bucket=f"tidemark-vault-{STAGE}-{ACCOUNT}-{RECOVERY}", Key=key, WaiterConfig={"Delay": 1, "MaxAttempts": 20})
print(json.dumps(CHECKED))
