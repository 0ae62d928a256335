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

/// How long it may take to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);

/// How long all of it may take: a request waits for the mail. The client itself would wait for an answer for ever.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What a server that says nothing comes to.
const SILENT: &str = "no answer in time";

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
    /// How long all of it may take.
    timeout: Duration,
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
        Ok(Self { host, port, user: lookup("SMTP_USER"), tls, timeout: TIMEOUT })
    }

    /// Sends a message on a connection of its own.
    pub(crate) async fn send(&self, password: Option<&SecretString>, mail: lettre::Message) -> Result<(), MailError> {
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&self.host)
            .port(self.port)
            .tls(self.tls.clone())
            .timeout(Some(CONNECT_TIMEOUT));
        if let Some(sender) = mail.envelope().from() {
            builder = builder.hello_name(ClientId::Domain(sender.domain().to_owned()));
        }
        if let Some(user) = &self.user {
            let password = password.ok_or(MailError::Setting("SMTP_PASSWORD", "SMTP_USER needs a password"))?;
            builder = builder.credentials(Credentials::new(user.clone(), password.expose_secret().to_owned()));
        }
        match tokio::time::timeout(self.timeout, builder.build().send(mail)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(MailError::Smtp(reason(&error))),
            Err(_) => Err(MailError::Smtp(SILENT.to_owned())),
        }
    }
}

/// What went wrong, without the server's words: they can quote the address.
fn reason(error: &lettre::transport::smtp::Error) -> String {
    match error.status() {
        Some(code) => format!("status {code}"),
        None if error.is_tls() => "no TLS".to_owned(),
        None if error.is_timeout() => SILENT.to_owned(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Message;
    use std::net::TcpListener;

    #[tokio::test]
    async fn a_server_that_says_nothing_is_not_waited_for() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = silent.local_addr().unwrap().port().to_string();
        let settings = [("SMTP_HOST", "127.0.0.1"), ("SMTP_PORT", port.as_str())];
        let lookup = |name: &str| settings.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let smtp = Smtp { timeout: Duration::ZERO, ..Smtp::from_env(lookup).unwrap() };
        let mail = Message::new("b@example.com", "s", "t").unwrap();
        let mail = mail.internet_message(&"a@example.com".parse().unwrap()).unwrap();
        let error = smtp.send(None, mail).await.unwrap_err();
        assert_eq!(error.to_string(), format!("the SMTP server did not take the mail: {SILENT}"));
    }

    #[test]
    fn tls_is_never_optional() {
        for (port, implicit) in [("465", true), ("587", false), ("25", false), ("2525", false)] {
            let lookup = |name: &str| match name {
                "SMTP_HOST" => Some("mail.example".to_owned()),
                "SMTP_PORT" => Some(port.to_owned()),
                _ => None,
            };
            let tls = Smtp::from_env(lookup).unwrap().tls;
            assert_eq!(
                (matches!(tls, Tls::Wrapper(_)), matches!(tls, Tls::Required(_))),
                (implicit, !implicit),
                "{port}"
            );
        }
    }
}
