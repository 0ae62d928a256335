//! `docs/logging.md`: no sensitive field of any route is in anything that the host or the database writes. Every route is asked as
//! several callers, with values in every sensitive field that are nowhere else; then the database fails in several ways; then all
//! output is searched.

use crate::rest_matrix::{body, declared, furnished, name, path, writes};
use end_to_end::{World, process::Process, sentinel::Sentinels};
use reqwest::{RequestBuilder, StatusCode, header};
use serde_json::{Value, json};
use standalone::routes::Route;
use std::{
    io,
    path::Path,
    sync::{Arc, Mutex},
};

/// Who asks: nobody who is known, and one of each kind.
const CALLERS: [Option<&str>; 5] =
    [None, Some("viewer_victor"), Some("ll_patient_peter"), Some("member_megan"), Some("admin")];

/// The members of bodies that hold what must not be logged, wherever they are.
const SENSITIVE: [&str; 26] = [
    "nameFamily",
    "nameGiven",
    "telecomEmail",
    "telecomPhone",
    "birthDate",
    "email",
    "firstName",
    "lastName",
    "name",
    "description",
    "label",
    "text",
    "questionnaire",
    "family",
    "given",
    "value",
    "data",
    "identifier",
    "reason",
    "authorizationReference",
    "password",
    "token",
    "code",
    "secret",
    "display",
    "note",
];

/// The fields of forms and queries that hold secrets and people.
const FIELDS: [&str; 24] = [
    "username",
    "password",
    "new_password",
    "repeated",
    "token",
    "code",
    "code_verifier",
    "client_secret",
    "refresh_token",
    "access_token",
    "client_assertion",
    "subject_token",
    "id_token_hint",
    "SAMLResponse",
    "SAMLRequest",
    "RelayState",
    "state",
    "nonce",
    "login_hint",
    "request_uri",
    "csrfmiddlewaretoken",
    "email",
    "name",
    "identifier",
];

/// The body with other values in what is sensitive, where they have the same type.
fn marked(value: &mut Value, sentinels: &mut Sentinels) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(text) if SENSITIVE.contains(&name.as_str()) => *text = sentinels.shaped(name),
                    _ => marked(value, sentinels),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| marked(value, sentinels)),
        _ => {}
    }
}

/// A request with what may come with every one: a token, cookies, a reason, a key.
fn dressed(request: RequestBuilder, token: Option<&str>, sentinels: &mut Sentinels) -> RequestBuilder {
    let cookies = format!("jhe_session={}; csrftoken={}", sentinels.word("session"), sentinels.word("csrftoken"));
    let made_up = sentinels.word("access token");
    let reason = format!("{} why", sentinels.word("X-JHE-Reason"));
    request
        .bearer_auth(token.unwrap_or(&made_up))
        .header(header::COOKIE, cookies)
        .header("x-jhe-reason", reason)
        .header(header::USER_AGENT, sentinels.word("user agent"))
        .header(header::REFERER, format!("https://app.example/{}", sentinels.word("referer")))
}

/// What is asked of one route by one caller: as the route wants it; with a broken body; and with a form by another way.
fn requests(world: &World, route: &Route, caller: Option<&str>, sentinels: &mut Sentinels) -> Vec<RequestBuilder> {
    let method: reqwest::Method = route.method.parse().expect("a method");
    let token = caller.map(|user| world.token(user));
    let as_wanted = path(route);
    let mut content = body(route, caller).unwrap_or_else(|| json!({ "reason": "r" }));
    marked(&mut content, sentinels);
    let content = content.to_string();
    let broken =
        format!("{}{}", content.get(..content.len() - 1).unwrap_or_default(), sentinels.word("rest of a body"));
    let place = sentinels.word("path");
    let astray: String = route
        .path
        .split('/')
        .map(|part| if part.starts_with('{') { place.as_str() } else { part })
        .collect::<Vec<_>>()
        .join("/");
    let fields: Vec<(&str, String)> = FIELDS.iter().map(|name| (*name, sentinels.shaped(name))).collect();
    let with_query = format!("{astray}?{}", form_urlencoded(&fields));
    let json =
        |request: RequestBuilder, text: String| request.header(header::CONTENT_TYPE, "application/json").body(text);
    vec![
        json(dressed(world.anonymous(method.clone(), &as_wanted), token, sentinels), content),
        json(dressed(world.anonymous(method.clone(), &with_query), token, sentinels), broken),
        dressed(world.anonymous(method, &astray), token, sentinels)
            .header("idempotency-key", sentinels.word("idempotency key"))
            .header("dpop", sentinels.word("proof"))
            .form(&fields),
    ]
}

