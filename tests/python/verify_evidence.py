"""The evidence of `jhe verify`: dated, signed by the key of the audit's seals, and checked by a stranger who has the public key alone. Part of
verify_test.py."""

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import boto3
import moto_server
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from self_hosted import FILES, Deployment
from verify_run import Run, quickly, suite

DOCUMENT = FILES.parent.parent / "docs" / "verify.md"


def public_key(site: Deployment, **environment: str) -> str:
    done = site.jhe("audit", "public-key", unit="jhe.service", **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def verified(run: Run, pem: str) -> None:
    """Raises unless this key signed the sums of the files as they are."""
    key = serialization.load_pem_public_key(pem.encode())
    sums = run.files[".sha256"].read_bytes()
    key.verify(run.files[".sig"].read_bytes(), sums, ec.ECDSA(hashes.SHA384()))
    for line, suffix in zip(sums.decode().splitlines(), [".json", ".md"], strict=True):
        path = run.files[suffix]
        assert line == f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}"
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    named = hashlib.sha256(der).hexdigest()
    assert run.report["signed_by"] == {"key": named} and named in run.files[".md"].read_text()


def documented(directory: Path, stem: str) -> bool:
    """Whether the evidence is taken by the commands that the documentation gives a stranger."""
    block = re.search(r"((?:^    .*NAME.*\n)+)", DOCUMENT.read_text().split("## The evidence")[1], re.MULTILINE)
    commands = block.group(1).replace("NAME", stem)
    assert "openssl" in commands and "sha256sum" in commands, commands
    done = subprocess.run(["sh", "-e", "-c", commands], cwd=directory, capture_output=True, text=True)
    return done.returncode == 0


@suite.test
def the_evidence_is_dated_and_signed_by_the_key_of_the_seals(site: Deployment) -> None:
    run = quickly(site)
    assert set(run.files) == {".json", ".md", ".sha256", ".sig"}
    verified(run, public_key(site))
    assert run.report["at"][:10] in run.files[".md"].read_text()
    for check in run.verdicts:
        assert f"| {check} |" in run.files[".md"].read_text()
    assert all(path.stat().st_mode & 0o077 == 0 for path in run.files.values())


@suite.test
def a_stranger_with_the_public_key_alone_finds_each_altered_byte(site: Deployment) -> None:
    run = Run(site, "--only", "database-identity")
    stranger = site.directory / "stranger"
    stem = run.files[".json"].stem

    def given() -> None:
        shutil.rmtree(stranger, ignore_errors=True)
        shutil.copytree(run.files[".json"].parent, stranger)
        (stranger / "key.pem").write_text(public_key(site))

    given()
    assert documented(stranger, stem)
    for suffix in run.files:
        length = len(run.files[suffix].read_bytes())
        for place in {0, length // 2, length - 1}:
            given()
            path = stranger / f"{stem}{suffix}"
            altered = bytearray(path.read_bytes())
            altered[place] ^= 1
            path.write_bytes(altered)
            assert not documented(stranger, stem), f"byte {place} of {path.name}"
    given()
    other = ec.generate_private_key(ec.SECP384R1()).public_key()
    pem = other.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (stranger / "key.pem").write_bytes(pem)
    assert not documented(stranger, stem), "another key"


@suite.test
def on_aws_the_key_in_kms_signs_and_no_key_of_the_host_does(site: Deployment) -> None:
    options = ["--only", "database-identity"]
    unsigned = Run(site, *options, target="aws")
    assert unsigned.code == 2 and "not signed: AUDIT_SEAL_KEY_ID is not set" in unsigned.output, unsigned.output
    server = moto_server.start()
    try:
        host, port = server.get_host_and_port()
        access = {"AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        kms = boto3.client("kms", "us-east-1", endpoint_url=access["AWS_ENDPOINT_URL"], aws_access_key_id="test", aws_secret_access_key="test")
        key = kms.create_key(KeySpec="ECC_NIST_P384", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
        run = Run(site, *options, target="aws", AUDIT_SEAL_KEY_ID=key, **access)
        assert run.code == 0, run.output
        der = kms.get_public_key(KeyId=key)["PublicKey"]
        known = serialization.load_der_public_key(der)
        verified(run, known.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode())
        try:
            verified(run, public_key(site))
        except InvalidSignature:
            pass
        else:
            raise AssertionError("the key of the host signed it")
        refused = Run(site, *options, target="aws", AUDIT_SEAL_KEY_ID="nothing", **access)
        assert refused.code == 2 and "not signed: KMS did not give the public key: NotFoundException" in refused.output, refused.output
    finally:
        server.stop()


@suite.test
def without_a_key_of_the_audit_the_report_says_that_nobody_signed_it(site: Deployment) -> None:
    home = str(site.directory / "without-keys")
    for check, code in [("secrets-age", 1), ("database-identity", 2)]:
        run = Run(site, "--only", check, JHE_HOME=home)
        why = "there is no key of the audit yet: `jhe audit seal` makes it"
        assert run.code == code and f"jhe: the report is not signed: {why}" in run.output, run.output
        assert set(run.files) == {".json", ".md"} and run.report["signed_by"] == {"nobody": why}
        assert "- **not signed**: there is no key of the audit yet" in run.files[".md"].read_text()
    assert "there are no signing keys" in Run(site, "--only", "secrets-age", JHE_HOME=home).output
