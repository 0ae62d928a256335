//! "Who has viewed my data": what a patient reads of the audit.

use end_to_end::{World, reply::Reply};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const LOG: &str = "/api/v1/patients/me/access-log";

async fn log(world: &World, patient: &str) -> Vec<Value> {
    let (status, page) = world.get(patient, &format!("{LOG}?pageSize=1000")).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    page["results"].as_array().expect("rows").clone()
}

/// The newest row; the reading of the log itself is recorded after it is read.
async fn newest(world: &World, patient: &str) -> Value {
    log(world, patient).await.into_iter().next().expect("a row")
}

#[tokio::test]
async fn a_view_names_who_with_which_app_when_for_which_study_and_which_observations() {
    let world = World::new().await;
    let before = jiff::Timestamp::now();
    world.get("viewer_victor", "/FHIR/R5/Observation?patient=40001").await;
    let row = newest(&world, "ll_patient_peter").await;
    let at: jiff::Timestamp = row["occurredAt"].as_str().expect("an instant").parse().expect("an instant");
    assert!(
        (before - jiff::SignedDuration::from_secs(1)..=jiff::Timestamp::now() + jiff::SignedDuration::from_secs(1))
            .contains(&at)
    );
    assert!(row["id"].is_i64());
    let keys: BTreeSet<&str> = row.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        BTreeSet::from([
            "action",
            "actor",
            "actorType",
            "client",
            "id",
            "observationIds",
            "occurredAt",
            "onBehalfOf",
            "organizations",
            "outcome",
            "privileged",
            "reason",
            "refusedBy",
            "resourceType",
            "role",
            "studies",
            "summary",
        ])
    );
    for (name, expected) in [
        ("actor", json!({ "id": 10004, "email": "viewer_victor@example.com", "name": "ViewerVictor Rosales" })),
        ("actorType", json!("practitioner")),
        ("role", json!("viewer")),
        ("client", json!({ "id": 4, "name": "JHE Admin UI" })),
        ("studies", json!([{ "id": 30001, "name": "Lifespan Study on BP & HR" }])),
        ("organizations", json!([{ "id": 20003, "name": "Lifespan Lab" }])),
        ("action", json!("search")),
        ("resourceType", json!("Observation")),
        ("outcome", json!("allowed")),
        ("refusedBy", Value::Null),
        ("privileged", json!(false)),
        ("onBehalfOf", Value::Null),
        (
            "summary",
            json!(
                "ViewerVictor Rosales of Lifespan Lab viewed 2 of your observations (blood pressure and heart rate) for the study Lifespan Study on BP & HR."
            ),
        ),
    ] {
        assert_eq!(row[name], expected, "{name}");
    }
    let shown: BTreeSet<&str> =
        row["observationIds"].as_array().expect("ids").iter().filter_map(Value::as_str).collect();
    assert_eq!(shown, BTreeSet::from(["60001", "60002"]));
}

#[tokio::test]
async fn each_patient_reads_only_their_own_observations_of_an_access_to_many() {
    let world = World::new().await;
    world.get("viewer_victor", "/FHIR/R5/Observation?patient._has:Group:member:_id=30001&_count=100").await;
    for (patient, expected) in
        [("ll_patient_peter", vec!["60001", "60002"]), ("ll_patient_pamela", vec!["60003", "60004", "60005"])]
    {
        let row = newest(&world, patient).await;
        assert_eq!(row["observationIds"], json!(expected), "{patient}");
    }
    let (_, page) = world.get("npl_patient_percy", LOG).await;
    assert!(!page.to_string().contains("viewer_victor"), "{page}");
}

