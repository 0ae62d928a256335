//! The HTTP server.

use crate::{
    TrustedProxies,
    routes::{RouteError, Router, Target},
};
use bytes::Bytes;
use http::{HeaderValue, Method, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use runtime::{
    App, Failure, Function, MAX_BODY, Protocol, Request, RequestParts, Response, protect, telemetry::refused_by_host,
};
use std::{
    collections::HashMap,
    convert::Infallible,
    future::Future,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::net::{TcpListener, TcpStream};

/// The state of the server.
struct Host {
    app: Arc<App>,
    router: Router,
    /// From whom the address in `X-Forwarded-For` is the caller's.
    proxies: TrustedProxies,
}

/// How long requests that run when the host stops may still take: as long as any request may.
const GRACE: Duration = Duration::from_secs(25);

/// How long a client may take for the headers of a request, so that slow ones do not hold connections for ever.
const HEADERS: Duration = Duration::from_secs(10);

/// The largest body that is read although it is refused: a proxy that is still sending when the connection closes tells its
/// caller of a broken server instead of our answer. Who announces more is cut off.
const PASSED_OVER: u64 = 2 * MAX_BODY as u64;

/// How long to wait when the system has no room for a connection.
const NO_ROOM: Duration = Duration::from_millis(100);

/// Serves until `stop` is ready, then lets the requests that run come to their end.
pub async fn serve(
    listener: TcpListener,
    app: Arc<App>,
    proxies: TrustedProxies,
    stop: impl Future<Output = ()>,
) -> Result<(), RouteError> {
    let host = Arc::new(Host { app, router: Router::from_template()?, proxies });
    let connections = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => connect(&connections, Arc::clone(&host), stream, peer),
                // Out of descriptors, or the client is gone already.
                Err(_) => tokio::time::sleep(NO_ROOM).await,
            },
            () = &mut stop => break,
        }
    }
    drop(listener);
    tokio::select! {
        () = connections.shutdown() => {}
        () = tokio::time::sleep(GRACE) => {}
    }
    Ok(())
}

/// Serves the requests of one connection. A connection that breaks is the client's affair.
fn connect(connections: &GracefulShutdown, host: Arc<Host>, stream: TcpStream, peer: SocketAddr) {
    // Answers are written whole; waiting for more would only delay them.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let host = Arc::clone(&host);
        async move { Ok::<_, Infallible>(host.serve(peer, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let connection = connections.watch(connection);
    tokio::spawn(async move { connection.await.ok() });
}

impl Host {
    async fn serve(
        self: &Arc<Self>,
        peer: SocketAddr,
        request: http::Request<Incoming>,
    ) -> http::Response<Full<Bytes>> {
        let is_head = request.method() == Method::HEAD;
        let mut response = self.route(peer, request).await;
        if is_head {
            *response.body_mut() = Bytes::new();
        }
        response.map(Full::new)
    }

    async fn route(self: &Arc<Self>, peer: SocketAddr, request: http::Request<Incoming>) -> Response {
        let started = Instant::now();
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        match self.router.find(parts.method.as_str(), &path) {
            Target::Nothing => self.refuse(None, &Failure::NotFound, protocol(&path), started),
            Target::MethodNotAllowed(function, allowed) => {
                let mut response = self.refuse(Some(function), &Failure::MethodNotAllowed, function.protocol, started);
                if let Ok(value) = HeaderValue::from_str(&allowed.join(", ")) {
                    response.headers_mut().insert(header::ALLOW, value);
                }
                response
            }
            Target::Function(function, variables) => {
                let body = match received(&parts, body).await {
                    Ok(body) => body,
                    Err(failure) => return self.refuse(Some(function), &failure, function.protocol, started),
                };
                let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), decoded(value))).collect();
                let request = self.request(peer, parts, variables, body);
                self.call(*function, request).await
            }
        }
    }

    /// A request with an `Idempotency-Key` is carried to its end even when its caller goes away: who sends it again is told how
    /// it ended. Any other ends with its connection.
    async fn call(self: &Arc<Self>, function: Function, request: Request) -> Response {
        if request.header("idempotency-key").is_none() {
            return function.call(&self.app, &request).await;
        }
        let started = Instant::now();
        let host = Arc::clone(self);
        tokio::spawn(async move { function.call(&host.app, &request).await }).await.unwrap_or_else(|error| {
            self.refuse(Some(&function), &Failure::Internal(Box::new(error)), function.protocol, started)
        })
    }

    /// An answer of the host itself: no function was called, or it did not come to its end.
    fn refuse(&self, function: Option<&Function>, failure: &Failure, protocol: Protocol, started: Instant) -> Response {
        let id = request_id();
        let mut response = failure.response(protocol);
        protect(&self.app.settings, protocol, &id, &mut response);
        refused_by_host(function.map(|function| function.name), &id, failure, started);
        response
    }

    fn request(
        &self,
        peer: SocketAddr,
        parts: http::request::Parts,
        variables: HashMap<String, String>,
        body: Bytes,
    ) -> Request {
        let forwarded = || {
            let value = parts.headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
            value.rsplit(',').next()?.trim().parse::<IpAddr>().ok()
        };
        let source = if self.proxies.has(peer.ip()) { forwarded().unwrap_or_else(|| peer.ip()) } else { peer.ip() };
        Request::from(RequestParts {
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            method: parts.method,
            variables,
            headers: parts.headers,
            body,
            source: Some(source),
            id: request_id(),
        })
    }
}

