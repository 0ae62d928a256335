//! Bulk import of patients: each row has its own fate, and the whole can be sent again.

use end_to_end::{World, answer, row_ids};
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

const IMPORT: &str = "/api/v1/patients/import?organization_id=20003";
const IMPORTS: &str = "/api/v1/patients/imports?organizationId=20003";
const HEADER: &str = "telecomEmail,nameFamily,nameGiven,birthDate,telecomPhone,identifierSystem,identifierValue\n";

async fn send(
    world: &World,
    user: &str,
    path: &str,
    kind: &str,
    body: impl Into<reqwest::Body>,
) -> (StatusCode, Value) {
    answer(world.request(user, Method::POST, path).header(header::CONTENT_TYPE, kind).body(body)).await
}

fn statuses(answer: &Value) -> Vec<&str> {
    let rows = answer["results"].as_array().unwrap_or_else(|| panic!("{answer}"));
    rows.iter().map(|row| row["status"].as_str().expect("a status")).collect()
}

#[tokio::test]
async fn each_row_of_csv_has_its_own_fate() {
    let world = World::new().await;
    let end = world.audit_end().await;
    let body = format!(
        "\u{FEFF}{HEADER}\
         one@example.com,\"Müller, Jr.\",Ann,1990-01-01,+1-157-000-0000,urn:x,1\r\n\
         two@example.com,Two,Bo,1991-01-01,,,\r\n\
         ONE@example.com,Again,Ann,1990-01-01,,,\r\n\
         three@example.com,Three,Cy,1990-02-30,,,\r\n\
         four@example.com,=cmd|' /C calc'!A0,Di,1990-01-01,,,\r\n\
         five@example.com,Five,Ed,1990-01-01,,urn:oid:1.2.3.4,E1234\r\n\
         ll_patient_peter@example.com,Stevens,Peter,1982-01-13,,,\r\n\
         npl_patient_percy@example.com,Lane,Percy,1990-11-23,,,\r\n\
         six@example.com,Six,Flo,1990-01-01,,urn:x,1\r\n"
    );
    let (status, answer) = send(&world, "member_megan", IMPORT, "text/csv; charset=UTF-8", body.clone()).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let expected =
        ["created", "created", "conflict", "invalid", "invalid", "conflict", "conflict", "conflict", "conflict"];
    assert_eq!(statuses(&answer), expected, "{answer}");
    let field = |row: usize| answer["results"][row]["problems"].as_object().and_then(|all| all.keys().next().cloned());
    assert_eq!(field(0), None);
    for (row, name) in [
        (2, "telecomEmail"),
        (3, "birthDate"),
        (4, "nameFamily"),
        (5, "identifiers[0]"),
        (6, "telecomEmail"),
        (8, "identifiers[0]"),
    ] {
        assert_eq!(field(row).as_deref(), Some(name), "{row}");
    }
    // Who is of the organization already is told, who is of another is not.
    assert_eq!((&answer["results"][6]["id"], &answer["results"][7]["id"]), (&json!(40001), &Value::Null));
    assert_eq!(answer["results"][2]["id"], answer["results"][0]["id"]);
    let import = &answer["import"];
    assert_eq!(
        (&import["rowsRead"], &import["rowsCreated"], &import["rowsRefused"]),
        (&json!(9), &json!(2), &json!(7))
    );
    assert_eq!((&answer["nextRow"], import["finishedAt"].is_string()), (&Value::Null, true));

    let ids: Vec<i64> = (0..2).map(|row| answer["results"][row]["id"].as_i64().expect("an id")).collect();
    let (_, first) = world.get("viewer_victor", &format!("/api/v1/patients/{}", ids[0])).await;
    assert_eq!((&first["nameFamily"], &first["telecomPhone"]), (&json!("Müller, Jr."), &json!("+1-157-000-0000")));
    assert_eq!(first["identifiers"][0]["value"], "1");
    // Each new patient finds their creation in their access log, and only theirs.
    let rows = world
        .sql(&format!(
            "SELECT patient_ids, c.after->>'telecom_email' FROM audit_event e JOIN audit_change c ON c.event_id = e.id
              WHERE e.id > {end} AND action = 'create' AND outcome = 'allowed' ORDER BY e.id"
        ))
        .await;
    let created: Vec<Vec<i32>> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(created.concat().iter().map(|id| i64::from(*id)).collect::<Vec<_>>(), ids);
    assert_eq!(rows[1].get::<_, &str>(1), "two@example.com");

    // The same again creates nobody.
    let before = world.count("SELECT count(*) FROM app_user").await;
    let (_, again) = send(&world, "member_megan", IMPORT, "text/csv", body).await;
    assert!(!statuses(&again).contains(&"created"), "{again}");
    assert_eq!(again["results"][0]["id"], ids[0]);
    assert_eq!(world.count("SELECT count(*) FROM app_user").await, before);
}

#[tokio::test]
async fn ndjson_takes_several_identifiers_and_no_other_organization() {
    let world = World::new().await;
    let body = [
        json!({ "telecomEmail": "a@example.com", "nameFamily": "A", "nameGiven": "A", "birthDate": "1990-01-01",
            "identifiers": [{ "system": "urn:x", "value": "1" }, { "system": "urn:y", "value": "1" }] }),
        json!({ "telecomEmail": "b@example.com", "nameFamily": "B", "nameGiven": "B", "birthDate": "1990-01-01", "organizationId": 20007 }),
        json!({ "telecomEmail": "c@example.com", "nameFamily": "C", "nameGiven": "C", "birthDate": "1990-01-01",
            "identifiers": [{ "system": "urn:z", "value": "1" }, { "system": "urn:y", "value": "1" }] }),
    ]
    .map(|row| row.to_string())
    .join("\n");
    let (status, answer) = send(&world, "manager_mary", IMPORT, "application/x-ndjson", body).await;
    assert_eq!((status, statuses(&answer)), (StatusCode::OK, vec!["created", "invalid", "conflict"]), "{answer}");
    assert!(answer["results"][1]["problems"].get("organizationId").is_some());
    assert!(answer["results"][2]["problems"].get("identifiers[1]").is_some(), "{answer}");
    assert_eq!(world.count("SELECT count(*) FROM patient_identifier WHERE system LIKE 'urn:_'").await, 2);
}

