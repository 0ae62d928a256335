"""The files of `infra/self-hosted`, started for real. Ends with `N passed, N failed`."""

import base64
import hashlib
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import requests
from certificates import Authority
from self_hosted import FILES, OWNER_PASSWORD, SERVICE_PASSWORD, Deployment, of_unit
from suite import Suite

suite = Suite()


def handshake(site: Deployment, oldest: ssl.TLSVersion, newest: ssl.TLSVersion, ciphers: str = "ALL:@SECLEVEL=0") -> str:
    """The version of TLS that nginx agrees to; the reason when it does not."""
    context = ssl.create_default_context(cafile=site.tls / "authorities.pem")
    context.set_ciphers(ciphers)
    warnings.simplefilter("ignore", DeprecationWarning)
    context.minimum_version, context.maximum_version = oldest, newest
    try:
        with (
            socket.create_connection(("127.0.0.1", site.https_port)) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as stream,
        ):
            return stream.version() or ""
    except (ssl.SSLError, ConnectionError) as error:
        return f"refused: {error}"


def session(source: str = "127.0.0.1", ca: Path | None = None) -> requests.Session:
    """A client that connects from an address of this machine."""
    client = requests.Session()
    client.trust_env = False
    client.verify = str(ca) if ca else True
    adapter = requests.adapters.HTTPAdapter()
    adapter.init_poolmanager(4, 4, source_address=(source, 0))
    client.mount("https://", adapter)
    client.mount("http://", adapter)
    return client


@suite.test
def clear_text_is_answered_with_the_way_to_tls(site: Deployment) -> None:
    for path in ["/", "/accounts/login/?next=%2F", "/FHIR/R5/Observation?patient=40001"]:
        answer = session().get(site.clear + path, allow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (301, site.base + path), answer.headers
        assert "strict-transport-security" not in answer.headers, "RFC 6797 section 7.2"
    answer = session().get(site.clear, headers={"Host": "evil.example"}, allow_redirects=False)
    assert answer.headers["location"] == site.base + "/", answer.headers


@suite.test
def old_tls_is_refused_and_new_tls_is_not(site: Deployment) -> None:
    versions = ssl.TLSVersion
    for version in [versions.TLSv1, versions.TLSv1_1]:
        assert handshake(site, version, version).startswith("refused"), version
    for version, name in [(versions.TLSv1_2, "TLSv1.2"), (versions.TLSv1_3, "TLSv1.3")]:
        assert handshake(site, version, version) == name
    # No key exchange without forward secrecy, no cipher without authentication of its text.
    for ciphers in ["AES128-SHA:@SECLEVEL=0", "ECDHE-RSA-AES128-SHA:@SECLEVEL=0", "AES128-GCM-SHA256:@SECLEVEL=0"]:
        assert handshake(site, versions.TLSv1_2, versions.TLSv1_2, ciphers).startswith("refused"), ciphers


@suite.test
def every_answer_says_that_the_site_is_reached_by_tls_alone_and_says_it_once(site: Deployment) -> None:
    client = session(ca=site.tls / "authorities.pem")
    for path in ["/", "/health", "/nothing", "/FHIR/R5/Observation"]:
        answer = client.get(site.base + path)
        assert answer.headers["strict-transport-security"] == "max-age=63072000; includeSubDomains", path
        assert "nginx/" not in answer.headers["server"], answer.headers["server"]
    too_large = client.post(site.base + "/FHIR/R5/Observation", data=b"x" * (8 << 20))
    assert too_large.status_code == 413 and too_large.headers["strict-transport-security"], too_large.headers


@suite.test
def an_upload_that_jhe_refuses_is_answered_by_jhe(site: Deployment) -> None:
    client = session(ca=site.tls / "authorities.pem")
    for _ in range(20):
        refused = client.post(site.base + "/FHIR/R5/Observation", data=b"x" * (6 << 20 | 1))
        assert refused.status_code == 413 and refused.json()["resourceType"] == "OperationOutcome", refused.text[:300]


def recorded_sources(site: Deployment) -> list[str]:
    statement = "SELECT DISTINCT coalesce(host(source_address::inet), '') FROM audit_event WHERE source_address IS NOT NULL"
    return sorted(site.postgres.sql(statement, "jhe").split())


@suite.test
def an_address_is_believed_when_the_proxy_says_it_and_not_when_a_caller_does(site: Deployment) -> None:
    login = {"username": "nobody@example.com", "password": "wrong password of nobody"}

    def sign_in(client: requests.Session, base: str) -> None:
        page = client.get(base + "/accounts/login/")
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)[1]
        # The cookie is for TLS: `requests` would not send it to the port of jhe itself.
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in client.cookies)
        headers = {"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9", "Cookie": cookies}
        answer = client.post(base + "/accounts/login/", data={**login, "csrfmiddlewaretoken": token}, headers=headers)
        assert answer.status_code == 200, (answer.status_code, answer.text[:300])

    sign_in(session("127.0.0.3", site.tls / "authorities.pem"), site.base)
    assert recorded_sources(site) == ["127.0.0.3"], recorded_sources(site)
    # Past the proxy, from an address that is not the proxy's.
    sign_in(session("127.0.0.2"), f"http://127.0.0.1:{site.jhe_port}")
    assert recorded_sources(site) == ["127.0.0.2", "127.0.0.3"], recorded_sources(site)
    # The proxy itself is believed.
    sign_in(session("127.0.0.1"), f"http://127.0.0.1:{site.jhe_port}")
    assert recorded_sources(site) == ["127.0.0.2", "127.0.0.3", "203.0.113.9"], recorded_sources(site)


