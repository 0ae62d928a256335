"""Creates what is deployed in moto's CloudFormation: the root with every stack in it, from the transformed templates.

What moto lacks is in tests/data/moto_lacks.yaml, each with its reason. A type that moto begins to create has to leave that list.
"""

import ast
import io
import ipaddress
import json
import logging
import re
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import moto_server
import requests
import yaml
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError
from instance import ROOT
from lambda_test import Count
from moto.cloudformation.models import Stack
from moto.cloudformation.parsing import get_model_map
from roles import listed, transformed

sys.path.insert(0, str(ROOT / "infra"))

from assemble import STACK, as_written, rewritten  # noqa: E402

LACKS = ROOT / "tests" / "data" / "moto_lacks.yaml"
REGION, ACCOUNT = "us-east-1", "123456789012"
BUCKET, NAME = "artifacts", "jhe"
# The parameters without a default.
GIVEN = {"SiteUrl": "https://jhe.example", "CertificateArn": f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/1"}
ALIAS = "AWS::Lambda::Alias"
Resources = dict[str, dict]


def output(self: Stack, attribute: str) -> str:
    """An output of a nested stack, which moto does not give."""
    wanted = attribute.removeprefix("Outputs.")
    return next(output["OutputValue"] for output in self.outputs or [] if output["OutputKey"] == wanted)


def stand_in(resource: dict, name: str, attribute: str | None) -> Any:
    """What a reference to something that is not created reads as."""
    if resource["Type"] == ALIAS:
        return resource["Properties"]["FunctionName"]
    return f"arn:aws:lacking:{REGION}:{ACCOUNT}:resource:{name}" if (attribute or "").endswith("Arn") else name


def cidr(block: str, count: int, bits: int) -> list[str]:
    """What Fn::Cidr gives."""
    networks = ipaddress.ip_network(block).subnets(new_prefix=32 - bits)
    return [str(network) for network, _ in zip(networks, range(count))]


def understood(node: Any) -> Any:
    """The node in words that moto knows: without Fn::Cidr, and without outputs of nested stacks in texts."""
    if isinstance(node, list):
        return [understood(item) for item in node]
    if not isinstance(node, dict):
        return node
    if set(node) == {"Fn::Cidr"}:
        return cidr(*node["Fn::Cidr"])
    text = node.get("Fn::Sub")
    if isinstance(text, str) and ".Outputs." in text:
        found = set(re.findall(r"\$\{(\w+)\.(Outputs\.\w+)\}", text))
        for stack, attribute in found:
            text = text.replace("${%s.%s}" % (stack, attribute), "${%s%s}" % (stack, attribute.replace(".", "")))
        values = {stack + attribute.replace(".", ""): {"Fn::GetAtt": [stack, attribute]} for stack, attribute in found}
        return {"Fn::Sub": [text, values]}
    return {key: understood(value) for key, value in node.items()}


def without(template: dict, lacking: set[str]) -> dict:
    """The template without resources of these types, and with something in their place where others refer to them."""
    resources: Resources = template["Resources"]
    gone = {name for name, resource in resources.items() if resource["Type"] in lacking}

    def known(name: str, attribute: str | None) -> Any:
        return stand_in(resources[name], name, attribute) if name in gone else as_written(name, attribute)

    kept = {}
    for name in resources.keys() - gone:
        kept[name] = {key: value for key, value in resources[name].items() if key != "DependsOn"}
        if before := [other for other in listed(resources[name].get("DependsOn", [])) if other not in gone]:
            kept[name]["DependsOn"] = before
    return understood(rewritten({**template, "Resources": kept}, known))


class Account:
    """An account with the artifacts of a deployment."""

    def __init__(self, templates: dict[str, dict]):
        self.templates = templates
        self.server = moto_server.start()
        # What moto stops at is the test's to tell.
        logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
        host, port = self.server.get_host_and_port()
        url = f"http://{host}:{port}"
        # All servers of a process share what they have.
        requests.post(f"{url}/moto-api/reset", timeout=30).raise_for_status()
        options = {"endpoint_url": url, "region_name": REGION}
        credentials = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        # A stack that is there halfway fails in another way the second time.
        once = Config(retries={"total_max_attempts": 1}, read_timeout=120)
        clients = (boto3.client(name, config=once, **options, **credentials) for name in ("s3", "cloudformation", "lambda", "iam"))
        self.s3, self.cloudformation, self.functions, self.iam = clients
        self.s3.create_bucket(Bucket=BUCKET)
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            archive.writestr("bootstrap", "")
        for template in templates.values():
            for resource in template["Resources"].values():
                if key := resource.get("Properties", {}).get("Code", {}).get("S3Key"):
                    self.s3.put_object(Bucket=BUCKET, Key=key, Body=code.getvalue())

    def create(self, lacking: set[str]) -> None:
        for name, template in self.templates.items():
            self.s3.put_object(Bucket=BUCKET, Key=f"{name}.yaml", Body=json.dumps(without(template, lacking)))
        given = [{"ParameterKey": name, "ParameterValue": value} for name, value in GIVEN.items()]
        url = f"https://{BUCKET}.s3.amazonaws.com/root.yaml"
        self.cloudformation.create_stack(StackName=NAME, TemplateURL=url, Parameters=given, Capabilities=["CAPABILITY_NAMED_IAM"])

    def stacks(self) -> dict[str, dict[str, str]]:
        """The types of the resources of each stack, by their names, by the root's name for the stack."""
        found = {}
        for stack in self.cloudformation.describe_stacks()["Stacks"]:
            pages = self.cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack["StackName"])
            resources = [resource for page in pages for resource in page["StackResourceSummaries"]]
            # A nested stack's name is the root's, that of its resource, and letters that tell it from others.
            name = stack["StackName"].split("-")[1] if "-" in stack["StackName"] else "root"
            found[name] = {resource["LogicalResourceId"]: resource["ResourceType"] for resource in resources}
        return found

    def roles(self) -> dict[str, str]:
        """The roles of the functions that are called as the API calls them, by the functions' names."""
        pages = self.functions.get_paginator("list_functions").paginate()
        found = [function for page in pages for function in page["Functions"] if function["FunctionName"].startswith(f"{NAME}-")]
        return {function["FunctionName"].removeprefix(f"{NAME}-"): function["Role"].rsplit("/", 1)[1] for function in found}

    def statements(self, role: str) -> list[dict]:
        names = self.iam.list_role_policies(RoleName=role)["PolicyNames"]
        policies = [self.iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names]
        # moto gives a policy of a template as Python writes it.
        policies = [ast.literal_eval(policy) if isinstance(policy, str) else policy for policy in policies]
        return [statement for policy in policies for statement in policy["Statement"]]

    def close(self) -> None:
        self.server.stop()


