"""The figures of the identity provider: signing in, authorizing, tokens, introspection, keys."""

import base64
import hashlib
import json
import os
import re
import secrets
import statistics
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from host import Host, best, logged  # It makes `database` known.
from database import psql

PASSWORD = "Jhe1234!"
SCOPE = "openid email"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
# More than are used up while a bench runs.
CODES = 60_000
CONNECTIONS = (1, 16)
# Attempts that have not succeeded yet count as failures: no more than four at a time, each for another account.
SIGNING_IN = (1, 4)
PEOPLE = [
    *("manager_mary", "member_megan", "viewer_victor", "three_org_tom", "manager_mark"),
    *("ll_patient_peter", "ll_patient_pamela", "npl_patient_percy", "ccl_patient_paul", "ccl_cardio_patient_pat"),
]

# Each connection waits for the successor of the token that it sent last.
REFRESH = """
local waiting = {}
for token in string.gmatch("%(tokens)s", "%%S+") do table.insert(waiting, token) end
function request() return wrk.format("POST", nil, nil, "%(form)s&refresh_token=" .. table.remove(waiting)) end
function response(status, headers, body) table.insert(waiting, string.match(body, '"refresh_token":"([^"]+)"')) end
"""
CODE = """
local number = 0
function request()
  number = number + 1
  return wrk.format("POST", nil, nil, "%(form)s&code=" .. string.format("%(run)s%%05d", number))
end
"""
SIGN_IN = """
local number = 0
function request()
  number = number + 1
  return wrk.format("POST", nil, nil, string.format("%(form)s", people[number %% #people + 1]))
end
"""
FORM = 'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/x-www-form-urlencoded"\nwrk.body = "%s"\n'


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer like any other."""

    def http_error_302(self, request, answer, code, message, headers):
        return answer

    http_error_303 = http_error_302


@dataclass
class Clients:
    """The public client of the demo world, and one that has a secret, acts by itself and introspects."""

    public: str
    redirect_uri: str
    basic: str


def register(host: Host) -> Clients:
    """The clients, the second one made here."""
    secret = secrets.token_urlsafe(32)
    psql(
        host.database,
        "-c",
        "INSERT INTO oauth_client (client_id, name, redirect_uris, grant_types, scopes, token_endpoint_auth_method, secret_hash, acts_as, "
        "whole_access) VALUES ('bench', 'Bench', '{}', '{client_credentials}', '{openid,email}', 'client_secret_basic', "
        f"'\\x{hashlib.sha256(secret.encode()).hexdigest()}', 10004, true)",
    )
    public, redirect_uri = psql(host.database, "-c", "SELECT client_id, redirect_uris[1] FROM oauth_client WHERE id = 4").split("|")
    return Clients(public, redirect_uri, base64.b64encode(f"bench:{secret}".encode()).decode())


def own_token(host: Host, clients: Clients) -> str:
    """A token that the client got for itself: of others' it learns nothing."""
    form = urllib.parse.urlencode({"grant_type": "client_credentials"}).encode()
    request = urllib.request.Request(f"{host.base}/o/token/", form, {"Authorization": f"Basic {clients.basic}"})
    with urllib.request.urlopen(request) as response:
        return json.load(response)["access_token"]


class Browser:
    """A browser in which people sign in."""

    def __init__(self, host: Host):
        self.base = host.base
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(), NoRedirect())
        page = self.get("/accounts/login/").read().decode()
        self.form = {
            "csrfmiddlewaretoken": re.search('name="csrfmiddlewaretoken" value="([^"]+)"', page)[1],
            "password": PASSWORD,
            "next": "/",
        }

    def get(self, path: str):
        return self.opener.open(self.base + path)

    def post(self, path: str, form: dict[str, str]):
        return self.opener.open(urllib.request.Request(self.base + path, urllib.parse.urlencode(form).encode()))

    def sign_in(self, name: str = "viewer_victor") -> None:
        form = {**self.form, "username": f"{name}@example.com"}
        assert self.post("/accounts/login/", form).headers["Location"] == "/"

    def cookies(self) -> str:
        jar = next(handler.cookiejar for handler in self.opener.handlers if hasattr(handler, "cookiejar"))
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in jar)


