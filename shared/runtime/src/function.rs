//! A function: a handler with its name, and the one way to call it.

use crate::{App, Failure, Protocol, Request, Response};
use futures_util::future::BoxFuture;
use http::{HeaderValue, StatusCode, header};
use std::time::{Duration, Instant};
use tracing::Instrument;

/// What a function needs before its first request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing that has to be waited for.
    Nothing,
    /// The secrets and a connection to the database.
    Database,
}

type Handler = for<'a> fn(&'a App, &'a Request) -> BoxFuture<'a, Result<Response, Failure>>;

/// A Lambda function.
#[derive(Clone, Copy)]
pub struct Function {
    /// The name of the crate, of the binary and of `CodeUri` in `template.yaml`.
    pub name: &'static str,
    /// The shape of its errors.
    pub protocol: Protocol,
    /// What to have ready.
    pub needs: Needs,
    handler: Handler,
}

/// A request that takes longer is answered 503: before API Gateway's 30 seconds, after every statement's timeout.
const DEADLINE: Duration = Duration::from_secs(25);

impl Function {
    /// A function.
    #[must_use]
    pub const fn new(name: &'static str, protocol: Protocol, needs: Needs, handler: Handler) -> Self {
        Self { name, protocol, needs, handler }
    }

    /// Calls the function. Whatever happens, there is a response, in the protocol's shape, and one line in the log
    /// with the request's id, the status and the time: no path, no query, no body.
    pub async fn call(&self, app: &App, request: &Request) -> Response {
        let span = tracing::info_span!("request", function = self.name, id = request.id());
        let started = Instant::now();
        async {
            let result = tokio::time::timeout(DEADLINE, (self.handler)(app, request))
                .await
                .unwrap_or_else(|elapsed| Err(Failure::Unavailable(Box::new(elapsed))));
            let mut response = result.unwrap_or_else(|failure| {
                failure.log();
                failure.response(self.protocol)
            });
            self.finish(request, &mut response);
            let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
            tracing::info!(status = response.status().as_u16(), micros, "served");
            response
        }
        .instrument(span)
        .await
    }

    /// The headers that every response carries.
    fn finish(&self, request: &Request, response: &mut Response) {
        let negotiated = self.protocol == Protocol::Fhir && prefers_fhir_json(request);
        let is_page = self.protocol == Protocol::Page;
        let status = response.status();
        let headers = response.headers_mut();
        if negotiated && headers.get(header::CONTENT_TYPE).is_some() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/fhir+json"));
        }
        if let Ok(id) = HeaderValue::from_str(request.id()) {
            headers.insert("x-request-id", id);
        }
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if !headers.contains_key(header::CACHE_CONTROL) || status == StatusCode::UNAUTHORIZED {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        if self.protocol == Protocol::OAuth {
            // Apps in browsers call these from their own origins. No cookie counts there.
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        }
        if is_page {
            headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(crate::pages::POLICY));
            headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
            headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        }
    }
}

/// True when the caller names `application/fhir+json` among what it accepts.
fn prefers_fhir_json(request: &Request) -> bool {
    request.header(header::ACCEPT).is_some_and(|accept| {
        accept.split(',').any(|range| {
            range.split(';').next().is_some_and(|name| name.trim().eq_ignore_ascii_case("application/fhir+json"))
        })
    })
}
