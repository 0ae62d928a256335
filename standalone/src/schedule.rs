//! Scheduled functions, called by the host itself: when it starts, and once a day.

use crate::{SCHEDULED, server::request_id};
use runtime::{App, Occasion};
use serde_json::Value;
use std::{sync::Arc, time::Duration};

/// As often as the schedules of `template.yaml`.
const DAY: Duration = Duration::from_hours(24);

/// Calls each scheduled function once. One that fails has said so in the log; the next call tries again.
pub async fn run_all(app: &App) {
    for function in SCHEDULED {
        let _ = function.run(app, &Occasion::new(&request_id(), Value::Null)).await;
    }
}

/// Calls them once a day from now on, for as long as the process serves.
pub fn every_day(app: Arc<App>) {
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(DAY).await;
            run_all(&app).await;
        }
    });
}
