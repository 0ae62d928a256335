//! `POST /FHIR/R5/Observation` stores what was sent, once, and gives it back as it was.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use end_to_end::{
    World,
    point::{blood_pressure, heart_rate, observation, point},
    reply::Reply,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const PATH: &str = "/FHIR/R5/Observation";
const PETER: i32 = 40001;
const CAREX: i32 = 70001;
const AT: &str = "2026-02-01T08:00:00Z";

async fn upload(world: &World, resource: &Value) -> Reply {
    Reply::to(world.request("ll_patient_peter", Method::POST, PATH).json(resource)).await
}

#[tokio::test]
async fn a_created_observation_says_where_it_is_and_which_version() {
    let world = World::new().await;
    let before = world.stored().await;
    let created = upload(&world, &observation(PETER, CAREX, &blood_pressure(121, AT), "first")).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.text);
    let resource = created.json();
    let id = resource["id"].as_str().expect("an id").to_owned();
    assert_eq!(created.header("location"), format!("{}{PATH}/{id}", world.base));
    assert_eq!(created.header("etag"), "W/\"1\"");
    let modified = created.header("last-modified").to_owned();
    assert!(modified.ends_with(" GMT"), "{modified}");
    assert_eq!(resource["meta"]["versionId"], "1");
    assert_eq!(resource["device"], json!({ "reference": "Device/70001" }));
    assert_eq!(resource["subject"]["reference"], "Patient/40001");
    assert_eq!(resource["subject"]["identifier"]["value"], "10006", "the user who is the patient");
    assert_eq!(resource["code"]["coding"][0]["display"], "Blood pressure");
    assert_eq!(resource["effectiveDateTime"], AT);
    assert_eq!(resource["identifier"], json!([{ "system": "https://test.example", "value": "first" }]));

    let location = created.header("location").strip_prefix(&world.base).expect("on this site").to_owned();
    let read = Reply::to(world.request("ll_patient_peter", Method::GET, &location)).await;
    assert_eq!(read.status, StatusCode::OK);
    assert_eq!(read.json(), resource, "what is read is what was answered");
    assert_eq!(read.header("etag"), "W/\"1\"");
    assert_eq!(read.header("last-modified"), modified);
    let after = world.stored().await;
    assert_eq!(after.observations, before.observations + 1);
    assert_eq!(after.identifiers, before.identifiers + 1);
    assert_eq!(after.feed, before.feed + 1, "one study has the consent");
}

#[tokio::test]
async fn the_attachment_comes_back_byte_for_byte() {
    let world = World::new().await;
    let header = r#""header":{"uuid":"7f0e4ff0-4f3b-4c35-9d8a-0d9c6a4f2b11","schema_id":{"namespace":"omh","name":"heart-rate","version":"2.0"},"source_creation_date_time":"2026-02-01T08:00:00Z","modality":"sensed"}"#;
    let body = r#""body":{"heart_rate":{"unit":"beats/min","value":62},"effective_time_frame":{"date_time":"2026-02-01T08:00:00Z"}}"#;
    let texts = [
        format!("{{{header},{body}}}"),
        format!("\n\t{{ {header} ,\r\n  {body}\t}}\n\n"),
        format!("{{{body},\"note\":\"Größe 身長 \u{1F9E1} e\u{301} \u{2028} \\u00e9 \\/ \",{header}}}"),
        format!("{{{header},{body},\"exact\":[1.00,1e3,-0.0,12345678901234567890.123456789],\"empty\":{{}}}}"),
    ];
    for text in &texts {
        let mut resource = observation(PETER, CAREX, &heart_rate(62, AT), "");
        let sent = STANDARD.encode(text);
        resource["valueAttachment"]["data"] = json!(sent);
        let created = upload(&world, &resource).await;
        assert_eq!(created.status, StatusCode::CREATED, "{text}: {}", created.text);
        let id = created.json()["id"].as_str().expect("an id").to_owned();
        let (_, read) = world.get("ll_patient_peter", &format!("{PATH}/{id}")).await;
        let (_, found) = world.get("viewer_victor", &format!("{PATH}?patient=40001&_id={id}")).await;
        for resource in [&read, &found["entry"][0]["resource"]] {
            let data = resource["valueAttachment"]["data"].as_str().expect("data");
            assert_eq!(STANDARD.decode(data).expect("base64"), text.as_bytes(), "{text}");
            assert_eq!(resource["valueAttachment"]["contentType"], "application/json");
        }
    }
}

