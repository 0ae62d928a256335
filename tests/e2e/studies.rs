//! Studies, enrolment, organizations and data sources over `/api/v1`.

use end_to_end::{World, answer, ids as entries, keys, row_ids};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeSet;

async fn enrol(world: &World, user: &str, study: i32, method: Method, patients: &Value) -> (StatusCode, Value) {
    let path = format!("/api/v1/studies/{study}/patients");
    answer(world.request(user, method, &path).json(&json!({ "patientIds": patients }))).await
}

#[tokio::test]
async fn everybody_lists_the_studies_of_their_own_organizations_and_patients_their_own() {
    let world = World::new().await;
    for (user, query, expected) in [
        ("viewer_victor", "", vec![30002, 30001]),
        ("manager_mary", "", vec![30002, 30001]),
        ("three_org_tom", "", vec![30005, 30002, 30001, 30004]),
        ("manager_mark", "", vec![30003, 30004]),
        ("admin", "", vec![30003, 30005, 30002, 30001, 30004]),
        ("ll_patient_peter", "", vec![30002, 30001]),
        ("ccl_patient_paul", "", vec![30005]),
        ("three_org_tom", "?organization_id=20008", vec![30005]),
        ("manager_mary", "?organizationId=20001", vec![]),
    ] {
        let (status, page) = world.get(user, &format!("/api/v1/studies{query}")).await;
        assert_eq!((status, row_ids(&page)), (StatusCode::OK, expected.clone()), "{user} {query}");
        assert_eq!(page["count"], expected.len(), "{user} {query}");
    }
    let (_, study) = world.get("viewer_victor", "/api/v1/studies/30001").await;
    assert_eq!(
        study,
        json!({ "id": 30001, "name": "Lifespan Study on BP & HR", "description": "Blood Pressure & Heart Rate",
                "organization": { "id": 20003, "name": "Lifespan Lab", "type": "laboratory" }, "iconUrl": null,
                "status": "active", "startsOn": null, "endsOn": null, "accessUntil": null, "retentionPolicy": null })
    );
    assert_eq!(world.get("viewer_victor", "/api/v1/studies?organization_id=20008").await.0, StatusCode::FORBIDDEN);
    for (user, study) in
        [("viewer_victor", 30003), ("viewer_victor", 39999), ("ll_patient_peter", 30003), ("manager_mark", 30001)]
    {
        assert_eq!(
            world.get(user, &format!("/api/v1/studies/{study}")).await,
            (StatusCode::NOT_FOUND, json!({ "detail": "Not found." })),
            "{user}"
        );
    }
}

#[tokio::test]
async fn short_lists_have_pages_too() {
    let world = World::new().await;
    for (list, user, total) in
        [("studies", "admin", 5), ("data_sources", "ll_patient_peter", 6), ("organizations", "manager_mark", 4)]
    {
        let (_, whole) = world.get(user, &format!("/api/v1/{list}")).await;
        let mut seen = Vec::new();
        let mut path = format!("/api/v1/{list}?pageSize=2");
        loop {
            let (status, page) = world.get(user, &path).await;
            assert_eq!((status, &page["count"]), (StatusCode::OK, &json!(total)), "{list}");
            assert!(row_ids(&page).len() <= 2, "{list}");
            seen.extend(row_ids(&page));
            let Some(next) = page["next"].as_str() else { break };
            path = next.strip_prefix(world.base.as_str()).expect("of this site").to_owned();
        }
        assert_eq!(seen, row_ids(&whole), "{list}");
        assert_eq!(seen.len(), total, "{list}");
    }
}

#[tokio::test]
async fn organizations_are_listed_with_the_callers_role() {
    let world = World::new().await;
    let roles = async |user: &str| {
        let (_, page) = world.get(user, "/api/v1/organizations").await;
        let rows = page["results"].as_array().expect("rows").iter();
        rows.map(|row| (row["id"].as_i64().expect("an id"), row["currentUserRole"].as_str().map(str::to_owned)))
            .collect::<Vec<_>>()
    };
    let role = |text: &str| Some(text.to_owned());
    assert_eq!(
        roles("three_org_tom").await,
        [(20008, role("manager")), (20003, role("viewer")), (20007, role("member"))]
    );
    assert_eq!(roles("ccl_cardio_patient_pat").await, [(20006, None), (20008, None)]);
    assert_eq!(roles("admin").await.len(), 9);
    let (_, one) = world.get("viewer_victor", "/api/v1/organizations/20003").await;
    assert_eq!(keys(&one), BTreeSet::from(["children", "currentUserRole", "id", "name", "partOf", "type"]));
    for (user, id, expected) in [
        ("viewer_victor", 20001, 404),
        ("manager_mark", 20003, 404),
        ("ll_patient_peter", 20003, 200),
        ("ll_patient_peter", 20007, 404),
        ("admin", 20007, 200),
    ] {
        assert_eq!(world.get(user, &format!("/api/v1/organizations/{id}")).await.0.as_u16(), expected, "{user} {id}");
    }
}

