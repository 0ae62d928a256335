"""How fast a backup is made and restored, and with how much memory: backup.py [observations], a million without it.

Run by `jhe with-database`. `BENCH_DIRECTORY` is where backups go, or else where temporary files do.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time

from host import JHE, fill, rows_asked_for  # It makes `database` known.
from database import psql


def run(directory: str, *words: str) -> tuple[dict, float]:
    """A command of jhe: its report, and the seconds that it took in all."""
    environment = {**os.environ, "JHE_HOME": f"{directory}/home", "BACKUP_TO": f"{directory}/backups", "DB_NAME": "bench_backup"}
    began = time.monotonic()
    done = subprocess.run([JHE, *words], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout), time.monotonic() - began


def main() -> None:
    fill("bench_backup", rows_asked_for())
    psql("postgres", "-c", "CREATE DATABASE bench_restored")
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
