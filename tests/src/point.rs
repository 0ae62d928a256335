//! Open mHealth data points and the observations that carry them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

/// A blood pressure at a time.
#[must_use]
pub fn blood_pressure(systolic: i32, at: &str) -> Value {
    point(
        "omh:blood-pressure:4.0",
        &json!({
            "systolic_blood_pressure": { "unit": "mmHg", "value": systolic },
            "diastolic_blood_pressure": { "unit": "mmHg", "value": 80 },
            "effective_time_frame": { "date_time": at },
        }),
    )
}

/// A heart rate at a time.
#[must_use]
pub fn heart_rate(rate: i32, at: &str) -> Value {
    point(
        "omh:heart-rate:2.0",
        &json!({
            "heart_rate": { "unit": "beats/min", "value": rate },
            "effective_time_frame": { "date_time": at },
        }),
    )
}

/// A blood glucose at a time.
#[must_use]
pub fn blood_glucose(level: i32, at: &str) -> Value {
    point(
        "omh:blood-glucose:4.0",
        &json!({
            "blood_glucose": { "unit": "mg/dL", "value": level },
            "effective_time_frame": { "date_time": at },
        }),
    )
}

/// A body temperature at a time.
#[must_use]
pub fn body_temperature(degrees: i32, at: &str) -> Value {
    point(
        "omh:body-temperature:4.0",
        &json!({
            "body_temperature": { "unit": "C", "value": degrees },
            "effective_time_frame": { "date_time": at },
        }),
    )
}

/// A data point of a schema.
#[must_use]
pub fn point(code: &str, body: &Value) -> Value {
    let parts: Vec<&str> = code.split(':').collect();
    json!({
        "header": {
            "uuid": "7f0e4ff0-4f3b-4c35-9d8a-0d9c6a4f2b11",
            "schema_id": { "namespace": parts[0], "name": parts[1], "version": parts[2] },
            "source_creation_date_time": "2026-02-01T08:00:00Z",
            "modality": "sensed",
        },
        "body": body,
    })
}

/// The code of a data point.
#[must_use]
pub fn code_of(point: &Value) -> String {
    let id = &point["header"]["schema_id"];
    let part = |name: &str| id[name].as_str().unwrap_or_default().to_owned();
    format!("{}:{}:{}", part("namespace"), part("name"), part("version"))
}

/// An observation of a patient that carries a data point; with an identifier when `identifier` is not empty.
#[must_use]
pub fn observation(patient: i32, device: i32, point: &Value, identifier: &str) -> Value {
    let mut resource = json!({
        "resourceType": "Observation",
        "status": "final",
        "code": { "coding": [{ "system": "https://w3id.org/openmhealth", "code": code_of(point) }] },
        "subject": { "reference": format!("Patient/{patient}") },
        "device": { "reference": format!("Device/{device}") },
        "valueAttachment": { "contentType": "application/json", "data": STANDARD.encode(point.to_string()) },
    });
    if !identifier.is_empty() {
        resource["identifier"] = json!([{ "system": "https://test.example", "value": identifier }]);
    }
    resource
}

/// A bundle that posts observations.
#[must_use]
pub fn bundle(kind: &str, observations: &[Value]) -> Value {
    let entries: Vec<Value> = observations
        .iter()
        .map(|resource| json!({ "resource": resource, "request": { "method": "POST", "url": "Observation" } }))
        .collect();
    json!({ "resourceType": "Bundle", "type": kind, "entry": entries })
}