#[tokio::test]
async fn every_status_of_the_value_set_is_stored_and_returned() {
    let world = World::new().await;
    let statuses =
        ["registered", "preliminary", "final", "amended", "corrected", "cancelled", "entered-in-error", "unknown"];
    for status in statuses {
        let mut resource = observation(PETER, CAREX, &heart_rate(60, AT), "");
        resource["status"] = json!(status);
        let created = upload(&world, &resource).await;
        assert_eq!(created.status, StatusCode::CREATED, "{status}: {}", created.text);
        let id = created.json()["id"].as_str().expect("an id").to_owned();
        let (_, read) = world.get("ll_patient_peter", &format!("{PATH}/{id}")).await;
        assert_eq!(read["status"], status);
        let (_, found) = world.get("viewer_victor", &format!("{PATH}?patient=40001&_id={id}&status={status}")).await;
        assert_eq!(found["entry"][0]["resource"]["status"], status);
    }
    let before = world.stored().await;
    for bogus in ["bogus", "Final", "final ", ""] {
        let mut resource = observation(PETER, CAREX, &heart_rate(60, AT), "");
        resource["status"] = json!(bogus);
        upload(&world, &resource).await.refusal(400, bogus);
    }
    assert_eq!(world.stored().await, before);
}

#[tokio::test]
async fn all_identifiers_are_kept_in_order_and_each_finds_the_observation() {
    let world = World::new().await;
    let mut resource = observation(PETER, CAREX, &heart_rate(60, AT), "");
    let identifiers = json!([
        { "use": "official", "system": "https://one.example", "value": "same" },
        { "system": "https://two.example", "value": "same" },
        { "value": "Zoë|,$" },
    ]);
    resource["identifier"] = identifiers.clone();
    let created = upload(&world, &resource).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.text);
    assert_eq!(created.json()["identifier"], identifiers);
    let id = created.json()["id"].clone();
    for token in ["https://one.example|same", "https://two.example|same", "|Zoë\\|\\,\\$", "Zoë\\|\\,\\$"] {
        let search =
            world.request("viewer_victor", Method::GET, PATH).query(&[("patient", "40001"), ("identifier", token)]);
        let found = Reply::to(search).await.json();
        assert_eq!(found["entry"].as_array().map(Vec::len), Some(1), "{token}: {found}");
        assert_eq!(found["entry"][0]["resource"]["id"], id, "{token}");
    }
    resource["identifier"] = json!([{ "system": "https://one.example", "value": "same" },
                                    { "system": "https://one.example", "value": "same" }]);
    upload(&world, &resource).await.refusal(400, "one identifier twice");
}

#[tokio::test]
async fn the_same_identifier_again_is_refused_and_the_original_stays() {
    let world = World::new().await;
    let original = upload(&world, &observation(PETER, CAREX, &heart_rate(60, AT), "once")).await.json();
    let before = world.stored().await;
    let again = upload(&world, &observation(PETER, CAREX, &heart_rate(99, AT), "once")).await;
    let outcome = again.refusal(409, "again");
    assert_eq!(outcome["issue"][0]["code"], "duplicate");
    assert_eq!(world.stored().await, before);
    let id = original["id"].as_str().expect("an id");
    let (_, read) = world.get("ll_patient_peter", &format!("{PATH}/{id}")).await;
    assert_eq!(read, original);

    // One of several that is taken is enough.
    let mut several = observation(PETER, CAREX, &heart_rate(61, AT), "");
    several["identifier"] = json!([{ "system": "https://test.example", "value": "new" },
                                   { "system": "https://test.example", "value": "once" }]);
    upload(&world, &several).await.refusal(409, "one of two");
    assert_eq!(world.stored().await, before);
}

#[tokio::test]
async fn the_same_value_in_another_system_is_another_identifier() {
    let world = World::new().await;
    let mut resource = observation(PETER, CAREX, &heart_rate(60, AT), "value");
    assert_eq!(upload(&world, &resource).await.status, StatusCode::CREATED);
    for identifier in [json!({ "system": "https://other.example", "value": "value" }), json!({ "value": "value" })] {
        resource["identifier"] = json!([identifier]);
        let other = upload(&world, &resource).await;
        assert_eq!(other.status, StatusCode::CREATED, "{identifier}: {}", other.text);
        upload(&world, &resource).await.refusal(409, "again");
    }
}

