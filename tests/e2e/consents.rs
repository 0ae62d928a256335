//! The ledger by HTTP: what a patient decided, now and at any instant, and how nothing of it is ever lost.

use end_to_end::{World, keys, row_ids};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const BP: &str = "omh:blood-pressure:4.0";
const HR: &str = "omh:heart-rate:2.0";
const PETER: &str = "/api/v1/patients/40001/consents";

/// One study's decisions as a body.
fn body(study: i32, decisions: &[(&str, bool)]) -> Value {
    let scopes: Vec<Value> = decisions
        .iter()
        .map(|(code, consented)| json!({ "codingSystem": "https://w3id.org/openmhealth", "codingCode": code, "consented": consented }))
        .collect();
    json!({ "studyScopeConsents": [{ "studyId": study, "scopeConsents": scopes }] })
}

/// The scopes of a list of studies, as `(study, code, consented)`.
fn scopes(list: &Value, name: &str) -> Vec<(i64, String, Option<bool>)> {
    let mut found = Vec::new();
    for study in list.as_array().expect("studies") {
        for scope in study[name].as_array().expect("scopes") {
            let code = scope["code"]["codingCode"].as_str().expect("a code").to_owned();
            found.push((study["id"].as_i64().expect("an id"), code, scope["consented"].as_bool()));
        }
    }
    found
}

async fn granted(world: &World, user: &str, at: &str) -> Vec<String> {
    let (status, body) = world.get(user, &format!("{PETER}{at}")).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let scopes = body["consolidatedConsentedScopes"].as_array().expect("scopes");
    scopes.iter().map(|scope| scope["codingCode"].as_str().expect("a code").to_owned()).collect()
}

async fn ledger(world: &World) -> i64 {
    world.count("SELECT count(*) FROM consent_event").await
}

