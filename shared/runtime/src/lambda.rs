//! The AWS Lambda host.

use crate::{
    App, Function, Hook, Needs, Occasion, Request, RequestParts, Response, Scheduled, SetupError, origin, telemetry,
};
use bytes::Bytes;
use lambda_http::{
    Body, IntoResponse, LambdaEvent, RequestExt as _, lambda_runtime, request::RequestContext, service_fn,
};
use serde_json::Value;
use std::{pin::Pin, process::ExitCode, sync::Arc, time::Instant};

/// Runs a function under the Lambda runtime API until the runtime ends it. The whole body of a `main.rs`.
#[must_use]
pub fn main(function: Function) -> ExitCode {
    until_stopped(async {
        let app = ready(function.needs).await?;
        lambda_http::run(service_fn(move |event: lambda_http::Request| {
            let app = Arc::clone(&app);
            async move { Ok::<_, std::convert::Infallible>(Answer::from(answer(&function, &app, event).await)) }
        }))
        .await
    })
}

/// Runs a scheduled function likewise. A failure is told to Lambda, so that it is tried again, counted and alarmed of.
#[must_use]
pub fn scheduled(function: Scheduled) -> ExitCode {
    until_stopped(async {
        let app = ready(function.needs).await?;
        lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| {
            let app = Arc::clone(&app);
            async move {
                let occasion = Occasion::new(&event.context.request_id, event.payload);
                function.run(&app, &occasion).await.map_err(|failure| lambda_http::Error::from(failure.detail()))
            }
        }))
        .await
    })
}

/// Runs a function that a service of AWS calls likewise. It reads no secret before it is called.
#[must_use]
pub fn hook(function: Hook) -> ExitCode {
    until_stopped(async {
        let app = Arc::new(app()?);
        lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| {
            let app = Arc::clone(&app);
            async move {
                let LambdaEvent { payload, context } = event;
                function
                    .run(&app, &context.request_id, payload)
                    .await
                    .map_err(|failure| lambda_http::Error::from(failure.detail()))
            }
        }))
        .await
    })
}

async fn answer(function: &Function, app: &App, event: lambda_http::Request) -> Response {
    let started = Instant::now();
    let mut parts = parts(event);
    let admitted = origin::admit(app, &mut parts).await;
    let request = Request::from(parts);
    match admitted {
        Ok(()) => function.call(app, &request).await,
        Err(failure) => function.refuse(app, &request, &failure, started),
    }
}

fn until_stopped(serving: impl Future<Output = Result<(), lambda_http::Error>>) -> ExitCode {
    telemetry::init();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "no runtime");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(serving) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "stopped");
            ExitCode::FAILURE
        }
    }
}

/// The state of the process, with what the function needs at hand.
async fn ready(needs: Needs) -> Result<Arc<App>, lambda_http::Error> {
    let app = Arc::new(app()?);
    if needs == Needs::Database {
        // Done while Lambda initialises, with a full CPU. A failure here is not the end: the first request tries again.
        match app.warm_up().await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "not ready yet"),
            Err(error) => tracing::warn!(%error, "not ready yet"),
        }
    }
    Ok(app)
}

fn app() -> Result<App, SetupError> {
    App::new(|name| std::env::var(name).ok(), None, 1)
}

/// The request of an API Gateway HTTP API event.
fn parts(event: lambda_http::Request) -> RequestParts {
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
    RequestParts {
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
    }
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
        Box::pin(std::future::ready(self.0))
    }
}
