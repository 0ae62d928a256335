//! Findings of the security monitor: who sees them, and what becomes of them.

use crate::security_monitor::{call, closed_now, incidents};
use end_to_end::{World, answer, reply::Reply, row_ids};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const FINDINGS: &str = "/api/v1/security-findings";

async fn world_with_findings() -> World {
    // Whatever the time is: what a super admin did is out of hours.
    let world = World::with(&[closed_now()]).await;
    incidents(&world).await;
    call(&world.app).await.expect("a report");
    world
}

/// The one finding of a kind.
async fn one(world: &World, kind: &str) -> Value {
    let (status, page) = world.get("admin", &format!("{FINDINGS}?kind={kind}")).await;
    assert_eq!((status, &page["count"]), (StatusCode::OK, &json!(1)), "{page}");
    page["results"][0].clone()
}

#[tokio::test]
async fn only_super_admins_see_findings() {
    let world = world_with_findings().await;
    let id = one(&world, "volume").await["id"].clone();
    for path in [FINDINGS.to_owned(), format!("{FINDINGS}/{id}")] {
        assert_eq!(world.get("admin", &path).await.0, StatusCode::OK);
        for user in ["manager_mary", "viewer_victor", "ll_patient_peter"] {
            assert_eq!(world.get(user, &path).await.0, StatusCode::FORBIDDEN, "{user} {path}");
            let change = world.send(user, Method::PATCH, &path, &json!({ "status": "closed" })).await;
            assert_ne!(change.0, StatusCode::OK, "{user} {path}");
        }
        assert_eq!(answer(world.anonymous(Method::GET, &path)).await.0, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(world.count("SELECT count(*) FROM security_finding WHERE status <> 'open'").await, 0);
}

#[tokio::test]
async fn findings_come_newest_first_in_pages_and_by_filters() {
    let world = world_with_findings().await;
    let (_, page) = world.get("admin", &format!("{FINDINGS}?pageSize=3")).await;
    let ids = row_ids(&page);
    assert!(ids.len() == 3 && ids.is_sorted_by(|a, b| a > b), "{page}");
    let total = page["count"].as_i64().expect("a count");
    let next = page["next"].as_str().expect("another page").replace(&world.base, "");
    let (_, page) = world.get("admin", &next).await;
    assert!(row_ids(&page).first() < ids.last(), "{page}");
    let (_, page) = world.get("admin", &format!("{FINDINGS}?user_id=10004")).await;
    assert_eq!((&page["count"], &page["results"][0]["kind"]), (&json!(1), &json!("breadth")));
    let (_, page) = world.get("admin", &format!("{FINDINGS}?status=open&pageSize=1")).await;
    assert_eq!(page["count"], total);
    for wrong in ["status=new", "kind=strange", "user_id=me"] {
        assert_eq!(world.get("admin", &format!("{FINDINGS}?{wrong}")).await.0, StatusCode::BAD_REQUEST, "{wrong}");
    }
}

#[tokio::test]
async fn a_finding_leads_to_the_events_behind_it() {
    let world = world_with_findings().await;
    let known = one(&world, "volume").await;
    assert_eq!((&known["userId"], &known["measured"]), (&json!(10003), &json!(6000)), "{known}");
    let expected = known["expected"].as_i64().expect("a number");
    assert!((100..6000).contains(&expected) && known["score"].as_i64() >= Some(8), "{known}");
    let (status, finding) = world.get("admin", &format!("{FINDINGS}/{}", known["id"])).await;
    assert_eq!(status, StatusCode::OK);
    let events: Vec<i64> = serde_json::from_value(finding["eventIds"].clone()).expect("ids");
    let planted = world
        .sql("SELECT id FROM audit_event WHERE request_id = 'planted' AND actor_user_id = 10003 ORDER BY id DESC")
        .await;
    assert_eq!(events, planted.iter().map(|row| row.get(0)).collect::<Vec<i64>>());
    let by_address = one(&world, "failed_sign_ins_from_address").await;
    let (_, finding) = world.get("admin", &format!("{FINDINGS}/{}", by_address["id"])).await;
    assert_eq!(finding["sourceAddress"], json!("198.51.100.77"));
    assert_eq!(finding["eventIds"].as_array().map(Vec::len), Some(25));
    assert_eq!(world.get("admin", &format!("{FINDINGS}/999999")).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_link_of_every_finding_lists_the_events_that_it_was_found_by_and_no_others() {
    let world = world_with_findings().await;
    let (_, page) = world.get("admin", FINDINGS).await;
    let findings = row_ids(&page);
    assert_eq!(findings.len(), 8, "one of each kind");
    for id in findings {
        let (_, finding) = world.get("admin", &format!("{FINDINGS}/{id}")).await;
        let link = finding["events"].as_str().expect("a link").replace(&world.base, "");
        let (status, listed) = world.get("admin", &format!("{link}&pageSize=1000")).await;
        assert_eq!(status, StatusCode::OK, "{listed}");
        let events: Vec<i64> = serde_json::from_value(finding["eventIds"].clone()).expect("ids");
        assert_eq!(row_ids(&listed), events, "{finding}");
    }
    // What is beyond the newest thousand is found by whom or by where.
    for (filter, count) in [("subject=10007", 12), ("source_address=198.51.100.77", 25), ("finding=999999", 0)] {
        let (_, listed) = world.get("admin", &format!("/api/v1/audit-events?{filter}")).await;
        assert_eq!(listed["count"], count, "{filter}: {listed}");
    }
}

#[tokio::test]
async fn a_filter_that_a_list_has_not_is_refused_by_its_name() {
    let world = World::new().await;
    for (user, path) in [
        ("admin", FINDINGS),
        ("admin", "/api/v1/audit-events"),
        ("manager_mary", "/api/v1/organizations/20003/audit-events"),
        ("ll_patient_peter", "/api/v1/patients/me/access-log"),
    ] {
        let (status, said) = world.get(user, &format!("{path}?subjekt=10007")).await;
        assert_eq!((status, said["subjekt"].is_array()), (StatusCode::BAD_REQUEST, true), "{path}: {said}");
    }
    // What is for super admins is no filter for others.
    for filter in ["subject", "source_address", "finding", "organization"] {
        let path = format!("/api/v1/organizations/20003/audit-events?{filter}=1");
        assert_eq!(world.get("manager_mary", &path).await.0, StatusCode::BAD_REQUEST, "{filter}");
    }
}

#[tokio::test]
async fn who_a_finding_is_about_does_not_judge_it() {
    let world = world_with_findings().await;
    let path = format!("{FINDINGS}/{}", one(&world, "privileged_out_of_hours").await["id"]);
    let end = world.audit_end().await;
    for change in [json!({ "status": "closed" }), json!({ "status": "acknowledged" }), json!({ "note": "It was me." })]
    {
        let (status, said) = world.send("admin", Method::PATCH, &path, &change).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{said}");
    }
    assert!(world.audit_after(end).await.iter().all(|event| event.outcome == "denied"));
    let (_, finding) = world.get("admin", &path).await;
    assert_eq!((&finding["status"], &finding["note"]), (&json!("open"), &Value::Null));
}

#[tokio::test]
async fn what_became_of_a_finding_is_kept_and_recorded() {
    let world = world_with_findings().await;
    let path = format!("{FINDINGS}/{}", one(&world, "refusals").await["id"]);
    let read = Reply::to(world.request("admin", Method::GET, &path)).await;
    let change = json!({ "status": "acknowledged", "note": "A notebook with an old id.\nAsked on Monday." });
    let send =
        |body: &Value| world.request("admin", Method::PATCH, &path).header("if-match", read.header("etag")).json(body);
    let changed = Reply::to(send(&change)).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.text);
    let finding = changed.json();
    assert_eq!(
        (&finding["status"], &finding["note"], &finding["changedBy"]),
        (&change["status"], &change["note"], &json!(10001))
    );
    let stale = Reply::to(send(&json!({ "status": "closed" }))).await;
    assert_eq!(stale.status, StatusCode::PRECONDITION_FAILED, "{}", stale.text);
    let recorded = world
        .sql(
            "SELECT c.before->>'status', c.after->>'status', e.privileged FROM audit_event e JOIN audit_change c ON c.event_id = e.id
              WHERE e.resource_type = 'SecurityFinding' AND e.action = 'update'",
        )
        .await;
    let recorded: Vec<(String, String, bool)> =
        recorded.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    assert_eq!(recorded, [("open".to_owned(), "acknowledged".to_owned(), true)]);
    for wrong in [json!({ "status": "new" }), json!({ "kind": "volume" }), json!({ "note": "" }), json!([])] {
        let (status, said) = world.send("admin", Method::PATCH, &path, &wrong).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong}: {said}");
    }
    assert_eq!(
        world.send("admin", Method::PATCH, &format!("{FINDINGS}/999999"), &change).await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn the_monitor_does_not_overwrite_what_a_person_said() {
    let world = world_with_findings().await;
    let path = format!("{FINDINGS}/{}", one(&world, "volume").await["id"]);
    world.send("admin", Method::PATCH, &path, &json!({ "status": "closed", "note": "An export for the board." })).await;
    call(&world.app).await.expect("a report");
    let (_, finding) = world.get("admin", &path).await;
    assert_eq!((&finding["status"], &finding["note"]), (&json!("closed"), &json!("An export for the board.")));
}
