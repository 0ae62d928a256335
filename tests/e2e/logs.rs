//! `docs/logging.md`: what is never logged. The story is run against a process that logs all it can, and its output is
//! searched.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use end_to_end::{
    World, answer,
    browser::{Browser, VERIFIER, email, location},
    point,
    process::Process,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// A person's data that no time, id or number of a log can look like.
const SYSTOLIC: &str = "131.70707";

fn sensitive_point() -> Value {
    let text = point::blood_pressure(999, "2026-02-03T04:05:06Z").to_string().replace("999", SYSTOLIC);
    serde_json::from_str(&text).expect("a point")
}

/// What must not be found, as it comes up.
#[derive(Default)]
struct Secrets(Vec<String>);

impl Secrets {
    fn keep(&mut self, text: impl Into<String>) {
        let text = text.into();
        assert!(text.len() >= 4, "{text} is found by chance");
        self.0.push(text);
    }

    fn keep_all(&mut self, body: &Value, names: &[&str]) {
        for name in names {
            self.keep(body[name].as_str().unwrap_or_else(|| panic!("no {name}: {body}")));
        }
    }
}

async fn sign_in(world: &World, secrets: &mut Secrets) {
    let browser = Browser::new(world);
    for (name, password) in [("manager_mary", "Mistyped-1234!"), ("someone.unknown", "Guess-5678!")] {
        browser.sign_in(&email(name), password, "/").await;
        secrets.keep(password);
        secrets.keep(email(name));
    }
    browser.sign_in(&email("manager_mary"), standalone::demo::PASSWORD, "/").await;
    let reply = browser.get(&world.authorize_path().await).await;
    let code = location(&reply).1["code"].clone();
    let (status, tokens) = world.exchange(&code, VERIFIER).await;
    assert_eq!(status, StatusCode::OK, "{tokens}");
    secrets.keep_all(&tokens, &["access_token", "refresh_token", "id_token"]);
    let (_, next) = world.refresh(tokens["refresh_token"].as_str().expect("a token")).await;
    secrets.keep_all(&next, &["access_token", "refresh_token"]);
    for replayed in [&code, VERIFIER] {
        world.exchange(replayed, VERIFIER).await;
    }
    for secret in [
        code,
        VERIFIER.to_owned(),
        browser.cookie("jhe_session").expect("a session"),
        browser.cookie("csrftoken").expect("a cookie"),
    ] {
        secrets.keep(secret);
    }
}

async fn invite(world: &World, secrets: &mut Secrets) {
    let (_, invitation) =
        world.post("member_megan", "/api/v1/invitation", &json!({ "patientId": 40001, "client_id": 1 })).await;
    secrets.keep_all(&invitation, &["token", "tokenHash"]);
    let token = invitation["token"].as_str().expect("a token");
    let (_, redeemed) = answer(world.anonymous(Method::POST, &format!("/api/v1/invitation/{token}"))).await;
    secrets.keep_all(&redeemed["grant"], &["code"]);
    secrets.keep(URL_SAFE_NO_PAD.encode(token));
    answer(world.anonymous(Method::POST, "/api/v1/invitation/8NG3Sz7fULsoyypl9vmutzYOa6kkbgny")).await;
    let mailed = json!({ "patientId": 40002, "client_id": 1, "sendEmail": true });
    let (status, invitation) = world.post("member_megan", "/api/v1/invitation", &mailed).await;
    assert_eq!(status, StatusCode::CREATED, "{invitation}");
    secrets.keep_all(&invitation, &["tokenHash"]);
    secrets.keep("8NG3Sz7fULsoyypl9vmutzYOa6kkbgny");
}

/// The token in the one mail that the host sent, which is a file of its home.
fn mailed_token(process: &Process) -> String {
    let mut files = std::fs::read_dir(process.home().join("mail")).expect("the mail");
    let file = files.next().expect("a mail").expect("a file").path();
    let mail = std::fs::read_to_string(file).expect("a mail").replace("=\r\n", "");
    let (_, rest) = mail.split_once("https://carex.ai/invitation/").expect("a link");
    rest.split_once('_').expect("a token").1.chars().take_while(char::is_ascii_alphanumeric).collect()
}