def authorize(clients: Clients) -> str:
    parameters = {
        "client_id": clients.public,
        "redirect_uri": clients.redirect_uri,
        "response_type": "code",
        "scope": SCOPE,
        "state": "s",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return "/o/authorize/?" + urllib.parse.urlencode(parameters)


def issue_codes(host: Host, clients: Clients, run: str, count: int) -> None:
    """Codes as `authorize` issues them, but all at once and for an hour: `run` and a number."""
    psql(
        host.database,
        "-c",
        "WITH granted AS (INSERT INTO oauth_grant (user_id, client_id, scope, auth_time) "
        f"SELECT 10004, 4, '{SCOPE}', now() FROM generate_series(1, {count}) RETURNING id), numbered AS ("
        "SELECT id, row_number() OVER () AS number FROM granted) "
        "INSERT INTO oauth_code (code_hash, grant_id, redirect_uri, code_challenge, issued_at, expires_at) "
        f"SELECT sha256(('{run}' || lpad(number::text, 5, '0'))::bytea), id, '{clients.redirect_uri}', '{CHALLENGE}', now(), "
        "now() + interval '1 hour' FROM numbered",
    )


def exchange(browser: Browser, clients: Clients, code: str) -> dict:
    return json.load(browser.post("/o/token/", {**code_form(clients), "code": code}))


def code_form(clients: Clients) -> dict[str, str]:
    return {"grant_type": "authorization_code", "client_id": clients.public, "redirect_uri": clients.redirect_uri, "code_verifier": VERIFIER}


def processor(host: Host) -> float:
    """The milliseconds that the host has been on a processor, in user and kernel mode."""
    fields = Path(f"/proc/{host.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def resident(host: Host) -> float:
    """The most memory that the host has had, in MiB."""
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{host.process.pid}/status").read_text())[1]) / 1024


def load(host: Host, name: str, path: str, script: Callable[[int], str] | str, at: tuple[int, ...] = CONNECTIONS, seconds: int = 4) -> None:
    """Requests per second, the median, and what a request costs the host's processor, for each number of connections."""
    for connections in at:
        busy: list[float] = []

        def measure(connections: int = connections) -> tuple[float, float]:
            with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
                file.write(script if isinstance(script, str) else script(connections))
                file.flush()
                before = processor(host)
                rate, median = host.wrk(path, connections, seconds, file.name, token="")
                busy.append((processor(host) - before) / (rate * seconds))
                return rate, median

        rate, median = best(3, measure)
        print(f"{name}, c={connections}: {rate:.0f} req/s, median {median:.2f} ms, {statistics.median(busy):.2f} ms on a processor", flush=True)


def signing_in(host: Host) -> None:
    """What a password costs: Argon2id, a session, an audit event."""
    browser = Browser(host)
    browser.sign_in()
    before = resident(host)
    times = []
    for _ in range(15):
        started = time.monotonic()
        browser.sign_in()
        times.append((time.monotonic() - started) * 1000)
    print(f"signing in: median {statistics.median(times):.1f} ms; most memory {resident(host):.0f} MiB, {before:.0f} after the first", flush=True)
    people = ", ".join(f'"{name}"' for name in PEOPLE)
    form = urllib.parse.urlencode(browser.form).replace("%", "%%") + "&username=%s%%40example.com"
    script = FORM % "" + f'wrk.headers["Cookie"] = "{browser.cookies()}"\nlocal people = {{ {people} }}\n' + SIGN_IN % {"form": form}
    load(host, "signing in", "/accounts/login/", script, at=SIGNING_IN)
    print(f"signing in, {SIGNING_IN[-1]} at a time: most memory {resident(host):.0f} MiB", flush=True)


def codes_and_tokens(host: Host, clients: Clients, browser: Browser) -> None:
    """The token endpoint, by each grant."""

    def by_code(_: int) -> str:
        run = secrets.token_hex(19)
        issue_codes(host, clients, run, CODES)
        return FORM % "" + CODE % {"form": urllib.parse.urlencode(code_form(clients)), "run": run}

    def by_refresh(connections: int) -> str:
        run = secrets.token_hex(19)
        issue_codes(host, clients, run, connections * 2)
        tokens = (exchange(browser, clients, f"{run}{number:05}")["refresh_token"] for number in range(1, connections * 2 + 1))
        form = urllib.parse.urlencode({"grant_type": "refresh_token", "client_id": clients.public})
        return FORM % "" + REFRESH % {"form": form, "tokens": " ".join(tokens)}

    by_credentials = FORM % "grant_type=client_credentials" + f'wrk.headers["Authorization"] = "Basic {clients.basic}"'
    load(host, "code to tokens", "/o/token/", by_code)
    load(host, "refresh to tokens", "/o/token/", by_refresh)
    load(host, "client credentials to a token", "/o/token/", by_credentials)


def statements(host: Host, clients: Clients) -> None:
    """How often each request asks the database, once its statements are prepared."""
    with logged(host) as log:
        browser = Browser(host)
        run = secrets.token_hex(19)
        issue_codes(host, clients, run, 2)
        tokens: dict = {}
        own = own_token(host, clients)

        def by_code(number: int) -> None:
            tokens.update(exchange(browser, clients, f"{run}{number:05}"))

        def by_refresh(_: int) -> None:
            form = {"grant_type": "refresh_token", "client_id": clients.public, "refresh_token": tokens["refresh_token"]}
            tokens.update(json.load(browser.post("/o/token/", form)))

        def asked(path: str, form: dict[str, str] | None, authorization: str) -> None:
            data = urllib.parse.urlencode(form).encode() if form else None
            urllib.request.urlopen(urllib.request.Request(host.base + path, data, {"Authorization": authorization})).read()

        for name, action in {
            "signing in": lambda _: browser.sign_in(),
            "authorize": lambda _: browser.get(authorize(clients)),
            "code to tokens": by_code,
            "refresh to tokens": by_refresh,
            "client credentials": lambda _: asked("/o/token/", {"grant_type": "client_credentials"}, f"Basic {clients.basic}"),
            "introspection": lambda _: asked("/o/introspect/", {"token": own}, f"Basic {clients.basic}"),
            "userinfo": lambda _: asked("/o/userinfo/", None, f"Bearer {tokens['access_token']}"),
            "keys": lambda _: browser.get("/o/.well-known/jwks.json"),
        }.items():
            action(1)
            log()
            action(2)
            done = re.findall(r"duration: ([\d.]+) ms  (?:execute|statement)", log())
            print(f"{name}: {len(done)} round trips to the database, {sum(map(float, done)):.2f} ms in it", flush=True)


def identity() -> None:
    """Signing in, authorizing, tokens, introspection and keys, in the demo world."""
    host = Host(1000)
    clients = register(host)
    signing_in(host)
    browser = Browser(host)
    browser.sign_in()
    before = int(psql(host.database, "-c", "SELECT count(*) FROM oauth_code"))
    load(host, "authorize to code", authorize(clients), f'wrk.headers["Cookie"] = "{browser.cookies()}"')
    # A redirect with an error would count for wrk.
    issued = int(psql(host.database, "-c", "SELECT count(*) FROM oauth_code")) - before
    print(f"    {issued} codes issued", flush=True)
    codes_and_tokens(host, clients, browser)
    form = urllib.parse.urlencode({"token": own_token(host, clients)})
    load(host, "introspection", "/o/introspect/", FORM % form + f'wrk.headers["Authorization"] = "Basic {clients.basic}"')
    load(host, "userinfo", "/o/userinfo/", f'wrk.headers["Authorization"] = "Bearer {host.token}"')
    load(host, "keys", "/o/.well-known/jwks.json", "")
    statements(host, clients)
    host.close()
