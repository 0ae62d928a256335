//! Invitations that are there: listed, read, cancelled and issued again, by whom and for whom.

use end_to_end::{World, answer, keys, row_ids};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const PATH: &str = "/api/v1/invitation";

/// An invitation of a patient's app by Megan: the answer's body.
async fn invited(world: &World, by: &str, patient: i32, client: i32) -> Value {
    let (status, body) = world.post(by, PATH, &json!({ "patientId": patient, "client_id": client })).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    body
}

async fn redeem(world: &World, invitation: &Value) -> (StatusCode, Value) {
    let token = invitation["token"].as_str().expect("a token");
    answer(world.anonymous(Method::POST, &format!("{PATH}/{token}"))).await
}

async fn cancel(world: &World, by: &str, id: &Value) -> StatusCode {
    world.request(by, Method::DELETE, &format!("{PATH}/{id}")).send().await.expect("an answer").status()
}

async fn reissue(world: &World, by: &str, id: &Value) -> (StatusCode, Value) {
    answer(world.request(by, Method::POST, &format!("{PATH}/{id}/reissue"))).await
}

#[tokio::test]
async fn an_invitation_is_read_without_its_token() {
    let world = World::new().await;
    let issued = invited(&world, "member_megan", 40001, 1).await;
    let path = format!("{PATH}/{}", issued["id"]);
    let (status, shown) = world.get("viewer_victor", &path).await;
    assert_eq!(status, StatusCode::OK, "{shown}");
    for name in ["id", "patientId", "client_id", "tokenHash", "status", "lastUpdated"] {
        assert_eq!(shown[name], issued[name], "{name}");
    }
    assert_eq!((&shown["token"], &shown["emailed"], &shown["redeemedAt"]), (&Value::Null, &json!(false), &Value::Null));
    assert_eq!(world.get("viewer_victor", PATH).await.1["results"], json!([shown]));
    let token = issued["token"].as_str().expect("a token");
    assert!(!shown.to_string().contains(token));
}

#[tokio::test]
async fn who_redeemed_from_where_is_told_to_the_patient_and_not_to_the_coordinator() {
    let world = World::new().await;
    let issued = invited(&world, "member_megan", 40001, 1).await;
    let path = format!("{PATH}/{}", issued["id"]);
    assert_eq!(redeem(&world, &issued).await.0, StatusCode::OK);
    for (user, told) in [("ll_patient_peter", true), ("admin", true), ("member_megan", false), ("manager_mary", false)]
    {
        let (_, shown) = world.get(user, &path).await;
        assert_eq!((&shown["status"], shown["redeemedAt"].is_string()), (&json!("redeemed"), true), "{user}: {shown}");
        for name in ["issuedFrom", "redeemedFrom"] {
            let address = shown.get(name).map(|text| text.as_str().expect("a text").parse::<std::net::IpAddr>());
            assert_eq!(address.is_some_and(|address| address.is_ok()), told, "{user}: {shown}");
        }
    }
}

#[tokio::test]
async fn a_list_shows_the_patients_of_the_callers_organizations_only() {
    let world = World::new().await;
    // Peter and Pamela are of the Lifespan Lab, Percy of another organization.
    for (by, patient, client) in [("member_megan", 40001, 1), ("member_megan", 40002, 2), ("manager_mark", 40003, 1)] {
        invited(&world, by, patient, client).await;
    }
    for (user, expected) in [
        ("viewer_victor", &[102, 101][..]),
        ("member_megan", &[102, 101]),
        ("manager_mark", &[103]),
        ("admin", &[103, 102, 101]),
        ("ll_patient_peter", &[101]),
        ("ll_patient_pamela", &[102]),
        ("npl_patient_percy", &[103]),
    ] {
        let end = world.audit_end().await;
        let (status, page) = world.get(user, PATH).await;
        assert_eq!(status, StatusCode::OK, "{user}: {page}");
        assert_eq!((row_ids(&page), &page["count"]), (expected.to_vec(), &json!(expected.len())), "{user}");
        let event = world.audit_after(end).await.pop().expect("a record");
        let patients: Vec<i32> =
            (40001..=40003).filter(|patient| expected.contains(&i64::from(patient - 40001 + 101))).collect();
        assert_eq!((event.outcome.as_str(), event.patients, event.privileged), ("allowed", patients, user == "admin"));
        for id in 101..=103 {
            let visible = expected.contains(&id);
            let (status, _) = world.get(user, &format!("{PATH}/{id}")).await;
            assert_eq!(status, if visible { StatusCode::OK } else { StatusCode::NOT_FOUND }, "{user} {id}");
        }
    }
}