#[tokio::test]
async fn the_state_names_what_is_decided_what_is_pending_and_what_may_be_had() {
    let world = World::new().await;
    let (status, state) = world.get("ll_patient_peter", PETER).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        keys(&state),
        BTreeSet::from(["consolidatedConsentedScopes", "patient", "studies", "studiesPendingConsent"])
    );
    let decided = scopes(&state["studies"], "scopeConsents");
    let expected = [BP, HR, "QuestionnaireResponse"].map(|code| (30001, code.to_owned(), Some(true)));
    assert_eq!(decided, expected);
    let pending = scopes(&state["studiesPendingConsent"], "pendingScopeConsents");
    assert_eq!(pending, [BP, "QuestionnaireResponse"].map(|code| (30002, code.to_owned(), None)));
    assert_eq!(granted(&world, "ll_patient_peter", "").await, [BP, HR, "QuestionnaireResponse"]);

    let study = &state["studies"][0];
    assert_eq!(
        keys(study),
        BTreeSet::from([
            "accessUntil",
            "dataSources",
            "description",
            "endsOn",
            "id",
            "name",
            "organization",
            "researchersHaveAccess",
            "scopeConsents",
            "startsOn",
            "status"
        ])
    );
    assert_eq!(keys(&study["organization"]), BTreeSet::from(["id", "name", "type"]));
    assert_eq!(keys(&study["dataSources"][0]), BTreeSet::from(["id", "name", "supportedScopes", "type"]));
    let consent = &study["scopeConsents"][0];
    assert_eq!(keys(consent), BTreeSet::from(["actions", "code", "consented", "consentedTime"]));
    assert_eq!(keys(&consent["code"]), BTreeSet::from(["codingCode", "codingSystem", "id", "text"]));
    assert!(consent["consentedTime"].as_str().expect("a time").ends_with('Z'), "{consent}");
    let open = &state["studiesPendingConsent"][0]["pendingScopeConsents"][0];
    assert_eq!((&open["consented"], &open["consentedTime"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn deciding_changing_and_taking_back_each_add_one_row_and_change_none() {
    let world = World::new().await;
    let patch = async |method: &str, decisions: &[(&str, bool)]| {
        let method = method.parse().expect("a method");
        end_to_end::answer(world.request("ll_patient_peter", method, PETER).json(&body(30002, decisions))).await
    };
    let rows = async || {
        let rows = world.sql("SELECT c::text FROM consent_event c ORDER BY id").await;
        rows.iter().map(|row| row.get(0)).collect::<Vec<String>>()
    };
    let before = rows().await;
    let end = world.audit_end().await;
    for (method, decisions, status, decision) in [
        ("POST", [(BP, true)].as_slice(), 201, "granted"),
        ("PATCH", &[(BP, false)], 200, "refused"),
        ("PATCH", &[(BP, true)], 200, "granted"),
        ("POST", &[(BP, true)], 201, "granted"),
        ("DELETE", &[(BP, true)], 204, "withdrawn"),
    ] {
        let earlier = rows().await;
        let (answered, answer) = patch(method, decisions).await;
        assert_eq!(answered.as_u16(), status, "{method}: {answer}");
        let later = rows().await;
        assert_eq!(later[..earlier.len()], earlier, "{method}: no row changed");
        assert_eq!(later.len(), earlier.len() + 1, "{method}");
        let event = world
            .sql("SELECT decision, decided_by, authorization_reference FROM consent_event ORDER BY id DESC LIMIT 1")
            .await;
        assert_eq!(event[0].get::<_, &str>(0), decision, "{method}");
        assert_eq!((event[0].get::<_, i32>(1), event[0].get::<_, Option<&str>>(2)), (10006, None));
        if status == 204 {
            assert_eq!(answer, Value::Null);
        } else {
            let row = &answer["studyScopeConsents"][0];
            for name in ["consented", "consentedTime", "id", "scopeCode", "studyPatient"] {
                assert!(row.get(name).is_some(), "{name}: {row}");
            }
            assert_eq!(row["studyPatient"], json!({ "id": 2, "study": 30002, "patient": 40001 }));
            assert_eq!(row["consented"], decision == "granted");
        }
    }
    assert_eq!(rows().await[..before.len()], before);
    let (_, state) = world.get("ll_patient_peter", PETER).await;
    assert_eq!(
        scopes(&state["studiesPendingConsent"], "pendingScopeConsents").len(),
        2,
        "what was taken back is open again"
    );
    let actions: Vec<String> = world
        .audit_after(end)
        .await
        .into_iter()
        .filter(|event| event.resource_type == "Consent")
        .map(|event| event.action)
        .collect();
    assert_eq!(actions, ["create", "update", "update", "create", "delete", "read"]);
}

#[tokio::test]
async fn every_past_instant_can_be_asked_for() {
    let world = World::new().await;
    let mut instants = vec![];
    for consented in [false, true, false] {
        world.decide("ll_patient_peter", 40001, 30001, HR, consented).await;
        let row = world.sql("SELECT decided_at::text, to_char(decided_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') FROM consent_event ORDER BY id DESC LIMIT 1").await;
        instants.push((row[0].get::<_, String>(1), consented));
    }
    for user in ["ll_patient_peter", "viewer_victor", "admin"] {
        for (at, consented) in &instants {
            let found = granted(&world, user, &format!("?at={at}")).await;
            assert_eq!(found.contains(&HR.to_owned()), *consented, "{user} {at}");
            assert!(found.contains(&BP.to_owned()), "{user} {at}");
        }
        assert_eq!(granted(&world, user, "?at=2001-01-01T00:00:00Z").await, [""; 0], "before the first decision");
        let now = format!("?at={}", jiff::Timestamp::now());
        assert_eq!(granted(&world, user, &now).await, granted(&world, user, "").await);
        // The instant before a decision has the decision before it.
        let (second, _) = &instants[1];
        let earlier: jiff::Timestamp = second.parse().expect("an instant");
        let earlier = earlier - jiff::SignedDuration::from_micros(1);
        assert!(!granted(&world, user, &format!("?at={earlier}")).await.contains(&HR.to_owned()));
    }
    for bad in ["yesterday", "2026-13-01T00:00:00Z", "2026-01-01", "", "-009999-01-01T00:00:00Z"] {
        let (status, body) = world.get("ll_patient_peter", &format!("{PETER}?at={bad}")).await;
        assert_eq!((status, keys(&body)), (StatusCode::BAD_REQUEST, BTreeSet::from(["at"])), "{bad}");
    }
}

#[tokio::test]
async fn the_past_of_an_ended_enrolment_can_still_be_asked_for() {
    let world = World::new().await;
    let now = jiff::Timestamp::now();
    world.sql("DELETE FROM study_patient WHERE study_id = 30001 AND patient_id = 40001").await;
    assert_eq!(granted(&world, "ll_patient_peter", "").await, [""; 0]);
    assert_eq!(granted(&world, "ll_patient_peter", &format!("?at={now}")).await.len(), 3);
}

#[tokio::test]
async fn the_history_has_every_decision_newest_first_with_who_decided() {
    let world = World::new().await;
    world.decide("ll_patient_peter", 40001, 30001, HR, false).await;
    let mut on_behalf = body(30001, &[(HR, true)]);
    on_behalf["authorizationReference"] = json!("Paper form 7");
    let (status, answer) = world.post("member_megan", PETER, &on_behalf).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");

    let mut rows = Vec::new();
    let mut next = Some(format!("{PETER}/history?pageSize=2"));
    while let Some(path) = next {
        let (status, page) = world.get("ll_patient_peter", &path).await;
        assert_eq!((status, &page["count"]), (StatusCode::OK, &json!(5)));
        rows.extend(page["results"].as_array().expect("rows").clone());
        next = page["next"].as_str().map(|url| url.strip_prefix(world.base.as_str()).expect("of this site").to_owned());
    }
    let ids: Vec<i64> = rows.iter().map(|row| row["id"].as_i64().expect("an id")).collect();
    assert_eq!(ids, [14, 13, 3, 2, 1]);
    assert_eq!(
        keys(&rows[0]),
        BTreeSet::from([
            "actions",
            "authorizationReference",
            "consented",
            "decidedAt",
            "decidedBy",
            "decision",
            "id",
            "scopeCode",
            "study"
        ])
    );
    assert_eq!(rows[0]["decidedBy"], json!({ "id": 10003, "name": "MemberMegan Knapp" }));
    assert_eq!((&rows[0]["authorizationReference"], &rows[0]["decision"]), (&json!("Paper form 7"), &json!("granted")));
    assert_eq!((&rows[1]["authorizationReference"], &rows[1]["decision"]), (&Value::Null, &json!("refused")));
    assert_eq!(rows[1]["study"], json!({ "id": 30001, "name": "Lifespan Study on BP & HR" }));
    for (user, status) in [("viewer_victor", 200), ("admin", 200), ("manager_mark", 404), ("ll_patient_pamela", 404)] {
        assert_eq!(world.get(user, &format!("{PETER}/history")).await.0.as_u16(), status, "{user}");
    }
}

#[tokio::test]
async fn only_scopes_that_an_enrolled_study_asks_for_can_be_decided_and_all_or_none_are() {
    let world = World::new().await;
    let before = ledger(&world).await;
    let good = body(30002, &[(BP, true)]);
    let with_good = |bad: Value| {
        let mut both = good.clone();
        both["studyScopeConsents"].as_array_mut().expect("studies").push(bad["studyScopeConsents"][0].clone());
        both
    };
    for (what, bad) in [
        ("a scope that the study does not ask for", body(30001, &[("omh:blood-glucose:4.0", true)])),
        ("a scope that does not exist", body(30001, &[("omh:mood:1.0", true)])),
        ("a study without this patient", body(30003, &[("omh:blood-glucose:4.0", true)])),
        ("a study that does not exist", body(39999, &[(BP, true)])),
        ("the same twice", body(30001, &[(HR, true), (HR, false)])),
    ] {
        for body in [bad.clone(), with_good(bad)] {
            for method in ["POST", "PATCH", "DELETE"] {
                let request = world.request("ll_patient_peter", method.parse().expect("a method"), PETER);
                let (status, answer) = end_to_end::answer(request.json(&body)).await;
                assert_eq!(status, StatusCode::BAD_REQUEST, "{method} {what}: {answer}");
            }
        }
        assert_eq!(ledger(&world).await, before, "{what}: nothing was decided");
    }
}

#[tokio::test]
async fn deciding_for_a_patient_needs_the_role_and_the_authorization() {
    let world = World::new().await;
    let without = body(30002, &[(BP, true)]);
    let mut with = without.clone();
    with["authorizationReference"] = json!("Paper form 7");
    for (user, body, expected) in [
        ("member_megan", &without, 400),
        ("manager_mary", &without, 400),
        ("viewer_victor", &with, 403),
        ("three_org_tom", &with, 403),
        ("admin", &with, 403),
        ("admin", &without, 403),
        ("manager_mark", &with, 404),
        ("ll_patient_pamela", &without, 404),
        ("npl_patient_percy", &without, 404),
        ("ll_patient_peter", &with, 400),
    ] {
        for method in ["POST", "PATCH", "DELETE"] {
            let end = world.audit_end().await;
            let request = world.request(user, method.parse().expect("a method"), PETER);
            let (status, answer) = end_to_end::answer(request.json(body)).await;
            assert_eq!(status.as_u16(), expected, "{method} {user}: {answer}");
            let denied = world.audit_after(end).await.iter().filter(|event| event.outcome == "denied").count();
            assert_eq!(denied, usize::from(expected != 400), "{method} {user}: a refusal is recorded");
        }
        assert_eq!(ledger(&world).await, 12, "{user}");
    }
    for user in ["member_megan", "manager_mary"] {
        let (status, answer) = world.post(user, PETER, &with).await;
        assert_eq!(status, StatusCode::CREATED, "{user}: {answer}");
        assert_eq!(answer["studyScopeConsents"][0]["authorizationReference"], "Paper form 7");
    }
    let rows =
        world.sql("SELECT decided_by, authorization_reference FROM consent_event WHERE id > 12 ORDER BY id").await;
    let found: Vec<(i32, Option<String>)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(found, [10003, 10002].map(|user| (user, Some("Paper form 7".to_owned()))));
    assert_eq!(
        world.count("SELECT count(*) FROM audit_event WHERE on_behalf_of = 40001 AND outcome = 'allowed'").await,
        2
    );
}

#[tokio::test]
async fn a_practitioner_decides_and_reads_only_for_studies_of_their_own_organizations() {
    let world = World::new().await;
    let pat = "/api/v1/patients/40005/consents";
    let studies = async |user: &str, path: &str| {
        let (status, body) = world.get(user, path).await;
        assert_eq!(status, StatusCode::OK, "{user}: {body}");
        let ids = body["studies"].as_array().expect("studies").iter().map(|study| study["id"].as_i64().expect("an id"));
        ids.collect::<Vec<_>>()
    };
    for path in [pat.to_owned(), format!("{pat}?at={}", jiff::Timestamp::now())] {
        assert_eq!(studies("ccl_cardio_patient_pat", &path).await, [30003, 30005]);
        assert_eq!(studies("three_org_tom", &path).await, [30005], "Tom is of 20008 only");
        assert_eq!(studies("manager_mark", &path).await, [30003], "Mark is of 20006 only");
        assert_eq!(studies("admin", &path).await, [30003, 30005]);
    }
    let (_, history) = world.get("three_org_tom", &format!("{pat}/history")).await;
    assert_eq!(history["count"], 1);
    assert_eq!(history["results"][0]["study"]["id"], 30005);

    let mut foreign = body(30003, &[("omh:blood-glucose:4.0", false)]);
    foreign["authorizationReference"] = json!("Paper form 7");
    let (status, answer) = world.post("three_org_tom", pat, &foreign).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{answer}");
    assert_eq!(ledger(&world).await, 12);
}

#[tokio::test]
async fn reading_consents_is_for_the_patient_and_the_patients_organizations() {
    let world = World::new().await;
    for (user, expected) in [
        ("ll_patient_peter", 200),
        ("viewer_victor", 200),
        ("member_megan", 200),
        ("three_org_tom", 200),
        ("admin", 200),
        ("ll_patient_pamela", 404),
        ("manager_mark", 404),
        ("npl_patient_percy", 404),
    ] {
        let end = world.audit_end().await;
        assert_eq!(world.get(user, PETER).await.0.as_u16(), expected, "{user}");
        let events = world.audit_after(end).await;
        assert_eq!(events.len(), 1, "{user}");
        let outcome = if expected == 200 { "allowed" } else { "denied" };
        assert_eq!(
            (events[0].outcome.as_str(), events[0].patients.as_slice()),
            (outcome, [40001].as_slice()),
            "{user}"
        );
    }
    let (_, unknown) = world.get("manager_mark", "/api/v1/patients/49999/consents").await;
    assert_eq!(world.get("manager_mark", PETER).await.1, unknown, "no difference shows who exists");
}

#[tokio::test]
async fn what_is_asked_of_the_future_is_refused() {
    let world = World::new().await;
    let now = jiff::Timestamp::now();
    let tomorrow = now + jiff::SignedDuration::from_hours(24);
    for path in [PETER.to_owned(), format!("{PETER}/history")] {
        for user in ["ll_patient_peter", "viewer_victor", "admin"] {
            let (status, answer) = world.get(user, &format!("{path}?at={tomorrow}")).await;
            assert_eq!(
                (status, answer),
                (StatusCode::BAD_REQUEST, json!({ "at": ["The instant is in the future."] })),
                "{user} {path}"
            );
            assert_eq!(world.get(user, &format!("{path}?at={now}")).await.0, StatusCode::OK, "{user} {path}");
            for bad in ["", "yesterday"] {
                let (status, answer) = world.get(user, &format!("{path}?at={bad}")).await;
                assert_eq!(
                    (status, answer["at"].is_array()),
                    (StatusCode::BAD_REQUEST, true),
                    "{path} {bad}: {answer}"
                );
            }
        }
    }
}

#[tokio::test]
async fn the_history_at_an_instant_ends_there() {
    let world = World::new().await;
    let history = async |query: &str| {
        let (status, page) = world.get("ll_patient_peter", &format!("{PETER}/history?{query}")).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        page
    };
    world.decide("ll_patient_peter", 40001, 30001, HR, false).await;
    world.decide("ll_patient_peter", 40001, 30001, HR, true).await;
    let all = history("").await;
    assert_eq!(row_ids(&all), [14, 13, 3, 2, 1]);
    let decided = |row: usize| all["results"][row]["decidedAt"].as_str().expect("an instant").to_owned();
    for (row, expected) in [(0, vec![14, 13, 3, 2, 1]), (1, vec![13, 3, 2, 1])] {
        let page = history(&format!("at={}", decided(row))).await;
        assert_eq!((row_ids(&page), &page["count"]), (expected.clone(), &json!(expected.len())), "{row}");
    }
    let before: jiff::Timestamp = decided(1).parse().expect("an instant");
    let before = before - jiff::SignedDuration::from_micros(1);
    assert_eq!(row_ids(&history(&format!("at={before}")).await), [3, 2, 1]);
    assert_eq!(row_ids(&history("at=2020-01-01T00:00:00Z").await), [0_i64; 0]);
    // The pages of that history are of that history.
    let page = history(&format!("pageSize=2&at={}", decided(1))).await;
    let next = page["next"].as_str().expect("a link").strip_prefix(world.base.as_str()).expect("of this site");
    let (_, second) = world.get("ll_patient_peter", next).await;
    assert_eq!((row_ids(&page), row_ids(&second), &second["next"]), (vec![13, 3], vec![2, 1], &Value::Null));
}

#[tokio::test]
async fn the_ledger_takes_a_reference_of_decisions_on_behalf_and_of_no_other() {
    let world = World::new().await;
    let owner = store::connect_owner(&world.owner_config()).await.expect("the owner");
    let before = ledger(&world).await;
    for (decided_by, reference, kept) in [
        (10006, "NULL", true),
        (10006, "'Form 7'", false),
        (10003, "NULL", false),
        (10003, "''", false),
        (10003, "'Form 7'", true),
    ] {
        let statement = format!(
            "INSERT INTO consent_event (patient_id, study_id, scope_id, decision, decided_by, authorization_reference, request_id)
             VALUES (40001, 30001, 50002, 'granted', {decided_by}, {reference}, 'test')"
        );
        let failure = end_to_end::ledger::failure(&owner, &statement).await;
        let expected = (!kept).then_some(tokio_postgres::error::SqlState::CHECK_VIOLATION);
        assert_eq!(failure, expected, "{decided_by} {reference}");
    }
    assert_eq!(ledger(&world).await, before + 2);
}
