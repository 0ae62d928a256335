//! Amazon SES.

use crate::{MailError, Message};
use aws_sdk_sesv2::{
    Client,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig, timeout::TimeoutConfig},
    error::ProvideErrorMetadata as _,
    primitives::Blob,
    types::{Destination, EmailContent, RawMessage},
};
use std::time::Duration;

/// A request waits for the mail, so there is little time for it.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(4);
const ATTEMPTS: u32 = 2;

#[derive(Debug)]
pub(crate) struct Ses(Client);

impl Ses {
    /// For the region and with the credentials that the environment names, as Lambda sets it: `AWS_REGION`,
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`; and `AWS_ENDPOINT_URL`.
    pub(crate) fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, MailError> {
        let required = |name| lookup(name).ok_or(MailError::Setting(name, "SES needs it"));
        let credentials = Credentials::new(
            required("AWS_ACCESS_KEY_ID")?,
            required("AWS_SECRET_ACCESS_KEY")?,
            lookup("AWS_SESSION_TOKEN"),
            None,
            "environment",
        );
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(ATTEMPT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .build();
        let mut config = aws_sdk_sesv2::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(required("AWS_REGION")?))
            .credentials_provider(credentials)
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS));
        config.set_endpoint_url(lookup("AWS_ENDPOINT_URL"));
        Ok(Self(Client::from_conf(config.build())))
    }

    pub(crate) async fn send(&self, message: &Message, mail: &lettre::Message) -> Result<(), MailError> {
        let raw = RawMessage::builder().data(Blob::new(mail.formatted())).build();
        let raw = raw.map_err(|error| MailError::Ses(error.to_string()))?;
        let sent = self
            .0
            .send_email()
            // The envelope is said here; what the headers say is for the reader.
            .destination(Destination::builder().to_addresses(message.to()).build())
            .content(EmailContent::builder().raw(raw).build())
            .send()
            .await;
        // The code says what is wrong, `MessageRejected`; the message of the error could repeat the address.
        sent.map(drop).map_err(|error| MailError::Ses(error.code().unwrap_or("no answer").to_owned()))
    }
}
