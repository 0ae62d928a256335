//! Invitations by e-mail: to the patient's own address, the token to nobody else, and how often.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use end_to_end::{World, answer};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const PATH: &str = "/api/v1/invitation";

fn by_mail() -> Value {
    json!({ "patientId": 40001, "client_id": 1, "sendEmail": true })
}

#[tokio::test]
async fn the_link_goes_to_the_patient_and_the_token_to_nobody_else() {
    let world = World::new().await;
    let end = world.audit_end().await;
    let (status, body) = world.post("member_megan", PATH, &by_mail()).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    assert_eq!(
        (&body["token"], &body["invitationLink"], &body["status"]),
        (&Value::Null, &Value::Null, &json!("issued"))
    );
    assert_eq!(world.audit_after(end).await.len(), 1);

    let mails = world.mails();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].to, "ll_patient_peter@example.com");
    let token = mails[0].invitation_token();
    assert!(!mails[0].subject.contains(&token));
    for personal in ["Peter", "Stevens", "1982", "Lifespan", "Megan", "Blood"] {
        assert!(!mails[0].text.contains(personal), "{personal} in {}", mails[0].text);
    }
    assert_eq!(body["tokenHash"], URL_SAFE_NO_PAD.encode(oauth::TokenHash::of(&token).as_bytes()));
    let (_, shown) = world.get("member_megan", &format!("{PATH}/{}", body["id"])).await;
    assert_eq!((&shown["emailed"], shown.to_string().contains(&token)), (&json!(true), false), "{shown}");
    assert_eq!(world.tables_with(&token).await, [""; 0]);

    assert!(!world.is_verified("ll_patient_peter").await);
    let (status, redeemed) = answer(world.anonymous(Method::POST, &format!("{PATH}/{token}"))).await;
    assert_eq!(status, StatusCode::OK, "{redeemed}");
    assert!(world.is_verified("ll_patient_peter").await, "who has the token has the mail");
}

#[tokio::test]
async fn the_address_is_that_of_the_account_whatever_the_record_or_the_request_says() {
    let world = World::new().await;
    world.sql("UPDATE patient SET telecom_email = 'coordinator@example.com' WHERE id = 40001").await;
    for field in ["email", "telecomEmail", "to", "address"] {
        let mut body = by_mail();
        body[field] = json!("coordinator@example.com");
        assert_eq!(world.post("member_megan", PATH, &body).await.0, StatusCode::BAD_REQUEST, "{field}");
    }
    assert!(world.mails().is_empty());
    assert_eq!(world.post("member_megan", PATH, &by_mail()).await.0, StatusCode::CREATED);
    assert_eq!(world.mails()[0].to, "ll_patient_peter@example.com");
}

#[tokio::test]
async fn who_may_not_invite_sends_nothing() {
    let world = World::new().await;
    for user in ["viewer_victor", "manager_mark", "ll_patient_peter"] {
        assert!(!world.post(user, PATH, &by_mail()).await.0.is_success(), "{user}");
    }
    assert!(world.mails().is_empty());
}

