"""What functions need around them: a copy of the demo world, tokens, keys, and secrets in moto's Secrets Manager.

Used inside `jhe with-database`, which gives the database by its environment.
"""

import base64
import json
import os
import secrets
import subprocess
import tempfile
from pathlib import Path

from database import issue_token, psql
from instance import ROOT

SITE_URL = "https://jhe.example"
# A secret for each use, as the templates have them: the variable that names it, and what is in it.
PARTS = {
    "SECRET_ARN": ("link_key", "form_key"),
    "DB_SECRET_ARN": ("db_username", "db_password"),
    "ORIGIN_SECRET_ARN": (),
    "FACTOR_SECRET_ARN": ("factor_key",),
    "MAIL_SECRET_ARN": (),
    "SAML_SECRET_ARN": ("saml_key",),
    "PAYLOAD_SECRET_ARN": ("payload_key",),
}
RING_NAME = "jhe/signing-keys"
VAULT = "jhe-vault"
# A bucket with files of exports.
EXPORTS = "jhe-exports"
AWS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "eu-central-1",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def rsa_key() -> str:
    command = ["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def random_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


class World:
    """A copy of the demo world and two environments that lead to it: keys in variables, or in Secrets Manager."""

    def __init__(self, database: str):
        psql("postgres", "-c", f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
        psql("postgres", "-c", f"CREATE DATABASE {database} TEMPLATE jhe_template")
        # A deployment with TLS asks before it sends a code to an app on the device, as the demo's is.
        psql(database, "-c", "UPDATE oauth_client SET redirect_uris = '{https://app.example/auth/callback}'")
        self.database = database
        self.keys = {"link_key": random_key(), "form_key": random_key(), "factor_key": random_key()}
        self.keys |= {"payload_key": random_key(), "saml_key": rsa_key()}
        # The keys of patients, as a host has them.
        self.vault = tempfile.TemporaryDirectory()
        names = ("DB_HOST", "DB_PORT", "DB_SSL_MODE", "DB_SSL_ROOT_CERT", "PATH")
        self.common = {
            **{name: os.environ[name] for name in names},
            "DB_NAME": database,
            "SITE_URL": SITE_URL,
            "SAML_METADATA_FILE": str(ROOT / "tests/data/idp_metadata.xml"),
            "SSO_VALID_DOMAINS": "example.com",
            "LOG_LEVEL": os.environ.get("LOG_LEVEL", "off"),
            "RATE_LIMIT_PER_MINUTE": "0",
            "TLS_PINS": f"{random_key()},{random_key()}",
            "TLS_PINS_CHANGE": "2027-03-01",
        }
        self.by_variables = {
            **self.common,
            "DB_USER": os.environ["DB_USER"],
            "DB_PASSWORD": os.environ["DB_PASSWORD"],
            "LINK_KEY": self.keys["link_key"],
            "FORM_KEY": self.keys["form_key"],
            "FACTOR_KEY": self.keys["factor_key"],
            "PAYLOAD_KEY": self.keys["payload_key"],
            "PAYLOAD_KEYS": f"{self.vault.name}/keys",
            "EXPORTS": f"{self.vault.name}/exports",
        }
        self.by_secret = {**self.common, **AWS, **self.start_secrets_manager()}

    def start_secrets_manager(self) -> dict[str, str]:
        """Starts moto, puts the secrets there, and gives the variables that lead to them: no password, no key among them. The
        ring of signing keys is a secret without a value, as CloudFormation makes it."""
        os.environ.update(AWS)
        import moto_server

        self.moto = moto_server.start()
        host, port = self.moto.get_host_and_port()
        self.url = f"http://{host}:{port}"
        document = {"db_username": os.environ["DB_USER"], "db_password": os.environ["DB_PASSWORD"], **self.keys}
        client = self.client("secretsmanager")
        parts = {variable: json.dumps({name: document[name] for name in names}) for variable, names in PARTS.items()}
        self.ring = client.create_secret(Name=RING_NAME)["ARN"]
        table = {"AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}], "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}]}
        self.client("dynamodb").create_table(TableName=VAULT, BillingMode="PAY_PER_REQUEST", **table)
        self.client("s3").create_bucket(Bucket=EXPORTS, CreateBucketConfiguration={"LocationConstraint": AWS["AWS_REGION"]})
        return {
            "AWS_ENDPOINT_URL": self.url,
            **{variable: client.create_secret(Name=f"jhe/{variable}", SecretString=text)["ARN"] for variable, text in parts.items()},
            "PAYLOAD_KEYS": f"dynamodb:{VAULT}",
            "EXPORTS": f"s3://{EXPORTS}/jhe",
            "SIGNING_KEYS_SECRET_ID": self.ring,
            "SIGNING_KEY_KIND": "kms",
            "SIGNING_KEY_BITS": "2048",
        }

    def share_vault(self) -> None:
        """What functions put into the directory is in the table, too: both wrap with the same key."""
        self.put_keys(Path(self.vault.name, "keys"))

    def take_vault(self, secrets: Path) -> None:
        """The vault of a host, by its secrets: what wraps its keys, and the keys. For functions on a database that the host wrote."""
        text = json.dumps({"payload_key": (secrets / "payload_key").read_text()})
        self.client("secretsmanager").put_secret_value(SecretId="jhe/PAYLOAD_SECRET_ARN", SecretString=text)
        self.put_keys(secrets / "payload_keys")

    def put_keys(self, directory: Path) -> None:
        """The keys of a directory in the table. Drafts have other names."""
        client = self.client("dynamodb")
        for key in directory.glob("[!.]*"):
            client.put_item(TableName=VAULT, Item={"id": {"S": key.name}, "wrapped": {"B": key.read_bytes()}})

    def copy_of_secret(self, name: str, more: dict[str, str]) -> str:
        """Another secret with the keys of links and forms, with the same and more in it."""
        client = self.client("secretsmanager")
        document = json.loads(client.get_secret_value(SecretId="jhe/SECRET_ARN")["SecretString"])
        tags = [{"Key": "jhe-rotates", "Value": "application"}]
        return client.create_secret(Name=name, SecretString=json.dumps({**document, **more}), Tags=tags)["ARN"]

    def client(self, service: str):
        """A client of moto."""
        import boto3

        return boto3.client(service, endpoint_url=self.url)

    def keys_in_kms(self) -> list:
        """The keys as moto keeps them, to move their times."""
        from moto.kms.models import kms_backends

        return [key for account in kms_backends.values() for key in account[AWS["AWS_REGION"]].keys.values()]

    def token(self, email: str) -> str:
        """A token for the user with this e-mail."""
        user = psql(self.database, "-c", f"SELECT id FROM app_user WHERE email = '{email}'")
        return issue_token(self.database, int(user))

    def close(self) -> None:
        self.moto.stop()
        self.vault.cleanup()
        psql("postgres", "-c", f"DROP DATABASE {self.database} WITH (FORCE)")
