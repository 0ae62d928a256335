"""Programs that tests start and stop: PostgreSQL, PgBouncer, nginx. None of them runs as root."""

import contextlib
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))


# Below those that the kernel gives to connections, of which other tests make many: one of these stays free until its server has it.
PORTS = range(10_000, 32_000)


def free_port() -> int:
    while True:
        port = random.choice(PORTS)
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


def answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def account() -> pwd.struct_passwd | None:
    """Who runs PostgreSQL and PgBouncer when this process is root: they refuse to run as root."""
    return pwd.getpwnam("postgres") if os.geteuid() == 0 else None


def as_account(command: list[str | Path]) -> list[str]:
    who = account()
    prefix = ["setpriv", f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", "--clear-groups", "--"] if who else []
    return [*prefix, *map(str, command)]


def give(*paths: Path) -> None:
    """Gives files to that account."""
    if who := account():
        for path in paths:
            os.chown(path, who.pw_uid, who.pw_gid)


def scratch() -> Path:
    """A directory that the account can reach."""
    directory = Path(tempfile.mkdtemp(prefix="jhe-servers-", dir="/var/tmp"))
    directory.chmod(0o755)
    return directory


def program(name: str) -> Path:
    """A program of PostgreSQL."""
    found = BINARIES[-1] / name if BINARIES else shutil.which(name)
    if not found:
        raise SystemExit(f"{name} is not installed")
    return Path(found)


def ensure(script: str) -> str:
    """The path of a program that a script makes sure of."""
    done = subprocess.run([ROOT / "scripts" / script], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


class Process:
    """A server in the foreground, ready when it answers at its port."""

    def __init__(self, command: list[str], port: int, log: Path, environment: dict[str, str] | None = None, end: int = signal.SIGTERM):
        self.command, self.port, self.log, self.environment, self.end = command, port, log, environment, end
        self.process: subprocess.Popen | None = None

    def start(self) -> "Process":
        with self.log.open("a") as output:
            self.process = subprocess.Popen(self.command, stdout=output, stderr=output, env=self.environment)
        deadline = time.monotonic() + 20
        while not answers(self.port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise SystemExit(f"{self.command[0]} does not start:\n{self.log.read_text()}")
            time.sleep(0.02)
        return self

    def stop(self) -> None:
        if self.process:
            self.process.send_signal(self.end)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def restart(self) -> None:
        self.stop()
        self.start()


class Postgres:
    """A PostgreSQL with settings and rules of access of its own. Its superuser comes by a socket."""

    def __init__(self, directory: Path, settings: str, access: str):
        self.directory = directory / "postgres"
        self.directory.mkdir(mode=0o700)
        give(self.directory)
        self.data, self.port = self.directory / "data", free_port()
        arguments = ["-D", self.data, "-U", "postgres", "-A", "peer", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        self.run("initdb", *arguments)
        own = f"unix_socket_directories = '{self.directory}'\nfsync = off\nmax_wal_size = '256MB'\nport = {self.port}\n"
        self.write("postgresql.auto.conf", own)
        self.settings, self.access = settings, access
        with (self.data / "postgresql.conf").open("a") as file:
            file.write("include 'jhe.conf'\n")
        self.configure(settings, access)
        self.run("pg_ctl", "-D", self.data, "-l", self.log, "-w", "start")

    @property
    def log(self) -> Path:
        return self.directory / "log"

    def run(self, name: str, *arguments: str | Path) -> None:
        command = as_account([program(name), *arguments])
        done = subprocess.run(command, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise SystemExit(f"{name}: {done.stdout}\n{self.log.read_text() if self.log.exists() else ''}")

    def write(self, name: str, text: str) -> None:
        path = self.data / name
        path.write_text(text)
        give(path)

    def configure(self, settings: str, access: str) -> None:
        # Who is not root is not `postgres` either; the socket is in a directory of their own.
        local = access if account() else access.replace("peer", "trust")
        self.write("jhe.conf", settings)
        self.write("pg_hba.conf", local)

    def reload(self, settings: str | None = None, access: str | None = None) -> None:
        """Takes other settings or rules for a while; without any, its own again."""
        self.configure(settings or self.settings, access or self.access)
        self.run("pg_ctl", "-D", self.data, "reload")

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Statements by the superuser: what they print."""
        command = as_account([program("psql"), "-qXAt", "-h", self.directory, "-p", str(self.port), "-U", "postgres", "-d", database, "-v", "ON_ERROR_STOP=1", "-c", statement])
        # What the test itself does is not what the log is looked at for.
        environment = {**os.environ, "PGOPTIONS": "-c log_statement=none -c pgaudit.log=none"}
        done = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{statement}: {done.stderr}")
        return done.stdout.strip()

    def stop(self) -> None:
        self.run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")
