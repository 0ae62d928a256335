//! Observations that are uploaded and amended.

use crate::{World, answer, point};
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

/// The reason that is given.
pub const WHY: &str = "The strap was loose";

/// Where an observation is.
#[must_use]
pub fn path(id: &str) -> String {
    format!("/FHIR/R5/Observation/{id}")
}

/// A heart rate of Peter's at a time.
#[must_use]
pub fn rate_at(beats: i32, at: &str, identifier: &str) -> Value {
    point::observation(40001, 70001, &point::heart_rate(beats, at), identifier)
}

/// A heart rate of Peter's.
#[must_use]
pub fn rate(beats: i32, identifier: &str) -> Value {
    rate_at(beats, "2026-03-01T08:00:00Z", identifier)
}

/// An observation as it is sent to amend the one with this id.
#[must_use]
pub fn becoming(id: &str, status: &str, mut resource: Value) -> Value {
    resource["id"] = json!(id);
    resource["status"] = json!(status);
    resource
}

/// What is sent to amend an observation that [`rate`] made.
#[must_use]
pub fn amended(id: &str, status: &str, beats: i32, identifier: &str) -> Value {
    becoming(id, status, rate(beats, identifier))
}

/// Stores an observation: its id.
pub async fn store(world: &World, user: &str, resource: &Value) -> String {
    let (status, made) = world.post(user, "/FHIR/R5/Observation", resource).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    made["id"].as_str().expect("an id").to_owned()
}

/// Stores a heart rate of Peter's: its id.
pub async fn upload(world: &World, user: &str, beats: i32, identifier: &str) -> String {
    store(world, user, &rate(beats, identifier)).await
}

/// Sends what is to become of an observation in a version.
pub async fn amend(world: &World, user: &str, version: i32, resource: &Value) -> (StatusCode, Value) {
    let request = world
        .request(user, Method::PUT, &path(resource["id"].as_str().expect("an id")))
        .header(header::IF_MATCH, format!("W/\"{version}\""))
        .header("x-jhe-reason", WHY)
        .json(resource);
    answer(request).await
}

/// The same, when it has to succeed: the new version.
pub async fn amend_well(world: &World, user: &str, version: i32, resource: &Value) -> Value {
    let (status, made) = amend(world, user, version, resource).await;
    assert_eq!((status, &made["meta"]["versionId"]), (StatusCode::OK, &json!((version + 1).to_string())), "{made}");
    made
}

/// Sends an observation back as it is, corrected.
pub async fn correct(world: &World, user: &str, id: &str) -> Value {
    let (_, mut resource) = world.get(user, &path(id)).await;
    let version = resource["meta"]["versionId"].as_str().and_then(|text| text.parse().ok()).expect("a version");
    resource["status"] = json!("corrected");
    amend_well(world, user, version, &resource).await
}

/// The versions and statuses of a history.
#[must_use]
pub fn versions(history: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let entries = history["entry"].as_array().unwrap_or_else(|| panic!("no entries: {history}"));
    entries
        .iter()
        .map(|entry| (text(&entry["resource"]["meta"]["versionId"]), text(&entry["resource"]["status"])))
        .collect()
}
