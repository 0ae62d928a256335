use jiff::Timestamp;

use super::BatchKind;
use crate::json::Object;
use crate::outcome::OperationOutcome;

/// Writes the answer to a batch: one entry for each of the request, in its order.
pub struct BatchResponse {
    kind: BatchKind,
    entries: Vec<String>,
}

impl BatchResponse {
    /// An answer to a batch of this kind.
    #[must_use]
    pub fn new(kind: BatchKind) -> Self {
        Self { kind, entries: Vec::new() }
    }

    /// An Observation was created. `resource` is its JSON text, such as
    /// [`crate::observation::write_summary`] makes.
    pub fn created(&mut self, id: i64, last_updated: Timestamp, resource: &str) {
        let response = Object::new()
            .string("status", "201 Created")
            .string("location", &format!("Observation/{id}"))
            .string("etag", "W/\"1\"")
            .string("lastModified", &last_updated.to_string())
            .finish();
        self.entries.push(Object::new().raw("resource", resource).raw("response", &response).finish());
    }

    /// A resource was brought: its JSON text, its place, and what there is to say.
    pub fn brought(&mut self, status: u16, location: &str, resource: &str, outcome: &OperationOutcome) {
        let response = Object::new()
            .string("status", &status_line(status))
            .string("location", location)
            .raw("outcome", &outcome.to_json())
            .finish();
        self.entries.push(Object::new().raw("resource", resource).raw("response", &response).finish());
    }

    /// Nothing was done for this entry.
    pub fn failed(&mut self, status: u16, outcome: &OperationOutcome) {
        let response = Object::new().string("status", &status_line(status)).raw("outcome", &outcome.to_json()).finish();
        self.entries.push(Object::new().raw("response", &response).finish());
    }

    /// The Bundle as R5 JSON.
    #[must_use]
    pub fn finish(self) -> String {
        let kind = match self.kind {
            BatchKind::Batch => "batch-response",
            BatchKind::Transaction => "transaction-response",
        };
        Object::resource("Bundle").string("type", kind).list("entry", &self.entries).finish()
    }
}

/// A status with its reason phrase. 422 keeps the name of RFC 4918, which clients know.
#[must_use]
pub fn status_line(status: u16) -> String {
    let reason = match status {
        200 => "OK",
        201 => "Created",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        409 => "Conflict",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Entity",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => return status.to_string(),
    };
    format!("{status} {reason}")
}
