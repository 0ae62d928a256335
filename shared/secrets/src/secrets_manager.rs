//! Secrets in AWS Secrets Manager: the client, and the JSON secrets that functions read.

use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::{Key, Keys, Part, Secrets, SecretsError};

/// A request waits for secrets, so there is little time for them.
const PATIENCE: Duration = Duration::from_secs(2);

/// The stage of the version that counts.
pub(crate) const CURRENT: &str = "AWSCURRENT";

/// The fields of the secret. A `_next` is made long before it is used, so that every process knows it by then.
#[derive(Deserialize)]
struct Document {
    db_username: Option<String>,
    db_password: Option<SecretString>,
    link_key: Option<SecretString>,
    link_key_next: Option<SecretString>,
    link_key_previous: Option<SecretString>,
    form_key: Option<SecretString>,
    form_key_next: Option<SecretString>,
    form_key_previous: Option<SecretString>,
    factor_key: Option<SecretString>,
    factor_key_next: Option<SecretString>,
    #[serde(default)]
    factor_keys_earlier: Vec<SecretString>,
    payload_key: Option<SecretString>,
    payload_key_next: Option<SecretString>,
    #[serde(default)]
    payload_keys_earlier: Vec<SecretString>,
    origin_key: Option<SecretString>,
    origin_key_previous: Option<SecretString>,
    smtp_password: Option<SecretString>,
    saml_key: Option<SecretString>,
}

/// As the environment says: see [`aws::configuration`].
pub(crate) fn client(lookup: impl Fn(&str) -> Option<String>) -> Result<Client, SecretsError> {
    Ok(Client::new(&aws::configuration(lookup, PATIENCE)?))
}

/// The code says what is wrong, `ResourceNotFoundException`; the message could repeat the request.
pub(crate) fn failed<E>(error: &SdkError<E>) -> SecretsError
where
    SdkError<E>: ProvideErrorMetadata + std::fmt::Display,
{
    SecretsError::SecretsManager(error.code().map_or_else(|| error.to_string(), str::to_owned))
}

/// Since when a secret in Secrets Manager has the value that it has, in seconds since 1970: since the version that counts was made. A
/// change of tags or of the description, which moves the secret's own time, does not make its value younger. None for one without a
/// value.
pub async fn current_since(lookup: impl Fn(&str) -> Option<String>, id: &str) -> Result<Option<i64>, SecretsError> {
    let client = client(lookup)?;
    let mut next = None;
    loop {
        let ask = client.list_secret_version_ids().secret_id(id).set_next_token(next);
        let page = ask.send().await.map_err(|error| failed(&error))?;
        let current =
            page.versions().iter().find(|version| version.version_stages().iter().any(|stage| stage == CURRENT));
        if let Some(version) = current {
            return Ok(version.created_date().map(aws_sdk_secretsmanager::primitives::DateTime::secs));
        }
        next = page.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
        if next.is_none() {
            return Ok(None);
        }
    }
}

impl Secrets {
    /// Reads the secret with this ARN or name.
    pub async fn from_secrets_manager(client: &Client, id: &str) -> Result<Self, SecretsError> {
        let ask = client.get_secret_value().secret_id(id).version_stage(CURRENT);
        let answer = ask.send().await.map_err(|error| failed(&error))?;
        Self::from_json(answer.secret_string().ok_or(SecretsError::Shape)?)
    }

    /// These, unless they lack what the secret of a part always has: then what was read before stays in use for a while.
    pub(crate) fn whole(self, part: Part) -> Result<Self, SecretsError> {
        let lacks_keys = self.link_key.is_none() || self.form_key.is_none();
        if part == Part::Application && lacks_keys { Err(SecretsError::Shape) } else { Ok(self) }
    }

    /// Reads the text of such a secret.
    pub fn from_json(text: &str) -> Result<Self, SecretsError> {
        let document: Document = serde_json::from_str(text).map_err(|_| SecretsError::Shape)?;
        let payloads = document.payload_key_next.iter().chain(&document.payload_keys_earlier);
        let factors = document.factor_key_next.iter().chain(&document.factor_keys_earlier);
        let origin_keys: Vec<_> = [document.origin_key, document.origin_key_previous].into_iter().flatten().collect();
        // It would let everybody through who says nothing.
        if origin_keys.iter().any(|key| key.expose_secret().is_empty()) {
            return Err(SecretsError::Empty("origin_key"));
        }
        Ok(Self {
            database_username: document.db_username,
            database_password: document.db_password,
            link_key: keys(
                document.link_key.as_ref(),
                [&document.link_key_next, &document.link_key_previous],
                "link_key",
            )?,
            form_key: keys(
                document.form_key.as_ref(),
                [&document.form_key_next, &document.form_key_previous],
                "form_key",
            )?,
            factor_key: keys(document.factor_key.as_ref(), factors, "factor_key")?,
            payload_key: keys(document.payload_key.as_ref(), payloads, "payload_key")?,
            origin_keys,
            smtp_password: document.smtp_password,
            saml_key: document.saml_key,
        })
    }
}

