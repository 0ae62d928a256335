"""Holds each function's role against what the function asks of AWS.

The steps of the Lambda test run once more, every function with its keys from Secrets Manager and its mails sent by SES, and moto
records who asks for what. A role must allow that and nothing else. What the steps do not reach is in `UNREACHED`, with the reason;
there the function's binary shows that it can make the request.
"""

import os
import subprocess
import sys

import lambda_audit
import lambda_backups
import lambda_contain
import lambda_deploy
import lambda_erasure
import lambda_exports
import lambda_keys
import lambda_payloads
import lambda_retention
import lambda_seals
import lambda_security
import lambda_snapshots
from aws_calls import ANY_KEY, CONNECT, Calls, linked
from instance import ROOT
from lambda_deploy import MIGRATE, ROTATE
from lambda_steps import FHIR, REST, Answer
from lambda_test import BINARIES, JHE, USERS, Count, load, modulus, run
from lambda_world import EXPORTS, VAULT, World
from least_steps import beside
from roles import OF_GROUPS, Role, roles
from runtime_api import FunctionProcess

# What services ask of KMS on behalf of who calls them, for what is encrypted with a key of the account's own.
ON_BEHALF = {
    "secretsmanager:GetSecretValue": {"kms:Decrypt SecretsKey by secretsmanager"},
    "secretsmanager:PutSecretValue": {f"kms:{action} SecretsKey by secretsmanager" for action in ("GenerateDataKey", "Decrypt")},
    **{f"dynamodb:{action}": {"kms:Decrypt VaultKey by dynamodb"} for action in ("BatchGetItem", "PutItem", "Scan", "UpdateItem")},
    "sns:Publish": {f"kms:{action} OperationsKey by sns" for action in ("GenerateDataKey", "Decrypt")},
    "s3:GetObject": {"kms:Decrypt BackupKey by s3"},
    "s3:PutObject": {"kms:GenerateDataKey BackupKey by s3"},
    # And to tag what it makes. The key of the second region is known by its tag.
    "rds:CreateDBSnapshot": {"rds:AddTagsToResource", *(f"kms:{action} DataKey by rds" for action in ("CreateGrant", "DescribeKey"))},
    "rds:CopyDBSnapshot": {"rds:AddTagsToResource", *(f"kms:{action} {ANY_KEY}" for action in ("CreateGrant", "DescribeKey"))},
}

# What the templates call the secrets that variables name. That of the database's password is not there: functions show tokens.
SECRETS = {
    "SECRET_ARN": "ApplicationSecret",
    "ORIGIN_SECRET_ARN": "OriginSecret",
    "FACTOR_SECRET_ARN": "FactorSecret",
    "MAIL_SECRET_ARN": "MailSecret",
    "SAML_SECRET_ARN": "SamlSecret",
    "PAYLOAD_SECRET_ARN": "PayloadSecret",
}

APPLICATION = "secretsmanager:GetSecretValue ApplicationSecret"
# The password at an SMTP server is read where mail is sent by one; the steps send by SES.
MAIL_PASSWORD = "secretsmanager:GetSecretValue MailSecret"

# Before this step a browser is signed in.
SIGNED_OUT = "accounts-logout"

# The steps have no identity provider; saml_test.py has one, on a host.
NO_PROVIDER = "signs what it sends to an identity provider"

# In the steps patients have keys already, or get them from the first function that uploads for them.
NO_NEW_PATIENT = "makes a key with the first payload of a patient"

# Actions that the steps do not reach, by action and function, and why.
REASONS = {
    "ses:SendRawEmail": {
        "audit-verify": "tells of what it finds by mail, too; here it tells a topic",
        "accounts-login": "tells the owner of a row of wrong passwords",
        "accounts-factor": "tells the owner of a row of wrong codes, or that a recovery code is used",
        "accounts-factor-enrol": "tells the owner that an authenticator is added, after a code of it",
        "accounts-factor-manage": "tells the owner that a factor is removed, or that codes are made, after a code",
        "accounts-passkey": "tells the owner of a row of wrong passkeys",
        "accounts-passkey-enrol": "tells the owner that a passkey is added, which takes a browser with one",
        "accounts-reset-confirm": "tells the owner of the new password, after a link that is in a mail",
        "accounts-sign-up": "sends a link, after an invitation's code",
    },
    "secretsmanager:GetSecretValue FactorSecret": {
        "accounts-factor": "checks a code of an authenticator, which takes a person with one",
    },
    "dynamodb:PutItem VaultTable": {
        "fhir-auxiliary-write": NO_NEW_PATIENT,
        "fhir-bundle": NO_NEW_PATIENT,
        "fhir-import": NO_NEW_PATIENT,
        "fhir-observation-amend": NO_NEW_PATIENT,
    },
    "s3:GetObject Exports/jhe/*": {
        "export-run": "writes files anew without the parts of somebody who was erased: exports_hostile.rs has who is",
    },
    "s3:DeleteObject Exports/jhe/*": {
        "export-run": "deletes the file that it wrote anew, and what it wrote for an export that was ended meanwhile",
    },
    "secretsmanager:GetSecretValue SamlSecret": {
        "accounts-logout": NO_PROVIDER,
        "saml2-acs": NO_PROVIDER,
        "saml2-login": NO_PROVIDER,
        "saml2-logout": NO_PROVIDER,
        "saml2-ls": NO_PROVIDER,
    },
}
UNREACHED = {(function, action): why for action, functions in REASONS.items() for function, why in functions.items()}

