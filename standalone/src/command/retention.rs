//! `jhe retention report`: what would be deleted. `jhe retention run` is the scheduled function itself.

use super::{Result, report as reported, with_app};
use runtime::Occasion;
use serde_json::json;
use standalone::server::request_id;
use std::process::ExitCode;

/// `jhe retention report`.
pub async fn report() -> Result<ExitCode> {
    let occasion = Occasion::new(&request_id(), json!({ "report": true }));
    with_app(async |app| reported(&retention::FUNCTION, app, &occasion).await).await
}
