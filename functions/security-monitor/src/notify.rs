//! Telling people of findings, by Amazon SNS and by mail.
//!
//! A message leaves the deployment, so it says no more than where to look: the kind of each finding and its address in the
//! API, which only a super admin can open. No account, no address, no number of anything.

use aws_sdk_sns::{Client, error::ProvideErrorMetadata as _};
use mail::{MailError, Mailer, Message};
use runtime::{App, Failure};
use std::{fmt::Write as _, time::Duration};
use store::Untold;

/// Nobody waits for it but the schedule.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who is told cannot be told.
#[derive(Debug, thiserror::Error)]
enum NotifyError {
    /// AWS cannot be asked.
    #[error("the topic cannot be reached")]
    Configuration(#[from] aws::ConfigurationError),
    /// The service refused; its code.
    #[error("Amazon SNS refused: {0}")]
    Refused(String),
    /// The mail cannot be sent.
    #[error("the mail was not sent")]
    Mail(#[from] MailError),
    /// The mail cannot be written.
    #[error("SECURITY_MAIL_TO cannot be used")]
    Address(#[from] mail::MessageError),
}

impl From<NotifyError> for Failure {
    fn from(error: NotifyError) -> Self {
        Self::Unavailable(Box::new(error))
    }
}

/// Who is told: the topic `SECURITY_TOPIC_ARN`, the address `SECURITY_MAIL_TO`, both or nobody.
pub(crate) struct Channels {
    topic: Option<(Client, String)>,
    mail_to: Option<String>,
}

impl Channels {
    pub(crate) fn of(app: &App) -> Result<Self, Failure> {
        let set = |name: &str| app.variable(name).filter(|text| !text.is_empty());
        let topic = set("SECURITY_TOPIC_ARN").map(|topic| {
            let config = aws::configuration(app.variables(), PATIENCE)?;
            Ok::<_, NotifyError>((Client::new(&config), topic))
        });
        Ok(Self { topic: topic.transpose()?, mail_to: set("SECURITY_MAIL_TO") })
    }

    /// Whether nobody is told.
    pub(crate) const fn is_empty(&self) -> bool {
        self.topic.is_none() && self.mail_to.is_none()
    }

    /// Tells everybody of findings.
    pub(crate) async fn tell(&self, app: &App, findings: &[Untold]) -> Result<(), Failure> {
        let (subject, text) = message(findings, &app.settings.site_url);
        if let Some(to) = &self.mail_to {
            self.mail(app, to, &subject, &text).await?;
        }
        if let Some((client, topic)) = &self.topic {
            let sent = client.publish().topic_arn(topic).subject(&subject).message(&text).send().await;
            sent.map_err(|error| NotifyError::Refused(error.code().unwrap_or("no answer").to_owned()))?;
        }
        Ok(())
    }

    async fn mail(&self, app: &App, to: &str, subject: &str, text: &str) -> Result<(), NotifyError> {
        let message = Message::new(to, subject, text)?;
        Ok(Mailer::of(app)?.send(app, &message).await?)
    }
}

/// The subject and the text of a message.
fn message(findings: &[Untold], site: &str) -> (String, String) {
    let subject = match findings.len() {
        1 => "JupyterHealth Exchange: 1 security finding".to_owned(),
        many => format!("JupyterHealth Exchange: {many} security findings"),
    };
    let mut text =
        "The security monitor found something unusual. A super admin can see what is behind it:\n\n".to_owned();
    for Untold { id, kind } in findings {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{kind}\n{site}/api/v1/security-findings/{id}\n");
    }
    (subject, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_where_to_look_and_no_more() {
        let finding = |id, kind: &str| Untold { id, kind: kind.to_owned() };
        let (subject, text) = message(&[finding(7, "volume"), finding(8, "breadth")], "https://jhe.example");
        assert_eq!(subject, "JupyterHealth Exchange: 2 security findings");
        assert_eq!(
            text,
            "The security monitor found something unusual. A super admin can see what is behind it:\n\n\
             volume\nhttps://jhe.example/api/v1/security-findings/7\n\n\
             breadth\nhttps://jhe.example/api/v1/security-findings/8\n\n"
        );
    }
}
