"""A deployment by the files of `infra/self-hosted`, on this machine: PostgreSQL, PgBouncer, jhe and nginx.

The files are taken as they are but for addresses, ports and paths. A replacement that finds nothing to replace is an error, so
a file that changes is noticed here.
"""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

from certificates import Authority
from instance import JHE
from servers import Postgres, Process, as_account, ensure, free_port, give, scratch

FILES = Path(__file__).resolve().parent.parent.parent / "infra" / "self-hosted"
OWNER_PASSWORD, SERVICE_PASSWORD = "owner of the tables", "service of the requests"

MAIN = """\
daemon off;
user root;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/nginx-start.log;
events {{ worker_connections 64; }}
http {{
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    include {directory}/jhe.conf;
}}
"""


def rendered(file: str, replacements: dict[str, str]) -> str:
    """A file of the deployment with other addresses, ports and paths."""
    text = (FILES / file).read_text()
    for old, new in replacements.items():
        if old not in text:
            raise SystemExit(f"{file} has no {old!r}")
        text = text.replace(old, new)
    return text


def variables(text: str) -> dict[str, str]:
    """What a file of the form of systemd's EnvironmentFile sets."""
    lines = (line.strip() for line in text.splitlines())
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def of_unit(unit: str, key: str) -> list[str]:
    """The values of a key in a unit."""
    return re.findall(rf"^{key}=(.*)$", (FILES / "systemd" / unit).read_text(), re.MULTILINE)


