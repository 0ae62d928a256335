"""The function that deletes what lapses, under the Lambda runtime."""

import json
from collections.abc import Callable

from database import psql
from instance import ROOT
from lambda_world import World
from runtime_api import FunctionProcess

FUNCTION = "retention"
LAPSED = "INSERT INTO used_message (id_hash, lapses_at) SELECT sha256(n::text::bytea), clock_timestamp() - interval '2 days' FROM generate_series(1, 1200) n"


def run(process: FunctionProcess, world: World, check: Callable[..., None]) -> None:
    """It counts what lapsed, deletes it, and has nothing to do then."""
    psql(world.database, "-c", LAPSED)
    report = process.invoke({"report": True})
    check("what lapsed is counted", report["lapsed"]["used_message"]["due"] == 1200, report)
    first = process.invoke(json.loads((ROOT / "events" / f"{FUNCTION}.json").read_text()))
    check("what lapsed is deleted", first["of"].get("used_message") == 1200 and not first["more"], first)
    again = process.invoke({})
    check("and nothing else", again["deleted"] == 0, again)
