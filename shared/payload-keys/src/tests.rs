//! The vault in a directory and in a table, by the same tests.

use super::*;
use aws::Service;
use aws::testing::Moto;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use payload::{Place as At, open, seal};
use std::{fs, os::unix::fs::PermissionsExt as _};

const AT: At = At::Observation { patient: 40001, id: 60001 };

fn id(byte: u8) -> KeyId {
    KeyId::from_bytes(&[byte; 16]).unwrap()
}

fn only(byte: u8) -> BTreeSet<KeyId> {
    BTreeSet::from([id(byte)])
}

fn tombstone(why: &str) -> Tombstone {
    Tombstone { patient: 40001, at: Timestamp::UNIX_EPOCH, why: why.to_owned(), by: Some(10001) }
}

fn text(byte: u8) -> String {
    STANDARD.encode([byte; 32])
}

/// Secrets with a key of equal bytes that wraps.
fn secrets(wraps: u8) -> Arc<SecretStore> {
    let lookup = move |name: &str| match name {
        "LINK_KEY" | "FORM_KEY" | "FACTOR_KEY" => Some(text(9)),
        "PAYLOAD_KEY" => Some(text(wraps)),
        _ => None,
    };
    Arc::new(SecretStore::open(lookup, None).unwrap())
}

fn key(held: &HashMap<KeyId, Held>, byte: u8) -> Arc<PatientKey> {
    match held.get(&id(byte)) {
        Some(Held::Key(key)) => Arc::clone(key),
        other => panic!("no key: {other:?}"),
    }
}

/// What holds of every vault. `open` gives another process that has the same.
async fn is_a_vault(open_vault: impl Fn(u8) -> Vault) {
    let now = Instant::now();
    let (first, second) = (open_vault(1), open_vault(1));
    assert!(matches!(first.held(&only(1), now).await.unwrap()[&id(1)], Held::Missing));

    // Two processes make a key at once: both have the one that is kept.
    let one = first.made(&only(1), now).await.unwrap();
    let another = second.made(&only(1), now).await.unwrap();
    let stored = seal(&key(&one, 1), id(1), AT, "text").unwrap();
    assert_eq!(open(&key(&another, 1), AT, &stored).as_deref(), Ok("text"));
    assert_eq!(open(&key(&open_vault(1).held(&only(1), now).await.unwrap(), 1), AT, &stored).as_deref(), Ok("text"));

    // More than one request takes, those that are not there among them.
    let many: BTreeSet<KeyId> = (1..=230).map(id).collect();
    first.made(&(1..=210).map(id).collect(), now).await.unwrap();
    let held = second.held(&many, now).await.unwrap();
    let count = |is: fn(&Held) -> bool| held.values().filter(|held| is(held)).count();
    assert_eq!((count(|it| matches!(it, Held::Key(_))), count(|it| matches!(it, Held::Missing))), (210, 20));

    // With another key that wraps it is not this vault.
    assert!(matches!(open_vault(2).held(&only(1), now).await, Err(VaultError::Wrapped(PayloadError::Refused))));

    // Destroyed for good, at once where it was destroyed, and elsewhere when what is known is too old.
    assert!(first.destroy(id(1), &tombstone("request")).await.unwrap());
    assert!(!second.destroy(id(1), &tombstone("again")).await.unwrap());
    assert!(matches!(first.held(&only(1), now).await.unwrap()[&id(1)], Held::Destroyed));
    assert!(matches!(second.made(&only(1), now + FRESH).await.unwrap()[&id(1)], Held::Destroyed));
    // One that never was is not made later.
    assert!(first.destroy(id(231), &tombstone("left")).await.unwrap());
    assert!(matches!(open_vault(1).made(&only(231), now).await.unwrap()[&id(231)], Held::Destroyed));
    assert_eq!(second.tombstones().await.unwrap(), [(id(1), tombstone("request")), (id(231), tombstone("left"))]);
}

#[test]
fn what_an_earlier_key_wrapped_is_unwrapped_still() {
    let wrapping = WrappingKey::new(&[1; 32]).unwrap();
    let (wrapped, _) = wrapping.generate(id(1)).unwrap();
    let key = |byte| secrets::Key::parse(&text(byte)).unwrap();
    assert!(unwrapped(&Keys::new(key(2), vec![key(3), key(1)]), id(1), &wrapped).is_ok());
    assert!(unwrapped(&Keys::new(key(2), vec![key(3)]), id(1), &wrapped).is_err());
}