fn form_urlencoded(fields: &[(&str, String)]) -> String {
    reqwest::Url::parse_with_params("http://localhost/", fields).expect("a URL").query().unwrap_or_default().to_owned()
}

async fn walk(world: &World, sentinels: &mut Sentinels) -> usize {
    let mut asked = 0;
    for route in declared() {
        let mut changed = false;
        for caller in CALLERS {
            for request in requests(world, &route, caller, sentinels) {
                let status = request.send().await.expect("an answer").status();
                assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR, "{} {caller:?}", name(&route));
                changed |= writes(&route) && status.as_u16() < 400;
                asked += 1;
            }
        }
        if changed {
            world.restore().await;
        }
    }
    asked
}

fn patient(sentinels: &mut Sentinels) -> Value {
    json!({ "organizationId": 20003, "telecomEmail": sentinels.shaped("telecomEmail"), "nameFamily": sentinels.shaped("nameFamily"),
            "nameGiven": sentinels.shaped("nameGiven"), "birthDate": "1903-07-29", "telecomPhone": sentinels.shaped("telecomPhone") })
}

/// The database refuses with the values in its own words, has no connection left, and goes away.
async fn break_things(world: &World, sentinels: &mut Sentinels) -> Vec<u16> {
    let mut statuses = Vec::new();
    world.sql("ALTER TABLE patient ADD CONSTRAINT never CHECK (id < 0) NOT VALID").await;
    let refused = world.post("member_megan", "/api/v1/patients", &patient(sentinels)).await.0;
    statuses.push(refused.as_u16());
    world.sql("ALTER TABLE patient DROP CONSTRAINT never").await;
    // More requests than connections, and what they wait for is locked.
    let owner = world.as_owner().await;
    owner.batch_execute("BEGIN; LOCK TABLE patient IN ACCESS EXCLUSIVE MODE").await.expect("a lock");
    let bodies: Vec<Value> = (0..6).map(|_| patient(sentinels)).collect();
    let waiting = bodies.iter().map(|body| world.post("member_megan", "/api/v1/patients", body));
    statuses.extend(futures_util::future::join_all(waiting).await.iter().map(|(status, _)| status.as_u16()));
    owner.batch_execute("ROLLBACK").await.expect("no lock");
    if World::is_behind_pooler() {
        // A pooler keeps its own connections, and lets who asks wait for new ones.
        return statuses;
    }
    let database = &world.database;
    owner.batch_execute(&format!("ALTER DATABASE {database} CONNECTION LIMIT 0")).await.expect("closed");
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    owner.query(end, &[]).await.expect("ended");
    for _ in 0..2 {
        statuses.push(world.post("member_megan", "/api/v1/patients", &patient(sentinels)).await.0.as_u16());
    }
    owner.batch_execute(&format!("ALTER DATABASE {database} CONNECTION LIMIT -1")).await.expect("open");
    statuses
}

/// What PostgreSQL has written, if it can be read from here.
fn log_of_the_database() -> String {
    let scratch =
        std::env::var("JHE_SCRATCH").expect("run the tests by `make test`, or by `jhe with-database cargo test`");
    let log = Path::new(&scratch).join("postgres").join("postgresql.log");
    std::fs::read(&log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).expect("the server's log")
}

