//! An organization that wants a patient of others asks the patient; until then it sees nothing.

use end_to_end::{World, answer, keys};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const REQUESTS: &str = "/api/v1/patients/me/organization-requests";
/// Peter of the Lifespan Lab, for the Neptunian Pulse Lab, of which Mark is a manager.
const ADD: &str = "/api/v1/patients/40001/global_add_organization?organizationId=20007";

async fn ask(world: &World, user: &str, path: &str) -> (StatusCode, Value) {
    answer(world.request(user, Method::PATCH, path).json(&json!({}))).await
}

async fn decide(world: &World, user: &str, id: &Value, decision: &str) -> (StatusCode, Value) {
    answer(world.request(user, Method::POST, &format!("{REQUESTS}/{id}/{decision}"))).await
}

#[tokio::test]
async fn a_patient_of_elsewhere_is_not_added_before_the_patient_accepts() {
    let world = World::new().await;
    let end = world.audit_end().await;
    let (status, asked) = ask(&world, "manager_mark", ADD).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{asked}");
    let lab = json!({ "id": 20007, "name": "Neptunian Pulse Lab", "type": "laboratory" });
    assert_eq!(asked, json!({ "patientId": 40001, "organization": lab, "status": "pending" }));
    let event = world.audit_after(end).await.pop().expect("a record");
    assert_eq!((event.outcome.as_str(), event.action.as_str(), event.patients), ("allowed", "create", vec![40001]));

    // Nothing is visible, and nobody can be enrolled.
    let nothing_is_visible = async || {
        assert_eq!(world.get("manager_mark", "/api/v1/patients/40001").await.0, StatusCode::NOT_FOUND);
        let path = "/FHIR/R5/Observation?patient=40001";
        assert_eq!(world.get("manager_mark", path).await.0, StatusCode::FORBIDDEN);
        let body = json!({ "patientIds": [40001] });
        assert_eq!(
            world.post("manager_mark", "/api/v1/studies/30004/patients", &body).await.0,
            StatusCode::BAD_REQUEST
        );
        assert_eq!(world.count("SELECT count(*) FROM patient_organization WHERE patient_id = 40001").await, 1);
    };
    nothing_is_visible().await;
    // Asking again is the same request.
    assert_eq!(ask(&world, "three_org_tom", ADD).await.1, asked);

    let (status, requests) = world.get("ll_patient_peter", REQUESTS).await;
    assert_eq!((status, requests.as_array().map(Vec::len)), (StatusCode::OK, Some(1)), "{requests}");
    let request = &requests[0];
    let members = BTreeSet::from(["decidedAt", "id", "organization", "patientId", "requestedAt", "status"]);
    assert_eq!((keys(request), &request["status"], &request["organization"]), (members, &json!("pending"), &lab));

    let (status, refused) = decide(&world, "ll_patient_peter", &request["id"], "refuse").await;
    assert_eq!((status, &refused["status"]), (StatusCode::OK, &json!("refused")));
    nothing_is_visible().await;
    // Who refused is not asked again, and who asks is not told.
    assert_eq!(ask(&world, "manager_mark", ADD).await.1, asked);
    assert_eq!(world.get("ll_patient_peter", REQUESTS).await.1[0]["status"], "refused");
    nothing_is_visible().await;

    let end = world.audit_end().await;
    let (status, accepted) = decide(&world, "ll_patient_peter", &request["id"], "accept").await;
    assert_eq!((status, &accepted["status"]), (StatusCode::OK, &json!("accepted")));
    let event = world.audit_after(end).await.pop().expect("a record");
    assert_eq!(
        (event.outcome.as_str(), event.actor_type.as_str(), event.patients),
        ("allowed", "patient", vec![40001])
    );
    assert_eq!(world.get("manager_mark", "/api/v1/patients/40001").await.0, StatusCode::OK);
    let (status, record) = ask(&world, "manager_mark", ADD).await;
    assert_eq!((status, &record["id"], &record["nameFamily"]), (StatusCode::OK, &json!(40001), &json!("Stevens")));
    // To belong is not undone by refusing.
    assert_eq!(decide(&world, "ll_patient_peter", &request["id"], "refuse").await.0, StatusCode::CONFLICT);
    assert_eq!(decide(&world, "ll_patient_peter", &request["id"], "accept").await.0, StatusCode::OK);
}

