//! Who may call what: every declared route and every kind of caller, compared with `matrix.txt`.
//!
//! A cell is the status; for a list also how many rows it has, for a batch also the status of its entry. After a change
//! that is wanted, `UPDATE_MATRIX=1 make test` writes the file anew, and the review sees the difference.

use crate::{
    hostile::PUBLIC,
    matrix_callers::{CALLERS, Caller, Whose, callers, uploaded},
    matrix_objects::{self, Way},
    pinning,
};
use end_to_end::{World, point, reply::Reply};
use reqwest::{Method, RequestBuilder, header};
use serde_json::{Value, json};
use standalone::routes::{self, Route};
use std::{collections::BTreeSet, fmt::Write as _, path::PathBuf};

/// What a reader of the file has to know.
const HEADER: &str = "\
# A cell is the status; after a colon how many rows a list has, after a slash the status of a batch's entry.
# `own` asks for what is Peter's or the Lifespan Lab's, `other` for what is Percy's or the Pulse Lab's.
# Patients are shown their own observations and resources, whoever their search names: the rows of `self`, `self-obs`, `patient` and
# `outsider` are each their own in both lines, and never Percy's (`a_patient_who_names_another_finds_only_their_own`).
# (again): under an id of its source that a resource there has, which makes it a change.
";

/// Every route but those of `OPTIONS`.
pub fn declared() -> Vec<Route> {
    let (mut routes, _) = routes::declared().expect("the template");
    // `OPTIONS` of every path is the subject of `cors.rs`.
    routes.retain(|route| route.path != "/{proxy+}");
    // What reads comes first, so that nothing written before changes what it shows; what ends everybody's access last.
    let ends_all = |route: &Route| route.path == "/api/v1/users/sessions";
    routes.sort_by_key(|route| (ends_all(route), writes(route), route.path.clone(), route.method.clone()));
    routes
}

/// Whether a route changes something.
pub fn writes(route: &Route) -> bool {
    asks_for_export(route) || route.method != "GET" && !route.path.ends_with("/_search")
}

/// Whether an export is asked for, by either method.
fn asks_for_export(route: &Route) -> bool {
    name(route).ends_with(" /fhir/r5/Group/{id}/{operation}")
}

/// A route with FHIR's base in one spelling.
pub fn name(route: &Route) -> String {
    format!("{} {}", route.method, route.path.replace("/FHIR/R5", "/fhir/r5"))
}

fn is_public(route: &Route) -> bool {
    PUBLIC.iter().any(|(public, _)| *public == name(route))
}

/// The path with Peter's data in it, and the parameters that the route needs.
pub fn path(route: &Route) -> String {
    let under = |base: &str| route.path.starts_with(base);
    if let Some(path) = matrix_objects::path(&name(route)).or_else(|| path_of_people(&name(route))) {
        return path.to_owned();
    }
    let id = match route.path.split('/').rev().nth(usize::from(route.path.ends_with('}'))) {
        _ if under("/api/v1/studies") => "30001",
        _ if under("/api/v1/clients/{id}/") => "1",
        // What is deleted is needed by nobody.
        _ if name(route) == "DELETE /api/v1/data_sources/{id}" => "70006",
        _ if under("/api/v1/data_sources") => "70001",
        _ if under("/fhir/r5/Observation/{id}/") || under("/FHIR/R5/Observation/{id}/") => "60001",
        Some("Observation") => "60001",
        Some("Consent") => "1",
        // What is read is the one that can be invited; what is deleted is needed by nobody.
        Some("clients") => {
            if route.method == "DELETE" {
                "2"
            } else {
                "1"
            }
        }
        Some("Group") => "30001",
        _ if asks_for_export(route) => "30001",
        Some("Device") => "70001",
        Some("{type}") => "aaaaaaaa-0000-4000-8000-000000000001",
        // What is deleted has no resources.
        Some("fhir_sources") if route.method == "DELETE" => "90002",
        Some("fhir_sources") => "90001",
        Some("Organization" | "organizations") => "20003",
        // Who is ended is none of the callers.
        Some("users") if route.path.starts_with("/api/v1/users") => {
            if route.method == "DELETE" {
                "10009"
            } else {
                "10006"
            }
        }
        Some("practitioners") if route.method == "DELETE" => "80005",
        Some("Practitioner" | "practitioners") => "80004",
        Some("jhe_settings") => "2",
        _ if route.path.starts_with("/api/v1/organizations") => "20003",
        _ => "40001",
    };
    let path = route
        .path
        .replace("{id}", id)
        .replace("{invitation}", "101")
        .replace("{type}", "QuestionnaireResponse")
        .replace("{operation}", if asks_for_export(route) { "$export" } else { "$everything" })
        .replace("{version}", "1");
    match (route.method.as_str(), path.rsplit('/').next()) {
        ("GET", Some("AuditEvent" | "Observation" | "QuestionnaireResponse")) => format!("{path}?patient=40001"),
        ("GET", Some("global_lookup")) => format!("{path}?email=ll_patient_peter%40example.com"),
        ("GET", Some("search_by_email")) => format!("{path}?email=manager_mark%40example.com"),
        _ => path,
    }
}

