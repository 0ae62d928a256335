"""The events of events/ through the Lambda runtime loop of the compiled functions, each answer checked.

The FHIR functions run under cargo-lambda: its emulator of the Lambda service (`cargo lambda watch --only-lambda-apis`) and
`cargo lambda invoke`, with keys in variables. The others run under a runtime API of our own, with the database's
password and every key from Secrets Manager (moto). `lambda_test.py --release` takes the release binaries.
"""

import base64
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import lambda_audit
import lambda_backups
import lambda_canary
import lambda_contain
import lambda_deploy
import lambda_erasure
import lambda_keys
import lambda_logs
import lambda_origin
import lambda_payloads
import lambda_retention
import lambda_seals
import lambda_security
import lambda_snapshots
from cryptography.hazmat.primitives.serialization import load_der_public_key
from database import psql
from lambda_steps import FHIR, REST, Answer, Step, Values
from lambda_world import PARTS, World
from runtime_api import FunctionProcess, start

ROOT = Path(__file__).resolve().parent.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
BINARIES = TARGET / ("release" if "--release" in sys.argv else "debug")
JHE = TARGET / "debug" / "jhe"
EVENTS = ROOT / "events"
CARGO_LAMBDA = Path(sys.executable).parent / "cargo-lambda"
USERS = ("viewer_victor", "member_megan", "manager_mark", "manager_mary", "ll_patient_peter", "admin")
FORM = "application/x-www-form-urlencoded"
Invoke = Callable[[str, dict], dict]


def load(name: str, values: Values) -> dict:
    """An event with its placeholders filled in. API Gateway sends forms base64-encoded, so those are encoded here."""
    text = re.sub(r"\$\{(\w+)\}", lambda found: values[found[1]], (EVENTS / f"{name}.json").read_text())
    event = json.loads(text)
    if event["headers"].get("content-type") == FORM and not event["isBase64Encoded"]:
        event["body"] = base64.b64encode(event["body"].encode()).decode()
        event["isBase64Encoded"] = True
    return event


def function_of(event: str) -> str:
    """The function that an event file is for: its name, or its name before a variant."""
    known = [path.name for path in (ROOT / "functions").iterdir() if event == path.name or event.startswith(path.name + "-")]
    return max(known, key=len)