class Deployment:
    """`with Deployment() as site:` runs all of it."""

    def __enter__(self) -> "Deployment":
        self.directory = scratch()
        self.started: list[Process | Postgres] = []
        try:
            self.begin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def begin(self) -> None:
        self.authority = Authority("Authority of a test")
        self.tls = self.directory / "tls"
        self.tls.mkdir()
        (self.tls / "authorities.pem").write_text(self.authority.pem())
        self.certificate, self.key = self.authority.sign(self.tls, "server", "localhost", ("localhost", "127.0.0.1"))
        give(self.certificate, self.key)
        self.jhe_port, self.pooler_port, self.http_port, self.https_port = (free_port() for _ in range(4))
        self.base = f"https://localhost:{self.https_port}"
        self.clear = f"http://localhost:{self.http_port}"
        self.start_postgres()
        self.start_pooler()
        self.start_jhe()
        self.start_nginx()

    def start_postgres(self) -> None:
        settings = rendered(
            "postgresql/jhe.conf",
            {
                "listen_addresses = '10.0.2.10'": "listen_addresses = 'localhost'",
                "port = 5432\n": "",
                "/etc/postgresql/tls": str(self.tls),
            },
        )
        ensure("ensure-pgaudit")
        access = rendered("postgresql/pg_hba.conf", {"10.0.1.10/32": "127.0.0.1/32"})
        self.postgres = Postgres(self.directory, settings, access + access.replace("127.0.0.1/32", "::1/128"))
        self.started.append(self.postgres)
        # As the administrator of a provider's database is: no superuser.
        self.postgres.sql(f"CREATE ROLE jhe_owner LOGIN CREATEDB CREATEROLE PASSWORD '{OWNER_PASSWORD}'")
        self.postgres.sql("CREATE DATABASE jhe OWNER jhe_owner")
        # Who owns the database may not.
        self.postgres.sql("CREATE EXTENSION pgaudit", "jhe")

    def start_pooler(self) -> None:
        # The login is made by `jhe migrate`, so its password is known as PostgreSQL keeps it only then.
        self.write_environment()
        self.migrated = self.jhe("migrate", unit="jhe-migrate.service")
        if self.migrated.returncode:
            raise SystemExit(f"jhe migrate: {self.migrated.stderr}")
        kept = self.postgres.sql("SELECT rolpassword FROM pg_authid WHERE rolname = 'jhe_service'")
        users, configuration = self.directory / "users.txt", self.directory / "pgbouncer.ini"
        users.write_text(f'"jhe_service" "{kept}"\n')
        configuration.write_text(
            rendered(
                "pgbouncer/pgbouncer.ini",
                {
                    "host=db.jhe.internal port=5432": f"host=localhost port={self.postgres.port}",
                    "listen_port = 6432": f"listen_port = {self.pooler_port}",
                    "/etc/pgbouncer/users.txt": str(users),
                    "/etc/pgbouncer/tls": str(self.tls),
                },
            )
        )
        give(users, configuration)
        command = as_account([ensure("ensure-pgbouncer"), configuration])
        # By SIGTERM it would wait until jhe lets go of its connections.
        self.pooler = Process(command, self.pooler_port, self.directory / "pgbouncer.log", end=signal.SIGQUIT).start()
        self.started.append(self.pooler)

    def write_environment(self) -> None:
        text = rendered(
            "jhe.env",
            {
                "https://jhe.example.org": self.base,
                "PORT=8000": f"PORT={self.jhe_port}",
                "DB_PORT=6432": f"DB_PORT={self.pooler_port}",
                "DB_OWNER_HOST=db.jhe.internal": "DB_OWNER_HOST=localhost",
                "DB_OWNER_PORT=5432": f"DB_OWNER_PORT={self.postgres.port}",
                "/etc/jhe/tls": str(self.tls),
                "MAIL_TRANSPORT=smtp": "MAIL_TRANSPORT=none",
            },
        )
        self.settings = variables(text)
        self.credentials = self.directory / "credentials"
        self.credentials.mkdir()
        for name, secret in [("db_password", SERVICE_PASSWORD), ("db_owner_password", OWNER_PASSWORD)]:
            (self.credentials / name).write_text(secret + "\n")

    def environment(self, unit: str, **more: str) -> dict[str, str]:
        """What a unit gives its process."""
        own = dict(value.split("=", 1) for value in of_unit(unit, "Environment"))
        own = {name: value.replace("%d", str(self.credentials)) for name, value in own.items()}
        own["CREDENTIALS_DIRECTORY"] = str(self.credentials)
        home = {"JHE_HOME": str(self.directory / "home"), "LOG_LEVEL": "info", "PATH": os.environ["PATH"]}
        # As a month's rotation is not what is tried here, keys are short: they are made at the first start.
        return {**self.settings, **own, **home, "SIGNING_KEY_BITS": "2048", **more}

    def jhe(self, *arguments: str, unit: str, **more: str) -> subprocess.CompletedProcess:
        """Runs jhe as a unit does."""
        return subprocess.run(
            [JHE, *arguments], env=self.environment(unit, **more), capture_output=True, text=True, timeout=120
        )

    def start_jhe(self) -> None:
        command = of_unit("jhe.service", "ExecStart")[0].split()
        if command[0] != "/usr/local/bin/jhe":
            raise SystemExit(f"jhe.service starts {command}")
        environment = self.environment("jhe.service")
        self.host = Process([str(JHE), *command[1:]], self.jhe_port, self.directory / "jhe.log", environment).start()
        self.started.append(self.host)

    def nginx_configuration(self) -> str:
        has_ipv6 = Path("/proc/net/if_inet6").exists() and "::1" in subprocess.run(
            ["getent", "ahosts", "ip6-localhost"], capture_output=True, text=True
        ).stdout
        text = rendered(
            "nginx/jhe.conf",
            {
                "server 127.0.0.1:8000;": f"server 127.0.0.1:{self.jhe_port};",
                "listen 80;": f"listen 127.0.0.1:{self.http_port};",
                "listen [::]:80;": f"listen [::1]:{self.http_port};",
                "listen 443 ssl http2;": f"listen 127.0.0.1:{self.https_port} ssl http2;",
                "listen [::]:443 ssl http2;": f"listen [::1]:{self.https_port} ssl http2;",
                "https://jhe.example.org": self.base,
                "/etc/letsencrypt/live/jhe.example.org/fullchain.pem": str(self.certificate),
                "/etc/letsencrypt/live/jhe.example.org/privkey.pem": str(self.key),
                "server_name jhe.example.org;": "server_name localhost;",
                "/var/log/nginx": str(self.directory),
            },
        )
        return text if has_ipv6 else re.sub(r" *listen \[::1\].*\n", "", text)

    def start_nginx(self) -> None:
        main, site = self.directory / "nginx.conf", self.directory / "jhe.conf"
        main.write_text(MAIN.format(directory=self.directory))
        site.write_text(self.nginx_configuration())
        command = [ensure("ensure-nginx"), "-c", str(main), "-e", str(self.directory / "nginx-start.log")]
        self.nginx = Process(command, self.https_port, self.directory / "nginx.out").start()
        self.started.append(self.nginx)

    def configure_nginx(self, *changes: tuple[str, str]) -> None:
        """Runs nginx with its file changed; without a change, as it is."""
        text = self.nginx_configuration()
        for old, new in changes:
            if old not in text:
                raise SystemExit(f"nginx/jhe.conf has no {old!r}")
            text = text.replace(old, new)
        (self.directory / "jhe.conf").write_text(text)
        self.nginx.restart()

    def __exit__(self, *_: object) -> None:
        for server in reversed(self.started):
            server.stop()
        shutil.rmtree(self.directory, ignore_errors=True)
