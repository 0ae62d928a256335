"""The figures of backups: how fast one is made and restored, and with how much memory. Run by `jhe with-database`."""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "python"))

from database import psql  # noqa: E402

ROWS = int(os.environ.get("BENCH_BACKUP_ROWS", "1000000"))
JHE = Path(os.environ.get("JHE", HERE.parent.parent / "target" / "release" / "jhe"))


def run(directory: str, *words: str) -> tuple[dict, float]:
    """A command of jhe: its report, and the seconds that it took in all."""
    environment = {**os.environ, "JHE_HOME": f"{directory}/home", "BACKUP_TO": f"{directory}/backups", "DB_NAME": "bench_backup"}
    began = time.monotonic()
    done = subprocess.run([JHE, *words], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout), time.monotonic() - began


def main() -> None:
    psql("postgres", "-c", "CREATE DATABASE bench_backup TEMPLATE jhe_template", "-c", "CREATE DATABASE bench_restored")
    psql("bench_backup", "-v", f"rows={ROWS}", "-v", "chunk=50000", "-f", str(HERE / "world.sql"))
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIRECTORY")) as directory:
        for _ in range(3):
            made, _ = run(directory, "backup")
            speed = made["bytes"] / made["seconds"] / 1e6
            print(f"backup: {made['rows']} rows, {made['bytes'] / 1e6:.0f} MB of tables in {made['seconds']:.1f} s: {speed:.0f} MB/s, "
                  f"{made['stored_bytes'] / 1e6:.0f} MB stored", flush=True)
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"memory at most: {memory:.0f} MB", flush=True)
        restored, _ = run(directory, "restore", "latest", "--into", "bench_restored")
        print(f"restore: {restored['seconds']:.1f} s: {restored['bytes'] / restored['seconds'] / 1e6:.0f} MB/s", flush=True)
    psql("postgres", "-c", "DROP DATABASE bench_backup", "-c", "DROP DATABASE bench_restored")


if __name__ == "__main__":
    main()
