//! Observations whose code is of LOINC, or of any other system: the rule of Open mHealth's governs them.

use end_to_end::{World, ids, reply::Reply};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const LOINC: &str = "http://loinc.org";
const CODE: &str = "2339-0";
const PATH: &str = "/FHIR/R5/Observation";
const SCOPES: &str = "/api/v1/data_sources/all_scopes";

/// A glucose of Peter's, written by hand so that its decimals are what the test says.
fn glucose(value: &str) -> String {
    format!(
        r#"{{"resourceType":"Observation","status":"final","code":{{"coding":[{{"system":"{LOINC}","code":"{CODE}"}}]}},
            "subject":{{"reference":"Patient/40001"}},"device":{{"reference":"Device/70001"}},
            "effectiveDateTime":"2026-02-01T08:00:00+01:00",
            "valueQuantity":{{"value":{value},"unit":"mg/dL","system":"http://unitsofmeasure.org","code":"mg/dL"}}}}"#
    )
}

async fn upload(world: &World, user: &str, resource: &str) -> Reply {
    let request = world.request(user, Method::POST, PATH).header("content-type", "application/fhir+json");
    Reply::to(request.body(resource.to_owned())).await
}

/// A super admin adds the code to the catalogue, and the manager lets a study ask for it.
async fn asked() -> World {
    let world = World::new().await;
    let scope = json!({ "codingSystem": LOINC, "codingCode": CODE, "text": "Glucose" });
    let (status, scope) = world.post("admin", SCOPES, &scope).await;
    assert_eq!(status, StatusCode::CREATED, "{scope}");
    let (status, answer) = world
        .post("manager_mary", "/api/v1/studies/30001/scope_requests", &json!({ "scopeCodeId": scope["id"] }))
        .await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    world
}

async fn decide(world: &World, consented: bool) {
    let body = json!({ "studyScopeConsents": [{ "studyId": 30001, "scopeConsents": [{
        "codingSystem": LOINC, "codingCode": CODE, "consented": consented }] }] });
    let (status, answer) =
        world.send("ll_patient_peter", Method::PATCH, "/api/v1/patients/40001/consents", &body).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
}

/// A world in which Peter shares one glucose: with its path.
async fn shared() -> (World, String) {
    let world = asked().await;
    decide(&world, true).await;
    let created = upload(&world, "ll_patient_peter", &glucose("90.50")).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.text);
    let path = format!("{PATH}/{}", created.json()["id"].as_str().expect("an id"));
    (world, path)
}

async fn last_refusal(world: &World) -> String {
    world.sql("SELECT refused_by FROM audit_event WHERE outcome = 'denied' ORDER BY id DESC LIMIT 1").await[0].get(0)
}

#[tokio::test]
async fn it_is_uploaded_by_nobody_until_a_study_asks_and_the_patient_grants() {
    let world = World::new().await;
    let before = world.stored().await;
    upload(&world, "ll_patient_peter", &glucose("90")).await.refusal(400, "a code that is no scope");
    let world_asked = asked().await;
    let refused = upload(&world_asked, "ll_patient_peter", &glucose("90")).await;
    let outcome = refused.refusal(403, "asked for, and not granted");
    let text = outcome["issue"][0]["diagnostics"].as_str().expect("a text");
    assert!(text.contains("coding_system=http://loinc.org coding_code=2339-0"), "{text}");
    assert_eq!(last_refusal(&world_asked).await, "consent");
    decide(&world_asked, true).await;
    assert_eq!(upload(&world_asked, "ll_patient_peter", &glucose("90")).await.status, StatusCode::CREATED);
    assert_eq!(world.stored().await, before);
}

