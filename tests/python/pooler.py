"""Runs a command with the functions' connections going through PgBouncer in transaction mode, TLS on both sides: the stand-in
for RDS Proxy. `python tests/python/pooler.py COMMAND...`
"""

import os
import subprocess
import sys
from pathlib import Path

from database import psql
from instance import JHE
from servers import Process, as_account, ensure, free_port, give

CONFIGURATION = """\
[databases]
* = host=localhost port={database_port}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
pool_mode = transaction
max_client_conn = 500
default_pool_size = 6
server_idle_timeout = 5
max_prepared_statements = 200
auth_type = scram-sha-256
auth_file = {users}
client_tls_sslmode = require
client_tls_key_file = {directory}/server.key
client_tls_cert_file = {directory}/server.pem
server_tls_sslmode = verify-full
server_tls_ca_file = {directory}/ca.pem
log_connections = 0
log_disconnections = 0
"""


def logins(user: str) -> list[str]:
    """The login of the functions, and those of their groups, which have its password here."""
    return psql("postgres", "-c", f"SELECT rolname FROM pg_roles WHERE rolcanlogin AND starts_with(rolname, '{user}')").split()


def behind_pooler(command: list[str]) -> int:
    """Starts PgBouncer in front of the database of this environment, and runs the command."""
    directory = Path(os.environ["JHE_SCRATCH"], "postgres").resolve()
    port = free_port()
    users, configuration, log = (directory / name for name in ("users.txt", "pgbouncer.ini", "pgbouncer.log"))
    users.write_text("".join(f'"{login}" "{os.environ["DB_PASSWORD"]}"\n' for login in logins(os.environ["DB_USER"])))
    configuration.write_text(CONFIGURATION.format(database_port=os.environ["DB_PORT"], port=port, users=users, directory=directory))
    for path in (users, configuration):
        path.chmod(0o600)
        give(path)
    pooler = Process(as_account([ensure("ensure-pgbouncer"), configuration]), port, log).start()
    try:
        return subprocess.run(command, env={**os.environ, "POOLER_DB_PORT": str(port)}).returncode
    finally:
        pooler.stop()


def main() -> int:
    command = sys.argv[1:]
    if "JHE_SCRATCH" in os.environ:
        return behind_pooler(command)
    return subprocess.run([JHE, "with-database", sys.executable, __file__, *command]).returncode


if __name__ == "__main__":
    sys.exit(main())