@suite.test
def connections_are_encrypted_on_both_sides_of_the_pooler(site: Deployment) -> None:
    assert session(ca=site.tls / "authorities.pem").get(site.base + "/health").status_code == 200
    rows = site.postgres.sql(
        "SELECT DISTINCT s.ssl, s.version FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.usename = 'jhe_service'"
    )
    assert rows in ("t|TLSv1.3", "t|TLSv1.2"), rows
    for port, database in [(site.pooler_port, "jhe"), (site.postgres.port, "jhe")]:
        plain = psql(site, port, database, "disable")
        assert plain.returncode and re.search("SSL|no encryption", plain.stderr), plain.stderr
        assert psql(site, port, database, "verify-full").stdout == "1\n", psql(site, port, database, "verify-full").stderr
    # Who is not in the rules of access is refused by TLS, too.
    stranger = psql(site, site.postgres.port, "jhe", "verify-full", user="postgres")
    assert "pg_hba.conf" in stranger.stderr, stranger.stderr


def psql(site: Deployment, port: int, database: str, mode: str, user: str = "jhe_service") -> subprocess.CompletedProcess:
    environment = {
        **os.environ,
        "PGPASSWORD": (site.credentials / "db_password").read_text().strip(),
        "PGSSLMODE": mode,
        "PGSSLROOTCERT": str(site.tls / "authorities.pem"),
    }
    command = ["psql", "-qXAt", "-h", "localhost", "-p", str(port), "-U", user, "-d", database, "-c", "SELECT 1"]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


@suite.test
def migrating_again_leaves_the_login_as_the_pooler_knows_it(site: Deployment) -> None:
    kept = "SELECT rolpassword FROM pg_authid WHERE rolname = 'jhe_service'"
    before = site.postgres.sql(kept)
    done = site.jhe("migrate", unit="jhe-migrate.service")
    assert done.returncode == 0 and site.postgres.sql(kept) == before, done.stderr
    (site.credentials / "db_password").write_text("another password\n")
    done = site.jhe("migrate", unit="jhe-migrate.service")
    assert done.returncode == 0 and site.postgres.sql(kept) != before, "a new password is set"
    (site.credentials / "db_password").write_text(SERVICE_PASSWORD + "\n")
    site.postgres.sql(f"ALTER ROLE jhe_service PASSWORD '{before}'")