#[tokio::test]
async fn a_reissued_invitation_is_sent_when_asked() {
    let world = World::new().await;
    let (_, earlier) = world.post("member_megan", PATH, &json!({ "patientId": 40001, "client_id": 1 })).await;
    let path = format!("{PATH}/{}/reissue", earlier["id"]);
    let (status, later) = world.post("member_megan", &path, &json!({ "send_email": true })).await;
    assert_eq!((status, &later["token"]), (StatusCode::CREATED, &Value::Null), "{later}");
    let token = world.mails()[0].invitation_token();
    assert_eq!(answer(world.anonymous(Method::POST, &format!("{PATH}/{token}"))).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_patient_is_sent_five_in_a_day() {
    let world = World::new().await;
    for number in 1..=5 {
        assert_eq!(world.post("member_megan", PATH, &by_mail()).await.0, StatusCode::CREATED, "{number}");
    }
    let end = world.audit_end().await;
    for user in ["member_megan", "manager_mary", "admin"] {
        let response = world.request(user, Method::POST, PATH).json(&by_mail()).send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS, "{user}");
        assert_eq!(response.headers()["retry-after"], "3600", "{user}");
    }
    let events = world.audit_after(end).await;
    assert_eq!(events.iter().filter(|event| event.outcome == "denied").count(), 3);
    assert_eq!(world.mails().len(), 5);
    assert_eq!(world.count("SELECT count(*) FROM invitation WHERE status = 'issued'").await, 1, "the last one stays");
    let shown = json!({ "patientId": 40001, "client_id": 1 });
    assert_eq!(world.post("member_megan", PATH, &shown).await.0, StatusCode::CREATED, "nothing is sent");
    let other = json!({ "patientId": 40002, "client_id": 1, "sendEmail": true });
    assert_eq!(world.post("member_megan", PATH, &other).await.0, StatusCode::CREATED, "another patient");
    world.sql("UPDATE invitation SET issued_at = issued_at - interval '1 day'").await;
    assert_eq!(world.post("member_megan", PATH, &by_mail()).await.0, StatusCode::CREATED, "another day");
}

#[tokio::test]
async fn a_coordinator_sends_a_hundred_in_an_hour() {
    let world = World::new().await;
    let issuer = "SELECT id FROM app_user WHERE email = 'member_megan@example.com'";
    world
        .sql(&format!(
            "INSERT INTO invitation (patient_id, client_id, token_hash, issued_by, expires_at, emailed)
             SELECT 40002, 1, sha256(n::text::bytea), ({issuer}), now() + interval '1 day', true FROM generate_series(1, 100) n"
        ))
        .await;
    assert_eq!(world.post("member_megan", PATH, &by_mail()).await.0, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(world.post("manager_mary", PATH, &by_mail()).await.0, StatusCode::CREATED);
    world.sql("UPDATE invitation SET issued_at = issued_at - interval '1 hour'").await;
    assert_eq!(world.post("member_megan", PATH, &by_mail()).await.0, StatusCode::CREATED);
}

#[tokio::test]
async fn without_mail_nothing_is_issued_and_the_earlier_invitation_stays() {
    let world = World::with(&[("MAIL_TRANSPORT", "none")]).await;
    let (_, earlier) = world.post("member_megan", PATH, &json!({ "patientId": 40001, "client_id": 1 })).await;
    let (status, body) = world.post("member_megan", PATH, &by_mail()).await;
    assert_eq!((status, body["sendEmail"].is_array()), (StatusCode::BAD_REQUEST, true), "{body}");
    assert_eq!(world.count("SELECT count(*) FROM invitation").await, 1);
    let token = earlier["token"].as_str().expect("a token");
    assert_eq!(answer(world.anonymous(Method::POST, &format!("{PATH}/{token}"))).await.0, StatusCode::OK);
}

#[tokio::test]
async fn an_invitation_that_could_not_be_sent_is_cancelled() {
    // A file is where the directory should be.
    let file = tempfile::NamedTempFile::new().expect("a file");
    let world = World::with(&[("MAIL_DIRECTORY", file.path().to_str().expect("a path"))]).await;
    let end = world.audit_end().await;
    assert_eq!(world.post("member_megan", PATH, &by_mail()).await.0, StatusCode::SERVICE_UNAVAILABLE);
    let actions: Vec<String> = world.audit_after(end).await.into_iter().map(|event| event.action).collect();
    assert_eq!(actions, ["create", "delete"]);
    world.sql("UPDATE app_user SET email = 'péter@example.com' WHERE email = 'll_patient_peter@example.com'").await;
    let (status, body) = world.post("member_megan", PATH, &by_mail()).await;
    assert_eq!((status, body["sendEmail"].is_array()), (StatusCode::BAD_REQUEST, true), "{body}");
    assert_eq!(world.count("SELECT count(*) FROM invitation WHERE status = 'cancelled'").await, 2);
}

#[tokio::test]
async fn a_deployment_can_show_no_token_to_any_coordinator() {
    let world = World::with(&[("INVITATION_EMAIL_ONLY", "1")]).await;
    for body in [
        json!({ "patientId": 40001, "client_id": 1 }),
        json!({ "patientId": 40001, "client_id": 1, "sendEmail": false }),
    ] {
        let (status, answer) = world.post("manager_mary", PATH, &body).await;
        assert_eq!((status, answer["sendEmail"].is_array()), (StatusCode::BAD_REQUEST, true), "{answer}");
    }
    let (status, sent) = world.post("manager_mary", PATH, &by_mail()).await;
    assert_eq!((status, &sent["token"]), (StatusCode::CREATED, &Value::Null));
    let again = answer(world.request("manager_mary", Method::POST, &format!("{PATH}/{}/reissue", sent["id"]))).await;
    assert_eq!(again.0, StatusCode::BAD_REQUEST, "{}", again.1);
}