/// The paths of patients and observations that need more than an id: what is asked for, or what is left to the others.
fn path_of_people(name: &str) -> Option<&'static str> {
    Some(match name {
        "GET /api/v1/observations" => "/api/v1/observations?patient_id=40001",
        "GET /api/v1/observations/{id}" => "/api/v1/observations/60001",
        "GET /api/v1/patients/imports" => "/api/v1/patients/imports?organization_id=20003",
        "POST /api/v1/patients/import" => "/api/v1/patients/import?organization_id=20003",
        // What the others read stays as it is.
        "PUT /fhir/r5/Observation/{id}" => "/FHIR/R5/Observation/60002",
        "PATCH /api/v1/patients/{id}/global_add_organization" => {
            "/api/v1/patients/40001/global_add_organization?organization_id=20003"
        }
        "DELETE /api/v1/patients/{id}" => "/api/v1/patients/40001?organization_id=20003",
        _ => return None,
    })
}

/// The request for what is somebody's.
pub fn request(world: &World, route: &Route, whose: Whose, caller: &Caller) -> RequestBuilder {
    let request = world.anonymous(route.method.parse().expect("a method"), &whose.of(&path(route)));
    let request = match &caller.token {
        None => request,
        Some(token) => request.bearer_auth(token),
    };
    let request = if asks_for_export(route) { request.header("prefer", "respond-async") } else { request };
    if route.path.ends_with("/_search") {
        return request.form(&[("patient", whose.of("40001"))]);
    }
    if route.path.ends_with("/import") {
        let row = "telecomEmail,nameFamily,nameGiven,birthDate\nll_patient_peter@example.com,F,G,1990-01-01\n";
        return request.header(header::CONTENT_TYPE, "text/csv").body(whose.of(row));
    }
    let request = if name(route) == "PUT /fhir/r5/Observation/{id}" { amending(request) } else { request };
    match body(route, Some(caller.sends_as())) {
        Some(body) => request.header(header::CONTENT_TYPE, "application/json").body(whose.of(&body.to_string())),
        None => request,
    }
}

/// With a reason, and as many versions as the callers before can have made.
pub fn amending(request: RequestBuilder) -> RequestBuilder {
    let tags: Vec<String> = (1..60).map(|version| format!("W/\"{version}\"")).collect();
    request.header(header::IF_MATCH, tags.join(", ")).header("x-jhe-reason", "The cuff was loose")
}

