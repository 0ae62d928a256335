//! Amazon SES.

use crate::{MailError, Message};
use aws_config::{BehaviorVersion, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_sesv2::{
    Client,
    error::ProvideErrorMetadata as _,
    primitives::Blob,
    types::{Destination, EmailContent, RawMessage},
};
use std::time::Duration;
use tokio::sync::OnceCell;

/// A request waits for the mail, so there is little time for it.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(4);
const ATTEMPTS: u32 = 2;

/// The client, made at the first mail with the configuration of the process: region, credentials, `AWS_ENDPOINT_URL`.
#[derive(Debug, Default)]
pub(crate) struct Ses(OnceCell<Client>);

impl Ses {
    pub(crate) async fn send(&self, message: &Message, mail: &lettre::Message) -> Result<(), MailError> {
        let raw = RawMessage::builder().data(Blob::new(mail.formatted())).build();
        let raw = raw.map_err(|error| MailError::Ses(error.to_string()))?;
        let sent = self
            .0
            .get_or_init(client)
            .await
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

async fn client() -> Client {
    let timeouts =
        TimeoutConfig::builder().connect_timeout(ATTEMPT_TIMEOUT).operation_attempt_timeout(ATTEMPT_TIMEOUT).build();
    let config = aws_config::defaults(BehaviorVersion::latest())
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .load()
        .await;
    Client::new(&config)
}
