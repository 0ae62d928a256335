//! Policies, legal holds and notices over HTTP: managers set and read what is theirs, patients see what is to come.

use crate::retention_policies::{announced, policy, world};
use end_to_end::{World, reply::Reply};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

#[tokio::test]
async fn managers_set_policies_that_do_not_undercut_the_minimum() {
    let world = world().await;
    for (path, user) in [
        ("/api/v1/retention", "admin"),
        ("/api/v1/organizations/29001/retention", "manager_mary"),
        ("/api/v1/studies/39001/retention", "manager_mary"),
    ] {
        let patch = async |body: Value| world.send(user, Method::PATCH, path, &body).await;
        let (status, refused) = patch(json!({ "byAge": 364 })).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}: {refused}");
        assert!(
            refused.to_string().contains("364 days are less than the minimum of this deployment, 365."),
            "{refused}"
        );
        assert_eq!(patch(json!({ "byAge": 36501 })).await.0, StatusCode::BAD_REQUEST);
        assert_eq!(patch(json!({ "days": 400 })).await.0, StatusCode::BAD_REQUEST);
        let (status, set) = patch(json!({ "byAge": 400, "afterCompletion": 500 })).await;
        assert_eq!(
            (status, &set["byAge"], &set["afterCompletion"]),
            (StatusCode::OK, &json!(400), &json!(500)),
            "{path}"
        );
        let (_, set) = patch(json!({ "byAge": null })).await;
        assert_eq!((&set["byAge"], &set["afterCompletion"]), (&json!(null), &json!(500)), "{path}");
        assert_eq!(world.get(user, path).await.1["afterCompletion"], 500, "{path}");
        assert_eq!(set["minimumDays"], 365);
    }
    // The study's own rule and the organization's.
    world.sql("UPDATE retention_policy SET by_age = 700 WHERE organization_id = 29001").await;
    let (_, study) = world.get("manager_mary", "/api/v1/studies/39001/retention").await;
    assert_eq!(study["inForce"], json!({ "afterCompletion": 500, "afterWithdrawal": null, "byAge": 700 }));
    for path in ["/api/v1/organizations/20003/retention", "/api/v1/studies/30001/retention"] {
        for user in ["viewer_victor", "member_megan", "ll_patient_peter"] {
            assert_eq!(
                world.send(user, Method::PATCH, path, &json!({ "byAge": 400 })).await.0,
                StatusCode::FORBIDDEN,
                "{user} {path}"
            );
        }
    }
    assert_eq!(world.get("manager_mary", "/api/v1/retention").await.0, StatusCode::FORBIDDEN);
    // Whoever writes it.
    world.as_owner().await.batch_execute(&policy("20003", "NULL", "NULL", "10", "NULL")).await.expect_err("refused");
    world.as_function().await.batch_execute("UPDATE retention_floor SET minimum_days = 1").await.expect_err("refused");
    assert_eq!(world.count("SELECT count(*) FROM audit_event WHERE resource_type = 'RetentionPolicy' AND action = 'update' AND outcome = 'allowed'").await, 6);
}

#[tokio::test]
async fn managers_hold_what_is_theirs_and_read_who_did() {
    let world = world().await;
    let holds = "/api/v1/organizations/29001/legal-holds";
    for (body, status) in [
        (json!({ "reason": "An audit" }), 201),
        (json!({ "studyId": 39001, "reason": "An order" }), 201),
        (json!({ "patientId": 49001, "reason": "A dispute" }), 201),
        (json!({ "patientId": 40001, "reason": "Not theirs" }), 400),
        (json!({ "studyId": 30001, "reason": "Not theirs" }), 400),
        (json!({ "patientId": 49001, "studyId": 39001, "reason": "Both" }), 400),
        (json!({ "patientId": 49001 }), 400),
    ] {
        assert_eq!(world.post("manager_mary", holds, &body).await.0.as_u16(), status, "{body}");
    }
    let (_, list) = world.get("manager_mary", holds).await;
    assert_eq!(list["count"], 3);
    assert_eq!(list["results"][0]["reason"], "A dispute");
    let (_, page) = world.get("manager_mary", &format!("{holds}?page_size=2")).await;
    let next = page["next"].as_str().expect("another page").strip_prefix(&world.base).expect("ours").to_owned();
    assert_eq!(world.get("manager_mary", &next).await.1["results"][0]["kind"], "organization");
    let one = format!("{holds}/{}", list["results"][0]["id"]);
    assert_eq!(world.send("manager_mark", Method::DELETE, &one, &json!(null)).await.0, StatusCode::NOT_FOUND);
    assert_eq!(world.send("manager_mary", Method::DELETE, &one, &json!(null)).await.0, StatusCode::NO_CONTENT);
    assert_eq!(world.send("manager_mary", Method::DELETE, &one, &json!(null)).await.0, StatusCode::NOT_FOUND);
    assert!(world.get("manager_mary", holds).await.1["results"][0]["releasedAt"].is_string());
    assert_eq!(world.count("SELECT count(*) FROM audit_event WHERE resource_type = 'LegalHold' AND outcome = 'allowed' AND action IN ('create', 'update')").await, 4);
}

