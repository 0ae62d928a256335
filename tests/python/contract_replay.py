"""Recorded requests of existing apps, made again: the status and the shape of each answer are as recorded, or the difference is listed.

CONTRACT_EXAMPLES names the file of the recorded requests and answers, one JSON object a line. Without it only the list of
differences is checked: each is under a row of docs/compatibility.md. A listed difference that does not occur is a failure too.
"""

import json
import os
import re
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from client_test import Count
from contract_shape import differences
from contract_world import Replay
from instance import ROOT, Instance

LISTED = ROOT / "tests/data/contract_differences.json"
DOCUMENT = ROOT / "docs/compatibility.md"

# A recorded answer, one of now, and how they differ.
SEEN = [
    ({"id": 1, "on": "2026-01-01"}, {"id": 2, "on": "2026-02-02T10:00:00Z"}, []),
    ([{"a": 1}, {"a": None}], [{"a": 2}], []),
    ({"a": {"b": 1, "c": []}}, {}, ["- $.a"]),
    ({}, {"a": {"b": 1}}, ["+ $.a"]),
    ({"a": [1]}, {"a": []}, ["- $.a[]"]),
    ({"a": "x"}, {"a": None}, ["~ $.a string -> null"]),
    ({"at": "2026-01-01T10:00:00+00:00"}, {"at": "today"}, ["~ $.at time -> string"]),
]

# These come first, in this order: what they make is what others read.
FIRST = [
    "manager: POST /api/v1/practitioner_clients 201",
    "patient: POST /api/v1/fhir_sources 201",
    "patient: POST /FHIR/R5/Condition 201",
    "patient: POST /FHIR/R5/QuestionnaireResponse 201",
    "patient of another organization: POST /FHIR/R5/Observation 201",
    "manager: POST /api/v1/invitation 201",
    "anonymous: POST /api/v1/invitation/{token} 200",
    "anonymous: GET /accounts/login/ 200",
    "anonymous: POST /accounts/login/ 302",
]

# Who may do what the recorded caller may not do here: so the shape of the answer is compared all the same.
ENTITLED = [
    (re.compile(r"\w+ /api/v1/(studies|invitation|organizations/\{id\}/users|patients/global_lookup)\b"), "manager"),
    (re.compile(r"\w+ /api/v1/(clients|data_sources)/|DELETE /api/v1/users/"), "super admin"),
]


def name(example: dict) -> str:
    """What a recorded request is called, here and in the list of differences."""
    query = urlsplit(example["url"]).query
    return f"{example['as']}: {example['method']} {example['path']}{'?' * bool(query)}{query} {example['status']}"


def turn(example: dict) -> tuple[int, int]:
    """When a request is made: what others read, reading and what was refused, changing, deleting from the inside out."""
    if name(example) in FIRST:
        return 0, FIRST.index(name(example))
    if example["path"] == "/o/revoke_token/":
        return 4, 0
    if example["method"] == "GET" or example["status"] >= 400:
        return 1, int(example["method"] != "GET")
    if example["method"] == "DELETE":
        return 3, -example["path"].count("/")
    return 2, 0


def request_of(example: dict) -> tuple[str, str, str]:
    return example["method"], example["url"], json.dumps(example.get("request"), sort_keys=True)


def callers(examples: list[dict]) -> dict[str, str]:
    """Who made each request. A patient who was refused what a patient was given is another one."""
    by_patients = [example for example in examples if example["as"] in ("patient", "peter-inv")]
    given = {request_of(example) for example in by_patients if example["status"] < 300}
    refused = [example for example in by_patients if example["status"] >= 400 and request_of(example) in given]
    return {name(example): example["as"] for example in examples} | {name(example): "another patient" for example in refused}


def media(content_type: str | None) -> str:
    return (content_type or "none").split(";")[0]


def place(location: str) -> str:
    """Where a redirect leads, by its path and the names in its query."""
    parts = urlsplit(location)
    return "?".join([parts.path, *filter(None, ["&".join(sorted(parse_qs(parts.query)))])])


def compare(example: dict, answer) -> list[str]:
    """How an answer differs from the recorded one."""
    if answer.status_code != example["status"]:
        return [f"status {answer.status_code}"]
    kind = media(answer.headers.get("content-type"))
    lines = [f"media {kind}"] if example["response"] and kind != media(example["content_type"]) else []
    led = place(answer.headers.get("location", ""))
    if "location" in example and led != place(example["location"]):
        lines.append(f"location {led}")
    if media(example["content_type"]) == "application/json" and kind == "application/json":
        lines += differences(example["response"], answer.json())
    return lines


def rows() -> list[str]:
    """What is different, of every row of the document that has a reason too."""
    cells = [line.strip("| ").split(" | ") for line in DOCUMENT.read_text().splitlines() if line.startswith("| ")]
    return [row[1] for row in cells if len(row) == 3]


def check_table(count: Count, listed: list[dict]) -> None:
    """Each listed difference is one row of the document, and the comparison sees what it is for."""
    known = rows()
    for group in listed:
        count.check(f"rows of {DOCUMENT.name}: {group['row']}", known.count(group["row"]), 1)
    for recorded, answered, lines in SEEN:
        count.check(f"{recorded} and {answered}", differences(recorded, answered), lines)


def replay(examples: list[dict]) -> dict[str, list[str]]:
    """Makes every request: how each answer differs from the recorded one."""
    found, by = {}, callers(examples)
    with Instance() as jhe:
        world = Replay(jhe)
        world.prepare()
        for example in sorted(examples, key=turn):
            answer = world.send(example, by[name(example)])
            found[name(example)] = compare(example, answer)
            world.learn(example, answer)
            if example["status"] < 300 and answer.status_code == 403:
                found[name(example)] += entitled(world, example)
    return found


def entitled(world: Replay, example: dict) -> list[str]:
    """How the answer to who may differs from the recorded one."""
    route = f"{example['method']} {example['path']}"
    callers = [caller for known, caller in ENTITLED if known.match(route)]
    return [f"{line} for {caller}" for caller in callers for line in compare(example, world.send(example, caller))]


def check_answers(count: Count, listed: list[dict], found: dict[str, list[str]]) -> None:
    """Every difference that was found is listed, and every listed one was found."""
    expected: dict[str, list[str]] = {}
    for group in listed:
        for example, lines in group["examples"].items():
            expected.setdefault(example, []).extend(lines)
    for example in sorted(found.keys() | expected.keys()):
        count.check(example, sorted(found.get(example, ["it is not recorded"])), sorted(expected.get(example, [])))


def main() -> int:
    count = Count()
    listed = json.loads(LISTED.read_text())
    check_table(count, listed)
    path = os.environ.get("CONTRACT_EXAMPLES")
    if path:
        found = replay([json.loads(line) for line in Path(path).read_text().splitlines()])
        check_answers(count, listed, found)
        print(f"{sum(map(bool, found.values()))} of {len(found)} answers differ from the recorded ones")
    else:
        print("the recorded requests are skipped: CONTRACT_EXAMPLES does not name them")
    print(f"{count.passed} passed, {count.failed} failed")
    return 1 if count.failed else 0


if __name__ == "__main__":
    sys.exit(main())
