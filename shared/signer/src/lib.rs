//! Who signs the audit's seals and the manifests of backups: a key in AWS KMS that never leaves it, or one in a private file.

use aws_sdk_kms::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    primitives::Blob,
    types::{MessageType, SigningAlgorithmSpec},
};
use ecdsa::{NoKey, PrivateKey, PublicKey};
use secrets::SecretsError;
use std::{path::PathBuf, time::Duration};

/// How long KMS may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The key cannot be had or used.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// AWS cannot be asked.
    #[error(transparent)]
    Aws(#[from] aws::ConfigurationError),
    /// The file cannot be read or written.
    #[error("the key that signs cannot be had")]
    Secrets(#[from] SecretsError),
    /// What is there is no such key.
    #[error("the key that signs is not an ECDSA key on P-384")]
    Key(#[from] NoKey),
    /// KMS refused. Its code is kept.
    #[error("KMS did not {0}: {1}")]
    Kms(&'static str, String),
}

/// Where the key is.
#[derive(Clone, Debug)]
pub enum Place {
    /// A key in AWS KMS (`ECC_NIST_P384`), by its id or ARN.
    Kms(String),
    /// A private file.
    File(PathBuf),
}

impl Place {
    /// The key in KMS if it has a name, or else the file.
    #[must_use]
    pub fn of(kms: Option<String>, file: Option<PathBuf>) -> Option<Self> {
        kms.map(Self::Kms).or_else(|| file.map(Self::File))
    }
}

/// The key.
pub struct Signer {
    /// Its public half.
    pub public: PublicKey,
    private: Private,
}

enum Private {
    Here(Box<PrivateKey>),
    Kms(Client, String),
}

impl Signer {
    /// The key, if there is one. `lookup` gives the environment.
    pub async fn of(place: &Place, lookup: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, SignerError> {
        match place {
            Place::Kms(id) => Self::in_kms(id, lookup).await.map(Some),
            Place::File(path) => {
                let text = secrets::private_file(path)?;
                text.map(|text| Ok(Self::here(PrivateKey::from_pem(&text)?))).transpose()
            }
        }
    }

    /// The same. A key in a file is made where there is none.
    pub async fn made(place: &Place, lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SignerError> {
        match place {
            Place::Kms(id) => Self::in_kms(id, lookup).await,
            Place::File(path) => {
                let text = secrets::private_file_or(path, || Ok::<_, SignerError>(PrivateKey::generate()?))?;
                Ok(Self::here(PrivateKey::from_pem(&text)?))
            }
        }
    }

    fn here(key: PrivateKey) -> Self {
        Self { public: key.public().clone(), private: Private::Here(Box::new(key)) }
    }

    async fn in_kms(id: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SignerError> {
        let client = Client::new(&aws::configuration(lookup, PATIENCE)?);
        // What a request takes is not part of every future around it.
        let answer = Box::pin(client.get_public_key().key_id(id).send()).await;
        let answer = answer.map_err(|error| refused("give the public key", &error))?;
        let der = answer.public_key.ok_or_else(|| incomplete("give the public key"))?;
        Ok(Self { public: PublicKey::from_der(der.into_inner()), private: Private::Kms(client, id.to_owned()) })
    }

    /// Signs a message. What the public half does not verify is not given out.
    pub async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        let signature = match &self.private {
            Private::Here(key) => key.sign(message)?,
            Private::Kms(client, id) => sign_in_kms(client, id, message).await?,
        };
        if self.public.verifies(message, &signature) { Ok(signature) } else { Err(NoKey.into()) }
    }
}

async fn sign_in_kms(client: &Client, id: &str, message: &[u8]) -> Result<Vec<u8>, SignerError> {
    let request = client
        .sign()
        .key_id(id)
        .message_type(MessageType::Raw)
        .message(Blob::new(message))
        .signing_algorithm(SigningAlgorithmSpec::EcdsaSha384);
    let signed = Box::pin(request.send()).await.map_err(|error| refused("sign", &error))?;
    Ok(signed.signature.ok_or_else(|| incomplete("sign"))?.into_inner())
}

/// The code says what is wrong, `AccessDeniedException`.
fn refused<E>(what: &'static str, error: &SdkError<E>) -> SignerError
where
    SdkError<E>: ProvideErrorMetadata + std::fmt::Display,
{
    SignerError::Kms(what, error.code().map_or_else(|| error.to_string(), str::to_owned))
}

fn incomplete(what: &'static str) -> SignerError {
    SignerError::Kms(what, "the answer is not complete".to_owned())
}