def creates(templates: dict[str, dict], lacking: set[str]) -> str:
    """What goes wrong when all is created but resources of these types."""
    account = Account(templates)
    try:
        account.create(lacking)
    except (ClientError, ResponseParserError) as error:
        return repr(error)[:300]
    finally:
        account.close()
    return ""


def complete(templates: dict[str, dict], lacking: set[str], check: Callable[..., None]) -> None:
    """All is there that moto can create."""
    account = Account(templates)
    try:
        account.create(lacking)
        made = account.stacks()
        roles = account.roles()
        statements = {function: account.statements(role) for function, role in roles.items()}
    finally:
        account.close()
    root = templates["root"]["Resources"]
    stacks = {name: Path(resource["Properties"]["TemplateURL"]).stem for name, resource in root.items() if resource["Type"] == STACK}
    for stack, file in {"root": "root", **stacks}.items():
        resources = templates[file]["Resources"]
        wanted = {name for name, resource in resources.items() if resource["Type"] not in lacking}
        # What has a condition is there if its condition holds: moto decides that.
        missing = {name for name in wanted - set(made.get(stack, {})) if "Condition" not in resources[name]}
        check(f"{stack} is created", stack in made and not missing, sorted(missing))
    functions = {path.parent.parent.name for path in (ROOT / "functions").glob("*/src/main.rs")}
    check("every function is there by its name", functions <= set(roles), functions - set(roles))
    check("each with a role of its own", len(set(roles.values())) == len(roles), roles)
    # A policy that names an output, a parameter or a stack is not one.
    unclear = {function for function, found in statements.items() if not found or re.search(r"Fn::|\$\{|\"Ref\"|null", json.dumps(found))}
    check("whose policies name what was created", not unclear, sorted(unclear))


def main() -> int:
    logging.getLogger("moto").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    Stack.get_cfn_attribute = output
    count = Count()
    lacks = yaml.safe_load(LACKS.read_text())
    with tempfile.TemporaryDirectory() as directory:
        templates = transformed(Path(directory))
    types = {resource["Type"] for template in templates.values() for resource in template["Resources"].values()}
    lacking = {name for names in lacks.values() for name in names}
    count.check("what is listed is deployed", lacking <= types, lacking - types)
    count.check("each has a reason", all(reason for names in lacks.values() for reason in names.values()))
    unknown = types - set(get_model_map()) - set(lacks["left_out"])
    count.check("what moto does not know is listed, and nothing else", unknown == set(lacks["unknown"]), unknown ^ set(lacks["unknown"]))
    complete(templates, lacking, count.check)
    for name in lacks["wrong"]:
        count.check(f"moto still cannot create {name}", bool(creates(templates, lacking - {name})))
    print(f"{count.passed} passed, {count.failed} failed")
    return 1 if count.failed else 0


if __name__ == "__main__":
    sys.exit(main())
