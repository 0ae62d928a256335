//! Resources that are kept as they come: the rule of observations governs them, their scope named by the type.

use end_to_end::{World, ids, link};
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

const BASE: &str = "https://jupyterhealth.org/fhir/fhir-source/";
const QR: &str = "/FHIR/R5/QuestionnaireResponse";

async fn source(world: &World, user: &str) -> i64 {
    let body = json!({ "label": "Forms", "dataSource": 70005, "fhirBaseUrl": "https://fhir.halo.example/R4" });
    let (status, made) = world.post(user, "/api/v1/fhir_sources", &body).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    made["id"].as_i64().expect("an id")
}

fn response(source: i64, severity: i32) -> Value {
    json!({ "resourceType": "QuestionnaireResponse", "status": "completed", "questionnaire": "Questionnaire/q",
        "meta": { "source": format!("{BASE}{source}") }, "subject": { "reference": "Patient/x" },
        "item": [{ "linkId": "cough", "answer": [{ "valueInteger": severity }] }] })
}

/// A response as an update of the one at a path.
fn update(source: i64, path: &str) -> Value {
    let mut response = response(source, 1);
    response["id"] = path.rsplit('/').next().into();
    response
}

/// A world in which Peter has sent one response: its source and its path.
async fn world() -> (World, i64, String) {
    let world = World::new().await;
    let source = source(&world, "ll_patient_peter").await;
    let (status, made) = world.post("ll_patient_peter", QR, &response(source, 37)).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let path = format!("{QR}/{}", made["id"].as_str().expect("an id"));
    (world, source, path)
}

async fn decide(world: &World, study: i32, consented: bool) {
    let body = json!({ "studyScopeConsents": [{ "studyId": study, "scopeConsents": [{
        "codingSystem": "http://hl7.org/fhir/resource-types", "codingCode": "QuestionnaireResponse",
        "consented": consented }] }] });
    let (status, answer) =
        world.send("ll_patient_peter", Method::PATCH, "/api/v1/patients/40001/consents", &body).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
}

async fn last_refusal(world: &World) -> (String, String) {
    let rows = world
        .sql("SELECT refused_by, resource_type FROM audit_event WHERE outcome = 'denied' ORDER BY id DESC LIMIT 1")
        .await;
    (rows[0].get(0), rows[0].get(1))
}

#[tokio::test]
async fn what_was_sent_comes_back_with_its_source_and_its_patient() {
    let (world, source, path) = world().await;
    assert_eq!(source, 90001);
    let (status, shown) = world.get("ll_patient_peter", &path).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(shown["item"][0]["answer"][0]["valueInteger"], 37);
    assert_eq!(shown["meta"]["source"], format!("{BASE}90001"));
    assert_eq!(
        shown["extension"],
        json!([
            { "url": "https://jupyterhealth.org/fhir/StructureDefinition/patient-id", "valueInteger": 40001 },
            { "url": "https://jupyterhealth.org/fhir/StructureDefinition/patient-full-name",
                "valueString": "LlPatientPeter Stevens" },
        ])
    );
}

#[tokio::test]
async fn revoking_hides_at_once_and_granting_shows_again() {
    let (world, _, path) = world().await;
    let by_patient = format!("{QR}?patient=40001");
    let by_study = format!("{QR}?patient._has:Group:member:_id=30001");
    for searched in [&by_patient, &by_study] {
        assert_eq!(ids(&world.get("viewer_victor", searched).await.1).len(), 1, "{searched}");
    }
    assert_eq!(world.get("viewer_victor", &path).await.0, StatusCode::OK);
    decide(&world, 30001, false).await;
    for searched in [&by_patient, &by_study] {
        assert!(ids(&world.get("viewer_victor", searched).await.1).is_empty(), "{searched}");
    }
    assert_eq!(world.get("viewer_victor", &path).await.0, StatusCode::NOT_FOUND);
    assert_eq!(last_refusal(&world).await, ("consent".to_owned(), "QuestionnaireResponse".to_owned()));
    let change = world.send("member_megan", Method::PATCH, &path, &json!({ "status": "amended" })).await;
    assert_eq!(change.0, StatusCode::NOT_FOUND, "who may not read it may not change it");
    assert_eq!(ids(&world.get("ll_patient_peter", QR).await.1).len(), 1, "the patient still sees it");
    decide(&world, 30001, true).await;
    assert_eq!(world.get("viewer_victor", &path).await.0, StatusCode::OK);
}

