"""Runs every test and ends with one line: N passed, N failed.

Each step is a command. Its counts are read from the lines that cargo test and our own scripts close with. A step that fails
without a count is one failure.

First come the steps that use all cores, one after another, and then those that have servers of their own and wait for them more than
they compute, beside one another: the output of these is shown when they end. Words of names as arguments: those steps alone.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable
CARGO = os.environ.get("CARGO", "cargo")

CARGO_RESULT = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed")
SCRIPT_RESULT = re.compile(r"^(\d+) passed, (\d+) failed")


TEST = [CARGO, "test", "--quiet", "--workspace"]
# Where a connection is kept longer than a statement: what is prepared, what is interrupted, what waits for locks.
DIRECT = ["statements", "idempotency_faults", "races", "database_"]

ONE_AFTER_ANOTHER = [
    ("formatting", [CARGO, "fmt", "--all", "--check"]),
    ("lints", [CARGO, "clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    # Each command that compiles takes the same crates, and tests: with others, features differ and all is compiled once more.
    ("build", [CARGO, "build", "--quiet", "--workspace", "--bins", "--examples", "--test", "*"]),
    # All of it through a pooler, which forbids more than a direct connection does; the following step connects directly.
    ("crates, and end to end through a pooler", [PYTHON, "tests/python/pooler.py", *TEST, "--lib", "--test", "*", "--no-fail-fast"]),
    ("end to end without a pooler", ["target/debug/jhe", "with-database", *TEST, "--test", "e2e", "--", *DIRECT]),
]

# The longest first: the last one to end is waited for.
BESIDE_ONE_ANOTHER = [
    ("API description", [PYTHON, "tests/python/schema_test.py"]),
    ("Open mHealth differential", [PYTHON, "tests/python/omh_differential.py"]),
    ("least privilege", [PYTHON, "tests/python/least_privilege_test.py"]),
    ("the matrix through the Lambda runtime", [PYTHON, "tests/python/lambda_matrix.py"]),
    ("infrastructure", [".venv-infra/bin/python", "infra/lint.py"]),
    ("Lambda", [PYTHON, "tests/python/lambda_test.py"]),
    ("FHIR validity", [PYTHON, "tests/python/fhir_valid.py"]),
    ("FHIR R5 differential", [PYTHON, "tests/python/fhir_differential.py"]),
    ("exports as tables", [PYTHON, "tests/python/export_tables_test.py"]),
    ("evidence", [PYTHON, "tests/python/verify_test.py"]),
    ("browser", [PYTHON, "tests/python/browser_test.py"]),
    ("oidc-client-ts and fhirclient", [PYTHON, "tests/python/browser_test.py", "oidc.js", "smart.js"]),
    ("stacks", [PYTHON, "tests/python/cloudformation_test.py"]),
    ("single sign-on", ["target/debug/jhe", "with-database", PYTHON, "tests/python/saml_test.py"]),
    ("other databases", [PYTHON, "tests/python/providers_test.py"]),
    ("self-hosted", [PYTHON, "tests/python/self_hosted_test.py"]),
    ("jupyterhealth-client", [PYTHON, "tests/python/client_test.py"]),
    ("authlib and requests-oauthlib", [PYTHON, "tests/python/oauth_clients_test.py"]),
    ("incident drill", [PYTHON, "tests/python/incident_drill.py"]),
    ("the story", [PYTHON, "tests/python/demo.py", "--quiet"]),
    ("recovery", [PYTHON, "tests/python/recovery_test.py"]),
    ("recorded requests", [PYTHON, "tests/python/contract_replay.py"]),
]


# Where databases of tests are made and dropped without a disk, and how much has to be free there.
IN_MEMORY, ENOUGH = Path("/dev/shm"), 8 << 30


def place() -> dict[str, str]:
    """What says that temporary files are in memory, where there is enough of it."""
    is_there = IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free >= ENOUGH
    return {"TMPDIR": str(IN_MEMORY)} if is_there else {}


def show(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def run(command: list[str], environment: dict[str, str], show: Callable[[str], None]) -> tuple[int, int, int]:
    """Runs a command, showing its output: its exit code, and how many passed and failed by its own count."""
    passed = failed = 0
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    assert process.stdout
    for line in process.stdout:
        counted = CARGO_RESULT.match(line) or SCRIPT_RESULT.match(line)
        if counted:
            passed += int(counted[1])
            failed += int(counted[2])
            # Only the last line of all may look like the last line.
            line = "    " + line
        show(line)
    return process.wait(), passed, failed


def step(name: str, command: list[str], environment: dict[str, str], show: Callable[[str], None]) -> tuple[int, int]:
    """How many of a step passed and failed."""
    show(f"--- {name}\n")
    started = time.monotonic()
    code, passed, failed = run(command, environment, show)
    if code == 0 and passed + failed == 0:
        passed = 1
    if code != 0 and failed == 0:
        failed = 1
    show(f"--- {name}: {time.monotonic() - started:.0f} s{'' if code == 0 else ', FAILED'}\n")
    return passed, failed


def shown_at_its_end(name: str, command: list[str], environment: dict[str, str]) -> tuple[int, int]:
    lines: list[str] = []
    counts = step(name, command, environment, lines.append)
    show("".join(lines))
    return counts


def main() -> int:
    wanted = sys.argv[1:]
    cores = os.cpu_count() or 1
    # Tests wait for the database more than they compute.
    defaults = {"LOG_LEVEL": "off", "RUST_TEST_THREADS": str(3 * cores), **place()}
    environment = {**defaults, **os.environ, "PYTHON": PYTHON}

    def chosen(steps: list[tuple[str, list[str]]]) -> list[tuple[str, list[str]]]:
        return [(name, command) for name, command in steps if not wanted or any(word in name for word in wanted)]

    counts = [step(name, command, environment, show) for name, command in chosen(ONE_AFTER_ANOTHER)]
    with ThreadPoolExecutor(cores + 1) as lanes:
        beside = [lanes.submit(shown_at_its_end, name, command, environment) for name, command in chosen(BESIDE_ONE_ANOTHER)]
        counts += [future.result() for future in beside]
    passed, failed = (sum(column) for column in zip(*counts)) if counts else (0, 0)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
