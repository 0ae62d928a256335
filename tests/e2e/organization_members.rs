//! Who works in an organization: the list, roles given and taken, and the manager that is always left.

use end_to_end::{World, answer, application::application, keys};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const LAB: &str = "/api/v1/organizations/20003";

async fn give(world: &World, user: &str, id: i32, role: &str) -> (StatusCode, Value) {
    let body = json!({ "jheUserId": id, "organizationPartitionerRole": role });
    world.post(user, &format!("{LAB}/user"), &body).await
}

async fn take(world: &World, user: &str, id: i32) -> (StatusCode, Value) {
    world.send(user, Method::DELETE, &format!("{LAB}/remove_user"), &json!({ "jheUserId": id })).await
}

#[tokio::test]
async fn who_works_there_sees_who_works_there_and_it_is_recorded() {
    let world = World::new().await;
    for user in ["viewer_victor", "member_megan", "manager_mary", "three_org_tom", "admin"] {
        let end = world.audit_end().await;
        let (status, members) = world.get(user, &format!("{LAB}/users")).await;
        assert_eq!(status, StatusCode::OK, "{user}");
        let ids: Vec<i64> = members.as_array().expect("a list").iter().filter_map(|one| one["id"].as_i64()).collect();
        assert_eq!(ids, [10002, 10003, 10004, 10005], "{user}");
        let mut told = BTreeSet::from(["email", "firstName", "id", "lastName", "role"]);
        if ["manager_mary", "admin"].contains(&user) {
            told.insert("isActive");
        }
        assert_eq!(keys(&members[0]), told, "{user}");
        let event = world.audit_after(end).await.pop().expect("a record");
        assert_eq!((event.action.as_str(), event.organizations.as_slice()), ("search", &[20003][..]), "{user}");
        assert_eq!(event.privileged, user == "admin");
    }
    for (user, status, layer) in [
        ("manager_mark", 404, "organization"),
        ("ll_patient_peter", 403, "user_type"),
        ("npl_patient_percy", 403, "user_type"),
    ] {
        let end = world.audit_end().await;
        let (answered, said) = world.get(user, &format!("{LAB}/users")).await;
        let event = world.audit_after(end).await.pop().expect("a record");
        assert_eq!((answered.as_u16(), event.refused_by.as_deref()), (status, Some(layer)), "{user}: {said}");
    }
    assert_eq!(world.get("admin", "/api/v1/organizations/29999/users").await.0, StatusCode::NOT_FOUND);
    // A patient does not learn by the difference which organizations there are.
    let unknown = world.get("ll_patient_peter", "/api/v1/organizations/29999/users").await;
    assert_eq!(unknown, world.get("ll_patient_peter", "/api/v1/organizations/20007/users").await);
}

