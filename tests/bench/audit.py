"""The figures of the audit: what it costs a page of observations, and what a search costs among millions of events."""

import os
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from host import HERE, Host, best  # It makes `database` known.
from database import issue_token, libpq, psql

# Two months of 72 that are as full as all are when there are a hundred million. Ten million are seven such months.
EVENTS, MONTHS = (int(os.environ.get(name, default)) for name, default in (("BENCH_EVENTS", "2800000"), ("BENCH_MONTHS", "2")))
PAGE = "/FHIR/R5/Observation?patient=100001&_count=100"

# Records nothing.
SILENT = """
CREATE OR REPLACE FUNCTION audit_record(
  context jsonb, outcome text, refused_by text, organization_ids int[], study_ids int[], patient_ids int[], observation_ids bigint[],
  actor_role member_role DEFAULT NULL, before jsonb DEFAULT NULL, after jsonb DEFAULT NULL
) RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS 'SELECT 0::bigint'
"""

SEARCHES = {
    "by a patient with many events": "patient=100001",
    "by a patient with few": "patient=149000",
    "by who did it": "actor=80100",
    "by the largest organization": "organization=29000",
    "by a small organization": "organization=29190",
    "by an organization without any": "organization=29201",
    "by a day, half a year ago": "from={day}T00:00:00Z&to={day}T23:59:59Z",
    "all, newest first": "",
    "what was refused": "outcome=denied",
    "what super admins did": "privileged=true",
}


def audit_cost() -> None:
    """A page of 100 observations with its record and without one: medians in milliseconds of five pairs in turn."""
    host = Host(100_000)
    recording = psql(host.database, "-c", "SELECT pg_get_functiondef('audit_record'::regproc)")
    for connections in (1, 16):
        medians: dict[str, list[float]] = {recording: [], SILENT: []}
        host.wrk(PAGE, connections, 2)
        for _ in range(5):
            for function, found in medians.items():
                psql(host.database, "-c", function)
                host.wrk(PAGE, connections, 1)
                found.append(host.wrk(PAGE, connections, 2)[1])
        with_record, without = (statistics.median(found) for found in medians.values())
        share = 1 - without / with_record
        print(f"c={connections}: with its record {with_record:.2f} ms, without {without:.2f} ms: {share:.0%} of the request", flush=True)
    host.close()


def audit_search() -> None:
    """Pages of 20 events, one connection: medians in milliseconds."""
    host = Host(1000)
    started = time.monotonic()
    environment = libpq(os.environ["DB_OWNER_USER"], os.environ["DB_OWNER_PASSWORD"], host.database)
    command = ["psql", "-q", "-v", f"rows={EVENTS}", "-v", f"full={MONTHS}", "-f", str(HERE / "audit.sql")]
    subprocess.run(command, env=environment, check=True)
    print(f"    {EVENTS} events after {time.monotonic() - started:.0f} s", flush=True)
    sizes = "SELECT sum(pg_relation_size(relid)), sum(pg_indexes_size(relid)) FROM pg_partition_tree('audit_event') WHERE isleaf"
    rows, indexes = (int(size) / EVENTS for size in psql(host.database, "-c", sizes).split("|"))
    print(f"storage: {rows:.0f} bytes an event, {indexes:.0f} in its indexes", flush=True)
    with sealing_waits(environment):
        host.restart()
        searches(host)
    host.close()


@contextmanager
def sealing_waits(environment: dict[str, str]) -> Iterator[None]:
    """Within it a host seals nothing: it would seal all of these events for an hour, on one of the processors."""
    lock = "BEGIN; LOCK TABLE audit_horizon IN SHARE MODE; SELECT 'held'; SELECT pg_sleep(86400)"
    holder = subprocess.Popen(["psql", "-qXAt"], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdin and holder.stdout
    holder.stdin.write(lock.replace("; ", ";\n") + ";\n")
    holder.stdin.flush()
    assert holder.stdout.readline().strip() == "held"
    yield
    holder.kill()
    holder.wait()


def searches(host: Host) -> None:
    day = psql(host.database, "-c", "SELECT (date_trunc('month', now()) - interval '100 days')::date")
    admin = issue_token(host.database, 10001)
    for name, query in SEARCHES.items():
        path = f"/api/v1/audit-events?page_size=20&{query.format(day=day)}"
        host.wrk(path, 1, 1, token=admin)
        print(f"{name}: {best(3, lambda path=path: host.wrk(path, 1, 1, token=admin))[1]:.1f} ms", flush=True)
    own = "/api/v1/patients/me/access-log?page_size=20"
    host.wrk(own, 1, 1, token=host.patient_token)
    print(f"a patient's own log: {best(3, lambda: host.wrk(own, 1, 1, token=host.patient_token))[1]:.1f} ms", flush=True)
