use secrecy::ExposeSecret;

use super::*;
use crate::testing::{Directory, key_text, lookup};

fn all() -> Vec<(&'static str, String)> {
    vec![
        (LINK_KEY, key_text(1)),
        (FORM_KEY, key_text(2)),
        (FACTOR_KEY, key_text(3)),
        (PAYLOAD_KEY, key_text(4)),
        (DATABASE_PASSWORD, "pw".to_owned()),
        (SMTP_PASSWORD, "pw-2".to_owned()),
        (SAML_KEY, "c\\nd".to_owned()),
    ]
}

#[test]
fn variables_give_the_secrets() {
    let secrets = Secrets::from_environment(&lookup(all())).unwrap();
    assert_eq!(secrets.link_key().unwrap().expose(), &[1; 32]);
    assert_eq!(secrets.form_key().unwrap().expose(), &[2; 32]);
    assert_eq!(secrets.factor_key().unwrap().expose(), &[3; 32]);
    assert_eq!(secrets.payload_key().unwrap().expose(), &[4; 32]);
    assert_eq!(secrets.database_password.unwrap().expose_secret(), "pw");
    assert_eq!(secrets.smtp_password.unwrap().expose_secret(), "pw-2");
    assert_eq!(secrets.saml_key.unwrap().expose_secret(), "c\nd");
}

#[test]
fn files_give_the_secrets() {
    let directory = Directory::new();
    let named: Vec<(String, String)> = all()
        .into_iter()
        .map(|(name, text)| (format!("{name}_FILE"), directory.file(name, &format!("{text}\n"))))
        .collect();
    let secrets = Secrets::from_environment(&lookup(named)).unwrap();
    assert_eq!(secrets.link_key().unwrap().expose(), &[1; 32]);
    assert_eq!(secrets.database_password.unwrap().expose_secret(), "pw", "the line end is not part of it");
}

#[test]
fn a_missing_variable_is_named() {
    for missing in [LINK_KEY, FORM_KEY, FACTOR_KEY] {
        for instead in [None, Some(String::new())] {
            let kept = all().into_iter().filter(|(name, _)| *name != missing);
            let env = kept.chain(instead.map(|text| (missing, text)));
            let error = Secrets::from_environment(&lookup(env)).unwrap_err();
            assert_eq!(error.to_string(), format!("set {missing} or {missing}_FILE"));
        }
    }
    let kept = all().into_iter().filter(|(name, _)| *name != DATABASE_PASSWORD);
    assert!(Secrets::from_environment(&lookup(kept)).unwrap().database_password.is_none());
}

/// Who touches no payload starts without the key that wraps; who asks for it is told.
#[test]
fn what_wraps_the_keys_of_patients_may_be_missing() {
    let kept = all().into_iter().filter(|(name, _)| *name != PAYLOAD_KEY);
    let secrets = Secrets::from_environment(&lookup(kept)).unwrap();
    assert!(matches!(secrets.payload_key(), Err(SecretsError::Missing("payload_key"))));
}

#[test]
fn a_wrong_variable_is_named_and_not_quoted() {
    let wrong = all().into_iter().map(|(name, text)| (name, if name == FORM_KEY { "s3cret".to_owned() } else { text }));
    let error = Secrets::from_environment(&lookup(wrong)).unwrap_err();
    assert!(matches!(error, SecretsError::NotAKey(FORM_KEY)));
    assert!(!format!("{error} {error:?}").contains("s3cret"));
}

#[test]
fn a_variable_and_its_file_contradict() {
    let directory = Directory::new();
    for name in VARIABLES {
        let mut env: Vec<(String, String)> = all().into_iter().map(|(n, text)| (n.to_owned(), text)).collect();
        env.push((format!("{name}_FILE"), directory.file("value", "x")));
        let error = Secrets::from_environment(&lookup(env)).unwrap_err();
        assert_eq!(error.to_string(), format!("set only one of {name} and {name}_FILE"));
    }
}

#[test]
fn an_unreadable_or_empty_file_is_refused() {
    let directory = Directory::new();
    let without_password = || all().into_iter().filter(|(name, _)| *name != DATABASE_PASSWORD);
    let absent = directory.path().join("absent").display().to_string();
    let env = without_password().chain([("DB_PASSWORD_FILE", absent)]);
    let error = Secrets::from_environment(&lookup(env)).unwrap_err();
    assert!(matches!(error, SecretsError::VariableFile { variable: DATABASE_PASSWORD, .. }));
    let env = without_password().chain([("DB_PASSWORD_FILE", directory.file("empty", "\n"))]);
    let error = Secrets::from_environment(&lookup(env)).unwrap_err();
    assert!(matches!(error, SecretsError::MissingVariable(DATABASE_PASSWORD)));
}
