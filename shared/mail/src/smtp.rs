//! An SMTP server. TLS always: by STARTTLS (RFC 3207), or from the first byte (RFC 8314 3.3).

use crate::MailError;
use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor,
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, CertificateStore, Tls, TlsParameters},
        extension::ClientId,
    },
};
use secrecy::{ExposeSecret as _, SecretString};
use std::{fs, time::Duration};

/// How long each step of the conversation may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(5);

/// The port of mail submission (RFC 6409), which starts in clear text and changes to TLS.
const SUBMISSION: u16 = 587;

/// The port of mail submission over TLS (RFC 8314 7.3).
const SUBMISSIONS: u16 = 465;

#[derive(Debug)]
pub(crate) struct Smtp {
    host: String,
    port: u16,
    user: Option<String>,
    tls: Tls,
}

impl Smtp {
    /// `SMTP_HOST`; `SMTP_PORT` (587), where 465 means TLS from the first byte and any other STARTTLS; `SMTP_USER`, if the
    /// server wants to know; `SMTP_SSL_ROOT_CERT`, a PEM file with the authority of a private server.
    pub(crate) fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, MailError> {
        let host = lookup("SMTP_HOST").ok_or(MailError::Setting("SMTP_HOST", "set it to the server's name"))?;
        let port = match lookup("SMTP_PORT") {
            None => SUBMISSION,
            Some(text) => text.parse().map_err(|_| MailError::Setting("SMTP_PORT", "it is not a port number"))?,
        };
        let parameters = parameters(&host, lookup("SMTP_SSL_ROOT_CERT").as_deref())?;
        // Never `Tls::Opportunistic`: who sits in between could take the offer of TLS away (RFC 3207 6).
        let tls = if port == SUBMISSIONS { Tls::Wrapper(parameters) } else { Tls::Required(parameters) };
        Ok(Self { host, port, user: lookup("SMTP_USER"), tls })
    }

    /// Sends a message on a connection of its own.
    pub(crate) async fn send(&self, password: Option<&SecretString>, mail: lettre::Message) -> Result<(), MailError> {
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&self.host)
            .port(self.port)
            .tls(self.tls.clone())
            .timeout(Some(STEP_TIMEOUT));
        if let Some(sender) = mail.envelope().from() {
            builder = builder.hello_name(ClientId::Domain(sender.domain().to_owned()));
        }
        if let Some(user) = &self.user {
            let password = password.ok_or(MailError::Setting("SMTP_PASSWORD", "SMTP_USER needs a password"))?;
            builder = builder.credentials(Credentials::new(user.clone(), password.expose_secret().to_owned()));
        }
        builder.build().send(mail).await.map(drop).map_err(|error| MailError::Smtp(reason(&error)))
    }
}

/// What went wrong, without the server's words: they can quote the address.
fn reason(error: &lettre::transport::smtp::Error) -> String {
    match error.status() {
        Some(code) => format!("status {code}"),
        None if error.is_tls() => "no TLS".to_owned(),
        None if error.is_timeout() => "no answer in time".to_owned(),
        None if error.is_client() => "it offers no TLS or no way to sign in".to_owned(),
        None => "the connection failed".to_owned(),
    }
}

fn parameters(host: &str, authorities: Option<&str>) -> Result<TlsParameters, MailError> {
    const ROOTS: &str = "SMTP_SSL_ROOT_CERT";
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(path) = authorities {
        let pem = fs::read(path).map_err(|_| MailError::Setting(ROOTS, "the file cannot be read"))?;
        let certificate = Certificate::from_pem(&pem).map_err(|_| MailError::Setting(ROOTS, "it is not PEM"))?;
        builder = builder.certificate_store(CertificateStore::None).add_root_certificate(certificate);
    }
    builder.build_rustls().map_err(|_| MailError::Setting("SMTP_HOST", "TLS cannot be set up for it"))
}
