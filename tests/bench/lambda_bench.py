"""How fast and how small the functions are on Lambda: start to first poll, memory and zipped size.

What `make build` made, a runtime API of our own, moto's Secrets Manager, PostgreSQL with TLS (verify-full) and SCRAM, all on this
machine with its whole processor: Lambda gives a function a share by its memory, and adds its own time before the process.
"""

import base64
import hashlib
import json
import os
import secrets
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "python"))

from database import psql  # noqa: E402
from lambda_world import World  # noqa: E402
from runtime_api import FunctionProcess, Start, first_poll  # noqa: E402

RELEASE = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
DEPLOYED = ROOT / "target" / "lambda"
RUNS = 11

# Milliseconds to the first poll without and with a secret and a database connection, MB resident, MB (2^20) zipped.
GOALS = {"nothing": 10, "database": 20, "resident": 16, "zipped": 4}


def functions() -> list[str]:
    return sorted(path.name for path in (ROOT / "functions").iterdir() if (path / "src/main.rs").exists())


def needs_database(function: str) -> bool:
    return "Needs::Database" in (ROOT / "functions" / function / "src/lib.rs").read_text()


def bootstrap(function: str) -> Path:
    """What Lambda starts."""
    return DEPLOYED / function / "bootstrap"


def zipped(function: str) -> float:
    """The size of the deployed archive, in MB of 2^20 bytes as AWS counts."""
    return (DEPLOYED / f"{function}.zip").stat().st_size / 2**20


def starts(function: str, environment: dict[str, str]) -> Start:
    """The medians of several starts, and the most memory."""
    runs = [first_poll(bootstrap(function), environment) for _ in range(RUNS)]
    return Start(
        statistics.median(run.elapsed for run in runs), statistics.median(run.busy for run in runs), max(run.resident for run in runs)
    )


def codes(world: World, count: int) -> list[str]:
    """Bodies of requests for tokens, each with a code that is good."""
    verifier, redirect_uri = "v" * 43, "https://bench.example/cb"
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    client = psql(world.database, "-c", "SELECT client_id FROM oauth_client WHERE id = 4")
    bodies = []
    for code in (secrets.token_urlsafe(32) for _ in range(count)):
        psql(
            world.database,
            "-c",
            "WITH granted AS (INSERT INTO oauth_grant (user_id, client_id, scope, auth_time) VALUES (10004, 4, 'openid email', now()) RETURNING id) "
            "INSERT INTO oauth_code (code_hash, grant_id, redirect_uri, code_challenge, issued_at, expires_at) "
            f"SELECT sha256('{code}'), id, '{redirect_uri}', '{challenge}', now(), now() + interval '1 hour' FROM granted",
        )
        bodies.append(f"grant_type=authorization_code&client_id={client}&redirect_uri={redirect_uri}&code={code}&code_verifier={verifier}")
    return bodies


def first_tokens(world: World) -> tuple[float, float]:
    """Milliseconds from the start of `oauth-token` to the tokens for its first code, and for the next code: medians."""
    event = json.loads((ROOT / "events" / "oauth-token.json").read_text())
    cold, warm = [], []
    for _ in range(RUNS):
        first, second = codes(world, 2)
        began = time.perf_counter()
        with FunctionProcess(bootstrap("oauth-token"), world.by_secret) as function:
            for body, times in ((first, cold), (second, warm)):
                answer = function.invoke({**event, "body": body})
                assert answer["statusCode"] == 200, answer
                times.append((time.perf_counter() - began) * 1000)
                began = time.perf_counter()
    return statistics.median(cold), statistics.median(warm)


def report(name: str, goal: int, rows: dict[str, Start]) -> None:
    slowest = max(rows, key=lambda function: rows[function].elapsed)
    late = sorted(function for function, start in rows.items() if start.elapsed >= goal)
    print(
        f"start to first poll, {name}: {len(rows)} functions, median {statistics.median(row.elapsed for row in rows.values()):.1f} ms "
        f"({statistics.median(row.busy for row in rows.values()):.1f} ms on a processor), slowest {slowest} {rows[slowest].elapsed:.1f} ms "
        f"(goal: under {goal}){', missed by ' + ', '.join(late) if late else ''}",
        flush=True,
    )


def main() -> None:
    names = functions()
    missing = [name for name in names if not bootstrap(name).exists()]
    if missing:
        sys.exit(f"make build first: {', '.join(missing)}")
    world = World("lambda_bench")
    # Keys in the secret: what KMS takes to sign is not ours to measure.
    with FunctionProcess(bootstrap("oauth-rotate-keys"), {**world.by_secret, "SIGNING_KEY_KIND": "pem", "SIGNING_KEY_BITS": "4096"}) as process:
        process.invoke({})
    nothing = {name: starts(name, world.by_secret) for name in names if not needs_database(name)}
    database = {name: starts(name, world.by_secret) for name in names if needs_database(name)}
    cold, warm = first_tokens(world)
    world.close()
    report("nothing needed", GOALS["nothing"], nothing)
    report("secret read and database connected", GOALS["database"], database)
    poll = database["oauth-token"]
    print(
        f"oauth-token: first poll {poll.elapsed:.1f} ms ({poll.busy:.1f} on a processor); start to the tokens for the first code {cold:.1f} ms, "
        f"tokens for the next code {warm:.1f} ms",
        flush=True,
    )
    rows = {**nothing, **database}
    largest = max(rows, key=lambda function: rows[function].resident)
    print(f"resident memory at the first poll: most {rows[largest].resident:.1f} MB, {largest} (goal: under {GOALS['resident']})", flush=True)
    sizes = {name: zipped(name) for name in names}
    largest = max(sizes, key=sizes.get)
    large = sorted(name for name, size in sizes.items() if size > GOALS["zipped"])
    print(
        f"zipped bootstrap: median {statistics.median(sizes.values()):.2f} MB, largest {largest} {sizes[largest]:.2f} MB "
        f"(goal: at most {GOALS['zipped']}){', missed by ' + ', '.join(large) if large else ''}",
        flush=True,
    )
    if "--each" in sys.argv:
        for name in names:
            row = rows[name]
            print(f"    {name:26} {row.elapsed:6.1f} ms ({row.busy:5.1f} on a processor)  {row.resident:5.1f} MB resident  {sizes[name]:.2f} MB zipped")


if __name__ == "__main__":
    if "JHE_SCRATCH" not in os.environ:
        jhe = RELEASE / "jhe"
        sys.exit(subprocess.run([jhe, "with-database", sys.executable, *sys.argv]).returncode)
    main()
