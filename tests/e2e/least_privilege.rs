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
