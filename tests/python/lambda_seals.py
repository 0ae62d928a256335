"""The functions that seal and check the audit, under the Lambda runtime, with the key in KMS and the seals in S3 under Object Lock;
and a proof, checked by the script that strangers get."""

import base64
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

from database import psql
from instance import ROOT
from lambda_security import Topic
from lambda_world import AWS, World
from runtime_api import FunctionProcess

SEAL, VERIFY = "audit-seal", "audit-verify"
FUNCTIONS = {SEAL, VERIFY}
BUCKET = "seals"
SCRIPT = ROOT / "docs" / "check_proof.py"
SIX_YEARS = timedelta(days=6 * 365 + 1)
# Gives the process of a function that has this environment.
Start = Callable[[str, dict[str, str]], FunctionProcess]
Check = Callable[..., None]


class Place:
    """The bucket and the key, as infra/backup.yaml and infra/keys-and-secrets.yaml make them."""

    def __init__(self, world: World):
        self.world = world
        self.s3 = world.client("s3")
        region = {"LocationConstraint": AWS["AWS_REGION"]}
        self.s3.create_bucket(Bucket=BUCKET, ObjectLockEnabledForBucket=True, CreateBucketConfiguration=region)
        self.key = world.client("kms").create_key(KeySpec="ECC_NIST_P384", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
        # Who only checks needs these.
        self.checked = {"AUDIT_SEAL_BUCKET": BUCKET, "AUDIT_SEAL_KEY_ID": self.key}
        self.environment = {**world.by_secret, **self.checked, "AUDIT_SEAL_LOCK_MODE": "COMPLIANCE"}

    def names(self) -> list[str]:
        return [item["Key"] for item in self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]

    def locked(self, name: str) -> bool:
        """Nobody can delete or change it for six years, whoever they are."""
        kept = self.s3.head_object(Bucket=BUCKET, Key=name)
        until = datetime.now(timezone.utc) + SIX_YEARS
        return kept["ObjectLockMode"] == "COMPLIANCE" and kept["ObjectLockRetainUntilDate"] > until and not self.deleted(name)

    def deleted(self, name: str) -> bool:
        version = self.s3.list_object_versions(Bucket=BUCKET, Prefix=name)["Versions"][0]["VersionId"]
        try:
            self.s3.delete_object(Bucket=BUCKET, Key=name, VersionId=version, BypassGovernanceRetention=True)
        except self.s3.exceptions.ClientError as error:
            return error.response["Error"]["Code"] != "AccessDenied"
        return True

    def found_again(self, name: str) -> None:
        """What said that it is gone is gone."""
        marker = self.s3.list_object_versions(Bucket=BUCKET, Prefix=name)["DeleteMarkers"][0]["VersionId"]
        self.s3.delete_object(Bucket=BUCKET, Key=name, VersionId=marker)

    def event(self, seal: int) -> int:
        window = f"occurred_at >= (SELECT window_start FROM audit_seal WHERE sequence = {seal})"
        window += f" AND occurred_at < (SELECT window_end FROM audit_seal WHERE sequence = {seal})"
        return int(psql(self.world.database, "-c", f"SELECT min(id) FROM audit_event WHERE {window}"))

    def owner(self, statement: str) -> None:
        """The owner of the database, past every trigger."""
        psql(self.world.database, "-c", "SET session_replication_role = replica", "-c", statement)

    def happens(self) -> None:
        """Something is recorded."""
        context = '{"request_id": "lambda", "actor_type": "system", "action": "execute", "resource_type": "Test"}'
        psql(self.world.database, "-c", f"SELECT audit_record('{context}', 'allowed', NULL, '{{}}', '{{}}', '{{}}', '{{}}')")

    def all_is_over(self) -> None:
        """As if the data had come from another server at this moment: nothing that runs here holds sealing back."""
        values = "clock_timestamp() + interval '10 seconds', '9000000000000'"
        psql(self.world.database, "-c", f"INSERT INTO audit_horizon (at, xid) VALUES ({values})")


def called(process: FunctionProcess, name: str, event: dict | None = None) -> dict | str:
    """The function's report, or its error."""
    try:
        return process.invoke(event or json.loads((ROOT / "events" / f"{name}.json").read_text()))
    except RuntimeError as error:
        return str(error)


def run(start: Start, jhe: Path, world: World, check: Check) -> Place:
    """Seals, checks, changes what is sealed, and proves. `check(what, good, detail)` counts. Gives the bucket and the key."""
    place = Place(world)
    topic = Topic(world, "told-of-the-audit")
    told = {**place.environment, "SECURITY_TOPIC_ARN": topic.arn}
    with start(SEAL, place.environment) as seal, start(VERIFY, told) as verify:
        for number in (1, 2):
            place.happens()
            place.all_is_over()
            made = called(seal, SEAL)
            check(f"seal {number} is made", made["seals"] == 1 and made["last"]["sequence"] == number, made)
            check("the report says how late sealing is", made["seal_lag_seconds"] < 60, made)
        names = place.names()
        check("a seal is an object, and its list another one", len(names) == 4 and "seals/000000000002.json" in names, names)
        check("every object is locked for six years", all(place.locked(name) for name in names), names)
        proofs(jhe, place, check)
        good = called(verify, VERIFY)
        check("what is sealed verifies", good["seals"] == 2 and good["findings"] == [], good)
        recent = called(verify, VERIFY, {"since": "7"})
        check("what is sealed of late verifies", recent["events"] == good["events"], recent)
        check("nobody is told of what is good", topic.messages() == [], topic.arn)
        tampering(verify, place, check)
        said = topic.messages()
        good = len(said) == 2 and all("not as it was sealed" in one["Subject"] for one in said)
        check("SNS is told of each check that finds something", good, said)
    return place


def tampering(verify: FunctionProcess, place: Place, check: Check) -> None:
    event = place.event(1)
    place.owner(f"UPDATE audit_event SET request_id = request_id || 'x' WHERE id = {event}")
    found = called(verify, VERIFY)
    check("a change is found", f"seal 1: event {event}: it was changed after the seal" in found, found)
    place.owner(f"UPDATE audit_event SET request_id = left(request_id, -1) WHERE id = {event}")
    # The object stays under its lock; only its newest version says that it is gone.
    second = "seals/000000000002.json"
    place.s3.delete_object(Bucket=BUCKET, Key=second)
    found = called(verify, VERIFY)
    check("a seal that S3 does not show is found", "seal 2: it is missing outside of the database" in found, found)
    place.found_again(second)


def proofs(jhe: Path, place: Place, check: Check) -> None:
    """The script, on a proof and on what is none."""
    with tempfile.TemporaryDirectory() as directory:
        environment = {**os.environ, **place.environment, "JHE_HOME": directory}

        def ask(*command: str) -> str:
            done = subprocess.run([jhe, "audit", *command], env=environment, capture_output=True, text=True)
            check(f"jhe audit {command[0]}", done.returncode == 0, done.stderr)
            return done.stdout

        key, proof = ask("public-key"), json.loads(ask("prove", str(place.event(2))))
        ours, theirs = Path(directory, "key.pem"), Path(directory, "theirs.pem")
        ours.write_text(key)
        pair = ["openssl", "ecparam", "-name", "secp384r1", "-genkey", "-noout"]
        private = subprocess.run(pair, capture_output=True, check=True).stdout
        theirs.write_bytes(subprocess.run(["openssl", "ec", "-pubout"], input=private, capture_output=True, check=True).stdout)

        def holds(document: dict, with_key: Path = ours) -> bool:
            path = Path(directory, "proof.json")
            path.write_text(json.dumps(document))
            return subprocess.run([sys.executable, SCRIPT, path, with_key], capture_output=True).returncode == 0

        check("a stranger checks a proof", holds(proof), proof)
        check("it has the key that is published", proof["public_key"] == key, proof)
        head = json.loads(proof["seal"]["head"])
        other_head = json.dumps({**head, "events": head["events"] + 1}, separators=(",", ":"))
        wrong = {
            "another event": {**proof, "leaf": proof["leaf"].replace('"outcome":"allowed"', '"outcome":"denied"')},
            "another place": {**proof, "index": proof["index"] ^ 1},
            "a place before the first": {**proof, "index": proof["index"] - head["events"]},
            "another path": {**proof, "path": ["00" * 32, *proof["path"][1:]]},
            "a shorter path": {**proof, "path": proof["path"][1:]},
            "another head": {**proof, "seal": {**proof["seal"], "head": other_head}},
            "another signature": {**proof, "seal": {**proof["seal"], "signature": proof["seal"]["signature"][::-1]}},
        }
        for what, document in wrong.items():
            check(f"with {what} it is no proof", document != proof and not holds(document), document)
        check("with another key it is no proof", not holds(proof, theirs), proof)
        secret = Path(directory, "theirs.key")
        secret.write_bytes(private)

        def by_them(changed: dict) -> dict:
            """The same, of a seal that they signed."""
            text = json.dumps({**head, **changed}, separators=(",", ":"))
            made = subprocess.run(["openssl", "dgst", "-sha384", "-sign", secret], input=text.encode(), capture_output=True, check=True)
            return {**proof, "seal": {"head": text, "signature": base64.b64encode(made.stdout).decode()}}

        check("who trusts their key believes their seal", holds(by_them({}), theirs), proof)
        check("a seal of another form is none", not holds(by_them({"form": "jhe-audit-seal/2"}), theirs), head)
