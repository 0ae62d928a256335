//! Objects of the matrix that a route needs and the demo does not have: without them a route would answer everybody alike that
//! there is nothing, and the matrix would not show who may use it.

use crate::{
    hostile::PUBLIC,
    matrix_callers::CALLERS,
    rest_matrix::{declared, golden, name},
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const EXPORT: &str = "/FHIR/R5/Group/30001/$export/eeeeeeee-eeee-4eee-8eee-eeeeeeeeeeee";
const EXPORT_FILE: &str = "/FHIR/R5/Group/30001/$export/eeeeeeee-eeee-4eee-8eee-eeeeeeeeeeee/Patient-0.ndjson";

/// FHIR Sources of Peter and Percy, of each a resource, and Percy's consent to such: Peter's is there.
pub const AUXILIARY: [&str; 4] = [
    "INSERT INTO study_scope_request (study_id, scope_id) VALUES (30004, 50011)",
    "INSERT INTO consent_event (patient_id, study_id, scope_id, decision, decided_by, request_id)
     VALUES (40003, 30004, 50011, 'granted', 10009, 'matrix')",
    "INSERT INTO fhir_source (patient_id, data_source_id, label, fhir_base_url)
     VALUES (40001, 70005, 'Forms', 'https://e.example'), (40001, 70005, 'None', 'https://e.example'),
            (40003, 70005, 'Forms', 'https://e.example'), (40003, 70005, 'None', 'https://e.example')",
    r#"INSERT INTO auxiliary (id, patient_id, scope_id, source_id, upstream_id, content)
     VALUES ('aaaaaaaa-0000-4000-8000-000000000001', 40001, 50011, 90001, 'sent', '{"status":"completed","questionnaire":"q"}'),
            ('aaaaaaaa-0000-4000-8000-000000000003', 40003, 50011, 90003, 'sent', '{"status":"completed","questionnaire":"q"}')"#,
];

/// An export of the member's, with a file of nobody.
const EXPORTED: &str = "
    INSERT INTO export_job (id, user_id, practitioner_id, client_id, study_id, request_id, request_url, types, format, expires_at, state, ended_at)
    SELECT 'eeeeeeee-eeee-4eee-8eee-eeeeeeeeeeee', 10003, 80003, client_id, 30001, 'matrix', 'matrix', '{Patient}', 'ndjson', now() + interval '1 day',
           'done', now()
      FROM oauth_grant WHERE user_id = 10003 ORDER BY id LIMIT 1;
    INSERT INTO export_file (job_id, number, type, object)
    VALUES ('eeeeeeee-eeee-4eee-8eee-eeeeeeeeeeee', 0, 'Patient', gen_random_uuid())";

/// A route, the path of its object, and the statements that make it for the Lifespan Lab, for Peter, or for nobody who calls.
struct Own(&'static str, &'static str, &'static str);

const OWN: [Own; 17] = [
    Own("GET /fhir/r5/Group/{id}/{operation}/{job}", EXPORT, EXPORTED),
    Own("DELETE /fhir/r5/Group/{id}/{operation}/{job}", EXPORT, EXPORTED),
    Own("GET /fhir/r5/Group/{id}/{operation}/{job}/{file}", EXPORT_FILE, EXPORTED),
    Own(
        "GET /fhir/r5/AuditEvent/{id}",
        "/FHIR/R5/AuditEvent/999000",
        "INSERT INTO audit_event (id, request_id, actor_type, action, resource_type, organization_ids, study_ids, patient_ids, observation_ids,
                                  outcome, privileged)
         VALUES (999000, 'matrix', 'system', 'read', 'Observation', '{20003}', '{}', '{40001}', '{}', 'allowed', false)",
    ),
    // One that no study uses.
    Own(
        "DELETE /api/v1/clients/{id}",
        "/api/v1/clients/999",
        "INSERT INTO oauth_client (id, client_id, name, redirect_uris, grant_types, scopes)
         VALUES (999, 'matrix', 'matrix', '{https://a.example/cb}', '{authorization_code}', '{openid}')",
    ),
    Own(
        "DELETE /api/v1/jhe_settings/{id}",
        "/api/v1/jhe_settings/999",
        "INSERT INTO setting (id, key, value_type, value) VALUES (999, 'matrix', 'string', '\"v\"')",
    ),
    Own(
        "DELETE /api/v1/organizations/{id}/legal-holds/{hold}",
        "/api/v1/organizations/20003/legal-holds/999",
        "INSERT INTO legal_hold (id, kind, organization_id, reason, placed_by) OVERRIDING SYSTEM VALUE VALUES (999, 'organization', 20003, 'An audit', 10001)",
    ),
    Own("GET /api/v1/security-findings/{id}", "/api/v1/security-findings/999", FOUND),
    Own("PATCH /api/v1/security-findings/{id}", "/api/v1/security-findings/999", FOUND),
    // With the same people in the same roles, and nothing in it.
    Own(
        "DELETE /api/v1/organizations/{id}",
        "/api/v1/organizations/20999",
        "INSERT INTO organization (id, name, type, part_of) VALUES (20999, 'Empty', 'team', 20003);
         INSERT INTO organization_member (organization_id, practitioner_id, role)
         SELECT 20999, practitioner_id, role FROM organization_member WHERE organization_id = 20003",
    ),
    Own(
        "DELETE /api/v1/studies/{id}",
        "/api/v1/studies/30999",
        "INSERT INTO study (id, organization_id, name) VALUES (30999, 20003, 'Nobody was ever in it')",
    ),
    Own(
        "POST /api/v1/patients/me/organization-requests/{id}/accept",
        "/api/v1/patients/me/organization-requests/999/accept",
        ASKED,
    ),
    Own(
        "POST /api/v1/patients/me/organization-requests/{id}/refuse",
        "/api/v1/patients/me/organization-requests/999/refuse",
        ASKED,
    ),
    // Of the one of lowest role who is more than a viewer.
    Own(
        "DELETE /api/v1/practitioner_clients/{id}",
        "/api/v1/practitioner_clients/999",
        "INSERT INTO oauth_client (id, client_id, name, secret_hash, token_endpoint_auth_method, redirect_uris, grant_types, scopes,
                                   acts_as, owned_by, label, whole_access)
         SELECT 999, 'matrix', 'matrix', sha256('x'), 'client_secret_basic', '{}', '{client_credentials}', '{openid}', p.user_id, p.user_id,
                'matrix', true
           FROM organization_member m JOIN practitioner p ON p.id = m.practitioner_id
          WHERE m.organization_id = 20003 AND m.role > 'viewer' ORDER BY m.role, p.id LIMIT 1",
    ),
    Own(
        "DELETE /api/v1/users/{id}/second-factor",
        "/api/v1/users/10009/second-factor",
        "INSERT INTO totp_factor (user_id, secret, last_step) VALUES (10009, 'x', 0)",
    ),
    Own(
        "DELETE /api/v1/users/{id}/sessions",
        "/api/v1/users/10009/sessions",
        "INSERT INTO login_session (token_hash, user_id, expires_at) VALUES (sha256('matrix'), 10009, now() + interval '1 day')",
    ),
    Own(
        "POST /api/v1/invitation/{invitation}",
        "/api/v1/invitation/8NG3Sz7fULsoyypl9vmutzYOa6kkbgny",
        "UPDATE invitation SET token_hash = sha256('8NG3Sz7fULsoyypl9vmutzYOa6kkbgny') WHERE patient_id = 40001",
    ),
];

