//! The tests, and the data points that they share.

mod effective;
mod refusals;
mod schemas;

use crate::{DataPoint, Invalid};
use serde_json::{Value, json};

/// A header that names this code.
fn header(code: &str) -> Value {
    let parts: Vec<&str> = code.split(':').collect();
    json!({
        "uuid": "7b6b1e4e-6d0e-4e0a-9d5f-3a2c1b0a9f8e",
        "schema_id": {"namespace": parts[0], "name": parts[1], "version": parts[2]},
        "source_creation_date_time": "2026-03-01T07:30:01Z"
    })
}

/// A data point of this code and body.
fn point(code: &str, body: &Value) -> Value {
    json!({"header": header(code), "body": body})
}

/// Reads a data point.
fn parse(code: &str, point: &Value) -> Result<DataPoint, Invalid> {
    crate::parse(point.to_string().as_bytes(), code)
}

/// A heart rate with this time frame.
fn heart_rate(frame: &Value) -> Value {
    let body = json!({"heart_rate": {"value": 61, "unit": "beats/min"}, "effective_time_frame": frame});
    point("omh:heart-rate:2.0", &body)
}
