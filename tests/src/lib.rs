//! The harness of the end-to-end tests: a world of its own for every test.
//!
//! A [`World`] is the demo world in a database copied from the template, served by the standalone host on a port of its
//! own. Tests speak HTTP to it. `jhe with-database` gives the server of the databases: see `make test`.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::panic,
    clippy::unwrap_used
)]

pub mod amending;
pub mod application;
pub mod authenticator;
pub mod backups;
pub mod browser;
pub mod command;
pub mod described;
pub mod id_token;
pub mod interrupted;
pub mod ledger;
mod logins;
pub mod mailbox;
pub mod point;
pub mod private;
pub mod process;
pub mod proxy;
pub mod reply;
pub mod sealed;
pub mod sentinel;
pub mod snapshot;
pub mod totp;
pub mod vault;

use reply::Reply;
use reqwest::{Method, RequestBuilder, StatusCode, header::HeaderMap};
use secrecy::SecretString;
use serde_json::{Value, json};
use signing_keys::rotation::Rotator;
use standalone::TrustedProxies;
use std::{
    collections::{BTreeSet, HashMap},
    os::unix::fs::DirBuilderExt as _,
    sync::Arc,
};
use store::DatabaseConfig;
use tokio::{
    net::TcpListener,
    sync::{OnceCell, oneshot},
    task::JoinHandle,
};

/// The database that `jhe with-database` makes: the demo world without tokens.
const TEMPLATE: &str = "jhe_template";

/// The site of the world that all worlds are copies of.
const TEMPLATE_SITE: &str = "http://localhost:8000";

/// The world that all worlds are copies of, with tokens and observations: its database, and what `demo.json` says.
static ORIGINAL: OnceCell<(String, String)> = OnceCell::const_new();

/// Makes the world that all worlds are copies of.
async fn original() -> (String, String) {
    let database = fresh_name();
    copy(TEMPLATE, &database).await;
    let demo = standalone::demo::describe(&owner(&database), TEMPLATE_SITE).await.expect("tokens");
    let app = app(&database, TEMPLATE_SITE, &secrets(), &[]);
    standalone::demo::upload(&app, &demo).await.expect("the demo observations");
    drop(app);
    // Nobody may be connected to what is copied, not even a pooler.
    let owner_of_all = store::connect_owner(&owner("postgres")).await.expect("the owner");
    let ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
    owner_of_all.query(ended, &[&database]).await.expect("connections ended");
    (database, demo.to_string())
}

async fn copy(template: &str, database: &str) {
    let owner_of_all = store::connect_owner(&owner("postgres")).await.expect("the owner");
    owner_of_all
        .batch_execute(&format!("CREATE DATABASE {database} TEMPLATE {template}"))
        .await
        .expect("a copy of the template");
}

/// How the owner reaches the server of the tests.
fn owner(database: &str) -> DatabaseConfig {
    config(database, "DB_OWNER_USER", "DB_OWNER_PASSWORD")
}

fn config(database: &str, user: &str, password: &str) -> DatabaseConfig {
    let lookup = |name: &str| match name {
        "DB_NAME" => Some(database.to_owned()),
        "DB_USER" => std::env::var(user).ok(),
        other => std::env::var(other).ok(),
    };
    let password = std::env::var(password).ok().map(SecretString::from);
    DatabaseConfig::from_env(lookup, password, 4)
        .expect("run the tests by `make test`, or by `jhe with-database cargo test`")
}

/// Where the keys are that all worlds of a run share: to make a key for signing takes longer than most tests.
fn secrets() -> std::path::PathBuf {
    let scratch =
        std::env::var("JHE_SCRATCH").expect("run the tests by `make test`, or by `jhe with-database cargo test`");
    std::path::Path::new(&scratch).join("secrets-of-tests")
}

/// A name that no other database has.
fn fresh_name() -> String {
    let random = oauth::token::random_bytes::<8>().expect("random numbers");
    format!("test_{:016x}", u64::from_be_bytes(random))
}

fn client() -> reqwest::ClientBuilder {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none())
}

