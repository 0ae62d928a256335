//! No route is forgotten by the audit: what it changed, whom it showed, what it refused, and all that a super admin did.

use crate::{
    hostile::PUBLIC,
    matrix_callers::{Caller, Whose, callers},
    matrix_objects,
    rest_matrix::{declared, furnished, is_told_by_another, name, request, writes},
};
use end_to_end::{World, reply::Reply};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use standalone::routes::Route;
use std::collections::BTreeSet;

/// Who asks every route.
const ASKING: [&str; 7] = ["anonymous", "self", "viewer", "member", "manager", "client", "admin"];

const WHY: &str = "Ticket 12: a walk through all routes";

/// What is changed without a before and an after in the audit, and why.
const WITHOUT_BEFORE_AND_AFTER: [(&str, &str); 21] = [
    ("GET /fhir/r5/Group/{id}/{operation}", "an export changes nothing of anybody: the event names it"),
    ("POST /fhir/r5/Group/{id}/{operation}", "as above"),
    ("DELETE /fhir/r5/Group/{id}/{operation}/{job}", "as above"),
    ("POST /fhir/r5", "health data is not in the audit: the event has its ids"),
    ("POST /fhir/r5/", "as above"),
    ("POST /fhir/r5/Observation", "as above"),
    ("PUT /fhir/r5/Observation/{id}", "as above, and the versions stay"),
    ("POST /fhir/r5/{type}", "as above"),
    ("PUT /fhir/r5/{type}/{id}", "as above"),
    ("PATCH /fhir/r5/{type}/{id}", "as above"),
    ("DELETE /fhir/r5/{type}/{id}", "as above"),
    ("POST /fhir-import/R4", "as above"),
    ("POST /fhir-import/R4/{type}", "as above"),
    ("POST /api/v1/patients/{id}/consents", "the ledger keeps every decision, with the request's id"),
    ("PATCH /api/v1/patients/{id}/consents", "as above"),
    ("DELETE /api/v1/patients/{id}/consents", "as above"),
    (
        "PATCH /api/v1/patients/{id}/global_add_organization",
        "who belongs to the organization is not asked: audit_changes.rs has who is",
    ),
    ("POST /api/v1/patients/{id}/erasure", "the event names the erasure; what was there is forgotten"),
    ("DELETE /api/v1/users/sessions", "sessions and tokens are secrets; the event says whose ended"),
    ("DELETE /api/v1/users/{id}/sessions", "as above"),
    ("DELETE /api/v1/users/{id}/second-factor", "factors are secrets; the event says whose ended"),
];

/// What one request left in the audit.
#[derive(Debug, Default)]
struct Left {
    events: usize,
    changes: usize,
    refused: usize,
    with_values: i64,
    unmarked: usize,
    unexplained: usize,
    without_role: usize,
    people: BTreeSet<i64>,
}

