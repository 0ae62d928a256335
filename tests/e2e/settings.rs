//! `/api/v1/jhe_settings`: kept for super admins, with types, without secrets.

use end_to_end::{World, answer, keys, reply::Reply};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const PATH: &str = "/api/v1/jhe_settings";

#[tokio::test]
async fn settings_are_for_super_admins() {
    let world = World::new().await;
    let body = json!({ "key": "k", "valueType": "string", "value": "v" });
    for user in ["ll_patient_peter", "viewer_victor", "manager_mary"] {
        for (method, path) in [
            (Method::GET, PATH),
            (Method::GET, "/api/v1/jhe_settings/1"),
            (Method::POST, PATH),
            (Method::PATCH, "/api/v1/jhe_settings/2"),
            (Method::DELETE, "/api/v1/jhe_settings/2"),
        ] {
            let end = world.audit_end().await;
            assert_eq!(world.send(user, method, path, &body).await.0, StatusCode::FORBIDDEN, "{user} {path}");
            let event = world.audit_after(end).await.pop().expect("a record");
            assert_eq!(event.refused_by.as_deref(), Some("user_type"));
        }
    }
}

#[tokio::test]
async fn what_the_environment_decides_is_shown_and_cannot_be_changed() {
    let world = World::with(&[("UPLOAD_WHEN_REVOKED", "reject")]).await;
    let (status, page) = world.get("admin", PATH).await;
    assert_eq!((status, &page["count"]), (StatusCode::OK, &json!(3)));
    let rows = page["results"].as_array().expect("rows");
    assert_eq!(keys(&rows[0]), ["id", "key", "lastUpdated", "resolvedValue", "valueType"].into());
    let shown: Vec<(&Value, &Value)> = rows.iter().map(|row| (&row["key"], &row["resolvedValue"])).collect();
    assert_eq!(
        shown,
        [
            (&json!("site.url"), &json!(world.base)),
            (&json!("site.ui.title"), &json!("JupyterHealth Exchange")),
            (&json!("upload.when_revoked"), &json!("reject"))
        ]
    );
    for id in [1, 3] {
        let path = format!("{PATH}/{id}");
        let change = world.send("admin", Method::PATCH, &path, &json!({ "value": "https://evil.example" })).await;
        assert_eq!(change.0, StatusCode::CONFLICT, "{id}");
        assert_eq!(answer(world.request("admin", Method::DELETE, &path)).await.0, StatusCode::CONFLICT, "{id}");
    }
    assert_eq!(world.get("admin", &format!("{PATH}/1")).await.1["resolvedValue"], json!(world.base));
}

#[tokio::test]
async fn a_setting_is_kept_with_its_type_and_its_changes_are_recorded() {
    let world = World::new().await;
    let (status, made) = world.post("admin", PATH, &json!({ "key": "k", "valueType": "int", "value": "5" })).await;
    assert_eq!((status, &made["resolvedValue"], &made["id"]), (StatusCode::CREATED, &json!(5), &json!(4)));
    let path = format!("{PATH}/4");
    let tag = Reply::to(world.request("admin", Method::GET, &path)).await.header("etag").to_owned();
    let (status, changed) = world.send("admin", Method::PATCH, &path, &json!({ "value": 6 })).await;
    assert_eq!((status, &changed["resolvedValue"]), (StatusCode::OK, &json!(6)));
    let stale = world.request("admin", Method::PATCH, &path).header("if-match", tag).json(&json!({ "value": 7 }));
    assert_eq!(Reply::to(stale).await.status, StatusCode::PRECONDITION_FAILED);
    let kept = "SELECT count(*) FROM audit_change c JOIN audit_event e ON e.id = c.event_id
                 WHERE c.before = '{\"value\": 5}' AND c.after = '{\"value\": 6}' AND e.detail->>'setting' = 'k'";
    assert_eq!(world.count(kept).await, 1);
    for (body, field) in [
        (json!({ "value": "six" }), "value"),
        (json!({ "valueType": "bool" }), "value"),
        (json!({ "valueType": "date" }), "valueType"),
        (json!({ "key": "smtp.password" }), "key"),
        (json!({ "key": "site.url" }), "key"),
        (json!({ "resolvedValue": 1 }), "resolvedValue"),
    ] {
        let (status, problem) = world.send("admin", Method::PATCH, &path, &body).await;
        assert_eq!((status, keys(&problem)), (StatusCode::BAD_REQUEST, [field].into()), "{body}");
    }
    assert_eq!(answer(world.request("admin", Method::DELETE, &path)).await.0, StatusCode::NO_CONTENT);
    assert_eq!(world.get("admin", &path).await.0, StatusCode::NOT_FOUND);
    assert_eq!(answer(world.request("admin", Method::DELETE, &path)).await.0, StatusCode::NOT_FOUND);
}
