"""How long sealing and checking take, and how much memory: seal.py [events], a million without it.

Runs the release build on a database of its own that is filled with events as reads of observations make
them. The seals go to a directory, so what KMS and S3 take is not in the figures: two requests to S3 and one to KMS for each 65,536 events.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from host import JHE, rows_asked_for  # It makes `database` known.
from database import psql

DATABASE = "bench_seal"
# A year of them, each with twenty ids of observations.
EVENTS = """
INSERT INTO audit_event (occurred_at, request_id, session, actor_user_id, actor_type, actor_role, client_id, action, resource_type,
                         organization_ids, study_ids, patient_ids, observation_ids, outcome, privileged, source_address)
SELECT timestamptz '2026-01-01' - interval '1 year' * (n::float8 / {events}), 'c3VjaC1yZXF1ZXN0LWlkcw' || n, 'grant:' || n % 977,
       10001 + n % 200, 'practitioner', 'viewer', 1, 'search', 'Observation', ARRAY[20001 + n % 20], ARRAY[30001 + n % 60],
       ARRAY[40001 + n % 6000], ARRAY(SELECT 60001 + n * 20 + k FROM generate_series(1, 20) k), 'allowed', false, '192.0.2.' || n % 250
  FROM generate_series(1, {events}) n"""
HORIZON = "INSERT INTO audit_horizon (at, xid) VALUES (clock_timestamp() + interval '10 seconds', '9000000000000')"


def measured(environment: dict[str, str], *command: str) -> None:
    started = time.monotonic()
    process = subprocess.Popen([JHE, "audit", *command], env=environment, stdout=subprocess.PIPE, text=True)
    report = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    took = time.monotonic() - started
    if status:
        sys.exit(f"jhe audit {' '.join(command)} failed")
    print(f"jhe audit {command[0]}: {took:.1f} s, {usage.ru_utime + usage.ru_stime:.1f} s of them by jhe, {usage.ru_maxrss / 1024:.0f} MB at most")
    print(report)


def main() -> int:
    if "JHE_SCRATCH" not in os.environ:
        return subprocess.run([JHE, "with-database", sys.executable, *sys.argv]).returncode
    events = rows_asked_for()
    psql("postgres", "-c", f"CREATE DATABASE {DATABASE} TEMPLATE jhe_template")
    psql(DATABASE, "-c", EVENTS.format(events=events), "-c", "ANALYZE audit_event", "-c", HORIZON)
    print(f"{JHE.parent.name} build, {events} events, {psql(DATABASE, '-c', 'SHOW server_version')}")
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "DB_NAME": DATABASE, "JHE_HOME": home}
        measured(environment, "seal")
        measured(environment, "verify")
        kept = sum(path.stat().st_size for path in Path(home, "seals").rglob("*") if path.is_file())
        print(f"kept outside of the database: {kept / events:.1f} bytes an event")
    return 0


if __name__ == "__main__":
    sys.exit(main())