#[tokio::test]
async fn a_manager_gives_a_practitioner_a_role_and_changes_it() {
    let world = World::new().await;
    let (status, given) = give(&world, "manager_mary", 10008, "viewer").await;
    assert_eq!(status, StatusCode::CREATED, "{given}");
    assert_eq!(keys(&given), ["id", "organization", "practitioner", "role"].into());
    assert_eq!(keys(&given["organization"]), ["id", "lastUpdated", "name", "partOf", "type"].into());
    let practitioner = &given["practitioner"];
    assert_eq!(
        keys(practitioner),
        ["id", "identifier", "jheUser", "lastUpdated", "nameFamily", "nameGiven", "organizations", "settings"].into()
    );
    // Where else somebody works, and what their console shows, is not told.
    assert_eq!((&practitioner["organizations"], &practitioner["settings"]), (&json!([20003]), &json!({})));
    assert_eq!(
        (&practitioner["id"], &practitioner["jheUser"], &given["role"]),
        (&json!(80006), &json!(10008), &json!("viewer"))
    );
    assert_eq!(world.get("manager_mark", "/api/v1/studies/30001").await.0, StatusCode::OK);

    let end = world.audit_end().await;
    let (status, changed) = give(&world, "manager_mary", 10008, "member").await;
    assert_eq!((status, &changed["id"], &changed["role"]), (StatusCode::OK, &given["id"], &json!("member")));
    let event = world.audit_after(end).await.pop().expect("a record");
    assert_eq!((event.resource_type.as_str(), event.role.as_deref()), ("PractitionerRole", Some("manager")));
    let kept =
        "SELECT count(*) FROM audit_event e JOIN audit_change c ON c.event_id = e.id WHERE e.detail->>'user' = '10008'
                   AND c.before = '{\"role\": \"viewer\"}' AND c.after = '{\"role\": \"member\"}'";
    assert_eq!(world.count(kept).await, 1);

    assert_eq!(take(&world, "manager_mary", 10008).await, (StatusCode::NO_CONTENT, Value::Null));
    assert_eq!(world.get("manager_mark", "/api/v1/studies/30001").await.0, StatusCode::NOT_FOUND, "at once");
    assert_eq!(take(&world, "manager_mary", 10008).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_role_that_counts_is_the_one_in_this_organization() {
    let world = World::new().await;
    for (user, status) in [
        ("viewer_victor", 403),
        ("member_megan", 403),
        // A manager elsewhere, a viewer here.
        ("three_org_tom", 403),
        ("manager_mark", 404),
        ("ll_patient_peter", 403),
    ] {
        for role in ["viewer", "manager"] {
            assert_eq!(give(&world, user, 10004, role).await.0.as_u16(), status, "{user} {role}");
        }
        assert_eq!(take(&world, user, 10004).await.0.as_u16(), status, "{user}");
    }
    let roles = "SELECT count(*) FROM organization_member WHERE organization_id = 20003 AND role = 'manager'";
    assert_eq!(world.count(roles).await, 1);
}

#[tokio::test]
async fn nobody_but_an_active_practitioner_is_given_a_role() {
    let world = World::new().await;
    world.sql("UPDATE app_user SET is_active = false WHERE id = 10008").await;
    let mut answers = Vec::new();
    for id in [10006, 10008, 19999] {
        answers.push(give(&world, "manager_mary", id, "viewer").await);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!((answers[0].0, keys(&answers[0].1)), (StatusCode::BAD_REQUEST, ["jheUserId"].into()));
    for (body, field) in [
        (json!({ "jheUserId": 10005 }), "organizationPartitionerRole"),
        (json!({ "jheUserId": 10005, "organizationPartitionerRole": "owner" }), "organizationPartitionerRole"),
        (json!({ "jheUserId": "x", "organizationPartitionerRole": "viewer" }), "jheUserId"),
        (
            json!({ "jheUserId": 10005, "organizationPartitionerRole": "viewer", "organizationId": 20001 }),
            "organizationId",
        ),
    ] {
        let (status, problem) = world.post("manager_mary", &format!("{LAB}/user"), &body).await;
        assert_eq!((status, keys(&problem)), (StatusCode::BAD_REQUEST, [field].into()), "{body}");
    }
}

#[tokio::test]
async fn the_last_manager_cannot_be_removed_or_demoted() {
    let world = World::new().await;
    for user in ["manager_mary", "admin"] {
        assert_eq!(give(&world, user, 10002, "member").await.0, StatusCode::CONFLICT, "{user}");
        assert_eq!(take(&world, user, 10002).await.0, StatusCode::CONFLICT, "{user}");
    }
    // A manager whose account cannot be used does not count.
    assert_eq!(give(&world, "manager_mary", 10005, "manager").await.0, StatusCode::OK);
    world.sql("UPDATE app_user SET is_active = false WHERE id = 10005").await;
    assert_eq!(take(&world, "manager_mary", 10002).await.0, StatusCode::CONFLICT);
    world.sql("UPDATE app_user SET is_active = true WHERE id = 10005").await;
    // With another one, a manager steps down, and up no more.
    assert_eq!(give(&world, "manager_mary", 10002, "member").await.0, StatusCode::OK);
    assert_eq!(give(&world, "manager_mary", 10002, "manager").await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn of_two_managers_who_remove_each_other_one_is_left() {
    let world = World::new().await;
    for _ in 0..5 {
        world.sql("UPDATE organization_member SET role = 'manager' WHERE organization_id = 20003 AND practitioner_id IN (80002, 80003)").await;
        let (one, other) =
            tokio::join!(give(&world, "manager_mary", 10003, "viewer"), give(&world, "member_megan", 10002, "viewer"));
        let managers = "SELECT count(*) FROM organization_member WHERE organization_id = 20003 AND role = 'manager'";
        assert_eq!(world.count(managers).await, 1, "{one:?} {other:?}");
    }
}

#[tokio::test]
async fn a_manager_sees_whose_account_has_ended() {
    let world = World::new().await;
    assert_eq!(answer(world.request("admin", Method::DELETE, "/api/v1/users/10004")).await.0, StatusCode::NO_CONTENT);
    for user in ["manager_mary", "admin"] {
        let (_, members) = world.get(user, &format!("{LAB}/users")).await;
        let active =
            members.as_array().expect("a list").iter().map(|one| (one["id"].as_i64(), one["isActive"].as_bool()));
        assert!(active.eq([10002, 10003, 10004, 10005].map(|id| (Some(id), Some(id != 10004)))), "{user}: {members}");
    }
}

/// Three invitations of Peter: that Megan was shown, that Megan sent, and that Mary was shown.
async fn three_invitations(world: &World) -> [Value; 3] {
    let app = application("none", &json!({ "invitationUrl": "https://a.example/CODE" }));
    let mut made = [Value::Null, Value::Null, Value::Null];
    for (place, (user, emailed)) in
        made.iter_mut().zip([("member_megan", false), ("member_megan", true), ("manager_mary", false)])
    {
        let body = json!({ "patientId": 40001, "client_id": world.register(&app).await["id"], "sendEmail": emailed });
        let (status, invitation) = world.post(user, "/api/v1/invitation", &body).await;
        assert_eq!(status, StatusCode::CREATED, "{invitation}");
        *place = invitation["id"].clone();
    }
    made
}

/// Of the three, only the link that Megan was shown has ended.
async fn only_what_megan_was_shown_has_ended(world: &World, three: &[Value; 3], why: &str) {
    for (id, status) in three.iter().zip(["cancelled", "issued", "issued"]) {
        let is = world.sql(&format!("SELECT status::text FROM invitation WHERE id = {id}")).await;
        assert_eq!(is[0].get::<_, &str>(0), status, "{why}: {id}");
    }
}

#[tokio::test]
async fn with_a_role_end_the_links_that_its_holder_was_shown() {
    for to_viewer in [false, true] {
        let world = World::new().await;
        let three = three_invitations(&world).await;
        // What changes nothing for who invites ends nothing.
        assert!(give(&world, "manager_mary", 10003, "manager").await.0.is_success());
        let end = world.audit_end().await;
        if to_viewer {
            assert!(give(&world, "manager_mary", 10003, "viewer").await.0.is_success());
        } else {
            assert_eq!(take(&world, "manager_mary", 10003).await.0, StatusCode::NO_CONTENT);
        }
        only_what_megan_was_shown_has_ended(&world, &three, &format!("viewer: {to_viewer}")).await;
        let event = world.audit_after(end).await.pop().expect("a record");
        assert_eq!((event.resource_type.as_str(), event.patients.as_slice()), ("PractitionerRole", &[40001][..]));
    }
}

#[tokio::test]
async fn with_an_account_end_the_links_that_its_holder_was_shown() {
    for how in ["deleted", "inactive", "a super admin no more"] {
        let world = World::new().await;
        let three = three_invitations(&world).await;
        let path = "/api/v1/users/10003";
        let change = async |body: Value| world.send("admin", Method::PATCH, path, &body).await.0;
        let end = world.audit_end().await;
        match how {
            "deleted" => {
                assert_eq!(answer(world.request("admin", Method::DELETE, path)).await.0, StatusCode::NO_CONTENT);
            }
            "inactive" => assert_eq!(change(json!({ "isActive": false })).await, StatusCode::OK),
            _ => {
                assert_eq!(change(json!({ "isSuperuser": true })).await, StatusCode::OK);
                assert_eq!(change(json!({ "isSuperuser": false })).await, StatusCode::OK);
            }
        }
        only_what_megan_was_shown_has_ended(&world, &three, how).await;
        let events = world.audit_after(end).await;
        let event = events.iter().find(|event| event.resource_type == "Invitation").expect("a record");
        assert_eq!((event.action.as_str(), event.patients.as_slice()), ("update", &[40001][..]), "{how}");
    }
}

#[tokio::test]
async fn no_link_is_shown_while_the_right_to_it_is_taken() {
    let world = World::new().await;
    let account = "/api/v1/users/10003";
    let ask = json!({ "patientId": 40001, "client_id": 1 });
    for round in 0..9 {
        let ask = world.post("member_megan", "/api/v1/invitation", &ask);
        match round % 3 {
            0 => drop(tokio::join!(ask, give(&world, "manager_mary", 10003, "viewer"))),
            1 => drop(tokio::join!(ask, take(&world, "manager_mary", 10003))),
            _ => drop(tokio::join!(ask, answer(world.request("admin", Method::DELETE, account)))),
        }
        let open = "SELECT count(*) FROM invitation WHERE status = 'issued'";
        assert_eq!(world.count(open).await, 0, "{round}");
        world.send("admin", Method::PATCH, account, &json!({ "isActive": true })).await;
        world.sql("UPDATE oauth_grant SET revoked_at = NULL").await;
        assert!(give(&world, "manager_mary", 10003, "member").await.0.is_success());
    }
}
