//! The transports against real servers: SMTP by aiosmtpd with TLS, SES as moto plays it.
//!
//! Needs the Python packages `aiosmtpd` and `moto[server]`. `PYTHON` names the interpreter that has them, `python3` by
//! default.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use mail::{MailError, Mailer, Message};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use runtime::App;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

/// Serves on a free port, says which, and ends when its input does. What it takes it prints, one line each. `mode` is
/// `starttls` or `plain`.
const SMTP: &str = r#"
import json, socket, ssl, sys
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

mode, certificate, key = sys.argv[1:4]

class Handler:
    async def handle_DATA(self, server, session, envelope):
        print(json.dumps({
            "tls": session.ssl is not None,
            "user": getattr(session.auth_data, "login", b"").decode(),
            "from": envelope.mail_from, "to": envelope.rcpt_tos, "hello": session.host_name,
            "data": envelope.content.decode(),
        }), flush=True)
        return "550 5.7.1 Refused, peter@example.com" if "refused" in envelope.rcpt_tos[0] else "250 OK"

def authenticate(server, session, envelope, mechanism, data):
    known = (data.login, data.password) == (b"exchange", b"s3cret-pw")
    return AuthResult(success=known, handled=False, auth_data=data)

options = {}
if mode == "starttls":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    options = {"tls_context": context, "require_starttls": True, "auth_required": True, "authenticator": authenticate}
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
controller = Controller(Handler(), hostname="127.0.0.1", port=port, ready_timeout=20, **options)
controller.start()
print(controller.port, flush=True)
sys.stdin.read()
"#;

/// SES with one sender that it knows. Each line that it reads it answers with what was sent.
const SES: &str = r#"
import json, sys
from moto.core import DEFAULT_ACCOUNT_ID
from moto.server import ThreadedMotoServer
from moto.ses.models import ses_backends

backend = ses_backends[DEFAULT_ACCOUNT_ID]["eu-central-1"]
backend.verify_email_identity("no-reply@jhe.example")
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
for line in sys.stdin:
    sent = [{"from": mail.source, "to": mail.destinations, "data": mail.raw_data} for mail in backend.sent_messages]
    print(json.dumps(sent), flush=True)
"#;

/// A server in Python, ended with the value.
struct Server {
    process: Child,
    output: BufReader<ChildStdout>,
    port: u16,
}

impl Server {
    fn start(script: &str, arguments: &[&str]) -> Self {
        let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let mut process = Command::new(&python)
            .args(["-c", script])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {python}: {error}"));
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let port = line(&mut output).trim().parse();
        let port = port.unwrap_or_else(|_| panic!("the server did not start: see tests/python/requirements.txt"));
        Self { process, output, port }
    }

    /// The next mail that it took.
    fn taken(&mut self) -> Value {
        serde_json::from_str(&line(&mut self.output)).unwrap()
    }
}

