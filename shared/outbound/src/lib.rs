//! Requests of ours to servers that somebody else named: `GET` over https, to public addresses, and nothing else.
//!
//! Whoever registers a URL chooses where this server connects to (OWASP ASVS 5.0 V1.3.6, server-side request forgery). So
//! a name is resolved here once, only addresses of the public internet are used, and the connection goes to the address that
//! was looked at. There are no redirects and no proxy. Size and time are bounded.

mod address;

pub use address::is_public;

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header, uri::Scheme};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;

/// The largest answer that is read: no key set is larger.
const MAX_BYTES: usize = 64 * 1024;
/// How long a request may take from the name to the last byte.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A document could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Not an https URL with a host name.
    #[error("the URL is not https with a host name")]
    Url,
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Setup(#[source] rustls::Error),
    /// The name leads nowhere, or only to addresses that are not of the public internet.
    #[error("the host has no public address")]
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

/// Fetches documents.
pub struct Fetcher {
    tls: TlsConnector,
    may_connect: fn(IpAddr) -> bool,
}

impl Fetcher {
    /// One that trusts the certificate authorities of the web.
    pub fn new() -> Result<Self, FetchError> {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        Self::with(roots, is_public)
    }

    fn with(roots: RootCertStore, may_connect: fn(IpAddr) -> bool) -> Result<Self, FetchError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(FetchError::Setup)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { tls: TlsConnector::from(Arc::new(config)), may_connect })
    }

    /// The document at a URL.
    pub async fn get(&self, url: &str) -> Result<Bytes, FetchError> {
        tokio::time::timeout(TIMEOUT, self.fetch(url)).await.map_err(|_| FetchError::Timeout)?
    }

    async fn fetch(&self, url: &str) -> Result<Bytes, FetchError> {
        let uri: Uri = url.parse().map_err(|_| FetchError::Url)?;
        let host = uri.host().filter(|_| uri.scheme() == Some(&Scheme::HTTPS)).ok_or(FetchError::Url)?;
        // An address in the place of a name is refused: no certificate authority vouches for who is behind it.
        let Ok(name @ ServerName::DnsName(_)) = ServerName::try_from(host.to_owned()) else {
            return Err(FetchError::Url);
        };
        let address = self.resolve(host, uri.port_u16().unwrap_or(443)).await?;
        let tcp = TcpStream::connect(address).await.map_err(FetchError::Connection)?;
        let tls = self.tls.connect(name, tcp).await.map_err(FetchError::Connection)?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(tls)).await.map_err(FetchError::Http)?;
        let request = Request::get(uri.path_and_query().map_or("/", |path| path.as_str()))
            .header(header::HOST, uri.authority().map_or(host, |authority| authority.as_str()))
            .header(header::ACCEPT, "application/json")
            .body(Empty::<Bytes>::new())
            .map_err(|_| FetchError::Url)?;
        let exchange = async {
            let response = sender.send_request(request).await.map_err(FetchError::Http)?;
            if response.status() != StatusCode::OK {
                return Err(FetchError::Status(response.status()));
            }
            let body = Limited::new(response.into_body(), MAX_BYTES).collect().await;
            Ok(body.map_err(|_| FetchError::Body)?.to_bytes())
        };
        tokio::pin!(exchange);
        tokio::select! {
            answer = &mut exchange => answer,
            ended = connection => {
                // The server may close the connection as soon as it has sent everything.
                ended.map_err(FetchError::Http)?;
                exchange.await
            }
        }
    }

    /// The first address that may be connected to. A name with an address inside is not trusted at all: which of its
    /// addresses comes first is the choice of whoever owns the name.
    async fn resolve(&self, host: &str, port: u16) -> Result<SocketAddr, FetchError> {
        let addresses: Vec<SocketAddr> = lookup_host((host, port)).await.map_err(|_| FetchError::Address)?.collect();
        match addresses.first() {
            Some(first) if addresses.iter().all(|address| (self.may_connect)(address.ip())) => Ok(*first),
            _ => Err(FetchError::Address),
        }
    }
}

#[cfg(test)]
mod tests;