async fn upload_and_read(world: &World, secrets: &mut Secrets) {
    let good = point::observation(40001, 70001, &sensitive_point(), "person-7-of-list");
    secrets.keep(STANDARD.encode(sensitive_point().to_string()).get(40..120).expect("base64"));
    secrets.keep("person-7-of-list");
    let (status, body) = world.post("ll_patient_peter", "/FHIR/R5/Observation", &good).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    let invalid = serde_json::from_str(&sensitive_point().to_string().replace("mmHg", "bananas")).expect("a point");
    let bad = point::observation(40001, 70001, &invalid, "");
    for (user, body, status) in
        [("ll_patient_peter", &good, 409), ("ll_patient_peter", &bad, 422), ("manager_mark", &good, 403)]
    {
        let (answered, said) = world.post(user, "/FHIR/R5/Observation", body).await;
        assert_eq!(answered.as_u16(), status, "{user}: {said}");
    }
    world.post("ll_patient_peter", "/FHIR/R5", &point::bundle("batch", &[good, bad])).await;
    for (user, path, status) in [
        ("viewer_victor", "/FHIR/R5/Observation?patient=40001", 200),
        ("viewer_victor", "/FHIR/R5/Observation?patient=40001&identifier=person-7-of-list", 200),
        ("viewer_victor", "/FHIR/R5/Patient?name=Stevens&birthdate=1982-01-13", 200),
        ("manager_mark", "/FHIR/R5/Observation?patient=40001&code=omh:blood-pressure:4.0", 403),
        ("member_megan", "/api/v1/patients/global_lookup?email=npl_patient_percy%40example.com", 200),
        ("viewer_victor", "/api/v1/patients/global_lookup?email=npl_patient_percy%40example.com", 200),
        ("ll_patient_peter", "/api/v1/patients/me/access-log", 200),
    ] {
        assert_eq!(world.get(user, path).await.0.as_u16(), status, "{user} {path}");
    }
    let (status, _) =
        world.post("viewer_victor", "/api/v1/invitation", &json!({ "patient_id": 40001, "client_id": 1 })).await;
    assert_eq!(status.as_u16(), 403, "a viewer does not invite");
    world.decide("ll_patient_peter", 40001, 30001, "omh:heart-rate:2.0", false).await;
    let duplicate = json!({ "organizationId": 20003, "telecomEmail": "admin@example.com", "nameFamily": "Unmistakable",
        "nameGiven": "Nora", "birthDate": "1991-04-12", "telecomPhone": "+1-157-555-0199" });
    assert_eq!(world.post("member_megan", "/api/v1/patients", &duplicate).await.0, StatusCode::BAD_REQUEST);
    for text in ["Unmistakable", "1991-04-12", "+1-157-555-0199"] {
        secrets.keep(text);
    }
}

/// Defects: the database refuses what the functions ask, with the values in its own words.
async fn break_things(world: &World) {
    world.sql("ALTER TABLE patient ADD CHECK (name_family <> 'Unmistakable')").await;
    let body = json!({ "organizationId": 20003, "telecomEmail": "nora.new@example.com", "nameFamily": "Unmistakable",
        "nameGiven": "Nora", "birthDate": "1991-04-12" });
    let (status, answer) = world.post("member_megan", "/api/v1/patients", &body).await;
    assert_eq!(
        (status, answer),
        (StatusCode::INTERNAL_SERVER_ERROR, json!({ "detail": "An internal error occurred." }))
    );
    world.sql("ALTER TABLE observation RENAME COLUMN content TO contents").await;
    let (status, _) = world.get("viewer_victor", "/FHIR/R5/Observation?patient=40001").await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn nothing_about_a_person_and_no_secret_is_ever_logged() {
    let mut world = World::new().await;
    let process = Process::serve(&mut world, &[("METRICS_STAGE", "logs")]);
    let mut secrets = Secrets::default();
    sign_in(&world, &mut secrets).await;
    invite(&world, &mut secrets).await;
    upload_and_read(&world, &mut secrets).await;
    break_things(&world).await;
    secrets.keep(mailed_token(&process));
    for (name, user) in world.demo["users"].as_object().expect("users") {
        secrets.keep(email(name));
        secrets.keep_all(user, &["access_token"]);
    }
    for text in [
        SYSTOLIC,
        standalone::demo::PASSWORD,
        "@example.com",
        "%40example",
        "Stevens",
        "LlPatientPeter",
        "Lifespan",
        "1982-01-13",
        "+1-157-915-3889",
        "E1234",
        "blood",
        "heart-rate",
        "openmhealth",
        "mmHg",
        "bananas",
        "2026-02-03T04:05:06",
        "/api/v1/",
        "/FHIR/R5",
        "patient=",
        "SELECT ",
        "INSERT ",
        "Bearer ",
        "csrftoken",
        "nora.new",
    ] {
        secrets.keep(text);
    }

    let said = process.ended();
    let printed = said.printed();
    assert!(printed.len() > 20 && printed.iter().all(|line| line.contains("\"_aws\":")), "{printed:?}");
    for line in printed {
        for secret in &secrets.0 {
            assert!(!line.to_lowercase().contains(&secret.to_lowercase()), "{secret} is in a metric: {line}");
        }
    }
    let log = said.stderr;
    assert!(log.lines().count() > 20, "{log}");
    for expected in [
        "\"message\":\"served\"",
        "\"status\":200",
        "\"layer\":\"role\"",
        "\"status\":500",
        "23514",
        "42703",
        "\"function\":\"oauth-token\"",
        "\"message\":\"mail written\"",
        "\"subject\":\"Your JupyterHealth invitation\"",
        ".eml\"",
    ] {
        assert!(log.contains(expected), "the log does not say {expected}: {log}");
    }
    for line in log.lines() {
        let entry: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("not a line of JSON ({error}): {line}"));
        assert!(entry["level"].is_string(), "{line}");
        for secret in &secrets.0 {
            assert!(!line.to_lowercase().contains(&secret.to_lowercase()), "{secret} is in the log: {line}");
        }
    }
}
