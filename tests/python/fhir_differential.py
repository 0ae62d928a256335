"""Compares this project's check of R5 resources with the Python package fhir.resources.

Run from the repository's root, in an environment that has fhir.resources:

    python tests/python/fhir_differential.py [--seed N] [--per-type N] [--examples DIRECTORY]

Both must know the same elements of each type, take the same resources, and refuse what is spoilt. Where the package is known to
take what is not R5, the program alone must refuse. `--examples` are examples that HL7 publishes (`npm pack hl7.fhir.r5.examples`),
which the program must take if the package does.
"""

import argparse
import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

from fhir.resources import get_fhir_model_class
from fhir_made import Maker, Table

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "examples" / "check_lines"
TYPES = """AllergyIntolerance CarePlan CareTeam Condition Coverage DiagnosticReport DocumentReference Encounter Goal Immunization
Location Medication MedicationDispense MedicationRequest PractitionerRole Procedure Provenance QuestionnaireResponse RelatedPerson
ServiceRequest""".split()


def accepted(resource: dict) -> bool:
    """What the package says. It looks unknown types up as it goes."""
    try:
        get_fhir_model_class(resource["resourceType"]).model_validate(resource)
    except (AttributeError, LookupError, TypeError, ValueError):
        return False
    return True


def answers(resources: list[dict]) -> list[dict]:
    lines = "\n".join(json.dumps(resource) for resource in resources)
    run = subprocess.run(PROGRAM, input=lines, capture_output=True, text=True, cwd=ROOT, check=False)
    if run.returncode != 0:
        sys.exit(f"{PROGRAM} failed:\n{run.stderr}")
    return [json.loads(line) for line in run.stdout.splitlines()]


def elements_differ(table: Table) -> tuple[int, list[str]]:
    """How many types were compared, and those of which table and package know other elements."""
    compared, different = 0, []
    for name in table.types:
        try:
            model = get_fhir_model_class(name if "." not in name else "".join(part[0].upper() + part[1:] for part in name.split(".")))
        except (KeyError, LookupError):
            continue
        compared += 1
        ours = {one.key(kind) for one in table.elements(name) for kind in one.types}
        theirs = {field.alias or key for key, field in model.model_fields.items()}
        theirs = {key for key in theirs if not key.startswith("_")} - {"fhir_comments", "resource_type"}
        if ours != theirs:
            different.append(f"{name}: {sorted(ours ^ theirs)}")
    return compared, different


def cases(maker: Maker, per_type: int):
    """(label, whether it is R5, whether the package finds that it is not, resource)."""
    for kind in TYPES:
        for made in maker.each(kind):
            yield "each element", True, True, made
        for _ in range(per_type):
            made = maker.resource(kind)
            yield "valid", True, True, made
            for label, found, spoilt in maker.spoilt(made):
                yield label, False, found, spoilt


def examples(directory: str):
    for path in sorted(Path(directory).rglob("*.json")):
        resource = json.loads(path.read_text(encoding="utf-8"))
        if resource.get("resourceType") in TYPES and accepted(resource):
            yield "example", True, True, resource


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seed", type=int, default=5)
    arguments.add_argument("--per-type", type=int, default=25)
    arguments.add_argument("--examples")
    options = arguments.parse_args()
    table = Table()
    compared, different = elements_differ(table)
    for line in different:
        print(f"other elements: {line}")
    made = list(cases(Maker(table, random.Random(options.seed)), options.per_type))
    if options.examples:
        made += examples(options.examples)
    replies = answers([resource for *_, resource in made])
    if len(replies) != len(made):
        sys.exit(f"{len(made)} resources, {len(replies)} answers")
    failed = len(different)
    seen: Counter = Counter()
    for (label, is_r5, found, resource), reply in zip(made, replies):
        seen[label] += 1
        theirs = accepted(resource)
        if reply["valid"] != is_r5 or (found is not None and theirs != (is_r5 or not found)):
            failed += 1
            print(f"disagreement ({label})\n  resource {json.dumps(resource)[:1500]}\n  package takes it: {theirs}\n  program  {reply}")
    for label, count in sorted(seen.items()):
        print(f"{label}: {count}")
    print(f"{compared + len(made) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
