"""The figures of docs/benchmarks.md: `make bench`, or `python tests/bench/bench.py NAME...` for some.

Everything goes through HTTP on the standalone host (release build), TLS (verify-full) to PostgreSQL, audit on, durable
commits. wrk makes the load on the same machine.
"""

import argparse
import atexit
import base64
import hashlib
import json
import os
import re
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "python"))
from database import issue_token, libpq, psql  # noqa: E402

HERE = Path(__file__).resolve().parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
JHE = TARGET / "release" / "jhe"
STUDY = "patient._has:Group:member:_id=39001"

# The public implementation on such a machine, requests per second at 16 connections.
BASELINE = {"patient": 8.7, "study": 1.32}


class Host:
    """A database with so many observations, served by a host of its own."""

    def __init__(self, rows: int):
        self.database = f"bench_{rows}"
        psql("postgres", "-c", f"CREATE DATABASE {self.database} TEMPLATE jhe_template")
        started = time.monotonic()
        psql(self.database, "-v", f"rows={rows}", "-v", "chunk=200000", "-f", str(HERE / "world.sql"))
        print(f"    {rows} observations loaded in {time.monotonic() - started:.0f} s", flush=True)
        self.token = issue_token(self.database, 19000)
        self.patient_token = issue_token(self.database, 200001)
        self.home = tempfile.TemporaryDirectory()
        self.start()

    def start(self) -> None:
        environment = {**os.environ, "DB_NAME": self.database, "PORT": "0", "JHE_HOME": self.home.name, "LOG_LEVEL": "warn", "RATE_LIMIT_PER_MINUTE": "0"}
        self.process = subprocess.Popen([JHE], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        # A bench that fails must not leave the host behind.
        atexit.register(self.process.kill)
        assert self.process.stdout
        self.base = self.process.stdout.readline().split()[1]

    def restart(self) -> None:
        self.process.terminate()
        self.process.wait()
        self.start()

    def get(self, path: str) -> dict:
        url = path if path.startswith("http") else self.base + path
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(request) as response:
            return json.load(response)

    def wrk(self, path: str, connections: int, seconds: int = 6, script: str | None = None, token: str | None = None) -> tuple[float, float]:
        """Requests per second and the median in milliseconds."""
        url = path if path.startswith("http") else self.base + path
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-H", f"Authorization: Bearer {token or self.token}"]
        if script:
            command += ["-s", script]
        done = subprocess.run([*command, url], capture_output=True, text=True, check=True)
        if "Non-2xx" in done.stdout:
            sys.exit(f"errors under load: {done.stdout}")
        rate = float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)[1])
        number, unit = re.search(r"50%\s+([\d.]+)(us|ms|s)", done.stdout).groups()
        return rate, float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()
        self.home.cleanup()
        psql("postgres", "-c", f"DROP DATABASE {self.database} WITH (FORCE)")