class CargoLambda:
    """Functions under cargo-lambda's emulator. It would compile by itself; here it gets what is compiled."""

    def __init__(self, environment: dict[str, str]):
        self.environment = environment
        self.processes: dict[str, subprocess.Popen] = {}
        self.log = tempfile.TemporaryFile("w+")
        for port in range(9100, 9200):
            self.address = ("--invoke-address", "127.0.0.1", "--invoke-port", str(port))
            command = [CARGO_LAMBDA, "lambda", "watch", "--only-lambda-apis", "--ignore-changes", *self.address]
            self.watch = subprocess.Popen(command, cwd=ROOT, env=self.quiet(), stdout=self.log, stderr=self.log)
            if self.listens(port):
                self.url = f"http://127.0.0.1:{port}/.rt"
                return
            self.watch.kill()
            self.watch.wait()
        raise SystemExit("cargo lambda watch does not start")

    @staticmethod
    def quiet() -> dict[str, str]:
        """No tool may fetch a toolchain by itself."""
        nowhere = "http://127.0.0.1:9"
        return {**os.environ, "RUSTUP_DIST_SERVER": nowhere, "RUSTUP_UPDATE_ROOT": nowhere, "NO_COLOR": "1"}

    def listens(self, port: int) -> bool:
        """Waits until it is the emulator's own process that listens on the port."""
        deadline = time.monotonic() + 10
        while self.watch.poll() is None and time.monotonic() < deadline:
            sockets = Path(f"/proc/{self.watch.pid}/net/tcp").read_text()
            owned = self.descriptors()
            for line in sockets.splitlines()[1:]:
                column = line.split()
                if column[1] == f"0100007F:{port:04X}" and column[3] == "0A" and f"socket:[{column[9]}]" in owned:
                    return True
            time.sleep(0.02)
        return False

    def descriptors(self) -> set[str]:
        """What the emulator has open. One that is closed meanwhile is not there any more."""
        names = set()
        for link in Path(f"/proc/{self.watch.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                names.add(os.readlink(link))
        return names

    def invoke(self, function: str, event: dict) -> dict:
        if function not in self.processes:
            self.processes[function] = start(BINARIES / function, f"{self.url}/{function}", self.environment)
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(event, file)
            file.flush()
            command = [CARGO_LAMBDA, "lambda", "invoke", *self.address, "--data-file", file.name, function]
            done = subprocess.run(command, cwd=ROOT, env=self.quiet(), capture_output=True, text=True, timeout=40)
        if done.returncode:
            raise RuntimeError(done.stderr[-300:])
        return json.loads(done.stdout)

    def close(self) -> None:
        for process in [*self.processes.values(), self.watch]:
            process.kill()
            process.wait()


class OurRuntime:
    """Functions each under a runtime API of our own."""

    def __init__(self, environment: dict[str, str]):
        self.environment = environment
        self.functions: dict[str, FunctionProcess] = {}

    def invoke(self, function: str, event: dict) -> dict:
        if function not in self.functions:
            self.functions[function] = FunctionProcess(BINARIES / function, self.environment)
        return self.functions[function].invoke(event)

    def close(self) -> None:
        for function in self.functions.values():
            function.__exit__()


class Count:
    passed = failed = 0

    def check(self, what: str, good: bool, detail: object = "") -> None:
        if good:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED {what}: {detail}", flush=True)


def run(step: Step, invoke: Invoke, values: Values, count: Count) -> None:
    try:
        event = load(step.event, values)
        answer = Answer(invoke(function_of(step.event), event))
        same_request = answer.header("x-request-id") == event["requestContext"]["requestId"]
        good = answer.status == step.status and same_request and step.holds(answer, values)
        count.check(step.event, good, f"{answer.status}, expected {step.status}: {answer.text[:400]} {answer.raw['headers']}")
        if good:
            values.update(step.gives(answer))
    except Exception as error:  # a step that cannot be judged has failed; the others go on
        count.check(step.event, False, repr(error))


def modulus(keys: lambda_keys.Keys) -> str:
    """The modulus of the key that signs, by KMS's own word, as a JWK has it (RFC 7518 section 6.3.1.1)."""
    public = load_der_public_key(keys.kms.get_public_key(KeyId=keys.arns()[0])["PublicKey"])
    number = public.public_numbers().n
    return base64.urlsafe_b64encode(number.to_bytes(public.key_size // 8)).decode().rstrip("=")


def without_secrets(world: World, values: Values, count: Count) -> None:
    """A function whose secret cannot be read answers 503 and nothing else."""
    lost = {**world.by_secret, **dict.fromkeys((*PARTS, "SIGNING_KEYS_SECRET_ID"), "jhe/no-such-secret")}
    for function, name in (("fhir-observation-read", "fhir-observation-read"), ("oauth-jwks", "oauth-jwks")):
        with FunctionProcess(BINARIES / function, lost) as process:
            answer = Answer(process.invoke(load(name, values)))
        count.check(f"{name} without its secret", answer.status == 503 and bool(answer.header("retry-after")), answer.raw)


def recorded(world: World, count: Count) -> None:
    """The audit has the id of API Gateway's request and the caller's address."""
    event = json.loads((EVENTS / "fhir-observation-read.json").read_text())["requestContext"]
    row = psql(world.database, "-c", f"SELECT source_address FROM audit_event WHERE request_id = '{event['requestId']}'")
    count.check("the audit names the request and its source", row == event["http"]["sourceIp"], row)


def complete(count: Count) -> None:
    ours = {lambda_contain.FUNCTION, lambda_erasure.FUNCTION, lambda_keys.FUNCTION, lambda_payloads.FUNCTION, lambda_retention.FUNCTION, lambda_security.FUNCTION}
    ours |= {lambda_snapshots.FUNCTION}
    ours |= lambda_audit.FUNCTIONS | lambda_backups.FUNCTIONS | lambda_seals.FUNCTIONS | lambda_deploy.FUNCTIONS
    used = {step.event for step in FHIR + REST} | ours
    files = {path.stem for path in EVENTS.glob("*.json")}
    count.check("every event file is used", used == files, used ^ files)
    functions = {path.name for path in (ROOT / "functions").iterdir() if (path / "src/main.rs").exists()}
    covered = {function_of(event) for event in used}
    count.check("every function is called", covered == functions, covered ^ functions)


def main() -> int:
    if "JHE_SCRATCH" not in os.environ:
        return subprocess.run([JHE, "with-database", sys.executable, *sys.argv]).returncode
    count = Count()
    complete(count)
    world = World("lambda_test")
    values = {user: world.token(f"{user}@example.com") for user in USERS}
    keys = lambda_keys.Keys(world)
    with FunctionProcess(BINARIES / lambda_keys.FUNCTION, world.by_secret) as process:
        lambda_keys.run(process, keys, count.check)
    with FunctionProcess(BINARIES / lambda_audit.PARTS, world.by_secret) as process:
        lambda_audit.parts(process, count.check)
    with FunctionProcess(BINARIES / lambda_retention.FUNCTION, {**world.by_secret, **lambda_retention.Key(world).environment}) as process:
        lambda_retention.run(process, world, count.check)
    values["modulus"] = modulus(keys)
    topic = lambda_security.Topic(world)
    with FunctionProcess(BINARIES / lambda_security.FUNCTION, {**world.by_secret, "SECURITY_TOPIC_ARN": topic.arn}) as process:
        lambda_security.run(process, topic, world, count.check)
    for hosts, steps in ((CargoLambda(world.by_variables), FHIR), (OurRuntime(world.by_secret), REST)):
        try:
            for step in steps:
                run(step, hosts.invoke, values, count)
        finally:
            hosts.close()
        world.share_vault()
    recorded(world, count)
    lambda_origin.run(BINARIES, world, lambda name: load(name, values), count.check)
    seals = lambda_seals.run(lambda name, environment: FunctionProcess(BINARIES / name, environment), JHE, world, count.check)
    lambda_deploy.run(BINARIES, world, count.check)
    lambda_canary.run(BINARIES, world, lambda name: load(name, values), count.check)
    lambda_backups.everything(world, seals, BINARIES, count.check)
    lambda_snapshots.everything(world, BINARIES, count.check)
    with FunctionProcess(BINARIES / lambda_payloads.FUNCTION, lambda_contain.environment(world.by_secret)) as process:
        lambda_payloads.run(process, world, count.check)
    with FunctionProcess(BINARIES / lambda_erasure.FUNCTION, world.by_secret) as process:
        lambda_erasure.run(process, world, count.check)
    # The last: what it ends, no token opens any more.
    with FunctionProcess(BINARIES / lambda_contain.FUNCTION, lambda_contain.environment(world.by_secret)) as process:
        lambda_contain.run(process, world, count.check)
    without_secrets(world, values, count)
    lambda_logs.run(BINARIES, world, lambda name: load(name, values), count.check)
    world.close()
    print(f"{count.passed} passed, {count.failed} failed")
    return 1 if count.failed else 0


if __name__ == "__main__":
    sys.exit(main())
