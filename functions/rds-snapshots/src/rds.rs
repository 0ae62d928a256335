//! Snapshots in RDS, in one region.

use crate::plan::{Snapshot, State, time_of};
use aws_sdk_rds::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    types::{DbSnapshot, Tag},
};
use runtime::{App, Failure};
use std::time::Duration;

/// How long RDS may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// The version of the service's protocol.
pub(crate) const VERSION: &str = "2014-10-31";

/// The tag of our snapshots. Its value is the instance. The function's role may delete nothing without it.
const TAG: &str = "jhe-snapshot";

/// RDS was not asked, or refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RdsError {
    /// AWS cannot be asked.
    #[error(transparent)]
    Aws(#[from] aws::ConfigurationError),
    /// A copy cannot be asked for.
    #[error("the request for a copy cannot be signed")]
    Signature(#[from] aws::PresignError),
    /// RDS refused. Its code is kept.
    #[error("RDS did not {0}: {1}")]
    Refused(&'static str, String),
}

impl From<RdsError> for Failure {
    fn from(error: RdsError) -> Self {
        match error {
            // It is the operator who reads it.
            RdsError::Refused(..) => Self::Invalid(error.to_string()),
            other => Self::Internal(Box::new(other)),
        }
    }
}

/// The service in a region.
pub(crate) struct Rds(Client);

impl Rds {
    /// In the region of the process, or in this one.
    pub fn of(app: &App, region: Option<&str>) -> Result<Self, RdsError> {
        let lookup = |name: &str| match (name, region) {
            ("AWS_REGION", Some(region)) => Some(region.to_owned()),
            (name, _) => app.variable(name),
        };
        Ok(Self(Client::new(&aws::configuration(lookup, PATIENCE)?)))
    }

    /// The snapshots that this function took of an instance.
    pub async fn snapshots(&self, instance: &str) -> Result<Vec<Snapshot>, RdsError> {
        let all = self.0.describe_db_snapshots().db_instance_identifier(instance).snapshot_type("manual");
        let mut pages = all.into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| refused("list snapshots", &error))?;
            found.extend(page.db_snapshots().iter().filter_map(|one| read(instance, one)));
        }
        Ok(found)
    }

    /// Takes one. That it is being taken already is no fault.
    pub async fn take(&self, instance: &str, id: &str) -> Result<(), RdsError> {
        let request = self.0.create_db_snapshot().db_instance_identifier(instance).db_snapshot_identifier(id);
        let taken = request.tags(tag(instance)).send().await;
        done("take a snapshot", "DBSnapshotAlreadyExists", taken)
    }

    /// Copies one of another region to this one. `allowed` is the same request, signed for that region.
    pub async fn copy(&self, instance: &str, original: &Snapshot, key: &str, allowed: &str) -> Result<(), RdsError> {
        let request = self.0.copy_db_snapshot().source_db_snapshot_identifier(&original.arn);
        let request = request.target_db_snapshot_identifier(&original.id).kms_key_id(key).pre_signed_url(allowed);
        done("copy a snapshot", "DBSnapshotAlreadyExists", request.tags(tag(instance)).send().await)
    }

    /// Deletes one. That it is gone already is no fault.
    pub async fn delete(&self, id: &str) -> Result<(), RdsError> {
        let deleted = self.0.delete_db_snapshot().db_snapshot_identifier(id).send().await;
        done("delete a snapshot", "DBSnapshotNotFound", deleted)
    }
}

fn tag(instance: &str) -> Tag {
    Tag::builder().key(TAG).value(instance).build()
}

/// What RDS says of a snapshot, if it is one of ours.
fn read(instance: &str, one: &DbSnapshot) -> Option<Snapshot> {
    let id = one.db_snapshot_identifier()?;
    Some(Snapshot {
        id: id.to_owned(),
        arn: one.db_snapshot_arn()?.to_owned(),
        at: time_of(instance, id)?,
        state: match one.status()? {
            "available" => State::Ready,
            "failed" => State::Failed,
            _ => State::Making,
        },
        key: one.kms_key_id().filter(|_| one.encrypted() == Some(true)).map(str::to_owned),
        is_tagged: one.tag_list().iter().any(|tag| tag.key() == Some(TAG) && tag.value() == Some(instance)),
    })
}

/// A call that may come a second time: what it then is told is no fault.
fn done<T, E>(what: &'static str, again: &str, result: Result<T, SdkError<E>>) -> Result<(), RdsError>
where
    SdkError<E>: ProvideErrorMetadata + std::fmt::Display,
{
    match result {
        Err(error) if error.code().is_none_or(|code| code.trim_end_matches("Fault") != again) => {
            Err(refused(what, &error))
        }
        _ => Ok(()),
    }
}

/// The code says what is wrong, `SnapshotQuotaExceeded`.
fn refused<E>(what: &'static str, error: &SdkError<E>) -> RdsError
where
    SdkError<E>: ProvideErrorMetadata + std::fmt::Display,
{
    RdsError::Refused(what, error.code().map_or_else(|| error.to_string(), str::to_owned))
}
