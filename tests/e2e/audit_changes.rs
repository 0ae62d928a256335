//! What was before a change and what is now, in the audit: never a secret. And who was on a list of people.

use end_to_end::{World, reply::Reply};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// The answer to a request, and for each of its events that is of a change: the kind, what was before and what is now.
async fn changed(
    world: &World,
    user: &str,
    method: Method,
    path: &str,
    body: &Value,
) -> (Value, Vec<(String, Value, Value)>) {
    let mut request =
        if user.is_empty() { world.anonymous(method.clone(), path) } else { world.request(user, method.clone(), path) };
    if !body.is_null() {
        request = request.json(body);
    }
    let reply = Reply::to(request).await;
    assert!(reply.status.is_success(), "{method} {path}: {} {}", reply.status, reply.text);
    let rows = world
        .sql(&format!(
            "SELECT e.resource_type, coalesce(c.before, 'null')::text, coalesce(c.after, 'null')::text
               FROM audit_event e JOIN audit_change c ON c.event_id = e.id WHERE e.request_id = '{}' ORDER BY e.id",
            reply.header("x-request-id")
        ))
        .await;
    let json = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    let rows = rows.iter().map(|row| (row.get(0), json(row.get(1)), json(row.get(2)))).collect();
    (serde_json::from_str(&reply.text).unwrap_or_default(), rows)
}

/// The only change of a request.
async fn one(world: &World, user: &str, method: Method, path: &str, body: &Value) -> (Value, Value, Value) {
    let (answer, changes) = changed(world, user, method, path, body).await;
    let [(_, before, after)] = changes.as_slice() else { panic!("{path}: {changes:?}") };
    (answer, before.clone(), after.clone())
}

#[tokio::test]
async fn an_enrolment_and_its_end_are_on_record_as_they_were() {
    let world = World::new().await;
    let (path, body) = ("/api/v1/studies/30002/patients", json!({ "patientIds": [40001, 40002] }));
    let patients = |change: &Value| -> Vec<i64> {
        let rows = change["enrolments"].as_array().expect("enrolments");
        assert!(rows.iter().all(|row| row["study_id"] == 30002 && row["id"].is_i64()), "{change}");
        rows.iter().filter_map(|row| row["patient_id"].as_i64()).collect()
    };
    let (_, was, is_now) = one(&world, "member_megan", Method::DELETE, path, &body).await;
    assert_eq!((patients(&was), is_now), (vec![40001, 40002], Value::Null));

    let alone = json!({ "patientIds": [40002] });
    let (_, before, after) = one(&world, "member_megan", Method::POST, path, &alone).await;
    assert_eq!((before, patients(&after)), (Value::Null, vec![40002]));
    let (_, _, after) = one(&world, "member_megan", Method::POST, path, &body).await;
    assert_eq!(patients(&after), [40001], "Pamela was enrolled before");
    // Nobody is enrolled twice, and nothing changes by it.
    assert_eq!(changed(&world, "member_megan", Method::POST, path, &body).await.1, []);
}

#[tokio::test]
async fn an_invitation_is_on_record_from_its_issue_to_its_end_without_its_token() {
    let world = World::new().await;
    let (path, body) = ("/api/v1/invitation", json!({ "patientId": 40001, "client_id": 1 }));
    let (first, before, after) = one(&world, "member_megan", Method::POST, path, &body).await;
    assert_eq!((before, &after["id"], &after["status"]), (Value::Null, &first["id"], &json!("issued")));
    let number = first["id"].as_i64().expect("an id");

    let again = format!("{path}/{number}/reissue");
    let (second, before, after) = one(&world, "member_megan", Method::POST, &again, &json!({})).await;
    assert_eq!(before, json!({ "replaced": { number.to_string(): "issued" } }));
    assert_eq!((&after["id"], &after["replaced"]), (&second["id"], &json!({ number.to_string(): "reissued" })));

    let token = second["token"].as_str().expect("a token");
    let (_, before, after) = one(&world, "", Method::POST, &format!("{path}/{token}"), &Value::Null).await;
    assert_eq!((&before["status"], &after["status"]), (&json!("issued"), &json!("redeemed")));
    assert!(after["redeemed_at"].is_string(), "{after}");

    let cancel = format!("{path}/{}", second["id"]);
    let (_, before, after) = one(&world, "member_megan", Method::DELETE, &cancel, &Value::Null).await;
    assert_eq!((&before["status"], &after["status"]), (&json!("redeemed"), &json!("cancelled")));

    let with_token = "SELECT count(*) FROM audit_change WHERE before ? 'token_hash' OR after ? 'token_hash'";
    assert_eq!(world.count(with_token).await, 0);
    assert_eq!(world.tables_with(token).await, [""; 0], "kept in the clear");
}