#[tokio::test]
async fn refusals_are_in_the_log_with_the_layer_and_a_super_admins_access_is_marked() {
    let world = World::new().await;
    for (user, path, status, outcome, refused_by, privileged) in [
        ("manager_mark", "/FHIR/R5/Observation?patient=40001", 403, "denied", json!("organization"), false),
        ("manager_mark", "/FHIR/R5/Observation/60001", 404, "denied", json!("organization"), false),
        ("manager_mark", "/api/v1/patients/40001", 404, "denied", json!("organization"), false),
        ("manager_mark", "/api/v1/patients/40001/consents", 404, "denied", json!("organization"), false),
        ("admin", "/FHIR/R5/Observation/60001", 200, "allowed", Value::Null, true),
        ("admin", "/api/v1/patients/40001/consents", 200, "allowed", Value::Null, true),
        ("viewer_victor", "/FHIR/R5/Patient/40001", 200, "allowed", Value::Null, false),
    ] {
        assert_eq!(world.get(user, path).await.0.as_u16(), status, "{user} {path}");
        let row = newest(&world, "ll_patient_peter").await;
        assert_eq!(
            (&row["outcome"], &row["refusedBy"], &row["privileged"]),
            (&json!(outcome), &refused_by, &json!(privileged)),
            "{user} {path}"
        );
        assert_eq!(row["actor"]["email"], format!("{user}@example.com"), "{path}");
        assert_eq!(row["actorType"], if user == "admin" { "super_admin" } else { "practitioner" });
    }
    world.decide("ll_patient_peter", 40001, 30001, "omh:blood-pressure:4.0", false).await;
    world.get("viewer_victor", "/FHIR/R5/Observation/60001").await;
    assert_eq!(newest(&world, "ll_patient_peter").await["refusedBy"], "consent");
}

#[tokio::test]
async fn who_has_no_role_in_the_patients_organizations_is_told_as_such() {
    let world = World::new().await;
    // Tom views for Peter's organization, and manages another; Mark is of none of Peter's.
    world.decide("ll_patient_peter", 40001, 30001, "omh:blood-pressure:4.0", false).await;
    for (user, path, expected) in [
        (
            "manager_mark",
            "/FHIR/R5/Observation?patient=40001",
            "ManagerMark Knox, who is of none of your organizations, tried to look for your observations and was refused.",
        ),
        (
            "manager_mark",
            "/api/v1/patients/40001",
            "ManagerMark Knox, who is of none of your organizations, tried to view your record and was refused.",
        ),
        (
            "three_org_tom",
            "/FHIR/R5/Observation/60001",
            "ThreeOrgTom Anderson of Lifespan Lab tried to view one of your blood pressure observations and was refused.",
        ),
        ("manager_mary", "/api/v1/patients/40001", "ManagerMary Wiley of Lifespan Lab viewed your record."),
    ] {
        world.get(user, path).await;
        let row = newest(&world, "ll_patient_peter").await;
        assert_eq!((&row["summary"], &row["organizations"][0]["id"]), (&json!(expected), &json!(20003)), "{row}");
    }
}

#[tokio::test]
async fn what_was_found_what_was_counted_and_what_was_not_there_are_told_apart() {
    let world = World::new().await;
    for (path, expected) in [
        ("Observation?patient=40001&_summary=count", "counted 2 of your observations for the study"),
        ("Observation?patient=40001&date=lt1990", "looked for your observations and found none"),
        ("Observation?patient=40001&date=lt1990&_summary=count", "looked for your observations and found none"),
        ("QuestionnaireResponse?patient=40001", "looked for your answers to questionnaires and found nothing"),
        ("Patient?_id=40001&family=Nobody", "looked for your record and found nothing."),
        ("Patient?_id=40001", "viewed your record."),
    ] {
        let (status, answer) = world.get("viewer_victor", &format!("/FHIR/R5/{path}")).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let row = newest(&world, "ll_patient_peter").await;
        let summary = row["summary"].as_str().expect("a sentence");
        assert!(
            summary.starts_with("ViewerVictor Rosales of Lifespan Lab ") && summary.contains(expected),
            "{path}: {summary}"
        );
    }
}

