//! Whose an invitation is: the organizations' that issued it, not of every organization of the patient.

use end_to_end::{World, answer, keys, row_ids};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const PATH: &str = "/api/v1/invitation";

/// A world in which Peter belongs to the Lifespan Lab and to the Pulse Lab, whose manager is Mark, and takes part in a study of each
/// that uses the first app.
async fn world() -> World {
    let world = World::new().await;
    for statement in [
        "INSERT INTO patient_organization (patient_id, organization_id) VALUES (40001, 20007)",
        "INSERT INTO study_patient (study_id, organization_id, patient_id) VALUES (30004, 20007, 40001)",
        "INSERT INTO study_client (study_id, client_id) VALUES (30001, 1), (30004, 1) ON CONFLICT DO NOTHING",
    ] {
        world.sql(statement).await;
    }
    world
}

/// Asks for an invitation of Peter's first app.
async fn ask(world: &World, by: &str, send_email: bool) -> (StatusCode, Value) {
    let body = json!({ "patientId": 40001, "client_id": 1, "sendEmail": send_email });
    world.post(by, PATH, &body).await
}

/// An invitation of Peter's first app, sent to him: its id, and its token.
async fn invited(world: &World, by: &str) -> (i64, String) {
    let (status, body) = ask(world, by, true).await;
    assert_eq!(status, StatusCode::CREATED, "{by}: {body}");
    let mail = world.mails().pop().expect("a mail");
    (body["id"].as_i64().expect("an id"), mail.invitation_token())
}

/// An invitation whose link the coordinator is shown: its id, and its token.
async fn shown(world: &World, by: &str) -> (i64, String) {
    let (status, body) = ask(world, by, false).await;
    assert_eq!(status, StatusCode::CREATED, "{by}: {body}");
    (body["id"].as_i64().expect("an id"), body["token"].as_str().expect("a token").to_owned())
}

/// Gives Megan of the Lifespan Lab a role in the Pulse Lab.
async fn megan_in_the_pulse_lab(world: &World, role: &str) {
    let give = format!(
        "INSERT INTO organization_member (organization_id, practitioner_id, role)
         SELECT 20007, id, '{role}' FROM practitioner WHERE user_id = 10003
         ON CONFLICT (practitioner_id, organization_id) DO UPDATE SET role = excluded.role"
    );
    world.sql(&give).await;
}

/// Peter accepts that he belongs to the Pulse Lab too, which Mark asks of him.
async fn join(world: &World) -> StatusCode {
    let path = "/api/v1/patients/40001/global_add_organization?organizationId=20007";
    world.send("manager_mark", Method::PATCH, path, &json!({})).await;
    world.send("ll_patient_peter", Method::PATCH, path, &json!({})).await.0
}

async fn redeem(world: &World, token: &str) -> (StatusCode, Value) {
    answer(world.anonymous(Method::POST, &format!("{PATH}/{token}"))).await
}

async fn status_of(world: &World, id: i64) -> Value {
    world.get("admin", &format!("{PATH}/{id}")).await.1["status"].clone()
}

async fn cancel(world: &World, by: &str, id: i64) -> StatusCode {
    answer(world.request(by, Method::DELETE, &format!("{PATH}/{id}"))).await.0
}

async fn reissue(world: &World, by: &str, id: i64) -> StatusCode {
    world.post(by, &format!("{PATH}/{id}/reissue"), &json!({ "sendEmail": true })).await.0
}

/// The invitations to the first app that `user` is told of among Peter's apps.
async fn among_apps(world: &World, user: &str) -> Vec<i64> {
    let (status, apps) = world.get(user, "/api/v1/patients/40001/consolidated_clients").await;
    assert_eq!(status, StatusCode::OK, "{user}: {apps}");
    let app = apps.as_array().expect("apps").iter().find(|app| app["id"] == 1).expect("the app");
    let told = app["patientInvitations"].as_array().expect("invitations").iter();
    told.map(|invitation| invitation["id"].as_i64().expect("an id")).collect()
}

