"""Snapshots of the database in RDS, under the Lambda runtime: taken, copied to a second region under its key, pruned, and checked."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cut import Way
from lambda_backups import invoke
from lambda_world import AWS, World
from runtime_api import FunctionProcess

FUNCTION = "rds-snapshots"
INSTANCE, SECOND = "jhe", "eu-west-1"
TAGS = [{"Key": "jhe-snapshot", "Value": INSTANCE}]
# How often it is killed.
POINTS = 20


def name(days: float) -> str:
    """What a snapshot is called that was taken so many days ago."""
    return f"{INSTANCE}-{datetime.now(UTC) - timedelta(days=days):%Y%m%dt%H%M%S}"


class Instance:
    """An instance in RDS, a key in each region, and the settings that lead there."""

    def __init__(self, world: World):
        import boto3

        def client(service: str, region: str):
            return boto3.client(service, endpoint_url=world.url, region_name=region)

        self.here, self.there = client("rds", AWS["AWS_REGION"]), client("rds", SECOND)
        own = client("kms", AWS["AWS_REGION"]).create_key()["KeyMetadata"]["Arn"]
        self.key = client("kms", SECOND).create_key()["KeyMetadata"]["Arn"]
        self.here.create_db_instance(
            DBInstanceIdentifier=INSTANCE, DBInstanceClass="db.t4g.medium", Engine="postgres", AllocatedStorage=20,
            MasterUsername="jhe", MasterUserPassword="not-a-secret", StorageEncrypted=True, KmsKeyId=own,
        )
        self.environment = {"RDS_ENGINE": "postgres", "RDS_INSTANCE_ID": INSTANCE, "RDS_COPY_REGION": SECOND, "RDS_COPY_KEY_ARN": self.key}

    @staticmethod
    def snapshots(region) -> dict[str, dict]:
        found = region.describe_db_snapshots(DBInstanceIdentifier=INSTANCE, SnapshotType="manual")["DBSnapshots"]
        return {snapshot["DBSnapshotIdentifier"]: snapshot for snapshot in found}

    def add(self, names: list[str], tags: list[dict]) -> None:
        for one in names:
            self.here.create_db_snapshot(DBInstanceIdentifier=INSTANCE, DBSnapshotIdentifier=one, Tags=tags)

    def clear(self) -> None:
        for region in [self.here, self.there]:
            for one in self.snapshots(region):
                region.delete_db_snapshot(DBSnapshotIdentifier=one)

    def state(self, known: list[str]) -> list[list[tuple[str, bool, bool]]]:
        """What is in both regions. What is not known is called new, since its name is the time at which it was taken."""
        return [
            sorted((one if one in known else "new", it["Encrypted"], TAGS[0] in it["TagList"]) for one, it in self.snapshots(region).items())
            for region in [self.here, self.there]
        ]


def run(binary: Path, instance: Instance, environment: dict[str, str], check: Callable[..., None]) -> None:
    """The first day, and one after some years."""
    with FunctionProcess(binary, environment) as process:
        first = invoke(process, {})
        check("a snapshot is taken", isinstance(first, dict) and first["taken"] in instance.snapshots(instance.here), first)
        taken = instance.snapshots(instance.here).get(first["taken"], {})
        check("it is encrypted and tagged", taken.get("Encrypted") and TAGS[0] in taken.get("TagList", []), taken)
        again = invoke(process, {})
        check("not twice a day", again["taken"] is None, again)
        copies = instance.snapshots(instance.there)
        copy = copies.get(first["taken"], {})
        check("it is copied to the second region", again["copied"] == [first["taken"]] == list(copies), (again, copies))
        check("under that region's key", (copy.get("KmsKeyId"), copy.get("Encrypted")) == (instance.key, True), copy)
        check("with its tag", TAGS[0] in copy.get("TagList", []), copy)
        quiet = invoke(process, {})
        check("then there is nothing to do", (quiet["taken"], quiet["copied"], quiet["forgotten"]) == (None, [], 0), quiet)

        # The last fifty days, with one of somebody else among them.
        old = [name(days) for days in range(1, 51)]
        instance.add(old, TAGS)
        instance.add(["jhe-before-the-upgrade"], [])
        pruned = invoke(process, {})
        left = instance.snapshots(instance.here)
        check("what the policy does not keep is deleted", 35 < pruned["snapshots"] < 48 and pruned["forgotten"] == 51 - pruned["snapshots"], pruned)
        check("the last five weeks are all there", all(one in left for one in [first["taken"], *old[:34]]), sorted(left))
        check("nobody else's is touched", "jhe-before-the-upgrade" in left, sorted(left))
        check("a few are copied at once", pruned["copied"] == old[:5], pruned)

        untagged = name(0.5)
        instance.add([untagged], [])
        told = invoke(process, {})
        check("one without the tag is told", f"{untagged} is not tagged" in str(told), told)
        check("and not deleted", untagged in instance.snapshots(instance.here), told)
        instance.here.delete_db_snapshot(DBSnapshotIdentifier=untagged)
        check("then all is well", invoke(process, {})["outcome"] == "done")
        lost = {**environment, "RDS_INSTANCE_ID": "gone"}
    with FunctionProcess(binary, lost) as process:
        gone = invoke(process, {})
        check("an instance that is not there is a failure", "RDS did not take a snapshot" in str(gone), gone)
    with FunctionProcess(binary, {**environment, "RDS_ENGINE": "aurora"}) as process:
        aurora = invoke(process, {})
        check("Aurora has none", aurora == {"outcome": "not for Aurora"}, aurora)


def killed_anywhere(binary: Path, instance: Instance, environment: dict[str, str], url: str, check: Callable[..., None]) -> None:
    """Killed before or after any of its requests, it ends as if it had not been."""
    old = [name(days) for days in range(1, 12)]
    environment = {**environment, "BACKUP_KEEP_DAYS": "4", "BACKUP_KEEP_WEEKS": "1", "BACKUP_KEEP_MONTHS": "1", "BACKUP_KEEP_YEARS": "1"}

    def ends(environment: dict[str, str]) -> list:
        with FunctionProcess(binary, environment) as process:
            report = invoke(process, {})
            while isinstance(report, dict) and (report["taken"] or report["copied"] or report["forgotten"]):
                report = invoke(process, {})
        return [isinstance(report, dict), *instance.state(old)]

    def begins() -> None:
        instance.clear()
        instance.add(old, TAGS)

    with Way(url) as way:
        by_way = {**environment, "AWS_ENDPOINT_URL": way.url}
        begins()
        way.let_through()
        with FunctionProcess(binary, by_way) as process:
            invoke(process, {})
        points = way.points
        expected = ends(by_way)
        check("there are points enough to kill it at", points >= POINTS and expected[0] and len(expected[1]) < len(old), (points, expected))
        for number in range(POINTS):
            begins()
            with FunctionProcess(binary, by_way) as process:
                way.cut_at(points * number // POINTS, process.kill)
                told = invoke(process, {})
                was_cut = way.was_cut
            way.let_through()
            found = ends(by_way)
            check("killed anywhere, it ends the same", was_cut and "killed" in told and found == expected, (number, told, found, expected))


def everything(world: World, binaries: Path, check: Callable[..., None]) -> None:
    instance = Instance(world)
    environment = {**world.by_secret, **instance.environment}
    run(binaries / FUNCTION, instance, environment, check)
    killed_anywhere(binaries / FUNCTION, instance, environment, world.url, check)
