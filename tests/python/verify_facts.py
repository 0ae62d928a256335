"""Checks of `jhe verify` that look at what is outside the deployment: what the provider says, how old secrets are, the site as the world
sees it. Part of verify_test.py."""

import base64
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import moto_server
from moto.secretsmanager.models import SecretsManagerBackend, secretsmanager_backends
from self_hosted import SERVICE_PASSWORD, Deployment
from servers import free_port
from verify_run import UNSEEN, Run, fails, quickly, served, suite, without


@suite.test
def a_site_that_is_not_seen_from_here_never_passes(site: Deployment) -> None:
    nowhere = "http://nothing.invalid"
    run = quickly(site, "--clear-url", nowhere)
    assert not run.failed() and run.unseen() == UNSEEN | {"site-redirect"}, run.output
    run = quickly(site, "--clear-url", nowhere, SITE_URL="https://nothing.invalid")
    asked = {"site-redirect", "site-tls-versions", "site-hsts", "site-cookies", "site-tokens"}
    assert not run.failed() and run.unseen() == UNSEEN | asked, run.output


@suite.test
def a_refused_connection_and_a_redirect_are_told_apart_and_silence_is_neither(site: Deployment) -> None:
    def redirect(clear: str, **environment: str) -> tuple[str, str]:
        run = Run(site, "--only", "site-redirect", "--clear-url", clear, **environment)
        return run.verdicts["site-redirect"], run.reason("site-redirect")

    verdict, reason = redirect(site.clear)
    assert verdict == "pass" and "redirects to TLS: /health 301" in reason, reason
    closed = f"http://localhost:{free_port()}"
    verdict, reason = redirect(closed)
    assert verdict == "pass" and "nothing listens for clear text" in reason, reason
    # Nor is the site itself reached: then nobody knows whom that was asked.
    verdict, reason = redirect(closed, SITE_URL=f"https://localhost:{free_port()}")
    assert verdict == "not checkable", reason
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        verdict, reason = redirect(f"http://127.0.0.1:{mute.getsockname()[1]}")
        assert verdict == "not checkable" and "takes too long" in reason, reason


@suite.test
def pins_that_would_cut_apps_off_fail(site: Deployment) -> None:
    shown = site.jhe("pins", "--site", site.base, "--ca-file", str(site.tls / "authorities.pem"), unit="jhe.service").stdout.split()[0]
    other, another = (base64.b64encode(bytes([number] * 32)).decode() for number in (1, 2))
    soon, past = "2999-01-01", "2020-01-01"
    run = quickly(site, TLS_PINS=f"{other},{shown}", TLS_PINS_CHANGE=soon)
    assert run.verdicts["site-pins"] == "pass" and not run.failed(), run.output
    for pins, change in [(f"{other},{another}", soon), (f"{other},{shown}", past), (shown, soon), (f"{other},{shown}", "")]:
        fails(site, "site-pins", TLS_PINS=pins, TLS_PINS_CHANGE=change)