#[tokio::test]
async fn a_decision_on_behalf_of_the_patient_is_told_as_such_in_every_form() {
    let world = World::new().await;
    let scope = json!({ "codingSystem": "https://w3id.org/openmhealth", "codingCode": "omh:heart-rate:2.0", "consented": true });
    let body = json!({ "studyScopeConsents": [{ "studyId": 30001, "scopeConsents": [scope] }], "authorizationReference": "Form 7" });
    world.decide("ll_patient_peter", 40001, 30001, "omh:heart-rate:2.0", false).await;
    let (status, answer) = world.post("member_megan", "/api/v1/patients/40001/consents", &body).await;
    assert!(status.is_success(), "{status} {answer}");
    let row = newest(&world, "ll_patient_peter").await;
    assert_eq!(row["onBehalfOf"], 40001, "{row}");
    let summary = row["summary"].as_str().expect("a sentence");
    assert!(summary.contains(" your consents on your behalf for the study"), "{summary}");
    let table = Reply::to(world.request("ll_patient_peter", Method::GET, &format!("{LOG}?_format=csv"))).await.text;
    assert!(
        table.lines().next().is_some_and(|line| line.contains("\"onBehalfOf\"")) && table.contains("on your behalf"),
        "{table}"
    );
    let (_, event) = world.get("ll_patient_peter", &format!("/FHIR/R5/AuditEvent/{}", row["id"])).await;
    let agents = event["agent"].as_array().expect("agents");
    let of_peter = agents.iter().find(|agent| agent["type"]["coding"][0]["code"] == "BEN").expect("an agent");
    assert_eq!(of_peter["who"]["reference"], "Patient/40001", "{event}");
    // What the patient decides is the patient's own.
    world.decide("ll_patient_peter", 40001, 30001, "omh:heart-rate:2.0", false).await;
    let row = newest(&world, "ll_patient_peter").await;
    assert_eq!((&row["onBehalfOf"], row["summary"].to_string().contains("behalf")), (&Value::Null, false), "{row}");
}

#[tokio::test]
async fn another_patient_who_tried_is_not_named() {
    let world = World::new().await;
    assert_eq!(world.get("ll_patient_pamela", "/api/v1/patients/40001").await.0, StatusCode::NOT_FOUND);
    let row = newest(&world, "ll_patient_peter").await;
    assert_eq!(
        (&row["actorType"], &row["actor"], &row["refusedBy"]),
        (&json!("patient"), &Value::Null, &json!("user_type"))
    );
    let (_, page) = world.get("ll_patient_peter", LOG).await;
    assert!(!page.to_string().to_lowercase().contains("pamela"), "{page}");
}

#[tokio::test]
async fn the_log_is_newest_first_in_pages_that_later_events_do_not_shift() {
    let world = World::new().await;
    for _ in 0..4 {
        world.get("viewer_victor", "/FHIR/R5/Observation/60001").await;
    }
    let all: Vec<i64> =
        log(&world, "ll_patient_peter").await.iter().map(|row| row["id"].as_i64().expect("an id")).collect();
    assert!(all.len() >= 6 && all.is_sorted_by(|one, next| one > next), "{all:?}");
    let mut seen = Vec::new();
    let mut path = format!("{LOG}?pageSize=2");
    loop {
        let (status, page) = world.get("ll_patient_peter", &path).await;
        assert_eq!(status, StatusCode::OK);
        seen.extend(page["results"].as_array().expect("rows").iter().map(|row| row["id"].as_i64().expect("an id")));
        // Somebody looks while the patient pages.
        world.get("viewer_victor", "/FHIR/R5/Observation/60001").await;
        let Some(next) = page["next"].as_str() else { break };
        path = next.strip_prefix(world.base.as_str()).expect("of this site").to_owned();
        assert_eq!(
            world.get("ll_patient_pamela", &path).await.0,
            StatusCode::BAD_REQUEST,
            "a link is the patient's own"
        );
    }
    let ours: Vec<i64> = seen.into_iter().filter(|id| all.contains(id)).collect();
    assert_eq!(ours, all);
}

