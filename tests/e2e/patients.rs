//! Patients over `/api/v1`: who sees whom, in which shape, page by page, and how they are created.

use end_to_end::{World, answer, keys, row_ids};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const LIST: &str = "/api/v1/patients";

const RECORD: [&str; 9] = [
    "birthDate",
    "id",
    "identifiers",
    "jheUserId",
    "nameFamily",
    "nameGiven",
    "organizations",
    "telecomEmail",
    "telecomPhone",
];

fn new_patient() -> Value {
    json!({ "organizationId": 20003, "telecomEmail": "nora.new@example.com", "nameFamily": "New", "nameGiven": "Nora",
            "birthDate": "1991-04-12", "telecomPhone": "+1-157-000-0000", "identifiers": [{ "system": "urn:oid:1.2.3", "value": "N1" }] })
}

#[tokio::test]
async fn everybody_lists_the_patients_of_their_own_organizations() {
    let world = World::new().await;
    for (user, expected) in [
        ("viewer_victor", vec![40001, 40002]),
        ("member_megan", vec![40001, 40002]),
        ("manager_mary", vec![40001, 40002]),
        ("three_org_tom", vec![40001, 40002, 40003, 40004, 40005]),
        ("manager_mark", vec![40003, 40005]),
        ("admin", vec![40001, 40002, 40003, 40004, 40005]),
        ("ll_patient_peter", vec![]),
    ] {
        let (status, page) = world.get(user, LIST).await;
        assert_eq!((status, row_ids(&page)), (StatusCode::OK, expected.clone()), "{user}");
        assert_eq!(page["count"], expected.len(), "{user}");
    }
    let (_, page) = world.get("viewer_victor", LIST).await;
    assert_eq!(keys(&page), BTreeSet::from(["count", "next", "previous", "results"]));
    let peter = &page["results"][0];
    assert_eq!(keys(peter), BTreeSet::from(RECORD));
    assert_eq!(keys(&peter["identifiers"][0]), BTreeSet::from(["id", "system", "value"]));
    assert_eq!(
        keys(&peter["organizations"][0]),
        BTreeSet::from(["children", "currentUserRole", "id", "name", "partOf", "type"])
    );
    assert_eq!(peter["organizations"][0]["currentUserRole"], "viewer");
    assert_eq!((&peter["birthDate"], &peter["jheUserId"]), (&json!("1982-01-13"), &json!(10006)));
}

#[tokio::test]
async fn a_practitioner_is_not_told_of_a_shared_patients_other_organizations() {
    let world = World::new().await;
    let organizations = async |user: &str| {
        let (_, body) = world.get(user, "/api/v1/patients/40005").await;
        body["organizations"]
            .as_array()
            .unwrap_or_else(|| panic!("{body}"))
            .iter()
            .map(|one| one["id"].as_i64().expect("an id"))
            .collect::<Vec<_>>()
    };
    assert_eq!(organizations("ccl_cardio_patient_pat").await, [20006, 20008]);
    assert_eq!(organizations("three_org_tom").await, [20008]);
    assert_eq!(organizations("manager_mark").await, [20006]);
    assert_eq!(organizations("admin").await, [20006, 20008]);
}

#[tokio::test]
async fn a_list_is_narrowed_by_organization_and_study_and_a_foreign_one_is_refused() {
    let world = World::new().await;
    for (user, query, expected) in [
        ("three_org_tom", "organizationId=20008", Some(vec![40004, 40005])),
        ("three_org_tom", "organization_id=20003", Some(vec![40001, 40002])),
        ("three_org_tom", "studyId=30005", Some(vec![40004, 40005])),
        ("three_org_tom", "study_id=30004&organization_id=20007", Some(vec![40003])),
        ("three_org_tom", "study_id=30004&organization_id=20008", Some(vec![])),
        ("viewer_victor", "organization_id=20008", None),
        ("viewer_victor", "study_id=30003", None),
        ("manager_mark", "organization_id=20003", None),
        ("admin", "organization_id=20007", Some(vec![40003])),
    ] {
        let end = world.audit_end().await;
        let (status, page) = world.get(user, &format!("{LIST}?{query}")).await;
        let event = world.audit_after(end).await.pop().expect("a record");
        if let Some(expected) = expected {
            assert_eq!((status, row_ids(&page)), (StatusCode::OK, expected.clone()), "{user} {query}");
            let shown: BTreeSet<i64> = event.patients.iter().map(|id| i64::from(*id)).collect();
            assert_eq!((event.outcome.as_str(), shown), ("allowed", expected.into_iter().collect()), "{user} {query}");
        } else {
            assert_eq!(status, StatusCode::FORBIDDEN, "{user} {query}: {page}");
            let refused = (event.outcome.as_str(), event.refused_by.as_deref());
            assert_eq!(refused, ("denied", Some("organization")), "{user} {query}");
        }
    }
    for bad in ["organization_id=abc", "study_id=", "organization_id=1&organizationId=2", "pageSize=x", "cursor=x"] {
        assert_eq!(world.get("viewer_victor", &format!("{LIST}?{bad}")).await.0, StatusCode::BAD_REQUEST, "{bad}");
    }
    // Nothing of a foreign study or organization differs from one that does not exist.
    for (foreign, absent) in [("study_id=30003", "study_id=39999"), ("organization_id=20008", "organization_id=29999")]
    {
        let (_, foreign) = world.get("viewer_victor", &format!("{LIST}?{foreign}")).await;
        let (_, absent) = world.get("viewer_victor", &format!("{LIST}?{absent}")).await;
        assert_eq!(foreign, absent);
    }
}