/// The demo world of one test.
pub struct World {
    /// Where it is served.
    pub base: String,
    /// Its database.
    pub database: String,
    /// What `demo.json` says.
    pub demo: Value,
    /// The state of the process that serves it.
    pub app: Arc<runtime::App>,
    settings: Vec<(String, String)>,
    logins: Option<logins::Served>,
    client: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    server: Option<JoinHandle<()>>,
}

impl World {
    /// A new world.
    pub async fn new() -> Self {
        Self::with(&[]).await
    }

    /// A new world with settings of its own.
    pub async fn with(settings: &[(&str, &str)]) -> Self {
        let database = fresh_name();
        let (template, demo) = ORIGINAL.get_or_init(original).await;
        copy(template, &database).await;
        let listener = TcpListener::bind("localhost:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let base = format!("http://localhost:{port}");
        let app = app(&database, &base, &secrets(), settings);
        let (stop, stopped) = oneshot::channel();
        let demo = serde_json::from_str(&demo.replace(TEMPLATE_SITE, &base)).expect("JSON");
        signing_keys(&app).await;
        let app = Arc::new(app);
        let for_server = Arc::clone(&app);
        let server = tokio::spawn(async move {
            let stopped = async { stopped.await.unwrap_or_default() };
            standalone::server::serve(listener, for_server, TrustedProxies::default(), stopped).await.expect("served");
        });
        let client = client().build().expect("a client");
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let world =
            Self { base, database, demo, client, app, settings, logins: None, stop: Some(stop), server: Some(server) };
        // All tests can be run so, for the rights of the groups are found out by what is refused.
        if std::env::var_os("E2E_LOGINS").is_some() { world.with_logins_of_groups().await } else { world }
    }

    /// The same world behind what `E2E_GATEWAY` names, if it is set: the functions there are told which world is meant.
    #[must_use]
    pub fn behind_gateway(mut self) -> Self {
        let Ok(gateway) = std::env::var("E2E_GATEWAY") else { return self };
        let mut headers = HeaderMap::new();
        for (name, value) in [("x-test-database", &self.database), ("x-test-site", &self.base)] {
            headers.insert(name, value.parse().expect("a header"));
        }
        self.client = client().default_headers(headers).build().expect("a client");
        self.base = gateway;
        self
    }

    /// The same world, each group of functions with the login that it has on AWS.
    pub async fn with_logins_of_groups(mut self) -> Self {
        self.logins = Some(logins::Served::start(&self).await);
        self
    }

    /// Another process that serves the same world: its state, and where it listens.
    pub async fn second_process(&self) -> (Arc<runtime::App>, String) {
        self.process_with(&[]).await
    }

    /// The same, with other settings besides.
    pub async fn process_with(&self, more: &[(&str, &str)]) -> (Arc<runtime::App>, String) {
        let own = self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let settings: Vec<_> = own.chain(more.iter().copied()).collect();
        let app = Arc::new(app(&self.database, &self.base, &secrets(), &settings));
        let listener = TcpListener::bind("localhost:0").await.expect("a port");
        let base = format!("http://localhost:{}", listener.local_addr().expect("an address").port());
        let served = Arc::clone(&app);
        tokio::spawn(async move {
            standalone::server::serve(listener, served, TrustedProxies::default(), std::future::pending()).await
        });
        (app, base)
    }

    /// The state of a process with the same settings over another database.
    #[must_use]
    pub fn over(&self, database: &str) -> runtime::App {
        let settings: Vec<_> = self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        app(database, &self.base, &secrets(), &settings)
    }

    /// Copies the vault that all worlds share, so that a test can have one of its own.
    pub fn copy_vault(to: &std::path::Path) {
        std::fs::DirBuilder::new().mode(0o700).create(to).expect("a directory");
        let keys = std::fs::read_dir(secrets().join("payload_keys")).expect("a vault");
        for key in keys.map(|key| key.expect("a key").path()) {
            // Drafts of others come and go.
            let Some(name) = key.file_name().filter(|name| !name.to_string_lossy().starts_with('.')) else { continue };
            std::fs::copy(&key, to.join(name)).expect("copied");
        }
    }

    /// A user's access token.
    #[must_use]
    pub fn token(&self, user: &str) -> &str {
        self.demo["users"][user]["access_token"].as_str().unwrap_or_else(|| panic!("no user {user}"))
    }

    /// A request by nobody.
    pub fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        let base = self.logins.as_ref().map_or(self.base.as_str(), |logins| logins.base(&method, path, &self.base));
        self.client.request(method, format!("{base}{path}"))
    }

