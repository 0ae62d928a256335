//! Mail: one message in plain text to one address.
//!
//! | `MAIL_TRANSPORT` | how | further settings |
//! | --- | --- | --- |
//! | `ses` | Amazon SES | `MAIL_FROM` |
//! | `smtp` | an SMTP server, by TLS only | `MAIL_FROM`, `SMTP_HOST`, `SMTP_PORT`, `SMTP_USER`, `SMTP_SSL_ROOT_CERT`; the password is a secret |
//! | `directory` | a file for each message | `MAIL_DIRECTORY` |
//! | `none` (default) | not at all | |
//!
//! Only functions that send mail depend on this crate, so that no other function carries the AWS SDK of SES and an SMTP
//! client.

mod directory;
mod error;
mod message;
mod notice;
mod ses;
mod smtp;

pub use error::MailError;
pub use message::{Message, MessageError};
pub use notice::{Notice, tell};

use lettre::message::Mailbox;
use runtime::{App, Part};
use std::sync::Arc;

/// How this process sends mail.
#[derive(Debug)]
pub struct Mailer {
    from: Mailbox,
    transport: Transport,
}

#[derive(Debug)]
enum Transport {
    Ses(ses::Ses),
    Smtp(Box<smtp::Smtp>),
    Directory(directory::Directory),
}

impl Mailer {
    /// The mailer of a process, made at its first use. Ask for it before anything is changed that only a mail makes
    /// sense of: without a usable transport it is an error.
    pub fn of(app: &App) -> Result<Arc<Self>, MailError> {
        app.part(|| Self::from_env(|name| app.variable(name)))
    }

    /// Chooses the transport by the environment. An empty variable counts as absent.
    fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, MailError> {
        let lookup = |name: &str| lookup(name).filter(|text| !text.is_empty());
        let transport = match lookup("MAIL_TRANSPORT").as_deref() {
            None | Some("none") => return Err(MailError::Off),
            Some("ses") => Transport::Ses(ses::Ses::from_env(lookup)?),
            Some("smtp") => Transport::Smtp(Box::new(smtp::Smtp::from_env(lookup)?)),
            Some("directory") => Transport::Directory(directory::Directory::from_env(lookup)?),
            Some(_) => return Err(MailError::Setting("MAIL_TRANSPORT", "use ses, smtp, directory or none")),
        };
        let from = match (lookup("MAIL_FROM"), &transport) {
            (Some(text), _) => text,
            (None, Transport::Directory(_)) => "jupyterhealth-exchange@localhost".to_owned(),
            (None, _) => return Err(MailError::Setting("MAIL_FROM", "set it to the sender's address")),
        };
        Ok(Self { from: sender(&from)?, transport })
    }

    /// Sends a message. When it returns, the message is accepted: by SES, by the server, or by the file system.
    pub async fn send(&self, app: &App, message: &Message) -> Result<(), MailError> {
        match &self.transport {
            Transport::Ses(ses) => ses.send(message, &message.internet_message(&self.from)?).await,
            Transport::Smtp(smtp) => {
                let secrets = app.secrets(Part::Mail).await?;
                smtp.send(secrets.smtp_password.as_ref(), message.internet_message(&self.from)?).await
            }
            Transport::Directory(directory) => {
                directory.write(app.now(), message, &message.internet_message(&self.from)?)
            }
        }
    }

    /// Writes and sends a message whose fate the caller of the request must not learn, as when it would tell whether there is
    /// an account: what goes wrong is logged.
    pub async fn send_unanswered(&self, app: &App, to: &str, subject: &str, text: &str) {
        match Message::new(to, subject, text) {
            Ok(message) => {
                if let Err(error) = self.send(app, &message).await {
                    tracing::error!(%error, "the mail was not sent");
                }
            }
            Err(error) => tracing::error!(%error, "the mail cannot be written"),
        }
    }
}

fn sender(text: &str) -> Result<Mailbox, MailError> {
    text.parse().map_err(|_| MailError::Setting("MAIL_FROM", "it is not an address"))
}

/// Sends a message by the mailer of the process.
pub async fn send(app: &App, message: &Message) -> Result<(), MailError> {
    Mailer::of(app)?.send(app, message).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailer(pairs: &[(&str, &str)]) -> Result<Mailer, MailError> {
        Mailer::from_env(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn without_a_transport_nothing_is_sent() {
        for pairs in [&[][..], &[("MAIL_TRANSPORT", "none")], &[("MAIL_TRANSPORT", ""), ("MAIL_FROM", "a@b.example")]] {
            assert!(matches!(mailer(pairs), Err(MailError::Off)), "{pairs:?}");
        }
    }

    #[test]
    fn a_setting_that_cannot_be_used_is_named_and_not_quoted() {
        for (pairs, name) in [
            (&[("MAIL_TRANSPORT", "pigeon")][..], "MAIL_TRANSPORT"),
            (&[("MAIL_TRANSPORT", "ses"), ("MAIL_FROM", "a@b.example")], "AWS_ACCESS_KEY_ID"),
            (&[("MAIL_TRANSPORT", "smtp"), ("SMTP_HOST", "h")], "MAIL_FROM"),
            (&[("MAIL_TRANSPORT", "smtp"), ("SMTP_HOST", "h"), ("MAIL_FROM", "pigeon")], "MAIL_FROM"),
            (
                &[
                    ("MAIL_TRANSPORT", "smtp"),
                    ("SMTP_HOST", "h"),
                    ("MAIL_FROM", "a@b.example\r\nBcc: pigeon@b.example"),
                ],
                "MAIL_FROM",
            ),
            (&[("MAIL_TRANSPORT", "smtp"), ("MAIL_FROM", "a@b.example")], "SMTP_HOST"),
            (
                &[
                    ("MAIL_TRANSPORT", "smtp"),
                    ("MAIL_FROM", "a@b.example"),
                    ("SMTP_HOST", "h"),
                    ("SMTP_PORT", "pigeon"),
                ],
                "SMTP_PORT",
            ),
            (&[("MAIL_TRANSPORT", "directory")], "MAIL_DIRECTORY"),
        ] {
            let error = mailer(pairs).unwrap_err().to_string();
            assert!(error.contains(name) && !error.contains("pigeon"), "{pairs:?}: {error}");
        }
    }

    #[test]
    fn the_sender_may_have_a_name() {
        assert_eq!(sender("The Exchange <no-reply@jhe.example>").unwrap().email.to_string(), "no-reply@jhe.example");
    }
}