#[tokio::test]
async fn no_sensitive_field_of_any_route_is_in_any_output() {
    let mut world = furnished().await;
    world.remember().await;
    let process = Process::serve(
        &mut world,
        &[("RATE_LIMIT_PER_MINUTE", "0"), ("DB_POOL_SIZE", "2"), ("DB_CONNECT_TIMEOUT", "1")],
    );
    let mut sentinels = Sentinels::default();
    let asked = walk(&world, &mut sentinels).await;
    let broken = break_things(&world, &mut sentinels).await;
    assert_eq!(broken[0], 500, "the database refused");
    assert!(broken[1..].iter().all(|status| *status == 503), "{broken:?}");
    assert!(asked > 2000 && sentinels.len() > 70, "{} values in {asked} requests", sentinels.len());
    for (name, user) in world.demo["users"].as_object().expect("users") {
        for member in ["access_token", "email"] {
            sentinels.keep(&format!("{member} of {name}"), user[member].as_str().expect("text"));
        }
    }
    for text in ["LlPatientPeter", "1982-01-13", "+1-157-915-3889", standalone::demo::PASSWORD] {
        sentinels.keep(text, text);
    }
    let said = process.ended();
    let requests = said.stderr.lines().filter(|line| line.contains("\"message\":\"served\"")).count();
    assert!(requests >= asked, "each of {asked} requests has its line, and {requests} have");
    for line in said.stderr.lines().filter(|line| line.contains("\"message\":\"served\"")) {
        let line: Value = serde_json::from_str(line).expect("JSON");
        for (field, is_there) in [
            ("id", line["span"]["id"].is_string()),
            ("version", line["span"]["version"].is_string()),
            ("status", line["status"].is_u64()),
            ("outcome", line["outcome"].is_string()),
            ("micros", line["micros"].is_u64()),
        ] {
            assert!(is_there, "{field}: {line}");
        }
    }
    for (what, output) in [("log", &said.stderr), ("output", &said.stdout), ("database's log", &log_of_the_database())]
    {
        let leaks = sentinels.leaks(output);
        assert!(leaks.is_empty(), "in the {what}: {leaks:#?}");
    }
}

/// Where a test's own log goes.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("the lines").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the product's log would hold if a function said this.
fn logged(say: impl FnOnce()) -> String {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = runtime::telemetry::lines(Some("trace"), move || writer.clone());
    tracing::subscriber::with_default(subscriber, say);
    let bytes = lines.0.lock().expect("the lines").clone();
    String::from_utf8(bytes).expect("text")
}

#[test]
fn one_line_that_tells_too_much_is_found_in_whatever_form() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let mut sentinels = Sentinels::default();
    let email = sentinels.shaped("email");
    let quiet = logged(|| tracing::info!(target: "runtime", users = 1, "served"));
    assert!(quiet.contains("served") && sentinels.leaks(&quiet).is_empty(), "{quiet}");
    let leaks = |text: &str| {
        let log = logged(|| tracing::info!(target: "runtime", %text, "a leak"));
        assert!(log.contains("a leak"), "{log}");
        !sentinels.leaks(&log).is_empty()
    };
    let each = |before: &str| email.bytes().fold(String::new(), |text, byte| format!("{text}{before}{byte:02X}"));
    for written in [
        email.clone(),
        email.to_uppercase(),
        format!("{{\"email\":\"{email}\"}}"),
        format!("{:?}", json!({ "email": email }).to_string()),
        email.replace('@', "%40"),
        each("%"),
        STANDARD.encode(format!("user:{email}")),
        STANDARD.encode(format!("a user:{email}")),
        STANDARD.encode(format!("one user:{email};")),
        each("\\u00"),
    ] {
        assert!(leaks(&written), "{written} is not found");
    }
    assert!(logged(|| tracing::info!(target: "runtime", %email, "a leak")).contains(&email));
    assert!(!leaks("somebody.else@sentinel.example"));
}
