"""The database of `jhe with-database`, which gives it by the environment: psql as its owner, and tokens without a login."""

import hashlib
import os
import secrets
import subprocess
import sys


def libpq(user: str, password: str, database: str) -> dict[str, str]:
    """The environment that leads libpq to a database, by TLS with the authority and the name verified."""
    return {
        **os.environ,
        "PGHOST": os.environ["DB_HOST"],
        "PGPORT": os.environ["DB_PORT"],
        "PGUSER": user,
        "PGPASSWORD": password,
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": os.environ["DB_SSL_ROOT_CERT"],
        "PGDATABASE": database,
    }


def psql(database: str, *arguments: str) -> str:
    """Runs psql as the owner and returns what it prints."""
    environment = libpq(os.environ["DB_OWNER_USER"], os.environ["DB_OWNER_PASSWORD"], database)
    done = subprocess.run(["psql", "-qXAt", *arguments], env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"psql: {done.stderr}")
    return done.stdout.strip()


def issue_token(database: str, user: int) -> str:
    """An access token of a user for the public client, for a day."""
    token = secrets.token_urlsafe(32)
    digest = hashlib.sha256(token.encode()).hexdigest()
    psql(
        database,
        "-c",
        "WITH granted AS (INSERT INTO oauth_grant (user_id, client_id, scope, auth_time, methods) "
        f"VALUES ({user}, 4, 'openid email', now(), '{{pwd,otp,mfa}}') RETURNING id) "
        "INSERT INTO access_token (token_hash, grant_id, scope, expires_at) "
        f"SELECT '\\x{digest}', id, 'openid email', now() + interval '1 day' FROM granted",
    )
    return token
