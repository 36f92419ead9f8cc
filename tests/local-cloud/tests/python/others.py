"""Services that the front door knows nothing about pass through it, and Regions are kept apart."""

import uuid

import boto3

NAME = f"others-{uuid.uuid4()}"


def client(service, region="us-east-1"):
    return boto3.client(service, region_name=region)


assert client("sts").get_caller_identity()["Account"] == "123456789012"

table = client("dynamodb")
table.create_table(
    TableName=NAME,
    KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    BillingMode="PAY_PER_REQUEST",
)
table.put_item(TableName=NAME, Item={"id": {"S": "1"}, "n": {"N": "2"}})
assert table.get_item(TableName=NAME, Key={"id": {"S": "1"}})["Item"]["n"] == {"N": "2"}

# The URL of a queue must lead through the front door too.
sqs, sns = client("sqs"), client("sns")
queue = sqs.create_queue(QueueName=NAME)["QueueUrl"]
assert queue.startswith(sqs.meta.endpoint_url), queue
arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
topic = sns.create_topic(Name=NAME)["TopicArn"]
sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
sns.publish(TopicArn=topic, Message="hello")
messages = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=10)["Messages"]
assert "hello" in messages[0]["Body"], messages

client("ssm", "us-east-1").put_parameter(Name=NAME, Value="east", Type="String")
client("ssm", "us-west-2").put_parameter(Name=NAME, Value="west", Type="String")
for region, value in (("us-east-1", "east"), ("us-west-2", "west")):
    assert client("ssm", region).get_parameter(Name=NAME)["Parameter"]["Value"] == value
try:
    client("ssm", "eu-west-1").get_parameter(Name=NAME)
except client("ssm").exceptions.ParameterNotFound:
    pass
else:
    raise AssertionError("a parameter of one Region is seen in another")
assert client("rds", "us-west-2").describe_db_instances()["DBInstances"] == []
print("ok")
