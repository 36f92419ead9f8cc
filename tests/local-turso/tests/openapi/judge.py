"""Judges calls of the Platform API by its published document: python judge.py platform-openapi.json < calls.json

Every property in that document is optional, so valid is not enough: an answer must also have every property that is
documented, and none that is not, but for those named here. Prints one line for each thing that is wrong.
"""

import json
import re
import sys
from urllib.parse import parse_qsl

from jsonschema import Draft4Validator

# Undocumented, and read by the official command line.
EXTRA = {"pagination", "type", "is_schema", "sleeping", "archived"}
# Documented, and only there at times or for some.
AT_TIMES = {"organization", "group", "scopes"}

document = json.load(open(sys.argv[1]))


def upgrade(schema):
    """OpenAPI 3.0 is JSON Schema but for `nullable`."""
    if isinstance(schema, list):
        return [upgrade(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: upgrade(value) for key, value in schema.items()}
    if schema.get("nullable") is True and isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
    return schema


document = upgrade(document)


def resolve(schema):
    while "$ref" in schema:
        found = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    if "allOf" in schema:
        merged = {"type": "object", "properties": {}}
        for each in schema["allOf"]:
            merged["properties"].update(resolve(each).get("properties", {}))
        return merged
    return schema


def exact(schema, value, at):
    schema = resolve(schema)
    if isinstance(value, list):
        for number, each in enumerate(value):
            yield from exact(schema.get("items", {}), each, f"{at}[{number}]")
    elif isinstance(value, dict) and "properties" in schema:
        known = schema["properties"]
        for name in value.keys() - known.keys() - EXTRA:
            yield f"{at}.{name} is not documented"
        for name in known.keys() - value.keys() - AT_TIMES:
            yield f"{at}.{name} is missing"
        for name in known.keys() & value.keys():
            yield from exact(known[name], value[name], f"{at}.{name}")


def violations(schema, value):
    whole = {**schema, "components": document["components"]}
    return [f"{list(error.path)}: {error.message}" for error in Draft4Validator(whole).iter_errors(value)]


def operation(call):
    for template, operations in document["paths"].items():
        pattern = re.sub(r"\{[^}]+\}", "[^/]+", template)
        if re.fullmatch(pattern, call["path"]) and call["method"].lower() in operations:
            return operations[call["method"].lower()]
    return None


def judge(call):
    found = operation(call)
    if found is None:
        yield "is no documented operation"
        return
    documented = {resolve(each)["name"] for each in found.get("parameters", [])}
    for name, _ in parse_qsl(call["query"] or ""):
        if name not in documented | {"limit", "cursor"}:
            yield f"parameter {name} is not documented"
    if call["status"] == 200 and call["request"] is not None and "requestBody" in found:
        schema = found["requestBody"]["content"]["application/json"]["schema"]
        for violation in violations(schema, call["request"]):
            yield f"request {violation}"
    if call["status"] != 200:
        answer = call["response"]
        if not (isinstance(answer, dict) and list(answer) == ["error"] and isinstance(answer["error"], str)):
            yield f"the refusal is {answer}"
        return
    content = found["responses"]["200"].get("content")
    if content is None:
        if call["response"] is not None:
            yield "the answer should have no body"
        return
    schema = content["application/json"]["schema"]
    for violation in violations(schema, call["response"]):
        yield f"answer {violation}"
    yield from exact(schema, call["response"], "answer")


for call in json.load(sys.stdin):
    for line in judge(call):
        print(f"{call['method']} {call['path']} ({call['status']}): {line}")