fn keys<'a>(
    current: Option<&SecretString>,
    others: impl IntoIterator<Item = impl Into<Option<&'a SecretString>>>,
    name: &'static str,
) -> Result<Option<Keys>, SecretsError> {
    let Some(current) = current else { return Ok(None) };
    let others = others.into_iter().filter_map(Into::into).map(|text| key(text, name)).collect::<Result<_, _>>()?;
    Ok(Some(Keys::new(key(current, name)?, others)))
}

fn key(text: &SecretString, name: &'static str) -> Result<Key, SecretsError> {
    Key::parse(text.expose_secret()).ok_or(SecretsError::NotAKey(name))
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn document(link_key: &str) -> String {
        let form_key = STANDARD.encode([2; 32]);
        format!(
            r#"{{"db_password":"pw-1","link_key":"{link_key}","form_key":"{form_key}","factor_key":"{form_key}",
                "smtp_password":"pw-2","saml_key":"PEM-2","more":1}}"#
        )
    }

    #[test]
    fn the_document_is_read() {
        let secrets = Secrets::from_json(&document(&STANDARD.encode([1; 32]))).unwrap();
        assert_eq!(secrets.link_key().unwrap().expose(), &[1; 32]);
        assert_eq!(secrets.form_key().unwrap().expose(), &[2; 32]);
        assert_eq!(secrets.database_password.unwrap().expose_secret(), "pw-1");
        assert_eq!(secrets.smtp_password.unwrap().expose_secret(), "pw-2");
        assert_eq!(secrets.saml_key.unwrap().expose_secret(), "PEM-2");
        assert_eq!(secrets.database_username, None);
    }

    /// The secret with these fields besides.
    fn with(more: &str) -> Result<Secrets, SecretsError> {
        let link_key = STANDARD.encode([1; 32]);
        Secrets::from_json(&document(&link_key).replace("\"more\":1", more))
    }

    #[test]
    fn keys_before_and_after_are_read_with_the_key() {
        let [before, after] = [STANDARD.encode([8; 32]), STANDARD.encode([9; 32])];
        let one = with("\"more\":1").unwrap();
        let alone = |keys: Result<&Keys, SecretsError>| keys.is_ok_and(|keys| keys.others().next().is_none());
        assert!([one.link_key(), one.form_key(), one.factor_key()].into_iter().all(alone));
        let more = format!(
            r#""link_key_next":"{after}","link_key_previous":"{before}","form_key_previous":"{before}",
               "factor_key_next":"{after}","factor_keys_earlier":["{before}","{before}"],
               "payload_key":"{after}","payload_key_next":"{before}","payload_keys_earlier":["{after}"]"#
        );
        let secrets = with(&more).unwrap();
        let firsts = |keys: Result<&Keys, SecretsError>| keys.unwrap().others().map(|key| key[0]).collect::<Vec<_>>();
        assert_eq!(secrets.link_key().unwrap().expose(), &[1; 32]);
        assert_eq!((firsts(secrets.link_key()), firsts(secrets.form_key())), (vec![9, 8], vec![8]));
        assert_eq!(firsts(secrets.factor_key()), [9, 8, 8]);
        assert_eq!(secrets.payload_key().unwrap().expose(), &[9; 32]);
        assert_eq!(firsts(secrets.payload_key()), [8, 9]);
        for wrong in ["\"link_key_next\":\"x\"", "\"factor_keys_earlier\":[\"\"]"] {
            assert!(matches!(with(wrong), Err(SecretsError::NotAKey(_))), "{wrong}");
        }
    }

    #[test]
    fn what_a_part_does_not_hold_is_missed_by_name() {
        let origin = Secrets::from_json("{\"origin_key\":\"o\"}").unwrap();
        for (keys, name) in
            [(origin.link_key(), "link_key"), (origin.form_key(), "form_key"), (origin.factor_key(), "factor_key")]
        {
            assert!(matches!(keys, Err(SecretsError::Missing(missed)) if missed == name), "{name}");
        }
    }

    #[test]
    fn what_the_proxy_says_is_never_empty() {
        assert!(with("\"more\":1").unwrap().origin_keys.is_empty());
        let both = with("\"origin_key\":\"now\",\"origin_key_previous\":\"then\"").unwrap();
        let both: Vec<&str> = both.origin_keys.iter().map(ExposeSecret::expose_secret).collect();
        assert_eq!(both, ["now", "then"]);
        for wrong in ["\"origin_key\":\"\"", "\"origin_key\":\"now\",\"origin_key_previous\":\"\""] {
            assert!(matches!(with(wrong), Err(SecretsError::Empty("origin_key"))), "{wrong}");
        }
    }

    #[test]
    fn a_wrong_document_is_refused_without_quoting_it() {
        for text in ["", "pw-1", r#""pw-1""#, r#"{"link_key":{"pw-1":1}}"#, r#"{"factor_keys_earlier":"pw-1"}"#] {
            let error = Secrets::from_json(text).unwrap_err();
            assert!(matches!(error, SecretsError::Shape), "{text}");
            assert!(!format!("{error} {error:?}").contains("pw-1"), "{text}");
        }
        let error = Secrets::from_json(&document("c2hvcnQ=")).unwrap_err();
        assert!(matches!(error, SecretsError::NotAKey("link_key")));
        assert!(!format!("{error} {error:?}").contains("c2hvcnQ="));
    }
}
