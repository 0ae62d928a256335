"""The functions of backups, under the Lambda runtime: a backup in S3 under Object Lock with keys of KMS, and the drill that restores it."""

import json
import os
from pathlib import Path

import lambda_seals
from database import psql
from lambda_world import World
from runtime_api import FunctionProcess

CREATE, VERIFY = "backup-create", "backup-verify"
FUNCTIONS = {CREATE, VERIFY}
BUCKET = "jhe-backups"


class Place:
    """A bucket as the deployment makes it, the keys, and the settings that lead there."""

    def __init__(self, world: World, seals: lambda_seals.Place):
        self.world = world
        self.seals = seals
        self.s3 = world.client("s3")
        region = world.by_secret["AWS_REGION"]
        where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        self.s3.create_bucket(Bucket=BUCKET, ObjectLockEnabledForBucket=True, **where)
        rule = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 35}}}
        self.s3.put_object_lock_configuration(Bucket=BUCKET, ObjectLockConfiguration=rule)
        kms = world.client("kms")
        self.key = kms.create_key()["KeyMetadata"]["Arn"]
        self.signs = kms.create_key(KeySpec="ECC_NIST_P384", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
        owner = {name: os.environ[name] for name in ("DB_OWNER_USER", "DB_OWNER_PASSWORD")}
        self.environment = {**owner, "BACKUP_TO": f"s3://{BUCKET}/jhe", "BACKUP_SIGNING_KEY_ARN": self.signs}

    def of(self, function: str) -> dict[str, str]:
        """The settings of a function."""
        more = {"BACKUP_KEY_ARN": self.key} if function == CREATE else self.seals.checked
        return {**self.environment, **more}

    def names(self) -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return [found["Key"] for page in pages for found in page.get("Contents", [])]


def invoke(process: FunctionProcess, event: dict) -> dict | str:
    """The function's report, or its error."""
    try:
        return process.invoke(event)
    except RuntimeError as error:
        return str(error)


def run(binaries: Path, place: Place, environment, check) -> None:
    """A backup, a drill of it, and one of a broken one. `environment(function)` gives the settings; `check(what, good, detail)` counts."""
    with FunctionProcess(binaries / CREATE, environment(CREATE)) as create, FunctionProcess(binaries / VERIFY, environment(VERIFY)) as verify:
        early = invoke(verify, {})
        check("before the first backup there is nothing to try", isinstance(early, dict) and early["outcome"] == "no backup yet", early)
        early = invoke(verify, {"now": True})
        check("a drill without a backup fails", "there is no complete backup" in early, early)
        made = invoke(create, {})
        check("a backup is made", isinstance(made, dict) and made["outcome"] == "made", made)
        again = invoke(create, {})
        check("not twice a day", again["outcome"] == "not due", again)
        prefix = f"jhe/{made['backup']}/"
        names = place.names()
        check("all of it is below one name", len(names) > 20 and all(name.startswith(prefix) for name in names), names)
        manifest = json.loads(place.s3.get_object(Bucket=BUCKET, Key=prefix + "manifest.json")["Body"].read())
        wrapped = json.loads(manifest["manifest"])["key"]
        check("the data key is wrapped by KMS", wrapped["kms"]["key"] == place.key, wrapped)
        mode = place.s3.head_object(Bucket=BUCKET, Key=prefix + "manifest.json").get("ObjectLockMode")
        check("nobody deletes it", mode == "COMPLIANCE", mode)
        drill = invoke(verify, {"now": True})
        check("the drill passes", isinstance(drill, dict) and drill["outcome"] == "passed" and drill["rows"] == made["rows"] > 100, drill)
        check("with the seals of its audit", drill["audit"]["seals"] == 2 and drill["audit"]["events"] > 2, drill)
        left = psql("postgres", "-c", "SELECT count(*) FROM pg_database WHERE datname LIKE '%\\_drill'")
        check("its database is gone", left == "0", left)
        # Under another name in the bucket, with a chunk of another table: newer by its name, and broken.
        for name in names:
            copied = name.replace(made["backup"], "9" + made["backup"][1:])
            body = place.s3.get_object(Bucket=BUCKET, Key=name)["Body"].read()
            place.s3.put_object(Bucket=BUCKET, Key=copied, Body=body, ChecksumAlgorithm="SHA256")
        moved = invoke(verify, {"now": True})
        check("a drill of what was moved fails", "the manifest is not readable" in moved, moved)


def everything(world: World, seals: lambda_seals.Place, binaries: Path, check) -> None:
    place = Place(world, seals)
    run(binaries, place, lambda function: {**world.by_secret, **place.of(function)}, check)