const FOUND: &str = "INSERT INTO security_finding (id, kind, user_id, day, window_start, window_end, measured, expected, score, event_ids)
                     OVERRIDING SYSTEM VALUE
                     VALUES (999, 'volume', 10003, current_date, now(), now(), 6000, 300, 11, '{}') ON CONFLICT DO NOTHING";

const ASKED: &str = "INSERT INTO organization_request (id, patient_id, organization_id, requested_by) VALUES (999, 40001, 20008, 10005)";

/// A route that is asked in another way, too: with a body for which another rule decides.
pub struct Way {
    /// Which route.
    pub route: &'static str,
    /// What the way is called.
    pub name: &'static str,
    /// The body.
    pub body: fn() -> Value,
}

/// What a source sends again: there is a resource of Peter's that came from it under this id.
pub const WAYS: [Way; 2] = [
    Way { route: "POST /fhir/r5/{type}", name: "again", body: || response(Some("sent")) },
    Way { route: "POST /fhir-import/R4/{type}", name: "again", body: || response(Some("sent")) },
];

/// A resource of Peter's, with its id, if it has one.
pub fn response(id: Option<&str>) -> Value {
    let mut response = json!({ "resourceType": "QuestionnaireResponse", "status": "completed", "questionnaire": "Questionnaire/q",
        "meta": { "source": "https://jupyterhealth.org/fhir/fhir-source/90001" } });
    if let Some(id) = id {
        response["id"] = id.into();
    }
    response
}

/// The path of a route's own object.
pub fn path(route: &str) -> Option<&'static str> {
    OWN.iter().find(|own| own.0 == route).map(|own| own.1)
}

/// What makes a route's own object.
pub fn statements(route: &str) -> Option<&'static str> {
    OWN.iter().find(|own| own.0 == route).map(|own| own.2)
}

/// Routes that need a token and that no caller of the matrix can use, and why.
const NONE_SUCCEEDS: [(&str, &str); 1] = [(
    "POST /api/v1/patients/me/erasure",
    "it takes what GET said, which is signed and lasts ten minutes: erasures.rs sends it",
)];

/// Whether a cell shows that the caller got through, in a batch also with its entry.
fn is_success(cell: &str) -> bool {
    let status = cell.split_once('/').map_or(cell, |(_, entry)| entry);
    status.starts_with('2')
}

#[test]
fn every_route_that_needs_a_token_is_used_by_some_caller_of_the_matrix() {
    let matrix = std::fs::read_to_string(golden()).expect("matrix.txt");
    let mut succeeds: BTreeMap<String, bool> = BTreeMap::new();
    for line in matrix.lines().filter(|line| !line.starts_with('#')).skip(1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (route, cells) = words.split_at(words.len() - CALLERS.len());
        let route = format!("{} {}", route[0], route[1].replace("/FHIR/R5", "/fhir/r5"));
        *succeeds.entry(route).or_default() |= cells.iter().any(|cell| is_success(cell));
    }
    let public: BTreeSet<&str> = PUBLIC.iter().map(|(route, _)| *route).collect();
    let unused: Vec<&String> = succeeds
        .iter()
        .filter(|(route, succeeds)| !**succeeds && !public.contains(route.as_str()))
        .map(|(route, _)| route)
        .collect();
    let explained: Vec<&str> = NONE_SUCCEEDS.iter().map(|(route, _)| *route).collect();
    assert_eq!(unused, explained, "give the route an object of its own in `OWN`, or say why nobody can use it");
}

#[test]
fn own_objects_are_of_routes_that_there_are() {
    let names: BTreeSet<String> = declared().iter().map(name).collect();
    for Own(route, path, _) in &OWN {
        assert!(names.contains(*route), "{route}");
        assert_eq!(path.split('/').count(), route.split('/').count(), "{route}");
    }
}
