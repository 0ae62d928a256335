//! How AWS is spoken to: HTTP/1.1, and TLS that trusts the certificate authorities of the web.
//!
//! The SDK's own client has HTTP/2 and reads the machine's authorities from files at each start. Both are more than a
//! function needs that asks for a secret and a signature: `docs/decisions/0004-release-profile.md` has the figures.

use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
};
use aws_smithy_types::body::SdkBody;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector as TcpConnector},
    rt::TokioExecutor,
};
use std::time::Duration;

/// Connections are kept for the next request, whichever client of the SDK makes it.
#[derive(Clone, Debug)]
struct Connector(Connections);

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = self.0.clone();
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let response = client.request(request).await.map_err(|error| ConnectorError::io(error.into()))?;
            HttpResponse::try_from(response.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// Connections over which HTTP is spoken.
pub(crate) type Connections = Client<HttpsConnector<TcpConnector>, SdkBody>;

/// A client that gives up connecting after `patience`.
pub(crate) fn client(patience: Duration) -> Result<SharedHttpClient, rustls::Error> {
    let connector = SharedHttpConnector::new(Connector(connections(patience)?));
    Ok(http_client_fn(move |_, _| connector.clone()))
}

/// The connections of such a client.
pub(crate) fn connections(patience: Duration) -> Result<Connections, rustls::Error> {
    let tls = tls::client(tls::authorities_of_the_web())?;
    let mut tcp = TcpConnector::new();
    tcp.set_connect_timeout(Some(patience));
    tcp.set_nodelay(true);
    // The HTTPS around it connects to both.
    tcp.enforce_http(false);
    let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(tcp);
    Ok(Client::builder(TokioExecutor::new()).build(https))
}
