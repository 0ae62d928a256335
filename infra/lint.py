"""Holds the infrastructure against every tool: `make lint-infra`. Ends with one line: N passed, N failed.

A tool's finding that infra/policies/exceptions.yaml excuses, with its reason, is no failure; an excuse that nothing needs is one.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import assemble
import transform
import yaml

ROOT = assemble.ROOT
POLICIES = ROOT / "infra" / "policies"
BIN = Path(sys.executable).parent
CHECKOV = ROOT / ".venv-checkov" / "bin" / "checkov"
# As the package has it for each system.
SYSTEM = {"Linux": "ubuntu", "Darwin": "macos"}.get(platform.system(), "")
MACHINE = {"arm64": "aarch64"}.get(platform.machine(), platform.machine())
GUARD = POLICIES / "node_modules" / "@cdklabs" / "cdk-validator-cfnguard" / "bin" / SYSTEM / MACHINE / "cfn-guard"
# LOG_LEVEL is ours, and some tools read it with levels of their own.
ENVIRONMENT = {**os.environ, "AWS_DEFAULT_REGION": "us-east-1", "LOG_LEVEL": "WARNING", "SAM_CLI_TELEMETRY": "0"}


@dataclass(frozen=True)
class Finding:
    """What a tool says of a resource of a stack."""

    rule: str
    where: str
    text: str


def run(*command: str | Path) -> subprocess.CompletedProcess:
    return subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def by_exit_code(*command: str | Path) -> list[Finding]:
    """One finding, with the whole output, when the command fails."""
    done = run(*command)
    return [Finding(str(command[0]), "", done.stdout)] if done.returncode else []


def sam_validate(plain: Path) -> list[Finding]:
    return by_exit_code(BIN / "sam", "validate", "--lint", "--template", "template.yaml")


def cfn_lint(plain: Path) -> list[Finding]:
    # W3002: paths that `sam deploy` replaces.
    return by_exit_code(BIN / "cfn-lint", "--regions", "us-east-1", "--ignore-checks", "W3002", "--", *sorted(assemble.STACKS.glob("*.yaml")))


def checkov(plain: Path) -> list[Finding]:
    done = subprocess.run(
        [CHECKOV, "--skip-download", "--quiet", "--compact", "--framework", "cloudformation", "-o", "json", "-d", plain],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        report = json.loads(done.stdout)
    except json.JSONDecodeError:
        return [Finding("checkov", "", f"it ended with {done.returncode} and no report: {done.stdout}{done.stderr}")]
    if report["summary"]["parsing_errors"] or not report["summary"]["passed"]:
        return [Finding("checkov", "", f"it could not read the stacks: {report['summary']}")]
    failed = report["results"]["failed_checks"]
    return [
        Finding(check["check_id"], f"{Path(check['file_path']).stem}/{check['resource'].rsplit('.', 1)[1]}", check["check_name"])
        for check in failed
    ]


def cdk_nag(plain: Path) -> list[Finding]:
    """cdk-nag's exit code says nothing: its report does."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        done = run("node", POLICIES / "nag.mjs", file.name, *sorted(plain.glob("*.json")))
        report = json.loads(Path(file.name).read_text() or "{}")
    packs = [pack for pack in report.get("pluginReports", []) if pack["pluginName"] == "HIPAA.Security"]
    if len(packs) != 1:
        return [Finding("cdk-nag", "", f"no report of the HIPAA pack:\n{done.stdout}")]
    return [
        Finding(violation["ruleName"], construct["constructPath"].replace("/T/", "/"), violation["description"])
        for violation in packs[0]["violations"]
        for construct in violation["violatingConstructs"]
    ]


def guard(plain: Path) -> list[Finding]:
    return by_exit_code(GUARD, "validate", "--rules", POLICIES / "rules.guard", "--data", plain, "--show-summary", "fail")


def guard_rules(plain: Path) -> list[Finding]:
    """Each rule of ours refuses what breaks it."""
    tests = POLICIES / "tests" / "rules_tests.yaml"
    findings = by_exit_code(GUARD, "test", "--rules-file", POLICIES / "rules.guard", "--test-data", tests)
    refused = {rule for test in yaml.safe_load(tests.read_text()) for rule, result in test["expectations"]["rules"].items() if result == "FAIL"}
    rules = {line.split()[1] for line in (POLICIES / "rules.guard").read_text().splitlines() if line.startswith("rule ")}
    return findings + [Finding("cfn-guard", rule, "no test breaks this rule") for rule in sorted(rules - refused)]


def unit_tests(plain: Path) -> list[Finding]:
    return by_exit_code(sys.executable, "-m", "unittest", "discover", "--start-directory", "infra", "--pattern", "*_test.py")


# The slow ones first: two run at the same time.
CHECKS: list[Callable[[Path], list[Finding]]] = [checkov, cdk_nag, sam_validate, cfn_lint, guard, guard_rules, unit_tests]


class Exceptions:
    """The excuses of infra/policies/exceptions.yaml, and which of them were needed."""

    def __init__(self) -> None:
        self.entries = yaml.safe_load((POLICIES / "exceptions.yaml").read_text())
        self.needed: set[tuple[str, str]] = set()

    def excuse(self, finding: Finding) -> bool:
        for entry in self.entries:
            for pattern in entry["where"]:
                if entry["rule"] == finding.rule and entry["why"] and fnmatchcase(finding.where, pattern):
                    self.needed.add((entry["rule"], pattern))
                    return True
        return False

    def idle(self) -> Iterator[Finding]:
        for entry in self.entries:
            for pattern in entry["where"]:
                if (entry["rule"], pattern) not in self.needed:
                    yield Finding(entry["rule"], pattern, "nothing needs this exception")


def timed(check: Callable[[Path], list[Finding]], plain: Path) -> tuple[list[Finding], float]:
    started = time.monotonic()
    return check(plain), time.monotonic() - started


def report(name: str, findings: list[Finding], seconds: float) -> bool:
    print(f"{'failed' if findings else 'passed'}: {name} ({seconds:.0f} s)")
    for finding in findings:
        # cfn-guard says a page of each resource.
        print(f"    {finding.rule} {finding.where}: {finding.text[:4000]}")
    return not findings


def missing() -> list[Path]:
    """The tools that are not installed: without one of them nothing is proved."""
    tools = [BIN / "sam", BIN / "cfn-lint", CHECKOV, GUARD, POLICIES / "node_modules" / "cdk-nag"]
    return [tool for tool in tools if not tool.exists()]


def main() -> int:
    if absent := missing():
        print("Not installed, run scripts/ensure-infra-tools:", *absent, sep="\n    ")
        print("0 passed, 1 failed")
        return 1
    assemble.write(assemble.assemble(), assemble.STACKS)
    exceptions = Exceptions()
    results = []
    # checkov takes a path of 40 letters and digits for a secret: with a hyphen in it, none is one.
    with tempfile.TemporaryDirectory(prefix="stacks-") as directory, ThreadPoolExecutor(2) as pool:
        plain = Path(directory)
        transform.main(assemble.STACKS, plain)
        for check, (findings, seconds) in zip(CHECKS, pool.map(lambda check: timed(check, plain), CHECKS)):
            results.append(report(check.__name__, [finding for finding in findings if not exceptions.excuse(finding)], seconds))
    results.append(report("exceptions", list(exceptions.idle()), 0))
    print(f"{results.count(True)} passed, {results.count(False)} failed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
