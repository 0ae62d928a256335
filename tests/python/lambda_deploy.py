"""The functions that services of AWS call while they deploy and rotate secrets, under the Lambda runtime: the migration, with a
server in the place of S3 for its answers, and the rotation, with moto's Secrets Manager."""

import http.server
import json
import os
import secrets
import ssl
import subprocess
import tempfile
import threading
import uuid
from collections.abc import Callable
from pathlib import Path

from database import libpq, psql
from instance import ROOT
from lambda_world import World
from runtime_api import FunctionProcess

MIGRATE, ROTATE = "database-migrate", "secrets-rotate"
FUNCTIONS = {MIGRATE, ROTATE}
STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
DATABASE, LOGIN, READER = "lambda_deploy", "lambda_deploy_login", "lambda_deploy_reader"
Check = Callable[..., None]


def event(name: str, **values: str) -> dict:
    """An event with its placeholders filled in."""
    text = (ROOT / "events" / f"{name}.json").read_text()
    for key, value in values.items():
        text = text.replace("${" + key + "}", value)
    return json.loads(text)


def called(process: FunctionProcess, given: dict) -> dict | str:
    """The function's report, or its error."""
    try:
        return process.invoke(given)
    except RuntimeError as error:
        return str(error)


class Answers:
    """Takes what is put, as S3 does for CloudFormation: by https, at a URL that is good for one document without a media type."""

    def __init__(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.authority, key = (str(Path(self.directory.name, name)) for name in ("ca.pem", "key.pem"))
        command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
        extensions = ["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=CA:FALSE"]
        subprocess.run([*command.split(), *extensions, "-keyout", key, "-out", self.authority], check=True, capture_output=True)
        taken = self.taken = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                good = self.path == "/answer?signature=1" and "content-type" not in self.headers
                if good:
                    taken.append(json.loads(body))
                self.send_response(200 if good else 403)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.authority, key)
        self.server = http.server.ThreadingHTTPServer(("localhost", 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"https://localhost:{self.server.server_port}/answer?signature=1"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.directory.cleanup()


class Deployment:
    """A database without anything in it, the secret of a login that does not exist yet, and the secrets of keys as CloudFormation
    makes them: without keys."""

    def __init__(self, world: World):
        self.manager = world.client("secretsmanager")
        psql("postgres", "-c", f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)", "-c", f"DROP ROLE IF EXISTS {LOGIN}, {READER}")
        psql("postgres", "-c", f"CREATE DATABASE {DATABASE}")
        self.application = self.secret("deploy/application", "application", {"more": "by hand"})
        self.factors = self.secret("deploy/factors", "factors", {})
        self.payloads = self.secret("deploy/payloads", "payloads", {})
        self.login = self.secret("deploy/login", "database-user", {"username": LOGIN, "password": secrets.token_urlsafe(24)})
        reader = {"username": READER, "password": secrets.token_urlsafe(24), "role": "jhe_fhir_read"}
        self.reader = self.secret("deploy/reader", "database-user", reader)
        self.answers = Answers()
        self.environment = {
            **world.by_secret,
            "DB_NAME": DATABASE,
            "DB_OWNER_USER": os.environ["DB_OWNER_USER"],
            "DB_OWNER_PASSWORD": os.environ["DB_OWNER_PASSWORD"],
            "DB_LOGIN_SECRET_ARNS": f"{self.login},{self.reader}",
            "SECRET_ARN": self.application,
            "FACTOR_SECRET_ARN": self.factors,
            "RESPONSE_CA_FILE": self.answers.authority,
        }

    def secret(self, name: str, kind: str, document: dict) -> str:
        tags = [{"Key": "jhe-rotates", "Value": kind}] if kind else []
        return self.manager.create_secret(Name=name, SecretString=json.dumps(document), Tags=tags)["ARN"]

    def read(self, secret: str, stage: str = "AWSCURRENT") -> dict:
        return json.loads(self.manager.get_secret_value(SecretId=secret, VersionStage=stage)["SecretString"])

    def put_by_hand(self, secret: str, document: dict) -> None:
        """What counts from now on. In two calls, because moto forgets in one where a rotation has put the label."""
        put = self.manager.put_secret_value(SecretId=secret, SecretString=json.dumps(document), VersionStages=["BY_HAND"])
        versions = self.manager.describe_secret(SecretId=secret)["VersionIdsToStages"]
        current = next(version for version, stages in versions.items() if "AWSCURRENT" in stages)
        moved = {"MoveToVersionId": put["VersionId"], "RemoveFromVersionId": current}
        self.manager.update_secret_version_stage(SecretId=secret, VersionStage="AWSCURRENT", **moved)

    def can(self, statement: str, login: str, password: str) -> bool:
        """Whether a login opens the database and may do this."""
        environment = libpq(login, password, DATABASE)
        return subprocess.run(["psql", "-qXAtc", statement], env=environment, capture_output=True).returncode == 0

    def can_connect(self, password: str) -> bool:
        """Whether the login opens the database, and reads what functions read."""
        return self.can("SELECT count(*) FROM study", LOGIN, password)

    def close(self) -> None:
        self.answers.close()
        psql("postgres", "-c", f"DROP DATABASE {DATABASE} WITH (FORCE)", "-c", f"DROP ROLE IF EXISTS {LOGIN}, {READER}")


def applied() -> int:
    return int(psql(DATABASE, "-c", "SELECT count(*) FROM refinery_schema_history"))


def migrations(binary: Path, deployment: Deployment, check: Check) -> None:
    """The custom resource: made, changed and deleted."""
    asked = event(MIGRATE, response_url=deployment.answers.url)
    taken = deployment.answers.taken
    files = len(list((ROOT / "shared/store/migrations").glob("V*.sql")))
    with FunctionProcess(binary, deployment.environment) as process:
        made = called(process, asked)
        names = {name: asked[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
        expected = {**names, "Status": "SUCCESS", "PhysicalResourceId": "migrations"}
        check("a deployment is told that the migrations are applied", taken[-1:] == [expected], f"{made} {taken}")
        check("all of them are", isinstance(made, dict) and made["applied"] == files == applied(), made)
        check("the functions' login is made", deployment.can_connect(deployment.read(deployment.login)["password"]), made)
        reader = deployment.read(deployment.reader)["password"]
        reads = deployment.can("SELECT FROM observation", READER, reader)
        writes = deployment.can("DELETE FROM auxiliary WHERE false", READER, reader)
        check("a group's login has the rights of its group and no others", reads and not writes, f"{reads} {writes}")
        again = called(process, {**asked, "RequestType": "Update", "PhysicalResourceId": "migrations"})
        check("what is applied is not applied again", again["applied"] == 0 and taken[-1]["Status"] == "SUCCESS", again)
        called(process, {**asked, "RequestType": "Delete", "PhysicalResourceId": "migrations"})
        check("a stack that is deleted leaves the data", taken[-1]["Status"] == "SUCCESS" and applied() == files, taken[-1])
        told = len(taken)
        elsewhere = called(process, {**asked, "ResponseURL": deployment.answers.url + "0"})
        check("an answer that is not taken is a failure", "not available" in str(elsewhere) and len(taken) == told, elsewhere)
    wrong = {**deployment.environment, "DB_OWNER_PASSWORD": "pw-wrong"}
    with FunctionProcess(binary, wrong) as process:
        asked["ResourceProperties"]["Patience"] = "0"
        failed = called(process, asked)
        check("a deployment is told when it is not", taken[-1]["Status"] == "FAILED" and taken[-1]["Reason"], taken[-1])
        check("and nothing of why that others may not know", "pw-wrong" not in f"{failed} {taken[-1]}", taken[-1])
    with FunctionProcess(binary, {name: value for name, value in wrong.items() if name != "RESPONSE_CA_FILE"}) as process:
        inside = called(process, asked)
        check("answers go to the public internet only", "not available" in str(inside) and taken[-1]["Status"] == "FAILED", inside)


def rotate(process: FunctionProcess, secret: str, steps: tuple[str, ...] = STEPS) -> list[dict | str]:
    """One rotation. Each step is asked for twice, as Secrets Manager may."""
    asked = event(ROTATE, secret=secret, rotation=str(uuid.uuid4()))
    return [called(process, {**asked, "Step": step}) for step in steps for _ in range(2)]


def application(process: FunctionProcess, deployment: Deployment, check: Check) -> None:
    """The keys of the functions: what is missing is made, then each moves up."""
    names = ("link_key", "form_key")
    before = deployment.read(deployment.application)
    first = rotate(process, deployment.application)
    made = deployment.read(deployment.application)
    check("the first rotation adds the keys", set(made) == set(before) | {name + more for name in names for more in ("", "_next")}, first)
    rotate(process, deployment.application)
    second = deployment.read(deployment.application)
    check("keys move up", all(second[name] == made[f"{name}_next"] for name in names), list(second))
    check("what they signed is still taken", all(second[f"{name}_previous"] == made[name] for name in names), list(second))
    check("what is put in by hand stays", all(second[name] == before[name] for name in before), list(second))
    asked = event(ROTATE, secret=deployment.application, rotation=str(uuid.uuid4()))
    called(process, {**asked, "Step": "createSecret"})
    deployment.put_by_hand(deployment.application, {**second, "more": "new"})
    late = called(process, {**asked, "Step": "testSecret"})
    check("what is put in meanwhile is not lost", "changed meanwhile" in str(late), late)


def kept_for_good(process: FunctionProcess, secret: str, name: str, deployment: Deployment, check: Check) -> None:
    """A key of which all earlier ones stay: what one of them encrypted still opens."""
    first = rotate(process, secret)
    made = deployment.read(secret)
    check(f"the first rotation makes {name}_key", set(made) == {f"{name}_key", f"{name}_key_next"}, first)
    rotate(process, secret)
    second = deployment.read(secret)
    kept = second[f"{name}_keys_earlier"] == [made[f"{name}_key"]] and second[f"{name}_key"] == made[f"{name}_key_next"]
    check(f"{name}_key moves up, and the one before stays", kept, list(second))


def database_user(process: FunctionProcess, deployment: Deployment, check: Check) -> None:
    """The login of the functions: the database has the new password before it counts."""
    old = deployment.read(deployment.login)["password"]
    done = rotate(process, deployment.login)
    new = deployment.read(deployment.login)
    check("the login has another password", new["password"] != old and new["username"] == LOGIN, done)
    check("the database takes that one and no other", deployment.can_connect(new["password"]) and not deployment.can_connect(old), done)
    check("no report has it", not any(word in str(done) for word in (old, new["password"])), done)
    rotate(process, deployment.reader)
    reader = deployment.read(deployment.reader)
    reads = deployment.can("SELECT FROM observation", READER, reader["password"])
    writes = deployment.can("DELETE FROM auxiliary WHERE false", READER, reader["password"])
    check("a group's login keeps its rights", reads and not writes and reader["role"] == "jhe_fhir_read", f"{reads} {writes}")
    unmade = rotate(process, deployment.login, ("setSecret", "testSecret", "finishSecret"))
    kept = deployment.read(deployment.login) == new and deployment.can_connect(new["password"])
    check("a version that was not made never counts", all("not there" in str(step) for step in unmade) and kept, unmade)


def rotation(binary: Path, deployment: Deployment, check: Check) -> None:
    with FunctionProcess(binary, deployment.environment) as process:
        application(process, deployment, check)
        kept_for_good(process, deployment.factors, "factor", deployment, check)
        kept_for_good(process, deployment.payloads, "payload", deployment, check)
        database_user(process, deployment, check)
        for kind in ("", "something"):
            stranger = deployment.secret(f"deploy/stranger{kind}", kind, {"key": "x"})
            refused = rotate(process, stranger, ("createSecret", "finishSecret"))
            left = deployment.read(stranger) == {"key": "x"}
            check(f"a secret of another kind ({kind}) is left alone", left and all("jhe-rotates" in str(step) for step in refused), refused)


def run(binaries: Path, world: World, check: Check) -> None:
    """`check(what, good, detail)` counts."""
    deployment = Deployment(world)
    try:
        migrations(binaries / MIGRATE, deployment, check)
        rotation(binaries / ROTATE, deployment, check)
    finally:
        deployment.close()