/// What a caller sends.
pub fn body(route: &Route, caller: Option<&str>) -> Option<Value> {
    let observation = || point::observation(40001, 70001, &uploaded(), "");
    let by_patient = caller.is_some_and(|user| user.contains("_patient_"));
    let route_name = name(route);
    Some(match route_name.as_str() {
        "POST /fhir/r5" | "POST /fhir/r5/" => point::bundle("batch", &[observation()]),
        "POST /fhir/r5/Observation" => observation(),
        "PUT /fhir/r5/Observation/{id}" => {
            let mut amended = observation();
            amended["id"] = json!("60002");
            amended["status"] = json!("corrected");
            amended["identifier"] = json!([{ "system": "https://demo.example/observation", "value": "demo-1" }]);
            amended
        }
        "POST /fhir/r5/{type}" | "POST /fhir-import/R4" | "POST /fhir-import/R4/{type}" => {
            matrix_objects::response(None)
        }
        "POST /fhir/r5/Group/{id}/{operation}" => json!({ "resourceType": "Parameters" }),
        "PUT /fhir/r5/{type}/{id}" => matrix_objects::response(Some("aaaaaaaa-0000-4000-8000-000000000001")),
        "PATCH /fhir/r5/{type}/{id}" => json!({ "status": "amended" }),
        "POST /api/v1/fhir_sources" => {
            json!({ "label": "l", "dataSource": 70001, "fhirBaseUrl": "https://e.example" })
        }
        "PATCH /api/v1/patients/me" => json!({ "telecomPhone": "+1 510 555 0100" }),
        "PATCH /api/v1/fhir_sources/{id}" => json!({ "label": "l" }),
        "POST /api/v1/invitation" => json!({ "patientId": 40001, "client_id": 1 }),
        "POST /api/v1/clients" => json!({ "name": "App", "grantTypes": ["authorization_code"], "scopes": ["openid"],
            "redirectUris": ["https://app.example/cb"] }),
        "POST /api/v1/practitioner_clients" => json!({ "label": "notebook" }),
        "POST /api/v1/patients" => json!({
            "organizationId": 20003, "telecomEmail": format!("by_{}@example.com", caller.unwrap_or_default()),
            "nameFamily": "F", "nameGiven": "G", "birthDate": "1990-01-01" }),
        "POST /api/v1/organizations" => json!({ "name": "New", "type": "team", "partOf": 20003 }),
        "PATCH /api/v1/organizations/{id}" => json!({ "name": "Lifespan Lab" }),
        "POST /api/v1/organizations/{id}/user" => {
            json!({ "jheUserId": 10005, "organizationPartitionerRole": "viewer" })
        }
        "DELETE /api/v1/organizations/{id}/remove_user" => json!({ "jheUserId": 10005 }),
        "POST /api/v1/users" => json!({ "email": format!("user_of_{}@example.com", caller.unwrap_or_default()),
            "firstName": "F", "lastName": "L", "userType": "practitioner" }),
        "PATCH /api/v1/users/{id}" => json!({ "firstName": "LlPatientPeter" }),
        "POST /api/v1/practitioners" => {
            json!({ "telecomEmail": format!("of_{}@example.com", caller.unwrap_or_default()),
            "nameFamily": "F", "nameGiven": "G" })
        }
        "PATCH /api/v1/practitioners/{id}" => json!({ "nameFamily": "Rosales" }),
        "POST /api/v1/jhe_settings" => json!({ "key": "k", "valueType": "string", "value": "v" }),
        "PATCH /api/v1/jhe_settings/{id}" => json!({ "value": "Exchange" }),
        "PATCH /api/v1/security-findings/{id}" => json!({ "status": "acknowledged" }),
        "PATCH /api/v1/retention"
        | "PATCH /api/v1/organizations/{id}/retention"
        | "PATCH /api/v1/studies/{id}/retention" => {
            json!({ "byAge": 4000 })
        }
        "POST /api/v1/organizations/{id}/legal-holds" => json!({ "reason": "An audit" }),
        "POST /api/v1/patients/{id}/erasure" => json!({ "authorizationReference": "Letter 7" }),
        "POST /api/v1/patients/me/erasure" => json!({ "confirmation": "what nobody was told" }),
        "POST /api/v1/studies" => json!({ "name": "N", "description": "D", "organization": 20003 }),
        "PATCH /api/v1/studies/{id}" => json!({ "name": "Lifespan Study on BP & HR" }),
        "POST /api/v1/studies/{id}/scope_requests" | "POST /api/v1/data_sources/{id}/supported_scopes" => {
            json!({ "scopeCodeId": 50001 })
        }
        "DELETE /api/v1/studies/{id}/scope_requests" => json!({ "scopeCodeId": 50011 }),
        "DELETE /api/v1/data_sources/{id}/supported_scopes" => json!({ "scopeCodeId": 50004 }),
        "POST /api/v1/studies/{id}/data_sources" | "POST /api/v1/clients/{id}/data_sources" => {
            json!({ "dataSourceId": 70002 })
        }
        "DELETE /api/v1/studies/{id}/data_sources" | "DELETE /api/v1/clients/{id}/data_sources" => {
            json!({ "dataSourceId": 70005 })
        }
        "POST /api/v1/studies/{id}/clients" => json!({ "clientId": 2 }),
        "DELETE /api/v1/studies/{id}/clients" => json!({ "clientId": 3 }),
        "POST /api/v1/data_sources/all_scopes" => {
            json!({ "codingSystem": "http://loinc.org", "codingCode": "8867-4", "text": "Heart rate" })
        }
        "POST /api/v1/data_sources" => json!({ "name": "n", "type": "personal_device" }),
        "PATCH /api/v1/clients/{id}" | "PATCH /api/v1/data_sources/{id}" => json!({ "name": "CareX" }),
        "PATCH /api/v1/patients/{id}" => json!({ "telecomPhone": "+1-157-915-3889" }),
        "POST /api/v1/studies/{id}/patients" => json!({ "patientIds": [40001] }),
        "DELETE /api/v1/studies/{id}/patients" => json!({ "patientIds": [40003] }),
        name if name.ends_with("/api/v1/patients/{id}/consents") && route.method != "GET" => {
            let mut body = json!({ "studyScopeConsents": [{ "studyId": 30002, "scopeConsents": [
                { "codingSystem": "https://w3id.org/openmhealth", "codingCode": "omh:blood-pressure:4.0", "consented": true }] }] });
            if !by_patient {
                body["authorizationReference"] = json!("Paper form 7");
            }
            body
        }
        _ => return None,
    })
}

