//! The audit as managers read that of their organization, and super admins all of it.

use end_to_end::{World, keys, reply::Reply};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const LAB: &str = "/api/v1/organizations/20003/audit-events";
const ALL: &str = "/api/v1/audit-events";

/// The rows that somebody gets.
async fn rows(world: &World, user: &str, path: &str) -> Vec<Value> {
    let (status, page) = world.get(user, path).await;
    assert_eq!(status, StatusCode::OK, "{user} {path}: {page}");
    page["results"].as_array().expect("rows").clone()
}

/// Writes an event, as its owner.
async fn event(
    world: &World,
    organizations: &str,
    studies: &str,
    patients: &str,
    observations: &str,
    actor: i32,
) -> i64 {
    let kind = if actor > 10_005 { "patient" } else { "practitioner" };
    world
        .count(&format!(
            "INSERT INTO audit_event (request_id, session, actor_user_id, actor_type, action, resource_type, organization_ids, study_ids,
                                      patient_ids, observation_ids, outcome, privileged, source_address, reason, detail)
             VALUES ('both', 'grant:1', {actor}, '{kind}', 'search', 'Observation', '{{{organizations}}}', '{{{studies}}}', '{{{patients}}}',
                     '{{{observations}}}', 'allowed', false, '192.0.2.7', 'why', '{{\"function\": \"f\"}}') RETURNING id"
        ))
        .await
}

