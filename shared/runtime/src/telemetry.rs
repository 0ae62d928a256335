//! Logs: JSON lines on Lambda and in production, readable lines on a terminal.
//!
//! What is never logged is listed in `docs/logging.md`: health data, names, e-mail addresses, tokens, codes, passwords,
//! queries and bodies. Spans and events carry ids and counts.

use crate::Failure;
use authz::Layer;
use http::StatusCode;
use std::{io::IsTerminal as _, time::Instant};
use tracing::{Span, Subscriber};
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    fmt::MakeWriter,
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

/// Which build it is: `JHE_BUILD` of when it was built, or the version of the workspace.
pub const BUILD: &str = match option_env!("JHE_BUILD") {
    Some(build) if !build.is_empty() => build,
    _ => env!("CARGO_PKG_VERSION"),
};

/// The crates of this workspace that log.
const OURS: [&str; 8] = ["backup_job", "erasure", "export_run", "jhe", "mail", "runtime", "standalone", "store"];

/// Starts logging to standard error, at the level of `LOG_LEVEL`. A second call does nothing.
pub fn init() {
    let level = std::env::var("LOG_LEVEL").ok();
    // Fails only when logging was started already.
    let _ = if std::io::stderr().is_terminal() {
        let builder = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_writer(std::io::stderr);
        builder.finish().with(targets(level.as_deref())).try_init()
    } else {
        lines(level.as_deref(), std::io::stderr).try_init()
    };
}

/// The log as lines of JSON, at this level.
pub fn lines<W>(level: Option<&str>, writer: W) -> impl Subscriber + Send + Sync + use<W>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_writer(writer)
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .finish()
        .with(targets(level))
}

/// What every line about a request says: the function, where one was found, the request's id and the build.
pub(crate) fn request(function: Option<&'static str>, id: &str) -> Span {
    tracing::info_span!("request", function, id, version = BUILD)
}

/// The line that every request has, inside its span: how it ended, by which layer it was refused, and how long it took.
pub(crate) fn served(status: StatusCode, layer: Option<Layer>, micros: u64) {
    tracing::info!(
        status = status.as_u16(),
        outcome = outcome(status),
        layer = layer.map(Layer::name),
        micros,
        "served"
    );
}

/// That line for a request that the host refuses before a function sees it.
pub fn refused_by_host(function: Option<&'static str>, id: &str, failure: &Failure, started: Instant) {
    request(function, id).in_scope(|| {
        failure.log();
        let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        served(failure.status(), failure.layer(), micros);
    });
}

/// How a request ended, in the words of the audit; `error` is ours.
fn outcome(status: StatusCode) -> &'static str {
    match status {
        _ if status.is_server_error() => "error",
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::TOO_MANY_REQUESTS => {
            "denied"
        }
        _ if status.is_client_error() => "failed",
        _ => "allowed",
    }
}

/// The level asked for, `info` by default, for our own crates. Others only warn, whatever the level: the Lambda runtime
/// traces whole events, drivers and SDKs trace parameters.
fn targets(level: Option<&str>) -> Targets {
    // An empty text would be understood as `error`.
    let level = level.filter(|text| !text.is_empty()).and_then(|text| text.parse().ok()).unwrap_or(LevelFilter::INFO);
    let others = level.min(LevelFilter::WARN);
    Targets::new().with_targets(OURS.map(|name| (name, level))).with_default(others)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_level_makes_other_crates_talk() {
        for (level, others, ours) in [
            (None, LevelFilter::WARN, LevelFilter::INFO),
            (Some("info"), LevelFilter::WARN, LevelFilter::INFO),
            (Some("TRACE"), LevelFilter::WARN, LevelFilter::TRACE),
            (Some("error"), LevelFilter::ERROR, LevelFilter::ERROR),
            (Some("off"), LevelFilter::OFF, LevelFilter::OFF),
            (Some("debug,lambda_runtime=trace"), LevelFilter::WARN, LevelFilter::INFO),
            (Some(""), LevelFilter::WARN, LevelFilter::INFO),
        ] {
            let targets = targets(level);
            assert_eq!(targets.default_level(), Some(others), "{level:?}");
            for name in OURS {
                assert!(targets.iter().any(|known| known == (name, ours)), "{level:?} {name}");
            }
            for other in ["lambda_runtime::layers::api_response", "tokio_postgres::query", "aws_smithy_runtime"] {
                assert!(!targets.would_enable(other, &tracing::Level::INFO), "{level:?} {other}");
            }
        }
    }
}
