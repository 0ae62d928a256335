"""Restoration to a point in time, as docs/backup.md tells it: PostgreSQL's own archive of changes, with the settings of
infra/self-hosted, a base backup, and a moment between two writes."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from servers import ROOT, Postgres, as_account, free_port, give, program, scratch
from suite import Suite

JHE = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "jhe"
SCRIPT = ROOT / "infra/self-hosted/postgresql/jhe-base-backup"
SETTINGS = (ROOT / "infra/self-hosted/postgresql/archive.conf").read_text()
ACCESS = "local all all peer\nlocal replication all peer\nhost all all 127.0.0.1/32 trust\n"
suite = Suite()


class Restored(Postgres):
    """A server over a base backup and the archive, up to a moment."""

    def __init__(self, origin: Postgres, base: Path, archive: Path, moment: str):
        self.directory, self.port = origin.directory.parent / f"restored-{free_port()}", free_port()
        self.directory.mkdir(mode=0o700)
        give(self.directory)
        self.data = self.directory / "data"
        self.copy(base)
        (self.data / "postgresql.auto.conf").write_text(
            f"unix_socket_directories = '{self.directory}'\nport = {self.port}\narchive_mode = off\n"
            f"restore_command = 'cp {archive}/%f %p'\nrecovery_target_time = '{moment}'\nrecovery_target_action = 'promote'\n"
        )
        give(self.data / "postgresql.auto.conf")
        self.write("recovery.signal", "")
        self.run("pg_ctl", "-D", self.data, "-l", self.log, "-w", "start")
        until(lambda: self.sql("SELECT pg_is_in_recovery()") == "f", "the server is promoted")

    def copy(self, base: Path) -> None:
        shutil.copytree(base, self.data)
        for path in [self.data, *self.data.rglob("*")]:
            give(path)
        self.data.chmod(0o700)


def until(condition, what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, f"not so: {what}"
        time.sleep(0.02)


class Site:
    """A database of jhe that keeps its changes apart."""

    def __init__(self) -> None:
        self.directory = scratch()
        self.archive = self.directory / "archive"
        self.archive.mkdir(mode=0o700)
        give(self.archive)
        settings = SETTINGS.replace("/var/lib/jhe-archive", str(self.archive))
        assert str(self.archive) in settings
        self.server = Postgres(self.directory, settings, ACCESS)
        self.server.sql("CREATE DATABASE jhe")
        self.migrated = self.migrate(self.server.port)
        self.base = self.directory / "postgres" / "base"
        where = ["-h", self.server.directory, "-p", str(self.server.port), "-U", "postgres"]
        self.server.run("pg_basebackup", "-D", self.base, "-X", "none", "--no-manifest", "-c", "fast", *where)

    def migrate(self, port: int) -> str:
        environment = {
            "PATH": os.environ["PATH"],
            "DB_HOST": "127.0.0.1",
            "DB_PORT": str(port),
            "DB_NAME": "jhe",
            "DB_SSL_MODE": "disable",
            "DB_OWNER_USER": "postgres",
        }
        return subprocess.run([JHE, "migrate"], env=environment, capture_output=True, text=True, check=True).stdout

    def person(self, email: str) -> str:
        """Writes somebody down: the time afterwards."""
        self.server.sql(f"INSERT INTO app_user (email, user_type) VALUES ('{email}', 'practitioner')", "jhe")
        return self.server.sql("SELECT clock_timestamp()")

    def archived(self) -> None:
        """Until what was written up to now is in the archive."""
        last = self.server.sql("SELECT pg_walfile_name(pg_switch_wal())")
        until(lambda: (self.archive / last).exists(), "the last changes are kept apart")

    def close(self) -> None:
        self.server.stop()
        shutil.rmtree(self.directory)


@suite.test
def a_moment_between_two_writes_comes_back(site: Site) -> None:
    assert site.migrated.split()[0] != "0", site.migrated
    moment = site.person("before@example.com")
    site.person("after@example.com")
    site.archived()
    restored = Restored(site.server, site.base, site.archive, moment)
    try:
        emails = restored.sql("SELECT email FROM app_user ORDER BY email", "jhe").split()
        assert emails == ["before@example.com"], emails
        assert site.migrate(restored.port).startswith("0 migrations"), "the schema is whole"
        restored.sql("INSERT INTO app_user (email, user_type) VALUES ('later@example.com', 'practitioner')", "jhe")
    finally:
        restored.stop()
    both = site.server.sql("SELECT email FROM app_user ORDER BY email", "jhe").split()
    assert both == ["after@example.com", "before@example.com"], "the server itself goes on"


@suite.test
def the_latest_moment_comes_back_after_the_server_is_lost(site: Site) -> None:
    moment = site.person("last@example.com")
    site.person("lost@example.com")
    site.archived()
    restored = Restored(site.server, site.base, site.archive, moment)
    try:
        assert restored.sql("SELECT count(*) FROM app_user WHERE email = 'last@example.com'", "jhe") == "1"
    finally:
        restored.stop()


@suite.test
def what_is_in_the_archive_is_not_written_again(site: Site) -> None:
    site.archived()
    files = {path.name: path.read_bytes() for path in site.archive.iterdir() if path.is_file()}
    assert files and not any(name.endswith(".part") for name in files)
    line = next(line for line in SETTINGS.splitlines() if line.startswith("archive_command"))
    name = sorted(files)[0]

    def archive(origin: Path) -> int:
        command = line.split("'")[1].replace("/var/lib/jhe-archive", str(site.archive))
        return subprocess.run(["sh", "-c", command.replace("%p", str(origin)).replace("%f", name)], capture_output=True).returncode

    assert archive(Path("/dev/null")) != 0, "another file of this name"
    assert (site.archive / name).read_bytes() == files[name]
    # The server stopped after the file was there, and before it noted so: it asks again.
    kept = site.directory / "kept"
    kept.write_bytes(files[name])
    assert archive(kept) == 0, "the same file"
    (site.archive / name).unlink()
    assert [archive(kept), archive(kept)] == [0, 0], "a file that is not there is written, and asking again is no failure"
    assert (site.archive / name).read_bytes() == files[name]
    give(site.archive / name)


@suite.test
def what_the_last_two_base_backups_need_is_kept_and_nothing_older(site: Site) -> None:
    archive = site.directory / "pruned"
    archive.mkdir(mode=0o700)
    give(archive)
    environment = {
        **os.environ,
        "PG_BIN": str(program("pg_basebackup").parent),
        "PGHOST": str(site.server.directory),
        "PGPORT": str(site.server.port),
        "PGUSER": "postgres",
    }

    def changes() -> set[str]:
        return {path.name for path in archive.iterdir() if path.is_file()}

    def fetch() -> None:
        site.archived()
        for path in site.archive.iterdir():
            if path.is_file() and not path.name.endswith(".part"):
                shutil.copyfile(path, archive / path.name)
                give(archive / path.name)

    def base() -> Path:
        """A base backup by the program."""
        before = set(archive.glob("base-*"))
        done = subprocess.run(as_account([SCRIPT, archive]), cwd="/", env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        (made,) = set(archive.glob("base-*")) - before
        return made

    (archive / "base-20200101T000000Z.part").mkdir()
    give(archive / "base-20200101T000000Z.part")
    first = base()
    site.person("of-first@example.com")
    fetch()
    second = base()
    older = changes()
    fetch()
    third = base()
    assert sorted(archive.glob("base-*")) == [second, third] and not first.exists()
    label = (second / "backup_label").read_text()
    needed = label.split("(file ")[1].split(")")[0]
    kept = changes()
    assert older - kept and all(name < needed for name in older - kept if len(name) == 24), (needed, older - kept)
    assert needed in kept and not any(name < needed for name in kept if len(name) == 24), (needed, kept)
    moment = site.person("of-third@example.com")
    site.person("after-third@example.com")
    fetch()
    restored = Restored(site.server, second, archive, moment)
    try:
        assert restored.sql("SELECT count(*) FROM app_user WHERE email = 'of-third@example.com'", "jhe") == "1"
    finally:
        restored.stop()


def main() -> int:
    program("pg_basebackup")
    site = Site()
    try:
        return suite.run(site)
    finally:
        site.close()


if __name__ == "__main__":
    sys.exit(main())
