"""How long an export of a study takes and what it needs: exports.py [observations] [format], a million as NDJSON without them.

Run by `jhe with-database`. The export is asked for over HTTP, carried out by `jhe exports`, whose memory is measured, and downloaded file by file
from a host, whose memory is measured, too.
"""

import http.client
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from host import JHE, fill, rows_asked_for  # It makes `database` known.
from database import issue_token, psql

DATABASE = "bench_exports"
PATH = "/FHIR/R5/Group/39001/$export?_type=Observation&_outputFormat="


class Client:
    def __init__(self, base: str, token: str):
        self.host = urlsplit(base).netloc
        self.headers = {"Authorization": f"Bearer {token}", "Prefer": "respond-async", "Accept": "application/fhir+json"}

    def get(self, url: str) -> tuple[int, dict, bytes]:
        parts = urlsplit(url)
        # A host closes what was idle for as long as a job runs.
        connection = http.client.HTTPConnection(self.host, timeout=300)
        connection.request("GET", parts.path + (f"?{parts.query}" if parts.query else ""), headers=self.headers)
        answer = connection.getresponse()
        found = answer.status, dict(answer.getheaders()), answer.read()
        connection.close()
        return found


def megabytes_at_most(process: int) -> float:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def main() -> None:
    observations = rows_asked_for()
    form = sys.argv[2] if len(sys.argv) > 2 else "ndjson"
    fill(DATABASE, observations)
    token = issue_token(DATABASE, 19000)
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "DB_NAME": DATABASE, "JHE_HOME": home, "LOG_LEVEL": "error", "RATE_LIMIT_PER_MINUTE": "0"}
        # Two functions: one that answers, and one that carries out.
        host = subprocess.Popen([JHE], env={**environment, "PORT": "0"}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        try:
            client = Client(host.stdout.readline().split()[1], token)
            # The host's own clock leaves it to the command.
            psql(DATABASE, "-c", "ALTER TABLE export_job ALTER held_until SET DEFAULT now() + interval '1 day', ALTER holder SET DEFAULT gen_random_uuid()")
            status, headers, body = client.get(PATH + form)
            assert status == 202, body
            place = next(value for name, value in headers.items() if name.lower() == "content-location")
            psql(DATABASE, "-c", "UPDATE export_job SET held_until = NULL, holder = NULL")
            began, calls = time.monotonic(), 0
            while client.get(place)[0] == 202:
                subprocess.run([JHE, "exports"], env=environment, check=True, capture_output=True)
                calls += 1
            seconds = time.monotonic() - began
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            print(f"{JHE.parent.name} build, {observations} observations as {form}: {seconds:.0f} s in {calls} calls, {used.ru_maxrss / 1024:.0f} MB at most", flush=True)
            files = json.loads(client.get(place)[2])["output"]
            stored = sum(path.stat().st_size for path in Path(home).rglob("*") if path.is_file() and "exports" in path.parts)
            began, rows, sent, longest = time.monotonic(), 0, 0, 0.0
            for file in files:
                asked = time.monotonic()
                status, _, body = client.get(file["url"])
                longest = max(longest, time.monotonic() - asked)
                assert status == 200, body
                sent += len(body)
                rows += body.count(b"\n") if form == "ndjson" else 0
            assert form != "ndjson" or rows == observations, rows
            print(
                f"{len(files)} files, {stored / 2**20:.0f} MB stored; downloaded {sent / 2**20:.0f} MB in {time.monotonic() - began:.0f} s, "
                f"a file {longest:.2f} s at most; the host needed {megabytes_at_most(host.pid):.0f} MB at most",
                flush=True,
            )
        finally:
            host.kill()
            host.wait()
    psql("postgres", "-c", f"DROP DATABASE {DATABASE} WITH (FORCE)")


if __name__ == "__main__":
    main()
