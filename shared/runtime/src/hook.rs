//! A function that a service of AWS calls, with an event of that service's own: `CloudFormation` while it deploys, or Secrets
//! Manager when a secret is due. The standalone host has none of them.

use crate::{App, Failure, telemetry::BUILD};
use futures_util::future::BoxFuture;
use serde_json::Value;
use std::time::Instant;
use tracing::Instrument;

type Handler = for<'a> fn(&'a App, Value) -> BoxFuture<'a, Result<Value, Failure>>;

/// Such a function.
#[derive(Clone, Copy)]
pub struct Hook {
    /// The name of the crate, of the binary and of `CodeUri` in `template.yaml`.
    pub name: &'static str,
    handler: Handler,
}

impl Hook {
    /// A function. What the handler gives is the report: it is logged, so there is no secret in it.
    #[must_use]
    pub const fn new(name: &'static str, handler: Handler) -> Self {
        Self { name, handler }
    }

    /// Calls the function. Whatever happens, there is one line in the log, besides what only the operator may know of a
    /// failure. The event is in none: it can hold the right to write an answer somewhere.
    pub async fn run(&self, app: &App, id: &str, event: Value) -> Result<Value, Failure> {
        let span = tracing::info_span!("called", function = self.name, id, version = BUILD);
        let started = Instant::now();
        async {
            let result = (self.handler)(app, event).await;
            let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
            app.metrics().ran(self.name, micros, result.as_ref().ok());
            match &result {
                Ok(report) => tracing::info!(%report, outcome = "done", micros, "ran"),
                Err(failure) => {
                    failure.log();
                    tracing::error!(detail = failure.detail(), outcome = "error", micros, "failed");
                }
            }
            result
        }
        .instrument(span)
        .await
    }
}
