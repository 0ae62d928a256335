"""Writes the assembled stacks as CloudFormation sees them after the SAM transform, as JSON: `transform.py STACKS OUT`."""

import json
import sys
from pathlib import Path
from typing import Any

from assemble import load
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

# AWS's own policies that the transform names, which it would otherwise ask IAM for.
MANAGED = {
    name: f"arn:aws:iam::aws:policy/service-role/{name}"
    for name in ("AWSLambdaBasicExecutionRole", "AWSLambdaVPCAccessExecutionRole", "AWSCodeDeployRoleForLambda")
}


def uploaded(template: dict) -> dict:
    """The template with its local files named as `sam deploy` names them once they are in S3."""
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = f"s3://artifacts/{Path(resource['Properties']['CodeUri']).name}"
        if resource["Type"] == "AWS::CloudFormation::Stack":
            resource["Properties"]["TemplateURL"] = f"https://artifacts.s3.amazonaws.com/{resource['Properties']['TemplateURL']}"
    return template


def value_of(parameter: dict) -> Any:
    """Something that a parameter may be."""
    return parameter.get("Default") or parameter.get("AllowedValues", [parameter.get("MinValue", "value")])[0]


def transformed(template: dict) -> dict:
    if "Transform" not in template:
        return template
    values = {name: value_of(parameter) for name, parameter in template.get("Parameters", {}).items()}
    values |= {"AWS::Region": "us-east-1", "AWS::Partition": "aws"}
    return Translator(MANAGED, Parser()).translate(template, values)


def main(stacks: Path, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted(stacks.glob("*.yaml")):
        template = transformed(uploaded(load(path)))
        (out / f"{path.stem}.json").write_text(json.dumps(template, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
