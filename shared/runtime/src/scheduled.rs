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
    /// How much later the standalone host calls it again. `template.yaml` says the same, but for what looks whether it is due: a
    /// host may start anew at any hour, and looks more often.
    pub interval: Duration,
    /// What an operator may say to it by options of the command: `now` as `--now`, `since=` as `--since=TEXT`.
    pub options: &'static [&'static str],
    /// Whether the standalone host serves before the first call has ended.
    pub in_background: bool,
    handler: Handler,
}

/// What an operator says to a scheduled function is none of its options. Nothing is done then: what it does may be for ever.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{word} is no option here; options: {}", in_words(.known))]
pub struct UnknownOption {
    word: String,
    known: &'static [&'static str],
}

/// Options as they are written.
fn in_words(options: &[&str]) -> String {
    if options.is_empty() {
        return "none".to_owned();
    }
    let words =
        options.iter().map(|name| if name.ends_with('=') { format!("--{name}TEXT") } else { format!("--{name}") });
    words.collect::<Vec<_>>().join(", ")
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
        Self {
            name,
            command,
            summary,
            needs,
            interval: Duration::from_hours(24),
            options: &[],
            in_background: false,
            handler,
        }
    }

    /// The same function, to which an operator may say this.
    #[must_use]
    pub const fn taking(mut self, options: &'static [&'static str]) -> Self {
        self.options = options;
        self
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

    /// A call by a command with these options: `--now` says `{"now": true}`, `--since=2026-01-01` says
    /// `{"since": "2026-01-01"}`. The function has to know each of them.
    pub fn asked(&self, id: &str, options: &[&str]) -> Result<Occasion, UnknownOption> {
        let said = |word: &&str| {
            let unknown = || UnknownOption { word: (*word).to_owned(), known: self.options };
            let (name, value) = word.strip_prefix("--").ok_or_else(unknown).map(|said| {
                said.split_once('=').map_or((said, Value::Bool(true)), |(name, text)| (name, text.into()))
            })?;
            let known = if value.is_string() { format!("{name}=") } else { name.to_owned() };
            if self.options.contains(&known.as_str()) { Ok((name.to_owned(), value)) } else { Err(unknown()) }
        };
        let input = options.iter().map(said).collect::<Result<_, _>>()?;
        Ok(Occasion { id: id.to_owned(), input, operator: None })
    }

    /// What the command does and which options it has, in two lines.
    #[must_use]
    pub fn help(&self) -> String {
        format!("jhe {}: {}\noptions: {}", self.command, self.summary, in_words(self.options))
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
                    // These texts are ours: they name settings, tables and ids, and nothing of a person.
                    tracing::error!(why = failure.detail(), outcome = "error", micros, "failed");
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

    const TRIED: Scheduled =
        Scheduled::new("tried", "try it", "try something", Needs::Nothing, |_, _| Box::pin(async { Ok(Value::Null) }));

    #[test]
    fn a_command_says_it_by_options_that_are_known() {
        let known = TRIED.taking(&["now", "since="]);
        assert!(known.asked("1", &["--now"]).is_ok_and(|occasion| occasion.asks("now")));
        assert!(known.asked("1", &[]).is_ok_and(|occasion| !occasion.asks("now")));
        let since = known.asked("1", &["--now", "--since=2026-01-01"]);
        assert!(since.is_ok_and(|occasion| occasion.asks("now") && occasion.text("since") == Some("2026-01-01")));
        for wrong in [
            &["now"][..],
            &["--"],
            &["--=x"],
            &["--now", "x"],
            &["-n"],
            &["--no"],
            &["--now=1"],
            &["--since"],
            &["--help"],
        ] {
            assert!(known.asked("1", wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_is_no_option_is_refused_in_words() {
        let refused = |function: Scheduled| function.asked("1", &["--dry-run"]).unwrap_err().to_string();
        assert_eq!(refused(TRIED), "--dry-run is no option here; options: none");
        let known = TRIED.taking(&["now", "since="]);
        assert_eq!(refused(known), "--dry-run is no option here; options: --now, --since=TEXT");
        assert_eq!(known.help(), "jhe try it: try something\noptions: --now, --since=TEXT");
    }
}