#[tokio::test]
async fn another_organization_of_the_patient_neither_sees_nor_manages_what_it_did_not_issue() {
    let world = world().await;
    let (first, _) = invited(&world, "member_megan").await;
    let end = world.audit_end().await;
    assert_eq!(world.get("manager_mark", &format!("{PATH}/{first}")).await.0, StatusCode::NOT_FOUND);
    assert_eq!(cancel(&world, "manager_mark", first).await, StatusCode::NOT_FOUND);
    assert_eq!(reissue(&world, "manager_mark", first).await, StatusCode::NOT_FOUND);
    for event in world.audit_after(end).await {
        let refused = (event.outcome.as_str(), event.refused_by.as_deref(), event.patients);
        assert_eq!(refused, ("denied", Some("organization"), vec![40001]));
    }
    for path in [PATH.to_owned(), format!("{PATH}?patientId=40001")] {
        let (status, page) = world.get("manager_mark", &path).await;
        assert_eq!((status, row_ids(&page), &page["count"]), (StatusCode::OK, vec![], &json!(0)), "{path}");
    }
    assert_eq!(among_apps(&world, "manager_mark").await, [0_i64; 0]);
    assert_eq!(status_of(&world, first).await, "issued");

    // An invitation of its own ends nothing of the other's.
    let (second, _) = invited(&world, "manager_mark").await;
    assert_eq!((status_of(&world, first).await, status_of(&world, second).await), (json!("issued"), json!("issued")));
    for (user, expected) in [
        ("member_megan", &[first][..]),
        ("manager_mary", &[first]),
        ("viewer_victor", &[first]),
        ("manager_mark", &[second]),
        ("ll_patient_peter", &[second, first]),
        ("admin", &[second, first]),
    ] {
        assert_eq!(row_ids(&world.get(user, PATH).await.1), expected, "{user}");
        let mut apps = among_apps(&world, user).await;
        apps.reverse();
        assert_eq!(apps, expected, "{user}");
    }
    assert_eq!(reissue(&world, "manager_mark", second).await, StatusCode::CREATED);
    assert_eq!(status_of(&world, first).await, "issued");
    assert_eq!(reissue(&world, "manager_mary", first).await, StatusCode::CREATED);
    assert_eq!(status_of(&world, first).await, "reissued");
}

#[tokio::test]
async fn who_works_in_both_organizations_invites_for_both() {
    let world = world().await;
    megan_in_the_pulse_lab(&world, "member").await;
    let (id, _) = invited(&world, "member_megan").await;
    let path = format!("{PATH}/{id}");
    for user in ["manager_mary", "manager_mark"] {
        assert_eq!(world.get(user, &path).await.0, StatusCode::OK, "{user}");
    }
    // By leaving one of them the patient takes nothing from the other.
    assert_eq!(leave(&world, 20003).await, StatusCode::NO_CONTENT);
    assert_eq!(world.get("manager_mary", &path).await.0, StatusCode::NOT_FOUND);
    assert_eq!(status_of(&world, id).await, "issued");
    assert_eq!(cancel(&world, "manager_mark", id).await, StatusCode::NO_CONTENT);
}

/// Takes Peter out of an organization.
async fn leave(world: &World, organization: i32) -> StatusCode {
    let path = format!("/api/v1/patients/40001?organizationId={organization}");
    answer(world.request("admin", Method::DELETE, &path)).await.0
}

