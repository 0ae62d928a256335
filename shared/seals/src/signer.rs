//! The key that signs: in AWS KMS, or in a private file.

use crate::{SealsError, vault::Directory};
use audit::seal::{Head, PublicKey, Seal, der, pem};
use aws_lc_rs::{
    encoding::AsDer as _,
    rand::SystemRandom,
    signature::{ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use aws_sdk_kms::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    primitives::Blob,
    types::{MessageType, SigningAlgorithmSpec},
};
use runtime::App;
use secrecy::{ExposeSecret as _, SecretString};
use secrets::Document;
use std::{path::PathBuf, time::Duration};

/// How long KMS may take.
const PATIENCE: Duration = Duration::from_secs(10);

const LABEL: &str = "PRIVATE KEY";

const NOT_SET: SealsError = SealsError::Setting("AUDIT_SEAL_KEY_ID", "it is not set");

/// The key.
pub(crate) struct Signer {
    /// Its public half.
    pub public: PublicKey,
    private: Private,
}

enum Private {
    Here(EcdsaKeyPair),
    Kms(Client, String),
}

impl Signer {
    /// The key that the settings name, if there is one.
    pub(crate) async fn of(app: &App) -> Result<Option<Self>, SealsError> {
        if let Some(id) = setting(app, "AUDIT_SEAL_KEY_ID") {
            return Self::in_kms(app, id).await.map(Some);
        }
        let stored = Document::in_file(file(app)?).read().await?;
        stored.map(|stored| Self::in_file(&stored.text)).transpose()
    }

    /// The same. A key in a file is made where there is none.
    pub(crate) async fn made(app: &App) -> Result<Self, SealsError> {
        if let Some(signer) = Self::of(app).await? {
            return Ok(signer);
        }
        let key = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING).map_err(|_| SealsError::Key)?;
        let text = SecretString::from(pem(LABEL, key.to_pkcs8v1().map_err(|_| SealsError::Key)?.as_ref()));
        let file = file(app)?;
        let name = file.file_name().and_then(|name| name.to_str()).ok_or(NOT_SET)?;
        // Where somebody else was first, theirs is the key.
        Directory::at(file.with_file_name("")).add(name, text.expose_secret().as_bytes())?;
        Self::of(app).await?.ok_or(SealsError::Key)
    }

    fn in_file(text: &SecretString) -> Result<Self, SealsError> {
        let der = der(LABEL, text.expose_secret()).ok_or(SealsError::Key)?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, &der).map_err(|_| SealsError::Key)?;
        let public = pair.public_key().as_der().map_err(|_| SealsError::Key)?;
        Ok(Self { public: PublicKey::from_der(public.as_ref().to_vec()), private: Private::Here(pair) })
    }

    async fn in_kms(app: &App, id: String) -> Result<Self, SealsError> {
        let client = Client::new(&aws::configuration(app.variables(), PATIENCE)?);
        let answer = client.get_public_key().key_id(&id).send().await;
        let answer = answer.map_err(|error| refused("give the public key", &error))?;
        let der = answer.public_key.ok_or_else(|| incomplete("give the public key"))?;
        Ok(Self { public: PublicKey::from_der(der.into_inner()), private: Private::Kms(client, id) })
    }

    /// Signs a head. What the public half does not verify is not given out.
    pub(crate) async fn sign(&self, head: &Head) -> Result<Seal, SealsError> {
        let text = head.text();
        let seal = match &self.private {
            Private::Here(pair) => {
                let signature = pair.sign(&SystemRandom::new(), text.as_bytes()).map_err(|_| SealsError::Key)?;
                Seal::new(head, signature.as_ref())
            }
            Private::Kms(client, id) => Seal::new(head, sign_in_kms(client, id, text).await?.as_ref()),
        };
        seal.open(&self.public).map_err(|_| SealsError::Key)?;
        Ok(seal)
    }
}

async fn sign_in_kms(client: &Client, id: &str, text: String) -> Result<Blob, SealsError> {
    let request = client
        .sign()
        .key_id(id)
        .message_type(MessageType::Raw)
        .message(Blob::new(text))
        .signing_algorithm(SigningAlgorithmSpec::EcdsaSha384);
    let signed = request.send().await.map_err(|error| refused("sign", &error))?;
    signed.signature.ok_or_else(|| incomplete("sign"))
}

/// The private file: `AUDIT_SEAL_KEY_FILE`, or the one among the secrets of a standalone host.
fn file(app: &App) -> Result<PathBuf, SealsError> {
    let file = setting(app, "AUDIT_SEAL_KEY_FILE").map(PathBuf::from);
    file.or_else(|| app.secret_directory().map(|directory| directory.join("audit_seal.key"))).ok_or(NOT_SET)
}

/// A setting that says something.
pub(crate) fn setting(app: &App, name: &str) -> Option<String> {
    app.variable(name).filter(|value| !value.is_empty())
}

/// The code says what is wrong, `AccessDeniedException`.
fn refused<E>(what: &'static str, error: &SdkError<E>) -> SealsError
where
    SdkError<E>: ProvideErrorMetadata + std::fmt::Display,
{
    SealsError::Kms(what, error.code().map_or_else(|| error.to_string(), str::to_owned))
}

fn incomplete(what: &'static str) -> SealsError {
    SealsError::Kms(what, "the answer is not complete".to_owned())
}
