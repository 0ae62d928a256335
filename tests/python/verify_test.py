"""`jhe verify` on a deployment by the files of `infra/self-hosted`: it passes as it is, and each thing that is broken makes its check
fail and no other. Ends with `N passed, N failed`.
"""

import os
import subprocess
import sys

import verify_evidence  # noqa: F401  its tests are of this suite
import verify_facts  # noqa: F401  and so are these
from instance import Instance
from self_hosted import JHE, Deployment
from verify_run import BROKEN, UNSEEN, WORLD, Run, between, fails, pooled, prepared, proxied, quickly, seal, served, suite, without


@suite.test
def a_deployment_by_the_files_passes_and_what_cannot_be_seen_is_said(site: Deployment) -> None:
    run = Run(site)
    assert (run.code, run.failed(), run.unseen()) == (0, set(), UNSEEN), run.output
    assert WORLD < set(run.verdicts) and run.report["counts"]["pass"] == len(run.verdicts) - len(UNSEEN)
    left = site.postgres.sql("SELECT count(*) FROM pg_database WHERE datname LIKE 'jhe_verify%'")
    assert left == "0", "the database of the made-up world is gone"
    for finding in run.report["findings"]:
        assert (finding["verdict"] == "pass") != ("remedy" in finding), finding


@suite.test
def without_the_owner_what_takes_them_is_not_checkable(site: Deployment) -> None:
    environment = site.environment("jhe-verify.service")
    environment.pop("DB_OWNER_USER")
    # The way past the pooler is the owner's: without it the server itself is not asked.
    options = ["--target", "self-hosted", "--only", ",".join([*WORLD, "audit-immutable", "database-clear-text"])]
    done = subprocess.run([JHE, "verify", *options], env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "\n0 pass, 0 fail, 6 not checkable\n" in done.stdout, done.stdout
    assert "nothing was tried by it" in done.stdout and "was not asked" in done.stdout, done.stdout


@suite.test
def without_a_database_nothing_is_started_and_nothing_judged(site: Deployment) -> None:
    for target in ["aws", "gcp", "azure", "self-hosted"]:
        for host in [None, ""]:
            home = site.directory / "no-database"
            environment = site.environment("jhe-verify.service") | {"JHE_HOME": str(home), "DB_HOST": host or ""}
            if host is None:
                environment.pop("DB_HOST")
            reports = ["--report", str(site.directory / "no-report")]
            done = subprocess.run([JHE, "verify", "--target", target, *reports], env=environment, capture_output=True, text=True)
            assert done.returncode == 2 and "DB_HOST is not set" in done.stderr and not done.stdout, (target, done.stdout, done.stderr)
            assert not home.exists() and not (site.directory / "no-report").exists()


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
        # The trigger fires, and calls something else.
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
    # The triggers fire, but refuse nothing: only who tries finds out.
    refusing = site.postgres.sql("SELECT pg_get_functiondef('refuse_change()'::regprocedure)", "jhe")
    passing = "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN coalesce(NEW, OLD); END'"
    with between(site, passing, refusing):
        fails(site, "audit-immutable")
    # It fires, but never for what is there.
    never = "CREATE OR REPLACE TRIGGER audit_seal_immutable BEFORE UPDATE OR DELETE ON audit_seal FOR EACH ROW {} EXECUTE FUNCTION refuse_change()"
    with between(site, never.format("WHEN (false)"), never.format("")):
        fails(site, "audit-immutable")
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
            BROKEN.add("database-as-migrated")
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
        # What was hung there is not of a migration either. Without that, in `tests/e2e/verify.rs`, it is the check alone.
        assert run.failed() == {check, "database-as-migrated"}, run.output
        BROKEN.add(check)


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


def event(seal_number: int) -> str:
    """The first event under a seal."""
    return (
        f"(SELECT e.id FROM audit_event e JOIN audit_seal s ON s.sequence = {seal_number} AND e.occurred_at >= s.window_start "
        "AND e.occurred_at < s.window_end ORDER BY e.occurred_at, e.id LIMIT 1)"
    )


@suite.test
def what_is_not_as_it_was_sealed_fails(site: Deployment) -> None:
    past = "SET session_replication_role = replica; "
    changed = f"{past} UPDATE audit_event SET request_id = {{}} WHERE id = {event(1)}"
    with between(site, changed.format("request_id || '!'"), changed.format("rtrim(request_id, '!')")):
        fails(site, "seals")
    with without(site, "audit_event", f"id = {event(1)}"):
        fails(site, "seals")
    # A seal is missing: in the database, outside of it, and here and there with one behind it.
    with without(site, "audit_seal", "sequence = 1"):
        fails(site, "seals")
    file = site.directory / "home" / "seals" / "seals" / "000000000001.json"
    for rows in ["false", "sequence = 1"]:
        seal(site)
        away = file.rename(site.directory / "seal.json")
        try:
            with without(site, "audit_seal", rows):
                fails(site, "seals")
        finally:
            away.rename(file)
    key = site.directory / "home" / "secrets" / "audit_seal.key"
    away = key.rename(site.directory / "seal.key")
    try:
        # Without the key there is no signature of the report either.
        fails(site, "seals")
    finally:
        away.rename(key)
    assert quickly(site).verdicts["seals"] == "pass"


@suite.test
def where_nothing_was_ever_sealed_nothing_passes(site: Deployment) -> None:
    made_up = (
        "INSERT INTO audit_event (occurred_at, request_id, actor_type, action, resource_type, organization_ids, study_ids, patient_ids, "
        "observation_ids, outcome, privileged) "
        "VALUES (now() - interval '{}', 'made up', 'system', 'read', 'Observation', '{{}}', '{{}}', '{{}}', '{{}}', 'allowed', false)"
    )
    gone = "SET session_replication_role = replica; DELETE FROM audit_event WHERE request_id = 'made up'"
    # The host would seal anew.
    site.host.stop()
    vault = site.directory / "home" / "seals"
    away = vault.rename(site.directory / "seals-away")
    try:
        with without(site, "audit_seal"):
            run = Run(site, "--only", "seals")
            assert run.verdicts["seals"] == "not checkable" and "nothing was sealed yet" in run.reason("seals"), run.output
            # Sealing is every quarter of an hour.
            with between(site, made_up.format("2 hours"), gone):
                run = Run(site, "--only", "seals")
                assert run.verdicts["seals"] == "fail" and "nothing was ever sealed" in run.reason("seals"), run.output
    finally:
        away.rename(vault)
        site.host.start()
    assert quickly(site).verdicts["seals"] == "pass"


@suite.test
def a_drill_that_failed_is_old_or_was_never_fails(site: Deployment) -> None:
    changes(site, "restore-drill", "backup_run", "kind = 'drill'", "ended_at", "11 days")
    with without(site, "backup_run", "kind = 'drill'"):
        fails(site, "restore-drill")


@suite.test
def a_drill_needs_no_clean_template(site: Deployment) -> None:
    site.postgres.sql("CREATE TABLE left_there (id int)", "template1")
    try:
        done = site.jhe("backup", "verify", unit="jhe-backup-verify.service", BACKUP_TO=str(site.directory / "backups"))
    finally:
        site.postgres.sql("DROP TABLE left_there", "template1")
    assert done.returncode == 0 and '"passed"' in done.stdout, done.stdout + done.stderr


@suite.test
def a_backup_that_failed_or_is_old_fails_and_without_one_none_is_seen(site: Deployment) -> None:
    changes(site, "backups", "backup_run", "kind = 'backup'", "taken_at", "3 days")
    with without(site, "backup_run", "kind = 'backup'"):
        run = quickly(site)
        assert run.unseen() == UNSEEN | {"backups"} and not run.failed(), run.output


@suite.test
def a_retention_that_failed_is_late_or_never_was_fails(site: Deployment) -> None:
    # A run is newest by its end: all are moved.
    changes(site, "retention", "retention_run", "ended_at IS NOT NULL", "ended_at", "7 hours")
    with without(site, "retention_run"):
        fails(site, "retention")


def changes(site: Deployment, check: str, table: str, rows: str, column: str, age: str) -> None:
    """A run that is older than it may be, one that failed, and one that is to come."""
    update = f"UPDATE {table} SET {{}} WHERE {rows}"
    with between(site, update.format(f"{column} = {column} - interval '{age}'"), update.format(f"{column} = {column} + interval '{age}'")):
        fails(site, check)
    with between(site, update.format("succeeded = false"), update.format("succeeded = true")):
        fails(site, check)
    # The run of another machine, by a clock that is wrong.
    with between(site, update.format(f"{column} = {column} + interval '{age}'"), update.format(f"{column} = {column} - interval '{age}'")):
        assert check in quickly(site).unseen()


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
        assert done.returncode == 2 and "jhe: " in done.stderr, (words, done.stdout, done.stderr)


@suite.test
def each_check_was_seen_to_fail(site: Deployment) -> None:
    assert set(Run(site).verdicts) <= BROKEN, set(Run(site).verdicts) - BROKEN


if __name__ == "__main__":
    with Deployment() as deployment:
        prepared(deployment)
        sys.exit(suite.run(deployment))
