//! A function: a handler with its name, and the one way to call it.

use crate::{
    App, Failure, Protocol, Request, Response, cors, idempotency, metrics::Served, response::protect, telemetry,
};
use api::Operation;
use futures_util::future::BoxFuture;
use http::{HeaderValue, header};
use std::time::{Duration, Instant};
use store::meter;
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
    /// What it takes and answers, for the description of the API.
    pub operations: &'static [Operation],
    handler: Handler,
}

/// A request that takes longer is answered 503: before API Gateway's 30 seconds, after every statement's timeout.
const DEADLINE: Duration = Duration::from_secs(25);

impl Function {
    /// A function.
    #[must_use]
    pub const fn new(name: &'static str, protocol: Protocol, needs: Needs, handler: Handler) -> Self {
        Self { name, protocol, needs, operations: &[], handler }
    }

    /// The same function, with the description of its routes.
    #[must_use]
    pub const fn describing(mut self, operations: &'static [Operation]) -> Self {
        self.operations = operations;
        self
    }

    /// Calls the function. Whatever happens, there is a response, in the protocol's shape, and one line in the log
    /// with the request's id, the status and the time: no path, no query, no body.
    pub async fn call(&self, app: &App, request: &Request) -> Response {
        let span = telemetry::request(Some(self.name), request.id());
        let started = Instant::now();
        async {
            let (result, usage) = meter::metered(tokio::time::timeout(DEADLINE, self.run(app, request))).await;
            let result = result.unwrap_or_else(|elapsed| Err(Failure::Unavailable(Box::new(elapsed))));
            let layer = result.as_ref().err().and_then(Failure::layer);
            let mut response = result.unwrap_or_else(|failure| {
                failure.log();
                failure.response(self.protocol)
            });
            self.finish(app, request, &mut response);
            cors::share(app, request, &mut response).await;
            let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
            telemetry::served(response.status(), layer, micros);
            app.metrics().served(&Served { function: self.name, status: response.status(), layer, micros, usage });
            response
        }
        .instrument(span)
        .await
    }

    /// The answer to a request that the host refuses before the function sees it.
    pub(crate) fn refuse(&self, app: &App, request: &Request, failure: &Failure, started: Instant) -> Response {
        let mut response = failure.response(self.protocol);
        self.finish(app, request, &mut response);
        telemetry::refused_by_host(Some(self.name), request.id(), failure, started);
        response
    }

    /// What holds for every function, and then the function itself.
    async fn run(&self, app: &App, request: &Request) -> Result<Response, Failure> {
        if self.protocol == Protocol::Fhir && negotiate(request).is_none() {
            return Err(Failure::NotAcceptable);
        }
        let handler = (self.handler)(app, request);
        let result = match idempotency::Key::of(request, self.protocol)? {
            None => handler.await,
            // Boxed, as a part of every request, it would make the future of every host too deep.
            Some(key) => Box::pin(idempotency::once(self.protocol, app, request, key, handler)).await,
        };
        Box::pin(request.recorded(app, self.name, result)).await
    }

    /// The headers that every response carries.
    fn finish(&self, app: &App, request: &Request, response: &mut Response) {
        if self.protocol == Protocol::Fhir
            && negotiate(request) == Some(FHIR_JSON)
            && response.headers().contains_key(header::CONTENT_TYPE)
        {
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(FHIR_JSON));
        }
        protect(&app.settings, self.protocol, request.id(), response);
    }
}

const JSON: &str = "application/json";
const FHIR_JSON: &str = "application/fhir+json";

/// What a FHIR answer is called (RFC 9110 section 12.5.1, <https://hl7.org/fhir/R5/http.html#mime-type>): FHIR's own type
/// when the caller names it, plain JSON when that or anything is accepted. None when the caller accepts no JSON.
/// `_format` comes before `Accept`: who uses it is answered in JSON, or refused by the search.
fn negotiate(request: &Request) -> Option<&'static str> {
    let Some(accept) = request.header(header::ACCEPT).filter(|accept| !accept.trim().is_empty()) else {
        return Some(JSON);
    };
    let accepted: Vec<String> = accept.split(',').filter_map(accepted_range).collect();
    let names = |wanted: &[&str]| accepted.iter().any(|range| wanted.contains(&range.as_str()));
    if names(&[FHIR_JSON]) {
        Some(FHIR_JSON)
    } else if names(&[JSON, "text/json", "application/*", "*/*"])
        || request.query().is_ok_and(|query| query.iter().any(|(name, _)| name == "_format"))
    {
        Some(JSON)
    } else {
        None
    }
}

/// A media range in small letters, without parameters; none when its weight is zero: "not this".
fn accepted_range(range: &str) -> Option<String> {
    let mut parts = range.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default().to_ascii_lowercase();
    let refused = parts
        .filter_map(|parameter| parameter.split_once('='))
        .any(|(key, weight)| key.trim().eq_ignore_ascii_case("q") && weight.trim().parse() == Ok(0.0_f32));
    (!refused).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RequestParts;
    use http::{HeaderMap, Method};
    use std::collections::HashMap;

    fn request(accept: Option<&'static str>, query: &str) -> Request {
        let mut headers = HeaderMap::new();
        headers.extend(accept.map(|value| (header::ACCEPT, HeaderValue::from_static(value))));
        Request::from(RequestParts {
            method: Method::GET,
            path: "/".to_owned(),
            variables: HashMap::new(),
            query: query.to_owned(),
            headers,
            body: bytes::Bytes::new(),
            source: None,
            id: "r".to_owned(),
        })
    }

    #[test]
    fn json_is_named_as_the_caller_names_it() {
        for (accept, expected) in [
            (None, Some(JSON)),
            (Some(""), Some(JSON)),
            (Some("*/*"), Some(JSON)),
            (Some("application/*;q=0.1"), Some(JSON)),
            (Some("application/json"), Some(JSON)),
            (Some("application/fhir+json"), Some(FHIR_JSON)),
            (Some("text/html, Application/FHIR+json ; q=0.2"), Some(FHIR_JSON)),
            (Some("application/fhir+json;q=0, application/json"), Some(JSON)),
            (Some("application/fhir+json; q=0.0"), None),
            (Some("application/xml"), None),
            (Some("text/html"), None),
        ] {
            assert_eq!(negotiate(&request(accept, "")), expected, "{accept:?}");
        }
        assert_eq!(negotiate(&request(Some("text/html"), "_format=json")), Some(JSON));
    }
}