#[tokio::test]
async fn who_may_ask_and_who_may_answer() {
    let world = World::new().await;
    for (user, path, expected) in [
        ("ll_patient_peter", ADD, 404),
        ("ll_patient_pamela", ADD, 403),
        ("member_megan", ADD, 404),
        ("viewer_victor", "/api/v1/patients/40003/global_add_organization?organizationId=20003", 403),
        ("three_org_tom", "/api/v1/patients/40004/global_add_organization?organizationId=20003", 403),
        ("manager_mark", "/api/v1/patients/49999/global_add_organization?organizationId=20007", 202),
        ("admin", "/api/v1/patients/49999/global_add_organization?organizationId=20007", 404),
        ("manager_mark", "/api/v1/patients/40001/global_add_organization", 400),
        ("manager_mark", "/api/v1/patients/40001/global_add_organization?organizationId=abc", 400),
        ("admin", "/api/v1/patients/40001/global_add_organization?organizationId=29999", 400),
        ("three_org_tom", ADD, 202),
        ("admin", "/api/v1/patients/40001/global_add_organization?organizationId=20008", 202),
        ("member_megan", "/api/v1/patients/40001/global_add_organization?organizationId=20003", 200),
    ] {
        assert_eq!(ask(&world, user, path).await.0.as_u16(), expected, "{user} {path}");
    }
    assert_eq!(world.count("SELECT count(*) FROM organization_request").await, 2);
    let (_, requests) = world.get("ll_patient_peter", REQUESTS).await;
    let id = &requests[1]["id"];
    for (user, expected) in [("ll_patient_pamela", 404), ("manager_mark", 403), ("three_org_tom", 403), ("admin", 403)]
    {
        for decision in ["accept", "refuse"] {
            assert_eq!(decide(&world, user, id, decision).await.0.as_u16(), expected, "{user} {decision}");
        }
    }
    for user in ["manager_mark", "admin"] {
        assert_eq!(world.get(user, REQUESTS).await.0, StatusCode::FORBIDDEN, "{user}");
    }
    assert_eq!(world.get("ll_patient_pamela", REQUESTS).await.1, json!([]));
    assert_eq!(decide(&world, "ll_patient_peter", &json!(99999), "accept").await.0, StatusCode::NOT_FOUND);
    assert_eq!(decide(&world, "ll_patient_peter", &json!("abc"), "accept").await.0, StatusCode::NOT_FOUND);
    // The patient's own call on the route of the organization accepts a request that is there.
    let (status, record) = ask(&world, "ll_patient_peter", ADD).await;
    assert_eq!((status, record["organizations"].as_array().map(Vec::len)), (StatusCode::OK, Some(2)), "{record}");
}

#[tokio::test]
async fn who_asks_does_not_learn_which_numbers_patients_have() {
    let world = World::new().await;
    let nobody = ADD.replace("40001", "49999");
    let (status, told) = ask(&world, "manager_mark", &nobody).await;
    let (known, asked) = ask(&world, "manager_mark", ADD).await;
    assert_eq!((status, told["patientId"].as_i64()), (known, Some(49999)));
    assert_eq!(keys(&told), keys(&asked));
    for member in ["organization", "status"] {
        assert_eq!(told[member], asked[member], "{member}");
    }
    assert_eq!(world.count("SELECT count(*) FROM organization_request").await, 1);
    let (_, requests) = world.get("ll_patient_peter", REQUESTS).await;
    decide(&world, "ll_patient_peter", &requests[0]["id"], "refuse").await;
    assert_eq!(ask(&world, "manager_mark", ADD).await, (known, asked));
    // Nor by the organization's log: of the two numbers it says the same, and of the refusal nothing.
    let (_, log) = world.get("manager_mark", "/api/v1/organizations/20007/audit-events").await;
    let same =
        ["action", "resourceType", "outcome", "refusedBy", "patientIds", "role", "studies", "observationIds", "detail"];
    let mut told: Vec<_> = log["results"].as_array().expect("events").iter().collect();
    told.retain(|event| event["resourceType"] == "OrganizationRequest");
    assert_eq!(told.len(), 3, "{told:?}");
    for event in &told {
        assert!(same.iter().all(|name| event[name] == told[0][name]), "{told:?}");
    }
    // Super admins see which number it was.
    let (_, log) = world.get("admin", "/api/v1/audit-events?organization=20007&action=create").await;
    assert!(log["results"].as_array().expect("events").iter().any(|event| event["detail"]["nobody"] == 49999), "{log}");
}

#[tokio::test]
async fn a_missing_organization_is_told_under_its_name() {
    let world = World::new().await;
    for (user, method, path, field) in [
        ("manager_mark", Method::PATCH, "/api/v1/patients/40001/global_add_organization", "organization_id"),
        ("manager_mark", Method::DELETE, "/api/v1/patients/40003", "organization_id"),
        (
            "admin",
            Method::PATCH,
            "/api/v1/patients/40001/global_add_organization?organizationId=29999",
            "organizationId",
        ),
    ] {
        let (status, told) = world.send(user, method, path, &json!({})).await;
        assert_eq!((status, keys(&told)), (StatusCode::BAD_REQUEST, [field].into()), "{path}: {told}");
    }
}

#[tokio::test]
async fn who_left_is_asked_anew() {
    let world = World::new().await;
    ask(&world, "manager_mark", ADD).await;
    ask(&world, "ll_patient_peter", ADD).await;
    let leave = world.request("manager_mark", Method::DELETE, "/api/v1/patients/40001?organizationId=20007");
    assert_eq!(answer(leave).await.0, StatusCode::NO_CONTENT);
    let (status, asked) = ask(&world, "manager_mark", ADD).await;
    assert_eq!((status, &asked["status"]), (StatusCode::ACCEPTED, &json!("pending")));
    assert_eq!(world.get("manager_mark", "/api/v1/patients/40001").await.0, StatusCode::NOT_FOUND);
}
