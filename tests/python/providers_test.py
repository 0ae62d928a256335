"""The standalone host against PostgreSQL as Cloud SQL and Azure Database for PostgreSQL set it up. Ends with `N passed, N failed`."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from certificates import Authority
from instance import JHE
from servers import Postgres, give, scratch
from suite import Suite

OWNER_PASSWORD, SERVICE_PASSWORD = "owner of the tables", "service of the requests"
CHECKS = "database-session,database-identity,database-clear-text,database-roles,access-control"
suite = Suite()

SETTINGS = """\
listen_addresses = 'localhost'
ssl = on
ssl_cert_file = '{tls}/server.pem'
ssl_key_file = '{tls}/server.key'
ssl_ca_file = '{tls}/clients.pem'
ssl_min_protocol_version = 'TLSv1.2'
password_encryption = 'scram-sha-256'
"""

LOCAL = "local all postgres peer\n"


class Server:
    """A PostgreSQL of a provider: an administrator who is no superuser, and TLS with authorities of its own."""

    def __init__(self, common_name: str, names: tuple[str, ...], access: str):
        self.directory = scratch()
        self.tls = self.directory / "tls"
        self.tls.mkdir()
        self.authority, self.clients = Authority("Server authority"), Authority("Client authority")
        (self.tls / "authorities.pem").write_text(self.authority.pem())
        (self.tls / "clients.pem").write_text(self.clients.pem())
        give(self.tls / "clients.pem", *self.authority.sign(self.tls, "server", common_name, names))
        self.postgres = Postgres(self.directory, SETTINGS.format(tls=self.tls), LOCAL + access)
        self.postgres.sql(f"CREATE ROLE jhe_owner LOGIN CREATEDB CREATEROLE PASSWORD '{OWNER_PASSWORD}'")
        self.postgres.sql("CREATE DATABASE jhe OWNER jhe_owner")

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.postgres.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def client(self, user: str, authority: Authority | None = None) -> dict[str, str]:
        """The settings of a client certificate for a user."""
        name = f"client-{user}-{id(authority)}"
        certificate, key = (authority or self.clients).sign(self.tls, name, user)
        return {"DB_SSL_CERT": str(certificate), "DB_SSL_KEY": str(key)}

    def jhe(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess:
        environment = {
            "PATH": os.environ["PATH"],
            "JHE_HOME": str(self.directory / "home"),
            "SITE_URL": "http://localhost:8000",
            "LOG_LEVEL": "off",
            "SIGNING_KEY_BITS": "2048",
            "DB_HOST": "localhost",
            "DB_PORT": str(self.postgres.port),
            "DB_NAME": "jhe",
            "DB_USER": "jhe_service",
            "DB_PASSWORD": SERVICE_PASSWORD,
            "DB_OWNER_USER": "jhe_owner",
            "DB_OWNER_PASSWORD": OWNER_PASSWORD,
            "DB_SSL_ROOT_CERT": str(self.tls / "authorities.pem"),
            **settings,
        }
        return subprocess.run([JHE, *arguments], env=environment, capture_output=True, text=True, timeout=120)

    def migrated(self, **settings: str) -> None:
        done = self.jhe("migrate", **settings)
        assert done.returncode == 0, done.stderr

    def verified(self, target: str, **settings: str) -> str:
        """What `jhe verify` finds of the database, all of it good."""
        done = self.jhe("verify", "--target", target, "--only", CHECKS, **settings)
        assert done.returncode == 0 and "5 pass, 0 fail, 0 not checkable" in done.stdout, done.stdout + done.stderr
        return done.stdout

    def serves(self, **settings: str) -> bool:
        """Whether a process that serves gets what it needs of the database."""
        # The first call makes the keys. The second one is too early for a rotation, which is recorded: that needs the database.
        self.jhe("rotate-keys", **settings)
        asked = self.jhe("rotate-keys", "--now", **settings)
        assert re.search("a short while ago|not available", asked.stderr), asked.stderr
        return "a short while ago" in asked.stderr


@suite.test
def cloud_sql_with_client_certificates_serves_who_has_the_right_one_and_nobody_else() -> None:
    access = "hostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-full\nhostssl all all ::1/128 scram-sha-256 clientcert=verify-full\n"
    with Server("0a1b.us-central1.sql.goog", ("localhost",), access) as server:
        service, owner = server.client("jhe_service"), server.client("jhe_owner")
        own = {f"DB_OWNER_{name[3:]}": value for name, value in owner.items()}
        server.migrated(**own)
        assert server.serves(**service)
        assert not server.serves(), "no certificate"
        assert not server.serves(**server.client("jhe_service", Authority("Client authority"))), "of another authority"
        assert not server.serves(**owner), "of another user"
        assert not server.serves(**service, DB_SSL_MODE="disable")
        assert not server.serves(**service, DB_SSL_ROOT_CERT=str(server.tls / "clients.pem")), "the server is another"
        found = server.verified("gcp", **service, **own)
        assert "DB_SSL_MODE is verify-full" in found


@suite.test
def cloud_sql_with_a_certificate_that_names_the_instance_is_verified_by_its_own_authority() -> None:
    access = "hostssl all all 127.0.0.1/32 scram-sha-256\nhostssl all all ::1/128 scram-sha-256\n"
    with Server("project:jhe-production", (), access) as server:
        server.migrated(DB_SSL_MODE="verify-ca")
        assert not server.serves(), "verify-full wants the name"
        assert server.serves(DB_SSL_MODE="verify-ca")
        (server.tls / "other.pem").write_text(Authority("Server authority").pem())
        assert not server.serves(DB_SSL_MODE="verify-ca", DB_SSL_ROOT_CERT=str(server.tls / "other.pem"))
        assert "the authority of the instance" in server.verified("gcp", DB_SSL_MODE="verify-ca")
        azure = server.jhe("verify", "--target", "azure", "--only", "database-identity", DB_SSL_MODE="verify-ca")
        assert azure.returncode == 1, "elsewhere the name has to be verified"


@suite.test
def azure_is_verified_by_a_bundle_of_several_authorities() -> None:
    access = "hostssl all all 127.0.0.1/32 scram-sha-256\nhostssl all all ::1/128 scram-sha-256\n"
    with Server("jhe-production.postgres.database.azure.com", ("localhost",), access) as server:
        others = [Authority("DigiCert Global Root CA"), Authority("Microsoft RSA Root Certificate Authority 2017")]
        bundle, without = server.tls / "bundle.pem", server.tls / "without.pem"
        without.write_text("".join(authority.pem() for authority in others))
        bundle.write_text("# Comments stand between them.\n" + without.read_text() + server.authority.pem())
        server.migrated(DB_SSL_ROOT_CERT=str(bundle))
        assert server.serves(DB_SSL_ROOT_CERT=str(bundle))
        assert not server.serves(DB_SSL_ROOT_CERT=str(without))
        assert not server.serves(DB_SSL_ROOT_CERT=""), "no public authority signed it"
        server.verified("azure", DB_SSL_ROOT_CERT=str(bundle))
        # require_secure_transport is a matter of the server: who comes in clear text is refused.
        assert not server.serves(DB_SSL_ROOT_CERT=str(bundle), DB_SSL_MODE="disable")


@suite.test
def passwords_and_values_are_in_no_log() -> None:
    access = "hostssl all all 127.0.0.1/32 scram-sha-256\nhostssl all all ::1/128 scram-sha-256\n"
    with Server("localhost", ("localhost",), access) as server:
        server.postgres.reload(settings=server.postgres.settings + "log_statement = 'all'\n")
        # Made, and given another password.
        for _ in range(2):
            server.migrated()
        log = server.postgres.log.read_text()
        assert "ROLE jhe_service LOGIN" in log and "SCRAM-SHA-256$" in log
        assert SERVICE_PASSWORD not in log and OWNER_PASSWORD not in log
        assert server.serves(), "the password is the one that was given"


@suite.test
def a_certificate_needs_its_key_and_a_file_that_is_none_is_named() -> None:
    settings = {"DB_HOST": "localhost", "DB_NAME": "jhe", "DB_USER": "u", "PATH": os.environ["PATH"], "JHE_HOME": "/tmp/jhe-none"}
    for more, named in [
        ({"DB_SSL_CERT": "/etc/hostname"}, "DB_SSL_CERT"),
        ({"DB_SSL_CERT": "/etc/hostname", "DB_SSL_KEY": "/etc/hostname"}, "DB_SSL_CERT"),
        ({"DB_OWNER_PASSWORD_FILE": "/nowhere"}, "DB_OWNER_PASSWORD_FILE"),
    ]:
        environment = {**settings, **more, "DB_OWNER_USER": "o"}
        done = subprocess.run([JHE, "migrate"], env=environment, capture_output=True, text=True)
        assert done.returncode == 1 and named in done.stderr, (more, done.stderr)


if __name__ == "__main__":
    sys.exit(suite.run())
