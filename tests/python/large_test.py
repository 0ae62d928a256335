"""The jobs of a deployment over many observations, one after another: encryption, backup, drill, export, erasure, deletion by policy. What each leaves is
counted in the database, and no process may take more memory for more rows.

`make test-large`: a million, or ROWS. Not part of `make test`.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from database import issue_token, psql
from suite import Suite

ROOT = Path(__file__).resolve().parent.parent.parent
JHE = Path(os.environ.get("JHE") or Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "jhe")
ROWS = int(os.environ.get("LARGE_ROWS", "1000000"))
DATABASE = "large"
STUDY, PRACTITIONER, PATIENT, ACCOUNT = 39001, 19000, 100001, 200001
# The most that a process may take, whatever the number of rows: debug builds are larger than what is released.
MOST_MB = 256
POLICY = "UPDATE retention_floor SET minimum_days = 1, notice_days = 1; INSERT INTO retention_policy (by_age, changed_by) VALUES (30, 19000)"
NOTICED = "UPDATE retention_plan SET noticed_at = noticed_at - interval '2 days', delete_after = delete_after - interval '2 days' WHERE noticed_at IS NOT NULL"
suite = Suite()


class Site:
    """A database with many observations, and the commands that an operator has for it."""

    def __init__(self, home: str):
        self.environment = {
            **os.environ, "DB_NAME": DATABASE, "JHE_HOME": home, "BACKUP_TO": f"{home}/backups", "EXPORTS": f"{home}/exports", "PORT": "0",
            "LOG_LEVEL": "error", "RATE_LIMIT_PER_MINUTE": "0",
        }
        psql("postgres", "-c", f"CREATE DATABASE {DATABASE} TEMPLATE jhe_template")
        psql(DATABASE, "-v", f"rows={ROWS}", "-v", "chunk=50000", "-f", str(ROOT / "tests/bench/world.sql"))

    def run(self, *words: str) -> dict:
        """A command: its report. It must end well, and in bounded memory."""
        began = time.monotonic()
        process = subprocess.Popen([JHE, *words], env=self.environment, stdout=subprocess.PIPE, text=True)
        report = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        megabytes = usage.ru_maxrss / 1024
        print(f"jhe {' '.join(words)}: {time.monotonic() - began:.1f} s, {megabytes:.0f} MB", flush=True)
        assert status == 0, f"jhe {' '.join(words)} ends well"
        assert megabytes < MOST_MB, f"jhe {' '.join(words)} takes {megabytes:.0f} MB"
        return json.loads(report)

    def count(self, what: str) -> int:
        return int(psql(DATABASE, "-c", f"SELECT count(*) FROM {what}"))


class Host:
    """A host of the site while it is needed."""

    def __init__(self, site: Site):
        self.process = subprocess.Popen([JHE], env=site.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        while not line.startswith("ready: "):
            line = self.process.stdout.readline()
        self.base = line.split()[1]

    def __enter__(self) -> "Host":
        return self

    def __exit__(self, *_) -> None:
        self.process.kill()
        self.process.wait()

    def send(self, token: str, path: str, method: str = "GET", body: dict | None = None, **headers: str):
        url = path if path.startswith("http") else self.base + path
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", **headers}
        request = urllib.request.Request(url, json.dumps(body).encode() if body else None, headers, method=method)
        return urllib.request.urlopen(request)

    def memory(self) -> float:
        """The most that it took, in megabytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


@suite.test
def encrypted_and_backed_up(site: Site) -> None:
    site.run("encrypt-payloads", "--now")
    assert site.count("observation WHERE content IS NOT NULL") == 0, "no payload is in the clear"
    rows = site.run("backup")["rows"]
    assert rows > ROWS, f"{rows} rows are in the backup"
    drill = site.run("backup", "verify")
    assert drill["outcome"] == "passed", f"the backup is restored and compared: {drill}"


@suite.test
def exported(site: Site) -> None:
    token = issue_token(DATABASE, PRACTITIONER)
    with Host(site) as host:
        began = time.monotonic()
        started = host.send(token, f"/FHIR/R5/Group/{STUDY}/$export?_type=Observation", Prefer="respond-async", Accept="application/fhir+json")
        status = started.headers["Content-Location"]
        site.run("exports")
        answer = host.send(token, status)
        while answer.status == 202:
            time.sleep(0.2)
            answer = host.send(token, status)
        manifest = json.load(answer)
        print(f"export: {time.monotonic() - began:.1f} s, {len(manifest['output'])} files", flush=True)
        # Not kept here: what a process takes is counted from what this one had.
        ids = subprocess.Popen(["sort", "-u"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        lines = 0
        for file in manifest["output"]:
            for line in host.send(token, file["url"]):
                lines += 1
                ids.stdin.write(f"{json.loads(line)['id']}\n")
        ids.stdin.close()
        different = sum(1 for _ in ids.stdout)
        assert lines == different == ROWS, f"each observation is in the export once: {different} in {lines} lines, of {ROWS}"
        assert host.memory() < MOST_MB, f"the host takes {host.memory():.0f} MB"


@suite.test
def erased(site: Site) -> None:
    token = issue_token(DATABASE, ACCOUNT)
    of_patient = f"observation WHERE patient_id = {PATIENT}"
    had = site.count(of_patient)
    with Host(site) as host:
        told = json.load(host.send(token, "/api/v1/patients/me/erasure"))
        host.send(token, "/api/v1/patients/me/erasure", "POST", {"confirmation": told["confirmation"]})
    site.run("erase")
    assert had > 0 and site.count(of_patient) == 0, f"{had} observations of the patient are erased"
    assert site.count("observation") == ROWS - had, "and no others"


@suite.test
def deleted_by_policy(site: Site) -> None:
    psql(DATABASE, "-c", POLICY)
    due = site.count("observation WHERE effective_end < now() - interval '30 days'")
    site.run("retention", "run", "--now")
    psql(DATABASE, "-c", NOTICED)
    deleted, more = 0, True
    while more:
        report = site.run("retention", "run")
        deleted, more = deleted + report["of"].get("observation", 0), report["more"]
    assert due > 0 and deleted == due, f"{deleted} of {due} observations are deleted by policy"


def main() -> int:
    if "JHE_SCRATCH" not in os.environ:
        return subprocess.run([JHE, "with-database", sys.executable, *sys.argv]).returncode
    with tempfile.TemporaryDirectory() as home:
        status = suite.run(Site(home))
    psql("postgres", "-c", f"DROP DATABASE {DATABASE} WITH (FORCE)")
    return status


if __name__ == "__main__":
    sys.exit(main())