    /// A request by a user.
    pub fn request(&self, user: &str, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path).bearer_auth(self.token(user))
    }

    /// `GET` by a user: status and JSON.
    pub async fn get(&self, user: &str, path: &str) -> (StatusCode, Value) {
        answer(self.request(user, Method::GET, path)).await
    }

    /// `POST` of JSON by a user: status and JSON.
    pub async fn post(&self, user: &str, path: &str, body: &Value) -> (StatusCode, Value) {
        answer(self.request(user, Method::POST, path).json(body)).await
    }

    /// Any request with JSON by a user: status and JSON.
    pub async fn send(&self, user: &str, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
        answer(self.request(user, method, path).json(body)).await
    }

    /// A statement by the owner of the database, for what no route can do.
    pub async fn sql(&self, statement: &str) -> Vec<tokio_postgres::Row> {
        let client = store::connect_owner(&owner(&self.database)).await.expect("the owner");
        client.query(statement, &[]).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"))
    }

    /// The port of PostgreSQL, or of the pooler in front of it.
    #[must_use]
    pub fn database_port() -> u16 {
        let port = std::env::var("POOLER_DB_PORT").or_else(|_| std::env::var("DB_PORT"));
        port.ok().and_then(|port| port.parse().ok()).expect("a port")
    }

    /// The port of PostgreSQL itself, whatever is in front of it.
    #[must_use]
    pub fn postgres_port() -> u16 {
        std::env::var("DB_PORT").ok().and_then(|port| port.parse().ok()).expect("a port")
    }

    /// Whether a pooler is in front of PostgreSQL.
    #[must_use]
    pub fn is_behind_pooler() -> bool {
        Self::database_port() != Self::postgres_port()
    }

    /// How the owner reaches the world's database.
    #[must_use]
    pub fn owner_config(&self) -> DatabaseConfig {
        owner(&self.database)
    }

    /// The database as the functions see it, without HTTP.
    #[must_use]
    pub fn store(&self) -> store::Store {
        store::Store::new(&config(&self.database, "DB_USER", "DB_PASSWORD")).expect("a store")
    }

    /// A connection of the owner.
    pub async fn as_owner(&self) -> tokio_postgres::Client {
        store::connect_owner(&owner(&self.database)).await.expect("the owner")
    }

    /// A connection as the functions have it.
    pub async fn as_function(&self) -> tokio_postgres::Client {
        store::connect_owner(&config(&self.database, "DB_USER", "DB_PASSWORD")).await.expect("the functions' login")
    }

    /// A connection as a group of functions has it.
    pub async fn as_group(&self, group: &str) -> tokio_postgres::Client {
        let mut config = config(&self.database, "DB_USER", "DB_PASSWORD");
        config.user = format!("{}_{group}", config.user);
        store::connect_owner(&config).await.expect("the group's login")
    }

    /// The single number that a statement of the owner gives.
    pub async fn count(&self, statement: &str) -> i64 {
        self.sql(statement).await.first().expect("a row").get(0)
    }

    /// Whether a task comes to wait for somebody's lock on this database. False: it ended without.
    pub async fn waits<T>(&self, task: &JoinHandle<T>) -> bool {
        let waiting = "SELECT count(*) FROM pg_stat_activity
                        WHERE datname = current_database() AND wait_event_type = 'Lock' AND state = 'active'";
        while self.count(waiting).await == 0 {
            if task.is_finished() {
                return false;
            }
            tokio::task::yield_now().await;
        }
        true
    }

    /// A decision of a patient about one scope of one study.
    pub async fn decide(&self, user: &str, patient: i32, study: i32, code: &str, consented: bool) {
        let body = json!({ "studyScopeConsents": [{ "studyId": study, "scopeConsents": [
            { "codingSystem": "https://w3id.org/openmhealth", "codingCode": code, "consented": consented }] }] });
        let path = format!("/api/v1/patients/{patient}/consents");
        let (status, answer) = answer(self.request(user, Method::PATCH, &path).json(&body)).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
}

