"""Makes a rule for events of `aws.rds` in two Regions, each with a queue; prints the queues' URLs.

With `read URL`: prints the bodies of what the queue holds, once there is something.
"""

import json
import sys

import boto3

if sys.argv[1] == "read":
    region = sys.argv[3]
    sqs = boto3.client("sqs", region_name=region)
    messages = sqs.receive_message(QueueUrl=sys.argv[2], WaitTimeSeconds=int(sys.argv[4])).get("Messages", [])
    print(json.dumps([json.loads(message["Body"]) for message in messages]))
    sys.exit()

name, urls = sys.argv[2], {}
for region in ("us-east-1", "us-west-2"):
    sqs, events = boto3.client("sqs", region_name=region), boto3.client("events", region_name=region)
    urls[region] = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = f"arn:aws:sqs:{region}:123456789012:{name}"
    events.put_rule(Name=name, EventPattern=json.dumps({"source": ["aws.rds"]}))
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])
events = boto3.client("events")
answer = events.put_events(Entries=[{"Source": "aws.rds", "DetailType": "Forged", "Detail": "{}"}])
assert answer["FailedEntryCount"] == 1, "anybody may speak for AWS"
assert answer["Entries"][0]["ErrorCode"] == "NotAuthorizedForSourceException"
print(json.dumps(urls))
