//! `jhe contain`: in an incident everything that is open ends, and the account or the client is blocked until it is let go.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use end_to_end::{
    World, answer,
    application::{REDIRECT_URI, application, member},
    browser::{Browser, VERIFIER, email, location},
    ledger::failure,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use standalone::demo::PASSWORD;
use tokio_postgres::error::SqlState;

const REASON: &str = "the notebook was stolen";

/// Contains: the report.
fn contain(world: &World, words: &[&str]) -> Value {
    let done = world.run(&[&["contain"], words].concat());
    assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).expect("a report")
}

/// All that somebody can have open.
struct Open<'a> {
    user: &'static str,
    browser: Browser<'a>,
    access: String,
    refresh: String,
    code: String,
    link: String,
}

impl<'a> Open<'a> {
    async fn of(world: &'a World, user: &'static str) -> Self {
        let tokens = world.tokens(user).await;
        let browser = Browser::signed_in(world, user).await;
        let code = location(&browser.get(&world.authorize_path().await).await).1["code"].clone();
        Browser::new(world).fill("/accounts/reset/", &[("email", &email(user))]).await;
        let mails = world.mails();
        let text = &mails.last().expect("a mail").text;
        let link = text.lines().find_map(|line| line.strip_prefix(&world.base)).expect("a link").to_owned();
        let text = |name| member(&tokens, name).to_owned();
        Self { user, browser, access: text("access_token"), refresh: text("refresh_token"), code, link }
    }

    async fn is_alive(&self, world: &World) {
        let user = self.user;
        assert!(world.accepts(&self.access).await, "{user}'s token");
        assert!(self.browser.is_in().await, "{user}'s session");
        assert_eq!(self.browser.get(&self.link).await.status, StatusCode::OK, "{user}'s link");
        assert_eq!(world.exchange(&self.code, VERIFIER).await.0, StatusCode::OK, "{user}'s code");
        assert_eq!(world.refresh(&self.refresh).await.0, StatusCode::OK, "{user}'s refresh token");
    }

    async fn is_dead(&self, world: &World) {
        let user = self.user;
        assert!(!world.accepts(&self.access).await, "{user}'s token");
        assert!(!self.browser.is_in().await, "{user}'s session");
        assert_eq!(self.browser.get(&self.link).await.status, StatusCode::GONE, "{user}'s link");
        let (status, said) = world.exchange(&self.code, VERIFIER).await;
        assert_eq!((status, &said["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_grant")), "{user}'s code");
        let (status, said) = world.refresh(&self.refresh).await;
        assert_eq!(
            (status, &said["error"]),
            (StatusCode::BAD_REQUEST, &json!("invalid_grant")),
            "{user}'s refresh token"
        );
    }
}

async fn can_sign_in(world: &World, user: &str) -> bool {
    let reply = Browser::new(world).sign_in(&email(user), PASSWORD, "/").await;
    match reply.status {
        StatusCode::FOUND => true,
        StatusCode::OK if reply.text.contains("is not right") => false,
        status => panic!("{user}: {status} {}", reply.text),
    }
}

async fn invited(world: &World, coordinator: &str, patient: i32, client: i32) -> String {
    let body = json!({ "patientId": patient, "client_id": client });
    let (status, invitation) = world.post(coordinator, "/api/v1/invitation", &body).await;
    assert_eq!(status, StatusCode::CREATED, "{invitation}");
    member(&invitation, "token").to_owned()
}

async fn redeemed(world: &World, token: &str) -> (StatusCode, Value) {
    answer(world.anonymous(Method::POST, &format!("/api/v1/invitation/{token}"))).await
}

