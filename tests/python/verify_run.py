"""Runs of `jhe verify` on a deployment by the files of `infra/self-hosted`, as it is and with something broken."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

from self_hosted import Deployment
from suite import Suite

WORLD = {"database-as-migrated", "access-control", "upload-needs-consent", "revocation-hides"}
UNSEEN = {"site-pins", "storage-encrypted", "backups", "restore-drill"}
suite = Suite()


class Run:
    """A run of `jhe verify`: its results, and its evidence."""

    def __init__(self, site: Deployment, *options: str, target: str = "self-hosted", **environment: str):
        reports = site.directory / "evidence"
        before = set(reports.glob("*")) if reports.exists() else set()
        trusted = ["--ca-file", str(site.tls / "authorities.pem"), "--clear-url", site.clear]
        done = site.jhe(
            "verify", "--target", target, "--report", str(reports), *trusted, *options, unit="jhe-verify.service", **environment
        )
        self.code, self.output = done.returncode, done.stdout + done.stderr
        self.files = {path.suffix: path for path in set(reports.glob("*")) - before} if reports.exists() else {}
        if ".json" not in self.files:
            raise AssertionError(self.output)
        self.report = json.loads(self.files[".json"].read_text())
        self.verdicts = {finding["id"]: finding["verdict"] for finding in self.report["findings"]}
        # A report of the same second would have the same name.
        self.files = {suffix: path.rename(path.with_name(f"{time.monotonic_ns()}-{path.name}")) for suffix, path in self.files.items()}

    def failed(self) -> set[str]:
        return {check for check, verdict in self.verdicts.items() if verdict == "fail"}

    def unseen(self) -> set[str]:
        return {check for check, verdict in self.verdicts.items() if verdict == "not checkable"}


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


def fails(site: Deployment, expected: str, *options: str, **environment: str) -> None:
    run = quickly(site, *options, **environment)
    assert run.failed() == {expected}, f"{expected}, not {run.failed()}: {run.output}"
    assert run.code == 1
    finding = next(finding for finding in run.report["findings"] if finding["id"] == expected)
    assert finding["reason"] and finding["remedy"], finding
