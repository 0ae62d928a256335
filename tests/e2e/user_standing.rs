//! What everybody changes of their own account, what only another super admin changes, and what ends with it.

use end_to_end::{World, answer, browser::Browser, keys, reply::Reply};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

async fn change(world: &World, user: &str, id: i32, body: &Value) -> (StatusCode, Value) {
    world.send(user, Method::PATCH, &format!("/api/v1/users/{id}"), body).await
}

#[tokio::test]
async fn everybody_changes_their_own_names_and_settings() {
    let world = World::new().await;
    let body = json!({ "firstName": "Vic", "settings": { "currentStudyId": 30002 } });
    let (status, changed) = change(&world, "viewer_victor", 10004, &body).await;
    assert_eq!(
        (status, &changed["firstName"], &changed["lastName"]),
        (StatusCode::OK, &json!("Vic"), &json!("Rosales"))
    );
    let (_, profile) = world.get("viewer_victor", "/api/v1/users/profile").await;
    assert_eq!(profile["settings"], json!({ "currentStudyId": 30002, "currentOrganizationId": 20003 }));
    // A patient has one name, not two.
    let (status, _) = change(&world, "ll_patient_peter", 10006, &json!({ "lastName": "Stephens" })).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(world.get("ll_patient_peter", "/api/v1/patients/me").await.1["nameFamily"], "Stephens");
    for (user, id, body, field) in [
        ("ll_patient_peter", 10006, json!({ "settings": {} }), "settings"),
        ("admin", 10004, json!({ "settings": { "currentStudyId": 1 } }), "settings"),
        ("viewer_victor", 10004, json!({ "settings": { "admin": true } }), "settings.admin"),
        ("viewer_victor", 10004, json!({ "firstName": "" }), "firstName"),
        ("viewer_victor", 10004, json!({ "lastName": "\u{7}" }), "lastName"),
        ("viewer_victor", 10004, json!({ "email": "v@example.com" }), "email"),
        ("admin", 10004, json!({ "email": "v@example.com" }), "email"),
        ("admin", 10004, json!({ "userType": "patient" }), "userType"),
        ("viewer_victor", 10004, json!({ "passwordHash": "x" }), "passwordHash"),
    ] {
        let (status, problem) = change(&world, user, id, &body).await;
        assert_eq!((status, keys(&problem)), (StatusCode::BAD_REQUEST, [field].into()), "{user} {body}");
    }
    let change = "SELECT count(*) FROM audit_change WHERE before = '{\"last_name\": \"Stevens\"}' AND after = '{\"last_name\": \"Stephens\"}'";
    assert_eq!(world.count(change).await, 1);
}

#[tokio::test]
async fn a_console_may_send_the_whole_account_back() {
    let world = World::new().await;
    let body = json!({ "email": "Viewer_Victor@example.com", "firstName": "Vic", "lastName": "Rosales",
                       "userType": "practitioner", "isSuperuser": false, "isActive": true });
    for user in ["viewer_victor", "admin"] {
        assert_eq!(change(&world, user, 10004, &body).await.0, StatusCode::OK, "{user}");
    }
    assert!(world.accepts(world.token("viewer_victor")).await, "nothing of that ends a session");
}

#[tokio::test]
async fn nobody_makes_themselves_a_super_admin_or_changes_their_own_standing() {
    let world = World::new().await;
    for (user, id) in [("ll_patient_peter", 10006), ("viewer_victor", 10004), ("manager_mary", 10002)] {
        for body in [json!({ "isSuperuser": true }), json!({ "is_superuser": true }), json!({ "isActive": false })] {
            let end = world.audit_end().await;
            assert_eq!(change(&world, user, id, &body).await.0, StatusCode::FORBIDDEN, "{user} {body}");
            let event = world.audit_after(end).await.pop().expect("a record");
            assert_eq!((event.outcome.as_str(), event.refused_by.as_deref()), ("denied", Some("user_type")));
        }
        assert_eq!(
            answer(world.request(user, Method::DELETE, &format!("/api/v1/users/{id}"))).await.0,
            StatusCode::FORBIDDEN
        );
    }
    // The last super admin cannot go, by mistake or by force.
    for body in [json!({ "isSuperuser": false }), json!({ "isActive": false })] {
        assert_eq!(change(&world, "admin", 10001, &body).await.0, StatusCode::FORBIDDEN, "{body}");
    }
    let own = answer(world.request("admin", Method::DELETE, "/api/v1/users/10001")).await;
    assert_eq!(own.0, StatusCode::FORBIDDEN);
    assert_eq!(world.count("SELECT count(*) FROM app_user WHERE is_superuser AND is_active AND id = 10001").await, 1);
}

#[tokio::test]
async fn of_two_super_admins_who_take_the_right_from_each_other_one_is_left() {
    let world = World::new().await;
    for _ in 0..5 {
        world.sql("UPDATE app_user SET is_superuser = id IN (10001, 10002)").await;
        world.sql("UPDATE oauth_grant SET revoked_at = NULL").await;
        let body = json!({ "isSuperuser": false });
        let (one, other) =
            tokio::join!(change(&world, "admin", 10002, &body), change(&world, "manager_mary", 10001, &body));
        let left = world.count("SELECT count(*) FROM app_user WHERE is_superuser AND is_active").await;
        assert_eq!(left, 1, "{one:?} {other:?}");
    }
}

