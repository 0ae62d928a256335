use super::*;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::io::Write;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

const DOCUMENT: Document = Document { accept: "application/json", max_bytes: 100 };

/// A server on this machine that gives one answer, whatever is asked; and a fetcher that trusts it.
struct Server {
    url: String,
    fetcher: Fetcher,
    asked: JoinHandle<String>,
}

impl Server {
    async fn get(&self) -> Result<Bytes, FetchError> {
        self.fetcher.get(&self.url, DOCUMENT).await
    }
}

/// A file of authorities.
fn file(content: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(content.as_bytes()).unwrap();
    file
}

async fn serve(answer: Vec<u8>, name: &str, reach: Reach) -> Server {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let provider = tls::provider();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("localhost:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        let Ok(mut tls) = TlsAcceptor::from(Arc::new(config)).accept(tcp).await else { return String::new() };
        let mut asked = vec![0; 4096];
        let length = tls.read(&mut asked).await.unwrap();
        asked.truncate(length);
        // A client that has read enough hangs up.
        let _ = tls.write_all(&answer).await;
        let _ = tls.shutdown().await;
        String::from_utf8(asked).unwrap()
    });
    let fetcher = Fetcher::new(reach, Some(file(&cert.pem()).path())).unwrap();
    Server { url: format!("https://localhost:{port}/keys.json?v=1"), fetcher, asked }
}

fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

#[tokio::test]
async fn a_document_is_fetched_over_tls() {
    let server = serve(ok("{\"keys\":[]}"), "localhost", Reach::Anywhere).await;
    assert_eq!(server.get().await.unwrap(), "{\"keys\":[]}");
    let asked = server.asked.await.unwrap();
    assert!(asked.starts_with("GET /keys.json?v=1 HTTP/1.1\r\n"), "{asked}");
    assert!(asked.to_lowercase().contains("host: localhost:"), "{asked}");
}

#[tokio::test]
async fn a_document_is_put_over_tls_without_a_media_type() {
    let server = serve(ok(""), "localhost", Reach::Anywhere).await;
    server.fetcher.put(&server.url, "{\"Status\":\"SUCCESS\"}").await.unwrap();
    let asked = server.asked.await.unwrap();
    assert!(asked.starts_with("PUT /keys.json?v=1 HTTP/1.1\r\n"), "{asked}");
    assert!(asked.ends_with("\r\n\r\n{\"Status\":\"SUCCESS\"}"), "{asked}");
    let head = asked.to_lowercase();
    assert!(head.contains("content-length: 20\r\n") && !head.contains("content-type"), "{asked}");
}

#[tokio::test]
async fn a_document_that_is_not_taken_is_a_failure() {
    let answer = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n".to_vec();
    let server = serve(answer, "localhost", Reach::Anywhere).await;
    let error = server.fetcher.put(&server.url, "{}").await.unwrap_err();
    assert!(matches!(error, FetchError::Status(StatusCode::FORBIDDEN)), "{error:?}");
    let inside = serve(ok(""), "localhost", Reach::Public).await;
    assert!(matches!(inside.fetcher.put(&inside.url, "{}").await, Err(FetchError::Address)));
    inside.asked.abort();
}

#[tokio::test]
async fn an_answer_without_a_length_ends_with_the_connection() {
    let server = serve(b"HTTP/1.1 200 OK\r\n\r\n{}".to_vec(), "localhost", Reach::Anywhere).await;
    assert_eq!(server.get().await.unwrap(), "{}");
}

#[tokio::test]
async fn no_connection_is_made_to_an_address_that_is_not_public() {
    let server = serve(ok("{}"), "localhost", Reach::Public).await;
    assert!(matches!(server.get().await, Err(FetchError::Address)));
    assert!(!server.asked.is_finished());
    server.asked.abort();
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let answer = b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n".to_vec();
    let server = serve(answer, "localhost", Reach::Anywhere).await;
    let error = server.get().await.unwrap_err();
    assert!(matches!(error, FetchError::Status(StatusCode::FOUND)), "{error:?}");
}

#[tokio::test]
async fn an_answer_is_bounded() {
    let server = serve(ok(&"a".repeat(DOCUMENT.max_bytes + 1)), "localhost", Reach::Anywhere).await;
    assert!(matches!(server.get().await, Err(FetchError::Body)));
}

#[tokio::test]
async fn a_server_that_is_not_who_it_says_is_not_asked() {
    let server = serve(ok("{}"), "other.example", Reach::Anywhere).await;
    assert!(matches!(server.get().await, Err(FetchError::Connection(_))));
    let stranger = serve(ok("{}"), "localhost", Reach::Anywhere).await;
    let strict = Fetcher::new(Reach::Anywhere, None).unwrap();
    assert!(matches!(strict.get(&stranger.url, DOCUMENT).await, Err(FetchError::Connection(_))));
}

#[tokio::test]
async fn only_https_is_tried_and_for_the_public_only_to_a_name() {
    let public = Fetcher::new(Reach::Public, None).unwrap();
    let anywhere = Fetcher::new(Reach::Anywhere, None).unwrap();
    for url in ["http://localhost/", "ftp://localhost/", "/x", "", "https:///x"] {
        for fetcher in [&public, &anywhere] {
            assert!(matches!(fetcher.get(url, DOCUMENT).await, Err(FetchError::Url)), "{url}");
        }
    }
    // Nothing listens at port 0.
    for url in ["https://127.0.0.1:0/", "https://[::1]:0/"] {
        assert!(matches!(public.get(url, DOCUMENT).await, Err(FetchError::Url)), "{url}");
        assert!(matches!(anywhere.get(url, DOCUMENT).await, Err(FetchError::Connection(_))), "{url}");
    }
}

#[test]
fn authorities_have_to_be_there() {
    let pem = generate_simple_self_signed(vec!["a.example".to_owned()]).unwrap().cert.pem();
    for (content, usable) in [(pem.as_str(), true), ("", false), ("no PEM", false), (&pem.replace("MII", "AAA"), false)]
    {
        let made = Fetcher::new(Reach::Anywhere, Some(file(content).path()));
        assert_eq!(made.is_ok(), usable, "{content}");
    }
    let missing = Fetcher::new(Reach::Anywhere, Some(Path::new("/does/not/exist")));
    assert!(matches!(missing, Err(FetchError::Authorities(_))));
}
