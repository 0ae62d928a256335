"""What the benchmarks share: a host of the release build over a database of its own, and the load that wrk makes."""

import atexit
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "tests" / "python"))

from database import issue_token, psql  # noqa: E402

JHE = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "jhe"


def fill(database: str, rows: int) -> None:
    """A database with so many observations of a thousand patients."""
    psql("postgres", "-c", f"CREATE DATABASE {database} TEMPLATE jhe_template")
    started = time.monotonic()
    psql(database, "-v", f"rows={rows}", "-v", "chunk=200000", "-f", str(HERE / "world.sql"))
    print(f"    {rows} observations loaded in {time.monotonic() - started:.0f} s", flush=True)


def rows_asked_for() -> int:
    """How many observations or events, by the first argument: a million without it."""
    return int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000


class Host:
    """A database with so many observations, served by a host of its own."""

    def __init__(self, rows: int):
        self.database = f"bench_{rows}"
        fill(self.database, rows)
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

    def encrypt(self) -> float:
        """Encrypts the payloads, which the world's statements store in the clear. Gives the seconds."""
        started = time.monotonic()
        environment = {**os.environ, "DB_NAME": self.database, "JHE_HOME": self.home.name, "LOG_LEVEL": "warn"}
        subprocess.run([JHE, "encrypt-payloads", "--now"], env=environment, check=True, stdout=subprocess.DEVNULL)
        took = time.monotonic() - started
        psql(self.database, "-c", "VACUUM (FULL, ANALYZE) observation")
        return took

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
        """Requests per second and the median in milliseconds. An empty token is none."""
        url = path if path.startswith("http") else self.base + path
        token = self.token if token is None else token
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
        command += ["-H", f"Authorization: Bearer {token}"] if token else []
        command += ["-s", script] if script else []
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


@contextmanager
def logged(host: Host) -> Iterator[Callable[[], str]]:
    """Within it PostgreSQL logs each statement of the host. The function gives what was logged since it was called last."""
    log = Path(os.environ["JHE_SCRATCH"], "postgres", "postgresql.log")
    login = os.environ["DB_USER"]
    settings = {"log_min_duration_statement": "0", "log_error_verbosity": "default"}
    for name, value in settings.items():
        psql("postgres", "-c", f"ALTER ROLE {login} SET {name} = '{value}'")
    host.restart()
    read = log.stat().st_size

    def new() -> str:
        nonlocal read
        with log.open("rb") as file:
            file.seek(read)
            text = file.read()
        read += len(text)
        return text.decode()

    yield new
    for name in settings:
        psql("postgres", "-c", f"ALTER ROLE {login} RESET {name}")
    host.restart()