@suite.test
def secrets_in_secrets_manager_are_as_old_as_it_says_and_those_in_variables_are_not_seen(site: Deployment) -> None:
    server = moto_server.start()
    try:
        host, port = server.get_host_and_port()
        access = {"AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        manager = boto3.client("secretsmanager", "us-east-1", endpoint_url=access["AWS_ENDPOINT_URL"], aws_access_key_id="test", aws_secret_access_key="test")
        key = base64.b64encode(bytes(32)).decode()
        keys = {"link_key": key, "form_key": key, "factor_key": key, "payload_key": key, "db_username": "jhe_service", "db_password": SERVICE_PASSWORD}
        secret = manager.create_secret(Name="verify", SecretString=json.dumps(keys))["ARN"]
        access |= {"SECRET_ARN": secret, "DB_PASSWORD_FILE": ""}
        assert quickly(site, **access).verdicts["secrets-age"] == "pass"
        kept = next(backend[access["AWS_REGION"]].secrets for backend in secretsmanager_backends.values() if backend[access["AWS_REGION"]].secrets)
        (version,) = kept["verify"].versions.values()
        version["createdate"] = int(time.time()) - 366 * 24 * 3600
        # As a change of tags does: it makes no secret younger.
        kept["verify"].last_changed_date = time.time()
        with versions_as_made():
            fails(site, "secrets-age", **access)
            gone = quickly(site, **access, MAIL_SECRET_ARN="nothing")
            assert gone.verdicts["secrets-age"] == "fail", "what is old is said first"
            # The version before was made long ago, and the one that counts just now.
            manager.put_secret_value(SecretId=secret, SecretString=json.dumps(keys))
            assert quickly(site, **access).verdicts["secrets-age"] == "pass"
            assert "secrets-age" in quickly(site, **access, MAIL_SECRET_ARN="nothing").unseen()
            version["version_stages"], other = ["AWSCURRENT"], next(each for each in kept["verify"].versions.values() if each is not version)
            other["version_stages"] = ["AWSPENDING"]
            fails(site, "secrets-age", **access)
    finally:
        server.stop()
    in_clear = {"DB_PASSWORD_FILE": "", "DB_PASSWORD": SERVICE_PASSWORD}
    assert "secrets-age" in quickly(site, **in_clear).unseen()


@contextmanager
def versions_as_made() -> Iterator[None]:
    """While moto says when a version was made. By itself it says that each was made just now."""
    original = SecretsManagerBackend.list_secret_version_ids

    def listed(self: SecretsManagerBackend, secret_id: str) -> str:
        answer = json.loads(original(self, secret_id))
        for version in answer["Versions"]:
            version["CreatedDate"] = self.secrets[secret_id].versions[version["VersionId"]]["createdate"]
        return json.dumps(answer)

    SecretsManagerBackend.list_secret_version_ids = listed
    try:
        yield
    finally:
        SecretsManagerBackend.list_secret_version_ids = original


@suite.test
def what_systemd_loads_is_as_old_as_its_source(site: Deployment) -> None:
    # A copy is made at each start: without its source nobody sees how old the secret is.
    run = Run(site, "--only", "secrets-age", "--credentials", "/nowhere")
    assert run.verdicts["secrets-age"] == "not checkable" and "db_password" in run.reason("secrets-age"), run.output
    assert Run(site, "--only", "secrets-age").verdicts["secrets-age"] == "pass"


@suite.test
def old_secrets_and_late_rotations_fail(site: Deployment) -> None:
    home = Path(site.directory, "home", "secrets")
    long_ago = time.time() - 366 * 24 * 3600
    for path in [home / "form_key", site.credentials / "db_password"]:
        os.utime(path, (long_ago, long_ago))
        try:
            fails(site, "secrets-age")
        finally:
            os.utime(path)
    ring = home / "signing_keys.json"
    kept = ring.read_text()
    keys = json.loads(kept)
    keys["rotated_at"] = "2020-01-01T00:00:00Z"
    ring.write_text(json.dumps(keys))
    try:
        fails(site, "secrets-age")
    finally:
        ring.write_text(kept)


@suite.test
def what_a_provider_says_counts(site: Deployment) -> None:
    good = {
        "StorageEncrypted": True,
        "KmsKeyId": "arn:aws:kms:us-east-1:123456789012:key/x",
        "PubliclyAccessible": False,
        "BackupRetentionPeriod": 7,
        "LatestRestorableTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    path = site.directory / "facts.json"
    # RDS Proxy refuses clear text itself; what the database does behind it, this setting says.
    forced = f"{site.postgres.settings}\nrds.force_ssl = '{{}}'\n"
    # No backup is on record: what counts is the provider's word.
    with without(site, "backup_run"):
        with served(site, settings=forced.format("0")):
            assert "database-clear-text" in quickly(site, target="aws").failed()
        run = quickly(site, target="aws")
        assert {"database-clear-text", "database-private", "storage-encrypted", "backups"} <= run.unseen() and not run.failed(), run.output
        with served(site, settings=forced.format("1")):
            aws_facts(site, path, good)


def aws_facts(site: Deployment, path: Path, good: dict) -> None:
    for check, change in [
        (None, {}),
        ("storage-encrypted", {"StorageEncrypted": False}),
        ("database-private", {"PubliclyAccessible": True}),
        ("backups", {"BackupRetentionPeriod": 1}),
        ("backups", {"LatestRestorableTime": "2020-01-01T00:00:00Z"}),
    ]:
        path.write_text(json.dumps({"DBInstances": [good | change]}))
        if check:
            fails(site, check, "--facts", str(path), target="aws")
        else:
            run = quickly(site, "--facts", str(path), target="aws")
            # The seals of AWS are in S3, which is not named here.
            assert run.unseen() == {"site-pins", "restore-drill", "seals"} and not run.failed(), run.output
    # Of two nobody knows which one is looked at.
    path.write_text(json.dumps({"DBInstances": [good, good | {"StorageEncrypted": False, "PubliclyAccessible": True}]}))
    assert {"database-private", "storage-encrypted", "backups"} <= quickly(site, "--facts", str(path), target="aws").unseen()
    # A cluster does not say whether its instances are on the internet.
    path.write_text(json.dumps({"DBClusters": [{name: value for name, value in good.items() if name != "PubliclyAccessible"}]}))
    assert "database-private" in quickly(site, "--facts", str(path), target="aws").unseen()


@suite.test
def what_google_and_microsoft_say_counts(site: Deployment) -> None:
    path = site.directory / "facts.json"
    backups = {"enabled": True, "backupRetentionSettings": {"retainedBackups": 7}}
    google = {"databaseVersion": "POSTGRES_16", "settings": {"ipConfiguration": {"ipv4Enabled": False}, "backupConfiguration": backups}}
    azure = {
        "fullyQualifiedDomainName": "x",
        "network": {"publicNetworkAccess": "Disabled"},
        "dataEncryption": {"type": "SystemManaged"},
        "backup": {"backupRetentionDays": 7},
    }
    with without(site, "backup_run"):
        google_and_microsoft(site, path, google, azure, backups)


def google_and_microsoft(site: Deployment, path: Path, google: dict, azure: dict, backups: dict) -> None:
    wrong = {
        "gcp": [
            ("database-private", {"settings": {**google["settings"], "ipConfiguration": {"ipv4Enabled": True}}}),
            ("backups", {"settings": {**google["settings"], "backupConfiguration": {**backups, "enabled": False}}}),
        ],
        "azure": [("database-private", {"network": {"publicNetworkAccess": "Enabled"}}), ("backups", {"backup": {"backupRetentionDays": 1}})],
    }
    for target, good in (("gcp", google), ("azure", azure)):
        assert {"database-private", "storage-encrypted", "backups"} <= quickly(site, target=target).unseen(), target
        path.write_text(json.dumps(good))
        run = quickly(site, "--facts", str(path), target=target)
        # The descriptions do not say when the last backup was.
        assert run.unseen() == {"site-pins", "backups", "restore-drill"} and not run.failed(), run.output
        for check, change in wrong[target]:
            path.write_text(json.dumps(good | change))
            fails(site, check, "--facts", str(path), target=target)
        path.write_text("{}")
        assert {"database-private", "storage-encrypted", "backups"} <= quickly(site, "--facts", str(path), target=target).unseen()
    # What is not said, or in words that mean nothing here, is not seen.
    for check, change in [
        ("database-private", {"network": {"publicNetworkAccess": None}}),
        ("database-private", {"network": {}}),
        ("database-private", {"network": {"publicNetworkAccess": "SecuredByPerimeter"}}),
        ("storage-encrypted", {"dataEncryption": None}),
        ("storage-encrypted", {"dataEncryption": {"type": "Another"}}),
    ]:
        path.write_text(json.dumps(azure | change))
        assert check in quickly(site, "--facts", str(path), target="azure").unseen(), change


@suite.test
def the_devices_under_a_directory_count(site: Deployment) -> None:
    directory = site.postgres.data
    device = os.stat(directory).st_dev
    block = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
    run = quickly(site, "--data-directory", str(directory))
    seen = run.verdicts["storage-encrypted"]
    # What this machine has: no device at all in some containers. That dm-crypt passes is tried with made-up devices.
    encrypted = any(path.read_text().startswith("CRYPT-") for path in Path("/sys/dev/block").glob("*/dm/uuid"))
    assert seen == "not checkable" if not block.exists() else encrypted or seen in ("fail", "not checkable"), run.output
    # A directory that is none of PostgreSQL says nothing, whatever it lies on.
    for other in ["/nowhere", str(site.directory)]:
        assert "storage-encrypted" in quickly(site, "--data-directory", other).unseen()
