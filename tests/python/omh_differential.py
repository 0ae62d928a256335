"""Compares this project's validation of Open mHealth data points with the Python package omh-shim.

Run from the repository's root, in an environment that has omh-shim 2.1.0:

    python tests/python/omh_differential.py [--seed N] [--per-type N]

The package and the program must agree on every data point, except where the program is stricter
by design, and there it must be stricter:
- the header must name the schema that the request names;
- the creation time and the effective time must be readable (the package ignores `format`).
Where both accept, the times that the program reads are compared with a reading in plain integers.
"""

import argparse
import importlib.metadata
import importlib.resources
import itertools
import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import omh_points
import omh_times
from omh_shim import ValidationError, _validate, known_ids, load_schema
from referencing import Resource
from referencing.jsonschema import DRAFT7

SHIM = "2.1.0"
HEADER = "ieee:header:1.0"
ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "examples" / "validate_lines"
# Shares of months and fractions of seconds are computed in floating point by the program.
TOLERANCE = 100_000


def part(code):
    schema = load_schema(code)
    resource = Resource.from_contents(schema, default_specification=DRAFT7)
    return schema, _validate._registry().resolver_with_root(resource)


def accepted(value, code):
    try:
        _validate.validate_output(value, code)
    except ValidationError:
        return False
    return True


def header(rng, code):
    made = omh_points.make(rng, [part(HEADER)])
    made["schema_id"] = dict(zip(("namespace", "name", "version"), code.split(":")))
    return made


def valid_point(rng, code):
    """A data point that the package accepts."""
    while True:
        point = {"header": header(rng, code), "body": omh_points.make(rng, [part(code)])}
        read = json.loads(omh_points.to_json(point))
        if accepted(read["header"], HEADER) and accepted(read["body"], code):
            return point


def vocabulary():
    """Every term of every value set of the package, and some of none."""
    found = {"", "other", "COUNT"}
    for path in Path(str(importlib.resources.files("omh_shim"))).rglob("*.json"):
        pending = [json.loads(path.read_text(encoding="utf-8"))]
        while pending:
            value = pending.pop()
            if isinstance(value, dict):
                found.update(value.get("enum", ()))
                pending += value.values()
            elif isinstance(value, list):
                pending += value
    return found


def points(rng, codes, per_type):
    """(code, label, data point) of every case."""
    terms = sorted(vocabulary())
    for code in codes:
        for _ in range(per_type // 4):
            yield code, "valid", valid_point(rng, code)
        for form, _ in itertools.product(omh_points.FORMS, range(8)):
            point = valid_point(rng, code)
            point["body"]["effective_time_frame"] = omh_points.frame(rng, form)
            yield code, form, point
        for text in omh_points.NOT_DATE_TIMES:
            point = valid_point(rng, code)
            rng.choice(list(date_time_holders(point)))(text)
            yield code, "bad format", point
        for _ in range(per_type):
            yield code, "spoilt", omh_points.spoil(rng, valid_point(rng, code))
        several = [valid_point(rng, code) for _ in range(12)]
        for point in omh_points.other_terms(rng, several, terms):
            yield code, "other term", point
        for point in omh_points.each_place(several):
            yield code, "each place", point
        for other in codes:
            yield code, "other schema", {**valid_point(rng, code), "header": header(rng, other)}
        for wrong in omh_points.WRONG:
            yield code, "spoilt", wrong
    for code in ("omh:heart-rate:2.0", "omh:blood-glucose:4.0", "omh:step-count:3.0", "ieee:time-in-bed:1.0"):
        for frame in itertools.chain(omh_points.every_frame(), omh_points.every_duration()):
            point = valid_point(rng, code)
            point["body"]["effective_time_frame"] = frame
            yield code, "time frame", point


def date_time_holders(point):
    yield lambda text: point["header"].update(source_creation_date_time=text)
    yield lambda text: point["body"].update(effective_time_frame={"date_time": text})
    for name in ("start_date_time", "end_date_time"):
        interval = {"start_date_time": "2026-03-01T00:00:00Z", "end_date_time": "2026-03-02T00:00:00Z"}
        yield lambda text, name=name: point["body"].update(
            effective_time_frame={"time_interval": {**interval, name: text}}
        )


def expected(code, point):
    """("refused", kinds) or ("accepted", created, effective): what the program must answer."""
    if not isinstance(point, dict) or not accepted(point.get("header"), HEADER):
        return "refused", {"Header"}
    named = point["header"]["schema_id"]
    if [named["namespace"], named["name"], named["version"]] != code.split(":"):
        return "refused", {"SchemaMismatch", "Header"}
    if "body" not in point or not accepted(point["body"], code):
        return "refused", {"Body"}
    try:
        effective = omh_times.effective(point["body"])
    except omh_times.NoTime:
        return "refused", {"EffectiveTime"}
    try:
        created, _ = omh_times.read(point["header"]["source_creation_date_time"])
    except omh_times.NoTime:
        return "refused", {"Header"}
    return "accepted", created, effective


def agrees(want, answer):
    if want[0] == "refused":
        return not answer["valid"] and answer["kind"] in want[1]
    if not answer["valid"]:
        return False
    _, created, effective = want
    got = answer["effective"]
    if (effective is None) != (got is None):
        return False
    pairs = [(created, answer["created"]), *zip(effective or (), got or ())]
    return all(abs(mine - omh_times.read(theirs)[0]) <= TOLERANCE for mine, theirs in pairs)


def answers(lines):
    run = subprocess.run(PROGRAM, input="\n".join(lines), capture_output=True, text=True, cwd=ROOT, check=False)
    if run.returncode != 0:
        sys.exit(f"{PROGRAM} failed:\n{run.stderr}")
    return [json.loads(line) for line in run.stdout.splitlines()]


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seed", type=int, default=1752)
    arguments.add_argument("--per-type", type=int, default=160)
    options = arguments.parse_args()
    if importlib.metadata.version("omh-shim") != SHIM:
        sys.exit(f"omh-shim {SHIM} is needed")
    rng = random.Random(options.seed)
    codes = sorted(known_ids() - {HEADER})
    cases = list(points(rng, codes, options.per_type))
    lines = [f'{{"code": {json.dumps(code)}, "data_point": {omh_points.to_json(point)}}}' for code, _, point in cases]
    replies = answers(lines)
    if len(replies) != len(lines):
        sys.exit(f"{len(lines)} requests, {len(replies)} answers")
    failed = 0
    seen = Counter()
    for (code, label, _), line, answer in zip(cases, lines, replies):
        want = expected(code, json.loads(line)["data_point"])
        seen[label, want[0]] += 1
        if not agrees(want, answer):
            failed += 1
            print(f"disagreement ({label})\n  request  {line}\n  expected {want}\n  answer   {answer}")
    for (label, verdict), count in sorted(seen.items()):
        print(f"{label}: {count} {verdict}")
    print(f"{len(cases) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
