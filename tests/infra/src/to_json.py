"""Prints one JSON document with all that infra-tests looks at: argument 1 is the workspace.

The templates are read by the SAM CLI's own parser and expanded by the SAM translator, so that what is asserted is what
CloudFormation receives, Globals merged and events turned into resources.
"""

import copy
import json
import pathlib
import sys

import tomlkit
from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

workspace = pathlib.Path(sys.argv[1])


def load(name):
    return yaml_parse((workspace / "infra" / name).read_text())


def expand(template):
    template = copy.deepcopy(template)
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            # Code that is already in S3 is all that the translator accepts.
            resource["Properties"]["CodeUri"] = "s3://bucket/key"
    return Translator({}, Parser()).translate(template, {})


source = load("template.yaml")
json.dump(
    {
        "functions_source": source,
        "functions": expand(source),
        "vault": load("vault.yaml"),
        "samconfig": tomlkit.parse((workspace / "samconfig.toml").read_text()).unwrap(),
    },
    sys.stdout,
)
