//! Why a mail is not sent.

use crate::MessageError;
use runtime::{Failure, SetupError};

/// A mail was not sent. The text names settings and codes, never an address or a part of the message.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The deployment sends no mail.
    #[error("this deployment sends no mail: MAIL_TRANSPORT is none")]
    Off,
    /// A setting is missing or cannot be used.
    #[error("{0}: {1}")]
    Setting(&'static str, &'static str),
    /// AWS cannot be asked.
    #[error(transparent)]
    Aws(#[from] aws::ConfigurationError),
    /// The secrets cannot be had.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The message cannot be made.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// The file cannot be written.
    #[error("the mail cannot be written into MAIL_DIRECTORY")]
    Directory(#[source] std::io::Error),
    /// The SMTP server cannot be reached by TLS, or did not take the message.
    #[error("the SMTP server did not take the mail: {0}")]
    Smtp(String),
    /// SES did not take the message.
    #[error("SES did not take the mail: {0}")]
    Ses(String),
}

impl From<MailError> for Failure {
    fn from(error: MailError) -> Self {
        match error {
            MailError::Aws(_) | MailError::Off | MailError::Setting(..) | MailError::Message(_) => {
                Self::Internal(Box::new(error))
            }
            MailError::Setup(error) => error.into(),
            MailError::Directory(_) | MailError::Smtp(_) | MailError::Ses(_) => Self::Unavailable(Box::new(error)),
        }
    }
}
