//! The AWS Lambda host.

use crate::{App, Function, Needs, Request, RequestParts, Response, telemetry};
use bytes::Bytes;
use lambda_http::{Body, IntoResponse, RequestExt as _, request::RequestContext, service_fn};
use std::{future::ready, pin::Pin, process::ExitCode, sync::Arc};

/// Runs a function under the Lambda runtime API until the runtime ends it. The whole body of a `main.rs`.
#[must_use]
pub fn main(function: Function) -> ExitCode {
    telemetry::init();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "no runtime");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(serve(function)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "stopped");
            ExitCode::FAILURE
        }
    }
}

async fn serve(function: Function) -> Result<(), lambda_http::Error> {
    let app = Arc::new(App::new(|name| std::env::var(name).ok(), None, 1)?);
    if function.needs == Needs::Database {
        // Done while Lambda initialises, with a full CPU. A failure here is not the end: the first request tries again.
        match app.warm_up().await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "not ready yet"),
            Err(error) => tracing::warn!(%error, "not ready yet"),
        }
    }
    lambda_http::run(service_fn(move |event: lambda_http::Request| {
        let app = Arc::clone(&app);
        async move {
            let request = request(event);
            Ok::<_, std::convert::Infallible>(Answer::from(function.call(&app, &request).await))
        }
    }))
    .await
}

/// The request of an API Gateway HTTP API event.
fn request(event: lambda_http::Request) -> Request {
    let variables = event
        .path_parameters_ref()
        .map(|map| map.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
        .unwrap_or_default();
    let (source, id) = match event.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => {
            (context.http.source_ip.as_deref().and_then(|address| address.parse().ok()), context.request_id.clone())
        }
        _ => (None, None),
    };
    let id = id.or_else(|| event.lambda_context_ref().map(|context| context.request_id.clone()));
    let (parts, body) = event.into_parts();
    Request::from(RequestParts {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        variables,
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body: match body {
            Body::Text(text) => Bytes::from(text),
            Body::Binary(bytes) => Bytes::from(bytes),
            _ => Bytes::new(),
        },
        source,
        id: id.unwrap_or_default(),
    })
}

/// A response whose body is known to be text or not. The crate's own conversion would find out by the media type, with every
/// character encoding of the Web in each function.
struct Answer(http::Response<Body>);

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        Self(response.map(|bytes| match String::from_utf8(bytes.into()) {
            Ok(text) => Body::Text(text),
            Err(error) => Body::Binary(error.into_bytes()),
        }))
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Pin<Box<dyn Future<Output = http::Response<Body>> + Send>> {
        Box::pin(ready(self.0))
    }
}
