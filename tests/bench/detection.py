"""How well the security monitor detects: incidents are planted in a month that is made up (`traffic.py`), and the monitor looks at
it day by day, as it does after an outage."""

import csv
import io
import json
import os
import subprocess
import tempfile
import time
from collections import Counter
from datetime import datetime, timedelta, timezone

from host import JHE  # It makes `database` known.
from database import psql
from traffic import DAYS, JUDGED, LEARNED, Month, Row

COLUMNS = """occurred_at, request_id, actor_user_id, actor_type, actor_role, action, resource_type, organization_ids, study_ids, patient_ids,
observation_ids, outcome, refused_by, privileged, source_address, subject_user_id"""

Found = tuple[str, str, int]


def load(database: str, rows: list[Row]) -> None:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
        file.write(text.getvalue())
        file.flush()
        psql(database, "-c", f"\\copy audit_event ({' '.join(COLUMNS.split())}) FROM '{file.name}' WITH (FORMAT csv)")


def monitored(database: str, month: Month) -> tuple[set[Found], float]:
    """What the monitor finds in the month, and the seconds it takes."""
    first, judged = (month.start + timedelta(days=day) for day in (-62, LEARNED))
    psql(database, "-c", f"INSERT INTO security_monitor (judged_from, next_day) VALUES ('{judged}', '{first}')")
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "DB_NAME": database, "JHE_HOME": home, "LOG_LEVEL": "error"}
        started = time.monotonic()
        done = subprocess.run([JHE, "security-monitor"], env=environment, check=True, capture_output=True, text=True)
        seconds = time.monotonic() - started
    assert json.loads(done.stdout)["days"] == DAYS + 63, done.stdout
    query = f"SELECT kind, coalesce(user_id::text, source_address), day - DATE '{month.start}' FROM security_finding"
    lines = psql(database, "-F", "|", "-A", "-t", "-c", query).splitlines()
    return {(kind, who, int(day)) for kind, who, day in (line.split("|") for line in lines)}, seconds


def run(seed: int) -> tuple[Counter, Counter, Counter]:
    """Planted, found and false, by kind."""
    database = f"detection_{seed}"
    psql("postgres", "-c", f"CREATE DATABASE {database} TEMPLATE jhe_template")
    month = Month(seed, datetime.now(timezone.utc).date())
    month.ordinary()
    month.plant()
    load(database, month.rows)
    found, seconds = monitored(database, month)
    psql("postgres", "-c", f"DROP DATABASE {database}")
    planted = {(incident.kind, incident.who, incident.day) for incident in month.incidents}
    strange = {(who, day) for _, who, day in planted}
    # Another kind of finding about the same thief on the same day is no false alarm.
    false = {one for one in found - planted if one[1:] not in strange}
    print(f"    seed {seed}: {len(month.rows)} events, looked at in {seconds:.0f} s; missed {sorted(planted - found)}; false {sorted(false)}", flush=True)
    return tuple(Counter(kind for kind, _, _ in ones) for ones in (planted, found & planted, false))  # type: ignore[return-value]


def detection() -> None:
    """Incidents planted in three months of 200 practitioners: what the security monitor finds, and what it should not have."""
    seeds = [int(seed) for seed in os.environ.get("SEEDS", "1 2 3").split()]
    planted, found, false = (sum(counts, Counter()) for counts in zip(*(run(seed) for seed in seeds)))
    days = JUDGED * len(seeds)
    for kind in sorted(planted):
        print(f"{kind}: {found[kind]} of {planted[kind]} found, {false[kind] / days:.2f} false alarms a day", flush=True)
    recall = found.total() / planted.total()
    print(f"in all: recall {recall:.2f}, {false.total() / days:.2f} false alarms a day", flush=True)
