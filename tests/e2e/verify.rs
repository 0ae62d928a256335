//! The checks of `jhe verify` that try access control and consent: they pass in a world as it is made, and fail where it is not.

use end_to_end::World;
use standalone::verify::{Verdict, world};
use std::sync::Arc;

/// The checks over a world: what they found.
async fn verdicts(world: &World) -> [Verdict; 3] {
    let tried = world::World::new(Arc::clone(&world.app), world.demo.clone()).expect("routes");
    // The last one changes the world.
    [tried.access_control().await, tried.upload_needs_consent().await, tried.revocation_hides().await]
}

/// Checks what is found in a world that a statement of the owner changed.
async fn check(statement: &str, expected: [&str; 3]) {
    let world = World::new().await;
    world.as_owner().await.batch_execute(statement).await.expect(statement);
    let found = verdicts(&world).await;
    assert_eq!(found.each_ref().map(Verdict::word), expected, "{found:?}");
}

#[tokio::test]
async fn a_world_as_it_is_made_passes() {
    let world = World::new().await;
    for verdict in verdicts(&world).await {
        assert!(matches!(verdict, Verdict::Pass(_)), "{verdict:?}");
    }
}

#[tokio::test]
async fn who_sees_or_changes_without_a_role_fails_access_control_and_nothing_else() {
    for statement in [
        // A manager of another organization, as the rule wrongly has him.
        "INSERT INTO organization_member (organization_id, practitioner_id, role) SELECT 20003, id, 'viewer' FROM practitioner WHERE user_id =
           (SELECT id FROM app_user WHERE lower(email) = 'manager_mark@example.com')",
        // A viewer who may write.
        "UPDATE organization_member SET role = 'member' WHERE organization_id = 20003 AND practitioner_id =
           (SELECT p.id FROM practitioner p JOIN app_user u ON u.id = p.user_id WHERE lower(u.email) = 'viewer_victor@example.com')",
    ] {
        check(statement, ["fail", "pass", "pass"]).await;
    }
}

#[tokio::test]
async fn an_upload_without_consent_that_is_stored_fails() {
    // A decision that nobody made.
    let statement = "
        INSERT INTO study_scope_request (study_id, scope_id) VALUES (30001, 50001);
        INSERT INTO consent_event (patient_id, study_id, scope_id, decision, decided_by, request_id)
        SELECT id, 30001, 50001, 'granted', user_id, 'test' FROM patient WHERE id = 40001";
    check(statement, ["pass", "fail", "pass"]).await;
}

#[tokio::test]
async fn a_withdrawal_that_does_not_hide_fails() {
    let statement = "ALTER TABLE consent_event DISABLE TRIGGER consent_event_apply";
    check(statement, ["pass", "pass", "fail"]).await;
}

#[tokio::test]
async fn who_has_no_token_is_not_taken_for_refused() {
    for user in ["viewer_victor", "manager_mark", "manager_mary", "npl_patient_percy"] {
        let world = World::new().await;
        let mut demo = world.demo.clone();
        demo["users"].as_object_mut().expect("users").remove(user).expect(user);
        let tried = world::World::new(Arc::clone(&world.app), demo).expect("routes");
        let found = tried.access_control().await;
        assert_ne!(found.word(), "pass", "{user}: {found:?}");
    }
}

#[tokio::test]
async fn what_is_refused_to_everybody_passes_for_no_refusal() {
    let refusing = |table: &str| {
        format!(
            "CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no''; END';
             CREATE TRIGGER fault BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION fault()"
        )
    };
    for table in ["study", "organization"] {
        check(&refusing(table), ["not checkable", "pass", "pass"]).await;
    }
}

#[tokio::test]
async fn who_sees_nothing_at_all_after_a_withdrawal_does_not_show_that_it_hides() {
    let statement = "
        CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
          'BEGIN UPDATE app_user SET is_active = false WHERE lower(email) = ''viewer_victor@example.com''; RETURN NULL; END';
        CREATE TRIGGER fault AFTER INSERT ON consent_event FOR EACH ROW EXECUTE FUNCTION fault()";
    check(statement, ["pass", "pass", "not checkable"]).await;
}
