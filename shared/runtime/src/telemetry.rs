//! Logs: JSON lines on Lambda and in production, readable lines on a terminal.
//!
//! What is never logged is listed in `docs/logging.md`: health data, names, e-mail addresses, tokens, codes, passwords,
//! queries and bodies. Spans and events carry ids and counts.

use std::io::IsTerminal as _;
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

/// The crates of this workspace that log.
const OURS: [&str; 5] = ["jhe", "mail", "runtime", "standalone", "store"];

/// Starts logging to standard error, at the level of `LOG_LEVEL`. A second call does nothing.
pub fn init() {
    let targets = targets(std::env::var("LOG_LEVEL").ok().as_deref());
    let builder = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_writer(std::io::stderr);
    // Fails only when logging was started already.
    let _ = if std::io::stderr().is_terminal() {
        builder.finish().with(targets).try_init()
    } else {
        builder
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .finish()
            .with(targets)
            .try_init()
    };
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