async fn left_by(world: &World, reply: &Reply) -> Left {
    let request = reply.header("x-request-id");
    let rows = world
        .sql(&format!(
            "SELECT e.action, e.outcome, e.privileged, coalesce(e.reason, reason_of(e.id, e.occurred_at)) AS reason,
                    (SELECT count(*) FROM audit_change c WHERE c.event_id = e.id AND e.detail ? 'changed') AS changes,
                    e.actor_role IS NULL AND EXISTS (
                      SELECT FROM organization_member m JOIN practitioner p ON p.id = m.practitioner_id
                       WHERE p.user_id = e.actor_user_id AND m.organization_id = ANY (e.organization_ids)) AS lacks_role,
                    ARRAY(SELECT unnest(e.patient_ids)
                          UNION SELECT jsonb_path_query(e.detail, '$.users[*]')::int WHERE jsonb_typeof(e.detail->'users') = 'array'
                          UNION SELECT p.id FROM practitioner p WHERE e.detail->'users' @> to_jsonb(p.user_id)
                          UNION SELECT (e.detail->>'user')::int WHERE e.detail ? 'user'
                          UNION SELECT p.id FROM practitioner p WHERE p.user_id = (e.detail->>'user')::int
                          UNION SELECT p.user_id FROM patient p WHERE p.id = ANY (e.patient_ids)) AS people
               FROM audit_event e WHERE e.request_id = '{request}'"
        ))
        .await;
    let mut left = Left::default();
    for row in &rows {
        let (action, outcome): (&str, &str) = (row.get("action"), row.get("outcome"));
        left.events += 1;
        left.changes += usize::from(!["read", "search"].contains(&action));
        left.refused += usize::from(outcome != "allowed");
        left.with_values += row.get::<_, i64>("changes");
        left.unmarked += usize::from(!row.get::<_, bool>("privileged"));
        left.unexplained += usize::from(row.get::<_, Option<&str>>("reason") != Some(WHY));
        left.without_role += usize::from(row.get::<_, bool>("lacks_role"));
        left.people.extend(row.get::<_, Vec<Option<i32>>>("people").into_iter().flatten().map(i64::from));
    }
    left
}

/// The people in an answer: accounts, patients and practitioners, by their numbers.
fn people(value: &Value, found: &mut BTreeSet<i64>) {
    let number = |value: &Value| value.as_i64().or_else(|| value.as_str()?.parse().ok());
    if let Some(members) = value.as_object() {
        let is_person = ["email", "telecomEmail", "birthDate"].iter().any(|name| members.contains_key(*name))
            // An event of the audit has the type of what it is of.
            || members.get("resourceType").is_some_and(|kind| kind == "Patient" || kind == "Practitioner")
                && !members.contains_key("occurredAt");
        let named = ["patientId", "jheUserId"].iter().filter_map(|name| members.get(*name));
        found.extend(named.chain(members.get("id").filter(|_| is_person)).filter_map(number));
    }
    let inner = value.as_object().into_iter().flat_map(|members| members.values());
    inner.chain(value.as_array().into_iter().flatten()).for_each(|inner| people(inner, found));
}

/// A body that changes something, where that of the matrix leaves everything as it is.
fn otherwise(route: &Route) -> Option<Value> {
    Some(match name(route).as_str() {
        "PATCH /api/v1/users/{id}" => json!({ "firstName": "Otherwise" }),
        "PATCH /api/v1/practitioners/{id}" => json!({ "nameFamily": "Otherwise" }),
        "PATCH /api/v1/patients/{id}" => json!({ "telecomPhone": "+1-555-0100" }),
        "PATCH /api/v1/organizations/{id}"
        | "PATCH /api/v1/clients/{id}"
        | "PATCH /api/v1/data_sources/{id}"
        | "PATCH /api/v1/studies/{id}" => json!({ "name": "Otherwise" }),
        "POST /api/v1/organizations/{id}/user" => {
            json!({ "jheUserId": 10005, "organizationPartitionerRole": "member" })
        }
        "POST /api/v1/studies/{id}/patients" => json!({ "patientIds": [40004] }),
        "DELETE /api/v1/studies/{id}/patients" => json!({ "patientIds": [40001] }),
        _ => return None,
    })
}

/// What a walk found: what is wrong, which routes changed something, and of which of these the audit has before and after.
#[derive(Debug, Default)]
struct Walk {
    problems: Vec<String>,
    changed: BTreeSet<String>,
    with_values: BTreeSet<String>,
}

