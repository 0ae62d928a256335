//! A secret that Secrets Manager has replaced: the version to come, beside the one that counts (AWS Secrets Manager user guide,
//! "Lambda rotation functions").

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::ProvideErrorMetadata;
use secrecy::{ExposeSecret, SecretString};

use crate::SecretsError;
use crate::secrets_manager::{CURRENT, client, failed};

const PENDING: &str = "AWSPENDING";

/// One replacement of a secret.
pub struct Rotation {
    client: Client,
    secret: String,
    /// Names the version to come.
    token: String,
}

/// How far a replacement is.
#[derive(Debug)]
pub struct Progress {
    /// What the tag says that the secret holds.
    pub kind: Option<String>,
    /// The version that counts.
    current: Option<String>,
}

impl Rotation {
    /// The replacement of a secret by the version with this token, read and written as the environment says.
    pub fn new(lookup: impl Fn(&str) -> Option<String>, secret: &str, token: &str) -> Result<Self, SecretsError> {
        Ok(Self { client: client(lookup)?, secret: secret.to_owned(), token: token.to_owned() })
    }

    /// How far it is, and the value of a tag of the secret.
    pub async fn progress(&self, tag: &str) -> Result<Progress, SecretsError> {
        let described = self.client.describe_secret().secret_id(&self.secret).send().await;
        let described = described.map_err(|error| failed(&error))?;
        let kind = described.tags().iter().find(|found| found.key() == Some(tag));
        let is_current = |stages: &Vec<String>| stages.iter().any(|stage| stage == CURRENT);
        let versions = described.version_ids_to_stages();
        let current = versions.and_then(|versions| versions.iter().find(|(_, stages)| is_current(stages)));
        Ok(Progress {
            kind: kind.and_then(|tag| tag.value()).map(str::to_owned),
            current: current.map(|(version, _)| version.clone()),
        })
    }

    /// Whether the version to come is the one that counts: there is nothing left to do.
    #[must_use]
    pub fn is_done(&self, progress: &Progress) -> bool {
        progress.current.as_ref() == Some(&self.token)
    }

    /// What counts now.
    pub async fn current(&self) -> Result<SecretString, SecretsError> {
        let answer = self.client.get_secret_value().secret_id(&self.secret).version_stage(CURRENT).send().await;
        let answer = answer.map_err(|error| failed(&error))?;
        answer.secret_string().map(SecretString::from).ok_or(SecretsError::NotText)
    }

    /// What is to count, if it is there yet.
    pub async fn pending(&self) -> Result<Option<SecretString>, SecretsError> {
        let ask = self.client.get_secret_value().secret_id(&self.secret).version_id(&self.token).version_stage(PENDING);
        match ask.send().await {
            Ok(answer) => answer.secret_string().map(|text| Some(text.into())).ok_or(SecretsError::NotText),
            // The same code for a secret that is not there; the version that counts was read before.
            Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(None),
            Err(error) => Err(failed(&error)),
        }
    }

    /// Says what is to count. A text that was there before stays.
    pub async fn propose(&self, text: &SecretString) -> Result<(), SecretsError> {
        let put = self
            .client
            .put_secret_value()
            .secret_id(&self.secret)
            .client_request_token(&self.token)
            .version_stages(PENDING)
            .secret_string(text.expose_secret());
        match put.send().await {
            Ok(_) => Ok(()),
            // Somebody else was called for the same step, and was first.
            Err(error) if error.code() == Some("ResourceExistsException") => Ok(()),
            Err(error) => Err(failed(&error)),
        }
    }

    /// Makes what is to count what counts.
    pub async fn finish(&self, progress: &Progress) -> Result<(), SecretsError> {
        let moved = self
            .client
            .update_secret_version_stage()
            .secret_id(&self.secret)
            .version_stage(CURRENT)
            .move_to_version_id(&self.token)
            .set_remove_from_version_id(progress.current.clone());
        moved.send().await.map(|_| ()).map_err(|error| failed(&error))
    }
}
