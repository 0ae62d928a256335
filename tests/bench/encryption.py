"""What encryption costs in the search path: the same pages of payloads in the clear, as an earlier version stored them, and encrypted."""

import statistics

from host import Host  # It makes `database` known.
from database import psql

PATHS = {
    "patient": "/FHIR/R5/Observation?patient=100001&_count=100",
    "study": "/FHIR/R5/Observation?patient._has:Group:member:_id=39001&_count=100",
}


def encryption() -> None:
    """Search, 100 per page, at 100,000 rows: in the clear and encrypted, in pairs taken in turn; one key a page and a hundred."""
    clear, encrypted = Host(100_000), Host(100_001)
    print(f"    {encrypted.encrypt():.0f} s to encrypt 100,001 payloads", flush=True)
    left = psql(encrypted.database, "-c", "SELECT count(*) FROM observation WHERE content IS NOT NULL")
    stored = psql(clear.database, "-c", "SELECT count(*) FROM observation WHERE payload IS NOT NULL")
    assert (left, stored) == ("0", "0"), (left, stored)
    for name, path in PATHS.items():
        entries = [len(host.get(path)["entry"]) for host in (clear, encrypted)]
        assert entries == [100, 100], entries
        for connections in (1, 16):
            for host in (clear, encrypted):
                host.wrk(path, connections, 2)
            pairs = [(clear.wrk(path, connections, 4), encrypted.wrk(path, connections, 4)) for _ in range(7)]
            rates = [statistics.median(pair[place][0] for pair in pairs) for place in (0, 1)]
            medians = [statistics.median(pair[place][1] for pair in pairs) for place in (0, 1)]
            ratio = statistics.median(last[1] / first[1] for first, last in pairs)
            print(
                f"by {name}, c={connections}: {rates[0]:.0f} and {rates[1]:.0f} req/s, median {medians[0]:.2f} and {medians[1]:.2f} ms: {ratio:.3f} times",
                flush=True,
            )
    for table, host in (("in the clear", clear), ("encrypted", encrypted)):
        size = psql(host.database, "-c", "SELECT pg_table_size('observation') / (SELECT count(*) FROM observation)")
        print(f"a row {table}: {size} bytes", flush=True)
    clear.close()
    encrypted.close()
