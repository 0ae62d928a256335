"""How long requests wait while observations are deleted by policy: retention.py [observations], a million without it.

Run by `jhe with-database`. A host serves searches, uploads and decisions of patients, each kind by a connection of its own, one request after another:
first without anything else, then while `jhe retention run` deletes.
"""

import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from urllib.parse import urlsplit

from host import JHE, fill, rows_asked_for  # It makes `database` known.
from database import issue_token, psql

DATABASE = "bench_retention"
# The patients whose observations are deleted first, by the order of their numbers, and the last ones.
PATIENTS = 1000
POLICY = """
UPDATE retention_floor SET minimum_days = 1, notice_days = 1;
INSERT INTO retention_policy (by_age, changed_by) VALUES (30, 19000);"""
PASSED = "UPDATE retention_plan SET noticed_at = noticed_at - interval '2 days', delete_after = delete_after - interval '2 days' WHERE noticed_at IS NOT NULL"
POINT = """{"header":{"uuid":"%s","schema_id":{"namespace":"omh","name":"blood-pressure","version":"4.0"},"source_creation_date_time":"2025-09-21T19:55:00Z","modality":"sensed","external_datasheets":[{"datasheet_type":"manufacturer","datasheet_reference":"CareX"}]},"body":{"systolic_blood_pressure":{"unit":"mmHg","value":122},"diastolic_blood_pressure":{"unit":"mmHg","value":77},"effective_time_frame":{"date_time":"2025-09-21T19:55:00Z"}}}"""


class Load:
    """Requests of one kind, one after another, and how long each took."""

    def __init__(self, base: str, name: str, request):
        self.name, self.request, self.times, self.going = name, request, [], True
        self.connection = http.client.HTTPConnection(urlsplit(base).netloc)
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        number = 0
        while self.going:
            method, path, token, body = self.request(number)
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            began = time.monotonic()
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
            answer.read()
            self.times.append(time.monotonic() - began)
            if answer.status >= 400:
                raise SystemExit(f"{self.name}: {answer.status}")
            number += 1

    def end(self) -> str:
        self.going = False
        self.thread.join()
        times = sorted(self.times)
        return f"{self.name} {len(times)}, median {times[len(times) // 2] * 1e3:.1f} ms, p99 {times[len(times) * 99 // 100] * 1e3:.1f} ms, longest {times[-1] * 1e3:.1f} ms"


def loads(base: str) -> list[Load]:
    practitioner = issue_token(DATABASE, 19000)
    patients = {number: issue_token(DATABASE, 200000 + number) for number in range(0, PATIENTS, 100)}
    chosen = list(patients)

    def upload(number: int):
        patient = chosen[number % len(chosen)]
        import base64

        value = base64.b64encode((POINT % uuid.uuid4()).encode()).decode()
        body = {
            "resourceType": "Observation", "status": "final", "subject": {"reference": f"Patient/{100000 + patient}"},
            "device": {"reference": "Device/70001"}, "identifier": [{"system": "https://bench.example", "value": str(uuid.uuid4())}],
            "code": {"coding": [{"system": "https://w3id.org/openmhealth", "code": "omh:blood-pressure:4.0"}]},
            "valueAttachment": {"contentType": "application/json", "data": value},
        }
        return "POST", "/FHIR/R5/Observation", patients[patient], json.dumps(body)

    def decide(number: int):
        patient = chosen[number % len(chosen)]
        scope = {"codingSystem": "https://w3id.org/openmhealth", "codingCode": "omh:blood-pressure:4.0", "consented": True}
        body = {"studyScopeConsents": [{"studyId": 39001, "scopeConsents": [scope]}]}
        return "PATCH", f"/api/v1/patients/{100000 + patient}/consents", patients[patient], json.dumps(body)

    def search(number: int):
        return "GET", f"/FHIR/R5/Observation?patient={100000 + number * 37 % PATIENTS}&_count=100", practitioner, None

    def study(number: int):
        return "GET", "/FHIR/R5/Observation?patient._has:Group:member:_id=39001&_count=100", practitioner, None

    kinds = {"searches by patient": search, "searches by study": study, "uploads": upload, "decisions": decide}
    return [Load(base, name, request) for name, request in kinds.items()]


def measured(base: str, what: str, work) -> None:
    running = loads(base)
    for load in running:
        load.thread.start()
    work()
    print(what, flush=True)
    for load in running:
        print(f"    {load.end()}", flush=True)


def main() -> None:
    observations = rows_asked_for()
    fill(DATABASE, observations)
    psql(DATABASE, "-c", POLICY)
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "DB_NAME": DATABASE, "JHE_HOME": home, "LOG_LEVEL": "error", "RATE_LIMIT_PER_MINUTE": "0"}

        def run(*words: str) -> dict:
            return json.loads(subprocess.run([JHE, "retention", *words], env=environment, check=True, capture_output=True, text=True).stdout)

        began = time.monotonic()
        announced = run("run", "--now")["announced"]
        print(f"{JHE.parent.name} build, {observations} observations; announcing {announced} lanes: {time.monotonic() - began:.0f} s", flush=True)
        host = subprocess.Popen([JHE], env={**environment, "PORT": "0"}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        try:
            base = host.stdout.readline().split()[1]
            measured(base, "alone", lambda: time.sleep(30))

            def delete() -> None:
                began, deleted, longest = time.monotonic(), 0, 0
                psql(DATABASE, "-c", PASSED)
                while True:
                    done = run("run")
                    deleted += done["of"].get("observation", 0)
                    longest = max(longest, done["longest_batch_ms"])
                    if not done["more"]:
                        break
                print(f"deleted {deleted} in {time.monotonic() - began:.0f} s, the longest batch {longest} ms", flush=True)

            measured(base, "while observations are deleted", delete)
        finally:
            host.kill()
    psql("postgres", "-c", f"DROP DATABASE {DATABASE} WITH (FORCE)")


if __name__ == "__main__":
    main()