#[tokio::test]
async fn a_manager_reads_who_did_what_in_the_organization_and_nobody_below_does() {
    let world = World::new().await;
    world.get("viewer_victor", "/FHIR/R5/Observation?patient=40001").await;
    let row = rows(&world, "manager_mary", &format!("{LAB}?action=search&pageSize=1")).await.remove(0);
    assert_eq!(row["actor"]["email"], "viewer_victor@example.com");
    assert_eq!((&row["role"], &row["patientIds"]), (&json!("viewer"), &json!([40001])));
    assert_eq!(row["observationIds"].as_array().expect("ids").len(), 2);
    assert_eq!((&row["session"], &row["detail"], &row["subjectUserId"]), (&Value::Null, &Value::Null, &Value::Null));
    assert!(row["sourceAddress"].is_string() && row["requestId"].is_string());
    for (user, status, layer) in [
        ("viewer_victor", StatusCode::FORBIDDEN, "role"),
        ("member_megan", StatusCode::FORBIDDEN, "role"),
        ("manager_mark", StatusCode::NOT_FOUND, "organization"),
        ("ll_patient_peter", StatusCode::FORBIDDEN, "user_type"),
    ] {
        let end = world.audit_end().await;
        assert_eq!(world.get(user, LAB).await.0, status, "{user}");
        let events = world.audit_after(end).await;
        let [event] = events.as_slice() else { panic!("{user}: {events:?}") };
        assert_eq!((event.outcome.as_str(), event.refused_by.as_deref()), ("denied", Some(layer)), "{user}");
    }
    assert_eq!(world.get("manager_mary", "/api/v1/organizations/29999/audit-events").await.0, StatusCode::NOT_FOUND);
    assert_eq!(world.get("admin", "/api/v1/organizations/29999/audit-events").await.0, StatusCode::NOT_FOUND);
    assert_eq!(world.get("manager_mary", "/api/v1/organizations/20008/audit-events").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn of_an_event_that_is_of_other_organizations_too_nothing_of_theirs_is_shown_or_found() {
    let world = World::new().await;
    let other =
        world.count("SELECT organization_id::int8 FROM study WHERE organization_id <> 20003 ORDER BY id LIMIT 1").await;
    let study =
        world.count(&format!("SELECT id::int8 FROM study WHERE organization_id = {other} ORDER BY id LIMIT 1")).await;
    // Percy is a patient of another organization alone.
    let percy = world
        .sql("SELECT p.id, p.user_id FROM patient p JOIN app_user u ON u.id = p.user_id WHERE u.email = 'npl_patient_percy@example.com'")
        .await;
    let (percy, account): (i32, i32) = (percy[0].get(0), percy[0].get(1));
    assert_eq!(
        world
            .count(&format!(
                "SELECT count(*) FROM patient_organization WHERE patient_id = {percy} AND organization_id = 20003"
            ))
            .await,
        0
    );
    let theirs = world.count(&format!("SELECT coalesce(min(id), 0) FROM observation WHERE patient_id = {percy}")).await;
    let patients = format!("40001,{percy}");
    // What Peter has granted to no study of the lab's.
    let kept = world
        .count(
            "INSERT INTO observation (patient_id, scope_id, data_source_id, status, last_updated, effective_start, effective_end, content)
             SELECT 40001, min(s.id), 70001, 'final', now(), now(), now(), '{}' FROM scope s
              WHERE s.id NOT IN (SELECT scope_id FROM consent_event WHERE patient_id = 40001 AND decision = 'granted') RETURNING id",
        )
        .await;
    let id = event(
        &world,
        &format!("20003,{other}"),
        &format!("30001,{study}"),
        &patients,
        &format!("60001,{kept},{theirs}"),
        10004,
    )
    .await;
    let by_patient = event(&world, &format!("20003,{other}"), "", &patients, "60001", account).await;

    let all = rows(&world, "manager_mary", &format!("{LAB}?pageSize=1000")).await;
    let row = |id: i64| all.iter().find(|row| row["id"] == id).expect("the event");
    let shown = row(id);
    assert_eq!(shown["patientIds"], json!([40001]));
    assert_eq!(shown["observationIds"], json!(["60001"]));
    assert_eq!(shown["organizations"], json!([{ "id": 20003, "name": "Lifespan Lab" }]));
    assert_eq!(shown["studies"].as_array().expect("studies").len(), 1);
    assert_eq!((&row(by_patient)["actor"], &row(by_patient)["reason"]), (&Value::Null, &Value::Null));
    assert_eq!(row(by_patient)["sourceAddress"], Value::Null);
    // Nor is Peter told of the other patient's organization and study.
    let own = rows(&world, "ll_patient_peter", "/api/v1/patients/me/access-log?pageSize=1000").await;
    let own = own.iter().find(|row| row["id"] == id).expect("the event");
    assert_eq!((&own["studies"][0]["id"], own["studies"].as_array().map(Vec::len)), (&json!(30001), Some(1)), "{own}");
    assert_eq!(own["organizations"], json!([{ "id": 20003, "name": "Lifespan Lab" }]));
    assert_eq!(own["observationIds"], json!(["60001", kept.to_string()]));
    let text = all.iter().map(Value::to_string).collect::<String>();
    for hidden in
        [percy.to_string(), "npl_patient_percy".to_owned(), format!("\"id\":{other}"), format!("\"id\":{study}")]
    {
        assert!(!text.contains(&hidden), "{hidden}");
    }
    for filter in [format!("patient={percy}"), format!("actor={account}"), format!("study={study}")] {
        let found = if filter.starts_with("organization") {
            // Not a filter of this list by name, but it must not become one that tells.
            rows(&world, "manager_mary", &format!("{LAB}?{filter}&actor=10004&patient=40001")).await
        } else {
            rows(&world, "manager_mary", &format!("{LAB}?{filter}")).await
        };
        assert!(found.iter().all(|row| row["id"] != id && row["id"] != by_patient), "{filter}");
    }
    // As the second organization of an event, it is found too.
    let numbers: BTreeSet<i64> =
        rows(&world, "admin", &format!("/api/v1/organizations/{other}/audit-events?pageSize=1000"))
            .await
            .iter()
            .filter_map(|row| row["id"].as_i64())
            .collect();
    assert!(numbers.contains(&id) && numbers.contains(&by_patient), "{numbers:?}");
}

#[tokio::test]
async fn events_of_other_organizations_are_not_in_the_list() {
    let world = World::new().await;
    let other = event(&world, "20008", "", "40001", "", 10004).await;
    let none = event(&world, "", "", "40001", "", 10004).await;
    let found = rows(&world, "manager_mary", &format!("{LAB}?pageSize=1000")).await;
    assert!(found.iter().all(|row| row["id"] != other && row["id"] != none));
}

/// What is true of a row.
type Holds = fn(&Value) -> bool;

#[tokio::test]
async fn every_filter_finds_what_it_says_and_nothing_else() {
    let world = World::new().await;
    world.get("viewer_victor", "/FHIR/R5/Observation?patient=40001").await;
    world.get("viewer_victor", "/FHIR/R5/Patient/40002").await;
    world.get("admin", "/FHIR/R5/Observation/60001").await;
    world.send("viewer_victor", Method::DELETE, "/api/v1/studies/30001", &Value::Null).await;
    world.post("ll_patient_peter", "/FHIR/R5/Observation", &json!({})).await;
    let now = jiff::Timestamp::now();
    let (past, future) = (now - jiff::SignedDuration::from_hours(1), now + jiff::SignedDuration::from_hours(1));
    let cases: [(String, Holds); 10] = [
        ("actor=10004".to_owned(), |row| row["actor"]["id"] == 10004),
        ("patient=40002".to_owned(), |row| row["patientIds"].as_array().is_some_and(|ids| ids.contains(&json!(40002)))),
        ("study=30001".to_owned(), |row| row["studies"][0]["id"] == 30001),
        ("organization=20003".to_owned(), |row| {
            row["organizations"].as_array().is_some_and(|all| all.iter().any(|one| one["id"] == 20003))
        }),
        ("action=read".to_owned(), |row| row["action"] == "read"),
        ("outcome=denied".to_owned(), |row| row["outcome"] == "denied"),
        ("outcome=failed".to_owned(), |row| row["outcome"] == "failed"),
        ("privileged=true".to_owned(), |row| row["privileged"] == true && row["actorType"] == "super_admin"),
        ("privileged=false".to_owned(), |row| row["privileged"] == false),
        (format!("from={past}&to={future}"), |row| row["occurredAt"].is_string()),
    ];
    for (filter, holds) in cases {
        let found = rows(&world, "admin", &format!("{ALL}?pageSize=1000&{filter}")).await;
        assert!(!found.is_empty(), "{filter}");
        let wrong: Vec<&Value> = found.iter().filter(|row| !holds(row)).collect();
        assert!(wrong.is_empty(), "{filter}: {wrong:?}");
    }
    for nothing in [
        format!("from={future}"),
        format!("to={}", now - jiff::SignedDuration::from_hours(900_000)),
        "actor=1".to_owned(),
    ] {
        assert_eq!(rows(&world, "admin", &format!("{ALL}?{nothing}")).await.len(), 0, "{nothing}");
    }
    let all = rows(&world, "admin", &format!("{ALL}?pageSize=1&actor=10004")).await;
    let empty = "pageSize=1&actor=10004&patient=&study=&action=&outcome=&privileged=&from=&to=";
    assert_eq!(
        rows(&world, "admin", &format!("{ALL}?{empty}&organization=&subject=&source_address=&finding=")).await,
        all
    );
    assert_eq!(rows(&world, "manager_mary", &format!("{LAB}?{empty}&_format=")).await[0]["actor"], all[0]["actor"]);
    for bad in ["actor=x", "patient=x", "action=look", "outcome=maybe", "privileged=1", "from=yesterday", "_format=pdf"]
    {
        assert_eq!(world.get("admin", &format!("{ALL}?{bad}")).await.0, StatusCode::BAD_REQUEST, "{bad}");
        assert_eq!(world.get("manager_mary", &format!("{LAB}?{bad}")).await.0, StatusCode::BAD_REQUEST, "{bad}");
    }
}

#[tokio::test]
async fn only_super_admins_read_all_and_each_reading_is_recorded_as_privileged() {
    let world = World::new().await;
    for user in ["viewer_victor", "manager_mary", "ll_patient_peter"] {
        assert_eq!(world.get(user, ALL).await.0, StatusCode::FORBIDDEN, "{user}");
    }
    let end = world.audit_end().await;
    let row = rows(&world, "admin", &format!("{ALL}?patient=40001&privileged=false&pageSize=1")).await.remove(0);
    assert_eq!(
        keys(&row),
        BTreeSet::from([
            "action",
            "actor",
            "actorType",
            "client",
            "detail",
            "id",
            "observationIds",
            "occurredAt",
            "onBehalfOf",
            "organizations",
            "outcome",
            "patientIds",
            "privileged",
            "reason",
            "refusedBy",
            "requestId",
            "resourceType",
            "role",
            "session",
            "sourceAddress",
            "studies",
            "subjectUserId",
        ])
    );
    let events = world.audit_after(end).await;
    let [event] = events.as_slice() else { panic!("{events:?}") };
    assert!(event.privileged && event.resource_type == "AuditEvent" && event.action == "search", "{event:?}");
    assert_eq!(event.patients, [40001], "whose events were looked for");
    let end = world.audit_end().await;
    rows(&world, "manager_mary", LAB).await;
    let events = world.audit_after(end).await;
    let [event] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(
        (event.organizations.as_slice(), event.role.as_deref(), event.privileged),
        ([20003].as_slice(), Some("manager"), false)
    );
}

#[tokio::test]
async fn pages_follow_each_other_without_gaps_though_many_events_have_one_time() {
    let world = World::new().await;
    world
        .sql(
            "INSERT INTO audit_event (occurred_at, request_id, actor_type, action, resource_type, organization_ids, study_ids, patient_ids,
                                      observation_ids, outcome, privileged)
             SELECT date_trunc('hour', clock_timestamp()) - interval '1 day' * (n / 10), 'r', 'system', 'read', 'Device', '{20003}', '{}', '{}', '{}', 'allowed', false
               FROM generate_series(0, 44) n",
        )
        .await;
    let mut seen = Vec::new();
    let mut path = format!("{LAB}?pageSize=7&action=read&from=2020-01-01T00:00:00Z");
    loop {
        let (status, page) = world.get("manager_mary", &path).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        seen.extend(page["results"].as_array().expect("rows").iter().map(|row| row["id"].as_i64().expect("a number")));
        // While somebody follows links, the page of a number has other rows.
        assert_eq!(page["previous"], Value::Null, "{page}");
        let Some(next) = page["next"].as_str() else { break };
        path = next.strip_prefix(world.base.as_str()).expect("of this site").to_owned();
        assert_eq!(world.get("admin", &path).await.0, StatusCode::BAD_REQUEST, "a link is of who got it");
    }
    let all: Vec<i64> = world
        .sql("SELECT id FROM audit_event WHERE organization_ids @> '{20003}' AND action = 'read' ORDER BY occurred_at DESC, id DESC")
        .await
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert!(all.len() >= 45);
    assert_eq!(seen, all);
    let (_, page) = world.get("manager_mary", &format!("{LAB}?pageSize=7&page=2")).await;
    assert!(page["previous"].as_str().is_some_and(|link| link.ends_with("page=1")), "by its number it has one: {page}");
}

#[tokio::test]
async fn a_table_holds_no_formula() {
    let world = World::new().await;
    world.sql("UPDATE app_user SET first_name = '=HYPERLINK(1)' WHERE id = 10004 RETURNING 1").await;
    world.get("viewer_victor", "/FHIR/R5/Observation/60001").await;
    let reply = Reply::to(world.request("manager_mary", Method::GET, LAB).header("accept", "text/csv")).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert!(reply.text.contains("\"'=HYPERLINK(1) Rosales <viewer_victor@example.com>\""), "{}", reply.text);
}
