"""Runs of `jhe verify` on a deployment by the files of `infra/self-hosted`, as it is and with something broken."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

import requests
from self_hosted import Deployment
from suite import Suite

WORLD = {"database-as-migrated", "access-control", "upload-needs-consent", "revocation-hides"}
UNSEEN = {"site-pins", "storage-encrypted"}
# The checks that something was broken for, and that found it.
BROKEN: set[str] = set()
suite = Suite()


class Run:
    """A run of `jhe verify`: its results, and its evidence."""

    def __init__(self, site: Deployment, *options: str, target: str = "self-hosted", **environment: str):
        # Two reports of the same second have the same name.
        reports = site.directory / "evidence" / str(time.monotonic_ns())
        # What systemd loads has the same name at its source; here it is the source.
        trusted = ["--ca-file", str(site.tls / "authorities.pem"), "--clear-url", site.clear, "--credentials", str(site.credentials)]
        done = site.jhe(
            "verify", "--target", target, "--report", str(reports), *trusted, *options, unit="jhe-verify.service", **environment
        )
        self.code, self.output = done.returncode, done.stdout + done.stderr
        self.files = {path.suffix: path for path in reports.glob("*")}
        if ".json" not in self.files:
            raise AssertionError(self.output)
        self.report = json.loads(self.files[".json"].read_text())
        self.verdicts = {finding["id"]: finding["verdict"] for finding in self.report["findings"]}

    def failed(self) -> set[str]:
        return {check for check, verdict in self.verdicts.items() if verdict == "fail"}

    def unseen(self) -> set[str]:
        return {check for check, verdict in self.verdicts.items() if verdict == "not checkable"}

    def reason(self, check: str) -> str:
        return next(finding["reason"] for finding in self.report["findings"] if finding["id"] == check)


# All checks but those that take a world of their own, which takes seconds.
QUICK: list[str] = []


def quickly(site: Deployment, *options: str, **environment: str) -> Run:
    if not QUICK:
        QUICK.extend(check for check in Run(site).verdicts if check not in WORLD)
    return Run(site, "--only", ",".join(QUICK), *options, **environment)


@contextmanager
def proxied(site: Deployment, *changes: tuple[str, str]) -> Iterator[None]:
    """While the proxy's file has these changes."""
    site.configure_nginx(*changes)
    try:
        yield
    finally:
        site.configure_nginx()


@contextmanager
def served(site: Deployment, **changes: str) -> Iterator[None]:
    """While the database has other settings or rules of access."""
    site.postgres.reload(**changes)
    site.pooler.restart()
    try:
        yield
    finally:
        site.postgres.reload()
        site.pooler.restart()


@contextmanager
def pooled(site: Deployment, change: tuple[str, str]) -> Iterator[None]:
    """While the pooler's file has this change."""
    configuration = site.directory / "pgbouncer.ini"
    text = configuration.read_text()
    configuration.write_text(text.replace(*change))
    site.pooler.restart()
    try:
        yield
    finally:
        configuration.write_text(text)
        site.pooler.restart()


@contextmanager
def between(site: Deployment, begin: str, end: str) -> Iterator[None]:
    """Between two statements of the database's owner."""
    site.postgres.sql(begin, "jhe")
    try:
        yield
    finally:
        site.postgres.sql(end, "jhe")


def prepared(site: Deployment) -> None:
    """What a deployment has after its first day: a run of the retention, a backup, a drill, and a seal."""
    # The host answers once it has done what it does at its start: nothing of that runs beside what follows.
    requests.get(f"{site.base}/health", verify=site.tls / "authorities.pem", timeout=60).raise_for_status()
    done = site.jhe("retention", "run", unit="jhe.service")
    assert done.returncode == 0, done.stdout + done.stderr
    place = {"BACKUP_TO": str(site.directory / "backups")}
    for words in [["backup"], ["backup", "verify"]]:
        done = site.jhe(*words, unit="jhe-backup-verify.service", **place)
        assert done.returncode == 0 and "outcome" in done.stdout, done.stdout + done.stderr
    assert site.postgres.sql("SELECT count(DISTINCT kind) FROM backup_run WHERE succeeded", "jhe") == "2"
    # These are events as well.
    seal(site)


def seal(site: Deployment) -> None:
    """Seals all that was recorded until now: as if the server's clock were ahead, so that nothing is held back."""
    site.postgres.sql("INSERT INTO audit_horizon (at, xid) VALUES (clock_timestamp() + interval '10 seconds', '9000000000000')", "jhe")
    done = site.jhe("audit", "seal", unit="jhe.service")
    assert done.returncode == 0 and json.loads(done.stdout)["last"]["sequence"] > 0, done.stdout + done.stderr


@contextmanager
def without(site: Deployment, table: str, rows: str = "true") -> Iterator[None]:
    """While these rows of a table are not there, whatever its triggers say."""
    past = "SET session_replication_role = replica;"
    site.postgres.sql(f"{past} CREATE SCHEMA kept; CREATE TABLE kept.rows AS SELECT * FROM {table} WHERE {rows}; DELETE FROM {table} WHERE {rows}", "jhe")
    try:
        yield
    finally:
        site.postgres.sql(f"{past} INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM kept.rows; DROP SCHEMA kept CASCADE", "jhe")


def fails(site: Deployment, expected: str, *options: str, **environment: str) -> None:
    run = quickly(site, *options, **environment)
    assert run.failed() == {expected}, f"{expected}, not {run.failed()}: {run.output}"
    assert run.code == 1
    BROKEN.add(expected)
    finding = next(finding for finding in run.report["findings"] if finding["id"] == expected)
    assert finding["reason"] and finding["remedy"], finding