#[tokio::test]
async fn a_list_is_filtered_and_has_pages() {
    let world = World::new().await;
    for (patient, client) in [(40001, 1), (40001, 2), (40002, 1), (40001, 1)] {
        invited(&world, "member_megan", patient, client).await;
    }
    assert_eq!(cancel(&world, "member_megan", &json!(103)).await, StatusCode::NO_CONTENT);
    for (query, expected) in [
        ("", &[104, 103, 102, 101][..]),
        ("?patientId=40001", &[104, 102, 101]),
        ("?patient_id=40002", &[103]),
        ("?client_id=2", &[102]),
        ("?clientId=1&patientId=40001", &[104, 101]),
        ("?status=issued", &[104, 102]),
        ("?status=reissued", &[101]),
        ("?status=cancelled", &[103]),
        ("?status=redeemed", &[]),
        ("?client_id=99", &[]),
    ] {
        let (status, page) = world.get("member_megan", &format!("{PATH}{query}")).await;
        assert_eq!((status, row_ids(&page)), (StatusCode::OK, expected.to_vec()), "{query}: {page}");
    }
    for query in ["?status=open", "?status=", "?patientId=x", "?client_id=", "?pageSize=x"] {
        assert_eq!(world.get("member_megan", &format!("{PATH}{query}")).await.0, StatusCode::BAD_REQUEST, "{query}");
    }
    let (_, first) = world.get("member_megan", &format!("{PATH}?pageSize=3")).await;
    assert_eq!(row_ids(&first), [104, 103, 102]);
    let next = first["next"].as_str().and_then(|url| url.strip_prefix(&world.base)).expect("a next page");
    let (_, second) = world.get("member_megan", next).await;
    assert_eq!((row_ids(&second), &second["next"], &second["count"]), (vec![101], &Value::Null, &json!(4)));
}

#[tokio::test]
async fn what_may_not_be_seen_does_not_exist_and_the_attempt_is_recorded() {
    let world = World::new().await;
    invited(&world, "member_megan", 40001, 1).await;
    for (user, path, reason, patients) in [
        ("manager_mark", format!("{PATH}/101"), "organization", vec![40001]),
        ("manager_mark", format!("{PATH}?patientId=40001"), "organization", vec![40001]),
        ("ll_patient_pamela", format!("{PATH}/101"), "user_type", vec![40001]),
        ("ll_patient_pamela", format!("{PATH}?patientId=40001"), "user_type", vec![40001]),
        ("member_megan", format!("{PATH}/999"), "not_found", vec![]),
        ("member_megan", format!("{PATH}?patientId=49999"), "not_found", vec![]),
        ("admin", format!("{PATH}/999"), "not_found", vec![]),
    ] {
        let end = world.audit_end().await;
        let (status, body) = world.get(user, &path).await;
        assert_eq!((status, body), (StatusCode::NOT_FOUND, json!({ "detail": "Not found." })), "{user} {path}");
        let event = world.audit_after(end).await.pop().expect("a record");
        let refused = (event.outcome.as_str(), event.refused_by.as_deref(), event.patients);
        assert_eq!(refused, ("denied", Some(reason), patients), "{user} {path}");
    }
}

#[tokio::test]
async fn a_cancelled_invitation_is_worth_nothing_redeemed_or_not() {
    let world = World::new().await;
    let refused = (StatusCode::FORBIDDEN, json!({ "detail": "Invitation has been cancelled." }));
    for redeemed in [false, true] {
        let invitation = invited(&world, "member_megan", 40001, 1).await;
        if redeemed {
            assert_eq!(redeem(&world, &invitation).await.0, StatusCode::OK);
        }
        let end = world.audit_end().await;
        assert_eq!(cancel(&world, "member_megan", &invitation["id"]).await, StatusCode::NO_CONTENT);
        let event = world.audit_after(end).await.pop().expect("a record");
        assert_eq!(
            (event.action.as_str(), event.resource_type.as_str(), event.outcome.as_str(), event.patients),
            ("delete", "Invitation", "allowed", vec![40001])
        );
        assert_eq!(redeem(&world, &invitation).await, refused);
        assert_eq!(cancel(&world, "member_megan", &invitation["id"]).await, StatusCode::NO_CONTENT, "again");
    }
}

