//! Every access to observations is on record: who, what, by which study, and which layer refused.

use end_to_end::{
    World, ids,
    ledger::AuditEvent,
    point::{blood_glucose, blood_pressure, heart_rate, observation},
    reply::Reply,
};
use reqwest::Method;
use serde_json::Value;

const PATH: &str = "/FHIR/R5/Observation";
const AT: &str = "2026-02-01T08:00:00Z";

/// A user and a query; the role, the studies and the patients of the record.
type Search<'a> = (&'a str, String, &'a str, &'a [i32], &'a [i32]);

/// A user and a request; the status, and the layer, the patients and the observations of the record.
type Refused<'a> = (&'a str, (Method, String, Option<Value>), u16, &'a str, &'a [i32], &'a [i64]);

/// What one request leaves in the audit, and its answer. Checks what holds for every record.
async fn recorded(
    world: &World,
    user: &str,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> (Vec<AuditEvent>, Reply) {
    let end = world.audit_end().await;
    let mut request = world.request(user, method, path);
    if let Some(body) = body {
        request = request.json(body);
    }
    let reply = Reply::to(request).await;
    let events = world.audit_after(end).await;
    for event in &events {
        let user_id = world.demo["users"][user]["user_id"].as_i64().and_then(|id| i32::try_from(id).ok());
        assert_eq!(event.request_id, reply.header("x-request-id"), "{path}");
        assert_eq!(event.actor, user_id, "{path}");
        assert_eq!(event.client, Some(4), "the client that the token was issued to");
        assert_eq!(event.resource_type, "Observation");
        assert_eq!(event.privileged, user == "admin");
        let source = event.source.as_deref().unwrap_or_default();
        assert!(["127.0.0.1", "::1"].contains(&source), "{source}");
    }
    (events, reply)
}

fn numbers(bundle: &Value) -> Vec<i64> {
    let mut numbers: Vec<i64> = ids(bundle).iter().filter_map(|id| id.parse().ok()).collect();
    numbers.sort_unstable();
    numbers
}

#[tokio::test]
async fn a_search_is_recorded_with_exactly_what_it_returned() {
    let world = World::new().await;
    let study = "patient._has:Group:member:_id=";
    let cases: [Search<'_>; 11] = [
        ("viewer_victor", "patient=40001".to_owned(), "viewer", &[30001], &[40001]),
        ("member_megan", "patient=40002".to_owned(), "member", &[30001, 30002], &[40002]),
        ("manager_mary", format!("{study}30002"), "manager", &[30002], &[40002]),
        ("viewer_victor", format!("{study}30001&_count=2&_sort=_lastUpdated"), "viewer", &[30001], &[40001]),
        ("viewer_victor", "patient=40001&_id=60001".to_owned(), "viewer", &[30001], &[40001]),
        ("viewer_victor", "patient=40001&date=lt1990".to_owned(), "viewer", &[30001], &[40001]),
        ("viewer_victor", "patient.identifier=E1234".to_owned(), "viewer", &[30001], &[40001]),
        ("ll_patient_peter", "_count=1".to_owned(), "", &[], &[40001]),
        ("admin", "patient=40003".to_owned(), "", &[], &[40003]),
        ("admin", "_count=1000&code=omh:heart-rate:2.0".to_owned(), "", &[], &[40001, 40002]),
        ("admin", "_id=60007".to_owned(), "", &[], &[40003]),
    ];
    for (user, query, role, studies, patients) in cases {
        let (events, reply) = recorded(&world, user, Method::GET, &format!("{PATH}?{query}"), None).await;
        let what = format!("{user} {query}");
        assert_eq!(reply.status.as_u16(), 200, "{what}: {}", reply.text);
        let [event] = events.as_slice() else { panic!("{what}: {events:?}") };
        assert_eq!((event.action.as_str(), event.outcome.as_str()), ("search", "allowed"), "{what}");
        assert_eq!(event.refused_by, None);
        let mut observations = event.observations.clone();
        observations.sort_unstable();
        assert_eq!(observations, numbers(&reply.json()), "{what}: the observations returned");
        assert_eq!(event.role.as_deref().unwrap_or_default(), role, "{what}");
        let sorted = |ids: &[i32]| {
            let mut ids = ids.to_vec();
            ids.sort_unstable();
            ids
        };
        assert_eq!(sorted(&event.studies), studies, "{what}");
        assert_eq!(sorted(&event.patients), patients, "{what}");
    }
}

#[tokio::test]
async fn counts_are_recorded_too_and_an_accurate_total_beside_its_page() {
    let world = World::new().await;
    let cases =
        [("_summary=count", vec![0]), ("_total=accurate", vec![0, 2]), ("_total=accurate&_count=1", vec![0, 1])];
    for (query, returned) in cases {
        let (events, reply) =
            recorded(&world, "viewer_victor", Method::GET, &format!("{PATH}?patient=40001&{query}"), None).await;
        assert_eq!(reply.status.as_u16(), 200);
        // The count and the page travel together; which of them arrives first is not promised.
        let mut counts: Vec<usize> = events.iter().map(|event| event.observations.len()).collect();
        counts.sort_unstable();
        assert_eq!(counts, returned, "{query}");
        assert!(
            events.iter().all(|event| event.patients == [40001] && event.studies == [30001]),
            "{query}: {events:?}"
        );
    }
}

#[tokio::test]
async fn a_read_and_an_upload_are_recorded_with_their_observation() {
    let world = World::new().await;
    for (user, kind, role, studies) in [
        ("viewer_victor", "practitioner", Some("viewer"), vec![30001]),
        ("ll_patient_peter", "patient", None, vec![]),
        ("admin", "super_admin", None, vec![]),
    ] {
        let (events, _) = recorded(&world, user, Method::GET, &format!("{PATH}/60001"), None).await;
        let [event] = events.as_slice() else { panic!("{user}: {events:?}") };
        assert_eq!((event.action.as_str(), event.outcome.as_str()), ("read", "allowed"));
        assert_eq!(event.actor_type, kind);
        assert_eq!(event.role.as_deref(), role, "{user}");
        assert_eq!(event.studies, studies, "{user}");
        assert_eq!((event.patients.as_slice(), event.observations.as_slice()), (&[40001][..], &[60001][..]));
    }
    for (user, role) in [("ll_patient_peter", None), ("member_megan", Some("member"))] {
        let resource = observation(40001, 70001, &heart_rate(60, AT), "");
        let (events, reply) = recorded(&world, user, Method::POST, PATH, Some(&resource)).await;
        let [event] = events.as_slice() else { panic!("{user}: {events:?}") };
        let id: i64 = reply.json()["id"].as_str().and_then(|id| id.parse().ok()).expect("an id");
        assert_eq!((event.action.as_str(), event.outcome.as_str()), ("create", "allowed"));
        assert_eq!((event.patients.as_slice(), event.observations.as_slice()), (&[40001][..], &[id][..]));
        assert_eq!(event.role.as_deref(), role, "{user}");
    }
}

#[tokio::test]
async fn a_refusal_names_the_layer_that_refused() {
    let world = World::new().await;
    // Peter leaves the heart rate's study, Pat's study of glucose ends, and Pamela withdraws her heart rate.
    world.sql("UPDATE study SET status = 'completed', access_until = clock_timestamp() WHERE id = 30003").await;
    world.sql("DELETE FROM study_patient WHERE patient_id = 40001 AND study_id = 30001").await;
    world.record_consent(40002, 30001, 50004, "withdrawn").await;
    let pressure = |identifier| observation(40001, 70001, &blood_pressure(120, AT), identifier);
    let never = observation(40001, 70001, &blood_glucose(95, AT), "");
    let mut duplicate = pressure("");
    duplicate["identifier"] = serde_json::json!([{ "system": "https://demo.example/observation", "value": "demo-0" }]);
    let read = |id: i64| (Method::GET, format!("{PATH}/{id}"), None);
    let search = |query: &str| (Method::GET, format!("{PATH}?{query}"), None);
    let upload = |resource: &Value| (Method::POST, PATH.to_owned(), Some(resource.clone()));
    let cases: [Refused<'_>; 16] = [
        ("ll_patient_pamela", read(60001), 404, "user_type", &[40001], &[60001]),
        ("ll_patient_pamela", upload(&pressure("")), 403, "user_type", &[40001], &[]),
        ("manager_mark", read(60001), 404, "organization", &[40001], &[60001]),
        ("manager_mark", search("patient=40001"), 403, "organization", &[40001], &[]),
        ("manager_mark", search("patient=40001&_summary=count"), 403, "organization", &[40001], &[]),
        ("manager_mark", search("_has:Group:member:_id=30001"), 403, "organization", &[], &[]),
        ("manager_mark", upload(&pressure("")), 403, "organization", &[40001], &[]),
        ("viewer_victor", read(60002), 404, "enrolment", &[40001], &[60002]),
        ("manager_mark", read(60006), 404, "enrolment", &[40005], &[60006]),
        ("viewer_victor", read(60004), 404, "consent", &[40002], &[60004]),
        ("ll_patient_peter", upload(&never), 403, "consent", &[40001], &[]),
        ("member_megan", upload(&never), 403, "consent", &[40001], &[]),
        ("viewer_victor", upload(&pressure("")), 403, "role", &[40001], &[]),
        ("viewer_victor", read(99999), 404, "not_found", &[], &[]),
        ("admin", read(99999), 404, "not_found", &[], &[]),
        ("ll_patient_peter", upload(&duplicate), 409, "invalid", &[40001], &[]),
    ];
    for (user, (method, path, body), status, layer, patients, observations) in cases {
        let what = format!("{user} {method} {path} {layer}");
        let (events, reply) = recorded(&world, user, method, &path, body.as_ref()).await;
        reply.refusal(status, &what);
        let [event] = events.as_slice() else { panic!("{what}: {events:?}") };
        assert_eq!(event.outcome, "denied", "{what}");
        assert_eq!(event.refused_by.as_deref(), Some(layer), "{what}");
        assert_eq!((event.patients.as_slice(), event.observations.as_slice()), (patients, observations), "{what}");
    }
}

#[tokio::test]
async fn a_token_that_is_not_valid_is_recorded_and_a_request_without_one_is_not() {
    let world = World::new().await;
    let end = world.audit_end().await;
    let paths = [PATH.to_owned(), format!("{PATH}/60001"), format!("{PATH}?patient=40001")];
    for path in &paths {
        Reply::to(world.anonymous(Method::GET, path)).await.refusal(401, path);
    }
    assert_eq!(world.audit_after(end).await, []);
    for path in &paths {
        let end = world.audit_end().await;
        let reply = Reply::to(world.anonymous(Method::GET, path).bearer_auth("not-a-token")).await;
        reply.refusal(401, path);
        let events = world.audit_after(end).await;
        let [event] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(event.request_id, reply.header("x-request-id"));
        assert_eq!((event.actor, event.actor_type.as_str(), event.outcome.as_str()), (None, "anonymous", "denied"));
        assert_eq!(event.refused_by.as_deref(), Some("token"));
    }
    // A token that has ended counts as one that never was.
    world.sql("UPDATE access_token SET expires_at = now() - interval '1 second'").await;
    Reply::to(world.request("viewer_victor", Method::GET, &paths[2])).await.refusal(401, "ended");
}

#[tokio::test]
async fn a_request_that_is_not_understood_reaches_no_data_and_only_what_would_change_something_is_recorded() {
    let world = World::new().await;
    let mut invalid = observation(40001, 70001, &heart_rate(60, AT), "");
    invalid["status"] = serde_json::json!("bogus");
    for (method, path, body, status, expected) in [
        (Method::GET, format!("{PATH}?patient=abc"), None, 400, None),
        (Method::GET, format!("{PATH}/abc"), None, 404, Some(("read", "denied", "not_found"))),
        (Method::POST, PATH.to_owned(), Some(&invalid), 400, Some(("create", "failed", "invalid"))),
    ] {
        let (events, reply) = recorded(&world, "ll_patient_peter", method, &path, body).await;
        assert_eq!(reply.status.as_u16(), status, "{path}");
        let recorded: Vec<_> = events
            .iter()
            .map(|event| {
                (event.action.as_str(), event.outcome.as_str(), event.refused_by.as_deref().unwrap_or_default())
            })
            .collect();
        assert_eq!(recorded, expected.into_iter().collect::<Vec<_>>(), "{path}");
        assert!(events.iter().all(|event| event.patients.is_empty() && event.observations.is_empty()), "{path}");
    }
}