#[tokio::test]
async fn a_directory_is_a_vault() {
    let place = tempfile::tempdir().unwrap();
    let at = place.path().join("keys");
    let lookup = |name: &str| (name == PLACE).then(|| at.to_str().unwrap().to_owned());
    is_a_vault(|wraps| Vault::open(lookup, None, secrets(wraps)).unwrap().unwrap()).await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&at), mode(&at.join(id(2).to_string()))), (0o700, 0o600));
    // No drafts are left, and the bytes of a destroyed key are not there.
    assert_eq!(fs::read_dir(&at).unwrap().count(), 211);
    assert!(fs::read_to_string(at.join(id(1).to_string())).unwrap().starts_with('{'));
}

#[tokio::test]
async fn a_directory_or_a_key_that_others_may_read_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let vault = || Vault::open(|_| None, Some(place.path()), secrets(1)).unwrap().unwrap();
    let now = Instant::now();
    vault().made(&only(1), now).await.unwrap();
    let at = place.path().join(DIRECTORY);
    fs::set_permissions(at.join(id(1).to_string()), fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(vault().held(&only(1), now).await, Err(VaultError::File(..))));
    fs::set_permissions(&at, fs::Permissions::from_mode(0o750)).unwrap();
    assert!(matches!(vault().made(&only(2), now).await, Err(VaultError::File(..))));
}

#[tokio::test]
async fn many_processes_that_make_a_key_at_once_have_the_same() {
    let place = tempfile::tempdir().unwrap();
    let making: Vec<_> = (0..16)
        .map(|_| {
            let vault = Vault::open(|_| None, Some(place.path()), secrets(1)).unwrap().unwrap();
            tokio::spawn(async move { vault.made(&only(1), Instant::now()).await.unwrap() })
        })
        .collect();
    let mut stored = None;
    for made in making {
        let held = made.await.unwrap();
        let stored = stored.get_or_insert_with(|| seal(&key(&held, 1), id(1), AT, "text").unwrap());
        assert_eq!(open(&key(&held, 1), AT, stored).as_deref(), Ok("text"));
    }
}

#[tokio::test]
async fn a_table_is_a_vault() {
    let moto = Moto::start();
    let control = Service::new(|name| moto.variable(name), "dynamodb", FRESH).unwrap();
    let made = r#"{"TableName":"jhe-vault","BillingMode":"PAY_PER_REQUEST",
        "AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}],"KeySchema":[{"AttributeName":"id","KeyType":"HASH"}]}"#;
    control.call("DynamoDB_20120810.CreateTable", made).await.unwrap();
    let lookup = |name: &str| if name == PLACE { Some("dynamodb:jhe-vault".to_owned()) } else { moto.variable(name) };
    is_a_vault(|wraps| Vault::open(lookup, None, secrets(wraps)).unwrap().unwrap()).await;

    let elsewhere = |name: &str| if name == PLACE { Some("dynamodb:other".to_owned()) } else { moto.variable(name) };
    let vault = Vault::open(elsewhere, None, secrets(1)).unwrap().unwrap();
    let error = vault.held(&only(1), Instant::now()).await.unwrap_err();
    assert!(
        matches!(&error, VaultError::Table(_, aws::ServiceError::Refused(name)) if name == "ResourceNotFoundException"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_vault_that_is_not_there_is_an_error_and_not_an_empty_one() {
    let lookup = |name: &str| match name {
        PLACE => Some("dynamodb:jhe-vault".to_owned()),
        "AWS_ENDPOINT_URL" => Some("http://127.0.0.1:9".to_owned()),
        other => Some(other.to_owned()).filter(|name| name.starts_with("AWS_")),
    };
    let vault = Vault::open(lookup, None, secrets(1)).unwrap().unwrap();
    assert!(matches!(vault.made(&only(1), Instant::now()).await, Err(VaultError::Table(..))));
}

#[test]
fn a_place_is_a_directory_or_a_table() {
    let open = |place: &str, seconds: &str| {
        let lookup = |name: &str| match name {
            PLACE => Some(place.to_owned()),
            CACHE_SECONDS => Some(seconds.to_owned()),
            other => Some(other.to_owned()),
        };
        Vault::open(lookup, None, secrets(1))
    };
    for wrong in ["s3://bucket", "dynamodb:", "dynamodb:a b", "dynamodb:../x"] {
        assert!(matches!(open(wrong, ""), Err(VaultError::Place)), "{wrong}");
    }
    for wrong in ["-1", "3601", "long"] {
        assert!(matches!(open("/keys", wrong), Err(VaultError::Time)), "{wrong}");
    }
    assert!(open("/keys", "0").unwrap().is_some());
    assert!(Vault::open(|_| None, None, secrets(1)).unwrap().is_none());
}
