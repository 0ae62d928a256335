//! Scheduled functions, called by the host itself: when it starts, and then as often as each of them says.

use crate::{SCHEDULED, server::request_id};
use runtime::{App, Occasion, Scheduled};
use serde_json::Value;
use std::sync::Arc;

/// One call. One that fails has said so in the log; the next call tries again.
async fn call(app: &App, function: &Scheduled) {
    let _ = function.run(app, &Occasion::new(&request_id(), Value::Null)).await;
}

/// Calls each scheduled function once, but for those that take their time.
pub async fn run_all(app: &App) {
    for function in SCHEDULED.iter().filter(|function| !function.in_background) {
        call(app, function).await;
    }
}

/// Calls each of them again and again from now on, for as long as the process serves. Those that take their time are called at once.
pub fn repeat(app: &Arc<App>) {
    for function in SCHEDULED {
        let app = Arc::clone(app);
        tokio::spawn(async move {
            if function.in_background {
                call(&app, function).await;
            }
            loop {
                tokio::time::sleep(function.interval).await;
                call(&app, function).await;
            }
        });
    }
}
