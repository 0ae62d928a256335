"""Payloads that were stored in the clear, encrypted by the function that the clock calls, as the database's owner."""

import json
from collections.abc import Callable

from database import psql
from instance import ROOT
from lambda_world import World
from runtime_api import FunctionProcess

FUNCTION = "payloads-encrypt"

# As the version before stored one, of a patient who has no other.
CLEAR = """
INSERT INTO observation (patient_id, scope_id, data_source_id, status, last_updated, effective_start, effective_end, content)
SELECT max(id), 50002, 70001, 'final', now(), now(), now(), '{}' FROM patient"""
LEFT = "SELECT count(*) FROM observation WHERE content IS NOT NULL"


def run(process: FunctionProcess, world: World, check: Callable[..., None]) -> None:
    """`check(what, good, detail)` counts."""
    psql(world.database, "-c", CLEAR)
    early = process.invoke({})
    check("for an hour after the migration nothing is encrypted", early == {"outcome": "not yet"}, early)
    done = process.invoke(json.loads((ROOT / "events" / f"{FUNCTION}.json").read_text()))
    left = psql(world.database, "-c", LEFT)
    check("what is in the clear is encrypted", done == {"outcome": "complete", "rows": 1} and left == "0", f"{done} {left}")
    again = process.invoke({})
    check("again there is nothing left", again == {"outcome": "complete", "rows": 0}, again)