#[tokio::test]
async fn what_only_an_organization_issued_that_the_patient_leaves_ends() {
    let world = world().await;
    let (own, token) = invited(&world, "member_megan").await;
    let (other, _) = invited(&world, "manager_mark").await;
    assert_eq!(leave(&world, 20003).await, StatusCode::NO_CONTENT);
    assert_eq!(
        (status_of(&world, own).await, status_of(&world, other).await),
        (json!("cancelled"), json!("issued")),
        "nobody of it could cancel it any more"
    );
    assert_eq!(
        redeem(&world, &token).await,
        (StatusCode::FORBIDDEN, json!({ "detail": "Invitation has been cancelled." }))
    );
    assert_eq!(cancel(&world, "member_megan", own).await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_link_that_was_shown_ends_when_the_patient_leaves_also_once_it_is_redeemed() {
    let world = World::new().await;
    let (_, token) = shown(&world, "member_megan").await;
    assert_eq!(redeem(&world, &token).await.0, StatusCode::OK);
    assert_eq!(leave(&world, 20003).await, StatusCode::NO_CONTENT);
    assert_eq!(redeem(&world, &token).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_super_admin_invites_for_all_of_the_patients_organizations() {
    let world = world().await;
    let (earlier, _) = invited(&world, "manager_mark").await;
    let (id, _) = invited(&world, "admin").await;
    assert_eq!(status_of(&world, earlier).await, "reissued");
    for user in ["member_megan", "manager_mark"] {
        assert_eq!(row_ids(&world.get(user, PATH).await.1)[0], id, "{user}");
    }
    let (later, _) = invited(&world, "member_megan").await;
    assert_eq!((status_of(&world, id).await, status_of(&world, later).await), (json!("reissued"), json!("issued")));
}

#[tokio::test]
async fn who_no_longer_works_in_the_organization_loses_what_they_issued() {
    let world = world().await;
    let (id, _) = invited(&world, "member_megan").await;
    world
        .sql("DELETE FROM organization_member m USING practitioner p WHERE p.id = m.practitioner_id AND p.user_id = 10003")
        .await;
    assert_eq!(row_ids(&world.get("member_megan", PATH).await.1), [0_i64; 0]);
    assert_eq!(world.get("member_megan", &format!("{PATH}/{id}")).await.0, StatusCode::NOT_FOUND);
    assert_eq!(cancel(&world, "member_megan", id).await, StatusCode::NOT_FOUND);
    assert_eq!(reissue(&world, "member_megan", id).await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn only_who_works_in_all_organizations_of_the_patient_is_shown_the_link() {
    let world = world().await;
    let (open, _) = invited(&world, "member_megan").await;
    for role in [None, Some("viewer")] {
        if let Some(role) = role {
            megan_in_the_pulse_lab(&world, role).await;
        }
        let end = world.audit_end().await;
        let again = format!("{PATH}/{open}/reissue");
        for (status, problem) in
            [ask(&world, "member_megan", false).await, world.post("member_megan", &again, &json!({})).await]
        {
            assert_eq!((status, keys(&problem)), (StatusCode::BAD_REQUEST, ["sendEmail"].into()), "{role:?}");
        }
        for event in world.audit_after(end).await {
            let refused = (event.outcome.as_str(), event.refused_by.as_deref(), event.patients);
            assert_eq!(refused, ("denied", Some("invalid"), vec![40001]), "{role:?}");
        }
        assert_eq!(status_of(&world, open).await, "issued", "what is refused ends nothing");
    }
    megan_in_the_pulse_lab(&world, "member").await;
    shown(&world, "member_megan").await;
    shown(&world, "admin").await;
}

#[tokio::test]
async fn with_a_further_organization_end_the_links_that_others_were_shown() {
    let world = World::new().await;
    let (redeemed, first) = shown(&world, "member_megan").await;
    assert_eq!(redeem(&world, &first).await.0, StatusCode::OK);
    let (open, second) = shown(&world, "manager_mary").await;
    let end = world.audit_end().await;
    assert_eq!(join(&world).await, StatusCode::OK);
    assert_eq!(
        (status_of(&world, redeemed).await, status_of(&world, open).await),
        (json!("cancelled"), json!("cancelled")),
        "also within the time in which it could be redeemed again"
    );
    for token in [&first, &second] {
        assert_eq!(redeem(&world, token).await.0, StatusCode::FORBIDDEN);
    }
    let kept = format!(
        "SELECT count(*) FROM audit_change c JOIN audit_event e ON e.id = c.event_id
          WHERE e.id > {end} AND c.after->'cancelled invitations' = '[{redeemed}, {open}]'"
    );
    assert_eq!(world.count(&kept).await, 1);
}

#[tokio::test]
async fn what_the_patient_got_by_mail_or_from_the_organization_itself_stays_when_they_join_it() {
    let world = World::new().await;
    let (sent, _) = invited(&world, "member_megan").await;
    assert_eq!(join(&world).await, StatusCode::OK);
    assert_eq!(status_of(&world, sent).await, "issued");

    megan_in_the_pulse_lab(&world, "member").await;
    let (of_both, _) = shown(&world, "member_megan").await;
    assert_eq!(leave(&world, 20007).await, StatusCode::NO_CONTENT);
    assert_eq!(join(&world).await, StatusCode::OK);
    assert_eq!(status_of(&world, of_both).await, "issued");
}

#[tokio::test]
async fn no_link_is_shown_while_the_patient_joins_an_organization() {
    let world = World::new().await;
    for _ in 0..8 {
        let (_, joined) = tokio::join!(ask(&world, "member_megan", false), join(&world));
        assert_eq!(joined, StatusCode::OK);
        let open = "SELECT count(*) FROM invitation WHERE status = 'issued' AND NOT emailed";
        assert_eq!(world.count(open).await, 0);
        assert_eq!(leave(&world, 20007).await, StatusCode::NO_CONTENT);
    }
}
