"""Writes what is deployed, target/stacks/, from template.yaml.

template.yaml is one SAM template with every function, and holds more resources than one stack may. This divides it: the functions
go into the stacks that its Metadata names, the API into one of its own with an OpenAPI document of all routes, and the rest
stays in the root. A reference from one stack to another becomes an output and a parameter. Each function also gets what is in
infra/function.yaml. Decision 36 says why.
"""

import hashlib
import re
import shutil
import sys
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
STACKS = ROOT / "target" / "stacks"
FUNCTION = "AWS::Serverless::Function"
API = "AWS::Serverless::HttpApi"
STACK = "AWS::CloudFormation::Stack"
MIGRATION = "Custom::Migration"
# What template.yaml calls the API.
API_ID = "Api"


class Loader(yaml.SafeLoader):
    """YAML with the short forms of CloudFormation's functions."""


def _intrinsic(loader: Loader, tag: str, node: yaml.Node) -> dict:
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if tag == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {tag if tag in ("Ref", "Condition") else f"Fn::{tag}": value}


Loader.add_multi_constructor("!", _intrinsic)
# A template's version is text, though it looks like a date.
Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class Dumper(yaml.SafeDumper):
    """YAML without anchors, which CloudFormation does not know."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def load(path: Path) -> dict:
    return yaml.load(path.read_text(), Loader)


# Gives what stands for a reference: a name and, with GetAtt, an attribute.
Rewrite = Callable[[str, str | None], Any]


def rewritten(node: Any, rewrite: Rewrite) -> Any:
    """The node with each reference replaced by what `rewrite` gives for it."""
    if isinstance(node, list):
        return [rewritten(item, rewrite) for item in node]
    if not isinstance(node, dict):
        return node
    if set(node) == {"Ref"}:
        return rewrite(node["Ref"], None)
    if set(node) == {"Fn::GetAtt"}:
        return rewrite(*node["Fn::GetAtt"])
    if set(node) == {"Fn::Sub"}:
        return {"Fn::Sub": re.sub(r"\$\{([\w:.]+)\}", lambda found: _in_text(found[1], rewrite), node["Fn::Sub"])}
    return {key: rewritten(value, rewrite) for key, value in node.items()}


def _in_text(reference: str, rewrite: Rewrite) -> str:
    name, _, attribute = reference.partition(".")
    result = rewrite(name, attribute or None)
    if not isinstance(result, dict):
        return str(result)
    return "${" + (result["Ref"] if "Ref" in result else ".".join(result["Fn::GetAtt"])) + "}"


def as_written(name: str, attribute: str | None) -> dict:
    return {"Ref": name} if attribute is None else {"Fn::GetAtt": [name, attribute]}


class Child:
    """A stack of its own. What it refers to and does not hold comes to it by parameters."""

    def __init__(self, name: str, description: str, resources: dict, of: "Assembly", shared: dict | None = None):
        self.name = name
        self.of = of
        self.own = set(resources)
        self.parameters: dict[str, dict] = {}
        self.arguments: dict[str, dict] = {}
        self.outputs: dict[str, dict] = {}
        self.template = {
            "AWSTemplateFormatVersion": "2010-09-09",
            "Transform": "AWS::Serverless-2016-10-31",
            "Description": description,
            "Parameters": self.parameters,
            **rewritten(shared or {}, self.local),
            "Resources": rewritten(resources, self.local),
            "Outputs": self.outputs,
        }

    def local(self, name: str, attribute: str | None) -> dict:
        """A reference as it reads inside this stack."""
        if name.partition(".")[0] in self.own or (name.startswith("AWS::") and name != "AWS::StackName"):
            return as_written(name, attribute)
        # The root's name, not that of the nested stack.
        parameter = "Name" if name == "AWS::StackName" else name + (attribute or "").replace("Outputs", "").replace(".", "")
        known = self.of.template["Parameters"].get(parameter, {"Type": "String"})
        self.parameters[parameter] = {key: value for key, value in known.items() if key not in ("Default", "Description")}
        self.arguments[parameter] = self.of.global_(name, attribute)
        return {"Ref": parameter}

    def resource(self, depends_on: list[str]) -> dict:
        """This stack as a resource of the root."""
        properties = {"TemplateURL": f"{self.name}.yaml", "Parameters": self.arguments}
        return {"Type": STACK, **({"DependsOn": depends_on} if depends_on else {}), "Properties": properties}


class Assembly:
    """All stacks of a template."""

    def __init__(self, template: dict, parts: dict, digest: Callable[[str], str]):
        self.template = template
        self.parts = parts
        self.resources: dict[str, dict] = template["Resources"]
        self.functions = {name: resource for name, resource in self.resources.items() if resource["Type"] == FUNCTION}
        self.stack_of = {name: self._stack_of(crate(function)) for name, function in self.functions.items()}
        migrations = {name: resource for name, resource in self.resources.items() if resource["Type"] == MIGRATION}
        called = [resource["Properties"]["ServiceToken"]["Fn::GetAtt"][0] for resource in migrations.values()]
        # What a migration calls is there before it, and new at once: there is no traffic to shift.
        self.first = {self.stack_of[function] for function in called}
        self.outputs: set[str] = set()
        root = self._root(digest)
        self.children = {API_ID: self._api()}
        for stack in template["Metadata"]["FunctionStacks"]:
            self.children[stack] = self._function_stack(stack)
        for name, child in self.children.items():
            root["Resources"][name] = child.resource([] if name in self.first or name == API_ID else list(migrations))
        for function in sorted(self.outputs):
            self.children[self.stack_of[function]].outputs[f"{function}Arn"] = {"Value": {"Fn::GetAtt": [function, "Arn"]}}
        self.root = root

    def _stack_of(self, name: str) -> str:
        stacks = self.template["Metadata"]["FunctionStacks"]
        return next(stack for stack, beginnings in stacks.items() if name.startswith(tuple(beginnings)))

    def global_(self, name: str, attribute: str | None) -> dict:
        """A reference of template.yaml as it reads in the root."""
        if name == API_ID:
            return {"Fn::GetAtt": [API_ID, "Outputs.Id"]}
        if name in self.functions:
            if attribute != "Arn":
                raise ValueError(f"only the Arn of {name} can be used outside its stack")
            self.outputs.add(name)
            return {"Fn::GetAtt": [self.stack_of[name], f"Outputs.{name}Arn"]}
        return as_written(name, attribute)

    def _root(self, digest: Callable[[str], str]) -> dict:
        root = {key: value for key, value in self.template.items() if key not in ("Transform", "Globals", "Metadata", "Resources")}
        root["Resources"] = {}
        for name, resource in self.resources.items():
            if resource["Type"] in (FUNCTION, API):
                continue
            resource = rewritten(resource, self.global_)
            if resource["Type"] == STACK:
                resource["Properties"]["TemplateURL"] = Path(resource["Properties"]["TemplateURL"]).name
            if resource["Type"] == MIGRATION:
                resource["Properties"]["Migrations"] = digest(resource["Properties"]["Migrations"])
            root["Resources"][name] = resource
        return root

    def _api(self) -> Child:
        api = self.resources[API_ID]
        properties = {**api["Properties"], "DefinitionBody": self._openapi()}
        known = {f"{route['Method']} {route['Path']}" for function in self.functions.values() for route in routes(function)}
        if unknown := set(properties["RouteSettings"]) - known:
            raise ValueError(f"RouteSettings has routes that are not there: {sorted(unknown)}")
        child = Child(API_ID, "The API: every route, and the function that it leads to.", {API_ID: {**api, "Properties": properties}}, self)
        child.outputs["Id"] = {"Value": {"Ref": API_ID}}
        return child

    def _openapi(self) -> dict:
        """OpenAPI with API Gateway's extensions: a path for each route, one integration for each function."""
        paths: dict[str, dict] = {}
        integrations = {}
        for name, function in self.functions.items():
            for event in routes(function):
                methods = paths.setdefault(event["Path"], {})
                method = event["Method"].lower()
                if method in methods:
                    raise ValueError(f"{event['Method']} {event['Path']} is there twice")
                integration = {"$ref": f"#/components/x-amazon-apigateway-integrations/{name}"}
                methods[method] = {"responses": {}, **parameters(event["Path"]), "x-amazon-apigateway-integration": integration}
                integrations[name] = integration_of(crate(function))
        return {
            "openapi": "3.0.1",
            "info": {"title": {"Ref": "AWS::StackName"}, "version": "1"},
            "paths": paths,
            "components": {"x-amazon-apigateway-integrations": integrations},
        }

    def _function_stack(self, stack: str) -> Child:
        resources: dict[str, dict] = {}
        for name, function in self.functions.items():
            if self.stack_of[name] == stack:
                resources |= self._with_parts(name, function, stack not in self.first)
        needed = conditions_of(resources)
        shared = {
            "Globals": self.template["Globals"],
            "Conditions": {name: condition for name, condition in self.parts["Conditions"].items() if name in needed},
        }
        return Child(stack, f"Functions of JupyterHealth Exchange: {stack}.", resources, self, shared)

    def _with_parts(self, name: str, function: dict, gradual: bool) -> dict:
        """A function and what belongs to it, by infra/function.yaml."""
        parts = rewritten(self.parts["Resources"], lambda part, attribute: as_written(re.sub("^Function", name, part), attribute))
        parts = {re.sub("^Function", name, part): resource for part, resource in parts.items()}
        properties = function["Properties"]
        events = {key: event for key, event in properties.get("Events", {}).items() if event["Type"] != "HttpApi"}
        statements = parts[f"{name}Role"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
        statements[:] = [statement for statement in statements if self._has(function, sid(statement))]
        for policy in properties.get("Policies", []):
            statements += policy["Statement"]
        if not any(reads_secret(statement) for statement in statements):
            statements[:] = [statement for statement in statements if sid(statement) != "SecretKey"]
        group = self._database_user(crate(function))
        if group and (connect := next((statement for statement in statements if statement.get("Sid") == "Database"), None)):
            connect["Resource"]["Fn::Sub"] += f"_{group}"
        added = parts.pop(name)["Properties"]
        if routes(function):
            parts[f"{name}Failures"]["Properties"]["Dimensions"] = [{"Name": "Function", "Value": crate(function)}]
        else:
            del parts[f"{name}Permission"], parts[f"{name}Failures"]
            added["DeploymentPreference"]["Alarms"] = [{"Ref": f"{name}Errors"}]
            # It is called seldom, and by nobody who would see that it fails.
            parts[f"{name}Errors"]["Properties"]["Threshold"] = 1
        if not gradual:
            added = {"Role": added["Role"]}
        kept = {key: value for key, value in properties.items() if key not in ("Events", "Policies")}
        kept |= {"CodeUri": f"../lambda/{crate(function)}.zip", **({"Events": events} if events else {})}
        if group:
            variables = kept.get("Environment", {}).get("Variables", {})
            kept["Environment"] = {"Variables": {**variables, "DB_USER": {"Fn::Sub": "${DatabaseUser}_" + group}}}
        kept |= {**added, "FunctionName": {"Fn::Sub": "${AWS::StackName}-" + crate(function)}}
        return {name: {"Type": FUNCTION, "Properties": kept}, **parts}


    def _database_user(self, name: str) -> str:
        """What is behind the name of a function's login: its group, or nothing."""
        groups = self.template["Metadata"]["DatabaseUsers"].items()
        found = next((group for group, patterns in groups if any(fnmatchcase(name, pattern) for pattern in patterns)), "all")
        return "" if found == "all" else found

    def _has(self, function: dict, statement: str) -> bool:
        """Whether a function's role has a statement of infra/function.yaml."""
        if statement == "Origin":
            return bool(routes(function))
        asked = next((word for word in self.parts["Metadata"]["Asked"] if statement.startswith(word)), None)
        return function["Metadata"].get(asked) == "used" if asked else function["Metadata"].get(statement) != "none"


def sid(statement: dict) -> str | None:
    """The name of a statement, or of that which is there on a condition."""
    return (statement["Fn::If"][1] if "Fn::If" in statement else statement).get("Sid")


def reads_secret(statement: dict) -> bool:
    return "secretsmanager:GetSecretValue" in statement.get("Action", [])


def conditions_of(node: Any) -> set[str]:
    """The conditions that something depends on."""
    if isinstance(node, list):
        return set().union(*map(conditions_of, node))
    if not isinstance(node, dict):
        return set()
    own = {node["Fn::If"][0]} if set(node) == {"Fn::If"} else set()
    return own.union(*map(conditions_of, node.values()))


def crate(function: dict) -> str:
    return function["Properties"]["CodeUri"].rsplit("/", 1)[1]


def routes(function: dict) -> list[dict]:
    events = function["Properties"].get("Events", {}).values()
    return [event["Properties"] for event in events if event["Type"] == "HttpApi"]


def parameters(path: str) -> dict:
    names = [name.rstrip("+") for name in re.findall(r"\{([^}]+)\}", path)]
    declared = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    return {"parameters": declared} if declared else {}


def integration_of(function: str) -> dict:
    """The alias of a function, whose name is known before it is made."""
    arn = "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:${AWS::StackName}-" + function + ":live"
    return {"type": "AWS_PROXY", "httpMethod": "POST", "payloadFormatVersion": "2.0", "uri": {"Fn::Sub": arn}}


def digest_of(directory: str) -> str:
    """One hash of the names and contents of a directory's files."""
    files = sorted((ROOT / directory).iterdir())
    lines = [f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}" for file in files]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def assemble() -> Assembly:
    return Assembly(load(ROOT / "template.yaml"), load(ROOT / "infra" / "function.yaml"), digest_of)


def write(assembly: Assembly, directory: Path) -> None:
    """Writes the stacks, and those of infra/ as they are beside them."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for stack in assembly.resources.values():
        if stack["Type"] == STACK:
            shutil.copy(ROOT / stack["Properties"]["TemplateURL"], directory)
    made = {"root": assembly.root} | {name: child.template for name, child in assembly.children.items()}
    for name, template in made.items():
        text = yaml.dump({key: value for key, value in template.items() if value != {}}, Dumper=Dumper, sort_keys=False, width=1000)
        (directory / f"{name}.yaml").write_text(text)


if __name__ == "__main__":
    write(assemble(), Path(sys.argv[1]) if len(sys.argv) > 1 else STACKS)
