use super::*;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use std::io::Write;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

/// A server that gives one answer to everybody, and the file with its authority.
async fn server(name: &str, answer: String) -> (Uri, tempfile::NamedTempFile) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed([name.to_owned()]).unwrap();
    let mut authority = tempfile::NamedTempFile::new().unwrap();
    authority.write_all(cert.pem().as_bytes()).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("localhost:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(mut tls) = acceptor.accept(stream).await {
                let mut request = [0; 1024];
                let _ = tls.read(&mut request).await;
                let _ = tls.write_all(answer.as_bytes()).await;
                let _ = tls.shutdown().await;
            }
        }
    });
    (format!("https://localhost:{port}/metadata?a=b").parse().unwrap(), authority)
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nlocation: https://localhost/\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn a_document_is_fetched_from_who_it_should_be() {
    let (url, authority) = server("localhost", answer("200 OK", "<a/>")).await;
    assert_eq!(text(&url, Some(authority.path()), 100).await.unwrap(), "<a/>");
    assert!(matches!(text(&url, None, 100).await, Err(FetchError::Connection(_))), "an authority that nobody knows");
    let (url, authority) = server("other.example", answer("200 OK", "<a/>")).await;
    assert!(matches!(text(&url, Some(authority.path()), 100).await, Err(FetchError::Connection(_))), "another name");
}

#[tokio::test]
async fn what_is_too_large_or_elsewhere_is_not_fetched() {
    let (url, authority) = server("localhost", answer("200 OK", &"x".repeat(101))).await;
    assert!(matches!(text(&url, Some(authority.path()), 100).await, Err(FetchError::Answer(_))));
    let (url, authority) = server("localhost", answer("302 Found", "")).await;
    assert!(matches!(text(&url, Some(authority.path()), 100).await, Err(FetchError::Status(StatusCode::FOUND))));
    let plain: Uri = "http://localhost/".parse().unwrap();
    assert!(matches!(text(&plain, None, 100).await, Err(FetchError::Address)));
}
