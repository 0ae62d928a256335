//! The keys of backups: data keys wrapped and unwrapped, manifests signed.

use crate::{JobError, Settings, settings::Readers};
use aws_sdk_kms::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    primitives::Blob,
    types::DataKeySpec,
};
use backup::{
    DataKey, FormatError, SignedManifest, WrappedKey,
    age::{self, Identity},
    message,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ecdsa::PublicKey;
use runtime::App;
use signer::Signer;
use std::{fs, sync::Arc, time::Duration};

/// Nobody waits for a backup.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a key of KMS is told that a data key is for. It unwraps it for nothing else.
const CONTEXT: &str = "jhe-backup";

struct Kms(Client);

impl Kms {
    fn of(app: &App) -> Result<Arc<Self>, JobError> {
        app.part(|| Ok(Self(Client::new(&aws::configuration(app.variables(), PATIENCE)?))))
    }
}

/// The code says what is wrong, `AccessDeniedException`.
fn refused<E>(what: &'static str, error: &SdkError<E>) -> JobError
where
    SdkError<E>: ProvideErrorMetadata + std::fmt::Display,
{
    JobError::Kms(what, error.code().map_or_else(|| error.to_string(), str::to_owned))
}

fn incomplete(what: &'static str) -> JobError {
    JobError::Kms(what, "the answer is not complete".to_owned())
}

/// A data key for a backup, and the same one wrapped.
pub(crate) async fn data_key(app: &App, settings: &Settings, id: &str) -> Result<(DataKey, WrappedKey), JobError> {
    let recipients = match &settings.readers {
        Readers::Kms(key) => return of_kms(app, key, id).await,
        Readers::Age(recipients) => recipients.clone(),
        Readers::Own => vec![own_identity(settings)?.recipient()?],
    };
    let key = DataKey::generate()?;
    let wrapped = STANDARD.encode(age::wrap(key.expose(), &recipients)?);
    let recipients = recipients.iter().map(age::Recipient::to_text).collect::<Result<_, _>>()?;
    Ok((key, WrappedKey::Age { recipients, wrapped }))
}

async fn of_kms(app: &App, key: &str, id: &str) -> Result<(DataKey, WrappedKey), JobError> {
    let ask = Kms::of(app)?;
    let ask = ask.0.generate_data_key().key_id(key).key_spec(DataKeySpec::Aes256).encryption_context(CONTEXT, id);
    let made = Box::pin(ask.send()).await.map_err(|error| refused("make a data key", &error))?;
    let (Some(plain), Some(wrapped)) = (made.plaintext, made.ciphertext_blob) else {
        return Err(incomplete("make a data key"));
    };
    let wrapped =
        WrappedKey::Kms { key: made.key_id.unwrap_or_else(|| key.to_owned()), wrapped: STANDARD.encode(wrapped) };
    Ok((DataKey::from_bytes(plain.as_ref())?, wrapped))
}

/// The data key of a backup, for who may read it.
pub(crate) async fn unwrap(
    app: &App,
    settings: &Settings,
    wrapped: &WrappedKey,
    id: &str,
) -> Result<DataKey, JobError> {
    let decoded = |text: &str| STANDARD.decode(text).map_err(|_| FormatError::Manifest);
    match wrapped {
        WrappedKey::Kms { key, wrapped } => {
            let ask = Kms::of(app)?;
            let ask = ask.0.decrypt().key_id(key).ciphertext_blob(Blob::new(decoded(wrapped)?));
            match Box::pin(ask.encryption_context(CONTEXT, id).send()).await {
                Ok(answer) => {
                    let plain = answer.plaintext.ok_or_else(|| incomplete("unwrap the data key"))?;
                    Ok(DataKey::from_bytes(plain.as_ref())?)
                }
                Err(error) => Err(refused("unwrap the data key", &error)),
            }
        }
        WrappedKey::Age { wrapped, .. } => {
            let path = settings.identity.as_deref();
            let path = path.ok_or(JobError::Setting("BACKUP_IDENTITY_FILE", "it is not set"))?;
            let missing = JobError::Setting("BACKUP_IDENTITY_FILE", "the file is not there");
            let identity = age::identity(&secrets::private_file(path)?.ok_or(missing)?)?;
            Ok(DataKey::from_bytes(&age::unwrap(&decoded(wrapped)?, &identity)?)?)
        }
    }
}

/// The identity of this host.
fn own_identity(settings: &Settings) -> Result<Identity, JobError> {
    let path = settings.identity.as_deref();
    let path =
        path.ok_or(JobError::Setting("BACKUP_RECIPIENTS", "say who may read backups by it, or by BACKUP_KEY_ARN"))?;
    let text = secrets::private_file_or(path, || Ok::<_, JobError>(Identity::generate()?.to_text()?))?;
    Ok(age::identity(&text)?)
}

async fn signer(app: &App, settings: &Settings) -> Result<Signer, JobError> {
    let place = settings.signer.as_ref().ok_or(JobError::Setting("BACKUP_SIGNING_KEY_ARN", "it is not set"))?;
    Ok(Signer::made(place, app.variables()).await?)
}

/// Signs a manifest.
pub(crate) async fn sign(app: &App, settings: &Settings, manifest: String) -> Result<SignedManifest, JobError> {
    let signer = signer(app, settings).await?;
    let signature = signer.sign(&message(&manifest)).await?;
    Ok(SignedManifest::new(manifest, &signer.public, &signature))
}

/// The key that manifests are believed by.
pub(crate) async fn trusted(app: &App, settings: &Settings) -> Result<PublicKey, JobError> {
    if let Some(path) = &settings.public_key {
        let text = fs::read_to_string(path);
        let text = text.map_err(|_| JobError::Setting("BACKUP_PUBLIC_KEY_FILE", "the file cannot be read"))?;
        return PublicKey::from_pem(&text)
            .map_err(|_| JobError::Setting("BACKUP_PUBLIC_KEY_FILE", "it is no public key"));
    }
    Ok(signer(app, settings).await?.public)
}
