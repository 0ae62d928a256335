//! One document by HTTPS, within limits of size and time. Redirections are not followed: the address is a setting.

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use std::{path::Path, sync::Arc, time::Duration};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// For everything together: a request waits for it.
const DEADLINE: Duration = Duration::from_secs(5);

/// Why a document was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// It is not an HTTPS address.
    #[error("the address is not usable")]
    Address,
    /// The authorities to trust cannot be read.
    #[error("the file with the authorities is not usable")]
    Authorities,
    /// The other side cannot be reached, or is not who it should be.
    #[error("no connection")]
    Connection(#[source] std::io::Error),
    /// The other side does not speak HTTP, or the document is too large.
    #[error("no usable answer")]
    Answer(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Another status than 200.
    #[error("the answer is {0}")]
    Status(StatusCode),
    /// Not UTF-8.
    #[error("the document is not text")]
    Encoding,
    /// It took too long.
    #[error("it took too long")]
    Timeout,
}

/// The text at an address. `authorities` names a PEM file; without it the public ones are trusted.
pub(crate) async fn text(url: &Uri, authorities: Option<&Path>, limit: usize) -> Result<String, FetchError> {
    let bytes =
        tokio::time::timeout(DEADLINE, get(url, authorities, limit)).await.map_err(|_| FetchError::Timeout)??;
    String::from_utf8(bytes.into()).map_err(|_| FetchError::Encoding)
}

async fn get(url: &Uri, authorities: Option<&Path>, limit: usize) -> Result<Bytes, FetchError> {
    let host = url.host().filter(|_| url.scheme_str() == Some("https")).ok_or(FetchError::Address)?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(bare.to_owned()).map_err(|_| FetchError::Address)?;
    let stream = TcpStream::connect((bare, url.port_u16().unwrap_or(443))).await.map_err(FetchError::Connection)?;
    let connector = TlsConnector::from(Arc::new(client(authorities)?));
    let tls = connector.connect(name, stream).await.map_err(FetchError::Connection)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(tls)).await.map_err(answer)?;
    // It ends with the sender, or with this request's runtime.
    let driver = tokio::spawn(connection);
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let authority = url.authority().ok_or(FetchError::Address)?.as_str();
    let request = Request::get(path)
        .header(header::HOST, authority)
        .header(header::ACCEPT, "application/samlmetadata+xml, application/xml, text/xml")
        .body(Empty::<Bytes>::new())
        .map_err(|_| FetchError::Address)?;
    let response = sender.send_request(request).await.map_err(answer)?;
    if response.status() != StatusCode::OK {
        return Err(FetchError::Status(response.status()));
    }
    let body = Limited::new(response.into_body(), limit).collect().await.map_err(FetchError::Answer)?;
    driver.abort();
    Ok(body.to_bytes())
}

fn answer(error: hyper::Error) -> FetchError {
    FetchError::Answer(Box::new(error))
}

fn client(authorities: Option<&Path>) -> Result<ClientConfig, FetchError> {
    let mut roots = RootCertStore::empty();
    match authorities {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(path) => {
            let certificates = CertificateDer::pem_file_iter(path).map_err(|_| FetchError::Authorities)?;
            for certificate in certificates {
                let certificate = certificate.map_err(|_| FetchError::Authorities)?;
                roots.add(certificate).map_err(|_| FetchError::Authorities)?;
            }
        }
    }
    if roots.is_empty() {
        return Err(FetchError::Authorities);
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|_| FetchError::Authorities)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests;
