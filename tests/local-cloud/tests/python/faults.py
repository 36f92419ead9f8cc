"""What a client sees of each fault. Usage: faults.py SERVICE ATTEMPTS [PARAMETER [PATIENCE]]; prints the outcome of one
call as JSON. PARAMETER is the name that SSM is to make, PATIENCE in seconds what the client waits for an answer.
"""

import json
import sys

import boto3
import botocore.exceptions
from botocore.config import Config

service, attempts, parameter, patience = (sys.argv[1:] + ["/fault", "60"][len(sys.argv) - 3:])[:4]
config = Config(retries={"max_attempts": int(attempts) - 1, "mode": "legacy"}, user_agent_appid="tidemark-tester",
                read_timeout=float(patience))
client = boto3.client(service, config=config)
calls = {
    "s3": lambda: client.list_buckets(),
    "ssm": lambda: client.put_parameter(Name=parameter, Value="1", Type="String"),
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
