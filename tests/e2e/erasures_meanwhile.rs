//! What others do at the moment in which a patient asks to be erased, or is erased.

use crate::{
    erasures::{ON_BEHALF, PETER, erase},
    erasures_hostile::{ACCOUNT, rows_of_peter},
};
use end_to_end::{World, point, reply::Reply, vault::OwnVault};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

const ASK_IN: &str = "/api/v1/patients/40001/global_add_organization?organizationId=20007";

/// That Peter asks, and that he is erased: as the functions do it, within another transaction.
const ASKS: &str = r#"SELECT request_erasure('{"request_id": "race", "actor_user_id": 10006, "actor_type": "patient", "action": "execute",
                                               "resource_type": "Patient"}', 40001, NULL)"#;
const ERASED: &str = r#"SELECT begin_erasure(id), erase_rows(id, 1000000) FROM erasure;
                        SELECT erase_patient('{"request_id": "race", "actor_type": "system", "action": "delete", "resource_type": "Patient"}', id)
                          FROM erasure"#;

/// Sends a request while a change waits to be committed, and commits when the request waits for it, or did not have to.
async fn meanwhile(world: &World, change: &str, request: RequestBuilder) -> Reply {
    let owner = world.as_owner().await;
    owner.batch_execute(&format!("BEGIN; {change}")).await.expect("changed, and not committed");
    let request = tokio::spawn(Reply::to(request));
    let _did_wait = world.waits(&request).await;
    owner.batch_execute("COMMIT").await.expect("committed");
    request.await.expect("an answer")
}

/// What others may be doing with Peter at that moment. Only what says so afterwards may have the word.
fn what_others_do() -> Vec<(&'static str, Method, &'static str, Value)> {
    let body = point::heart_rate(61, "2026-02-02T08:00:00Z");
    let upload = point::observation(PETER, 70001, &body, "Belated");
    let decision = json!([{ "studyId": 30001, "scopeConsents": [
        { "codingSystem": "https://w3id.org/openmhealth", "codingCode": "omh:heart-rate:2.0", "consented": false }] }]);
    vec![
        ("ll_patient_peter", Method::POST, "/FHIR/R5/Observation", upload.clone()),
        ("member_megan", Method::POST, "/FHIR/R5/Observation", upload),
        (
            "ll_patient_peter",
            Method::PATCH,
            "/api/v1/patients/40001/consents",
            json!({ "studyScopeConsents": decision }),
        ),
        (
            "member_megan",
            Method::PATCH,
            "/api/v1/patients/40001/consents",
            json!({ "authorizationReference": "Belated", "studyScopeConsents": decision }),
        ),
        ("member_megan", Method::PATCH, "/api/v1/patients/40001", json!({ "nameFamily": "Belated" })),
        ("ll_patient_peter", Method::PATCH, ACCOUNT, json!({ "lastName": "Belated" })),
        ("member_megan", Method::POST, "/api/v1/invitation", json!({ "patientId": PETER, "client_id": 1 })),
        ("manager_mary", Method::POST, "/api/v1/studies/30999/patients", json!({ "patientIds": [PETER] })),
        ("manager_mary", Method::DELETE, "/api/v1/patients/40001?organization_id=20003", Value::Null),
        ("manager_mark", Method::PATCH, ASK_IN, json!({})),
        ("ll_patient_peter", Method::POST, "/api/v1/patients/me/organization-requests/999/accept", json!({})),
        ("admin", Method::PATCH, ACCOUNT, json!({ "isActive": true })),
        ("admin", Method::POST, ON_BEHALF, json!({ "authorizationReference": "letter 7" })),
        ("ll_patient_peter", Method::GET, "/FHIR/R5/Observation?patient=40001", Value::Null),
        ("viewer_victor", Method::GET, "/FHIR/R5/Patient/40001/$everything", Value::Null),
    ]
}

/// A study without Peter, and an organization that asked him.
const PREPARED: &str =
    "INSERT INTO study (id, organization_id, name, status) VALUES (30999, 20003, 'Nobody is in it', 'active');
    INSERT INTO organization_request (id, patient_id, organization_id, requested_by) VALUES (999, 40001, 20007, 10001)";

#[tokio::test]
async fn whatever_others_do_when_the_patient_asks_nobody_finds_him_and_nothing_is_left() {
    for (user, method, path, body) in what_others_do() {
        let (world, _vault) = OwnVault::world("0").await;
        world.as_owner().await.batch_execute(PREPARED).await.expect("prepared");
        let request = world.request(user, method.clone(), path).json(&body);
        let reply = meanwhile(&world, ASKS, request).await;
        let what = format!("{user} {method} {path}: {} {}", reply.status, reply.text);
        assert!(!reply.status.is_server_error(), "{what}");
        assert_eq!(
            world.count("SELECT count(*) FROM patient_organization WHERE patient_id = 40001").await,
            0,
            "{what}"
        );
        assert_eq!(world.count("SELECT count(*) FROM app_user WHERE id = 10006 AND is_active").await, 0, "{what}");
        let report = erase(&world.app).await;
        assert_eq!(report["erased"].as_array().map(Vec::len), Some(1), "{what}: {report}");
        assert_eq!(rows_of_peter(&world).await, Vec::<String>::new(), "{what}");
        assert_eq!(world.rows_with("Belated").await, 0, "{what}");
    }
}

#[tokio::test]
async fn whatever_others_do_while_the_patient_is_erased_is_refused_and_leaves_nothing() {
    for (user, method, path, body) in what_others_do() {
        let (world, _vault) = OwnVault::world("0").await;
        world.as_owner().await.batch_execute(PREPARED).await.expect("prepared");
        let request = world.request(user, method.clone(), path).json(&body);
        let reply = meanwhile(&world, &format!("{ASKS}; {ERASED}"), request).await;
        let what = format!("{user} {method} {path}: {} {}", reply.status, reply.text);
        assert!(!reply.status.is_server_error(), "{what}");
        assert_eq!(rows_of_peter(&world).await, Vec::<String>::new(), "{what}");
        assert_eq!(world.rows_with("Belated").await, 0, "{what}");
    }
}