fn line(output: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    line
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A certificate for localhost by an authority of its own, as PEM files: authority, certificate, key.
fn certificates(directory: &Path) -> [PathBuf; 3] {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = authority.self_signed(&authority_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = certificate.signed_by(&key, &Issuer::new(authority, authority_key)).unwrap();
    let files = ["ca.pem", "cert.pem", "key.pem"].map(|name| directory.join(name));
    for (file, text) in files.iter().zip([root.pem(), certificate.pem(), key.serialize_pem()]) {
        fs::write(file, text).unwrap();
    }
    files
}

/// A process with these settings. Its keys are never used.
fn app(settings: &[(&str, &str)]) -> App {
    let key = "A".repeat(43) + "=";
    let defaults = [
        ("SITE_URL", "https://jhe.example"),
        ("MAIL_FROM", "The Exchange <no-reply@jhe.example>"),
        ("LINK_KEY", key.as_str()),
        ("FORM_KEY", key.as_str()),
        ("FACTOR_KEY", key.as_str()),
    ];
    let given = defaults.iter().chain(settings).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let variables: BTreeMap<String, String> = given.collect();
    App::new(move |name| variables.get(name).cloned(), None, 1).unwrap()
}

fn message(to: &str) -> Message {
    Message::new(to, "Größe", "Hello\n.\nhttps://a.example/x?y=1\n").unwrap()
}

/// A running SMTP server, and the settings that lead to it.
struct Smtp {
    server: Server,
    /// Gone with the value, and the certificates in it.
    directory: tempfile::TempDir,
    port: String,
    authority: String,
}

impl Smtp {
    fn start(mode: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let [authority, certificate, key] = certificates(directory.path()).map(|path| path.display().to_string());
        let server = Server::start(SMTP, &[mode, &certificate, &key]);
        let port = server.port.to_string();
        Self { server, directory, port, authority }
    }

    /// A process with what is needed, but for `changes`.
    fn app(&self, changes: &[(&str, &str)]) -> App {
        let mut settings = BTreeMap::from([
            ("MAIL_TRANSPORT", "smtp"),
            ("SMTP_HOST", "localhost"),
            ("SMTP_PORT", &self.port),
            ("SMTP_USER", "exchange"),
            ("SMTP_PASSWORD", "s3cret-pw"),
            ("SMTP_SSL_ROOT_CERT", &self.authority),
        ]);
        settings.extend(changes.iter().copied());
        app(&settings.into_iter().collect::<Vec<_>>())
    }

    async fn error(&self, changes: &[(&str, &str)], to: &str) -> String {
        let error = mail::send(&self.app(changes), &message(to)).await.unwrap_err();
        assert!(matches!(error, MailError::Smtp(_)), "{error:?}");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("example.com") && !shown.contains("s3cret"), "{shown}");
        error.to_string()
    }
}

#[tokio::test]
async fn smtp_takes_a_mail_over_starttls_from_who_signs_in_rfc_3207() {
    let mut smtp = Smtp::start("starttls");
    mail::send(&smtp.app(&[]), &message("peter@example.com")).await.unwrap();
    let taken = smtp.server.taken();
    assert_eq!((&taken["tls"], &taken["user"]), (&Value::Bool(true), &Value::from("exchange")));
    assert_eq!(taken["from"], "no-reply@jhe.example");
    assert_eq!(taken["to"], serde_json::json!(["peter@example.com"]));
    assert_eq!(taken["hello"], "jhe.example");
    let data = taken["data"].as_str().unwrap();
    assert!(data.contains("To: peter@example.com\r\n") && data.contains("https://a.example/x?y=1"), "{data}");
}

#[tokio::test]
async fn smtp_without_tls_gets_nothing() {
    let smtp = Smtp::start("plain");
    let error = smtp.error(&[], "peter@example.com").await;
    assert!(error.ends_with("it offers no TLS or no way to sign in"), "{error}");
}

#[tokio::test]
async fn smtp_of_an_unknown_authority_or_another_name_gets_nothing() {
    let smtp = Smtp::start("starttls");
    for changes in [[("SMTP_SSL_ROOT_CERT", "")], [("SMTP_HOST", "127.0.0.1")]] {
        let error = smtp.error(&changes, "peter@example.com").await;
        assert!(error.ends_with("the connection failed") || error.ends_with("no TLS"), "{changes:?}: {error}");
    }
}

#[tokio::test]
async fn smtp_says_only_the_status_of_a_refusal() {
    let smtp = Smtp::start("starttls");
    let error = smtp.error(&[], "refused@example.com").await;
    assert!(error.ends_with("status 550"), "{error}");
    let error = smtp.error(&[("SMTP_PASSWORD", "s3cret-wrong")], "peter@example.com").await;
    assert!(error.ends_with("status 535"), "{error}");
}

#[tokio::test]
async fn smtp_needs_the_password_of_its_user() {
    let smtp = Smtp::start("starttls");
    let error = mail::send(&smtp.app(&[("SMTP_PASSWORD", "")]), &message("peter@example.com")).await.unwrap_err();
    assert!(matches!(error, MailError::Setting("SMTP_PASSWORD", _)), "{error:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error() {
    let mut smtp = Smtp::start("starttls");
    smtp.server.process.kill().unwrap();
    smtp.server.process.wait().unwrap();
    let error = smtp.error(&[], "peter@example.com").await;
    assert!(error.ends_with("the connection failed"), "{error}");
    assert!(smtp.directory.path().exists());
}

#[tokio::test]
async fn ses_takes_a_mail_of_a_sender_that_it_knows() {
    let mut ses = Server::start(SES, &[]);
    let endpoint = format!("http://127.0.0.1:{}", ses.port);
    let by = |from: &str| {
        app(&[
            ("MAIL_TRANSPORT", "ses"),
            ("MAIL_FROM", from),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_ENDPOINT_URL", &endpoint),
        ])
    };
    mail::send(&by("The Exchange <no-reply@jhe.example>"), &message("peter@example.com")).await.unwrap();
    ses.process.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    let sent = ses.taken();
    assert_eq!(sent.as_array().unwrap().len(), 1);
    // moto adds the addresses of the headers to those of the envelope.
    assert_eq!(sent[0]["to"], serde_json::json!(["peter@example.com", "peter@example.com"]));
    let data = sent[0]["data"].as_str().unwrap();
    assert!(data.contains("To: peter@example.com\r\n") && data.contains("https://a.example/x?y=1"), "{data}");

    let stranger = mail::send(&by("stranger@elsewhere.example"), &message("peter@example.com")).await.unwrap_err();
    assert_eq!(stranger.to_string(), "SES did not take the mail: MessageRejected");
}

#[tokio::test]
async fn the_mailer_of_a_process_is_made_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mail").display().to_string();
    let app = app(&[("MAIL_TRANSPORT", "directory"), ("MAIL_DIRECTORY", &path)]);
    let (first, second) = (Mailer::of(&app).unwrap(), Mailer::of(&app).unwrap());
    assert!(std::sync::Arc::ptr_eq(&first, &second));
}
