//! Secrets in AWS Secrets Manager: the client, and the one JSON secret that every function reads.

use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::{Key, Secrets, SecretsError};

/// A request waits for secrets, so there is little time for them.
const PATIENCE: Duration = Duration::from_secs(2);

/// The fields of the secret.
#[derive(Deserialize)]
struct Document {
    db_username: Option<String>,
    db_password: Option<SecretString>,
    link_key: SecretString,
    form_key: SecretString,
    factor_key: SecretString,
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

impl Secrets {
    /// Reads the secret with this ARN or name.
    pub async fn from_secrets_manager(client: &Client, id: &str) -> Result<Self, SecretsError> {
        let answer = client.get_secret_value().secret_id(id).send().await.map_err(|error| failed(&error))?;
        Self::from_json(answer.secret_string().ok_or(SecretsError::Shape)?)
    }

    fn from_json(text: &str) -> Result<Self, SecretsError> {
        let document: Document = serde_json::from_str(text).map_err(|_| SecretsError::Shape)?;
        Ok(Self {
            database_username: document.db_username,
            database_password: document.db_password,
            link_key: key(&document.link_key, "link_key")?,
            form_key: key(&document.form_key, "form_key")?,
            factor_key: key(&document.factor_key, "factor_key")?,
            smtp_password: document.smtp_password,
            saml_key: document.saml_key,
        })
    }
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
        assert_eq!(secrets.link_key.expose(), &[1; 32]);
        assert_eq!(secrets.form_key.expose(), &[2; 32]);
        assert_eq!(secrets.database_password.unwrap().expose_secret(), "pw-1");
        assert_eq!(secrets.smtp_password.unwrap().expose_secret(), "pw-2");
        assert_eq!(secrets.saml_key.unwrap().expose_secret(), "PEM-2");
        assert_eq!(secrets.database_username, None);
    }

    #[test]
    fn a_wrong_document_is_refused_without_quoting_it() {
        for text in ["", "pw-1", "{}", r#""pw-1""#, r#"{"link_key":"pw-1"}"#, r#"{"link_key":{"pw-1":1}}"#] {
            let error = Secrets::from_json(text).unwrap_err();
            assert!(matches!(error, SecretsError::Shape), "{text}");
            assert!(!format!("{error} {error:?}").contains("pw-1"), "{text}");
        }
        let error = Secrets::from_json(&document("c2hvcnQ=")).unwrap_err();
        assert!(matches!(error, SecretsError::NotAKey("link_key")));
        assert!(!format!("{error} {error:?}").contains("c2hvcnQ="));
    }
}