#[tokio::test]
async fn all_that_a_user_has_open_ends_and_nobody_elses() {
    for user in ["manager_mary", "ll_patient_peter"] {
        let world = World::new().await;
        let (theirs, others) = (Open::of(&world, user).await, Open::of(&world, "member_megan").await);
        let end = world.audit_end().await;
        let report = contain(&world, &["--user", &email(user), "--reason", REASON]);
        assert_eq!((&report["measure"], &report["changed"]), (&json!("contain"), &json!(1)));
        for (what, least) in
            [("sessions", 2), ("grants", 3), ("accessTokens", 2), ("refreshTokens", 1), ("codes", 1), ("links", 1)]
        {
            assert!(report["ended"][what].as_i64().is_some_and(|count| count >= least), "{what}: {report}");
        }
        let events = world.audit_after(end).await;
        assert_eq!(events.len(), 1, "one transaction, one row");
        assert_eq!((events[0].actor_type.as_str(), events[0].action.as_str()), ("system", "execute"));
        assert_eq!(events[0].request_id, member(&report, "requestId"));
        let id: i32 = world.demo["users"][user]["user_id"].as_i64().expect("an id").try_into().expect("small");
        let told = world.sql(&format!("SELECT coalesce(reason, reason_of(id, occurred_at)) AS reason, detail FROM audit_event WHERE id > {end} LIMIT 1")).await;
        let detail: Value = told[0].get("detail");
        assert_eq!(told[0].get::<_, &str>("reason"), REASON);
        assert_eq!((&detail["users"], &detail["ended"]), (&json!([id]), &report["ended"]));
        assert_eq!(events[0].patients, if user == "ll_patient_peter" { vec![40001] } else { vec![] });
        theirs.is_dead(&world).await;
        others.is_alive(&world).await;
        assert!(!can_sign_in(&world, user).await, "as with a wrong password");
        assert!(can_sign_in(&world, "member_megan").await);
    }
}

#[tokio::test]
async fn release_lets_sign_in_and_revives_nothing() {
    let world = World::new().await;
    let theirs = Open::of(&world, "manager_mary").await;
    contain(&world, &["--user", "10002"]);
    // What a request that was under way at the moment of the block may have left.
    world.sql("UPDATE oauth_grant SET revoked_at = NULL WHERE user_id = 10002").await;
    assert!(!world.accepts(&theirs.access).await, "the block holds by itself");
    let report = contain(&world, &["--user", "10002", "--release"]);
    assert_eq!((&report["measure"], &report["changed"]), (&json!("release"), &json!(1)));
    theirs.is_dead(&world).await;
    assert!(can_sign_in(&world, "manager_mary").await);
    let done = world.run(&["contain", "--user", "10002", "--release"]);
    assert!(!done.status.success(), "nothing is contained any more");
}

#[tokio::test]
async fn a_second_time_ends_nothing_and_changes_nothing() {
    let world = World::new().await;
    contain(&world, &["--user", "manager_mary@example.com"]);
    let again = contain(&world, &["--user", "MANAGER_MARY@example.com"]);
    assert_eq!(again["changed"], 0);
    assert!(again["ended"].as_object().expect("counts").values().all(|count| count == 0), "{again}");
    contain(&world, &["--user", "10002", "--release"]);
    assert!(can_sign_in(&world, "manager_mary").await, "once is enough");
}

#[tokio::test]
async fn sign_ins_that_wait_for_their_second_step_end() {
    let world = World::new().await;
    world
        .sql(
            "INSERT INTO login_challenge (token_hash, user_id, expires_at)
             SELECT sha256(id::text::bytea), id, clock_timestamp() + interval '1 hour' FROM app_user WHERE id IN (10002, 10003)",
        )
        .await;
    let challenge = "INSERT INTO passkey_challenge (binding_hash, purpose, challenge_hash, expires_at)
                     SELECT token_hash, 'second_step', token_hash, expires_at FROM login_challenge";
    world.sql(challenge).await;
    let report = contain(&world, &["--user", "10002"]);
    assert_eq!(report["ended"]["signIns"], 2, "{report}");
    assert_eq!(world.count("SELECT count(*) FROM login_challenge").await, 1);
    assert_eq!(world.count("SELECT count(*) FROM passkey_challenge").await, 1);
}

#[tokio::test]
async fn invitations_end_of_a_patient_of_who_issued_them_and_of_a_client() {
    for words in [["--user", "ll_patient_peter@example.com"], ["--user", "member_megan@example.com"], ["--client", "1"]]
    {
        let world = World::new().await;
        let open = invited(&world, "member_megan", 40001, 1).await;
        let used = invited(&world, "member_megan", 40001, 1).await;
        let other = invited(&world, "manager_mary", 40002, 3).await;
        // The second takes the place of the first: it can be redeemed, and for a while again.
        assert_eq!(redeemed(&world, &used).await.0, StatusCode::OK);
        let report = contain(&world, &words);
        assert_eq!(report["ended"]["invitations"], 1, "{words:?}: {report}");
        for token in [&open, &used] {
            assert!(redeemed(&world, token).await.0.is_client_error(), "{words:?}");
        }
        assert_eq!(redeemed(&world, &other).await.0, StatusCode::OK, "{words:?}");
    }
}

