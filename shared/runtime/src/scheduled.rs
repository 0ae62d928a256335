//! A function that no request calls but the clock, or an operator.
//!
//! On AWS, `EventBridge` Scheduler calls it through the Lambda runtime ([`crate::lambda::scheduled`]). The standalone host has
//! it as a command, and calls it by itself when it starts and then as often as it says. So it finds out itself whether there is
//! something to do, and being called twice, or at the same time elsewhere, does no harm.

use crate::{App, Failure, Needs, telemetry::BUILD};
use audit::{Action, Context};
use futures_util::future::BoxFuture;
use serde_json::{Map, Value};
use std::time::{Duration, Instant};
use tracing::Instrument;

type Handler = for<'a> fn(&'a App, &'a Occasion) -> BoxFuture<'a, Result<Value, Failure>>;

/// A scheduled function.
#[derive(Clone, Copy)]
pub struct Scheduled {
    /// The name of the crate, of the binary and of `CodeUri` in `template.yaml`.
    pub name: &'static str,
    /// The command of the standalone host, in one word or several.
    pub command: &'static str,
    /// What the command does, in a line.
    pub summary: &'static str,
    /// What to have ready.
    pub needs: Needs,
    /// How much later the standalone host calls it again. `template.yaml` says the same.
    pub interval: Duration,
    /// Whether the standalone host serves before the first call has ended.
    pub in_background: bool,
    handler: Handler,
}

/// One call of a scheduled function.
#[derive(Clone, Debug)]
pub struct Occasion {
    id: String,
    input: Map<String, Value>,
    operator: Option<String>,
}

impl Occasion {
    /// A call with an id of its own. What is no object has nothing to say.
    #[must_use]
    pub fn new(id: &str, input: Value) -> Self {
        let input = if let Value::Object(input) = input { input } else { Map::new() };
        Self { id: id.to_owned(), input, operator: None }
    }

    /// A call by a command with these options: `--now` says `{"now": true}`, `--since=2026-01-01` says
    /// `{"since": "2026-01-01"}`. None: something else is among them.
    #[must_use]
    pub fn of_command(id: &str, options: &[&str]) -> Option<Self> {
        let named = options.iter().map(|option| {
            let said = option.strip_prefix("--")?;
            let (name, value) =
                said.split_once('=').map_or((said, Value::Bool(true)), |(name, text)| (name, text.into()));
            (!name.is_empty()).then(|| (name.to_owned(), value))
        });
        Some(Self { id: id.to_owned(), input: named.collect::<Option<_>>()?, operator: None })
    }

    /// The same call, by somebody with this account of the operating system.
    #[must_use]
    pub fn by(mut self, operator: Option<String>) -> Self {
        self.operator = operator;
        self
    }

    /// The id of the call: in the logs and in the audit.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether the caller asks for this.
    #[must_use]
    pub fn asks(&self, name: &str) -> bool {
        self.input.get(name) == Some(&Value::Bool(true))
    }

    /// What the caller says of this, if it is a text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.input.get(name).and_then(Value::as_str)
    }

    /// What the audit is told of this call: the system acts.
    #[must_use]
    pub fn audit(&self, action: Action, resource_type: &'static str) -> Context {
        Context::of_system(&self.id, action, resource_type).called_by(self.operator.as_deref())
    }
}

impl Scheduled {
    /// A function that is called once a day. What the handler gives is the report: it is logged, and answered to who called.
    #[must_use]
    pub const fn new(
        name: &'static str,
        command: &'static str,
        summary: &'static str,
        needs: Needs,
        handler: Handler,
    ) -> Self {
        Self { name, command, summary, needs, interval: Duration::from_hours(24), in_background: false, handler }
    }

    /// The same function, called as often as this.
    #[must_use]
    pub const fn every(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// The same function, which takes its time: nobody waits for it.
    #[must_use]
    pub const fn in_background(mut self) -> Self {
        self.in_background = true;
        self
    }

    /// Calls the function. Whatever happens, there is one line in the log, besides what only the operator may know of a
    /// failure.
    pub async fn run(&self, app: &App, occasion: &Occasion) -> Result<Value, Failure> {
        let span = tracing::info_span!("scheduled", function = self.name, id = occasion.id(), version = BUILD);
        let started = Instant::now();
        async {
            let result = (self.handler)(app, occasion).await;
            let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
            app.metrics().ran(self.name, micros, result.as_ref().ok());
            match &result {
                Ok(report) => tracing::info!(%report, outcome = "done", micros, "ran"),
                Err(failure) => {
                    failure.log();
                    tracing::error!(outcome = "error", micros, "failed");
                }
            }
            result
        }
        .instrument(span)
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_is_said_is_asked() {
        assert!(Occasion::new("1", json!({ "now": true })).asks("now"));
        for input in
            [json!({}), json!(null), json!([]), json!({ "now": false }), json!({ "now": "true" }), json!("now")]
        {
            assert!(!Occasion::new("1", input.clone()).asks("now"), "{input}");
        }
    }

    #[test]
    fn a_command_says_it_by_options() {
        assert!(Occasion::of_command("1", &["--now"]).is_some_and(|occasion| occasion.asks("now")));
        assert!(Occasion::of_command("1", &[]).is_some_and(|occasion| !occasion.asks("now")));
        let since = Occasion::of_command("1", &["--now", "--since=2026-01-01"]);
        assert!(since.is_some_and(|occasion| occasion.asks("now") && occasion.text("since") == Some("2026-01-01")));
        for wrong in [&["now"][..], &["--"], &["--=x"], &["--now", "x"], &["-n"]] {
            assert!(Occasion::of_command("1", wrong).is_none(), "{wrong:?}");
        }
    }
}
