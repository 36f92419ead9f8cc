"""What a client sees of each fault. Usage: faults.py SERVICE ATTEMPTS; prints the outcome of one call as JSON."""

import json
import sys

import boto3
import botocore.exceptions
from botocore.config import Config

service, attempts = sys.argv[1], int(sys.argv[2])
config = Config(retries={"max_attempts": attempts - 1, "mode": "legacy"}, user_agent_appid="tidemark-tester")
client = boto3.client(service, config=config)
calls = {
    "s3": lambda: client.list_buckets(),
    "ssm": lambda: client.put_parameter(Name="/fault", Value="1", Type="String"),
    "rds": lambda: client.describe_db_instances(),
    "lambda": lambda: client.list_functions(),
    "sqs": lambda: client.list_queues(),
}
try:
    calls[service]()
    outcome = "ok"
except botocore.exceptions.ClientError as error:
    outcome = {"code": error.response["Error"]["Code"], "status": error.response["ResponseMetadata"]["HTTPStatusCode"],
               "message": error.response["Error"]["Message"]}
except botocore.exceptions.BotoCoreError as error:
    outcome = {"broken": type(error).__name__}
print(json.dumps(outcome))
