//! Logs: JSON lines on Lambda and in production, readable lines on a terminal.
//!
//! What is never logged is listed in `docs/logging.md`: health data, names, e-mail addresses, tokens, codes, passwords,
//! queries and bodies. Spans and events carry ids and counts.

use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;

/// Starts logging to standard error, at the level of `LOG_LEVEL` (`info` by default; the AWS SDK and the database
/// driver only warn). A second call does nothing.
pub fn init() {
    let level = std::env::var("LOG_LEVEL").unwrap_or_else(|_| "info".to_owned());
    let filter = EnvFilter::try_new(format!("{level},aws_config=warn,aws_smithy_runtime=warn,tokio_postgres=warn,hyper=warn,refinery_core=warn"))
        .unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Fails only when logging was started already.
    let _ = if std::io::stderr().is_terminal() {
        builder.try_init()
    } else {
        builder.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
    };
}
