"""The function that deletes what lapses and what policies say, under the Lambda runtime."""

import json
import os
from collections.abc import Callable

from database import psql
from instance import ROOT
from lambda_world import World
from runtime_api import FunctionProcess

FUNCTION = "retention"
LAPSED = "INSERT INTO used_message (id_hash, lapses_at) SELECT sha256(n::text::bytea), clock_timestamp() - interval '2 days' FROM generate_series(1, 1200) n"
OLD = """INSERT INTO observation (id, patient_id, scope_id, data_source_id, status, last_updated, effective_start, effective_end, content)
SELECT 999001, 40001, min(id), 70001, 'final', '2001-01-01', '2001-01-01', '2001-01-01', '{}' FROM scope"""
POLICY = "INSERT INTO retention_policy (by_age, changed_by) VALUES (3650, 10001)"
PASSED = "UPDATE retention_plan SET noticed_at = noticed_at - interval '31 days', delete_after = delete_after - interval '31 days' WHERE noticed_at IS NOT NULL"


class Key:
    """The key that signs, and the settings that lead to it and to a login that may delete."""

    def __init__(self, world: World):
        self.key = world.client("kms").create_key(KeySpec="ECC_NIST_P384", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
        owner = {name: os.environ[name] for name in ("DB_OWNER_USER", "DB_OWNER_PASSWORD")}
        self.environment = {**owner, "AUDIT_SEAL_KEY_ID": self.key}


def run(process: FunctionProcess, world: World, check: Callable[..., None]) -> None:
    """It counts what lapsed, deletes it, and has nothing to do then. What is due by a policy is announced, deleted and certified."""
    psql(world.database, "-c", LAPSED)
    report = process.invoke({"report": True})
    check("what lapsed is counted", report["lapsed"]["used_message"]["due"] == 1200, report)
    first = process.invoke(json.loads((ROOT / "events" / f"{FUNCTION}.json").read_text()))
    check("what lapsed is deleted", first["of"].get("used_message") == 1200 and not first["more"], first)
    again = process.invoke({})
    check("and nothing else", again["deleted"] == 0, again)
    psql(world.database, "-c", OLD, "-c", POLICY)
    announced = process.invoke({"now": True})
    check("what is due is announced, and not deleted", (announced["announced"], announced["deleted"]) == (1, 0), announced)
    psql(world.database, "-c", PASSED)
    done = process.invoke({})
    check("after the notice it is deleted and certified", (done["of"], done["certified"]) == ({"observation": 1}, [1]), done)
    certificate = process.invoke({"certificate": "1", "ids": True})
    check("who asks is given the certificate", certificate["observationIds"] == [999001] and "BEGIN PUBLIC KEY" in certificate["publicKey"], certificate)
    psql(world.database, "-c", "DELETE FROM retention_policy")
