"""The function that rotates the signing keys, under the Lambda runtime, with keys in KMS and their ring in Secrets Manager."""

import json
from datetime import datetime, timedelta, timezone

from lambda_world import World
from runtime_api import FunctionProcess

FUNCTION = "oauth-rotate-keys"


class Keys:
    """What moto has of the keys of a world."""

    def __init__(self, world: World):
        self.world = world
        self.kms = world.client("kms")
        self.secrets = world.client("secretsmanager")

    @property
    def ring(self) -> dict:
        return json.loads(self.secrets.get_secret_value(SecretId=self.world.ring)["SecretString"])

    def arns(self) -> list[str]:
        """The keys in the ring: the current, the next and the previous one."""
        ring = self.ring
        return [key["kms"] for key in (ring["current"], ring["next"], ring["previous"]) if key]

    def age(self) -> None:
        """Moves all times back by two days: that of the rotation, and those of the keys in KMS."""
        ring = self.ring
        rotated = datetime.fromisoformat(ring["rotated_at"]) - timedelta(days=2)
        ring["rotated_at"] = rotated.astimezone(timezone.utc).isoformat()
        self.secrets.put_secret_value(SecretId=self.world.ring, SecretString=json.dumps(ring))
        for key in self.world.keys_in_kms():
            key.creation_date -= timedelta(days=2).total_seconds()

    def states(self) -> dict[str, str]:
        """The state of every key of the account."""
        arns = [key["KeyArn"] for key in self.kms.list_keys()["Keys"]]
        return {arn: self.kms.describe_key(KeyId=arn)["KeyMetadata"]["KeyState"] for arn in arns}

    def strange(self, tag: str) -> str:
        """A key that is of another ring, or of none."""
        tags = [{"TagKey": tag, "TagValue": "another"}]
        return self.kms.create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY", Tags=tags)["KeyMetadata"]["Arn"]


def rotate(process: FunctionProcess, event: dict) -> dict | str:
    """The function's report, or its error."""
    try:
        return process.invoke(event)
    except RuntimeError as error:
        return str(error)


def run(process: FunctionProcess, keys: Keys, check) -> None:
    """The first keys, then rotations: due, too early, lost on the way. `check(what, good, detail)` counts."""
    made = rotate(process, {})
    check("the first call makes keys in KMS", made["outcome"] == "made" and len(keys.arns()) == 2, made)
    check("they are of the size that is set", keys.kms.describe_key(KeyId=keys.arns()[0])["KeyMetadata"]["KeySpec"] == "RSA_2048", made)
    check("no private key is in the secret", "PRIVATE" not in json.dumps(keys.ring), keys.ring)
    idle = rotate(process, {})
    check("the next call has nothing to do", idle["outcome"] == "not due" and idle["keys"] == made["keys"], idle)
    early = rotate(process, {"now": True})
    check("nobody rotates too early", "a short while ago" in early, early)

    others = [keys.strange("jhe-ring"), keys.strange("owner")]
    before = keys.arns()
    keys.age()
    turned = rotate(process, {"now": True})
    check("keys move up", turned["outcome"] == "rotated" and [keys.arns()[0], keys.arns()[2]] == [before[1], before[0]], turned)
    # A rotation that was cut off after it made a key: nothing names it.
    ring_tag = [{"TagKey": "jhe-ring", "TagValue": keys.ring["id"]}]
    lost = keys.kms.create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY", Tags=ring_tag)["KeyMetadata"]["Arn"]
    check("a key that was just made is left alone", rotate(process, {})["ended"] == 0 and keys.states()[lost] == "Enabled", keys.states())
    oldest = keys.arns()[2]
    keys.age()
    turned = rotate(process, {"now": True})
    states = keys.states()
    check("two keys end: the one that dropped out, and the one that was lost", turned["ended"] == 2, turned)
    check("they are the ones", {arn for arn in states if states[arn] == "PendingDeletion"} == {oldest, lost}, states)
    check("keys of others stay", all(states[arn] == "Enabled" for arn in others + keys.arns()), states)
    check("ending is not repeated", rotate(process, {})["ended"] == 0, keys.states())
