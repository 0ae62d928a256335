"""Runs a command with the functions' connections going through PgBouncer in transaction mode, TLS on both sides: the stand-in
for RDS Proxy. `python tests/python/pooler.py COMMAND...`
"""

import os
import pwd
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
JHE = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "jhe"

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


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def behind_pooler(command: list[str]) -> int:
    """Starts PgBouncer in front of the database of this environment, and runs the command."""
    pgbouncer = subprocess.run([ROOT / "scripts" / "ensure-pgbouncer"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    directory = Path(os.environ["JHE_SCRATCH"], "postgres").resolve()
    port = free_port()
    users, configuration, log = (directory / name for name in ("users.txt", "pgbouncer.ini", "pgbouncer.log"))
    users.write_text(f'"{os.environ["DB_USER"]}" "{os.environ["DB_PASSWORD"]}"\n')
    configuration.write_text(CONFIGURATION.format(database_port=os.environ["DB_PORT"], port=port, users=users, directory=directory))
    prefix = []
    if os.geteuid() == 0:
        account = pwd.getpwnam("postgres")
        prefix = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups", "--"]
        for path in (users, configuration):
            os.chown(path, account.pw_uid, account.pw_gid)
            path.chmod(0o600)
    with log.open("w") as output:
        pooler = subprocess.Popen([*prefix, pgbouncer, str(configuration)], stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 10
        while not answers(port):
            if pooler.poll() is not None or time.monotonic() > deadline:
                print(log.read_text(), file=sys.stderr)
                return 1
            time.sleep(0.05)
        return subprocess.run(command, env={**os.environ, "POOLER_DB_PORT": str(port)}).returncode
    finally:
        pooler.terminate()
        pooler.wait()


def main() -> int:
    command = sys.argv[1:]
    if "JHE_SCRATCH" in os.environ:
        return behind_pooler(command)
    return subprocess.run([JHE, "with-database", sys.executable, __file__, *command]).returncode


if __name__ == "__main__":
    sys.exit(main())
