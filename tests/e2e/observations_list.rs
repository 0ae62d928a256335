//! Observations in the shape of `/api/v1`: the same rule as FHIR's search and read, page by page.

use end_to_end::{World, answer, ids, keys, row_ids};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const LIST: &str = "/api/v1/observations";

const USERS: [&str; 8] = [
    "ll_patient_peter",
    "ll_patient_pamela",
    "viewer_victor",
    "member_megan",
    "three_org_tom",
    "manager_mark",
    "ccl_cardio_patient_pat",
    "admin",
];

fn found(bundle: &Value) -> Vec<i64> {
    ids(bundle).iter().map(|id| id.parse().expect("a number")).collect()
}

#[tokio::test]
async fn the_list_shows_what_the_search_of_fhir_shows_and_records_it() {
    let world = World::new().await;
    for user in USERS {
        for (rest, fhir) in [
            ("patient_id=40001", "patient=40001"),
            ("patientId=40005", "patient=40005"),
            ("study_id=30001", "patient._has:Group:member:_id=30001"),
            ("studyId=30003", "patient._has:Group:member:_id=30003"),
            ("patient_id=40001&study_id=30002", "patient=40001&patient._has:Group:member:_id=30002"),
            ("patient_id=40005&organization_id=20008", "patient=40005&patient.organization=20008"),
            ("patient_id=40001&observation_id=60001", "patient=40001&_id=60001"),
        ] {
            let (expected, bundle) = world.get(user, &format!("/FHIR/R5/Observation?{fhir}&_total=accurate")).await;
            let end = world.audit_end().await;
            let (status, page) = world.get(user, &format!("{LIST}?{rest}")).await;
            if user.contains("_patient_") && status == StatusCode::FORBIDDEN {
                // A patient who names another is refused; FHIR searches their own instead.
                assert!(rest.contains("patient"), "{user} {rest}");
                continue;
            }
            assert_eq!(status, expected, "{user} {rest}: {page}");
            let event = world.audit_after(end).await.pop().expect("a record");
            assert_eq!(event.outcome == "allowed", status == StatusCode::OK, "{user} {rest}");
            assert_eq!(event.privileged, user == "admin", "{user} {rest}");
            if status == StatusCode::OK {
                assert_eq!(row_ids(&page), found(&bundle), "{user} {rest}");
                assert_eq!(page["count"], bundle["total"], "{user} {rest}");
            }
        }
    }
}

#[tokio::test]
async fn a_practitioner_names_a_patient_or_a_study() {
    let world = World::new().await;
    for query in ["", "?organization_id=20003", "?observation_id=60001"] {
        let (status, problem) = world.get("manager_mary", &format!("{LIST}{query}")).await;
        assert_eq!((status, keys(&problem)), (StatusCode::BAD_REQUEST, BTreeSet::from(["patient_id"])), "{query}");
    }
    for bad in ["patient_id=abc", "study_id=", "observation_id=x", "cursor=x", "page_size=x"] {
        let (status, _) = world.get("manager_mary", &format!("{LIST}?patient_id=40001&{bad}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}");
    }
    assert_eq!(world.get("admin", LIST).await.0, StatusCode::OK);
    assert_eq!(world.get("ll_patient_pamela", &format!("{LIST}?patient_id=40001")).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn an_observation_has_the_documented_shape_and_its_data_point() {
    let world = World::new().await;
    let (_, page) = world.get("viewer_victor", &format!("{LIST}?patient_id=40001")).await;
    let first = &page["results"][0];
    assert_eq!(
        keys(first),
        BTreeSet::from([
            "codeableConceptId",
            "codingCode",
            "codingSystem",
            "codingText",
            "id",
            "jheUserId",
            "lastUpdated",
            "omhData",
            "patientNameFamily",
            "patientNameGiven",
            "subjectPatientId"
        ])
    );
    assert_eq!((&first["patientNameFamily"], &first["jheUserId"]), (&json!("Stevens"), &json!(10006)));
    assert_eq!(keys(&first["omhData"]), BTreeSet::from(["body", "header"]));
    let (status, read) = world.get("viewer_victor", &format!("{LIST}/{}", first["id"])).await;
    assert_eq!((status, &read), (StatusCode::OK, first));
}

#[tokio::test]
async fn one_is_read_by_whom_fhir_lets_read_it() {
    let world = World::new().await;
    for user in USERS {
        for id in ["60001", "60003", "99999", "abc"] {
            let (expected, _) = world.get(user, &format!("/FHIR/R5/Observation/{id}")).await;
            assert_eq!(world.get(user, &format!("{LIST}/{id}")).await.0, expected, "{user} {id}");
        }
    }
    world.decide("ll_patient_peter", 40001, 30001, "omh:blood-pressure:4.0", false).await;
    world.decide("ll_patient_peter", 40001, 30001, "omh:heart-rate:2.0", false).await;
    assert_eq!(world.get("manager_mary", &format!("{LIST}/60001")).await.0, StatusCode::NOT_FOUND);
    assert_eq!(row_ids(&world.get("manager_mary", &format!("{LIST}?patient_id=40001")).await.1), [0_i64; 0]);
    assert_eq!(world.get("ll_patient_peter", &format!("{LIST}/60001")).await.0, StatusCode::OK);
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_overlap() {
    let world = World::new().await;
    let (_, whole) = world.get("ll_patient_pamela", LIST).await;
    let (mut path, mut seen) = (format!("{LIST}?page_size=1"), Vec::new());
    loop {
        let (status, page) = world.get("ll_patient_pamela", &path).await;
        assert_eq!((status, &page["count"]), (StatusCode::OK, &whole["count"]));
        assert_eq!(page["previous"].is_string(), !seen.is_empty());
        seen.extend(row_ids(&page));
        let Some(next) = page["next"].as_str() else { break };
        path = next.strip_prefix(world.base.as_str()).expect("of this site").to_owned();
        assert_eq!(world.get("ll_patient_peter", &path).await.0, StatusCode::BAD_REQUEST);
    }
    assert!(seen.len() > 1);
    assert_eq!(seen, row_ids(&whole));
    assert_eq!(world.get("ll_patient_pamela", &format!("{LIST}?page=99")).await.0, StatusCode::NOT_FOUND);
}

/// Viewers, and everybody else: what was uploaded is not changed here, whoever asks.
#[tokio::test]
async fn nobody_changes_or_deletes_an_observation() {
    let world = World::new().await;
    let before = world.count("SELECT sum(hashtext(o::text)) FROM observation o").await;
    for user in USERS {
        for (method, path) in [
            (Method::POST, LIST),
            (Method::PATCH, "/api/v1/observations/60001"),
            (Method::DELETE, "/api/v1/observations/60001"),
        ] {
            let request = world.request(user, method.clone(), path).json(&json!({ "patientNameFamily": "x" }));
            assert_eq!(answer(request).await.0, StatusCode::METHOD_NOT_ALLOWED, "{user} {method}");
        }
    }
    assert_eq!(world.count("SELECT sum(hashtext(o::text)) FROM observation o").await, before);
}
