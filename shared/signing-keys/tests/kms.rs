//! Keys in KMS and their ring in Secrets Manager, both as moto plays them: see [`aws::testing`].

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use aws::testing::Moto;
use jiff::{SignedDuration, Timestamp};
use oauth::ring::Turn;
use runtime::App;
use signing_keys::{Keys, KeysError, keys, rotation::Rotator};
use std::collections::BTreeMap;

const ISSUER: &str = "https://jhe.example/o";

/// A process, with keys in KMS.
fn process(moto: &Moto) -> App {
    let mut variables: BTreeMap<&str, String> = [
        ("SITE_URL", "https://jhe.example"),
        ("LINK_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ("FORM_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ("FACTOR_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ("SIGNING_KEYS_SECRET_ID", "ring"),
        ("SIGNING_KEY_KIND", "kms"),
        ("SIGNING_KEY_BITS", "2048"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .into();
    for name in ["AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        variables.insert(name, moto.variable(name).unwrap());
    }
    App::new(move |name| variables.get(name).cloned(), None, 1).unwrap()
}

/// A moto with the secret that a deployment makes for the ring.
async fn deployed() -> Moto {
    let moto = Moto::start();
    let secrets = aws_sdk_secretsmanager::Client::new(&moto.configuration());
    secrets.create_secret().name("ring").send().await.unwrap();
    moto
}

/// A token by the keys of a process, as a hint that can be checked.
async fn token(app: &App) -> Result<String, KeysError> {
    let claims = serde_json::json!({ "iss": ISSUER, "aud": "app", "sub": "7", "exp": 1, "iat": 1 });
    Ok(keys(app).await?.sign(app, &claims).await?.expose().to_owned())
}

fn verifies(keys: &Keys, token: &str) -> bool {
    keys.verify_hint(token, ISSUER).is_some_and(|hint| hint.user == "7")
}

fn later(hours: i64) -> Timestamp {
    Timestamp::now() + SignedDuration::from_hours(hours)
}

#[tokio::test]
async fn a_rotation_can_be_lost_or_cut_off_anywhere() {
    let moto = deployed().await;
    let (one, other) = (process(&moto), process(&moto));
    assert!(matches!(token(&one).await, Err(KeysError::None)), "nobody made keys yet");
    let (rotator, rival) = (Rotator::of(&one).unwrap(), Rotator::of(&other).unwrap());
    assert!(rotator.begin(Timestamp::now()).await.unwrap());
    assert!(!rival.begin(Timestamp::now()).await.unwrap(), "the first one counts");
    let old = token(&one).await.unwrap();
    assert!(verifies(&keys(&other).await.unwrap(), &old));
    assert!(!verifies(&keys(&other).await.unwrap(), &old.replace("eyJ", "eyK")));

    // Two see the same ring; both make a key, and one of them counts.
    let (seen, also) = (rotator.present().await.unwrap().unwrap(), rival.present().await.unwrap().unwrap());
    assert!(matches!(rotator.turn(&seen, true, Timestamp::now()), Turn::TooEarly(_)));
    assert_eq!(rotator.turn(&seen, true, later(2)), Turn::Rotate);
    assert!(rotator.rotate(seen, later(2)).await.unwrap());
    assert!(!rival.rotate(also, later(2)).await.unwrap());
    let new = token(&one).await.unwrap();
    for token in [&old, &new] {
        for app in [&one, &other] {
            assert!(verifies(&keys(app).await.unwrap(), token));
        }
    }

    // Of six keys three are in the ring. The others are left alone while they may be somebody's next one.
    let present = rotator.present().await.unwrap().unwrap();
    assert_eq!(present.key_ids().count(), 3);
    assert!(rotator.leftovers(&present, Timestamp::now()).await.unwrap().is_empty());
    let left = rotator.leftovers(&present, later(2)).await.unwrap();
    assert_eq!(left.len(), 3, "the rival's two first ones and its last one: {left:?}");
    for key in &left {
        rotator.end(key).await.unwrap();
        rotator.end(key).await.unwrap();
    }
    assert!(rotator.leftovers(&present, later(2)).await.unwrap().is_empty());
    assert!(verifies(&keys(&one).await.unwrap(), &token(&one).await.unwrap()), "those of the ring still sign");

    // The key that drops out is left over, too.
    let present = rotator.present().await.unwrap().unwrap();
    assert!(rotator.rotate(present, later(4)).await.unwrap());
    let present = rotator.present().await.unwrap().unwrap();
    assert_eq!(rotator.leftovers(&present, later(4)).await.unwrap().len(), 1);
    assert!(!verifies(&keys(&one).await.unwrap(), &old));
}

#[tokio::test]
async fn without_kms_nothing_is_signed_and_keys_are_published_all_the_same() {
    let mut moto = deployed().await;
    let app = process(&moto);
    assert!(Rotator::of(&app).unwrap().begin(Timestamp::now()).await.unwrap());
    let signed = token(&app).await.unwrap();
    moto.stop();
    assert!(matches!(token(&app).await, Err(KeysError::Kms("sign", _))));
    let keys = keys(&app).await.unwrap();
    assert_eq!(keys.jwks().keys.len(), 2);
    assert!(verifies(&keys, &signed));
}