#[tokio::test]
async fn an_account_that_is_ended_loses_its_sessions_and_tokens_at_once() {
    for by_delete in [false, true] {
        let world = World::new().await;
        let browser = Browser::signed_in(&world, "viewer_victor").await;
        let tokens = world.tokens("viewer_victor").await;
        let access = tokens["access_token"].as_str().expect("a token");
        let refresh = tokens["refresh_token"].as_str().expect("a token");
        assert!(world.accepts(access).await && world.accepts(world.token("viewer_victor")).await);
        if by_delete {
            let request = world.request("admin", Method::DELETE, "/api/v1/users/10004");
            assert_eq!(Reply::to(request).await.status, StatusCode::NO_CONTENT);
        } else {
            let (status, ended) = change(&world, "admin", 10004, &json!({ "isActive": false })).await;
            assert_eq!((status, &ended["isActive"]), (StatusCode::OK, &json!(false)));
        }
        assert!(!world.accepts(access).await && !world.accepts(world.token("viewer_victor")).await);
        assert_eq!(world.refresh(refresh).await.0, StatusCode::BAD_REQUEST);
        assert_eq!(browser.get("/accounts/sessions/").await.status, StatusCode::FOUND, "signed out");
        let again = browser.sign_in("viewer_victor@example.com", standalone::demo::PASSWORD, "/").await;
        assert_eq!(again.status, StatusCode::OK, "the sign-in page again");
        // Active again, it starts anew: what was open stays ended.
        assert_eq!(change(&world, "admin", 10004, &json!({ "isActive": true })).await.0, StatusCode::OK);
        assert!(!world.accepts(access).await);
        assert_eq!(browser.get("/accounts/sessions/").await.status, StatusCode::FOUND);
        let again = browser.sign_in("viewer_victor@example.com", standalone::demo::PASSWORD, "/").await;
        assert_eq!(again.status, StatusCode::FOUND);
        // Roles and history are as they were.
        assert_eq!(world.count("SELECT count(*) FROM organization_member WHERE practitioner_id = 80004").await, 1);
    }
}

#[tokio::test]
async fn a_new_super_admin_signs_in_as_one() {
    let world = World::new().await;
    let end = world.audit_end().await;
    let (status, made) = change(&world, "admin", 10003, &json!({ "isSuperuser": true })).await;
    assert_eq!((status, &made["isSuperuser"]), (StatusCode::OK, &json!(true)));
    // The token was given to somebody who needed no second factor.
    assert!(!world.accepts(world.token("member_megan")).await);
    let event = world.audit_after(end).await.into_iter().find(|event| event.action == "update").expect("a record");
    assert!(event.privileged);
    let kept = "SELECT count(*) FROM audit_change c JOIN audit_event e ON e.id = c.event_id
                 WHERE c.after = '{\"is_superuser\": true}' AND e.detail->>'user' = '10003'";
    assert_eq!(world.count(kept).await, 1);
    assert_eq!(
        world
            .count("SELECT count(*) FROM audit_change WHERE before::text LIKE '%argon%' OR after::text LIKE '%argon%'")
            .await,
        0
    );
    let (status, problem) = change(&world, "admin", 10006, &json!({ "isSuperuser": true })).await;
    assert_eq!((status, keys(&problem)), (StatusCode::BAD_REQUEST, ["isSuperuser"].into()), "a patient is none");
}

#[tokio::test]
async fn a_change_of_another_version_of_an_account_is_refused() {
    let world = World::new().await;
    let path = "/api/v1/users/10004";
    let tag = Reply::to(world.request("viewer_victor", Method::GET, path)).await.header("etag").to_owned();
    for (user, body, status) in [
        ("viewer_victor", json!({ "firstName": "Vic" }), 200),
        ("viewer_victor", json!({ "firstName": "Victor" }), 412),
        ("admin", json!({ "isActive": false }), 412),
    ] {
        let request = world.request(user, Method::PATCH, path).header("if-match", &tag).json(&body);
        assert_eq!(Reply::to(request).await.status.as_u16(), status, "{body}");
    }
    assert_eq!(change(&world, "admin", 19999, &json!({ "isActive": false })).await.0, StatusCode::NOT_FOUND);
    assert_eq!(change(&world, "admin", 19999, &json!({ "firstName": "X" })).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_functions_login_changes_standing_for_a_super_admin_only() {
    let world = World::new().await;
    let client = world.as_function().await;
    let call = |actor: i32| {
        format!(
            "SELECT change_standing('{{\"request_id\": \"x\", \"actor_user_id\": {actor}, \"actor_type\": \"practitioner\",
              \"action\": \"update\", \"resource_type\": \"User\"}}', 10004, true, NULL, NULL)"
        )
    };
    for (actor, expected) in [(10002, "refused"), (10004, "refused"), (10006, "refused"), (10001, "done")] {
        let row = client.query_one(&call(actor), &[]).await.expect("an outcome");
        assert_eq!(row.get::<_, &str>(0), expected, "{actor}");
    }
}
