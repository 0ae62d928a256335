use super::*;
use crate::testing::{Directory, key_text, lookup};

async fn link_key(store: &SecretStore) -> [u8; 32] {
    *store.get(Part::Application, Instant::now()).await.unwrap().link_key().unwrap().expose()
}

fn keys() -> Vec<(&'static str, String)> {
    vec![("LINK_KEY", key_text(1)), ("FORM_KEY", key_text(2)), ("FACTOR_KEY", key_text(3))]
}

#[tokio::test]
async fn without_variables_the_directory_is_used() {
    let directory = Directory::new();
    let env = || {
        lookup([("DB_PASSWORD", "pw".to_owned()), ("SMTP_PASSWORD", "pw".to_owned()), ("SECRET_ARN", String::new())])
    };
    let store = SecretStore::open(env(), Some(directory.path())).unwrap();
    let again = SecretStore::open(env(), Some(directory.path())).unwrap();
    assert_eq!(link_key(&store).await, link_key(&again).await);
    let secrets = store.get(Part::Application, Instant::now()).await.unwrap();
    assert!(secrets.database_password.is_some() && secrets.smtp_password.is_some());
}

#[tokio::test]
async fn keys_in_the_environment_come_before_the_directory() {
    let directory = Directory::new();
    let store = SecretStore::open(lookup(keys()), Some(directory.path())).unwrap();
    assert_eq!(link_key(&store).await, [1; 32]);
    assert!(!directory.path().exists());
}

#[test]
fn one_key_in_the_environment_calls_for_all() {
    let directory = Directory::new();
    for (name, text) in keys() {
        let error = SecretStore::open(lookup([(name, text)]), Some(directory.path())).err().unwrap();
        assert!(matches!(error, SecretsError::MissingVariable(_)), "{name}");
    }
    assert!(!directory.path().exists());
}

#[test]
fn without_a_directory_the_missing_variable_is_named() {
    let error = SecretStore::open(lookup::<&str>([]), None).err().unwrap();
    assert_eq!(error.to_string(), "set LINK_KEY or LINK_KEY_FILE");
}

#[test]
fn a_secret_in_secrets_manager_comes_before_everything_and_is_not_read_yet() {
    let mut env = keys();
    env.push(("SECRET_ARN", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:exchange".to_owned()));
    let directory = Directory::new();
    for (name, value) in [("AWS_REGION", "eu-central-1"), ("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "key")]
    {
        let error = SecretStore::open(lookup(env.clone()), Some(directory.path())).err().unwrap();
        assert!(error.to_string().contains("AWS is asked with"), "{error}");
        env.push((name, value.to_owned()));
    }
    let store = SecretStore::open(lookup(env), Some(directory.path())).unwrap();
    assert!(matches!(store.0, Source::SecretsManager { .. }));
    assert!(!directory.path().exists());
}

/// The secrets that these variables name.
fn named(variables: &[Part]) -> SecretStore {
    let own = variables.iter().map(|part| (part.variable(), format!("{part:?}")));
    let aws = [("AWS_REGION", "eu-central-1"), ("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "key")];
    let aws = aws.map(|(name, value)| (name, value.to_owned()));
    SecretStore::open(lookup(own.chain(aws).collect::<Vec<_>>()), None).unwrap()
}

/// Where each part is, or the variable that would say.
fn places(store: &SecretStore) -> [String; 7] {
    let Source::SecretsManager { places, .. } = &store.0 else { panic!("not in Secrets Manager") };
    Part::ALL.map(|part| place(places, part).map_or_else(|error| error.to_string(), |place| place.id.clone()))
}

#[test]
fn a_part_is_in_its_own_secret_or_in_that_of_the_application() {
    assert_eq!(places(&named(&[Part::Application])), ["Application"; 7]);
    assert_eq!(places(&named(&Part::ALL)), Part::ALL.map(|part| format!("{part:?}")));
    let apart = places(&named(&[Part::Application, Part::Factors]));
    assert_eq!(apart.iter().filter(|place| *place == "Application").count(), 6);
    assert_eq!(apart[3], "Factors");
}

#[test]
fn who_is_given_a_part_has_no_other() {
    let only = places(&named(&[Part::Origin]));
    assert_eq!(
        only,
        [
            "set SECRET_ARN",
            "set DB_SECRET_ARN",
            "Origin",
            "set FACTOR_SECRET_ARN",
            "set MAIL_SECRET_ARN",
            "set SAML_SECRET_ARN",
            "set PAYLOAD_SECRET_ARN"
        ]
    );
}
