//! The apps of a patient: which clients their studies have, and who is told.

use end_to_end::{World, keys, row_ids};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const CLIENTS: &str = "/api/v1/patients/40001/consolidated_clients";
const WEARABLES: &str = "/api/v1/patients/40001/wearable-status";

#[tokio::test]
async fn the_clients_of_a_patient_are_told_to_the_patient_and_the_patients_organizations() {
    let world = World::new().await;
    let invited =
        world.post("member_megan", "/api/v1/invitation", &json!({ "patientId": 40001, "client_id": 1 })).await.1;
    for (user, expected) in [
        ("ll_patient_peter", 200),
        ("viewer_victor", 200),
        ("member_megan", 200),
        ("admin", 200),
        ("ll_patient_pamela", 404),
        ("manager_mark", 404),
    ] {
        for path in [CLIENTS, WEARABLES] {
            let end = world.audit_end().await;
            let (status, body) = world.get(user, path).await;
            assert_eq!(status.as_u16(), expected, "{user} {path}: {body}");
            let event = world.audit_after(end).await.pop().expect("a record");
            assert_eq!((event.outcome == "allowed", event.patients), (expected == 200, vec![40001]), "{user} {path}");
            assert!(!body.to_string().contains(invited["token"].as_str().expect("a token")), "{user}");
        }
    }
    let (_, clients) = world.get("viewer_victor", CLIENTS).await;
    let members = BTreeSet::from(["clientId", "id", "invitationUrl", "name", "patientInvitations"]);
    assert_eq!((keys(&clients[0]), clients[0]["id"].as_i64(), clients[1]["id"].as_i64()), (members, Some(1), Some(3)));
    let invitation = &clients[0]["patientInvitations"][0];
    let members = BTreeSet::from(["client_id", "id", "lastUpdated", "patientId", "status", "token", "tokenHash"]);
    assert_eq!((keys(invitation), &invitation["token"]), (members, &Value::Null));
    let (_, listed) = world.get("viewer_victor", "/api/v1/invitation").await;
    assert_eq!(invitation["tokenHash"], listed["results"][0]["tokenHash"]);
    assert_eq!(clients[1]["patientInvitations"], json!([]));
    assert_eq!(world.get("admin", "/api/v1/patients/49999/consolidated_clients").await.0, StatusCode::NOT_FOUND);
    assert_eq!(world.get("admin", "/api/v1/patients/abc/wearable-status").await.0, StatusCode::NOT_FOUND);
    let (_, wearables) = world.get("ll_patient_peter", WEARABLES).await;
    assert_eq!(wearables, json!({ "connections": [], "connected": false }));
}

#[tokio::test]
async fn of_a_shared_patient_only_the_clients_of_the_callers_studies_are_told() {
    let world = World::new().await;
    world.sql("INSERT INTO study_client VALUES (30003, 3)").await;
    let clients = async |user: &str| {
        let (_, body) = world.get(user, "/api/v1/patients/40005/consolidated_clients").await;
        row_ids(&json!({ "results": body }))
    };
    // Pat is in a study of the Cardiology Division, which is Mark's, and in one of the Cosmic Cardio Lab, which is Tom's.
    assert_eq!(clients("ccl_cardio_patient_pat").await, [2, 3]);
    assert_eq!(clients("manager_mark").await, [2, 3]);
    assert_eq!(clients("three_org_tom").await, [2]);
}

/// Who of another organization finds a patient by e-mail is told the id and what was asked, and nothing else.
#[tokio::test]
async fn a_lookup_tells_strangers_no_more_than_the_id() {
    let world = World::new().await;
    let path = "/api/v1/patients/global_lookup?email=ll_patient_peter%40example.com";
    let (_, found) = world.get("manager_mark", path).await;
    assert_eq!(
        found,
        json!([{ "id": 40001, "jheUserId": null, "identifiers": [], "nameFamily": null, "nameGiven": null, "birthDate": null,
            "telecomPhone": null, "telecomEmail": "ll_patient_peter@example.com", "organizations": [] }])
    );
    let (_, own) = world.get("member_megan", path).await;
    assert_eq!(own[0]["nameFamily"], "Stevens");
    for user in ["ll_patient_peter", "ll_patient_pamela"] {
        assert_eq!(world.get(user, path).await.0, StatusCode::FORBIDDEN, "{user}");
    }
    // A viewer finds whom they see anyway, and nobody else.
    assert_eq!(world.get("viewer_victor", path).await.1[0]["id"], 40001);
    let elsewhere = "/api/v1/patients/global_lookup?email=npl_patient_percy%40example.com";
    assert_eq!(world.get("viewer_victor", elsewhere).await.1, json!([]));
}
