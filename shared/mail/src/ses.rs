//! Amazon SES.

use crate::{MailError, Message};
use aws_sdk_sesv2::{
    Client,
    error::ProvideErrorMetadata as _,
    primitives::Blob,
    types::{Destination, EmailContent, RawMessage},
};
use std::time::Duration;

/// A request waits for the mail, so there is little time for it.
const PATIENCE: Duration = Duration::from_secs(4);

#[derive(Debug)]
pub(crate) struct Ses(Client);

impl Ses {
    /// As the environment says: see [`aws::configuration`].
    pub(crate) fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, MailError> {
        Ok(Self(Client::new(&aws::configuration(lookup, PATIENCE)?)))
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
