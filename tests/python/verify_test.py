"""`jhe verify` on a deployment by the files of `infra/self-hosted`: it passes as it is, and each thing that is broken makes its check
fail and no other. Ends with `N passed, N failed`.
"""

import base64
import hashlib
import json
import os
import subprocess
import sys

import requests
import verify_facts  # noqa: F401  its tests are of this suite
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from instance import Instance
from self_hosted import JHE, Deployment
from verify_run import UNSEEN, WORLD, Run, between, fails, pooled, proxied, quickly, served, suite


@suite.test
def a_deployment_by_the_files_passes_and_what_cannot_be_seen_is_said(site: Deployment) -> None:
    run = Run(site)
    assert (run.code, run.failed(), run.unseen()) == (0, set(), UNSEEN), run.output
    assert WORLD < set(run.verdicts) and run.report["counts"]["pass"] == len(run.verdicts) - len(UNSEEN)
    left = site.postgres.sql("SELECT count(*) FROM pg_database WHERE datname LIKE 'jhe_verify%'")
    assert left == "0", "the database of the made-up world is gone"
    for finding in run.report["findings"]:
        assert (finding["verdict"] == "pass") != ("remedy" in finding), finding


def verified(jws: str, key: dict) -> dict:
    """What a key signed."""
    header, payload, signature = (base64.urlsafe_b64decode(part + "==") for part in jws.split("."))
    number = {name: int.from_bytes(base64.urlsafe_b64decode(key[name] + "==")) for name in ("n", "e")}
    public = rsa.RSAPublicNumbers(number["e"], number["n"]).public_key()
    public.verify(signature, jws.rsplit(".", 1)[0].encode(), padding.PKCS1v15(), hashes.SHA256())
    assert json.loads(header)["kid"] == key["kid"]
    return json.loads(payload)


@suite.test
def the_evidence_is_dated_and_signed_and_a_changed_word_shows(site: Deployment) -> None:
    run = quickly(site)
    answer = requests.get(f"{site.base}/o/.well-known/jwks.json", verify=site.tls / "authorities.pem")
    signed = verified(run.files[".jws"].read_text(), answer.json()["keys"][0])
    assert set(signed) == {"kind", "at", "target", "fail", "sha256"}, "nobody takes it for an id_token"
    for suffix, name in [(".json", "json"), (".md", "markdown")]:
        text = run.files[suffix].read_bytes()
        assert hashlib.sha256(text).hexdigest() == signed["sha256"][name]
        assert hashlib.sha256(text.replace(b"pass", b"Pass")).hexdigest() != signed["sha256"][name]
    assert signed["at"] == run.report["at"] and run.report["at"][:10] in run.files[".md"].read_text()
    for check in run.verdicts:
        assert f"| {check} |" in run.files[".md"].read_text()
    assert all(path.stat().st_mode & 0o077 == 0 for path in run.files.values())


