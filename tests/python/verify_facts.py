"""Checks of `jhe verify` that look at what is outside the deployment: what the provider says, how old secrets are, the site as the world
sees it. Part of verify_test.py."""

import base64
import json
import os
import time
from pathlib import Path

import boto3
import moto_server
from moto.secretsmanager.models import secretsmanager_backends
from self_hosted import SERVICE_PASSWORD, Deployment
from servers import free_port
from verify_run import UNSEEN, fails, quickly, served, suite


@suite.test
def a_site_that_is_not_seen_from_here_never_passes(site: Deployment) -> None:
    nowhere = "http://nothing.invalid"
    run = quickly(site, "--clear-url", nowhere)
    assert not run.failed() and run.unseen() == UNSEEN | {"site-redirect"}, run.output
    run = quickly(site, "--clear-url", nowhere, SITE_URL="https://nothing.invalid")
    asked = {"site-redirect", "site-tls-versions", "site-hsts", "site-cookies", "site-tokens"}
    assert not run.failed() and run.unseen() == UNSEEN | asked, run.output
    # Where a connection is refused there is nothing in clear text.
    assert quickly(site, "--clear-url", f"http://localhost:{free_port()}").verdicts["site-redirect"] == "pass"


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
        kept["verify"].last_changed_date = time.time() - 366 * 24 * 3600
        fails(site, "secrets-age", **access)
        gone = quickly(site, **access, MAIL_SECRET_ARN="nothing")
        assert gone.verdicts["secrets-age"] == "fail", "what is old is said first"
        kept["verify"].last_changed_date = time.time()
        assert "secrets-age" in quickly(site, **access, MAIL_SECRET_ARN="nothing").unseen()
    finally:
        server.stop()
    in_clear = {"DB_PASSWORD_FILE": "", "DB_PASSWORD": SERVICE_PASSWORD}
    assert "secrets-age" in quickly(site, **in_clear).unseen()


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
            assert run.unseen() == {"site-pins", "restore-drill", "seals", "retention"} and not run.failed(), run.output
    # A cluster does not say whether its instances are on the internet.
    path.write_text(json.dumps({"DBClusters": [{name: value for name, value in good.items() if name != "PubliclyAccessible"}]}))
    assert "database-private" in quickly(site, "--facts", str(path), target="aws").unseen()


@suite.test
def what_google_and_microsoft_say_counts(site: Deployment) -> None:
    path = site.directory / "facts.json"
    backups = {"enabled": True, "backupRetentionSettings": {"retainedBackups": 7}}
    google = {"databaseVersion": "POSTGRES_16", "settings": {"ipConfiguration": {"ipv4Enabled": False}, "backupConfiguration": backups}}
    azure = {"fullyQualifiedDomainName": "x", "network": {"publicNetworkAccess": "Disabled"}, "backup": {"backupRetentionDays": 7}}
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
        assert run.unseen() - {"seals"} == {"site-pins", "backups", "restore-drill", "retention"} and not run.failed(), run.output
        for check, change in wrong[target]:
            path.write_text(json.dumps(good | change))
            fails(site, check, "--facts", str(path), target=target)
        path.write_text("{}")
        assert {"database-private", "storage-encrypted"} <= quickly(site, "--facts", str(path), target=target).unseen()


@suite.test
def the_devices_under_a_directory_count(site: Deployment) -> None:
    directory = site.postgres.data
    device = os.stat(directory).st_dev
    block = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
    run = quickly(site, "--data-directory", str(directory))
    seen = run.verdicts["storage-encrypted"]
    # What this machine has: no device at all in some containers. That dm-crypt passes is tried with made-up devices.
    encrypted = any(path.read_text().startswith("CRYPT-") for path in Path("/sys/dev/block").glob("*/dm/uuid"))
    assert seen == "not checkable" if not block.exists() else encrypted or seen == "fail", run.output
    assert "storage-encrypted" in quickly(site, "--data-directory", "/nowhere").unseen()