#[tokio::test]
async fn each_layer_refuses_by_name() {
    let (world, source, path) = world().await;
    for (user, layer) in [("ll_patient_pamela", "user_type"), ("manager_mark", "organization")] {
        assert_eq!(world.get(user, &path).await.0, StatusCode::NOT_FOUND, "{user}");
        assert_eq!(last_refusal(&world).await.0, layer, "{user}");
    }
    let unknown = format!("{QR}/00000000-0000-4000-8000-000000000000");
    assert_eq!(world.get("viewer_victor", &unknown).await.0, StatusCode::NOT_FOUND);
    assert_eq!(last_refusal(&world).await.0, "not_found");
    for (user, layer) in [
        ("ll_patient_pamela", "user_type"),
        ("admin", "user_type"),
        ("manager_mark", "organization"),
        ("viewer_victor", "role"),
    ] {
        let (status, answer) = world.post(user, QR, &response(source, 1)).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{user}: {answer}");
        assert_eq!(last_refusal(&world).await.0, layer, "{user}");
    }
    let update = update(source, &path);
    for (user, status, layer) in [
        ("ll_patient_pamela", StatusCode::NOT_FOUND, "user_type"),
        ("admin", StatusCode::FORBIDDEN, "user_type"),
        ("manager_mark", StatusCode::NOT_FOUND, "organization"),
        ("viewer_victor", StatusCode::FORBIDDEN, "role"),
    ] {
        for method in [Method::PUT, Method::DELETE] {
            assert_eq!(world.send(user, method.clone(), &path, &update).await.0, status, "{method} {user}");
            assert_eq!(last_refusal(&world).await.0, layer, "{method} {user}");
        }
    }
    world.sql("DELETE FROM study_patient WHERE patient_id = 40001 AND study_id IN (30001, 30002)").await;
    assert_eq!(world.get("viewer_victor", &path).await.0, StatusCode::NOT_FOUND);
    assert_eq!(last_refusal(&world).await.0, "enrolment");
}

#[tokio::test]
async fn a_type_that_nobody_asks_for_is_uploaded_by_nobody_until_a_study_asks_and_the_patient_grants() {
    let (world, source, _) = world().await;
    let condition = json!({ "resourceType": "Condition", "code": { "text": "Asthma" },
        "clinicalStatus": { "text": "active" }, "subject": { "reference": "Patient/ehr-1" } });
    let send = || {
        world
            .request("ll_patient_peter", Method::POST, "/FHIR/R5/Condition")
            .header("X-JHE-FHIR-Source-ID", source.to_string())
            .json(&condition)
    };
    let (status, refused) = end_to_end::answer(send()).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(refused["issue"][0]["diagnostics"], "Condition has not been consented for any studies by this Patient.");
    assert_eq!(last_refusal(&world).await, ("consent".to_owned(), "Condition".to_owned()));
    world
        .sql(
            "WITH made AS (INSERT INTO scope (system, code, text) VALUES ('http://hl7.org/fhir/resource-types', 'Condition', 'Condition') RETURNING id)
             INSERT INTO study_scope_request SELECT 30001, id FROM made",
        )
        .await;
    assert_eq!(end_to_end::answer(send()).await.0, StatusCode::FORBIDDEN, "asked for, and not granted");
    let grant = json!({ "studyScopeConsents": [{ "studyId": 30001, "scopeConsents": [{
        "codingSystem": "http://hl7.org/fhir/resource-types", "codingCode": "Condition", "consented": true }] }] });
    let granted = world.send("ll_patient_peter", Method::POST, "/api/v1/patients/40001/consents", &grant).await;
    assert!(granted.0.is_success(), "{}", granted.1);
    assert_eq!(end_to_end::answer(send()).await.0, StatusCode::CREATED);
    let of_another_type = world.get("viewer_victor", &format!("{QR}?patient=40001")).await.1;
    assert_eq!(ids(&of_another_type).len(), 1, "a search finds only its type");
    assert_eq!(ids(&world.get("viewer_victor", "/FHIR/R5/Condition?patient=40001").await.1).len(), 1);
}

