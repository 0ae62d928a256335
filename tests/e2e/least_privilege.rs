//! What the functions' login cannot do, even when somebody else has its password.

use end_to_end::World;

#[tokio::test]
async fn the_functions_login_cannot_do_what_no_function_does() {
    let world = World::new().await;
    let client = world.as_function().await;
    for statement in [
        "UPDATE app_user SET is_superuser = true",
        "UPDATE app_user SET email = 'x@example.com'",
        "INSERT INTO app_user (email, user_type, is_superuser) VALUES ('x@example.com', 'practitioner', true)",
        "UPDATE app_user SET is_active = false",
        "UPDATE app_user SET user_type = 'practitioner'",
        "DELETE FROM app_user",
        "DELETE FROM practitioner",
        "UPDATE organization_member SET practitioner_id = 80006",
        "UPDATE access_token SET expires_at = 'infinity'",
        "UPDATE oauth_grant SET user_id = 10001",
        "UPDATE invitation SET patient_id = 40002",
        "UPDATE observation SET patient_id = 40002",
        "DELETE FROM observation",
        "UPDATE observation SET payload = '\\x00'",
        "UPDATE observation SET version = 9",
        "UPDATE observation_version SET status = 'final'",
        "INSERT INTO observation_version SELECT * FROM observation_version",
        "DELETE FROM observation_version",
        "UPDATE auxiliary SET patient_id = 40002",
        "UPDATE fhir_source SET patient_id = 40002",
        "SELECT FROM auxiliary_version",
        "DELETE FROM auxiliary_version",
        "INSERT INTO study_observation SELECT * FROM study_observation",
        "INSERT INTO source_observation SELECT * FROM source_observation",
        "DELETE FROM source_observation",
        "INSERT INTO consent_current SELECT * FROM consent_current",
        "INSERT INTO audit_event (request_id) VALUES ('x')",
        "CREATE TABLE public.mine (id int)",
    ] {
        let error = client.batch_execute(statement).await.expect_err(statement);
        let code = error.code().map(|state| state.code().to_owned());
        assert_eq!(code.as_deref(), Some("42501"), "{statement}: insufficient_privilege, not {error:?}");
    }
}

/// What a group's login is refused, and what it may do.
async fn check_group(group: &str, refused: &[&str], allowed: &[&str]) {
    let world = World::new().await;
    let client = world.as_group(group).await;
    for statement in refused {
        let error = client.batch_execute(statement).await.expect_err(statement);
        let code = error.code().map(|state| state.code().to_owned());
        assert_eq!(code.as_deref(), Some("42501"), "{group}: {statement}: insufficient_privilege, not {error:?}");
    }
    for statement in allowed {
        client.batch_execute(statement).await.unwrap_or_else(|error| panic!("{group}: {statement}: {error:?}"));
    }
}

#[tokio::test]
async fn who_reads_resources_writes_nothing_but_the_record_of_it() {
    check_group(
        "fhir_read",
        &[
            "INSERT INTO observation SELECT * FROM observation",
            "INSERT INTO consent_event SELECT * FROM consent_event",
            "INSERT INTO patient SELECT * FROM patient",
            "UPDATE app_user SET first_name = 'x'",
            "UPDATE access_token SET revoked_at = now()",
            "DELETE FROM study_patient",
            "DELETE FROM auxiliary",
            "SELECT password_hash FROM app_user",
            "SELECT FROM totp_factor",
            "SELECT FROM refresh_token",
            "SELECT FROM login_session",
            "SELECT change_standing('{}', 1, true, true, '{}')",
            "SELECT amend_observation(60001, 1, 'amended', now(), now(), '\\x00', NULL)",
        ],
        &["SELECT id FROM observation", "SELECT FROM observation_version", "SELECT id, email FROM app_user"],
    )
    .await;
}

#[tokio::test]
async fn who_writes_resources_has_nothing_of_sign_ins() {
    check_group(
        "fhir_write",
        &[
            "SELECT password_hash FROM app_user",
            "SELECT FROM passkey",
            "DELETE FROM login_session",
            "INSERT INTO refresh_token SELECT * FROM refresh_token",
            "UPDATE observation SET status = 'final'",
            "SELECT FROM observation_version",
            "DELETE FROM observation_version",
        ],
        &["SELECT FROM observation", "DELETE FROM auxiliary WHERE false"],
    )
    .await;
}

