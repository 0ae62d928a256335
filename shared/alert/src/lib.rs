//! Telling those who look after a deployment of something, by Amazon SNS and by mail.
//!
//! A message leaves the deployment, so it says no more than what kind of thing happened and where to look.

use aws_sdk_sns::{Client, error::ProvideErrorMetadata as _};
use mail::{MailError, Mailer, Message};
use runtime::{App, Failure};
use std::time::Duration;

/// Nobody waits for it but the schedule.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who is told cannot be told.
#[derive(Debug, thiserror::Error)]
enum AlertError {
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

impl From<AlertError> for Failure {
    fn from(error: AlertError) -> Self {
        Self::Unavailable(Box::new(error))
    }
}

/// Who is told: the topic `SECURITY_TOPIC_ARN`, the address `SECURITY_MAIL_TO`, both or nobody.
pub struct Channels {
    topic: Option<(Client, String)>,
    mail_to: Option<String>,
}

impl Channels {
    /// As the settings say.
    pub fn of(app: &App) -> Result<Self, Failure> {
        let set = |name: &str| app.variable(name).filter(|text| !text.is_empty());
        let topic = set("SECURITY_TOPIC_ARN").map(|topic| {
            let config = aws::configuration(app.variables(), PATIENCE)?;
            Ok::<_, AlertError>((Client::new(&config), topic))
        });
        Ok(Self { topic: topic.transpose()?, mail_to: set("SECURITY_MAIL_TO") })
    }

    /// Whether nobody is told.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.topic.is_none() && self.mail_to.is_none()
    }

    /// Tells everybody.
    pub async fn tell(&self, app: &App, subject: &str, text: &str) -> Result<(), Failure> {
        if let Some(to) = &self.mail_to {
            mail(app, to, subject, text).await?;
        }
        if let Some((client, topic)) = &self.topic {
            let sent = client.publish().topic_arn(topic).subject(subject).message(text).send().await;
            sent.map_err(|error| AlertError::Refused(error.code().unwrap_or("no answer").to_owned()))?;
        }
        Ok(())
    }
}

async fn mail(app: &App, to: &str, subject: &str, text: &str) -> Result<(), AlertError> {
    let message = Message::new(to, subject, text)?;
    Ok(Mailer::of(app)?.send(app, &message).await?)
}