@suite.test
def pgaudit_is_switched_on_by_who_may_and_else_it_is_said(site: Deployment) -> None:
    assert "pgaudit: on" in site.jhe("migrate", unit="jhe-migrate.service").stdout
    site.postgres.sql("DROP EXTENSION pgaudit", "jhe")
    refused = site.jhe("migrate", unit="jhe-migrate.service")
    assert refused.returncode == 0 and "only a superuser can switch it on: CREATE EXTENSION pgaudit" in refused.stdout, refused
    # As the administrator of a provider's database may.
    site.postgres.sql("ALTER ROLE jhe_owner SUPERUSER")
    try:
        assert "pgaudit: on" in site.jhe("migrate", unit="jhe-migrate.service").stdout
    finally:
        site.postgres.sql("ALTER ROLE jhe_owner NOSUPERUSER")
    assert site.postgres.sql("SELECT count(*) FROM pg_extension WHERE extname = 'pgaudit'", "jhe") == "1"


@suite.test
def the_keys_of_a_certificate_and_of_the_site_are_the_same_pins(site: Deployment) -> None:
    spki = subprocess.run(["openssl", "x509", "-in", site.certificate, "-noout", "-pubkey"], capture_output=True, check=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "der"], input=spki, capture_output=True, check=True).stdout
    pin = base64.b64encode(hashlib.sha256(der).digest()).decode()
    by_file = site.jhe("pins", "--certificate", str(site.certificate), unit="jhe.service")
    by_site = site.jhe("pins", "--site", site.base, "--ca-file", str(site.tls / "authorities.pem"), unit="jhe.service")
    for done in (by_file, by_site):
        assert done.stdout.splitlines()[0] == f"{pin}  the certificate", done
    for words in (["--site", site.base], ["--site", site.clear], ["--certificate", "/nowhere"], [], ["--site"]):
        done = site.jhe("pins", *words, unit="jhe.service")
        assert done.returncode == 1 and not done.stdout and "jhe: " in done.stderr, (words, done)


@suite.test
def a_pooler_with_the_certificate_of_another_authority_gets_nothing(site: Deployment) -> None:
    other = tempfile.TemporaryDirectory()
    path = Path(other.name, "authorities.pem")
    path.write_text(Authority("Another authority").pem())
    trusted = site.jhe("rotate-keys", "--now", unit="jhe.service")
    assert "a short while ago" in trusted.stderr, trusted.stderr
    untrusted = site.jhe("rotate-keys", "--now", unit="jhe.service", DB_SSL_ROOT_CERT=str(path))
    assert untrusted.returncode and "not available" in untrusted.stderr, untrusted.stderr
    other.cleanup()


@suite.test
def logs_hold_who_changed_something_and_no_values_and_no_paths(site: Deployment) -> None:
    client = session(ca=site.tls / "authorities.pem")
    client.get(site.base + "/api/v1/invitation/SECRET-TOKEN?name=SECRET-NAME")
    site.host.stop()
    assert client.get(site.base + "/api/v1/patients?name=SECRET-NAME").status_code == 502
    site.host.start()
    log = site.postgres.log.read_text()
    changed = r"user=jhe_service,db=jhe,app=jhe,client=127\.0\.0\.1 LOG:  execute \S+: \s*(INSERT|UPDATE|DELETE)"
    assert re.search(changed, log), "changes are logged"
    # Most changes begin with WITH, and are SELECTs to log_statement: pgaudit says what they do, once each, and no value.
    entries = re.split(r"\n(?=\d{4}-\d{2}-\d{2} )", log)
    audited = [found for entry in entries if (found := re.search(r"LOG:  AUDIT: SESSION,\d+,\d+,(\w+),([\w ]+),[^,]*,[^,]*,(.*)", entry, re.DOTALL))]
    kinds = {(found[1], found[2]) for found in audited}
    assert {("ROLE", "GRANT ROLE"), ("DDL", "CREATE TABLE"), ("WRITE", "INSERT")} <= kinds, kinds
    hidden = [found[3] for found in audited if found[1] == "WRITE" and re.match(r'"?\s*WITH\b', found[3])]
    assert hidden and all("<not logged>" in text for text in hidden), hidden[:3]
    assert "connection authorized: user=jhe_service database=jhe" in log and "disconnection: session time" in log
    for value in ["nobody@example.com", SERVICE_PASSWORD, OWNER_PASSWORD]:
        assert value not in log, f"{value} is in the log of PostgreSQL"
    written = "".join(path.read_text() for path in site.directory.glob("*.log"))
    assert "SECRET" not in written and "nobody@example.com" not in written
    line = (site.directory / "jhe.log").read_text()
    assert '"status":' in line, "jhe writes a line for a request"


