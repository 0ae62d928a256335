"""The figures of lists of people: what a page costs among ten thousand patients and among a million."""

import time

from host import Host, best  # It makes `database` known.
from database import psql

SIZES = (10_000, 1_000_000)
# Ids of the patients that are added, beyond those of the bench's world.
FIRST = 1_000_000

ADD = """
INSERT INTO app_user (id, email, user_type) SELECT {first} + 9000000 + g, 'list' || {first} + g || '@example.com', 'patient' FROM generate_series(0, {count} - 1) g;
INSERT INTO patient (id, user_id, name_family, name_given, birth_date, telecom_email)
SELECT {first} + g, {first} + 9000000 + g, 'Family', 'Given', '1980-01-01', 'list' || {first} + g || '@example.com' FROM generate_series(0, {count} - 1) g;
INSERT INTO patient_organization SELECT {first} + g, 29001 FROM generate_series(0, {count} - 1) g;
INSERT INTO study_patient (study_id, organization_id, patient_id) SELECT 39001, 29001, {first} + g FROM generate_series(0, {count} - 1) g;
VACUUM ANALYZE;
"""

LISTS = {
    "patients of one's organizations": "/api/v1/patients?page_size=20",
    "patients of an organization": "/api/v1/patients?page_size=20&organization_id=29001",
    "patients of a study": "/api/v1/studies/39001/patients?page_size=20",
    "the same, page 400 by its number": "/api/v1/studies/39001/patients?page_size=20&page=400",
    "FHIR: patients of an organization": "/FHIR/R5/Patient?organization=29001&_count=20",
}


def lists() -> None:
    """Pages of 20 patients, one connection: medians in milliseconds."""
    host = Host(1000)
    medians: dict[str, list[float]] = {name: [] for name in LISTS}
    present = 1000
    for size in SIZES:
        started = time.monotonic()
        psql(host.database, "-v", "ON_ERROR_STOP=1", "-c", "SET session_replication_role = replica", *commands(FIRST + present, size - present))
        present = size
        print(f"    {size} patients after {time.monotonic() - started:.0f} s", flush=True)
        host.restart()
        for name, path in LISTS.items():
            host.wrk(path, 1, 2)
            medians[name].append(best(3, lambda path=path: host.wrk(path, 1, 3))[1])
    for name, (few, many) in medians.items():
        print(f"{name}: {few:.2f} ms among {SIZES[0]}, {many:.2f} ms among {SIZES[1]}: {many / few:.2f} times", flush=True)
    host.close()


def commands(first: int, count: int) -> list[str]:
    """Each statement as a command of psql, in one session."""
    statements = [statement.strip() for statement in ADD.format(first=first, count=count).split(";") if statement.strip()]
    return [argument for statement in statements for argument in ("-c", statement)]
