"""Makes of infra/template.yaml what `sam build` would leave, and says what samconfig.toml deploys for the dev stage.

Usage: stage.py ROOT OUT. Writes OUT/template.yaml, in which each function's code is OUT/BINARY.zip, and prints JSON:
the deployments in their order, and the binary of each function's logical id.
"""

import json
import os
import sys

import tomlkit
from samcli.yamlhelper import yaml_dump, yaml_parse

STAGE = "dev"


def load(path):
    with open(path, encoding="utf-8") as file:
        return yaml_parse(file.read())


def words(value):
    return value.split() if isinstance(value, str) else [str(word) for word in value]


def deployment(root, settings, template):
    path = os.path.join(root, settings["template_file"]) if template is None else template
    return {
        "template": path,
        "stack": str(settings["stack_name"]),
        "region": str(settings["region"]),
        "capabilities": words(settings.get("capabilities", [])),
        "tags": words(settings.get("tags", [])),
        "parameters": dict(word.split("=", 1) for word in words(settings.get("parameter_overrides", []))),
        "declares": sorted(load(path).get("Parameters", {})),
    }


def main(root, out):
    template = load(os.path.join(root, "infra", "template.yaml"))
    functions = {}
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            binary = resource["Metadata"]["BuildProperties"]["Binary"]
            resource["Properties"]["CodeUri"] = os.path.join(out, f"{binary}.zip")
            functions[name] = binary
    staged = os.path.join(out, "template.yaml")
    with open(staged, "w", encoding="utf-8") as file:
        file.write(yaml_dump(template))

    with open(os.path.join(root, "samconfig.toml"), encoding="utf-8") as file:
        config = tomlkit.parse(file.read())
    section = lambda name: config[name]["deploy"]["parameters"]
    json.dump({
        "recovery_vault": deployment(root, section(f"{STAGE}-recovery"), None),
        "vault": deployment(root, section(f"{STAGE}-vault"), None),
        "functions": deployment(root, section(STAGE), staged),
        "binaries": functions,
    }, sys.stdout)


main(*sys.argv[1:])