@suite.test
def without_the_owner_what_takes_them_is_not_checkable(site: Deployment) -> None:
    environment = site.environment("jhe-verify.service")
    environment.pop("DB_OWNER_USER")
    options = ["--target", "self-hosted", "--only", ",".join([*WORLD, "audit-immutable"])]
    done = subprocess.run([JHE, "verify", *options], env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.count("not checkable ") == 4, done.stdout
    assert "nothing was tried by it" in done.stdout


@suite.test
def a_site_in_clear_text_fails(site: Deployment) -> None:
    fails(site, "site-https", SITE_URL=f"http://localhost:{site.jhe_port}")


@suite.test
def changes_of_the_proxy_fail_one_by_one(site: Deployment) -> None:
    redirect = f"return 301 {site.base}$request_uri;"
    hidden = "        proxy_hide_header Strict-Transport-Security;\n"
    for check, *changes in [
        ("site-redirect", (redirect, "return 200;")),
        ("site-redirect", (redirect, "return 301 http://localhost:1$request_uri;")),
        ("site-tls-versions", ("TLSv1.2 TLSv1.3;", "TLSv1.1 TLSv1.2;"), ("ssl_ciphers ", "ssl_ciphers ALL:@SECLEVEL=0:")),
        ("site-tls-versions", ("TLSv1.2 TLSv1.3;", "TLSv1 TLSv1.3;"), ("ssl_ciphers ", "ssl_ciphers ALL:@SECLEVEL=0:")),
        ("site-hsts", ("max-age=63072000; includeSubDomains", "max-age=300")),
        ("site-hsts", ("    add_header Strict", "    # add_header Strict")),
        ("site-cookies", (hidden, hidden + "        proxy_cookie_flags ~ nosecure;\n")),
        ("site-cookies", (hidden, hidden + "        proxy_cookie_flags ~ nohttponly;\n")),
        ("site-cookies", (hidden, hidden + "        proxy_cookie_flags ~ nosamesite;\n")),
        ("site-tokens", ("    location / {", "    location = /FHIR/R5/Patient { return 200; }\n    location / {")),
    ]:
        with proxied(site, *changes):
            fails(site, check)


@suite.test
def a_certificate_that_nobody_vouches_for_or_of_another_name_fails(site: Deployment) -> None:
    other, key = site.authority.sign(site.tls, "other", "other.example", ("other.example",))
    old, old_key = site.authority.sign(site.tls, "old", "localhost", ("localhost",), days=-0.5)
    for certificate, its_key in [(other, key), (old, old_key)]:
        with proxied(site, (f"{site.certificate};", f"{certificate};"), (f"{site.key};", f"{its_key};")):
            assert "site-tls-versions" in quickly(site).failed(), certificate


@suite.test
def settings_of_the_database_fail_one_by_one(site: Deployment) -> None:
    for check, setting in [
        ("database-session", "ssl_min_protocol_version = 'TLSv1.1'\nssl_ciphers = 'ALL:@SECLEVEL=0'"),
        ("database-log", "log_connections = off"),
        ("database-log", "log_disconnections = off"),
        ("database-log", "log_statement = 'none'"),
        ("database-log", "log_duration = off"),
        ("database-log", "pgaudit.log = 'ddl,role'"),
        ("database-log", "pgaudit.log = 'all,-write'"),
        ("database-log-values", "pgaudit.log_parameter = on"),
        ("database-log-values", "log_parameter_max_length = -1"),
        ("database-log-values", "log_parameter_max_length_on_error = 10"),
        ("database-log-values", "log_error_verbosity = 'default'"),
        ("database-log-values", "log_min_error_statement = 'error'"),
        ("database-passwords", "password_encryption = 'md5'"),
    ]:
        with served(site, settings=f"{site.postgres.settings}\n{setting}\n"):
            fails(site, check)


@suite.test
def a_database_that_takes_clear_text_fails(site: Deployment) -> None:
    with served(site, access=site.postgres.access.replace("hostssl", "host   ")):
        fails(site, "database-clear-text")
        # And so does a pooler that talks to it in clear text.
        with pooled(site, ("server_tls_sslmode = verify-full", "server_tls_sslmode = disable")):
            run = quickly(site)
            assert run.failed() == {"database-clear-text", "database-session"}, run.output
    with pooled(site, ("client_tls_sslmode = require", "client_tls_sslmode = allow")):
        fails(site, "database-clear-text")


@suite.test
def a_database_that_is_not_reached_fails_once_and_the_rest_is_not_checkable(site: Deployment) -> None:
    for wrong in [{"DB_PORT": "1"}, {"DB_NAME": "nothing"}, {"DB_USER": "nobody"}]:
        run = quickly(site, **wrong)
        assert run.failed() == {"database-session"} and len(run.unseen()) > len(UNSEEN) + 5, run.output


@suite.test
def a_server_that_is_not_verified_fails(site: Deployment) -> None:
    for mode in ["require", "verify-ca", "prefer"]:
        fails(site, "database-identity", DB_SSL_MODE=mode)


@suite.test
def rights_of_the_login_fail_one_by_one(site: Deployment) -> None:
    for check, begin, end in [
        ("database-roles", "ALTER ROLE jhe_service CREATEDB", "ALTER ROLE jhe_service NOCREATEDB"),
        *(("database-roles", f"ALTER ROLE jhe_service {right}", f"ALTER ROLE jhe_service NO{right}") for right in ("CREATEROLE", "REPLICATION", "BYPASSRLS")),
        ("database-roles", "GRANT CREATE ON SCHEMA public TO jhe_service", "REVOKE CREATE ON SCHEMA public FROM jhe_service"),
        ("database-roles", "GRANT CREATE ON DATABASE jhe TO jhe_service", "REVOKE CREATE ON DATABASE jhe FROM jhe_service"),
        ("database-roles", "GRANT pg_read_all_settings TO jhe_service", "REVOKE pg_read_all_settings FROM jhe_service"),
        ("database-roles", "CREATE TABLE mine (); ALTER TABLE mine OWNER TO jhe_service", "DROP TABLE mine"),
        ("audit-immutable", "GRANT UPDATE (request_id) ON audit_event TO jhe_app", "REVOKE UPDATE (request_id) ON audit_event FROM jhe_app"),
        ("audit-immutable", "GRANT DELETE ON consent_event TO jhe_app", "REVOKE DELETE ON consent_event FROM jhe_app"),
        ("audit-immutable", "GRANT DELETE ON audit_change TO jhe_app", "REVOKE DELETE ON audit_change FROM jhe_app"),
        (
            "audit-immutable",
            "ALTER TABLE audit_event DISABLE TRIGGER audit_event_immutable",
            "ALTER TABLE audit_event ENABLE TRIGGER audit_event_immutable",
        ),
        (
            "audit-immutable",
            "ALTER TABLE consent_event DISABLE TRIGGER consent_event_no_truncate",
            "ALTER TABLE consent_event ENABLE TRIGGER consent_event_no_truncate",
        ),
        # The triggers fire, but refuse nothing: only who tries finds out.
        (
            "audit-immutable",
            "ALTER FUNCTION refuse_change() RENAME TO kept; "
            "CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN coalesce(NEW, OLD); END'; "
            "DROP TRIGGER audit_event_immutable ON audit_event; "
            "CREATE TRIGGER audit_event_immutable BEFORE UPDATE OR DELETE ON audit_event FOR EACH ROW EXECUTE FUNCTION pass()",
            "DROP TRIGGER audit_event_immutable ON audit_event; DROP FUNCTION pass(); ALTER FUNCTION kept() RENAME TO refuse_change; "
            "CREATE TRIGGER audit_event_immutable BEFORE UPDATE OR DELETE ON audit_event FOR EACH ROW EXECUTE FUNCTION refuse_change()",
        ),
    ]:
        with between(site, begin, end):
            fails(site, check)
    # A superuser is refused nothing, but by the triggers.
    with between(site, "ALTER ROLE jhe_service SUPERUSER", "ALTER ROLE jhe_service NOSUPERUSER"):
        run = quickly(site)
        assert {"database-roles"} <= run.failed() <= {"database-roles", "audit-immutable", "database-limits"}, run.output
    # Nothing of what was tried is left.
    assert site.postgres.sql("SELECT count(*) > 0 FROM audit_event", "jhe") == "t"


@suite.test
def a_schema_that_no_migration_made_fails(site: Deployment) -> None:
    for begin, end, named in [
        ("CREATE FUNCTION own() RETURNS int LANGUAGE sql AS 'SELECT 1'", "DROP FUNCTION own()", "function own() is not of a migration"),
        ("GRANT SELECT ON audit_event TO PUBLIC", "REVOKE SELECT ON audit_event FROM PUBLIC", "table audit_event is another"),
        ("GRANT UPDATE (id) ON study TO jhe_app", "REVOKE UPDATE (id) ON study FROM jhe_app", "column study.id is another"),
        (
            "ALTER TABLE study_patient DISABLE TRIGGER USER; ALTER TABLE consent_event DISABLE TRIGGER consent_event_apply",
            "ALTER TABLE study_patient ENABLE TRIGGER USER; ALTER TABLE consent_event ENABLE TRIGGER consent_event_apply",
            "trigger consent_event_apply on consent_event is another",
        ),
        (
            "ALTER TABLE observation DROP CONSTRAINT observation_patient_id_fkey",
            "ALTER TABLE observation ADD CONSTRAINT observation_patient_id_fkey FOREIGN KEY (patient_id) REFERENCES patient",
            "constraint observation_patient_id_fkey on observation is missing",
        ),
        ("CREATE VIEW own AS SELECT 1 AS one", "DROP VIEW own", "view own is not of a migration"),
    ]:
        with between(site, begin, end):
            run = Run(site)
            finding = next(finding for finding in run.report["findings"] if finding["id"] == "database-as-migrated")
            assert run.failed() == {"database-as-migrated"} and named in finding["reason"], run.output
    assert not Run(site).failed(), "all is as it was"


# What a made-up world does wrong when its rows are changed while they are written: the table, when, and how.
SPOILED = {
    # Who may look may write.
    "access-control": ("organization_member", "BEFORE INSERT", "true", "NEW.role := 'member'; RETURN NEW;"),
    # Who agreed to one thing agreed to another.
    "upload-needs-consent": (
        "consent_event",
        "AFTER INSERT",
        "pg_trigger_depth() = 0",
        "INSERT INTO study_scope_request (study_id, scope_id) VALUES (30001, 50001) ON CONFLICT DO NOTHING; "
        "INSERT INTO consent_event (patient_id, study_id, scope_id, decision, decided_by, request_id) "
        "SELECT id, 30001, 50001, 'granted', user_id, 'test' FROM patient WHERE id = 40001; RETURN NULL;",
    ),
    # Who says no said yes.
    "revocation-hides": ("consent_event", "BEFORE INSERT", "true", "NEW.decision := 'granted'; RETURN NEW;"),
}


@suite.test
def a_version_that_lets_others_in_or_ignores_consent_fails(site: Deployment) -> None:
    for check, (table, when, condition, body) in SPOILED.items():
        # Each new database is a copy of template1, the made-up world's too.
        begin = f"""
            CREATE SCHEMA spoiled; GRANT USAGE ON SCHEMA spoiled TO PUBLIC;
            CREATE FUNCTION spoiled.change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$;
            CREATE FUNCTION spoiled.hang() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
              IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity = 'public.{table}') THEN
                CREATE TRIGGER spoiled {when} ON public.{table} FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION spoiled.change();
              END IF; END $$;
            CREATE EVENT TRIGGER spoiled ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION spoiled.hang();"""
        site.postgres.sql(begin, "template1")
        try:
            run = Run(site)
        finally:
            site.postgres.sql("DROP EVENT TRIGGER spoiled; DROP SCHEMA spoiled CASCADE", "template1")
        # What was hung there is not of a migration either.
        assert run.failed() == {check, "database-as-migrated"}, run.output


@suite.test
def limits_fail_one_by_one(site: Deployment) -> None:
    fails(site, "database-limits", DB_POOL_SIZE="100")
    for timeout, kept in [("statement_timeout", "15s"), ("lock_timeout", "5s"), ("idle_in_transaction_session_timeout", "15s")]:
        site.postgres.sql(f"ALTER ROLE jhe_service RESET {timeout}")
        site.pooler.restart()
        try:
            fails(site, "database-limits")
        finally:
            site.postgres.sql(f"ALTER ROLE jhe_service SET {timeout} = '{kept}'")
            site.pooler.restart()


@suite.test
def a_super_admin_without_a_second_factor_fails(site: Deployment) -> None:
    fails(site, "super-admins-factors", REQUIRE_SECOND_FACTOR_FOR_SUPER_ADMINS="false")
    made = "INSERT INTO app_user (id, email, user_type, is_superuser) VALUES (1, 'a@example.com', 'practitioner', true)"
    with between(site, made, "DELETE FROM totp_factor; DELETE FROM app_user WHERE id = 1"):
        fails(site, "super-admins-factors")
        site.postgres.sql("INSERT INTO totp_factor (user_id, secret, last_step) VALUES (1, 'x', 0)", "jhe")
        assert quickly(site).failed() == set()


@suite.test
def without_signing_keys_there_is_a_report_and_no_signature(site: Deployment) -> None:
    home, reports = str(site.directory / "without-keys"), site.directory / "unsigned"
    words = ["verify", "--target", "local", "--only", "secrets-age", "--report", str(reports)]
    done = site.jhe(*words, unit="jhe-verify.service", JHE_HOME=home)
    assert done.returncode == 1 and "there are no signing keys" in done.stdout and "not signed" in done.stderr, done.stdout
    assert sorted(path.suffix for path in reports.iterdir()) == [".json", ".md"]


@suite.test
def beside_a_running_developers_host_only_the_admin_of_the_demo_fails(_: Deployment) -> None:
    with Instance() as jhe:
        environment = {**os.environ, "JHE_HOME": jhe.home.name, "SITE_URL": jhe.base, "LOG_LEVEL": "off"}
        environment.pop("DB_HOST", None)
        done = subprocess.run([JHE, "verify", "--target", "local"], env=environment, capture_output=True, text=True)
        failed = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("fail ")]
        assert failed == ["super-admins-factors"] and done.returncode == 1, done.stdout + done.stderr
        passed = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("pass ")]
        assert WORLD < set(passed), done.stdout


@suite.test
def words_that_mean_nothing_are_refused(site: Deployment) -> None:
    for words in [[], ["--target"], ["--target", "mars"], ["--target", "aws", "--only", "x"], ["--target", "aws", "--x", "y"], ["--target", "aws", "--facts", "/nowhere"]]:
        done = site.jhe("verify", *words, unit="jhe-verify.service")
        assert done.returncode == 1 and "jhe: " in done.stderr, (words, done.stdout, done.stderr)


if __name__ == "__main__":
    with Deployment() as deployment:
        sys.exit(suite.run(deployment))