#[tokio::test]
async fn pages_lead_on_by_links_that_work_for_their_user_and_their_filters_only() {
    let world = World::new().await;
    let mut seen = Vec::new();
    let mut path = format!("{LIST}?pageSize=2&organizationId=20008");
    let mut links = Vec::new();
    loop {
        let (status, page) = world.get("three_org_tom", &path).await;
        assert_eq!((status, &page["count"], &page["previous"]), (StatusCode::OK, &json!(2), &Value::Null));
        seen.extend(row_ids(&page));
        let Some(next) = page["next"].as_str() else { break };
        path = next.strip_prefix(world.base.as_str()).expect("of this site").to_owned();
        links.push(path.clone());
    }
    assert_eq!(seen, [40004, 40005]);
    assert_eq!(links, [""; 0], "two rows on a page of two");

    let (_, page) = world.get("three_org_tom", &format!("{LIST}?pageSize=2")).await;
    let link =
        page["next"].as_str().expect("a link").strip_prefix(world.base.as_str()).expect("of this site").to_owned();
    // A patient who is created while somebody pages does not shift the pages: nobody is seen twice or skipped.
    world.sql("DELETE FROM patient_organization WHERE patient_id = 40001").await;
    let (_, second) = world.get("three_org_tom", &link).await;
    assert_eq!(row_ids(&second), [40003, 40004]);
    let third = second["next"].as_str().expect("a link").strip_prefix(world.base.as_str()).expect("of this site");
    let (_, last) = world.get("three_org_tom", third).await;
    assert_eq!((row_ids(&last), &last["next"]), (vec![40005], &Value::Null));

    for (user, path) in [
        ("manager_mark", link.clone()),
        ("admin", link.clone()),
        ("three_org_tom", format!("{link}&organization_id=20008")),
        ("three_org_tom", link.replace("/patients?", "/studies?")),
        ("three_org_tom", format!("{link}A")),
    ] {
        assert_eq!(world.get(user, &path).await.0, StatusCode::BAD_REQUEST, "{user} {path}");
    }
    assert_eq!(row_ids(&world.get("admin", &format!("{LIST}?pageSize=100000")).await.1).len(), 5);
}

#[tokio::test]
async fn a_record_is_read_by_the_patient_and_the_patients_organizations() {
    let world = World::new().await;
    for (user, expected) in [
        ("ll_patient_peter", 200),
        ("viewer_victor", 200),
        ("admin", 200),
        ("ll_patient_pamela", 404),
        ("manager_mark", 404),
    ] {
        let end = world.audit_end().await;
        let (status, body) = world.get(user, "/api/v1/patients/40001").await;
        assert_eq!(status.as_u16(), expected, "{user}");
        let event = world.audit_after(end).await.pop().expect("a record");
        assert_eq!((event.patients, event.privileged), (vec![40001], user == "admin"), "{user}");
        if expected == 200 {
            assert_eq!(keys(&body), BTreeSet::from(RECORD), "{user}");
        } else {
            assert_eq!(body, world.get(user, "/api/v1/patients/49999").await.1, "{user}");
        }
    }
    let (_, me) = world.get("ll_patient_peter", "/api/v1/patients/me").await;
    assert_eq!(me, world.get("ll_patient_peter", "/api/v1/patients/40001").await.1);
    for user in ["viewer_victor", "admin"] {
        assert_eq!(world.get(user, "/api/v1/patients/me").await.0, StatusCode::FORBIDDEN, "{user}");
    }
    for bad in ["abc", "+40001", "40001.0", "99999999999999999999", "%34%30%30%30%31x"] {
        assert_eq!(world.get("admin", &format!("{LIST}/{bad}")).await.0, StatusCode::NOT_FOUND, "{bad}");
    }
}

