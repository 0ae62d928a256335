"""Writes the assembled stacks as CloudFormation sees them after the SAM transform, with the root's defaults in the place of
parameters, as JSON: `transform.py STACKS OUT`. That is what the policies are held against."""

import json
import logging
import sys
from pathlib import Path
from typing import Any

import boto3
from assemble import STACK, as_written, load, rewritten
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

# AWS's own policy that the transform names, which it would otherwise ask IAM for.
MANAGED = {"AWSCodeDeployRoleForLambda": "arn:aws:iam::aws:policy/service-role/AWSCodeDeployRoleForLambda"}


def uploaded(template: dict) -> dict:
    """The template with its local files named as `sam deploy` names them once they are in S3."""
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = f"s3://artifacts/{Path(resource['Properties']['CodeUri']).name}"
        if resource["Type"] == STACK:
            resource["Properties"]["TemplateURL"] = f"https://artifacts.s3.amazonaws.com/{resource['Properties']['TemplateURL']}"
    return template


def values_of(root: dict) -> dict[str, dict[str, Any]]:
    """What the root passes to each stack, by the stack's file, as far as its defaults say it. An empty one says nothing."""
    defaults = {name: parameter["Default"] for name, parameter in root["Parameters"].items() if parameter.get("Default", "") != ""}
    values = {}
    for resource in root["Resources"].values():
        if resource["Type"] == STACK:
            passed = resource["Properties"]["Parameters"].items()
            known = {name: defaults.get(value.get("Ref")) for name, value in passed if isinstance(value, dict)}
            file = Path(resource["Properties"]["TemplateURL"]).stem
            values[file] = {name: value for name, value in known.items() if value is not None}
    return values


def transformed(template: dict, values: dict[str, Any]) -> dict:
    def known(name: str, attribute: str | None) -> Any:
        return values[name] if attribute is None and name in values else as_written(name, attribute)

    template = rewritten(template, known)
    if "Transform" not in template:
        return template
    samples = {name: parameter.get("AllowedValues", ["value"])[0] for name, parameter in template["Parameters"].items()}
    # The transform asks for a region, and for nothing in it.
    return Translator(MANAGED, Parser(), boto_session=boto3.Session(region_name="us-east-1")).translate(template, samples)


def at_most(template: dict) -> dict:
    """The template with the statements of roles that are there on a condition: policies are held against all that a role can allow."""
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::IAM::Role":
            for policy in resource["Properties"].get("Policies", []):
                document = policy["PolicyDocument"]
                document["Statement"] = [statement.get("Fn::If", [None, statement])[1] for statement in document["Statement"]]
    return template


def main(stacks: Path, out: Path) -> None:
    logging.disable(logging.WARNING)
    out.mkdir(parents=True, exist_ok=True)
    values = values_of(load(stacks / "root.yaml"))
    for path in sorted(stacks.glob("*.yaml")):
        template = at_most(transformed(uploaded(load(path)), values.get(path.stem, {})))
        (out / f"{path.stem}.json").write_text(json.dumps(template, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
