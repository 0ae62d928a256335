"""The figures of docs/benchmarks.md: `make bench`, or `python tests/bench/bench.py NAME...` for some.

Everything goes through HTTP on the standalone host (release build), TLS (verify-full) to PostgreSQL, audit on, durable
commits. wrk makes the load on the same machine.
"""

import argparse
import base64
import json
import os
import re
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from audit import audit_cost, audit_search
from host import JHE, ROOT, Host, best, logged  # It makes `database` known.
from database import libpq, psql
from detection import detection
from encryption import encryption
from identity import identity
from lists import lists

STUDY = "patient._has:Group:member:_id=39001"

# The public implementation on such a machine, requests per second at 16 connections.
BASELINE = {"patient": 8.7, "study": 1.32}

BY_PATIENT = "/FHIR/R5/Observation?patient=100001&_count=100"
BY_STUDY = f"/FHIR/R5/Observation?{STUDY}&_count=100"
# Half an hour among the latest: 1,800 observations in each size of the world.
WINDOW = f"{BY_STUDY}&date=ge2025-12-31T22:00:00Z&date=lt2025-12-31T22:30:00Z"


def statement_of(host: Host, path: str) -> tuple[str, dict[str, str]]:
    """The statement that serves a request, and its parameters, from PostgreSQL's own log."""
    with logged(host) as log:
        host.get(path)
        text = log()
    found = re.findall(r"execute \w+: (WITH.*?)\n\S+ \S+ UTC \[\d+\] DETAIL:  parameters: (.*)\n", text, re.S)
    text, parameters = found[-1]
    values = {number: value for number, value in re.findall(r"\$(\d+) = (NULL|'(?:[^']|'')*')", parameters)}
    # It becomes one line, which a comment would end.
    text = re.sub(r"--[^\n]*", "", text)
    # A parameter that is NULL is written as such: pgbench has no variable for it.
    text = re.sub(r"\$(\d+)(?!\d|::)", lambda found: "NULL" if values[found[1]] == "NULL" else f":p{found[1]}{cast(values[found[1]])}", text)
    text = re.sub(r"\$(\d+)", lambda found: "NULL" if values[found[1]] == "NULL" else f":p{found[1]}", text)
    # pgbench takes two colons and a name for a cast, and one for a variable.
    return text, {number: value[1:-1].replace("''", "'") for number, value in values.items() if value != "NULL"}


def cast(value: str) -> str:
    """The type of a number: PostgreSQL does not guess those of two that are added."""
    number = re.fullmatch(r"'(-?\d+)'", value)
    return "" if not number else "::int4" if abs(int(number[1])) < 2**31 else "::int8"


def pgbench(host: Host, statement: tuple[str, dict[str, str]], mode: str) -> float:
    """The median in milliseconds of a statement over the same TLS, by pgbench: `prepared` once, or planned each time (`extended`)."""
    text, values = statement
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch, "statement.sql").write_text(text.replace("\n", " ") + ";\n")
        definitions = [f"-Dp{number}={value}" for number, value in values.items()]
        command = ["pgbench", "-n", "-M", mode, "-c1", "-T6", "-l", "-f", "statement.sql", *definitions]
        subprocess.run(command, cwd=scratch, env=libpq(os.environ["DB_USER"], os.environ["DB_PASSWORD"], host.database), check=True, capture_output=True)
        logs = [line.split() for path in Path(scratch).glob("pgbench_log*") for line in path.read_text().splitlines()]
    return statistics.median(int(fields[2]) for fields in logs) / 1000


def search() -> None:
    """Search, 100 per page, at 100,000 rows; and the same statement by pgbench."""
    host = Host(100_000)
    host.encrypt()
    for name, path in (("patient", BY_PATIENT), ("study", BY_STUDY)):
        host.wrk(path, 4, 2)
        medians = {}
        for connections in (1, 16):
            rate, medians[connections] = best(3, lambda path=path, connections=connections: host.wrk(path, connections))
            ratio = f", {rate / BASELINE[name]:.0f} times the public implementation" if connections == 16 else ""
            print(f"search by {name}, c={connections}: {rate:.0f} req/s, median {medians[connections]:.2f} ms{ratio}", flush=True)
        statement = statement_of(host, path)
        alone, unnamed = (pgbench(host, statement, mode) for mode in ("prepared", "extended"))
        print(f"the same statement by pgbench: median {alone:.2f} ms; through HTTP {medians[1] / alone:.2f} times that", flush=True)
        print(f"the same without a prepared statement, planned each time: median {unnamed:.2f} ms", flush=True)
    host.close()


def walk(host: Host, path: str, pages: int) -> str:
    """The link to a page so many pages on."""
    for _ in range(pages - 1):
        bundle = host.get(path)
        path = next(link["url"] for link in bundle["link"] if link["relation"] == "next")
    return path


def depth() -> None:
    """Page 1,000 against page 1, at 110,000 rows."""
    host = Host(110_000)
    deep = walk(host, BY_STUDY, 1000)
    host.wrk(BY_STUDY, 4, 2)
    for connections in (1, 16):
        pairs = [(host.wrk(BY_STUDY, connections, 4), host.wrk(deep, connections, 4)) for _ in range(5)]
        ratio = statistics.median(last[1] / first[1] for first, last in pairs)
        first, last = (statistics.median(pair[place][1] for pair in pairs) for place in (0, 1))
        print(f"c={connections}: page 1 {first:.2f} ms, page 1,000 {last:.2f} ms: {ratio:.2f} times", flush=True)
    host.close()


