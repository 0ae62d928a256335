//! Keys in AWS KMS. The private half never leaves it.

use crate::KeysError;
use aws_sdk_kms::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    primitives::Blob,
    types::{KeySpec, KeyState, KeyUsageType, MessageType, SigningAlgorithmSpec, Tag},
};
use jiff::Timestamp;
use oauth::signing::{KeyBits, PublicKey, UnsignedToken};
use runtime::App;
use std::{sync::Arc, time::Duration};

/// A request waits for a signature, so there is little time for it.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long a key that signs no more can be called back, in days. KMS allows no longer.
const RECALL_DAYS: i32 = 30;

/// The tag with the id of the ring that a key is made for.
const RING: &str = "jhe-ring";

/// The tag by which policies tell the keys of one deployment from all others: its URL.
const SITE: &str = "jhe-site";

/// The service.
pub(crate) struct Kms(Client);

/// A key that was made for a ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Made {
    pub arn: String,
    pub at: Timestamp,
}

impl Kms {
    /// As the environment says: see [`aws::configuration`].
    pub(crate) fn of(app: &App) -> Result<Arc<Self>, KeysError> {
        app.part(|| Ok(Self(Client::new(&aws::configuration(app.variables(), PATIENCE)?))))
    }

    /// The signature of a token.
    pub(crate) async fn sign(&self, arn: &str, token: &UnsignedToken) -> Result<Vec<u8>, KeysError> {
        let signed = self
            .0
            .sign()
            .key_id(arn)
            .message_type(MessageType::Digest)
            .message(Blob::new(token.digest()))
            .signing_algorithm(SigningAlgorithmSpec::RsassaPkcs1V15Sha256)
            .send()
            .await
            .map_err(|error| refused("sign", &error))?;
        let signature = signed.signature.ok_or_else(|| incomplete("sign"))?;
        Ok(signature.into_inner())
    }

    /// Makes a key for a ring: its ARN, and its public half.
    pub(crate) async fn make(&self, bits: KeyBits, ring: &str, site: &str) -> Result<(String, PublicKey), KeysError> {
        let spec = match bits {
            KeyBits::B2048 => KeySpec::Rsa2048,
            KeyBits::B3072 => KeySpec::Rsa3072,
            KeyBits::B4096 => KeySpec::Rsa4096,
        };
        let mut request = self
            .0
            .create_key()
            .key_spec(spec)
            .key_usage(KeyUsageType::SignVerify)
            .description("Signs id_tokens of JupyterHealth Exchange");
        for (name, value) in [(RING, ring), (SITE, site)] {
            let tag = Tag::builder().tag_key(name).tag_value(value).build();
            request = request.tags(tag.map_err(|_| incomplete("make a key"))?);
        }
        let made = request.send().await.map_err(|error| refused("make a key", &error))?;
        let arn = made.key_metadata.and_then(|key| key.arn).ok_or_else(|| incomplete("make a key"))?;
        let public = self.0.get_public_key().key_id(&arn).send().await;
        let public = public.map_err(|error| refused("give a public key", &error))?;
        let der = public.public_key.ok_or_else(|| incomplete("give a public key"))?;
        Ok((arn, PublicKey::from_der(der.as_ref())?))
    }

    /// All keys that were made for a ring and are not about to be deleted.
    pub(crate) async fn made_for(&self, ring: &str) -> Result<Vec<Made>, KeysError> {
        let mut found = Vec::new();
        let mut pages = self.0.list_keys().into_paginator().items().send();
        while let Some(key) = pages.next().await {
            let Some(arn) = key.map_err(|error| refused("list keys", &error))?.key_arn else { continue };
            if self.has_ring(&arn, ring).await?
                && let Some(made) = self.described(arn).await?
            {
                found.push(made);
            }
        }
        Ok(found)
    }

    /// Whether a key is tagged with this ring. One whose tags are not for us to see is not.
    async fn has_ring(&self, arn: &str, ring: &str) -> Result<bool, KeysError> {
        match self.0.list_resource_tags().key_id(arn).send().await {
            Ok(answer) => Ok(answer.tags().iter().any(|tag| tag.tag_key() == RING && tag.tag_value() == ring)),
            Err(error) if error.code() == Some("AccessDeniedException") => Ok(false),
            Err(error) => Err(refused("tell tags", &error)),
        }
    }

    async fn described(&self, arn: String) -> Result<Option<Made>, KeysError> {
        let answer = self.0.describe_key().key_id(&arn).send().await;
        let key = answer.map_err(|error| refused("describe a key", &error))?.key_metadata;
        let key = key.ok_or_else(|| incomplete("describe a key"))?;
        if key.key_state() == Some(&KeyState::PendingDeletion) {
            return Ok(None);
        }
        let made_at = key.creation_date().and_then(|date| Timestamp::from_second(date.secs()).ok());
        Ok(Some(Made { arn, at: made_at.ok_or_else(|| incomplete("describe a key"))? }))
    }

    /// Ends a key. It can be called back for a while.
    pub(crate) async fn end(&self, arn: &str) -> Result<(), KeysError> {
        // By its id, the end of the ARN: KMS takes both, moto this one alone.
        let id = arn.rsplit('/').next().unwrap_or(arn);
        let request = self.0.schedule_key_deletion().key_id(id).pending_window_in_days(RECALL_DAYS);
        match request.send().await {
            Ok(_) => Ok(()),
            // Another run was first.
            Err(error) if matches!(error.code(), Some("KMSInvalidStateException" | "NotFoundException")) => Ok(()),
            Err(error) => Err(refused("end a key", &error)),
        }
    }
}

/// The code says what is wrong, `AccessDeniedException`.
fn refused<E>(what: &'static str, error: &SdkError<E>) -> KeysError
where
    SdkError<E>: ProvideErrorMetadata + std::fmt::Display,
{
    KeysError::Kms(what, error.code().map_or_else(|| error.to_string(), str::to_owned))
}

fn incomplete(what: &'static str) -> KeysError {
    KeysError::Kms(what, "the answer is not complete".to_owned())
}