#[tokio::test]
async fn who_signs_people_in_sees_no_health_data() {
    check_group(
        "identity",
        &[
            "SELECT FROM observation",
            "SELECT FROM observation_identifier",
            "SELECT FROM source_observation",
            "SELECT FROM study_observation",
            "SELECT FROM observation_version",
            "SELECT FROM auxiliary",
            "INSERT INTO observation SELECT * FROM observation",
        ],
        &["SELECT FROM login_session", "SELECT password_hash FROM app_user"],
    )
    .await;
}

#[tokio::test]
async fn who_cares_for_people_and_studies_changes_no_health_data_and_sees_no_payload() {
    check_group(
        "people",
        &[
            "SELECT content FROM observation",
            "SELECT content FROM auxiliary",
            "SELECT payload FROM observation",
            "SELECT payload FROM auxiliary",
            "SELECT * FROM observation",
            "SELECT FROM observation_version",
            "SELECT amend_observation(60001, 1, 'amended', now(), now(), '\\x00', NULL)",
            "INSERT INTO observation SELECT * FROM observation",
            "DELETE FROM auxiliary",
            "UPDATE auxiliary SET version = 2",
        ],
        &["SELECT count(*), min(patient_id) FROM observation", "SELECT FROM study"],
    )
    .await;
}

/// What is for functions alone that the clock calls. They are in no group.
const OF_THE_CLOCK: [&str; 3] = ["INSERT on backup_run", "SELECT on backup_run", "SELECT on retention_run"];

/// A migration that grants something to all functions has to grant it to a group as well, or the group's functions go without.
#[tokio::test]
async fn what_all_functions_may_some_group_may() {
    let world = World::new().await;
    let rows = world
        .sql(
            "SELECT format('%s on %s', p.privilege, c.relname)
               FROM pg_class c CROSS JOIN (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE')) p (privilege)
              WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v')
                AND CASE p.privilege WHEN 'DELETE' THEN has_table_privilege('jhe_app', c.oid, p.privilege)
                                     ELSE has_any_column_privilege('jhe_app', c.oid, p.privilege) END
                AND NOT EXISTS (SELECT FROM unnest('{jhe_fhir_read,jhe_fhir_write,jhe_identity,jhe_people}'::text[]) g (role)
                                 WHERE CASE p.privilege WHEN 'DELETE' THEN has_table_privilege(g.role, c.oid, p.privilege)
                                                        ELSE has_any_column_privilege(g.role, c.oid, p.privilege) END)",
        )
        .await;
    let mut missing: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    missing.sort();
    assert_eq!(missing, OF_THE_CLOCK, "no group may");
}

#[tokio::test]
async fn functions_with_the_owners_rights_look_at_temporary_tables_last_and_belong_to_nobody_else() {
    let world = World::new().await;
    let rows = world
        .sql(
            "SELECT p.proname, coalesce(p.proconfig[1], ''),
                    has_function_privilege('public', p.oid, 'EXECUTE'), p.prorettype = 'trigger'::regtype,
                    has_function_privilege('jhe_app', p.oid, 'EXECUTE')
               FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
              WHERE n.nspname = 'public' AND p.prosecdef",
        )
        .await;
    assert!(rows.len() >= 4, "{}", rows.len());
    for row in rows {
        let (name, settings): (String, String) = (row.get(0), row.get(1));
        assert!(settings.ends_with("pg_temp"), "{name}: {settings}");
        assert!(!row.get::<_, bool>(2), "{name}: everybody may execute it");
        assert!(!(row.get::<_, bool>(3) && row.get::<_, bool>(4)), "{name}: the functions could hang it on a table");
    }
}

#[tokio::test]
async fn a_temporary_table_does_not_divert_the_audit() {
    let world = World::new().await;
    let client = world.as_function().await;
    let before = world.count("SELECT count(*) FROM audit_event").await;
    // A deployment's database refuses temporary tables; a copy of the template does not know of that.
    let _ = client.batch_execute("CREATE TEMPORARY TABLE audit_event (LIKE public.audit_event)").await;
    client
        .batch_execute(
            "SELECT audit_record('{\"request_id\": \"x\", \"actor_type\": \"system\", \"action\": \"read\", \"resource_type\": \"Observation\"}',
                                 'allowed', NULL, '{}', '{}', '{}', '{}')",
        )
        .await
        .expect("recorded");
    assert_eq!(world.count("SELECT count(*) FROM audit_event").await, before + 1);
}