#[tokio::test]
async fn two_patients_may_use_the_same_identifier() {
    let world = World::new().await;
    let (first, _) =
        world.post("ll_patient_peter", PATH, &observation(PETER, CAREX, &heart_rate(60, AT), "shared")).await;
    let (second, body) =
        world.post("ll_patient_pamela", PATH, &observation(40002, CAREX, &heart_rate(61, AT), "shared")).await;
    assert_eq!((first, second), (StatusCode::CREATED, StatusCode::CREATED), "{body}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_eight_clients_that_upload_one_identifier_at_once_exactly_one_succeeds() {
    let world = World::new().await;
    let before = world.stored().await;
    let end = world.audit_end().await;
    let uploads: Vec<_> = (0..8)
        .map(|number| {
            let resource = observation(PETER, CAREX, &heart_rate(60 + number, AT), "race");
            let request = world.request("ll_patient_peter", Method::POST, PATH).json(&resource);
            tokio::spawn(Reply::to(request))
        })
        .collect();
    let mut statuses = Vec::new();
    for upload in uploads {
        let reply = upload.await.expect("an upload");
        if reply.status != StatusCode::CREATED {
            reply.refusal(409, "a loser");
        }
        statuses.push(reply.status.as_u16());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409, 409, 409, 409, 409]);
    let after = world.stored().await;
    assert_eq!(after.observations, before.observations + 1);
    assert_eq!(after.identifiers, before.identifiers + 1);
    assert_eq!(after.feed, before.feed + 1);
    let events = world.audit_after(end).await;
    assert_eq!(events.len(), 8, "one record for each: {events:?}");
    assert_eq!(events.iter().filter(|event| event.outcome == "allowed").count(), 1);
}

#[tokio::test]
async fn json_and_fhir_json_are_taken_and_answered_as_asked() {
    let world = World::new().await;
    let cases = [
        (Some("application/json"), None, "application/json"),
        (Some("application/json; charset=utf-8"), Some("application/json"), "application/json"),
        (Some("application/fhir+json"), Some("application/fhir+json"), "application/fhir+json"),
        (Some("application/fhir+json; fhirVersion=5.0"), Some("*/*"), "application/json"),
        (None, None, "application/json"),
    ];
    for (sent, accepted, answered) in cases {
        let body = observation(PETER, CAREX, &heart_rate(60, AT), "").to_string();
        let mut request = world.request("ll_patient_peter", Method::POST, PATH).body(body);
        if let Some(sent) = sent {
            request = request.header("content-type", sent);
        }
        if let Some(accepted) = accepted {
            request = request.header("accept", accepted);
        }
        let reply = Reply::to(request).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{sent:?}: {}", reply.text);
        assert_eq!(reply.header("content-type"), answered, "{sent:?} {accepted:?}");
    }
    let before = world.stored().await;
    for other in ["application/xml", "application/fhir+xml", "text/plain", "application/x-www-form-urlencoded", "json"]
    {
        let body = observation(PETER, CAREX, &heart_rate(60, AT), "").to_string();
        let request = world.request("ll_patient_peter", Method::POST, PATH).header("content-type", other).body(body);
        Reply::to(request).await.refusal(415, other);
    }
    assert_eq!(world.stored().await, before);
}

#[tokio::test]
async fn an_interval_becomes_a_period_and_a_point_without_a_time_has_none() {
    let world = World::new().await;
    let interval = point(
        "omh:heart-rate:2.0",
        &json!({
            "heart_rate": { "unit": "beats/min", "value": 62 },
            "effective_time_frame": { "time_interval": {
                "start_date_time": "2026-02-01T10:00:00+02:00", "duration": { "value": 30, "unit": "min" } } },
        }),
    );
    let created = upload(&world, &observation(PETER, CAREX, &interval, "")).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.text);
    let period = created.json()["effectivePeriod"].clone();
    assert_eq!(period, json!({ "start": "2026-02-01T08:00:00Z", "end": "2026-02-01T08:30:00Z" }));

    // A time of the resource that is not the data point's would hide one of the two.
    let mut resource = observation(PETER, CAREX, &heart_rate(60, AT), "");
    resource["effectiveDateTime"] = json!("2026-02-01T09:00:00Z");
    upload(&world, &resource).await.refusal(422, "another time");
    resource["effectiveDateTime"] = json!("2026-02-01T09:00:00+01:00");
    assert_eq!(upload(&world, &resource).await.status, StatusCode::CREATED, "the same instant");
}

#[tokio::test]
async fn a_leap_second_is_read_as_the_second_before_it() {
    let world = World::new().await;
    for (sent, read) in
        [("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z"), ("2016-12-31T23:59:60.25Z", "2016-12-31T23:59:59.25Z")]
    {
        let resource = observation(PETER, CAREX, &heart_rate(62, sent), sent);
        let created = upload(&world, &resource).await;
        assert_eq!(created.status, StatusCode::CREATED, "{}", created.text);
        let created = created.json();
        // Few programs know a 60th second; the effective time is one that all of them can read.
        assert_eq!(created["effectiveDateTime"], read);
        assert_eq!(created["valueAttachment"]["data"], resource["valueAttachment"]["data"], "as it was sent");
    }
}
