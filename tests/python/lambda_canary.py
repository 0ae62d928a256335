"""What gives a function's traffic back while a version of it takes over: its answers that say that the server failed are counted by the
metric filter of template.yaml, and no others are. The lines of the log are those of the functions themselves."""

import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from instance import ROOT
from lambda_world import PARTS, World
from runtime_api import FunctionProcess

Load = Callable[[str], dict]
Check = Callable[..., None]
# `$.a.b >= 1` or `$.a = "*"` (Amazon CloudWatch Logs user guide, "Filter pattern syntax for metric filters").
TERM = re.compile(r'\$\.([\w.]+) (>=|=) (\d+|"\*")')
FUNCTION = "fhir-device-search"


def filter_of_template() -> tuple[str, str]:
    """The pattern, and the field that names the function."""
    text = (ROOT / "template.yaml").read_text().partition("\n  ServerErrors:\n")[2]
    pattern = re.search(r"FilterPattern: '\{ (.*) \}'", text)
    field = re.search(r"Key: Function, Value: \$\.([\w.]+)", text)
    if not pattern or not field:
        raise SystemExit("template.yaml has no metric filter ServerErrors")
    return pattern[1], field[1]


def value(line: dict, path: str) -> object:
    for name in path.split("."):
        line = line.get(name) if isinstance(line, dict) else None
    return line


def is_counted(line: dict, pattern: str) -> bool:
    """Whether the filter counts a line."""
    terms = pattern.split(" && ")
    found = [TERM.fullmatch(term) for term in terms]
    if not all(found):
        raise SystemExit(f"this test does not understand the filter {pattern}")
    for path, operator, wanted in (term.groups() for term in found):
        actual = value(line, path)
        good = actual is not None if wanted == '"*"' else isinstance(actual, int) and (actual >= int(wanted) if operator == ">=" else actual == int(wanted))
        if not good:
            return False
    return True


def asked(binaries: Path, environment: dict[str, str], event: dict) -> tuple[int, list[dict]]:
    """The status of an answer, and the lines that the function logged."""
    with tempfile.TemporaryFile() as log:
        with FunctionProcess(binaries / FUNCTION, {**environment, "LOG_LEVEL": "info"}, log) as process:
            status = process.invoke(event)["statusCode"]
        log.seek(0)
        return status, [json.loads(line) for line in log.read().splitlines()]


def run(binaries: Path, world: World, load: Load, check: Check) -> None:
    """`check(what, good, detail)` counts."""
    pattern, field = filter_of_template()
    given = load(FUNCTION)
    nobody = {**given, "headers": {**given["headers"], "authorization": "Bearer nothing"}}
    lost = {**world.by_secret, **dict.fromkeys(PARTS, "jhe/no-such-secret")}
    for what, environment, event, status, counted in (
        ("an answer", world.by_secret, given, 200, 0),
        ("a refusal", world.by_secret, nobody, 401, 0),
        ("a setting that is wrong", {**world.by_secret, "DB_SSL_MODE": "wrong"}, given, 500, 1),
        ("a database that is gone", {**world.by_secret, "DB_PORT": "1"}, given, 503, 1),
        ("a secret that cannot be read, before the function is called", lost, given, 503, 1),
    ):
        answered, lines = asked(binaries, environment, event)
        found = [value(line, field) for line in lines if is_counted(line, pattern)]
        check(f"{what} is counted {counted} times", (answered, found) == (status, [FUNCTION] * counted), f"{answered} {lines}")