#[tokio::test]
async fn data_sources_name_what_they_can_measure() {
    let world = World::new().await;
    let (_, carex) = world.get("ll_patient_peter", "/api/v1/data_sources/70001").await;
    let scope = |id: i32, code: &str, text: &str| json!({ "id": id, "codingSystem": "https://w3id.org/openmhealth", "codingCode": code, "text": text });
    assert_eq!(
        carex,
        json!({ "id": 70001, "name": "CareX", "type": "personal_device", "supportedScopes": [
            scope(50002, "omh:blood-pressure:4.0", "Blood pressure"), scope(50004, "omh:heart-rate:2.0", "Heart Rate")] })
    );
    let (_, scopes) = world.get("ll_patient_peter", "/api/v1/data_sources/all_scopes").await;
    assert_eq!(scopes.as_array().map(Vec::len), Some(16));
    assert_eq!(scopes[1], scope(50002, "omh:blood-pressure:4.0", "Blood pressure"));
    assert_eq!(world.get("admin", "/api/v1/data_sources/79999").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_patient_of_the_organization_is_enrolled_once() {
    let world = World::new().await;
    world.sql("INSERT INTO patient_organization VALUES (40003, 20003)").await;
    let before = world.count("SELECT count(*) FROM study_patient").await;
    let end = world.audit_end().await;
    for round in 0..2 {
        let (status, body) = enrol(&world, "member_megan", 30001, Method::POST, &json!([40003, 40001])).await;
        assert_eq!(status, StatusCode::CREATED, "{round}: {body}");
        let rows = body["studyPatients"].as_array().expect("rows");
        let enrolled: Vec<&Value> = rows.iter().map(|row| &row["patient"]["id"]).collect();
        assert_eq!(enrolled, [&json!(40001), &json!(40003)], "{round}");
        assert_eq!(keys(&rows[0]), BTreeSet::from(["id", "patient", "study"]));
        assert_eq!(
            keys(&rows[0]["study"]),
            BTreeSet::from(["description", "iconUrl", "id", "lastUpdated", "name", "organization", "patients"])
        );
        assert_eq!(rows[0]["study"]["organization"], 20003);
        assert_eq!(rows[1]["patient"]["organizations"], json!([20003]), "other organizations are not told");
    }
    assert_eq!(world.count("SELECT count(*) FROM study_patient").await, before + 1);
    let events = world.audit_after(end).await;
    assert_eq!(events.len(), 2);
    assert_eq!(
        (events[0].studies.as_slice(), events[0].patients.as_slice()),
        ([30001].as_slice(), [40001, 40003].as_slice())
    );
    assert_eq!(row_ids(&world.get("viewer_victor", "/api/v1/studies/30001/patients").await.1), [40001, 40002, 40003]);
}

#[tokio::test]
async fn nobody_is_enrolled_when_one_is_not_a_patient_of_the_organization() {
    let world = World::new().await;
    world.sql("DELETE FROM study_patient WHERE patient_id = 40001").await;
    let before = world.count("SELECT count(*) FROM study_patient").await;
    for (user, patients) in [
        ("member_megan", json!([40001, 40003])),
        ("member_megan", json!([40003])),
        ("member_megan", json!([49999])),
        ("admin", json!([40001, 40004])),
        ("member_megan", json!([])),
        ("member_megan", json!("40001")),
        ("member_megan", json!(["x"])),
        ("member_megan", json!([99_999_999_999_i64])),
    ] {
        let (status, body) = enrol(&world, user, 30001, Method::POST, &patients).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{user} {patients}: {body}");
        assert!(keys(&body).iter().all(|name| name.starts_with("patientIds")), "{user} {patients}: {body}");
        assert_eq!(world.count("SELECT count(*) FROM study_patient").await, before, "{user} {patients}");
    }
}

#[tokio::test]
async fn members_and_managers_of_the_studys_organization_enrol_and_nobody_else() {
    let world = World::new().await;
    for (user, study, expected) in [
        ("member_megan", 30001, true),
        ("manager_mary", 30001, true),
        ("admin", 30001, true),
        ("viewer_victor", 30001, false),
        ("three_org_tom", 30001, false),
        ("ll_patient_peter", 30001, false),
        ("manager_mark", 30001, false),
        ("member_megan", 30003, false),
        ("member_megan", 39999, false),
    ] {
        let known = matches!(user, "viewer_victor" | "three_org_tom" | "ll_patient_peter");
        let refused = if known { 403 } else { 404 };
        let (status, body) = enrol(&world, user, study, Method::POST, &json!([40001])).await;
        assert_eq!(status.as_u16(), if expected { 201 } else { refused }, "{user} {study}: {body}");
        let end = world.audit_end().await;
        let (status, body) = enrol(&world, user, study, Method::DELETE, &json!([40001])).await;
        assert_eq!(status.as_u16(), if expected { 204 } else { refused }, "{user} {study}: {body}");
        let event = world.audit_after(end).await.pop().expect("a record");
        assert_eq!(event.outcome == "allowed", expected, "{user} {study}");
        let enrolled =
            world.count("SELECT count(*) FROM study_patient WHERE study_id = 30001 AND patient_id = 40001").await;
        assert_eq!(enrolled, i64::from(!expected), "{user} {study}");
        world.sql("INSERT INTO study_patient (study_id, organization_id, patient_id) VALUES (30001, 20003, 40001) ON CONFLICT DO NOTHING").await;
    }
}

#[tokio::test]
async fn ending_an_enrolment_hides_the_data_at_once_and_enrolling_again_asks_anew() {
    let world = World::new().await;
    let by_study = "/FHIR/R5/Observation?patient._has:Group:member:_id=30001&_count=100";
    let count = async |path: &str| entries(&world.get("viewer_victor", path).await.1).len();
    assert_eq!((count(by_study).await, count("/FHIR/R5/Observation?patient=40001").await), (5, 2));

    assert_eq!(enrol(&world, "member_megan", 30001, Method::DELETE, &json!([40001])).await.0, StatusCode::NO_CONTENT);
    assert_eq!(count(by_study).await, 3);
    assert_eq!(count("/FHIR/R5/Observation?patient=40001").await, 0);
    assert_eq!(world.get("viewer_victor", "/FHIR/R5/Observation/60001").await.0, StatusCode::NOT_FOUND);
    assert_eq!(row_ids(&world.get("viewer_victor", "/api/v1/studies/30001/patients").await.1), [40002]);
    assert_eq!(world.count("SELECT count(*) FROM consent_event").await, 12, "the ledger keeps what was decided");
    assert_eq!(entries(&world.get("ll_patient_peter", "/FHIR/R5/Observation").await.1).len(), 2);

    assert_eq!(enrol(&world, "member_megan", 30001, Method::POST, &json!([40001])).await.0, StatusCode::CREATED);
    let seen = async || (count(by_study).await, count("/FHIR/R5/Observation?patient=40001").await);
    assert_eq!(seen().await, (3, 0), "what was granted before is not granted to this enrolment");
    assert_eq!(world.get("viewer_victor", "/FHIR/R5/Observation/60001").await.0, StatusCode::NOT_FOUND);
    world.decide("ll_patient_peter", 40001, 30001, "omh:blood-pressure:4.0", true).await;
    world.decide("ll_patient_peter", 40001, 30001, "omh:heart-rate:2.0", true).await;
    assert_eq!(seen().await, (5, 2));
    // Who is enrolled already is not asked anew.
    assert_eq!(enrol(&world, "member_megan", 30001, Method::POST, &json!([40001])).await.0, StatusCode::CREATED);
    assert_eq!(seen().await, (5, 2));
}

#[tokio::test]
async fn the_log_of_who_was_not_enrolled_says_nothing_of_an_end() {
    let world = World::new().await;
    let end = world.audit_end().await;
    // Percy is a patient of another organization, and Pamela takes part.
    let both = json!([40002, 40003]);
    assert_eq!(enrol(&world, "member_megan", 30001, Method::DELETE, &both).await.0, StatusCode::NO_CONTENT);
    let recorded = world.audit_after(end).await.pop().expect("a record");
    assert_eq!((recorded.action.as_str(), recorded.patients), ("delete", vec![40002]));
}

#[tokio::test]
async fn who_takes_part_in_a_study_is_for_its_practitioners() {
    let world = World::new().await;
    for (user, study, status, expected) in [
        ("viewer_victor", 30001, 200, vec![40001, 40002]),
        ("admin", 30005, 200, vec![40004, 40005]),
        ("three_org_tom", 30005, 200, vec![40004, 40005]),
        ("ll_patient_peter", 30001, 200, vec![]),
        ("manager_mark", 30001, 404, vec![]),
        ("viewer_victor", 39999, 404, vec![]),
    ] {
        let (answered, page) = world.get(user, &format!("/api/v1/studies/{study}/patients")).await;
        assert_eq!(answered.as_u16(), status, "{user} {study}: {page}");
        if status == 200 {
            assert_eq!(row_ids(&page), expected, "{user} {study}");
        }
    }
}