# What the runtime has the code for in every function: a database that shows a token, or has its password in a secret; and keys of
# what is in it.
BY_RUNTIME = {CONNECT, "secretsmanager:GetSecretValue", "dynamodb:BatchGetItem", "dynamodb:PutItem"}


class Recorded:
    """Functions each under a runtime API of their own, their calls recorded."""

    def __init__(self, calls: Calls, environment: dict[str, str]):
        self.calls = calls
        self.environment = environment
        self.functions: dict[str, FunctionProcess] = {}

    def invoke(self, function: str, event: dict) -> dict:
        if function not in self.functions:
            environment = self.calls.environment(function, self.environment)
            self.functions[function] = FunctionProcess(BINARIES / function, environment)
        return self.functions[function].invoke(event)

    def close(self) -> None:
        for function in self.functions.values():
            function.__exit__()


def deploy(world: World, calls: Calls, count: Count) -> dict[str, str]:
    """The functions of a deployment. Gives the names of their secrets."""
    deployment = lambda_deploy.Deployment(world)
    given = deployment.environment
    try:
        deployment.environment = calls.environment(MIGRATE, given)
        lambda_deploy.migrations(BINARIES / MIGRATE, deployment, count.check)
        deployment.environment = calls.environment(ROTATE, given)
        lambda_deploy.rotation(BINARIES / ROTATE, deployment, count.check)
    finally:
        deployment.close()
    logins = {deployment.login: "DatabaseUserSecret", deployment.reader: OF_GROUPS}
    return {deployment.application: "ApplicationSecret", deployment.factors: "FactorSecret", deployment.payloads: "PayloadSecret", **logins}


def record(world: World, count: Count) -> dict[str, set[str]]:
    """The actions of each function."""
    world.client("sesv2").create_email_identity(EmailIdentity="jhe.example")
    environment = {**world.by_secret, "MAIL_TRANSPORT": "ses", "MAIL_FROM": "exchange@jhe.example"}
    calls = Calls(world.moto)
    values = {user: world.token(f"{user}@example.com") for user in USERS}
    keys = lambda_keys.Keys(world)
    rotates = calls.environment(lambda_keys.FUNCTION, environment)
    with FunctionProcess(BINARIES / lambda_keys.FUNCTION, rotates) as process:
        lambda_keys.run(process, keys, count.check)
    with FunctionProcess(BINARIES / lambda_audit.PARTS, calls.environment(lambda_audit.PARTS, environment)) as process:
        lambda_audit.parts(process, count.check)
    signs = lambda_retention.Key(world)
    with FunctionProcess(BINARIES / lambda_retention.FUNCTION, calls.environment(lambda_retention.FUNCTION, {**environment, **signs.environment})) as process:
        lambda_retention.run(process, world, count.check)

    def start(name: str, given: dict[str, str]) -> FunctionProcess:
        return FunctionProcess(BINARIES / name, calls.environment(name, given))

    seals = lambda_seals.run(start, JHE, world, count.check)
    values["modulus"] = modulus(keys)
    topic = lambda_security.Topic(world)
    monitors = calls.environment(lambda_security.FUNCTION, {**environment, "SECURITY_TOPIC_ARN": topic.arn})
    with FunctionProcess(BINARIES / lambda_security.FUNCTION, {**monitors, "SECURITY_MAIL_TO": "officer@example.com"}) as process:
        lambda_security.run(process, topic, world, count.check)
    functions = Recorded(calls, environment)
    try:
        for step in FHIR + REST:
            if step.event == SIGNED_OUT:
                beside(lambda name, event: Answer(functions.invoke(name, event)), world, values, count.check)
            run(step, functions.invoke, values, count)
    finally:
        functions.close()
    lambda_exports.run(lambda name: start(name, environment), load, world, values, count.check)
    place = lambda_backups.Place(world, seals)
    lambda_backups.run(BINARIES, place, lambda function: calls.environment(function, {**environment, **place.of(function)}), count.check)
    instance = lambda_snapshots.Instance(world)
    snapshots = calls.environment(lambda_snapshots.FUNCTION, {**environment, **instance.environment})
    lambda_snapshots.run(BINARIES / lambda_snapshots.FUNCTION, instance, snapshots, count.check)
    encrypts = calls.environment(lambda_payloads.FUNCTION, lambda_contain.environment(environment))
    with FunctionProcess(BINARIES / lambda_payloads.FUNCTION, encrypts) as process:
        lambda_payloads.run(process, world, count.check)
    with FunctionProcess(BINARIES / lambda_erasure.FUNCTION, calls.environment(lambda_erasure.FUNCTION, environment)) as process:
        lambda_erasure.run(process, world, count.check)
    contains = calls.environment(lambda_contain.FUNCTION, lambda_contain.environment(environment))
    with FunctionProcess(BINARIES / lambda_contain.FUNCTION, contains) as process:
        lambda_contain.run(process, world, count.check)
    names = {environment[variable]: secret for variable, secret in SECRETS.items()}
    names |= {world.ring: "SigningKeysSecret", **deploy(world, calls, count)}
    names |= {VAULT: "VaultTable", EXPORTS: "Exports"}
    names |= {signs.key: "SealKey", seals.key: "SealKey", lambda_seals.BUCKET: "Seals", topic.arn: "Topic"}
    names |= {place.key: "BackupKey", place.signs: "SealKey", lambda_backups.BUCKET: "Backups"}
    calls.close()
    return {function: {named(action, names) for action in done} - {None} for function, done in calls.of.items()}