impl Walk {
    /// Judges what a request left.
    fn judge(&mut self, route: &Route, caller: &Caller, reply: &Reply, left: &Left) {
        let route_name = name(route);
        let status = reply.status.as_u16();
        let is_api = route.path.starts_with("/api/v1/") || route.path.to_lowercase().starts_with("/fhir");
        if !is_api || PUBLIC.iter().any(|(public, _)| *public == route_name) {
            return;
        }
        let (is_known, is_admin, succeeded) = (caller.token.is_some(), caller.name == "admin", status < 400);
        let mut shown = BTreeSet::new();
        if succeeded {
            people(&serde_json::from_str(&reply.text).unwrap_or_default(), &mut shown);
        }
        let unseen: Vec<_> = shown.difference(&left.people).filter(|id| !caller_is(caller, **id)).collect();
        let changed = succeeded && writes(route);
        let refused = writes(route) && (400..500).contains(&status) || [403, 404].contains(&status);
        let problems = [
            (changed && left.changes == 0, "a change without a record"),
            (is_known && refused && left.refused == 0, "refused without a record"),
            (!is_known && left.events > 0, "anybody can fill the audit"),
            (is_admin && left.events == 0, "a super admin's request without a record"),
            (is_admin && left.unmarked > 0, "a super admin's request that is not marked privileged"),
            (is_admin && left.unexplained > 0, "a super admin's reason is not in the record"),
            (left.without_role > 0, "a record without the role in the organization"),
            (!unseen.is_empty(), "people were shown who are not in the record"),
        ];
        let what = format!("{route_name} by {}: {status}", caller.name);
        let found = problems.into_iter().filter(|(is_so, _)| *is_so);
        self.problems.extend(found.map(|(_, problem)| format!("{what}: {problem} {unseen:?}")));
        self.changed.extend(changed.then(|| route_name.clone()));
        self.with_values.extend((left.with_values > 0).then_some(route_name));
    }
}

/// Whether this is the caller: nobody's own record needs to name them twice.
fn caller_is(caller: &Caller, id: i64) -> bool {
    match caller.name {
        "self" => [10006, 40001],
        "viewer" => [10004, 80004],
        "member" | "client" => [10003, 80003],
        "manager" => [10002, 80002],
        _ => [10001, 80001],
    }
    .contains(&id)
}