#[tokio::test]
async fn a_member_creates_a_patient_with_an_account_without_a_password() {
    let world = World::new().await;
    let end = world.audit_end().await;
    let (status, body) = world.post("member_megan", LIST, &new_patient()).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    assert_eq!(keys(&body), BTreeSet::from(RECORD));
    assert_eq!((&body["id"], &body["jheUserId"], &body["nameFamily"]), (&json!(40006), &json!(10012), &json!("New")));
    assert_eq!(body["identifiers"][0]["value"], "N1");
    let user = world.sql("SELECT password_hash, user_type, is_superuser FROM app_user WHERE id = 10012").await;
    assert_eq!(
        (user[0].get::<_, Option<&str>>(0), user[0].get::<_, &str>(1), user[0].get::<_, bool>(2)),
        (None, "patient", false)
    );
    let events = world.audit_after(end).await;
    assert_eq!((events[0].action.as_str(), events[0].patients.as_slice()), ("create", [40006].as_slice()));
    assert_eq!(row_ids(&world.get("viewer_victor", LIST).await.1), [40001, 40002, 40006]);
}

#[tokio::test]
async fn who_may_create_a_patient() {
    let world = World::new().await;
    for (number, (user, organization, expected)) in [
        ("manager_mary", 20003, 201),
        ("manager_mary", 20001, 201),
        ("three_org_tom", 20007, 201),
        ("admin", 20004, 201),
        ("viewer_victor", 20003, 403),
        ("three_org_tom", 20003, 403),
        ("ll_patient_peter", 20003, 403),
        ("member_megan", 20001, 404),
        ("manager_mark", 20003, 404),
        ("manager_mark", 29999, 404),
        ("admin", 29999, 400),
    ]
    .into_iter()
    .enumerate()
    {
        let before = world.count("SELECT count(*) FROM app_user").await;
        let mut body = new_patient();
        body["organizationId"] = json!(organization);
        body["telecomEmail"] = json!(format!("new{number}@example.com"));
        let (status, answer) = world.post(user, LIST, &body).await;
        assert_eq!(status.as_u16(), expected, "{user} {organization}: {answer}");
        let created = world.count("SELECT count(*) FROM app_user").await - before;
        assert_eq!(created, i64::from(expected == 201), "{user} {organization}");
    }
}

