"""What the role of each function allows, by the transformed template: what CloudFormation is given."""

import json
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from instance import ROOT

INFRA_PYTHON = ROOT / ".venv-infra" / "bin" / "python"
ATTACH = {"CreateNetworkInterface", "DeleteNetworkInterface", "DescribeNetworkInterfaces", "DescribeSubnets"}
ATTACH |= {"AssignPrivateIpAddresses", "UnassignPrivateIpAddresses"}
# The secrets of the logins of groups of functions are alike, and read by the same: one name for all of them.
GROUPS, OF_GROUPS = re.compile("^(FhirRead|FhirWrite|Identity|People|Retention)UserSecret$"), "GroupUserSecret"
# The services whose resources are compared. A function's login of the database is in the template's own tests, and the sender of
# a mail is a condition.
NAMED = {"dynamodb", "kms", "s3", "secretsmanager", "sns"}
# Other stacks come by parameters, whose names begin with theirs.
STACK = re.compile("^(Keys|Backup|Monitoring|Vault(?=Vault))")
STACK_IN_TEXT = re.compile(r"\$\{(?:Keys|Backup|Monitoring)(\w+)\}")
# What Lambda itself does with a function's role, by the property of the function that asks for it.
BY_LAMBDA = {
    "LoggingConfig": {"logs:CreateLogStream", "logs:PutLogEvents"},
    "TracingConfig": {"xray:PutTraceSegments", "xray:PutTelemetryRecords"},
    "VpcConfig": {f"ec2:{action}" for action in ATTACH},
    "DeadLetterConfig": {"sqs:SendMessage"},
}
# A property that is not there, where all functions have it otherwise.
NO_VALUE = {"Ref": "AWS::NoValue"}


def transformed(directory: Path) -> dict[str, dict]:
    """Every stack as CloudFormation sees it after the SAM transform, by its name."""
    stacks, plain = directory / "stacks", directory / "plain"
    for command in (["infra/assemble.py", stacks], ["infra/transform.py", stacks, plain]):
        subprocess.run([INFRA_PYTHON, *command], cwd=ROOT, check=True)
    return {path.stem: json.loads(path.read_text()) for path in sorted(plain.glob("*.json"))}


@dataclass
class Role:
    """A function's role."""

    # By its code. See [`actions`].
    code: set[str]
    # By Lambda itself, with what the function's properties ask for.
    service: set[str]
    asked: set[str]


def listed(value: object) -> list:
    return value if isinstance(value, list) else [value]


def name_of(resource: object) -> str:
    """What a policy names: a resource of another stack, or what is in it. `*` is nothing in particular."""
    if resource == "*":
        return ""
    if "Ref" in resource:
        return GROUPS.sub(OF_GROUPS, STACK.sub("", resource["Ref"]))
    return STACK_IN_TEXT.sub(r"\1", resource["Fn::Sub"].rpartition(":")[2])


def actions(statement: dict) -> set[str]:
    """The actions of a statement, each with what it is for, where [`NAMED`] has the service; and through which service."""
    via = statement.get("Condition", {}).get("StringEquals", {}).get("kms:ViaService", {}).get("Fn::Sub", "")
    through = f" by {via.partition('.')[0]}" if via else ""
    found = set()
    for action in listed(statement["Action"]):
        resources = listed(statement["Resource"]) if action.partition(":")[0] in NAMED else ["*"]
        found |= {f"{action} {name_of(resource)}{through}".rstrip() for resource in resources}
    return found


def role_of(function: dict, role: dict) -> Role:
    if "ManagedPolicyArns" in role or "NotAction" in json.dumps(role):
        raise ValueError("a role allows only what its own policies name")
    statements = [statement for policy in role["Policies"] for statement in policy["PolicyDocument"]["Statement"]]
    allowed = {action for statement in statements if statement["Effect"] == "Allow" for action in actions(statement)}
    service = set().union(*BY_LAMBDA.values())
    asked = set().union(*(done for name, done in BY_LAMBDA.items() if function.get(name, NO_VALUE) != NO_VALUE))
    return Role(allowed - service, allowed & service, asked)


def roles() -> dict[str, Role]:
    """The role of each function, by the function's name."""
    found = {}
    with tempfile.TemporaryDirectory() as directory:
        for stack, template in transformed(Path(directory)).items():
            resources = template["Resources"]
            for resource in resources.values():
                if stack.endswith("Functions") and resource["Type"] == "AWS::Lambda::Function":
                    properties = resource["Properties"]
                    name = properties["Code"]["S3Key"].removesuffix(".zip")
                    found[name] = role_of(properties, resources[properties["Role"]["Fn::GetAtt"][0]]["Properties"])
    return found