@suite.test
def the_units_are_understood_by_systemd_and_expose_little(site: Deployment) -> None:
    if not shutil.which("systemd-analyze"):
        raise SystemExit("systemd-analyze is missing. Install systemd and try again.")
    with tempfile.TemporaryDirectory() as directory:
        units = []
        for unit in sorted((FILES / "systemd").iterdir()):
            path = Path(directory, unit.name)
            # The program is not installed where tests run.
            path.write_text(re.sub(r"/usr/local/bin/jhe[\w-]*", shutil.which("true"), unit.read_text()))
            units.append(str(path))
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True)
        assert done.returncode == 0 and not done.stderr, done.stderr
        for unit in units:
            if unit.endswith(".service"):
                exposure = subprocess.run(
                    ["systemd-analyze", "security", "--offline=true", "--threshold=20", unit], capture_output=True, text=True
                )
                assert exposure.returncode == 0, exposure.stdout[-200:]
    for unit in ["jhe.service", "jhe-migrate.service", "jhe-verify.service", "jhe-backup-verify.service"]:
        assert not any("PASSWORD=" in value for value in of_unit(unit, "Environment")), unit


def in_namespace(script: str) -> subprocess.CompletedProcess:
    """Runs a script in a network of its own, as root of it."""
    environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    return subprocess.run(["unshare", "--user", "--map-root-user", "--net", "--mount", "sh", "-ec", script], env=environment, capture_output=True, text=True)


# Two machines: `there`, with the rules and something that listens at every port named, and this one, with the addresses given.
TWO_MACHINES = """
cd {directory}; rm -f pid ready
unshare --net sh -c 'echo $$ > pid; exec sleep 30' &
until [ -s pid ]; do sleep 0.02; done
there=$(cat pid)
on() {{ nsenter --net=/proc/$there/ns/net "$@"; }}
ip link set lo up
ip link add here type veth peer name there netns $there
for address in {addresses}; do ip address add $address/16 dev here; done
ip address add 10.0.3.1/16 dev here
ip link set here up
on ip address add 10.0.2.10/16 dev there
on ip link set there up
on ip link set lo up
on nft -f {rules}
exec_on() {{ exec nsenter --net=/proc/$there/ns/net "$@"; }}
exec_on {python} -c '
import socket, sys, time
sockets = [socket.create_server(("10.0.2.10", int(port))) for port in sys.argv[1:]]
open("ready", "w").close()
time.sleep(30)' {ports} &
listener=$!
until [ -e ready ]; do sleep 0.02; done
{python} -c '
import socket, sys
for address in sys.argv[1].split():
    reached = []
    for port in sys.argv[2].split():
        try:
            socket.create_connection(("10.0.2.10", int(port)), timeout=0.4, source_address=(address, 0)).close()
            reached.append(port)
        except OSError:
            pass
    print(address, *reached)' "{addresses}" "{ports}"
kill $listener $there
"""


@suite.test
def the_firewalls_let_through_what_they_say_and_nothing_else(site: Deployment) -> None:
    application, administrator, stranger = "10.0.1.10", "10.0.9.7", "10.0.7.7"
    ports = "22 80 443 5432 6432 8000"
    for rules, expected in [
        ("application.nft", {application: "80 443", administrator: "22 80 443", stranger: "80 443"}),
        ("database.nft", {application: "5432", administrator: "22", stranger: ""}),
    ]:
        script = TWO_MACHINES.format(
            directory=site.directory,
            addresses=" ".join(expected),
            ports=ports,
            rules=FILES / "nftables" / rules,
            python=sys.executable,
        )
        done = in_namespace(script)
        assert done.returncode == 0, done.stderr
        lines = [line for line in done.stdout.splitlines() if line[:2] == "10"]
        reached = {line.split()[0]: " ".join(line.split()[1:]) for line in lines}
        assert reached == expected, (rules, reached, done.stderr)


if __name__ == "__main__":
    with Deployment() as deployment:
        sys.exit(suite.run(deployment))