#[tokio::test]
async fn data_whose_consent_is_revoked_is_stored_and_hidden_or_refused_by_the_setting() {
    for (setting, expected) in [("store", StatusCode::CREATED), ("reject", StatusCode::FORBIDDEN)] {
        let world = World::with(&[("UPLOAD_WHEN_REVOKED", setting)]).await;
        let source = source(&world, "ll_patient_peter").await;
        decide(&world, 30001, false).await;
        assert_eq!(world.post("ll_patient_peter", QR, &response(source, 1)).await.0, expected, "{setting}");
        assert!(ids(&world.get("viewer_victor", &format!("{QR}?patient=40001")).await.1).is_empty(), "{setting}");
    }
}

#[tokio::test]
async fn where_what_is_withdrawn_is_refused_no_resource_is_stored_or_changed_after_the_enrolment() {
    let world = World::with(&[("UPLOAD_WHEN_REVOKED", "reject")]).await;
    let source = source(&world, "ll_patient_peter").await;
    let (status, made) = world.post("ll_patient_peter", QR, &response(source, 1)).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let patch = async || {
        let path = format!("{QR}/{}", made["id"].as_str().expect("an id"));
        world.send("ll_patient_peter", Method::PATCH, &path, &json!({ "status": "amended" })).await.0
    };
    assert_eq!(patch().await, StatusCode::OK);
    let studies = "/api/v1/studies/30001/patients";
    let ended = world.send("member_megan", Method::DELETE, studies, &json!({ "patientIds": [40001] })).await;
    assert_eq!(ended.0, StatusCode::NO_CONTENT, "{}", ended.1);
    assert_eq!(world.post("ll_patient_peter", QR, &response(source, 2)).await.0, StatusCode::FORBIDDEN);
    assert_eq!(patch().await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn an_update_is_of_the_resource_that_it_names() {
    let (world, source, path) = world().await;
    let another = json!("00000000-0000-4000-8000-000000000000");
    let id = update(source, &path)["id"].clone();
    for (named, expected) in [(None, 400), (Some(&another), 400), (Some(&json!("up-1")), 400), (Some(&id), 200)] {
        let mut body = response(source, 2);
        body.as_object_mut().expect("an object").extend(named.map(|id| ("id".to_owned(), id.clone())));
        let (status, answer) = world.send("ll_patient_peter", Method::PUT, &path, &body).await;
        assert_eq!(status.as_u16(), expected, "{named:?}: {answer}");
        if expected == 400 {
            assert_eq!(answer["issue"][0]["expression"], json!(["id"]), "{named:?}: {answer}");
        }
    }
    let (status, answer) = world.send("ll_patient_peter", Method::PATCH, &path, &json!({ "id": another })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
    assert_eq!(world.get("ll_patient_peter", &path).await.1["meta"]["versionId"], "2", "one update was made");
}

#[tokio::test]
async fn a_resource_is_of_its_sources_patient_and_of_a_source_that_the_caller_may_use() {
    let (world, source, path) = world().await;
    let mut other = response(source, 1);
    other["subject"]["reference"] = json!("Patient/40002");
    assert_eq!(world.post("ll_patient_peter", QR, &other).await.0, StatusCode::BAD_REQUEST);
    let mut change = update(source, &path);
    change["subject"] = other["subject"].clone();
    assert_eq!(world.send("ll_patient_peter", Method::PUT, &path, &change).await.0, StatusCode::BAD_REQUEST);
    change["subject"]["reference"] = json!("Patient/40001");
    assert_eq!(world.send("ll_patient_peter", Method::PUT, &path, &change).await.0, StatusCode::OK);
    other["subject"]["reference"] = json!("Patient/40001");
    assert_eq!(world.post("ll_patient_peter", QR, &other).await.0, StatusCode::CREATED);
    // A source of somebody else's and one that does not exist are refused alike.
    let (status, stranger) = world.post("ll_patient_pamela", QR, &response(source, 1)).await;
    let (unknown_status, unknown) = world.post("ll_patient_pamela", QR, &response(99999, 1)).await;
    assert_eq!((status, &stranger), (StatusCode::FORBIDDEN, &unknown));
    assert_eq!(unknown_status, StatusCode::FORBIDDEN);
    let mut none = response(source, 1);
    none.as_object_mut().expect("an object").remove("meta");
    assert_eq!(world.post("ll_patient_peter", QR, &none).await.0, StatusCode::BAD_REQUEST);
    let contradiction = world
        .request("ll_patient_peter", Method::POST, QR)
        .header("X-JHE-FHIR-Source-ID", "90009")
        .json(&response(source, 1));
    assert_eq!(end_to_end::answer(contradiction).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_a_source_sends_again_is_a_new_version_and_the_old_ones_are_kept() {
    let (world, source, _) = world().await;
    let mut body = response(source, 1);
    body["id"] = json!("up-1");
    let (first_status, first) = world.post("ll_patient_peter", QR, &body).await;
    body["item"][0]["answer"][0]["valueInteger"] = json!(2);
    let (again_status, again) = world.post("ll_patient_peter", QR, &body).await;
    assert_eq!((first_status, again_status), (StatusCode::CREATED, StatusCode::OK));
    assert_eq!((&first["id"], &again["meta"]["versionId"]), (&again["id"], &json!("2")));
    let path = format!("{QR}/{}", first["id"].as_str().expect("an id"));

    let amend = |tag: &'static str| {
        world
            .request("member_megan", Method::PATCH, &path)
            .header(header::IF_MATCH, tag)
            .json(&json!({ "status": "amended" }))
    };
    assert_eq!(end_to_end::answer(amend("W/\"1\"")).await.0, StatusCode::PRECONDITION_FAILED);
    assert_eq!(end_to_end::answer(amend("W/\"x\"")).await.0, StatusCode::PRECONDITION_FAILED);
    let changed = amend("W/\"2\"").send().await.expect("an answer");
    assert_eq!(changed.status(), StatusCode::OK);
    assert_eq!(changed.headers()[header::ETAG], "W/\"3\"");
    let (_, now) = world.get("viewer_victor", &path).await;
    assert_eq!((&now["status"], &now["item"][0]["answer"][0]["valueInteger"]), (&json!("amended"), &json!(2)));

    assert_eq!(world.send("ll_patient_peter", Method::DELETE, &path, &Value::Null).await.0, StatusCode::NO_CONTENT);
    assert_eq!(world.get("ll_patient_peter", &path).await.0, StatusCode::NOT_FOUND);
    assert_eq!(world.count("SELECT count(*) FROM auxiliary_version WHERE upstream_id = 'up-1'").await, 3);
    let (status, fresh) = world.post("ll_patient_peter", QR, &body).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_ne!(fresh["id"], first["id"], "what was deleted stays so");
}

#[tokio::test]
async fn what_is_sent_again_is_changed_only_by_who_may_change_it() {
    let (world, source, _) = world().await;
    let mut body = response(source, 1);
    body["id"] = json!("up-1");
    let (_, first) = world.post("ll_patient_peter", QR, &body).await;
    let path = format!("{QR}/{}", first["id"].as_str().expect("an id"));
    decide(&world, 30001, false).await;
    // Megan may upload, and cannot read this one.
    assert_eq!(world.get("member_megan", &path).await.0, StatusCode::NOT_FOUND);
    body["status"] = json!("entered-in-error");
    assert_eq!(world.post("member_megan", QR, &body).await.0, StatusCode::FORBIDDEN);
    let import = json!({ "resourceType": "Bundle", "type": "batch", "entry": [{ "resource": body }] });
    let (_, imported) = world.post("member_megan", "/fhir-import/R4", &import).await;
    assert_eq!(
        imported["entry"][0]["response"]["status"].as_str().map(|status| &status[..3]),
        Some("403"),
        "{imported}"
    );
    let (_, kept) = world.get("ll_patient_peter", &path).await;
    assert_eq!((&kept["status"], &kept["meta"]["versionId"]), (&json!("completed"), &json!("1")));
    body["id"] = json!("up-2");
    assert_eq!(world.post("member_megan", QR, &body).await.0, StatusCode::CREATED);
    // A token to create does not change.
    let token = world.token_of("ll_patient_peter", 4, "openid patient/QuestionnaireResponse.c").await;
    for (id, expected) in [("up-1", StatusCode::FORBIDDEN), ("up-3", StatusCode::CREATED)] {
        body["id"] = json!(id);
        let sent = world.anonymous(Method::POST, QR).bearer_auth(&token).json(&body);
        assert_eq!(end_to_end::answer(sent).await.0, expected, "{id}");
    }
    let changes =
        "SELECT count(*) FROM audit_event WHERE action = 'update' AND resource_type = 'QuestionnaireResponse'";
    assert_eq!(world.count(changes).await, 0);
    body["id"] = json!("up-1");
    assert_eq!(world.post("ll_patient_peter", QR, &body).await.0, StatusCode::OK);
    assert_eq!(world.count(changes).await, 1);
}

#[tokio::test]
async fn searches_name_a_patient_or_a_study_and_go_on_by_links() {
    let (world, source, path) = world().await;
    for severity in 0..4 {
        assert_eq!(world.post("ll_patient_peter", QR, &response(source, severity)).await.0, StatusCode::CREATED);
    }
    for user in ["viewer_victor", "admin"] {
        assert_eq!(world.get(user, QR).await.0, StatusCode::BAD_REQUEST, "{user}");
    }
    assert_eq!(world.get("manager_mark", &format!("{QR}?patient=40001")).await.0, StatusCode::FORBIDDEN);
    let mut found = Vec::new();
    let mut next = format!("{QR}?patient=40001&_count=2");
    loop {
        let (status, page) = world.get("viewer_victor", &next).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        found.extend(ids(&page));
        match link(&world, &page, "next") {
            Some(more) => next = more.to_owned(),
            None => break,
        }
    }
    let whole = ids(&world.get("viewer_victor", &format!("{QR}?patient=40001")).await.1);
    assert_eq!((found.len(), &found), (5, &whole));
    let (_, counted) = world.get("viewer_victor", &format!("{QR}?patient=40001&_summary=count")).await;
    assert_eq!(counted["total"], 5);
    let id = path.rsplit('/').next().expect("an id");
    assert_eq!(ids(&world.get("viewer_victor", &format!("{QR}?patient=40001&_id={id}")).await.1), [id]);
    let form = world
        .request("viewer_victor", Method::POST, &format!("{QR}/_search"))
        .form(&[("patient", "40001"), ("_count", "1")]);
    assert_eq!(ids(&end_to_end::answer(form).await.1).len(), 1);
    let rows = world.sql("SELECT detail->'ids' FROM audit_event WHERE action = 'search' AND resource_type = 'QuestionnaireResponse' ORDER BY id DESC LIMIT 1").await;
    let audited: Value = rows[0].get(0);
    assert_eq!(audited.as_array().map(Vec::len), Some(1), "the audit has what was shown");
}

#[tokio::test]
async fn searches_know_sources() {
    let (world, first, _) = world().await;
    let second = source(&world, "ll_patient_peter").await;
    assert_eq!(world.post("ll_patient_peter", QR, &response(second, 1)).await.0, StatusCode::CREATED);
    for (filter, expected) in [
        (format!("_source={BASE}{first}"), 1),
        (format!("_source={BASE}{second}"), 1),
        (format!("_source={BASE}9"), 0),
        (format!("_source:below={BASE}"), 2),
        (format!("_source:below={BASE}{second}"), 1),
        ("_source:below=https://jupyterhealth.org/jhe".to_owned(), 0),
        (format!("_source={BASE}{first}&_source={BASE}{second}"), 0),
    ] {
        let (_, page) = world.get("viewer_victor", &format!("{QR}?patient=40001&{filter}")).await;
        assert_eq!(ids(&page).len(), expected, "{filter}");
    }
}

#[tokio::test]
async fn a_super_admin_reads_and_it_is_privileged() {
    let (world, _, path) = world().await;
    assert_eq!(world.get("admin", &path).await.0, StatusCode::OK);
    assert_eq!(ids(&world.get("admin", &format!("{QR}?patient=40001")).await.1).len(), 1);
    let privileged = "SELECT count(*) FROM audit_event WHERE privileged AND resource_type = 'QuestionnaireResponse' AND patient_ids = '{40001}' AND outcome = 'allowed'";
    assert_eq!(world.count(privileged).await, 2);
}

#[tokio::test]
async fn types_with_routes_of_their_own_keep_them_and_others_are_not_served() {
    let (world, source, _) = world().await;
    assert_eq!(world.get("viewer_victor", "/FHIR/R5/Patient/40001").await.1["resourceType"], "Patient");
    for path in [
        "/FHIR/R5/Nonsense",
        "/FHIR/R5/questionnaireresponse",
        "/FHIR/R5/Nonsense/1",
        "/FHIR/R5/QuestionnaireResponse/1",
    ] {
        assert_eq!(world.get("viewer_victor", path).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(
        world.send("ll_patient_peter", Method::DELETE, "/FHIR/R5/Observation/60001", &Value::Null).await.0,
        StatusCode::METHOD_NOT_ALLOWED
    );
    let wrong = world.post("ll_patient_peter", "/FHIR/R5/Goal", &response(source, 1)).await;
    assert_eq!(wrong.0, StatusCode::BAD_REQUEST);
    let nul = world
        .post("ll_patient_peter", QR, &json!({ "resourceType": "QuestionnaireResponse", "status": "\u{0}" }))
        .await;
    assert_eq!(nul.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_is_not_r5_is_refused_by_its_place_and_stored_by_nobody() {
    let (world, source, path) = world().await;
    let before = world.get("ll_patient_peter", &path).await;
    let secret = "nobody-may-read-this";
    for (pointer, value, expression) in [
        ("/bananas", json!(secret), "QuestionnaireResponse.bananas"),
        ("/questionnaire", Value::Null, "QuestionnaireResponse.questionnaire"),
        ("/status", json!(secret), "QuestionnaireResponse.status"),
        ("/item", json!({ "linkId": secret }), "QuestionnaireResponse.item"),
        ("/item/0/answer/0/valueInteger", json!(secret), "QuestionnaireResponse.item[0].answer[0].valueInteger"),
        ("/item/0/answer/0/valueString", json!(secret), "QuestionnaireResponse.item[0].answer[0].value"),
        ("/contained", json!([{ "resourceType": secret }]), "QuestionnaireResponse.contained[0].resourceType"),
    ] {
        let mut body = response(source, 1);
        let (above, name) = pointer.rsplit_once('/').expect("a pointer");
        let place = body.pointer_mut(above).expect("a place");
        if value.is_null() {
            place.as_object_mut().expect("an object").remove(name);
        } else {
            place[name] = value;
        }
        for (method, path) in [(Method::POST, QR), (Method::PUT, path.as_str())] {
            let (status, outcome) = world.send("ll_patient_peter", method.clone(), path, &body).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{method} {pointer}: {outcome}");
            assert_eq!(outcome["issue"][0]["expression"], json!([expression]), "{method} {pointer}");
            assert!(!outcome.to_string().contains(secret), "{method} {pointer}");
        }
    }
    let patched = world.send("member_megan", Method::PATCH, &path, &json!({ "status": null })).await;
    assert_eq!(patched.0, StatusCode::BAD_REQUEST, "{}", patched.1);
    assert_eq!(world.get("ll_patient_peter", &path).await, before);
    assert_eq!(world.count("SELECT count(*) FROM auxiliary").await, 1);
}
