//! How many statements a request takes. It does not depend on how much there is: nothing is asked for row by row.

use crate::rest_matrix::{declared, path};
use end_to_end::{World, answer, point};
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fmt::Write as _};

/// Who asks: each kind of reader has statements of its own.
const READERS: [&str; 3] = ["manager_mary", "ll_patient_peter", "admin"];

/// The most that what is read takes, token check included. A page with its count is two statements in one round trip.
const MOST: i64 = 3;

/// What a super admin asks takes one more: whether it is on record.
fn most(what: &str) -> i64 {
    if what.starts_with("admin") { MOST + 1 } else { MOST }
}

/// How many statements the functions have sent. A pooler sets the parameters of its clients on each connection that it opens, which it
/// does when it likes; the functions send no such statement (`pinning.rs`).
async fn sent(world: &World) -> i64 {
    world
        .count(
            "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid
              WHERE s.toplevel AND NOT r.rolsuper AND s.query !~* '^(set|reset|discard) '
                AND s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())",
        )
        .await
}

/// How many statements each route of `GET` takes, for each reader that may use it.
async fn counted(world: &World) -> BTreeMap<String, i64> {
    let mut counts = BTreeMap::new();
    for route in declared().into_iter().filter(|route| route.method == "GET") {
        for reader in READERS {
            let before = sent(world).await;
            let reply = world.request(reader, Method::GET, &path(&route)).send().await.expect("an answer");
            if reply.status().is_success() {
                counts.insert(format!("{reader} GET {}", route.path), sent(world).await - before);
            }
        }
    }
    counts
}

async fn make(world: &World, user: &str, path: &str, body: Value) -> i64 {
    let (status, made) = world.post(user, path, &body).await;
    assert!(status.is_success(), "{path}: {status} {made}");
    made["id"].as_i64().unwrap_or_default()
}

/// Makes several more of everything that lists show.
async fn grow(world: &World) {
    for number in 0..6 {
        let organization = json!({ "name": format!("Part {number}"), "type": "team", "partOf": 20003 });
        let organization = make(world, "manager_mary", "/api/v1/organizations", organization).await;
        for member in [10005, 10006] {
            let role = json!({ "jheUserId": member, "organizationPartitionerRole": "viewer" });
            world.post("manager_mary", &format!("/api/v1/organizations/{organization}/user"), &role).await;
        }
        let study = json!({ "name": format!("Study {number}"), "description": "D", "organization": 20003 });
        let study = make(world, "manager_mary", "/api/v1/studies", study).await;
        for (part, body) in [
            ("scope_requests", json!({ "scopeCodeId": 50001 + number })),
            ("data_sources", json!({ "dataSourceId": 70001 })),
            ("clients", json!({ "clientId": 1 })),
            ("patients", json!({ "patientIds": [40001, 40002] })),
        ] {
            make(world, "manager_mary", &format!("/api/v1/studies/{study}/{part}"), body).await;
        }
        make(world, "manager_mary", "/api/v1/invitation", json!({ "patientId": 40001, "client_id": 1 })).await;
        make(world, "manager_mary", "/api/v1/practitioner_clients", json!({ "label": format!("n{number}") })).await;
        make(
            world,
            "admin",
            "/api/v1/data_sources",
            json!({ "name": format!("d{number}"), "type": "personal_device" }),
        )
        .await;
        let setting = json!({ "key": format!("k{number}"), "valueType": "string", "value": "v" });
        make(world, "admin", "/api/v1/jhe_settings", setting).await;
        let user = json!({ "email": format!("u{number}@example.com"), "firstName": "F", "lastName": "L", "userType": "practitioner" });
        make(world, "admin", "/api/v1/users", user).await;
        let body = point::heart_rate(60 + number, "2026-02-01T08:00:00Z");
        let observation = point::observation(40001, 70001, &body, &format!("o{number}"));
        make(world, "ll_patient_peter", "/FHIR/R5/Observation", observation).await;
        world.decide("ll_patient_peter", 40001, 30001, "omh:heart-rate:2.0", number % 2 == 1).await;
    }
    let mut rows = "telecomEmail,nameFamily,nameGiven,birthDate\n".to_owned();
    for number in 0..30 {
        let _ = writeln!(rows, "p{number}@example.com,F{number},G,1990-01-01");
    }
    let import = world
        .request("manager_mary", Method::POST, "/api/v1/patients/import?organization_id=20003")
        .header(header::CONTENT_TYPE, "text/csv")
        .body(rows);
    assert_eq!(answer(import).await.0, StatusCode::OK);
}

#[tokio::test]
async fn what_is_read_takes_as_few_statements_however_much_there_is() {
    let world = World::new().await;
    world.sql("CREATE EXTENSION pg_stat_statements").await;
    world.sql(&format!("ALTER DATABASE {} SET pg_stat_statements.track = 'top'", world.database)).await;
    // The connections are there, with what is said on a new one: statements of the driver and of a pooler.
    counted(&world).await;
    let few = counted(&world).await;
    assert!(few.len() > 80, "{few:?}");
    grow(&world).await;
    let many = counted(&world).await;
    let dependent: Vec<_> = few
        .iter()
        .filter_map(|(what, before)| many.get(what).filter(|after| *after != before).map(|after| (what, before, after)))
        .collect();
    assert!(dependent.is_empty(), "the number of statements depends on how much there is: {dependent:?}");
    let costly: Vec<_> =
        many.iter().filter(|(what, count)| **count > most(what) && !what.contains("/accounts/")).collect();
    assert!(costly.is_empty(), "more than {MOST} statements, or {} of a super admin: {costly:?}", MOST + 1);
}
