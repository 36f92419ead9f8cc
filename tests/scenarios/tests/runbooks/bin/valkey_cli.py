"""valkey-cli [-h HOST] [-p PORT] COMMAND…: sends one command and prints the answer as valkey-cli does into a pipe."""

import argparse

import valkey

parser = argparse.ArgumentParser(add_help=False)
parser.add_argument("-h", dest="host", default="127.0.0.1")
parser.add_argument("-p", dest="port", type=int, default=6379)
parser.add_argument("command", nargs="+")
asked = parser.parse_args()

client = valkey.Valkey(asked.host, asked.port, decode_responses=True, protocol=2)
client.response_callbacks.clear()
answer = client.execute_command(*asked.command)
for line in answer if isinstance(answer, list) else [answer]:
    print("" if line is None else line)