def scale() -> None:
    """The same search in ten thousand and in many (BENCH_ROWS, ten million) observations."""
    many = int(os.environ.get("BENCH_ROWS", "10000000"))
    small, large = Host(10_000), Host(many)
    for name, path in (("patient", BY_PATIENT.replace("_count=100", "_count=10")), ("study", BY_STUDY), ("study and window", WINDOW)):
        for host in (small, large):
            host.wrk(path, 4, 2)
        for connections in (1, 16):
            pairs = [(small.wrk(path, connections, 4), large.wrk(path, connections, 4)) for _ in range(5)]
            ratio = statistics.median(last[1] / first[1] for first, last in pairs)
            first, last = (statistics.median(pair[place][1] for pair in pairs) for place in (0, 1))
            print(f"by {name}, c={connections}: 10,000 rows {first:.2f} ms, {many:,} rows {last:.2f} ms: {ratio:.2f} times", flush=True)
    small.close()
    large.close()


UPLOAD = """
local n = 0
local thread_number = 0
function setup(thread) thread:set("id", thread_number); thread_number = thread_number + 1 end
function request()
  n = n + 1
  local body = string.gsub(TEMPLATE, "@@", id .. "-" .. RUN .. "-" .. n)
  return wrk.format("POST", nil, {["Content-Type"] = "application/json", ["Authorization"] = "Bearer " .. TOKEN}, body)
end
local stored = 0
function response(status, headers, body) end
"""


def batch(patient: int) -> str:
    """A bundle of 100 blood pressures; `@@` stands for what makes the identifiers new."""
    entries = []
    for number in range(100):
        point = {
            "header": {
                "uuid": "5b1f2a70-0000-4000-8000-%012d" % number,
                "schema_id": {"namespace": "omh", "name": "blood-pressure", "version": "4.0"},
                "source_creation_date_time": "2026-01-01T08:00:00Z",
                "modality": "sensed",
                "external_datasheets": [{"datasheet_type": "manufacturer", "datasheet_reference": "CareX"}],
            },
            "body": {
                "systolic_blood_pressure": {"unit": "mmHg", "value": 110 + number % 30},
                "diastolic_blood_pressure": {"unit": "mmHg", "value": 70 + number % 20},
                "effective_time_frame": {"date_time": "2026-01-01T%02d:%02d:00Z" % (number // 60, number % 60)},
            },
        }
        resource = {
            "resourceType": "Observation",
            "status": "final",
            "identifier": [{"system": "https://bench.example", "value": f"@@-{number}"}],
            "code": {"coding": [{"system": "https://w3id.org/openmhealth", "code": "omh:blood-pressure:4.0"}]},
            "subject": {"reference": f"Patient/{patient}"},
            "device": {"reference": "Device/70001"},
            "valueAttachment": {"contentType": "application/json", "data": base64.b64encode(json.dumps(point).encode()).decode()},
        }
        entries.append({"resource": resource, "request": {"method": "POST", "url": "Observation"}})
    return json.dumps({"resourceType": "Bundle", "type": "batch", "entry": entries})


def upload() -> None:
    """Batches of 100 validated observations, at 100,000 rows."""
    host = Host(100_000)
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        for connections in (1, 8):
            def measure(connections: int = connections) -> tuple[float, float]:
                script.seek(0)
                script.truncate()
                script.write(f"TOKEN = '{host.patient_token}'\nRUN = '{secrets.token_hex(4)}'\nTEMPLATE = [==[{batch(100_001)}]==]\n{UPLOAD}")
                script.flush()
                before = int(psql(host.database, "-c", "SELECT count(*) FROM observation"))
                started = time.monotonic()
                _, median = host.wrk("/FHIR/R5", connections, 6, script.name, host.patient_token)
                seconds = time.monotonic() - started
                stored = int(psql(host.database, "-c", "SELECT count(*) FROM observation")) - before
                return stored / seconds, median

            rate, median = best(3, measure)
            print(f"batches of 100, c={connections}: {rate:.0f} observations/s stored, median {median:.1f} ms a batch", flush=True)
    host.close()


BENCHES = {
    "search": search,
    "encryption": encryption,
    "depth": depth,
    "upload": upload,
    "identity": identity,
    "lists": lists,
    "audit": audit_cost,
    "audit-search": audit_search,
    "scale": scale,
    "detection": detection,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", choices=[*BENCHES, []])
    arguments = parser.parse_args()
    if "JHE_SCRATCH" not in os.environ:
        subprocess.run(["cargo", "build", "--release", "--quiet", "-p", "standalone"], cwd=ROOT, check=True)
        os.environ["DURABLE"] = "1"
        os.execv(JHE, [str(JHE), "with-database", sys.executable, *sys.argv])
    for name, bench in BENCHES.items():
        if not arguments.names or name in arguments.names:
            print(f"--- {name}: {bench.__doc__}", flush=True)
            bench()


if __name__ == "__main__":
    main()