#[tokio::test]
async fn members_and_managers_of_the_patients_organization_cancel_and_reissue_and_nobody_else() {
    let world = World::new().await;
    let invitation = invited(&world, "member_megan", 40001, 1).await;
    let id = &invitation["id"];
    for (user, status, reason) in [
        ("viewer_victor", 403, "role"),
        ("manager_mark", 404, "organization"),
        ("ll_patient_peter", 403, "user_type"),
        ("ll_patient_pamela", 403, "user_type"),
    ] {
        let end = world.audit_end().await;
        assert_eq!(cancel(&world, user, id).await.as_u16(), status, "{user}");
        assert_eq!(reissue(&world, user, id).await.0.as_u16(), status, "{user}");
        let events = world.audit_after(end).await;
        assert_eq!(events.len(), 2, "{user}");
        for event in events {
            let refused = (event.outcome.as_str(), event.refused_by.as_deref(), event.patients);
            assert_eq!(refused, ("denied", Some(reason), vec![40001]), "{user}");
        }
    }
    for missing in [json!(999), json!("x")] {
        assert_eq!(cancel(&world, "member_megan", &missing).await, StatusCode::NOT_FOUND);
        assert_eq!(reissue(&world, "member_megan", &missing).await.0, StatusCode::NOT_FOUND);
    }
    assert_eq!(world.count("SELECT count(*) FROM invitation").await, 1, "nothing was issued");
    assert_eq!(redeem(&world, &invitation).await.0, StatusCode::OK, "nothing was cancelled");
    for user in ["member_megan", "manager_mary", "admin"] {
        let (status, again) = reissue(&world, user, id).await;
        assert_eq!(status, StatusCode::CREATED, "{user}: {again}");
        assert_eq!(cancel(&world, user, &again["id"]).await, StatusCode::NO_CONTENT, "{user}");
    }
}

#[tokio::test]
async fn a_reissued_invitation_ends_the_one_before_redeemed_or_not() {
    let world = World::new().await;
    let used = (StatusCode::CONFLICT, json!({ "detail": "Invitation has already been used." }));
    for redeemed in [false, true] {
        let earlier = invited(&world, "member_megan", 40001, 1).await;
        let other = invited(&world, "member_megan", 40001, 2).await;
        if redeemed {
            assert_eq!(redeem(&world, &earlier).await.0, StatusCode::OK);
        }
        let (status, later) = reissue(&world, "member_megan", &earlier["id"]).await;
        assert_eq!((status, keys(&later)), (StatusCode::CREATED, keys(&earlier)), "{later}");
        assert_eq!((&later["patientId"], &later["client_id"]), (&earlier["patientId"], &earlier["client_id"]));
        assert_ne!(later["token"], earlier["token"]);
        let (_, shown) = world.get("member_megan", &format!("{PATH}/{}", earlier["id"])).await;
        assert_eq!(shown["status"], "reissued");
        assert_eq!(redeem(&world, &earlier).await, used);
        assert_eq!(redeem(&world, &later).await.0, StatusCode::OK);
        assert_eq!(redeem(&world, &other).await.0, StatusCode::OK, "another app's is not touched");
    }
}

#[tokio::test]
async fn a_cancelled_invitation_stays_cancelled_when_it_is_reissued() {
    let world = World::new().await;
    let earlier = invited(&world, "member_megan", 40001, 1).await;
    cancel(&world, "member_megan", &earlier["id"]).await;
    assert_eq!(reissue(&world, "member_megan", &earlier["id"]).await.0, StatusCode::CREATED);
    assert_eq!(redeem(&world, &earlier).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn of_invitations_issued_at_the_same_time_one_stays_open() {
    let world = World::new().await;
    let body = json!({ "patientId": 40001, "client_id": 1 });
    let issued = tokio::join!(
        world.post("member_megan", PATH, &body),
        world.post("manager_mary", PATH, &body),
        world.post("admin", PATH, &body),
    );
    for (status, body) in [issued.0, issued.1, issued.2] {
        assert_eq!(status, StatusCode::CREATED, "{body}");
    }
    assert_eq!(world.count("SELECT count(*) FROM invitation WHERE status = 'issued'").await, 1);
}

#[tokio::test]
async fn the_two_times_of_an_invitation_are_settings() {
    let world = World::with(&[("INVITATION_SECONDS", "3600"), ("INVITATION_WINDOW_SECONDS", "60")]).await;
    let invitation = invited(&world, "member_megan", 40001, 1).await;
    let rows = world.sql("SELECT extract(epoch FROM expires_at - issued_at)::float8 FROM invitation").await;
    // The two times are told by two clocks: the function's and the database's.
    assert!((rows[0].get::<_, f64>(0) - 3600.0).abs() < 30.0);
    assert_eq!(redeem(&world, &invitation).await.0, StatusCode::OK);
    for (ago, status) in [("59 seconds", StatusCode::OK), ("61 seconds", StatusCode::CONFLICT)] {
        world.sql(&format!("UPDATE invitation SET redeemed_at = clock_timestamp() - interval '{ago}'")).await;
        assert_eq!(redeem(&world, &invitation).await.0, status, "{ago}");
    }
}
