//! Observations are amended, never overwritten: by whom, what becomes of them, and who reads what they were.

use end_to_end::{
    World,
    amending::{WHY, amend, amended, path, upload, versions},
    answer, ids, point,
    reply::Reply,
    vault::OwnVault,
};
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

const PETER: &str = "ll_patient_peter";
const VICTOR: &str = "viewer_victor";
const MEGAN: &str = "member_megan";
const MARY: &str = "manager_mary";
const RATE: &str = "omh:heart-rate:2.0";

/// The data point of an observation.
fn data(resource: &Value) -> &Value {
    &resource["valueAttachment"]["data"]
}

#[tokio::test]
async fn a_patient_amends_what_is_theirs_and_every_version_stays() {
    let world = World::new().await;
    let id = upload(&world, PETER, 60, "amended-1").await;
    let (_, first) = world.get(PETER, &path(&id)).await;
    let (status, second) = amend(&world, PETER, 1, &amended(&id, "corrected", 66, "amended-1")).await;
    assert_eq!(status, StatusCode::OK, "{second}");
    assert_eq!(
        (&second["id"], &second["status"], &second["meta"]["versionId"]),
        (&json!(id), &json!("corrected"), &json!("2"))
    );
    assert_ne!(second["meta"]["lastUpdated"], first["meta"]["lastUpdated"]);
    assert_ne!(data(&second), data(&first));
    // What was read can be sent back.
    let mut third = second.clone();
    third["status"] = json!("amended");
    let (status, third) = amend(&world, PETER, 2, &third).await;
    assert_eq!((status, &third["meta"]["versionId"]), (StatusCode::OK, &json!("3")), "{third}");

    for reader in [PETER, VICTOR, "admin"] {
        let reply = Reply::to(world.request(reader, Method::GET, &path(&id))).await;
        assert_eq!((reply.json(), reply.header("etag")), (third.clone(), "W/\"3\""), "{reader}");
        let (_, history) = world.get(reader, &format!("{}/_history", path(&id))).await;
        let expected = [("3", "amended"), ("2", "corrected"), ("1", "final")];
        assert_eq!(versions(&history), expected.map(|(version, status)| (version.to_owned(), status.to_owned())));
        assert_eq!((&history["type"], &history["entry"][2]["resource"]), (&json!("history"), &first), "{reader}");
        assert_eq!(history["entry"][0]["request"], json!({ "method": "PUT", "url": format!("Observation/{id}") }));
        for (version, expected) in [(1, &first), (2, &second), (3, &third)] {
            let (_, read) = world.get(reader, &format!("{}/_history/{version}", path(&id))).await;
            assert_eq!(read, *expected, "{reader}: version {version}");
        }
        let missing = format!("{}/_history/4", path(&id));
        assert_eq!(world.get(reader, &missing).await.0, StatusCode::NOT_FOUND);
    }
    // Pages of one version each.
    let mut next = Some(format!("{}/_history?_count=1", path(&id)));
    let mut walked = Vec::new();
    while let Some(page) = next {
        let (status, history) = world.get(VICTOR, &page).await;
        assert_eq!(status, StatusCode::OK, "{history}");
        walked.extend(versions(&history).into_iter().map(|(version, _)| version));
        next = end_to_end::link(&world, &history, "next").map(str::to_owned);
    }
    assert_eq!(walked, ["3", "2", "1"]);
    // A narrower history is not given by a wider one.
    let narrowed = format!("{}/_history?_since=2026-01-01T00:00:00Z", path(&id));
    assert_eq!(world.get(VICTOR, &narrowed).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn searches_find_the_newest_version_once_by_every_path_and_by_what_it_says_now() {
    let world = World::new().await;
    let id = upload(&world, PETER, 60, "").await;
    let (_, before) = world.get(PETER, &path(&id)).await;
    let mut body = amended(&id, "entered-in-error", 60, "");
    let later = point::heart_rate(60, "2026-03-09T08:00:00Z");
    body["valueAttachment"] = point::observation(40001, 70001, &later, "")["valueAttachment"].clone();
    let (status, after) = amend(&world, PETER, 1, &body).await;
    assert_eq!(status, StatusCode::OK, "{after}");
    let changed = after["meta"]["lastUpdated"].as_str().expect("a time");
    for lanes in ["patient=40001", "patient._has:Group:member:_id=30001"] {
        for (filter, is_found) in [
            (String::new(), true),
            ("&status=entered-in-error".to_owned(), true),
            ("&status=final,amended,corrected".to_owned(), false),
            ("&date=2026-03-09".to_owned(), true),
            ("&date=2026-03-01".to_owned(), false),
            // Who has a copy and asks for what changed hears that it was withdrawn.
            (format!("&_lastUpdated=ge{changed}"), true),
            (format!("&_lastUpdated=lt{changed}"), false),
        ] {
            let asked = format!("/FHIR/R5/Observation?{lanes}&_count=100{filter}");
            let (status, bundle) = world.get(VICTOR, &asked).await;
            assert_eq!(status, StatusCode::OK, "{asked}: {bundle}");
            let found = ids(&bundle).into_iter().filter(|found| *found == id).count();
            assert_eq!(found, usize::from(is_found), "{asked}");
            for entry in bundle["entry"].as_array().expect("entries") {
                if entry["resource"]["id"] == json!(id) {
                    assert_eq!(entry["resource"], after, "{asked}");
                }
            }
        }
    }
    let (_, everything) = world.get(PETER, "/FHIR/R5/Patient/40001/$everything?_type=Observation&_count=100").await;
    let entries = everything["entry"].as_array().expect("entries");
    assert_eq!(entries.last().expect("one")["resource"], after, "what changed last is last");
    assert!(!everything.to_string().contains(before["meta"]["lastUpdated"].as_str().expect("a time")));
    // Revoking and granting moves the feed as it is now.
    world.decide(PETER, 40001, 30001, RATE, false).await;
    world.decide(PETER, 40001, 30001, RATE, true).await;
    assert_eq!(
        world
            .count(&format!("SELECT count(*) FROM study_observation WHERE observation_id = {id} AND study_id = 30001"))
            .await,
        1
    );
    // To withdraw may be the error.
    assert_eq!(amend(&world, PETER, 2, &amended(&id, "corrected", 61, "")).await.0, StatusCode::OK);
}

#[tokio::test]
async fn who_uploads_for_patients_amends_what_they_uploaded_and_nobody_takes_it_from_the_others() {
    let world = World::new().await;
    let own = upload(&world, PETER, 60, "").await;
    let theirs = upload(&world, MEGAN, 61, "").await;
    for (user, id, expected) in [
        ("manager_mark", &own, StatusCode::NOT_FOUND),
        ("ll_patient_pamela", &own, StatusCode::NOT_FOUND),
        (VICTOR, &own, StatusCode::FORBIDDEN),
        (MEGAN, &own, StatusCode::FORBIDDEN),
        (MARY, &own, StatusCode::FORBIDDEN),
        (VICTOR, &theirs, StatusCode::FORBIDDEN),
        (MARY, &theirs, StatusCode::FORBIDDEN),
        (MEGAN, &theirs, StatusCode::OK),
    ] {
        let (status, reply) = amend(&world, user, 1, &amended(id, "amended", 70, "")).await;
        assert_eq!(status, expected, "{user} {id}: {reply}");
    }
    // She amends what she can read.
    world.decide(PETER, 40001, 30001, RATE, false).await;
    let again = amended(&theirs, "amended", 71, "");
    assert_eq!(amend(&world, MEGAN, 2, &again).await.0, StatusCode::NOT_FOUND);
    // The patient's right depends on no consent.
    assert_eq!(amend(&world, PETER, 2, &again).await.0, StatusCode::OK);
    assert_eq!(amend(&world, PETER, 1, &amended(&own, "amended", 71, "")).await.0, StatusCode::OK);
    assert_eq!(amend(&world, "admin", 2, &amended(&own, "amended", 72, "")).await.0, StatusCode::OK);
    // What was uploaded before it was written down by whom is amended by its patient.
    world.decide(PETER, 40001, 30001, RATE, true).await;
    world.sql(&format!("UPDATE observation SET uploaded_by = NULL WHERE id = {theirs}")).await;
    assert_eq!(amend(&world, MEGAN, 3, &amended(&theirs, "amended", 73, "")).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_token_that_creates_does_not_amend() {
    let world = World::new().await;
    let id = upload(&world, PETER, 60, "").await;
    for (scope, expected) in [
        ("openid patient/Observation.crs", StatusCode::FORBIDDEN),
        ("openid patient/Patient.u", StatusCode::FORBIDDEN),
        ("openid patient/Observation.u", StatusCode::OK),
    ] {
        let token = world.token_of(PETER, 4, scope).await;
        let request = world
            .anonymous(Method::PUT, &path(&id))
            .bearer_auth(&token)
            .header(header::IF_MATCH, "W/\"1\"")
            .header("x-jhe-reason", WHY)
            .json(&amended(&id, "amended", 61, ""));
        assert_eq!(answer(request).await.0, expected, "{scope}");
    }
}

#[tokio::test]
async fn what_an_observation_was_is_read_by_who_may_read_what_it_is() {
    // A vault of its own: a key is destroyed, and the other worlds have the same keys.
    let (world, _vault) = OwnVault::world("0").await;
    let id = upload(&world, PETER, 60, "").await;
    assert_eq!(amend(&world, PETER, 1, &amended(&id, "corrected", 61, "")).await.0, StatusCode::OK);
    let all = [format!("{}/_history", path(&id)), format!("{}/_history/1", path(&id))];
    for asked in &all {
        for (user, expected) in
            [(PETER, 200), (VICTOR, 200), ("admin", 200), ("manager_mark", 404), ("ll_patient_pamela", 404)]
        {
            assert_eq!(world.get(user, asked).await.0.as_u16(), expected, "{user} {asked}");
        }
    }
    world.decide(PETER, 40001, 30001, RATE, false).await;
    for asked in &all {
        assert_eq!(world.get(VICTOR, asked).await.0, StatusCode::NOT_FOUND, "{asked}");
        assert_eq!(world.get(PETER, asked).await.0, StatusCode::OK, "{asked}");
    }
    world.decide(PETER, 40001, 30001, RATE, true).await;
    assert_eq!(world.get(VICTOR, &all[1]).await.0, StatusCode::OK);
    world.destroy_key(40001).await;
    for asked in &all {
        assert_eq!(world.get(PETER, asked).await.0, StatusCode::NOT_FOUND, "{asked}");
    }
}

#[tokio::test]
async fn what_is_sent_names_the_version_and_the_reason_and_keeps_whose_it_is() {
    let world = World::new().await;
    let id = upload(&world, PETER, 60, "kept").await;
    let good = amended(&id, "amended", 61, "kept");
    for (tag, reason, expected) in [
        (None, Some(WHY), 400),
        (Some("*"), Some(WHY), 400),
        (Some("W/\"1\""), None, 400),
        (Some("W/\"2\""), Some(WHY), 412),
        (Some("\"x\""), Some(WHY), 412),
    ] {
        let mut request = world.request(PETER, Method::PUT, &path(&id)).json(&good);
        if let Some(tag) = tag {
            request = request.header(header::IF_MATCH, tag);
        }
        if let Some(reason) = reason {
            request = request.header("x-jhe-reason", reason);
        }
        let (status, reply) = answer(request).await;
        assert_eq!(status.as_u16(), expected, "{tag:?} {reason:?}: {reply}");
    }
    let with = |pointer: &str, value: Value| {
        let mut body = good.clone();
        *body.pointer_mut(pointer).expect("an element") = value;
        body
    };
    let mut pressure = point::observation(40001, 70001, &point::blood_pressure(120, "2026-03-01T08:00:00Z"), "kept");
    pressure["id"] = json!(id);
    pressure["status"] = json!("amended");
    for (body, expected) in [
        (with("/status", json!("final")), 422),
        (with("/status", json!("made-up")), 400),
        (with("/subject/reference", json!("Patient/40002")), 422),
        (with("/device/reference", json!("Device/70002")), 422),
        (with("/identifier/0/value", json!("another")), 422),
        (with("/identifier", json!([])), 400),
        (with("/valueAttachment/data", json!("e30=")), 422),
        (pressure, 422),
    ] {
        let (status, reply) = amend(&world, PETER, 1, &body).await;
        assert_eq!(status.as_u16(), expected, "{body}: {reply}");
    }
    let mut other = good.clone();
    other["id"] = json!("60001");
    let request = world.request(PETER, Method::PUT, &path(&id)).header(header::IF_MATCH, "W/\"1\"");
    assert_eq!(answer(request.header("x-jhe-reason", WHY).json(&other)).await.0, StatusCode::BAD_REQUEST);
    let (_, kept) = world.get(PETER, &path(&id)).await;
    assert_eq!(kept["meta"]["versionId"], "1", "nothing of it changed anything");
    assert_eq!(world.count("SELECT count(*) FROM observation_version").await, 0);
    assert_eq!(amend(&world, PETER, 1, &amended("69999", "amended", 61, "")).await.0, StatusCode::NOT_FOUND);
    for version in 1..100 {
        assert_eq!(amend(&world, PETER, version, &good).await.0, StatusCode::OK);
    }
    assert_eq!(amend(&world, PETER, 100, &good).await.0, StatusCode::CONFLICT, "versions have an end");
}

#[tokio::test]
async fn the_audit_has_who_and_why_and_which_versions_and_never_a_value() {
    let world = World::new().await;
    let id = upload(&world, MEGAN, 60, "").await;
    let end = world.audit_end().await;
    assert_eq!(amend(&world, MEGAN, 1, &amended(&id, "corrected", 187, "")).await.0, StatusCode::OK);
    assert_eq!(amend(&world, MEGAN, 1, &amended(&id, "corrected", 187, "")).await.0, StatusCode::PRECONDITION_FAILED);
    world.get(VICTOR, &format!("{}/_history", path(&id))).await;
    let rows = world
        .sql(&format!(
            "SELECT action, outcome, resource_type, coalesce(reason, reason_of(id, occurred_at)) AS reason, patient_ids, observation_ids, detail::text, actor_role::text
               FROM audit_event WHERE id > {end} ORDER BY id"
        ))
        .await;
    let text = |row: usize, column: usize| rows[row].get::<_, Option<String>>(column).unwrap_or_default();
    assert_eq!(
        (text(0, 0), text(0, 1), text(0, 2), text(0, 3)),
        ("update".into(), "allowed".into(), "Observation".into(), WHY.into())
    );
    assert_eq!(rows[0].get::<_, Vec<i32>>(4), [40001]);
    assert_eq!(rows[0].get::<_, Vec<i64>>(5), [id.parse::<i64>().expect("a number")]);
    let mut detail: Value = serde_json::from_str(&text(0, 6)).expect("JSON");
    // Of why, which is not in the event.
    assert!(detail.as_object_mut().is_some_and(|detail| detail.remove("digest").is_some()));
    assert_eq!(detail, json!({ "before": 1, "after": 2, "status": "corrected" }));
    assert_eq!(text(0, 7), "member");
    assert_eq!((text(1, 0), text(1, 1)), ("update".into(), "denied".into()));
    let shown: Value = serde_json::from_str(&text(2, 6)).expect("JSON");
    assert_eq!((text(2, 0), shown), ("read".into(), json!({ "operation": "history", "versions": [1, 2] })));
    assert_eq!(rows.len(), 3, "each is one event");
    assert!(rows.iter().all(|row| !row.get::<_, Option<String>>(6).unwrap_or_default().contains("187")));
    let (_, log) = world.get(PETER, "/api/v1/patients/me/access-log").await;
    let row =
        log["results"].as_array().expect("rows").iter().find(|row| row["action"] == "update").expect("the amendment");
    assert_eq!(row["reason"], WHY);
}

#[tokio::test]
async fn versions_are_not_changed_open_in_no_other_place_and_go_with_their_observation() {
    let world = World::new().await;
    let id = upload(&world, PETER, 60, "").await;
    for version in 1..3 {
        let body = amended(&id, "amended", 60 + version, "");
        assert_eq!(amend(&world, PETER, version, &body).await.0, StatusCode::OK);
    }
    let functions = world.as_function().await;
    for refused in [
        "UPDATE observation SET payload = '\\x00'",
        "UPDATE observation_version SET payload = '\\x00'",
        "INSERT INTO observation_version SELECT * FROM observation_version",
        "DELETE FROM observation_version",
    ] {
        assert!(functions.execute(refused, &[]).await.is_err(), "a function: {refused}");
    }
    let owner = world.as_owner().await;
    for refused in [
        "UPDATE observation_version SET payload = '\\x00'",
        "DELETE FROM observation_version",
        "TRUNCATE observation_version",
        &format!("SELECT amend_observation({id}, 3, 'final', now(), now(), '\\x00', NULL)"),
    ] {
        assert!(owner.execute(refused, &[]).await.is_err(), "the owner: {refused}");
    }
    // A version in the place of another one.
    owner
        .execute(
            &format!("UPDATE observation SET payload = (SELECT payload FROM observation_version WHERE observation_id = {id} AND version = 2) WHERE id = {id}"),
            &[],
        )
        .await
        .expect("the owner can");
    assert_eq!(world.get(PETER, &path(&id)).await.0, StatusCode::INTERNAL_SERVER_ERROR);
    for table in ["study_observation WHERE observation_id", "observation WHERE id"] {
        world.sql(&format!("DELETE FROM {table} = {id}")).await;
    }
    assert_eq!(world.count("SELECT count(*) FROM observation_version").await, 0, "they go with it");
}

#[tokio::test]
async fn patients_put_right_their_own_record_and_nothing_else_of_it() {
    let world = World::new().await;
    let me = "/api/v1/patients/me";
    let before = Reply::to(world.request(PETER, Method::GET, me)).await;
    let tag = before.header("etag").to_owned();
    let change = json!({ "nameFamily": "Corrected", "birthDate": "1981-02-03", "telecomPhone": "+1 510 555 0100" });
    let end = world.audit_end().await;
    let request = world.request(PETER, Method::PATCH, me).header(header::IF_MATCH, &tag).header("x-jhe-reason", WHY);
    let (status, changed) = answer(request.json(&change)).await;
    assert_eq!(status, StatusCode::OK, "{changed}");
    let mut expected = before.json();
    for (name, value) in change.as_object().expect("an object") {
        expected[name] = value.clone();
    }
    assert_eq!(changed, expected, "the rest is as it was");
    let rows = world
        .sql(&format!(
            "SELECT action, outcome, coalesce(reason, reason_of(id, occurred_at)) AS reason FROM audit_event WHERE id > {end} AND action = 'update' ORDER BY id"
        ))
        .await;
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].get::<_, &str>(1), rows[0].get::<_, Option<&str>>(2)), ("allowed", Some(WHY)));
    let stale = world.request(PETER, Method::PATCH, me).header(header::IF_MATCH, &tag).json(&change);
    assert_eq!(answer(stale).await.0, StatusCode::PRECONDITION_FAILED);
    for refused in [
        json!({ "telecomEmail": "another@example.com" }),
        json!({ "telecom_email": "another@example.com" }),
        json!({ "identifiers": [] }),
        json!({ "birthDate": "tomorrow" }),
    ] {
        assert_eq!(world.send(PETER, Method::PATCH, me, &refused).await.0, StatusCode::BAD_REQUEST, "{refused}");
    }
    for other in [MARY, "admin"] {
        assert_eq!(world.send(other, Method::PATCH, me, &change).await.0, StatusCode::FORBIDDEN, "{other}");
    }
    // The other route stays that of members.
    let (status, _) = world.send(PETER, Method::PATCH, "/api/v1/patients/40001", &change).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}
