//! `/api/v1/clients`: who sees what of the registered clients, and what may be registered.

use end_to_end::{
    World, answer,
    application::{REDIRECT_URI, Signer, application, member, service},
    keys,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const PATH: &str = "/api/v1/clients";

async fn patch(world: &World, client: &Value, body: &Value) -> (StatusCode, Value) {
    let path = format!("{PATH}/{}", client["id"]);
    answer(world.request("admin", Method::PATCH, &path).json(body)).await
}

#[tokio::test]
async fn everybody_sees_names_and_links_and_a_super_admin_the_registration() {
    let world = World::new().await;
    let summary = ["clientId", "id", "invitationUrl", "name"];
    for user in ["viewer_victor", "ll_patient_peter"] {
        let (status, page) = world.get(user, PATH).await;
        // The console of administrators invites nobody.
        assert_eq!((status, &page["count"]), (StatusCode::OK, &json!(3)), "{user}");
        let results = page["results"].as_array().expect("results");
        assert!(results.iter().all(|row| row["invitationUrl"].is_string()), "{page}");
        assert_eq!(results.len(), 3);
        assert_eq!(world.get(user, &format!("{PATH}/4")).await.0, StatusCode::NOT_FOUND, "{user}");
        assert_eq!(keys(&page["results"][0]), summary.into(), "{user}");
        let (_, one) = world.get(user, &format!("{PATH}/1")).await;
        assert_eq!(one, page["results"][0], "{user}");
        assert_eq!((&one["name"], &one["id"]), (&json!("CareX"), &json!(1)), "{user}");
    }
    let (_, page) = world.get("admin", PATH).await;
    assert_eq!(page["count"], 4);
    let row = &page["results"][0];
    for name in ["redirectUris", "grantTypes", "scopes", "tokenEndpointAuthMethod", "skipAuthorization", "actsAs"] {
        assert!(row.get(name).is_some(), "{name}: {row}");
    }
    assert_eq!(row.get("clientSecret"), None);
    assert_eq!(world.get("admin", &format!("{PATH}/99")).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn only_a_super_admin_registers_and_refusals_are_recorded() {
    let world = World::new().await;
    let body = application("none", &json!({}));
    for user in ["ll_patient_peter", "viewer_victor", "manager_mary"] {
        let end = world.audit_end().await;
        assert_eq!(world.post(user, PATH, &body).await.0, StatusCode::FORBIDDEN, "{user}");
        let change = world.request(user, Method::PATCH, &format!("{PATH}/1")).json(&json!({ "name": "Mine" }));
        assert_eq!(answer(change).await.0, StatusCode::FORBIDDEN, "{user}");
        let delete = world.request(user, Method::DELETE, &format!("{PATH}/1"));
        assert_eq!(answer(delete).await.0, StatusCode::FORBIDDEN, "{user}");
        let events = world.audit_after(end).await;
        assert_eq!(events.len(), 3, "{user}");
        assert!(events.iter().all(|event| event.refused_by.as_deref() == Some("user_type")), "{user}");
    }
    let end = world.audit_end().await;
    world.register(&body).await;
    let events = world.audit_after(end).await;
    assert_eq!((events.len(), events[0].outcome.as_str()), (1, "allowed"));
    assert_eq!(world.count("SELECT count(*) FROM oauth_client").await, 5);
}

#[tokio::test]
async fn a_secret_is_told_once_and_replaced_on_demand() {
    let world = World::new().await;
    let client = world.register(&service("client_secret_basic", &json!({}))).await;
    let first = member(&client, "clientSecret");
    assert!(first.len() >= 43);
    assert_eq!(world.tables_with(first).await, [""; 0], "kept in the clear");
    let grant = [("grant_type", "client_credentials")];
    assert_eq!(world.as_client(&client, "/o/token/", &grant).await.status, StatusCode::OK);

    let (status, renamed) = patch(&world, &client, &json!({ "name": "Renamed" })).await;
    assert_eq!((status, &renamed["name"]), (StatusCode::OK, &json!("Renamed")));
    assert_eq!(renamed.get("clientSecret"), None);
    assert_eq!(renamed["grantTypes"], client["grantTypes"], "what is not named stays");
    assert_eq!(world.as_client(&client, "/o/token/", &grant).await.status, StatusCode::OK, "the secret too");

    let (_, rotated) = patch(&world, &client, &json!({ "rotateSecret": true })).await;
    assert_ne!(member(&rotated, "clientSecret"), first);
    assert_eq!(world.as_client(&client, "/o/token/", &grant).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(world.as_client(&rotated, "/o/token/", &grant).await.status, StatusCode::OK);

    let (status, keyed) = patch(
        &world,
        &client,
        &json!({ "tokenEndpointAuthMethod": "private_key_jwt", "jwks": Signer::default().jwks() }),
    )
    .await;
    assert_eq!(status, StatusCode::OK, "{keyed}");
    assert_eq!(world.as_client(&rotated, "/o/token/", &grant).await.status, StatusCode::UNAUTHORIZED);
    let id = &client["id"];
    assert_eq!(
        world.count(&format!("SELECT count(*) FROM oauth_client WHERE id = {id} AND secret_hash IS NULL")).await,
        1
    );
}

#[tokio::test]
async fn what_must_not_be_registered_is_refused_by_name() {
    let world = World::new().await;
    let private = {
        let mut keys = Signer::default().jwks();
        keys["keys"][0]["d"] = json!("AQAB");
        keys
    };
    for (field, body) in [
        ("redirectUris", application("none", &json!({ "redirectUris": ["http://app.example/cb"] }))),
        ("redirectUris", application("none", &json!({ "redirectUris": ["https://*.app.example/cb"] }))),
        ("redirectUris", application("none", &json!({ "redirectUris": ["https://app.example/cb#x"] }))),
        ("redirectUris", application("none", &json!({ "redirectUris": ["javascript:alert(1)"] }))),
        ("redirectUris", application("none", &json!({ "redirectUris": ["myapp:/cb"] }))),
        ("redirectUris", application("none", &json!({ "redirectUris": [] }))),
        ("redirectUris[0]", application("none", &json!({ "redirectUris": [1] }))),
        ("grantTypes", application("none", &json!({ "grantTypes": ["password"] }))),
        ("grantTypes", application("none", &json!({ "grantTypes": ["implicit"] }))),
        ("grantTypes", service("none", &json!({}))),
        ("actsAs", service("client_secret_basic", &json!({ "actsAs": null }))),
        ("actsAs", service("client_secret_basic", &json!({ "actsAs": 10001 }))),
        ("actsAs", service("client_secret_basic", &json!({ "actsAs": 10006 }))),
        ("actsAs", service("client_secret_basic", &json!({ "actsAs": 99999 }))),
        ("tokenEndpointAuthMethod", application("tls_client_auth", &json!({}))),
        ("jwks", application("private_key_jwt", &json!({}))),
        ("jwks", application("private_key_jwt", &json!({ "jwks": private }))),
        ("jwks", application("private_key_jwt", &json!({ "jwks": { "keys": [] } }))),
        ("resourceUri", application("none", &json!({ "resourceUri": "https://api.example" }))),
        ("resourceUri", application("client_secret_basic", &json!({ "resourceUri": "/api#x" }))),
        ("invitationUrl", application("none", &json!({ "invitationUrl": "https://app.example/" }))),
        ("scopes", application("none", &json!({ "scopes": [] }))),
        ("scopes", application("none", &json!({ "scopes": ["a b\""] }))),
        ("scopes", application("none", &json!({ "scopes": ["openid email"] }))),
        ("name", application("none", &json!({ "name": " " }))),
        ("clientId", application("none", &json!({ "clientId": "of mine" }))),
        ("clientId", application("none", &json!({ "clientId": "T6hjXsAUCfU0IAoYwp13FlQFJfAZsotfbyKtyIsL" }))),
        ("redirectUris", json!({ "name": "Without a link", "clientId": "cid" })),
        ("staticPkce", application("none", &json!({ "staticPkce": true }))),
        ("owner", application("none", &json!({ "owner": 1 }))),
    ] {
        let (status, answer) = world.post("admin", PATH, &body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert!(answer.get(field).is_some(), "{field}: {answer}");
    }
    for uri in ["http://127.0.0.1/cb", "http://localhost:8000/cb", "org.example.app:/cb", REDIRECT_URI] {
        world.register(&application("none", &json!({ "redirectUris": [uri] }))).await;
    }
    assert_eq!(world.count("SELECT count(*) FROM oauth_client").await, 8);
}

// What consoles of today send.
#[tokio::test]
async fn an_app_that_patients_are_invited_to_needs_a_name_an_id_and_a_link() {
    let world = World::new().await;
    let body = json!({ "name": "App", "clientId": "cid", "invitationUrl": "https://x.example/CODE" });
    let (status, client) = world.post("admin", PATH, &body).await;
    assert_eq!(status, StatusCode::CREATED, "{client}");
    for member in ["name", "clientId", "invitationUrl"] {
        assert_eq!(client[member], body[member]);
    }
    assert_eq!(client["grantTypes"], json!(["authorization_code", "refresh_token"]));
    assert_eq!(client["scopes"], json!(["openid", "email", "profile", "offline_access"]));
    assert_eq!(client["redirectUris"], json!([format!("{}/auth/callback", world.base)]));
    for member in ["wholeAccess", "skipAuthorization", "emailCode", "staticPkce"] {
        assert_eq!(client[member], false, "{member}");
    }
    let (_, shown) = world.get("ll_patient_peter", &format!("{PATH}/{}", client["id"])).await;
    assert_eq!((&shown["clientId"], keys(&shown).len()), (&json!("cid"), 4));

    // The name is its own for good: what was deleted is in the audit.
    let path = format!("{PATH}/{}", client["id"]);
    assert_eq!(patch(&world, &client, &json!({ "clientId": "other" })).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(patch(&world, &client, &json!({ "clientId": "cid" })).await.0, StatusCode::OK);
    assert_eq!(answer(world.request("admin", Method::DELETE, &path)).await.0, StatusCode::NO_CONTENT);
    let (status, problem) = world.post("admin", PATH, &body).await;
    assert_eq!((status, keys(&problem)), (StatusCode::BAD_REQUEST, ["clientId"].into()));

    // It works: a patient is invited, and the app redeems the link.
    let another = json!({ "name": "App", "clientId": "cid2", "invitationUrl": "https://x.example/CODE" });
    let (_, client) = world.post("admin", PATH, &another).await;
    let invitation = json!({ "patientId": 40001, "client_id": client["id"] });
    let (status, invited) = world.post("member_megan", "/api/v1/invitation", &invitation).await;
    assert_eq!(status, StatusCode::CREATED, "{invited}");
    let path = format!("/api/v1/invitation/{}", member(&invited, "token"));
    let (status, redeemed) = answer(world.anonymous(Method::POST, &path)).await;
    assert_eq!((status, &redeemed["grant"]["client_id"]), (StatusCode::OK, &json!("cid2")), "{redeemed}");
}

#[tokio::test]
async fn what_was_changed_of_a_client_is_in_the_audit_without_its_secret() {
    let world = World::new().await;
    let client = world.register(&service("client_secret_basic", &json!({}))).await;
    let (status, changed) = patch(&world, &client, &json!({ "emailCode": true, "rotateSecret": true })).await;
    assert_eq!((status, &changed["emailCode"]), (StatusCode::OK, &json!(true)), "{changed}");
    let rows = world.sql("SELECT after::text FROM audit_change ORDER BY event_id DESC LIMIT 1").await;
    assert_eq!(rows[0].get::<_, &str>(0), r#"{"email_code": true}"#);
    let path = format!("{PATH}/{}", client["id"]);
    assert_eq!(answer(world.request("admin", Method::DELETE, &path)).await.0, StatusCode::NO_CONTENT);
    let with_secret = "SELECT count(*) FROM audit_change WHERE before ? 'secret_hash' OR after ? 'secret_hash'";
    assert_eq!(world.count(with_secret).await, 0);
    let ends = "SELECT count(*) FROM audit_change WHERE after IS NULL AND before->'id' = 'ID'";
    assert_eq!(world.count(&ends.replace("ID", &client["id"].to_string())).await, 1);
}

#[tokio::test]
async fn a_client_that_a_study_invites_to_stays_until_the_study_uses_it_no_more() {
    let world = World::new().await;
    let app = application("none", &json!({ "invitationUrl": "https://a.example/CODE" }));
    let client = world.register(&app).await;
    let (own, study) = (format!("{PATH}/{}", client["id"]), "/api/v1/studies/30001/clients");
    let used = json!({ "clientId": client["id"] });
    assert_eq!(world.post("manager_mary", study, &used).await.0, StatusCode::CREATED);
    let (status, problem) = patch(&world, &client, &json!({ "invitationUrl": null })).await;
    assert_eq!((status, problem["detail"].is_string()), (StatusCode::CONFLICT, true), "{problem}");
    assert_eq!(answer(world.request("admin", Method::DELETE, &own)).await.0, StatusCode::CONFLICT);
    let stale = world.request("admin", Method::DELETE, &own).header("if-match", "\"1\"");
    assert_eq!(answer(stale).await.0, StatusCode::PRECONDITION_FAILED);
    assert_eq!(patch(&world, &client, &json!({ "name": "Renamed" })).await.0, StatusCode::OK);
    assert_eq!(world.send("manager_mary", Method::DELETE, study, &used).await.0, StatusCode::NO_CONTENT);
    assert_eq!(patch(&world, &client, &json!({ "invitationUrl": null })).await.0, StatusCode::OK);
    assert_eq!(answer(world.request("admin", Method::DELETE, &own)).await.0, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_deleted_client_and_its_tokens_end_on_the_next_request() {
    let world = World::new().await;
    let client = world.register(&application("client_secret_basic", &json!({}))).await;
    let tokens = world.tokens_of("manager_mary", &client).await;
    let unused = world.code_of("manager_mary", &client).await;
    let path = format!("{PATH}/{}", client["id"]);
    assert_eq!(answer(world.request("admin", Method::DELETE, &path)).await.0, StatusCode::NO_CONTENT);
    assert!(!world.accepts(member(&tokens, "access_token")).await);
    for form in [
        vec![("grant_type", "refresh_token"), ("refresh_token", member(&tokens, "refresh_token"))],
        vec![("grant_type", "authorization_code"), ("code", &unused), ("redirect_uri", REDIRECT_URI)],
    ] {
        let form = [form, vec![("code_verifier", end_to_end::browser::VERIFIER)]].concat();
        assert_eq!(world.as_client(&client, "/o/token/", &form).await.status, StatusCode::UNAUTHORIZED);
    }
    for request in [
        world.request("admin", Method::GET, &path),
        world.request("admin", Method::DELETE, &path),
        world.request("admin", Method::PATCH, &path).json(&json!({ "name": "Again" })),
    ] {
        assert_eq!(answer(request).await.0, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn a_practitioners_own_client_is_ended_but_not_changed_by_a_super_admin() {
    let world = World::new().await;
    let (_, own) = world.post("viewer_victor", "/api/v1/practitioner_clients", &json!({ "label": "x" })).await;
    assert_eq!(patch(&world, &own, &json!({ "actsAs": 10002 })).await.0, StatusCode::FORBIDDEN);
    assert_eq!(world.get("admin", PATH).await.1["count"], 5);
    assert_eq!(world.get("viewer_victor", &format!("{PATH}/{}", own["id"])).await.0, StatusCode::NOT_FOUND);
    let delete = world.request("admin", Method::DELETE, &format!("{PATH}/{}", own["id"]));
    assert_eq!(answer(delete).await.0, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_name_that_people_cannot_read_as_it_is_is_refused() {
    let world = World::new().await;
    let client = world.register(&application("none", &json!({}))).await;
    for name in ["Care\u{200b}X", "\u{202e}XeraC", "Care\u{2066}X\u{2069}", "\u{feff}CareX"] {
        let (status, answer) = world.post("admin", PATH, &application("none", &json!({ "name": name }))).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{name:?}: {answer}");
        assert_eq!(keys(&answer), ["name"].into(), "{name:?}");
        assert_eq!(patch(&world, &client, &json!({ "name": name })).await.0, StatusCode::BAD_REQUEST, "{name:?}");
        let own = world.post("manager_mary", "/api/v1/practitioner_clients", &json!({ "label": name })).await;
        assert_eq!(own.0, StatusCode::BAD_REQUEST, "{name:?}");
    }
    assert_eq!(patch(&world, &client, &json!({ "name": "CareX نبض" })).await.0, StatusCode::OK);
}

#[tokio::test]
async fn what_acts_as_an_account_ends_with_it_and_does_not_come_back() {
    let world = World::new().await;
    let account = "/api/v1/users/10004";
    let acts_as = json!({ "actsAs": 10004 });
    let service = world.register(&service("client_secret_basic", &acts_as)).await;
    let both = json!({ "actsAs": 10004, "grantTypes": ["authorization_code", "refresh_token", "client_credentials"] });
    let app = world.register(&application("client_secret_basic", &both)).await;
    let grant = [("grant_type", "client_credentials")];
    for client in [&service, &app] {
        assert_eq!(world.as_client(client, "/o/token/", &grant).await.status, StatusCode::OK);
    }
    let end = world.audit_end().await;
    assert_eq!(answer(world.request("admin", Method::DELETE, account)).await.0, StatusCode::NO_CONTENT);
    assert_eq!(world.send("admin", Method::PATCH, account, &json!({ "isActive": true })).await.0, StatusCode::OK);
    assert_eq!(world.as_client(&service, "/o/token/", &grant).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(world.as_client(&app, "/o/token/", &grant).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(world.get("admin", &format!("{PATH}/{}", service["id"])).await.0, StatusCode::NOT_FOUND);
    let (_, left) = world.get("admin", &format!("{PATH}/{}", app["id"])).await;
    assert_eq!(
        (&left["actsAs"], &left["grantTypes"]),
        (&Value::Null, &json!(["authorization_code", "refresh_token"])),
        "people sign in to it as before"
    );
    for client in [&service, &app] {
        let recorded = format!(
            "SELECT count(*) FROM audit_change c JOIN audit_event e ON e.id = c.event_id
              WHERE e.id > {end} AND (e.detail->>'client')::int = {} AND c.before->>'acts_as' = '10004'",
            client["id"]
        );
        assert_eq!(world.count(&recorded).await, 1, "{client}");
    }
    // Only by a super admin who says so.
    assert_eq!(patch(&world, &app, &both).await.0, StatusCode::OK);
    assert_eq!(world.as_client(&app, "/o/token/", &grant).await.status, StatusCode::OK);
}
