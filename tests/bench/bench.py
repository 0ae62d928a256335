"""The figures of docs/benchmarks.md: `make bench`, or `python tests/bench/bench.py NAME...` for some.

Everything goes through HTTP on the standalone host (release build), TLS (verify-full) to PostgreSQL, audit on, durable
commits. wrk makes the load on the same machine.
"""

import argparse
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
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
HERE = Path(__file__).resolve().parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
JHE = TARGET / "release" / "jhe"
STUDY = "patient._has:Group:member:_id=39001"

# The public implementation on such a machine, requests per second at 16 connections.
BASELINE = {"patient": 8.7, "study": 1.32}


def psql(database: str, *arguments: str, text: str | None = None) -> str:
    """Runs psql as the owner and returns what it prints."""
    environment = {
        **os.environ,
        "PGHOST": os.environ["DB_HOST"],
        "PGPORT": os.environ["DB_PORT"],
        "PGUSER": os.environ["DB_OWNER_USER"],
        "PGPASSWORD": os.environ["DB_OWNER_PASSWORD"],
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": os.environ["DB_SSL_ROOT_CERT"],
        "PGDATABASE": database,
    }
    done = subprocess.run(["psql", "-qXAt", *arguments], env=environment, input=text, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"psql: {done.stderr}")
    return done.stdout.strip()


class Host:
    """A database with so many observations, served by a host of its own."""

    def __init__(self, rows: int):
        self.database = f"bench_{rows}"
        psql("postgres", "-c", f"CREATE DATABASE {self.database} TEMPLATE jhe_template")
        started = time.monotonic()
        psql(self.database, "-v", f"rows={rows}", "-v", "chunk=200000", "-f", str(HERE / "world.sql"))
        print(f"    {rows} observations loaded in {time.monotonic() - started:.0f} s", flush=True)
        self.token = self.issue_token(19000)
        self.patient_token = self.issue_token(200001)
        self.home = tempfile.TemporaryDirectory()
        environment = {**os.environ, "DB_NAME": self.database, "PORT": "0", "JHE_HOME": self.home.name, "LOG_LEVEL": "warn"}
        self.process = subprocess.Popen([JHE], env=environment, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.base = self.process.stdout.readline().split()[1]

    def issue_token(self, user: int) -> str:
        token = secrets.token_urlsafe(32)
        digest = hashlib.sha256(token.encode()).hexdigest()
        psql(
            self.database,
            "-c",
            "WITH g AS (INSERT INTO oauth_grant (user_id, client_id, scope, auth_time) "
            f"VALUES ({user}, 4, 'openid', now()) RETURNING id) "
            f"INSERT INTO access_token (token_hash, grant_id, scope, expires_at) SELECT '\\x{digest}', id, 'openid', now() + interval '1 day' FROM g",
        )
        return token

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


def search(arguments) -> None:
    """Search, 100 per page, at 100,000 rows."""
    host = Host(100_000)
    by = {"patient": "/FHIR/R5/Observation?patient=100001&_count=100", "study": f"/FHIR/R5/Observation?{STUDY}&_count=100"}
    for name, path in by.items():
        host.wrk(path, 4, 2)
        for connections in (1, 16):
            rate, median = best(3, lambda path=path, connections=connections: host.wrk(path, connections))
            ratio = f", {rate / BASELINE[name]:.0f} times the public implementation" if connections == 16 else ""
            print(f"search by {name}, 100 per page, c={connections}: {rate:.0f} req/s, median {median:.2f} ms{ratio}", flush=True)
    host.close()


BENCHES = {"search": search}


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
            bench(arguments)


if __name__ == "__main__":
    main()
