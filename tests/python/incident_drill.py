"""The runbook of docs/incident-response.md on the demo world, from the theft of a token to the review.

Runs the commands of the runbook, with the times of the drill in them, and fails when the runbook has one that it did not run.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

import requests
from demo import Person
from instance import JHE, ROOT, Instance
from suite import Suite

RUNBOOK = (ROOT / "docs/incident-response.md").read_text()
VICTIM, PATIENT, OTHER = "viewer_victor", 40001, 40002
FROM, TO = "2026-03-01T09:00:00Z", "2026-03-01T17:00:00Z"
drill = Suite()


class Incident:
    """An instance, what was stolen there, and what the operator has done."""

    def __init__(self, jhe: Instance, directory: Path):
        self.jhe = jhe
        self.notices = directory / "notices"
        self.token = jhe.token(VICTIM)
        self.thief = Person(jhe.base, self.token)
        self.ran: set[str] = set()
        self.began = self.ended = ""
        self.read: set[int] = set()

    def operator(self, command: str) -> str:
        """Runs a command as the runbook has it: with the times of this incident, and in this place."""
        self.ran.add(command)
        words = shlex.split(command.replace(FROM, self.began).replace(TO, self.ended))
        words = [str(JHE) if word == "jhe" else str(self.notices) if word == "notices" else word for word in words]
        environment = {**os.environ, "JHE_HOME": self.jhe.home.name, "LOG_LEVEL": "off"}
        environment.pop("DB_HOST", None)
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def audit(self, columns: str, condition: str) -> list[str]:
        """Rows of the audit, as its owner reads them."""
        home = Path(self.jhe.home.name)
        environment = {
            **os.environ,
            "PGHOST": "127.0.0.1",
            "PGPORT": (home / "postgres/data/postmaster.pid").read_text().splitlines()[3],
            "PGUSER": "jhe_owner",
            "PGPASSWORD": (home / "secrets/db_owner_password").read_text().strip(),
            "PGDATABASE": "jhe",
            "PGSSLMODE": "require",
        }
        statement = f"SELECT {columns} FROM audit_event WHERE {condition} ORDER BY id"
        done = subprocess.run(["psql", "-qXAt", "-c", statement], env=environment, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    def can_sign_in(self) -> bool:
        session = requests.Session()
        page = session.get(f"{self.jhe.base}/accounts/login/").text
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)[1]
        user = self.jhe.demo["users"][VICTIM]
        form = {"csrfmiddlewaretoken": token, "next": "/", "username": user["email"], "password": user["password"]}
        return session.post(f"{self.jhe.base}/accounts/login/", data=form, allow_redirects=False).status_code == 302


def now() -> str:
    return datetime.now(timezone.utc).isoformat().replace("+00:00", "Z")


@drill.test
def a_stolen_token_reads_data(incident: Incident) -> None:
    incident.began = now()
    bundle = incident.thief.call("GET", f"/FHIR/R5/Observation?patient={PATIENT}")
    incident.read = {int(entry["resource"]["id"]) for entry in bundle["entry"]}
    assert incident.read
    # Others work on, and what the thief may not see stays unseen.
    mary = Person(incident.jhe.base, incident.jhe.token("manager_mary"))
    assert mary.call("GET", f"/FHIR/R5/Observation?patient={OTHER}")["entry"]
    incident.thief.call("GET", "/FHIR/R5/Observation?patient=40005", expect=403)


@drill.test
def contained(incident: Incident) -> None:
    report = json.loads(incident.operator('jhe contain --user viewer_victor@example.com --reason "notebook stolen, ticket 17"'))
    assert report["changed"] == 1 and report["ended"]["accessTokens"] >= 1, report
    incident.thief.call("GET", f"/FHIR/R5/Observation?patient={PATIENT}", expect=401)
    assert not incident.can_sign_in()
    incident.ended = now()


@drill.test
def keys_replaced(incident: Incident) -> None:
    ring = Path(incident.jhe.home.name, "secrets/signing_keys.json")
    document = json.loads(ring.read_text())
    # The keys of the demo world are of today, and keys move up once a day at most.
    document["rotated_at"] = (datetime.now(timezone.utc) - timedelta(days=2)).isoformat().replace("+00:00", "Z")
    ring.write_text(json.dumps(document))
    assert json.loads(incident.operator("jhe rotate-keys --now"))["outcome"] == "rotated"


@drill.test
def assessed(incident: Incident) -> None:
    printed = incident.operator(f"jhe exposed --from {FROM} --to {TO} --user viewer_victor@example.com")
    found = json.loads(printed)
    assert [patient["patient"] for patient in found["patients"]] == [PATIENT], found
    shown = {number for exposure in found["patients"][0]["exposures"] for number in exposure["observations"]}
    assert shown == incident.read, (shown, incident.read)
    assert found["total"]["observations"] == len(incident.read), found
    assert "@" not in printed


@drill.test
def notified(incident: Incident) -> None:
    incident.operator(f"jhe exposed --from {FROM} --to {TO} --user viewer_victor@example.com --notices notices")
    notices = {path.name: path for path in incident.notices.iterdir()}
    expected = {f"patient-{PATIENT}.txt", "controller-20003.txt", "hhs.txt", "supervisory-authority.txt"}
    assert set(notices) == expected, notices
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in notices.values())
    letter = notices[f"patient-{PATIENT}.txt"].read_text()
    assert "ll_patient_peter@example.com" in letter and "mmHg" not in letter, letter
    assert "Individuals affected: 1\n" in notices["hhs.txt"].read_text()


@drill.test
def on_record(incident: Incident) -> None:
    measure = incident.audit("reason_of(id, occurred_at), detail->>'measure', actor_type", "resource_type = 'Containment'")
    assert measure == ["notebook stolen, ticket 17|contain|system"], measure
    questions = incident.audit("detail->>'contacts'", "resource_type = 'Exposure' AND actor_type = 'system'")
    assert questions == ["false", "true"], questions
    peter = Person(incident.jhe.base, incident.jhe.token("ll_patient_peter"))
    log = peter.call("GET", "/api/v1/patients/me/access-log")["results"]
    views = [row for row in log if row["action"] == "search" and (row["actor"] or {}).get("email", "").startswith(VICTIM)]
    assert any({int(number) for number in row["observationIds"]} == incident.read for row in views), log


@drill.test
def released_and_nothing_revived(incident: Incident) -> None:
    incident.operator("jhe contain --user viewer_victor@example.com --release")
    assert incident.can_sign_in()
    incident.thief.call("GET", f"/FHIR/R5/Observation?patient={PATIENT}", expect=401)


@drill.test
def every_command_of_the_runbook_was_run(incident: Incident) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```", RUNBOOK, re.DOTALL | re.MULTILINE)
    commands = {line for block in blocks for line in block.splitlines() if line}
    assert commands == incident.ran, commands ^ incident.ran
    # What cannot be run here is not among them.
    others = [line for line in RUNBOOK.splitlines() if line.startswith("    ")]
    assert all(line.startswith("    aws lambda invoke --function-name STACK-contain ") for line in others), others
    payload = json.loads(re.search(r"--payload '([^']+)'", others[0])[1])
    assert set(payload) == set(json.loads((ROOT / "events/contain.json").read_text())), payload


if __name__ == "__main__":
    with Instance() as instance, tempfile.TemporaryDirectory() as scratch:
        sys.exit(drill.run(Incident(instance, Path(scratch))))