#[tokio::test]
async fn an_organization_that_asks_a_patient_and_the_answer_are_on_record() {
    let world = World::new().await;
    let ask = "/api/v1/patients/40003/global_add_organization?organization_id=20003";
    let (_, before, after) = one(&world, "member_megan", Method::PATCH, ask, &json!({})).await;
    assert_eq!((before, &after["status"]), (Value::Null, &json!("pending")));
    let requests = "/api/v1/patients/me/organization-requests";
    let accept = format!("{requests}/{}/accept", after["id"]);
    let (_, before, after) = one(&world, "npl_patient_percy", Method::POST, &accept, &Value::Null).await;
    assert_eq!((&before["status"], &after["status"]), (&json!("pending"), &json!("accepted")));
}

#[tokio::test]
async fn a_practitioners_own_client_is_on_record_without_its_key() {
    let world = World::new().await;
    let path = "/api/v1/practitioner_clients";
    let (made, before, after) = one(&world, "viewer_victor", Method::POST, path, &json!({ "label": "notebook" })).await;
    assert_eq!((before, &after["label"], &after["owned_by"]), (Value::Null, &json!("notebook"), &json!(10004)));
    let end = format!("{path}/{}", made["id"]);
    let (_, before, after) = one(&world, "viewer_victor", Method::DELETE, &end, &Value::Null).await;
    assert_eq!((&before["label"], after), (&json!("notebook"), Value::Null));
    let with_secret = "SELECT count(*) FROM audit_change WHERE before ? 'secret_hash' OR after ? 'secret_hash'";
    assert_eq!(world.count(with_secret).await, 0);
}

#[tokio::test]
async fn a_list_of_people_is_recorded_with_who_was_on_the_page() {
    let world = World::new().await;
    for (user, path, member) in [
        ("admin", "/api/v1/users?pageSize=3", "id"),
        ("admin", "/api/v1/users?pageSize=3&page=2", "id"),
        ("manager_mary", "/api/v1/users", "id"),
        ("viewer_victor", "/api/v1/users", "id"),
        ("admin", "/api/v1/practitioners?pageSize=2", "jheUserId"),
        ("viewer_victor", "/api/v1/organizations/20003/users", "id"),
    ] {
        let reply = Reply::to(world.request(user, Method::GET, path)).await;
        assert_eq!(reply.status, StatusCode::OK, "{path}");
        let answer = reply.json();
        let rows = answer["results"].as_array().or(answer.as_array()).expect("rows");
        let mut shown: Vec<i64> = rows.iter().filter_map(|row| row[member].as_i64()).collect();
        shown.sort_unstable();
        assert!(!shown.is_empty(), "{path}");
        let request = reply.header("x-request-id");
        let recorded =
            world.sql(&format!("SELECT (detail->'users')::text FROM audit_event WHERE request_id = '{request}'")).await;
        let [row] = recorded.as_slice() else { panic!("{path}: {} events", recorded.len()) };
        assert_eq!(
            row.get::<_, Option<&str>>(0).unwrap_or_default(),
            json!(shown).to_string().replace(',', ", "),
            "{user} {path}"
        );
    }
    // Who is refused is shown nobody.
    let reply = Reply::to(world.request("manager_mark", Method::GET, "/api/v1/organizations/20003/users")).await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
    let named = format!(
        "SELECT count(*) FROM audit_event WHERE request_id = '{}' AND detail IS NULL",
        reply.header("x-request-id")
    );
    assert_eq!(world.count(&named).await, 1);
}
