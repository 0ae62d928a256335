//! A bucket of Amazon S3. By which key an object is encrypted is the bucket's own default; how long it is locked, too, unless a
//! [`Lock`] says it.

use crate::{ArchiveError, Lock, LockMode, checked};
use aws_sdk_s3::{
    Client,
    config::Builder,
    error::{ProvideErrorMetadata, SdkError},
    primitives::{ByteStream, DateTime},
    types::{ChecksumAlgorithm, ObjectLockMode},
};
use std::time::Duration;

/// An object is a few megabytes, and nobody waits for it.
const PATIENCE: Duration = Duration::from_mins(1);

/// How often a request is sent again while another one for the same object has not ended.
const AGAIN: u32 = 4;

/// Before the first of these, and so much longer before each of the others.
const PAUSE: Duration = Duration::from_millis(100);

/// A bucket, and what the names of the objects in it begin with.
#[derive(Debug)]
pub struct Bucket {
    client: Client,
    name: String,
    /// Empty, or with a `/` at its end.
    prefix: String,
    lock: Option<Lock>,
}

impl Bucket {
    /// `BUCKET` or `BUCKET/PREFIX`.
    pub fn open(place: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ArchiveError> {
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let prefix = prefix.trim_end_matches('/');
        if checked(bucket).is_err() || !(prefix.is_empty() || checked(prefix).is_ok()) {
            return Err(ArchiveError::Place(place.to_owned()));
        }
        // One endpoint for all buckets: those that stand in for AWS have no name for each.
        let is_elsewhere = lookup("AWS_ENDPOINT_URL").is_some();
        let config = Builder::from(&aws::configuration(lookup, PATIENCE)?).force_path_style(is_elsewhere).build();
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Ok(Self { client: Client::from_conf(config), name: bucket.to_owned(), prefix, lock: None })
    }

    /// The same bucket, where what is written is locked like this.
    #[must_use]
    pub fn locked(self, lock: Lock) -> Self {
        Self { lock: Some(lock), ..self }
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    pub(crate) async fn add(&self, name: &str, bytes: Vec<u8>) -> Result<bool, ArchiveError> {
        let mode = self.lock.map(|lock| match lock.mode {
            LockMode::Compliance => ObjectLockMode::Compliance,
            LockMode::Governance => ObjectLockMode::Governance,
        });
        let mut again = 0;
        loop {
            let put = self
                .client
                .put_object()
                .bucket(&self.name)
                .key(self.key(name))
                .if_none_match("*")
                // Object Lock asks for one.
                .checksum_algorithm(ChecksumAlgorithm::Sha256)
                .set_object_lock_mode(mode.clone())
                .set_object_lock_retain_until_date(self.lock.map(|lock| DateTime::from_secs(lock.until.as_second())))
                .body(ByteStream::from(bytes.clone()));
            match put.send().await {
                Ok(_) => return Ok(true),
                Err(error) if error.code() == Some("PreconditionFailed") => return Ok(false),
                // Another request for it is under way, maybe an earlier one of ours: whether that one writes it is not known yet.
                Err(error) if error.code() == Some("ConditionalRequestConflict") && again < AGAIN => {
                    again += 1;
                    tokio::time::sleep(PAUSE * again).await;
                }
                Err(error) => return Err(refused("write", &error)),
            }
        }
    }

    pub(crate) async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, ArchiveError> {
        let object = match self.client.get_object().bucket(&self.name).key(self.key(name)).send().await {
            Ok(object) => object,
            Err(error) if error.code() == Some("NoSuchKey") => return Ok(None),
            Err(error) => return Err(refused("read", &error)),
        };
        let bytes = object.body.collect().await.map_err(|error| ArchiveError::S3("read", error.to_string()))?;
        Ok(Some(bytes.to_vec()))
    }

    pub(crate) async fn names(&self, group: &str, after: &str) -> Result<Vec<String>, ArchiveError> {
        let list = self.client.list_objects_v2().bucket(&self.name).prefix(self.key(&format!("{group}/")));
        let list = list.set_start_after(Some(self.key(after)).filter(|_| !after.is_empty()));
        let mut pages = list.into_paginator().send();
        let mut names = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| refused("list", &error))?;
            let keys = page.contents().iter().filter_map(|object| object.key()?.strip_prefix(&self.prefix));
            names.extend(keys.map(str::to_owned));
        }
        Ok(names)
    }

    /// One by one: a role that may delete need not be one that may delete many at once.
    pub(crate) async fn remove(&self, group: &str) -> Result<(), ArchiveError> {
        for name in self.names(group, "").await? {
            self.delete(&name).await?;
        }
        Ok(())
    }

    pub(crate) async fn delete(&self, name: &str) -> Result<(), ArchiveError> {
        let gone = self.client.delete_object().bucket(&self.name).key(self.key(name)).send().await;
        gone.map(drop).map_err(|error| refused("delete", &error))
    }

    pub(crate) async fn groups(&self) -> Result<Vec<String>, ArchiveError> {
        let list = self.client.list_objects_v2().bucket(&self.name).prefix(&self.prefix).delimiter("/");
        let mut pages = list.into_paginator().send();
        let mut groups = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| refused("list", &error))?;
            let names = page.common_prefixes().iter().filter_map(|group| group.prefix());
            let names = names.filter_map(|name| name.strip_prefix(&self.prefix)?.strip_suffix('/'));
            groups.extend(names.map(str::to_owned));
        }
        Ok(groups)
    }
}

/// The code says what is wrong, `AccessDenied`.
fn refused<E>(what: &'static str, error: &SdkError<E>) -> ArchiveError
where
    SdkError<E>: ProvideErrorMetadata + std::fmt::Display,
{
    ArchiveError::S3(what, error.code().map_or_else(|| error.to_string(), str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws::testing::Scripted;

    const CONFLICT: (u16, &str) = (409, "ConditionalRequestConflict");
    const EXISTS: (u16, &str) = (412, "PreconditionFailed");

    #[tokio::test]
    async fn a_conflict_is_waited_for_and_what_is_there_stays() {
        for (answers, expected) in [
            (&[(200, "")][..], Some(true)),
            (&[EXISTS], Some(false)),
            (&[CONFLICT, CONFLICT, (200, "")], Some(true)),
            (&[CONFLICT, EXISTS], Some(false)),
            (&[CONFLICT; 5], None),
            (&[(403, "AccessDenied")], None),
        ] {
            let s3 = Scripted::answering(answers);
            let bucket = Bucket::open("bucket/jhe", |name| s3.variable(name)).unwrap();
            assert_eq!(bucket.add("a/b", b"one".to_vec()).await.ok(), expected, "{answers:?}");
            assert_eq!(s3.asked(), answers.len(), "{answers:?}");
        }
    }
}
