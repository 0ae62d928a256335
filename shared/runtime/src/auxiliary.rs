//! What the routes of resources share that are kept as they come.

use crate::{App, Failure, Request, Response, response};
use fhir::{auxiliary, search::is_uuid};
use http::StatusCode;
use serde_json::Value;
use store::AuxiliaryResource;

impl Request {
    /// The resource type that the path names, for a caller with a valid token: what has no such type is told to nobody else.
    pub async fn resource_type(&self, app: &App) -> Result<&'static str, Failure> {
        let kind = auxiliary::kind(self.variable("type").unwrap_or_default());
        if kind.is_err() {
            self.authenticated(app).await?;
        }
        Ok(kind?)
    }

    /// The UUID in the path. What is none names nothing.
    pub fn uuid_variable(&self) -> Result<&str, Failure> {
        self.variable("id").filter(|id| is_uuid(id)).ok_or(Failure::NotFound)
    }
}

/// The resource as it is answered.
pub fn shown(kind: &str, resource: &AuxiliaryResource) -> Result<Value, Failure> {
    let stored = auxiliary::Stored {
        id: &resource.id,
        version: resource.version,
        last_updated: resource.last_updated,
        source: resource.source,
        patient: resource.patient,
        patient_name: &resource.patient_name,
        content: &resource.content,
    };
    auxiliary::render(kind, &stored).ok_or_else(|| Failure::Internal("what is stored is no JSON object".into()))
}

/// The response with one resource.
pub fn resource_response(status: StatusCode, kind: &str, resource: &AuxiliaryResource) -> Result<Response, Failure> {
    let text = shown(kind, resource)?.to_string();
    Ok(response::version_response(status, text, resource.version, resource.last_updated))
}
