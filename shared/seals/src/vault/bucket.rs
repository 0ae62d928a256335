//! A bucket in S3 with Object Lock: nobody can change or delete what is in it before its time.

use crate::{SealsError, signer::setting};
use aws_sdk_s3::{
    Client,
    config::Builder,
    error::{ProvideErrorMetadata, SdkError},
    primitives::{ByteStream, DateTime},
    types::ObjectLockMode,
};
use jiff::{SignedDuration, Timestamp};
use runtime::App;
use std::time::Duration;

/// How long S3 may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Six years, as long as the audit itself (45 CFR 164.316(b)(2)(i)).
const RETENTION: SignedDuration = SignedDuration::from_hours(2192 * 24);

/// The bucket.
pub(crate) struct Bucket {
    client: Client,
    name: String,
    mode: ObjectLockMode,
}

impl Bucket {
    pub(super) fn named(app: &App, name: String) -> Result<Self, SealsError> {
        let mode = match setting(app, "AUDIT_SEAL_LOCK_MODE").as_deref() {
            None | Some("COMPLIANCE") => ObjectLockMode::Compliance,
            Some("GOVERNANCE") => ObjectLockMode::Governance,
            Some(_) => return Err(SealsError::Setting("AUDIT_SEAL_LOCK_MODE", "use COMPLIANCE or GOVERNANCE")),
        };
        let configuration = aws::configuration(app.variables(), PATIENCE)?;
        // Another endpoint than that of AWS has no host name for each bucket.
        let by_path = configuration.endpoint_url().is_some();
        let configuration = Builder::from(&configuration).force_path_style(by_path).build();
        Ok(Self { client: Client::from_conf(configuration), name, mode })
    }

    pub(super) async fn add(&self, name: &str, bytes: Vec<u8>, now: Timestamp) -> Result<bool, SealsError> {
        let until = now.saturating_add(RETENTION).map_err(|_| SealsError::Setting("the clock", "it is not one"))?;
        let request = self
            .client
            .put_object()
            .bucket(&self.name)
            .key(name)
            .body(ByteStream::from(bytes))
            .if_none_match("*")
            .object_lock_mode(self.mode.clone())
            .object_lock_retain_until_date(DateTime::from_secs(until.as_second()));
        match request.send().await {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.code(), Some("PreconditionFailed" | "ConditionalRequestConflict")) => {
                Ok(false)
            }
            Err(error) => Err(refused("keep a seal", &error)),
        }
    }

    pub(super) async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, SealsError> {
        let answer = match self.client.get_object().bucket(&self.name).key(name).send().await {
            Ok(answer) => answer,
            Err(error) if error.code() == Some("NoSuchKey") => return Ok(None),
            Err(error) => return Err(refused("give a seal", &error)),
        };
        let body = answer.body.collect().await;
        let body = body.map_err(|error| SealsError::Bucket("give a seal", error.to_string()))?;
        Ok(Some(body.to_vec()))
    }

    pub(super) async fn names(&self, prefix: &str, after: &str) -> Result<Vec<String>, SealsError> {
        let request = self.client.list_objects_v2().bucket(&self.name).prefix(prefix);
        let request = request.set_start_after(Some(after.to_owned()).filter(|after| !after.is_empty()));
        let mut pages = request.into_paginator().send();
        let mut names = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| refused("list seals", &error))?;
            names.extend(page.contents.into_iter().flatten().filter_map(|object| object.key));
        }
        Ok(names)
    }
}

/// The code says what is wrong, `AccessDenied`.
fn refused<E>(what: &'static str, error: &SdkError<E>) -> SealsError
where
    SdkError<E>: ProvideErrorMetadata + std::fmt::Display,
{
    SealsError::Bucket(what, error.code().map_or_else(|| error.to_string(), str::to_owned))
}