#[tokio::test]
async fn a_client_is_blocked_with_all_its_tokens_and_no_other() {
    let world = World::new().await;
    let client = world.register(&application("client_secret_basic", &json!({}))).await;
    let other = world.register(&application("client_secret_basic", &json!({}))).await;
    let (tokens, unrelated) =
        (world.tokens_of("manager_mary", &client).await, world.tokens_of("manager_mary", &other).await);
    let code = world.code_of("manager_mary", &client).await;
    let report = contain(&world, &["--client", member(&client, "clientId"), "--reason", REASON]);
    assert!(
        report["client"].is_i64() && report["ended"]["grants"] == 2 && report["ended"]["sessions"] == 0,
        "{report}"
    );
    assert!(!world.accepts(member(&tokens, "access_token")).await);
    let refresh = |client, tokens| {
        let form = [("grant_type", "refresh_token"), ("refresh_token", member(tokens, "refresh_token"))];
        let world = &world;
        async move { world.as_client(client, "/o/token/", &form).await }
    };
    let said = refresh(&client, &tokens).await;
    assert_eq!((said.status, &said.json()["error"]), (StatusCode::UNAUTHORIZED, &json!("invalid_client")));
    assert!(world.accepts(member(&unrelated, "access_token")).await);
    assert_eq!(refresh(&other, &unrelated).await.status, StatusCode::OK);
    contain(&world, &["--client", member(&client, "clientId"), "--release"]);
    assert!(!world.accepts(member(&tokens, "access_token")).await);
    assert_eq!(refresh(&client, &tokens).await.json()["error"], "invalid_grant");
    let form = [
        ("grant_type", "authorization_code"),
        ("redirect_uri", REDIRECT_URI),
        ("code", code.as_str()),
        ("code_verifier", VERIFIER),
    ];
    assert_eq!(world.as_client(&client, "/o/token/", &form).await.json()["error"], "invalid_grant");
    world.tokens_of("manager_mary", &client).await;
}

#[tokio::test]
async fn the_people_of_an_organization_are_contained_and_an_account_stays_so_for_as_long_as_anything_contains_it() {
    let world = World::new().await;
    let (mary, peter, stranger) = (
        Open::of(&world, "manager_mary").await,
        Open::of(&world, "ll_patient_peter").await,
        Open::of(&world, "manager_mark").await,
    );
    contain(&world, &["--user", "10002"]);
    let report = contain(&world, &["--organization", "20003"]);
    let users = report["users"].as_array().expect("users");
    assert!(users.len() >= 3 && users.contains(&json!(10002)), "{report}");
    assert_eq!(report["changed"], users.len(), "each of them is contained by it");
    for user in ["manager_mary", "member_megan", "viewer_victor"] {
        assert!(!can_sign_in(&world, user).await, "{user}");
    }
    mary.is_dead(&world).await;
    peter.is_alive(&world).await;
    stranger.is_alive(&world).await;
    contain(&world, &["--organization", "20003", "--release"]);
    assert!(can_sign_in(&world, "member_megan").await);
    assert!(!can_sign_in(&world, "manager_mary").await, "she was contained by herself, too");
    contain(&world, &["--user", "10002", "--release"]);
    assert!(can_sign_in(&world, "manager_mary").await);
}

#[tokio::test]
async fn everything_ends_and_nobody_is_blocked() {
    let world = World::new().await;
    let (mary, peter) = (Open::of(&world, "manager_mary").await, Open::of(&world, "ll_patient_peter").await);
    let invitation = invited(&world, "member_megan", 40002, 1).await;
    let report = contain(&world, &["--everything", "--reason", REASON]);
    assert_eq!(report["users"], "all");
    mary.is_dead(&world).await;
    peter.is_dead(&world).await;
    assert!(redeemed(&world, &invitation).await.0.is_client_error());
    assert_eq!(world.count("SELECT count(*) FROM oauth_grant WHERE revoked_at IS NULL").await, 0);
    for user in ["manager_mary", "ll_patient_peter"] {
        assert!(can_sign_in(&world, user).await, "{user}");
    }
}