#[tokio::test]
async fn only_patients_have_an_access_log() {
    let world = World::new().await;
    for user in ["viewer_victor", "manager_mary", "admin"] {
        let end = world.audit_end().await;
        assert_eq!(world.get(user, LOG).await.0, StatusCode::FORBIDDEN, "{user}");
        let event = world.audit_after(end).await.pop().expect("a record");
        assert_eq!((event.outcome.as_str(), event.refused_by.as_deref()), ("denied", Some("user_type")), "{user}");
    }
}

#[tokio::test]
async fn the_log_is_a_table_a_bundle_or_lines_too_and_all_have_the_same_rows() {
    let world = World::new().await;
    for _ in 0..3 {
        world.get("viewer_victor", "/FHIR/R5/Observation/60001").await;
    }
    let form = async |accept: &str, query: &str| {
        let request =
            world.request("ll_patient_peter", Method::GET, &format!("{LOG}?{query}")).header("accept", accept);
        Reply::to(request).await
    };
    for (accept, query, media) in [
        ("text/csv", "pageSize=2", "text/csv; charset=utf-8"),
        ("*/*", "pageSize=2&_format=csv", "text/csv; charset=utf-8"),
        ("application/x-ndjson", "pageSize=2", "application/x-ndjson"),
        ("application/fhir+json", "pageSize=2", "application/fhir+json"),
        ("application/json", "pageSize=2&_format=fhir", "application/fhir+json"),
        ("application/json, text/csv", "pageSize=2", "application/json"),
    ] {
        let reply = form(accept, query).await;
        assert_eq!((reply.status, reply.header("content-type")), (StatusCode::OK, media), "{accept} {query}");
        let (lines, next) = match media {
            "application/json" => continue,
            "application/fhir+json" => {
                let bundle: Value = serde_json::from_str(&reply.text).expect("JSON");
                let link = bundle["link"].as_array().expect("links").iter().find(|link| link["relation"] == "next");
                (
                    bundle["entry"].as_array().expect("entries").len(),
                    link.expect("a next page")["url"].as_str().expect("a URL").to_owned(),
                )
            }
            _ => {
                let link = reply.header("link").strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\""));
                let header = usize::from(media.starts_with("text/csv"));
                (reply.text.lines().count() - header, link.expect("a next page").to_owned())
            }
        };
        assert_eq!(lines, 2, "{}", reply.text);
        let path = next.strip_prefix(world.base.as_str()).expect("of this site");
        let reply = Reply::to(world.request("ll_patient_peter", Method::GET, path).header("accept", accept)).await;
        assert_eq!((reply.status, reply.header("content-type")), (StatusCode::OK, media), "{path}");
    }
    assert_eq!(form("*/*", "_format=xml").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(form("text/csv", "page=400").await.status, StatusCode::NOT_FOUND, "there is no such page");
    let table = form("text/csv", "pageSize=1000").await.text;
    assert!(table.starts_with("\"id\",\"occurredAt\",\"summary\",\"actor\","), "{table}");
    assert!(table.contains("\"ViewerVictor Rosales <viewer_victor@example.com>\""), "{table}");
}

#[tokio::test]
async fn no_sentence_of_the_log_has_a_value_of_the_health_data() {
    let world = World::new().await;
    world.get("viewer_victor", "/FHIR/R5/Observation?patient=40001").await;
    let rows = log(&world, "ll_patient_peter").await;
    assert!(rows.iter().all(|row| row["summary"].as_str().is_some_and(|text| text.ends_with('.'))), "{rows:?}");
    for row in &rows {
        let summary = row["summary"].as_str().expect("a sentence");
        let digits: Vec<&str> = summary.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty()).collect();
        let count = row["observationIds"].as_array().expect("ids").len().to_string();
        assert!(digits.iter().all(|part| *part == count), "{summary}");
    }
    let own = &newest(&world, "ll_patient_peter").await["summary"];
    assert_eq!(*own, "You viewed your own access log.");
}