/// The body of a request, no more than a Lambda function would be given. One that says it is longer is not kept.
async fn received(parts: &http::request::Parts, body: Incoming) -> Result<Bytes, Failure> {
    let announced =
        parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if let Some(length) = announced.filter(|length| *length > MAX_BODY as u64) {
        if length <= PASSED_OVER {
            let _ = tokio::time::timeout(GRACE, pass_over(body)).await;
        }
        return Err(Failure::TooLarge);
    }
    match tokio::time::timeout(GRACE, Limited::new(body, MAX_BODY).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Failure::TooLarge),
        Ok(Err(_)) | Err(_) => Err(Failure::Invalid("The request body did not arrive whole.".to_owned())),
    }
}

/// Reads a body to its end and keeps nothing.
async fn pass_over(mut body: Incoming) {
    while let Some(Ok(_)) = body.frame().await {}
}

/// The protocol of a path that leads nowhere.
fn protocol(path: &str) -> Protocol {
    if path.get(..6).is_some_and(|prefix| prefix.eq_ignore_ascii_case("/fhir/")) {
        Protocol::Fhir
    } else if path.starts_with("/api/") {
        Protocol::Rest
    } else if path.starts_with("/o/") {
        Protocol::OAuth
    } else {
        Protocol::Page
    }
}

/// A path variable, percent-decoded; what is not UTF-8 then names nothing.
fn decoded(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
        match (digit(), digit()) {
            (Some(high), Some(low)) => bytes.extend(u8::try_from(high * 16 + low)),
            _ => return String::new(),
        }
    }
    String::from_utf8(bytes).unwrap_or_default()
}

/// An id that no other request has: 128 random bits.
#[must_use]
pub fn request_id() -> String {
    use std::fmt::Write as _;
    oauth::token::random_bytes::<16>().map_or_else(
        |_| "no-random".to_owned(),
        |bytes| {
            bytes.iter().fold(String::with_capacity(32), |mut text, byte| {
                // Writing to a String does not fail.
                let _ = write!(text, "{byte:02x}");
                text
            })
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_variables_are_decoded_once() {
        assert_eq!(decoded("a%20b"), "a b");
        assert_eq!(decoded("a%2520b"), "a%20b");
        assert_eq!(decoded("%ff"), "");
        assert_eq!(decoded("%4"), "");
        assert_eq!(decoded("%zz"), "");
    }
}
