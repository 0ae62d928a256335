//! Every refusal is on record with what was asked for, whatever else the request lacks, and the patient can read it.

use end_to_end::{World, ledger::AuditEvent, point, reply::Reply};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const PETER: &str = "/api/v1/patients/40001/consents";
const LOG: &str = "/api/v1/patients/me/access-log";

/// A user, a method, a path and a body; the status, and the layer, the organizations, studies and patients of the record.
type Case<'a> = (&'a str, Method, &'a str, Value, u16, &'a str, &'a [i32], &'a [i32], &'a [i32]);

/// What a request leaves in the audit, and its answer. A body of null is no body.
async fn recorded(world: &World, user: &str, method: Method, path: &str, body: &Value) -> (Vec<AuditEvent>, Reply) {
    let end = world.audit_end().await;
    let mut request = world.request(user, method, path);
    if !body.is_null() {
        request = request.json(body);
    }
    let reply = Reply::to(request).await;
    (world.audit_after(end).await, reply)
}

async fn check(world: &World, cases: &[Case<'_>]) {
    for (user, method, path, body, status, layer, organizations, studies, patients) in cases {
        let what = format!("{user} {method} {path} {body}");
        let (events, reply) = recorded(world, user, method.clone(), path, body).await;
        assert_eq!(reply.status.as_u16(), *status, "{what}: {}", reply.text);
        let [event] = events.as_slice() else { panic!("{what}: {events:?}") };
        assert_eq!((event.outcome.as_str(), event.refused_by.as_deref()), ("denied", Some(*layer)), "{what}");
        assert_eq!(event.organizations, *organizations, "{what}: organizations");
        assert_eq!(event.studies, *studies, "{what}: studies");
        assert_eq!(event.patients, *patients, "{what}: patients");
    }
}

fn consent(study: i32) -> Value {
    json!({ "authorizationReference": "Paper form 7", "studyScopeConsents": [{ "studyId": study, "scopeConsents": [
        { "codingSystem": "https://w3id.org/openmhealth", "codingCode": "omh:blood-pressure:4.0", "consented": true }] }] })
}

#[tokio::test]
async fn a_decision_is_refused_before_its_body_is_judged() {
    let world = World::new().await;
    let mut cases: Vec<Case<'_>> = Vec::new();
    let no_scope = json!({ "studyScopeConsents": [{ "studyId": 30001 }] });
    for method in [Method::POST, Method::PATCH, Method::DELETE] {
        for body in [Value::Null, json!({}), json!([]), json!({ "studyScopeConsents": "x" }), no_scope.clone()] {
            cases.extend([
                (
                    "viewer_victor",
                    method.clone(),
                    PETER,
                    body.clone(),
                    403,
                    "role",
                    &[20003][..],
                    &[][..],
                    &[40001][..],
                ),
                ("manager_mark", method.clone(), PETER, body.clone(), 404, "organization", &[20003], &[], &[40001]),
                ("ll_patient_pamela", method.clone(), PETER, body.clone(), 404, "user_type", &[20003], &[], &[40001]),
                ("admin", method.clone(), PETER, body, 403, "user_type", &[20003], &[], &[40001]),
            ]);
        }
        // What the body says of the studies is on record where it can be read.
        cases.push(("viewer_victor", method.clone(), PETER, consent(30002), 403, "role", &[20003], &[30002], &[40001]));
    }
    check(&world, &cases).await;
    assert_eq!(
        world.count("SELECT count(*) FROM audit_event WHERE refused_by = 'role' AND on_behalf_of <> 40001").await,
        0
    );
    // Who may decide is told what is wrong; no data is reached, and of the body nothing is kept.
    for user in ["member_megan", "ll_patient_peter"] {
        let (events, reply) = recorded(&world, user, Method::PATCH, PETER, &json!({})).await;
        let [event] = events.as_slice() else { panic!("{user}: {events:?}") };
        assert_eq!((reply.status, event.outcome.as_str()), (StatusCode::BAD_REQUEST, "failed"), "{user}");
        assert_eq!((event.refused_by.as_deref(), event.patients.as_slice()), (Some("invalid"), &[40001][..]), "{user}");
    }
}

#[tokio::test]
async fn invitations_patients_and_enrolments_are_refused_before_their_body_is_judged() {
    let world = World::new().await;
    let (invite, create, enrol) = ("/api/v1/invitation", "/api/v1/patients", "/api/v1/studies/30001/patients");
    let mut cases: Vec<Case<'_>> = Vec::new();
    for rest in [json!({}), json!({ "client_id": "x" }), json!({ "client_id": 1, "sendEmail": true })] {
        let mut body = rest;
        body["patientId"] = json!(40001);
        cases.extend([
            ("viewer_victor", Method::POST, invite, body.clone(), 403, "role", &[20003][..], &[][..], &[40001][..]),
            ("manager_mark", Method::POST, invite, body.clone(), 404, "organization", &[20003], &[], &[40001]),
            ("ll_patient_pamela", Method::POST, invite, body, 403, "user_type", &[20003], &[], &[40001]),
        ]);
    }
    let stranger = json!({ "patientId": 49999, "client_id": 1 });
    let unknown_client = json!({ "patientId": 40001, "client_id": 99 });
    let of = |organization: i32| json!({ "organizationId": organization });
    cases.extend([
        ("member_megan", Method::POST, invite, stranger.clone(), 404, "not_found", &[][..], &[][..], &[][..]),
        ("admin", Method::POST, invite, stranger, 404, "not_found", &[], &[], &[]),
        ("member_megan", Method::POST, invite, unknown_client, 400, "invalid", &[20003], &[], &[40001]),
        ("viewer_victor", Method::POST, create, of(20003), 403, "role", &[20003], &[], &[]),
        ("manager_mark", Method::POST, create, of(20003), 404, "organization", &[20003], &[], &[]),
        ("manager_mark", Method::POST, create, of(29999), 404, "not_found", &[], &[], &[]),
        ("ll_patient_peter", Method::POST, create, of(20003), 403, "user_type", &[20003], &[], &[]),
    ]);
    for method in [Method::POST, Method::DELETE] {
        let named = json!({ "patientIds": [40001, 49999] });
        cases.extend([
            ("viewer_victor", method.clone(), enrol, json!({}), 403, "role", &[20003][..], &[30001][..], &[][..]),
            ("viewer_victor", method.clone(), enrol, named.clone(), 403, "role", &[20003], &[30001], &[40001]),
            ("manager_mark", method.clone(), enrol, named.clone(), 404, "organization", &[20003], &[30001], &[40001]),
            ("ll_patient_peter", method.clone(), enrol, named.clone(), 403, "user_type", &[20003], &[30001], &[40001]),
            ("admin", method, "/api/v1/studies/39999/patients", named, 404, "not_found", &[20003], &[], &[40001]),
        ]);
    }
    check(&world, &cases).await;
}

#[tokio::test]
async fn a_look_up_and_a_list_that_are_refused_name_whom_they_were_about() {
    let world = World::new().await;
    let by_email = "/api/v1/patients/global_lookup?email=LL_patient_Peter%40example.com";
    let get = Method::GET;
    check(
        &world,
        &[
            ("ll_patient_pamela", get.clone(), by_email, Value::Null, 403, "user_type", &[20003], &[], &[40001]),
            (
                "ll_patient_pamela",
                get.clone(),
                "/api/v1/patients/global_lookup",
                Value::Null,
                403,
                "user_type",
                &[],
                &[],
                &[],
            ),
            ("manager_mark", get.clone(), LOG, Value::Null, 403, "user_type", &[], &[], &[]),
            ("manager_mark", get.clone(), "/api/v1/patients/me", Value::Null, 403, "user_type", &[], &[], &[]),
            // Lists of patients are empty for patients, and that they asked is on record.
            (
                "ll_patient_peter",
                get.clone(),
                "/api/v1/studies/30001/patients",
                Value::Null,
                200,
                "user_type",
                &[20003],
                &[30001],
                &[],
            ),
            (
                "ll_patient_peter",
                get.clone(),
                "/api/v1/patients?studyId=30004",
                Value::Null,
                200,
                "user_type",
                &[20007],
                &[30004],
                &[],
            ),
            (
                "ll_patient_peter",
                get.clone(),
                "/api/v1/patients?organizationId=20007",
                Value::Null,
                200,
                "user_type",
                &[20007],
                &[],
                &[],
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_directory_records_a_named_study_or_organization_that_is_not_the_callers() {
    let world = World::new().await;
    let get =
        |path: &'static str, status, layer, organizations: &'static [i32], studies: &'static [i32]| -> Case<'static> {
            ("viewer_victor", Method::GET, path, Value::Null, status, layer, organizations, studies, &[])
        };
    check(
        &world,
        &[
            get("/FHIR/R5/Group/30004", 404, "organization", &[20007], &[30004]),
            get("/FHIR/R5/Group/39999", 404, "not_found", &[], &[]),
            get("/api/v1/studies/30004", 404, "organization", &[20007], &[30004]),
            get("/FHIR/R5/Group?_id=30001,30004", 200, "organization", &[20007], &[30004]),
            get("/FHIR/R5/Group?_id=30004&_summary=count", 200, "organization", &[20007], &[30004]),
            get("/FHIR/R5/Group?organization=20007", 403, "organization", &[20007], &[]),
            get("/api/v1/studies?organizationId=20007", 403, "organization", &[20007], &[]),
            get("/FHIR/R5/Observation?_has:Group:member:_id=30004", 403, "organization", &[20007], &[30004]),
            get(
                "/FHIR/R5/Observation?_has:Group:member:_id=30004&_summary=count",
                403,
                "organization",
                &[20007],
                &[30004],
            ),
            get("/FHIR/R5/Observation?_has:Group:member:_id=39999", 403, "organization", &[], &[]),
            get("/FHIR/R5/Organization/20007", 404, "organization", &[20007], &[]),
            get("/api/v1/organizations/20007", 404, "organization", &[20007], &[]),
            get("/FHIR/R5/Organization?_id=20003,20007,29999", 200, "organization", &[20007], &[]),
            get("/FHIR/R5/Patient?organization=20007", 403, "organization", &[20007], &[]),
            get("/FHIR/R5/Patient?_has:Group:member:_id=30004", 403, "organization", &[20007], &[30004]),
        ],
    )
    .await;
    for (user, path) in [
        ("viewer_victor", "/FHIR/R5/Group"),
        ("viewer_victor", "/FHIR/R5/Group?_id=30001,30002&organization=20003"),
        // Each is the caller's own; they only do not belong together.
        ("manager_mary", "/FHIR/R5/Group?_id=30001&organization=20001"),
        ("three_org_tom", "/FHIR/R5/Group?_id=30005&name=nothing"),
        ("viewer_victor", "/FHIR/R5/Organization?_id=20003"),
    ] {
        let (events, reply) = recorded(&world, user, Method::GET, path, &Value::Null).await;
        assert_eq!((reply.status, events), (StatusCode::OK, vec![]), "{user} {path}: no health data, nothing refused");
    }
}

#[tokio::test]
async fn the_patient_reads_of_every_refused_attempt_and_nobody_else_does() {
    let world = World::new().await;
    let invitation = json!({ "patientId": 40001 });
    let enrolment = json!({ "patientIds": [40001, 49999] });
    for (user, method, path, body, refused_by) in [
        ("manager_mark", Method::PATCH, PETER, json!({}), "organization"),
        ("viewer_victor", Method::DELETE, PETER, json!({}), "role"),
        ("ll_patient_pamela", Method::POST, PETER, json!({}), "user_type"),
        ("manager_mark", Method::POST, "/api/v1/invitation", invitation.clone(), "organization"),
        ("viewer_victor", Method::POST, "/api/v1/invitation", invitation, "role"),
        ("manager_mark", Method::POST, "/api/v1/studies/30001/patients", enrolment.clone(), "organization"),
        ("viewer_victor", Method::DELETE, "/api/v1/studies/30001/patients", enrolment, "role"),
        ("manager_mark", Method::POST, "/FHIR/R5/Observation", uploaded(40001), "organization"),
    ] {
        let what = format!("{user} {method} {path}");
        let (events, _) = recorded(&world, user, method, path, &body).await;
        assert_eq!(events.len(), 1, "{what}");
        let (_, page) = world.get("ll_patient_peter", &format!("{LOG}?pageSize=1")).await;
        let row = &page["results"][0];
        assert_eq!((&row["outcome"], &row["refusedBy"]), (&json!("denied"), &json!(refused_by)), "{what}: {row}");
    }
    let (_, page) = world.get("npl_patient_percy", LOG).await;
    assert!(!page.to_string().contains("denied"), "{page}");
}

fn uploaded(patient: i32) -> Value {
    point::observation(patient, 70001, &point::heart_rate(60, "2026-02-01T08:00:00Z"), "")
}

#[tokio::test]
async fn an_id_that_nobody_has_is_not_kept_for_who_gets_it_later() {
    let world = World::new().await;
    let next = 40006;
    let path = format!("/api/v1/patients/{next}/consents");
    for (method, path, body) in [
        (Method::PATCH, path.as_str(), json!({})),
        (Method::GET, path.as_str(), Value::Null),
        (Method::POST, "/api/v1/invitation", json!({ "patientId": next, "client_id": 1 })),
        (Method::POST, "/api/v1/studies/30001/patients", json!({ "patientIds": [next] })),
        (Method::POST, "/FHIR/R5/Observation", uploaded(next)),
    ] {
        let (events, _) = recorded(&world, "manager_mark", method.clone(), path, &body).await;
        let [event] = events.as_slice() else { panic!("{method} {path}: {events:?}") };
        assert_eq!((event.outcome.as_str(), event.patients.as_slice()), ("denied", &[][..]), "{method} {path}");
    }
}

#[tokio::test]
async fn the_access_log_is_no_way_to_the_names_of_others_studies() {
    let world = World::new().await;
    let newest = async || {
        let (_, page) = world.get("ll_patient_peter", &format!("{LOG}?pageSize=1")).await;
        page["results"][0].clone()
    };
    let mut own = consent(30004);
    own.as_object_mut().expect("an object").remove("authorizationReference");
    for (method, path, body) in [
        (Method::GET, "/FHIR/R5/Patient?_id=40001&_has:Group:member:_id=30004", Value::Null),
        (Method::GET, "/FHIR/R5/Patient?_id=40001&organization=20007", Value::Null),
        (Method::POST, PETER, own),
    ] {
        let (events, reply) = recorded(&world, "ll_patient_peter", method.clone(), path, &body).await;
        assert!(reply.status.is_client_error(), "{path}");
        assert!(events[0].organizations.contains(&20007), "{path}: the audit has it");
        let row = newest().await;
        assert_eq!((&row["outcome"], &row["studies"]), (&json!("denied"), &json!([])), "{path}");
        assert!(!row["organizations"].to_string().contains("20007"), "{path}: {row}");
    }
    // Those of the patient's own are named.
    let (events, _) = recorded(&world, "viewer_victor", Method::POST, PETER, &consent(30001)).await;
    assert_eq!(events.len(), 1);
    let row = newest().await;
    assert_eq!((&row["studies"][0]["id"], &row["organizations"][0]["id"]), (&json!(30001), &json!(20003)), "{row}");
}
