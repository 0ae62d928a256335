//! Every authentication event is on record, also those that are refused, with whom it was tried on and by which client; and how
//! many of them anybody can make.

use end_to_end::{
    World,
    application::{application, member},
    browser::{Browser, CLIENT, email, form_token, location, with_query},
    ledger::AuditEvent,
    reply::Reply,
    totp::code,
};
use reqwest::{Method, StatusCode};
use serde_json::json;
use standalone::demo::PASSWORD;

const MARY: i32 = 10002;

/// The one event after a place in the audit.
async fn event(world: &World, end: i64, what: &str) -> AuditEvent {
    let mut events = world.audit_after(end).await;
    assert_eq!(events.len(), 1, "{what}: {events:?}");
    events.remove(0)
}

#[tokio::test]
async fn a_wrong_password_is_recorded_with_the_account_and_not_with_what_was_typed() {
    let world = World::new().await;
    for (name, subject) in [("manager_mary", Some(MARY)), ("nobody_at_all", None)] {
        let browser = Browser::new(&world);
        let end = world.audit_end().await;
        browser.sign_in(&email(name).to_uppercase(), "wrong password", "/").await;
        let event = event(&world, end, name).await;
        assert_eq!((event.actor, event.actor_type.as_str(), event.subject), (None, "anonymous", subject), "{name}");
        assert_eq!((event.resource_type.as_str(), event.outcome.as_str()), ("Session", "denied"), "{name}");
        assert_eq!(event.patients, [0; 0], "guesses do not fill a patient's access log");
        // One that has to wait is on record in the same way.
        world.sql("UPDATE login_failure SET failures = 50, last_failure = clock_timestamp()").await;
        let end = world.audit_end().await;
        assert_eq!(browser.sign_in(&email(name), PASSWORD, "/").await.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(self::event(&world, end, name).await.subject, subject, "{name}");
        world.sql("DELETE FROM login_failure").await;
    }
    assert_eq!(world.tables_with("nobody_at_all").await, [""; 0]);
    assert_eq!(world.tables_with("wrong password").await, [""; 0]);
}

#[tokio::test]
async fn a_wrong_second_step_and_a_wrong_confirmation_name_the_account() {
    let world = World::new().await;
    let browser = Browser::signed_in(&world, "manager_mary").await;
    let end = world.audit_end().await;
    browser.fill("/accounts/password/", &[("password", "wrong"), ("new_password", "x"), ("repeated", "x")]).await;
    let wrong = world.audit_after(end).await.into_iter().find(|event| event.outcome == "denied");
    assert_eq!(wrong.expect("an event").subject, Some(MARY));
    let (secret, _) = browser.enrol().await;
    world.sql("UPDATE totp_factor SET last_step = 0").await;
    let other = Browser::new(&world);
    other.sign_in(&email("manager_mary"), PASSWORD, "/").await;
    let end = world.audit_end().await;
    other.second_step("000000x").await;
    assert_eq!(event(&world, end, "a code").await.subject, Some(MARY));
    assert_eq!(other.second_step(&code(&secret, 0)).await.status, StatusCode::FOUND);
}

#[tokio::test]
async fn a_link_that_is_asked_for_names_the_account() {
    let world = World::new().await;
    for (name, subject) in [("manager_mary", Some(MARY)), ("nobody_at_all", None)] {
        let end = world.audit_end().await;
        Browser::new(&world).fill("/accounts/reset/", &[("email", &email(name))]).await;
        assert_eq!(event(&world, end, name).await.subject, subject, "{name}");
    }
}

#[tokio::test]
async fn who_does_not_allow_an_app_is_recorded() {
    let world = World::new().await;
    world.sql("UPDATE oauth_client SET skip_authorization = false WHERE id = 4").await;
    let browser = Browser::signed_in(&world, "ll_patient_peter").await;
    let path = world.authorize_path().await;
    let token = form_token(&browser.get(&path).await);
    let end = world.audit_end().await;
    let denied = browser.post(&path, &[("decision", "deny"), ("csrfmiddlewaretoken", &token)]).await;
    assert_eq!(location(&denied).1["error"], "access_denied");
    let event = event(&world, end, "denied").await;
    let seen = (event.resource_type.as_str(), event.outcome.as_str(), event.refused_by.as_deref(), event.client);
    assert_eq!(seen, ("Authorization", "denied", Some("consent"), Some(4)));
    assert_eq!((event.actor_type.as_str(), event.why.as_deref()), ("patient", Some("access_denied")));
    assert_eq!(event.patients.len(), 1, "the person can read it");
}

#[tokio::test]
async fn what_a_client_is_refused_is_recorded_with_the_client() {
    let world = World::new().await;
    let client = world.register(&application("client_secret_basic", &json!({}))).await;
    let statement = format!("SELECT id::bigint FROM oauth_client WHERE client_id = '{}'", member(&client, "clientId"));
    let id = i32::try_from(world.count(&statement).await).expect("an id");
    for (path, form, refused_by, error) in [
        (
            "/o/token/",
            vec![("grant_type", "password"), ("username", "u"), ("password", "p")],
            "invalid",
            "unsupported_grant_type",
        ),
        ("/o/token/", vec![("grant_type", "authorization_code")], "invalid", "invalid_request"),
        ("/o/token/", vec![], "invalid", "invalid_request"),
        ("/o/introspect/", vec![], "invalid", "invalid_request"),
        ("/o/revoke_token/", vec![], "invalid", "invalid_request"),
        ("/o/token-exchange", vec![("grant_type", "password")], "invalid", "unsupported_grant_type"),
        ("/o/par/", vec![], "invalid", "invalid_request"),
        ("/o/par/", vec![("response_type", "token")], "invalid", "invalid_request"),
    ] {
        let end = world.audit_end().await;
        let reply = world.as_client(&client, path, &form).await;
        assert_eq!((reply.status, &reply.json()["error"]), (StatusCode::BAD_REQUEST, &json!(error)), "{path} {form:?}");
        let known = event(&world, end, path).await;
        assert_eq!((known.client, known.outcome.as_str()), (Some(id), "denied"), "{path} {form:?}");
        assert_eq!((known.refused_by.as_deref(), known.why.as_deref()), (Some(refused_by), Some(error)), "{path}");
        // The same by nobody, and by who claims to be the client.
        for secret in [None, Some("wrong")] {
            let end = world.audit_end().await;
            let request = world.anonymous(Method::POST, path).form(&form);
            let request = match secret {
                None => request,
                Some(_) => request.basic_auth(member(&client, "clientId"), secret),
            };
            assert!(Reply::to(request).await.status.is_client_error());
            let unknown = event(&world, end, path).await;
            assert_eq!((unknown.client, unknown.outcome.as_str()), (None, "denied"), "{path} {secret:?}");
        }
    }
    let end = world.audit_end().await;
    let reply = Reply::to(world.anonymous(Method::POST, "/o/introspect/").form(&[("token", "x")])).await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    assert_eq!(event(&world, end, "introspection by nobody").await.refused_by.as_deref(), Some("token"));
}

#[tokio::test]
async fn requests_that_lead_nowhere_are_recorded_and_of_one_network_so_many() {
    let world = World::new().await;
    let ask = async |client: &str, uri: &str| {
        let query = [("response_type", "code"), ("client_id", client), ("redirect_uri", uri)];
        let reply = Browser::new(&world).get(&with_query("/o/authorize/", &query)).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    };
    for (client, id, why) in [
        (CLIENT, Some(4), "The redirect URI is not registered for the client."),
        ("nobody", None, "The client is not known."),
    ] {
        let end = world.audit_end().await;
        ask(client, "https://evil.example/").await;
        let event = event(&world, end, client).await;
        assert_eq!((event.client, event.refused_by.as_deref(), event.why.as_deref()), (id, Some("invalid"), Some(why)));
        assert!(event.source.is_some(), "from where");
    }
    let end = world.audit_end().await;
    for _ in 0..25 {
        ask(CLIENT, "https://evil.example/").await;
    }
    let recorded = world.audit_after(end).await.len();
    assert_eq!(recorded, 20, "with the first one it is twenty-one: after twenty it slows down");
    assert_eq!(world.tables_with("evil.example").await, [""; 0]);
    world.sql("UPDATE login_failure SET last_failure = last_failure - interval '1 hour'").await;
    let end = world.audit_end().await;
    ask(CLIENT, "https://evil.example/").await;
    assert_eq!(world.audit_after(end).await.len(), 1, "it goes on");
}
