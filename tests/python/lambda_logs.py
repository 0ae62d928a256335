"""What functions write under the Lambda runtime: never what is sensitive in an event, whatever form it has and whatever fails.

The same is asked of the host, for every route, by tests/e2e/log_sentinels.rs.
"""

import base64
import json
import secrets
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

from lambda_world import World
from runtime_api import FunctionProcess

EVENTS = {
    "fhir-observation-search": "fhir-observation-search",
    "fhir-observation-create": "fhir-observation-create",
    "patients-create": "patients-create",
    "users-change": "users-change",
    "invitation-redeem": "invitation-redeem",
    "oauth-token": "oauth-token",
    "accounts-login": "accounts-login-post",
    "accounts-reset": "accounts-reset",
}
FIELDS = (
    "email", "telecomEmail", "nameFamily", "nameGiven", "telecomPhone", "birthDate", "firstName", "username", "password", "code",
    "token", "client_secret", "refresh_token", "code_verifier", "identifier", "value",
)
PLACES = ("path", "query", "reason", "cookie", "token", "user agent", "rest of a body")


class Sentinels:
    def __init__(self) -> None:
        self.values = {what: f"Zq{secrets.token_hex(9)}" for what in (*FIELDS, *PLACES)}

    def __getitem__(self, what: str) -> str:
        return self.values[what]

    def leaks(self, text: str) -> list[str]:
        lower = text.lower()
        return [
            f"{what} as {form}"
            for what, value in self.values.items()
            for form, written in forms(value)
            if written in (text if form == "base64" else lower)
        ]


def forms(value: str) -> Iterator[tuple[str, str]]:
    """A value in every form that it could be written in. But for base64, small letters stand for both."""
    yield "plain text", value.lower()
    yield "percents", "".join(f"%{ord(letter):02x}" for letter in value)
    yield "hexadecimal", value.encode().hex()
    yield "escapes", "".join(f"\\u{ord(letter):04x}" for letter in value)
    for shift, first in enumerate((0, 2, 3)):
        # What is before it shifts the letters, and those at both ends are of its neighbours, too.
        data = b"\0" * shift + value.encode()
        yield "base64", base64.b64encode(data).decode()[first : len(data) // 3 * 4]


def marked(event: dict, sentinels: Sentinels, token: str | None) -> dict:
    """The event with values in every sensitive place. Its body is whole JSON or a form, and holds every field."""
    fields = {name: sentinels[name] for name in FIELDS}
    is_form = "form" in event["headers"].get("content-type", "")
    body = "&".join(f"{name}={quote(value)}" for name, value in fields.items()) if is_form else json.dumps(fields)
    headers = {
        **event["headers"],
        "x-jhe-reason": sentinels["reason"],
        "user-agent": sentinels["user agent"],
        **({"authorization": f"Bearer {token}"} if token else {}),
    }
    variables = {name: sentinels["path"] for name in event.get("pathParameters") or {}}
    return {
        **event,
        "headers": headers,
        "cookies": [f"jhe_session={sentinels['cookie']}"],
        "rawQueryString": f"email={sentinels['query']}&name={sentinels['query']}",
        "body": body,
        "isBase64Encoded": False,
        **({"pathParameters": variables, "rawPath": f"/api/v1/{sentinels['path']}"} if variables else {}),
    }


def variants(event: dict, sentinels: Sentinels) -> Iterator[dict]:
    """What is asked: as in its file, with values in every place, as nobody who is known, and with a broken body."""
    yield event
    yield marked(event, sentinels, None)
    yield marked(event, sentinels, sentinels["token"])
    broken = marked(event, sentinels, None)
    yield {**broken, "body": broken["body"][:-1] + sentinels["rest of a body"]}
    encoded = base64.b64encode(broken["body"].encode()).decode()
    yield {**broken, "body": encoded, "isBase64Encoded": True}


def run(binaries: Path, world: World, load: Callable[[str], dict], check: Callable[..., None]) -> None:
    """`check(what, good, detail)` counts."""
    sentinels = Sentinels()
    talkative = {**world.by_variables, "LOG_LEVEL": "trace", "RUST_LOG": "trace", "RUST_BACKTRACE": "1"}
    # With the database at hand, and with nobody where it should be.
    for database, environment in {"there": talkative, "away": {**talkative, "DB_PORT": "9", "DB_CONNECT_TIMEOUT": "1"}}.items():
        for function, name in EVENTS.items():
            with tempfile.TemporaryFile("w+") as output:
                asked = 0
                with FunctionProcess(binaries / function, environment, output) as process:
                    for event in variants(load(name), sentinels):
                        process.invoke(event)
                        asked += 1
                output.seek(0)
                said = output.read()
            lines = [json.loads(line) for line in said.splitlines() if '"message":"served"' in line]
            good = len(lines) == asked and all({"id", "function", "version"} <= set(line["span"]) for line in lines)
            good = good and all({"status", "outcome", "micros"} <= set(line) for line in lines)
            check(f"{function} writes a line for each request, the database {database}", good, said[-500:])
            leaks = sentinels.leaks(said)
            check(f"{function} tells nothing of them, the database {database}", not leaks, leaks)
    for form, written in forms(sentinels["email"]):
        check(f"what is written as {form} is found", bool(sentinels.leaks(f'{{"message":"{written}"}}')), written)