fn cell(route: &Route, reply: &Reply) -> String {
    let status = reply.status.as_u16();
    if ["/access-log", "/audit-events", "/AuditEvent", "/AuditEvent/_search"]
        .iter()
        .any(|end| route.path.ends_with(end))
    {
        // It grows with the requests before it.
        return status.to_string();
    }
    let body: Value = serde_json::from_str(&reply.text).unwrap_or_default();
    if body["type"] == "batch-response" {
        let entry = body["entry"][0]["response"]["status"].as_str().unwrap_or_default();
        return format!("{status}/{}", entry.get(..3).unwrap_or_default());
    }
    let rows = if body["type"] == "searchset" {
        body["entry"].as_array().map_or(0, Vec::len)
    } else {
        match body["results"].as_array().or(body.as_array()) {
            Some(rows) => rows.len(),
            None => return status.to_string(),
        }
    };
    format!("{status}:{rows}")
}

/// The file that the matrix is compared with.
pub fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("e2e/matrix.txt")
}

/// Routes with FHIR's base in capitals stand for those in small letters too, which are the same functions.
pub fn is_told_by_another(route: &Route, all: &[Route]) -> bool {
    let capitals = route.path.replace("/fhir/r5", "/FHIR/R5");
    let twin =
        all.iter().find(|other| other.path == capitals && other.method == route.method && other.path != route.path);
    assert!(twin.is_none_or(|twin| twin.function == route.function), "{} is another function", route.path);
    twin.is_some()
}

/// A world in which there is something of every kind.
pub async fn furnished() -> World {
    let world = World::new().await;
    // Before the functions have connections: those that there are do not heed it.
    pinning::watch(&world).await;
    for statement in matrix_objects::AUXILIARY {
        world.sql(statement).await;
    }
    for (inviter, patient, id) in [("member_megan", 40001, 101), ("manager_mark", 40003, 102)] {
        let invitation = json!({ "patientId": patient, "client_id": 1 });
        assert_eq!(world.post(inviter, "/api/v1/invitation", &invitation).await.1["id"], id);
    }
    world
}