/// The status and the JSON of an answer; null for an empty one.
pub async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let Reply { status, text, .. } = Reply::to(request).await;
    let value = if text.is_empty() {
        Value::Null
    } else {
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{status}: not JSON ({error}): {text}"))
    };
    (status, value)
}

/// The names of an object's members.
#[must_use]
pub fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap_or_else(|| panic!("no object: {value}")).keys().map(String::as_str).collect()
}

/// The ids of the rows of a page of `/api/v1`, in order.
#[must_use]
pub fn row_ids(page: &Value) -> Vec<i64> {
    let rows = page["results"].as_array().unwrap_or_else(|| panic!("no page: {page}"));
    rows.iter().map(|row| row["id"].as_i64().expect("an id")).collect()
}

/// The ids of the resources of a bundle, in order.
#[must_use]
pub fn ids(bundle: &Value) -> Vec<String> {
    bundle["entry"]
        .as_array()
        .map(|entries| {
            entries.iter().map(|entry| entry["resource"]["id"].as_str().unwrap_or_default().to_owned()).collect()
        })
        .unwrap_or_default()
}

/// The URL of a bundle's link, relative to the site.
#[must_use]
pub fn link<'a>(world: &World, bundle: &'a Value, relation: &str) -> Option<&'a str> {
    let links = bundle["link"].as_array()?;
    let url = links.iter().find(|link| link["relation"] == relation)?["url"].as_str()?;
    Some(url.strip_prefix(world.base.as_str()).unwrap_or_else(|| panic!("{url} is not of this site")))
}

/// Makes the signing keys that worlds share, without the record that a host leaves in its database.
async fn signing_keys(app: &runtime::App) {
    let rotator = Rotator::of(app).expect("settings");
    if rotator.present().await.expect("keys, or none").is_none() {
        rotator.begin(app.now()).await.expect("keys");
    }
}

fn app(database: &str, base: &str, secrets: &std::path::Path, settings: &[(&str, &str)]) -> runtime::App {
    let mail = mailbox::directory(database).display().to_string();
    // Tests ask faster than people: those of the limit itself set one. To make a key of 4096 bits takes longer than most tests.
    let defaults = [
        ("MAIL_TRANSPORT", "directory"),
        ("MAIL_DIRECTORY", mail.as_str()),
        ("RATE_LIMIT_PER_MINUTE", "0"),
        ("SIGNING_KEY_BITS", "2048"),
    ];
    let mut variables: HashMap<String, String> =
        defaults.iter().chain(settings).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    variables.entry("SITE_URL".to_owned()).or_insert_with(|| base.to_owned());
    variables.insert("DB_NAME".to_owned(), database.to_owned());
    // What goes through a pooler instead of straight to PostgreSQL: see `tests/python/pooler.py`. The owner goes past it.
    if World::is_behind_pooler() && !variables.contains_key("DB_PORT") {
        variables.entry("DB_OWNER_PORT".to_owned()).or_insert_with(|| World::postgres_port().to_string());
    }
    let pooler = |name: &str| std::env::var(format!("POOLER_{name}")).ok();
    let lookup =
        move |name: &str| variables.get(name).cloned().or_else(|| pooler(name)).or_else(|| std::env::var(name).ok());
    runtime::App::new(lookup, Some(secrets), 4).expect("an app")
}

impl Drop for World {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(server) = self.server.take() {
            server.abort();
        }
        dropped(&self.database);
    }
}

/// Drops a database, from a runtime of its own: the test's may be the one that is unwinding.
fn dropped(database: &str) {
    let database = database.to_owned();
    let dropped = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            if let Ok(client) = store::connect_owner(&owner("postgres")).await {
                let _ = client.batch_execute(&format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)")).await;
            }
        });
    });
    let _ = dropped.join();
}