#[tokio::test]
async fn each_layer_refuses_an_upload_by_name() {
    let (world, _) = shared().await;
    for (user, layer) in [
        ("ll_patient_pamela", "user_type"),
        ("admin", "user_type"),
        ("manager_mark", "organization"),
        ("viewer_victor", "role"),
    ] {
        upload(&world, user, &glucose("90")).await.refusal(403, user);
        assert_eq!(last_refusal(&world).await, layer, "{user}");
    }
    assert_eq!(upload(&world, "member_megan", &glucose("90")).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn what_was_sent_comes_back_to_the_digit() {
    let (world, path) = shared().await;
    for searched in [path.clone(), format!("{PATH}?patient=40001&code={LOINC}|{CODE}")] {
        let read = Reply::to(world.request("viewer_victor", Method::GET, &searched)).await;
        assert_eq!(read.status, StatusCode::OK);
        assert!(read.text.contains(r#""valueQuantity":{"code":"mg/dL","#), "{}", read.text);
        assert!(read.text.contains(r#""value":90.50}"#), "{}", read.text);
        assert!(read.text.contains(r#""effectiveDateTime":"2026-02-01T08:00:00+01:00""#), "{}", read.text);
    }
    let (_, read) = world.get("ll_patient_peter", &path).await;
    assert_eq!(read["code"]["coding"][0]["display"], "Glucose", "the catalogue words the code");
    assert_eq!(read["subject"]["identifier"]["value"], "10006");
    assert_eq!(read["device"], json!({ "reference": "Device/70001" }));
}

#[tokio::test]
async fn revoking_hides_it_at_once_and_granting_shows_it_again() {
    let (world, path) = shared().await;
    let searches = [
        format!("{PATH}?patient=40001&code={LOINC}|{CODE}"),
        format!("{PATH}?patient._has:Group:member:_id=30001&code={LOINC}|{CODE}"),
    ];
    for (consented, status) in [(true, StatusCode::OK), (false, StatusCode::NOT_FOUND), (true, StatusCode::OK)] {
        decide(&world, consented).await;
        assert_eq!(world.get("viewer_victor", &path).await.0, status);
        for search in &searches {
            let (_, found) = world.get("viewer_victor", search).await;
            assert_eq!(ids(&found).len(), usize::from(consented), "{search}");
        }
        assert_eq!(ids(&world.get("ll_patient_peter", &searches[0]).await.1).len(), 1, "the patient sees it");
        for stranger in ["manager_mark", "ll_patient_pamela"] {
            assert_eq!(world.get(stranger, &path).await.0, StatusCode::NOT_FOUND, "{stranger}");
        }
    }
}

#[tokio::test]
async fn it_is_found_by_its_time_in_the_order_of_time() {
    let (world, path) = shared().await;
    let day = glucose("91").replace("2026-02-01T08:00:00+01:00", "2026-03-01");
    assert_eq!(upload(&world, "ll_patient_peter", &day).await.status, StatusCode::CREATED);
    for (date, found) in [
        ("eq2026-02-01T07:00:00Z", 1),
        ("ge2026-02-01T07:00:01Z&date=lt2026-02-28", 0),
        ("ge2026-03-01T23:00:00Z", 1),
        ("ge2026-03-02", 0),
        ("2026-03", 1),
    ] {
        let search = format!("{PATH}?patient=40001&code={LOINC}|{CODE}&date={date}");
        assert_eq!(ids(&world.get("viewer_victor", &search).await.1).len(), found, "{date}");
    }
    let (_, ordered) =
        world.get("viewer_victor", &format!("{PATH}?patient=40001&code={LOINC}|{CODE}&_sort=date")).await;
    assert!(path.ends_with(&format!("/{}", ids(&ordered)[0])), "the earlier one first");
}

#[tokio::test]
async fn a_bundle_stores_it_beside_a_data_point() {
    let (world, _) = shared().await;
    let entry =
        |resource: Value| json!({ "resource": resource, "request": { "method": "POST", "url": "Observation" } });
    let mut bare: Value = serde_json::from_str(&glucose("92")).expect("JSON");
    let good = bare.clone();
    bare.as_object_mut().expect("an object").remove("valueQuantity");
    let point =
        end_to_end::point::observation(40001, 70001, &end_to_end::point::heart_rate(61, "2026-02-01T08:00:00Z"), "");
    let bundle =
        json!({ "resourceType": "Bundle", "type": "batch", "entry": [entry(good), entry(bare), entry(point)] });
    let (status, answer) = world.post("ll_patient_peter", "/FHIR/R5", &bundle).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let statuses: Vec<_> =
        answer["entry"].as_array().expect("entries").iter().map(|entry| &entry["response"]["status"]).collect();
    assert_eq!(statuses, ["201 Created", "400 Bad Request", "201 Created"]);
}

#[tokio::test]
async fn the_list_of_observations_shows_what_fhir_says() {
    let (world, path) = shared().await;
    let id = path.rsplit('/').next().expect("an id");
    let (status, shown) = world.get("viewer_victor", &format!("/api/v1/observations/{id}")).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        (&shown["omhData"], &shown["codingSystem"], &shown["codingCode"]),
        (&Value::Null, &json!(LOINC), &json!(CODE))
    );
    assert_eq!(shown["fhirData"]["valueQuantity"]["value"].to_string(), "90.50");
    let (_, list) = world.get("viewer_victor", "/api/v1/observations?patient_id=40001").await;
    assert_eq!(list["results"][0], shown, "the newest");
    assert!(list["results"][1]["omhData"].is_object() && list["results"][1].get("fhirData").is_none());
}

#[tokio::test]
async fn the_audit_and_the_patients_log_have_its_number() {
    let (world, path) = shared().await;
    assert_eq!(world.get("viewer_victor", &path).await.0, StatusCode::OK);
    let id: i64 = path.rsplit('/').next().expect("an id").parse().expect("a number");
    let rows = world
        .sql(&format!(
            "SELECT action FROM audit_event WHERE {id} = ANY (observation_ids) AND outcome = 'allowed' ORDER BY id"
        ))
        .await;
    let actions: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(actions, ["create", "read"]);
}

#[tokio::test]
async fn an_identifier_is_stored_once_whatever_the_code() {
    let (world, _) = shared().await;
    let identified = glucose("90").replacen('{', r#"{"identifier":[{"system":"https://a.example","value":"one"}],"#, 1);
    assert_eq!(upload(&world, "ll_patient_peter", &identified).await.status, StatusCode::CREATED);
    let before = world.stored().await;
    upload(&world, "ll_patient_peter", &identified).await.refusal(409, "again");
    assert_eq!(world.stored().await, before);
}

#[tokio::test]
async fn without_a_device_it_is_of_the_fhir_source_that_the_header_names() {
    let (world, _) = shared().await;
    let source = json!({ "label": "EHR", "dataSource": 70005, "fhirBaseUrl": "https://ehr.example/R4" });
    let (_, source) = world.post("ll_patient_peter", "/api/v1/fhir_sources", &source).await;
    let body =
        glucose("93").replace(r#""device":{"reference":"Device/70001"},"#, "").replace("Patient/40001", "Patient/e9");
    let send = |user: &str, source: String| {
        let request = world.request(user, Method::POST, PATH).header("content-type", "application/json");
        Reply::to(request.header("X-JHE-FHIR-Source-ID", source).body(body.clone()))
    };
    let stored = send("ll_patient_peter", source["id"].to_string()).await;
    assert_eq!(stored.status, StatusCode::CREATED, "{}", stored.text);
    assert_eq!(stored.json()["device"]["reference"], "Device/70005");
    assert_eq!(stored.json()["subject"]["reference"], "Patient/40001");
    // A source of a stranger and one that does not exist are told apart by nothing.
    for user in ["ll_patient_pamela", "manager_mark", "admin"] {
        let known = send(user, source["id"].to_string()).await;
        let unknown = send(user, "99999".to_owned()).await;
        assert_eq!(known.refusal(403, user), unknown.refusal(403, user));
    }
    send("ll_patient_peter", "mine".to_owned()).await.refusal(400, "not a number");
    let plain = world.request("ll_patient_peter", Method::POST, PATH).header("content-type", "application/json");
    Reply::to(plain.body(body.clone())).await.refusal(400, "neither a device nor a source");
}

#[tokio::test]
async fn super_admins_alone_add_to_the_catalogue_what_can_be_uploaded() {
    let world = World::new().await;
    let scope = json!({ "codingSystem": LOINC, "codingCode": CODE, "text": "Glucose" });
    for user in ["ll_patient_peter", "viewer_victor", "manager_mary"] {
        assert_eq!(world.post(user, SCOPES, &scope).await.0, StatusCode::FORBIDDEN, "{user}");
    }
    let (status, made) = world.post("admin", SCOPES, &scope).await;
    assert_eq!((status, &made["id"], &made["text"]), (StatusCode::CREATED, &json!(50017), &json!("Glucose")));
    assert_eq!(world.post("admin", SCOPES, &scope).await.0, StatusCode::CONFLICT);
    for (name, value) in [
        ("codingSystem", json!("https://w3id.org/openmhealth")),
        ("codingSystem", json!("loinc")),
        ("codingCode", json!("a  b")),
        ("text", json!("")),
        ("more", json!(1)),
    ] {
        let mut bad = scope.clone();
        bad[name] = value;
        assert_eq!(world.post("admin", SCOPES, &bad).await.0, StatusCode::BAD_REQUEST, "{bad}");
    }
    let (_, scopes) = world.get("viewer_victor", SCOPES).await;
    assert_eq!(scopes.as_array().map(Vec::len), Some(17));
    let rows = world
        .sql("SELECT count(*) FROM audit_event WHERE resource_type = 'Scope' AND outcome = 'allowed' AND privileged")
        .await;
    assert_eq!(rows[0].get::<_, i64>(0), 1);
}