/// Walks all routes as one caller.
async fn walk(asking: &'static str) -> Walk {
    let world = furnished().await;
    world.sql("INSERT INTO patient_organization (patient_id, organization_id) VALUES (40004, 20003)").await;
    let caller = callers(&world).await.into_iter().find(|caller| caller.name == asking).expect("a caller");
    world.remember().await;
    let all = declared();
    let mut walk = Walk::default();
    for route in all.iter().filter(|route| !is_told_by_another(route, &all)) {
        for whose in [Whose::Own, Whose::Other] {
            if let Some(statements) = matrix_objects::statements(&name(route)) {
                world.as_owner().await.batch_execute(&whose.of(statements)).await.expect("an object");
            }
            // In the place of one that the request has.
            let why = HeaderMap::from_iter([(HeaderName::from_static("x-jhe-reason"), HeaderValue::from_static(WHY))]);
            let mut request = request(&world, route, whose, &caller).headers(why);
            if let Some(body) = otherwise(route) {
                request = request.json(&body);
            } else if route.path == "/api/v1/patients/import" {
                request = request.body("telecomEmail,nameFamily,nameGiven,birthDate\nnew@example.com,F,G,1990-01-01\n");
            }
            let reply = Reply::to(request).await;
            walk.judge(route, &caller, &reply, &left_by(&world, &reply).await);
            let has_object = matrix_objects::statements(&name(route)).is_some();
            if has_object || writes(route) && reply.status.as_u16() < 400 {
                world.restore().await;
            }
        }
    }
    walk
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_records_what_it_did_and_whom_it_showed() {
    let mut found = Walk::default();
    let walks: Vec<_> = ASKING.into_iter().map(|asking| tokio::spawn(walk(asking))).collect();
    for walk in walks {
        let walk = walk.await.expect("a walk");
        found.problems.extend(walk.problems);
        found.changed.extend(walk.changed);
        found.with_values.extend(walk.with_values);
    }
    let keeps_none: BTreeSet<String> = WITHOUT_BEFORE_AND_AFTER.iter().map(|(route, _)| (*route).to_owned()).collect();
    let bare: Vec<_> =
        found.changed.difference(&found.with_values).filter(|route| !keeps_none.contains(*route)).collect();
    let needless: Vec<_> = keeps_none.intersection(&found.with_values).collect();
    assert!(found.problems.is_empty(), "{} problems:\n{}", found.problems.len(), found.problems.join("\n"));
    assert!(bare.is_empty(), "changed without what was before and after: {bare:?}");
    assert!(needless.is_empty(), "exceptions that are none: {needless:?}");
}

/// A user, a method, a path and a header; the status, and the outcome, the reason, the role, the studies and the detail of the
/// only record.
type Leftover<'a> =
    (&'a str, &'a str, &'a str, (&'a str, &'a str), u16, (&'a str, Option<&'a str>, Option<&'a str>, &'a [i32], Value));

#[tokio::test]
async fn what_no_statement_records_is_recorded_once_with_what_the_path_names() {
    let world = World::new().await;
    let none = ("x-unknown", "1");
    let cases: [Leftover<'_>; 7] = [
        (
            "admin",
            "GET",
            "/api/v1/clients/1",
            none,
            200,
            ("allowed", None, None, &[], json!({ "function": "clients-read", "status": 200, "id": 1 })),
        ),
        (
            "admin",
            "GET",
            "/api/v1/studies/30004",
            none,
            200,
            ("allowed", None, None, &[30004], json!({ "function": "studies-read", "status": 200, "id": 30004 })),
        ),
        (
            "admin",
            "GET",
            "/api/v1/clients/99",
            none,
            404,
            ("denied", Some("not_found"), None, &[], json!({ "function": "clients-read", "status": 404 })),
        ),
        (
            "manager_mary",
            "PATCH",
            "/api/v1/studies/30001",
            ("if-match", "\"1\""),
            412,
            (
                "failed",
                Some("invalid"),
                Some("manager"),
                &[30001],
                json!({ "function": "studies-manage", "status": 412, "id": 30001 }),
            ),
        ),
        (
            "manager_mary",
            "PATCH",
            "/api/v1/studies/30001",
            ("content-type", "text/plain"),
            415,
            (
                "failed",
                Some("invalid"),
                Some("manager"),
                &[30001],
                json!({ "function": "studies-manage", "status": 415, "id": 30001 }),
            ),
        ),
        (
            "viewer_victor",
            "GET",
            "/api/v1/data_sources/79999",
            none,
            404,
            ("denied", Some("not_found"), None, &[], json!({ "function": "data-sources-read", "status": 404 })),
        ),
        ("viewer_victor", "PATCH", "/api/v1/users/profile", none, 405, ("", None, None, &[], Value::Null)),
    ];
    for (user, method, path, (header, value), status, (outcome, refused_by, role, studies, detail)) in cases {
        let method: reqwest::Method = method.parse().expect("a method");
        let mut request = world.request(user, method, path).header(header, value);
        if header == "if-match" {
            request = request.json(&json!({ "name": "Otherwise" }));
        }
        let end = world.audit_end().await;
        let reply = Reply::to(request).await;
        assert_eq!(reply.status.as_u16(), status, "{user} {path}: {}", reply.text);
        let rows = world.sql(&format!("SELECT detail::text FROM audit_event WHERE id > {end}")).await;
        let events = world.audit_after(end).await;
        let [event] = events.as_slice() else {
            assert_eq!((events.len(), outcome), (0, ""), "{user} {path}: no function was called");
            continue;
        };
        let kept: Value = serde_json::from_str(rows[0].get(0)).expect("JSON");
        assert_eq!((event.outcome.as_str(), event.refused_by.as_deref()), (outcome, refused_by), "{user} {path}");
        assert_eq!((event.role.as_deref(), event.studies.as_slice(), &kept), (role, studies, &detail), "{user} {path}");
        assert_eq!(event.privileged, user == "admin", "{user} {path}");
    }
}
