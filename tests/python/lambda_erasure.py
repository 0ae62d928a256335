"""The function that erases patients, under the Lambda runtime: the only one that may destroy a key."""

import json
from collections.abc import Callable

from database import psql
from instance import ROOT
from lambda_world import VAULT, World
from runtime_api import FunctionProcess

FUNCTION = "erasure"
PATIENT = 40004
LEAVES = f"DELETE FROM patient_organization WHERE patient_id = {PATIENT}"
LONG_AGO = f"UPDATE patient SET left_at = now() - interval '31 days' WHERE id = {PATIENT}"


def run(process: FunctionProcess, world: World, check: Callable[..., None]) -> None:
    """`check(what, good, detail)` counts."""
    asked = json.loads((ROOT / "events" / f"{FUNCTION}.json").read_text())
    key = psql(world.database, "-c", f"SELECT replace(payload_key::text, '-', '') FROM patient WHERE id = {PATIENT}")
    early = process.invoke(asked)
    check("nobody is erased who neither asked nor left", early == {"outcome": "done", "erased": [], "held": 0, "again": 0, "left": 0}, early)
    psql(world.database, "-c", LEAVES, "-c", LONG_AGO)
    done = process.invoke(asked)
    left = psql(world.database, "-c", f"SELECT count(*) FROM patient WHERE id = {PATIENT}")
    check("who left long ago is erased", done["left"] == 1 and len(done["erased"]) == 1 and left == "0", f"{done} {left}")
    item = world.client("dynamodb").get_item(TableName=VAULT, Key={"id": {"S": key}})["Item"]
    check("the key has a tombstone in its place", set(item) == {"id", "tombstone"} and str(PATIENT) in item["tombstone"]["S"], item)
