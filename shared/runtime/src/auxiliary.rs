//! What the routes of resources share that are kept as they come.

use crate::{App, Failure, Request, Response, response};
use authz::{Layer, Refusal};
use fhir::{
    Rejection, auxiliary,
    outcome::{IssueCode, OperationOutcome},
    search::is_uuid,
};
use http::StatusCode;
use serde_json::Value;
use store::AuxiliaryResource;

/// Names the FHIR Source of a resource that does not by itself.
pub const SOURCE_HEADER: &str = "x-jhe-fhir-source-id";

impl Request {
    /// The resource type that the path names, for a caller with a valid token: what has no such type is told to nobody else.
    pub async fn resource_type(&self, app: &App) -> Result<&'static str, Failure> {
        let kind = auxiliary::kind(self.variable("type").unwrap_or_default());
        if kind.is_err() {
            self.authenticated(app).await?;
        }
        Ok(kind?)
    }

    /// The FHIR Source that the header names, or `meta.source` (`named`); both if they agree.
    pub fn fhir_source(&self, named: Option<i32>) -> Result<i32, Failure> {
        let header = match self.header(SOURCE_HEADER) {
            None => None,
            // A whole `meta.source` is taken too.
            Some(text) => {
                let id = auxiliary::source_id(text).or_else(|| text.trim().parse().ok());
                Some(id.ok_or_else(|| {
                    Failure::Invalid("X-JHE-FHIR-Source-ID must be the id of a FHIR Source.".to_owned())
                })?)
            }
        };
        match (header, named) {
            (Some(header), Some(named)) if header != named => {
                Err(Failure::Invalid("X-JHE-FHIR-Source-ID and meta.source name different FHIR Sources.".to_owned()))
            }
            (Some(id), _) | (None, Some(id)) => Ok(id),
            (None, None) => Err(Failure::Invalid(
                "A FhirSource is required to write this resource: send the 'X-JHE-FHIR-Source-ID' header or set the \
                 resource's meta.source to 'https://jupyterhealth.org/fhir/fhir-source/<id>'."
                    .to_owned(),
            )),
        }
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

/// A resource names another patient than its FHIR Source has.
#[must_use]
pub fn another_patient(kind: &str) -> Failure {
    Failure::Rejected(Rejection::value(kind, "must be about the patient of its FHIR Source"))
}

/// Why a resource of this type was not stored.
#[must_use]
pub fn refused(kind: &str, layer: Layer) -> Failure {
    let text = match layer {
        Layer::Consent => format!("{kind} has not been consented for any studies by this Patient."),
        Layer::UserType | Layer::Organization => {
            "Current user does not have access to this FhirSource's patient.".to_owned()
        }
        layer => return Failure::Refused(Refusal::known(layer)),
    };
    Failure::Outcome(StatusCode::FORBIDDEN, OperationOutcome::error(IssueCode::Forbidden, &text))
}
