"""Runs every test and ends with one line: N passed, N failed.

Each step is a command. Its output is shown as it comes; its counts are read from the lines that cargo test and our own
scripts close with. A step that fails without a count is one failure.
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable
CARGO = os.environ.get("CARGO", "cargo")

CARGO_RESULT = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed")
SCRIPT_RESULT = re.compile(r"^(\d+) passed, (\d+) failed")


TEST = [CARGO, "test", "--quiet", "--workspace"]
# Where a connection is kept longer than a statement: what is prepared, what is interrupted, what waits for locks.
DIRECT = ["statements", "idempotency_faults", "races", "database_"]

STEPS = [
    ("formatting", [CARGO, "fmt", "--all", "--check"]),
    ("lints", [CARGO, "clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    ("infrastructure", [".venv-infra/bin/python", "infra/lint.py"]),
    ("stacks", [PYTHON, "tests/python/cloudformation_test.py"]),
    # Each command that compiles takes the same crates, and tests: with others, features differ and all is compiled once more.
    ("build", [CARGO, "build", "--quiet", "--workspace", "--bins", "--test", "*"]),
    # All of it through a pooler, which forbids more than a direct connection does; the following steps connect directly.
    ("crates, and end to end through a pooler", [PYTHON, "tests/python/pooler.py", *TEST, "--lib", "--test", "*", "--no-fail-fast"]),
    ("end to end without a pooler", ["target/debug/jhe", "with-database", *TEST, "--test", "e2e", "--", *DIRECT]),
    ("Open mHealth differential", [PYTHON, "tests/python/omh_differential.py"]),
    ("FHIR R5 differential", [PYTHON, "tests/python/fhir_differential.py"]),
    ("jupyterhealth-client", [PYTHON, "tests/python/client_test.py"]),
    ("authlib and requests-oauthlib", [PYTHON, "tests/python/oauth_clients_test.py"]),
    ("FHIR validity", [PYTHON, "tests/python/fhir_valid.py"]),
    ("exports as tables", [PYTHON, "tests/python/export_tables_test.py"]),
    ("single sign-on", ["target/debug/jhe", "with-database", PYTHON, "tests/python/saml_test.py"]),
    ("self-hosted", [PYTHON, "tests/python/self_hosted_test.py"]),
    ("other databases", [PYTHON, "tests/python/providers_test.py"]),
    ("recovery", [PYTHON, "tests/python/recovery_test.py"]),
    ("evidence", [PYTHON, "tests/python/verify_test.py"]),
    ("browser", [PYTHON, "tests/python/browser_test.py"]),
    ("oidc-client-ts and fhirclient", [PYTHON, "tests/python/browser_test.py", "oidc.js", "smart.js"]),
    ("API description", [PYTHON, "tests/python/schema_test.py"]),
    ("recorded requests", [PYTHON, "tests/python/contract_replay.py"]),
    ("the story", [PYTHON, "tests/python/demo.py", "--quiet"]),
    ("incident drill", [PYTHON, "tests/python/incident_drill.py"]),
    ("Lambda", [PYTHON, "tests/python/lambda_test.py"]),
    ("least privilege", [PYTHON, "tests/python/least_privilege_test.py"]),
    ("the matrix through the Lambda runtime", [PYTHON, "tests/python/lambda_matrix.py"]),
]


def run(command: list[str], environment: dict[str, str]) -> tuple[int, int, int]:
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
        sys.stdout.write(line)
        sys.stdout.flush()
    return process.wait(), passed, failed


def main() -> int:
    wanted = sys.argv[1:]
    # Tests wait for the database more than they compute.
    defaults = {"LOG_LEVEL": "off", "RUST_TEST_THREADS": str(3 * (os.cpu_count() or 1))}
    environment = {**defaults, **os.environ, "PYTHON": PYTHON}
    passed = failed = 0
    for name, command in STEPS:
        if wanted and not any(word in name for word in wanted):
            continue
        print(f"--- {name}", flush=True)
        started = time.monotonic()
        code, step_passed, step_failed = run(command, environment)
        if code == 0 and step_passed + step_failed == 0:
            step_passed = 1
        if code != 0 and step_failed == 0:
            step_failed = 1
        print(f"--- {name}: {time.monotonic() - started:.0f} s{'' if code == 0 else ', FAILED'}", flush=True)
        passed += step_passed
        failed += step_failed
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
