"""The API against its own description: schemathesis makes requests of it, and of what it forbids.

No answer is an error of ours, and each has a status, a type and a shape that is described. Ids are those of the demo world,
so that requests get past "not found", but for one run.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml
from instance import Instance

SCHEMATHESIS = Path(sys.executable).parent / "schemathesis"
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
EXAMPLES = os.environ.get("SCHEMA_EXAMPLES", "5")
RESULT = re.compile(r"(\d+) generated(?:, (\d+) found \d+ unique failures?)?(?:, (\d+) passed)?")

# What an id in a path is, by the path.
IDS = {
    "clients": 1,
    "data_sources": 70001,
    "invitation": 101,
    "observations": 60001,
    "organizations": 20003,
    "patients": 40001,
    "practitioners": 80004,
    "studies": 30001,
    "users": 10004,
}


def configuration() -> str:
    known = (
        f'[[operations]]\ninclude-path-regex = "^/api/v1/{name}/\\\\{{id\\\\}}"\nparameters = {{ "path.id" = {number} }}\n'
        for name, number in IDS.items()
    )
    return "\n".join(known)


# It ends everybody's access, and so that of who asks: it is asked by itself, in a world of its own.
ENDS_ALL = "/api/v1/users/sessions"


def run(caller: str, config: Path, paths: tuple[str, str]) -> tuple[int, int]:
    """How many passed and failed. On a world of its own: what one caller deletes is not missing for the next."""
    with Instance() as jhe, tempfile.TemporaryDirectory() as place:
        return ask(jhe, caller, config, paths, place)


def ask(jhe: Instance, caller: str, config: Path, paths: tuple[str, str], place: str) -> tuple[int, int]:
    command = [SCHEMATHESIS, "--config-file", config, "run", f"{jhe.base}/api/schema", "--no-color", "--seed", "1"]
    command += ["--header", f"Authorization: Bearer {jhe.token(caller)}", "--checks", CHECKS]
    command += ["--max-examples", EXAMPLES, "--phases", "coverage,fuzzing", "--suppress-health-check", "all"]
    command += paths
    # It keeps what it found where it is called.
    done = subprocess.run(command, cwd=place, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    found = RESULT.search(done.stdout)
    if done.returncode != 0 or not found:
        print(done.stdout)
    if not found:
        return 0, 1
    failed = int(found[2] or 0) or int(done.returncode != 0)
    return int(found[1]) - failed, failed


def description(jhe: Instance, accept: str) -> str:
    request = urllib.request.Request(f"{jhe.base}/api/schema/", headers={"Accept": accept})
    with urllib.request.urlopen(request) as answer:
        assert answer.headers["Content-Type"] == accept, answer.headers
        return answer.read().decode()


def is_the_same_in_yaml() -> bool:
    with Instance() as jhe:
        written = yaml.safe_load(description(jhe, "application/vnd.oai.openapi"))
        return written == json.loads(description(jhe, "application/json"))


def main() -> int:
    passed, failed = (1, 0) if is_the_same_in_yaml() else (0, 1)
    with tempfile.TemporaryDirectory() as directory:
        with_ids, without = Path(directory, "ids.toml"), Path(directory, "none.toml")
        with_ids.write_text(configuration())
        without.write_text("")
        others, alone = ("--exclude-path", ENDS_ALL), ("--include-path", ENDS_ALL)
        runs = [
            ("manager_mary", without, others),
            ("manager_mary", with_ids, others),
            ("admin", with_ids, others),
            ("ll_patient_peter", with_ids, others),
            ("manager_mary", without, alone),
            ("admin", without, alone),
        ]
        # It waits for answers more than it computes.
        with ThreadPoolExecutor(os.cpu_count()) as lanes:
            for good, bad in lanes.map(lambda one: run(*one), runs):
                passed, failed = passed + good, failed + bad
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
