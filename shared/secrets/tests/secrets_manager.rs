//! The store against Secrets Manager as moto plays it.
//!
//! Needs the Python package `moto[server]`. `PYTHON` names the interpreter that has it, `python3` by default.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::{BehaviorVersion, Credentials, Region};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;
use secrets::{SecretStore, SecretsError};
use serde_json::json;

/// Serves on a free port, says which, and ends when its input does.
const SERVER: &str = "
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address='127.0.0.1', port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
";

/// A moto server, ended with the value.
struct Moto {
    process: Child,
    endpoint: String,
}

impl Moto {
    fn start() -> Self {
        let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let mut process = Command::new(&python)
            .args(["-c", SERVER])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {python}: {error}"));
        let mut port = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let port = port.trim().parse::<u16>();
        let port = port.unwrap_or_else(|_| {
            panic!("moto did not start: install moto[server] for {python}, or name another interpreter in PYTHON")
        });
        Self { process, endpoint: format!("http://127.0.0.1:{port}") }
    }

    fn client(&self) -> Client {
        let config = aws_sdk_secretsmanager::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
            .endpoint_url(&self.endpoint)
            .build();
        Client::from_conf(config)
    }

    fn stop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn document(password: &str) -> String {
    json!({
        "db_username": "exchange",
        "db_password": password,
        "link_key": STANDARD.encode([1; 32]),
        "form_key": STANDARD.encode([2; 32]),
        "factor_key": STANDARD.encode([3; 32]),
        "id_token_key": "PEM",
    })
    .to_string()
}

async fn create(client: &Client, name: &str, text: &str) -> String {
    let made = client.create_secret().name(name).secret_string(text).send().await.unwrap();
    made.arn().unwrap().to_owned()
}

async fn password(store: &SecretStore, now: Instant) -> Result<String, SecretsError> {
    let secrets = store.get(now).await?;
    Ok(secrets.database_password.as_ref().unwrap().expose_secret().to_owned())
}

#[tokio::test]
async fn a_secret_is_read_again_after_a_rotation_and_bridged_when_it_cannot_be() {
    let mut moto = Moto::start();
    let client = moto.client();
    let arn = create(&client, "exchange", &document("old")).await;
    let store = SecretStore::with_client(client.clone(), &arn);
    let start = Instant::now();
    let minutes = |count: u64| start + Duration::from_secs(60 * count);

    let first = store.get(start).await.unwrap();
    assert_eq!(first.database_username.as_deref(), Some("exchange"));
    assert_eq!((first.link_key.expose(), first.form_key.expose()), (&[1; 32], &[2; 32]));
    assert_eq!(first.id_token_key.expose_secret(), "PEM");

    client.put_secret_value().secret_id(&arn).secret_string(document("new")).send().await.unwrap();
    assert_eq!(password(&store, minutes(4)).await.unwrap(), "old");
    assert_eq!(password(&store, minutes(5)).await.unwrap(), "new");

    // A rotation that wrote nonsense must not stop a service that runs.
    client.put_secret_value().secret_id(&arn).secret_string("{}").send().await.unwrap();
    assert_eq!(password(&store, minutes(10)).await.unwrap(), "new");
    assert!(matches!(password(&store, minutes(65)).await, Err(SecretsError::Shape)));

    client.put_secret_value().secret_id(&arn).secret_string(document("third")).send().await.unwrap();
    assert_eq!(password(&store, minutes(66)).await.unwrap(), "third");
    moto.stop();
    assert_eq!(password(&store, minutes(72)).await.unwrap(), "third");
    assert!(matches!(password(&store, minutes(126)).await, Err(SecretsError::SecretsManager(_))));
}

#[tokio::test]
async fn an_absent_secret_is_an_error_that_says_so() {
    let moto = Moto::start();
    let store = SecretStore::with_client(moto.client(), "absent");
    let error = store.get(Instant::now()).await.err().unwrap();
    assert_eq!(error.to_string(), "Secrets Manager did not give the secret: ResourceNotFoundException");
}

#[tokio::test]
async fn a_binary_secret_is_refused() {
    let moto = Moto::start();
    let client = moto.client();
    let binary = aws_sdk_secretsmanager::primitives::Blob::new(document("old"));
    client.create_secret().name("binary").secret_binary(binary).send().await.unwrap();
    let error = SecretStore::with_client(client, "binary").get(Instant::now()).await.err().unwrap();
    assert!(matches!(error, SecretsError::Shape));
}