def best(runs: int, measure) -> tuple[float, float]:
    """The median run by rate: the machine is noisy."""
    results = sorted(measure() for _ in range(runs))
    return results[len(results) // 2]


BY_PATIENT = "/FHIR/R5/Observation?patient=100001&_count=100"
BY_STUDY = f"/FHIR/R5/Observation?{STUDY}&_count=100"
# Half an hour among the latest: 1,800 observations in each size of the world.
WINDOW = f"{BY_STUDY}&date=ge2025-12-31T22:00:00Z&date=lt2025-12-31T22:30:00Z"


def statement_of(host: Host, path: str) -> tuple[str, dict[str, str]]:
    """The statement that serves a request, and its parameters, from PostgreSQL's own log."""
    login = os.environ["DB_USER"]
    psql("postgres", "-c", f"ALTER ROLE {login} SET log_min_duration_statement = 0")
    psql("postgres", "-c", f"ALTER ROLE {login} SET log_error_verbosity = 'default'")
    host.restart()
    host.get(path)
    for setting in ("log_min_duration_statement", "log_error_verbosity"):
        psql("postgres", "-c", f"ALTER ROLE {login} RESET {setting}")
    host.restart()
    log = Path(os.environ["JHE_SCRATCH"], "postgres", "postgresql.log").read_text()
    found = re.findall(r"execute \w+: (WITH.*?)\n\S+ \S+ UTC \[\d+\] DETAIL:  parameters: (.*)\n", log, re.S)
    text, parameters = found[-1]
    values = {number: value for number, value in re.findall(r"\$(\d+) = (NULL|'(?:[^']|'')*')", parameters)}
    # A parameter that is NULL is written as such: pgbench has no variable for it.
    text = re.sub(r"\$(\d+)", lambda found: "NULL" if values[found[1]] == "NULL" else f":p{found[1]}", text)
    # pgbench takes two colons and a name for a cast, and one for a variable.
    return text, {number: value[1:-1].replace("''", "'") for number, value in values.items() if value != "NULL"}


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


REFRESH = """
local waiting = {}
for token in string.gmatch(TOKENS, "%S+") do table.insert(waiting, token) end
local form = {["Content-Type"] = "application/x-www-form-urlencoded"}
function request()
  return wrk.format("POST", "/o/token/", form, "grant_type=refresh_token&client_id=" .. CLIENT .. "&refresh_token=" .. table.remove(waiting))
end
function response(status, headers, body) table.insert(waiting, string.match(body, '"refresh_token":"([^"]+)"')) end
"""


class Person:
    """A browser in which somebody is signed in to a host, and an app that asks for codes."""

    def __init__(self, host: Host):
        self.base = host.base
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(), NoRedirect())
        demo = psql(host.database, "-c", "SELECT client_id, redirect_uris[1] FROM oauth_client WHERE name = 'JHE Admin UI'")
        self.client, self.redirect = demo.strip().split("|")
        self.verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        self.authorize = "/o/authorize/?" + urllib.parse.urlencode(
            {"client_id": self.client, "redirect_uri": self.redirect, "response_type": "code", "scope": "openid email", "state": "s",
             "code_challenge": challenge, "code_challenge_method": "S256"}
        )

    def post(self, path: str, form: dict):
        return self.opener.open(urllib.request.Request(self.base + path, urllib.parse.urlencode(form).encode()))

    def sign_in(self) -> float:
        """Signs in, and gives the milliseconds that the password took."""
        page = self.opener.open(f"{self.base}/accounts/login/").read().decode()
        token = re.search('name="csrfmiddlewaretoken" value="([^"]+)"', page)[1]
        started = time.monotonic()
        self.post("/accounts/login/", {"csrfmiddlewaretoken": token, "email": "viewer_victor@example.com", "password": "Jhe1234!"})
        return (time.monotonic() - started) * 1000

    def cookies(self) -> str:
        jar = next(handler.cookiejar for handler in self.opener.handlers if hasattr(handler, "cookiejar"))
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in jar)

    def refresh_token(self) -> str:
        location = self.opener.open(self.base + self.authorize).headers["Location"]
        code = urllib.parse.parse_qs(urllib.parse.urlsplit(location).query)["code"][0]
        form = {"grant_type": "authorization_code", "client_id": self.client, "redirect_uri": self.redirect, "code": code, "code_verifier": self.verifier}
        return json.load(self.post("/o/token/", form))["refresh_token"]


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer like any other."""

    def http_error_302(self, request, answer, code, message, headers):
        return answer

    http_error_303 = http_error_302


def identity() -> None:
    """Signing in, authorizing, tokens and keys, in the demo world."""
    host = Host(1000)
    person = Person(host)
    print(f"signing in: median {statistics.median(person.sign_in() for _ in range(9)):.0f} ms", flush=True)
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(f'wrk.headers["Cookie"] = "{person.cookies()}"')
        script.flush()
        for connections in (1, 16):
            rate, median = best(3, lambda: host.wrk(person.authorize, connections, 4, script.name))  # noqa: B023
            print(f"authorize to code, c={connections}: {rate:.0f} req/s, median {median:.2f} ms", flush=True)
    for connections in (1, 16):
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
            tokens = " ".join(person.refresh_token() for _ in range(connections * 4))
            script.write(f"TOKENS = '{tokens}'\nCLIENT = '{person.client}'\n{REFRESH}")
            script.flush()
            rate, median = host.wrk("/o/token/", connections, 6, script.name)
            print(f"refresh to tokens, c={connections}: {rate:.0f} req/s, median {median:.2f} ms", flush=True)
    for connections in (1, 16):
        rate, median = best(3, lambda: host.wrk("/o/.well-known/jwks.json", connections, 3))  # noqa: B023
        print(f"keys, c={connections}: {rate:.0f} req/s, median {median:.2f} ms", flush=True)
    host.close()


BENCHES = {"search": search, "depth": depth, "upload": upload, "identity": identity, "scale": scale}


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