#[tokio::test]
async fn no_super_admin_and_no_function_lifts_a_block() {
    let world = World::new().await;
    contain(&world, &["--user", "10002"]);
    let (path, on, off) = ("/api/v1/users/10002", json!({ "isActive": true }), json!({ "isActive": false }));
    let (status, said) = world.send("admin", Method::PATCH, path, &on).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{said}");
    assert!(said["isActive"][0].as_str().is_some_and(|text| text.contains("contained")), "{said}");
    assert!(!can_sign_in(&world, "manager_mary").await);
    let function = world.as_function().await;
    for statement in [
        "UPDATE app_user SET contained_by = '{}'",
        "UPDATE app_user SET active_after_release = true",
        "UPDATE oauth_client SET contained_at = NULL",
    ] {
        assert_eq!(failure(&function, statement).await, Some(SqlState::INSUFFICIENT_PRIVILEGE), "{statement}");
    }
    // A closed account is closed afterwards, whenever it was closed.
    world.sql("UPDATE app_user SET active_after_release = false WHERE id = 10002").await;
    contain(&world, &["--user", "10002", "--release"]);
    assert!(!can_sign_in(&world, "manager_mary").await);
    assert_eq!(world.send("admin", Method::PATCH, path, &on).await.0, StatusCode::OK);
    assert!(can_sign_in(&world, "manager_mary").await);
    assert_eq!(world.send("admin", Method::PATCH, path, &off).await.0, StatusCode::OK);
    contain(&world, &["--user", "10002"]);
    contain(&world, &["--user", "10002", "--release"]);
    assert!(!can_sign_in(&world, "manager_mary").await, "it was closed before");
}

#[tokio::test]
async fn an_invited_app_gets_nothing_for_a_patient_who_is_contained() {
    let world = World::new().await;
    contain(&world, &["--user", "ll_patient_peter@example.com"]);
    let token = invited(&world, "member_megan", 40001, 1).await;
    let (_, redeemed) = redeemed(&world, &token).await;
    let mut form: Vec<(String, String)> = redeemed["grant"]
        .as_object()
        .expect("a grant")
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().expect("a text").to_owned()))
        .collect();
    form.push(("code_verifier".to_owned(), URL_SAFE_NO_PAD.encode(&token)));
    let (status, said) = answer(world.anonymous(Method::POST, "/o/token/").form(&form)).await;
    assert_eq!((status, &said["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_grant")));
}

#[tokio::test]
async fn what_is_not_there_or_not_one_thing_is_refused() {
    let world = World::new().await;
    let end = world.audit_end().await;
    for words in [
        &["--user", "nobody@example.com"][..],
        &["--user", "1"],
        &["--client", "nothing"],
        &["--organization", "29999"],
        &["--organization", "lifespan"],
        &["--everything", "--release"],
        &["--user", "10002", "--everything"],
        &["--user", "10002", "--reason", "one\ntwo"],
        &[],
    ] {
        let done = world.run(&[&["contain"], words].concat());
        assert_eq!(done.status.code(), Some(1), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
        assert!(done.stdout.is_empty());
    }
    for words in [&["--user"][..], &["--users", "10002"], &["10002"], &["--everything", "--everything"]] {
        assert_eq!(world.run(&[&["contain"], words].concat()).status.code(), Some(2), "{words:?}");
    }
    assert_eq!(world.audit_after(end).await, []);
}

#[tokio::test]
async fn super_admins_read_why_it_was_done_and_by_whose_account_at_the_machine() {
    let world = World::new().await;
    let home = tempfile::tempdir().expect("a directory");
    let call = |by: &[(&str, &str)]| {
        let mut command = world.command(home.path(), &["contain", "--user", "10004", "--reason", REASON]);
        command.env_remove("SUDO_USER").env_remove("USER").env_remove("LOGNAME").envs(by.iter().copied());
        assert!(command.output().expect("jhe is built before the tests").status.success());
    };
    for (by, operator) in [
        (&[("SUDO_USER", "nora"), ("USER", "root")][..], json!("nora")),
        (&[("USER", "otto")], json!("otto")),
        (&[("LOGNAME", "HOSPITAL\\pia")], json!("HOSPITAL\\pia")),
        (&[("USER", "no name at all; really")], Value::Null),
        (&[], Value::Null),
    ] {
        call(by);
        let (status, page) = world.get("admin", "/api/v1/audit-events?action=execute&pageSize=1").await;
        assert_eq!(status, StatusCode::OK, "{page}");
        let event = &page["results"][0];
        let seen = (&event["resourceType"], &event["actorType"], &event["reason"], &event["detail"]["operator"]);
        assert_eq!(seen, (&json!("Containment"), &json!("system"), &json!(REASON), &operator), "{event}");
        let (_, resource) = world.get("admin", &format!("/FHIR/R5/AuditEvent/{}", event["id"])).await;
        assert_eq!(resource["authorization"][0]["text"], REASON, "{resource}");
    }
}