/// How routes are asked: each as it is and, where there is one, in another way; for what is the caller's own and for what is others'.
fn asked(routes: &[Route]) -> Vec<(&Route, Option<&'static Way>, Whose)> {
    let mut asked = Vec::new();
    for route in routes {
        let others = matrix_objects::WAYS.iter().filter(|way| way.route == name(route)).map(Some);
        for way in std::iter::once(None).chain(others) {
            asked.extend([(route, way, Whose::Own), (route, way, Whose::Other)]);
        }
    }
    asked
}

/// A machine that is busy for long answers that it should be asked again: that is no right or refusal.
async fn answer(world: &World, route: &Route, way: Option<&Way>, whose: Whose, caller: &Caller) -> Reply {
    let ask = async || {
        let request = request(world, route, whose, caller);
        Reply::to(match way {
            Some(way) => request.body(whose.of(&(way.body)().to_string())),
            None => request,
        })
        .await
    };
    let reply = ask().await;
    if reply.status == 503 { ask().await } else { reply }
}

/// The lines of some routes, on a world of their own. What a caller changed is taken back before the next calls.
async fn lines(routes: Vec<Route>, by_groups: bool) -> Vec<String> {
    let world = furnished().await;
    let callers = callers(&world).await;
    world.remember().await;
    let world = if by_groups { world.with_logins_of_groups().await } else { world.behind_gateway() };
    let mut lines = Vec::new();
    for (route, way, whose) in asked(&routes) {
        let named = way.map(|way| format!(" ({})", way.name)).unwrap_or_default();
        let mut line = format!("{:<66}{:<6}", format!("{} {}{named}", route.method, route.path), whose.name());
        let own = matrix_objects::statements(&name(route)).map(|statements| whose.of(statements));
        let mut is_there = false;
        for caller in &callers {
            if let Some(statements) = own.as_ref().filter(|_| !is_there) {
                world.as_owner().await.batch_execute(statements).await.expect("an object");
                is_there = true;
            }
            let reply = answer(&world, route, way, whose, caller).await;
            let _ = write!(line, "{:<10}", cell(route, &reply));
            if writes(route) && reply.status.as_u16() < 400 {
                world.restore().await;
                is_there = false;
            }
        }
        if is_there {
            world.restore().await;
        }
        lines.push(line.trim_end().to_owned());
    }
    pinning::nothing_pinned(&world).await;
    lines
}

/// How many worlds are asked at the same time.
const WORLDS: usize = 4;

/// The matrix as it is, with one login for all functions or one for each group.
async fn matrix(by_groups: bool) -> String {
    let all = declared();
    let routes: Vec<Route> = all.iter().filter(|route| !is_told_by_another(route, &all)).cloned().collect();
    let parts = routes.chunks(routes.len().div_ceil(WORLDS)).map(|part| tokio::spawn(lines(part.to_vec(), by_groups)));
    let mut matrix = format!("{HEADER}{:<66}{:<6}", "route", "whose");
    for caller in CALLERS {
        let _ = write!(matrix, "{caller:<10}");
    }
    matrix = format!("{}\n", matrix.trim_end());
    for part in parts.collect::<Vec<_>>() {
        for line in part.await.expect("the lines") {
            matrix = format!("{matrix}{line}\n");
        }
    }
    matrix
}

