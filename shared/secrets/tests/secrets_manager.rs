//! The store and documents against Secrets Manager as moto plays it: see [`aws::testing`].

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use aws::testing::Moto;
use aws_sdk_secretsmanager::Client;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use secrets::{Document, Part, SecretStore, SecretsError};
use serde_json::json;

fn client(moto: &Moto) -> Client {
    Client::new(&moto.configuration())
}

fn document(password: &str) -> String {
    json!({
        "db_username": "exchange",
        "db_password": password,
        "link_key": STANDARD.encode([1; 32]),
        "form_key": STANDARD.encode([2; 32]),
        "factor_key": STANDARD.encode([3; 32]),
    })
    .to_string()
}

async fn create(client: &Client, name: &str, text: &str) -> String {
    let made = client.create_secret().name(name).secret_string(text).send().await.unwrap();
    made.arn().unwrap().to_owned()
}

async fn password(store: &SecretStore, now: Instant) -> Result<String, SecretsError> {
    let secrets = store.get(Part::Application, now).await?;
    Ok(secrets.database_password.as_ref().unwrap().expose_secret().to_owned())
}

#[tokio::test]
async fn a_secret_is_read_again_after_a_rotation_and_bridged_when_it_cannot_be() {
    let mut moto = Moto::start();
    let client = client(&moto);
    let arn = create(&client, "exchange", &document("old")).await;
    let store = SecretStore::with_client(client.clone(), &arn);
    let start = Instant::now();
    let minutes = |count: u64| start + Duration::from_secs(60 * count);

    let first = store.get(Part::Application, start).await.unwrap();
    assert_eq!(first.database_username.as_deref(), Some("exchange"));
    assert_eq!((first.link_key().unwrap().expose(), first.form_key().unwrap().expose()), (&[1; 32], &[2; 32]));

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
    let store = SecretStore::with_client(client(&moto), "absent");
    let error = store.get(Part::Application, Instant::now()).await.err().unwrap();
    assert_eq!(error.to_string(), "Secrets Manager did not give the secret: ResourceNotFoundException");
}

#[tokio::test]
async fn a_binary_secret_is_refused() {
    let moto = Moto::start();
    let client = client(&moto);
    let binary = aws_sdk_secretsmanager::primitives::Blob::new(document("old"));
    client.create_secret().name("binary").secret_binary(binary).send().await.unwrap();
    let error = SecretStore::with_client(client, "binary").get(Part::Application, Instant::now()).await.err().unwrap();
    assert!(matches!(error, SecretsError::Shape));
}

#[tokio::test]
async fn a_document_is_replaced_only_by_who_saw_what_is_there() {
    let moto = Moto::start();
    let client = client(&moto);
    // As CloudFormation makes a secret that has no value yet.
    client.create_secret().name("ring").send().await.unwrap();
    let document = Document::in_secrets_manager(client.clone(), "ring");
    let text = |text: &str| SecretString::from(text);
    assert!(document.read().await.unwrap().is_none());
    assert!(document.replace(None, &text("first")).await.unwrap());
    assert!(!document.replace(None, &text("also first")).await.unwrap());
    let first = document.read().await.unwrap().unwrap();
    assert_eq!(first.text.expose_secret(), "first");
    assert!(document.replace(Some(&first.version), &text("second")).await.unwrap());
    assert!(!document.replace(Some(&first.version), &text("another second")).await.unwrap());
    let second = document.read().await.unwrap().unwrap();
    assert_eq!(second.text.expose_secret(), "second");
    assert!(document.replace(Some(&second.version), &text("third")).await.unwrap());
    assert_eq!(document.read().await.unwrap().unwrap().text.expose_secret(), "third");

    let absent = Document::in_secrets_manager(client, "absent");
    assert!(absent.read().await.unwrap().is_none());
    let error = absent.replace(None, &text("first")).await.unwrap_err();
    assert_eq!(error.to_string(), "Secrets Manager did not give the secret: ResourceNotFoundException");
}
