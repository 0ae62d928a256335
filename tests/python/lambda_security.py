"""The security monitor under the Lambda runtime: whoever subscribes to the topic in SNS is told where to look, and once."""

import json
import re
from collections.abc import Callable

from database import psql
from lambda_world import World
from runtime_api import FunctionProcess

FUNCTION = "security-monitor"

# Wrong passwords for Mary's account.
INCIDENT = """
INSERT INTO audit_event (request_id, actor_type, action, resource_type, organization_ids, study_ids, patient_ids, observation_ids,
                         outcome, refused_by, privileged, source_address, subject_user_id)
SELECT 'planted', 'anonymous', 'execute', 'Session', '{}', '{}', '{}', '{}', 'denied', 'token', false, '198.51.100.' || n, 10002
  FROM generate_series(1, 12) n"""


class Topic:
    """The topic of moto, and a queue of this name that subscribes to it."""

    def __init__(self, world: World, queue: str = "told"):
        sns, self.sqs = world.client("sns"), world.client("sqs")
        self.arn = sns.create_topic(Name="security")["TopicArn"]
        self.queue = self.sqs.create_queue(QueueName=queue)["QueueUrl"]
        attributes = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])["Attributes"]
        sns.subscribe(TopicArn=self.arn, Protocol="sqs", Endpoint=attributes["QueueArn"])

    def messages(self) -> list[dict]:
        received = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10)
        return [json.loads(message["Body"]) for message in received.get("Messages", [])]


def run(process: FunctionProcess, topic: Topic, world: World, check: Callable[..., None]) -> None:
    """An incident, and two calls."""
    first = process.invoke({})
    check("the security monitor finds nothing in a quiet world", (first["new_findings"], first["told"]) == (0, 0), first)
    psql(world.database, "-c", INCIDENT)
    found, again = process.invoke({}), process.invoke({})
    counts = [(report["new_findings"], report["told"]) for report in (found, again)]
    check("an incident is found and told once", counts == [(1, 1), (0, 0)], counts)
    told = topic.messages()
    good = len(told) == 1 and re.search(r"\nfailed_sign_ins_of_account\nhttps://jhe\.example/api/v1/security-findings/\d+\n", told[0]["Message"])
    check("SNS is told where to look", bool(good), told)
    check("and nothing about anybody", not re.search(r"10002|198\.51|@|[Mm]ary", str(told and told[0]["Message"])), told)