/// Nothing of a matrix differs from what the file says.
fn is_as_written(matrix: &str) {
    let expected = std::fs::read_to_string(golden()).expect("matrix.txt");
    let (is, was): (BTreeSet<&str>, BTreeSet<&str>) = (matrix.lines().collect(), expected.lines().collect());
    let difference: Vec<String> = was
        .difference(&is)
        .map(|line| format!("- {line}"))
        .chain(is.difference(&was).map(|line| format!("+ {line}")))
        .collect();
    assert!(difference.is_empty() && matrix == expected, "the matrix is another:\n{}", difference.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_may_call_what_the_matrix_says() {
    let matrix = matrix(false).await;
    if std::env::var_os("UPDATE_MATRIX").is_some() {
        std::fs::write(golden(), &matrix).expect("the file is written");
    }
    is_as_written(&matrix);
}

/// Each group of functions has the rights that its functions need.
#[tokio::test(flavor = "multi_thread")]
async fn the_matrix_is_the_same_with_a_login_for_each_group_of_functions() {
    is_as_written(&matrix(true).await);
}

#[tokio::test]
async fn without_a_valid_token_every_other_route_answers_401() {
    let world = World::new().await;
    for route in declared().into_iter().filter(|route| !is_public(route)) {
        let wrong = "w".repeat(43);
        let method = || route.method.parse::<Method>().expect("a method");
        let bare = || request(&world, &route, Whose::Own, &Caller::nobody());
        let cases = [
            ("no token", bare()),
            ("a wrong token", bare().bearer_auth(&wrong)),
            ("an empty token", bare().header(header::AUTHORIZATION, "Bearer ")),
            ("a password", bare().basic_auth("admin@example.com", Some(standalone::demo::PASSWORD))),
            ("a body that cannot be read", world.anonymous(method(), &path(&route)).bearer_auth(&wrong).body("{")),
            (
                "a query that cannot be read",
                world.anonymous(method(), &format!("{}?_count=x&pageSize=x&%ff", path(&route))).bearer_auth(&wrong),
            ),
        ];
        for (what, request) in cases {
            let what = format!("{} with {what}", name(&route));
            let reply = Reply::to(request).await;
            if route.path.to_lowercase().starts_with("/fhir/") {
                reply.refusal(401, &what);
            } else {
                assert_eq!(reply.status.as_u16(), 401, "{what}: {}", reply.text);
                assert!(reply.header("www-authenticate").starts_with("Bearer"), "{what}");
            }
            if route.path.starts_with("/api/") {
                assert_eq!(
                    reply.json(),
                    json!({ "detail": "Authentication credentials were not provided." }),
                    "{what}"
                );
            }
            assert_eq!(reply.header("cache-control"), "no-store", "{what}");
        }
    }
}

#[tokio::test]
async fn every_method_that_is_not_declared_is_refused_and_the_others_are_named() {
    let world = World::new().await;
    let routes = declared();
    let paths: BTreeSet<&str> = routes.iter().map(|route| route.path.as_str()).collect();
    for declared_path in paths {
        let known: BTreeSet<&str> =
            routes.iter().filter(|route| route.path == declared_path).map(|route| route.method.as_str()).collect();
        let route = routes.iter().find(|route| route.path == declared_path).expect("a route");
        let path = path(route);
        let path = path.split('?').next().expect("a path");
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"] {
            if known.contains(method) {
                continue;
            }
            let reply = Reply::to(world.request("admin", method.parse().expect("a method"), path)).await;
            assert_eq!(reply.status.as_u16(), 405, "{method} {declared_path}");
            let allowed: BTreeSet<&str> = reply.header("allow").split(", ").collect();
            assert_eq!(allowed, known, "{method} {declared_path}");
        }
    }
}

#[tokio::test]
async fn what_is_no_route_is_not_found_in_the_shape_of_its_protocol() {
    let world = World::new().await;
    for path in ["/FHIR/R5/Nothing", "/FHIR/R5/Device/70001/_history", "/fhir/r4/Patient"] {
        Reply::to(world.request("admin", Method::GET, path)).await.refusal(404, path);
    }
    for path in ["/api/v1/nothing", "/api/v1/patients/", "/api/v2/patients", "/api/v1/patients/40001/"] {
        let reply = Reply::to(world.request("admin", Method::GET, path)).await;
        assert_eq!((reply.status.as_u16(), reply.json()), (404, json!({ "detail": "Not found." })), "{path}");
    }
    for path in ["/index.html", "/admin", "/accounts/login/../../etc/passwd"] {
        assert_eq!(Reply::to(world.anonymous(Method::GET, path)).await.status.as_u16(), 404, "{path}");
    }
}
