//! Documents fetched from other servers, or put there: `GET` and `PUT` over https, and nothing else. There are no redirects and
//! no proxy. Size and time are bounded.
//!
//! Whoever registers a URL chooses where this server connects to (OWASP ASVS 5.0 V1.3.6, server-side request forgery). So
//! a name is resolved here once, only addresses of the public internet are used, and the connection goes to an address that
//! was looked at. A URL that is a setting may lead anywhere ([`Reach`]).

mod address;

pub use address::is_public;

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header, request::Builder, uri::Scheme};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};
use tls::CertificatesError;
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// How long a request may take from the name to the last byte.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A document could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Not an https URL with a host, or with one that the reach does not have.
    #[error("the URL is not https with a host name")]
    Url,
    /// The file with the authorities to trust has none, or cannot be read.
    #[error("the file with the authorities is not usable")]
    Authorities(#[source] CertificatesError),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Setup(#[source] rustls::Error),
    /// The name leads nowhere, or to addresses that are outside the reach.
    #[error("the host has no usable address")]
    Address,
    /// The connection failed, or the server is not who it says.
    #[error("the connection failed")]
    Connection(#[source] std::io::Error),
    /// The server did not speak HTTP.
    #[error("the server's answer is not HTTP")]
    Http(#[source] hyper::Error),
    /// Anything but 200, redirects included.
    #[error("the server answered {0}")]
    Status(StatusCode),
    /// The answer is larger than it may be, or broke off.
    #[error("the answer is too large or incomplete")]
    Body,
    /// It took too long.
    #[error("the server took too long")]
    Timeout,
}

/// Where a URL may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// To the public internet, by a name: somebody else registered the URL.
    Public,
    /// Anywhere: the URL is a setting.
    Anywhere,
}

impl Reach {
    /// An address in the place of a name is not for the public: no certificate authority vouches for who is behind it.
    const fn has_name(self, name: &ServerName<'_>) -> bool {
        matches!((self, name), (Self::Anywhere, _) | (Self::Public, ServerName::DnsName(_)))
    }

    /// A name with an address inside is not trusted at all: which of its addresses is used is the choice of whoever owns the
    /// name.
    fn has_all(self, addresses: &[SocketAddr]) -> bool {
        self == Self::Anywhere || addresses.iter().all(|address| is_public(address.ip()))
    }
}

/// What is fetched.
#[derive(Clone, Copy, Debug)]
pub struct Document {
    /// The media types to ask for.
    pub accept: &'static str,
    /// The largest answer that is read.
    pub max_bytes: usize,
}

/// Fetches documents, and puts them.
pub struct Fetcher {
    tls: TlsConnector,
    reach: Reach,
}

impl Fetcher {
    /// One that trusts the certificate authorities in a PEM file, or those of the web.
    pub fn new(reach: Reach, authorities: Option<&Path>) -> Result<Self, FetchError> {
        let trusted = tls::authorities(authorities).map_err(FetchError::Authorities)?;
        let config = tls::client(trusted).map_err(FetchError::Setup)?;
        Ok(Self { tls: TlsConnector::from(Arc::new(config)), reach })
    }

    /// The document at a URL.
    pub async fn get(&self, url: &str, document: Document) -> Result<Bytes, FetchError> {
        tokio::time::timeout(TIMEOUT, self.fetch(url, document)).await.map_err(|_| FetchError::Timeout)?
    }

    /// Puts a document at a URL. It is sent without a media type: a URL that is signed for S3 says it, and S3 refuses another.
    pub async fn put(&self, url: &str, document: impl Into<Bytes>) -> Result<(), FetchError> {
        /// What is answered is read, and of no use.
        const MAX_ANSWER: usize = 64 * 1024;
        let request = Request::put(url);
        let sent = self.send(url, request, document.into(), MAX_ANSWER);
        tokio::time::timeout(TIMEOUT, sent).await.map_err(|_| FetchError::Timeout)?.map(drop)
    }

    async fn fetch(&self, url: &str, document: Document) -> Result<Bytes, FetchError> {
        let request = Request::get(url).header(header::ACCEPT, document.accept);
        self.send(url, request, Bytes::new(), document.max_bytes).await
    }

    /// Sends a request to where its URL leads.
    async fn send(&self, url: &str, request: Builder, body: Bytes, max_bytes: usize) -> Result<Bytes, FetchError> {
        let uri: Uri = url.parse().map_err(|_| FetchError::Url)?;
        let authority = uri.authority().filter(|_| uri.scheme() == Some(&Scheme::HTTPS)).ok_or(FetchError::Url)?;
        let stream = self.connect(authority.host(), authority.port_u16().unwrap_or(443)).await?;
        let request = request
            .uri(uri.path_and_query().map_or("/", |path| path.as_str()))
            .header(header::HOST, authority.as_str())
            .body(Full::new(body))
            .map_err(|_| FetchError::Url)?;
        exchange(stream, request, max_bytes).await
    }

    async fn connect(&self, host: &str, port: u16) -> Result<TlsStream<TcpStream>, FetchError> {
        let host = host.trim_matches(['[', ']']);
        let name = ServerName::try_from(host.to_owned()).map_err(|_| FetchError::Url)?;
        if !self.reach.has_name(&name) {
            return Err(FetchError::Url);
        }
        let addresses: Vec<SocketAddr> = lookup_host((host, port)).await.map_err(|_| FetchError::Address)?.collect();
        if addresses.is_empty() || !self.reach.has_all(&addresses) {
            return Err(FetchError::Address);
        }
        let tcp = TcpStream::connect(addresses.as_slice()).await.map_err(FetchError::Connection)?;
        self.tls.connect(name, tcp).await.map_err(FetchError::Connection)
    }
}

/// Sends the request, and reads the body of a 200.
async fn exchange(
    stream: TlsStream<TcpStream>,
    request: Request<Full<Bytes>>,
    max_bytes: usize,
) -> Result<Bytes, FetchError> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(FetchError::Http)?;
    let answered = async {
        let response = sender.send_request(request).await.map_err(FetchError::Http)?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status()));
        }
        let body = Limited::new(response.into_body(), max_bytes).collect().await;
        Ok(body.map_err(|_| FetchError::Body)?.to_bytes())
    };
    tokio::pin!(answered);
    tokio::select! {
        answer = &mut answered => answer,
        ended = connection => {
            // The server may close the connection as soon as it has sent everything.
            ended.map_err(FetchError::Http)?;
            answered.await
        }
    }
}

#[cfg(test)]
mod tests;