#[tokio::test]
async fn who_may_import_and_who_sees_how_far_it_is() {
    let world = World::new().await;
    for (number, (user, expected)) in [
        ("member_megan", 200),
        ("manager_mary", 200),
        ("admin", 200),
        ("viewer_victor", 403),
        ("three_org_tom", 403),
        ("ll_patient_peter", 403),
        ("manager_mark", 404),
    ]
    .into_iter()
    .enumerate()
    {
        let before = world.count("SELECT count(*) FROM patient").await;
        let body = format!("{HEADER}n{number}@example.com,F,G,1990-01-01,,,\n");
        let end = world.audit_end().await;
        let (status, answer) = send(&world, user, IMPORT, "text/csv", body).await;
        assert_eq!(status.as_u16(), expected, "{user}: {answer}");
        assert_eq!(world.count("SELECT count(*) FROM patient").await - before, i64::from(expected == 200), "{user}");
        let event = &world.audit_after(end).await[0];
        assert_eq!((event.outcome == "allowed", event.privileged), (expected == 200, user == "admin"), "{user}");
        let end = world.audit_end().await;
        assert_eq!(world.get(user, IMPORTS).await.0.as_u16(), expected, "{user}");
        let events = world.audit_after(end).await;
        assert_eq!(events.len(), 1, "{user}: {events:?}");
        assert_eq!(
            (events[0].resource_type.as_str(), events[0].outcome == "allowed"),
            ("PatientImport", expected == 200)
        );
        assert_eq!(events[0].organizations, [20003], "{user}");
    }
    let (_, imports) = world.get("member_megan", IMPORTS).await;
    assert_eq!(row_ids(&json!({ "results": imports })), [3, 2, 1]);
    let unknown =
        send(&world, "admin", "/api/v1/patients/import?organization_id=29999", "text/csv", HEADER.to_owned() + "a\n")
            .await;
    assert_eq!(unknown.0, StatusCode::BAD_REQUEST);
    assert_eq!(send(&world, "admin", "/api/v1/patients/import", "text/csv", "x").await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_body_that_is_no_table_is_refused_whole() {
    let world = World::new().await;
    let row = "a@example.com,F,G,1990-01-01,,,\n";
    for (kind, body, expected) in [
        ("text/csv", String::new(), 400),
        ("text/csv", HEADER.to_owned(), 400),
        ("text/csv", "password\nx\n".to_owned(), 400),
        ("text/csv", HEADER.to_owned() + &row.repeat(10_001), 400),
        ("text/csv; charset=iso-8859-1", HEADER.to_owned() + row, 415),
        ("application/json", "[]".to_owned(), 415),
        ("application/x-ndjson", "\n".to_owned(), 400),
    ] {
        let (status, answer) = send(&world, "member_megan", IMPORT, kind, body).await;
        assert_eq!(status.as_u16(), expected, "{kind}: {answer}");
    }
    let first =
        send(&world, "member_megan", &format!("{IMPORT}&first_row=0"), "text/csv", HEADER.to_owned() + row).await;
    assert_eq!(first.0, StatusCode::BAD_REQUEST);
    assert_eq!(world.count("SELECT count(*) FROM patient_import").await, 0);
    // What is broken in one row is that row's.
    let body = [HEADER.as_bytes(), b"\xFF@example.com,F,G,1990-01-01,,,\n", row.as_bytes()].concat();
    let (_, answer) = send(&world, "member_megan", IMPORT, "text/csv", body).await;
    assert_eq!(statuses(&answer), ["invalid", "created"]);
}

#[tokio::test]
async fn ten_thousand_rows_are_one_request_and_it_goes_on_where_it_ended() {
    let world = World::new().await;
    let row = |n| format!("p{n}@example.com,F{n},G,1990-01-01,,urn:bulk,{n}\n");
    let body = HEADER.to_owned() + &(0..10_000).map(row).collect::<Vec<_>>().concat();
    let (mut first, mut created, mut last) = (1, 0, Value::Null);
    while created < 10_000 {
        let path = format!("{IMPORT}&first_row={first}");
        let (status, answer) = send(&world, "member_megan", &path, "text/csv", body.clone()).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        assert!(statuses(&answer).iter().all(|status| *status == "created"));
        created += answer["import"]["rowsCreated"].as_i64().expect("a number");
        assert_eq!(answer["results"][0]["row"], first);
        last = answer["nextRow"].clone();
        let Some(next) = last.as_i64() else { break };
        assert!(next > first, "an answer without progress");
        first = next;
    }
    assert_eq!((created, last), (10_000, Value::Null));
    let (_, tail) = send(&world, "member_megan", &format!("{IMPORT}&first_row=9999"), "text/csv", body).await;
    assert_eq!((&tail["results"][0]["row"], statuses(&tail)), (&json!(9999), vec!["conflict", "conflict"]));
    assert_eq!(world.count("SELECT count(*) FROM patient_organization WHERE organization_id = 20003").await, 10_002);
}