#[tokio::test]
async fn what_was_ever_held_stays_so_that_it_can_be_told() {
    let world = World::new().await;
    let new = json!({ "name": "Held", "type": "team", "partOf": 20003 });
    let (status, organization) = world.post("admin", "/api/v1/organizations", &new).await;
    assert_eq!(status, StatusCode::CREATED, "{organization}");
    let one = format!("/api/v1/organizations/{}", organization["id"]);
    let new = json!({ "name": "N", "description": "D", "organization": 20003, "status": "active" });
    let (status, study) = world.post("admin", "/api/v1/studies", &new).await;
    assert_eq!(status, StatusCode::CREATED, "{study}");
    let of_study = json!({ "studyId": study["id"], "reason": "An order" });
    for (holds, body) in [(one.as_str(), json!({ "reason": "An audit" })), ("/api/v1/organizations/20003", of_study)] {
        let holds = format!("{holds}/legal-holds");
        let (status, hold) = world.post("admin", &holds, &body).await;
        assert_eq!(status, StatusCode::CREATED, "{hold}");
        let released = format!("{holds}/{}", hold["id"]);
        assert_eq!(world.send("admin", Method::DELETE, &released, &json!(null)).await.0, StatusCode::NO_CONTENT);
    }
    for path in [one, format!("/api/v1/studies/{}", study["id"])] {
        let (status, told) = world.send("admin", Method::DELETE, &path, &json!(null)).await;
        assert_eq!(status, StatusCode::CONFLICT, "{told}");
        assert!(told["detail"].as_str().is_some_and(|detail| detail.contains("legal hold")), "{told}");
    }
}

#[tokio::test]
async fn managers_and_the_patient_see_what_is_to_come() {
    let world = announced().await;
    let report =
        Reply::to(world.request("manager_mary", Method::GET, "/api/v1/organizations/29001/retention-report")).await;
    let report: Value = serde_json::from_str(&report.text).expect("JSON");
    assert_eq!(report["results"][0]["patientId"], 49001);
    assert_eq!(report["results"][0]["kinds"][0]["observations"], 7, "{report}");
    assert_eq!(report["results"][0]["kinds"][0]["studies"], json!([39001, 39002]));
    let (_, notices) = world.get("manager_mary", "/api/v1/organizations/29001/retention-notices").await;
    assert_eq!(
        (&notices["count"], &notices["results"][0]["observations"], &notices["results"][0]["deleted"]),
        (&json!(1), &json!(7), &json!(0))
    );
    assert!(notices["results"][0]["deleteAfter"].is_string());
    // A hold that comes now is said there.
    assert_eq!(notices["results"][0]["held"], false);
    let holds = "/api/v1/organizations/29001/legal-holds";
    let (_, hold) = world.post("manager_mary", holds, &json!({ "patientId": 49001, "reason": "A dispute" })).await;
    let (_, notices) = world.get("manager_mary", "/api/v1/organizations/29001/retention-notices").await;
    assert_eq!(notices["results"][0]["held"], true, "{notices} {hold}");
    assert_eq!(
        world.get("viewer_victor", "/api/v1/organizations/20003/retention-notices").await.0,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        world.get("manager_mark", "/api/v1/organizations/29001/retention-report").await.0,
        StatusCode::NOT_FOUND
    );
    // As Peter's: he sees his own alone.
    let own = "/api/v1/patients/me/retention-notices";
    assert_eq!(world.get("ll_patient_peter", own).await.1["count"], 0);
    world.sql("UPDATE retention_lane SET patient_id = 40001").await;
    assert_eq!(world.get("ll_patient_peter", own).await.1["results"][0]["observations"], 7);
    assert_eq!(world.get("manager_mary", own).await.0, StatusCode::FORBIDDEN);
}