def named(action: str, names: dict[str, str]) -> str | None:
    """The action with the resource's name in the template. A secret that the template does not have is one that a test makes, and
    a key is one that a function made."""
    action, _, resource = action.partition(" ")
    if not resource:
        return action
    for known, name in names.items():
        if resource == known or resource.startswith(f"{known}/"):
            return f"{action} {name}{resource.removeprefix(known)}"
    return f"{action} {ANY_KEY}" if action.startswith("kms:") else None


def plain(actions: set[str]) -> set[str]:
    return {action.partition(" ")[0] for action in actions}


def differences(function: str, role: Role, called: set[str]) -> list[str]:
    """What of a role differs from what the function does."""
    unreached = {action for name, action in UNREACHED if name == function}
    # Links to further pages and requests that are sent again are not in every step; infra/assemble_test.py says whose they are.
    if APPLICATION in role.code and function != MIGRATE:
        called = called | {APPLICATION}
    if "ses:SendRawEmail" in role.code:
        unreached.add(MAIL_PASSWORD)
    can = linked(BINARIES / function) | BY_RUNTIME
    needed = called | unreached
    needed |= {more for action in plain(needed) for more in ON_BEHALF.get(action, set())}
    found = {
        "calls, and its role does not allow": needed - role.code,
        "is allowed, and does not call": role.code - needed,
        "is allowed for Lambda itself, which does not need it": role.service - role.asked,
        "needs for Lambda itself, and its role does not allow": role.asked - role.service,
        "has the code to call, and its role does not allow": can - plain(role.code) - BY_RUNTIME,
        "is said not to be reached by the steps, and is": unreached & called,
        "is said to call, and has no code for": plain(unreached) - can,
    }
    return [f"{function} {what} {action}" for what, actions in found.items() for action in sorted(actions)]


def can_fail(function: str, role: Role, called: set[str]) -> bool:
    """Whether an action too many and one too few are found."""
    taken = max(called)
    wrong = Role(role.code - {taken} | {"s3:GetObject"}, role.service | {"sqs:SendMessage"}, role.asked)
    found = differences(function, wrong, called)
    return all(any(action in difference for difference in found) for action in (taken, "s3:GetObject", "sqs:SendMessage"))


def main() -> int:
    if "JHE_SCRATCH" not in os.environ:
        return subprocess.run([JHE, "with-database", sys.executable, *sys.argv]).returncode
    count, steps = Count(), Count()
    world = World("least_privilege")
    try:
        called = record(world, steps)
    finally:
        world.close()
    count.check("the steps are answered as in the Lambda test", not steps.failed, f"{steps.failed} are not")
    allowed = roles()
    functions = {path.parent.parent.name for path in (ROOT / "functions").glob("*/src/main.rs")}
    count.check("every function has a role", functions == set(allowed), functions ^ set(allowed))
    for function, role in sorted(allowed.items()):
        found = differences(function, role, called.get(function, set()))
        count.check(function, not found, "".join(f"\n    {difference}" for difference in found))
    signs = "oauth-token"
    count.check("an action too many and one too few are found", can_fail(signs, allowed[signs], called[signs]))
    unknown = {function for function, _ in UNREACHED} - functions
    count.check("every reason is for a function", not unknown, unknown)
    print(f"{count.passed} passed, {count.failed} failed")
    return 1 if count.failed else 0


if __name__ == "__main__":
    sys.exit(main())