#[tokio::test]
async fn a_patient_that_cannot_be_created_is_not_and_the_fields_are_named() {
    let world = World::new().await;
    let mut cases: Vec<(String, Value, &str)> = Vec::new();
    for field in ["telecomEmail", "nameFamily", "nameGiven", "birthDate", "organizationId"] {
        let mut body = new_patient();
        body.as_object_mut().expect("an object").remove(field);
        cases.push((format!("no {field}"), body, field));
    }
    for (field, value) in [
        ("birthDate", json!("1991-02-30")),
        ("birthDate", json!("12/04/1991")),
        ("birthDate", json!("2999-01-01")),
        ("telecomEmail", json!("no address")),
        ("isSuperuser", json!(true)),
        ("id", json!(1)),
        ("organizationId", json!("x")),
        ("identifiers", json!("x")),
        ("nameFamily", json!("\u{0}")),
        ("nameFamily", json!("x".repeat(151))),
    ] {
        let mut body = new_patient();
        body[field] = value.clone();
        cases.push((format!("{field} {value}").chars().take(60).collect(), body, field));
    }
    for (what, body, field) in cases {
        let (status, answer) = world.post("member_megan", LIST, &body).await;
        assert_eq!((status, keys(&answer)), (StatusCode::BAD_REQUEST, BTreeSet::from([field])), "{what}: {answer}");
    }
    for (what, text, expected) in [("no JSON", "{", 400), ("a list", "[]", 400), ("a text", "\"a\"", 400)] {
        let request =
            world.request("member_megan", Method::POST, LIST).header("content-type", "application/json").body(text);
        assert_eq!(answer(request).await.0.as_u16(), expected, "{what}");
    }
    let form = world.request("member_megan", Method::POST, LIST).form(&[("nameFamily", "a")]);
    assert_eq!(answer(form).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    for email in ["npl_patient_percy@example.com", "NPL_Patient_Percy@Example.com", "admin@example.com"] {
        let mut body = new_patient();
        body["telecomEmail"] = json!(email);
        let (status, answer) = world.post("member_megan", LIST, &body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{email}");
        assert_eq!(
            answer,
            json!({ "telecomEmail": ["This e-mail cannot be used."] }),
            "{email}: whose it is is not told"
        );
    }
    assert_eq!(world.count("SELECT count(*) FROM app_user").await, 11);
    assert_eq!(world.count("SELECT count(*) FROM patient").await, 5);
}

#[tokio::test]
async fn what_a_spreadsheet_would_run_is_refused_however_it_comes() {
    let world = World::new().await;
    let (path, import) = ("/api/v1/patients", "/api/v1/patients/import?organization_id=20003");
    for (field, text) in [
        ("nameFamily", "=1+1"),
        ("nameGiven", "+cmd"),
        ("nameFamily", "-2"),
        ("telecomEmail", "@sum@example.com"),
        ("telecomPhone", "+1|cmd"),
    ] {
        let mut body = json!({ "telecomEmail": "new@example.com", "nameFamily": "F", "nameGiven": "G", "birthDate": "1990-01-01" });
        body[field] = json!(text);
        let row = world
            .request("member_megan", Method::POST, import)
            .header("content-type", "application/x-ndjson")
            .body(format!("{body}\n"));
        let (status, answer) = end_to_end::answer(row).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let problems = &answer["results"][0]["problems"];
        assert!(problems.get(field).is_some(), "{field} {text}: {answer}");
        body["organizationId"] = json!(20003);
        let (status, told) = world.post("member_megan", path, &body).await;
        assert_eq!((status, told.get(field)), (StatusCode::BAD_REQUEST, problems.get(field)), "{field} {text}: {told}");
        let change = json!({ field: text });
        let (status, told) = world.send("member_megan", Method::PATCH, "/api/v1/patients/40001", &change).await;
        assert_eq!((status, told.get(field).is_some()), (StatusCode::BAD_REQUEST, true), "{field} {text}: {told}");
    }
    assert_eq!(world.count("SELECT count(*) FROM patient").await, 5);
}

#[tokio::test]
async fn a_lookup_tells_strangers_only_that_the_patient_exists() {
    let world = World::new().await;
    let lookup = async |user: &str, email: &str| world.get(user, &format!("{LIST}/global_lookup?email={email}")).await;
    let (status, own) = lookup("member_megan", "ll_patient_peter@example.com").await;
    assert_eq!((status, &own[0]["nameFamily"]), (StatusCode::OK, &json!("Stevens")));
    assert_eq!(keys(&own[0]), BTreeSet::from(RECORD));
    let (status, stranger) = lookup("member_megan", "npl_patient_percy@example.com").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        stranger,
        json!([{ "id": 40003, "jheUserId": null, "identifiers": [], "nameFamily": null, "nameGiven": null, "birthDate": null,
                 "telecomPhone": null, "telecomEmail": "npl_patient_percy@example.com", "organizations": [] }])
    );
    let event = world.sql("SELECT patient_ids FROM audit_event ORDER BY id DESC LIMIT 1").await;
    assert_eq!(event[0].get::<_, Vec<i32>>(0), [40003], "the patient will see who asked");
    assert_eq!(lookup("member_megan", "nobody@example.com").await, (StatusCode::OK, json!([])));
    assert_eq!(lookup("member_megan", "admin@example.com").await, (StatusCode::OK, json!([])), "not a patient");
    assert_eq!(lookup("member_megan", "%25").await, (StatusCode::OK, json!([])));
    let (status, own) = lookup("viewer_victor", "ll_patient_peter@example.com").await;
    assert_eq!((status, &own[0]["id"]), (StatusCode::OK, &json!(40001)), "a viewer may read this patient anyway");
    let stranger = lookup("viewer_victor", "npl_patient_percy@example.com").await;
    assert_eq!(stranger, (StatusCode::OK, json!([])), "who cannot link learns nothing about strangers");
    for user in ["ll_patient_peter", "npl_patient_percy"] {
        assert_eq!(lookup(user, "npl_patient_percy@example.com").await.0, StatusCode::FORBIDDEN, "{user}");
    }
    for query in ["", "?email=", "?name=a"] {
        assert_eq!(
            world.get("member_megan", &format!("{LIST}/global_lookup{query}")).await.0,
            StatusCode::BAD_REQUEST,
            "{query}"
        );
    }
}
